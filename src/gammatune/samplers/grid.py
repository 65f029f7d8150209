"""Grid search: every combination of evenly spread values, in random order."""

import math
from collections.abc import Iterator

import numpy as np

from gammatune.records import Observation, Values
from gammatune.samplers.history import History
from gammatune.space import Space


class Grid:
    """Proposes the grid of `Space.axes(points)`, each combination once.

    points: grid points in a Float (ends included); an Int has at most that many, a Choice all its options.
    The order is random, so that a grid cut short is a fair sample of the whole.
    """

    def __init__(self, space: Space, rng: np.random.Generator, points: int = 12) -> None:
        self.history = History(space)
        self._axes = space.axes(points)
        self._rest = self._walk(rng)

    def _walk(self, rng: np.random.Generator) -> Iterator[Values]:
        shape = tuple(len(axis) for axis in self._axes)
        for cell in rng.permutation(math.prod(shape)):
            where = np.unravel_index(cell, shape)
            point = (axis[int(i)] for axis, i in zip(self._axes, where, strict=True))
            yield dict(zip(self.history.space.names, point, strict=True))

    def ask(self) -> Values | None:
        fresh = (values for values in self._rest if self.history.is_new(values))
        values = next(fresh, None)
        return None if values is None else self.history.ask(values)

    def tell(self, observation: Observation) -> None:
        self.history.tell(observation)

    def recommend(self) -> Values | None:
        return self.history.best()
