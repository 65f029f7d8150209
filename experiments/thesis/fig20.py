"""Figure 20: table 6 as a plot, accuracy on MNIST after 1, 2 and 3 epochs, for each search.

Evidence: results/fig20.json, made by `gammatune reproduce fig20 --scale small --seeds 6`; the runs are table 6's.
"""

from typing import Any

import table6
from by_epoch import GAMMA, GAMMA_12, Searched, accuracies, compare
from pictures import COLOURS, MARKERS, figure
from reproduction import Asked, Report

NAME = "fig20"
TITLE = "table 6 as a plot: accuracy on MNIST by epoch (thesis's values in brackets)"


def run(options: Asked) -> Report:
    report = Report(NAME, TITLE)
    found, epochs = table6.found_by(options), table6.epochs_of(options)
    ours = {part: accuracies(found, epochs, part) for part in ("select", "report")}
    report.columns = [
        "search",
        *(f"epoch {e}, {what} images" for e in epochs for what in ("the same", "other")),
    ]
    for searched in table6.SEARCHES:
        cells = [searched.name]
        for epoch in epochs:
            printed = table6.printed(epoch, searched.name).get("accuracy")
            for part in ("select", "report"):
                sample = ours[part][searched.name].get(epoch)
                brackets = f" ({printed:.2f})" if printed is not None and part == "select" else ""
                cells.append("" if sample is None else sample.text() + brackets)
        report.rows.append(cells)
    report.claims = [
        compare(
            f"epoch {e}: kappa (12) is the highest line, here against (11)",
            found,
            GAMMA_12.name,
            GAMMA.name,
            e,
        )
        for e in epochs
    ]
    report.notes = ['Sizes and readings: table 6. "The same" images select and report, as in the thesis.']
    with figure(report, options, ncols=3, figsize=(12, 4.2)) as (_, (same, other, thesis)):
        for axes, part, title in (
            (same, "select", "here, on the images selected by"),
            (other, "report", "here, on other images"),
        ):
            draw(axes, ours[part])
            axes.set_title(title)
        draw_printed(thesis)
        thesis.set_title("as printed in the thesis (one run)")
        for axes in (same, other, thesis):
            axes.set_xlabel("epoch")
            axes.set_xticks(epochs if axes is not thesis else table6.EPOCHS)
        same.set_ylabel("accuracy, per cent (bars: ± 1 sd over seeds)")
        other.sharey(same)
        thesis.set_ylabel("accuracy, per cent (another scale)")
        other.legend(fontsize=8, loc="lower right")
    return report


def draw(axes, ours) -> None:  # type: ignore[no-untyped-def]
    """One line for each search, drawn a little apart so that bars do not hide one another."""
    count = len(table6.SEARCHES)
    for place, searched in enumerate(table6.SEARCHES):
        samples = ours[searched.name]
        shift = 0.04 * (place - (count - 1) / 2)
        axes.errorbar(
            [epoch + shift for epoch in samples],
            [sample.mean for sample in samples.values()],
            [sample.sd for sample in samples.values()],
            capsize=2,
            label=searched.name,
            **look(searched),
        )


def draw_printed(axes) -> None:  # type: ignore[no-untyped-def]
    for searched in table6.SEARCHES:
        printed = {
            e: numbers[searched.name][2] for e, numbers in table6.PRINTED.items() if searched.name in numbers
        }
        if printed:
            axes.plot(*zip(*printed.items(), strict=True), **look(searched))


def look(searched: Searched) -> dict[str, Any]:
    marker = MARKERS.get(searched.colour, "^")
    return {"color": COLOURS[searched.colour], "marker": marker, "ms": 4, "lw": 1.2}
