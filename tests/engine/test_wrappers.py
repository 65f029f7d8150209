"""Wrappers of other libraries, what is no optimizer, and rates that another sets: they work, or it is said."""

from typing import Any

import needs
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import gammatune
from gammatune.errors import ConflictingControl, InvalidArgument

X = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long()


def parts() -> tuple[Any, Any, Any]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return model, optimizer, DataLoader(TensorDataset(X, Y), batch_size=16, shuffle=True)


def train(model: Any, optimizer: Any, batches: Any) -> None:
    for x, y in batches:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()


def tuned(model: Any, optimizer: Any, loader: Any, **options: Any) -> None:
    with gammatune.Tuner(model=model, optimizer=optimizer, epochs=2, **options) as tuner:
        for run in tuner:
            train(model, optimizer, run.batches(loader))
            run.report(score=1.0)


def misplaced(name: str) -> tuple[Any, Any]:
    model, optimizer, _ = parts()
    return {
        "scheduler": (model, torch.optim.lr_scheduler.StepLR(optimizer, 1)),
        "scheduler in a list": (model, [torch.optim.lr_scheduler.StepLR(optimizer, 1)]),
        "scaler": (model, torch.amp.GradScaler("cpu")),
        "scaler as model": (torch.amp.GradScaler("cpu"), optimizer),
        "exchanged": (model, model),
        "class": (model, torch.optim.SGD),
    }[name]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("scheduler", r"not StepLR: a scheduler is handed in as state=\[scheduler\]"),
        ("scheduler in a list", r"not StepLR: a scheduler is handed in"),
        ("scaler", r"optimizer= takes .* not GradScaler: what else changes while training is .* state="),
        ("scaler as model", r"model= takes .* not GradScaler: what else changes"),
        ("exchanged", r"not Sequential: give it as model="),
        ("class", r"not the class SGD; make one of it"),
    ],
)
def test_what_is_no_optimizer_is_told_its_place(name: str, said: str) -> None:
    model, optimizer = misplaced(name)
    with pytest.raises(InvalidArgument, match=said):
        tuned(model, optimizer, parts()[2])


class Settled(torch.optim.SGD):
    """An optimizer that finds its steps by itself."""

    def __init__(self, parameters: Any, lr: Any) -> None:
        super().__init__(parameters, lr=0.1)
        for group in self.param_groups:
            group["lr"] = lr


@pytest.mark.parametrize("lr", [None, "0.1", True])
@pytest.mark.parametrize("space", [None, ["momentum=0.1,0.9"]])
def test_an_optimizer_without_a_rate_is_refused(lr: Any, space: Any) -> None:
    model, _, loader = parts()
    with pytest.raises(
        InvalidArgument, match=r"the Settled optimizer has no learning rate to set: lr=.*lr=0\.01"
    ):
        tuned(model, Settled(model.parameters(), lr), loader, space=space)


def test_adafactor_is_told_how_to_have_one() -> None:
    transformers = needs.package("transformers.optimization")
    model = nn.Linear(4, 2)
    with pytest.raises(InvalidArgument, match=r"Adafactor\(parameters, lr=0\.01, relative_step=False\)"):
        gammatune.fit(model, (X, Y), (X, Y), epochs=1, optimizer=transformers.Adafactor(model.parameters()))


# A rate set by hand ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before the first batch", "after the last batch", "after the report"])
@pytest.mark.parametrize("policy", ["lookahead", "greedy"])
def test_a_rate_set_by_hand_is_said(when: str, policy: Any) -> None:
    model, optimizer, loader = parts()

    def lower(now: str) -> None:
        if now == when and run.epoch == 1:
            for group in optimizer.param_groups:
                group["lr"] *= 0.5

    with (
        pytest.raises(
            ConflictingControl, match=r"lr was .* where gammatune had set .* a decay by hand included"
        ),
        gammatune.Tuner(model=model, optimizer=optimizer, epochs=3, budget=3, policy=policy) as tuner,
    ):
        for run in tuner:
            lower("before the first batch")
            train(model, optimizer, run.batches(loader))
            lower("after the last batch")
            run.report(score=1.0)
            lower("after the report")
    assert len(tuner.result.course) == 1


def test_under_a_multiplier_the_rate_stays_the_users() -> None:
    model, optimizer, loader = parts()
    rates = []
    with gammatune.Tuner(
        model=model, optimizer=optimizer, epochs=3, budget=2, policy="greedy", multiplier=True, check=False
    ) as tuner:
        for run in tuner:
            optimizer.param_groups[0]["lr"] = 0.1 / (1 + run.epoch)
            train(model, optimizer, run.batches(loader))
            rates.append(optimizer.param_groups[0]["lr"])
            run.report(score=1.0)
    assert rates == [0.1, 0.1, 0.05, 0.05, 0.1 / 3, 0.1 / 3]
