"""Feeds rollouts and course the same batches.

A loader whose order follows from random streams we restore (a `DataLoader` over a map-style dataset) is
simply iterated again after each restore. Anything else (an `IterableDataset`, persistent workers, a generator,
an unknown iterable) is drawn once onto a `Tape`, which feeds the first rollout as it is drawn and every later
one from memory.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from gammatune.engine.streams import Stream, StreamStates
from gammatune.errors import InvalidArgument, InvalidData, NotRestorable
from gammatune.seeds import stream

Loader: TypeAlias = Iterable[Any]
LoaderFactory: TypeAlias = Callable[[int], Loader]  # batch size -> loader
TAPE_BYTES = 2**30  # guess: what a workstation can spare
DEPTH = 3  # how deep generators are looked for in a data set: set, transform, its parts (guess)
FEW = 64  # longer lists hold data, not parts (guess)


# Samplers that draw from torch's streams and keep nothing from one epoch to the next.
TRUSTED = (SequentialSampler, RandomSampler, SubsetRandomSampler, WeightedRandomSampler, BatchSampler)


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


def in_order(loader: Loader, order: int, *names: int) -> Iterator[Any]:
    """One pass over a restorable loader; a list's in the order that belongs to `order`, where that is above 0, and
    to `names`. That of a `DataLoader` follows from its random streams."""
    if order and isinstance(loader, (list, tuple)):
        permuted = stream(order, "list", *names).permutation(len(loader))
        return (loader[index] for index in permuted)
    return iter(loader)


class Tape:
    """The batches of a loader, drawn once.

    An epoch is one pass over the loader, or more where the loop body makes more. An iterator, which can be
    passed over only once, gives a single epoch. Epochs that became part of the course are dropped
    (`forget_before`). Drawing may move random streams (a `DataLoader` draws a seed when an epoch starts); a
    replay moves them to where the draw left them, so that rollouts and course see the same numbers.
    limit: bytes of tensors held at most.
    """

    def __init__(self, loader: Loader, limit: int = TAPE_BYTES) -> None:
        self._loader = loader
        self._streams = streams_of(loader)
        self._limit = limit
        self._passes: dict[tuple[int, int], _Pass] = {}
        self._epoch: Epoch | None = None

    def measure(self, epoch: int, examples: Callable[[Any], int]) -> Epoch:
        """The first pass of an epoch, drawn to its end; streams stay where they are. Done once: others are alike."""
        if self._epoch is None:
            before = StreamStates(self._streams)
            for _ in self.play(epoch):
                pass
            before.restore()
            batches = [draw.batch for draw in self._passes[epoch, 0].draws]
            self._epoch = Epoch(len(batches), sum(map(examples, batches)))
        return self._epoch

    def play(self, epoch: int, nth: int = 0, order: int = 0) -> Iterator[Any]:
        """The batches of the nth pass (from 0) of an epoch, from memory as far as they have been drawn.

        order: above 0 the same batches in another order, which belongs to the epoch and to `order`; the
        streams are then left alone.
        """
        key = epoch, nth
        if order:
            if key not in self._passes or self._passes[key].source is not None:
                before = StreamStates(self._streams)
                for _ in self.play(epoch, nth):
                    pass
                before.restore()
            draws = self._passes[key].draws
            for index in stream(order, "tape", epoch, nth).permutation(len(draws)):
                yield _clone(draws[index].batch)
            return
        if key not in self._passes:
            before = StreamStates(self._streams)
            source = iter(self._loader)
            self._passes[key] = _Pass(source, self._moved_from(before))
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
            yield _clone(current.draws[position].batch)
            position += 1

    def forget_before(self, epoch: int) -> None:
        if isinstance(self._loader, Iterator):
            return  # it cannot be drawn again, and a policy may go back
        for old in [key for key in self._passes if key[0] < epoch]:
            del self._passes[old]

    def _draw(self, current: "_Pass") -> bool:
        if current.source is None:
            current.ended.restore_if_moved()
            return False
        before = StreamStates(self._streams)
        try:
            batch = next(current.source)
        except StopIteration:
            current.source = None
            current.ended = _Draw(
                None, self._moved_from(before)
            )  # a RandomSampler draws once more at its end
            return False
        current.draws.append(_Draw(batch, self._moved_from(before)))
        current.bytes += _bytes(batch)
        held = sum(p.bytes for p in self._passes.values())
        if held > self._limit:
            raise NotRestorable(
                f"the batches of a loader whose order cannot be restored ({type(self._loader).__name__}) fill "
                f"{held / 2**20:.1f} MiB, more than the {self._limit / 2**20:.1f} MiB allowed. Use a map-style "
                "dataset without persistent workers, make the epochs shorter, or raise tape_bytes"
            )
        return True

    def _moved_from(self, before: StreamStates) -> StreamStates | None:
        after = StreamStates(self._streams)
        return None if after == before else after


class _Draw:
    """One thing drawn, and where the drawing left the random streams (None: where they were)."""

    def __init__(self, batch: Any, moved: StreamStates | None) -> None:
        self.batch = batch
        self._moved = moved

    def restore_if_moved(self) -> None:
        if self._moved is not None:
            self._moved.restore()


class _Pass:
    """One pass over a loader: its start, what has been drawn, its end, and the iterator until it is exhausted."""

    def __init__(self, source: Iterator[Any], moved: StreamStates | None) -> None:
        self.source: Iterator[Any] | None = source
        self.started = _Draw(None, moved)
        self.ended = _Draw(None, None)
        self.draws: list[_Draw] = []
        self.bytes = 0


def _clone(item: Any) -> Any:
    if isinstance(item, torch.Tensor):
        return item.clone()
    if type(item) is dict:
        return {key: _clone(child) for key, child in item.items()}
    if type(item) in (list, tuple):
        return type(item)(_clone(child) for child in item)
    return copy.deepcopy(item)


def _bytes(item: Any) -> int:
    if isinstance(item, torch.Tensor):
        return item.element_size() * item.numel()
    if isinstance(item, Mapping):
        return sum(_bytes(child) for child in item.values())
    if isinstance(item, (list, tuple)):
        return sum(_bytes(child) for child in item)
    return int(getattr(item, "nbytes", 0))


def empty_loader(loader: Loader) -> InvalidData:
    return InvalidData(
        f"the loader ({type(loader).__name__}) gave no batch: give it data, and check that batch_size with "
        "drop_last=True does not exceed the number of examples"
    )
