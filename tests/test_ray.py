"""Rollouts on Ray: whoever trains them, and whatever happens to a worker, the result is the same to the bit."""

import json
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
import torch
from torch import nn

import gammatune
from gammatune.errors import InvalidArgument, WorkerLost, WorkerWarning
from gammatune.records import Length, Rollout
from gammatune.tuning.executor import Task
from gammatune.tuning.signals import Terminated, handler_kept

ray = needs.package("ray")

from gammatune.tuning.ray_executor import RayExecutor, Settings  # noqa: E402

pytestmark = [
    pytest.mark.xdist_group("ray"),  # one cluster for all of them
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two places for workers, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with handler_kept():  # or every test that comes after these would have Ray's
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()
    torch.set_num_threads(before)


def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 12)).astype(np.float32)
    y = (X @ rng.standard_normal((12, 3))).argmax(axis=1)
    return (X[:400], y[:400]), (X[400:], y[400:])


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(0.2), nn.Linear(24, 3))


def fit(model: nn.Module | None = None, **options: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    model = net() if model is None else model
    train, val = data()
    given = {"epochs": 8, "batch_size": 20, "progress": False, "optimizer": "sgd"} | options  # with looks
    result = gammatune.fit(model, train, val, **given)
    return result, {name: value.clone() for name, value in model.state_dict().items()}


def timeless(result: Any) -> list[Any]:
    return [replace(outcome, seconds=0.0) for outcome in result.rollouts]


@pytest.mark.usefixtures("cluster")
def test_so_it_is_where_the_optimizer_is_chosen() -> None:
    options: dict[str, Any] = {"optimizer": "auto", "epochs": 20, "budget": 1.95, "ensemble": False}
    alone, weights = fit(at_once=4, **options)
    assert {o.values["optimizer"] for o in alone.rollouts} == {"adamw", "muon"}
    beside, same = fit(parallel="ray", workers=2, **options)
    assert timeless(beside) == timeless(alone)
    assert all(torch.equal(value, same[name]) for name, value in weights.items())


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("workers", "budget", "ensemble"),
    [(1, 2.5, False), (2, 7.0, False), (2, 4.0, True)],
    ids=["opening", "averages", "several nets"],
)
def test_it_is_the_same_run_to_the_bit_however_many_work(workers: int, budget: float, ensemble: bool) -> None:
    options: dict[str, Any] = {"budget": budget, "ensemble": ensemble}
    alone, weights = fit(at_once=4, **options)
    assert sum(outcome.role == "miniature" for outcome in alone.rollouts) >= 3
    assert any(outcome.order for outcome in alone.rollouts) == (workers == 2)
    together, same = fit(parallel="ray", workers=workers, **options)
    assert timeless(together) == timeless(alone)
    assert together.schedule == alone.schedule
    assert together.cost.repeated == 0
    assert all(torch.equal(same[name], weights[name]) for name in weights)
    assert together.nets == alone.nets
    assert (len(alone.nets) > 1) == ensemble
    if ensemble:
        nets = together.ensemble.state_dict()
        assert all(torch.equal(value, nets[name]) for name, value in alone.ensemble.state_dict().items())
    assert ray.is_initialized()  # a cluster that was there before stays


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("optimizer", ["muon", "prodigy", "schedulefree"])
def test_optimizers_by_name_travel(optimizer: str) -> None:
    alone, weights = fit(at_once=4, optimizer=optimizer)
    together, same = fit(parallel="ray", workers=2, optimizer=optimizer)
    assert timeless(together) == timeless(alone)
    assert all(torch.equal(same[name], weights[name]) for name in weights)


class Mortal(nn.Module):
    """Kills the process it is in, if that is not the first, until a file says that this has happened."""

    def __init__(self, sign: Path, forever: bool = False) -> None:
        super().__init__()
        self.net = net()
        self.sign, self.forever, self.home = sign, forever, os.getpid()

    def forward(self, x: torch.Tensor) -> Any:
        if os.getpid() != self.home and self.training and (self.forever or not self.sign.exists()):
            self.sign.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.net(x)


@pytest.mark.usefixtures("cluster")
def test_a_worker_killed_in_the_midst_of_a_rollout_is_replaced(tmp_path: Path) -> None:
    alone, weights = fit(Mortal(tmp_path / "never"), at_once=4, budget=2.5)
    with pytest.warns(WorkerWarning, match="begins again in another"):
        together, same = fit(Mortal(tmp_path / "sign"), parallel="ray", workers=1, budget=2.5)
    assert timeless(together) == timeless(alone)
    assert all(torch.equal(same[name], weights[name]) for name in weights)


@pytest.mark.usefixtures("cluster")
def test_workers_that_always_die_end_the_run_with_the_reason_and_the_weights_back(tmp_path: Path) -> None:
    model = Mortal(tmp_path / "sign", forever=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with warnings.catch_warnings(), pytest.raises(WorkerLost, match="begun 3 times"):
        warnings.simplefilter("ignore", WorkerWarning)
        fit(model, parallel="ray", workers=1, budget=2.5)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


class Locked(Exception):
    """Holds what cannot be pickled."""

    def __init__(self, lock: Any) -> None:
        super().__init__("locked")
        self.lock = lock()


class Faulty(nn.Module):
    """The user's own mistake, met in a worker first."""

    def __init__(self, error: Any) -> None:
        super().__init__()
        self.net, self.home, self.error = net(), os.getpid(), error

    def forward(self, x: torch.Tensor) -> Any:
        if os.getpid() != self.home:
            raise self.error if isinstance(self.error, Exception) else Locked(self.error)
        return self.net(x)


@pytest.mark.usefixtures("cluster")
def test_a_worker_that_ray_ends_for_want_of_memory_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    alone, weights = fit(at_once=4, budget=2.5)
    get, said = ray.get, iter([ray.exceptions.OutOfMemoryError("the node is running low on memory")])

    def short(what: Any, **options: Any) -> Any:
        found = get(what, **options)
        for error in said:  # the first answer of a worker
            raise error
        return found

    with pytest.warns(WorkerWarning, match="running low on memory"), monkeypatch.context() as patched:
        patched.setattr(ray, "get", short)
        together, same = fit(parallel="ray", workers=1, budget=2.5)
    assert timeless(together) == timeless(alone)
    assert all(torch.equal(same[name], weights[name]) for name in weights)


@pytest.mark.usefixtures("cluster")
def test_what_the_users_code_raises_in_a_worker_is_raised_with_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError, match="user's forward") as caught:
        fit(Faulty(ZeroDivisionError("in the user's forward")), parallel="ray", workers=1, budget=2.5)
    assert "in forward" in "".join(caught.value.__notes__)
    with pytest.raises(ray.exceptions.RayError) as told:  # of an exception that cannot be sent
        fit(Faulty(threading.Lock), parallel="ray", workers=1, budget=2.5)
    assert "in rollout" in "".join(told.value.__notes__)


class Tender(nn.Module):
    """Raises where its weights are large."""

    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, x: torch.Tensor) -> Any:
        if self.training and self.net[0].weight.abs().max() > 4:
            raise ArithmeticError("large weights")
        return self.net(x)


@pytest.mark.usefixtures("cluster")
def test_what_a_candidate_alone_raises_in_a_worker_is_its_outcome() -> None:
    alone, weights = fit(Tender(), at_once=4, policy="greedy", budget=4.0, space="lr=0.01:1000:log", epochs=1)
    options: dict[str, Any] = {"policy": "greedy", "budget": 4.0, "space": "lr=0.01:1000:log", "epochs": 1}
    together, same = fit(Tender(), parallel="ray", workers=1, **options)
    assert "ArithmeticError" in {outcome.raised for outcome in alone.rollouts}
    assert timeless(together) == timeless(alone)
    assert all(torch.equal(same[name], weights[name]) for name in weights)


@pytest.mark.usefixtures("cluster")
def test_a_run_is_gone_on_with_in_the_midst_of_a_decision(tmp_path: Path) -> None:
    alone, weights = fit(at_once=4, policy="greedy", budget=5.0, epochs=3)
    heard = 0

    def listen(event: Any) -> None:
        nonlocal heard
        heard += event["event"] == "rollout"
        if heard == 7 and not event.get("past"):
            raise KeyboardInterrupt

    options: dict[str, Any] = {"parallel": "ray", "policy": "greedy", "budget": 5.0, "epochs": 3}
    options["run_dir"] = str(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        fit(listeners=[listen], **options)
    together, same = fit(**options)
    assert timeless(together) == timeless(alone)
    assert all(torch.equal(same[name], weights[name]) for name in weights)


@pytest.mark.usefixtures("cluster")
def test_a_fork_travels_once_for_all_rollouts_that_begin_from_it() -> None:
    from functools import partial

    from gammatune.metrics.objectives import make_objective
    from gammatune.supervised.loaders import as_set, forward_loader, training_loader
    from gammatune.supervised.reading import CLASSES
    from gammatune.supervised.training import Supervised, default_loss

    train, val = (as_set(part, "set", torch.float32) for part in data())
    model = net()
    build = partial(
        Supervised,
        *(model, torch.optim.SGD(model.parameters(), 0.1), ["lr"]),
        train=training_loader(train, 20, None),
        select=forward_loader(val, 20, None),
        loss=default_loss(True),
        reading=CLASSES,
        device=torch.device("cpu"),
    )
    executor = RayExecutor(build, torch.device("cpu"), workers=2)
    training = build()
    training.capture("start")
    length = Length(0.0, 4, 4)
    tasks = [
        Task(k, Rollout({"lr": 0.01 * (k + 1)}, 0, "start", length=length), 1e9, False, -1, 0)
        for k in range(6)
    ]
    objective = make_objective("kappa")
    executor.begin(training, "start", tasks[:3], objective, keep=True, anew=True)
    outcomes = [executor.outcome(k) for k in range(3)]
    sent = executor.sent
    weights = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    assert weights < sent < weights + 60_000  # the random streams, and what the format needs
    executor.begin(training, "start", tasks[3:], objective, keep=True, anew=False)
    outcomes += [executor.outcome(k) for k in range(3, 6)]
    assert executor.sent == sent
    assert executor.returned == 0  # the states stay where they are until one is asked for
    assert len({outcome.score for outcome in outcomes}) == 6
    assert executor.stand(training, 1)
    assert executor.returned == pytest.approx(sent, rel=0.2)
    assert (
        dict(training.score(forward_loader(val, 20, None)))["loss"] != outcomes[1].metrics["loss"]
    )  # in training mode
    assert not executor.stand(training, 9)
    executor.close()
    training.close()


def test_a_cluster_of_ones_own_is_gone_when_the_process_is_asked_to_end(tmp_path: Path) -> None:
    """And the run is gone on with: Ray takes SIGTERM for itself, which would have it end as a failed one."""
    if ray.is_initialized():
        ray.shutdown()
    alone, weights = fit(at_once=4, budget=2.5)
    handler = signal.getsignal(signal.SIGTERM)
    heard = 0

    def listen(event: Any) -> None:
        nonlocal heard
        heard += event["event"] == "rollout"
        if heard == 3:  # in the midst of the looks, which workers train
            heard += 1
            assert ray.is_initialized()
            signal.raise_signal(signal.SIGTERM)

    run_dir = str(tmp_path / "run")
    with pytest.raises(Terminated):
        fit(parallel="ray", workers=1, budget=2.5, run_dir=run_dir, listeners=[listen])
    assert not ray.is_initialized()
    assert signal.getsignal(signal.SIGTERM) is handler
    together, same = fit(at_once=4, budget=2.5, run_dir=run_dir)  # by this process alone
    assert timeless(together) == timeless(alone)
    assert all(torch.equal(same[name], weights[name]) for name in weights)


def test_what_cannot_be_is_refused_before_any_training() -> None:
    for options, said in (
        ({"parallel": "dask"}, "parallel='dask'"),
        ({"workers": 2}, "goes with parallel"),
        ({"parallel": "ray", "workers": 0}, "workers=0"),
        ({"parallel": "ray", "policy": "once"}, "policy='once'"),
    ):
        with pytest.raises(InvalidArgument, match=said):
            fit(**options)
    model = net()
    model.lock = threading.Lock()  # type: ignore[assignment]
    with pytest.raises(InvalidArgument, match="cannot be pickled"):
        fit(model, parallel="ray")


@pytest.mark.usefixtures("cluster")
def test_the_command_trains_on_ray_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from gammatune.cli.app import app

    shown = []
    for options in (["--at-once", "3"], ["--at-once", "3", "--parallel", "ray", "--workers", "1"]):
        directory = str(tmp_path / str(len(shown)))
        given = ["train", "digits", "--limit", "300", "--epochs", "3", "--json", "--run-dir", directory]
        app([*given, *options], standalone_mode=False)
        told = json.loads(capsys.readouterr().out)
        shown.append((told["report"]["confusion"], told["schedule"]))
    assert shown[0] == shown[1]


def test_a_machine_smaller_than_a_worker_takes_one_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = RayExecutor(net, torch.device("cpu"))
    on_gpus = RayExecutor(net, torch.device("cuda"))

    def look(nodes: list[dict[str, float]], executor: RayExecutor = executor) -> tuple[dict[str, float], int]:
        monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": each} for each in nodes])
        executor._look_round()
        return executor._needs, executor._room

    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert look([{"CPU": 2.0}]) == ({"CPU": 2.0}, 1)
    assert look([{"CPU": 8.0}, {"CPU": 6.0}, {"memory": 1.0}]) == ({"CPU": 4.0}, 3)
    assert look([{"CPU": 8.0, "GPU": 3.0}], on_gpus) == ({"CPU": 4.0, "GPU": 1.0}, 2)
    with pytest.raises(InvalidArgument, match="the cluster has none"):
        look([{"CPU": 8.0}], on_gpus)


def test_a_worker_is_as_strict_as_the_process_that_hired_it() -> None:
    before = Settings.here()
    try:
        torch.use_deterministic_algorithms(True, warn_only=True)
        settings = Settings.here()
        before.apply()
        settings.apply()
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        before.apply()
