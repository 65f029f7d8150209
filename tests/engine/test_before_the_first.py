"""One batch is trained twice before the first look: what escapes forks is named, and nothing changes by the check."""

import copy
import json
import random
import secrets
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset
from tries import tries

from gammatune.engine.doctor.twice import Note
from gammatune.errors import AllDiverged, EscapeWarning
from gammatune.journal.history import replay
from gammatune.tuning.run import Run
from gammatune.tuning.tuner import Tuner

X = torch.randn(48, 6, generator=torch.Generator().manual_seed(1))
Y = (X.sum(dim=1) > 0).long()
BATCH = 8


def loader() -> DataLoader[Any]:
    return DataLoader(TensorDataset(X, Y), BATCH, shuffle=True, generator=torch.Generator().manual_seed(2))


class Setting:
    def __init__(self) -> None:
        torch.manual_seed(3)
        self.model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.2), nn.ReLU(), nn.Linear(8, 2))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01)

    def step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(self.model(x), y).backward()
        self.optimizer.step()

    def validate(self) -> dict[str, float]:
        said = self.model(X)
        return {
            "loss": float(nn.functional.cross_entropy(said, Y)),
            "accuracy": float((said.argmax(1) == Y).float().mean()),
        }

    def tuner(self, **options: Any) -> Tuner:
        return Tuner(model=self.model, optimizer=self.optimizer, **({"epochs": 2, "budget": 1.5} | options))

    def body(self, run: Run, given: Any) -> None:
        for x, y in run.batches(given):
            self.step(x, y)
        run.report(**run.evaluate(self.validate))


def told(train: Callable[[], None]) -> str:
    """The warning of the check; "" where there was none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", EscapeWarning)
        train()
    said = [str(one.message) for one in caught if one.category is EscapeWarning]
    assert len(said) <= 1
    return "".join(said)


# What escapes --------------------------------------------------------------------------------------------


def test_a_forgotten_average_of_weights_is_named_with_the_line_that_puts_it_right() -> None:
    def train(state: bool) -> Callable[[], None]:
        def run_it() -> None:
            setting = Setting()
            ema = copy.deepcopy(setting.model)
            with setting.tuner(state=[ema] if state else []) as tuner:
                for run in tuner:
                    for x, y in run.batches(loader_):
                        setting.step(x, y)
                        with torch.no_grad():
                            for mean, weight in zip(
                                ema.parameters(), setting.model.parameters(), strict=True
                            ):
                                mean.lerp_(weight, 0.1)
                    run.report(**run.evaluate(setting.validate))

        loader_ = loader()
        return run_it

    said = told(train(state=False))
    assert "ema: parameters of Sequential changed" in said
    assert "state=[ema]" in said
    assert "Nothing else changed" in said
    assert told(train(state=True)) == ""


class Noisy:
    """Makes its generator when it is first asked for."""

    def __init__(self) -> None:
        self.source: torch.Generator | None = None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if self.source is None:
            self.source = torch.Generator().manual_seed(4)
        return x + torch.randn(x.shape, generator=self.source)


def test_a_generator_made_when_it_is_first_needed_changes_the_training_and_is_named() -> None:
    def train() -> None:
        setting, data, noise = Setting(), loader(), Noisy()
        with setting.tuner() as tuner:
            for run in tuner:
                for x, y in run.batches(data):
                    setting.step(noise(x), y)
                run.report(**run.evaluate(setting.validate))

    said = told(train)
    assert "came out otherwise the second time (parameter model.0.weight" in said
    assert "noise.source: a torch.Generator on cpu was drawn from" in said
    assert "state=[noise.source]" in said


def test_a_counter_that_sets_something_and_one_that_does_not() -> None:
    def train(matters: bool) -> Callable[[], None]:
        def run_it() -> None:
            setting, data, step = Setting(), loader(), 0
            with setting.tuner() as tuner:
                for run in tuner:
                    for x, y in run.batches(data):
                        step += 1
                        setting.step(x / step if matters else x, y)
                    run.report(**run.evaluate(setting.validate))

        return run_it

    for matters in (False, True):
        said = told(train(matters))
        assert "step: a number changed" in said
        assert ("came out otherwise" in said) == matters


def test_a_clock_that_is_carried_on_is_named() -> None:
    def train() -> None:
        setting, data, last = Setting(), loader(), 0.0
        with setting.tuner() as tuner:
            for run in tuner:
                for x, y in run.batches(data):
                    setting.step(x, y)
                    if time.perf_counter() > last:
                        last = time.perf_counter()
                run.report(**run.evaluate(setting.validate))

    assert "last: a number changed" in told(train)


class Restless(Dataset[Any]):
    def __len__(self) -> int:
        return 48

    def __getitem__(self, index: int) -> Any:
        return X[index] + secrets.randbelow(1000) / 1000, Y[index]


def test_data_that_follow_from_no_generator_are_told_apart_from_the_training() -> None:
    def train() -> None:
        setting, data = Setting(), DataLoader(Restless(), BATCH)
        with setting.tuner() as tuner:
            for run in tuner:
                setting.body(run, data)

    said = told(train)
    assert "(the batch itself, parameter model.0.weight" in said
    assert "No object that can be reached" in said


def test_in_a_method_and_in_a_function_of_ones_own_names_are_those_of_the_loop() -> None:
    class Trainer:
        def __init__(self) -> None:
            self.setting, self.data, self.seen = Setting(), loader(), 0

        def epoch(self, run: Run) -> None:
            for x, y in run.batches(self.data):
                self.setting.step(x, y)
                self.seen += len(x)
            run.report(**run.evaluate(self.setting.validate))

        def train(self) -> None:
            with self.setting.tuner() as tuner:
                while (run := tuner.ask()) is not None:
                    self.epoch(run)
                    tuner.tell(run)

    said = told(Trainer().train)
    assert "self.seen: a number changed" in said
    assert "it is 16, and would be 8" in said


def test_what_a_pass_writes_anew_and_records_that_grow_are_nobodys_concern() -> None:
    def train() -> None:
        setting, data, losses, by_run = Setting(), loader(), [], {}
        began, loss, x = 0.0, None, "of an earlier cell"
        with setting.tuner() as tuner:
            for number, run in enumerate(tuner):
                began, total = time.perf_counter(), 0.0
                for x, y in run.batches(data):
                    setting.step(x, y)
                    loss = float(x.sum())
                    total += loss
                    losses.append(loss)
                by_run[number] = total
                metrics = run.evaluate(setting.validate)
                seconds = time.perf_counter() - began
                losses.append(seconds)
                run.report(**metrics)

    assert told(train) == ""


class Shy:
    """Does not want to be looked at."""

    @property
    def __dict__(self) -> Any:
        raise RuntimeError("not in this context")


@pytest.mark.parametrize("matters", [False, True])
def test_what_cannot_be_looked_over_keeps_nobody_from_training(matters: bool) -> None:
    heard: list[Any] = []

    def train() -> None:
        setting, data, step, shy = Setting(), loader(), 0, Shy()
        with setting.tuner(listeners=[heard.append]) as tuner:
            for run in tuner:
                for x, y in run.batches(data):
                    step += matters
                    setting.step(x / (1 + step), y)
                    assert shy
                run.report(**run.evaluate(setting.validate))

    said = told(train)
    assert ("What takes part could not be looked over (RuntimeError: not in this context)" in said) == matters
    (check,) = [event for event in heard if event["event"] == "check"]
    assert (check["same"], check["found"], "not in this context" in check["unseen"]) == (
        not matters,
        (),
        True,
    )


# What it leaves alone -------------------------------------------------------------------------------------


class Streamed(IterableDataset[Any]):
    """Cannot be started again, and draws from the streams that the training draws from."""

    def __iter__(self) -> Iterator[Any]:
        for index in range(48):
            yield X[index] + 0.01 * torch.randn(6) + random.random() + np.random.rand(), Y[index]  # noqa: NPY002


LOADERS: dict[str, Callable[[], Any]] = {
    "own generator": loader,
    "shuffled": lambda: DataLoader(TensorDataset(X, Y), BATCH, shuffle=True),
    "list": lambda: [(X[i : i + 8], Y[i : i + 8]) for i in range(0, 40, 8)],
    "stream": lambda: DataLoader(Streamed(), BATCH),
    "generator function": lambda: lambda: iter(list(DataLoader(TensorDataset(X, Y), BATCH, shuffle=True))),
}


def events(directory: Path) -> list[dict[str, Any]]:
    """Of a journal, without what no two runs have alike."""
    lines = [json.loads(line) for line in (directory / "journal.jsonl").read_text().splitlines()]
    clocks = ("time", "seconds", "processor", "elapsed", "spent", "plain_processor", "checked")
    kept = [line for line in lines if line["event"] not in ("check", "state", "gone")]
    return [{key: value for key, value in line.items() if key not in clocks} for line in kept]


@tries(12, full=100)
@given(
    policy=st.sampled_from(["lookahead", "greedy", "once"]),
    given=st.sampled_from(sorted(LOADERS)),
    optimizer=st.sampled_from(["Adam", "SGD", "RMSprop"]),
    passes=st.integers(1, 2),
    seed=st.integers(0, 3),
    in_steps=st.booleans(),
)
def test_with_it_and_without_a_run_is_the_same_to_the_bit(
    policy: str,
    given: str,
    optimizer: str,
    passes: int,
    seed: int,
    in_steps: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    passes = 1 if in_steps else passes
    length = {"steps": 24, "every": 8, "epochs": None} if in_steps else {}

    def trained(check: bool) -> tuple[Any, ...]:
        setting = Setting()
        setting.optimizer = getattr(torch.optim, optimizer)(setting.model.parameters(), lr=0.02)
        random.seed(5)
        np.random.seed(5)  # noqa: NPY002
        data, place = LOADERS[given](), tmp_path_factory.mktemp("run")
        tuner = setting.tuner(
            policy=policy, budget=3, seed=seed, check=check, run_dir=str(place), ensemble=False, **length
        )
        with tuner:
            for run in tuner:
                for _ in range(passes):
                    for x, y in run.batches(data):
                        setting.step(x, y)
                run.report(**run.evaluate(setting.validate))
        after = [torch.rand(2).tolist(), random.random(), float(np.random.rand())]  # noqa: NPY002
        weights = [parameter.detach().clone() for parameter in setting.model.parameters()]
        return events(place), after, weights, replay(place).checks

    checked, plain = trained(True), trained(False)
    assert checked[0] == plain[0]
    assert checked[1] == plain[1]
    assert all(torch.equal(a, b) for a, b in zip(checked[2], plain[2], strict=True))
    assert [one.same for one in checked[3]] == [True]
    assert plain[3] == []


def test_it_costs_two_batches_which_no_budget_is_charged_with(tmp_path: Path) -> None:
    setting, data, runs = Setting(), loader(), []
    with setting.tuner(run_dir=str(tmp_path)) as tuner:
        for run in tuner:
            runs.append(run)
            setting.body(run, data)
    assert tuner.cost.checked == 2 * BATCH
    assert "16 to check it before" in str(tuner.cost)
    assert [run.role for run in runs[:3]] == ["check", "check", "survey"]
    assert [(run.number, run.is_repeated, run.is_course) for run in runs[:3]] == [
        (0, True, False),
        (0, True, False),
        (0, False, False),
    ]
    assert len(runs) == 2 + len(tuner.result.rollouts)
    (check,) = replay(tmp_path).checks
    assert (check.trained, check.evaluated, check.same, check.found) == (2 * BATCH, 0, True, ())


def test_a_run_that_is_gone_on_with_is_not_checked_again(tmp_path: Path) -> None:
    def go(stop: bool) -> tuple[list[str], float]:
        setting, data, roles = Setting(), loader(), []
        with setting.tuner(run_dir=str(tmp_path)) as tuner:
            for run in tuner:
                roles.append(run.role)
                if stop and run.is_course:
                    break
                setting.body(run, data)
        return roles, tuner.cost.checked

    roles, _ = go(stop=True)
    assert roles.count("check") == 2
    roles, checked = go(stop=False)
    assert roles.count("check") == 0
    assert checked == 2 * BATCH


def test_leaving_in_the_midst_of_it_leaves_the_training_as_it_was() -> None:
    setting = Setting()
    before = copy.deepcopy(setting.model.state_dict())
    with setting.tuner() as tuner:
        for run in tuner:
            for x, y in run.batches(loader()):
                setting.step(x, y)
            break
    assert all(torch.equal(before[name], held) for name, held in setting.model.state_dict().items())


def test_a_training_that_blows_up_at_once_cannot_be_told_anything_of() -> None:
    setting, data = Setting(), loader()
    setting.optimizer = torch.optim.SGD(setting.model.parameters(), lr=1e30)
    told_: list[Any] = []
    with setting.tuner(listeners=[told_.append]) as tuner, pytest.raises(AllDiverged):
        for run in tuner:
            with run.attempt():
                for x, y in run.batches(data):
                    setting.step(x, y)
                if not all(
                    bool(p.isfinite().all()) and float(p.abs().max()) < 1e9
                    for p in setting.model.parameters()
                ):
                    raise ValueError("not finite")
                run.report(**run.evaluate(setting.validate))
    (check,) = [event for event in told_ if event["event"] == "check"]
    assert check["same"] is None
    assert check["trained"] == BATCH


def test_a_metric_of_what_is_not_evaluated_is_nan() -> None:
    setting, data = Setting(), loader()
    with setting.tuner() as tuner:
        for run in tuner:
            for x, y in run.batches(data):
                setting.step(x, y)
            metrics = run.evaluate(setting.validate)
            assert run.scored or (not metrics and metrics["loss"] != metrics["loss"])
            run.report(loss=metrics["loss"], accuracy=metrics["accuracy"])


def test_where_a_device_adds_up_in_any_order_rounding_is_no_difference() -> None:
    start = [torch.zeros(10)]
    first = Note((b"batch",), {"parameter a": (1,)}, [torch.full((10,), 0.1)])
    rounded = Note((b"batch",), {"parameter a": (2,)}, [torch.full((10,), 0.1 * (1 + 1e-6))])
    other = Note((b"batch",), {"parameter a": (3,)}, [torch.full((10,), 0.11)])
    elsewhere = Note((b"other",), {"parameter a": (2,)}, rounded.weights)
    assert first.apart_from(rounded, start) == ()
    assert first.apart_from(rounded, None) == ("parameter a",)
    assert first.apart_from(other, start) == ("parameter a",)
    assert first.apart_from(elsewhere, start) == ("the batch itself",)


# Averages of weights are evaluated, and counted ----------------------------------------------------------------


def average_of(setting: Setting) -> torch.optim.swa_utils.AveragedModel:
    return torch.optim.swa_utils.AveragedModel(
        setting.model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    )


class Shadow:
    """An average of one's own, which is no module."""

    def __init__(self, model: nn.Module) -> None:
        self.copy = copy.deepcopy(model)

    def state_dict(self) -> Any:
        return self.copy.state_dict()

    def load_state_dict(self, state: Any) -> None:
        self.copy.load_state_dict(state)


@pytest.mark.parametrize("what", ["average", "its module", "both", "of ones own", "with the model"])
def test_what_passes_through_an_average_of_weights_is_counted(what: str) -> None:
    setting, data = Setting(), loader()
    average = Shadow(setting.model) if what == "of ones own" else average_of(setting)
    asked = {
        "average": lambda: [average],
        "its module": lambda: [average.module],
        "both": lambda: [average, average.module],
        "of ones own": lambda: [average.copy],
        "with the model": lambda: [average.module, setting.model],
    }[what]

    def validate() -> dict[str, float]:
        for net in asked():
            net(X)
        return {"loss": 1.0}

    with setting.tuner(state=[average], objective="loss") as tuner:
        for run in tuner:
            for x, y in run.batches(data):
                setting.step(x, y)
            run.report(**run.evaluate(validate))
    nets = 2 if what in ("both", "with the model") else 1
    assert {outcome.evaluated for outcome in tuner.result.rollouts} == {nets * len(X)}
