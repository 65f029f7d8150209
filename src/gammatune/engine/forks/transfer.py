"""From the tensors of one process to those of another.

A fork knows a tensor by the object it is; another process has other objects. So a fork that is to leave its
process says of each place what numbers stood there, the same object where the same tensor stood at two places
(`Outbound`), and the other process finds for each of these the tensor that stands there now, or makes it
(`Inbound`). What must be known to make one travels in a table beside the numbers:

    numbers         the tensor itself, as a plain one
    device          where the tensor was
    requires_grad   whether it was a leaf that is trained
    storage         None, or of one that shares its storage with others: {number, length, offset, stride}
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from itertools import zip_longest
from typing import Any, TypeAlias

import torch
from torch import Tensor

from gammatune.errors import InvalidArgument

Entry: TypeAlias = dict[str, Any]  # a row of the table


class Outbound:
    """For every tensor of a fork, its numbers.

    captured: (the tensor, an alias over the storage it had, its numbers) of each.
    """

    def __init__(self, captured: Iterable[tuple[Tensor, Tensor, Tensor]]) -> None:
        self.table: list[Entry] = []
        self._numbers: dict[int, Tensor] = {}
        self._listed: set[int] = set()
        aliases: dict[int, Tensor] = {}
        for tensor, alias, numbers in captured:
            if id(tensor) not in self._numbers:
                self._numbers[id(tensor)] = numbers
                aliases[id(tensor)] = alias
        users = Counter(_storage_of(alias) for alias in aliases.values() if alias.numel())
        shared = {key: number for number, key in enumerate(k for k, count in users.items() if count > 1)}
        self._abouts: dict[int, Entry] = {}
        for identity, alias in aliases.items():
            number = shared.get(_storage_of(alias)) if alias.numel() else None
            storage = None
            if number is not None:
                length = alias.untyped_storage().nbytes() // alias.element_size()
                storage = {
                    "number": number,
                    "length": length,
                    "offset": alias.storage_offset(),
                    "stride": alias.stride(),
                }
            self._abouts[identity] = {"device": str(alias.device), "storage": storage}

    def __call__(self, tensor: Tensor) -> Tensor:
        numbers = self._numbers.get(id(tensor), tensor)  # a sparse one is its own copy
        if id(numbers) not in self._listed:
            self._listed.add(id(numbers))
            about = self._abouts.get(id(tensor), {"device": str(tensor.device), "storage": None})
            trained = tensor.requires_grad and tensor.is_leaf
            self.table.append({"numbers": numbers, "requires_grad": trained, **about})
        return numbers


class Inbound:
    """For all numbers of a fork from elsewhere, the tensor of this process that is to take them.

    pairs: what to copy in the end, as (tensor, numbers).
    """

    def __init__(self, table: Iterable[Entry]) -> None:
        self.pairs: list[tuple[Tensor, Tensor]] = []
        self._abouts = {id(entry["numbers"]): entry for entry in table}
        self._tensors: dict[int, Tensor] = {}  # by their numbers
        self._takers: dict[int, Tensor] = {}  # tensor -> numbers, the other way round
        self._names: dict[int, str] = {}  # of parameters
        self._devices: dict[str, torch.device] = {}  # there -> here
        self._bases: dict[
            int, tuple[Tensor, int]
        ] = {}  # shared storage -> a tensor over it, and its offset there
        self._claimed: dict[tuple[torch.device, int], int | None] = {}  # storage here -> number there

    def parameter(self, numbers: Tensor, live: Tensor, name: str) -> None:
        """The parameter that is to take these numbers. Raises InvalidArgument where it cannot be the same."""
        if numbers.shape != live.shape:
            there, here = _shape(numbers), _shape(live)
            raise unlike(f"the checkpoint has {name} of {there}, this model has {here}")
        if numbers.dtype != live.dtype:
            raise unlike(f"the checkpoint has {name} in {_dtype(numbers)}, this model in {_dtype(live)}")
        other = self._tensors.get(id(numbers))
        if other is not None and other is not live:
            raise unlike(
                f"{name} and {self._names[id(other)]} are one parameter in the checkpoint and two in this model"
            )
        if self._takers.get(id(live), numbers) is not numbers:
            raise unlike(
                f"{name} and {self._names[id(live)]} are two parameters in the checkpoint and one in this model"
            )
        self._names.setdefault(id(live), name)
        if other is None:
            self._devices.setdefault(self._about(numbers)["device"], live.device)
            self._bind(numbers, live)

    def is_for(self, numbers: Tensor, live: Tensor) -> bool:
        """Whether these numbers are this parameter's."""
        return self._tensors.get(id(numbers)) is live

    def name(self, live: Tensor | None) -> str:
        return self._names.get(id(live), "one of no module")

    def known(self, numbers: Tensor) -> Tensor | None:
        return self._tensors.get(id(numbers))

    def tensor(self, numbers: Tensor, like: Any, *, stays: bool = False) -> Tensor:
        """The tensor for these numbers: `like`, which stands at their place, where it will do, else a new one.

        stays: on the CPU, if it was there, whatever device the parameters are on now.
        """
        if id(numbers) in self._tensors:
            return self._tensors[id(numbers)]
        device = self._device(numbers, stays)
        if numbers.layout != torch.strided:
            return numbers.to(device, copy=True)
        if self._will_do(like, numbers, device):
            return self._bind(numbers, like)
        tensor = self._new(numbers, device)
        if self._about(numbers)["requires_grad"] and tensor.is_floating_point():
            tensor.requires_grad_()
        return self._bind(numbers, tensor)

    def held(self, value: Any, like: Any, *, stays: bool = False) -> Any:
        """The tensors in nested containers, those at the same places of `like` taken where they will do."""
        if isinstance(value, Tensor):
            return self.tensor(value, like, stays=stays)
        if type(value) is dict:
            there = like if isinstance(like, dict) else {}
            # an optimizer counts its steps on the CPU even where it works elsewhere
            return {k: self.held(v, there.get(k), stays=stays or k == "step") for k, v in value.items()}
        if type(value) in (list, tuple):
            others = like if isinstance(like, (list, tuple)) else ()
            pairs = list(zip_longest(value, others))[: len(value)]
            return type(value)([self.held(item, other, stays=stays) for item, other in pairs])
        return self.moved(value)

    def moved(self, value: Any) -> Any:
        """A tree with its tensors where they belong, none of them one that stands in this process."""
        return mapped(value, lambda tensor: tensor.to(self._device(tensor, stays=False), copy=True))

    def _about(self, numbers: Tensor) -> Entry:
        return self._abouts.get(id(numbers), {"device": "cpu", "requires_grad": False, "storage": None})

    def _device(self, numbers: Tensor, stays: bool) -> torch.device:
        there = self._about(numbers)["device"]
        if there == "cpu" and (stays or there not in self._devices):
            return torch.device("cpu")
        if there in self._devices:
            return self._devices[there]
        return torch.device(there) if torch.cuda.is_available() else torch.device("cpu")

    def _will_do(self, like: Any, numbers: Tensor, device: torch.device) -> bool:
        """Whether the tensor that stands there can take the numbers, and nothing else changes with it."""
        if not isinstance(like, Tensor) or like.layout != torch.strided or overlaps(like):
            return False
        if like.shape != numbers.shape or like.dtype != numbers.dtype or like.device != device:
            return False
        if id(like) in self._takers:
            return False
        storage = self._about(numbers)["storage"]
        claim = self._claimed.get(_storage_of(like), ()) if like.numel() else ()
        if storage is None:
            return claim == ()
        return claim in ((), storage["number"]) and self._fits(like, storage)

    def _fits(self, like: Tensor, storage: Entry) -> bool:
        """Whether it lies, beside the others over the same storage, as its numbers lay."""
        if storage["number"] not in self._bases:
            return True
        base, offset = self._bases[storage["number"]]
        shift = base.storage_offset() - offset
        return (
            _storage_of(base) == _storage_of(like)
            and like.storage_offset() == storage["offset"] + shift
            and like.stride() == tuple(storage["stride"])
        )

    def _new(self, numbers: Tensor, device: torch.device) -> Tensor:
        storage = self._about(numbers)["storage"]
        if storage is None:
            return torch.empty_like(numbers, device=device)
        stride = storage["stride"]
        base, offset = self._bases.get(storage["number"], (None, 0))
        if base is not None and base.dtype == numbers.dtype and base.device == device:
            start = base.storage_offset() - offset + storage["offset"]
            reach = start + 1 + sum((n - 1) * step for n, step in zip(numbers.shape, stride, strict=True))
            if start >= 0 and reach * base.element_size() <= base.untyped_storage().nbytes():
                return base.detach().as_strided(numbers.shape, stride, start)
        whole = torch.empty(storage["length"], dtype=numbers.dtype, device=device)
        return whole.as_strided(numbers.shape, stride, storage["offset"])

    def _bind(self, numbers: Tensor, tensor: Tensor) -> Tensor:
        self._tensors[id(numbers)] = tensor
        self._takers[id(tensor)] = numbers
        self.pairs.append((tensor, numbers))
        storage = self._about(numbers)["storage"]
        if tensor.numel():
            self._claimed.setdefault(_storage_of(tensor), None if storage is None else storage["number"])
        if storage is not None:
            self._bases.setdefault(storage["number"], (tensor, storage["offset"]))
        return tensor


def unlike(said: str) -> InvalidArgument:
    """Of a training that is not made as the one in the checkpoint was."""
    return InvalidArgument(f"{said}; build everything as it was when the run began, or begin another run")


def overlaps(tensor: Tensor) -> bool:
    """An expanded tensor, several of whose elements share one place: it cannot be copied into."""
    return tensor.layout == torch.strided and 0 in tensor.stride() and tensor.numel() > 1


def mapped(value: Any, change: Callable[[Tensor], Tensor], other: Callable[[Any], Any] = lambda v: v) -> Any:
    """A tree with every tensor in it changed, and by `other` what is neither a tensor nor a plain container."""
    if isinstance(value, Tensor):
        return change(value)
    if type(value) in (dict, OrderedDict):
        return type(value)((key, mapped(item, change, other)) for key, item in value.items())
    if type(value) in (list, tuple):
        return type(value)([mapped(item, change, other) for item in value])
    if type(value) is deque:
        return deque((mapped(item, change, other) for item in value), value.maxlen)
    return other(value)


def first_difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str | None:
    """The first name that only one of the two has."""
    return next((name for name in (*there, *here) if (name in there) != (name in here)), None)


def _storage_of(tensor: Tensor) -> tuple[torch.device, int]:
    return tensor.device, tensor.untyped_storage().data_ptr()


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a single number"


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
