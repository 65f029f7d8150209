"""Means and their intervals, each rule once. Ratios are averaged by their logarithms; intervals hold 95 %."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

CLIP = 2.0  # one ratio among many counts as no more than this, and no less than one over it
TAILS = (0.025, 0.975)
Array = NDArray[np.float64]


def geometric_mean(ratios: ArrayLike) -> float:
    return float(np.exp(np.log(np.asarray(ratios)).mean()))


def t_half(numbers: Array) -> float:
    """Half the t-interval of the mean; nan for a single number."""
    n = len(numbers)
    if n < 2:
        return float("nan")
    return float(stdtrit(n - 1, TAILS[1]) * numbers.std(ddof=1) / np.sqrt(n))


@dataclass(frozen=True)
class Ratio:
    """A ratio and its interval (nan where there is none)."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, half: float) -> "Ratio":
        """half: of the interval of its logarithm."""
        return cls(value, value * float(np.exp(-half)), value * float(np.exp(half)))

    @classmethod
    def mean(cls, ratios: Sequence[float]) -> "Ratio":
        """The geometric mean, with its t-interval."""
        return cls.of(geometric_mean(ratios), t_half(np.log(ratios)))

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap(
    values: ArrayLike,
    draws: int = 10_000,
    *,
    of: Callable[[Array], Array] = lambda drawn: drawn.mean(axis=1),
    rng: np.random.Generator | None = None,
) -> list[float]:
    """A statistic (the mean) and its percentile interval. of: (draws, n, ...) resampled values -> (draws,)."""
    held = np.asarray(values)
    chosen = (rng or np.random.default_rng(0)).integers(0, len(held), (draws, len(held)))
    low, high = np.quantile(of(held[chosen]), TAILS)
    return [float(of(held[None])[0]), float(low), float(high)]


def crossed(values: Array, problem: Sequence[Any], seed: Sequence[Any], draws: int = 1000) -> Array:
    """Means over problems and their intervals: values (runs, k) -> (3, k). Each problem counts alike.

    Problems and seeds are drawn with replacement, each for itself: what a seed fixes is the same in many problems, so
    that its runs are not independent.
    """
    rng = np.random.default_rng(0)
    _, row = np.unique(problem, return_inverse=True)
    _, column = np.unique(seed, return_inverse=True)
    cells = np.zeros(
        (row.max() + 1, column.max() + 1, values.shape[1] + 1)
    )  # the last: whether there is a run
    cells[row, column] = np.column_stack([values, np.ones(len(values))])

    def mean(cells: Array) -> Array:
        sums = cells.sum(axis=1)
        sums = sums[sums[:, -1] > 0]
        means: Array = (sums[:, :-1] / sums[:, -1:]).mean(axis=0)
        return means

    problems, seeds = cells.shape[:2]
    drawn: list[Array] = []
    while len(drawn) < draws:
        chosen = cells[rng.integers(problems, size=problems)][:, rng.integers(seeds, size=seeds)]
        if chosen[:, :, -1].any():
            drawn.append(mean(chosen))
    return np.vstack([mean(cells), np.quantile(drawn, TAILS, axis=0)])


def spread(numbers: Sequence[float]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(numbers, n=4)
    return {"lower_quartile": low, "median": middle, "upper_quartile": high}


def rounded(value: Any, digits: int = 4) -> Any:
    """To so many significant digits: more are noise."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, Mapping):
        return {str(name): rounded(held, digits) for name, held in value.items()}
    return [rounded(held, digits) for held in value] if isinstance(value, list | tuple) else value
