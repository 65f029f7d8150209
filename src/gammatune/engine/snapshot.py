"""Capture and restore everything a training depends on.

The one list of what a fork copies:

    modules      parameters, buffers (non-persistent ones too), gradients, requires_grad, children, extra
                 state, and every number held as an attribute: train/eval mode, a user's own counters; of
                 home-made modules also tensors, arrays and containers of numbers
    optimizers   state, parameter groups, parameters no module holds, attributes (an optimizer's own
                 train/eval mode), an inner optimizer
    extras       whatever has state_dict/load_state_dict: LR schedulers, GradScaler, EMA, samplers, ...
    streams      Python, NumPy, torch CPU and CUDA, every Generator handed in or found in a loader

Tensors are put back in place: the captured object is linked again to where it stood, over the storage it had,
and its numbers are copied into it. Nothing is deep-copied but what is small and not a tensor. Compiled steps
and CUDA graphs that hold on to the tensors stay valid.
"""

import copy
import operator
from collections import deque
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.optim import Optimizer

from gammatune.engine.streams import Stream, StreamStates
from gammatune.errors import NotRestorable

T = TypeVar("T")
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
            return tensor.clone()  # sparse: see `_fresh`
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
        self._states: list[_ModuleState | _OptimizerState | _Parameters] = []
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
        found = _Found()
        states: list[_ModuleState | _OptimizerState | _Parameters] = []
        for module in found.new(m for root in modules for m in root.modules()):
            states.append(_ModuleState(module, tensors, found))
        optimizers = list(optimizers)
        for optimizer in found.new(optimizers):
            states.append(_OptimizerState(optimizer, tensors, found))
        # a wrapping optimizer (SAM, Lookahead) holds others, and an optimizer may train what no module holds
        states += [_OptimizerState(inner, tensors, found) for inner in found.new(found.optimizers)]
        loose = [p for o in optimizers for group in o.param_groups for p in group["params"]]
        states.append(_Parameters([p for p in loose if id(p) not in found.parameters], tensors))
        extra_states = [(extra, copy.deepcopy(extra.state_dict())) for extra in extras]
        stream_states = StreamStates([*streams, *found.streams], cuda=True)
        tensors.copy()
        self._states, self._extras, self._streams = states, extra_states, stream_states

    def add_stream(self, stream: Stream) -> None:
        """A stream first met after this fork was captured, and not drawn from in between."""
        self._streams.add(stream)

    def restore(self) -> None:
        for state in self._states:
            state.link()
        self._tensors.put_back()
        for extra, state_dict in self._extras:
            extra.load_state_dict(copy.deepcopy(state_dict))
        self._streams.restore()

    @property
    def bytes(self) -> int:
        """Memory held by the copies of tensors."""
        return self._tensors.bytes


class _Found:
    """What a walk over modules and optimizers has come across."""

    def __init__(self) -> None:
        self.parameters: set[int] = set()
        self.streams: list[Stream] = []
        self.optimizers: list[Optimizer] = []
        self._seen: set[int] = set()

    def new(self, things: Iterable[T]) -> list[T]:
        """Those not handed out before."""
        fresh = []
        for thing in things:
            if id(thing) not in self._seen:
                self._seen.add(id(thing))
                fresh.append(thing)
        return fresh


class _Parameters:
    """Parameters: their numbers, whether they are trained, the gradients they hold."""

    def __init__(self, parameters: Iterable[Tensor | None], tensors: Tensors) -> None:
        self._kept: list[tuple[Tensor, bool, Tensor | None]] = []
        for parameter in parameters:
            if isinstance(parameter, UninitializedParameter):
                raise NotRestorable(
                    "a parameter has no shape yet; run one batch through the model before the tuner starts"
                )
            if parameter is not None:
                tensors.add(parameter)
                gradient = None if parameter.grad is None else tensors.add(parameter.grad)
                self._kept.append((parameter, parameter.requires_grad, gradient))

    def link(self) -> None:
        for parameter, requires_grad, gradient in self._kept:
            if parameter.requires_grad != requires_grad:
                parameter.requires_grad_(requires_grad)
            parameter.grad = None if gradient is None else _fresh(gradient)


class _ModuleState:
    """One module (children have their own): what its names are linked to, and its own attributes."""

    def __init__(self, module: nn.Module, tensors: Tensors, found: _Found) -> None:
        self._module = module
        self._links = dict(module._parameters)
        self._children = dict(module._modules)
        self._parameters = _Parameters(self._links.values(), tensors)
        found.parameters.update(map(id, self._links.values()))
        self._buffers = {
            name: buffer if buffer is None else tensors.add(buffer.clone() if _overlaps(buffer) else buffer)
            for name, buffer in module._buffers.items()
        }
        own = not type(module).__module__.startswith("torch.nn.modules")
        self._attributes = _Attributes(module, tensors, found, MODULE_INTERNALS, own=own)
        self._extra_state = (
            copy.deepcopy(module.get_extra_state())
            if type(module).get_extra_state is not nn.Module.get_extra_state
            else None
        )

    def link(self) -> None:
        module = self._module
        _refill(module._parameters, self._links)
        _refill(module._modules, self._children)
        _refill(module._buffers, {name: b if b is None else _fresh(b) for name, b in self._buffers.items()})
        self._parameters.link()
        self._attributes.restore()
        if self._extra_state is not None:
            module.set_extra_state(copy.deepcopy(self._extra_state))


class _OptimizerState:
    """One optimizer: parameter groups, state per parameter (any nesting), its own attributes."""

    def __init__(self, optimizer: Optimizer, tensors: Tensors, found: _Found) -> None:
        self._optimizer = optimizer
        self._groups = [
            (group, list(group["params"]), {k: _hold(v, tensors) for k, v in group.items() if k != "params"})
            for group in optimizer.param_groups
        ]
        self._state = {parameter: _hold(entry, tensors) for parameter, entry in optimizer.state.items()}
        self._attributes = _Attributes(optimizer, tensors, found, _optimizer_internals(), own=True)

    def link(self) -> None:
        optimizer = self._optimizer
        optimizer.param_groups[:] = [group for group, _, _ in self._groups]  # as added, or taken away, since
        for group, params, held in self._groups:
            group["params"][:] = params
            _refill(group, {"params": group["params"], **{k: _release(v) for k, v in held.items()}})
        for parameter in [p for p in optimizer.state if p not in self._state]:
            del optimizer.state[parameter]
        for parameter, entry in self._state.items():
            if isinstance(entry, dict):
                _refill(optimizer.state[parameter], _release(entry))
            else:
                optimizer.state[parameter] = _release(entry)
        self._attributes.restore()


class _Attributes:
    """What an object keeps in attributes that are not `internals`: numbers, names and switches; where they may be
    its author's `own`, also tensors, arrays of numbers, and containers of all these. Streams and optimizers met
    on the way are handed to `found`. Anything else is left alone: whoever changes it while training hands it in.
    """

    def __init__(
        self, owner: object, tensors: Tensors, found: _Found, internals: frozenset[str], *, own: bool
    ) -> None:
        attributes = vars(owner)
        self._owner = owner
        self._all = tuple(attributes)
        names = _not_internal(self._all, internals)
        self._plain = {name: attributes[name] for name in names if type(attributes[name]) in PLAIN}
        self._held: dict[str, tuple[Any, Any]] = {}  # name -> the object itself, and what it held
        if not own:
            return
        for name in names:
            value = attributes[name]
            if name in self._plain:
                continue
            if isinstance(value, Stream):
                found.streams.append(value)
            elif isinstance(value, Optimizer):
                found.optimizers.append(value)
            elif _holdable(value):
                self._held[name] = (value, _hold(value, tensors))

    def restore(self) -> None:
        attributes = vars(self._owner)
        if tuple(attributes) != self._all:
            known = set(self._all)
            for name in [n for n, value in attributes.items() if n not in known and _holdable(value)]:
                del attributes[name]
        attributes.update(self._plain)
        for name, (value, held) in self._held.items():
            released = _release(held)
            if isinstance(value, dict):  # the same container, since others may hold it too
                _refill(value, released)
                released = value
            elif isinstance(value, list):
                value[:] = released
                released = value
            attributes[name] = released


@lru_cache(maxsize=1024)
def _not_internal(names: tuple[str, ...], internals: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in internals)


# What every module, every optimizer has of its own; not the user's. The mode is.
MODULE_INTERNALS = frozenset(vars(nn.Module())) - {"training"}


@lru_cache(maxsize=1)
def _optimizer_internals() -> frozenset[str]:
    # Not at import: the first optimizer of a process makes torch load its compiler, a second or more.
    return frozenset(vars(torch.optim.SGD([torch.zeros(1)], lr=0.1)))


def _holdable(value: Any) -> bool:
    """Numbers, text, tensors, arrays, and containers of nothing else."""
    kind = type(value)
    if kind in PLAIN or isinstance(value, (Tensor, np.generic, np.ndarray)):
        return True
    if isinstance(value, dict):
        return all(type(key) in PLAIN and _holdable(item) for key, item in value.items())
    return kind in (list, tuple, set, frozenset, deque) and all(map(_holdable, value))


def _overlaps(tensor: Tensor) -> bool:
    """An expanded tensor, several of whose elements share one place: it cannot be copied into."""
    return tensor.layout == torch.strided and 0 in tensor.stride() and tensor.numel() > 1


def _fresh(tensor: Tensor) -> Tensor:
    """The tensor to link. A sparse one is not copied into place, so each restore links a copy of its own."""
    return tensor if tensor.layout == torch.strided else tensor.clone()


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
    if kind in PLAIN:
        return held
    if isinstance(held, Tensor):
        return _fresh(held)
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
