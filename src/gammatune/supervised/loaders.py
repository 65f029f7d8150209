"""Examples in every form `fit` takes them, made into sets and loaders."""

import math
import operator
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    random_split,
)

from gammatune.engine.batches import Loader
from gammatune.engine.ranks import SINGLE, Ranks
from gammatune.errors import InvalidArgument, InvalidData
from gammatune.seeds import stream
from gammatune.supervised.sample_weights import Weighted, attached, counting_alike

Examples: TypeAlias = Dataset[Any] | Loader | tuple[Any, Any]  # a set, a loader, or a pair of arrays
Collate: TypeAlias = Callable[[list[Any]], Any] | None

VALIDATION = 0.2  # of the training set, where no validation set is given; the thesis's share
FORWARD = 256  # examples of a set that are passed forward at once, at least (guess)


def as_set(given: Any, name: str, dtype: torch.dtype, weights: Any = None) -> Any:
    """A Dataset or a loader. A pair of arrays becomes a TensorDataset, as do several inputs and targets.

    dtype: what floats become, the model's own. Whole-number targets become int64, and (n, 1) of them (n,).
    weights: see `sample_weights.by_set`.
    """
    if (arrays := _arrays_in(given)) is not None:
        if weights is True and (len(given) > 2 or name == "train_set"):
            raise InvalidArgument(
                f"{name} is {len(given)} arrays, and sample_weight=True is for weights in the batches of a loader; "
                f"give (inputs, targets), and the weights as sample_weight={{{name!r}: weights}}"
            )
        *inputs, y = arrays
        xs = [_tensor(x, f"the inputs of {name}") for x in inputs]
        y = _tensor(y, f"the targets of {name}")
        for x in xs:
            if len(x) != len(y):
                raise InvalidData(
                    f"{name}: {len(x)} inputs and {len(y)} targets; give one target for each input"
                )
        given = TensorDataset(*xs, y)
    if type(given) is TensorDataset and len(given.tensors) > 1:
        held = weights_in(given, weighted=weights is True and arrays is None)
        own = () if held is None else (held,)
        *xs, y = given.tensors[: len(given.tensors) - len(own)]
        inputs = [x.to(dtype) if x.is_floating_point() else x for x in xs]
        given = TensorDataset(*inputs, _targets(y, dtype), *own)
    if count(given) == 0:
        raise InvalidData(f"{name} is empty: give at least one example")
    if name != "train_set" and not isinstance(given, Dataset) and hasattr(given, "__next__"):
        raise InvalidArgument(
            f"{name} is an iterator, which can be read only once; give a list or a DataLoader"
        )
    if not isinstance(given, Dataset) and not hasattr(given, "__iter__"):
        raise InvalidArgument(
            f"{name}={type(given).__name__}: give a torch Dataset, a DataLoader, or a pair of arrays (x, y)"
        )
    if isinstance(given, Mapping):
        raise InvalidArgument(
            f"{name} is a mapping of {', '.join(map(str, given))}: give a loader of such batches, or a set of such "
            "examples"
        )
    if weights is True and arrays is not None:
        return counting_alike(given)
    return given if weights is None or weights is True else attached(given, weights, name, dtype)


def _arrays_in(given: Any) -> list[Any] | None:
    """Inputs, one or more, and targets of (x, y), (a, b, y) or ((a, b), y); None of anything else."""
    if not isinstance(given, tuple) or len(given) < 2:
        return None
    if len(given) == 2 and isinstance(given[0], tuple):
        return [*given[0], given[1]] if _are_arrays([*given[0], given[1]]) else None
    return list(given) if len(given) == 2 or _are_arrays(given) else None


def _are_arrays(given: Sequence[Any]) -> bool:
    return all(hasattr(part, "shape") and not isinstance(part, Dataset) for part in given)


def _tensor(given: Any, what: str) -> Tensor:
    if not isinstance(given, Tensor):
        try:
            array = np.asarray(given)
        except ValueError as error:  # rows of different lengths
            raise InvalidData(f"{what} do not make an array ({error}); give them one shape") from error
        if array.dtype.kind not in "biufc":
            kind = "text" if array.dtype.kind in "US" else f"{array.dtype}"
            advice = (
                "encode labels as numbers first: labels, y = np.unique(y, return_inverse=True)"
                if "targets" in what
                else "give numbers"
            )
            raise InvalidData(f"{what} are {kind}, such as {array.ravel()[:1].tolist()}; {advice}")
        # torch takes neither negative strides nor another machine's byte order
        given = torch.as_tensor(np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C"))
    if given.ndim == 0:
        raise InvalidData(f"{what} are a single number; give an array, one row an example")
    return given  # type: ignore[no-any-return]


def _targets(y: Tensor, dtype: torch.dtype) -> Tensor:
    if y.is_floating_point() or y.is_complex():
        return y.to(dtype) if y.is_floating_point() else y
    # int64, since torch has few operations for unsigned numbers
    return y.long().squeeze(1) if y.ndim == 2 and y.shape[1] == 1 else y.long()


def hold_out(train_set: Any, seed: int, said: list[str]) -> tuple[Any, Any]:
    """`train_set` in two: to train on, and a fifth to select by."""
    n = count(train_set)
    if n is None:
        raise InvalidArgument(
            f"val_set= is needed to select by: a {type(train_set).__name__} cannot be split"
        )
    held = round(VALIDATION * n)
    if not 0 < held < n:
        raise InvalidData(f"{n} examples cannot be split into training and selection; give val_set=")
    generator = torch.Generator().manual_seed(int(stream(seed, "validation").integers(2**31)))
    rest, val = random_split(train_set, [n - held, held], generator=generator)
    said.append(f"{held} of the {n} training examples were kept aside to select by.")
    if isinstance(train_set, TensorDataset):  # as tensors, so that batches are still drawn in one piece
        return TensorDataset(*train_set[rest.indices]), TensorDataset(*train_set[val.indices])
    return rest, val


def training_loader(data: Any, size: int, collate: Collate, ranks: Ranks = SINGLE, seed: int = 0) -> Loader:
    """Batches of `size` in random order, without a last batch of one (see `leaves_one`).

    ranks: of a set each has a share, drawn anew every epoch; by the seed, and padded to be as large as the others'.
    """
    order: Sampler[int] | None = None
    if ranks.world > 1 and count(data) is not None:
        order = DistributedSampler(data, ranks.world, ranks.rank, seed=seed)
    drop_last = leaves_one(data, size, ranks.world)
    return _loader(data, size, collate, order, shuffle=True, drop_last=drop_last)


def forward_loader(data: Any, size: int, collate: Collate, ranks: Ranks = SINGLE) -> Loader:
    """All examples in their order, `size` or more at a time. ranks: of a set each has a share."""
    if ranks.world > 1 and count(data) is not None:
        data = _share(data, ranks)
    return _loader(data, max(size, FORWARD), collate, shuffle=False, drop_last=False)


def _share(data: Any, ranks: Ranks) -> Any:
    """Every `world`-th example: of all ranks together each once."""
    n = len(data)
    if n < ranks.world:
        raise InvalidData(
            f"{n} examples cannot be shared out among {ranks.world} processes; give more, or fewer processes"
        )
    if isinstance(data, TensorDataset):
        return TensorDataset(*(tensor[ranks.rank :: ranks.world] for tensor in data.tensors))
    return Subset(data, range(ranks.rank, n, ranks.world))


def _loader(
    data: Any,
    size: int,
    collate: Collate,
    order: Sampler[int] | None = None,
    *,
    shuffle: bool,
    drop_last: bool,
) -> Loader:
    if not isinstance(data, Dataset):
        return data  # type: ignore[no-any-return]  # a loader already
    if isinstance(data, TensorDataset) and collate is None:
        # one indexing operation a batch instead of one an example
        order = order or (RandomSampler(data) if shuffle else SequentialSampler(data))
        return DataLoader(data, sampler=BatchSampler(order, size, drop_last=drop_last), batch_size=None)
    if count(data) is None:
        return DataLoader(data, batch_size=size, collate_fn=collate)
    given: dict[str, Any] = {"shuffle": shuffle} if order is None else {"sampler": order}
    return DataLoader(data, batch_size=size, collate_fn=collate, drop_last=drop_last, **given)


def leaves_one(data: Any, size: int, world: int = 1) -> bool:
    """Whether the last batch would hold one example, which batch normalisation cannot train on. world: the processes
    that share the examples out, as `DistributedSampler` does."""
    n = count(data)
    own = None if n is None else math.ceil(n / world)
    return own is not None and own > size and own % size == 1


def count(data: Any) -> int | None:
    """How many examples a set holds; None for a loader, and for a set that is read from its start only."""
    if not isinstance(data, Dataset) or isinstance(data, IterableDataset) or not hasattr(data, "__len__"):
        return None
    return len(data)


def targets_in(data: Any, *, weighted: bool) -> Tensor | None:
    """All targets of a set of tensors; None of any other. weighted: behind them may lie the weights of examples."""
    if type(data) is not TensorDataset or len(data.tensors) < 2:
        return None
    return data.tensors[-1 if weights_in(data, weighted=weighted) is None else -2]


def weights_in(data: Any, *, weighted: bool) -> Tensor | None:
    """Those of the examples of a set of tensors, behind their targets; None where there are none."""
    return data.tensors[-1] if weighted and type(data) is TensorDataset and len(data.tensors) > 2 else None


def class_counts(
    data: Any, classes: int, *, weighted: bool, weighed: bool = False
) -> np.ndarray[Any, Any] | None:
    """How many targets each class has, (classes,), where that can be had without reading the examples, and where all
    are one of them; else None. weighted: examples may have weights. weighed: what they weigh together is told."""
    data = data if isinstance(data, Dataset) else getattr(data, "dataset", None)
    places: Any = None
    weights: Any = None
    while isinstance(data, (Subset, Weighted)):
        if isinstance(data, Weighted):
            weighted = False  # what lies in it is without
            weights = data.weights if places is None else data.weights[places]
        else:
            indices = torch.as_tensor(data.indices)
            places = indices if places is None else indices[places]
        data = data.dataset
    targets = targets_in(data, weighted=weighted)
    if (held := weights_in(data, weighted=weighted)) is not None:
        weights = held if places is None else held[places]
    if targets is None:  # as the sets of torchvision have them
        targets = getattr(data, "targets", None)
        if not isinstance(targets, (Tensor, list, np.ndarray)) or len(targets) != count(data):
            return None
    try:
        codes = torch.as_tensor(targets if places is None else torch.as_tensor(targets)[places]).flatten()
    except (ValueError, TypeError, RuntimeError):
        return None
    if codes.is_floating_point():  # labels of 0 and 1, as a binary cross entropy takes them
        codes = codes.round().long() if bool((codes == codes.round()).all()) else codes[:0].long()
    if not len(codes) or int(codes.min()) < 0 or int(codes.max()) >= classes:
        return None
    if weighed and weights is not None:
        return torch.bincount(codes, weights.double(), minlength=classes).numpy()
    return torch.bincount(codes, minlength=classes).numpy()


def digest(sets: Sequence[Any]) -> str | None:
    """A checksum of the tensors in some sets, to tell whether a run is gone on with on the same data; None where
    there are none to look at."""
    found = 0
    seen = False
    for held in sets:
        tensors = held.tensors if isinstance(held, TensorDataset) else ()
        tensors = (held.weights,) if isinstance(held, Weighted) else tensors
        for tensor in tensors:
            seen = True
            found = zlib.crc32(str((tensor.dtype, tuple(tensor.shape))).encode(), found)
            found = zlib.crc32(
                tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().data, found
            )
    return f"{found:08x}" if seen else None


def batch_size_for(train_set: Any, given: Any, said: list[str], world: int = 1) -> int:
    """The one given; else 32 for small sets, 64, then 128: some dozens of steps an epoch at least (guess). world: of
    processes that share it."""
    if given is not None:
        try:
            size = operator.index(given)  # NumPy's whole numbers too
        except TypeError:
            size = 0
        if size < 1 or isinstance(given, bool):
            raise InvalidArgument(f"batch_size={given!r}: give a whole number of 1 or more")
        return size
    n = count(train_set)
    size = 64 if n is None else 32 if n < 5_000 else 64 if n < 20_000 else 128
    size = max(1, size // world)
    if isinstance(train_set, Dataset):
        each = f" on each of {world} processes" if world > 1 else ""
        said.append(f"The batch size is {size}{each}, by the number of training examples.")
    return size
