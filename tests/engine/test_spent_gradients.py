"""A fork does without gradients that no step will use again, and keeps every other."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from tries import tries

from gammatune.engine.loop import TorchLoop
from gammatune.testing.control import control_rollouts
from gammatune.tuning.tuner import Tuner

X = torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
Y = (X.sum(dim=1) > 0).long()
BATCHES = [(X[i : i + 8], Y[i : i + 8]) for i in range(0, 40, 8)]


class Setting:
    def __init__(self) -> None:
        torch.manual_seed(3)
        self.model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9)

    def backward(self, x: torch.Tensor, y: torch.Tensor) -> None:
        nn.functional.cross_entropy(self.model(x), y).backward()


def zero_before(setting: Setting, batches: Any) -> None:
    for x, y in batches:
        setting.optimizer.zero_grad()
        setting.backward(x, y)
        setting.optimizer.step()


def zeros_before(setting: Setting, batches: Any) -> None:
    for x, y in batches:
        setting.optimizer.zero_grad(set_to_none=False)
        setting.backward(x, y)
        setting.optimizer.step()


def never_zeroed(setting: Setting, batches: Any) -> None:
    for x, y in batches:
        setting.backward(x, y)
        setting.optimizer.step()


def accumulated(setting: Setting, batches: Any) -> None:
    for index, (x, y) in enumerate(batches):
        setting.backward(x, y)
        if index % 2:
            setting.optimizer.step()
            setting.optimizer.zero_grad()


def added_after_the_step(setting: Setting, batches: Any) -> None:
    for x, y in batches:
        setting.optimizer.zero_grad()
        setting.backward(x, y)
        setting.optimizer.step()
        setting.backward(x, y)


def every_other(setting: Setting, batches: Any) -> None:
    """Replaces them before every other step, and adds to them before the others."""
    for index, (x, y) in enumerate(batches):
        if index % 2 == 0:
            setting.optimizer.zero_grad()
        setting.backward(x, y)
        setting.optimizer.step()


LOOPS: dict[str, Callable[[Setting, Any], None]] = {
    loop.__name__: loop
    for loop in (zero_before, zeros_before, never_zeroed, accumulated, added_after_the_step, every_other)
}


def kept(loop: Callable[[Setting, Any], None]) -> list[bool]:
    """Whether the fork at the end of each of two runs holds gradients."""
    setting, found = Setting(), []
    with Tuner(
        model=setting.model,
        optimizer=setting.optimizer,
        epochs=2,
        check=False,
        policy=control_rollouts({"lr": 0.05}, []),
    ) as tuner:
        for run in tuner:
            loop(setting, run.batches(BATCHES))
            run.report(score=1.0)
            training = tuner._training
            assert isinstance(training, TorchLoop)
            training.capture("here")
            states = training._forks["here"]._states
            held = [one.parameters for one in states.modules]
            found.append(any(gradient is not None for one in held for _, _, gradient in one.kept))
            training.forget("here")
    return found


@pytest.mark.parametrize(("name", "holds"), [
    ("zero_before", False), ("zeros_before", True), ("never_zeroed", True), ("accumulated", True),
    ("added_after_the_step", True), ("every_other", True),
])  # fmt: skip
def test_gradients_are_kept_where_a_step_may_still_use_them(name: str, holds: bool) -> None:
    assert kept(LOOPS[name]) == [holds, holds]


@tries(10, full=60)
@given(name=st.sampled_from(sorted(LOOPS)), epochs=st.integers(2, 3), rate=st.sampled_from([0.3, 0.01]))
def test_whichever_way_a_loop_zeroes_its_gradients_rollouts_change_nothing(
    name: str, epochs: int, rate: float
) -> None:
    plain, disturbed = Setting(), Setting()
    for _ in range(epochs):
        LOOPS[name](plain, BATCHES)
    with Tuner(
        model=disturbed.model,
        optimizer=disturbed.optimizer,
        epochs=epochs,
        policy=control_rollouts({"lr": 0.05}, [{"lr": rate}]),
    ) as tuner:
        for run in tuner:
            LOOPS[name](disturbed, run.batches(BATCHES))
            run.report(score=1.0)
    for a, b in zip(plain.model.parameters(), disturbed.model.parameters(), strict=True):
        assert torch.equal(a, b)
