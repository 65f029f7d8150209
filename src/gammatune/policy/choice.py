"""The Determinant of a search: which values to go on with, and how sure that is.

Symbols: n observations, q candidates, d columns of the unit cube.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gammatune.records import Observation, Values
from gammatune.space import Array, Float, Space

if TYPE_CHECKING:
    from gammatune.surrogate.gamma import GammaProcess

PESSIMISM = 0.25  # standard deviations taken off the mean (guess): between equals the better known one
FINE = 241  # candidates on a line: a fortieth of a decade apart over six
CLOUD = 512  # candidates in more dimensions
SPAN = 6.0  # decades that fill the unit interval, whatever the range: a decade means the same everywhere
BELOW_THE_CLIFF = 0.8  # of the lowest rate that diverged (guess)


@dataclass(frozen=True, slots=True)
class Chosen:
    """values: to go on with. better: the probability that they are better than `keep` (None: not compared).

    gain: by how much, in units of the score. sd: the standard deviation of that.
    """

    values: Values
    better: float | None
    gain: float
    sd: float


def choose(
    space: Space, told: Sequence[Observation], keep: Values | None, rates: Sequence[str], beyond: float = 0.5
) -> Chosen:
    """The best pessimistic posterior, mean - PESSIMISM * sd, of the Gamma process given what was told.

    told: at least one with a score. keep: what to compare with. rates: the names of learning rates: they are
    taken in decades, below the lowest that diverged, and no further than `beyond` decades outside what was tried.
    """
    # here, since it brings scipy with it, for which `import gammatune` need not wait
    from gammatune.surrogate.acquisition import log_pi

    scored = [seen for seen in told if seen.score is not None]
    ruler, process = belief(space, told, rates)
    Z = _candidates(ruler, scored)
    legal = np.array([space.contains(_clipped(space, ruler.from_unit(z), rates)) for z in Z])
    for name in rates:
        rate = np.array([float(ruler.from_unit(z)[name]) for z in Z])
        low, high = limits(space, told, name, beyond)
        legal &= (rate >= low) & (rate <= high)
    Z = Z[legal] if legal.any() else np.array([ruler.to_unit(seen.values) for seen in scored])
    score = process.posterior(Z)
    best = int(np.argmax(score.mean - PESSIMISM * np.sqrt(score.variance)))
    values = _clipped(space, ruler.from_unit(Z[best]), rates)
    if keep is None:
        return Chosen(values, None, 0.0, float(np.sqrt(score.variance[best])))
    inside = dict(keep)
    for name in rates:
        dimension = ruler[name]
        assert isinstance(dimension, Float)
        inside[name] = min(max(float(keep[name]), dimension.low), dimension.high)
    difference = process.difference(Z[best : best + 1], ruler.to_unit(inside))
    return Chosen(
        values,
        float(np.exp(log_pi(difference, 0.0))[0]),
        float(difference.mean[0]),
        float(np.sqrt(difference.variance[0])),
    )


def belief(space: Space, told: Sequence[Observation], rates: Sequence[str]) -> "tuple[Space, GammaProcess]":
    """What `choose` believes given what was told, at least one of it with a score, and the space it is taken in."""
    from gammatune.samplers.bayes import dataset
    from gammatune.surrogate.gamma import GammaProcess

    scored = [seen for seen in told if seen.score is not None]
    ruler = _ruler(space, scored, rates)
    return ruler, GammaProcess(dataset(ruler, scored))


def limits(space: Space, told: Sequence[Observation], name: str, beyond: float = 0.5) -> tuple[float, float]:
    """The lowest and the highest value of the rate `name` that `choose` takes."""
    tried = [float(seen.values[name]) for seen in told if seen.score is not None]
    cliff = min(
        (float(s.values[name]) for s in told if s.score is None and float(s.values[name]) > max(tried)),
        default=math.inf,
    )
    low, high = min(tried) / 10**beyond, min(max(tried) * 10**beyond, BELOW_THE_CLIFF * cliff)
    dimension = space[name]
    if isinstance(dimension, Float):
        low, high = max(low, dimension.low), min(high, dimension.high)
    return low, high


def _ruler(space: Space, scored: Sequence[Observation], rates: Sequence[str]) -> Space:
    """The space with every learning rate on a scale of SPAN decades about what was tried."""
    dimensions = {name: space[name] for name in space.names}
    for name in rates:
        dimension = space[name]
        if isinstance(dimension, Float) and dimension.log:
            tried = [math.log10(float(seen.values[name])) for seen in scored]
            centre = (min(tried) + max(tried)) / 2
            half = max(SPAN / 2, (max(tried) - min(tried)) / 2 + 0.5)
            dimensions[name] = Float(10 ** (centre - half), 10 ** (centre + half), log=True)
    return Space(dimensions)


def _candidates(ruler: Space, scored: Sequence[Observation]) -> Array:  # (q, d)
    from gammatune.surrogate.quadrature import kronecker

    X = np.array([ruler.to_unit(seen.values) for seen in scored])
    if ruler.columns == 1:
        return ruler.snap(np.concatenate([np.linspace(0.0, 1.0, FINE)[:, None], X]))
    low, high = X.min(axis=0), X.max(axis=0)
    margin = 0.1
    box = np.clip(low - margin, 0, 1), np.clip(high + margin, 0, 1)
    cloud = box[0] + (box[1] - box[0]) * kronecker(CLOUD, ruler.columns)
    return ruler.snap(np.concatenate([cloud, X]))


def _clipped(space: Space, values: Values, rates: Sequence[str]) -> Values:
    """Rates that lie beyond the user's bounds by rounding alone, put back on them."""
    inside = dict(values)
    for name in rates:
        dimension = space[name]
        if isinstance(dimension, Float):
            inside[name] = dimension.round(values[name])
    return inside
