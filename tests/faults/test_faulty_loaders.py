"""Loaders that raise, end, change or give something else: what the user hears, and that nothing is lost by it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from faulty import Mine, Training, X, Y, at_last_commit, end_of, same
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

import gammatune
from gammatune.errors import InvalidArgument, InvalidData
from gammatune.journal.history import replay


class Reading(Dataset[Any]):
    """Raises at one reading of an example (from 0), or from there on."""

    def __init__(self, fails_at: int | None = None, *, always: bool = False) -> None:
        self.fails_at, self.always, self.readings = fails_at, always, 0
        self.length = 48

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        self.readings += 1
        if self.fails_at is not None and (
            self.readings == self.fails_at + 1 or (self.always and self.readings > self.fails_at)
        ):
            raise Mine(f"reading {self.readings}")
        return X[index % 48], Y[index % 48]


class Streamed(IterableDataset[Any]):
    """The same data from a source whose order cannot be restored, so that they are drawn onto a tape."""

    def __init__(self, data: Reading) -> None:
        self.data = data

    def __iter__(self) -> Iterator[Any]:
        return (self.data[i] for i in range(len(self.data)))


def loader(kind: str, data: Reading) -> Any:
    return DataLoader(data, 8, shuffle=True) if kind == "set" else DataLoader(Streamed(data), 8)


def whole(kind: str) -> Training:
    one = Training(loader=loader(kind, Reading()))
    one.run()
    return one


@pytest.mark.parametrize("kind", ["set", "stream"])
@pytest.mark.parametrize(
    "fails_at", [3, 20, 90, 150, 230]
)  # the survey, a miniature, the course, a later walk
def test_a_loader_that_raises_once(kind: str, fails_at: int, tmp_path: Path) -> None:
    reference = whole(kind)
    end = end_of(reference)
    one = Training(loader=loader(kind, Reading(fails_at)))
    with pytest.raises(Mine) as caught:
        one.run(tmp_path)
    assert caught.traceback[-1].name == "__getitem__"
    assert at_last_commit(one, reference)
    assert one.left_behind(tmp_path) == []
    again = Training(loader=loader(kind, Reading()))
    again.run(tmp_path)
    assert same(end_of(again), end)


@pytest.mark.parametrize("kind", ["set", "stream"])
def test_a_loader_that_raises_always(kind: str, tmp_path: Path) -> None:
    """Call after call ends where the first did, and nothing is lost or heaped up by it."""
    reference = whole(kind)
    end = end_of(reference)
    rollouts, files = [], []
    for _ in range(4):
        one = Training(loader=loader(kind, Reading(100, always=True)))
        if replay_or_none(tmp_path):
            one.loader = loader(kind, Reading(0, always=True))
        with pytest.raises(Mine):
            one.run(tmp_path)
        rollouts.append(len(replay(tmp_path).rollouts))
        files.append(sorted(path.name for path in tmp_path.iterdir()))
    assert len(set(rollouts)) == 1
    assert all(names == files[1] for names in files[1:])
    again = Training(loader=loader(kind, Reading()))
    again.run(tmp_path)
    assert same(end_of(again), end)


def replay_or_none(directory: Path) -> Any:
    return replay(directory) if (directory / "journal.jsonl").exists() else None


def test_a_tape_is_drawn_anew_where_the_loop_goes_on_after_an_error() -> None:
    """A generator that has raised says afterwards that it has ended; that is not believed."""
    data = Reading(20)
    one = Training(loader=loader("stream", data), options={"policy": "greedy"})
    seen: list[int] = []
    tuner = gammatune.Tuner(
        model=one.model, optimizer=one.optimizer, epochs=1, budget=9, policy="greedy", check=False
    )
    with tuner:
        for run in tuner:
            try:
                seen.append(sum(len(x) for x, _ in run.batches(one.loader)))
            except Mine:
                seen.append(-1)
            run.report(accuracy=0.5, loss=1.0)
    assert seen[:3] == [-1, 48, 48]


@pytest.mark.parametrize("kind", ["set", "stream", "list"])
@pytest.mark.parametrize("policy", ["greedy", "lookahead"])
@pytest.mark.parametrize("lengths", [(24, 48, 40), (48, 24, 16)])
def test_a_loader_that_changes_its_length(kind: str, policy: str, lengths: tuple[int, ...]) -> None:
    """Each epoch is as long as its data are; the budget stays the ceiling that it was at the beginning, so that
    longer epochs leave something out at the end."""
    data = Reading()
    one = Training()
    given: Any = loader(kind, data) if kind != "list" else []
    tuner = gammatune.Tuner(
        model=one.model, optimizer=one.optimizer, epochs=3, budget=6, policy=policy, keep="last", check=False
    )
    with tuner:
        for run in tuner:
            data.length = lengths[run.epoch]
            if kind == "list":
                given[:] = [(X[i : i + 8], Y[i : i + 8]) for i in range(0, data.length, 8)]
            for x, y in run.batches(given):
                one.optimizer.zero_grad()
                nn.functional.cross_entropy(one.model(x), y).backward()
                one.optimizer.step()
            run.report(**run.evaluate(one.validate))
    course = tuner.result.course
    assert [o.epoch for o in course] == [0, 1, 2]
    if lengths[0] > lengths[-1] and policy == "greedy":
        assert [o.trained for o in course] == list(lengths)
    assert tuner.cost.trained <= 6 * 3 * (lengths[0] + 16)


@pytest.mark.parametrize("kind", ["set", "stream"])
@pytest.mark.parametrize("policy", ["greedy", "lookahead"])
def test_a_loader_that_is_empty_in_the_third_epoch(kind: str, policy: str, tmp_path: Path) -> None:
    data = Reading()
    options = {"policy": policy, "epochs": 4, "budget": 3}
    one = Training(loader=loader(kind, data), options=dict(options))

    def empty(phase: str, run: Any) -> None:
        data.length = 0 if run.epoch == 2 else 48

    one.fault = empty
    with pytest.raises(InvalidData, match="gave no batch") as caught:
        one.run(tmp_path)
    assert caught.value.__notes__
    reference = Training(loader=loader(kind, Reading()), options=dict(options))
    reference.run()
    end = end_of(reference)
    assert len(one.tuner.result.verdicts) == 2
    assert at_last_commit(one, reference)
    again = Training(loader=loader(kind, Reading()), options=dict(options))
    again.run(tmp_path)
    assert same(end_of(again), end)


@pytest.mark.parametrize(
    ("batch", "error", "said"),
    [
        ({"x": X[:8], "y": Y[:8], "weights": Y[:8]}, ValueError, "too many values to unpack"),
        ((X[:8], Y[:8], Y[:8]), ValueError, "too many values to unpack"),
        (3.5, InvalidArgument, r"cannot tell how many examples a batch of type float holds; pass examples="),
        (None, InvalidArgument, "batch of type NoneType"),
    ],
)
def test_batches_of_another_structure(batch: Any, error: Any, said: str, tmp_path: Path) -> None:
    """In the midst of an epoch of the course."""
    reference = Training(loader=[(X[i : i + 8], Y[i : i + 8]) for i in range(0, 48, 8)])
    reference.run()
    batches = list(reference.loader)
    one = Training(loader=batches)

    def other(phase: str, run: Any) -> None:
        if phase == "start" and run.is_course and run.epoch == 1:
            batches[2] = batch

    one.fault = other
    with pytest.raises(error, match=said):
        one.run(tmp_path)
    assert len(one.tuner.result.course) == 1
    assert at_last_commit(one, reference)


def test_fit_names_batches_of_another_structure() -> None:
    torch.manual_seed(1)
    model = nn.Linear(4, 2)
    before = [p.detach().clone() for p in model.parameters()]
    train = [(X[:24], Y[:24]), {"x": X[24:]}]
    with pytest.raises(InvalidArgument, match="a batch is a mapping of x, and none of these is the targets"):
        gammatune.fit(model, train, [(X, Y)], epochs=2)
    assert all(map(torch.equal, before, model.parameters()))


def test_a_validation_loader_that_raises(tmp_path: Path) -> None:
    def run(fails_at: int | None) -> tuple[Any, gammatune.FitResult]:
        torch.manual_seed(1)
        model = nn.Linear(4, 2)
        select = DataLoader(Reading(fails_at), 8)
        return model, gammatune.fit(model, (X, Y), select, epochs=2, run_dir=str(tmp_path))

    with pytest.raises(Mine) as caught:
        run(120)  # after the rehearsal and the survey
    assert caught.traceback[-1].name == "__getitem__"
    model, _ = run(None)
    torch.manual_seed(1)
    other = nn.Linear(4, 2)
    gammatune.fit(other, (X, Y), DataLoader(Reading(), 8), epochs=2)
    assert same(model.state_dict(), other.state_dict())
