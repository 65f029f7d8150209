"""Feeds rollouts and course the same batches.

A loader whose order follows from random streams we restore (a `DataLoader` over a map-style dataset) is
simply iterated again after each restore. Anything else (an `IterableDataset`, persistent workers, a generator,
an unknown iterable) is drawn once onto a `Tape`, which feeds the first rollout as it is drawn and every later
one from memory.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from gammatune.cost import Meter
from gammatune.engine.forks.streams import Stream, StreamStates, same
from gammatune.engine.weight import bytes_of
from gammatune.errors import InvalidArgument, InvalidData, NotRestorable
from gammatune.seeds import stream

Loader: TypeAlias = Iterable[Any]
LoaderFactory: TypeAlias = Callable[[int], Loader]  # batch size -> loader
LossFunction: TypeAlias = Callable[[Any, Any], Tensor]  # (output, target) -> mean loss, a scalar
TAPE_BYTES = 2**30  # guess: what a workstation can spare
# Bytes that a tape holds of a batch beside its content and the streams' states, holes of the allocator included
# (measured: 2,300 a batch of one number, of which its tensor is counted with 512).
DRAW = 2048
SURELY, FIRST = 2, 8  # times the limit: a loader whose first batches say so is not drawn further (guesses)
DEPTH = 3  # how deep generators are looked for in a data set: set, transform, its parts (guess)
FAR = 10**6  # epochs; no course is as long
ENDLESS = 10**7  # batches of an epoch; guess: at 10 ms each more than a day
FEW = 64  # longer lists hold data, not parts (guess)


# Samplers that draw from torch's streams, or from the epoch they are told, and keep nothing from one to the next.
TRUSTED = (
    *(SequentialSampler, RandomSampler, SubsetRandomSampler, WeightedRandomSampler, BatchSampler),
    DistributedSampler,
)


def restorable(loader: Loader, trusted: Sequence[Any] = ()) -> bool:
    """Whether iterating again from restored random streams gives the same batches again.

    trusted: objects whose state is restored too (the user handed them in), so that a sampler of one's own
    among them is as good as torch's.
    """
    if not isinstance(loader, DataLoader):
        return isinstance(loader, (list, tuple))
    if isinstance(loader.dataset, IterableDataset) or loader.persistent_workers:
        return False
    return all(type(s) in TRUSTED or any(s is t for t in trusted) for s in _samplers(loader))


def _samplers(loader: DataLoader[Any]) -> list[Any]:
    samplers: list[Any] = [s for s in (loader.sampler, loader.batch_sampler) if s is not None]
    return samplers + [s.sampler for s in samplers if isinstance(s, BatchSampler)]


class Passes:
    """A function that gives the batches of a pass (a generator function as a rule), as a loader."""

    def __init__(self, function: Callable[[], Iterable[Any]]) -> None:
        self.function = function

    def __iter__(self) -> Iterator[Any]:
        given = self.function()
        refuse_no_loader(given, f"{named(self.function)}(), given to run.batches,")
        return iter(given)


def refuse_no_loader(given: Any, what: str) -> None:
    """Raises InvalidArgument at what gives no batches one after the other, or does so on terms of its own."""
    if getattr(given, "_is_accelerate_prepared", False) or type(given).__module__.startswith("accelerate."):
        raise InvalidArgument(
            f"{what} is a {type(given).__name__} that accelerate has prepared: it reads a batch ahead and counts for "
            "an accumulation of gradients, which a trial cannot take back. Give the loader as it was before prepare, "
            "and move each batch to the device in the loop"
        )
    if isinstance(given, type) or not (hasattr(given, "__iter__") or hasattr(given, "__getitem__")):
        got = given.__name__ if isinstance(given, type) else f"{type(given).__name__} ({given!r:.40})"
        raise InvalidArgument(
            f"{what} is a {got}, which has no batches to go through; give a DataLoader, a list or another iterable "
            "of batches, or a generator function"
        )


def refuse_endless(loader: Loader, batches: int | None) -> None:
    """Raises InvalidArgument where an epoch is longer than anybody trains."""
    if batches is not None and batches > ENDLESS:
        raise InvalidArgument(
            f"an epoch of the loader ({described(loader)}) has {batches:,} batches. Rollouts and course are measured "
            "in epochs: give a loader whose epoch is one (a sampler with a smaller num_samples), and their number as "
            "epochs="
        )


def streams_of(loader: Loader) -> list[Stream]:
    """The generators that a DataLoader, its samplers, data set (and what that wraps) and collate function hold."""
    if not isinstance(loader, DataLoader):
        return []
    found: dict[int, Stream] = {}
    queue = [(owner, 0) for owner in (loader, loader.dataset, loader.collate_fn, *_samplers(loader))]
    seen: set[int] = set()
    while queue:
        owner, depth = queue.pop()
        if id(owner) in seen or not hasattr(owner, "__dict__"):
            continue
        seen.add(id(owner))
        for value in vars(owner).values():
            if isinstance(value, Stream):
                found[id(value)] = value
            elif depth < DEPTH and isinstance(value, (list, tuple)) and len(value) <= FEW:
                queue += [(item, depth + 1) for item in value]
            elif depth < DEPTH and not isinstance(value, torch.nn.Module):
                queue.append((value, depth + 1))
    return list(found.values())


def named(loader: Any) -> str:
    """What a message calls a loader: its class, or the function that it is."""
    source = loader.function if isinstance(loader, Passes) else loader
    return str(getattr(source, "__qualname__", type(source).__name__))


def described(loader: Loader) -> str:
    """A loader in words, by which another process knows it again: "DataLoader of Digits, 1437 in batches of 32"."""
    if not isinstance(loader, DataLoader):
        return named(loader) if isinstance(loader, Passes) else type(loader).__name__
    data = loader.dataset
    size = "" if isinstance(data, IterableDataset) or not isinstance(data, Sized) else f", {len(data)}"
    batches = "" if loader.batch_size is None else f" in batches of {loader.batch_size}"
    return f"DataLoader of {type(data).__name__}{size}{batches}"


def examples_in(batch: Any) -> int:
    """The number of examples in a batch: the first dimension of the first array in it."""
    if type(batch) in (list, tuple) and batch and isinstance(batch[0], torch.Tensor) and batch[0].ndim:
        return batch[0].shape[0]  # nearly every batch, and this runs in every step
    if (size := _first_dimension(batch)) is None:
        raise InvalidArgument(
            f"cannot tell how many examples a batch of type {type(batch).__name__} holds; "
            "pass examples=function to run.batches(loader, examples=...)"
        )
    return size


def examples_in_call(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    """The number of examples in the arguments of a forward pass; 0 where that cannot be told."""
    return _first_dimension([*args, *kwargs.values()]) or 0


def _first_dimension(item: Any) -> int | None:
    shape = getattr(item, "shape", None)
    if shape is not None:
        return int(shape[0]) if len(shape) else 1
    if isinstance(item, Mapping):
        fields: Sequence[Any] = list(item.values())
    elif hasattr(item, "__dataclass_fields__"):
        fields = list(vars(item).values())
    elif isinstance(item, (list, tuple)):
        fields = item
    else:
        # graphs and ragged batches often carry their own length
        return len(item) if hasattr(item, "__len__") and not isinstance(item, (str, bytes)) else None
    # a field that is an array tells best; a field that is a list holds one thing an example
    for field in fields:
        if getattr(field, "shape", ()):
            return int(field.shape[0])
    for field in fields:
        if isinstance(field, (list, tuple)) and field:
            return len(field)
        if (size := _first_dimension(field)) is not None:
            return size
    if fields and all(isinstance(field, (str, bytes, int, float)) for field in fields):
        return len(fields)
    return None


def versions(batch: Any) -> list[int]:
    """How often each tensor of a batch has been written into."""
    if isinstance(batch, torch.Tensor):
        return [batch._version]
    children = (
        batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, (list, tuple)) else ()
    )
    return [version for child in children for version in versions(child)]


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over a loader: so many batches, of `size` items each but the last, `items` in all.

    An item is what the loader counts; size is None where items are the examples that are charged.
    """

    batches: int
    items: int
    size: int | None = None

    def first(self, batches: int) -> int:
        """The items in so many batches, of those that there are."""
        if batches >= self.batches:
            return self.items
        return batches * self.size if self.size is not None else round(self.items * batches / self.batches)

    def examples(self, batches: int, seen: int) -> int:
        """How many examples an epoch has, given that so many batches from its start on held `seen`.

        What a batch counts (`examples=`, or a collate function that cuts, pads or joins) need not be what the
        loader counts, and some loaders count nothing but batches.
        """
        if self.size is None or not batches:
            return self.items
        whole, rest = divmod(batches, self.batches)
        return round(seen * self.items / (whole * self.items + min(rest * self.size, self.items)))


def epoch_of(loader: Loader, examples: Callable[[Any], int]) -> Epoch:
    """One pass over a restorable loader."""
    if isinstance(loader, (list, tuple)):
        return Epoch(len(loader), sum(examples(batch) for batch in loader))
    assert isinstance(loader, DataLoader)
    batches = len(loader)
    inner = loader.sampler if loader.batch_sampler is None else loader.batch_sampler
    if type(inner) is BatchSampler and isinstance(inner.sampler, Sized):
        items = batches * inner.batch_size if inner.drop_last else len(inner.sampler)
        return Epoch(batches, items, inner.batch_size)
    return Epoch(batches, batches, 1)


def in_order(loader: Loader, order: int, epoch: int, nth: int) -> Iterator[Any]:
    """One pass over a restorable loader, the nth of an epoch; a list's in the order that belongs to `order`, where
    that is above 0, and to both. That of a `DataLoader` follows from its random streams, or from the epoch."""
    if order and isinstance(loader, (list, tuple)):
        permuted = stream(order, "list", epoch, nth).permutation(len(loader))
        return (loader[index] for index in permuted)
    tell_epoch(loader, epoch, order)
    return iter(loader)


def tell_epoch(loader: Loader, epoch: int, order: int = 0) -> None:
    """Tell samplers that draw their order from the epoch, such as `DistributedSampler`, which epoch of the course it
    is. order: above 0 another order, the same on every rank."""
    for sampler in _samplers(loader) if isinstance(loader, DataLoader) else []:
        if callable(set_epoch := getattr(sampler, "set_epoch", None)):
            set_epoch(epoch + order * FAR)


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
            sizes = [examples(batch) for batch in self.play(epoch)]
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
                yield _copy(draws[index].batch)
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
            yield _copy(current.draws[position].batch)
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
        last: dict[str, Any] = {}

        def changed(states: StreamStates | None) -> dict[str, Any] | None:
            if states is None:
                return None
            now = states.export(self._streams)
            new = {
                name: state for name, state in now.items() if name not in last or not same(state, last[name])
            }
            last.update(new)
            return new  # most draws move one stream of several

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
        last: dict[str, Any] = {}

        def states(changed: Mapping[str, Any] | None) -> StreamStates | None:
            if changed is None:
                return None
            last.update(changed)
            return StreamStates.adopt(last, self._streams)

        kept = {
            p["number"]: (p, states(p["start"]), [states(d) for d in p["draws"]]) for p in recipe["passes"]
        }
        self._starts = {n: s for n, changed in recipe["starts"].items() if (s := states(changed)) is not None}
        self._epoch = None if recipe["epoch"] is None else Epoch(*recipe["epoch"])
        begun: dict[int, _Pass] = {}
        for number, draws in recipe["log"]:
            saved, start, befores = kept.get(number, (None, self._starts.get(number), []))
            if number not in begun:
                _restore(start)
                if saved is not None:
                    tell_epoch(self._loader, saved["key"][0])
                begun[number] = self._open()
                if saved is not None:
                    self._passes[tuple(saved["key"])] = begun[number]
            current = begun[number]
            for _ in range(draws):
                if saved is not None:
                    _restore(befores[len(current.draws)])
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
        return _Pass(self._opened - 1, source, _Draw(None, before, started), started)

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
            current.ended = _Draw(None, before, StreamStates(self._streams))
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
        current.draws.append(_Draw(_copy(batch), before, after))
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
            how += f" fill {_mib(held)}"
        else:
            how = f"its first {drawn} batches say that all {length:,} of them would fill {_mib(expected)}"
        self._drop(current)
        raise NotRestorable(
            f"the batches of a loader whose order cannot be restored ({named(self._loader)}) are kept for an epoch: "
            f"{how}, more than the {_mib(self._limit)} allowed. Use a map-style dataset without persistent "
            "workers, make the epochs shorter (a function of yours that gives itertools.islice(source, 1000)), or "
            "raise tape_bytes"
        )

    def _drop(self, current: "_Pass") -> None:
        """A pass that failed, or gave nothing, is no pass: the next run draws it anew, and another process too."""
        if not isinstance(self._loader, Iterator):
            self._passes = {key: one for key, one in self._passes.items() if one is not current}


class _Draw:
    """One thing drawn, how the random streams stood before it and where it left them (None: it moved none)."""

    __slots__ = ("batch", "before", "moved")

    def __init__(self, batch: Any, before: StreamStates, after: StreamStates) -> None:
        self.batch = batch
        moved = after != before
        self.before = before if moved else None
        self.moved = after if moved else None

    def restore_if_moved(self) -> None:
        _restore(self.moved)


class _Pass:
    """One pass over a loader: its start, what has been drawn, its end, and the iterator until it is exhausted.

    number: counts the passes over the loader from 0. last: how the streams stood after the last draw that moved one.
    bytes: what all of that takes, the start alone included.
    """

    def __init__(self, number: int, source: Iterator[Any], started: _Draw, last: StreamStates) -> None:
        self.number = number
        self.last = last
        self.source: Iterator[Any] | None = source
        self.started = started
        self.ended = _Draw(None, last, last)
        self.draws: list[_Draw] = []
        self.start = self.bytes = bytes_of(last.parts())

    def count(self) -> None:
        """Take the last draw into account: its batch, and of the streams' states what no earlier draw holds."""
        draw = self.draws[-1]
        self.bytes += DRAW + bytes_of(draw.batch)
        if draw.before is not None and draw.moved is not None:
            draw.before.share(self.last)
            draw.moved.share(draw.before)
            self.bytes += bytes_of([*_new(draw.before, self.last), *_new(draw.moved, draw.before)])
            self.last = draw.moved


def _restore(states: StreamStates | None) -> None:
    if states is not None:
        states.restore()


def _copy(item: Any) -> Any:
    if isinstance(item, torch.Tensor):
        return item.clone()
    if type(item) is dict:
        return {key: _copy(child) for key, child in item.items()}
    if type(item) in (list, tuple):
        return type(item)(_copy(child) for child in item)
    return copy.deepcopy(item)


def _new(states: StreamStates, earlier: StreamStates) -> list[Any]:
    """What is held of the states beside what is held of earlier ones."""
    return [part for part, known in zip(states.parts(), earlier.parts(), strict=True) if part is not known]


def length_of(loader: Any) -> int | None:
    """The batches of a pass, as far as the loader says."""
    try:
        if isinstance(loader, DataLoader) and isinstance(loader.dataset, IterableDataset):
            # not the loader's own word, after which it counts what it gives, and warns
            return -(-len(loader.dataset) // (loader.batch_size or 1))  # type: ignore[arg-type]
        return len(loader)
    except (TypeError, NotImplementedError, ValueError, OverflowError):
        return None


def _mib(size: float) -> str:
    return f"{size / 2**20:,.1f} MiB"


def drawn(loader: Iterable[Any], meter: Meter) -> Iterator[Any]:
    """Its batches. What it raises is nobody's but its own, and `meter.foreign` says so."""
    with of_the_loader(meter):
        yield from loader


@contextmanager
def of_the_loader(meter: Meter) -> Iterator[None]:
    """Within, nothing but a loader is at work."""
    try:
        yield
    except Exception as error:
        meter.foreign = error
        raise


def empty_loader(loader: Loader) -> InvalidData:
    return InvalidData(
        f"the loader ({named(loader)}) gave no batch: give it data, and check that batch_size with "
        "drop_last=True does not exceed the number of examples"
    )


def to_device(item: Any, device: torch.device) -> Any:
    """Tensors in lists, tuples, named tuples and mappings moved; anything else as it is."""
    if isinstance(item, Tensor):
        return item.to(device, non_blocking=True)
    if isinstance(item, Mapping):
        return {key: to_device(child, device) for key, child in item.items()}
    if isinstance(item, (list, tuple)):
        children = [to_device(child, device) for child in item]
        return type(item)(*children) if hasattr(item, "_fields") else type(item)(children)
    return item
