"""Two runs on the same examples: by how much one is better, example by example."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gammatune.metrics.bootstrap import Measure
from gammatune.report.predictions import Findings, of_mean


@dataclass(frozen=True, slots=True)
class Pair:
    """gap: by how much the first is better, with its 95 % interval (normal); over so many examples. of_labels: in
    shares of right answers, else in squared errors."""

    one: str
    other: str
    gap: Measure
    count: int
    of_labels: bool

    @property
    def is_real(self) -> bool:
        return self.gap.low > 0 or self.gap.high < 0

    @property
    def row(self) -> list[str]:
        """Of the table: names, difference, interval, and what follows."""
        so = "more than chance explains" if self.is_real else "may be chance"
        return [f"{self.one} − {self.other}", self._difference, self._interval, so]

    @property
    def words(self) -> str:
        on = f"On the same {self.count:,} examples"
        if self.is_real:
            better = self.one if self.gap.value > 0 else self.other
            return f"{on} {better} is better by more than chance explains ({self._interval}{self._unit})."
        return (
            f"{on} the difference ({self._difference}; 95 % interval {self._interval}) is no more than chance may "
            "bring: do not prefer one for it."
        )

    @property
    def _unit(self) -> str:
        return " points" if self.of_labels else ""

    @property
    def _difference(self) -> str:
        return f"{self._scaled(self.gap.value)}{self._unit}"

    @property
    def _interval(self) -> str:
        return f"{self._scaled(self.gap.low)} to {self._scaled(self.gap.high)}"

    def _scaled(self, value: float) -> str:
        return f"{100 * value if self.of_labels else value:+.2f}"


def paired(one: str, found: Findings, other: str, others: Findings) -> Pair | None:
    """None where they kept no answers to the same examples."""
    if not same_examples(found, others):
        return None
    a, b = _gain(found), _gain(others)
    if a is None or b is None or len(a) < 2:
        return None
    apart = a - b
    gap = of_mean(float(apart.mean()), float(np.mean(apart**2)), len(apart))
    return Pair(one, other, gap, len(a), found.probabilities is not None)


def same_examples(found: Findings, others: Findings) -> bool:
    a, b = found.targets, others.targets
    return a is not None and b is not None and a.shape == b.shape and bool(np.array_equal(a, b))


def _gain(found: Findings) -> Any:
    """What each example adds: 1 where it was right; of a regression, minus its squared error."""
    if found.targets is None:
        return None
    if found.probabilities is not None:
        return found.right.astype(float)
    if found.predictions is None:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        gain = -np.mean((found.predictions - found.targets) ** 2, axis=1)
    return gain if np.isfinite(gain).all() else None
