"""A course that goes on beyond its end: from where, at which rates, and the same however it comes about."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import gammatune
from gammatune.errors import AnotherRun, InvalidArgument, JournalError
from gammatune.journal.history import replay
from gammatune.policy import prior
from gammatune.schedules import SCHEDULES, schedule
from gammatune.testing.fakes import FakeTraining
from gammatune.tuning.tuner import Tuner

NAMES = [*SCHEDULES, lambda progress: 1 - progress**2]


def data() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(640, 4, generator=torch.Generator().manual_seed(0))
    return x, (x[:, 0] * x[:, 1] > 0).long()


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))


def fitted(model: nn.Module, directory: Path | None = None, **options: Any) -> gammatune.FitResult:
    usual: dict[str, Any] = {"epochs": 10, "batch_size": 32, "progress": False, "ensemble": False}
    return gammatune.fit(
        model, data(), run_dir=None if directory is None else str(directory), **usual | options
    )


def alike(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


# -- along which rates


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(SCHEDULES)), st.integers(2, 12), st.integers(1, 20))
def test_the_rates_are_those_of_the_longer_course(name: Any, epochs: int, more: int) -> None:
    """Behind a trunk they are those of a course of that length; else they rise anew to where that would be."""
    given_: dict[str, Any] = {"space": ["lr=1e-3:1:log"], "budget": 1.5, "keep": "last", "schedule": name}
    with Tuner(training=FakeTraining(), epochs=epochs, extra_epochs=more, **given_) as tuner:
        for run in tuner:
            run.drive()
    found, shape, total = tuner.result.schedule, schedule(name), epochs + more
    assert len(found) == total
    trunk = math.floor(0.8 * epochs) if name == "wsd" else epochs if name == "constant" else 0
    begins = trunk or epochs
    peak = float(found[begins]["lr"])
    for epoch in range(begins, total):
        at = epoch + 0.5
        progress = (at - begins) / (total - begins)
        if trunk or progress > 0.05:
            level = 1.0 if at / total < 0.05 else shape(at / total)
            assert found.lr_at(at) == pytest.approx(peak * level, rel=1e-6)
    if trunk:
        assert peak == found[0]["lr"]
        assert found.lr_at(begins) == pytest.approx(found.lr_at(begins - 1e-9))  # no step
    else:
        assert found.lr_at(begins) == 0
        drift = prior.longer(total / epochs, sum(o.batches for o in tuner.result.course[:epochs])).mean
        assert peak == pytest.approx(float(found[0]["lr"]) * 10**drift)


def test_a_trunk_of_no_epoch_is_none() -> None:
    given_: dict[str, Any] = {"space": ["lr=1e-3:1:log"], "schedule": "wsd", "budget": 1.5}
    with Tuner(training=FakeTraining(), epochs=1, extra_epochs=2, **given_) as tuner:
        for run in tuner:
            run.drive()
    assert len(tuner.result.course) == 3
    assert tuner.result.schedule.lr_at(1) == 0


# -- one run, however it comes about


@pytest.mark.parametrize("name", NAMES)
def test_at_once_or_later_it_is_the_same_run(name: Any, tmp_path: Path) -> None:
    """With the course; later, from its directory, which stays as it is; read back; and repeated."""
    whole, later, again, repeated = net(), net(), net(), net()
    first = fitted(whole, tmp_path / "whole", schedule=name, extra_epochs=6)
    assert len(first.course) == 16
    assert first.report is not None

    short = fitted(net(), tmp_path / "short", schedule=name)
    assert len(short.course) == 10
    before = (tmp_path / "short" / "journal.jsonl").read_bytes()
    result = fitted(later, tmp_path / "longer", schedule=name, resume_from=short, extra_epochs=6, epochs=None)
    assert alike(whole, later)
    assert result.schedule == first.schedule
    assert result.report == first.report
    assert (tmp_path / "short" / "journal.jsonl").read_bytes() == before

    known = fitted(again, tmp_path / "longer", schedule=name)  # a run is gone on with by the same call
    assert alike(whole, again)
    assert known.schedule == first.schedule
    assert known.report == first.report
    assert len(known.rollouts) == len(first.rollouts)

    fitted(repeated, policy=gammatune.replay(tmp_path / "longer"), epochs=None)
    assert alike(whole, repeated)


def test_from_its_own_directory_it_goes_on_there(tmp_path: Path) -> None:
    whole, later = net(), net()
    first = fitted(whole, extra_epochs=4)
    fitted(net(), tmp_path)
    result = fitted(later, resume_from=tmp_path, extra_epochs=4)
    assert result.run_dir == str(tmp_path)
    assert alike(whole, later)
    assert result.schedule == first.schedule
    story = replay(tmp_path)
    assert (story.epochs, story.begin["epochs"]) == (14, 10)
    assert story.report is not None
    assert len(story.course) == len(result.course) == 14
    assert gammatune.write_report(tmp_path).is_file()


class Stop(Exception):
    pass


@pytest.mark.parametrize(
    ("name", "last"), [("linear", 11), ("linear", 14), ("wsd", 9), ("wsd", 11), ("wsd", 15)]
)
def test_an_extension_that_was_interrupted_is_gone_on_with(name: Any, last: int, tmp_path: Path) -> None:
    def raising(event: Any) -> None:
        if event["event"] == "commit" and event["epochs"] == last and "past" not in event and seen:
            raise Stop
        seen.extend([1] if event["event"] == "extend" else [])

    seen: list[int] = []
    whole, later = net(), net()
    fitted(whole, schedule=name, extra_epochs=6)
    with pytest.raises(Stop):
        fitted(net(), tmp_path, schedule=name, extra_epochs=6, listeners=[raising])
    if last == 11:  # states that are lost are trained again
        for file in tmp_path.glob("state-*.pt"):
            file.unlink()
        with pytest.warns(UserWarning, match=r"damaged or gone|checkpoint"):
            fitted(later, tmp_path, schedule=name, extra_epochs=6)
    else:
        fitted(later, tmp_path, schedule=name, extra_epochs=6)
    assert alike(whole, later)


# -- in a loop of one's own


def looped(model: nn.Module, *more: int, **options: Any) -> Any:
    x, y = data()
    torch.manual_seed(5)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x[:480], y[:480]), 32, shuffle=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def go(tuner: Tuner) -> None:
        for run in tuner:
            for a, b in run.batches(loader):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(a), b).backward()
                optimizer.step()
            run.report(**run.evaluate(lambda: scored(model, x[480:], y[480:])))

    with Tuner(model=model, optimizer=optimizer, epochs=6, **options) as tuner:
        go(tuner)
        for epochs in more:
            tuner.extend(epochs)
            go(tuner)
    return tuner


def scored(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> dict[str, float]:
    out = model(x)
    return {
        "accuracy": float((out.argmax(1) == y).float().mean()),
        "loss": float(nn.functional.cross_entropy(out, y)),
    }


@pytest.mark.parametrize("name", ["cosine", "wsd"])
def test_a_loop_goes_on_twice_and_is_read_back(name: Any, tmp_path: Path) -> None:
    one, two = net(), net()
    tuner = looped(one, 3, 4, schedule=name, run_dir=str(tmp_path))
    assert len(tuner.result.course) == 13
    assert tuner.epochs == 13
    begins = [v.because[0].numbers["begins"] for v in tuner.result.verdicts if v.kind == "extension"]  # type: ignore
    assert begins == ([4, 7] if name == "wsd" else [6, 9])
    assert tuner.cost.plain_runs <= tuner.budget
    lines = (tmp_path / "journal.jsonl").read_text().splitlines()
    assert sum(json.loads(line)["event"] == "end" for line in lines) == 3
    again = looped(two, 3, 4, schedule=name, run_dir=str(tmp_path))
    assert alike(one, two)
    assert again.result.schedule == tuner.result.schedule
    three = net()
    looped(three, schedule=name, run_dir=str(tmp_path))  # who does not ask for it again has it, too
    assert alike(one, three)
    with pytest.raises(AnotherRun, match=r"went on for 3 more epochs, and 5 are asked for now"):
        looped(net(), 5, schedule=name, run_dir=str(tmp_path))


def test_a_loop_goes_on_with_a_run_of_another_directory(tmp_path: Path) -> None:
    whole, later = net(), net()
    looped(whole, 3)
    looped(net(), run_dir=str(tmp_path / "one"))
    tuner = looped(later, resume_from=tmp_path / "one", run_dir=str(tmp_path / "two"), extra_epochs=3)
    assert alike(whole, later)
    assert tuner.result.run_dir == str(tmp_path / "two")
    assert len(replay(tmp_path / "one").course) == 6


def test_a_tracker_is_told_what_is_new() -> None:
    class Told(gammatune.Tracker):
        def __init__(self) -> None:
            super().__init__()
            self.epochs: list[int] = []

        def epoch(self, epoch: int, metrics: Any, values: Any) -> None:
            self.epochs.append(epoch)

    for name, epochs in (("linear", [1, 2, 3, 4, 5, 6, 7, 8]), ("wsd", [1, 2, 3, 4, 5, 6, 5, 6, 7, 8])):
        told = Told()
        looped(net(), 2, schedule=name, listeners=[told])
        assert told.epochs == epochs


def test_what_is_worse_in_every_respect_is_not_handed_back() -> None:
    """The loop says that everything after the sixth epoch is bad."""
    model, x = net(), data()[0]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    held: list[torch.Tensor] = []
    with Tuner(model=model, optimizer=optimizer, epochs=6, schedule="wsd") as tuner:
        for more in (0, 5):
            if more:
                held = [p.detach().clone() for p in model.parameters()]
                tuner.extend(more)
            for run in tuner:
                for (batch,) in run.batches([(x[:32],), (x[32:64],)]):
                    optimizer.zero_grad()
                    model(batch).square().mean().backward()
                    optimizer.step()
                run.report(accuracy=0.2 if more else 0.9, loss=5.0 if more else 0.1)
    assert len(tuner.result.course) == 6
    assert all(torch.equal(a, b) for a, b in zip(held, model.parameters(), strict=True))
    assert tuner.result.verdicts[-1].reason == (
        "the 5 epochs more ended below the 6 before them, in every respect: those are handed back"
    )


# -- refused


def test_it_is_said_why_a_course_cannot_go_on(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="extra_epochs=0: give a whole number of 1 or more"):
        fitted(net(), extra_epochs=0)
    with pytest.raises(InvalidArgument, match="policy='greedy' ends with its course"):
        fitted(net(), policy="greedy", budget=2, extra_epochs=2)
    with pytest.raises(InvalidArgument, match="resume_from= is a run that was kept in no directory"):
        fitted(net(), resume_from=fitted(net(), epochs=1), extra_epochs=1)
    with pytest.raises(InvalidArgument, match="resume_from=3: give a run directory"):
        fitted(net(), resume_from=3, extra_epochs=1)
    with pytest.raises(JournalError, match="there is no run at"):
        fitted(net(), resume_from=tmp_path / "none", extra_epochs=1)
    with Tuner(training=FakeTraining(), epochs=2, space=["lr=1e-3:1:log"]) as tuner:
        with pytest.raises(InvalidArgument, match="extend goes on with a course that has ended"):
            tuner.extend(2)
        for run in tuner:
            run.drive()
    with pytest.raises(InvalidArgument, match="in the with block"):
        tuner.extend(2)


def test_a_schedule_of_ones_own_does_not_go_on() -> None:
    model, x = net(), data()[0]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)
    given_: dict[str, Any] = {
        "model": model,
        "optimizer": optimizer,
        "state": [scheduler],
        "multiplier": True,
    }
    with Tuner(**given_, epochs=2, schedule="constant") as tuner:
        for run in tuner:
            for (batch,) in run.batches([(x[:32],), (x[32:64],)]):
                optimizer.zero_grad()
                model(batch).square().mean().backward()
                optimizer.step()
            run.report(loss=1.0, accuracy=0.5)
        with pytest.raises(InvalidArgument, match="the schedule is your own"):
            tuner.extend(2)


def test_steps_go_on_in_the_same_unit() -> None:
    model, x = net(), data()[0]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Tuner(model=model, optimizer=optimizer, steps=60, every=10, schedule="wsd") as tuner:
        for more in (0, 4):
            if more:
                tuner.extend(more)
            for run in tuner:
                for (batch,) in run.batches([(x[k : k + 32],) for k in range(0, 640, 32)]):
                    optimizer.zero_grad()
                    model(batch).square().mean().backward()
                    optimizer.step()
                run.report(loss=float(model(x).square().mean().detach()), accuracy=0.5)
    assert len(tuner.result.course) == 10
    assert [round(tuner.result.schedule.lr_at(epoch + 0.01), 6) for epoch in (4, 5, 6, 7)] == [
        pytest.approx(float(tuner.result.schedule[0]["lr"]), rel=1e-4)
    ] * 4


def test_several_nets_do_not_go_on(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidArgument, match=r"the predictions of \d nets are averaged, and one course goes on"
    ):
        fitted(net(), epochs=4, budget=5, ensemble=True, extra_epochs=2)


def test_another_number_of_epochs_is_another_run(tmp_path: Path) -> None:
    fitted(net(), tmp_path / "one", epochs=3)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    fitted(net(), resume_from=tmp_path / "one", extra_epochs=2, epochs=3)
    with pytest.raises(AnotherRun, match=r"resume_from= with another run_dir="):
        fitted(net(), resume_from=tmp_path / "one", extra_epochs=3, epochs=None)
    assert len(fitted(net(), resume_from=tmp_path / "two", extra_epochs=3, epochs=None).course) == 6


# -- what a longer training wants


def test_the_rate_for_a_longer_training_with_its_spread() -> None:
    result = fitted(net(), epochs=12)
    rate = float(result.schedule[-1]["lr"])
    told = result.rate_for(longer=4)
    believed = prior.longer(4, sum(o.batches for o in result.course))
    assert told.rate == float(told) == pytest.approx(rate * 10**believed.mean)
    assert told.band[0] == pytest.approx(rate * 10 ** (believed.mean - 1.96 * believed.sd))
    assert told.band[0] < told.rate < told.band[1]
    assert result.rate_for(longer=1).band == pytest.approx((rate, rate))
    ten = result.rate_for(longer=10)
    assert ten.spread > told.spread
    assert "for 4 times the length" in repr(told)
    for wrong in (0, -1, math.inf, "4", True):
        with pytest.raises(InvalidArgument, match="give how many times as long"):
            result.rate_for(longer=wrong)  # type: ignore[arg-type]
    muon = fitted(net(), epochs=2, optimizer="muon").rate_for(longer=10)
    chosen = fitted(net(), epochs=8, optimizer="auto", budget=2)
    assert muon.drift < told.drift - 0.2
    assert (chosen.rate_for(longer=10).drift < told.drift - 0.2) is (
        chosen.schedule[-1]["optimizer"] == "muon"
    )
    other = fitted(net(), epochs=1, space=["weight_decay=0:0.1"])
    with pytest.raises(InvalidArgument, match="this one has no learning rate"):
        other.rate_for(longer=2)
