"""The networks of the population: factories, each called with the data it is for."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from sources import Data
from torch import Tensor, nn
from torch.nn import functional

Net: TypeAlias = Callable[[Data], nn.Module]
ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh, "silu": nn.SiLU, "sigmoid": nn.Sigmoid}


def outputs(data: Data) -> int:
    return data.classes or int(data.y.shape[1])


def mlp(width: int, depth: int = 2, act: str = "relu", norm: str = "", drop: float = 0.0) -> Net:
    """`depth` hidden layers; norm: "bn", "ln" or none."""

    def make(data: Data) -> nn.Module:
        inputs, layers = int(data.x[0].size), [nn.Flatten()]
        for _ in range(depth):
            layers += [nn.Linear(inputs, width)]
            layers += {"bn": [nn.BatchNorm1d(width)], "ln": [nn.LayerNorm(width)], "": []}[norm]
            layers += [ACTIVATIONS[act](), *([nn.Dropout(drop)] if drop else [])]
            inputs = width
        return nn.Sequential(*layers, nn.Linear(inputs, outputs(data)))

    return make


def linear() -> Net:
    return lambda data: nn.Sequential(nn.Flatten(), nn.Linear(int(data.x[0].size), outputs(data)))


def cnn(width: int, norm: bool = True, act: str = "relu") -> Net:
    """Two convolutions with pooling, averaged to 2 x 2; rows of 64 pixels are taken as 8 x 8."""

    def make(data: Data) -> nn.Module:
        flat = data.x.ndim == 2
        channels = 1 if flat else int(data.x.shape[1])
        layers: list[nn.Module] = [nn.Unflatten(1, (1, 8, 8))] if flat else []
        for wide in (width, 2 * width):
            layers += [nn.Conv2d(channels, wide, 3, padding=1, bias=not norm)]
            layers += [*([nn.BatchNorm2d(wide)] if norm else []), ACTIVATIONS[act](), nn.MaxPool2d(2)]
            channels = wide
        return nn.Sequential(
            *layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8 * width, outputs(data))
        )

    return make


class Residual(nn.Module):
    def __init__(self, channels: int, width: int, out: int, blocks: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
                nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width),
            )
            for _ in range(blocks)
        )  # fmt: skip
        self.head = nn.Linear(width, out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = functional.relu(x + block(x))
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


def resnet(width: int, blocks: int = 2) -> Net:
    return lambda data: Residual(int(data.x.shape[1]), width, outputs(data), blocks)


class ResidualMlp(nn.Module):
    """Layer norm, a bottleneck, added to what came in."""

    def __init__(self, inputs: int, width: int, out: int, blocks: int) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(inputs, width), nn.Linear(width, out)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
            )
            for _ in range(blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.flatten(1))
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)  # type: ignore[no-any-return]


def resmlp(width: int, blocks: int = 2) -> Net:
    return lambda data: ResidualMlp(int(data.x[0].size), width, outputs(data), blocks)


class Recurrent(nn.Module):
    """Over tokens or series (n, length, channels); the last state is read, or each where each has a target."""

    def __init__(self, kind: str, data: Data, width: int) -> None:
        super().__init__()
        self.every = data.kind == "tokens"
        text = data.x.dtype.kind == "i"
        self.embed = nn.Embedding(int(data.x.max()) + 1, 32) if text else nn.Identity()
        inputs = 32 if text else int(data.x.shape[2])
        self.net = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[kind](inputs, width, batch_first=True)
        self.head = nn.Linear(width, outputs(data))

    def forward(self, x: Tensor) -> Tensor:
        states = self.net(self.embed(x))[0]
        return self.head(states if self.every else states[:, -1])  # type: ignore[no-any-return]


def recurrent(kind: str, width: int) -> Net:
    return lambda data: Recurrent(kind, data, width)


class Transformer(nn.Module):
    """Over tokens, series, or the rows of an image; causal where every place has a target."""

    def __init__(self, data: Data, width: int, depth: int, drop: float, pre: bool) -> None:
        super().__init__()
        self.every, self.image = data.kind == "tokens", data.x.ndim == 4
        length = int(data.x.shape[2] if self.image else data.x.shape[1])
        if data.x.dtype.kind == "i":
            self.embed: nn.Module = nn.Embedding(int(data.x.max()) + 1, width)
        else:
            self.embed = nn.Linear(int(data.x[0].size) // length, width)
        self.place = nn.Parameter(torch.randn(length, width) * 0.02)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, 4, 4 * width, dropout=drop, batch_first=True, norm_first=pre, activation="gelu"
            )
            for _ in range(depth)
        )
        self.norm, self.head = nn.LayerNorm(width) if pre else nn.Identity(), nn.Linear(width, outputs(data))
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(length))

    def forward(self, x: Tensor) -> Tensor:
        if self.image:
            x = x.transpose(1, 2).flatten(2)
        h = self.embed(x) + self.place
        for block in self.blocks:
            h = block(h, src_mask=self.mask, is_causal=True) if self.every else block(h)
        h = self.norm(h)
        return self.head(h if self.every else h.mean(1))  # type: ignore[no-any-return]


def transformer(width: int, depth: int = 2, drop: float = 0.0, pre: bool = True) -> Net:
    """pre: the layer norms stand before attention and feed-forward, else after them."""
    return lambda data: Transformer(data, width, depth, drop, pre)


class Convolved(nn.Module):
    """Convolutions over a series (n, length, channels)."""

    def __init__(self, data: Data, width: int, norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = int(data.x.shape[2])
        for wide in (width, 2 * width):
            layers += [
                nn.Conv1d(channels, wide, 5, padding=2),
                *([nn.BatchNorm1d(wide)] if norm else []),
                nn.ReLU(),
            ]
            channels = wide
        self.net = nn.Sequential(
            *layers, nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(8 * width, outputs(data))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.transpose(1, 2))  # type: ignore[no-any-return]


def conv1d(width: int, norm: bool = False) -> Net:
    return lambda data: Convolved(data, width, norm)


def autoencoder(width: int, code: int) -> Net:
    def make(data: Data) -> nn.Module:
        n = int(data.x[0].size)
        return nn.Sequential(
            nn.Flatten(), nn.Linear(n, width), nn.ReLU(), nn.Linear(width, code),
            nn.Linear(code, width), nn.ReLU(), nn.Linear(width, n),
        )  # fmt: skip

    return make
