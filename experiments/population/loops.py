"""One training of the population: linear decay after a warm-up, and what can be seen on the way.

Nothing here is gammatune: plain loops, so that what is measured does not depend on what is decided from it.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import torch
from sources import Data, load
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from trainings import Task

WARM_UP = 0.05  # of the steps; of a look in the form of a triangle TRIANGLE
TRIANGLE = 0.4
FORWARD = 1000  # examples in a batch of an evaluation
POINTS = 20  # at most so many states are averaged
RECALIBRATION = 12  # batches by which BatchNorm learns the statistics of averaged weights
Part: TypeAlias = tuple[Tensor, Tensor]
BAD = (1.0, 1e3)  # error and loss of a training that is not finite, of classes


class Both(Optimizer):
    """Muon for the matrices between hidden layers, AdamW for the rest, one rate for both."""

    def __init__(self, module: nn.Module, lr: float) -> None:
        matrices = [p for p in module.parameters() if p.ndim == 2]
        rest = [p for p in module.parameters() if p.ndim != 2]
        self.parts = [torch.optim.Muon(matrices, lr=lr, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")]
        self.parts += [torch.optim.AdamW(rest, lr=lr, weight_decay=0.01)]  # type: ignore[list-item]
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none)

    def step(self, closure: Any = None) -> None:
        for part in self.parts:
            part.step()


OPTIMIZERS: dict[str, Callable[[nn.Module, float], Any]] = {
    "sgd": lambda m, lr: torch.optim.SGD(m.parameters(), lr=lr),
    "momentum": lambda m, lr: torch.optim.SGD(m.parameters(), lr=lr, momentum=0.9, weight_decay=1e-4),
    "nesterov": lambda m, lr: torch.optim.SGD(m.parameters(), lr=lr, momentum=0.9, nesterov=True),
    "rmsprop": lambda m, lr: torch.optim.RMSprop(m.parameters(), lr=lr),
    "adam": lambda m, lr: torch.optim.Adam(m.parameters(), lr=lr),
    "adamw": lambda m, lr: torch.optim.AdamW(m.parameters(), lr=lr, weight_decay=0.01),
    "nadam": lambda m, lr: torch.optim.NAdam(m.parameters(), lr=lr),
    "adagrad": lambda m, lr: torch.optim.Adagrad(m.parameters(), lr=lr),
    "muon": Both,
    "lbfgs": lambda m, lr: torch.optim.LBFGS(m.parameters(), lr=lr, max_iter=4, history_size=10),
}
# log10 of the lowest rate of a landscape; the others lie above it a third of a decade apart.
LOWEST = {"sgd": -3.0, "momentum": -3.0, "nesterov": -3.0, "adagrad": -3.0, "lbfgs": -2.0 - 1 / 3}
LOWEST_OF_THE_REST = -4.0 - 1 / 3
LOWEST_CLIPPED = -2.0
RATES = 14
STEP = 1 / 3
RULE_OF_THUMB = {"sgd": 0.1, "momentum": 0.05, "nesterov": 0.05, "adagrad": 0.01, "lbfgs": 1.0}  # else 1e-3


def rates_of(optimizer: str, clip: float = 0.0) -> list[float]:
    """log10 of the rates of a landscape: higher ones where steps are as long as the rate and the clip make them."""
    lowest = LOWEST_CLIPPED if clip else LOWEST.get(optimizer, LOWEST_OF_THE_REST)
    return [round(lowest + STEP * k, 3) for k in range(RATES)]


@dataclass(frozen=True)
class Problem:
    """A task under one seed. select: what a policy may look at; test: what it is judged by."""

    task: Task
    seed: int
    data: Data
    train: Part
    select: Part
    test: Part

    def model(self) -> nn.Module:
        torch.manual_seed(self.seed)
        model = self.task.net(self.data)
        if self.task.start is not None:  # all but its new last layer
            model.load_state_dict(_pretrained(self.task, self.seed), strict=False)
        return model

    def loss(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        out = model(x)
        if self.task.goal == "reinforce":  # the action is drawn, its reward is 1 where it is the label
            action = torch.distributions.Categorical(logits=out)
            drawn = action.sample()
            reward = (drawn == y).float()
            return -(action.log_prob(drawn) * (reward - reward.mean())).mean()
        return _measured(out, y, self.data, self.task.goal)[1]


def problem(task: Task, seed: int) -> Problem:
    data = load(task.source)
    rng = np.random.default_rng(1000 + seed)
    order = rng.permutation(len(data.x))
    a, b = task.rows, task.rows + task.select
    if len(order) < b + 100:
        raise ValueError(
            f"{task.name}: {task.rows} + {task.select} rows of {len(order)} leave too few to test on"
        )
    parts = order[:a], order[a:b], order[b : b + 3000]
    x, y = data.x, data.y
    if x.dtype.kind == "f" and x.ndim == 2:  # a table: by its training rows
        mean, sd = x[parts[0]].mean(0), x[parts[0]].std(0)
        x = np.clip((x - mean) / np.where(sd > 1e-8, sd, 1.0), -8, 8).astype("float32")
    if data.kind == "numbers":
        mean, sd = y[parts[0]].mean(0), y[parts[0]].std(0)
        y = ((y - mean) / np.where(sd > 1e-8, sd, 1.0)).astype("float32")
    if task.goal == "copy":
        y = x.reshape(len(x), -1)
    train, select, test = ((torch.tensor(x[p]), torch.tensor(y[p])) for p in parts)
    if task.noise:
        wrong = torch.tensor(rng.random(a) < task.noise)
        train = train[0], torch.where(wrong, torch.tensor(rng.integers(0, data.classes, a)), train[1])
    return Problem(task, seed, data, train, select, test)


def _measured(out: Tensor, y: Tensor, data: Data, goal: str) -> tuple[Tensor, Tensor]:
    """(error, loss): of classes the share of mistakes, of tokens and numbers the loss itself."""
    if goal == "copy" or data.kind == "numbers":
        loss = functional.mse_loss(out, y)
        return loss, loss
    loss = functional.cross_entropy(out.flatten(0, -2), y.flatten())
    return (loss if data.kind == "tokens" else (out.argmax(-1) != y).float().mean()), loss


@torch.no_grad()
def judge(problem: Problem, model: nn.Module, part: Part) -> tuple[float, float]:
    """(error, loss) on a part; those of a constant answer's thousandfold where they are not finite."""
    model.eval()
    x, y = part
    out = torch.cat([model(x[k : k + FORWARD]) for k in range(0, len(x), FORWARD)])
    error, loss = (float(v) for v in _measured(out, y, problem.data, problem.task.goal))
    model.train()
    if not math.isfinite(loss):
        return BAD if problem.data.classes else (1e3, 1e3)
    return error, loss


@dataclass
class Run:
    """What a training came to. model: None where it died. tail: mean training loss of the last third.
    looks: at each wanted step, (error, loss) on the selection part of the weights as they stand and averaged."""

    model: nn.Module | None
    steps: int
    losses: list[float] = field(default_factory=list)
    looks: dict[int, dict[str, tuple[float, float]]] = field(default_factory=dict)

    @property
    def tail(self) -> float:
        last = self.losses[-max(1, len(self.losses) // 3) :]
        return float(np.mean(last)) if last else math.inf


def train(
    problem: Problem, lr: float, steps: int, *, warm_up: float = WARM_UP, looks: Sequence[int] = (),
    optimizer: Callable[[nn.Module], Any] | None = None,
) -> Run:  # fmt: skip
    """A whole schedule in so many steps, from the task's initial weights. looks: steps at which the selection part is
    passed. optimizer: made of the model; that of the task at `lr` if None."""
    task = problem.task
    model = problem.model()
    made = OPTIMIZERS[task.optimizer](model, lr) if optimizer is None else optimizer(model)
    base = [group["lr"] for group in made.param_groups]
    order = torch.Generator().manual_seed(problem.seed + 7)
    torch.manual_seed(problem.seed + 11)  # dropout, drawn actions
    x, y = problem.train
    run, left = Run(model, steps), torch.empty(0, dtype=torch.long)
    sums: dict[int, tuple[int, list[Tensor]]] = {}
    for step in range(steps):
        while len(left) < task.batch:
            left = torch.cat([left, torch.randperm(len(x), generator=order)])
        batch, left = left[: task.batch], left[task.batch :]
        progress = (step + 0.5) / steps
        for group, peak in zip(made.param_groups, base, strict=True):
            group["lr"] = peak * min(progress / warm_up, (1 - progress) / (1 - warm_up))
        value = _step(problem, model, made, x[batch], y[batch])
        if not math.isfinite(value):
            return Run(None, step + 1, run.losses)
        run.losses.append(value)
        for end in looks:
            stride = max(1, end // 2 // POINTS)
            if end // 2 <= step < end and (end - 1 - step) % stride == 0:
                count, total = sums.get(end, (0, [torch.zeros_like(p) for p in model.parameters()]))
                for into, p in zip(total, model.parameters(), strict=True):
                    into += p.detach()
                sums[end] = count + 1, total
        if step + 1 in looks:
            averaged = _averaged(problem, model, *sums.pop(step + 1))
            run.looks[step + 1] = {
                "raw": judge(problem, model, problem.select), "avg": judge(problem, averaged, problem.select)
            }  # fmt: skip
    return run


def _step(problem: Problem, model: nn.Module, optimizer: Any, x: Tensor, y: Tensor) -> float:
    if problem.task.optimizer == "lbfgs":

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = problem.loss(model, x, y)
            loss.backward()
            return loss

        return optimizer.step(closure).item()
    loss = problem.loss(model, x, y)
    value = loss.item()
    if math.isfinite(value):
        optimizer.zero_grad()
        loss.backward()
        if problem.task.clip:
            nn.utils.clip_grad_norm_(model.parameters(), problem.task.clip)
        optimizer.step()
    return value


@torch.no_grad()
def _averaged(problem: Problem, model: nn.Module, count: int, total: list[Tensor]) -> nn.Module:
    mean = copy.deepcopy(model)
    for p, summed in zip(mean.parameters(), total, strict=True):
        p.copy_(summed / count)
    norms = [m for m in mean.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # type: ignore[assignment]  # a plain mean
    if norms:
        x, batch = problem.train[0], problem.task.batch
        for k in range(0, min(len(x), RECALIBRATION * batch), batch):
            mean(x[k : k + batch])
    return mean


@cache
def _pretrained(task: Task, seed: int) -> dict[str, Tensor]:
    """The weights after `start_steps` steps of AdamW from .003 on another source, without those of the last layer."""
    assert task.start is not None
    other = load(task.start)
    torch.manual_seed(seed + 100)
    model = task.net(other)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    order = np.random.default_rng(seed)
    for step in range(task.start_steps):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * (1 - step / task.start_steps)
        rows = order.integers(0, len(other.x), 64)
        loss = _measured(model(torch.tensor(other.x[rows])), torch.tensor(other.y[rows]), other, "")[1]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    last = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)][-1]
    # of text the embedding too: another text has other characters
    left_out = (last, *(name for name, module in model.named_modules() if isinstance(module, nn.Embedding)))
    return {name: value for name, value in model.state_dict().items() if not name.startswith(left_out)}


# What is known before the first look -----------------------------------------------------------------------

PROBES = 8  # batches


def first_sight(problem: Problem) -> dict[str, float]:
    """Of the initial weights: sizes, the loss, gradient norms over PROBES batches, and the curvature along the mean
    gradient and along its sign, each a step length at which the loss is lowest to second order."""
    model = problem.model()
    shapes = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in shapes if p.ndim >= 2]
    x, y = problem.train
    batch = problem.task.batch
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(problem.seed + 7))
    torch.manual_seed(problem.seed + 11)
    if isinstance(model, nn.Module):
        model.train()
    grads, values = [], []
    rows = [order[torch.arange(k * batch, (k + 1) * batch) % len(order)] for k in range(PROBES)]
    for part in rows:
        loss = problem.loss(model, x[part], y[part])
        grads.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, shapes)]))
        values.append(float(loss.detach()))
    mean = torch.stack(grads).mean(0)
    each = float(torch.stack([g @ g for g in grads]).mean())
    norm = max((float(mean @ mean) - each / PROBES) / (1 - 1 / PROBES), 1e-12 * each, 1e-30)
    out = {
        "parameters": float(sum(p.numel() for p in shapes)),
        "fan_in": float(np.exp(np.mean([math.log(p[0].numel()) for p in matrices]))) if matrices else 1.0,
        "depth": float(len(matrices)),
        "weights": float(torch.cat([p.detach().flatten() for p in shapes]).norm()),
        "loss": float(np.mean(values)),
        "gradient": math.sqrt(norm),  # of the whole set, without the noise
        "noise": max(each - norm, 0.0) / norm,  # variance of one batch's gradient over its square
        "mean_abs": float(mean.abs().mean()),
    }
    for name, direction in (("newton", mean), ("newton_sign", mean.sign())):
        out[name] = _newton(problem, model, shapes, rows[:4], x, y, mean, direction)
    return out


def _newton(
    problem: Problem, model: nn.Module, shapes: list[nn.Parameter], rows: list[Tensor], x: Tensor, y: Tensor,
    gradient: Tensor, direction: Tensor,
) -> float:  # fmt: skip
    """g'd / d'Hd by a difference of gradients along d, over a few batches; below 0 where the loss curves down."""
    length = (
        1e-3
        * float(torch.cat([p.detach().flatten() for p in shapes]).norm())
        / max(float(direction.norm()), 1e-30)
    )
    pieces = torch.split(direction, [p.numel() for p in shapes])
    change = torch.zeros_like(direction)
    for part in rows:
        for sign in (1, -1):
            with torch.no_grad():
                for p, piece in zip(shapes, pieces, strict=True):
                    p.add_(piece.view_as(p), alpha=sign * length)
            torch.manual_seed(0)
            loss = problem.loss(model, x[part], y[part])
            change += sign * torch.cat([g.flatten() for g in torch.autograd.grad(loss, shapes)]) / len(rows)
            with torch.no_grad():
                for p, piece in zip(shapes, pieces, strict=True):
                    p.sub_(piece.view_as(p), alpha=sign * length)
    curved = float(direction @ change) / (2 * length)
    slope = float(gradient @ direction)
    return slope / curved if abs(curved) > 1e-30 else 0.0
