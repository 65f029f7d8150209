"""Feeds rollouts and course the same batches.

A loader whose order follows from random streams we restore (a `DataLoader` over a map-style dataset) is
simply iterated again after each restore. Anything else (an `IterableDataset`, persistent workers, a generator,
an unknown iterable) is drawn once onto a `Tape`, which feeds the first rollout as it is drawn and every later
one from memory (engine/recorded_loader.py).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

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
from gammatune.engine.forks.streams import Stream
from gammatune.engine.trainable import TAPE_BYTES as TAPE_BYTES
from gammatune.errors import InvalidArgument, InvalidData
from gammatune.seeds import stream

Loader: TypeAlias = Iterable[Any]
LoaderFactory: TypeAlias = Callable[[int], Loader]  # batch size -> loader
# (output, target) -> mean loss, a scalar; where examples have weights, (output, target, weight)
LossFunction: TypeAlias = Callable[..., Tensor]
# how deep generators are looked for in a data set: part, weights, set, transform, its parts (guess)
DEPTH = 4
FAR = 10**6  # epochs; no course is as long
ENDLESS = 10**7  # batches of an epoch; guess: at 10 ms each more than a day
SCORED = 10**6  # examples to score on at most, of a loader that does not say how many it has (guess)
FEW = 64  # longer lists hold data, not parts (guess)
LISTS = frozenset({list, tuple})


# Samplers that draw from torch's streams, or from the epoch they are told, and keep nothing from one to the next.
TRUSTED = (
    *(SequentialSampler, RandomSampler, SubsetRandomSampler, WeightedRandomSampler, BatchSampler),
    DistributedSampler,
)


class Wrapped:
    """A loader that gives what another one does, on terms of its own. inner: that one, whose order it has.
    trusted: samplers of it whose order follows from the epoch they are told. counts_passes: it counts its passes and
    a fork puts the count back, so that it need not be told the epoch of a pass that is drawn again. is_single: a
    second pass beside the one that is under way would change that one.
    """

    trusted: tuple[Any, ...] = ()
    counts_passes = False

    def __init__(self, inner: DataLoader[Any]) -> None:
        self.inner = inner
        self.persistent_workers = self.is_single = inner.persistent_workers

    def set_epoch(self, epoch: int) -> None:
        """See `tell_epoch`."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError


def _plain(loader: Loader) -> Loader:
    return loader.inner if isinstance(loader, Wrapped) else loader


def restorable(loader: Loader, trusted: Sequence[Any] = ()) -> bool:
    """Whether iterating again from restored random streams gives the same batches again.

    trusted: objects whose state is restored too (the user handed them in), so that a sampler of one's own
    among them is as good as torch's.
    """
    if isinstance(loader, Wrapped):
        return restorable(loader.inner, (*trusted, *loader.trusted))
    if not isinstance(loader, DataLoader):
        return isinstance(loader, (list, tuple))
    if isinstance(loader.dataset, IterableDataset) or loader.persistent_workers:
        return False
    return all(type(s) in TRUSTED or any(s is t for t in trusted) for s in samplers_of(loader))


def samplers_of(loader: DataLoader[Any]) -> list[Any]:
    """What it draws its order from, and what that draws from."""
    found: list[Any] = []
    sampler: Any = loader.sampler if loader.batch_sampler is None else loader.batch_sampler
    while sampler is not None:
        found.append(sampler)
        # accelerate's shares one out
        inner = getattr(sampler, "sampler", getattr(sampler, "batch_sampler", None))
        sampler = inner if isinstance(sampler, BatchSampler) else None
    return found


def is_shuffled(loader: Loader) -> bool:
    """Whether a pass over a restorable loader has another order where the random streams stand otherwise."""
    loader = _plain(loader)
    samplers = samplers_of(loader) if isinstance(loader, DataLoader) else []
    return bool(samplers) and not any(isinstance(sampler, SequentialSampler) for sampler in samplers)


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
            "epochs=; or count in steps (steps=3000, every=250)"
        )


def is_single(loader: Loader) -> bool:
    """Whether a second pass over it, beside the one that is under way, would end or change that one."""
    if isinstance(loader, Wrapped):
        return loader.is_single
    return bool(getattr(loader, "persistent_workers", False))


def streams_of(loader: Loader) -> list[Stream]:
    """The generators that a DataLoader, its samplers, data set (and what that wraps) and collate function hold."""
    loader = _plain(loader)
    if not isinstance(loader, DataLoader):
        return []
    found: dict[int, Stream] = {}
    queue = [(owner, 0) for owner in (loader, loader.dataset, loader.collate_fn, *samplers_of(loader))]
    seen: dict[int, int] = {}  # how deep: a set is met in its sampler too, a step deeper than in its loader
    while queue:
        owner, depth = queue.pop()
        if seen.get(id(owner), DEPTH + 1) <= depth or not hasattr(owner, "__dict__"):
            continue
        seen[id(owner)] = depth
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
    source = loader.function if isinstance(loader, Passes) else _plain(loader)
    return str(getattr(source, "__qualname__", type(source).__name__))


def described(loader: Loader) -> str:
    """A loader in words, by which another process knows it again: "DataLoader of Digits, 1437 in batches of 32"."""
    loader = _plain(loader)
    if not isinstance(loader, DataLoader):
        return named(loader) if isinstance(loader, Passes) else type(loader).__name__
    data = loader.dataset
    size = "" if isinstance(data, IterableDataset) or not isinstance(data, Sized) else f", {len(data)}"
    batches = "" if loader.batch_size is None else f" in batches of {loader.batch_size}"
    return f"DataLoader of {type(data).__name__}{size}{batches}"


def examples_in(batch: Any) -> int:
    """The number of examples in a batch: the first dimension of the first array in it."""
    if type(batch) in LISTS and batch and type(first := batch[0]) is Tensor and (shape := first.shape):
        return shape[0]  # nearly every batch, and this runs in every step
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
    loader = _plain(loader)
    if isinstance(loader, (list, tuple)):
        return Epoch(len(loader), sum(map(examples, loader)))
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
    if order or not (isinstance(loader, Wrapped) and loader.counts_passes):
        tell_epoch(loader, epoch, order)
    return iter(loader)


def tell_epoch(loader: Loader, epoch: int, order: int = 0) -> None:
    """Tell samplers that draw their order from the epoch, such as `DistributedSampler`, which epoch of the course it
    is. order: above 0 another order, the same on every rank."""
    told = [loader, *samplers_of(loader)] if isinstance(loader, DataLoader) else [loader]
    for sampler in told:
        if callable(set_epoch := getattr(sampler, "set_epoch", None)):
            set_epoch(epoch + order * FAR)


@contextmanager
def epochs_told(loader: Any) -> Iterator[None]:
    """Samplers that are told the epoch stand afterwards in the one they stood in."""
    samplers = samplers_of(loader) if isinstance(loader, DataLoader) else []
    told = [
        each for each in samplers if callable(getattr(each, "set_epoch", None)) and hasattr(each, "epoch")
    ]
    before = [each.epoch for each in told]
    try:
        yield
    finally:
        for sampler, epoch in zip(told, before, strict=True):
            sampler.set_epoch(epoch)


def length_of(loader: Any) -> int | None:
    """The batches of a pass, as far as the loader says."""
    loader = _plain(loader)
    try:
        if isinstance(loader, DataLoader) and isinstance(loader.dataset, IterableDataset):
            # not the loader's own word, after which it counts what it gives, and warns
            return -(-len(loader.dataset) // (loader.batch_size or 1))  # type: ignore[arg-type]
        return len(loader)
    except (TypeError, NotImplementedError, ValueError, OverflowError):
        return None


def drawn(loader: Iterable[Any], meter: Meter) -> Iterator[Any]:
    """Its batches, to its end. What it raises is nobody's but its own, and `meter.foreign` says so."""
    with of_the_loader(meter):
        yield from to_its_end(loader)


def to_its_end(loader: Iterable[Any]) -> Iterator[Any]:
    """The batches of a loader that is scored on. Raises InvalidArgument where it seems to have no end."""
    known = length_of(loader)
    most = ENDLESS
    if known is None:
        most = SCORED // max(10, getattr(loader, "batch_size", None) or 0)  # of smaller batches as many
    if known is None or known <= most:
        for number, batch in enumerate(loader):
            if number == most and known is None:
                break
            yield batch
        else:
            return
    raise InvalidArgument(
        f"the examples to select by or to report on ({described(loader)}) do not end within {most:,} batches, and "
        "are scored as a whole; give some of them, such as list(itertools.islice(loader, 100))"
    )


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
