"""parallel="vmap": rollouts of one decision in one pass give what they give one after the other, up to rounding."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import gammatune
from gammatune.engine.capacity import out_of_memory
from gammatune.engine.stacked import Stack
from gammatune.errors import InvalidArgument

RNG = np.random.default_rng(0)
X = RNG.normal(size=(192, 6))
LABELS = (X[:, 0] + X[:, 1] ** 2 > 0.5).astype(np.int64) + (X[:, 2] > 1)
NUMBERS = np.stack([X[:, 0] * X[:, 1], X[:, 2]], axis=1)


def net(outputs: int) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(
            *(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, outputs))
        ).double()

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
    "members": (net(3), LABELS, {"budget": 12}),
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
