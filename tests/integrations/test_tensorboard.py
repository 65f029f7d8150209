"""What TensorBoard reads of a run."""

import sys
from pathlib import Path
from typing import Any

import needs
import pytest
import torch
from torch import nn

import gammatune
from gammatune.errors import MissingExtra
from gammatune.integrations.tensorboard import TensorBoard
from gammatune.testing.fakes import FakeTraining
from gammatune.tuning.result import Result
from gammatune.tuning.tuner import Tuner

tensorboard = needs.package("tensorboard.backend.event_processing.event_accumulator")
Scalars = dict[str, list[tuple[int, float]]]


def read(directory: Path) -> tuple[Scalars, dict[str, Any]]:
    """Every scalar as (step, value), in the order written; and what TensorBoard's hparams plug-in reads."""
    found = tensorboard.EventAccumulator(str(directory), size_guidance={"scalars": 0})
    found.Reload()
    tags = found.Tags()["scalars"]
    scalars = {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in tags}
    return scalars, dict(found.summary_metadata)


def run(directory: Path, leave_at: int | None = None, **options: Any) -> Result:
    plain: dict[str, Any] = {"epochs": 3, "space": ["lr=1e-4:10:log"], "budget": 4.5}
    training = FakeTraining(examples=1000, steps=100, best_lr=3.0)
    with Tuner(training=training, listeners=[TensorBoard(directory)], **(plain | options)) as tuner:
        for one in tuner:
            one.advance()
            if one.number == leave_at:
                raise KeyboardInterrupt
            one.report(**one.evaluate())
    return tuner.result


def check(directory: Path, result: Result) -> None:
    """Every epoch of the course once, on the main axis; every rollout once, on its own."""
    course, metadata = read(directory / "course")
    losses = [(n + 1, pytest.approx(o.metrics["loss"])) for n, o in enumerate(result.course)]
    assert course["course/loss"] == losses
    assert course["course/lr"] == [
        (n + 1, pytest.approx(values["lr"])) for n, values in enumerate(result.schedule)
    ]
    assert course["course/lr_start"][0] == (1, pytest.approx(result.schedule.lr_at(0)))
    assert course["final/plain_runs"] == [(0, pytest.approx(result.cost.plain_runs))]
    assert "_hparams_/session_start_info" in metadata
    rollouts, _ = read(directory / "rollouts")
    # files of one second are read in the order of their names, in which the tenth comes before the second
    assert sorted(step for step, _ in rollouts["rollout/lr"]) == list(range(len(result.rollouts)))
    assert not {tag for tag in course if tag.startswith("rollout")}
    drafts = sorted(path.name for path in directory.glob("draft-*"))
    assert drafts
    assert drafts == [f"draft-{number + 1}" for number in range(len(drafts))]
    for draft in drafts:
        assert [step for step, _ in read(directory / draft)[0]["course/loss"]] == [1, 2, 3]


def test_a_run_whose_course_was_replaced(tmp_path: Path) -> None:
    check(tmp_path, run(tmp_path))


def test_an_interrupted_run_logs_nothing_twice(tmp_path: Path) -> None:
    logs, directory = tmp_path / "logs", str(tmp_path / "run")
    whole = run(tmp_path / "other")
    for place in (3, len(whole.rollouts) - 1):
        with pytest.raises(KeyboardInterrupt):
            run(logs, leave_at=place, run_dir=directory)
        assert not (logs / "course").exists(), "it is not certain yet"
    check(logs, run(logs, run_dir=directory))
    run(logs, run_dir=directory)  # complete: nothing is added
    check(logs, whole)


def test_fit_adds_its_report(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = torch.randn(60, 4)
    y = (x[:, 0] > 0).long()
    sets = (x[:40], y[:40]), (x[40:50], y[40:50])
    result = gammatune.fit(
        nn.Linear(4, 2), *sets, test_set=(x[50:], y[50:]), epochs=2, space=["lr=0.01:1:log"],
        listeners=[TensorBoard(tmp_path)],
    )  # fmt: skip
    scalars, _ = read(tmp_path / "course")
    assert result.report is not None
    assert scalars["report on test/accuracy"] == [(0, pytest.approx(result.report.accuracy))]
    assert [step for step, _ in scalars["course/accuracy"]] == [1, 2]


def test_without_tensorboard_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    with pytest.raises(MissingExtra, match=r"gammatune\[tensorboard\]"):
        TensorBoard(tmp_path)
