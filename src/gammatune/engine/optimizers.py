"""The optimizers of the thesis (section 2.5) by name, all of them torch's own.

Each comes with the range its learning rate is searched in when nobody gives one. The ranges span what the
literature and torch's documentation use for the method, with a decade to spare on either side (guess).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import nn
from torch.optim import Optimizer

from gammatune.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class Recipe:
    """make(parameters, lr=..., weight_decay=...) -> optimizer; low, high: the range of its learning rate."""

    make: Callable[..., Optimizer]
    low: float
    high: float


OptimizerName: TypeAlias = Literal["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"]
OPTIMIZERS: dict[str, Recipe] = {
    "sgd": Recipe(torch.optim.SGD, 1e-3, 1.0),
    "momentum": Recipe(partial(torch.optim.SGD, momentum=0.9), 1e-4, 0.3),
    "nesterov": Recipe(partial(torch.optim.SGD, momentum=0.9, nesterov=True), 1e-4, 0.3),
    "adagrad": Recipe(torch.optim.Adagrad, 1e-4, 0.3),
    "rmsprop": Recipe(torch.optim.RMSprop, 1e-5, 3e-2),
    "adam": Recipe(torch.optim.Adam, 1e-5, 3e-2),
    "adamw": Recipe(torch.optim.AdamW, 1e-5, 3e-2),
}
DEFAULT_OPTIMIZER: OptimizerName = "adamw"


def make_optimizer(
    name: str,
    parameters: Iterable[nn.Parameter],
    weight_decay: float | None = None,
    lr: float | None = None,
) -> Optimizer:
    """An optimizer by name.

    weight_decay: 0 or more, per step; None leaves torch's default. lr: above 0; None is the (geometric) middle of its
    range. Raises InvalidArgument.
    """
    recipe = recipe_of(name)
    options: dict[str, float] = {} if weight_decay is None else {"weight_decay": weight_decay}
    if weight_decay is not None and not 0 <= weight_decay < float("inf"):
        raise InvalidArgument(
            f"weight_decay={weight_decay!r}: give 0 or a small number above it, such as 0.001"
        )
    return recipe.make(parameters, lr=(recipe.low * recipe.high) ** 0.5 if lr is None else lr, **options)


def recipe_of(name: str) -> Recipe:
    if name not in OPTIMIZERS:
        raise InvalidArgument(f"optimizer {name!r} is not known; choose one of {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[name]
