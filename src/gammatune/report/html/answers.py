"""What the network said of new examples, for a page: its mistakes, how sure it is, where nets disagree."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gammatune.journal.history import Story
from gammatune.metrics.catalogue import words_of
from gammatune.report.html import answer_figures as figures
from gammatune.report.html.measures import in_words
from gammatune.report.html.svg import number
from gammatune.report.learnt import gives_median
from gammatune.report.predictions import WORST, Findings, labels_of, mistakes, scale_of, square, sureness
from gammatune.report.several import EDGES, Group, disagreement, several
from gammatune.report.worst import percent, worst

CAPTIONS = {
    "row": "The row in the file, from 1 below the names; the truth, and what was said",
    "file": "The file, the truth, and what was said",
    "example": "Place in the data reported on (from 0); the truth, and what was said",
}
TABLE_CLASSES = 15  # more of them make a confusion matrix a picture
MOST_CONFUSED = 12  # pairs listed beside that
MOST_TARGETS = 3  # scatters of a regression
FEW_CLASSES, WIDE_LABEL = 4, 12  # of so few, labels of so many characters stand in the table on a phone
LONG_LABEL = 3  # characters: longer ones stand in a key below a confusion matrix


def shown(story: Story, found: Findings, it: str) -> dict[str, Any]:
    """What the template shows of them, None where nobody kept it. it: what the sentences call the network."""
    labels = labels_of(story, found)
    return {
        "weighted": found.weighted,
        "median": gives_median(story.report),
        "confusion": _confusion(square((story.report or {}).get("confusion")), labels),
        "mistakes": _mistakes(found, labels),
        "sheet": found.sheet,
        "worst": worst(story, found, WORST),
        "worst_caption": CAPTIONS[found.told_by],
        "several": _several(story, found),
        "calibration": _calibration(found, it),
        "regression": _regression(story, found),
    }


def _confusion(confusion: list[list[int]] | None, labels: Sequence[str]) -> dict[str, Any] | None:
    if confusion is None:
        return None
    k = len(confusion)
    pairs = sorted(
        (
            (n, labels[i], labels[j])
            for i, row in enumerate(confusion)
            for j, n in enumerate(row)
            if i != j and n
        ),
        reverse=True,
    )
    long = any(len(label) > (WIDE_LABEL if k <= FEW_CLASSES else LONG_LABEL) for label in labels[:k])
    heads = [str(i + 1) for i in range(k)] if long else list(labels[:k])
    return {
        "table": list(zip(heads, confusion, strict=True)) if k <= TABLE_CLASSES else None,
        "heads": heads,
        "key": list(zip(heads, labels[:k], strict=True)) if long else [],
        "picture": None if k <= TABLE_CLASSES else figures.heat_picture(confusion),
        "pairs": pairs[:MOST_CONFUSED],
        "more": max(0, len(pairs) - MOST_CONFUSED),
    }


def _mistakes(found: Findings, labels: Sequence[str]) -> dict[str, Any] | None:
    if found.probabilities is None:
        return None
    worst, count = mistakes(found)
    return {
        "count": count,
        "of": len(found.probabilities),
        "pictures": any(m.picture for m in worst),
        "worst": worst,
        "labels": labels,
        "percent": percent,
        "told_by": found.told_by,
        "origin": found.origin,
    }


def _several(story: Story, found: Findings) -> dict[str, Any] | None:
    """The nets beside the best of them, what they cost, and where they disagree."""
    held = several(story.report)
    if held is None:
        return None
    figures_ = [
        (_heading(story, name), *(in_words(each, words_of(name).in_percent) for each in pair))
        for name, pair in held.figures.items()
    ]
    scale = scale_of(story, found)
    groups = disagreement(found, None if scale is None else scale[1])
    return {
        "count": held.count,
        "price": held.price,
        "figures": figures_,
        "groups": [_group(group, labels=found.probabilities is not None) for group in groups],
        "labels": found.probabilities is not None,
        "unit": "in the target's own unit" if scale is not None else "in the unit the networks were given",
        "least": _of_least_spread(groups) if found.probabilities is not None else None,
    }


def _heading(story: Story, name: str) -> str:
    standardised = name == "mse" and "preprocessing" in story.begin["facts"]
    return words_of(name).title + (" of standardised targets" if standardised else "")


def _group(group: Group, *, labels: bool) -> list[str]:
    """A row: the spread, how many answers have it, their share, and how good they are."""
    if not labels:
        spread, right = f"{number(group.low)} to {number(group.high)}", number(group.right)
    else:
        low, high, right = f"{100 * group.low:g}", f"{100 * group.high:g} %", f"{100 * group.right:.1f} %"
        spread = f"below {high}" if group.low == 0 else f"{low} to {high}"
        spread = f"{low} % or more" if group.low == EDGES[-1] else spread
    return [spread, f"{group.count:,}", f"{100 * group.share:.0f} %", right]


def _of_least_spread(groups: Sequence[Group]) -> tuple[Group, int, float] | None:
    """The answers that have it, how many others there are, and the share of those that is right."""
    if len(groups) < 2:
        return None
    count = sum(group.count for group in groups[1:])
    return groups[0], count, sum(group.count * group.right for group in groups[1:]) / count


def _calibration(found: Findings, it: str) -> dict[str, Any] | None:
    if found.probabilities is None or found.targets is None:
        return None
    bins, error = figures.reliability(found.sure, found.right)
    return {
        "picture": figures.reliability_picture(bins, error),
        "error": f"{100 * error:.1f} %",
        "sureness": sureness(found.sure, found.right),
        "count": len(found.targets),
        "it": it,
        "bins": [
            (
                f"{100 * b.low:.0f} to {100 * b.high:.0f} %",
                b.count,
                f"{100 * b.said:.1f} %",
                f"{100 * b.right:.1f} %",
            )
            for b in bins
        ],
    }


def _regression(story: Story, found: Findings) -> dict[str, Any] | None:
    if found.predictions is None or found.targets is None:
        return None
    t = found.targets.shape[1]
    scale = scale_of(story, found)
    true, said = found.targets, found.predictions
    if scale is not None:
        true, said = true * scale[1] + scale[0], said * scale[1] + scale[0]
    names = [f"target {i + 1}" for i in range(t)] if t > 1 else ["the target"]
    with np.errstate(over="ignore", invalid="ignore"):
        rmse = np.sqrt(np.mean((true - said) ** 2, axis=0))
    return {
        "pictures": [
            figures.scatter_picture(true[:, i], said[:, i], names[i], i) for i in range(min(t, MOST_TARGETS))
        ],
        "rmse": [(name, number(float(value))) for name, value in zip(names, rmse, strict=True)],
        "unit": "in the target's own unit" if scale is not None else "in the unit the network was given",
        "more": max(0, t - MOST_TARGETS),
        "points": min(len(true), figures.MOST_POINTS),
        "count": len(true),
    }
