"""A training that can be paused, copied and steered: what the methods with stages or a population stand on.

Batches, seeds and the end at a loss that is not finite are those of `training.train`: a course led along a shape
ends with the same weights, to the last bit.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from tasks import Setting
from torch import Tensor, nn
from torch.optim import Optimizer
from training import Trace, cost, objective

PARTS = ("select", "second", "test")


@dataclass(frozen=True)
class State:
    """Weights, buffers and the optimizer's state after `step` steps, apart from the course they were taken from."""

    model: dict[str, Any]
    optimizer: dict[str, Any]
    step: int


class Course:
    """One training, a stretch at a time; the batches go on from stretch to stretch, whatever is loaded between.

    make: the optimizer from the model; the setting's own if None. batches: without an end; the setting's own, epoch
    after epoch, if None. total: the steps of a plain run.
    step: steps taken so far. trained, evaluated: examples, everything that was ever run counted.
    diverged: a loss was not finite; nothing is trained any more until a state is loaded.
    """

    def __init__(
        self,
        setting: Setting,
        make: Callable[[nn.Module], Optimizer] | None = None,
        batches: Iterator[Sequence[Tensor]] | None = None,
    ) -> None:
        self.setting = setting
        self.model = setting.model()
        self.optimizer = make(self.model) if make else setting.optimizer(self.model, setting.task.default_lr)
        self.total = setting.task.epochs * len(setting.loader())
        self.step = self.trained = self.evaluated = 0
        self.diverged = False
        self._batches = endless(setting) if batches is None else batches
        self._random = torch.Generator().manual_seed(setting.noise).get_state()  # of augmentation and dropout

    def advance(self, steps: int, lr: Callable[[int], float]) -> list[float]:
        """Train `steps` steps, step k of the whole course at the rate lr(k); the training loss of each batch."""
        losses: list[float] = []
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._random)
            self.model.train()
            for _ in range(0 if self.diverged else steps):
                x, y = next(self._batches)
                for group in self.optimizer.param_groups:
                    group["lr"] = lr(self.step)
                self.optimizer.zero_grad()
                loss = self.setting.loss(self.model(x), y)
                self.trained += len(y)
                losses.append(loss.item())
                if not math.isfinite(losses[-1]):
                    self.diverged = True
                    break
                loss.backward()
                self.optimizer.step()
                self.step += 1
            self._random = torch.get_rng_state()
        return losses

    def score(self) -> float:
        """The objective on "select", higher is better; -inf where it diverged. A pass is counted."""
        if self.diverged:
            return -math.inf
        self.evaluated += self.setting.validation
        return objective(self.setting)(self.setting.score(self.model, "select"))

    def state(self) -> State:
        return State(deepcopy(self.model.state_dict()), deepcopy(self.optimizer.state_dict()), self.step)

    def load(self, state: State) -> None:
        self.model.load_state_dict(state.model)
        self.optimizer.load_state_dict(
            deepcopy(state.optimizer)
        )  # torch would take over the tensors themselves
        self.step, self.diverged = state.step, False

    @property
    def cost(self) -> float:
        """Plain runs."""
        return cost(self.setting, self.trained, self.evaluated)


def endless(setting: Setting) -> Iterator[Sequence[Tensor]]:
    """The setting's batches, epoch after epoch."""
    return itertools.chain.from_iterable(itertools.repeat(setting.loader()))


def finished(course: Course, *, cost: float, seconds: float) -> Trace:
    """The trace of a method that hands over this course's model, with what all of it cost."""
    metrics = {part: course.setting.score(course.model, part) for part in PARTS}
    diverged = course.diverged or not all(math.isfinite(value) for value in metrics["test"].values())
    score = -math.inf if diverged else objective(course.setting)(metrics["select"])
    return Trace(metrics, [], score, cost, seconds, diverged)
