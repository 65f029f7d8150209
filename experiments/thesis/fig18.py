"""Figure 18: confusion matrices of table 4's "existing" searches, by accuracy.

The thesis: with the grid a 2 is often taken for a 5 after one epoch (and "in epoch 0" a 4 for a 7); with Gaussian and
Gamma a 7 for a 9. It draws one run on 100 images, some ten of a digit.

Readings: mistakes.py. Scales: mnist_small.py.
"""

from mistakes import Mistakes
from mnist_small import OBJECTIVES
from reproduction import Asked, Report

NAME = "fig18"
TITLE = "confusion matrices, searches by accuracy"


def run(options: Asked) -> Report:
    found = Mistakes(options, OBJECTIVES["existing"])
    claims = [
        found.most_common(1, "grid", 2, 5, "1 epoch, grid: most often a 2 is taken for a 5"),
        found.most_common(1, "grid", 4, 7, "1 epoch, grid: most often a 4 is taken for a 7"),
        found.most_common(1, "gaussian", 7, 9, "1 epoch, Gaussian: most often a 7 is taken for a 9"),
        found.most_common(1, "gamma", 7, 9, "1 epoch, Gamma: most often a 7 is taken for a 9"),
    ]
    return found.report(NAME, TITLE, claims)
