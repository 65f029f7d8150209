"""The worst mistakes on the held-out examples, each with where it comes from, so that it can be looked at."""

from dataclasses import dataclass

import numpy as np

from gammatune.journal.history import Story
from gammatune.journal.wording import number
from gammatune.report.predictions import Findings, farthest, labels_of, mistakes, scale_of


@dataclass(frozen=True, slots=True)
class Worst:
    """heads: of the columns. rows: the worst first; where a mistake comes from, the truth, what was said, and how
    sure it was or by how much it was off."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def worst(story: Story, found: Findings, count: int) -> Worst | None:
    """At most `count` of them; None where no predictions were kept, or all were right."""
    if found.probabilities is not None:
        labels = labels_of(story, found)
        rows = [
            (
                found.origin(m.index),
                labels[m.true],
                labels[m.said],
                percent(m.probability),
                percent(m.of_true),
            )
            for m in mistakes(found)[0][:count]
        ]
        heads = (found.told_by, "true", "predicted", "sure of it", "of the truth")
        return Worst(heads, tuple(rows)) if rows else None
    if found.predictions is None or found.targets is None:
        return None
    mean, std = scale_of(story, found) or (0.0, 1.0)
    true, said = found.targets * std + mean, found.predictions * std + mean
    numbers = [
        (found.origin(i), _numbers(true[i]), _numbers(said[i]), _numbers(np.abs(said[i] - true[i])))
        for i in farthest(found)[:count]
    ]
    return Worst((found.told_by, "true", "predicted", "off by"), tuple(numbers))


def percent(share: float) -> str:
    return "> 99 %" if share > 0.995 else "< 1 %" if share < 0.005 else f"{100 * share:.0f} %"


def _numbers(values: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> str:
    return ", ".join(number(float(value)) for value in values)
