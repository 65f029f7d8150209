"""What a run is said to cost, and what it takes of the processor.

    python benchmarks/cost.py [--nets "mlp;cnn"] [--seeds 3] [--out benchmarks/results/cost.json]

One thread, processor seconds (user and system, of this process). Of each net, in one process and in turns: a plain
run (epochs of training with one pass over the validation data each, in a bare loop), and `fit` with a budget of 1.5
on the same data. `told` is the multiple that the ledger counts, `measured` the one that the result has measured,
`beside` the processor seconds of all that `fit` does over those of the plain run, `forward` what an example costs
that only goes forward, of one that is trained on.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import harness
import torch
from torch import Tensor, nn

import gammatune

BUDGET = 1.5


class Text(nn.Module):
    """Tokens (batch, length) to the logits of a class: a transformer of two layers."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(50, width), nn.Embedding(32, width)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.tokens(x) + self.places.weight[: x.shape[1]]
        return self.out(self.layers(hidden).mean(1))


class Series(nn.Module):
    """Numbers (batch, length, 8) to the logits of a class: an LSTM."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.lstm, self.out = nn.LSTM(8, width, batch_first=True), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.lstm(x)[0][:, -1])


def convolutions() -> nn.Module:
    def block(a: int, b: int) -> list[nn.Module]:
        return [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(*block(3, 16), *block(16, 32), nn.Flatten(), nn.Linear(32 * 16, 10))


def perceptron(inside: int, layers: int = 1) -> nn.Module:
    hidden = [part for _ in range(layers) for part in (nn.Linear(inside, inside), nn.ReLU())]
    return nn.Sequential(nn.Linear(64, inside), nn.ReLU(), *hidden, nn.Linear(inside, 10))


@dataclass(frozen=True)
class Net:
    """A training. shape: of one input; tokens: they are whole numbers. optimizer: by name."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    optimizer: str = "adamw"
    tokens: bool = False
    train: int = 2000
    select: int = 500
    batch: int = 32
    epochs: int = 8


NETS = {
    "mlp": Net(lambda: perceptron(128), (64,), train=8000, select=2000, epochs=16),
    "mlp, as many to select by": Net(lambda: perceptron(128), (64,), train=8000, select=8000, epochs=16),
    "cnn": Net(convolutions, (3, 16, 16), "momentum", train=4000, select=1200),
    "transformer": Net(Text, (32,), tokens=True, train=3000, select=900, epochs=6),
    "lstm": Net(Series, (32, 8), train=6000, select=1500),
    "51M": Net(lambda: perceptron(4096, 3), (64,), train=960, select=320, epochs=4),
    "51M, momentum": Net(lambda: perceptron(4096, 3), (64,), "momentum", train=960, select=320, epochs=4),
}


def data(net: Net, seed: int) -> tuple[Any, Any]:
    """Rows to train on and to select by, of a class that a random linear map of the input gives."""
    generator = torch.Generator().manual_seed(seed)
    count = net.train + net.select
    x = torch.randn(count, *net.shape, generator=generator)
    y = (x.flatten(1) @ torch.randn(x[0].numel(), 10, generator=generator)).argmax(1)
    if net.tokens:
        x = (x.clamp(-2.4, 2.4) * 10 + 25).long()
    return (x[: net.train], y[: net.train]), (x[net.train :], y[net.train :])


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=1e-3),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9),
}


def plain(net: Net, seed: int) -> tuple[float, float]:
    """Processor seconds of a bare loop: training, and scoring the data to select by."""
    train, select = (torch.utils.data.TensorDataset(*part) for part in data(net, seed))
    torch.manual_seed(seed)
    model = net.make()
    optimizer, loss = OPTIMIZERS[net.optimizer](model.parameters()), nn.CrossEntropyLoss()
    loader = torch.utils.data.DataLoader(train, net.batch, shuffle=True)
    judged = torch.utils.data.DataLoader(select, net.batch)
    seconds = [0.0, 0.0]
    for _ in range(net.epochs):
        with harness.timed() as training:
            model.train()
            for x, y in loader:
                optimizer.zero_grad()
                loss(model(x), y).backward()
                optimizer.step()
        with harness.timed() as judging, torch.no_grad():
            model.eval()
            sum(float(loss(output := model(x), y)) + float((output.argmax(1) == y).sum()) for x, y in judged)
        seconds[0] += training.processor
        seconds[1] += judging.processor
    return seconds[0], seconds[1]


def tuned(net: Net, seed: int) -> tuple[float, Any]:
    """Processor seconds of `fit`, and its cost."""
    train, select = data(net, seed)
    torch.manual_seed(seed)
    with harness.timed() as took:
        result = gammatune.fit(
            net.make(), train, select, epochs=net.epochs, batch_size=net.batch, budget=BUDGET, seed=seed,
            optimizer=OPTIMIZERS[net.optimizer], progress=False, device="cpu",
        )  # fmt: skip
    return took.processor, result.cost


def measure(net: str, seed: int) -> dict[str, float]:
    one = NETS[net]
    before = plain(one, seed)
    seconds, cost = tuned(one, seed)
    train, select = (statistics.mean(pair) for pair in zip(before, plain(one, seed), strict=True))
    found = {
        "told": cost.plain_runs,
        "measured": cost.processor_runs,
        "beside": seconds / (train + select),
        "forward": (select / one.select) / (train / one.train),
        "plain_seconds": train + select,
        "seconds": seconds,
    }
    return {name: round(value, 3) for name, value in found.items()}


def main() -> None:
    parser = harness.arguments(__doc__, seeds=3)
    parser.add_argument("--nets", default=";".join(NETS), help="with semicolons")
    args = parser.parse_args()
    tuned(NETS["mlp"], 0)  # what is imported late is no cost of the first net
    cells = harness.Cells.beside(args.out, "net", "seed")
    keys = [{"net": name, "seed": seed} for name in args.nets.split(";") for seed in range(args.seeds)]
    harness.sweep(cells, keys, measure)
    if args.out:
        harness.save(args.out, {**harness.about("torch"), "budget": BUDGET, "rows": list(cells)})


if __name__ == "__main__":
    main()
