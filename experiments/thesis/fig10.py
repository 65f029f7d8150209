"""Figure 10: the improved kappa (12) against accuracy and loss, in both readings.

Evidence. Thesis, section 3.2: M_a is squared, M_l divided by lambda, cut as before; "more
discriminating in M_l", "kappa has become convex". The formula is lost. Readings: scaled, M_a^2 - log(M_l) / lambda;
ratio, M_a^2 - log(M_l / lambda).
Here: the share of the loss in kappa's variance over the surface against (11)'s, and whether kappa lies above its
chords. The thesis maximises kappa: a convex function has its top at the edge, and a bowl is of no help there.

Found: with fractions both readings weigh the loss more than (11) wherever lambda is below 1 (97 and 90 % against 73 %
at 0.5); in per cent both weigh it less, since the accuracy is squared: the text fits fractions here, and per cent in
figure 9. (12) is convex, uncut and cut where negative, but so is (11): convexity was not gained.
"""

import kappa_surfaces as surfaces
from reproduction import Asked, Report
from verdicts import Claim

NAME = "fig10"
TITLE = "The improved κ (12) against accuracy and loss"

FORMULAS = {
    "kappa12": r"(12), scaled:  $M_a^2 - \log(M_l)\,/\,\lambda$,  λ = 0.5",
    "kappa12-ratio": r"(12), ratio:  $M_a^2 - \log(M_l\,/\,\lambda)$,  λ = 0.5",
}


def run(options: Asked) -> Report:
    report = Report(NAME, TITLE)
    surfaces.draw_surfaces(report, options, FORMULAS, "The improved κ, two readings")
    surfaces.draw_lines(report, options, FORMULAS, "The improved κ from guessing to knowing")
    report.columns, report.rows = surfaces.COLUMNS, surfaces.rows(list(FORMULAS))
    for name, reading in (("kappa12", "scaled"), ("kappa12-ratio", "ratio")):
        report.claims += [
            more_discriminating(f"κ (12), {reading}, weighs the loss more than (11) does, fractions", name),
            more_discriminating(
                f"κ (12), {reading}, weighs the loss more than (11) does, per cent", name, True
            ),
            convex(f"κ (12), {reading}, is convex", name),
        ]
    report.claims.append(convex("κ has become convex: (11) was not", "kappa11", became=True))
    report.notes.append(
        "Surface: accuracy 0.1 to 1, loss 0.05 to 2.5, both uniform; convexity by the middle of "
        f"{surfaces.PAIRS} random pairs of points. Arithmetic, not a sample: no test. At λ = 1 "
        "(12) divides by nothing, in both readings, and only squares M_a. A κ that is maximised gains nothing from "
        "being convex; what a search meets is κ over the learning rate (figure 15)."
    )
    return report


def more_discriminating(text: str, name: str, per_cent: bool = False) -> Claim:
    """It holds where the share of the loss is above (11)'s at every λ below 1: at 1 nothing is divided."""

    def share(of: str, lam: float) -> float:
        if per_cent:
            return surfaces.share_of_loss_per_cent(of, lam)
        return surfaces.share_of_loss(surfaces.forms(of, lam)[0][1])

    pairs = {lam: (share(name, lam), share("kappa11", lam)) for lam in surfaces.LAMBDAS}
    more = [ours > before for lam, (ours, before) in pairs.items() if lam < 1]
    verdict = "holds" if all(more) else "cannot be told" if any(more) else "does not hold"
    words = ", ".join(
        f"{ours:.3g} % against {before:.3g} % at λ = {lam:g}" for lam, (ours, before) in pairs.items()
    )
    return Claim(text, verdict, f"share of the loss in the variance: {words}")


def convex(text: str, name: str, became: bool = False) -> Claim:
    """became: the claim is that this one is not."""
    broken = {title: surfaces.not_convex(objective) for title, objective in surfaces.forms(name)}
    # uncut, and cut where negative: the larger of two convex functions is convex
    is_convex = broken["uncut"] == 0 and broken["cut to 0 where negative"] == 0
    words = ", ".join(f"{title} {share:.1f} %" for title, share in broken.items())
    return Claim(
        text, "holds" if is_convex != became else "does not hold", f"pairs that break convexity: {words}"
    )
