"""The net for tables with other devices, each by its name: "table_nets:scale6_ntk" is a factory with two of them.

    scaleK    a learned scale of each input of the first layer, K times as fast as the other weights
    ntk       outputs of linear layers divided by the root of their inputs over 256, weights as of 256 inputs
    unit      with ntk: outputs of unit variance at first, biases normal, the last layer zero (RealMLP-TD-S)
    mish, selu, relu    other activations than SiLU; own: each unit mixes its activation with the identity,
              to a learned part (RealMLP's parametric activation)
    act       mish for a regression and selu for a classification, as RealMLP-TD
    fall      the dropout falls as RealMLP's flat_cos does
    dropP     of P per cent
    plrK      the embedding of numbers learns K per cent as fast
    hotK      categories of K levels or fewer are one-hot columns

Rates of their own follow from the parametrisation: Adam's steps are of one size, whatever the gradient's, so that a
parameter that counts K times moves K times as fast.
"""

import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gammatune.pipeline.models import tabular as present

PROGRESS = [0.0]  # of the training that goes on


class Scale(nn.Module):
    def __init__(self, size: int, speed: float) -> None:
        super().__init__()
        self.speed = speed
        self.moved = nn.Parameter(torch.zeros(size))

    def forward(self, x: Tensor) -> Tensor:
        return x * (1 + self.speed * self.moved)


class Linear(nn.Linear):
    """As wide as 256 in the size of its weights and their steps."""

    def __init__(self, size: int, outputs: int, *, unit: bool, last: bool) -> None:
        super().__init__(size, outputs)
        self.factor = math.sqrt(present.WIDTH / max(size, 1))
        bound = present.WIDTH**-0.5
        if unit and last:
            nn.init.zeros_(self.weight)
            nn.init.zeros_(self.bias)
        elif unit:
            nn.init.normal_(self.weight, std=bound)
            nn.init.normal_(self.bias)
        else:
            nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(self.factor * x, self.weight, self.bias)


class Mixed(nn.Module):
    def __init__(self, inner: nn.Module, size: int) -> None:
        super().__init__()
        self.inner, self.part = inner, nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        return x + (self.inner(x) - x) * self.part


class Falling(nn.Dropout):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.most = p

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, self.most * flat_cos(PROGRESS[0]), self.training)


class Embedding(present.NumberEmbedding):
    def __init__(self, features: int, speed: float) -> None:
        super().__init__(features)
        self.speed = speed
        for parameter in self.parameters():
            parameter.data /= speed

    def forward(self, x: Tensor) -> Tensor:
        frequency, phase, weight, bias = (
            self.speed * each for each in (self.frequency, self.phase, self.weight, self.bias)
        )
        waves = torch.cos(2 * math.pi * x[:, :, None] * frequency + phase)
        embedded = torch.einsum("nfk,fke->nfe", waves, weight) + bias
        return torch.cat([x[:, :, None], embedded], dim=2).flatten(1)


class OneHot(nn.Module):
    def __init__(self, codes: int) -> None:
        super().__init__()
        self.codes = codes

    def forward(self, codes: Tensor) -> Tensor:
        return nn.functional.one_hot(codes, self.codes).float()


def flat_cos(progress: float) -> float:
    """1 to the middle, then half a cosine down to 0."""
    return 1.0 if progress <= 0.5 else 0.5 * (1 + math.cos(math.pi * (2 * progress - 1)))


def make(
    devices: dict[str, float], shape: tuple[int, ...], outputs: int, cardinalities: Sequence[int] = ()
) -> nn.Module:
    net = present.Tabular(shape[0], outputs, cardinalities)
    if "plr" in devices and isinstance(net.embed_numbers, present.NumberEmbedding):
        net.embed_numbers = Embedding(net.numbers, devices["plr"] / 100)
    size = next(layer for layer in net.body if isinstance(layer, nn.Linear)).in_features
    for i, codes in enumerate(cardinalities):
        if codes <= devices.get("hot", 0):
            net.embed_categories[i] = OneHot(codes)
            size += codes - present.embedding_size(codes)
    layers: list[nn.Module] = [Scale(size, devices["scale"])] if "scale" in devices else []
    for i in range(present.DEPTH + 1):
        last = i == present.DEPTH
        wide = outputs if last else present.WIDTH
        unit = "unit" in devices
        layers.append(Linear(size, wide, unit=unit, last=last) if "ntk" in devices else nn.Linear(size, wide))
        if not last:
            activation = activation_of(devices, outputs)
            layers.append(Mixed(activation, wide) if "own" in devices else activation)
            share = devices.get("drop", 100 * present.DROPOUT) / 100
            layers.append(Falling(share) if "fall" in devices else nn.Dropout(share))
        size = wide
    net.body = nn.Sequential(*layers)
    return net


def activation_of(devices: dict[str, float], outputs: int) -> nn.Module:
    if "act" in devices:
        return nn.Mish() if outputs == 1 else nn.SELU()
    kinds: dict[str, type[nn.Module]] = {"mish": nn.Mish, "selu": nn.SELU, "relu": nn.ReLU}
    return next((kind() for name, kind in kinds.items() if name in devices), nn.SiLU())


def devices_of(name: str) -> dict[str, float]:
    found = (re.fullmatch(r"([a-z]+)(\d*)", part) for part in name.split("_"))
    return {match[1]: float(match[2] or 1) for match in found if match}


def __getattr__(name: str) -> Callable[..., Any]:
    if name.startswith("_"):
        raise AttributeError(name)
    return partial(make, devices_of(name))
