"""Optimizers that choose their own step or average by themselves, inside the default policy."""

from collections.abc import Callable
from typing import Any

import needs
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

import gammatune


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    x, y = load_digits(return_X_y=True)
    return torch.tensor(x / 16).float(), torch.tensor(y).long()


def make(name: str) -> Callable[[Any], torch.optim.Optimizer]:
    if name == "prodigy":
        package = needs.package("prodigyopt")
        return lambda parameters: package.Prodigy(parameters, lr=1.0)
    package = needs.package("schedulefree")
    return lambda parameters: package.AdamWScheduleFree(parameters, lr=0.0025)


@pytest.mark.parametrize("name", ["schedule-free", "prodigy"])
def test_their_multiplier_is_searched_and_they_learn(name: str) -> None:
    x, y = digits()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    result = gammatune.fit(
        model, (x[:900], y[:900]), (x[900:1200], y[900:1200]), test_set=(x[1200:], y[1200:]), epochs=8,
        optimizer=make(name),
    )  # fmt: skip
    assert result.report is not None
    assert result.report.accuracy > 0.85
    # the model as handed back is the one that was measured
    with torch.no_grad():
        accuracy = float((model.eval()(x[1200:]).argmax(1) == y[1200:]).float().mean())
    assert accuracy == pytest.approx(result.report.accuracy)
    flat = all(outcome.shape(0.5) == 1 for outcome in result.course[1:])
    assert flat == (name == "schedule-free")  # it wants no decay
