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

A fork can leave its process: `export` tells it as a tree (engine/forks/archive.py) in which nothing is named by what
object it is, `adopted` makes of such a tree a fork of the training that stands in this process, to be restored like
any.
"""

import copy
import operator
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.optim import Optimizer

from gammatune.engine.forks import archive
from gammatune.engine.forks.sharding import is_spread, local, settle
from gammatune.engine.forks.streams import Stream, StreamStates, kind_of
from gammatune.engine.forks.transfer import AS_IT_WAS, Inbound, Outbound, first_difference, mapped, overlaps
from gammatune.errors import InvalidArgument, NotRestorable

T = TypeVar("T")
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
        self._added: set[int] = (
            set()
        )  # a tied weight, or one that Keras keeps with layer and model, is copied once

    def begin(self) -> None:
        self._adding = []
        self._added = set()

    def add(self, tensor: Tensor) -> Tensor:
        """Register a tensor; what is returned is to be linked where it stood."""
        if tensor.layout != torch.strided:
            return tensor.clone()  # sparse: see `_fresh`
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
                old = dict(enumerate(self._copies))
                self._copies = [
                    old[k] if k in old and self._fits(old[k], tensor) else self._room(tensor)
                    for k, tensor in enumerate(self._storage)
                ]
            _copy(self._copies, self._storage)
        if self._host:
            for device in {tensor.device for tensor in self._storage if tensor.is_cuda}:
                torch.cuda.synchronize(device)  # once for all that is on its way

    def _room(self, tensor: Tensor) -> Tensor:
        """Where to copy a tensor to."""
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
            _copy(self._storage, self._copies)

    def captured(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Of each tensor: itself, an alias over the storage it had, its numbers."""
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


class Snapshot:
    """One fork of a training. Capturing again reuses its buffers. host: these are in the CPU's memory."""

    def __init__(self, *, host: bool = False) -> None:
        self._tensors = Tensors(host=host)
        self._states = _States([], [], self._tensors)
        self._extras: list[tuple[Any, Any]] = []
        self._streams = StreamStates([])

    def capture(
        self,
        modules: Iterable[nn.Module],
        optimizers: Iterable[Optimizer],
        extras: Iterable[Any],
        streams: Iterable[Stream],
    ) -> None:
        modules = list(modules)
        settle(modules)
        tensors = self._tensors
        tensors.begin()
        states = _States(modules, optimizers, tensors)
        extra_states = [(extra, copy.deepcopy(extra.state_dict())) for extra in extras]
        stream_states = StreamStates([*streams, *states.found.streams], cuda=True)
        tensors.copy()
        self._states, self._extras, self._streams = states, extra_states, stream_states

    def add_stream(self, stream: Stream, state: Any = None) -> None:
        """A stream first met after this fork was captured, and not drawn from in between (or its state then)."""
        self._streams.add(stream, state)

    def knows(self, stream: Stream) -> bool:
        """Whether a stream is one of those that go back with this fork."""
        return self._streams.knows(stream)

    def state_of(self, stream: Stream) -> Any:
        """The state a stream had at the fork."""
        return self._streams.kept(stream)

    def restore(self) -> None:
        self._states.settle()
        self._states.link()
        self._tensors.put_back()
        for extra, state_dict in self._extras:
            extra.load_state_dict(copy.deepcopy(state_dict))
        self._streams.restore()

    def export(self, streams: Sequence[Stream]) -> dict[str, Any]:
        """The fork as a tree that another process can read.

        Its tensors are the fork's own, until it is captured again. streams: of those handed to `capture`, the ones
        that are known by their position here; who knows the others asks `state_of`.
        Raises NotRestorable where the training keeps what a file cannot hold.
        """
        if any(is_spread(tensor) for tensor, _, _ in self._tensors.captured()):
            raise NotRestorable(
                "a parameter is spread over several processes (fully_shard), which a checkpoint cannot hold yet"
            )
        outbound = Outbound(self._tensors.captured())
        extras = []
        for extra, state_dict in self._extras:
            archive.check(state_dict, f"the state of {type(extra).__name__}")
            extras.append({"class": type(extra).__qualname__, "state": mapped(state_dict, outbound)})
        found = self._states.found.streams
        return {
            **self._states.export(outbound),
            "extras": extras,
            "streams": self._streams.export([*streams, *found]),
            "kinds": [kind_of(stream) for stream in (*streams, *found)],
            "tensors": outbound.table,
        }

    @classmethod
    def adopted(
        cls,
        saved: Mapping[str, Any],
        modules: Iterable[nn.Module],
        optimizers: Iterable[Optimizer],
        extras: Sequence[Any],
        streams: Sequence[Stream],
    ) -> "Snapshot":
        """The fork that was exported, as one of the training that stands here; nothing moves until it is restored.

        Raises InvalidArgument, naming the first difference, where this training is not made as that one was.
        """
        fork = cls()
        fork._states = _States(modules, optimizers, fork._tensors)
        inbound = Inbound(saved["tensors"])
        fork._states.adopt(saved, inbound)
        fork._tensors = Tensors.of(inbound.pairs)
        _refuse_others(
            [e["class"] for e in saved["extras"]], [type(e).__qualname__ for e in extras], "state="
        )
        fork._extras = [
            (live, inbound.moved(e["state"])) for live, e in zip(extras, saved["extras"], strict=True)
        ]
        own = [*streams, *fork._states.found.streams]
        _refuse_others(saved["kinds"], [kind_of(stream) for stream in own], "random generators")
        fork._streams = StreamStates.adopt(saved["streams"], own)
        return fork

    @property
    def bytes(self) -> int:
        """Memory held by the copies of tensors."""
        return self._tensors.bytes


def _refuse_others(there: Sequence[str], here: Sequence[str], what: str) -> None:
    if list(there) != list(here):
        raise InvalidArgument(
            f"the checkpoint has {what} ({', '.join(there) or 'none'}), this training ({', '.join(here) or 'none'}); "
            f"{AS_IT_WAS}"
        )


class _States:
    """The walk over modules and optimizers: the state of each, and what was met on the way."""

    def __init__(
        self, modules: Iterable[nn.Module], optimizers: Iterable[Optimizer], tensors: Tensors
    ) -> None:
        self.found = found = _Found()
        self._roots = list(modules)
        self._modules = [
            _ModuleState(module, tensors, found)
            for module in found.new(m for root in self._roots for m in root.modules())
        ]
        optimizers = list(optimizers)
        self._optimizers = [_OptimizerState(o, tensors, found) for o in found.new(optimizers)]
        # a wrapping optimizer (SAM, Lookahead) holds others, and an optimizer may train what no module holds
        inner = found.new(found.optimizers)
        self._optimizers += [_OptimizerState(optimizer, tensors, found) for optimizer in inner]
        loose = [p for o in (*optimizers, *inner) for group in o.param_groups for p in group["params"]]
        self._loose = _Parameters([p for p in loose if id(p) not in found.parameters], tensors)

    def settle(self) -> None:
        settle(self._roots)

    def link(self) -> None:
        for module in self._modules:
            module.link()
        for optimizer in self._optimizers:
            optimizer.link()
        self._loose.link()

    def export(self, outbound: Outbound) -> dict[str, Any]:
        names = self._names()
        return {
            "roots": [names[id(root)] for root in self._roots],
            "modules": {names[id(m.module)]: m.export(outbound, names) for m in self._modules},
            "optimizers": [o.export(outbound) for o in self._optimizers],
            "loose": self._loose.export(outbound),
        }

    def adopt(self, saved: Mapping[str, Any], inbound: Inbound) -> None:
        """Become what was exported; parameters first, since all else is told by them."""
        names = self._names()
        here = {names[id(m.module)]: m for m in self._modules}
        for name, there in saved["modules"].items():
            if name not in here:
                raise InvalidArgument(
                    f"the checkpoint has {_part(name)}, a {there['class']}, and this model has not; {AS_IT_WAS}"
                )
            here[name].bind(there, name, names, inbound)
        if (name := first_difference(saved["modules"], here)) is not None:
            kind = type(here[name].module).__name__
            raise InvalidArgument(
                f"this model has {_part(name)}, a {kind}, and the checkpoint has not; {AS_IT_WAS}"
            )
        _refuse_others(
            [o["class"] for o in saved["optimizers"]],
            [type(o.optimizer).__qualname__ for o in self._optimizers],
            "the optimizers",
        )
        self._loose.bind(saved["loose"], "parameter {} outside the model", inbound)
        for name, there in saved["modules"].items():
            here[name].adopt(there, inbound)
        for optimizer, there in zip(self._optimizers, saved["optimizers"], strict=True):
            optimizer.adopt(there, inbound)
        self._loose.adopt(saved["loose"], inbound)

    def _names(self) -> dict[int, str]:
        """What each module is called, as the children stood at the fork: "" for the model, "0.weight", ...

        The parts of a second model begin with "[1]".
        """
        states = {id(state.module): state for state in self._modules}
        names: dict[int, str] = {}
        for index, root in enumerate(self._roots):
            queue = [(f"[{index}]" if index else "", root)]
            while queue:
                name, module = queue.pop(0)
                if id(module) in names:
                    continue
                names[id(module)] = name
                children = states[id(module)].children.items()
                queue += [(_joined(name, key), child) for key, child in children if child is not None]
        return names


def _joined(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def _part(name: str) -> str:
    return f"a part {name!r}" if name else "a model"


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


class _Parameters:
    """Parameters: their numbers, whether they are trained, the gradients they hold; missing ones (None) left out."""

    def __init__(self, parameters: Iterable[Tensor | None], tensors: Tensors) -> None:
        self._kept: list[tuple[Tensor, bool, Tensor | None]] = []
        for parameter in parameters:
            if parameter is not None:
                refuse_without_numbers(parameter)
                tensors.add(parameter)
                gradient = None if parameter.grad is None else tensors.add(parameter.grad)
                self._kept.append((parameter, parameter.requires_grad, gradient))

    def link(self) -> None:
        for parameter, requires_grad, gradient in self._kept:
            if parameter.requires_grad != requires_grad:
                parameter.requires_grad_(requires_grad)
            parameter.grad = None if gradient is None else _fresh(gradient)

    def export(self, outbound: Outbound) -> list[dict[str, Any]]:
        return [
            {
                "numbers": outbound(parameter),
                "requires_grad": requires_grad,
                "gradient": None if gradient is None else outbound(gradient),
            }
            for parameter, requires_grad, gradient in self._kept
        ]

    def bind(self, saved: Sequence[Mapping[str, Any]], name: str, inbound: Inbound) -> None:
        """Say which parameter takes which numbers; `name` has a place for the number of one."""
        if len(saved) != len(self._kept):
            there, here = len(saved), len(self._kept)
            raise InvalidArgument(
                f"the checkpoint has {there} trained parameters outside the model, this training {here}; {AS_IT_WAS}"
            )
        for index, (there_, (parameter, _, _)) in enumerate(zip(saved, self._kept, strict=True)):
            inbound.parameter(there_["numbers"], parameter, name.format(index))

    def adopt(self, saved: Sequence[Mapping[str, Any]], inbound: Inbound) -> None:
        self._kept = [
            (
                parameter,
                there["requires_grad"],
                None if there["gradient"] is None else inbound.tensor(there["gradient"], parameter.grad),
            )
            for there, (parameter, _, _) in zip(saved, self._kept, strict=True)
        ]


class _ModuleState:
    """One module (children have their own): what its names are linked to, and its own attributes."""

    def __init__(self, module: nn.Module, tensors: Tensors, found: _Found) -> None:
        self.module = module
        self.children = dict(module._modules)
        self._links = dict(module._parameters)
        self._parameters = _Parameters(self._links.values(), tensors)
        found.parameters.update(map(id, self._links.values()))
        self._buffers = {
            name: buffer if buffer is None else tensors.add(buffer.clone() if overlaps(buffer) else buffer)
            for name, buffer in module._buffers.items()
        }
        self._unsaved = set(module._non_persistent_buffers_set)
        own = not type(module).__module__.startswith("torch.nn.modules")
        self._attributes = _Attributes(module, tensors, found, MODULE_INTERNALS, own=own)
        self._extra_state = (
            copy.deepcopy(module.get_extra_state())
            if type(module).get_extra_state is not nn.Module.get_extra_state
            else None
        )

    def link(self) -> None:
        module = self.module
        _refill(module._parameters, self._links)
        _refill(module._modules, self.children)
        _refill(module._buffers, {name: b if b is None else _fresh(b) for name, b in self._buffers.items()})
        if module._non_persistent_buffers_set != self._unsaved:
            module._non_persistent_buffers_set = set(self._unsaved)
        self._parameters.link()
        self._attributes.restore()
        if self._extra_state is not None:
            module.set_extra_state(copy.deepcopy(self._extra_state))

    def export(self, outbound: Outbound, names: Mapping[int, str]) -> dict[str, Any]:
        where = f"{names[id(self.module)] or 'the model'} ({type(self.module).__name__})"
        archive.check(self._extra_state, f"the extra state of {where}")
        return {
            "class": type(self.module).__qualname__,
            "children": {
                key: None if child is None else names[id(child)] for key, child in self.children.items()
            },
            "links": [name for name, parameter in self._links.items() if parameter is not None],
            "parameters": self._parameters.export(outbound),
            "buffers": {name: b if b is None else outbound(b) for name, b in self._buffers.items()},
            "unsaved": self._unsaved,
            "attributes": self._attributes.export(outbound, where),
            "extra": mapped(self._extra_state, outbound),
        }

    def bind(self, saved: Mapping[str, Any], name: str, names: Mapping[int, str], inbound: Inbound) -> None:
        """Say which parameter takes which numbers, where this module is what that one was."""
        kind = type(self.module).__qualname__
        if saved["class"] != kind:
            raise InvalidArgument(
                f"the checkpoint has {_part(name)}, a {saved['class']}, this model a {kind}; {AS_IT_WAS}"
            )
        here = [key for key, parameter in self._links.items() if parameter is not None]
        if (key := first_difference(dict.fromkeys(saved["links"]), dict.fromkeys(here))) is not None:
            owners = ("this model", "the checkpoint") if key in here else ("the checkpoint", "this model")
            raise InvalidArgument(
                f"{owners[0]} has a parameter {_joined(name, key)}, and {owners[1]} has not; {AS_IT_WAS}"
            )
        for key, child in self.children.items():
            there, ours, own = (
                saved["children"].get(key),
                None if child is None else names[id(child)],
                _joined(name, key),
            )
            if there is None or ours is None or there == ours:
                continue
            other, one, two = (
                (there, "the checkpoint", "this model")
                if there != own
                else (ours, "this model", "the checkpoint")
            )
            raise InvalidArgument(f"{own} and {other} are one module in {one} and two in {two}; {AS_IT_WAS}")
        by_name = dict(zip(saved["links"], saved["parameters"], strict=True))
        for key in here:
            parameter = self._links[key]
            assert parameter is not None
            inbound.parameter(by_name[key]["numbers"], parameter, _joined(name, key))

    def adopt(self, saved: Mapping[str, Any], inbound: Inbound) -> None:
        by_name = dict(zip(saved["links"], saved["parameters"], strict=True))
        self._parameters.adopt([by_name[key] for key, p in self._links.items() if p is not None], inbound)
        live = self.module._buffers
        self._buffers = {
            name: b if b is None else inbound.tensor(b, live.get(name))
            for name, b in saved["buffers"].items()
        }
        self._unsaved = set(saved["unsaved"])
        self._attributes.adopt(saved["attributes"], inbound)
        self._extra_state = inbound.moved(saved["extra"])


class _OptimizerState:
    """One optimizer: parameter groups, state per parameter (any nesting), its own attributes."""

    def __init__(self, optimizer: Optimizer, tensors: Tensors, found: _Found) -> None:
        self.optimizer = optimizer
        self._groups = [
            (group, list(group["params"]), {k: _hold(v, tensors) for k, v in group.items() if k != "params"})
            for group in optimizer.param_groups
        ]
        self._state = {parameter: _hold(entry, tensors) for parameter, entry in optimizer.state.items()}
        self._attributes = _Attributes(optimizer, tensors, found, _optimizer_internals(), own=True)

    def link(self) -> None:
        optimizer = self.optimizer
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

    def export(self, outbound: Outbound) -> dict[str, Any]:
        name = type(self.optimizer).__name__
        groups = [
            {"params": [outbound(p) for p in params], "options": mapped(held, outbound)}
            for _, params, held in self._groups
        ]
        state = [  # by parameter, or by name where an optimizer keeps something for all of them
            (outbound(key) if isinstance(key, Tensor) else key, mapped(entry, outbound))
            for key, entry in self._state.items()
        ]
        archive.check([group["options"] for group in groups], f"the parameter groups of {name}")
        archive.check(state, f"the state of {name}")
        return {
            "class": type(self.optimizer).__qualname__,
            "groups": groups,
            "state": state,
            "attributes": self._attributes.export(outbound, f"{name}"),
        }

    def adopt(self, saved: Mapping[str, Any], inbound: Inbound) -> None:
        name, state = type(self.optimizer).__name__, self.optimizer.state
        sizes = [len(group["params"]) for group in saved["groups"]]
        if sizes != [len(params) for _, params, _ in self._groups]:
            here = [len(params) for _, params, _ in self._groups]
            raise InvalidArgument(
                f"{name} has {_groups(sizes)} in the checkpoint and {_groups(here)} here; {AS_IT_WAS}"
            )
        adopted = []
        for index, (there, (group, params, held)) in enumerate(
            zip(saved["groups"], self._groups, strict=True)
        ):
            for place, (numbers, parameter) in enumerate(zip(there["params"], params, strict=True)):
                if not inbound.is_for(numbers, parameter):
                    theirs, ours = inbound.name(inbound.known(numbers)), inbound.name(parameter)
                    raise InvalidArgument(
                        f"parameter {place} of group {index} of {name} is {theirs} in the checkpoint and {ours} "
                        f"here; {AS_IT_WAS}"
                    )
            adopted.append((group, params, inbound.held(there["options"], held)))
        self._groups = adopted
        self._state = {}
        for key, entry in saved["state"]:
            own = inbound.known(key) if isinstance(key, Tensor) else key
            if own is None:
                raise InvalidArgument(
                    f"{name} has state in the checkpoint for a parameter that is not here; {AS_IT_WAS}"
                )
            self._state[own] = inbound.held(entry, state.get(own))
        self._attributes.adopt(saved["attributes"], inbound)


def _groups(sizes: Sequence[int]) -> str:
    """In words: how many groups, of how many parameters each."""
    groups = "1 group" if len(sizes) == 1 else f"{len(sizes)} groups"
    return f"{groups} ({', '.join(map(str, sizes))} parameters)"


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
        self._own = own
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

    def export(self, outbound: Outbound, where: str) -> dict[str, Any]:
        held = {name: mapped(held, outbound) for name, (_, held) in self._held.items()}
        archive.check(held, f"the attributes of {where}")
        return {"plain": self._plain, "held": held}

    def adopt(self, saved: Mapping[str, Any], inbound: Inbound) -> None:
        """Numbers and the like that are not in the checkpoint were not there at the fork, and go."""
        attributes = vars(self._owner)
        # of torch's own modules nothing goes: another version may have more of them
        gone = {*self._plain, *self._held} if self._own else set()
        self._plain = dict(saved["plain"])
        adopted = {}
        for name, there in saved["held"].items():
            live = attributes.get(name)
            container = (
                live if type(live) is type(there) else type(there)() if type(there) in (dict, list) else there
            )
            adopted[name] = (container, inbound.held(there, self._held.get(name, (None, None))[1]))
        self._held = adopted
        rest = [name for name in attributes if name not in gone]
        self._all = (*rest, *self._plain, *self._held)


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
