"""Objectives that take the logarithm of the loss, and a loss that falls below 0 on the way."""

from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

import gammatune
from gammatune.cost import Meter
from gammatune.errors import InvalidArgument, InvalidData, JournalError
from gammatune.journal.history import replay
from gammatune.metrics.objectives import make_objective
from gammatune.records import Metrics, Outcome
from gammatune.report.terminal import show
from gammatune.testing.fakes import FakeExecutor, FakeTraining
from gammatune.tuning.tuner import Tuner


@dataclass
class Density(FakeTraining):
    """Its loss lies lower by so much, and falls below 0 where the training is good."""

    lower: float = 0.3

    def evaluate(self, meter: Meter) -> Metrics:
        metrics = super().evaluate(meter)
        return metrics | {"loss": metrics["loss"] - self.lower}


POLICIES: list[dict[str, Any]] = [
    {"policy": "lookahead", "epochs": 6},
    {"policy": "lookahead", "epochs": 4, "budget": 6.0},
    {"policy": "lookahead", "epochs": 6, "at_once": 3},
    {"policy": "greedy", "epochs": 4, "budget": 5.0, "patience": 3},
    {"policy": "once", "epochs": 4, "budget": 5.0},
]
OBJECTIVES = ["log-loss", "kappa", "kappa11-cut"]


def run(training: FakeTraining, *, leave_at: int | None = None, **options: Any) -> Tuner:
    with Tuner(training=training, space=["lr=1e-5:10:log"], **options) as tuner:
        for one in tuner:
            if one.number == leave_at:
                raise KeyboardInterrupt
            one.drive()
    return tuner


def timeless(outcomes: Any) -> list[Outcome]:
    return [replace(outcome, seconds=0.0) for outcome in outcomes]


def changes(tuner: Tuner) -> list[Any]:
    return [event for event in tuner.result.events if event["event"] == "objective"]


@pytest.fixture(params=POLICIES, ids=lambda options: "-".join(map(str, options.values())))
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.param)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_run_goes_on_by_minus_the_loss(objective: str, options: dict[str, Any], tmp_path: Path) -> None:
    training = Density()
    tuner = run(training, objective=objective, run_dir=str(tmp_path), **options)
    result = tuner.result
    scored = [outcome for outcome in result.rollouts if outcome.score is not None]
    assert all(outcome.score == -outcome.metrics["loss"] for outcome in scored)
    assert any(outcome.metrics["loss"] > 0 for outcome in scored)
    assert all(outcome in result.rollouts for outcome in result.course)
    assert training.loss - training.lower == result.course[-1].metrics["loss"]
    best = max(outcome.score for outcome in result.course if outcome.score is not None)
    assert result.course[-1].score == best
    (change,) = changes(tuner)
    assert "fell below 0" in change["text"]
    assert tuner.objective.name == "loss"
    story = replay(tmp_path)
    assert (story.begin["objective"], story.objective) == (objective, "loss")
    assert story.notes == [change["text"]]
    assert (story.rollouts, story.course) == (list(result.rollouts), list(result.course))
    console = Console(file=StringIO(), width=400)
    show(console, story, str(tmp_path), rollouts=True)
    assert "fell below 0" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("objective", OBJECTIVES[:2])
def test_it_is_gone_on_with_to_the_bit(objective: str, options: dict[str, Any], tmp_path: Path) -> None:
    whole = run(Density(), objective=objective, **options).result
    for number in range(1, len(whole.rollouts), 2):
        given = {"objective": objective, "run_dir": str(tmp_path / str(number)), **options}
        with pytest.raises(KeyboardInterrupt):
            run(Density(), leave_at=number, **given)
        again = run(Density(), **given)
        assert timeless(again.result.rollouts) == timeless(whole.rollouts)
        assert again.result.schedule == whole.schedule
        assert [v.reason for v in again.result.verdicts] == [v.reason for v in whole.verdicts]
        assert len(changes(again)) == 1
        with pytest.raises(JournalError, match="objective="):
            run(Density(), **(given | {"objective": "loss"}))


def test_an_executor_changes_nothing() -> None:
    """Its workers score by what was asked of them, and may be told later that this has changed."""
    options: dict[str, Any] = {
        "policy": "greedy",
        "epochs": 4,
        "budget": 6.0,
        "at_once": 3,
        "objective": "kappa",
    }
    alone = run(Density(), **options)
    together = run(Density(), executor=FakeExecutor(Density), **options)
    assert timeless(together.result.rollouts) == timeless(alone.result.rollouts)
    assert changes(together)[0]["scores"] == changes(alone)[0]["scores"]


def test_from_a_loss_below_0_it_is_the_run_that_minus_the_loss_makes(options: dict[str, Any]) -> None:
    log = run(Density(lower=2.0), objective="kappa", **options).result
    plain = run(Density(lower=2.0), objective="loss", **options).result
    assert timeless(log.rollouts) == timeless(plain.rollouts)
    assert log.schedule == plain.schedule


def test_scores_of_the_users_own_are_left_alone() -> None:
    training = Density()
    with Tuner(training=training, space=["lr=1e-5:10:log"], epochs=6, objective="log-loss") as tuner:
        for one in tuner:
            one.advance()
            metrics = one.evaluate()
            if one.diverged:
                one.report()
            else:
                one.report(score=1 / (1 + training.loss), **metrics)
    assert not changes(tuner)
    assert all(0 < o.score < 1 for o in tuner.result.rollouts if o.score is not None)


def test_what_an_objective_is_replaced_by() -> None:
    for name in ("kappa", "kappa12-ratio-cut", "log-loss", "kappa-f1"):
        objective = make_objective(name)
        assert objective.instead({"loss": 0.0, "accuracy": 1.0, "f1": 1.0}) is None
        for loss in (float("nan"), float("-inf"), 1.0):
            assert objective.instead({"loss": loss}) is None
        instead = objective.instead({"loss": -0.5})
        assert instead is not None
        assert instead({"loss": -0.5}) == 0.5
    for name in ("loss", "accuracy", "r2", "log-mae"):
        assert make_objective(name).instead({"loss": -0.5}) is None
    with pytest.raises(InvalidArgument, match="must not be negative"):
        make_objective("log-loss")({"loss": -0.5})


# -- fit ---------------------------------------------------------------------------------------------------


X = torch.randn(96, 4, generator=torch.Generator().manual_seed(1))
Y = X[:, :2] / 10


def shifted(output: Tensor, target: Tensor) -> Any:
    """A loss of one's own, of outputs that can be compared: R2 and MSE are defined, and log-loss the default."""
    return nn.functional.mse_loss(output.reshape(target.shape), target) - 0.02


@pytest.mark.parametrize("parallel", [None, "vmap"])
def test_fit_ends(parallel: str | None, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = nn.Linear(4, 2)
    sets = (X[:64], Y[:64]), (X[64:], Y[64:])
    options: dict[str, Any] = {"epochs": 20, "batch_size": 4, "loss_fn": shifted, "parallel": parallel}
    result = gammatune.fit(model, *sets, optimizer="sgd", run_dir=str(tmp_path), **options)
    assert len(result.course) == 20
    assert result.course[-1].metrics["loss"] < 0 < result.rollouts[0].metrics["loss"]
    assert all(outcome.score == -outcome.metrics["loss"] for outcome in result.rollouts if outcome.ok)
    assert sum("fell below 0" in sentence for sentence in result.said) == 1
    again = gammatune.fit(nn.Linear(4, 2), *sets, optimizer="sgd", run_dir=str(tmp_path), **options)
    assert again.rollouts == result.rollouts


def test_of_a_loss_that_alone_is_known_minus_the_loss_is_scored(tmp_path: Path) -> None:
    def nll(output: Tensor, target: Tensor) -> Any:
        return nn.functional.gaussian_nll_loss(output[:, 0], target, output[:, 1].exp())

    torch.manual_seed(1)
    result = gammatune.fit(
        *(nn.Linear(4, 2), (X[:64], Y[:64, 0]), (X[64:], Y[64:, 0])),
        epochs=20,
        batch_size=4,
        loss_fn=nll,
        optimizer="momentum",
        run_dir=str(tmp_path),
    )
    assert result.course[-1].metrics["loss"] < 0 < result.rollouts[0].metrics["loss"]
    assert replay(tmp_path).begin["objective"] == "loss"
    assert not replay(tmp_path).notes


def test_targets_that_a_loss_passes_over_are_named() -> None:
    targets = (X[:, 0] > 0).long()
    targets[3] = -100
    with pytest.raises(InvalidData, match=r"a target is -100, .*CrossEntropyLoss\(ignore_index=-100\)"):
        gammatune.fit(nn.Linear(4, 2), (X, targets), epochs=2)
