"""Figure 14: accuracy and loss over a grid of 100 learning rates from 0.0 to 0.5, at 1 and 50 epochs.

The thesis prints no numbers: "a well trained network has the highest accuracy and a low loss", and "there were many
local points in the graph". It draws one run, on 100 images.

Drawn here: one seed as in the thesis, the mean over seeds, and accuracy on 10,000 test images, which tells what of
the roughness is in the training and what in the 100 images. Rates that diverge have no point; their share is grey.
Scales: mnist_small.py.
"""

import numpy as np
from mnist_small import Small, curve, maxima, per_cent, sample
from pictures import COLOURS, figure
from reproduction import Asked, Report
from verdicts import in_most, judged, paired

NAME = "fig14"
TITLE = "accuracy and loss over a grid of learning rates, at 1 and 50 epochs"

HIGHEST_LOSS = 4.0  # of the picture; rates on the verge of diverging reach 1e32


def run(options: Asked) -> Report:
    small = Small(options)
    columns = [
        "epochs",
        "diverged %",
        "most accurate rate",
        "rate of the least loss",
        "local maxima",
        "on test images",
    ]
    report = Report(NAME, TITLE, columns)
    arguments = {"nrows": 2, "ncols": 2, "figsize": (11, 6.5), "sharex": True, "sharey": "row"}
    with figure(report, options, **arguments) as (fig, axes):
        for column, epochs in enumerate(small.lengths):
            grids = [small.grid(seed, epochs) for seed in small.seeds_of(epochs)]
            rates = np.array([network["lr"] for network in grids[0]])
            accuracy = np.array([curve(grid, lambda n: 100 * n["accuracy"]) for grid in grids])
            tested = np.array([curve(grid, lambda n: per_cent(n, "report")) for grid in grids])
            loss = np.array([curve(grid, lambda n: n["loss"]) for grid in grids])
            lost = 100 * np.isnan(accuracy).mean(axis=0)
            top, bottom = axes[0, column], axes[1, column]
            top.fill_between(
                rates, 0, lost, step="mid", color="#dddddd", label="share of seeds that diverged"
            )
            top.plot(rates, accuracy[0], color=COLOURS["grid"], lw=0.7, label="one seed, 100 images")
            top.plot(rates, _mean(accuracy), color=COLOURS["gamma"], label="mean over seeds, 100 images")
            top.plot(
                rates, _mean(tested), color=COLOURS["gaussian"], ls="--", label="mean over seeds, test images"
            )
            bottom.plot(rates, loss[0], color=COLOURS["grid"], lw=0.7)
            bottom.plot(rates, _mean(np.minimum(loss, HIGHEST_LOSS)), color=COLOURS["gamma"])
            best, least = rates[np.nanargmax(accuracy, axis=1)], rates[np.nanargmin(loss, axis=1)]
            top.plot(
                best[0],
                np.nanmax(accuracy[0]),
                "o",
                mfc="none",
                ms=9,
                color=COLOURS["gamma"],
                label="its best and its least",
            )
            bottom.plot(least[0], np.nanmin(loss[0]), "o", mfc="none", ms=9, color=COLOURS["gamma"])
            top.set(title=f"{epochs} epoch{'s' if epochs > 1 else ''}", ylim=(0, 100))
            bottom.set(xlabel="learning rate", ylim=(0, HIGHEST_LOSS))
            peaks, tested_peaks = [maxima(a) for a in accuracy], [maxima(a) for a in tested]
            report.rows.append(
                [
                    f"{epochs}",
                    sample(100 * np.isnan(accuracy).mean(axis=1)).text(1),
                    sample(best).text(3),
                    sample(least).text(3),
                    sample(peaks).text(1),
                    sample(tested_peaks).text(1),
                ]
            )
            report.claims += [
                in_most(
                    f"epochs {epochs}: the graph has many local maxima (here: ten or more)",
                    [count >= 10 for count in peaks],
                    f"{sample(peaks).text(1)} among {len(rates)} rates",
                ),
                judged(
                    f"epochs {epochs}: (not in the thesis) on test images the graph has fewer",
                    paired(tested_peaks, peaks),
                    better="less",
                ),
                in_most(
                    f"epochs {epochs}: the most accurate rate is that of the least loss",
                    list(best == least),
                    f"they lie {sample(abs(best - least)).text(3)} apart",
                ),
            ]
            report.numbers[f"{epochs} epochs"] = {
                "most accurate rate": list(best),
                "rate of the least loss": list(least),
                "mean accuracy %, test images": [round(float(x), 2) for x in _mean(tested)],
            }
        axes[0, 0].set_ylabel("accuracy, %")
        axes[1, 0].set_ylabel("cross entropy")
        fig.legend(*axes[0, 0].get_legend_handles_labels(), fontsize=8, loc="outside lower center", ncols=5)
    report.notes.append(
        f"Scale {options.scale}: a grid of {small.coarse}, {options.seeds} seeds. Means are drawn where half the "
        f"seeds or more did not diverge; a loss counts {HIGHEST_LOSS:g} at most in them. "
        "Of equal accuracies the lowest rate counts as the best."
    )  # fmt: skip
    return report


def _mean(values: np.ndarray) -> np.ndarray:
    """Over the seeds that did not diverge, where they are half or more."""
    lived = ~np.isnan(values)
    enough = lived.mean(axis=0) >= 0.5
    total = np.where(lived, values, 0).sum(axis=0)
    return np.where(enough, total / np.maximum(lived.sum(axis=0), 1), np.nan)
