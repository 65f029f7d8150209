"""A course that is counted in steps of the optimizer, over loaders whose end means nothing or never comes."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import gammatune
from gammatune.engine.recorded_stream import Reel
from gammatune.errors import InvalidArgument, InvalidData, NotRestorable
from gammatune.journal.history import replay
from gammatune.records import StepCount
from gammatune.report.wording import cost_in_words, epoch_in_words, settings_in_words

X = torch.linspace(-1, 1, 30).view(15, 2)
Y = (X[:, 0] > 0.1).long()


class Counted(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        for place in range(15):
            yield X[place], Y[place]


def drawn_at_random() -> Iterator[Any]:
    while True:
        rows = torch.randint(15, (4,))
        yield X[rows], Y[rows]


def in_turn() -> Iterator[Any]:
    for place in range(0, 15, 4):
        yield X[place : place + 4], Y[place : place + 4]


LOADERS: dict[str, Callable[[], Any]] = {
    "shuffled": lambda: DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True),
    "own generator": lambda: DataLoader(
        TensorDataset(X, Y), batch_size=4, shuffle=True, generator=torch.Generator().manual_seed(7)
    ),
    "in order": lambda: DataLoader(TensorDataset(X, Y), batch_size=4),
    "list": lambda: list(in_turn()),
    "iterable": lambda: DataLoader(Counted(), batch_size=4),
    "endless function": lambda: drawn_at_random,
    "function": lambda: in_turn,
    "iterator": lambda: itertools.cycle(in_turn()),
}


class Loop:
    """A training of its own, with dropout. accumulate: batches a step."""

    def __init__(self, loader: Any, accumulate: int = 1, dropout: float = 0.2) -> None:
        torch.manual_seed(3)
        self.model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Dropout(dropout), nn.Linear(4, 2))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.01)
        self.loader, self.accumulate = loader, accumulate
        self.seen: list[list[Tensor]] = []  # inputs, by rollout
        self.rates: list[list[float]] = []
        self.course: list[Tensor] = []

    def body(self, batches: Any) -> None:
        self.seen.append([])
        self.rates.append([])
        for place, (x, y) in enumerate(batches):
            self.seen[-1].append(x.clone())
            (nn.functional.cross_entropy(self.model(x), y) / self.accumulate).backward()
            self.rates[-1].append(self.optimizer.param_groups[0]["lr"])
            if place % self.accumulate == self.accumulate - 1:
                self.optimizer.step()
                self.optimizer.zero_grad()

    def validate(self) -> dict[str, float]:
        return {"loss": float(nn.functional.cross_entropy(self.model(X), Y))}

    def train(self, *, ends_after: int | None = None, **options: Any) -> gammatune.Tuner:
        tuner = gammatune.Tuner(
            model=self.model,
            optimizer=self.optimizer,
            objective="loss",
            **{"steps": 40, "every": 8, "check": False, **options},
        )
        with tuner:
            for run in tuner:
                self.body(run.batches(self.loader))
                run.report(**run.evaluate(self.validate))
                if run.is_course:
                    self.course += self.seen[-1]
                if run.number == ends_after:
                    break
        return tuner

    @property
    def weights(self) -> Tensor:
        return torch.cat([p.detach().flatten() for p in self.model.parameters()])


def plain(loader: Any, batches: int) -> list[Tensor]:
    """What a loop without gammatune would see of it."""
    torch.manual_seed(3)
    Loop(None)  # draws the same weights
    found: list[Tensor] = []
    while len(found) < batches:
        found += [
            x.clone()
            for x, _ in itertools.islice(loader() if callable(loader) else loader, batches - len(found))
        ]
    return found


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_course_sees_what_a_plain_loop_sees_and_so_does_every_look(name: str, accumulate: int) -> None:
    loop = Loop(LOADERS[name](), accumulate, dropout=0.0)
    tuner = loop.train()
    assert [o.steps for o in tuner.result.course] == [8, 8, 8, 8, 8]
    wanted = plain(LOADERS[name](), 40 * accumulate)
    assert torch.equal(torch.cat(loop.course), torch.cat(wanted))
    for outcome, seen in zip(tuner.result.rollouts, loop.seen, strict=True):
        if not outcome.epoch:
            assert torch.equal(torch.cat(seen), torch.cat(wanted[: len(seen)])), outcome.role


@pytest.mark.parametrize("name", LOADERS)
def test_a_run_that_was_ended_anywhere_goes_on_to_the_bit(name: str, tmp_path: Path) -> None:
    whole = Loop(LOADERS[name](), 2)
    numbers = len(whole.train(run_dir=str(tmp_path / "whole")).result.rollouts)
    for ends_after in range(numbers - 1):
        directory = str(tmp_path / str(ends_after))
        Loop(LOADERS[name](), 2).train(run_dir=directory, ends_after=ends_after)
        again = Loop(LOADERS[name](), 2)
        again.train(run_dir=directory)
        assert torch.equal(again.weights, whole.weights), ends_after


@given(total=st.integers(24, 60), every=st.integers(1, 25), accumulate=st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_as_many_steps_as_were_asked_for(total: int, every: int, accumulate: int) -> None:
    result = Loop(LOADERS["shuffled"](), accumulate).train(steps=total, every=every, keep="last").result
    assert [o.steps for o in result.course] == [
        StepCount(total, every).in_epoch(e) for e in range(len(result.course))
    ]
    assert sum(o.steps for o in result.course) == total
    assert result.schedule.to_csv(per_batch=True).count("\n") == 1 + total


def test_of_one_step_the_rate_is_one_and_falls_from_step_to_step() -> None:
    loop = Loop(LOADERS["list"](), 4)
    result = loop.train(steps=60, every=60).result
    rates = loop.rates[result.course[-1].number]
    by_step = [rates[place : place + 4] for place in range(0, len(rates), 4)]
    assert len(by_step) == 60
    assert all(len(set(each)) == 1 for each in by_step)
    falling = [each[0] for each in by_step[5:]]
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] < 0.05 * falling[0]


@pytest.mark.parametrize("name", ["shuffled", "list", "iterable", "endless function"])
def test_later_walks_see_other_batches_and_the_first_one_what_it_did(name: str) -> None:
    one = Loop(LOADERS[name]())
    count = sum(o.role != "walk 2" for o in one.train().result.rollouts)
    many = Loop(LOADERS[name]())
    result = many.train(budget=12).result
    for alone, among in zip(one.seen[:count], many.seen, strict=False):
        assert torch.equal(torch.cat(alone), torch.cat(among))
    assert len(result.rollouts) > count + 5
    assert all(o.status == "ok" for o in result.rollouts)


@pytest.mark.parametrize("name", ["shuffled", "list", "own generator"])
def test_an_order_of_its_own_is_another_order_of_the_same_examples(name: str) -> None:
    torch.manual_seed(3)
    passes = []
    for order in (0, 1, 2):
        reel = Reel(LOADERS[name](), is_shuffled=name != "list")
        passes.append(torch.cat([x for x, _ in itertools.islice(reel.play(0, order), 4)]))
    assert len({one.numpy().tobytes() for one in passes}) == (
        1 if name == "own generator" else 3
    )  # nobody has started it anew here
    assert all(torch.equal(one.sort(dim=0).values, X) for one in passes)


def test_where_memory_is_short_looks_pass_over_a_window_and_the_course_goes_on() -> None:
    loop = Loop(LOADERS["endless function"](), dropout=0.0)
    with pytest.warns(
        UserWarning, match=r"pass over these again, while the course goes on to new ones\. Raise tape_bytes"
    ):
        tuner = loop.train(steps=200, every=40, tape_bytes=200_000)
    wanted = plain(LOADERS["endless function"](), 200)
    look = next(o for o in tuner.result.rollouts if o.role == "miniature")
    seen = loop.seen[look.number]
    window = next(n for n in range(1, len(seen)) if torch.equal(seen[n], seen[0]))
    assert 8 <= window < len(seen)
    assert all(torch.equal(x, wanted[place % window]) for place, x in enumerate(seen))
    assert len({x.numpy().tobytes() for x in loop.course}) > window


def test_a_batch_that_does_not_fit_is_refused_with_the_size() -> None:
    with pytest.raises(NotRestorable, match=r"raise it"):
        Loop(LOADERS["endless function"]()).train(steps=200, every=40, tape_bytes=100)


def test_of_several_optimizers_the_one_counts_that_steps_most() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2))
    one, other = (torch.optim.SGD(part.parameters(), lr=0.1) for part in (model[0], model[2]))
    with gammatune.Tuner(model=model, optimizer=[one, other], steps=12, every=6, objective="loss") as tuner:
        for run in tuner:
            for place, (x, y) in enumerate(run.batches(in_turn)):
                model.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                one.step()
                if place % 3 == 0:
                    other.step()
            run.report(loss=1.0)
    assert [o.batches for o in tuner.result.course] == [6, 6]
    assert [o.steps for o in tuner.result.course] == [8, 8]


def test_it_is_told_in_steps(tmp_path: Path) -> None:
    Loop(LOADERS["list"]()).train(run_dir=str(tmp_path))
    story = replay(tmp_path)
    assert epoch_in_words(story, 0) == "step 8/40"
    assert epoch_in_words(story, 4) == "step 40/40"
    assert "steps 40, every 8" in settings_in_words(story.begin)
    assert story.end is not None
    assert "plain steps" in cost_in_words(story.end, story.begin)
    with pytest.raises(gammatune.errors.JournalError, match="begun with every=8"):
        Loop(LOADERS["list"]()).train(run_dir=str(tmp_path), every=10)


def test_a_body_that_leaves_early_is_heard() -> None:
    loop = Loop(LOADERS["list"]())
    body = loop.body
    loop.body = lambda batches: body(itertools.islice(batches, 5))  # type: ignore[method-assign]
    with pytest.warns(UserWarning, match=r"left run\.batches after 5 of 8"):
        result = loop.train().result
    assert {o.steps for o in result.course} == {5}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epochs": 3}, "steps=40 and epochs=3 both say how long"),
        ({"steps": 0}, "steps=0"),
        ({"steps": 2.5}, "steps=2.5"),
        ({"every": 0}, "every=0"),
        ({"steps": None}, "every=8 goes with steps="),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        Loop([]).train(**options)


def test_a_stream_that_ends_and_one_that_never_steps_are_told_apart() -> None:
    with pytest.raises(InvalidData, match=r"came to its end after 12 batches.*Give an endless one"):
        Loop(iter([(X, Y)] * 12)).train()
    with pytest.raises(InvalidData, match="gave no batch"):
        Loop([]).train()
    with pytest.raises(InvalidArgument, match="without a step of the optimizer"):
        Loop([(X[:1], Y[:1])], accumulate=10**6).train()


def test_where_nobody_says_how_often_it_reports_twenty_times() -> None:
    result = Loop(LOADERS["list"]()).train(steps=90, every=None).result
    assert [o.steps for o in result.course] == [5] * 18
