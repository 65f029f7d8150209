"""A scheduler of the user's own, in multiplier mode: every look goes through the whole of it, in small."""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler as of

import gammatune

X = torch.randn(64, 3, generator=torch.Generator().manual_seed(1))
Y = (X.sum(1) > 0).long()
pytestmark = pytest.mark.filterwarnings(
    "ignore:Detected call of .lr_scheduler.step"
)  # of a survey without a step
BATCHES = [(X[i : i + 4], Y[i : i + 4]) for i in range(0, 64, 4)]
EPOCHS, STEPS = 20, 20 * len(BATCHES)

SCHEDULERS: dict[str, tuple[str, Callable[[Any, int], Any]]] = {
    "cosine": ("step", lambda o, n: of.CosineAnnealingLR(o, n)),
    "cosine by epoch": ("epoch", lambda o, n: of.CosineAnnealingLR(o, n)),
    "lambda": ("step", lambda o, n: of.LambdaLR(o, lambda k: min(1.0, k / (0.1 * n)) * (1 - k / n) + 1e-3)),
    "one cycle": ("step", lambda o, n: of.OneCycleLR(o, 0.1, total_steps=n + 1)),
    "warm-up, then steps": (
        "epoch",
        lambda o, n: of.SequentialLR(o, [of.LinearLR(o, 0.1, 1.0, 2), of.StepLR(o, n // 3, 0.3)], [2]),
    ),
}


def trained(
    name: str, accumulate: int = 1, tensor: bool = False, **options: Any
) -> tuple[Any, dict[int, list[float]]]:
    """The result, and by rollout the rate that the scheduler had in each step."""
    when, make = SCHEDULERS[name]
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    lr: Any = torch.tensor(0.05) if tensor else 0.05
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    scheduler = make(optimizer, STEPS // accumulate if when == "step" else EPOCHS)
    rates: dict[int, list[float]] = {}
    current = [0]
    # before the tuner's own hook, which lends the factor
    optimizer.register_step_pre_hook(lambda o, *_: rates[current[0]].append(float(o.param_groups[0]["lr"])))
    with gammatune.Tuner(
        model=model, optimizer=optimizer, state=[scheduler], multiplier=True, schedule="constant",
        **({"epochs": EPOCHS, "keep": "last"} | options),
    ) as tuner:  # fmt: skip
        for run in tuner:
            current[0] = run.number
            rates[run.number] = []
            for place, (x, y) in enumerate(run.batches(BATCHES)):
                nn.functional.cross_entropy(model(x), y).backward()
                if place % accumulate == accumulate - 1:
                    optimizer.step()
                    optimizer.zero_grad()
                    if (
                        when == "step"
                        and scheduler.last_epoch < getattr(scheduler, "total_steps", math.inf) - 1
                    ):
                        scheduler.step()
            if when == "epoch":
                scheduler.step()
            output = model(X)
            accuracy = (output.argmax(1) == Y).float().mean().item()
            run.report(accuracy=accuracy, loss=nn.functional.cross_entropy(output, Y).item())
    return tuner.result, rates


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_look_sees_the_whole_schedule_in_small(name: str, accumulate: int) -> None:
    result, rates = trained(name, accumulate)
    looks = [o for o in result.rollouts if o.role == "miniature"]
    assert looks
    along = [rate for outcome in result.course for rate in rates[outcome.number]]
    for look in looks:
        seen = rates[look.number]
        assert len(seen) > 10
        for place, rate in enumerate(seen):
            first, last = (int((place + off) / len(seen) * len(along)) for off in (-1, 3))
            near = along[max(0, first) : last + 1]
            assert min(near) - 1e-9 <= rate <= max(near) + 1e-9, place


def test_in_steps_too() -> None:
    result, rates = trained("cosine", epochs=None, steps=STEPS, every=40)
    look = next(o for o in result.rollouts if o.role == "miniature")
    seen = rates[look.number]
    assert seen[-1] < 0.02 * seen[0]


def test_one_that_is_shorter_than_the_course_stays_where_it_ends() -> None:
    SCHEDULERS["shorter"] = ("step", lambda o, n: of.OneCycleLR(o, 0.1, total_steps=n // 2))
    try:
        result, rates = trained("shorter")
    finally:
        del SCHEDULERS["shorter"]
    seen = rates[next(o for o in result.rollouts if o.role == "miniature").number]
    assert len(set(seen[len(seen) // 2 + 2 :])) == 1
    assert seen[-1] < 0.001 < max(seen)


@pytest.mark.parametrize("tensor", [False, True])
def test_the_course_is_as_without_looks(tensor: bool) -> None:
    """What a look has seen of it moves nothing: the course goes through the user's own, step by step."""
    result, rates = trained("cosine", tensor=tensor)
    along = [rate for outcome in result.course for rate in rates[outcome.number]]
    wanted = [0.05 * (1 + math.cos(math.pi * k / STEPS)) / 2 for k in range(STEPS)]
    assert along == pytest.approx(wanted, rel=1e-4, abs=1e-7)


def test_one_that_goes_by_a_metric_is_left_alone() -> None:
    random.seed(0)
    SCHEDULERS["plateau"] = ("never", lambda o, n: of.ReduceLROnPlateau(o))
    try:
        result, rates = trained("plateau")
    finally:
        del SCHEDULERS["plateau"]
    look = next(o for o in result.rollouts if o.role == "miniature")
    assert len(set(rates[look.number])) == 1
