"""Capture and restore everything a training depends on.

The one list of what a fork copies:

    modules      parameters, buffers (non-persistent ones too), gradients, requires_grad, extra state, and
                 every plain number held as an attribute: train/eval mode, a user's own counters
    optimizers   state, parameter groups, and plain attributes (an optimizer's own train/eval mode)
    extras       whatever has state_dict/load_state_dict: LR schedulers, GradScaler, EMA, samplers, ...
    streams      Python, NumPy, torch CPU and CUDA, every Generator handed in or found in a loader

Tensors are put back in place: the captured object is linked again to where it stood, over the storage it had,
and its numbers are copied into it. Nothing is deep-copied but what is small and not a tensor. Compiled steps
and CUDA graphs that hold on to the tensors stay valid.
"""

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.optim import Optimizer

from gammatune.engine.streams import Stream, StreamStates
from gammatune.errors import NotRestorable

PLAIN = (bool, int, float, str, type(None))


class Tensors:
    """The tensors of one fork: where each stood, which storage it had, and a copy of its numbers."""

    def __init__(self) -> None:
        self._live: list[Tensor] = []  # the objects themselves
        self._storage: list[Tensor] = []  # an alias of each over the storage it had when captured
        self._copies: list[Tensor] = []
        self._index: dict[int, int] = {}  # id -> position; tied tensors are kept once

    def begin(self) -> None:
        self._live, self._storage, self._index = [], [], {}

    def add(self, tensor: Tensor) -> Tensor:
        """Register a tensor; what is returned is to be linked where it stood."""
        if tensor.layout != torch.strided:
            return tensor.clone()  # a sparse gradient: made anew by every backward pass, never written into
        if id(tensor) not in self._index:
            self._index[id(tensor)] = len(self._live)
            self._live.append(tensor)
            self._storage.append(tensor.detach())
        return tensor

    def copy(self) -> None:
        """Copy the numbers out, into the buffers of the fork before this one where they fit."""
        with torch.no_grad():
            self._copies = [
                old if _alike(old, new) else torch.empty_like(new)
                for old, new in zip(self._copies, self._storage, strict=False)
            ] + [torch.empty_like(new) for new in self._storage[len(self._copies) :]]
            _copy(self._copies, self._storage)

    def put_back(self) -> None:
        with torch.no_grad():
            for tensor, storage in zip(self._live, self._storage, strict=True):
                if tensor.data_ptr() != storage.data_ptr():  # someone exchanged the storage under it
                    tensor.data = storage
            _copy(self._storage, self._copies)

    @property
    def bytes(self) -> int:
        return sum(t.element_size() * t.numel() for t in self._copies)


def _alike(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.device == b.device and a.stride() == b.stride()


def _copy(into: list[Tensor], out_of: list[Tensor]) -> None:
    if into:
        torch._foreach_copy_(into, out_of)  # one call for all: a small net has many small tensors


class Snapshot:
    """One fork of a training. Capturing again reuses its buffers."""

    def __init__(self) -> None:
        self._tensors = Tensors()
        self._modules: list[_ModuleState] = []
        self._optimizers: list[_OptimizerState] = []
        self._extras: list[tuple[Any, Any]] = []
        self._streams = StreamStates([])

    def capture(
        self,
        modules: Iterable[nn.Module],
        optimizers: Iterable[Optimizer],
        extras: Iterable[Any],
        streams: Iterable[Stream],
    ) -> None:
        tensors = self._tensors
        tensors.begin()
        seen: set[int] = set()
        self._modules = []
        for root in modules:
            for module in root.modules():
                if id(module) not in seen:
                    seen.add(id(module))
                    self._modules.append(_ModuleState(module, tensors))
        self._optimizers = [_OptimizerState(optimizer, tensors) for optimizer in optimizers]
        self._extras = [(extra, copy.deepcopy(extra.state_dict())) for extra in extras]
        self._streams = StreamStates(streams, cuda=True)
        tensors.copy()

    def add_stream(self, stream: Stream) -> None:
        """A stream first met after this fork was captured, and not drawn from in between."""
        self._streams.add(stream)

    def restore(self) -> None:
        for module in self._modules:
            module.link()
        for optimizer in self._optimizers:
            optimizer.link()
        self._tensors.put_back()
        for extra, state in self._extras:
            extra.load_state_dict(copy.deepcopy(state))
        self._streams.restore()

    @property
    def bytes(self) -> int:
        """Memory held by the copies of tensors."""
        return self._tensors.bytes


class _ModuleState:
    """One module (children have their own): links from names to tensors, gradients, plain attributes."""

    def __init__(self, module: nn.Module, tensors: Tensors) -> None:
        self._module = module
        self._parameters = dict(module._parameters)
        self._buffers = dict(module._buffers)
        self._gradients: list[tuple[nn.Parameter, bool, Tensor | None]] = []
        for parameter in self._parameters.values():
            if isinstance(parameter, UninitializedParameter):
                raise NotRestorable(
                    f"a parameter of {type(module).__name__} has no shape yet; "
                    "run one batch through the model before the tuner starts"
                )
            if parameter is not None:
                tensors.add(parameter)
                gradient = None if parameter.grad is None else tensors.add(parameter.grad)
                self._gradients.append((parameter, parameter.requires_grad, gradient))
        for buffer in self._buffers.values():
            if buffer is not None:
                tensors.add(buffer)
        self._plain = _plain_attributes(module)
        self._extra_state = (
            copy.deepcopy(module.get_extra_state())
            if type(module).get_extra_state is not nn.Module.get_extra_state
            else None
        )

    def link(self) -> None:
        module = self._module
        _refill(module._parameters, self._parameters)
        _refill(module._buffers, self._buffers)
        for parameter, requires_grad, gradient in self._gradients:
            if parameter.requires_grad != requires_grad:
                parameter.requires_grad_(requires_grad)
            parameter.grad = gradient
        _restore_plain_attributes(module, self._plain)
        if self._extra_state is not None:
            module.set_extra_state(copy.deepcopy(self._extra_state))


class _OptimizerState:
    """One optimizer: parameter groups, state per parameter (any nesting), plain attributes."""

    def __init__(self, optimizer: Optimizer, tensors: Tensors) -> None:
        self._optimizer = optimizer
        self._groups = [
            {key: _hold(value, tensors) for key, value in group.items() if key != "params"}
            for group in optimizer.param_groups
        ]
        self._params = [list(group["params"]) for group in optimizer.param_groups]
        self._state = {parameter: _hold(entry, tensors) for parameter, entry in optimizer.state.items()}
        self._plain = _plain_attributes(optimizer)

    def link(self) -> None:
        optimizer = self._optimizer
        del optimizer.param_groups[len(self._groups) :]
        for group, saved, params in zip(optimizer.param_groups, self._groups, self._params, strict=True):
            group["params"][:] = params
            _refill(group, {"params": group["params"], **{k: _release(v) for k, v in saved.items()}})
        for parameter in list(optimizer.state):
            if parameter not in self._state:
                del optimizer.state[parameter]
        for parameter, entry in self._state.items():
            if isinstance(entry, dict):
                _refill(optimizer.state[parameter], _release(entry))
            else:
                optimizer.state[parameter] = _release(entry)
        _restore_plain_attributes(optimizer, self._plain)


def _hold(value: Any, tensors: Tensors) -> Any:
    """A value to come back to: containers rebuilt, tensors registered, anything else copied."""
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, Tensor):
        return tensors.add(value)
    if isinstance(value, dict):
        return {key: _hold(item, tensors) for key, item in value.items()}
    if isinstance(value, list):
        return [_hold(item, tensors) for item in value]
    if type(value) is tuple:
        return tuple(_hold(item, tensors) for item in value)
    return copy.deepcopy(value)


def _release(held: Any) -> Any:
    """What `_hold` kept, with fresh containers, so that the next steps do not write into the fork."""
    if isinstance(held, (*PLAIN, Tensor)):
        return held
    if isinstance(held, dict):
        return {key: _release(item) for key, item in held.items()}
    if isinstance(held, list):
        return [_release(item) for item in held]
    if type(held) is tuple:
        return tuple(_release(item) for item in held)
    return copy.deepcopy(held)


def _refill(live: dict[Any, Any], saved: dict[Any, Any]) -> None:
    """Make a dictionary equal to `saved` without replacing it."""
    for key in [key for key in live if key not in saved]:
        del live[key]
    live.update(saved)


def _plain_attributes(thing: object) -> dict[str, Any]:
    return {name: value for name, value in vars(thing).items() if isinstance(value, PLAIN)}


def _restore_plain_attributes(thing: object, saved: dict[str, Any]) -> None:
    attributes = vars(thing)
    for name in [n for n, value in attributes.items() if isinstance(value, PLAIN) and n not in saved]:
        del attributes[name]
    attributes.update(saved)
