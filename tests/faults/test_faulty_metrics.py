"""Metrics that are no numbers, change their names, or never come."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from faulty import Training, at_last_commit, end_of, same

import gammatune
from gammatune.errors import AllDiverged, InvalidArgument, MissingReport
from gammatune.journal.history import replay


def tuner(one: Training, directory: Path | None = None, **options: Any) -> gammatune.Tuner:
    one.tuner = gammatune.Tuner(
        model=one.model,
        optimizer=one.optimizer,
        run_dir=None if directory is None else str(directory),
        listeners=[one.listen],
        **({"epochs": 3, "budget": 3, "policy": "greedy"} | options),
    )
    return one.tuner


def train(one: Training, run: Any) -> None:
    for x, y in run.batches(one.loader):
        one.optimizer.zero_grad()
        torch.nn.functional.cross_entropy(one.model(x), y).backward()
        one.optimizer.step()


BAD = [
    (None, r"the metric 'loss' is None, a NoneType; report a number"),
    ("0.5", r"the metric 'loss' is '0\.5', a str"),
    (torch.ones(3), r"the metric 'loss' has shape \(3,\); report one number, such as the mean"),
    (torch.ones(0), r"has shape \(0,\)"),
    (np.ones((2, 2)), r"has shape \(2, 2\)"),
    (1 + 2j, r"\(1\+2j\), a complex"),
    ([0.5], r"a list; report a number"),
    (torch.tensor(1j), r"tensor\(0\.\+1\.j\), a Tensor"),
]


@pytest.mark.parametrize("through", ["report", "evaluate"])
@pytest.mark.parametrize(("value", "said"), BAD)
def test_what_is_no_number_is_named(value: Any, said: str, through: str, tmp_path: Path) -> None:
    """In the second epoch; then the same call with a number goes on, as if nothing had been."""

    def finish(spoiled: bool, directory: Path | None) -> Training:
        one = Training()
        with contextlib.suppress(InvalidArgument if spoiled else ()), tuner(one, directory) as tune:
            for run in tune:
                train(one, run)
                metrics = one_validated(one, run)
                if spoiled and run.epoch == 1:
                    metrics["loss"] = value
                    with pytest.raises(InvalidArgument, match=said):
                        report(run, metrics)
                report(run, metrics)
        return one

    def report(run: Any, metrics: dict[str, Any]) -> None:
        run.report(**(metrics if through == "report" else run.evaluate(lambda: metrics, examples=48)))

    reference = finish(False, None)
    end = end_of(reference)
    one = finish(True, tmp_path)
    assert at_last_commit(one, reference)
    assert len(one.tuner.result.course) == 1
    again = finish(False, tmp_path)
    assert same(end_of(again), end)


def one_validated(one: Training, run: Any) -> dict[str, Any]:
    return dict(run.evaluate(one.validate))


@pytest.mark.parametrize(
    "value", [torch.tensor(0.5), torch.tensor([0.5]), np.float32(0.5), np.array([[0.5]]), True, 1, 0.5,
              torch.tensor(0.5, requires_grad=True)]
)  # fmt: skip
def test_one_number_in_any_form(value: Any) -> None:
    one = Training()
    with tuner(one, epochs=1) as tune:
        for run in tune:
            train(one, run)
            run.report(accuracy=0.5, loss=value)
    assert tune.result.metrics["loss"] in (0.5, 1.0)
    assert type(tune.result.metrics["loss"]) is float


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), torch.tensor(float("nan"))])
@pytest.mark.parametrize("name", ["loss", "accuracy", "score"])
@pytest.mark.parametrize("policy", ["greedy", "lookahead"])
def test_a_metric_that_is_not_finite_in_one_epoch(value: Any, name: str, policy: str) -> None:
    """The candidates of that rollout have diverged, and others are taken; the last commit stands."""
    one = Training()
    first: list[int] = []
    with tuner(one, policy=policy) as tune:
        for run in tune:
            train(one, run)
            metrics: dict[str, Any] = {"accuracy": 0.5, "loss": 1.0 / (1 + run.number), "other": 1.0}
            if run.epoch == 1 and not first:
                first.append(run.number)
                metrics[name] = value
            run.report(**metrics)
    spoiled = tune.result.rollouts[first[0]]
    assert spoiled.status == "diverged"
    assert spoiled.score is None
    assert name in spoiled.note
    assert len(tune.result.course) == 3
    assert spoiled.number not in [o.number for o in tune.result.course]


def test_a_metric_that_is_never_finite() -> None:
    one = Training()
    with pytest.raises(AllDiverged) as caught, tuner(one) as tune:
        for run in tune:
            train(one, run)
            run.report(accuracy=0.5, loss=float("nan"))
    assert "all 3 candidates of epoch 1 diverged" in str(caught.value)
    assert "loss nan" in tune.result.rollouts[0].note
    assert at_last_commit(one, one)


def test_names_that_change_between_rollouts(tmp_path: Path) -> None:
    """What is not weighed may come and go."""
    one = Training()
    with tuner(one, tmp_path) as tune:
        for run in tune:
            train(one, run)
            run.report(**one_validated(one, run), **{f"extra {run.number}": 1.0})
    assert [sorted(o.metrics) for o in replay(tmp_path).rollouts][4] == ["accuracy", "extra 4", "loss"]


@pytest.mark.parametrize("policy", ["greedy", "lookahead"])
def test_a_name_that_is_weighed_and_goes(policy: str, tmp_path: Path) -> None:
    reference = Training()
    with tuner(reference, policy=policy) as tune:
        for run in tune:
            train(reference, run)
            run.report(**one_validated(reference, run))
    end = end_of(reference)
    one = Training()
    said = r"has no accuracy \(metrics received: loss\)"
    with pytest.raises(InvalidArgument, match=said), tuner(one, tmp_path, policy=policy) as tune:
        for run in tune:
            train(one, run)
            metrics = one_validated(one, run)
            if run.epoch == 1:
                del metrics["accuracy"]
            run.report(**metrics)
    assert at_last_commit(one, reference)
    again = Training()
    with tuner(again, tmp_path, policy=policy) as tune:
        for run in tune:
            train(again, run)
            run.report(**one_validated(again, run))
    assert same(end_of(again), end)


@pytest.mark.parametrize("reports", [0, 2])
def test_reported_never_or_twice(reports: int, tmp_path: Path) -> None:
    """In the second epoch."""
    one = Training()
    kind, said = ((MissingReport, "without run.report"), (InvalidArgument, "has been reported already"))[
        reports > 0
    ]
    with pytest.raises(kind, match=said), tuner(one, tmp_path) as tune:  # type: ignore[arg-type]
        for run in tune:
            train(one, run)
            for _ in range(1 if run.epoch == 0 else reports):
                run.report(accuracy=0.5, loss=1.0 / (1 + run.number))
    assert at_last_commit(one, one)
    assert len(one.commits) == 2
    assert one.left_behind(tmp_path) == []
    story = replay(tmp_path)
    assert story.end is not None
    assert story.end["how"].startswith("failed: ")
