"""Table 9: grids of 100 to 500 rates against 2 + 10 samples, 50 epochs.

The thesis: Grid 87, 90, 91, 89, 87 % in 226.2, 443.5, 679.2, 881.3, 1419.3 s (average 88.8 % in 729.9 s); Gaussian
87, 89, 87, 86, 81 % (86) in 27.0, 27.2, 26.8, 25.9, 39.2 s (29.22); Gamma 90, 88, 89, 89, 84 % (88) in 27.1, 26.9,
27.0, 26.1, 39.8 s (29.38). "About 24.8 times faster" at a difference in accuracy of 0.7 points [it is 0.8]; Gamma is
2 points more accurate than Gaussian.

Reading: one rate for the whole run; kappa (11), cut. The Bayesian columns do not depend on the size of the grid: the
five rows are five runs, here the seeds.
How it was made smaller, and what the CPU seconds are: mnist_small.py.
"""

from learning_time import Rows, notes, report
from mnist_small import spent
from reproduction import Asked, Report

NAME = "table9"
TITLE = "grids of 100 to 500 rates against 12 samples, 50 epochs"

ACCURACY = (87, 90, 91, 89, 87, 88.8, 86, 88)
TIME = (226.2, 443.5, 679.2, 881.3, 1419.3, 729.9, 29.22, 29.38)


def run(options: Asked) -> Report:
    long, few = options.pick(smoke=2, small=50, full=50), options.pick(smoke=4, small=12, full=12)
    rows = Rows(options, long, few, ACCURACY, TIME)
    claims = [
        rows.factor("Gamma is 24.8 times faster than the average grid", 24.8),
        *rows.as_accurate("Gamma", rows.coarse, f"Gamma is as accurate as the {rows.coarse}"),
        *rows.as_accurate("Gamma", "Gaussian", "Gamma is at least as accurate as Gaussian"),
        rows.more_accurate("Gamma", "Gaussian", "Gamma is more accurate than Gaussian (by 2 points), on test images"),
        rows.more_accurate(
            "Gamma",
            f"grid of {few}",
            f"(not in the thesis) Gamma is more accurate than a grid of {few}, which costs the same, on test images",
        ),
    ]  # fmt: skip
    defaults = []
    for budget in (1.5, 12):
        found = [rows.small.default(seed, budget, long) for seed in rows.small.long_seeds]
        rows.put(f"gammatune's default, budget {budget:g}", "", found, [cell["seconds"] for cell in found])
        defaults.append(f"{spent(found).text(2)} plain runs at a budget of {budget:g}")
    said = notes(options, rows)
    said.append(
        "gammatune's default is the policy lookahead over 1e-6 to 10, not 0 to 0.5, with its schedule; it spent "
        + " and ".join(defaults)
        + "."
    )
    return report(NAME, TITLE, rows, claims, said)
