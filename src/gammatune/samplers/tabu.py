"""Tabu search: a walk that moves to the best neighbour even where that is downhill, and may not turn back.

Source: Glover 1986, 1989; balls around recent centres as the tabu list for real variables after Siarry and
Berthiau 1997. The numbers below are guesses.
"""

from collections import deque

import numpy as np

from gammatune.records import Observation, Values
from gammatune.samplers.history import History
from gammatune.space import Array, Choice, Space

NEIGHBOURS = 4  # scored before a move
TENURE = 7  # centres remembered as tabu
FIRST_STEP = 0.3  # of the unit cube
LAST_STEP = 0.02
TRIES = 32  # draws of a neighbour outside the tabu balls before one is taken as it comes


class Tabu:
    """Proposes neighbours of a centre and moves after every NEIGHBOURS scores.

    A neighbour differs in one dimension: by up to `step` of its range, or by another option of a choice. The
    centre moves to the best neighbour since the last move; it and its past positions are tabu within half
    a step. A round without a new best halves the step. May propose a point twice: wrap it in `Distinct`.
    """

    def __init__(self, space: Space, rng: np.random.Generator) -> None:
        self.history = History(space)
        self._rng = rng
        self._step = FIRST_STEP
        self._tabu: deque[Array] = deque(maxlen=TENURE)
        self._round: list[Observation] = []
        self._best = -np.inf

    def ask(self) -> Values | None:
        space = self.history.space
        if not self._tabu:
            return self.history.ask(space.sample(self._rng))
        for _ in range(TRIES):
            u = self._neighbour(self._tabu[-1])
            if all(np.abs(u - past).max() > self._step / 2 for past in self._tabu):
                break
        return self.history.ask(space.from_unit(u))

    def _neighbour(self, centre: Array) -> Array:
        blocks = self.history.space.blocks
        dimension, block = blocks[self._rng.integers(len(blocks))]
        u = centre.copy()
        if isinstance(dimension, Choice) and not dimension.ordered:
            u[block] = self._rng.permutation(u[block])
        else:
            # at least one whole step of an integer or an ordered choice
            reach = max(self._step, 1 / dimension.size)
            u[block] = np.clip(u[block] + reach * self._rng.uniform(-1.0, 1.0), 0.0, 1.0)
        return np.asarray(self.history.space.snap(u[None, :])[0])

    def tell(self, observation: Observation) -> None:
        self.history.tell(observation)
        if observation.score is None:
            return
        self._round.append(observation)
        if self._tabu and len(self._round) < NEIGHBOURS:
            return
        top = max(self._round, key=lambda seen: -np.inf if seen.score is None else seen.score)
        if top.score is not None and top.score > self._best:
            self._best = top.score
        else:
            self._step = max(self._step / 2, LAST_STEP)
        self._tabu.append(self.history.space.to_unit(top.values))
        self._round = []

    def recommend(self) -> Values | None:
        return self.history.best()
