"""The schedule as a thing of its own: read, written down, followed by a plain loop, repeated to the bit."""

import csv
import io
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import gammatune
from gammatune.course import Leg, Schedule, Stretch
from gammatune.errors import AllDiverged, InvalidArgument, JournalError
from gammatune.journal.history import replay as read_back
from gammatune.policy.replay import Replay
from gammatune.records import (
    Average,
    Commit,
    Fork,
    Length,
    Outcome,
    Pool,
    Rollout,
    Shape,
    Verdict,
)
from gammatune.schedules import STILL, linear, part
from gammatune.testing.fakes import FakeTraining
from gammatune.tuning.tuner import Tuner

X = torch.randn(120, 6, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] + 0.5 * X[:, 1] > 0).long()

candidates = st.dictionaries(
    st.sampled_from(["lr", "momentum", "batch_size", "optimizer"]),
    st.floats(1e-9, 1e9) | st.just(0.0) | st.integers(1, 512) | st.sampled_from(["sgd", "größer"]),
)
shapes = st.lists(st.tuples(st.floats(0.01, 0.99), st.floats(0, 10)), max_size=4).map(
    lambda knots: Shape(((0.0, 0.5), *sorted(knots), (1.0, 0.25)))
)
lengths = st.builds(Length, st.floats(0, 3), st.integers(0, 5), st.none() | st.integers(1, 9))
legs = st.builds(
    Leg, candidates, shapes, lengths, st.integers(0, 9), st.integers(0, 99), st.booleans(), st.booleans()
)


@st.composite
def stretches(draw: st.DrawFn) -> Stretch:
    leg = draw(legs)
    members = tuple(draw(st.lists(legs, max_size=3)))
    return Stretch(
        *(getattr(leg, name) for name in ("values", "shape", "length", "order", "batches", "scored", "cut")),
        epoch=draw(st.integers(0, 9)),
        epoch_batches=draw(st.integers(0, 99)),
        members=members,
        settle=draw(legs) if members else None,
    )


@st.composite
def plain_courses(draw: st.DrawFn) -> Schedule:
    """Courses of a learning rate alone, the last epoch perhaps cut."""
    epochs, batches = draw(st.integers(1, 4)), draw(st.integers(1, 7))
    chosen = draw(st.lists(st.floats(1e-6, 1e3), min_size=epochs, max_size=epochs))
    whole = draw(shapes)
    course = [
        Stretch(
            {"lr": lr},
            part(whole, e / epochs, (e + 1) / epochs),
            batches=batches,
            epoch=e,
            epoch_batches=batches,
        )
        for e, lr in enumerate(chosen)
    ]
    if draw(st.booleans()):
        last = course[-1]
        seen = draw(st.integers(0, batches))
        course[-1] = Stretch(
            last.values, last.shape, batches=seen, cut=True, epoch=last.epoch, epoch_batches=batches
        )
    return Schedule(tuple(course))


def decaying(lr: float = 0.2, epochs: int = 4, batches: int = 5, **more: Any) -> Schedule:
    return Schedule(
        tuple(
            Stretch(
                {"lr": lr} | more,
                part(linear(), e / epochs, (e + 1) / epochs),
                batches=batches,
                epoch=e,
                epoch_batches=batches,
            )
            for e in range(epochs)
        )
    )


# A sequence -----------------------------------------------------------------------------------------------


def test_it_is_the_sequence_of_the_values_chosen() -> None:
    schedule = Schedule((Stretch({"lr": 0.1}), Stretch({"lr": 0.2}), Stretch({"lr": 0.4})))
    assert schedule[0]["lr"] == 0.1
    assert schedule[-1] == {"lr": 0.4}
    assert len(schedule) == 3
    assert [values["lr"] for values in schedule] == [0.1, 0.2, 0.4]
    assert schedule == ({"lr": 0.1}, {"lr": 0.2}, {"lr": 0.4})
    assert schedule != ({"lr": 0.1}, {"lr": 0.2})
    assert schedule[1:] == ({"lr": 0.2}, {"lr": 0.4})
    assert isinstance(schedule[1:], Schedule)
    assert {"lr": 0.2} in schedule
    assert "{'lr': 0.2}" in repr(schedule)
    with pytest.raises(IndexError):
        schedule[3]


def test_schedules_differ_where_their_shapes_do() -> None:
    assert Schedule((Stretch({"lr": 0.1}),)) != Schedule((Stretch({"lr": 0.1}, STILL),))
    assert Schedule((Stretch({"lr": 0.1}),)) == Schedule((Stretch({"lr": 0.1}),))
    assert Schedule((Stretch({"lr": 0.1}),)) != Schedule((Stretch({"lr": 0.1}),), multiplier=True)


# Read -----------------------------------------------------------------------------------------------------


def test_the_rate_along_the_course() -> None:
    schedule = decaying(lr=0.2, epochs=4)
    assert schedule.lr_at(0) == 0
    assert schedule.lr_at(0.2) == pytest.approx(0.2)  # the end of the warm-up, 5 % of the course
    assert schedule.lr_at(2) == pytest.approx(0.2 * 0.5 / 0.95)
    assert schedule.lr_at(4) == pytest.approx(0)
    assert schedule.lr_at(np.float64(3.9)) > schedule.lr_at(3.95)


@given(plain_courses())
def test_the_rate_in_the_middle_of_a_batch_is_that_of_the_batch(schedule: Schedule) -> None:
    for place, stretch in enumerate(schedule.stretches):
        for batch, multiplier in enumerate(stretch.multipliers):
            inside = place + (batch + 0.5) / len(stretch.multipliers)
            assert schedule.lr_at(inside) == pytest.approx(float(stretch.values["lr"]) * multiplier, rel=1e-6)


@pytest.mark.parametrize("epoch", [-0.1, 4.01, math.nan, math.inf])
def test_a_rate_outside_the_course_is_refused(epoch: float) -> None:
    with pytest.raises(InvalidArgument, match="give 0 to 4"):
        decaying(epochs=4).lr_at(epoch)


@pytest.mark.parametrize(
    ("values", "what"), [({}, "none in every epoch"), ({"lr.0": 0.1, "lr.1": 0.2}, r"several: lr\.0, lr\.1")]
)
def test_without_one_rate_there_is_no_rate_to_ask_for(values: dict[str, float], what: str) -> None:
    with pytest.raises(InvalidArgument, match=what):
        Schedule((Stretch(values),)).lr_at(0)


# Written down ---------------------------------------------------------------------------------------------


@given(st.lists(stretches(), max_size=4), st.booleans())
def test_json_comes_back_equal(course: list[Stretch], multiplier: bool) -> None:
    schedule = Schedule(tuple(course), multiplier)
    again = Schedule.from_json(schedule.to_json())
    assert again == schedule
    assert again.to_json() == schedule.to_json()
    assert [type(v) for values in again for v in values.values()] == [
        type(v) for values in schedule for v in values.values()
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "not json",
        decaying().to_json().replace('"format": 1', '"format": 2'),
        decaying().to_json().replace('"lr": 0.2', '"lr": null'),
        decaying().to_json().replace('"lr": 0.2', '"lr": Infinity'),
        decaying().to_json().replace('"lr": 0.2', '"lr": NaN'),
        decaying().to_json().replace('"knots"', '"nuts"'),
        decaying().to_json().replace('"epochs"', '"ages"'),
        decaying().to_json()[:-20],
    ],
)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"not a schedule|this gammatune reads 1"):
        Schedule.from_json(text)


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="finite numbers or text"):
        Schedule((Stretch({"lr": math.inf}),)).to_json()


def test_a_row_an_epoch() -> None:
    schedule = decaying(lr=0.2, epochs=2, momentum=0.9)
    rows = list(csv.DictReader(io.StringIO(schedule.to_csv())))
    assert list(rows[0]) == ["epoch", "lr", "lr_start", "lr_end", "momentum", "members"]
    assert [(row["epoch"], row["lr"], row["momentum"], row["members"]) for row in rows] == [
        ("0", "0.2", "0.9", "1"),
        ("1", "0.2", "0.9", "1"),
    ]
    assert [float(row["lr_start"]) for row in rows] == [schedule.lr_at(0), schedule.lr_at(1)]
    assert float(rows[1]["lr_end"]) == schedule.lr_at(2)


@given(plain_courses())
def test_a_row_a_batch(schedule: Schedule) -> None:
    rows = list(csv.DictReader(io.StringIO(schedule.to_csv(per_batch=True))))
    assert [int(row["batch"]) for row in rows] == list(range(sum(s.batches for s in schedule.stretches)))
    for place, stretch in enumerate(schedule.stretches):
        rates = [float(row["lr"]) for row in rows if int(row["epoch"]) == place]
        assert rates == [float(stretch.values["lr"]) * multiplier for multiplier in stretch.multipliers]


def test_rows_of_several_rates_and_of_values_that_come_and_go() -> None:
    schedule = Schedule((Stretch({"lr.0": 0.5, "lr.1": 2.0}, STILL), Stretch({"lr.0": 0.25, "size": 8})))
    assert schedule.to_csv().splitlines() == [
        "epoch,lr.0,lr.0_start,lr.0_end,lr.1,lr.1_start,lr.1_end,size,members",
        "0,0.5,0.0,0.0,2.0,0.0,0.0,,1",
        "1,0.25,0.25,0.25,,,,8,1",
    ]


def test_saved_as_the_ending_says(tmp_path: Path) -> None:
    schedule = decaying()
    schedule.save(tmp_path / "found.json")
    schedule.save(str(tmp_path / "found.CSV"))
    assert (tmp_path / "found.json").read_text() == schedule.to_json()
    assert (tmp_path / "found.CSV").read_text() == schedule.to_csv()
    with pytest.raises(InvalidArgument, match=r"end it in \.json or \.csv"):
        schedule.save(tmp_path / "found.txt")


# Followed by a plain loop ---------------------------------------------------------------------------------


def optimizer_of(*rates: float) -> torch.optim.SGD:
    return torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in rates], lr=1.0)


def rates_of(optimizer: torch.optim.Optimizer) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


@given(plain_courses(), st.sampled_from([(0.1,), (0.0, 0.3, 0.07), (3e-4, 1e-3)]))
def test_the_scheduler_sets_the_very_rate_of_every_batch(schedule: Schedule, own: Sequence[float]) -> None:
    optimizer = optimizer_of(*own)
    scheduler = schedule.to_lambda_lr(optimizer)
    reference = next(lr for lr in own if lr > 0)
    for stretch in schedule.stretches:
        for multiplier in stretch.multipliers:
            chosen = float(stretch.values["lr"])
            expected = [(chosen if lr == reference else chosen * (lr / reference)) * multiplier for lr in own]
            assert rates_of(optimizer) == expected
            optimizer.step()
            scheduler.step()
    end = schedule.lr_at(len(schedule))
    assert rates_of(optimizer)[own.index(reference)] == end
    optimizer.step()
    scheduler.step()
    assert rates_of(optimizer)[own.index(reference)] == end


def test_a_scheduler_is_taken_up_again() -> None:
    schedule = decaying(epochs=3, batches=4)

    def steps(scheduler: Any, optimizer: Any, count: int) -> list[list[float]]:
        seen = []
        for _ in range(count):
            seen.append(rates_of(optimizer))
            optimizer.step()
            scheduler.step()
        return seen

    optimizer = optimizer_of(0.3, 0.1)
    scheduler = schedule.to_lambda_lr(optimizer)
    assert isinstance(scheduler, torch.optim.lr_scheduler.LambdaLR)
    steps(scheduler, optimizer, 5)
    kept = optimizer.state_dict(), scheduler.state_dict()
    expected = steps(scheduler, optimizer, 7)

    loaded = optimizer_of(0.3, 0.1)
    again = schedule.to_lambda_lr(loaded)
    loaded.load_state_dict(kept[0])
    again.load_state_dict(kept[1])
    assert steps(again, loaded, 7) == expected

    loaded = optimizer_of(0.3, 0.1)
    loaded.load_state_dict(kept[0])
    assert steps(schedule.to_lambda_lr(loaded, last_epoch=4), loaded, 7) == expected


def test_a_rate_that_is_a_tensor_stays_one() -> None:
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=torch.tensor(0.1))
    kept = optimizer.param_groups[0]["lr"]
    scheduler = decaying(lr=0.5).to_lambda_lr(optimizer)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is kept
    assert float(kept) == pytest.approx(decaying(lr=0.5).lr_at(0.3))


AVERAGED = Stretch(
    {"lr": 0.1},
    batches=5,
    epoch_batches=5,
    members=(Leg({"lr": 0.1}, order=1), Leg({"lr": 0.1})),
    settle=Leg({"lr": 0.1}, STILL),
)


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        (Schedule((AVERAGED,)), "average of 2 trainings"),
        (
            Schedule((*decaying(momentum=0.9).stretches, *decaying(momentum=0.8).stretches)),
            "changes momentum in epoch 5",
        ),
        (decaying(weight_decay=0.1), "trained with weight_decay 0.1, and the optimizer has 0"),
        (Schedule((Stretch({"lr.0": 0.1}),)), "several optimizers"),
        (Schedule((Stretch({"lr.0": 0.1, "lr.1": 0.1}),)), "several: "),
        (Schedule((Stretch({"momentum": 0.1}),)), "none in every epoch"),
        (Schedule((Stretch({"lr": 0.1}),)), "nobody counted the batches of epoch 1"),
        (Schedule(decaying().stretches, multiplier=True), "multiplier=True"),
        (Schedule(()), "none in every epoch"),
    ],
)
def test_what_a_scheduler_cannot_follow_is_said(schedule: Schedule, reason: str) -> None:
    with pytest.raises(InvalidArgument, match=reason):
        schedule.to_lambda_lr(optimizer_of(0.1))


def test_what_the_optimizer_has_by_itself_is_no_obstacle() -> None:
    parameters = [nn.Parameter(torch.zeros(1))]
    schedule = decaying(momentum=0.9, batch_size=8)
    schedule.to_lambda_lr(torch.optim.SGD(parameters, lr=0.1, momentum=0.9))
    schedule.to_lambda_lr(torch.optim.Adam(parameters, lr=0.1, betas=(0.9, 0.99)))
    with pytest.raises(InvalidArgument, match=r"with momentum 0\.9, and the optimizer has 0"):
        schedule.to_lambda_lr(torch.optim.SGD(parameters, lr=0.1))


def test_an_optimizer_at_the_end_of_its_course_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="give a fresh optimizer"):
        decaying().to_lambda_lr(optimizer_of(0.0, 0.0))


# Repeated -------------------------------------------------------------------------------------------------


class Training:
    """A small training with all that must be the same again: dropout, batch normalisation, momentum, a loader that
    shuffles by a generator of its own, a body that draws from Python's and NumPy's streams."""

    def __init__(self) -> None:
        self.seed()
        self.model = nn.Sequential(
            nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2)
        )
        self.optimizer = torch.optim.SGD(
            [{"params": self.model[0].parameters(), "lr": 0.02}, {"params": self.model[1:].parameters()}],
            lr=0.1,
            momentum=0.9,
        )
        generator = torch.Generator().manual_seed(7)
        data = TensorDataset(X[:80], Y[:80])
        self.loader = DataLoader(data, batch_size=16, shuffle=True, generator=generator)
        self.rates: list[list[float]] = []  # of the course, in every batch

    def seed(self) -> None:
        random.seed(2)
        np.random.seed(2)  # noqa: NPY002
        torch.manual_seed(2)

    def step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        noise = random.random() + np.random.rand()  # noqa: NPY002
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(self.model(x + 0.05 * noise), y).backward()
        self.optimizer.step()

    def validate(self) -> dict[str, float]:
        shuffled = DataLoader(TensorDataset(X[80:], Y[80:]), batch_size=40, shuffle=True)  # draws as well
        (x, y), *_ = shuffled
        output = self.model(x)
        accuracy = (output.argmax(1) == y).float().mean().item()
        return {"accuracy": accuracy, "loss": nn.functional.cross_entropy(output, y).item()}

    def run(self, policy: Any, **options: Any) -> Any:
        given: dict[str, Any] = {"epochs": 4, "sampler": "random", "seed": 3}
        self.seed()
        with Tuner(model=self.model, optimizer=self.optimizer, policy=policy, **(given | options)) as tuner:
            for run in tuner:
                self.model.train()
                for x, y in run.batches(self.loader):
                    if run.is_course:
                        self.rates.append(rates_of(self.optimizer))
                    self.step(x, y)
                run.report(**run.evaluate(self.validate))
        return tuner.result

    @property
    def evidence(self) -> list[Any]:
        return [
            *self.model.state_dict().values(),
            *(entry["momentum_buffer"] for entry in self.optimizer.state.values()),
        ]


def same(a: Training, b: Training) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.evidence, b.evidence, strict=True))


def astray(job: Any) -> Any:
    """Averages of trainings in other orders, one of which diverges last; an epoch taken back and left out."""
    yield Fork("start")
    yield Rollout({"lr": 0.3}, 0, "start")  # nobody wants it
    yield Rollout({"lr": 0.2}, 0, "start", course=True, shape=part(linear(), 0.0, 0.25))
    outcome = yield Rollout({"lr": 0.2}, 0, "start", course=True, shape=part(linear(), 0.0, 0.25))
    yield Commit((outcome,), 1, None, Verdict("one"))
    yield Fork("peak")
    for epoch, last in ((1, {"lr": 0.05}), (2, {"lr": 1e30})):
        joined: list[Outcome] = []
        for order, chosen in ((5, {"lr": 0.1}), (2, {"lr": 0.2}), (0, last)):
            member = yield Rollout(chosen, epoch, "peak", order=order, scored=False)
            if member.ok:
                joined.append(member)
                yield Pool("mean", len(joined))
        yield Average("mean")
        outcome = yield Rollout(
            {"lr": 0.1}, epoch, None, course=True, length=Length(0.0, least=1), shape=STILL
        )
        yield Commit((outcome,), epoch + 1, None, Verdict("average"), {outcome.number: tuple(joined)})
        yield Fork("peak")
    yield Rollout({"lr": 0.5}, 3, None)
    outcome = yield Rollout({"lr": 0.01}, 3, "peak", course=True, length=Length(0.4))
    yield Commit((outcome,), 4, None, Verdict("less than an epoch"))
    yield Fork("end")
    outcome = yield Rollout({"lr": 0.4}, 3, None, course=True)
    yield Commit((outcome,), 5, None, Verdict("too far"))
    yield Commit((), 4, "end", Verdict("back"))


def averages(job: Any) -> Any:
    """Every epoch the average of 13 trainings, each in an order of its own, after a survey: as lookahead has them."""
    yield Fork("here")
    yield Rollout({"lr": 0.3}, 0, None, length=Length(0.0, least=1), shape=STILL)
    for epoch in range(job.epochs):
        if epoch:
            yield Fork("here")
        joined: list[Outcome] = []
        for order in reversed(range(13)):
            shape = part(linear(), epoch / job.epochs, (epoch + 1) / job.epochs)
            joined.append((yield Rollout({"lr": 0.3}, epoch, "here", shape=shape, order=order, scored=False)))
            yield Pool("mean", len(joined))
        yield Average("mean")
        settle = Rollout({"lr": 0.3}, epoch, None, course=True, length=Length(0.0, least=1), shape=STILL)
        outcome = yield settle
        yield Commit((outcome,), epoch + 1, None, Verdict("average"), {outcome.number: tuple(joined)})


def straight(job: Any) -> Any:
    """The course alone, whatever the budget."""
    for epoch in range(job.epochs):
        shape = part(linear(), epoch / job.epochs, (epoch + 1) / job.epochs)
        outcome = yield Rollout({"lr": 0.3}, epoch, None, course=True, shape=shape)
        yield Commit((outcome,), epoch + 1, None, Verdict("straight on"))


RUNS: dict[str, dict[str, Any]] = {
    "lookahead": {"policy": "lookahead", "budget": 1.5},
    "lookahead, averaged": {"policy": "lookahead", "budget": 5},
    "lookahead, constant": {"policy": "lookahead", "budget": 1.5, "schedule": "constant"},
    "greedy": {"policy": "greedy", "budget": 3},
    "greedy, two values": {"policy": "greedy", "budget": 3, "space": ["lr=0.01:0.3:log", "momentum=0.5:0.9"]},
    "once": {"policy": "once", "budget": 3},
    "astray": {"policy": astray, "budget": 30},
    "averages": {"policy": averages, "budget": 30},
    "cut": {"policy": straight, "budget": 0.92},
}


@pytest.mark.parametrize("name", RUNS)
def test_a_course_is_repeated_to_the_bit(name: str, tmp_path: Path) -> None:
    searched, *others = (Training() for _ in range(4))
    result = searched.run(**RUNS[name], run_dir=str(tmp_path / "run"))
    assert len(result.course) >= 2
    result.schedule.save(tmp_path / "found.json")
    assert read_back(tmp_path / "run").schedule == result.schedule
    for other, found in zip(
        others, (result.schedule, str(tmp_path / "run"), tmp_path / "found.json"), strict=True
    ):
        repeated = other.run(gammatune.replay(found))
        assert same(searched, other)
        assert [o.score for o in repeated.course] == [o.score for o in result.course]
        assert [o.batches for o in repeated.course] == [o.batches for o in result.course]
        assert repeated.cost.units <= result.cost.units
        legs = sum(len(s.members) + 1 for s in result.schedule.stretches)
        assert len(repeated.rollouts) == legs
    if not any(s.cut for s in result.schedule.stretches):
        assert repeated.schedule == result.schedule


def test_the_runs_above_show_what_they_should() -> None:
    """Averages, one with a member that diverged last; an epoch that was cut."""
    course = {name: Training().run(**options).schedule.stretches for name, options in RUNS.items()}
    assert all(s.count == 1 for name in ("lookahead", "greedy", "once") for s in course[name])
    assert [s.count for s in course["averages"]] == [13] * 4
    assert [(s.batches, s.cut) for s in course["cut"]] == [(5, False), (5, False), (5, False), (3, True)]
    assert [[m.pooled for m in s.members] for s in course["astray"]] == [
        [],
        [True, True, True],
        [True, True, False],
        [],
    ]
    assert [s.batches for s in course["astray"]] == [5, 5, 5, 2]


epochs_at_random = st.fixed_dictionaries(
    {
        "disturbances": st.integers(0, 2),
        "members": st.sampled_from([0, 0, 2, 3]),
        "lr": st.floats(0.01, 0.5),
        "shape": shapes,
        "length": st.sampled_from([Length(), Length(0.5), Length(2.0), Length(0.0, 3, 3)]),
        "order": st.integers(0, 2),
        "scored": st.booleans(),
        "taken_back": st.booleans(),
    }
)


@settings(max_examples=30)
@given(st.lists(epochs_at_random, min_size=1, max_size=4))
def test_any_course_is_repeated_to_the_bit(plan: list[dict[str, Any]]) -> None:
    """Whatever rollouts lie between its epochs, and however these were trained."""

    def policy(job: Any) -> Any:
        yield Fork("here")
        done = 0
        for epoch, how in enumerate(plan):
            for k in range(how["disturbances"]):
                yield Rollout({"lr": 0.1 * 10**k}, epoch, "here", order=k)
            what: dict[str, Any] = {key: how[key] for key in ("shape", "length", "scored")}
            joined: list[Outcome] = []
            if how["members"]:
                for order in reversed(range(how["members"])):
                    member = yield Rollout({"lr": how["lr"]}, epoch, "here", order=order, **what)
                    joined.append(member)
                    yield Pool("mean", len(joined))
                yield Average("mean")
                settle: dict[str, Any] = {"length": Length(0.0, least=1), "shape": STILL, "course": True}
                outcome = yield Rollout({"lr": how["lr"]}, epoch, None, **settle)
            else:
                outcome = yield Rollout({"lr": how["lr"]}, epoch, "here", order=how["order"], **what)
            if how["taken_back"]:
                continue
            done += 1
            yield Commit(
                (outcome,), done, None, Verdict("as drawn"), {outcome.number: tuple(joined)} if joined else {}
            )
            yield Fork("here")
        yield Commit((), done, "here", Verdict("back"))

    assume(not all(how["taken_back"] for how in plan))
    searched, other = Training(), Training()
    schedule = searched.run(policy, budget=100, epochs=4).schedule
    repeated = other.run(gammatune.replay(Schedule.from_json(schedule.to_json())))
    assert same(searched, other)
    assert repeated.schedule == schedule


@pytest.mark.parametrize("name", ["lookahead", "greedy", "once"])
def test_a_plain_loop_with_the_scheduler_ends_in_the_same_weights(name: str) -> None:
    searched, plain = Training(), Training()
    schedule = searched.run(**RUNS[name]).schedule
    scheduler = schedule.to_lambda_lr(plain.optimizer)
    plain.seed()
    for _ in schedule:
        plain.model.train()
        for x, y in plain.loader:
            plain.rates.append(rates_of(plain.optimizer))
            plain.step(x, y)
            scheduler.step()
        plain.model.eval()
        with torch.no_grad():
            plain.validate()
    repeated = Training()
    repeated.run(gammatune.replay(schedule))
    assert plain.rates == repeated.rates
    assert same(searched, plain)


@pytest.mark.parametrize("options", [{"budget": 1.5}, {"budget": 6}, {"policy": "greedy", "budget": 3}])
def test_fit_repeats_to_the_bit(options: dict[str, Any], tmp_path: Path) -> None:
    def fitted(**options: Any) -> tuple[nn.Module, Any]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))
        return model, gammatune.fit(model, (X, Y), epochs=4, batch_size=16, seed=5, **options)

    model, result = fitted(**options, run_dir=str(tmp_path / "run"))
    again, repeated = fitted(policy=gammatune.replay(tmp_path / "run"), run_dir=str(tmp_path / "again"))
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True)
    )
    # of several nets it is the best alone that is repeated
    assert repeated.report == (result.report if result.single is None else result.single)
    assert "Nothing is searched" in " ".join(repeated.said)
    assert read_back(tmp_path / "again").begin["policy"] == "replay"
    assert read_back(tmp_path / "again").schedule == result.schedule


def test_a_batch_size_is_repeated_without_being_told_of_it() -> None:
    def fitted(**options: Any) -> tuple[nn.Module, Any]:
        torch.manual_seed(0)
        model = nn.Linear(6, 2)
        return model, gammatune.fit(model, (X, Y), epochs=3, seed=5, sampler="random", **options)

    model, result = fitted(policy="greedy", budget=3, space=["lr=0.01:1:log", "batch_size=8,16,32"])
    again, repeated = fitted(policy=gammatune.replay(result.schedule))
    assert torch.equal(model.weight, again.weight)  # type: ignore[arg-type]
    assert repeated.schedule == result.schedule
    with pytest.raises(InvalidArgument, match=r"the course sets batch_size, and the space lr=.* does not"):
        fitted(policy=gammatune.replay(result.schedule), space=["lr=0.01:1:log"])


def test_factors_are_not_taken_for_rates() -> None:
    training = Training()
    scheduler = torch.optim.lr_scheduler.ExponentialLR(training.optimizer, 0.5)
    factors = training.run("greedy", budget=2, multiplier=True, state=[scheduler]).schedule
    assert factors.multiplier
    with pytest.raises(
        InvalidArgument, match=r"multiplier=False: .*write multiplier=True in a gammatune\.Tuner"
    ):
        Training().run(gammatune.replay(factors))
    with pytest.raises(InvalidArgument, match="write multiplier=False"):
        training.run(gammatune.replay(decaying()), multiplier=True)


# What it says no to, and when it stops --------------------------------------------------------------------


def fake(policy: Any, training: FakeTraining | None = None, **options: Any) -> Tuner:
    given: dict[str, Any] = {"epochs": 4}
    tuner = Tuner(training=training or FakeTraining(), policy=policy, **(given | options))
    with tuner:
        for one in tuner:
            one.advance()
            one.report(**one.evaluate())
    return tuner


def test_an_empty_course_cannot_be_repeated(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="committed nothing"):
        gammatune.replay(Schedule(()))
    with pytest.raises(JournalError, match="there is no run"):
        gammatune.replay(tmp_path)
    with pytest.raises(InvalidArgument, match="cannot read the schedule"):
        gammatune.replay(tmp_path / "none.json")


def test_a_course_that_is_longer_than_the_training_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"write epochs=4, or repeat schedule\[:3\]"):
        fake(gammatune.replay(decaying()), epochs=3)
    assert len(fake(gammatune.replay(decaying()[:3]), epochs=3).result.course) == 3
    assert len(fake(gammatune.replay(decaying()[:3]), epochs=9).result.course) == 3


def test_the_number_of_epochs_may_be_left_to_the_course() -> None:
    """Which is most wanted where the search had chosen it."""
    found = fake("lookahead", epochs=None, total_epochs=60, space=["lr=1e-4:1:log"]).result.schedule
    tuner = fake(gammatune.replay(found), epochs=None)
    assert tuner.epochs == len(found) > 1
    assert tuner.result.schedule == found


def test_a_course_that_does_not_fit_here_says_so_and_keeps_the_last_good_epoch() -> None:
    class Fragile(FakeTraining):
        def advance(self, epoch: int, values: Any, meter: Any) -> None:
            self.cliff = 0.1 if epoch == 2 else 10.0
            super().advance(epoch, values, meter)

    training = Fragile()
    with pytest.raises(AllDiverged, match=r"epoch 3 of the course that is repeated failed \(lr 0\.2\)"):
        fake(gammatune.replay(decaying()), training)
    assert training.progress == [0.2, 0.2]
    averaged = Schedule((AVERAGED, AVERAGED))
    training = Fragile(cliff=0.05)
    with pytest.raises(AllDiverged, match="epoch 1 of the course"):
        fake(gammatune.replay(averaged), FakeTraining(cliff=0.05))


def test_it_can_be_stopped() -> None:
    tuner = Tuner(training=FakeTraining(), epochs=4, policy=gammatune.replay(decaying()))
    with tuner:
        for one in tuner:
            one.advance()
            one.report(**one.evaluate())
            if one.number == 1:
                tuner.stop()
    assert len(tuner.result.course) == 2


@given(st.lists(stretches(), min_size=1, max_size=3))
def test_any_course_has_a_space_and_a_budget_above_its_cost(course: list[Stretch]) -> None:
    policy = Replay(Schedule(tuple(course)))
    assert policy.budget >= 1
    if any(policy.schedule):
        for chosen in policy.schedule:
            assert all(policy.space[name].contains(value) for name, value in chosen.items())


@given(st.integers(1, 3), st.integers(2, 16), st.integers(0, 10**6))
def test_the_ceiling_of_its_own_never_cuts(epochs: int, members: int, validation: int) -> None:
    legs = tuple(Leg({"lr": 0.1}, order=k, batches=5, scored=False) for k in reversed(range(members)))
    settle = Leg({"lr": 0.1}, STILL, Length(0.0, least=1), batches=1)
    stretch = Stretch({"lr": 0.1}, batches=5, epoch_batches=5, members=legs, settle=settle)
    course = Schedule(tuple(stretch for _ in range(epochs)))
    tuner = fake(gammatune.replay(course), FakeTraining(validation=validation), epochs=epochs)
    assert not any(outcome.cut for outcome in tuner.result.rollouts)
    assert len(tuner.result.rollouts) == epochs * (members + 1)
