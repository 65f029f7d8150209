"""Samplers made of samplers: one behaviour each, put together where they are needed."""

import numpy as np

from gammatune.records import Observation, Values, Verdict
from gammatune.samplers.history import History
from gammatune.samplers.sampler import Sampler
from gammatune.space import Space

TRIES = 64  # repeated proposals of the inner sampler before `Distinct` looks for a new point itself
DRAWS = 100_000  # uniform draws for a new point in a space too large to list, before it counts as exhausted
LISTABLE = 100_000  # points of a finite space that `Distinct` lists to find the ones left


class Distinct:
    """Never a candidate asked or told before, after rounding; None once the space has no other.

    Asks `inner` until it proposes something new. Where it does not (a nearly exhausted space, a sampler that
    has settled), a point not yet seen is drawn uniformly.
    """

    def __init__(self, inner: Sampler, space: Space, rng: np.random.Generator) -> None:
        self.inner, self.history, self._rng = inner, History(space), rng

    def ask(self) -> Values | None:
        if self.history.exhausted:
            return None
        for _ in range(TRIES):
            values = self.inner.ask()
            if values is None:
                return None
            if self.history.is_new(values):
                return self.history.ask(values)
        values = self._unseen()
        return None if values is None else self.history.ask(values)

    def _unseen(self) -> Values | None:
        space = self.history.space
        if space.size <= LISTABLE:
            left = [values for values in space.grid(int(space.size)) if self.history.is_new(values)]
            return left[self._rng.integers(len(left))] if left else None
        draws = (space.sample(self._rng) for _ in range(DRAWS))
        return next((values for values in draws if self.history.is_new(values)), None)

    def tell(self, observation: Observation) -> None:
        self.history.tell(observation)
        self.inner.tell(observation)

    def recommend(self) -> Values | None:
        return self.inner.recommend()


class Fallback:
    """Proposals of `second` wherever the linear algebra of `first` fails; every such event is kept in `events`.

    Only numpy.linalg.LinAlgError counts: any other exception is a bug, and passes.
    """

    def __init__(self, first: Sampler, second: Sampler) -> None:
        self._first, self._second = first, second
        self.events: list[Verdict] = []

    def ask(self) -> Values | None:
        try:
            return self._first.ask()
        except np.linalg.LinAlgError as error:
            self.events.append(
                Verdict(f"the surrogate could not be solved ({error}); proposed by the fallback")
            )
            return self._second.ask()

    def tell(self, observation: Observation) -> None:
        self._first.tell(observation)
        self._second.tell(observation)

    def recommend(self) -> Values | None:
        try:
            return self._first.recommend()
        except np.linalg.LinAlgError as error:
            self.events.append(
                Verdict(f"the surrogate could not be solved ({error}); recommended by the fallback")
            )
            return self._second.recommend()
