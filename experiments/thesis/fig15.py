"""Figure 15: kappa over a grid of 100 learning rates; 50 epochs, as the accuracy of 90 tells [reading].

The thesis: the best accuracy is 90, at a learning rate of 0.13; beyond 0.2 there is no high kappa, other than with
loss or accuracy alone; both values together leave fewer local maxima.

Readings: kappa (11) and (12) both, cut at 0, lambda 0.5 [guess]; "about 0.13" is 0.10 to 0.16; a "high" kappa is 90 %
of the highest or more. Scales: mnist_small.py.
"""

from dataclasses import replace

import numpy as np
from mnist_small import OBJECTIVES, Small, best, curve, maxima, per_cent, sample
from pictures import COLOURS, figure
from reproduction import Asked, Report
from verdicts import in_most, judged, paired

from gammatune.metrics.objectives import make_objective

NAME = "fig15"
TITLE = "kappa over a grid of learning rates"

BEST_RATE = 0.13
NEAR = 0.03
BEYOND = 0.2
HIGH = 0.9


def run(options: Asked) -> Report:
    small = Small(options)
    report = Report(
        NAME, TITLE, ["objective", "rate chosen", "accuracy %, its 100 images", "test images", "local maxima"]
    )
    grids = [small.grid(seed, small.long) for seed in small.long_seeds]
    rates = np.array([network["lr"] for network in grids[0]])
    peaks, curves = {}, {}
    for label, name in OBJECTIVES.items():
        weigh = make_objective(name)
        curves[name] = np.array([curve(grid, weigh) for grid in grids])
        peaks[name] = [maxima(values) for values in curves[name]]
        chosen = [best(grid, name) for grid in grids]
        those = [network["lr"] for network in chosen]
        printed = (BEST_RATE, 90) if label != "existing" else (None, None)
        report.rows.append(
            [
                "accuracy" if label == "existing" else label,
                f"{sample(those, printed[0]).text(3)}, median {np.median(those):.3f}",
                sample([per_cent(n, "select") for n in chosen], printed[1]).text(1),
                sample([per_cent(n, "report") for n in chosen]).text(1),
                sample(peaks[name]).text(1),
            ]
        )
        report.numbers[label] = {"rates chosen": those, "local maxima": peaks[name]}
        words = "accuracy" if label == "existing" else label
        highest = np.nanmax(curves[name], axis=1)
        beyond = np.nanmax(np.where(rates > BEYOND + 1e-9, np.nan_to_num(curves[name]), 0), axis=1)
        no_high = in_most(
            f"no high {words} beyond {BEYOND}",
            list(beyond < HIGH * highest),
            f"the highest beyond is {sample(100 * beyond / np.where(highest > 0, highest, 1)).text(0)} % of all",
        )
        if label == "existing":
            no_high = replace(no_high, text="(the contrast) " + no_high.text)
        else:
            report.claims.append(
                in_most(
                    f"{words} is highest at a rate of about {BEST_RATE}",
                    [abs(rate - BEST_RATE) <= NEAR + 1e-9 for rate in those],
                    f"median {np.median(those):.3f}, from {min(those):.3f} to {max(those):.3f}",
                )
            )
        report.claims.append(no_high)
    for label, name in list(OBJECTIVES.items())[1:]:
        report.claims.append(
            judged(
                f"{label} has fewer local maxima than accuracy",
                paired(peaks[name], peaks["accuracy"]),
                better="less",
            )
        )
    with figure(report, options, ncols=2, figsize=(11, 4)) as (_, axes):
        for place, (label, name) in zip(axes, list(OBJECTIVES.items())[1:], strict=True):
            for i, values in enumerate(curves[name]):
                place.plot(rates, values, color="#bbbbbb", lw=0.6, label="other seeds" if i == 1 else None)
            place.plot(rates, curves[name][0], color=COLOURS["gamma"], label="seed 0")
            for i, values in enumerate(curves[name]):
                place.plot(
                    rates[np.nanargmax(values)],
                    np.nanmax(values),
                    "o",
                    mfc="none",
                    color=COLOURS["gaussian"],
                    label="highest of each seed" if i == 0 else None,
                )
            place.axvline(BEST_RATE, color="#000000", ls=":", lw=1, label=f"thesis: best at {BEST_RATE}")
            place.axvline(BEYOND, color="#000000", ls="--", lw=1, label=f"thesis: none high beyond {BEYOND}")
            place.set(
                xlabel="learning rate", ylabel=label, title=f"{label}, {small.long} epochs", xlim=(0, 0.5)
            )
        axes[1].legend(fontsize=8)
    report.notes.append(
        f"Scale {options.scale}: a grid of {small.coarse}, {small.long} epochs, {len(grids)} seeds. A line ends "
        "where training diverges."
    )
    return report
