"""Figure 5: a regression function, and the normal distribution of what is observed at a point.

Evidence. Thesis, section 2.4, a picture after reference [25] whose data are lost: the regression function y(x) is the
mean of what is observed at x; "therefore the variance is related to the centre of the mean". [reading]: of all values
the mean has the least expected squared loss, and what is left there is the variance.
Here: t = f(x) + noise of the sine example (standard deviation 0.2), whose regression function is known, f itself.

Found: as it must be; the claim is an identity, and the picture its illustration.
"""

import numpy as np
import sine_example as sine
from pictures import COLOURS, figure
from reproduction import Asked, Report, Sample
from verdicts import judged, paired

from gammatune.seeds import stream

NAME = "fig5"
TITLE = "The regression function, and a Gaussian at a point"

POINT = 0.3
SHOWN = 60  # observations drawn
DRAWS = 200  # observations at POINT that each seed has
LINE = np.linspace(sine.LOW, sine.HIGH, 121)


def least(seed: int) -> dict[str, float]:
    """From observations at POINT alone: the value of least mean squared loss, the loss there, and beside it."""
    t = sine.f(POINT) + stream(seed, "fig5").normal(0.0, sine.NOISE, DRAWS)
    values = np.linspace(t.min(), t.max(), 2001)
    losses = np.mean((t[:, None] - values) ** 2, axis=0)
    return {
        "value": float(values[np.argmin(losses)]),
        "mean": float(t.mean()),
        "loss": float(losses.min()),
        "variance": float(t.var()),
        "beside": float(np.mean((t - t.mean() - sine.NOISE) ** 2)),
    }


def run(options: Asked) -> Report:
    report = Report(NAME, TITLE)
    draw(report, options)
    found = [least(seed) for seed in range(sine.seeds(options))]
    columns = {name: tuple(each[name] for each in found) for name in found[0]}
    report.columns = ["at x = 0.3", "measured", "expected"]
    report.rows = [
        [
            "value of least squared loss",
            Sample(columns["value"]).text(3),
            f"y(x) = f(x) = {sine.f(POINT):.3f}",
        ],
        ["loss there", Sample(columns["loss"]).text(4), f"variance {sine.NOISE**2:.4f}"],
        ["loss one deviation beside it", Sample(columns["beside"]).text(4), f"{2 * sine.NOISE**2:.4f}"],
    ]
    report.numbers = columns
    report.claims.append(
        judged(
            "the variance belongs to the centre: the squared loss is least at the mean, and is the variance there "
            "(against the loss one deviation beside it)",
            paired(columns["loss"], columns["beside"]), better="less",
        )
    )  # fmt: skip
    far = max(abs(each["value"] - each["mean"]) for each in found)
    report.notes.append(
        f"{len(found)} seeds of {DRAWS} observations at x = {POINT}; the value of least loss lies at most {far:.1g} "
        "from their mean, the step it is looked for in. Data: the noisy sine example; the thesis's own are lost."
    )
    return report


def draw(report: Report, options: Asked) -> None:
    rng = stream(0, "fig5", "shown")
    xs = rng.uniform(sine.LOW, sine.HIGH, SHOWN)
    seen = [sine.f(x) + rng.normal(0.0, sine.NOISE) for x in xs]
    y = sine.f(POINT)
    with figure(report, options, ncols=2, figsize=(11, 5), width_ratios=(2, 1)) as (_, (left, right)):
        left.plot(xs, seen, ".", color="#777777", label="observed t = f(x) + noise")
        left.plot(
            LINE,
            [sine.f(x) for x in LINE],
            color=COLOURS["gaussian"],
            lw=2,
            label="regression function y(x) = E[t | x]",
        )
        left.axvline(POINT, color="black", lw=0.9, ls=":", label=f"x₀ = {POINT}")
        heights = np.linspace(y - 3.3 * sine.NOISE, y + 3.3 * sine.NOISE, 90)
        density = np.exp(-0.5 * ((heights - y) / sine.NOISE) ** 2)
        left.fill_betweenx(heights, POINT, POINT + 0.45 * density, color=COLOURS["gamma"], alpha=0.35, lw=0)
        left.plot(
            POINT + 0.45 * density, heights, color=COLOURS["gamma"],
            label="p(t | x₀): normal, centre y(x₀), deviation 0.2",
        )  # fmt: skip
        left.plot(POINT, y, "o", color=COLOURS["gamma"], mec="black", ms=8, label="y(x₀)", zorder=5)
        left.set(
            xlabel="x",
            ylabel="t (score)",
            title="A regression function and the spread about it",
            ylim=(-3.6, 1.2),
        )
        left.legend(loc="lower left", fontsize=8.5)
        values = np.linspace(y - 0.5, y + 0.5, 101)
        right.plot((values - y) ** 2 + sine.NOISE**2, values, color="black", label="expected squared loss")
        right.axvline(sine.NOISE**2, color=COLOURS["gamma"], ls="--", label="variance of the noise, 0.04")
        right.plot(
            sine.NOISE**2, y, "o", color=COLOURS["gamma"], mec="black", ms=8, label="least at y(x₀)", zorder=5
        )
        right.set(
            xlabel="E[(t - guess)² | x₀] (score²)",
            ylabel="guess at x₀ (score)",
            title="What makes y(x₀) the best guess",
        )
        right.legend(loc="center right", fontsize=8.5)
