"""The states of modules and optimizers at a fork: what was linked where, and what each held in its attributes."""

import copy
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gammatune.engine.forks.streams import Stream
from gammatune.engine.forks.tensors import (
    PLAIN,
    Tensors,
    fresh,
    hold,
    is_holdable,
    refill,
    refuse_without_numbers,
    release,
)
from gammatune.engine.forks.transfer import overlaps

T = TypeVar("T")


class States:
    """The walk over modules and optimizers: the state of each, and what was met on the way."""

    def __init__(
        self, modules: Iterable[nn.Module], optimizers: Iterable[Optimizer], tensors: Tensors
    ) -> None:
        self.found = found = Found()
        self.roots = list(modules)
        self.modules = [
            ModuleState(module, tensors, found)
            for module in found.new(m for root in self.roots for m in root.modules())
        ]
        optimizers = list(optimizers)
        self.optimizers = [OptimizerState(o, tensors, found) for o in found.new(optimizers)]
        # a wrapping optimizer (SAM, Lookahead) holds others, and an optimizer may train what no module holds
        inner = found.new(found.optimizers)
        self.optimizers += [OptimizerState(optimizer, tensors, found) for optimizer in inner]
        loose = [p for o in (*optimizers, *inner) for group in o.param_groups for p in group["params"]]
        self.loose = ParameterStates([p for p in loose if id(p) not in found.parameters], tensors)

    def link(self) -> None:
        for module in self.modules:
            module.link()
        for optimizer in self.optimizers:
            optimizer.link()
        self.loose.link()


class Found:
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


class ParameterStates:
    """Parameters: their numbers, whether they are trained, the gradients they hold; missing ones (None) left out."""

    def __init__(self, parameters: Iterable[Tensor | None], tensors: Tensors) -> None:
        self.kept: list[tuple[Tensor, bool, Tensor | None]] = []
        for parameter in parameters:
            if parameter is not None:
                refuse_without_numbers(parameter)
                tensors.add(parameter)
                gradient = parameter.grad if parameter.grad is None or tensors.needs(parameter.grad) else None
                gradient = None if gradient is None else tensors.add(gradient)
                self.kept.append((parameter, parameter.requires_grad, gradient))

    def link(self) -> None:
        for parameter, requires_grad, gradient in self.kept:
            if parameter.requires_grad != requires_grad:
                parameter.requires_grad_(requires_grad)
            parameter.grad = None if gradient is None else fresh(gradient)


class ModuleState:
    """One module (children have their own): what its names are linked to, and its own attributes."""

    def __init__(self, module: nn.Module, tensors: Tensors, found: Found) -> None:
        self.module = module
        self.children = dict(module._modules)
        self.links = dict(module._parameters)
        self.parameters = ParameterStates(self.links.values(), tensors)
        found.parameters.update(map(id, self.links.values()))
        self.buffers = {
            name: buffer if buffer is None else tensors.add(buffer.clone() if overlaps(buffer) else buffer)
            for name, buffer in module._buffers.items()
        }
        self.unsaved = set(module._non_persistent_buffers_set)
        own = not type(module).__module__.startswith("torch.nn.modules")
        self.attributes = Attributes(module, tensors, found, MODULE_INTERNALS, own=own)
        self.extra_state = (
            copy.deepcopy(module.get_extra_state())
            if type(module).get_extra_state is not nn.Module.get_extra_state
            else None
        )

    def link(self) -> None:
        module = self.module
        refill(module._parameters, self.links)
        refill(module._modules, self.children)
        refill(module._buffers, {name: b if b is None else fresh(b) for name, b in self.buffers.items()})
        if module._non_persistent_buffers_set != self.unsaved:
            module._non_persistent_buffers_set = set(self.unsaved)
        self.parameters.link()
        self.attributes.restore()
        if self.extra_state is not None:
            module.set_extra_state(copy.deepcopy(self.extra_state))


class OptimizerState:
    """One optimizer: parameter groups, state per parameter (any nesting), its own attributes."""

    def __init__(self, optimizer: Optimizer, tensors: Tensors, found: Found) -> None:
        self.optimizer = optimizer
        self.groups = [
            (group, list(group["params"]), {k: hold(v, tensors) for k, v in group.items() if k != "params"})
            for group in optimizer.param_groups
        ]
        self.state = {parameter: hold(entry, tensors) for parameter, entry in optimizer.state.items()}
        self.attributes = Attributes(optimizer, tensors, found, _optimizer_internals(), own=True)

    def link(self) -> None:
        optimizer = self.optimizer
        optimizer.param_groups[:] = [group for group, _, _ in self.groups]  # as added, or taken away, since
        for group, params, held in self.groups:
            group["params"][:] = params
            refill(group, {"params": group["params"], **{k: release(v) for k, v in held.items()}})
        for parameter in [p for p in optimizer.state if p not in self.state]:
            del optimizer.state[parameter]
        for parameter, entry in self.state.items():
            if isinstance(entry, dict):
                refill(optimizer.state[parameter], release(entry))
            else:
                optimizer.state[parameter] = release(entry)
        self.attributes.restore()


class Attributes:
    """What an object keeps in attributes that are not `internals`: numbers, names and switches; where they may be
    its author's `own`, also tensors, arrays of numbers, and containers of all these. Streams and optimizers met
    on the way are handed to `found`. Anything else is left alone: whoever changes it while training hands it in.
    """

    def __init__(
        self, owner: object, tensors: Tensors, found: Found, internals: frozenset[str], *, own: bool
    ) -> None:
        attributes = vars(owner)
        self.owner = owner
        self.own = own
        self.all = tuple(attributes)
        names = _not_internal(self.all, internals)
        self.plain = {name: attributes[name] for name in names if type(attributes[name]) in PLAIN}
        self.held: dict[str, tuple[Any, Any]] = {}  # name -> the object itself, and what it held
        if not own:
            return
        for name in names:
            value = attributes[name]
            if name in self.plain:
                continue
            if isinstance(value, Stream):
                found.streams.append(value)
            elif isinstance(value, Optimizer):
                found.optimizers.append(value)
            elif is_holdable(value):
                self.held[name] = (value, hold(value, tensors))

    def restore(self) -> None:
        attributes = vars(self.owner)
        if tuple(attributes) != self.all:
            known = set(self.all)
            for name in [n for n, value in attributes.items() if n not in known and is_holdable(value)]:
                del attributes[name]
        attributes.update(self.plain)
        for name, (value, held) in self.held.items():
            released = release(held)
            if isinstance(value, dict):  # the same container, since others may hold it too
                refill(value, released)
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
