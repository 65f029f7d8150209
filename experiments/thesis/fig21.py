"""Figure 21: confusion matrices of table 7, CIFAR-10 after each of four numbers of epochs, for each search.

The thesis colours what is mistaken for what; here too, in per cent of the images of the true class, all seeds added
up, on images that nothing was chosen by.

Evidence: results/fig21.json, made by `gammatune reproduce fig21 --scale small --seeds 6`; the runs are table 7's.
"""

import numpy as np
import table7
from by_epoch import DEFAULT, Found, has
from pictures import figure
from reproduction import Asked, Report
from verdicts import Claim, Verdict

NAME = "fig21"
TITLE = "CIFAR-10: what is taken for what, by search and epoch"

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def run(options: Asked) -> Report:
    report = Report(NAME, TITLE)
    found, epochs = table7.found_by(options), table7.epochs_of(options)
    searches = [searched for searched in table7.SEARCHES if searched is not DEFAULT]
    report.columns = ["epoch (thesis)", "search", "right %", "taken for each other most"]
    with figure(
        report, options, nrows=len(epochs), ncols=len(searches), squeeze=False,
        figsize=(2.9 * len(searches), 2.8 * len(epochs) + 0.6),
    ) as (fig, grid):  # fmt: skip
        for axes, (epoch, theirs) in zip(grid, epochs.items(), strict=True):
            for place, searched in zip(axes, searches, strict=True):
                rates = confusion(found, searched.name, epoch)
                image = draw(place, rates)
                place.set_title(
                    f"{searched.name}, epoch {epoch}: {np.diag(rates).mean():.0f} % right", fontsize=8
                )
                report.rows.append(
                    [f"{epoch} ({theirs})", searched.name, f"{np.diag(rates).mean():.2f}", worst(rates)]
                )
        for place in grid[:, 0]:
            place.set_yticks(range(10), CLASSES, fontsize=7)
            place.set_ylabel("true class")
        for place in grid[-1]:
            place.set_xticks(range(10), CLASSES, rotation=90, fontsize=7)
            place.set_xlabel("called")
        fig.colorbar(image, ax=grid, label="per cent of the true class", shrink=0.5)
    report.claims = [confined(found, epochs)]
    report.notes = [
        "Seeds added up, images that nothing was chosen by; sizes and readings: table 7. Right: the mean over "
        "classes, that is sensitivity.",
    ]
    report.numbers = {
        searched.name: {
            str(epoch): confusion(found, searched.name, epoch).round(2).tolist()
            for epoch in epochs
            if has(found, searched.name, epoch)
        }
        for searched in table7.SEARCHES
    }
    return report


def confusion(found: Found, name: str, epoch: int) -> np.ndarray:
    """(true, called) in per cent of the true class, seeds added up."""
    counts = np.sum([one["after"][str(epoch)]["report"]["confusion"] for one in found[name]], axis=0)
    return 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def worst(rates: np.ndarray) -> str:
    """The pair that is mistaken most, either way."""
    both = rates + rates.T
    np.fill_diagonal(both, 0)
    one, other = np.unravel_index(both.argmax(), both.shape)
    return f"{CLASSES[one]} and {CLASSES[other]} ({rates[one, other]:.0f} % and {rates[other, one]:.0f} %)"


def draw(axes, rates: np.ndarray):  # type: ignore[no-untyped-def]
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    return axes.imshow(rates, cmap="viridis", vmin=0, vmax=100)


def confined(found: Found, epochs: dict[int, int]) -> Claim:
    """The thesis: (12) mends a part of what failed under (11), and changes nothing else. Counted, not tested."""
    last = max(epochs)
    before, after = (np.diag(confusion(found, name, last)) for name in ("Gamma", "Gamma, kappa (12)"))
    gained, lost = int((after > before).sum()), int((after < before).sum())
    words = (
        f"after {last} epochs {gained} classes are told better with (12) and {lost} worse, by "
        f"{np.abs(after - before).mean():.1f} points on the average, {(after - before).mean():+.1f} in all"
    )
    verdict: Verdict = "does not hold" if lost else "holds" if gained else "cannot be told"
    return Claim("kappa (12) only mends some of the mistakes that (11) made", verdict, words)
