"""The numbers of a fork: its tensors, and values that hold tensors, copied out and put back in place."""

import copy
import operator
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.parameter import UninitializedParameter

from gammatune.engine.forks.sharding import local
from gammatune.errors import NotRestorable

PLAIN = frozenset({bool, int, float, str, type(None)})


class Tensors:
    """The tensors of one fork: where each stood, which storage it had, and a copy of its numbers.

    A training that goes on in the same tensors, as nearly all do, is recognised, and costs one copying call.
    host: the copies are held in the CPU's memory, pinned where there is CUDA, wherever the tensors are.
    """

    def __init__(self, *, host: bool = False) -> None:
        self._host = host
        self._live: list[Tensor] = []  # the objects themselves, in the order they were added
        self._pointers: list[int] = []  # the storage each had when captured
        self._storage: list[Tensor] = []  # and an alias of each over it
        self._copies: list[Tensor] = []
        self._adding: list[Tensor] = []
        # a tied weight, or one that Keras keeps with layer and model, is copied once
        self._added: set[int] = set()
        self._without: Collection[int] = ()

    def begin(self, without: Collection[int] = ()) -> None:
        """without: ids of tensors that `needs` is to say no to."""
        self._adding = []
        self._added = set()
        self._without = without

    def needs(self, tensor: Tensor) -> bool:
        return id(tensor) not in self._without

    def add(self, tensor: Tensor) -> Tensor:
        """Register a tensor; what is returned is to be linked where it stood."""
        if tensor.layout != torch.strided:
            return tensor.clone()  # sparse: see `fresh`
        if id(tensor) not in self._added:
            self._added.add(id(tensor))
            self._adding.append(tensor)
        return tensor

    def copy(self) -> None:
        """Copy the numbers out, into the buffers of the fork before this one where they fit."""
        pointers = [local(tensor).data_ptr() for tensor in self._adding]
        known = len(pointers) == len(self._pointers) and all(map(operator.is_, self._adding, self._live))
        with torch.no_grad():
            if not known or pointers != self._pointers:
                self._live, self._pointers = self._adding, pointers
                self._storage = [local(tensor).detach() for tensor in self._live]
                self._make_room()
            self._copy_out()

    def _make_room(self) -> None:
        """Where to copy these tensors to."""
        old = dict(enumerate(self._copies))
        self._copies = [
            old[k] if k in old and self._fits(old[k], tensor) else self._room(tensor)
            for k, tensor in enumerate(self._storage)
        ]

    def _copy_out(self) -> None:
        _copy(self._copies, self._storage)
        if self._host:
            for device in {tensor.device for tensor in self._storage if tensor.is_cuda}:
                torch.cuda.synchronize(device)  # once for all that is on its way

    def _copy_back(self) -> None:
        _copy(self._storage, self._copies)

    def _room(self, tensor: Tensor) -> Tensor:
        if not self._host or tensor.is_cpu:
            return torch.empty_like(tensor)
        return torch.empty_like(tensor, device="cpu", pin_memory=torch.cuda.is_available())

    def _fits(self, copy: Tensor, tensor: Tensor) -> bool:
        device = torch.device("cpu") if self._host else tensor.device
        alike = copy.shape == tensor.shape and copy.dtype == tensor.dtype and copy.stride() == tensor.stride()
        return alike and copy.device == device

    def put_back(self) -> None:
        with torch.no_grad():
            for tensor, pointer, storage in zip(self._live, self._pointers, self._storage, strict=True):
                if (held := local(tensor)).data_ptr() != pointer:  # someone exchanged the storage under it
                    held.data = storage
            self._copy_back()

    def captured(self, *, stands: bool = False) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Of each tensor: itself, an alias over the storage it had, its numbers. stands: the training stands at this
        fork, so that the numbers are where they were, too."""
        return zip(self._live, self._storage, self._copies, strict=True)

    @classmethod
    def of(cls, pairs: Sequence[tuple[Tensor, Tensor]]) -> "Tensors":
        """Tensors, and the numbers that are to be put into them."""
        made = cls()
        made._live = [tensor for tensor, _ in pairs]
        made._pointers = [tensor.data_ptr() for tensor in made._live]
        made._storage = [tensor.detach() for tensor in made._live]
        made._copies = [numbers for _, numbers in pairs]
        return made

    @property
    def bytes(self) -> int:
        return sum(t.element_size() * t.numel() for t in self._copies)


def _copy(into: list[Tensor], out_of: list[Tensor]) -> None:
    if into:
        # one call for all, since a small net has many small tensors; whoever copies from a GPU waits himself
        torch._foreach_copy_(into, out_of, non_blocking=True)


def refuse_without_numbers(parameter: Tensor) -> None:
    """Raise NotRestorable for a parameter that is yet to be made."""
    if isinstance(parameter, UninitializedParameter):
        raise NotRestorable(
            "a parameter has no shape yet; run one batch through the model before the tuner starts"
        )
    if parameter.is_meta:
        raise NotRestorable(
            "a parameter is on the meta device, which keeps no numbers; materialise the model before the tuner "
            "starts: model.to_empty(device=...), then initialise or load its weights"
        )


def is_holdable(value: Any) -> bool:
    """Numbers, text, tensors, arrays, and containers of nothing else."""
    kind = type(value)
    if kind in PLAIN or isinstance(value, (Tensor, np.generic, np.ndarray)):
        return True
    if isinstance(value, dict):
        return all(type(key) in PLAIN and is_holdable(item) for key, item in value.items())
    return kind in (list, tuple, set, frozenset, deque) and all(map(is_holdable, value))


def fresh(tensor: Tensor) -> Tensor:
    """The tensor to link. A sparse one is not copied into place, so each restore links a copy of its own."""
    return tensor if tensor.layout == torch.strided else tensor.clone()


def hold(value: Any, tensors: Tensors) -> Any:
    """A value to come back to: containers rebuilt, tensors registered, anything else copied."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if isinstance(value, Tensor):
        return tensors.add(value)
    if isinstance(value, dict):
        return {key: hold(item, tensors) for key, item in value.items()}
    if kind is list:
        return [hold(item, tensors) for item in value]
    if kind is tuple:
        return tuple([hold(item, tensors) for item in value])
    return copy.deepcopy(value)


def release(held: Any) -> Any:
    """What `hold` kept, with fresh containers, so that the next steps do not write into the fork."""
    kind = type(held)
    if kind in PLAIN:
        return held
    if isinstance(held, Tensor):
        return fresh(held)
    if kind is dict:
        return {key: release(item) for key, item in held.items()}
    if kind is list:
        return [release(item) for item in held]
    if kind is tuple:
        return tuple([release(item) for item in held])
    return copy.deepcopy(held)


def refill(live: dict[Any, Any], saved: dict[Any, Any]) -> None:
    """Make a dictionary equal to `saved` without replacing it."""
    if live.keys() != saved.keys():
        for key in [key for key in live if key not in saved]:
            del live[key]
    live.update(saved)
