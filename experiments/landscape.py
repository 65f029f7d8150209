"""Where does the best learning rate of a short training lie, against that of the whole?

The opening of the lookahead policy rests on this (policy/opening.py). Twelve small trainings (none of them a task of
benchmarks/equal_cost) are run in full at 25 learning rates, and in miniature: the whole schedule, warm-up and linear
decay, within a 64th, 32nd, 16th, 8th and quarter of the steps. Printed and kept for each:

    rise    how many decades the best rate of the miniature lies above that of the full training, by kappa on
            images nobody trained on, mean over seeds
    regret  the test error of the full training at the miniature's best rate, lowered by nothing, against the best

and the largest fall of the score along full runs at the best rate, 1.8 and 3.2 times it (the guard's threshold).

    python experiments/landscape.py DIRECTORY [--seeds 2]       about 4 minutes a seed on one core

DIRECTORY holds mnist.npz and cifar10_train_jpeg.npz.
"""

import io
import itertools
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

import harness
import numpy as np
import torch
from sklearn import datasets
from torch import Tensor, nn
from torch.nn import functional

from gammatune.metrics.objectives import make_objective
from gammatune.records import Shape
from gammatune.schedules import linear

RESULT = Path(__file__).parent / "results" / "landscape.json"
RATES = tuple(10 ** (-5 + k / 4) for k in range(25))
PARTS = (64, 32, 16, 8, 4, 1)  # the full training is one
LEAST = 8  # steps


@dataclass(frozen=True)
class Task:
    """train, select, test: how many examples. noise: share of the training labels drawn at random."""

    data: str
    train: int
    select: int
    test: int
    model: Callable[[], nn.Module]
    optimizer: str
    weight_decay: float
    epochs: int
    batch_size: int
    noise: float = 0.0


def mlp(inputs: int, hidden: int, outputs: int, depth: int = 2, norm: bool = False) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    for width in [inputs] + [hidden] * (depth - 1):
        layers += [nn.Linear(width, hidden), *([nn.BatchNorm1d(hidden)] if norm else []), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden, outputs))


def cnn(channels: int, width: int, side: int, norm: bool) -> nn.Module:
    def block(a: int, b: int) -> list[nn.Module]:
        return [
            nn.Conv2d(a, b, 3, padding=1),
            *([nn.BatchNorm2d(b)] if norm else []),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]

    return nn.Sequential(
        *block(channels, width),
        *block(width, 2 * width),
        nn.Flatten(),
        nn.Linear(2 * width * (side // 4) ** 2, 10),
    )


class Rows(nn.Module):
    """A small transformer over the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(14, 32), nn.Linear(32, 10)
        self.place = nn.Parameter(0.02 * torch.randn(1, 14, 32))
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.embed(x.squeeze(1)) + self.place).mean(1))  # type: ignore[no-any-return]


TASKS = {
    "mnist-mlp-momentum": Task("mnist", 2000, 500, 2000, lambda: mlp(196, 128, 10), "momentum", 5e-4, 10, 50),
    "mnist-mlp-sgd": Task("mnist", 1500, 400, 2000, lambda: mlp(196, 64, 10), "sgd", 0, 12, 32),
    "mnist-deep-adamw": Task("mnist", 2000, 500, 2000, lambda: mlp(196, 64, 10, 5), "adamw", 1e-2, 8, 50),
    "mnist-cnn-adamw": Task("mnist", 1500, 400, 1500, lambda: cnn(1, 8, 14, False), "adamw", 1e-2, 8, 50),
    "mnist-norm-sgd": Task("mnist", 1500, 400, 2000, lambda: mlp(196, 64, 10, 3, True), "sgd", 0, 8, 32),
    "mnist-rows-adamw": Task("mnist", 1500, 400, 1500, Rows, "adamw", 1e-2, 12, 50),
    "mnist-noisy-momentum": Task("mnist", 2000, 500, 2000, lambda: mlp(196, 128, 10), "momentum", 5e-4, 10, 50, 0.2),
    "cifar-norm-momentum": Task("cifar", 2000, 500, 2000, lambda: cnn(3, 12, 16, True), "momentum", 5e-4, 12, 50),
    "cifar-cnn-adamw": Task("cifar", 2000, 500, 2000, lambda: cnn(3, 12, 16, False), "adamw", 1e-2, 10, 50),
    "digits-mlp-momentum": Task("digits", 1000, 300, 497, lambda: mlp(64, 64, 10), "momentum", 0, 15, 32),
    "cancer-adamw": Task("breast_cancer", 300, 120, 149, lambda: mlp(30, 32, 2), "adamw", 1e-2, 20, 16),
    "diabetes-adamw": Task("diabetes", 250, 90, 102, lambda: mlp(10, 32, 1), "adamw", 1e-2, 20, 16),
}  # fmt: skip


@cache
def load(name: str, directory: str) -> tuple[Tensor, Tensor]:
    """(inputs, targets): images at half their size, tables standardised."""
    if name == "mnist":
        with np.load(Path(directory) / "mnist.npz") as file:
            x, y = file["x_train"], file["y_train"]
        images = functional.avg_pool2d(torch.tensor(x)[:, None].float() / 255, 2)
    elif name == "cifar":
        from PIL import Image

        with np.load(Path(directory) / "cifar10_train_jpeg.npz") as file:
            stored, ends, y = file["bytes"], file["offsets"], file["labels"][:9000]
        pictures = [Image.open(io.BytesIO(stored[a:b].tobytes())) for a, b in itertools.pairwise(ends[:9001])]
        x = np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])
        images = functional.avg_pool2d(torch.tensor(x).permute(0, 3, 1, 2).float() / 255, 2)
    else:
        table = getattr(datasets, f"load_{name}")()
        x = (table.data - table.data.mean(0)) / (table.data.std(0) + 1e-6)
        y = table.target
        if name == "diabetes":
            return torch.tensor(x).float(), torch.tensor((y - y.mean()) / y.std()).float()
        return torch.tensor(x).float(), torch.tensor(y).long()
    return (images - images.mean()) / images.std(), torch.tensor(y).long()


class Setting:
    """A task under one seed: which examples, which initial weights, which order."""

    def __init__(self, task: Task, seed: int, directory: str) -> None:
        self.task, self.seed = task, seed
        x, y = load(task.data, directory)
        generator = torch.Generator().manual_seed(1000 + seed)
        order = torch.randperm(len(x), generator=generator)
        sizes = (task.train, task.select, task.test)
        parts = torch.split(order[: sum(sizes)], sizes)
        (self.x, self.y), self.select, self.test = [(x[p], y[p].clone()) for p in parts]
        if task.noise:
            wrong = torch.rand(task.train, generator=generator) < task.noise
            self.y[wrong] = torch.randint(0, 10, (int(wrong.sum()),), generator=generator)
        self.classify = not y.is_floating_point()
        self.objective = make_objective("kappa" if self.classify else "log-loss")
        self.epoch = math.ceil(task.train / task.batch_size)  # steps

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        if self.classify:
            return functional.cross_entropy(output, target)
        return functional.mse_loss(output.squeeze(1), target)

    def metrics(self, model: nn.Module, part: tuple[Tensor, Tensor]) -> dict[str, float]:
        """accuracy and loss; of a regression 1 - R2 stands in for the error."""
        model.eval()
        with torch.no_grad():
            output = model(part[0])
        model.train()
        loss = float(self.loss(output, part[1]))
        if self.classify:
            return {"accuracy": float((output.argmax(1) == part[1]).float().mean()), "loss": loss}
        return {"accuracy": max(0.0, 1 - loss / float(part[1].var(unbiased=False))), "loss": loss}

    def score(self, model: nn.Module) -> float:
        value = self.objective(self.metrics(model, self.select))
        return value if math.isfinite(value) else -math.inf

    def batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        for picked in torch.randperm(self.task.train, generator=generator).split(self.task.batch_size):
            yield self.x[picked], self.y[picked]

    def train(self, rate: float, steps: int, shape: Shape) -> tuple[nn.Module | None, list[float]]:
        """The model (None: it blew up), and the score at the start and after every epoch."""
        task = self.task
        torch.manual_seed(self.seed)
        model = task.model()
        make = torch.optim.AdamW if task.optimizer == "adamw" else torch.optim.SGD
        extra = {"momentum": 0.9} if task.optimizer == "momentum" else {}
        optimizer = make(model.parameters(), rate, weight_decay=task.weight_decay, **extra)
        generator = torch.Generator().manual_seed(self.seed)
        scores, step = [self.score(model)], 0
        while step < steps:
            for x, y in self.batches(generator):
                for group in optimizer.param_groups:
                    group["lr"] = rate * shape((step + 0.5) / steps)
                optimizer.zero_grad()
                loss = self.loss(model(x), y)
                if not loss.item() < 1e6:
                    return None, scores
                loss.backward()
                optimizer.step()
                step += 1
                if step == steps:
                    break
            if steps >= self.epoch:
                scores.append(self.score(model))
        return model, scores


def landscape(directory: str, task: str, seed: int) -> dict[str, object]:
    """Score and test error at every rate, for every length; falls along full runs."""
    setting = Setting(TASKS[task], seed, directory)
    whole = setting.task.epochs * setting.epoch
    scores: dict[str, list[float | None]] = {}
    errors: list[float] = []
    falls: list[float | None] = []
    for part in PARTS:
        scores[str(part)] = []
        for rate in RATES:
            model, trace = setting.train(rate, max(LEAST, round(whole / part)), linear())
            value = -math.inf if model is None else setting.score(model)
            scores[str(part)].append(value if math.isfinite(value) else None)
            if part == 1:
                errors.append(1.0 if model is None else 1 - setting.metrics(model, setting.test)["accuracy"])
                falls.append(None if model is None else largest_fall(trace))
    return {"scores": scores, "errors": errors, "falls": falls, "steps": whole}


def largest_fall(trace: list[float]) -> float:
    """The largest share of the progress made so far that an epoch lost again."""
    floor, best, fall = trace[0], trace[0], 0.0
    for score in trace[1:]:
        if best > floor:
            fall = max(fall, (best - score) / (best - floor))
        best = max(best, score)
    return min(fall, 9.0)


def summary(cells: list[dict[str, object]]) -> dict[str, object]:
    """Over the seeds of one task."""

    def mean(part: int) -> np.ndarray:
        rows = [[-9.0 if v is None else v for v in c["scores"][str(part)]] for c in cells]  # type: ignore[index]
        return np.mean(np.maximum(rows, -9.0), axis=0)

    log_rates = np.log10(RATES)
    errors = np.mean([c["errors"] for c in cells], axis=0)
    best = log_rates[int(np.argmax(mean(1)))]
    at = {part: log_rates[int(np.argmax(mean(part)))] for part in PARTS[:-1]}
    near = [int(np.argmax(mean(1))) + k for k in (0, 1, 2)]
    falls = [[c["falls"][k] for c in cells] for k in near if k < len(RATES)]  # type: ignore[index]
    return {
        "best": float(best),
        "rise": {str(part): round(float(at[part] - best), 2) for part in at},
        "regret": {str(p): round(float(np.interp(at[p], log_rates, errors) / errors.min()), 3) for p in at},
        "falls at the best rate, 1.8 and 3.2 times": [
            [None if f is None else round(f, 2) for f in row] for row in falls
        ],
    }


def main() -> None:
    parser = harness.arguments(__doc__, RESULT, seeds=2, jobs=1)
    parser.add_argument("directory")
    args = parser.parse_args()
    began = time.perf_counter()
    held = harness.Cells.beside(args.out, "task", "seed")
    found = {}
    for name in TASKS:
        keys = [{"task": name, "seed": seed} for seed in range(args.seeds)]
        work = partial(landscape, args.directory)
        harness.sweep(
            held, keys, work, **harness.bounds(args), say=lambda row: f"{row['task']} {row['seed']}"
        )
        cells = held.good(task=name)
        found[name] = {"summary": summary(cells), "cells": cells}
        text = found[name]["summary"]
        print(
            f"{name:22s} best 1e{text['best']:.2f}  rise {text['rise']}  regret {text['regret']}", flush=True
        )  # type: ignore[index]
    rises = {
        part: [found[n]["summary"]["rise"][part] for n in found]
        for part in map(str, PARTS[:-1])  # type: ignore[index]
    }
    means = {part: round(float(np.mean(values)), 2) for part, values in rises.items()}
    print("mean rise in decades:", means)
    result = {
        "command": f"python experiments/landscape.py DIRECTORY --seeds {args.seeds}",
        "machine": harness.machine("torch", "numpy", "scikit-learn", "gammatune"),
        "seeds": args.seeds,
        "seconds": round(time.perf_counter() - began),
        "rates": RATES,
        "mean rise": means,
        "tasks": found,
    }
    harness.save(args.out, result, by_line=True)


if __name__ == "__main__":
    main()
