"""The contract of a policy as a battery of tests: inherit `PolicyContract`, say how to make yours, run pytest.

    class TestMine(PolicyContract):
        def make(self):
            return my_policy  # or its name, where it is installed

No network is trained: `FakeTraining` stands in for one, whose best learning rate is known.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gammatune.errors import AllDiverged
from gammatune.policy.registry import AnyPolicy
from gammatune.records import Outcome
from gammatune.testing.fakes import FakeExecutor, FakeTraining
from gammatune.tuning.tuner import Tuner

SPACE = ["lr=1e-4:1:log"]


class Left(Exception):
    """The loop is left, as an error or a kill leaves it."""


class PolicyContract:
    """Run to the end, stopped, interrupted and gone on with, over rates that train and rates that blow up."""

    epochs = 4
    budget = 4.0  # plain runs; as many as your policy needs for a search that means something

    def make(self) -> AnyPolicy:
        """The policy under test."""
        raise NotImplementedError

    def training(self, **options: Any) -> FakeTraining:
        return FakeTraining(**({"examples": 1000, "steps": 100} | options))

    def run(
        self,
        training: FakeTraining | None = None,
        *,
        leave_at: int | None = None,
        stop_at: int | None = None,
        **options: Any,
    ) -> tuple[Tuner, FakeTraining]:
        """leave_at: the number of the rollout in whose midst the loop is left, stop_at: after which to end."""
        training = self.training() if training is None else training
        plain: dict[str, Any] = {"epochs": self.epochs, "budget": self.budget, "space": SPACE}
        with Tuner(training=training, policy=self.make(), **(plain | options)) as tuner:
            for run in tuner:
                run.advance()
                if run.number == leave_at:
                    raise Left
                run.report(**run.evaluate())
                if run.number == stop_at:
                    tuner.stop()
        return tuner, training

    @pytest.mark.parametrize("epochs", [1, 2, 5])
    def test_the_training_ends_where_the_course_does(self, epochs: int) -> None:
        tuner, training = self.run(epochs=epochs)
        course = tuner.result.course
        assert 1 <= len(course) <= epochs
        assert all(outcome.ok and outcome.score is not None for outcome in course)
        assert [outcome.number for outcome in course] == sorted({outcome.number for outcome in course})
        assert training.loss == course[-1].metrics["loss"], "the weights are not those of the last commit"
        assert tuner.result.verdicts
        assert all(verdict.reason for verdict in tuner.result.verdicts)

    def test_the_budget_is_a_ceiling(self) -> None:
        cost = self.run()[0].cost
        assert cost.plain_runs is not None
        assert cost.plain_runs <= self.budget * (1 + 1e-9)

    def test_it_decides_the_same_twice(self) -> None:
        assert _timeless(self.run()[0]) == _timeless(self.run()[0])

    def test_it_goes_on_where_it_was_interrupted(self, tmp_path: Path) -> None:
        whole, training = self.run()
        count = len(whole.result.rollouts)
        for place in sorted({1, count // 2, count - 1} & set(range(count))):
            directory = str(tmp_path / str(place))
            with pytest.raises(Left):
                self.run(leave_at=place, run_dir=directory)
            again, later = self.run(run_dir=directory)
            assert _timeless(again) == _timeless(whole)
            assert later.loss == training.loss

    @pytest.mark.parametrize("at_once", [2, 5])
    def test_an_executor_changes_nothing(self, at_once: int) -> None:
        alone, training = self.run(at_once=at_once)
        executor = FakeExecutor(self.training, lambda tasks: tasks[::-1])
        together, other = self.run(at_once=at_once, executor=executor)
        assert _timeless(together) == _timeless(alone)
        assert other.loss == training.loss
        assert together.cost.plain_runs == pytest.approx(alone.cost.plain_runs)
        assert together.cost.repeated == 0

    def test_candidates_that_blow_up_are_survived(self) -> None:
        tuner, training = self.run(self.training(best_lr=0.05, cliff=0.2))
        assert tuner.result.course
        assert training.loss == tuner.result.course[-1].metrics["loss"] < 1

    def test_where_all_blow_up_it_says_so_and_changes_nothing(self) -> None:
        training = self.training(cliff=1e-9)
        with pytest.raises(AllDiverged):
            self.run(training)
        assert training.progress == []

    def test_nothing_to_choose_from(self) -> None:
        tuner, training = self.run(space=["lr=0.1"])
        assert {outcome.values["lr"] for outcome in tuner.result.course} == {0.1}
        assert training.loss == tuner.result.course[-1].metrics["loss"]

    def test_a_stopped_run_ends_soon(self) -> None:
        whole = len(self.run()[0].result.rollouts)
        tuner, training = self.run(stop_at=0)
        assert len(tuner.result.rollouts) < max(whole, 2)
        assert tuner.result.course, "a stopped run hands the best it has back"
        assert training.loss == tuner.result.course[-1].metrics["loss"]


def _timeless(tuner: Tuner) -> tuple[list[Outcome], list[int]]:
    result = tuner.result
    return [replace(outcome, seconds=0.0) for outcome in result.rollouts], [o.number for o in result.course]
