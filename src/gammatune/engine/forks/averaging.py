"""What is averaged where several forks of one training become one."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gammatune.engine.forks.sharding import local

Key: TypeAlias = tuple[Any, ...]  # whose it is, and where it stands there


def averaged_tensors(modules: Iterable[nn.Module], optimizers: Iterable[Optimizer]) -> dict[Key, Tensor]:
    """Weights, buffers and optimizer state that are real numbers, each once.

    Counters stay out: whole numbers, and an optimizer's `step`, are the same in every fork of equal length.
    Running statistics of batch normalisation are averaged like weights; what is left of their error the next
    steps in training mode make good.
    """
    found: dict[Key, Tensor] = {}
    seen: set[int] = set()

    def take(key: Key, value: Any) -> None:
        if isinstance(value, Tensor):
            if value.is_floating_point() and value.layout == torch.strided and id(value) not in seen:
                seen.add(id(value))
                found[key] = local(value).detach()
        elif isinstance(value, dict):
            for name in value:
                if name != "step":
                    take((*key, name), value[name])
        elif isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                take((*key, index), item)

    for m, module in enumerate(modules):
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            take(("module", m, name), tensor)
    for o, optimizer in enumerate(optimizers):
        for g, group in enumerate(optimizer.param_groups):
            for p, parameter in enumerate(group["params"]):
                take(("parameter", o, g, p), parameter)
                # by parameter: the state of one that had no gradient at first comes later, or never
                take(("state", o, g, p), optimizer.state.get(parameter))
    return found


class Mean:
    """The mean of several trainings, tensor by tensor, over those that have it."""

    def __init__(self) -> None:
        self._means: dict[Key, Tensor] = {}
        self._counts: dict[Key, int] = {}

    def add(self, member: Mapping[Key, Tensor]) -> None:
        shared = [key for key in member if self._has(key, member[key])]
        for key in shared:
            self._counts[key] += 1
        for count in {self._counts[key] for key in shared}:  # nearly always one
            keys = [key for key in shared if self._counts[key] == count]
            torch._foreach_lerp_([self._means[k] for k in keys], [member[k] for k in keys], 1 / count)
        for key in member.keys() - self._means.keys():
            self._means[key], self._counts[key] = member[key].clone(), 1

    def put(self, live: Mapping[Key, Tensor]) -> None:
        keys = [key for key in live if self._has(key, live[key])]
        with torch.no_grad():
            torch._foreach_copy_([live[key] for key in keys], [self._means[key] for key in keys])

    def _has(self, key: Key, tensor: Tensor) -> bool:
        return key in self._means and self._means[key].shape == tensor.shape
