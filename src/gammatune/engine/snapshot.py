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
import operator
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.optim import Optimizer

from gammatune.engine.streams import Stream, StreamStates
from gammatune.errors import NotRestorable

PLAIN = frozenset({bool, int, float, str, type(None)})


class Tensors:
    """The tensors of one fork: where each stood, which storage it had, and a copy of its numbers.

    A training that goes on in the same tensors, as nearly all do, is recognised, and costs one copying call.
    """

    def __init__(self) -> None:
        self._live: list[Tensor] = []  # the objects themselves, in the order they were added
        self._pointers: list[int] = []  # the storage each had when captured
        self._storage: list[Tensor] = []  # and an alias of each over it
        self._copies: list[Tensor] = []
        self._adding: list[Tensor] = []

    def begin(self) -> None:
        self._adding = []

    def add(self, tensor: Tensor) -> Tensor:
        """Register a tensor; what is returned is to be linked where it stood."""
        if tensor.layout != torch.strided:
            return tensor.clone()  # a sparse gradient: made anew by every backward pass, never written into
        self._adding.append(tensor)
        return tensor

    def copy(self) -> None:
        """Copy the numbers out, into the buffers of the fork before this one where they fit."""
        pointers = [tensor.data_ptr() for tensor in self._adding]
        known = len(pointers) == len(self._pointers) and all(map(operator.is_, self._adding, self._live))
        with torch.no_grad():
            if not known or pointers != self._pointers:
                self._live, self._pointers = self._adding, pointers
                self._storage = [tensor.detach() for tensor in self._live]
                old = dict(enumerate(self._copies))
                self._copies = [
                    old[k] if k in old and _alike(old[k], tensor) else torch.empty_like(tensor)
                    for k, tensor in enumerate(self._storage)
                ]
            _copy(self._copies, self._storage)

    def put_back(self) -> None:
        with torch.no_grad():
            for tensor, pointer, storage in zip(self._live, self._pointers, self._storage, strict=True):
                if tensor.data_ptr() != pointer:  # someone exchanged the storage under it
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
        self._plain = _PlainAttributes(module)
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
        self._plain.restore()
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
        self._plain = _PlainAttributes(optimizer)

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
        self._plain.restore()


def _hold(value: Any, tensors: Tensors) -> Any:
    """A value to come back to: containers rebuilt, tensors registered, anything else copied."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if isinstance(value, Tensor):
        return tensors.add(value)
    if isinstance(value, dict):
        return {key: _hold(item, tensors) for key, item in value.items()}
    if kind is list:
        return [_hold(item, tensors) for item in value]
    if kind is tuple:
        return tuple([_hold(item, tensors) for item in value])
    return copy.deepcopy(value)


def _release(held: Any) -> Any:
    """What `_hold` kept, with fresh containers, so that the next steps do not write into the fork."""
    kind = type(held)
    if kind in PLAIN or isinstance(held, Tensor):
        return held
    if kind is dict:
        return {key: _release(item) for key, item in held.items()}
    if kind is list:
        return [_release(item) for item in held]
    if kind is tuple:
        return tuple([_release(item) for item in held])
    return copy.deepcopy(held)


def _refill(live: dict[Any, Any], saved: dict[Any, Any]) -> None:
    """Make a dictionary equal to `saved` without replacing it."""
    if live.keys() != saved.keys():
        for key in [key for key in live if key not in saved]:
            del live[key]
    live.update(saved)


class _PlainAttributes:
    """The numbers, names and switches an object holds as attributes."""

    def __init__(self, owner: object) -> None:
        attributes = vars(owner)
        self._owner = owner
        self._all = tuple(attributes)
        self._plain = {name: value for name, value in attributes.items() if type(value) in PLAIN}

    def restore(self) -> None:
        attributes = vars(self._owner)
        if len(attributes) != len(self._all) or tuple(attributes) != self._all:
            known = set(self._all)
            for name in [n for n, value in attributes.items() if n not in known and type(value) in PLAIN]:
                del attributes[name]
        attributes.update(self._plain)
