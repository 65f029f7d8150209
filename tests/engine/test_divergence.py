"""Divergence is noticed in the step where it happens; on an accelerator within `READ_EVERY` steps."""

import math

import pytest
import torch
from torch import nn

from gammatune.engine.divergence import READ_EVERY, TURN, DivergenceCheck


def watched(bad: dict[str, float] | None = None) -> tuple[nn.Module, DivergenceCheck]:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for name, parameter in model.named_parameters():
        parameter.grad = torch.zeros_like(parameter)
        if bad and name in bad:
            parameter.grad.view(-1)[0] = bad[name]
    return model, DivergenceCheck(optimizer)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_bad_loss_spoils_every_gradient_and_is_seen_at_once(value: float) -> None:
    _, check = watched(dict.fromkeys(("0.weight", "0.bias", "2.weight", "2.bias"), value))
    assert check.diverged(1)


@pytest.mark.parametrize("name", ["0.weight", "0.bias", "2.weight", "2.bias"])
def test_one_bad_gradient_is_met_within_a_turn(name: str) -> None:
    _, check = watched({name: math.nan})
    assert any(check.diverged(step) for step in range(1, 4 * TURN + 1))


def test_a_finite_blow_up_is_measured_against_the_first_gradient() -> None:
    model, check = watched({"2.bias": 1.0})
    assert not check.diverged(1)
    model[2].bias.grad.fill_(1e9)
    assert not check.diverged(2)
    model[2].bias.grad.fill_(1e11)
    assert check.diverged(3)
    check.reset()
    assert not check.diverged(1)  # large from the start: data in large units


def test_healthy_gradients_are_left_alone() -> None:
    _, check = watched({"0.weight": 1e6})
    assert not any(check.diverged(step) for step in range(1, 101))


def test_no_gradient_at_all() -> None:
    model = nn.Linear(2, 2)
    assert not DivergenceCheck(torch.optim.SGD(model.parameters(), lr=0.1)).diverged(1)


def test_on_an_accelerator_the_flag_is_read_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of an accelerator, walked on the CPU: nothing is read between the readings."""
    model, check = watched()
    monkeypatch.setattr(torch.Tensor, "is_cpu", property(lambda self: False))
    assert not check.diverged(1)
    model[2].bias.grad.fill_(math.nan)
    said = [check.diverged(step) for step in range(2, READ_EVERY + 1)]
    assert said == [False] * (READ_EVERY - 2) + [True]
    check.reset()
    assert not check.finally_diverged()
    assert check.diverged(1)  # before any update: it is the data or the loss
    check.reset()
    model[2].bias.grad.fill_(0.0)
    check.diverged(1)
    model[2].bias.grad.fill_(math.nan)
    assert not check.diverged(2)
    assert check.finally_diverged()
