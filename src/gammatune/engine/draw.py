"""One thing drawn from a loader, with what its drawing did to the random streams."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from gammatune.engine.forks.streams import Stream, StreamStates, same
from gammatune.engine.forks.transfer import mapped
from gammatune.engine.weight import bytes_of

# Bytes that are held of a batch beside its content and the streams' states, holes of the allocator included
# (measured: 2,300 a batch of one number, of which its tensor is counted with 512).
DRAW = 2048


class Draw:
    """One thing drawn, how the random streams stood before it and where it left them (None: it moved none)."""

    __slots__ = ("batch", "before", "moved")

    def __init__(self, batch: Any, before: StreamStates, after: StreamStates) -> None:
        self.batch = batch
        moved = after != before
        self.before = before if moved else None
        self.moved = after if moved else None

    def restore_if_moved(self) -> None:
        restore(self.moved)

    def count(self, last: StreamStates | None) -> tuple[int, StreamStates | None]:
        """Bytes it takes, beside what is held of the states as they stood last (None: nothing is); and how they stand
        after it. What both hold is held once from now on."""
        size = DRAW + bytes_of(self.batch)
        if self.before is None or self.moved is None:
            return size, last
        if last is None:
            size, last = size + bytes_of(self.before.parts()), self.before
        self.before.share(last)
        self.moved.share(self.before)
        return size + bytes_of([*_new(self.before, last), *_new(self.moved, self.before)]), self.moved


class Changes:
    """The states of some streams at one moment after the other, as plain values: of each what is not as in the one
    before, since most draws move one stream of several."""

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._streams = streams
        self._last: dict[str, Any] = {}

    def of(self, states: StreamStates | None) -> dict[str, Any] | None:
        if states is None:
            return None
        new = {
            name: state
            for name, state in states.export(self._streams).items()
            if name not in self._last or not same(state, self._last[name])
        }
        self._last.update(new)
        return new

    def read(self, changed: Mapping[str, Any] | None) -> StreamStates | None:
        """What `of` was given, in the same order."""
        if changed is None:
            return None
        self._last.update(changed)
        return StreamStates.adopt(self._last, self._streams)


def restore(states: StreamStates | None) -> None:
    if states is not None:
        states.restore()


def copied(batch: Any) -> Any:
    """A batch of one's own: a source may fill one buffer again and again, and a loop may change what it is given."""
    return mapped(batch, torch.clone, copy.deepcopy)


def _new(states: StreamStates, earlier: StreamStates) -> list[Any]:
    """What is held of the states beside what is held of earlier ones."""
    return [part for part, known in zip(states.parts(), earlier.parts(), strict=True) if part is not known]
