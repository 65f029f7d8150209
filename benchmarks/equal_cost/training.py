"""One training: a rate, a shape of its fall, an epoch after another; what it cost and how good it became.

Cost is in plain runs of the task, counted as gammatune's ledger counts: a training example 1, a forward-only one
1/3, and a plain run is the task's epochs with one pass over the selection part each. Seconds are processor seconds
of the process (one thread), which other programs on the machine do not lengthen; the report on the second half
and the test is in neither.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from tasks import Setting
from torch import nn
from torch.optim import Optimizer

from gammatune.metrics.objectives import DEFAULT_CLASSIFICATION, DEFAULT_REGRESSION, Objective, make_objective

Shape = Callable[[float], float]  # progress in [0, 1] -> the rate as a multiple of the given one
WARM_UP = 0.05  # of the steps
clock = time.process_time


def constant(progress: float) -> float:
    return 1.0


def linear(progress: float) -> float:
    """Up over the first 5 % of the steps, then straight down to 0."""
    return min(progress / WARM_UP, (1 - progress) / (1 - WARM_UP))


def cosine(progress: float, warm_up: float = WARM_UP) -> float:
    """Up over the first 5 % of the steps (or `warm_up` of them), then down to 0 along half a cosine."""
    if progress < warm_up:
        return progress / warm_up
    return (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up))) / 2


def one_cycle(progress: float) -> float:
    """torch's OneCycleLR as it comes: from 1/25 up to 1 over 30 %, down to 1/250,000, along cosines."""
    if progress < 0.3:
        return _between(1 / 25, 1.0, progress / 0.3)
    return _between(1.0, 1 / 25e4, (progress - 0.3) / 0.7)


def _between(a: float, b: float, t: float) -> float:
    return b + (a - b) * (1 + math.cos(math.pi * t)) / 2


SHAPES: dict[str, Shape] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "one-cycle": one_cycle,
}


@dataclass(frozen=True)
class Trace:
    """What became of a training.

    metrics: of "select", "second" and "test" at the end; empty for a part that was trained on.
    course: the metrics on "select" after each epoch. score: the objective on "select" at the end, higher is
    better; -inf where it diverged. cost: plain runs. seconds: processor seconds, without the callbacks'.
    """

    metrics: Mapping[str, Mapping[str, float]]
    course: Sequence[Mapping[str, float]]
    score: float
    cost: float
    seconds: float
    diverged: bool

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Callback(Protocol):
    """Looks on; must neither draw random numbers nor change the model."""

    def after_step(self, model: nn.Module, step: int, steps: int) -> None: ...

    def after_epoch(self, model: nn.Module, epoch: int, epochs: int) -> None: ...


def objective(setting: Setting) -> Objective:
    """What every method chooses by on "select": gammatune's default, higher is better."""
    return make_objective(DEFAULT_CLASSIFICATION if setting.classify else DEFAULT_REGRESSION)


def plain_cost(setting: Setting) -> float:
    """A plain run, in ledger units: examples trained, and a third of those only looked at."""
    return setting.task.epochs * (setting.examples + setting.validation / 3)


def cost(setting: Setting, trained: float, evaluated: float) -> float:
    """Plain runs. trained, evaluated: examples passed forward and backward, and forward only."""
    return (trained + evaluated / 3) / plain_cost(setting)


def train(
    setting: Setting,
    lr: float,
    shape: Shape,
    epochs: int | None = None,
    *,
    model: nn.Module | None = None,
    optimizer: Optimizer | None = None,
    both: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Trace:
    """Train for `epochs` (the task's own if None), the rate of step k of n being lr * shape((k + 1/2) / n).

    model, optimizer: fresh ones unless given; a given model is trained in place.
    both: on the validation data too; nothing is selected, and nothing is evaluated on the way.
    Ends at the first loss that is not finite; an early end costs what it took.
    """
    epochs = epochs or setting.task.epochs
    model = setting.model() if model is None else model
    optimizer = setting.optimizer(model, lr) if optimizer is None else optimizer
    loader = setting.loader(both=both)
    steps = epochs * len(loader)
    step, trained, evaluated, aside, diverged = 0, 0, 0, 0.0, False
    course: list[dict[str, float]] = []
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(setting.noise)  # of augmentation and dropout
        model.train()
        began = clock()
        for epoch in range(epochs):
            for x, y in loader:
                for group in optimizer.param_groups:
                    group["lr"] = lr * shape((step + 0.5) / steps)
                optimizer.zero_grad()
                loss = setting.loss(model(x), y)
                trained += len(y)
                if not math.isfinite(loss.item()):
                    diverged = True
                    break
                loss.backward()
                optimizer.step()
                aside += _told(callbacks, "after_step", model, step, steps)
                step += 1
            if diverged:
                break
            aside += _told(callbacks, "after_epoch", model, epoch, epochs)
            if not both:
                course.append(setting.score(model, "select"))
                evaluated += setting.validation
        seconds = clock() - began - aside
    metrics = {
        part: setting.score(model, part) for part in (("test",) if both else ("select", "second", "test"))
    }
    diverged = diverged or not all(math.isfinite(value) for value in metrics["test"].values())
    score = -math.inf if diverged or both else objective(setting)(metrics["select"])
    return Trace(metrics, course, score, cost(setting, trained, evaluated), seconds, diverged)


def _told(callbacks: Sequence[Callback], what: str, *args: Any) -> float:
    """Seconds it took."""
    if not callbacks:
        return 0.0
    began = clock()
    for callback in callbacks:
        getattr(callback, what)(*args)
    return clock() - began
