"""Two rates, searched as a base and a ratio: what is set, where it is read, and that the ratio is found."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import gammatune
from gammatune.cost import Meter
from gammatune.engine.loop import TorchLoop
from gammatune.errors import ConflictingControl, InvalidArgument, InvalidSpace
from gammatune.testing.control import control_rollouts
from gammatune.tuning.tuner import Tuner

STEEP, FLAT = 1.0, 1e-3  # curvatures of the two blocks
SPACE = ["lr=1e-4:1:log", "lr_ratio=1:1e4:log"]
SGD = torch.optim.SGD


def blocks() -> nn.ParameterList:
    return nn.ParameterList([nn.Parameter(torch.ones(8)), nn.Parameter(torch.ones(8))])


def two(model: nn.ParameterList, *rates: float) -> list[torch.optim.Optimizer]:
    return [SGD([w], lr=lr) for w, lr in zip(model, rates or (0.01, 0.01), strict=True)]


def groups(model: nn.ParameterList, *rates: Any) -> torch.optim.Optimizer:
    return SGD([{"params": [w], "lr": lr} for w, lr in zip(model, rates, strict=True)], lr=1.0)


def step(model: nn.ParameterList, optimizers: list[torch.optim.Optimizer]) -> None:
    """Down a noisy quadratic: gradients are h (w + e), e normal."""
    model.zero_grad()
    steep, flat = (((w + 0.3 * torch.randn(8)) ** 2).sum() / 2 for w in model)
    (STEEP * steep + FLAT * flat).backward()
    for optimizer in optimizers:
        optimizer.step()


def excess(model: nn.ParameterList) -> float:
    """Of both blocks; 2 where they begin."""
    return sum(float((w.detach() ** 2).mean()) for w in model)


def tuned(model: nn.ParameterList, optimizer: Any, batches: int = 20, **options: Any) -> Tuner:
    given = optimizer if isinstance(optimizer, list) else [optimizer]
    plain: dict[str, Any] = {"epochs": 3, "keep": "last", "check": False, "space": SPACE}
    with Tuner(model=model, optimizer=optimizer, **(plain | options)) as tuner:
        for run in tuner:
            for _ in run.batches([torch.zeros(1)] * batches):
                step(model, given)
            run.report(score=-math.log10(excess(model)))
    return tuner


def rates_under(optimizer: Any, model: nn.ParameterList, **values: float) -> list[float]:
    loop = TorchLoop(model, optimizer, list(values))
    assert all(loop.own([name]) == {name: 1.0} for name in values if name != "lr")
    loop.apply(values, Meter())
    given = optimizer if isinstance(optimizer, list) else [optimizer]
    rates = [float(group["lr"]) for one in given for group in one.param_groups]
    loop.close()
    return rates


def test_the_ratio_of_two_blocks_is_found() -> None:
    """No one rate is good for curvatures a thousand apart."""
    ends = []
    for space in (SPACE[:1], SPACE):
        torch.manual_seed(0)
        model = blocks()
        tuner = tuned(model, two(model), 60, space=space, budget=2.2)
        ends.append(excess(model))
    assert ends[0] > 0.5
    assert ends[1] < 0.1
    assert float(tuner.result.course[0].values["lr_ratio"]) > 30


def test_a_ratio_multiplies_the_rates_of_its_part_beside_those_of_the_others() -> None:
    model = blocks()
    assert rates_under(two(model, 0.02, 0.005), model, lr=0.2, lr_ratio=10.0) == pytest.approx([0.2, 0.5])
    assert rates_under(two(model, 0.02, 0.005), model, lr_ratio=4.0) == pytest.approx([0.02, 0.02])
    assert rates_under(groups(model, 0.02, 0.01), model, lr=0.2, lr_ratio=10.0) == pytest.approx([0.2, 1.0])
    tensors = groups(model, torch.tensor(0.02), torch.tensor(0.01))
    assert rates_under(tensors, model, lr=0.2, lr_ratio=10.0) == pytest.approx([0.2, 1.0])
    three = nn.ParameterList([*blocks(), nn.Parameter(torch.ones(1))])
    given = groups(three, 0.1, 0.2, 0.3)
    told = {"lr_ratio.1": 10.0, "lr_ratio.2": 0.5}
    assert rates_under(given, three, lr=0.1, **told) == pytest.approx([0.1, 2.0, 0.15])


def test_trainings_at_another_ratio_leave_nothing_behind_and_its_own_is_kept_to_the_bit() -> None:
    ends = []
    for values in (None, {"lr": 0.02, "lr_ratio": 8.0}):
        torch.manual_seed(1)
        model = blocks()
        if values is None:
            optimizers = two(model, 0.02, 0.02 * 8.0)
            for _ in range(3 * 20):
                step(model, optimizers)
        else:
            others = [{"lr": 0.5, "lr_ratio": 100.0}, {"lr": 0.02, "lr_ratio": 1.0}]
            space = ["lr=1e-4:1:log", "lr_ratio=1:1e3:log"]
            tuned(model, two(model, 0.02, 0.02), policy=control_rollouts(values, others), space=space)
        ends.append([w.detach().clone() for w in model])
    assert all(torch.equal(plain, controlled) for plain, controlled in zip(*ends, strict=True))


def test_a_course_at_a_ratio_is_kept_in_the_journal_gone_on_with_and_repeated(tmp_path: Path) -> None:
    options = {"run_dir": str(tmp_path / "run"), "policy": "greedy", "sampler": "random", "budget": 2}
    model = blocks()
    first = tuned(model, two(model), **options).result
    values = first.schedule[-1]
    assert values["lr_ratio"] != 1.0
    begun = blocks()
    taken_up = tuned(begun, two(begun), **options).result
    assert taken_up.schedule == first.schedule
    assert [row["lr_ratio"] for row in gammatune.rollouts(tmp_path / "run")] == [
        outcome.values["lr_ratio"] for outcome in first.rollouts
    ]
    assert "lr_ratio" in gammatune.write_report(tmp_path / "run").read_text()
    assert first.rate_for(longer=2).rate == pytest.approx(float(values["lr"]), rel=0.5)
    fresh = blocks()
    repeated = tuned(
        fresh, two(fresh), policy=gammatune.replay(first.schedule), space=None, epochs=None
    ).result
    assert repeated.schedule[-1] == values


def test_a_loop_that_sets_the_rate_itself_is_told() -> None:
    model = blocks()
    optimizers = two(model)
    loop = TorchLoop(model, optimizers, ["lr", "lr_ratio"])
    loop.apply({"lr": 0.1, "lr_ratio": 3.0}, Meter())
    optimizers[1].param_groups[0]["lr"] = 0.1  # as it was without the ratio
    with pytest.raises(ConflictingControl, match=r"0\.1 where gammatune had set 0\.3"):
        step(model, optimizers)
    loop.close()


def test_beside_a_scheduler_a_part_is_scaled_by_its_ratio_too() -> None:
    model = blocks()
    optimizers = two(model)
    seen: list[list[float]] = []
    loop = TorchLoop(model, optimizers, ["lr", "lr_ratio"], multiplier=True)
    loop.apply({"lr": 2.0, "lr_ratio": 5.0}, Meter())
    for one in optimizers:
        one.register_step_pre_hook(lambda one, args, kwargs: seen.append(one.param_groups[0]["lr"]))
    step(model, optimizers)
    assert seen == pytest.approx([0.02, 0.1])
    assert [one.param_groups[0]["lr"] for one in optimizers] == [0.01, 0.01]
    loop.close()


def test_fit_searches_the_ratio_of_muon_and_adamw() -> None:
    x, y = torch.randn(64, 4), torch.randint(2, (64,))
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    space = ["lr=1e-4:1e-1:log", "lr_ratio=0.1:10:log"]
    options: dict[str, Any] = {"progress": False, "policy": "greedy", "sampler": "random", "ensemble": False}
    found = gammatune.fit(model, (x, y), optimizer="muon", space=space, epochs=1, budget=3, **options)
    assert len({outcome.values["lr_ratio"] for outcome in found.rollouts if outcome.role != "survey"}) > 1


@pytest.mark.parametrize(
    ("rates", "names", "what"),
    [
        ((0.1,), ["lr_ratio"], "there are 1 parameter group.*leave it out"),
        ((0.1, 0.1, 0.1), ["lr_ratio"], r"write lr_ratio\.1, lr_ratio\.2"),
        ((0.1, 0.1), ["lr_ratio.0"], r"write lr_ratio\.1"),
        ((0.1, 0.1), ["lr_ratio.2"], r"write lr_ratio\.1"),
        ((0.1, 0.1), ["lr_ratio.x"], "not a hyperparameter"),
        ((0.1, 0.0), ["lr_ratio"], "is 0"),
        ((0.1, 0.1), ["lr.0", "lr_ratio"], "goes beside 'lr'"),
        ((0.1, 0.1), ["lr_ratio", "lr_ratio.1"], "both searched"),
        ((torch.tensor(0.1),) * 2, ["lr_ratio"], "share one tensor"),
    ],
)
def test_a_ratio_that_cannot_be_set_is_said(rates: Any, names: list[str], what: str) -> None:
    model = nn.ParameterList([nn.Parameter(torch.ones(2)) for _ in rates])
    with pytest.raises(InvalidArgument, match=what):
        TorchLoop(model, groups(model, *rates), names)


@pytest.mark.parametrize("bounds", ["0:1", "-1:1", "a,b"])
def test_a_ratio_is_above_0(bounds: str) -> None:
    model = blocks()
    with pytest.raises(InvalidSpace, match="above 0"):
        Tuner(model=model, optimizer=two(model), epochs=1, space=["lr=1e-3:1:log", f"lr_ratio={bounds}"])
