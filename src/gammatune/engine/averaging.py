"""What is averaged where several forks of one training become one."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def averaged_tensors(modules: Iterable[nn.Module], optimizers: Iterable[Optimizer]) -> list[Tensor]:
    """Weights, buffers and optimizer state that are real numbers, each once, in an order that stays.

    Counters stay out: whole numbers, and an optimizer's `step`, are the same in every fork of equal length.
    Running statistics of batch normalisation are averaged like weights; what is left of their error the next
    steps in training mode make good.
    """
    found: dict[int, Tensor] = {}

    def take(value: Any) -> None:
        if isinstance(value, Tensor):
            if value.is_floating_point() and value.layout == torch.strided:
                found[id(value)] = value.detach()
        elif isinstance(value, dict):
            for key in value:
                if key != "step":
                    take(value[key])
        elif isinstance(value, (list, tuple)):
            for item in value:
                take(item)

    for module in modules:
        for tensor in (*module.parameters(), *module.buffers()):
            take(tensor)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            take(group["params"])
        for parameter in optimizer.state:
            take(optimizer.state[parameter])
    return list(found.values())
