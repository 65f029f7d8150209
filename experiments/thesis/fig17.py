"""Figure 17: Gaussian against Gamma on 500 MNIST images, 50 epochs.

The thesis: Gamma 94 % at a rate of .12 in about 7 iterations, Gaussian 93 % at .2, Grid 93 % at .16 in 100. Gamma
beats the grid, it says, because the grid's fixed steps may miss the point.

Readings: against_grid.py. Scales: mnist_small.py.
"""

import against_grid
from reproduction import Asked, Report

NAME = "fig17"
TITLE = "Gaussian against Gamma, 50 epochs"

PRINTED = {"grid": (93, 0.16), "gaussian": (93, 0.2), "gamma": (94, 0.12)}


def run(options: Asked) -> Report:
    return against_grid.report(options, NAME, TITLE, options.pick(smoke=2, small=50, full=50), PRINTED)
