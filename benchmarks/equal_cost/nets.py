"""The small nets of the tasks. Each function makes a fresh one from torch's global random stream."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


def mlp(inputs: int, hidden: int, outputs: int, layers: int = 1) -> nn.Module:
    """(n, ...) -> (n, outputs); `layers` hidden layers with ReLU."""
    widths = [inputs, *[hidden] * layers]
    parts: list[nn.Module] = [nn.Flatten()]
    for a, b in pairwise(widths):
        parts += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*parts, nn.Linear(hidden, outputs))


def cnn(channels: int, side: int, outputs: int, widths: tuple[int, ...], norm: bool) -> nn.Module:
    """(n, C, side, side) -> (n, outputs); each width a 3x3 convolution of stride 2, BatchNorm if `norm`, ReLU."""
    parts: list[nn.Module] = []
    for width in widths:
        parts += [nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=not norm)]
        parts += [nn.BatchNorm2d(width)] if norm else []
        parts += [nn.ReLU()]
        channels, side = width, (side + 1) // 2
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(channels * side * side, outputs))


class Block(nn.Module):
    """y = relu(F(x) + W x): two 3x3 convolutions with BatchNorm, the first of stride 2; W a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        residual = self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(x)))))
        return functional.relu(residual + self.shortcut(x))


def resnet(channels: int, outputs: int, widths: tuple[int, ...], stride: int = 2) -> nn.Module:
    """A 3x3 convolution of that stride to widths[0], a residual block to each other one, the mean, linear."""
    blocks = [Block(a, b) for a, b in pairwise(widths)]
    stem = [
        nn.Conv2d(channels, widths[0], 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(),
    ]
    return nn.Sequential(
        *stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], outputs)
    )


class RowLSTM(nn.Module):
    """(n, 1, rows, columns): an LSTM reads the rows from the top; its last state is classified."""

    def __init__(self, columns: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(columns, hidden, batch_first=True)
        self.head = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.lstm(x.squeeze(1))
        return self.head(states[:, -1])


class RowTransformer(nn.Module):
    """(n, 1, rows, columns): the rows are tokens; one pre-norm layer of attention and MLP, the mean classified."""

    def __init__(self, rows: int, columns: int, width: int, heads: int, outputs: int) -> None:
        super().__init__()
        self.heads = heads
        self.embed = nn.Linear(columns, width)
        self.place = nn.Parameter(0.02 * torch.randn(rows, width))
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x.squeeze(1)) + self.place  # (n, rows, width)
        h = h + self._attention(self.norm1(h))
        h = h + self.mlp(self.norm2(h))
        return self.head(self.norm3(h).mean(dim=1))

    def _attention(self, h: Tensor) -> Tensor:
        n, rows, width = h.shape
        q, k, v = self.qkv(h).view(n, rows, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        return self.out(
            functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, rows, width)
        )
