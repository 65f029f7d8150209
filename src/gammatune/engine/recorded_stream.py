"""A loader as one stream of batches without an end, for a training that counts steps and not epochs."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from gammatune.engine.batches import (
    TAPE_BYTES,
    Loader,
    empty_loader,
    in_order,
    is_single,
    named,
    streams_of,
    tell_epoch,
)
from gammatune.engine.draw import Changes, Draw, copied, restore
from gammatune.engine.forks.streams import StreamStates
from gammatune.engine.weight import mib
from gammatune.errors import InvalidData, NotRestorable

FEWEST = 8  # batches that a look passes over again; guess: fewer say nothing of the others


class Reel:
    """The batches of a loader, pass after pass, drawn once.

    position: of the batch that the training sees next; it belongs to every fork, and goes back with it. What one
    rollout has seen is kept for the others, until the course has passed it (`forget_before`): to the bit, since a
    replay moves the random streams to where the draw left them.

    is_shuffled: the order of a pass follows from the random streams, or from what the pass is told.
    begins_anew: a pass that is begun again, with the streams as they stood, gives the same again.
    limit: bytes that are kept, of batches and of the streams' states. Where they are more, a rollout that is only a
    look passes again over what is kept, a window, and the course draws on; it is said once.

    Another process has the loader at its beginning. It is given a recipe (`export`): from which pass to draw, how
    often, and what of it to keep.
    """

    def __init__(
        self,
        loader: Loader,
        limit: int = TAPE_BYTES,
        recipe: Mapping[str, Any] | None = None,
        *,
        is_shuffled: bool = False,
        begins_anew: bool = False,
    ) -> None:
        self.position = 0
        self._loader, self._limit = loader, limit
        self._streams = streams_of(loader)
        self._still = StreamStates([]) if isinstance(loader, (list, tuple)) else None
        self._is_shuffled, self._begins_anew = is_shuffled, begins_anew
        # a second pass beside the one that is under way would end that one
        self._is_single = isinstance(loader, Iterator) or is_single(loader)
        self._kept: dict[int, _Kept] = {}  # by position
        self._held = 0  # bytes
        self._largest = 0  # bytes of a batch
        self._last: StreamStates | None = None  # after the last draw that is kept and moved one
        self._floor = 0  # what lies before is forgotten
        self._source: Iterator[Any] | None = None
        self._drawn = 0
        self._number = 0  # of the pass that begins next
        self._passes: list[_Pass] = []  # begun, as far as something that is kept lies in them, and the last
        self._warned = False
        if recipe is not None:
            self._draw_again(recipe)

    def play(self, epoch: int, order: int = 0, *, course: bool = False) -> Iterator[Any]:
        """The batches from where the training stands, without an end.

        order: above 0 others, which belong to it and to the epoch, as the random streams have been started anew for
        them; of a loader that has one pass alone the same, since the course would lack what it gave to others.
        course: nobody else sees them, so that what does not fit need not be kept.
        """
        if not self._is_single and (order or self.position < self._floor):
            yield from self._apart(epoch, order)
            return
        first, window = self.position, 0
        while True:
            kept = self._kept.get(self.position)
            if course and kept is not None and self._would_be_another(kept):
                self._go_back(kept)
                kept = None
            if kept is not None:
                if not order:
                    kept.draw.restore_if_moved()
            elif not self._is_full():
                kept = self._keep(self.position, self._draw())
            elif course:
                self.position += 1
                yield copied(self._next())
                continue
            else:
                window = window or self._window(first)
                kept = self._kept[first + (self.position - first) % window]
            self.position += 1
            yield copied(kept.draw.batch)

    def forget_before(self) -> None:
        """The course has come to where the training stands."""
        self._floor = max(self._floor, self.position)
        # the last one stays: a loader that reads a batch ahead has drawn the next one with it
        for position in [at for at in self._kept if at < self._floor - 1]:
            self._held -= self._kept.pop(position).size
        self._forget_passes()

    def export(self, position: int) -> dict[str, Any]:
        """The recipe by which another process draws the same batches, as plain values. position: it begins there."""
        changed = Changes(self._streams).of
        first = self._passes[0] if self._passes else None
        return {
            "position": position,
            "floor": self._floor,
            "drawn": self._drawn,
            "pass": None if first is None else [first.number, first.first, changed(first.start)],
            "kept": [[at, kept.source, changed(kept.draw.before)] for at, kept in sorted(self._kept.items())],
        }

    # -- inside

    def _would_be_another(self, kept: "_Kept") -> bool:
        """A look has gone further than the course's next report, whose evaluation has moved the random streams: drawn
        now, the batch would not be the one that is kept."""
        return self._begins_anew and kept.draw.before is not None and self._stand() != kept.draw.before

    def _go_back(self, kept: "_Kept") -> None:
        """Forget what was drawn from there on, and have the loader stand where that one was drawn."""
        here = StreamStates(self._streams)
        for position in [at for at, one in self._kept.items() if one.source >= kept.source]:
            self._held -= self._kept.pop(position).size
        self._passes = [one for one in self._passes if one.first <= kept.source]
        there = self._passes.pop()
        self._number, self._drawn, self._source = there.number, there.first, None
        there.start.restore()
        before = {one.source: one.draw.before for one in self._kept.values()}
        while self._drawn < kept.source:
            restore(before.get(self._drawn))
            self._next()
        here.restore()

    def _draw(self) -> "_Kept":
        """The next batch of the loader, to be kept."""
        before = self._stand()
        batch = copied(self._next())
        return _Kept(Draw(batch, before, self._stand()), self._drawn - 1)

    def _keep(self, position: int, kept: "_Kept") -> "_Kept":
        size, self._last = kept.draw.count(self._last)
        self._kept[position] = kept = replace(kept, size=size)
        self._held += size
        self._largest = max(self._largest, size)
        return kept

    def _stand(self) -> StreamStates:
        """How the random streams stand; a list moves none of them, so that nobody need ask."""
        return self._still or StreamStates(self._streams)

    def _is_full(self) -> bool:
        return self._held + self._largest > self._limit

    def _window(self, first: int) -> int:
        """How many batches from there on are kept, over which a look passes again."""
        there = next(at for at in count() if first + at not in self._kept)
        if there < FEWEST:
            raise NotRestorable(
                f"what one trial has seen of the loader ({named(self._loader)}) is to be kept for the next, and only "
                f"{there} batches of {mib(self._largest)} fit into tape_bytes={self._limit} ({mib(self._limit)}): "
                "raise it"
            )
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"{there:,} batches of the loader ({named(self._loader)}) fill {mib(self._held)} of the "
                f"{mib(self._limit)} allowed, and trials go further than that: they pass over these again, while the "
                "course goes on to new ones. Raise tape_bytes so that they see what the course sees",
                stacklevel=7,
            )
        return there

    def _next(self) -> Any:
        """The next thing that the loader gives, from its next pass where one has ended."""
        is_new = False
        while True:
            if self._source is None:
                is_new = True
                self._open()
            assert self._source is not None
            try:
                batch = next(self._source)
            except StopIteration:
                self._source = None
                if isinstance(self._loader, Iterator):
                    raise self._ended() from None
                if is_new:
                    raise empty_loader(self._loader) from None
                continue
            except BaseException:
                self._source = None  # a generator that has raised says afterwards that it has ended
                raise
            self._drawn += 1
            return batch

    def _ended(self) -> InvalidData:
        return InvalidData(
            f"the loader ({named(self._loader)}) came to its end after {self._drawn:,} batches, and it cannot be "
            "passed over again. Give an endless one (a generator function, itertools.cycle), or ask for fewer steps; "
            "trials that see others than the course does need more"
        )

    def _open(self) -> None:
        tell_epoch(self._loader, self._number)
        self._passes.append(_Pass(self._number, self._drawn, StreamStates(self._streams)))
        self._source = iter(self._loader)
        self._number += 1
        self._forget_passes()

    def _forget_passes(self) -> None:
        oldest = min((kept.source for kept in self._kept.values()), default=self._drawn)
        while len(self._passes) > 1 and self._passes[1].first <= oldest:
            del self._passes[0]

    def _apart(self, epoch: int, order: int) -> Iterator[Any]:
        """Batches that nobody sees again, from passes of their own."""
        skipped = 0 if self._is_shuffled else self.position
        for nth in count():
            batch = None
            for batch in in_order(self._loader, order, epoch + nth, nth):
                if skipped:
                    skipped -= 1
                    continue
                self.position += 1
                yield copied(batch)
            if batch is None:
                raise empty_loader(self._loader)

    def _draw_again(self, recipe: Mapping[str, Any]) -> None:
        self.position, self._floor = recipe["position"], recipe["floor"]
        if recipe["pass"] is None:
            return
        here = StreamStates(self._streams)
        states = Changes(self._streams).read
        self._number, self._drawn, start = recipe["pass"]
        restore(states(start))
        if isinstance(self._loader, Iterator):
            self._drawn = 0  # it stands at its beginning
        before = {source: (at, states(changed)) for at, source, changed in recipe["kept"]}
        while self._drawn < recipe["drawn"]:
            at, stood = before.get(self._drawn, (None, None))
            restore(stood)
            if at is None:
                self._next()
            else:
                self._keep(at, self._draw())
        here.restore()


@dataclass(frozen=True, slots=True)
class _Kept:
    """A batch that is kept. source: which one of the loader it is, from 0. size: bytes."""

    draw: Draw
    source: int
    size: int = 0


@dataclass(frozen=True, slots=True)
class _Pass:
    """One pass over the loader: its number, what had been drawn when it began, and how the random streams stood."""

    number: int
    first: int
    start: StreamStates
