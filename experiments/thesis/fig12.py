"""Figure 12: the sine example under the Gaussian search, step by step, and how many evaluations it takes.

Evidence. Thesis, section 3.3: f(x) = -sin(3x) - x^2 + 0.7x, equation (10), two first samples and 10 iterations;
"the best point is found by 10 estimates in the end", "at least 8 to 9 evaluations of the objective, the two first
ones included". One run, its noise draws lost.
Here: seed 0 drawn, all seeds counted (sine_example.py).

Found (small, 30 seeds): 13.1 evaluations until a close point is recommended, 17 seeds never within 14; 11.8 until one
is evaluated at all. Told the noise, as the blog's process is, it needs 14.3. The 8 to 9 do not hold.
"""

import sine_example as sine
from reproduction import Asked, Report

NAME = "fig12"
TITLE = "The sine example, Gaussian search: surrogate and acquisition at each step"


def run(options: Asked) -> Report:
    report = Report(NAME, TITLE)
    runs = sine.all_played(options)
    sine.table(report, runs)
    times = [sine.evaluations(steps) for steps in runs["gaussian"]]
    visits = [sine.visit(steps) for steps in runs["gaussian"]]
    known = runs[sine.KNOWN]
    report.claims = [
        sine.needs(
            "the Gaussian search needs 8 to 9 evaluations, until it recommends a close point", times, 8, 9
        ),
        sine.needs("the same, until any evaluated point is close", visits, 8, 9),
        sine.needs(
            "the same with the noise told to it, until it recommends a close point",
            [sine.evaluations(steps) for steps in known], 8, 9,
        ),
        sine.needs(
            "the same with the noise told to it, until any evaluated point is close",
            [sine.visit(steps) for steps in known], 8, 9,
        ),
    ]  # fmt: skip
    heading = "Gaussian search (fitted Gaussian process, Matérn 5/2, EI with ξ = 0.01), seed 0"
    shown = runs["gaussian"][sine.SHOWN_SEED]
    sine.draw_steps(report, options, "gaussian", shown, heading)
    sine.animate(report, options, "gaussian", shown, heading)
    report.notes += [
        f"{len(times)} seeds; never within {sine.CAP} evaluations counts as {sine.CAP + 1}. A search is compared "
        "with another seed by seed: mean difference of evaluations, Wilcoxon p, rank-biserial effect.",
        "The thesis draws one run. Seed 0 is drawn here because it is the first.",
    ]
    return report
