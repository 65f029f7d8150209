"""Figure 2: the loss of one network on MNIST under five learning rates, over the epochs.

The thesis draws SGD0 to SGD4, rates "at random", and prints neither rates nor numbers: "the losses of SGD0 and SGD4
differ much", so the choice of the rate matters. Its section 1 adds that another rate for each epoch may do better.

Reading: the small set-up, five rates from 0.002 to 0.3; the loss is that of the 100 images to select by.
Scales: mnist_small.py.
"""

from mnist_small import Small
from pictures import figure
from reproduction import Asked, Report, Sample
from verdicts import Claim, judged, paired

NAME = "fig2"
TITLE = "loss of one network on MNIST under five learning rates"

RATES = (0.002, 0.01, 0.05, 0.13, 0.3)
SHADES = ("#999999", "#0072B2", "#009E73", "#D55E00", "#CC79A7")
DASHES = (":", "--", "-", "-.", (0, (1, 1)))


def run(options: Asked) -> Report:
    small = Small(options)
    runs = {seed: small.curves(seed, RATES) for seed in small.long_seeds}
    report = Report(NAME, TITLE, ["learning rate", "diverged", "last loss", "last accuracy %"])
    lasts: dict[float, list[dict[str, float]]] = {}
    for rate in RATES:
        every = [runs[seed][f"{rate:g}"] for seed in small.long_seeds]
        lasts[rate] = [course[-1] for course in every if course[-1]["status"] == "ok"]
        numbers = [
            Sample(tuple(last["loss"] for last in lasts[rate])).text(3) if lasts[rate] else "",
            Sample(tuple(100 * last["accuracy"] for last in lasts[rate])).text(1) if lasts[rate] else "",
        ]
        report.rows.append([f"{rate:g}", f"{len(every) - len(lasts[rate])} of {len(every)}", *numbers])
    with figure(report, options) as (_, axes):
        for rate, colour, dash in zip(RATES, SHADES, DASHES, strict=True):
            course = runs[0][f"{rate:g}"]
            lived = [point for point in course if point["status"] == "ok"]
            end = "" if len(lived) == len(course) else f", diverged in epoch {len(course)}"
            epochs = [point["epoch"] + 1 for point in lived]
            axes.plot(
                epochs,
                [point["loss"] for point in lived],
                color=colour,
                linestyle=dash,
                marker="x" if end else None,
                markevery=[-1] if end else None,
                label=f"{rate:g}{end}",
            )
        axes.set(
            xlabel="epoch",
            ylabel="cross entropy on 100 images",
            ylim=(0, 4),
            title="500 MNIST images, seed 0",
        )
        axes.legend(title="learning rate")
    slow, good = RATES[0], RATES[2]
    losses = {rate: [last["loss"] for last in lasts[rate]] for rate in (slow, good)}
    report.claims.append(_differ(slow, good, losses))
    report.notes.append(
        f"Scale {options.scale}: {small.long} epochs, {len(runs)} seeds; the picture shows seed 0. Means are "
        "over the seeds that did not diverge."
    )
    report.numbers = {
        "last loss": {f"{rate:g}": [last["loss"] for last in those] for rate, those in lasts.items()}
    }
    return report


def _differ(slow: float, good: float, losses: dict[float, list[float]]) -> Claim:
    text = f"the loss differs much with the rate: {slow:g} against {good:g}, after the last epoch"
    if len(losses[slow]) != len(losses[good]):
        return Claim(text, "holds", "one of them diverged under some seeds")
    return judged(text, paired(losses[slow], losses[good]), better="more")
