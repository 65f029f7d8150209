"""Initialisations, each under the name the papers use."""

from typing import TypeVar

from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def he(model: Module) -> Module:
    """He et al. 2015 (1502.01852): weights normal with variance 2 / fan-in, biases 0; `model` again."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return model


def glorot(model: Module) -> Module:
    """Glorot & Bengio 2010: weights uniform within sqrt(6 / (fan-in + fan-out)), biases 0; `model` again."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return model
