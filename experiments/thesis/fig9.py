"""Figure 9: the original kappa (11) against accuracy and loss.

Evidence. Thesis, section 3.2: kappa = M_a - lambda log(M_l), 0 where that is not positive (the formula is lost:
THESIS, section 3; the cut may be read M_l > M_a too); "kappa depends very much on M_a, and changes little with M_l".
Here: how much of kappa's variance over the surface is the loss's. Neither lambda nor the unit of M_a is given.

Found: with accuracies as fractions the loss has 10 % of the variance at lambda = 0.1, but 73 % at 0.5 and 92 % at 1:
the sentence depends on lambda. In per cent it holds at every lambda: the loss has 0.1 % or less.
"""

import kappa_surfaces as surfaces
from reproduction import Asked, Report
from verdicts import Claim

NAME = "fig9"
TITLE = "The original κ (11) against accuracy and loss"

FORMULA = r"(11)  $M_a - \lambda\,\log M_l$,  λ = 0.5"


def run(options: Asked) -> Report:
    report = Report(NAME, TITLE)
    surfaces.draw_surfaces(report, options, {"kappa11": FORMULA}, "The original κ")
    surfaces.draw_lines(report, options, {"kappa11": FORMULA}, "The original κ from guessing to knowing")
    report.columns, report.rows = surfaces.COLUMNS, surfaces.rows(["kappa11"])
    fractions = {
        lam: surfaces.share_of_loss(surfaces.forms("kappa11", lam)[0][1]) for lam in surfaces.LAMBDAS
    }
    per_cent = {lam: surfaces.share_of_loss_per_cent("kappa11", lam) for lam in surfaces.LAMBDAS}
    report.numbers = {"share of the loss, fraction": fractions, "share of the loss, per cent": per_cent}
    report.claims = [
        mostly_accuracy(
            f"κ (11) depends mostly on the accuracy, with the accuracy {unit}, λ = {lam:g}", share
        )
        for unit, shares in (("as a fraction", fractions), ("in per cent", per_cent))
        for lam, share in shares.items()
    ]
    report.notes.append(
        "Surface: accuracy 0.1 to 1, loss 0.05 to 2.5, both uniform. It is arithmetic, not a sample: no test. "
        "Fractions are what the library takes [reading]; the sentence of the thesis fits per cent."
    )
    return report


def mostly_accuracy(text: str, share: float) -> Claim:
    """It holds where the loss has less than half of the variance. A claim for each λ, since the thesis names none."""
    return Claim(
        text, "holds" if share < 50 else "does not hold", f"the loss has {share:.3g} % of the variance"
    )
