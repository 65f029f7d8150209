"""Figure 19: confusion matrices of the searches by kappa (11), of table 4's right half.

The thesis: after one epoch, with kappa, Grid and Gamma make almost the same mistakes; Gamma takes a 5 for an 8 more
often. It draws one run on 100 images, some ten of a digit.

Readings: mistakes.py; "almost the same": the mistakes of Grid and Gamma are more alike than those of Grid and
Gaussian, by the correlation over the 90 pairs of digits. Scales: mnist_small.py.
"""

import numpy as np
from mistakes import Mistakes
from mnist_small import OBJECTIVES
from reproduction import Asked, Report
from verdicts import judged, paired

NAME = "fig19"
TITLE = "confusion matrices, searches by kappa (11)"


def run(options: Asked) -> Report:
    found = Mistakes(options, OBJECTIVES["kappa (11)"])
    alike = {search: _alike(found, "grid", search) for search in ("gamma", "gaussian")}
    claims = [
        found.most_common(1, "gamma", 5, 8, "1 epoch, Gamma: most often a 5 is taken for an 8"),
        judged(
            "1 epoch: Grid and Gamma make almost the same mistakes, more so than Grid and Gaussian",
            paired(alike["gamma"], alike["gaussian"]),
            better="more",
        ),
    ]
    return found.report(NAME, TITLE, claims)


def _alike(found: Mistakes, one: str, other: str) -> list[float]:
    """Correlation of the mistakes after one epoch, a number a seed."""
    off = ~np.eye(10, dtype=bool)
    pairs = zip(found.all[1, one, "report"], found.all[1, other, "report"], strict=True)
    return [float(np.corrcoef(a[off], b[off])[0, 1]) for a, b in pairs]
