"""The tasks: small real trainings, cheap enough that hundreds of runs per task and seed fit in an hour.

    TASKS["mnist-mlp"].setting(seed=0)

A `Task` says what is trained and how long; a `Setting` is the task under one seed, which picks the examples, the
initial weights and the order of the data, the same for every method. The four development tasks were looked at
while methods were being made; the others are run with everything frozen.

Every setting has four parts: "train"; "select", the half of the validation data methods choose by; "second", the
other half, which shows how optimistic a choice was; "test", reported only.
"""

import math
import os
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from functools import cache, partial
from zlib import crc32

import data
import nets
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

VERSION = "2"  # of the tasks: results of another version are not comparable, and caches are kept apart
FORWARD = 500  # examples in a batch of an evaluation
Parts = Mapping[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Task:
    """epochs: of a plain run. batch_size: in examples. optimizer: "sgd", "momentum" (0.9) or "adamw".

    default_lr: torch's own, per step. weight_decay: as the optimizer has it. metric: what is reported, lower is
    better: "error" (1 - accuracy), "balanced error" (1 - mean recall), "1 - R2". parts: makes the data from a
    seed. net: makes the model from torch's global stream. classes: 0 for a regression.
    augment: flips and shifts the images of each training batch, with torch's global stream.
    """

    name: str
    epochs: int
    batch_size: int
    optimizer: str
    parts: Callable[[np.random.Generator], Parts]
    net: Callable[[], nn.Module]
    classes: int = 10
    default_lr: float = 1e-3
    weight_decay: float = 0.0
    development: bool = False
    metric: str = "error"
    augment: bool = False

    def setting(self, seed: int) -> "Setting":
        return Setting(self, seed)


class Setting:
    """A task under one seed.

    examples: training examples an epoch. validation: examples of the part "select". noise: the seed of
    augmentation and dropout.
    classify: whether metrics are accuracy and loss (cross entropy), or loss (mean squared error) and r2.
    """

    def __init__(self, task: Task, seed: int) -> None:
        self.task, self.seed = task, seed
        self._stream = self._order = crc32(f"{task.name}/{seed}".encode())
        self.noise = seed
        self.parts = task.parts(np.random.default_rng([seed, crc32(task.name.encode())]))
        self.examples = len(self.parts["train"][0])
        self.validation = len(self.parts["select"][0])
        self.classify = task.classes > 0

    def reordered(self, order: int) -> "Setting":
        """The same examples and initial weights with the data in another order, and other augmentation and dropout.

        Order 0 is that of the setting as it was made.
        """
        if order == 0:
            return self
        other = copy(self)
        other._order = other.noise = crc32(f"{self.task.name}/{self.seed}/{order}".encode())
        return other

    def model(self) -> nn.Module:
        """A fresh one, with the same initial weights every time; the global random stream is left alone."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self._stream)
            return self.task.net()

    def optimizer(self, model: nn.Module, lr: float) -> Optimizer:
        decay = self.task.weight_decay
        if self.task.optimizer == "adamw":
            return torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=decay)
        momentum = {"sgd": 0.0, "momentum": 0.9}[self.task.optimizer]
        return torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum, weight_decay=decay)

    def loader(self, batch_size: int | None = None, both: bool = False) -> DataLoader:
        """The training batches, in the same order for every loader made; each epoch has another order.

        both: train, select and second half together, for a method that needs no validation.
        """
        names = ("train", "select", "second") if both else ("train",)
        x, y = (torch.cat([self.parts[name][i] for name in names]) for i in (0, 1))
        generator = torch.Generator().manual_seed(self._order)
        order = RandomSampler(range(len(x)), generator=generator)
        batches = BatchSampler(order, batch_size or self.task.batch_size, drop_last=False)
        whole = Batches(x, y, self.task.augment)
        return DataLoader(whole, sampler=batches, batch_size=None, generator=generator)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        if self.classify:
            return functional.cross_entropy(output, target)
        return functional.mse_loss(output.view_as(target), target)

    def score(self, model: nn.Module, part: str) -> dict[str, float]:
        """Metrics on "select", "second" or "test", in eval mode without gradients; the modes are put back."""
        x, y = self.parts[part]
        modes = [(module, module.training) for module in model.modules()]
        model.eval()
        with torch.no_grad():
            output = torch.cat([model(chunk) for chunk in x.split(FORWARD)])
            loss = float(self.loss(output, y))
        for module, mode in modes:
            module.training = mode
        if not self.classify:
            residual = (output.view_as(y) - y).double().square().sum()
            return {"loss": loss, "r2": float(1 - residual / (y.double() - y.double().mean()).square().sum())}
        right = (output.argmax(dim=1) == y).double()
        if self.task.metric == "balanced error":
            present = [right[y == c].mean() for c in range(self.task.classes) if (y == c).any()]
            return {"accuracy": float(torch.stack(present).mean()), "loss": loss}
        return {"accuracy": float(right.mean()), "loss": loss}

    def error(self, metrics: Mapping[str, float]) -> float:
        """The task's metric, lower is better, in [0, 1].

        What a net that learnt nothing has, where the metrics are not finite: guessing one class, or the mean. A
        regression worse than the mean counts as the mean, since its R2 has no lower bound.
        """
        nothing = 1 - 1 / self.task.classes if self.classify else 1.0
        if not all(math.isfinite(value) for value in metrics.values()):
            return nothing
        return 1 - metrics["accuracy"] if self.classify else min(1 - metrics["r2"], 1.0)

    def recalibrate(self, model: nn.Module) -> None:
        """BatchNorm's statistics over the training data (no-op without BatchNorm); forward only, not augmented."""
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        if not norms:
            return
        momenta = [norm.momentum for norm in norms]
        modes = [(module, module.training) for module in model.modules()]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain average over the batches
        model.train()
        with torch.no_grad():
            for chunk in self.parts["train"][0].split(FORWARD):
                model(chunk)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes:
            module.training = mode


class Batches(Dataset):
    """Indexed by a list of places: the whole batch at once, which is what makes small trainings fast."""

    def __init__(self, x: Tensor, y: Tensor, augment: bool) -> None:
        self.x, self.y, self.augment = x, y, augment

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, places: list[int]) -> tuple[Tensor, Tensor]:
        at = torch.tensor(places)
        x = self.x[at]
        return (flipped_and_shifted(x) if self.augment else x), self.y[at]


def flipped_and_shifted(x: Tensor) -> Tensor:
    """(n, C, H, W): each image mirrored with probability 1/2, and moved by -1, 0 or 1 pixels both ways."""
    n, _, h, w = x.shape
    padded = functional.pad(x, (1, 1, 1, 1))
    top, left = torch.randint(0, 3, (2, n, 1))
    rows = top + torch.arange(h)  # (n, H)
    columns = left + torch.arange(w)
    columns = torch.where(torch.rand(n, 1) < 0.5, columns.flip(1), columns)  # (n, W)
    taken = padded[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]]  # (n, H, W, C)
    return taken.permute(0, 3, 1, 2).contiguous()


# Data -----------------------------------------------------------------------------------------------------


def split(
    rng: np.random.Generator, pool: Callable[[], data.Pool], train: int, validation: int, test: int
) -> Parts:
    """A random draw from the pool: `train`, twice `validation`, `test` examples; inputs standardised by train."""
    drawn = pool()
    places = rng.permutation(len(drawn.x))
    ends = np.cumsum([train, validation, validation, 0 if drawn.test_x is not None else test])
    groups = dict(
        zip(("train", "select", "second", "test"), np.split(places[: ends[-1]], ends[:-1]), strict=True)
    )
    arrays = {name: (drawn.x[group], drawn.y[group]) for name, group in groups.items()}
    if drawn.test_x is not None and drawn.test_y is not None:
        chosen = rng.permutation(len(drawn.test_x))[:test]
        arrays["test"] = drawn.test_x[chosen], drawn.test_y[chosen]
    return standardised(arrays)


def standardised(arrays: Mapping[str, tuple[data.Array, np.ndarray]]) -> Parts:
    """Tensors; a table by column, images by channel, numbers to be predicted too: by the training part's figures."""
    x, y = arrays["train"]
    axes = (0,) if x.ndim == 2 else (0, 2, 3)
    mean, spread = x.mean(axis=axes, keepdims=True), x.std(axis=axes, keepdims=True) + 1e-6
    number = y.dtype.kind == "f"
    shift, scale = (y.mean(), y.std()) if number else (0, 1)
    return {
        name: (
            torch.from_numpy((x - mean) / spread),
            torch.from_numpy(((y - shift) / scale).astype(np.float32) if number else y),
        )
        for name, (x, y) in arrays.items()
    }


def imbalanced(rng: np.random.Generator) -> Parts:
    """MNIST with a tenth of the classes 5 to 9, in the validation halves too; the test is as MNIST's."""
    pool = data.mnist()
    assert pool.test_x is not None
    assert pool.test_y is not None
    kept = (pool.y < 5) | (rng.random(len(pool.y)) < 0.1)
    thinned = data.Pool(pool.x[kept], pool.y[kept], pool.test_x, pool.test_y)
    return split(rng, lambda: thinned, 1500, 500, 2000)


def noisy_labels(rng: np.random.Generator) -> Parts:
    """MNIST with 20 % of the training labels redrawn from all ten classes."""
    parts = dict(split(rng, data.mnist, 1500, 400, 2000))
    x, y = parts["train"]
    redrawn = torch.from_numpy(rng.random(len(y)) < 0.2)
    parts["train"] = x, torch.where(redrawn, torch.from_numpy(rng.integers(0, 10, len(y))), y)
    return parts


def _of_classes(low: int, high: int) -> data.Pool:
    """CIFAR-10's classes low .. high - 1, numbered from 0."""
    pool = data.cifar()
    assert pool.test_x is not None
    assert pool.test_y is not None
    train, test = ((y >= low) & (y < high) for y in (pool.y, pool.test_y))
    return data.Pool(pool.x[train], pool.y[train] - low, pool.test_x[test], pool.test_y[test] - low)


# Fine-tuning ----------------------------------------------------------------------------------------------


def fine_tuned() -> nn.Module:
    """The net pretrained on the classes 0 to 4, with a new head for five others."""
    model = _five_classes()
    head = {name: value for name, value in model.state_dict().items() if name.startswith("10.")}
    model.load_state_dict(_pretrained() | head)
    return model


def _five_classes() -> nn.Module:
    return nets.cnn(3, 16, 5, (16, 32, 32), norm=True)


@cache
def _pretrained() -> dict[str, Tensor]:
    """AdamW at 3e-3 falling along a cosine, 12 epochs of 5,000 images: made once, seconds; no method pays for it."""
    kept = data.CACHE / f"pretrained-{VERSION}.pt"
    if not kept.exists():
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            parts = split(np.random.default_rng(0), partial(_of_classes, 0, 5), 5000, 0, 0)
            model = _five_classes()
            x, y = parts["train"]
            optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
            fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 12)
            for _ in range(12):
                for at in torch.randperm(len(x)).split(50):
                    optimizer.zero_grad()
                    functional.cross_entropy(model(x[at]), y[at]).backward()
                    optimizer.step()
                fall.step()
        data.CACHE.mkdir(parents=True, exist_ok=True)
        beside = data.CACHE / f"pretrained.{os.getpid()}.pt"
        torch.save(model.state_dict(), beside)
        os.replace(beside, kept)
    return torch.load(kept)


# The tasks ------------------------------------------------------------------------------------------------

_MNIST = partial(split, pool=data.mnist, train=1500, validation=400, test=2000)
_CIFAR = partial(split, pool=data.cifar, train=1200, validation=400, test=1500)
_ROWS = partial(split, pool=data.mnist, train=1000, validation=300, test=2000)
_DIGITS = partial(split, pool=data.digits, train=700, validation=200, test=697)

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "mnist-mlp", 12, 50, "momentum", _MNIST, partial(nets.mlp, 196, 64, 10),
            weight_decay=5e-4, development=True,
        ),
        Task(
            "cifar-cnn", 8, 50, "momentum", _CIFAR, partial(nets.cnn, 3, 16, 10, (16, 32, 32), True),
            weight_decay=5e-4, development=True,
        ),
        Task(
            "digits-cnn", 10, 32, "adamw", _DIGITS, partial(nets.cnn, 1, 8, 10, (12, 24), False),
            weight_decay=1e-2, development=True,
        ),
        Task(
            "breast-cancer", 20, 32, "adamw",
            partial(split, pool=data.breast_cancer, train=240, validation=80, test=169),
            partial(nets.mlp, 30, 32, 2), classes=2, weight_decay=1e-2, development=True,
        ),
        Task("digits-mlp", 20, 32, "sgd", _DIGITS, partial(nets.mlp, 64, 64, 10)),
        Task("mnist-cnn", 8, 50, "momentum", _MNIST, partial(nets.cnn, 1, 14, 10, (12, 24), False)),
        Task(
            "mnist-lstm", 10, 50, "adamw", _ROWS, partial(nets.RowLSTM, 14, 32, 10), weight_decay=1e-2
        ),
        Task(
            "cifar-resnet", 6, 50, "adamw", _CIFAR, partial(nets.resnet, 3, 10, (16, 32)),
            weight_decay=1e-2,
        ),
        Task(
            "cifar-augmented", 8, 50, "momentum", _CIFAR, partial(nets.cnn, 3, 16, 10, (16, 32, 32), True),
            weight_decay=5e-4, augment=True,
        ),
        Task(
            "diabetes", 20, 32, "momentum",
            partial(split, pool=data.diabetes, train=200, validation=70, test=102),
            partial(nets.mlp, 10, 32, 1), classes=0, metric="1 - R2",
        ),
        Task(
            "digits-table", 20, 32, "sgd",
            partial(split, pool=data.digits_table, train=700, validation=200, test=697),
            partial(nets.mlp, 16, 48, 10, layers=2),
        ),
        Task(
            "mnist-imbalanced", 12, 50, "momentum", imbalanced, partial(nets.mlp, 196, 64, 10),
            weight_decay=5e-4, metric="balanced error",
        ),
        Task("mnist-noisy", 12, 50, "adamw", noisy_labels, partial(nets.mlp, 196, 64, 10), weight_decay=1e-2),
        Task(
            "mnist-transformer", 8, 50, "adamw", _ROWS, partial(nets.RowTransformer, 14, 14, 24, 2, 10),
            weight_decay=1e-2,
        ),
        Task(
            "cifar-finetune", 10, 32, "adamw",
            partial(split, pool=partial(_of_classes, 5, 10), train=500, validation=200, test=1500),
            fine_tuned, classes=5, weight_decay=1e-2,
        ),
    )
}  # fmt: skip
