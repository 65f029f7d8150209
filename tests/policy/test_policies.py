"""The policies over the tuner, against a training whose best learning rate is known."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammatune.errors import AllDiverged, InvalidArgument
from gammatune.records import Commit, Fork, Outcome, Rollout, Verdict
from gammatune.samplers import SAMPLERS
from gammatune.testing.fakes import FakeTraining
from gammatune.tuning.tuner import Tuner

SPACE = ["lr=1e-4:1:log"]


def run(training: FakeTraining, **options: Any) -> Tuner:
    given: dict[str, Any] = {"epochs": 3, "budget": 6, "space": SPACE, "policy": "greedy"}
    tuner = Tuner(training=training, **(given | options))
    with tuner:
        for one in tuner:
            one.advance()
            one.report(**one.evaluate())
    return tuner


def outcome(number: int, epoch: int, score: float | None, **values: Any) -> Outcome:
    return Outcome(
        number=number,
        epoch=epoch,
        values={"lr": 0.1} | values,
        status="ok" if score is not None else "diverged",
        metrics={"accuracy": 0.5, "loss": 1.0},
        score=score,
        steps=5,
        trained=10,
        evaluated=3,
        seconds=0.1,
    )


@pytest.mark.parametrize("sampler", [s for s in SAMPLERS if s != "tpe"])
def test_greedy_takes_the_best_copy_of_every_epoch(sampler: str) -> None:
    training = FakeTraining()
    result = run(training, sampler=sampler).result
    assert len(result.rollouts) == 18
    assert training.progress == [values["lr"] for values in result.schedule]
    for epoch in range(3):
        tried = [o for o in result.rollouts if o.epoch == epoch]
        assert result.course[epoch] == max(tried, key=lambda o: o.score or -math.inf)
    assert training.closed


def test_greedy_with_gamma_finds_the_best_rate() -> None:
    training = FakeTraining(best_lr=0.02)
    result = run(training, budget=12).result
    assert all(abs(math.log10(values["lr"] / 0.02)) < 0.15 for values in result.schedule)


def test_once_keeps_one_rate_for_the_whole_run() -> None:
    training = FakeTraining()
    result = run(training, policy="once", budget=5, sampler="random").result
    assert len(result.rollouts) == 15
    assert len({values["lr"] for values in result.schedule}) == 1
    assert training.progress == [values["lr"] for values in result.schedule]
    ends = [o for o in result.rollouts if o.epoch == 2]
    assert result.course[-1] == max(ends, key=lambda o: o.score or -math.inf)


def test_once_cuts_a_diverged_run_short() -> None:
    result = run(
        FakeTraining(cliff=0.1), policy="once", sampler="grid", budget=4, space=["lr=0.01,0.02,0.5,0.9"]
    )
    assert len(result.result.rollouts) == 2 * 3 + 2
    assert result.result.schedule[0]["lr"] == 0.02


@pytest.mark.parametrize("policy", ["greedy", "once"])
def test_the_budget_is_a_ceiling(policy: str) -> None:
    for budget in (2, 3.9, 12):
        cost = run(FakeTraining(), policy=policy, budget=budget, sampler="random").cost
        assert cost.plain_runs == pytest.approx(int(budget))
        assert cost.units == pytest.approx(int(budget) * 3 * (100 + 30 / 3))


@pytest.mark.parametrize("policy", ["greedy", "once"])
def test_a_budget_below_two_is_refused_with_advice(policy: str) -> None:
    with pytest.raises(InvalidArgument, match="give 2 or more"):
        run(FakeTraining(), policy=policy, budget=1.99)


@pytest.mark.parametrize("policy", ["greedy", "once"])
def test_an_exhausted_space_ends_the_search_cleanly(policy: str) -> None:
    result = run(FakeTraining(), policy=policy, budget=10, space=["lr=0.01,0.1"]).result
    assert len(result.rollouts) == 6
    assert {values["lr"] for values in result.schedule} == {0.1}


@pytest.mark.parametrize("policy", ["greedy", "once"])
def test_all_diverged(policy: str) -> None:
    training = FakeTraining(cliff=1e-9)
    with pytest.raises(AllDiverged, match=r"all 6 candidates .*lr=0.0001:1.0:log.*Lower the range"):
        run(training, policy=policy, sampler="random")
    assert training.progress == []
    assert training.loss == 1.0


def test_a_fork_that_does_not_come_back_is_seen() -> None:
    """The tests above would fail on an engine whose restore does nothing."""
    training = FakeTraining(broken=True)
    result = run(training).result
    assert training.progress != [values["lr"] for values in result.schedule]


def test_the_best_commit_is_handed_back() -> None:
    """Scores by epoch: 1, 3, 2. The weights of the second epoch come back, and the verdict says so."""

    class Worsening(FakeTraining):
        def evaluate(self, meter: Any) -> Any:
            epoch = len(self.progress) - 1
            return {"accuracy": [0.1, 0.3, 0.2][epoch], "loss": 1.0}

    training = Worsening()
    tuner = run(training, objective="accuracy")
    assert len(training.progress) == 2
    assert [o.epoch for o in tuner.result.course] == [0, 1]
    assert "epoch 2" in tuner.result.verdicts[-1].reason
    last = Worsening()
    assert len(run(last, objective="accuracy", keep="last").result.course) == 3
    assert len(last.progress) == 3


def test_equal_scores_fall_back_to_accuracy_then_loss() -> None:
    tuner = Tuner(training=FakeTraining(), epochs=1, space=SPACE)
    a = outcome(0, 0, 1.0)
    better = Outcome(**{f: getattr(a, f) for f in a.__slots__} | {"metrics": {"accuracy": 0.6, "loss": 1.0}})
    best = Outcome(**{f: getattr(a, f) for f in a.__slots__} | {"metrics": {"accuracy": 0.6, "loss": 0.9}})
    rank = tuner._driver.scores.rank
    assert rank(a) < rank(better) < rank(best)


@given(
    epochs=st.integers(1, 4),
    budget=st.floats(2, 8),
    best=st.floats(1e-3, 1.0),
    cliff=st.floats(5e-2, 10.0),
    seed=st.integers(0, 1000),
    policy=st.sampled_from(["greedy", "once"]),
    sampler=st.sampled_from(["random", "grid"]),
    keep=st.sampled_from(["best", "last"]),
)
def test_invariants(
    epochs: int, budget: float, best: float, cliff: float, seed: int, policy: str, sampler: str, keep: str
) -> None:
    """Whatever happens: state is the course's, cost under the ceiling, a handed-back score nobody beats."""
    training = FakeTraining(best_lr=best, cliff=cliff)
    options: dict[str, Any] = {"epochs": epochs, "budget": budget, "seed": seed, "policy": policy}
    try:
        tuner = run(training, sampler=sampler, keep=keep, **options)
    except AllDiverged:
        assert training.progress == []
        return
    result = tuner.result
    assert training.progress == [values["lr"] for values in result.schedule]
    assert result.cost.units <= int(budget) * epochs * 110 * (1 + 1e-9)
    assert all(o.ok for o in result.course)
    assert [o.epoch for o in result.course] == list(range(len(result.course)))
    if keep == "best" and policy == "greedy":
        assert result.course[-1].score == max(o.score for o in result.course if o.score is not None)


def test_the_same_seed_is_the_same_run() -> None:
    def story(seed: int) -> list[Any]:
        return [(o.values, o.score) for o in run(FakeTraining(), seed=seed).result.rollouts]

    assert story(3) == story(3)
    assert story(3) != story(4)


def test_a_policy_that_gives_a_name_away_does_not_lose_the_course() -> None:
    def careless(job: Any) -> Any:
        yield Fork("home")
        yield Rollout({"lr": 0.1}, 0, fork="home")
        yield Fork("home")  # a rollout nobody committed, over the only fork of the course
        yield Rollout({"lr": 0.2}, 0, fork="home")
        raise RuntimeError("what came next")

    training = FakeTraining()
    with pytest.raises(RuntimeError, match="what came next"):
        run(training, policy=careless)
    assert training.progress == []


def test_a_state_is_held_once_and_copied_when_it_is_left() -> None:
    def twice(job: Any) -> Any:
        yield Fork("start")
        yield Fork("beside")
        outcome = yield Rollout({"lr": 0.1}, 0, fork="start", course=True)
        yield Commit((outcome,), 1, None, Verdict("as it stands"))
        yield Fork("peak")
        yield Fork("last")
        outcome = yield Rollout({"lr": 0.2}, 1, None, course=True)
        yield Fork("last")
        yield Rollout({"lr": 0.3}, 1, fork="peak")
        yield Rollout({"lr": 0.3}, 1, fork="last")
        yield Rollout({"lr": 0.3}, 1, fork="beside")
        yield Commit((outcome,), 2, "last", Verdict("as it stood"))

    training = FakeTraining()
    run(training, policy=twice)
    assert [call for call in training.calls if call.startswith("capture")] == [
        "capture start",
        "capture peak",
        "capture last",
    ]
    assert training.progress == [0.1, 0.2]


def test_stretches_of_the_course_are_marked() -> None:
    marks = []

    def policy(job: Any) -> Any:
        yield Fork("home")
        yield Rollout({"lr": 0.1}, 0, fork="home")
        outcome = yield Rollout({"lr": 0.2}, 0, fork="home", course=True)
        yield Commit((outcome,), 1, None, Verdict("as it stands"))

    training = FakeTraining()
    tuner = Tuner(training=training, epochs=1, space=SPACE, policy=policy)
    with tuner:
        for one in tuner:
            marks.append(one.is_course)
            one.advance()
            one.report(**one.evaluate())
    assert marks == [False, True]
    assert training.progress == [0.2]
    assert len(tuner.result.course) == 1


def test_every_decision_searches_afresh() -> None:
    result = run(FakeTraining(), sampler="random", epochs=3, budget=4).result
    by_epoch = [[o.values["lr"] for o in result.rollouts if o.epoch == epoch] for epoch in range(3)]
    assert len({tuple(rates) for rates in by_epoch}) == 3
