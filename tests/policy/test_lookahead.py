"""The lookahead policy against a training whose best rate is known."""

import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammatune.errors import AllDiverged, InvalidArgument
from gammatune.records import Values
from gammatune.testing.fakes import FakeTraining
from gammatune.tuning.tuner import Tuner

SPACE = ["lr=1e-8:1e4:log"]


class Own(FakeTraining):
    """A training that came with a rate of its own."""

    def __init__(self, own: float, **options: Any) -> None:
        super().__init__(**({"steps": 40, "examples": 400, "validation": 60} | options))
        self._own = own

    def own(self, names: Any) -> Values:
        return {"lr": self._own}


def run(training: FakeTraining, **options: Any) -> Tuner:
    given: dict[str, Any] = {"epochs": 10, "budget": 1.5, "space": SPACE, "objective": "log-loss"}
    tuner = Tuner(training=training, **(given | options))
    with tuner:
        for one in tuner:
            one.advance()
            one.report(**one.evaluate())
    return tuner


@pytest.mark.parametrize("own", [1e-5, 1e-3, 0.02, 1.0, 30.0])
def test_the_rate_is_found_wherever_the_search_begins(own: float) -> None:
    """Within 0.7 decades: the choice is lowered for the horizon, which this training does not ask for."""
    result = run(Own(own, best_lr=0.1)).result
    assert -1.7 < math.log10(float(result.schedule[0]["lr"])) < -0.4


@settings(max_examples=40, deadline=None)
@given(
    budget=st.floats(1.0, 14.0),
    epochs=st.integers(1, 12),
    steps=st.integers(8, 60),
    best=st.floats(1e-4, 3.0),
    seed=st.integers(0, 3),
)
def test_the_budget_is_a_ceiling_and_the_course_is_whole(
    budget: float, epochs: int, steps: int, best: float, seed: int
) -> None:
    training = Own(
        1e-3, best_lr=best, cliff=300 * best, steps=steps, examples=10 * steps, validation=4 * steps
    )
    tuner = run(training, budget=budget, epochs=epochs, seed=seed)
    cost = tuner.cost
    plain = epochs * (10 * steps + 4 * steps / 3)
    least = (10 + 4 * steps / 3) / plain  # what finding out the size of an epoch costs
    assert cost.units <= max(budget, 1 + least) * plain * (1 + 1e-9)
    assert len(tuner.result.course) >= epochs - 1
    assert all(outcome.ok for outcome in tuner.result.course)


def test_a_rate_that_does_nothing_is_not_searched_below() -> None:
    """From a rate that does nothing the next stride may go too far; the best lies between."""
    result = run(Own(1e-6, best_lr=3e-4, cliff=3e-3)).result
    assert all(float(o.values["lr"]) >= 1e-7 for o in result.rollouts)
    assert 3e-5 < float(result.schedule[0]["lr"]) < 3e-3


def test_the_first_verdict_says_why() -> None:
    verdict = run(Own(1e-3)).result.verdicts[0]
    assert "leads furthest" in verdict.reason
    assert {"candidates", "horizon"} <= set(verdict.numbers)


def test_open_epochs_stay_within_the_total() -> None:
    tuner = run(Own(1e-3), epochs=None, budget=None, total_epochs=60)
    assert tuner.cost.plain_epochs is not None
    assert tuner.cost.plain_epochs <= 60
    assert 5 <= len(tuner.result.course) <= 60


@pytest.mark.parametrize("left_after", [40, 60, 90, 130])
def test_leaving_early_keeps_the_best_walk_that_is_whole(left_after: int) -> None:
    """With a break in a later walk the training stands where the course does, not in the midst of that walk."""
    training = Own(1e-3, best_lr=0.1)
    tuner = Tuner(training=training, epochs=6, budget=12, space=SPACE, objective="log-loss")
    with tuner:
        for one in tuner:
            if one.number == left_after:
                assert one.role.startswith("walk ")
                break
            one.advance()
            one.report(**one.evaluate())
    result = tuner.result
    assert len(result.course) == 6
    assert result.course[-1].role != one.role
    assert training.loss == result.metrics["loss"]


def test_later_walks_are_no_course_before_they_are_whole() -> None:
    """Loggers that listen to the course never see its epochs run backwards."""
    course = [o for o in run(Own(1e-3), epochs=5, budget=12).result.rollouts if o.role == "course"]
    tuner = Tuner(training=Own(1e-3), epochs=5, budget=12, space=SPACE, objective="log-loss")
    seen = []
    with tuner:
        for one in tuner:
            if one.is_course:
                seen.append((one.number, one.epoch))
            one.advance()
            one.report(**one.evaluate())
    assert seen == [(o.number, o.epoch) for o in course]
    assert [epoch for _, epoch in seen] == [0, 1, 2, 3, 4]


class Tight(Own):
    """A training whose memory holds so many examples at once. Two examples a batch less cost nothing."""

    def __init__(self, holds: int, **options: Any) -> None:
        super().__init__(1e-3, **options)
        self.holds = holds
        self.sizes: list[int] = []

    def advance(self, epoch: int, values: Values, meter: Any) -> None:
        size = int(values["batch_size"])
        self.sizes.append(size)
        if size > self.holds:
            meter.infeasible, meter.note = True, f"out of memory: a batch of {size}"
            self.loss = math.nan
            return
        self.steps = self.examples // size
        super().advance(epoch, values, meter)


@pytest.mark.parametrize("holds", [8, 20, 40, 1000])
@pytest.mark.parametrize("budget", [1.5, 4])
def test_a_batch_size_that_does_not_fit_is_an_upper_bound(holds: int, budget: float) -> None:
    training = Tight(holds, examples=640)
    tuner = run(training, space=[*SPACE, "batch_size=4,8,16,32,64"], budget=budget)
    failed = [size for size in training.sizes if size > holds]
    assert all(later < earlier for earlier, later in itertools.pairwise(failed))
    assert len(tuner.result.course) == 10
    assert all(int(values["batch_size"]) <= holds for values in tuner.result.schedule)
    assert tuner.cost.plain_runs is not None
    assert tuner.cost.plain_runs <= budget * (1 + 1e-9)


def test_batch_sizes_are_compared_at_equal_samples() -> None:
    tuner = run(Tight(1000, examples=640), space=[*SPACE, "batch_size=4,8,16,32,64"], budget=3)
    miniatures = [o for o in tuner.result.rollouts if o.role == "miniature" and o.ok]
    assert len({o.values["batch_size"] for o in miniatures}) > 1
    seen = [o.trained for o in miniatures]
    assert max(seen) - min(seen) <= 64


@pytest.mark.parametrize(
    ("space", "words"), [(["batch_size=32,64"], "below a batch size of 32"), ([], "Lower the batch size")]
)
def test_what_does_not_fit_at_all_is_said(space: list[str], words: str) -> None:
    class Full(Tight):
        def advance(self, epoch: int, values: Values, meter: Any) -> None:
            super().advance(epoch, {"batch_size": 32, **values}, meter)

    with pytest.raises(AllDiverged, match=words):
        run(Full(2), space=[*SPACE, *space])


# -- a rate that nobody has looked at --------------------------------------------------------------------------


class Steep(Own):
    """At rates of `steep` and above its loss grows fivefold an epoch, and never stops being finite."""

    def __init__(self, own: float, steep: float, **options: Any) -> None:
        super().__init__(own, **({"steps": 8, "examples": 80, "validation": 10} | options))
        self.steep = steep

    def advance(self, epoch: int, values: Values, meter: Any) -> None:
        before = self.loss
        super().advance(epoch, values, meter)
        if float(values["lr"]) * max(level for _, level in meter.shape.knots) >= max(self.steep, 1e-9):
            self.loss = before * 5 ** (meter.batches / self.steps)


def _taken_back(tuner: Tuner) -> int:
    return sum(verdict.kind == "guard" for verdict in tuner.result.verdicts)


@pytest.mark.parametrize("objective", ["log-loss", "loss", "kappa"])
def test_a_very_short_course_that_falls_below_doing_nothing_begins_again_at_a_lower_rate(
    objective: str,
) -> None:
    tuner = run(Steep(1.0, steep=0.3), objective=objective)
    assert not any(outcome.role == "miniature" for outcome in tuner.result.rollouts)
    assert [outcome.values["lr"] for outcome in tuner.result.course] == [0.25] * 10
    assert sum(outcome.metrics["loss"] > 1 for outcome in tuner.result.rollouts) == 2  # at 1 and 0.5
    assert "on at half the rate" in tuner.result.verdicts[0].reason
    assert tuner.result.course[-1].metrics["loss"] < 0.1
    assert tuner.cost.units <= 1.5 * 10 * (80 + 10 / 3)


def test_a_course_that_gets_worse_at_every_rate_is_whole_all_the_same() -> None:
    tuner = run(Steep(1.0, steep=0.0))
    assert {outcome.values["lr"] for outcome in tuner.result.rollouts} == {1.0, 0.5, 0.25}
    assert len({outcome.epoch for outcome in tuner.result.rollouts if outcome.role == "course"}) == 10
    assert tuner.cost.units <= 1.5 * 10 * (80 + 10 / 3)


class Late(Steep):
    """Only the score of a whole epoch tells that it has diverged."""

    def evaluate(self, meter: Any) -> Any:
        return super().evaluate(meter) | ({"loss": math.nan} if self.loss > 1 else {})


def test_one_epoch_that_diverges_and_cannot_be_paid_again_is_followed_by_a_shorter_course() -> None:
    tuner = run(Late(1.0, steep=0.6), epochs=1)
    diverged = tuner.result.rollouts[-2]
    (only,) = tuner.result.course
    assert (diverged.ok, diverged.values["lr"]) == (False, 1.0)
    assert (only.ok, only.values["lr"]) == (True, 0.5)
    assert 1 <= only.batches < 8
    assert only.shape(1.0) == 0
    assert f"for the {only.batches} batches that are left" in tuner.result.verdicts[0].reason
    assert tuner.cost.units <= 1.5 * (80 + 10 / 3)


class Sudden(Steep):
    """It diverges at the seventh batch of a run at such a rate."""

    def advance(self, epoch: int, values: Values, meter: Any) -> None:
        super().advance(epoch, values, meter)
        if meter.batches == self.steps and float(values["lr"]) >= self.steep:
            meter.batches, meter.steps, meter.trained = 7, 7, 70
            meter.diverged = True


def test_one_epoch_that_diverges_late_is_followed_by_a_course_that_ends_before() -> None:
    tuner = run(Sudden(1.0, steep=0.6), epochs=1)
    (only,) = tuner.result.course
    assert (only.ok, only.values["lr"]) == (True, 0.5)
    assert 1 <= only.batches < 7
    assert f"for the {only.batches} batches that are left" in tuner.result.verdicts[0].reason
    assert tuner.cost.units <= 1.5 * (80 + 10 / 3)


def test_where_rates_were_looked_at_no_fall_before_any_progress_is_taken_back() -> None:
    tuner = run(Steep(1.0, steep=0.0, steps=40))
    assert any(outcome.role == "miniature" for outcome in tuner.result.rollouts)
    assert _taken_back(tuner) == 0


# -- patience --------------------------------------------------------------------------------------------------


class Saturating(Own):
    """Its loss is never seen below a floor."""

    floor = 0.1

    def evaluate(self, meter: Any) -> Any:
        found = super().evaluate(meter)
        return {"loss": max(self.floor, found["loss"])}


@pytest.mark.parametrize("patience", [1, 3])
@pytest.mark.parametrize("policy", ["lookahead", "greedy"])
def test_patience_ends_a_course_that_brings_nothing_better(policy: str, patience: int) -> None:
    options: dict[str, Any] = {"epochs": 20, "policy": policy, "budget": 1.5 if policy == "lookahead" else 3}
    whole = run(Saturating(0.1), **options).result
    early = run(Saturating(0.1), patience=patience, **options)
    losses = [outcome.metrics["loss"] for outcome in whole.course]
    first = losses.index(0.1)
    length = first + 1 + patience + (policy == "lookahead")  # the decay
    assert len(early.result.rollouts) < len(whole.rollouts)
    if policy == "lookahead":
        stretches = early.result.schedule.stretches
        assert len(stretches) == length
        assert stretches[-1].shape(1.0) == 0
        assert stretches[-1].shape(0.0) == pytest.approx(stretches[-2].shape(1.0))
        verdict = early.result.verdicts[length - 1].reason
        assert verdict.startswith(f"no better score for {patience} epoch")
        assert f"since epoch {first + 1}:" in verdict
    else:  # the best commit is handed back
        assert max(outcome.epoch for outcome in early.result.rollouts) == length - 1


@pytest.mark.parametrize("policy", ["lookahead", "greedy"])
def test_patience_that_is_not_needed_changes_nothing(policy: str) -> None:
    options: dict[str, Any] = {"policy": policy, "budget": 1.5 if policy == "lookahead" else 3}
    plain, patient = (run(Own(0.05), patience=p, **options).result for p in (None, 2))
    assert list(plain.schedule) == list(patient.schedule)
    assert [o.score for o in plain.rollouts] == [o.score for o in patient.rollouts]


def test_patience_that_runs_out_with_the_course_changes_nothing() -> None:
    """There is nothing to be cut short."""
    options: dict[str, Any] = {"epochs": 10, "schedule": "constant"}
    whole = run(Saturating(0.1), **options).result
    first = [outcome.metrics["loss"] for outcome in whole.course].index(0.1)
    same, shorter = (run(Saturating(0.1), patience=8 - first - less, **options).result for less in (0, 1))
    assert same.schedule == whole.schedule
    assert shorter.schedule != whole.schedule


@pytest.mark.parametrize("options", [{"patience": 0}, {"patience": 1.5}, {"patience": 2, "policy": "once"}])
def test_patience_that_cannot_be(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="patience="):
        run(Own(0.1), **options)
