"""A loader whose order cannot be restored, drawn once and played again from memory."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple
from typing import Any

import numpy as np

from gammatune.engine.batches import (
    TAPE_BYTES,
    Epoch,
    Loader,
    empty_loader,
    length_of,
    named,
    streams_of,
    tell_epoch,
)
from gammatune.engine.draw import Changes, Draw, copied, restore
from gammatune.engine.forks.streams import StreamStates
from gammatune.engine.weight import bytes_of, mib
from gammatune.errors import NotRestorable
from gammatune.seeds import stream

LONG = 50_000  # batches drawn before the first is trained on, after which it is told that it goes on (guess)
SURELY, FIRST = 2, 8  # times the limit: a loader whose first batches say so is not drawn further (guesses)


class Tape:
    """The batches of a loader, drawn once.

    An epoch is one pass over the loader, or more where the loop body makes more. An iterator, which can be
    passed over only once, gives a single epoch. Epochs that became part of the course are dropped
    (`forget_before`). Drawing may move random streams (a `DataLoader` draws a seed when an epoch starts); a
    replay moves them to where the draw left them, so that rollouts and course see the same numbers.

    Another process has the loader at its beginning. It is given a recipe (`export`): how many things were drawn,
    from which pass, in which order, and, for what is to be played again, how the streams stood before each draw that
    moved them. It draws all of that once more, and keeps what was kept.
    limit: bytes held at most, of batches and of the streams' states. Raises NotRestorable where they would be more,
    after a few batches where the loader says how many there are; and where it does not give what it gave before.
    """

    def __init__(
        self, loader: Loader, limit: int = TAPE_BYTES, recipe: Mapping[str, Any] | None = None
    ) -> None:
        self._loader = loader
        self._streams = streams_of(loader)
        self._limit = limit
        self._passes: dict[tuple[int, int], _Pass] = {}
        self._epoch: Epoch | None = None
        self._opened = 0  # passes begun so far, forgotten ones included
        self._log: list[list[int]] = []  # [pass, draws]: so many from this one, then so many from that one
        # of forgotten passes: workers that persist go on with the seed that was drawn when they began
        self._starts: dict[int, StreamStates] = {}
        if recipe is not None:
            self._draw_again(recipe)

    def measure(self, epoch: int, examples: Callable[[Any], int]) -> Epoch:
        """The first pass of an epoch, drawn to its end; streams stay where they are. Done once: others are alike."""
        if self._epoch is None:
            before = StreamStates(self._streams)
            sizes = []
            for batch in self.play(epoch):
                sizes.append(examples(batch))
                if len(sizes) == LONG:
                    warnings.warn(
                        f"an epoch of the loader ({named(self._loader)}) has not ended after {LONG:,} batches; where "
                        "it has no end, count in steps of the optimizer (steps=3000, every=250)",
                        stacklevel=2,
                    )
            before.restore()
            if not sizes:
                raise empty_loader(self._loader)
            self._epoch = Epoch(len(sizes), sum(sizes))
        return self._epoch

    def play(self, epoch: int, nth: int = 0, order: int = 0, *, fresh: bool = False) -> Iterator[Any]:
        """The batches of the nth pass (from 0) of an epoch, from memory as far as they have been drawn.

        order: above 0 the same batches in another order, which belongs to the epoch and to `order`; the
        streams are then left alone. fresh: nothing is taken from memory, and nothing kept there.
        """
        key = epoch, nth
        if fresh and not isinstance(self._loader, Iterator):
            tell_epoch(self._loader, epoch)
            yield from self._play_fresh(stream(order, "tape", epoch, nth) if order else None)
            return
        if order:
            if key not in self._passes or self._passes[key].source is not None:
                before = StreamStates(self._streams)
                for _ in self.play(epoch, nth):
                    pass
                before.restore()
            if key not in self._passes:  # it was empty
                return
            draws = self._passes[key].draws
            for index in stream(order, "tape", epoch, nth).permutation(len(draws)):
                yield copied(draws[index].batch)
            return
        if key not in self._passes:
            tell_epoch(self._loader, epoch)
            self._passes[key] = self._open()
        else:
            self._passes[key].started.restore_if_moved()
        current = self._passes[key]
        position = 0
        while True:
            if position < len(current.draws):
                current.draws[position].restore_if_moved()
            elif not self._draw(current):
                return
            # a copy, since the loop body may change its batch in place
            yield copied(current.draws[position].batch)
            position += 1

    def _play_fresh(self, order: np.random.Generator | None) -> Iterator[Any]:
        """A pass that nobody plays again. order: draws the order of the batches; None leaves them as they come."""
        before = None if order is None else StreamStates(self._streams)
        current = self._open()
        if current.started.before is not None and getattr(self._loader, "persistent_workers", False):
            self._starts[current.number] = current.started.before
        if order is None or before is None:
            while self._draw(current, keep=False):
                yield current.draws.pop().batch
            return
        while self._draw(current):
            pass
        before.restore()
        for index in order.permutation(len(current.draws)):
            yield current.draws[index].batch

    def forget_before(self, epoch: int) -> None:
        if isinstance(self._loader, Iterator):
            return  # it cannot be drawn again, and a policy may go back
        for old in [key for key in self._passes if key[0] < epoch]:
            forgotten = self._passes.pop(old)
            if forgotten.started.before is not None and getattr(self._loader, "persistent_workers", False):
                self._starts[forgotten.number] = forgotten.started.before

    def export(self) -> dict[str, Any]:
        """The recipe by which another process draws the same batches, as plain values."""
        changed = Changes(self._streams).of

        passes = []
        for key, one in self._passes.items():
            # as the log has it, which an interrupt may have left one behind
            logged = sum(count for number, count in self._log if number == one.number)
            draws = [*one.draws, *([one.ended] if one.source is None else [])][:logged]
            passes.append(
                {
                    "key": key,
                    "number": one.number,
                    "start": changed(one.started.before),
                    "draws": [changed(draw.before) for draw in draws],
                    "ended": len(draws) > len(one.draws),
                }
            )
        return {
            "log": [list(entry) for entry in self._log],
            "passes": passes,
            "starts": {number: changed(states) for number, states in self._starts.items()},
            "epoch": None if self._epoch is None else astuple(self._epoch),
        }

    def _draw_again(self, recipe: Mapping[str, Any]) -> None:
        here = StreamStates(self._streams)
        states = Changes(self._streams).read
        kept = {
            p["number"]: (p, states(p["start"]), [states(d) for d in p["draws"]]) for p in recipe["passes"]
        }
        self._starts = {n: s for n, changed in recipe["starts"].items() if (s := states(changed)) is not None}
        self._epoch = None if recipe["epoch"] is None else Epoch(*recipe["epoch"])
        begun: dict[int, _Pass] = {}
        for number, draws in recipe["log"]:
            saved, start, befores = kept.get(number, (None, self._starts.get(number), []))
            if number not in begun:
                restore(start)
                if saved is not None:
                    tell_epoch(self._loader, saved["key"][0])
                begun[number] = self._open()
                if saved is not None:
                    self._passes[tuple(saved["key"])] = begun[number]
            current = begun[number]
            for _ in range(draws):
                if saved is not None:
                    restore(befores[len(current.draws)])
                self._draw(current, keep=saved is not None)
                if saved is None:
                    current.draws.clear()
        here.restore()
        for saved, _, befores in kept.values():
            drawn = begun[saved["number"]]
            ended = drawn.source is None
            if len(drawn.draws) + ended != len(befores) or ended != saved["ended"]:
                raise NotRestorable(
                    f"the loader ({named(self._loader)}) gave {len(drawn.draws)} batches where it had given "
                    f"{len(befores) - saved['ended']} before: a run is gone on with over the same data"
                )

    def _open(self) -> "_Pass":
        before = StreamStates(self._streams)
        source = iter(self._loader)
        self._opened += 1
        started = StreamStates(self._streams)
        return _Pass(self._opened - 1, source, Draw(None, before, started), started)

    def _draw(self, current: "_Pass", *, keep: bool = True) -> bool:
        """The next batch of a pass, onto its end. keep: whether it stays there."""
        if current.source is None:
            current.ended.restore_if_moved()
            return False
        before = StreamStates(self._streams)
        if not self._log or self._log[-1][0] != current.number:
            self._log.append([current.number, 0])
        try:
            batch = next(current.source)
        except StopIteration:
            # a RandomSampler draws once more at its end
            current.ended = Draw(None, before, StreamStates(self._streams))
            current.source = None
            self._log[-1][1] += 1
            if not current.draws:
                self._drop(current)
            return False
        except BaseException:
            self._drop(current)  # a generator that has raised says afterwards that it has ended
            raise
        after = StreamStates(self._streams)
        # a copy of its own: a source may fill one buffer again and again, and a view holds all that it looks at
        current.draws.append(Draw(copied(batch), before, after))
        self._log[-1][1] += 1  # last, so that what it has is there
        if keep:
            current.count()
            self._refuse_too_much(current)
        return True

    def _refuse_too_much(self, current: "_Pass") -> None:
        """The limit is passed, or will be by far."""
        drawn, held = len(current.draws), sum(p.bytes for p in {*self._passes.values(), current})
        length = length_of(self._loader)
        expected = 0.0 if length is None else (current.bytes - current.start) / drawn * length
        if held <= self._limit and (drawn != FIRST or expected <= SURELY * self._limit):
            return
        if held > self._limit:
            how = f"{drawn:,} batches of it" + ("" if length else ", which has not come to an end,")
            how += f" fill {mib(held)}"
        else:
            how = f"its first {drawn} batches say that all {length:,} of them would fill {mib(expected)}"
        self._drop(current)
        raise NotRestorable(
            f"the batches of a loader whose order cannot be restored ({named(self._loader)}) are kept for an epoch: "
            f"{how}, more than the {mib(self._limit)} allowed. Use a map-style dataset without persistent "
            "workers, make the epochs shorter (a function of yours that gives itertools.islice(source, 1000)), count "
            "in steps (steps=3000, every=250), or raise tape_bytes"
        )

    def _drop(self, current: "_Pass") -> None:
        """A pass that failed, or gave nothing, is no pass: the next run draws it anew, and another process too."""
        if not isinstance(self._loader, Iterator):
            self._passes = {key: one for key, one in self._passes.items() if one is not current}


class _Pass:
    """One pass over a loader: its start, what has been drawn, its end, and the iterator until it is exhausted.

    number: counts the passes over the loader from 0. last: how the streams stood after the last draw that moved one.
    bytes: what all of that takes, the start alone included.
    """

    def __init__(self, number: int, source: Iterator[Any], started: Draw, last: StreamStates) -> None:
        self.number = number
        self.last: StreamStates | None = last
        self.source: Iterator[Any] | None = source
        self.started = started
        self.ended = Draw(None, last, last)
        self.draws: list[Draw] = []
        self.start = self.bytes = bytes_of(last.parts())

    def count(self) -> None:
        """Take the last draw into account: its batch, and of the streams' states what no earlier draw holds."""
        size, self.last = self.draws[-1].count(self.last)
        self.bytes += size
