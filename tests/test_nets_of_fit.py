"""`fit` at a budget for several nets: what each is, what is handed back, and that a course of any can be repeated."""

import copy
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import gammatune
from gammatune.course import Schedule, Stretch
from gammatune.engine.forks.streams import StreamStates
from gammatune.errors import AllDiverged, InvalidArgument
from gammatune.supervised.fit import FitResult
from gammatune.testing.fakes import FakeTraining
from gammatune.tuning.tuner import Tuner

G = torch.Generator().manual_seed(1)
X = torch.randn(230, 6, generator=G)
Y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).long()
TRAIN, SELECT, TEST = (X[:120], Y[:120]), (X[120:170], Y[120:170]), (X[170:], Y[170:])
# Nothing is searched: a survey and three trainings.
PLAIN: dict[str, Any] = {
    "epochs": 5, "budget": 4, "space": ["lr=0.02"], "batch_size": 10, "seed": 3, "device": "cpu", "progress": False,
}  # fmt: skip


def new() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))


def net(seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    return new()


def fit(train: Any = TRAIN, select: Any = SELECT, **options: Any) -> tuple[FitResult, nn.Module]:
    model = options.pop("model", None) or net()
    result = gammatune.fit(model, train, select, **PLAIN | {"new_model": new} | options)
    return result, model


def same(one: nn.Module, other: nn.Module) -> bool:
    there = other.state_dict()
    return all(torch.equal(value, there[name]) for name, value in one.state_dict().items())


def said(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model.eval()(x)


# What is handed back ----------------------------------------------------------------------------------------


def test_the_ensemble_is_reported_and_the_model_is_the_best_of_it() -> None:
    result, model = fit(test_set=TEST)
    assert result.nets == (0, 1, 2)
    assert result.ensemble is not None
    assert len(result.ensemble.members) == 3
    assert result.report is not None
    assert result.single is not None
    right = (said(result.ensemble, TEST[0]).argmax(1) == TEST[1]).float().mean()
    assert result.report.accuracy == pytest.approx(float(right))  # type: ignore[union-attr]
    assert result.measures["accuracy"].value == pytest.approx(float(right))
    alone = (said(model, TEST[0]).argmax(1) == TEST[1]).float().mean()
    assert result.single.accuracy == pytest.approx(float(alone))  # type: ignore[union-attr]
    ends = {o.net: o for o in result.rollouts if o.epoch == 4 and not o.nets}
    best = max(ends, key=lambda number: ends[number].score or 0.0)
    assert result.course[-1] == ends[best]
    assert same(model, result.ensemble.members[best])


@pytest.mark.parametrize("own_weights", [True, False])
def test_nets_are_others_by_their_weights_or_by_their_order_alone(own_weights: bool) -> None:
    result, _ = fit(new_model=new if own_weights else None)
    assert result.ensemble is not None
    members = list(result.ensemble.members)
    assert not any(same(one, other) for i, one in enumerate(members) for other in members[:i])
    first = [
        o.score for o in result.rollouts if o.epoch == 0 and (o.role == "course" or o.net) and not o.nets
    ]
    assert len(set(first)) == len(first) > 1


def test_one_is_trained_where_that_is_asked_for_or_all_there_is() -> None:
    for options in ({"ensemble": False}, {"budget": 1.5}, {"policy": "once", "space": ["lr=1e-3:1e-1:log"]}):
        result, _ = fit(**options)
        assert (result.ensemble, result.single, result.nets) == (None, None, ())
        assert not any(o.nets for o in result.rollouts)


def test_the_callers_random_streams_are_where_they_were() -> None:
    random.seed(5), np.random.seed(5), torch.manual_seed(5)  # noqa: NPY002
    model = net()
    before = StreamStates([])
    fit(model=model)
    assert StreamStates([]) == before


def test_the_first_net_is_to_the_bit_that_of_a_budget_for_one() -> None:
    """Where the looks are alike: the others, and that all are asked, change nothing of it."""
    x = torch.randn(600, 6, generator=G)
    train, select = (x[:500], (x[:500, 0] > x[:500, 1]).long()), (x[500:530], (x[500:530, 0] > 0).long())
    options: dict[str, Any] = {
        "epochs": 4,
        "space": None,
        "optimizer": "sgd",
        "select": select,
        "train": train,
    }
    pass_ = 10 / (4 * (500 + 10))  # of a plain run
    one, model = fit(budget=1.5, **options)
    more, _ = fit(budget=3.5 + 3 * pass_, **options)
    assert sum(o.role == "miniature" for o in one.rollouts) >= 3
    count = len(one.rollouts)
    assert [replace(o, seconds=0.0) for o in one.rollouts] == [
        replace(o, seconds=0.0) for o in more.rollouts[:count]
    ]
    assert {o.net for o in more.rollouts} == {0, 1, 2}
    assert more.ensemble is not None
    assert more.nets[0] == 0
    assert same(model, more.ensemble.members[0])


def test_numbers_in_their_own_unit() -> None:
    y = torch.stack([X[:, 0] * X[:, 1], X[:, 2]], dim=1)
    mean, std = np.array([5.0, -3.0]), np.array([2.0, 10.0])

    def numbers() -> nn.Module:
        return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 2))

    torch.manual_seed(0)
    result, _ = fit(
        *((X[:120], y[:120]), (X[120:170], y[120:170])),
        model=numbers(), new_model=numbers, target_scale=(mean, std), metric="mae", test_set=(X[170:], y[170:]),
    )  # fmt: skip
    assert result.ensemble is not None
    apart = (said(result.ensemble, X[170:]) - y[170:]).abs().numpy() * std
    assert result.measures["mae"].value == pytest.approx(float(apart.mean()), rel=1e-5)
    together = [o for o in result.rollouts if o.nets == result.nets][-1]
    chosen = (said(result.ensemble, X[120:170]) - y[120:170]).abs().numpy() * std
    assert together.metrics["mae"] == pytest.approx(float(chosen.mean()), rel=1e-5)


class Locked(nn.Module):
    def __init__(self) -> None:
        import threading

        super().__init__()
        self.net, self.lock = new(), threading.Lock()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def test_of_a_model_that_cannot_be_copied_one_is_trained() -> None:
    result, _ = fit(model=Locked(), new_model=None)
    assert result.ensemble is None
    assert any("One net is trained, whatever the budget" in text for text in result.said)
    with pytest.raises(InvalidArgument, match="ensemble=True needs copies of the model"):
        fit(model=Locked(), new_model=None, ensemble=True)


def test_probabilities_are_no_scores_to_be_averaged_as_such() -> None:
    model = nn.Sequential(*net(), nn.Softmax(1))  # type: ignore[misc]
    options: dict[str, Any] = {
        "model": model, "new_model": None, "loss_fn": lambda p, y: nn.functional.nll_loss(p.clamp_min(1e-9).log(), y),
    }  # fmt: skip
    with pytest.raises(InvalidArgument, match="leave out the softmax at its end"):
        fit(**options, ensemble=True)
    result, _ = fit(**options)
    assert result.ensemble is None


def test_a_loader_to_select_by_that_cannot_be_read_twice_alike_is_said() -> None:
    class Turning(IterableDataset[Any]):
        passes = 0

        def __iter__(self) -> Any:
            Turning.passes += 1
            order = [(i + Turning.passes) % 50 for i in range(50)]
            yield from ((SELECT[0][i], SELECT[1][i]) for i in order)

    with pytest.raises(gammatune.errors.InvalidData, match="or pass ensemble=False"):
        fit(select=DataLoader(Turning(), 10))
    result, _ = fit(select=DataLoader(Turning(), 10), ensemble=False)
    assert result.report is not None


@pytest.mark.parametrize("shuffled", [True, False])
def test_a_loader_to_select_by_may_shuffle(shuffled: bool) -> None:
    result, _ = fit(select=DataLoader(TensorDataset(*SELECT), 10, shuffle=shuffled))
    assert result.ensemble is not None
    told = [o for o in result.rollouts if o.nets == result.nets][-1]
    loss = float(nn.functional.cross_entropy(said(result.ensemble, SELECT[0]), SELECT[1]))
    assert told.metrics["loss"] == pytest.approx(loss, rel=1e-5)


# A course of any of them, repeated --------------------------------------------------------------------------


def of_another_net(**options: Any) -> tuple[FitResult, nn.Module]:
    """A run whose course is that of another net than the first."""
    for seed in range(3, 20):
        result, model = fit(seed=seed, **options)
        if result.course[-1].net:
            return result, model
    raise AssertionError("no seed, of which two in three should")


def again(result: FitResult, schedule: Any = None, **options: Any) -> tuple[FitResult, nn.Module]:
    policy = gammatune.replay(result.schedule if schedule is None else schedule)
    plain = {"budget": None, "epochs": None, "space": None, "seed": result.seed, "policy": policy}
    return fit(**plain | options)


@pytest.mark.parametrize("own_weights", [True, False])
def test_it_ends_in_the_same_weights(tmp_path: Path, own_weights: bool) -> None:
    """From the object, the file and the run directory; of a first net too."""
    made: dict[str, Any] = {"new_model": new if own_weights else None}
    result, model = of_another_net(**made)
    path = tmp_path / "found.json"
    result.schedule.save(path)
    run = str(tmp_path / "run")
    fit(seed=result.seed, run_dir=run, **made)
    for schedule in (result.schedule, path, run):
        repeated, other = again(result, schedule, **made)
        assert same(other, model)
        assert [o.metrics for o in repeated.course] == [o.metrics for o in result.course]
        assert {o.net for o in repeated.course} == {result.course[-1].net}
        assert repeated.schedule == result.schedule
        assert repeated.ensemble is None
    assert Schedule.from_json(result.schedule.to_json()) == result.schedule


def test_the_weights_it_is_repeated_with_are_those_of_the_net() -> None:
    """Of a net that its layers draw anew without a function too; with another seed there are others."""
    result, model = of_another_net()
    other, elsewhere = again(result, new_model=None)
    assert same(elsewhere, model)
    assert [o.order for o in other.course] == [o.order for o in result.course]
    assert not same(again(result, seed=result.seed + 1)[1], model)


def drawn_loader(kind: str) -> Any:
    if kind == "list":
        return [(X[i : i + 10], Y[i : i + 10]) for i in range(0, 120, 10)]
    if kind == "tape":

        class Drawn(IterableDataset[Any]):
            def __iter__(self) -> Any:
                yield from zip(*TRAIN, strict=True)

        return DataLoader(Drawn(), 10)
    generator = torch.Generator().manual_seed(8)
    return DataLoader(TensorDataset(*TRAIN), 10, shuffle=True, generator=generator)


@pytest.mark.parametrize("kind", ["list", "tape", "a generator of its own"])
def test_whatever_the_loader(kind: str) -> None:
    for seed in range(3, 20):
        result, model = fit(train=drawn_loader(kind), batch_size=None, seed=seed)
        if result.course[-1].net:
            break
    assert result.course[-1].net
    _, other = again(result, train=drawn_loader(kind), batch_size=None)
    assert same(other, model)


def test_a_schedule_that_was_saved_before_there_were_nets_is_read() -> None:
    result, model = fit(budget=1.5)
    held = json.loads(result.schedule.to_json())
    for stretch in held["stretches"]:
        del stretch["net"]
    assert Schedule.from_json(json.dumps(held)) == result.schedule
    _, other = again(result, json_file(held))
    assert same(other, model)


def json_file(held: Any) -> Schedule:
    return Schedule.from_json(json.dumps(held))


@pytest.mark.parametrize("damage", [-1, 1.5, "1", None, True])
def test_a_net_that_is_no_number_is_refused(damage: Any) -> None:
    held = json.loads(Schedule((Stretch({"lr": 0.1}),)).to_json())
    held["stretches"][0]["net"] = damage
    with pytest.raises(InvalidArgument, match="not a schedule"):
        json_file(held)


def test_a_part_from_its_beginning_is_that_nets_and_a_later_one_goes_on_with_any() -> None:
    result, _ = of_another_net()
    schedule = result.schedule
    assert {s.net for s in schedule[:3].stretches} == {result.course[-1].net}
    assert {s.net for s in schedule[2:].stretches} == {0}
    assert schedule[:] == schedule
    model = net(9)
    before = copy.deepcopy(model)
    with pytest.raises(AllDiverged):  # so that nothing is trained
        again(result, Schedule((replace(schedule[3:].stretches[0], values={"lr": 1e30}),)), model=model)
    assert same(model, before)


def test_where_its_first_epoch_fails_the_training_is_where_it_was() -> None:
    result, _ = of_another_net()
    broken = Schedule(tuple(replace(s, values={"lr": 1e30}) for s in result.schedule.stretches))
    model = net(9)
    before = copy.deepcopy(model)
    with pytest.raises(AllDiverged):
        again(result, broken, model=model)
    assert same(model, before)


def test_interrupted_while_it_is_repeated(tmp_path: Path) -> None:
    result, model = of_another_net()
    for epoch in (0, 1, 3):

        def interrupt(event: Any, at: int = epoch) -> None:
            if event["event"] == "start" and event["run"].epoch == at:
                raise KeyboardInterrupt

        run = str(tmp_path / str(epoch))
        with pytest.raises(KeyboardInterrupt):
            again(result, run_dir=run, listeners=[interrupt])
        assert same(again(result, run_dir=run)[1], model)


def test_a_loop_of_ones_own_follows_the_order() -> None:
    result, _ = of_another_net()
    model = net()
    optimizer = torch.optim.AdamW(model.parameters())
    loader = DataLoader(TensorDataset(*TRAIN), 10, shuffle=True)
    with Tuner(model=model, optimizer=optimizer, policy=gammatune.replay(result.schedule)) as tuner:
        for run in tuner:
            for x, y in run.batches(loader):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            run.report(loss=1.0, accuracy=0.5)
    course = tuner.result.course
    assert [o.order for o in course] == [o.order for o in result.course]
    assert [dict(o.values) for o in course] == [dict(values) for values in result.schedule]


def test_a_training_of_ones_own_is_renewed_once() -> None:
    one = FakeTraining(steps=30, examples=300)
    options: dict[str, Any] = {"space": ["lr=0.05"], "epochs": 3, "objective": "log-loss"}
    with Tuner(training=one, ensemble=True, budget=4, **options) as tuner:
        for run in tuner:
            run.drive()
    course = [o for o in tuner.result.rollouts if o.role == "net 3"]
    schedule = Schedule.of(course, tuner.result.rollouts, {})
    other = FakeTraining(steps=30, examples=300)
    with Tuner(training=other, policy=gammatune.replay(schedule), objective="log-loss") as repeated:
        for run in repeated:
            run.drive()
    assert [call for call in other.calls if call.startswith("renew")] == ["renew 2"]
    assert (other.net, other.loss) == (2, course[-1].metrics["loss"])
