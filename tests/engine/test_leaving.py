"""Loop bodies that leave `run.batches` before its end: an epoch is as long as the body goes."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import gammatune
from gammatune.testing.control import control_rollouts

X = torch.randn(800, 4, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long()
EPOCHS, TAKEN = 20, 4  # of 25 batches


class Mine(Exception):
    pass


class Streamed(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return ((X[i], Y[i]) for i in torch.randperm(800).tolist())


class Training:
    """rates: of each step, by the run's number. stop_in: the run in whose midst the process ends."""

    def __init__(
        self, taken: Any = lambda run: TAKEN, *, stop_in: int | None = None, streamed: bool = False
    ) -> None:
        torch.manual_seed(0)
        self.taken, self.stop_in = taken, stop_in
        self.model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.1), nn.ReLU(), nn.Linear(8, 2))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.loader: DataLoader[Any] = (
            DataLoader(Streamed(), 32) if streamed else DataLoader(TensorDataset(X, Y), 32, shuffle=True)
        )
        self.rates: dict[int, list[float]] = {}

    def run(self, **options: Any) -> gammatune.Result:
        given: dict[str, Any] = {"epochs": EPOCHS, "budget": 1.5} | options
        with gammatune.Tuner(model=self.model, optimizer=self.optimizer, **given) as tuner:
            for run in tuner:
                rates = self.rates[run.number] = []
                for x, y in run.batches(self.loader):
                    rates.append(self.optimizer.param_groups[0]["lr"])
                    self.optimizer.zero_grad()
                    nn.functional.cross_entropy(self.model(x), y).backward()
                    self.optimizer.step()
                    if run.number == self.stop_in and len(rates) == 2:
                        raise Mine
                    if len(rates) == self.taken(run):
                        break
                run.report(**run.evaluate(self.validate))
        return tuner.result

    def validate(self) -> dict[str, Any]:
        output = self.model(X)
        return {
            "loss": nn.functional.cross_entropy(output, Y),
            "accuracy": (output.argmax(1) == Y).float().mean(),
        }

    def weights(self) -> list[torch.Tensor]:
        return [p.detach().clone() for p in self.model.parameters()]


SAID = r"left run\.batches after 4 of \d+ batches, twice: from now on an epoch counts as 4"


@pytest.mark.parametrize("streamed", [False, True])
def test_the_rate_goes_to_zero_over_the_batches_really_taken(streamed: bool) -> None:
    one = Training(streamed=streamed)
    with pytest.warns(UserWarning, match=SAID) as said:
        result = one.run()
    assert len(said) == 1
    rates = [rate for number in result.kept for rate in one.rates[number]]
    assert len(rates) == EPOCHS * TAKEN
    top = rates.index(max(rates))
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] < 0.01 * max(rates)
    steps = [before - after for before, after in zip(rates[top:], rates[top + 1 :], strict=False)]
    assert max(steps) < 1.5 * min(steps)  # no jump where epochs meet
    # rollouts are the course in small: all but the first two, by which it was learnt
    for outcome in result.rollouts[3:]:
        assert (
            one.rates[outcome.number][-1] < 0.5 * max(one.rates[outcome.number]) or outcome.role == "course"
        )


def test_a_batch_that_is_drawn_to_see_that_it_is_enough_is_not_taken() -> None:
    """`if index == 4: break` at the top of the body."""
    one = Training()

    def body(run: Any) -> None:
        rates = one.rates[run.number] = []
        for index, (x, y) in enumerate(run.batches(one.loader)):
            if index == TAKEN:
                break
            rates.append(one.optimizer.param_groups[0]["lr"])
            one.optimizer.zero_grad()
            nn.functional.cross_entropy(one.model(x), y).backward()
            one.optimizer.step()
        run.report(**run.evaluate(one.validate))

    with (
        gammatune.Tuner(model=one.model, optimizer=one.optimizer, epochs=EPOCHS) as tuner,
        pytest.warns(UserWarning, match=SAID),
    ):
        for run in tuner:
            body(run)
    result = tuner.result
    assert {(outcome.batches, outcome.trained) for outcome in result.course} == {(TAKEN, TAKEN * 32)}
    rates = [rate for number in result.kept for rate in one.rates[number]]
    assert rates[-1] < 0.01 * max(rates)


def test_the_cost_and_the_budget_go_by_them_too() -> None:
    with pytest.warns(UserWarning, match=SAID):
        result = Training().run()
    trained = sum(outcome.trained for outcome in result.rollouts)
    assert trained <= 1.5 * EPOCHS * (TAKEN * 32 + 800 / 3)
    assert result.cost.plain_runs is not None
    assert 1.2 < result.cost.plain_runs <= 1.5
    assert {outcome.epoch_examples for outcome in result.course} == {TAKEN * 32}


def test_a_run_that_is_gone_on_with_ends_alike(tmp_path: Path) -> None:
    whole = Training()
    with pytest.warns(UserWarning, match=SAID):
        expected = whole.run()
    for stop_in in (5, 13, None):
        one = Training(stop_in=stop_in)
        if stop_in == 5:
            with pytest.raises(Mine), pytest.warns(UserWarning, match=SAID):
                one.run(run_dir=str(tmp_path))
        elif stop_in is not None:
            with pytest.raises(Mine):
                one.run(run_dir=str(tmp_path))
        else:
            found = one.run(run_dir=str(tmp_path))
    assert [o.leaves for o in found.rollouts] == [o.leaves for o in expected.rollouts]
    assert [o.score for o in found.rollouts] == [o.score for o in expected.rollouts]
    assert all(map(torch.equal, one.weights(), whole.weights()))


def test_the_course_can_be_repeated_to_the_bit() -> None:
    first, again = Training(), Training()
    with pytest.warns(UserWarning, match=SAID):
        found = first.run()
    repeated = again.run(policy=gammatune.replay(found.schedule))
    known = [rate for number in found.kept for rate in first.rates[number]]
    assert [rate for number in repeated.kept for rate in again.rates[number]] == known
    assert len(found.schedule.to_csv(per_batch=True).splitlines()) == 1 + EPOCHS * TAKEN


@pytest.mark.parametrize("streamed", [False, True])
def test_control_rollouts_change_nothing(streamed: bool) -> None:
    """Left early or not, to the bit."""

    def weights(disturbances: list[dict[str, float]]) -> list[torch.Tensor]:
        one = Training(streamed=streamed)
        policy = control_rollouts({"lr": 0.1}, disturbances)
        one.run(policy=policy, epochs=3, budget=30, space=["lr=1e-3:1:log"])
        assert [len(rates) for rates in one.rates.values()] == [TAKEN] * len(one.rates)
        return one.weights()

    with warnings.catch_warnings(action="ignore"):
        assert all(map(torch.equal, weights([{"lr": 0.9}, {"lr": 0.01}]), weights([])))


def test_a_body_that_goes_on_again_is_believed_again() -> None:
    """Left early in the third and fourth epoch alone: the fifth is a whole one once more, the rate ends at zero."""
    one = Training(lambda run: TAKEN if run.is_course and run.epoch in (2, 3) else None)
    with pytest.warns(UserWarning, match="after 4 of 25"):
        result = one.run()
    assert [outcome.batches for outcome in result.course] == [25, 25, TAKEN, TAKEN, *[25] * (EPOCHS - 4)]
    assert [outcome.leaves for outcome in result.course[1:6]] == [(), (), (TAKEN,), (), ()]
    assert {(outcome.epoch_batches, outcome.epoch_examples) for outcome in result.course[4:]} == {(25, 800)}
    assert one.rates[result.kept[-1]][-1] < 0.01 * max(map(max, one.rates.values()))


@pytest.mark.parametrize("where", ["miniature", "course"])
def test_who_leaves_once_is_not_believed(where: str) -> None:
    """Such as a guard of the user's own, `if loss > 3: break`, at a rate that is far too high."""
    left: list[int] = []

    def taken(run: Any) -> int | None:
        if left or run.role != where or (where == "course" and run.epoch != 2):
            return 3 if left == [run.number] else None
        left.append(run.number)
        return 3

    one = Training(taken)
    result = one.run()  # nothing is said either
    assert left
    assert all(outcome.leaves == () for outcome in result.rollouts)
    assert {o.epoch_examples for o in result.rollouts if o.number not in left} == {800}
    assert one.rates[result.kept[-1]][-1] < 0.01 * max(map(max, one.rates.values()))


def test_a_run_that_blew_up_and_was_left_tells_nothing() -> None:
    """Who leaves because the loss is not finite does not leave every epoch."""
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(TensorDataset(X, Y), 32)
    with gammatune.Tuner(model=model, optimizer=optimizer, epochs=3, budget=2, policy="greedy") as tuner:
        for run in tuner:
            bad = run.number == 1
            for index, (x, y) in enumerate(run.batches(loader)):
                if bad and index == 3:
                    break
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            run.report(loss=float("nan") if bad else 0.5, accuracy=0.5)
    assert all(outcome.leaves == () for outcome in tuner.result.rollouts)


# What was kept --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["lookahead", "greedy", "once"])
def test_every_step_of_the_kept_course_is_in_the_log_once(policy: Any) -> None:
    """Whatever came between: epochs taken back, later walks, candidates that lost."""
    one = Training(lambda run: None)
    result = one.run(policy=policy, budget=4, epochs=4)
    steps = sum(len(one.rates[number]) for number in result.kept)
    assert len(result.kept) == len(set(result.kept))
    if not result.members:
        assert steps == 25 * len(result.course)
    table = {row["number"] for row in result.table() if row["kept"]}
    assert table <= set(result.kept) | {outcome.number for outcome in result.course}
    assert result.kept[-1] in table or result.members


def test_an_epoch_taken_back_is_no_part_of_it() -> None:
    """The fault that made 225 of 200 steps: an epoch of the course blows up, and is trained again."""
    one = Training(lambda run: None)
    course = []
    with gammatune.Tuner(model=one.model, optimizer=one.optimizer, epochs=8, budget=2.4) as tuner:
        for run in tuner:
            if run.is_course:
                course.append(run.number)
            for x, y in run.batches(one.loader):
                one.optimizer.zero_grad()
                nn.functional.cross_entropy(one.model(x), y).backward()
                one.optimizer.step()
            metrics = dict(run.evaluate(one.validate))
            if run.is_course and run.epoch == 5 and len(course) == 6:
                metrics = {"loss": float("nan"), "accuracy": 0.0}
            run.report(**metrics)
    assert len(course) == 9
    assert len(tuner.result.kept) == 8
    assert set(tuner.result.kept) < set(course)
    assert sum(tuner.result.rollouts[number].batches for number in tuner.result.kept) == 8 * 25
