"""What a sampler remembers: every candidate it proposed or was told of, and what became of it."""

from collections.abc import Hashable

from gammatune.errors import InvalidArgument
from gammatune.records import Observation, Values
from gammatune.space import Space


class History:
    """The memory of one sampler; candidates are the same where their keys are (`Space.key`).

    told: the observations in the order of their telling. scored: those of them that did not fail.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.told: list[Observation] = []
        self._asked: dict[Hashable, Values] = {}
        self._told: set[Hashable] = set()

    def ask(self, values: Values) -> Values:
        """Remember that these values were proposed, and hand them on."""
        self._asked[self.space.key(values)] = values
        return values

    def tell(self, observation: Observation) -> None:
        """Remember an outcome; raises InvalidArgument for values outside the space or a score that is no number."""
        key = self.space.key(observation.values)
        score = observation.score
        if score is not None and not abs(score) < float("inf"):
            raise InvalidArgument(
                f"a score is a finite number, got {score}; write score=None for a failed candidate"
            )
        if not 0 < observation.noise < float("inf"):
            raise InvalidArgument(
                f"noise is a relative squared standard error above 0, got {observation.noise}"
            )
        self._told.add(key)
        self.told.append(observation)

    def is_new(self, values: Values) -> bool:
        key = self.space.key(values)
        return key not in self._asked and key not in self._told

    @property
    def exhausted(self) -> bool:
        return len(self._asked.keys() | self._told) >= self.space.size

    @property
    def proposals(self) -> int:
        return len(self._asked)

    @property
    def pending(self) -> list[Values]:
        """Proposed, and not told of yet."""
        return [values for key, values in self._asked.items() if key not in self._told]

    @property
    def scored(self) -> list[Observation]:
        return [observation for observation in self.told if observation.score is not None]

    def best(self) -> Values | None:
        """The candidate of the highest single score, the earliest among equals; None before any score."""
        scores = [observation.score for observation in self.scored if observation.score is not None]
        return self.scored[scores.index(max(scores))].values if scores else None
