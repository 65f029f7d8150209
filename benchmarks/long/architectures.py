"""The nets of the eight trainings. Each function makes a fresh one from torch's global random stream."""

import torch
from nets import resnet
from torch import Tensor, nn
from torch.nn import functional


class Characters(nn.Module):
    """(n, context) symbols -> (n, symbols, context): a decoder of pre-norm blocks with four heads, as nanoGPT's."""

    def __init__(self, symbols: int, context: int, width: int, layers: int = 4) -> None:
        super().__init__()
        self.symbol, self.place = nn.Embedding(symbols, width), nn.Embedding(context, width)
        self.blocks = blocks(width, layers)
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, symbols)
        self.register_buffer(
            "mask", nn.Transformer.generate_square_subsequent_mask(context), persistent=False
        )
        for table in (self.symbol, self.place):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        h = self.blocks(self.symbol(x) + self.place.weight, self.mask, is_causal=True)
        out: Tensor = self.out(self.norm(h))
        return out.transpose(1, 2)


def blocks(width: int, layers: int) -> nn.Module:
    """Pre-norm attention and GELU, with nanoGPT's initial weights."""
    layer = nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
    made = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
    for each in made.parameters():  # which are copies of one layer's
        if each.ndim > 1:
            nn.init.normal_(each, std=0.02)
    return made


def digits() -> nn.Module:
    """The net of PyTorch's MNIST example, its log-softmax left to the loss."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)),
        *(nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)),
    )


def residual(width: int) -> nn.Module:
    """Three residual blocks from 32 x 32 to 4 x 4 pixels, each twice as wide as before; channels last is faster."""
    net = resnet(3, 10, (width, 2 * width, 4 * width, 8 * width), stride=1)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


class Recurrent(nn.Module):
    """(n, 1, length): two convolutions of stride 2, a GRU over what they give, its last state classified."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *(nn.Conv1d(1, width // 2, 7, stride=2, padding=3), nn.ReLU()),
            *(nn.Conv1d(width // 2, width // 2, 5, stride=2, padding=2), nn.ReLU()),
        )
        self.gru, self.out = nn.GRU(width // 2, width, batch_first=True), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.gru(self.convolutions(x).transpose(1, 2))
        out: Tensor = self.out(states[:, -1])
        return out


class Patches(nn.Module):
    """(n, 1, length): a transformer of three blocks over patches of eight samples, their mean classified."""

    def __init__(self, length: int, width: int, classes: int) -> None:
        super().__init__()
        self.embed, self.out = nn.Linear(8, width), nn.Linear(width, classes)
        self.place = nn.Parameter(0.02 * torch.randn(length // 8, width))
        self.blocks, self.norm = blocks(width, 3), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        h = self.blocks(self.embed(x.unflatten(2, (-1, 8)).squeeze(1)) + self.place)
        out: Tensor = self.out(self.norm(h).mean(dim=1))
        return out


def tabular(columns: int, classes: int) -> nn.Module:
    """fastai's tabular model for columns of numbers, layers of 200 and 100 as in its tutorial."""
    return nn.Sequential(
        *(nn.BatchNorm1d(columns), nn.Linear(columns, 200), nn.ReLU(), nn.BatchNorm1d(200)),
        *(nn.Linear(200, 100), nn.ReLU(), nn.BatchNorm1d(100), nn.Linear(100, classes)),
    )


class Vae(nn.Module):
    """PyTorch's example: (n, 784) -> (n,), the negative evidence lower bound of each image, in nats.

    In eval mode the noise is the same at every call.
    """

    def __init__(self) -> None:
        super().__init__()
        self.into, self.mean, self.spread = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.back, self.out = nn.Linear(20, 400), nn.Linear(400, 784)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.relu(self.into(x))
        mean, log_variance = self.mean(h), self.spread(h)
        fixed = None if self.training else torch.Generator().manual_seed(0)
        z = mean + torch.randn(mean.shape, generator=fixed) * (log_variance / 2).exp()
        logits = self.out(functional.relu(self.back(z)))
        told = functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=1)
        return told - 0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(dim=1)
