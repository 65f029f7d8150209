"""Bayesian optimisation where some parameters are there only for some values of others: `momentum` only with SGD.

Nothing declares which; it is learned from what was told. The surrogate works on all parameters at once, and one that
was absent stands at its default, the middle of its range, wherever it is absent: candidates that differ only in what
they do not use are then the same to it, and what holds of all branches is learned from all of them. That is what
SMAC does with inactive parameters (Hutter et al. 2011; Levesque et al. 2017 compare it with others).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from gammatune.records import Observation, Value, Values
from gammatune.samplers.bayes import Acquisition, Bayes, Surrogate
from gammatune.space import Array, Choice, Int, Space
from gammatune.surrogate.dataset import Dataset


class Conditional(Bayes):
    """As `Bayes`, but told of candidates that may lack some of the names; what it proposes has all of them.

    Which parameters a candidate would use is taken from the told candidate that is most like it in the discrete
    parameters, those counting most that are there most often (so that the choice of a branch weighs more than what
    is chosen within it).
    """

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        surrogate: Callable[[Dataset], Surrogate],
        acquisition: Acquisition,
    ) -> None:
        super().__init__(space, rng, surrogate, acquisition, [])
        self._default = space.to_unit(space.from_unit(np.full(space.columns, 0.5)))  # (d,)
        self._points: list[Array] = []  # n of (d,)
        self._used: list[Array] = []  # n of (d,), whether the column belongs to a parameter that is there
        self._discrete = np.zeros(space.columns, dtype=bool)
        for dimension, block in space.blocks:
            self._discrete[block] = isinstance(dimension, Choice | Int)

    def whole(self, values: Mapping[str, Value]) -> Values:
        """`values` with the default of what is absent."""
        return {**self.history.space.from_unit(self._default), **values}

    def pend(self, values: Mapping[str, Value]) -> None:
        """Another worker has this candidate out: it counts as if it had scored its posterior mean."""
        self.history.ask(self.whole(values))

    def tell(self, observation: Observation) -> None:
        space, values = self.history.space, self.whole(observation.values)
        super().tell(replace(observation, values=values))
        self._points.append(space.to_unit(values))
        used = np.zeros(space.columns, dtype=bool)
        for name, (_, block) in zip(space.names, space.blocks, strict=True):
            used[block] = name in observation.values
        self._used.append(used)

    def seen(self, Z: Array) -> Array:
        """The candidates with what they would not use at its default."""
        used = np.array(self._used)  # (n, d)
        if used.all():
            return Z
        weight = used * (used.mean(axis=0) * self._discrete)  # (n, d)
        distance = np.stack(
            [np.abs(Z - point) @ w for point, w in zip(self._points, weight, strict=True)], axis=1
        )  # (q, n)
        return np.where(used[np.argmin(distance, axis=1)], Z, self._default)
