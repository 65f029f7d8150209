"""An executor trains what a policy says is next; nothing of it is to be seen in the result."""

import math
import random
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tries import tries

from gammatune.cost import Meter
from gammatune.engine.ranks import SINGLE, Single
from gammatune.errors import InvalidArgument, JournalError
from gammatune.records import Ahead, Fork, Rollout, Values
from gammatune.testing.fakes import FakeExecutor, FakeTraining
from gammatune.tuning.arguments import refuse_beside
from gammatune.tuning.executor import Task
from gammatune.tuning.signals import Terminated
from gammatune.tuning.tuner import Tuner

POLICIES: list[dict[str, Any]] = [
    {"policy": "lookahead", "budget": 1.5, "epochs": 6},
    {"policy": "lookahead", "budget": 7.0, "epochs": 3},
    {"policy": "greedy", "budget": 5.0, "epochs": 3},
    {"policy": "once", "budget": 3.0, "epochs": 2},
]


class Left(Exception):
    """The loop is left."""


def run(
    training: FakeTraining, *, leave_at: int | None = None, **options: Any
) -> tuple[Tuner, list[Any], list[float]]:
    """The tuner, its rollouts without their times, and what the training has lived through."""
    with Tuner(training=training, space=["lr=1e-5:10:log"], **options) as tuner:
        for one in tuner:
            if one.number == leave_at:
                raise Left
            one.drive()
    rollouts = [replace(outcome, seconds=0.0) for outcome in tuner.result.rollouts]
    return tuner, rollouts, training.progress


@given(
    options=st.sampled_from(POLICIES),
    at_once=st.integers(2, 6),
    seed=st.integers(0, 3),
    best=st.floats(-3, 0),
    cliff=st.floats(0.3, 1.5),
    order=st.randoms(use_true_random=False),
    forgets=st.frozensets(st.integers(0, 40)),
)
@tries(20, full=60)
def test_only_the_seed_and_how_many_are_chosen_together_count(
    options: dict[str, Any],
    at_once: int,
    seed: int,
    best: float,
    cliff: float,
    order: random.Random,
    forgets: frozenset[int],
) -> None:
    """Whatever the order in which rollouts end, and whatever is lost on the way."""

    def make() -> FakeTraining:
        return FakeTraining(best_lr=10**best, cliff=10 ** (best + cliff), examples=1000, steps=100)

    def any_order(tasks: Sequence[Task]) -> list[Task]:
        return order.sample(tasks, len(tasks))

    options = {**options, "seed": seed, "at_once": at_once}
    alone, rollouts, lived = run(make(), **options)
    executor = FakeExecutor(make, any_order, forgets)
    together, same_rollouts, same_life = run(make(), executor=executor, **options)
    assert same_rollouts == rollouts
    assert same_life == lived
    assert together.result.schedule == alone.result.schedule
    assert together.result.verdicts == alone.result.verdicts
    assert executor.closed
    assert bool(executor.trained) == (options["policy"] != "once")
    # once for all that begin from one fork, however many are chosen together
    assert (
        len(executor.begun) == len(set(executor.begun))
        or options["policy"] != "lookahead"
        or options["budget"] > 2
    )


@given(options=st.sampled_from(POLICIES[:3]), at_once=st.integers(2, 5), share=st.floats(0.05, 0.95))
@tries(10, full=25)
def test_a_run_with_an_executor_is_gone_on_with(options: dict[str, Any], at_once: int, share: float) -> None:
    """Left in the midst of a decision too: what was told is not trained again."""

    def make() -> FakeTraining:
        return FakeTraining(examples=1000, steps=100)

    def executor() -> FakeExecutor:
        return FakeExecutor(make, lambda tasks: tasks[::-1])

    _, rollouts, lived = run(make(), executor=executor(), at_once=at_once, **options)
    leave_at = int(share * len(rollouts))
    count = 0

    def listen(event: Any) -> None:
        nonlocal count
        if event["event"] == "rollout" and not event.get("past"):
            count += 1
            if count == leave_at:
                raise Left

    with TemporaryDirectory() as home:
        options = {**options, "at_once": at_once, "run_dir": str(Path(home) / "run")}
        if leave_at:
            with pytest.raises(Left):
                run(make(), executor=executor(), listeners=[listen], **options)
        second = executor()
        _, again, alive = run(make(), executor=second, **options)
        assert again == rollouts
        assert alive == lived
        assert all(number >= leave_at for number in second.trained)
        with pytest.raises(JournalError, match="at_once=1"):
            run(make(), **{**options, "at_once": 1})


def test_an_executor_is_told_of_equal_shares_of_what_is_left() -> None:
    told: list[Task] = []

    def listen(tasks: Sequence[Task]) -> Sequence[Task]:
        told.extend(tasks)
        return tasks

    def policy(job: Any) -> Any:
        yield Fork("start")
        yield Rollout({"lr": 0.1}, 0, None)  # an epoch and a validation pass: 100 + 30 / 3 units of 3 x 110
        yield Fork("here")
        rollouts = tuple(Rollout({"lr": 0.1 * k}, 0, "here") for k in (1, 2))
        yield Ahead(rollouts)
        yield rollouts[0]
        yield rollouts[1]

    run(
        FakeTraining(),
        policy=policy,
        epochs=1,
        budget=3.0,
        at_once=2,
        executor=FakeExecutor(FakeTraining, listen),
    )
    assert [task.allowance for task in told] == [pytest.approx((330 - 110) / 2 - 10)] * 2
    assert [task.number for task in told] == [1, 2]


@dataclass
class Faulty(FakeTraining):
    """The user's code, which fails below a rate."""

    below: float = math.inf

    def advance(self, epoch: int, values: Values, meter: Meter) -> None:
        super().advance(epoch, values, meter)
        if float(values["lr"]) < self.below:
            raise ZeroDivisionError("in the user's loss")


def test_what_the_users_code_raises_comes_out_and_the_weights_go_back() -> None:
    training, executor = FakeTraining(), FakeExecutor(Faulty)
    with pytest.raises(ZeroDivisionError, match="user's loss"):
        run(training, policy="greedy", epochs=2, budget=6.0, sampler="grid", at_once=6, executor=executor)
    assert training.progress == []
    assert executor.closed


def test_what_is_raised_under_a_candidate_alone_is_its_outcome() -> None:
    """As in this process: at the middle of the space, 0.01, which stands for the own rate here, it is not raised."""
    options: dict[str, Any] = {
        "policy": "greedy",
        "epochs": 2,
        "budget": 6.0,
        "sampler": "grid",
        "at_once": 6,
    }
    alone, executor = Faulty(below=1e-3), FakeExecutor(lambda: Faulty(below=1e-3))
    _, rollouts, _ = run(alone, **options)
    assert run(FakeTraining(), executor=executor, **options)[1] == rollouts
    failed = [outcome for outcome in rollouts if outcome.raised]
    assert {o.note for o in failed} == {"ZeroDivisionError: in the user's loss"}
    assert len(failed) == 4
    assert all(float(o.values["lr"]) < 1e-3 for o in failed)
    assert {(o.trained, o.examined) for o in failed} == {(alone.examples, alone.examples)}


class AskedToEnd(FakeTraining):
    """Its process is asked to end in the midst of a rollout."""

    def advance(self, epoch: int, values: Values, meter: Meter) -> None:
        signal.raise_signal(signal.SIGTERM)


def test_a_process_that_is_asked_to_end_sends_its_executor_home_first() -> None:
    executor = FakeExecutor(AskedToEnd)
    with pytest.raises(Terminated):
        run(FakeTraining(), executor=executor, at_once=4, policy="greedy", budget=5.0, epochs=3)
    assert executor.closed
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_policy_that_asks_for_something_else_than_it_said_is_told_so() -> None:
    def policy(job: Any) -> Any:
        yield Fork("here")
        yield Ahead((Rollout({"lr": 0.1}, 0, "here"), Rollout({"lr": 0.2}, 0, "here")))
        yield Rollout({"lr": 0.3}, 0, "here")

    with pytest.raises(AssertionError, match="another rollout"):
        run(FakeTraining(), policy=policy, epochs=1, budget=3.0, executor=FakeExecutor(FakeTraining))


def test_an_executor_needs_a_training_that_can_be_driven() -> None:
    with pytest.raises(InvalidArgument, match="executor= trains by itself"):
        Tuner(model=object(), optimizer=object(), epochs=1, executor=FakeExecutor(FakeTraining))  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="at_once=0"):
        Tuner(training=FakeTraining(), space=["lr=0.1:1:log"], epochs=1, at_once=0)


def test_several_ranks_and_an_executor_do_not_go_together() -> None:
    class Two(Single):
        world = 2

    for option in ("executor=", "parallel='ray'"):
        with pytest.raises(InvalidArgument, match="and 2 processes train each of them together: leave"):
            refuse_beside(Two(), option)
        refuse_beside(SINGLE, option)
