"""How many examples an evaluation passes through a training's nets: counted where they are called."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils.hooks import RemovableHandle

from gammatune.engine.batches import examples_in_call
from gammatune.engine.nets import unwrapped
from gammatune.engine.parts import named_parameters

WRAPPED = 2  # how deep a net may lie in what wraps it (torch.compile within an average of weights; guess)


class ForwardCounts:
    """models: what was trained. others: modules that go with it. extras: whatever else does, which may hold modules.

    A copy of a model, such as an average of its weights, is a net of its own: what passes through it comes to what
    passes through the model. Of parts of one training, a generator and its critic say, the busiest counts.
    """

    def __init__(
        self, models: Sequence[nn.Module], others: Sequence[nn.Module], extras: Sequence[Any] = ()
    ) -> None:
        kinds = [_shapes(model) for model in models]
        held = [item for extra in extras for item in getattr(extra, "__dict__", {}).values()]
        known = {id(model) for model in models}
        more = {id(m): m for m in (*others, *held) if isinstance(m, nn.Module) and id(m) not in known}
        copies = [module for module in more.values() if (kind := _shapes(module)) and kind in kinds]
        beside = {id(module) for module in copies}
        self._parts = [
            _Calls(module) for module in (*models, *(m for m in others if id(m) not in known | beside))
        ]
        self._copies = [_Calls(module) for module in copies]
        self._hooks: list[RemovableHandle] = []

    @property
    def examples(self) -> int:
        """So far."""
        return max(one.examples for one in self._parts) + sum(one.examples for one in self._copies)

    def begin(self) -> None:
        """Anew."""
        for one in (*self._parts, *self._copies):
            one.begin()

    @contextmanager
    def counting(self) -> Iterator[None]:
        try:
            for one in (*self._parts, *self._copies):
                self._hooks += one.hooks()
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()


class _Calls:
    """Of one net, called as it was handed over or by what that wraps (`AveragedModel.module`)."""

    def __init__(self, module: nn.Module) -> None:
        self._modules = [unwrapped(module)]
        kind = _shapes(module)
        for _ in range(WRAPPED):
            inside = [part for part in self._modules[-1].children() if kind and _shapes(part) == kind]
            self._modules += inside[:1]
        self.begin()

    def begin(self) -> None:
        self._counts = [0] * len(self._modules)

    @property
    def examples(self) -> int:
        return max(self._counts)

    def hooks(self) -> list[RemovableHandle]:
        counters = map(self._counter, range(len(self._modules)))
        return [
            module.register_forward_pre_hook(counter, with_kwargs=True)
            for module, counter in zip(self._modules, counters, strict=True)
        ]

    def _counter(self, index: int) -> Callable[..., None]:
        def before_forward(module: nn.Module, args: Any, kwargs: Any) -> None:
            self._counts[index] += examples_in_call(args, kwargs)

        return before_forward


def _shapes(module: nn.Module) -> tuple[Any, ...]:
    """By which two modules are copies of one net; nothing of one that is yet to be made."""
    parameters = named_parameters(module).values()
    return () if any(map(is_lazy, parameters)) else tuple(parameter.shape for parameter in parameters)
