"""The thesis's net for its small MNIST set-up, six hidden layers; 784 -> 10 there, any shape here."""

import math

from torch import nn

from gammatune.models.init import he

HIDDEN_LAYERS = 6
UNITS = 100  # a layer; the thesis does not say how many [reading]
DROPOUT = 0.5


def thesis(shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Inputs (n, *shape), flattened -> six times (linear, ReLU, dropout) -> outputs (n, outputs), logits.

    He initialisation. 130,010 parameters at 784 -> 10.
    """
    layers: list[nn.Module] = [nn.Flatten()]
    width = math.prod(shape)
    for _ in range(HIDDEN_LAYERS):
        layers += [nn.Linear(width, UNITS), nn.ReLU(), nn.Dropout(DROPOUT)]
        width = UNITS
    layers.append(nn.Linear(width, outputs))
    return he(nn.Sequential(*layers))
