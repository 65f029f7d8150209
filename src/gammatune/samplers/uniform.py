"""Random search: each candidate uniform in the unit cube, whatever was seen before (Bergstra and Bengio 2012)."""

import numpy as np

from gammatune.records import Observation, Values
from gammatune.samplers.history import History
from gammatune.space import Space


class Uniform:
    """Proposes uniformly; may propose a point twice, so wrap it in `Distinct` where points can coincide."""

    def __init__(self, space: Space, rng: np.random.Generator) -> None:
        self.history = History(space)
        self._rng = rng

    def ask(self) -> Values | None:
        return self.history.ask(self.history.space.sample(self._rng))

    def tell(self, observation: Observation) -> None:
        self.history.tell(observation)

    def recommend(self) -> Values | None:
        return self.history.best()
