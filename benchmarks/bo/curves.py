"""Learning-rate curves, measured: small trainings over a dense grid of rates, for problems.py to look up.

Each curve is one data set, one net, one optimizer; every rate from 1e-6 to 10 (8 a decade; 4 a decade where a second
hyperparameter is varied as well) is trained from SEEDS seeds, which decide the initial weights and the order of the
batches. Kept are the loss and the share of errors on held-out data after the last step (regressions: the squared
error in units of the target's variance, and no errors); null where the loss stopped being finite. The data are
scikit-learn's bundled sets and synthetic ones, standardised; the split is fixed.

Run:  python benchmarks/bo/curves.py          (about ten minutes on one core; goes on where it was interrupted)
"""

import functools
import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

import harness
import numpy as np
import torch
from torch import Tensor, nn

OUT = Path(__file__).with_name("curves.json")
SEEDS = 3
LR_1D, LR_2D = np.logspace(-6, 1, 57), np.logspace(-6, 1, 29)
DECAY = np.logspace(-6, 0, 9)
DRAG = np.logspace(-3, 0, 9)  # 1 - momentum

Net = Callable[[int, int], nn.Module]  # inputs, outputs


@dataclass(frozen=True)
class Data:
    """Rows to train on and rows held out; y: int64 classes, or float32 targets of variance 1."""

    X: Tensor
    y: Tensor
    X_out: Tensor
    y_out: Tensor

    @property
    def classes(self) -> int:
        return 1 if self.y.is_floating_point() else int(self.y.max()) + 1


@dataclass(frozen=True)
class Curve:
    name: str
    data: str
    net: Net
    optimizer: str
    steps: int = 200
    second: str = ""  # the other hyperparameter: weight_decay or drag

    @property
    def axes(self) -> dict[str, np.ndarray]:
        if not self.second:
            return {"lr": LR_1D}
        return {"lr": LR_2D, self.second: DECAY if self.second == "weight_decay" else DRAG}


def mlp(*widths: int) -> Net:
    def make(inputs: int, outputs: int) -> nn.Module:
        sizes = [inputs, *widths, outputs]
        layers: list[nn.Module] = []
        for fan_in, fan_out in itertools.pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    return make


def cnn(inputs: int, outputs: int) -> nn.Module:
    """For the 8 x 8 digits."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(64, outputs),
    )  # fmt: skip


class Recurrent(nn.Module):
    """For rows that are sequences of pairs."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.cells, self.head = nn.GRU(2, 16, batch_first=True), nn.Linear(16, outputs)

    def forward(self, X: Tensor) -> Tensor:
        return self.head(self.cells(X.unflatten(1, (-1, 2)))[0][:, -1])


CURVES = [
    Curve("digits logistic sgd", "digits", mlp(), "sgd"),
    Curve("digits mlp sgd", "digits", mlp(32), "sgd"),
    Curve("digits mlp momentum", "digits", mlp(32), "momentum"),
    Curve("digits mlp adam", "digits", mlp(32), "adam"),
    Curve("digits cnn momentum", "digits", cnn, "momentum"),
    Curve("digits cnn adamw", "digits", cnn, "adamw"),
    Curve("cancer mlp sgd", "cancer", mlp(32), "sgd"),
    Curve("wine mlp adam", "wine", mlp(16), "adam", 100),
    Curve("diabetes mlp momentum", "diabetes", mlp(32, 32), "momentum"),
    Curve("friedman mlp adam", "friedman", mlp(32, 32), "adam"),
    Curve("spirals deep mlp sgd", "spirals", mlp(32, 32, 32, 32), "sgd", 400),
    Curve("noisy labels mlp adamw", "labels", mlp(64), "adamw", 300),
    Curve("adding gru adam", "adding", Recurrent, "adam"),
    Curve("adding gru sgd", "adding", Recurrent, "sgd"),
    Curve("digits mlp adamw x decay", "digits", mlp(32), "adamw", 150, "weight_decay"),
    Curve("noisy labels mlp sgd x decay", "labels", mlp(64), "sgd", 300, "weight_decay"),
    Curve("diabetes mlp adamw x decay", "diabetes", mlp(32), "adamw", 150, "weight_decay"),
    Curve("digits mlp x momentum", "digits", mlp(32), "drag", 150, "drag"),
    Curve("friedman mlp x momentum", "friedman", mlp(32), "drag", 150, "drag"),
]


@functools.cache
def load(name: str) -> Data:
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    rng = np.random.default_rng(0)
    if name == "spirals":
        turn, arm = rng.uniform(0.5, 2.5, 800) * np.pi, rng.integers(0, 2, 800)
        X = np.stack([turn * np.cos(turn + np.pi * arm), turn * np.sin(turn + np.pi * arm)], axis=1)
        X, y = X + 0.2 * rng.standard_normal(X.shape), arm
    elif name == "labels":  # a fifth of the labels wrong, more columns than they need: decay helps
        X, y = datasets.make_classification(500, 40, n_informative=8, flip_y=0.2, random_state=0)
    elif name == "friedman":
        X, y = datasets.make_friedman1(800, noise=1.0, random_state=0)
    elif name == "adding":  # of twelve numbers the two that are marked (Hochreiter and Schmidhuber 1997)
        values, marks = rng.random((1200, 12)), np.zeros((1200, 12))
        for row in marks:
            row[rng.choice(12, 2, replace=False)] = 1.0
        X, y = np.stack([values, marks], axis=2).reshape(1200, 24), (values * marks).sum(axis=1)
    else:
        load_set = {
            "digits": datasets.load_digits,
            "cancer": datasets.load_breast_cancer,
            "wine": datasets.load_wine,
            "diabetes": datasets.load_diabetes,
        }[name]
        X, y = load_set(return_X_y=True)
    y = y.astype(np.int64) if name not in ("diabetes", "friedman", "adding") else y
    X, X_out, y, y_out = train_test_split(X, y, test_size=0.4, random_state=0)
    centre, spread = X.mean(axis=0), X.std(axis=0) + 1e-6 + (X.std(axis=0) == 0)
    if y.dtype != np.int64:
        middle, scale = y.mean(), y.std()
        y, y_out = ((v - middle).astype(np.float32) / np.float32(scale) for v in (y, y_out))
    return Data(
        torch.tensor((X - centre) / spread, dtype=torch.float32), torch.tensor(y),
        torch.tensor((X_out - centre) / spread, dtype=torch.float32), torch.tensor(y_out),
    )  # fmt: skip


def optimizer(
    name: str, net: nn.Module, lr: float, decay: float | None, drag: float | None
) -> torch.optim.Optimizer:
    weights = list(net.parameters())
    match name:
        case "sgd":
            return torch.optim.SGD(weights, lr, weight_decay=decay or 0.0)
        case "momentum":
            return torch.optim.SGD(weights, lr, momentum=0.9)
        case "drag":
            return torch.optim.SGD(weights, lr, momentum=1 - (drag or 1.0))
        case "adam":
            return torch.optim.Adam(weights, lr)
    return torch.optim.AdamW(weights, lr, weight_decay=0.01 if decay is None else decay)


def train(curve: Curve, point: dict[str, float], seed: int) -> tuple[float, float] | None:
    """Held-out loss and share of errors (NaN for a regression) after the last step; None where it blew up."""
    data = load(curve.data)
    torch.manual_seed(seed)
    net = curve.net(data.X.shape[1], data.classes)
    steps = optimizer(curve.optimizer, net, point["lr"], point.get("weight_decay"), point.get("drag"))

    def loss(X: Tensor, y: Tensor) -> Tensor:
        out = net(X)
        return ((out[:, 0] - y) ** 2).mean() if data.classes == 1 else nn.functional.cross_entropy(out, y)

    order = torch.Generator().manual_seed(seed)
    for _ in range(curve.steps):
        batch = torch.randint(len(data.X), (32,), generator=order)
        value = loss(data.X[batch], data.y[batch])
        if not torch.isfinite(value):
            return None
        steps.zero_grad()
        value.backward()
        steps.step()
    with torch.no_grad():
        final = float(loss(data.X_out, data.y_out))
        if not np.isfinite(final):
            return None
        wrong = (
            float("nan")
            if data.classes == 1
            else float((net(data.X_out).argmax(1) != data.y_out).float().mean())
        )
    return final, wrong


def measure(curve: Curve) -> dict[str, object]:
    """The whole curve: `loss` and, for classes, `error` by point (in the axes' order) and seed."""
    axes = curve.axes
    points = np.stack([grid.ravel() for grid in np.meshgrid(*axes.values(), indexing="ij")], axis=1)
    loss, error = [], []
    for point in points:
        ends = [train(curve, dict(zip(axes, point.tolist(), strict=True)), seed) for seed in range(SEEDS)]
        loss.append([None if end is None else harness.rounded(end[0]) for end in ends])
        error.append([None if end is None else harness.rounded(end[1]) for end in ends])
    out: dict[str, object] = {
        "axes": {name: [float(f"{x:.6g}") for x in axis] for name, axis in axes.items()},
        "loss": loss,
    }
    return out if load(curve.data).classes == 1 else {**out, "error": error}


def compute(name: str) -> dict[str, object]:
    return measure(next(curve for curve in CURVES if curve.name == name))


def main() -> None:
    args = harness.arguments(__doc__, OUT, minutes=15.0, jobs=1).parse_args()
    cells = harness.Cells.beside(args.out, "name", held="curves")
    keys = [{"name": curve.name} for curve in CURVES]
    harness.sweep(cells, keys, compute, **harness.bounds(args), say=lambda row: str(row["name"]))
    about = {
        "command": "python benchmarks/bo/curves.py",
        "seeds": SEEDS,
        **harness.machine("torch", "numpy", "scikit-learn"),
    }
    harness.save(args.out, {**about, "curves": cells.good()}, by_line=True)


if __name__ == "__main__":
    main()
