"""Bayesian optimisation: a surrogate believes, an acquisition values, the most valuable candidate is proposed.

Symbols: n told candidates, q candidates under consideration, d columns of the unit cube; u a point of it.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np

from gammatune.errors import InvalidArgument
from gammatune.records import Observation, Values
from gammatune.samplers.history import History
from gammatune.space import Array, Choice, Space
from gammatune.surrogate.acquisition import log_ei, log_pi
from gammatune.surrogate.dataset import Dataset
from gammatune.surrogate.predictive import Predictive
from gammatune.surrogate.quadrature import kronecker

LISTABLE = 1024  # points of a finite space that are all considered
LINE = 65  # candidates on the line in one dimension, before refinement
CLOUD = 256  # quasi-random candidates in more dimensions
NEAR = 128  # candidates around the best so far, in more dimensions
FINER = (0.05, 0.01)  # widths of the rounds about the most valuable candidate, in more dimensions
SWITCH = 0.3  # probability that a candidate near the best has another option of an unordered choice (guess)


class Surrogate(Protocol):
    """Beliefs about the score: all that an acquisition needs."""

    @property
    def data(self) -> Dataset: ...

    def posterior(self, Z: Array) -> Predictive:
        """The noise-free score at Z (q, d), in units of `data.y`."""


# logarithm of the value of each of Z (q, d) -> (q,)
Acquisition: TypeAlias = Callable[[Surrogate, Array], Array]


def best_mean(surrogate: Surrogate) -> float:
    """The score to beat: the best posterior mean at an observed point, not the luckiest score."""
    return float(np.max(surrogate.posterior(surrogate.data.X).mean))


def expected_improvement(xi: float = 0.0) -> Acquisition:
    """Thesis eq. (9), (10). xi: margin in units of the scores' standard deviation [reading: the thesis
    gives 0.01 without a unit]."""
    return lambda surrogate, Z: log_ei(
        surrogate.posterior(Z), best_mean(surrogate), xi * surrogate.data.spread
    )


def fading_margin(share: float) -> Acquisition:
    """Expected improvement with xi = share / n: while little is known only what would clearly be better counts, so
    that a plateau known to a hair's breadth does not draw all candidates; what it costs fades with n (guess)."""

    return lambda surrogate, Z: expected_improvement(share / surrogate.data.n)(surrogate, Z)


def probability_of_improvement(xi: float = 0.0) -> Acquisition:
    """Thesis eq. (7), (8); xi as in `expected_improvement`."""
    return lambda surrogate, Z: log_pi(
        surrogate.posterior(Z), best_mean(surrogate), xi * surrogate.data.spread
    )


def dataset(space: Space, told: Sequence[Observation]) -> Dataset:
    """What was told, as arrays; at least one observation must have a score.

    A failed candidate ranks below everything finite: it gets the worst score less one standard deviation
    of the scores (1 where they are all equal), with noise 1. Never a huge number, which would bend the surface.
    """
    scores = np.array([seen.score for seen in told if seen.score is not None], dtype=np.float64)
    finite = Dataset(np.zeros((len(scores), 1)), scores)  # for its overflow-safe spread
    failed = float(scores.min()) - finite.spread
    return Dataset(
        np.array([space.to_unit(seen.values) for seen in told]),
        np.array([failed if seen.score is None else seen.score for seen in told]),
        np.array([1.0 if seen.score is None else seen.noise for seen in told]),
    )


class Bayes:
    """Sequential model-based search; never proposes a candidate asked or told before.

    surrogate: builds beliefs from a dataset. acquisition: values candidates under them.
    initial: how many space-filling candidates come first, or these candidates themselves. More of them follow
    as long as nothing told has a score. Candidates proposed but not yet told of count as if they had scored
    their posterior mean, so that several can be out at once.
    Raises numpy.linalg.LinAlgError from `ask` where the surrogate cannot be solved: see `Fallback`.
    """

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        surrogate: Callable[[Dataset], Surrogate],
        acquisition: Acquisition,
        initial: int | Sequence[Values] = 2,
    ) -> None:
        self.history = History(space)
        self._rng, self._build, self._acquisition = rng, surrogate, acquisition
        if isinstance(initial, int):
            if initial < 1:
                raise InvalidArgument(f"initial is 1 or more candidates, got {initial}")
            self._given: list[Values] = []
            self._opening = initial
        else:
            self._given = [space.from_unit(space.to_unit(values)) for values in initial]
            self._opening = len(self._given)
        self._shift = rng.random(space.columns)
        self._turn = 0  # of the space-filling sequence
        self._listed: Array | None = None
        if space.size <= LISTABLE:
            self._listed = np.array([space.to_unit(values) for values in space.grid(int(space.size))])
        self._beliefs: Surrogate | None = None

    def ask(self) -> Values | None:
        if self.history.exhausted:
            return None
        if self.history.proposals < self._opening or not self.history.scored:
            return self._space_filling()
        space, beliefs = self.history.space, self.believe()
        if pending := self.history.pending:
            Z = self.seen(np.array([space.to_unit(values) for values in pending]))
            told = beliefs.data
            beliefs = self._build(told.extended(Z, beliefs.posterior(Z).mean, np.ones(len(Z))))
        Z, value = self._search(beliefs)
        for i in np.argsort(-value, kind="stable"):
            values = space.from_unit(Z[i])
            if self.history.is_new(values):
                return self.history.ask(values)
        return self._space_filling()

    def draw(self) -> Values | None:
        """Where one draw of the scores from the posterior is highest ("Thompson sampling"): for workers that propose
        at the same moment and cannot know of each other's candidate. A new candidate where there is one, else one
        told before, so that an exhausted space goes on being measured where that may pay.

        The surrogate must have `sample`, as the Gamma process has. Source: Thompson 1933; for parallel workers
        Kandasamy et al. 2018 (arXiv 1705.09236).
        """
        if not self.history.scored:
            return self._space_filling()
        space, beliefs = self.history.space, self.believe()
        Z = self._candidates(beliefs)
        # the line is the same for all workers: each shakes it, and folds it back at the ends, where many meet
        if self._listed is None and space.columns == 1:
            shaken = np.abs(Z + (self._rng.random(Z.shape) - 0.5) / (LINE - 1))
            Z = space.snap(1.0 - np.abs(1.0 - shaken))
        drawn = beliefs.sample(self.seen(Z), 1, self._rng)[0]  # type: ignore[attr-defined]
        ranked = [space.from_unit(Z[i]) for i in np.argsort(-drawn, kind="stable")]
        return self.history.ask(next(filter(self.history.is_new, ranked), ranked[0]))

    def _space_filling(self) -> Values | None:
        space = self.history.space
        while self._given:
            values = self._given.pop(0)
            if self.history.is_new(values):
                return self.history.ask(values)
        if self._listed is not None:
            left = [values for values in map(space.from_unit, self._listed) if self.history.is_new(values)]
            u = self._next_point()
            nearest = min(left, key=lambda values: float(np.abs(space.to_unit(values) - u).sum()))
            return self.history.ask(nearest)
        for _ in range(100_000):
            values = space.from_unit(self._next_point())
            if self.history.is_new(values):
                return self.history.ask(values)
        return None

    def _next_point(self) -> Array:
        self._turn += 1
        return np.asarray((kronecker(self._turn, self.history.space.columns)[-1] + self._shift) % 1.0)

    def _search(self, beliefs: Surrogate) -> tuple[Array, Array]:
        """Candidates (q, d) and the logarithm of their value (q,), coarse first, then finer about the best."""
        space, d = self.history.space, self.history.space.columns
        Z = self._candidates(beliefs)
        value = self.value(beliefs, Z)
        if self._listed is not None:
            return Z, value
        widths = (1 / (LINE - 1), 1 / 8 / (LINE - 1)) if d == 1 else FINER
        for width in widths:
            centre = Z[int(np.argmax(value))]
            if d == 1:
                finer = centre + width * np.linspace(-1.0, 1.0, 17)[:, None]
            else:
                finer = self._around(centre, NEAR // 2, width)
            finer = space.snap(finer)
            Z, value = np.concatenate([Z, finer]), np.concatenate([value, self.value(beliefs, finer)])
        return Z, value

    def _candidates(self, beliefs: Surrogate) -> Array:  # (q, d)
        """What is considered at first: all of a small space, a line, or a cloud and what lies near the best."""
        space, rng, d = self.history.space, self._rng, self.history.space.columns
        if self._listed is not None:
            return np.asarray(self._listed[rng.permutation(len(self._listed))])  # ties fall at random
        if d == 1:
            return space.snap(np.linspace(0.0, 1.0, LINE)[:, None])
        X = beliefs.data.X
        top = X[int(np.argmax(beliefs.posterior(X).mean))]
        cloud = (kronecker(CLOUD, d) + rng.random(d)) % 1.0
        return space.snap(np.concatenate([cloud, self._around(top, NEAR, 0.1)]))

    def _around(self, centre: Array, q: int, width: float) -> Array:  # (q, d)
        """Normal steps about a point, their size log-uniform within a factor 10 below `width`, each in a random
        subset of the columns; unordered choices switch now and then."""
        rng, d = self._rng, len(centre)
        size = width * 10 ** rng.uniform(-1.0, 0.0, (q, 1))
        moved = rng.random((q, d)) < max(0.5, 1 / d)
        Z = centre + size * moved * rng.standard_normal((q, d))
        for dimension, block in self.history.space.blocks:
            if isinstance(dimension, Choice) and not dimension.ordered:
                switch = rng.random(q) < SWITCH
                Z[switch, block] = rng.random((int(switch.sum()), dimension.columns))
        return np.asarray(Z)

    def value(self, beliefs: Surrogate, Z: Array) -> Array:
        """The logarithm of what a look at each of Z (q, d) promises under these beliefs, (q,)."""
        value = self._acquisition(beliefs, self.seen(Z))
        return np.where(np.isnan(value), -np.inf, value)

    def seen(self, Z: Array) -> Array:  # (q, d)
        """The candidates as the surrogate sees them: here as they are."""
        return Z

    def believe(self) -> Surrogate:
        """The surrogate of everything told, built once for each state of knowledge."""
        if self._beliefs is None:
            self._beliefs = self._build(dataset(self.history.space, self.history.told))
        return self._beliefs

    def tell(self, observation: Observation) -> None:
        self.history.tell(observation)
        self._beliefs = None

    def recommend(self) -> Values | None:
        """The scored candidate of the best posterior mean."""
        scored = self.history.scored
        if not scored:
            return None
        beliefs = self.believe()
        means = beliefs.posterior(np.array([self.history.space.to_unit(seen.values) for seen in scored])).mean
        return scored[int(np.argmax(means))].values
