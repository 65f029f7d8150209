"""parallel="vmap": rollouts of one decision in one pass give what they give one after the other, up to rounding."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import needs
import numpy as np
import pytest
import torch
from torch import nn

import gammatune
from gammatune.engine.device_memory import out_of_memory
from gammatune.errors import InvalidArgument
from gammatune.supervised.stack import Stack

RNG = np.random.default_rng(0)
X = RNG.normal(size=(192, 6))
LABELS = (X[:, 0] + X[:, 1] ** 2 > 0.5).astype(np.int64) + (X[:, 2] > 1)
NUMBERS = np.stack([X[:, 0] * X[:, 1], X[:, 2]], axis=1)


def another(outputs: int) -> nn.Module:
    return nn.Sequential(
        *(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, outputs))
    ).double()


def net(outputs: int) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        torch.manual_seed(0)
        return another(outputs)

    return make


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many members each pass had."""
    seen: list[int] = []
    born = Stack.__init__

    def init(self: Stack, *args: Any) -> None:
        born(self, *args)
        seen.append(self.count)

    monkeypatch.setattr(Stack, "__init__", init)
    return seen


def fitted(make: Callable[[], nn.Module], targets: Any, parallel: str | None, **options: Any) -> Any:
    model = make()
    result = gammatune.fit(
        *(model, (X, targets)),
        epochs=8,
        at_once=4,
        seed=1,
        parallel=parallel,
        **{"optimizer": "adamw", "budget": 2.5, "batch_size": 8, **options},
    )
    return result, [p.detach() for p in model.parameters()]


CASES: dict[str, tuple[Callable[[], nn.Module], Any, dict[str, Any]]] = {
    "lookahead": (net(3), LABELS, {}),
    "metric": (net(3), LABELS, {"metric": "log-loss"}),
    "regression": (net(2), NUMBERS, {"optimizer": "momentum"}),
    "greedy": (net(3), LABELS, {"policy": "greedy", "budget": 5, "batch_size": None}),
    "two values": (
        net(3),
        LABELS,
        {"space": ["lr=1e-4:1:log", "weight_decay=1e-5:1e-1:log"], "optimizer": "sgd"},
    ),
    "batch size": (
        net(3),
        LABELS,
        {
            "space": ["lr=1e-3:1e-1:log", "batch_size=16,32"],
            "policy": "greedy",
            "budget": 5,
            "batch_size": None,
        },
    ),
    "members": (net(3), LABELS, {"budget": 12, "ensemble": False}),
    "several nets": (net(3), LABELS, {"budget": 4.2, "ensemble": True, "new_model": lambda: another(3)}),
}


@pytest.mark.parametrize("case", CASES)
def test_one_pass_gives_what_one_after_the_other_gives(case: str, passes: list[int]) -> None:
    make, targets, options = CASES[case]
    alone, weights = fitted(make, targets, None, **options)
    assert not passes
    together, same_weights = fitted(make, targets, "vmap", **options)
    assert max(passes) > 1
    assert len(alone.rollouts) == len(together.rollouts)
    for one, other in zip(alone.rollouts, together.rollouts, strict=True):
        assert other.values == pytest.approx(one.values, rel=1e-4)
        assert other.score == (None if one.score is None else pytest.approx(one.score, rel=1e-4, abs=1e-6))
        assert other.metrics == pytest.approx(one.metrics, rel=1e-4, abs=1e-6)
        plain = {"seconds": 0.0, "values": {}, "metrics": {}, "score": None}
        assert replace(other, **plain) == replace(one, **plain)
    torch.testing.assert_close(same_weights, weights, rtol=1e-3, atol=1e-6)
    assert together.nets == alone.nets
    assert alone.nets or case != "several nets"
    if alone.nets:
        parameters = [list(one.ensemble.parameters()) for one in (together, alone)]
        torch.testing.assert_close(*parameters, rtol=1e-3, atol=1e-6)


def test_a_candidate_that_diverges_is_told_alike() -> None:
    """In the same step, and charged the same; without batch normalisation, which hides an explosion for a while."""

    def make() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)).double()

    options = {"space": ["lr=1e-3:1e30:log"], "policy": "greedy", "budget": 6, "optimizer": "sgd"}
    alone, _ = fitted(make, LABELS, None, **options)
    together, _ = fitted(make, LABELS, "vmap", **options)
    told = [
        [(o.status, o.steps, o.trained, o.evaluated, o.note) for o in r.rollouts] for r in (alone, together)
    ]
    assert told[0] == told[1]
    assert {"ok", "diverged"} <= {status for status, *_ in told[0]}


def test_without_memory_for_several_they_are_trained_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone, _ = fitted(net(3), LABELS, None)

    def full(self: Stack, *args: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Stack, "step", full)
    assert out_of_memory(torch.OutOfMemoryError())
    together, _ = fitted(net(3), LABELS, "vmap")
    assert [o.score for o in together.rollouts] == [o.score for o in alone.rollouts]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workers": 2}, "workers=2 goes with parallel='ray'"),
        ({"optimizer": "adagrad"}, "not with Adagrad: train them one after the other"),
        ({"policy": "once"}, "leave parallel= out"),
    ],
    ids=["workers", "optimizer", "policy"],
)
def test_what_does_not_go_together_is_said(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        fitted(net(3), LABELS, "vmap", **options)


class Assigning(nn.Module):
    """A running mean as people write it, and a note of what went by."""

    mean: torch.Tensor

    def __init__(self, what: str) -> None:
        super().__init__()
        self.net, self.what = net(3)(), what
        self.register_buffer("mean", torch.zeros(3, dtype=torch.float64))
        self.seen: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.net(x)
        if self.training and self.what == "in place":
            self.mean.mul_(0.9).add_(0.1 * output.detach().mean(0))
        if self.training and self.what == "assigned":
            self.mean = 0.9 * self.mean + 0.1 * output.detach().mean(0)
        if self.what == "kept":
            self.seen = output.detach()
        return output


def test_a_buffer_written_in_place_follows_each_member() -> None:
    models: list[Assigning] = []

    def make() -> nn.Module:
        models.append(Assigning("in place"))
        return models[-1]

    for parallel in (None, "vmap"):
        fitted(make, LABELS, parallel)
    assert models[0].mean.abs().min() > 0
    torch.testing.assert_close(models[1].mean, models[0].mean, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("assigned", "assigns its buffer mean a new tensor.*in place"),
        ("kept", r"keeps a tensor of its forward pass \(seen\)"),
    ],
    ids=["assigned", "kept"],
)
def test_what_members_would_lose_is_refused(what: str, said: str) -> None:
    """Not trained to another end without a word; the model is left as a fit of its own takes it."""
    model = Assigning(what)
    with pytest.raises(InvalidArgument, match=said):
        fitted(lambda: model, LABELS, "vmap")
    again, _ = fitted(lambda: model, LABELS, None)
    fresh, _ = fitted(lambda: Assigning(what), LABELS, None)
    assert [o.score for o in again.rollouts] == [o.score for o in fresh.rollouts]


@pytest.mark.parametrize("parallel", ["ray", "vmap"])
@pytest.mark.parametrize("where", ["gradient", "step", "inner"])
def test_what_runs_in_this_process_alone_is_refused(parallel: str, where: str) -> None:
    if parallel == "ray":
        needs.package("ray")
    model = net(3)()
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.1)
    if where == "gradient":
        next(model.parameters()).register_hook(lambda g: g.clamp(-1, 1))
    if where == "step":
        optimizer.register_step_pre_hook(lambda *_: None)
    if where == "inner":
        optimizer.inner = torch.optim.SGD(model.parameters(), lr=0.1)
    said = {"gradient": "has a gradient hook", "step": "has a step hook", "inner": "holds another optimizer"}
    with pytest.raises(InvalidArgument, match=f"{said[where]}.*leave parallel= out"):
        fitted(lambda: model, LABELS, parallel, optimizer=optimizer)


def test_velocity_is_kept_by_those_that_have_one() -> None:
    options = {
        "space": ["lr=1e-3:1:log", "momentum=0,0.9"],
        "policy": "greedy",
        "budget": 6,
        "optimizer": "sgd",
    }
    alone, weights = fitted(net(3), LABELS, None, **options)
    together, same = fitted(net(3), LABELS, "vmap", **options)
    assert {o.values["momentum"] for o in alone.rollouts} == {0, 0.9}
    for one, other in zip(alone.rollouts, together.rollouts, strict=True):
        assert other.metrics == pytest.approx(one.metrics, rel=1e-4, abs=1e-6)
    torch.testing.assert_close(same, weights, rtol=1e-3, atol=1e-6)
