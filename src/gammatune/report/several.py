"""What several nets come to whose predictions are averaged: beside the best of them, and where they disagree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gammatune.journal.history import Story
from gammatune.metrics.catalogue import REPORTED
from gammatune.report.predictions import Findings
from gammatune.report.wording import brief, in_bytes

# Where the rows of a table begin, by the share of the probability that the mean net places otherwise than the average
# (guess).
EDGES = 0.0, 0.01, 0.05, 0.1, 0.2
GROUPS = 4  # of a regression: as many answers in each, those that the nets agree on most first


@dataclass(frozen=True, slots=True)
class Several:
    """count: of nets. figures: what a report holds, of all together and of the best alone, by name. memory: bytes of
    the best alone and of all; seconds: likewise, for one answer."""

    count: int
    figures: Mapping[str, tuple[float, float]]
    memory: tuple[float, float]
    seconds: tuple[float, float]

    @property
    def price(self) -> str:
        """'3 times the memory (1 MB instead of 340 kB) and 3.6 times the time (5 µs instead of 1.4 µs an answer)'."""
        (small, large), (short, long) = self.memory, self.seconds
        memory = f"{self.count} times the memory ({in_bytes(large)} instead of {in_bytes(small)})"
        if not short:
            return memory
        return f"{memory} and {long / short:.2g} times the time ({brief(long)} instead of {brief(short)} an answer)"


def several(report: Mapping[str, Any] | None) -> Several | None:
    """From the report of a run; None where it hands back one net, or nothing was measured."""
    if report is None or not {"nets", "single", "price"} <= set(report) or report["nets"] < 2:
        return None
    alone, price = report["single"], report["price"]
    if ("accuracy" in report) != ("accuracy" in alone):
        return None
    found = {
        name: (float(report[name]), float(alone[name]))
        for name in REPORTED
        if name in report and name in alone
    }
    return Several(report["nets"], found, tuple(price["memory"]), tuple(price["seconds"]))


def nets_of(story: Story) -> int:
    """How many are averaged; 1 where none are."""
    return len(story.nets) or 1


@dataclass(frozen=True, slots=True)
class Group:
    """Answers whose spread lies from `low` to `high`. share: of all. right: the share of right ones; of a regression
    the root of the mean squared error."""

    low: float
    high: float
    count: int
    share: float
    right: float


def disagreement(found: Findings, scale: Sequence[float] | None = None) -> list[Group]:
    """The answers by how far the nets are apart, those they agree on first; empty where nobody kept that.

    scale: what one in each target of a regression is worth in its own unit. Of several targets the mean is taken.
    """
    spread = found.spread
    if spread is None or found.targets is None:
        return []
    if found.probabilities is not None:
        right = found.right
        places = np.searchsorted(EDGES, spread, side="right") - 1
        ends = (*EDGES[1:], 1.0)
        return [
            Group(EDGES[i], ends[i], int(among.sum()), float(among.mean()), float(right[among].mean()))
            for i in range(len(EDGES))
            if (among := places == i).any()
        ]
    assert found.predictions is not None
    unit = np.ones(spread.shape[1]) if scale is None else np.asarray(scale)
    far = (spread * unit).mean(axis=1)
    squares = (((found.predictions - found.targets) * unit) ** 2).mean(axis=1)
    parts = [part for part in np.array_split(np.argsort(far, kind="stable"), GROUPS) if len(part)]
    return [
        Group(
            float(far[part[0]]), float(far[part[-1]]), len(part), len(part) / len(far),
            float(np.sqrt(squares[part].mean())),
        )
        for part in parts
    ]  # fmt: skip
