"""What is told of a training before it begins: the family of its optimizer, its rate, the inputs of its layers."""

import warnings
from typing import Any

import pytest
import torch
from torch import nn

from gammatune import Tuner
from gammatune.engine.known import known_of
from gammatune.policy.job import Job, Steps
from gammatune.policy.once import once
from gammatune.records import Known

OURS: dict[str, tuple[dict[str, Any], str | None]] = {
    "ASGD": ({}, "sgd"),
    "Adadelta": ({}, None),
    "Adafactor": ({}, None),
    "Adagrad": ({}, "adagrad"),
    "Adam": ({}, "adam"),
    "AdamW": ({}, "adam"),
    "Adamax": ({}, None),
    "LBFGS": ({}, "lbfgs"),
    "Muon": ({}, "muon"),
    "NAdam": ({}, "adam"),
    "RAdam": ({}, "adam"),
    "RMSprop": ({}, "rmsprop"),
    "Rprop": ({}, None),
    "SGD": ({}, "sgd"),
    "SparseAdam": ({}, "adam"),
}


def family(optimizer: Any) -> str | None:
    return known_of([nn.Linear(2, 2)], [optimizer], is_own=True).family


@pytest.mark.parametrize("name", [n for n in OURS if hasattr(torch.optim, n)])
def test_families_of_torchs_own(name: str) -> None:
    options, expected = OURS[name]
    assert family(getattr(torch.optim, name)([nn.Parameter(torch.ones(2, 2))], lr=0.1, **options)) == expected


def test_every_optimizer_of_torch_is_one_of_these() -> None:
    """A new one has to be looked at: its name may begin like one whose rates are of another size."""
    there = {
        name
        for name, held in vars(torch.optim).items()
        if isinstance(held, type) and issubclass(held, torch.optim.Optimizer)
    }
    assert there - {"Optimizer"} <= set(OURS)


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.9, False), (0.5, True)])
def test_momentum_is_a_family_of_its_own(momentum: float, nesterov: bool) -> None:
    parameter = nn.Parameter(torch.ones(2, 2))
    made = torch.optim.SGD([parameter], lr=0.1, momentum=momentum, nesterov=nesterov)
    assert family(made) == "momentum"
    assert family(torch.optim.RMSprop([parameter], lr=0.1, momentum=momentum)) == "rmsprop"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("AdamP", "adam"),
        ("Adam8bit", "adam"),
        ("PagedAdamW32bit", "adam"),
        ("DeepSpeedCPUAdam", "adam"),
        ("FusedAdam", "adam"),
        ("GaLoreAdamW", "adam"),
        ("FusedLAMB", "adam"),
        ("SGDP", "sgd"),
        ("SGDW", "sgd"),
        ("MuonWithAuxAdam", "muon"),
        ("RMSpropTF", "rmsprop"),
        ("AdamWScheduleFree", "schedulefree"),
        ("AdamWScheduleFreeReference", "schedulefree"),
        ("RAdamScheduleFree", None),
        ("SGDScheduleFree", None),
        ("DAdaptAdam", None),
        ("DAdaptSGD", None),
        ("Prodigy", "prodigy"),
        ("ProdigyPlusScheduleFree", "prodigy"),
        ("Lion", None),
        ("Lookahead", None),
        ("Sophia", None),
    ],
)
def test_names_of_other_packages(name: str, expected: str | None) -> None:
    """By name alone, whatever the class is made from."""
    made = type(name, (torch.optim.SGD,), {})
    assert family(made([nn.Parameter(torch.ones(2))], lr=0.1)) == expected


# The rate ---------------------------------------------------------------------------------------------------


def rate(optimizer: torch.optim.Optimizer) -> float:
    return known_of([nn.Linear(2, 2)], [optimizer], is_own=True).rate


def test_the_rate_is_that_before_a_warm_up() -> None:
    optimizer = torch.optim.AdamW([nn.Parameter(torch.ones(2))], lr=0.02)
    assert rate(optimizer) == 0.02
    torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.01)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(2e-4)
    assert rate(optimizer) == 0.02


@pytest.mark.parametrize("lr", [torch.tensor(0.02), 0.02])
def test_a_rate_may_be_a_tensor(lr: Any) -> None:
    assert rate(torch.optim.AdamW([nn.Parameter(torch.ones(2))], lr=lr)) == pytest.approx(0.02)


@pytest.mark.parametrize(("lr", "told"), [(0.0, 0.0), (None, 0.0), ("fast", 0.0)])
def test_a_rate_that_cannot_be_told_is_0(lr: Any, told: float) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(2))], lr=0.1)
    optimizer.param_groups[0]["lr"] = lr
    assert rate(optimizer) == told
    del optimizer.param_groups[0]["lr"]
    assert rate(optimizer) == told


def test_the_rate_of_a_frozen_group_tells_nothing() -> None:
    groups = [{"params": [nn.Parameter(torch.ones(2))], "lr": lr} for lr in (0.0, 0.3, 0.5)]
    assert rate(torch.optim.SGD(groups, lr=0.1)) == 0.3


@pytest.mark.parametrize(("rows", "columns"), [(12, 30), (40, 10)])
def test_rates_of_muon_whose_steps_are_as_long_are_one_rate(rows: int, columns: int) -> None:
    """As its author scales its steps, and matched to AdamW's."""

    def stepped(lr: float, **options: Any) -> tuple[float, torch.Tensor]:
        torch.manual_seed(0)
        layer = nn.Linear(columns, rows, bias=False)
        optimizer = torch.optim.Muon([layer.weight], lr=lr, weight_decay=0.0, **options)
        layer.weight.grad = torch.randn(rows, columns)
        before = layer.weight.detach().clone()
        known = known_of([layer], [optimizer], is_own=True)
        optimizer.step()
        return known.rate, layer.weight.detach() - before

    rate, step = stepped(0.02)
    matched, as_long = stepped(rate, adjust_lr_fn="match_rms_adamw")
    assert matched == rate == pytest.approx(0.02 / (0.2 * columns**0.5))
    assert torch.allclose(step, as_long, rtol=1e-4)


def test_a_package_that_says_so_of_its_muon() -> None:
    made = type("Muon", (torch.optim.SGD,), {"use_adjusted_lr": True})
    assert rate(made([nn.Parameter(torch.ones(2))], lr=0.1)) == 0.1


def test_of_several_optimizers_the_one_that_trains_most() -> None:
    few, many = nn.Linear(3, 2), nn.Linear(30, 20)
    small = torch.optim.SGD(few.parameters(), lr=0.1)
    large = torch.optim.Adam(many.parameters(), lr=0.003)
    for optimizers in ([small, large], [large, small]):
        known = known_of([few, many], optimizers, is_own=False)
        assert (known.family, known.rate, known.is_own) == ("adam", 0.003, False)


# The inputs -------------------------------------------------------------------------------------------------


def fan_in(*modules: nn.Module) -> float:
    return known_of(modules, [torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1)], is_own=True).fan_in


def test_fan_in_is_a_geometric_mean_over_weights() -> None:
    assert fan_in(nn.Linear(50, 7)) == pytest.approx(50)
    assert fan_in(nn.Linear(4, 100), nn.Linear(100, 3)) == pytest.approx(20)
    assert fan_in(nn.Conv2d(3, 8, 5, bias=False)) == pytest.approx(75)
    assert fan_in(nn.Sequential(nn.Linear(9, 9), nn.BatchNorm1d(9), nn.LayerNorm(9))) == pytest.approx(9)


def test_frozen_and_empty_weights_have_no_inputs() -> None:
    body, head = nn.Linear(1000, 10), nn.Linear(10, 2)
    body.requires_grad_(False)
    assert fan_in(nn.Sequential(body, head)) == pytest.approx(10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of a layer without units
        assert fan_in(nn.Linear(5, 0), nn.Linear(0, 5), head) == pytest.approx(10)
    assert fan_in(nn.BatchNorm1d(3)) == 1
    assert fan_in() == 1


def test_a_policy_is_told_of_the_optimizer() -> None:
    model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 2))
    optimizer = torch.optim.NAdam(model.parameters(), lr=0.004)
    told: list[Known] = []

    def listening(job: Job) -> Steps:
        told.append(job.known)
        yield from once(job)

    x = torch.ones(6, 8)
    with Tuner(
        model=model, optimizer=optimizer, epochs=1, budget=2, policy=listening, objective="loss"
    ) as tuner:
        for run in tuner:
            for batch in run.batches([x, x]):
                optimizer.zero_grad()
                model(batch).square().mean().backward()
                optimizer.step()
            run.report(loss=float(model(x).detach().square().mean()))
    assert [(known.family, known.rate, known.is_own) for known in told] == [("adam", 0.004, True)]
    assert told[0].fan_in == pytest.approx(16)
