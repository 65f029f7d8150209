"""Which fork of the training holds which state: each state once, however many names a policy has for it."""

from collections.abc import Collection
from typing import Generic, TypeVar

from gammatune.engine.trainable import Forkable, Frees

Place = TypeVar("Place")


class Held(Generic[Place]):
    """A state that is held is never written to; where nobody needs it any more the next takes its buffers."""

    def __init__(self, training: Forkable) -> None:
        self._training = training
        self._places: dict[str, Place] = {}

    def fork_of(self, place: Place) -> str | None:
        """The name of the fork of the training that holds a place."""
        return next((fork for fork, held in self._places.items() if held is place), None)

    def capture(self, place: Place, name: str, needed: Collection[Place]) -> str:
        """Hold the place where the training stands, under this name unless that holds what is needed; the name."""
        free = [fork for fork, held in self._places.items() if not any(held is one for one in needed)]
        if name in self._places and name not in free:
            name = free[0] if free else self._another(name)
        for fork in free:
            if fork != name:
                self.forget(fork)
        self._places.pop(name, None)  # an interrupt may leave half of the old state and half of the new
        self._training.capture(name)
        self._places[name] = place
        return name

    def forget(self, fork: str) -> None:
        self._places.pop(fork, None)
        if isinstance(self._training, Frees):
            self._training.forget(fork)

    def _another(self, name: str) -> str:
        count = 2
        while f"{name} {count}" in self._places:
            count += 1
        return f"{name} {count}"
