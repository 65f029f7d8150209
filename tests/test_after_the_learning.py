"""What comes after the learning fits into the time that is left: kept beforehand, shared out, and decided once."""

import math
import time as clock
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import gammatune
from gammatune import Tuner
from gammatune.journal.history import replay
from gammatune.metrics.permutation_importance import Feature, Importance
from gammatune.metrics.predictions import Answers
from gammatune.pipeline.models.tabular import Tabular
from gammatune.pipeline.options import Options
from gammatune.pipeline.table_diagnostics import (
    Allowance,
    _columns,
    _hardly_begun,
    _in_words,
    _moved,
    _moved_apart,
)
from gammatune.pipeline.train import WRITING, _kept_of_time
from gammatune.policy.job import Job, Steps
from gammatune.policy.lookahead import lookahead
from gammatune.supervised.defaults import AFTER_MOST, kept_for_after
from gammatune.testing.fakes import FakeTraining


def train(run_dir: Path, *, leave_at: int | None = None, **options: Any) -> Tuner:
    given: dict[str, Any] = {"epochs": 3, "space": ["lr=1e-4:10:log"], "training": FakeTraining(steps=50)}
    with Tuner(**(given | options), run_dir=str(run_dir)) as tuner:
        for run in tuner:
            if run.number == leave_at:
                break
            run.advance()
            run.report(**run.evaluate())
    return tuner


def test_a_part_of_the_time_is_kept_and_what_was_asked_for_stays_what_was_asked_for(tmp_path: Path) -> None:
    seen: list[float] = []

    def policy(job: Job) -> Steps:
        seen.append(job.seconds_left())
        yield from lookahead(job)

    train(tmp_path / "run", policy=policy, time=1000.0, reserve=150.0)
    assert 840 < seen[0] <= 850
    assert replay(tmp_path / "run").begin["seconds"] == 1000


def test_a_run_begun_without_a_reserve_is_gone_on_with(tmp_path: Path) -> None:
    train(tmp_path / "run", time=1000.0, leave_at=4)
    before = replay(tmp_path / "run")
    assert before.end is not None
    assert before.end["how"] != "complete"
    train(tmp_path / "run", time=1000.0, reserve=150.0)
    story = replay(tmp_path / "run")
    assert story.end is not None
    assert story.end["how"] == "complete"
    assert story.rollouts[: len(before.rollouts)] == before.rollouts


def test_how_much_is_kept() -> None:
    assert kept_for_after(10.0, judged=True) == 2
    assert kept_for_after(10.0, judged=False) == 0.5
    assert kept_for_after(1e6, judged=True) == AFTER_MOST


def test_how_it_is_shared_out() -> None:
    free = Allowance(spent=9.6, left=None)
    assert free.models == 9.6  # a guess of it
    assert free.columns(5.0) == 9.6  # not longer than the learning took
    assert Allowance(0.1, None).columns(5.0) == 1
    short = Allowance(60.0, 4.0)
    assert short.models == 2
    assert short.columns(2.5) == 1.5
    assert short.columns(9.0) == 0
    assert Allowance(1.0, 100.0).models == 50
    assert Allowance(1.0, 100.0).columns(5.0) == 1


def test_what_a_complete_run_said_is_not_found_out_again(tmp_path: Path) -> None:
    calls = []

    def extra(answers: Answers, said_by: nn.Module) -> Mapping[str, Any]:
        calls.append(len(answers))
        return {"found": 7, "said": ["Seven."]}

    x = torch.randn(80, 3, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long()
    for _ in range(2):
        torch.manual_seed(0)
        options: dict[str, Any] = {"epochs": 2, "run_dir": str(tmp_path / "run"), "device": "cpu"}
        result = gammatune.fit(nn.Linear(3, 2), (x, y), extra=extra, progress=False, **options)
        event = result.events[-1]
        assert event["extra"]["found"] == 7
        only, seven = event["extra"]["said"]
        assert only == "Only 16 examples report: these figures say next to nothing."
        assert seven == "Seven."
    assert len(calls) == 1


# -- which of many columns are looked at


@pytest.mark.parametrize("numbers", [4, 300])  # embedded, and as they are
def test_columns_that_the_network_does_not_look_at_move_nothing(numbers: int) -> None:
    torch.manual_seed(0)
    net = Tabular(numbers + 3, 2, (5, 2, 9))
    first = net.body[0]
    assert isinstance(first, nn.Linear)
    width = (first.in_features - sum(e.embedding_dim for e in net.embed_categories)) // numbers  # type: ignore[misc]
    with torch.no_grad():
        first.weight[:, 1 * width : 2 * width] = 0  # the second number
        start = numbers * width + net.embed_categories[0].embedding_dim  # type: ignore[operator]
        first.weight[:, start : start + net.embed_categories[1].embedding_dim] = 0  # type: ignore[operator]
    x = torch.randn(40, numbers + 3)
    x[:, -3:] = torch.stack([torch.randint(k, (40,)) for k in (5, 2, 9)], dim=1).float()
    net.train()
    moved = _moved(net, x, 3)
    assert moved.shape == (numbers + 3,)
    assert np.flatnonzero(moved == 0).tolist() == [1, numbers + 1]
    assert np.isfinite(moved).all()
    assert net.training
    assert not any(module._forward_hooks for module in net.modules())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_codes_of_which_nothing_is_known_come_first() -> None:
    moved = _moved(nn.Linear(4, 1), torch.randn(20, 4), 2)
    assert np.isfinite(moved[:2]).all()
    assert (moved[2:] == math.inf).all()


def test_a_first_look_at_many_columns_ends_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weights = np.random.default_rng(0).normal(size=(8, 40)), np.arange(40.0)
    monkeypatch.setattr("gammatune.pipeline.table_diagnostics.CELLS", 8 * 40 * 10)  # ten columns at once
    asked: list[int] = []

    def model(rows: Any) -> Any:
        asked.append(len(rows))
        return (rows @ weights)[:, None]

    spans = [[place] for place in range(40)]
    whole = _moved_apart(model, x, spans, None)
    assert asked == [8, 8, 80, 80, 80, 72]  # as they are, one to see how long it takes, and ten at a time
    assert min(whole[1:]) > 0
    now = iter(range(100))
    monkeypatch.setattr(clock, "perf_counter", lambda: float(next(now)))
    some = _moved_apart(model, x, spans, 1.5)
    assert some == [*whole[:11], *[0.0] * 29]
    now = iter(range(100))
    assert _moved_apart(model, x, spans, 0.0) == [whole[0], *[0.0] * 39]  # something is always looked at


def test_columns_for_which_there_is_no_time_are_not_looked_at() -> None:
    now, said = [0.0], list[object]()

    def slow(x: Any) -> Any:
        now[0] += 5.0  # each time it is asked
        return np.full((len(x), 2), 0.5)

    def left(seconds: float) -> float:
        return max(0.0, seconds - now[0])

    split: Any = SimpleNamespace(report=SimpleNamespace(x=torch.zeros(8, 3)))
    models: Any = slow
    for seconds in (0.0, 15.0):
        now[0] = 0.0
        found = _columns(models, None, split, None, 0, partial(left, seconds), said.append, "it")
        assert found == ({}, ["The time left none to look at what each column is worth."])
        assert now[0] <= 5
    assert not said


def test_what_writing_takes_is_kept_by_how_long_reading_took() -> None:
    five = Options("t.csv", time=300.0)
    assert _kept_of_time(five, 40.0, judged=True) == (60 + WRITING * 40, WRITING * 40)
    assert _kept_of_time(five, 1e4, judged=True) == (90, 30)  # a tenth at most
    assert _kept_of_time(five, 40.0, judged=False) == (15, 0)
    assert _kept_of_time(Options("t.csv"), 40.0, judged=True) == (0, 0)


def test_of_columns_in_the_order_of_the_file_a_few_say_nothing_of_the_others() -> None:
    def found(ranked: int, of: int) -> Importance:
        features = tuple(Feature(f"c{place}", 0.2, 0.1, 0.3) for place in range(ranked))
        return Importance("accuracy", 0.8, 50, 5, features, of - ranked)

    assert _hardly_begun(found(1, 46))
    assert _in_words(found(1, 46), "the network") == [
        "The time was enough for 1 of 46 columns, the first in the file: nothing is known of the others."
    ]
    assert not _hardly_begun(found(40, 46))
    most = _in_words(found(40, 46), "the network")
    assert most[0].startswith("Needed most")
    assert "enough for 40 of 46" in most[1]
    assert "by a first look" in _in_words(found(1, 400), "the network")[1]
    assert not _hardly_begun(found(1, 400))
    assert not _hardly_begun(found(46, 46))
