"""The default net for vectors: two hidden layers."""

import math

from torch import nn

from gammatune.pipeline.models.init import he

WIDTH = 256  # units of each hidden layer [guess]


def mlp(shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Inputs (n, *shape), flattened -> twice (linear, ReLU) -> outputs (n, outputs). He initialisation."""
    return he(mlp_as_torch_begins(shape, outputs))


def mlp_as_torch_begins(shape: tuple[int, ...], outputs: int) -> nn.Module:
    """The same, initialised as torch does."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(shape), WIDTH),
        nn.ReLU(),
        nn.Linear(WIDTH, WIDTH),
        nn.ReLU(),
        nn.Linear(WIDTH, outputs),
    )
