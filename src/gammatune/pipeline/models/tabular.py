"""The default net for tables: numbers and categories embedded, then three hidden layers.

    number    x  ->  (x, W cos(2 pi w x + b) + c)      16 frequencies, 4 numbers     PBLD
    category  code -> a row of a table of embeddings                                  ceil(1.6 k^0.56), at most 16
    all of them side by side -> 3 times (linear, SiLU, dropout) -> linear

The embedding of numbers is that of RealMLP (Holzmüller et al. 2024, 2407.04491, section 3), after Gorishniy et al.
2022 (2203.05556): a network that sees numbers only through linear maps is slow to learn what happens at thresholds.
The size of category embeddings is fastai's rule. Width, depth and dropout are RealMLP's. Its other devices are not
here: on ten tables none of those tried gained beyond noise (docs/diary.md, "The net on tables").
"""

import math
from collections.abc import Sequence

import torch
from torch import nn

from gammatune.errors import InvalidArgument

FREQUENCIES = 16
FREQUENCY_SCALE = 0.1
EMBEDDED = 4  # numbers a number becomes, itself among them
WIDTH = 256
DEPTH = 3
DROPOUT = 0.15
WIDEST = 16  # of a category's embedding [guess]
MANY = 256  # numbers from which on they are taken as they are: pixels, spectra [guess]


class NumberEmbedding(nn.Module):
    """x (n, F) -> (n, F * 4)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.frequency = nn.Parameter(FREQUENCY_SCALE * torch.randn(features, FREQUENCIES))
        self.phase = nn.Parameter(math.pi * (2 * torch.rand(features, FREQUENCIES) - 1))
        bound = FREQUENCIES**-0.5
        self.weight = nn.Parameter(bound * (2 * torch.rand(features, FREQUENCIES, EMBEDDED - 1) - 1))
        self.bias = nn.Parameter(bound * (2 * torch.rand(features, EMBEDDED - 1) - 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        waves = torch.cos(2 * math.pi * x[:, :, None] * self.frequency + self.phase)  # (n, F, 16)
        embedded = torch.einsum("nfk,fke->nfe", waves, self.weight) + self.bias  # (n, F, 3)
        return torch.cat([x[:, :, None], embedded], dim=2).flatten(1)


class Tabular(nn.Module):
    """Rows (n, F), the last of whose columns are codes below `cardinalities` -> outputs (n, outputs)."""

    def __init__(self, features: int, outputs: int, cardinalities: Sequence[int]) -> None:
        super().__init__()
        self.numbers = features - len(cardinalities)
        embedded = 0 < self.numbers < MANY
        self.embed_numbers = NumberEmbedding(self.numbers) if embedded else nn.Identity()
        self.embed_categories = nn.ModuleList(category_embedding(k) for k in cardinalities)
        size = (EMBEDDED if embedded else 1) * self.numbers + sum(map(embedding_size, cardinalities))
        layers: list[nn.Module] = []
        for _ in range(DEPTH):
            layers += [nn.Linear(size, WIDTH), nn.SiLU(), nn.Dropout(DROPOUT)]
            size = WIDTH
        # PyTorch's own initialisation: on 9 of 11 generated tables better than He's, whose outputs begin far apart
        self.body = nn.Sequential(*layers, nn.Linear(size, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [self.embed_numbers(x[:, : self.numbers])]
        codes = x[:, self.numbers :].long()
        parts += [embedding(codes[:, i]) for i, embedding in enumerate(self.embed_categories)]
        logits: torch.Tensor = self.body(torch.cat(parts, dim=1))
        return logits


def category_embedding(codes: int) -> nn.Module:
    """Rows of length 1 in the mean, whatever their size."""
    embedding = nn.Embedding(codes, embedding_size(codes))
    nn.init.normal_(embedding.weight, std=embedding.embedding_dim**-0.5)
    return embedding


def embedding_size(codes: int) -> int:
    """fastai's rule: min(WIDEST, ceil(1.6 k^0.56))."""
    return min(WIDEST, math.ceil(1.6 * math.pow(codes, 0.56)))


def tabular(shape: tuple[int, ...], outputs: int, cardinalities: Sequence[int] = ()) -> nn.Module:
    """Rows (n, F) -> (n, outputs). cardinalities: how many codes each of the last columns of a row has.

    Raises InvalidArgument where `shape` is no vector.
    """
    if len(shape) != 1:
        raise InvalidArgument(
            f"the net tabular takes rows of numbers, not examples of shape {shape}; use cnn"
        )
    return Tabular(shape[0], outputs, cardinalities)
