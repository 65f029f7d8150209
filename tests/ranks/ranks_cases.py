"""What the ranks of `world.py` do: each case is called on every rank, and answers what its test looks at."""

import copy
import os
import random
import signal
import time as clock
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from gammatune.errors import GammatuneError
from gammatune.records import Length, Rollout
from gammatune.schedules import linear
from gammatune.supervised.fit import fit
from gammatune.testing.control import control_rollouts
from gammatune.tuning.run import Run
from gammatune.tuning.tuner import Tuner

GENERATOR = torch.Generator().manual_seed(1)
X = torch.randn(96, 6, generator=GENERATOR)
Y = (X.sum(dim=1) > 0).long()
V = torch.randn(40, 6, generator=GENERATOR)
W = (V.sum(dim=1) > 0).long()
DATA = TensorDataset(X, Y)
SLOPE = torch.randn(6, 2, generator=GENERATOR)
EPOCHS = 3
SIZE = 8  # of a batch, on one rank


def net(kind: str = "plain") -> nn.Module:
    torch.manual_seed(5)
    middle = {"plain": [], "noisy": [nn.BatchNorm1d(8), nn.Dropout(0.3)]}[kind]
    return nn.Sequential(nn.Linear(6, 8), *middle, nn.Tanh(), nn.Linear(8, 2))


# Once, in the server that forks the processes: the first optimizer makes torch import its compiler, for seconds.
torch.optim.SGD(net().parameters(), lr=0.1)


def seeded(rank: int) -> None:
    """The streams of the ranks differ, as dropout's should."""
    random.seed(rank)
    np.random.seed(rank)  # noqa: NPY002
    torch.manual_seed(rank)


def shares(rank: int, world: int) -> DataLoader[Any]:
    sampler: DistributedSampler[Any] = DistributedSampler(DATA, world, rank, shuffle=True, seed=3)
    return DataLoader(DATA, SIZE, sampler=sampler)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()


def validate(model: nn.Module, rank: int = 0, world: int = 1) -> dict[str, float]:
    """Of a rank's share of the data to select by."""
    inner = model.module if isinstance(model, DDP) else model
    x, y = V[rank::world], W[rank::world]
    output = inner(x)
    return {
        "loss": nn.functional.cross_entropy(output, y).item(),
        "accuracy": (output.argmax(dim=1) == y).double().mean().item(),
    }


def sgd(model: nn.Module, lr: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)


def state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """All that the rest of a training depends on."""
    return {
        "model": copy.deepcopy(model.state_dict()),
        "optimizer": copy.deepcopy(optimizer.state_dict()["state"]),
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002
        "python": random.getstate(),
    }


def plain(rank: int, world: int, directory: Path, *, kind: str = "noisy", **options: Any) -> dict[str, Any]:
    """What everybody writes."""
    model = DDP(net(kind), **options)
    seeded(rank)
    optimizer = sgd(model)
    loader = shares(rank, world)
    for epoch in range(EPOCHS):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        model.train()
        for x, y in loader:
            step(model, optimizer, x, y)
    return state(model, optimizer)


def controlled(
    rank: int, world: int, directory: Path, *, kind: str = "noisy", **options: Any
) -> dict[str, Any]:
    """The same, disturbed by control rollouts."""
    model = DDP(net(kind), **options)
    seeded(rank)
    optimizer = sgd(model)
    loader = shares(rank, world)
    disturbances = [
        {"lr": 1.0},
        Rollout({"lr": 0.5}, 0, None, length=Length(1.4), shape=linear(), order=1),
    ]
    policy = control_rollouts({"lr": 0.1}, disturbances)
    tuner = Tuner(
        model=model, optimizer=optimizer, epochs=EPOCHS, budget=99, policy=policy, schedule="constant"
    )
    with tuner:
        for run in tuner:
            model.train()
            for x, y in run.batches(loader):
                step(model, optimizer, x, y)
            run.report(**run.evaluate(lambda: validate(model, rank, world)))
    return {"state": state(model, optimizer), "result": tuner.result}


# With more than two ranks DDP sums in another order once it has rebuilt its buckets, which it does behind the first
# step of a process, but not where it looks for unused parameters.


def plain_of_four(rank: int, world: int, directory: Path) -> dict[str, Any]:
    return plain(rank, world, directory, find_unused_parameters=True)


def controlled_of_four(rank: int, world: int, directory: Path) -> dict[str, Any]:
    return controlled(rank, world, directory, find_unused_parameters=True)


def spread(rank: int, world: int, directory: Path) -> dict[str, Any]:
    """FSDP: parameters, gradients and the optimizer's state are spread over the ranks; plain, and under the tuner."""
    mesh = init_device_mesh("cpu", (world,))
    left: list[Any] = []
    outcomes: Any = ()
    for is_tuned in (False, True):
        model = net()
        fully_shard(model[0], mesh=mesh)
        fully_shard(model, mesh=mesh)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        seeded(rank)
        loader = shares(rank, world)
        if is_tuned:
            policy = control_rollouts({"lr": 0.01}, [{"lr": 1.0}, {"lr": 0.1}])
            given: dict[str, Any] = {"model": model, "optimizer": optimizer, "policy": policy}
            given |= {"run_dir": str(directory / "spread"), "epochs": EPOCHS, "budget": 99}
            with warnings.catch_warnings(record=True) as heard, Tuner(**given, schedule="constant") as tuner:
                warnings.simplefilter("always")
                for run in tuner:
                    for x, y in run.batches(loader):
                        step(model, optimizer, x, y)
                    run.report(**run.evaluate(lambda model=model: validate(model, rank, world)))
            outcomes = tuner.result.rollouts
            left.append([str(one.message) for one in heard])
        else:
            for epoch in range(EPOCHS):
                loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
                for x, y in loader:
                    step(model, optimizer, x, y)
                with torch.no_grad():
                    validate(model, rank, world)
        model.reshard()  # after the evaluation whole parameters stand in the place of some
        shards = [parameter.to_local().detach() for parameter in model.parameters()]  # type: ignore[attr-defined]
        moments = [entry["exp_avg"].to_local() for entry in optimizer.state.values()]
        left.append([shards, moments])
    return {"plain": left[0], "tuned": left[2], "heard": left[1], "rollouts": outcomes}


# Whole runs -------------------------------------------------------------------------------------------------


def tuned(
    rank: int,
    world: int,
    *,
    model: nn.Module | None = None,
    body: Any = step,
    evaluate: Any = None,
    loader: Any = None,
    every: int = 1,
    **options: Any,
) -> tuple[Tuner, dict[str, Any]]:
    """The default policy over DDP; the tuner, and what is left behind."""
    model = DDP(net("noisy")) if model is None else model
    seeded(rank)
    optimizer = sgd(model)
    loader = shares(rank, world) if loader is None else loader
    tuner = Tuner(
        model=model, optimizer=optimizer, **{"epochs": EPOCHS, "budget": 2, "check": False, **options}
    )
    with tuner:
        for run in tuner:
            model.train()
            for x, y in run.batches(loader):
                body(model, optimizer, x, y)
            run.report(**run.evaluate(evaluate or (lambda: validate(model, rank, world))))
    return tuner, state(model, optimizer)


def whole(rank: int, world: int, directory: Path) -> dict[str, Any]:
    tuner, left = tuned(rank, world)
    return {"result": tuner.result, "left": left}


def extended(rank: int, world: int, directory: Path) -> dict[str, Any]:
    """A course that goes on as soon as it has ended, and one of another directory that goes on later."""
    at_once, left = tuned(rank, world, schedule="wsd", extra_epochs=2)
    tuned(rank, world, schedule="wsd", run_dir=str(directory / "trunk"))
    later, there = tuned(
        *(rank, world),
        schedule="wsd",
        resume_from=directory / "trunk",
        run_dir=str(directory / "longer"),
        extra_epochs=2,
    )
    return {"at once": at_once.result, "left": left, "later": later.result, "left later": there}


def alone(rank: int, world: int, directory: Path) -> dict[str, Any]:
    """The same by one process with the batches of all, and by all: without noise, one search up to rounding."""
    parts = [shares(other, world) for other in range(world)]
    batches = []
    for part in parts:
        part.sampler.set_epoch(0)  # type: ignore[attr-defined]
    for together in zip(*parts, strict=True):
        batches.append([torch.cat(column) for column in zip(*together, strict=True)])
    own = list(parts[rank])
    common: dict[str, Any] = {"budget": 6}
    many, _ = tuned(rank, world, model=DDP(net()), loader=own, **common)
    model = net()
    one, _ = tuned(
        *(0, 1), model=model, loader=batches, ranks="off", evaluate=lambda: validate(model), **common
    )
    return {"many": many.result, "one": one.result}


def apart(rank: int, world: int, directory: Path) -> dict[str, Any]:
    """No gradient is exchanged; one rank's is NaN where the rate is above 1."""
    model = net()
    steps = []

    def body(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
        steps[-1] += 1
        poison = rank == world - 1 and optimizer.param_groups[0]["lr"] > 1 and steps[-1] == 2
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        (loss * float("nan") if poison else loss).backward()
        optimizer.step()

    seeded(rank)
    optimizer = sgd(model)
    policy = control_rollouts({"lr": 0.1}, [{"lr": 5.0}, {"lr": 0.2}])
    given: dict[str, Any] = {"model": model, "optimizer": optimizer, "policy": policy, "schedule": "constant"}
    with (
        warnings.catch_warnings(record=True) as heard,
        Tuner(epochs=2, budget=99, check=False, **given) as tuner,
    ):
        warnings.simplefilter("always")
        for run in tuner:
            steps.append(0)
            for x, y in run.batches(shares_of_all[rank]):
                body(model, optimizer, x, y)
            run.report(**run.evaluate(lambda: validate(model, rank, world)))
    return {"result": tuner.result, "steps": steps, "heard": [str(one.message) for one in heard]}


shares_of_all = [
    [(X[i : i + SIZE], Y[i : i + SIZE]) for i in range(rank * 24, rank * 24 + 24, SIZE)] for rank in range(4)
]


def uneven(rank: int, world: int, directory: Path) -> dict[str, Any]:
    """The ranks have not as many batches."""
    model = DDP(net())
    loader = [(X[:SIZE], Y[:SIZE])] * (3 + rank)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        tuner, _ = tuned(rank, world, model=model, loader=loader)
    return {
        "result": tuner.result,
        "heard": [str(one.message) for one in heard if "same number" in str(one.message)],
    }


def cut_short(rank: int, world: int, directory: Path) -> dict[str, Any]:
    """The budget ends a rollout, while the ranks' batches are not as large."""
    model = DDP(net())
    size = SIZE - 2 * rank
    loader = [(X[i * size : i * size + size], Y[i * size : i * size + size]) for i in range(6)]
    policy = control_rollouts({"lr": 0.1}, [{"lr": 0.2}])
    tuner, _ = tuned(rank, world, model=model, loader=loader, policy=policy, epochs=2, budget=1.7)
    return {"rollouts": tuner.result.rollouts}


def accumulated(rank: int, world: int, directory: Path) -> dict[str, Any]:
    """Two batches a step, the gradients exchanged with the second alone; plain, and under the tuner."""
    left = []
    outcomes: Any = ()
    for is_tuned in (False, True):
        model = DDP(net("noisy"), gradient_as_bucket_view=True)
        seeded(rank)
        optimizer = sgd(model)
        loader = shares(rank, world)

        def over(batches: Any, model: Any = model, optimizer: Any = optimizer) -> None:
            model.train()
            for number, (x, y) in enumerate(batches):
                if number % 2 == 0:
                    with model.no_sync():
                        nn.functional.cross_entropy(model(x), y).backward()
                    continue
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
                optimizer.zero_grad()

        if not is_tuned:
            for epoch in range(EPOCHS):
                loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
                over(loader)
        else:
            policy = control_rollouts({"lr": 0.1}, [{"lr": 1.0}])
            given = {"model": model, "optimizer": optimizer, "policy": policy}
            with Tuner(**given, epochs=EPOCHS, budget=99, schedule="constant") as tuner:
                for run in tuner:
                    over(run.batches(loader))
                    run.report(**run.evaluate(lambda model=model: validate(model, rank, world)))
            outcomes = tuner.result.rollouts
        left.append(state(model, optimizer))
    return {"plain": left[0], "tuned": left[1], "rollouts": outcomes}


def reported(rank: int, world: int, directory: Path) -> dict[str, Any]:
    """What ranks report, made one."""
    model = DDP(net())
    optimizer = sgd(model)
    found = []
    policy = control_rollouts({"lr": 0.1}, [])
    with Tuner(
        model=model, optimizer=optimizer, epochs=3, budget=9, policy=policy, objective="loss", check=False
    ) as tuner:
        for run in tuner:
            for x, y in run.batches(shares(rank, world)):
                step(model, optimizer, x, y)
            if run.number == 0:  # weighted by the examples
                run.evaluate(lambda: model.module(V[: 1 + rank]) is None or {})
                run.report(loss=float(rank))
            elif run.number == 1:  # the first rank alone
                if rank == 0:
                    run.report(**run.evaluate(lambda: model.module(V[:7]) is None or {"loss": 3.25}))
                else:
                    run.report()
            else:  # without a count
                run.report(loss=0.1, other=float(rank))
            found.append(run.seen)
    return {"rollouts": tuner.result.rollouts, "seen": found}


def refused(rank: int, world: int, directory: Path) -> dict[str, str]:
    """What is asked for is not alike; afterwards the group is as good as new."""
    said = {}
    model = DDP(net())

    def attempt(name: str, **options: Any) -> None:
        try:
            Tuner(**{"model": model, "optimizer": sgd(model), "epochs": 2, **options})
        except GammatuneError as error:
            said[name] = f"{type(error).__name__}: {error}"

    attempt("epochs", epochs=2 + rank)
    attempt("seed", seed=rank)
    attempt("space", space=[f"lr=1e-3:{rank + 1}:log"])
    other = net()
    with torch.no_grad():
        next(other.parameters()).add_(rank)
    attempt("weights", model=other, optimizer=sgd(other))
    attempt("ranks", ranks="of")
    attempt("fine")
    return said


def trained(tuner: Tuner, model: Any, optimizer: Any, rank: int, world: int) -> Iterator[Run]:
    """The runs of a tuner, each after its batches and before it has reported."""
    for run in tuner:
        for x, y in run.batches(shares(rank, world)):
            step(model, optimizer, x, y)
        yield run


def ended(rank: int, world: int, directory: Path) -> dict[str, Any]:
    """Ways to end that all ranks take together."""
    found: dict[str, Any] = {}
    try:
        flaw = float("nan") if rank == world - 1 else 1.0  # of one rank's data
        tuned(rank, world, model=DDP(net()), loader=[(flaw * X[:SIZE], Y[:SIZE])] * 3)
    except GammatuneError as error:
        found["diverged"] = type(error).__name__
    model = DDP(net())
    optimizer = sgd(model)
    try:
        with Tuner(model=model, optimizer=optimizer, epochs=2) as tuner:
            for run in trained(tuner, model, optimizer, rank, world):
                if rank == 0:
                    run.report(score=1.0)
    except GammatuneError as error:
        found["silent"] = type(error).__name__
    with Tuner(model=model, optimizer=optimizer, epochs=20, budget=2) as tuner:
        for run in trained(tuner, model, optimizer, rank, world):
            run.report(**run.evaluate(lambda: validate(model, rank, world)))
            if run.is_course and rank == world - 1:
                tuner.stop()  # one rank alone asks for it
    found["stopped"] = len(tuner.result.course)
    with Tuner(model=model, optimizer=optimizer, epochs=9, budget=2) as tuner:
        for run in trained(tuner, model, optimizer, rank, world):
            run.report(**run.evaluate(lambda: validate(model, rank, world)))
            if run.is_course:
                break
    found["broken"] = (tuner.is_home, len(tuner.result.rollouts))
    return found


def lived_on(rank: int, world: int, directory: Path) -> str:
    """An error that the caller of one rank catches: its process goes on, and nobody waits for it."""
    model = DDP(net())
    optimizer = sgd(model)
    heard = ""
    try:
        with Tuner(model=model, optimizer=optimizer, epochs=2) as tuner:
            for run in trained(tuner, model, optimizer, rank, world):
                if rank == 0:
                    raise ValueError("caught")
                run.report(**run.evaluate(lambda: validate(model, rank, world)))
    except (ValueError, GammatuneError) as error:
        heard = f"{type(error).__name__}: {error}"
    dist.barrier()
    return heard


def clocked(rank: int, world: int, directory: Path) -> dict[str, Any]:
    """The time decides, and only one clock."""
    tuner, left = tuned(rank, world, epochs=None, budget=None, time=0.5)
    return {"result": tuner.result, "left": left}


def without_memory(rank: int, world: int, directory: Path) -> dict[str, Any]:
    """All ranks run out of it at once: the candidate does not fit, and the run goes on."""
    model = DDP(net())
    optimizer = sgd(model)
    loaders = {}

    def make(size: int) -> Any:
        sampler: DistributedSampler[Any] = DistributedSampler(DATA, world, rank, seed=3)
        return loaders.setdefault(size, DataLoader(DATA, size, sampler=sampler))

    space = ["lr=1e-3:1:log", "batch_size=4,8,16"]
    with Tuner(model=model, optimizer=optimizer, epochs=2, budget=6, space=space, policy="greedy") as tuner:
        for run in tuner:
            with run.attempt():
                for x, y in run.batches(make):
                    if len(x) > 8:
                        raise torch.OutOfMemoryError("out of memory: tried to allocate too much")
                    step(model, optimizer, x, y)
                run.report(**run.evaluate(lambda: validate(model, rank, world)))
    return {"rollouts": tuner.result.rollouts}


def overshooting(rank: int, world: int, directory: Path) -> dict[str, Any]:
    """All ranks raise under rates that are too high, in training or in scoring."""
    model = DDP(net())
    optimizer = sgd(model, 0.03)
    starts = []

    def score() -> dict[str, float]:
        metrics = validate(model, rank, world)
        if 0.1 < optimizer.param_groups[0]["lr"] < 1:
            raise ArithmeticError("in scoring")
        return metrics

    sampler: DistributedSampler[Any] = DistributedSampler(DATA, world, rank, seed=3)
    loader = DataLoader(DATA, 8, sampler=sampler)
    space = ["lr=0.01,0.03,0.3,3"]
    with Tuner(model=model, optimizer=optimizer, epochs=2, budget=6, space=space, policy="greedy") as tuner:
        for run in tuner:
            starts.append((run.number, run.is_repeated))
            with run.attempt():
                for x, y in run.batches(loader):
                    if optimizer.param_groups[0]["lr"] > 1:
                        raise ValueError("everywhere")
                    step(model, optimizer, x, y)
                run.report(**run.evaluate(score))
    return {"rollouts": tuner.result.rollouts, "starts": starts}


def raising_alone(rank: int, world: int, directory: Path) -> None:
    """One rank raises in the midst of a step, in which the other waits for its gradient."""
    model = DDP(net())
    optimizer = sgd(model)
    sampler: DistributedSampler[Any] = DistributedSampler(DATA, world, rank, seed=3)
    loader = DataLoader(DATA, 8, sampler=sampler)
    with Tuner(model=model, optimizer=optimizer, epochs=2, budget=6, policy="greedy") as tuner:
        for run in tuner:
            with run.attempt():
                for x, y in run.batches(loader):
                    loss = nn.functional.cross_entropy(model(x), y)
                    if rank == 1:
                        raise ValueError("alone")
                    loss.backward()
                    optimizer.step()
                run.report(**run.evaluate(lambda: validate(model, rank, world)))


def kept(
    rank: int,
    world: int,
    directory: Path,
    *,
    name: str = "run",
    fault: Any = None,
    **options: Any,
) -> dict[str, Any]:
    """A run with a journal. fault: called with the run and the batch's number, in the midst of a step."""
    seen = []

    def body(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
        seen[-1][1] += 1
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        if fault is not None:
            fault(*seen[-1])
        loss.backward()
        optimizer.step()

    def start(event: Any) -> None:
        if event["event"] == "start":
            seen.append([event["run"], 0])

    given = {"run_dir": str(directory / name), "budget": 5, "listeners": [start], **options}
    tuner, left = tuned(rank, world, body=body, **given)
    fresh = [run.number for run, _ in seen]
    return {"result": tuner.result, "left": left, "fresh": fresh}


def reference(rank: int, world: int, directory: Path) -> dict[str, Any]:
    return kept(rank, world, directory, name="undisturbed")


def raising(rank: int, world: int, directory: Path) -> None:
    def fault(run: Any, batch: int) -> None:
        if rank == 1 and run.number == 3:
            raise ValueError("there is a flaw in the data of this rank")

    kept(rank, world, directory, fault=fault)


def killed(rank: int, world: int, directory: Path) -> None:
    def fault(run: Any, batch: int) -> None:
        if rank == 1 and run.is_course and run.epoch == 1 and batch == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    kept(rank, world, directory, fault=fault)


def breaking(rank: int, world: int, directory: Path) -> None:
    """One rank leaves the loop, and the others go on."""
    model = DDP(net())
    optimizer = sgd(model)
    with Tuner(
        model=model, optimizer=optimizer, epochs=9, budget=2, run_dir=str(directory / "left")
    ) as tuner:
        for run in tuner:
            if rank == 1 and run.number == 2:
                break
            for x, y in run.batches(shares(rank, world)):
                step(model, optimizer, x, y)
            run.report(**run.evaluate(lambda: validate(model, rank, world)))


def crowded(rank: int, world: int, directory: Path) -> dict[str, Any]:
    """One rank alone runs out of memory, in the midst of a step."""
    model = DDP(net())
    optimizer = sgd(model)
    loaders: dict[int, Any] = {}

    def make(size: int) -> Any:
        sampler: DistributedSampler[Any] = DistributedSampler(DATA, world, rank, seed=3)
        return loaders.setdefault(size, DataLoader(DATA, size, sampler=sampler))

    space = ["lr=1e-3:1:log", "batch_size=4,8,16"]
    given: dict[str, Any] = {"space": space, "policy": "greedy", "run_dir": str(directory / "crowded")}
    with Tuner(model=model, optimizer=optimizer, epochs=2, budget=6, **given) as tuner:
        for run in tuner:
            with run.attempt():
                for x, y in run.batches(make):
                    optimizer.zero_grad()
                    loss = nn.functional.cross_entropy(model(x), y)
                    if rank == 1 and len(x) > 8:
                        raise torch.OutOfMemoryError("out of memory: tried to allocate too much")
                    loss.backward()
                    optimizer.step()
                run.report(**run.evaluate(lambda: validate(model, rank, world)))
    return {"rollouts": tuner.result.rollouts}


def orders(rank: int, world: int, directory: Path) -> dict[str, Any]:
    """Which examples a rollout sees, by epoch and order; with workers that persist, on a tape."""
    seen: dict[str, Any] = {}
    numbered = TensorDataset(torch.arange(24.0).reshape(-1, 1))
    for name in ("plain", "tape"):
        sampler: DistributedSampler[Any] = DistributedSampler(numbered, world, rank, seed=4)
        loader: Any = DataLoader(numbered, 2, sampler=sampler)
        wrapped = loader if name == "plain" else Unknown(loader)
        model = nn.Linear(1, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0001)
        disturbances = [{"lr": 0.0002}, Rollout({"lr": 0.0001}, 0, None, order=1)]
        policy = control_rollouts({"lr": 0.0001}, disturbances)
        given = {"model": model, "optimizer": optimizer, "policy": policy, "objective": "loss"}
        taken = []
        with Tuner(**given, epochs=2, budget=99, schedule="constant", check=False) as tuner:
            for run in tuner:
                own = []
                for (x,) in run.batches(loader if name == "plain" else wrapped):
                    own += x.flatten().tolist()
                    model(x).sum().backward()
                    dist.all_reduce(model.weight.grad)
                    optimizer.step()
                taken.append(own)
                run.report(loss=1.0)
        seen[name] = taken
        by_hand = []
        for epoch in range(2):
            sampler.set_epoch(epoch)
            by_hand.append([number for (x,) in loader for number in x.flatten().tolist()])
        seen[f"{name} by hand"] = by_hand
    return seen


class Unknown(DataLoader):  # type: ignore[type-arg]
    """A loader whose order nobody can restore, as one with workers that persist."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader.dataset, 2, sampler=Sampling(loader.sampler))


class Sampling(DistributedSampler):  # type: ignore[type-arg]
    """Of a class that is not known to keep nothing."""

    def __init__(self, like: Any) -> None:
        super().__init__(like.dataset, like.num_replicas, like.rank, seed=like.seed)


def reference_of_four(rank: int, world: int, directory: Path) -> dict[str, Any]:
    model = DDP(net("noisy"), find_unused_parameters=True)
    return kept(rank, world, directory, name="undisturbed", model=model)


def raising_of_four(rank: int, world: int, directory: Path) -> None:
    def fault(run: Any, batch: int) -> None:
        if rank == 1 and run.is_course and run.epoch == 1 and batch == 2:
            raise ValueError("there is a flaw in the data of this rank")

    kept(rank, world, directory, fault=fault, model=DDP(net("noisy"), find_unused_parameters=True))


def kept_of_four(rank: int, world: int, directory: Path) -> dict[str, Any]:
    return kept(rank, world, directory, model=DDP(net("noisy"), find_unused_parameters=True))


# fit -----------------------------------------------------------------------------------------------------------


def fitted(rank: int, world: int, directory: Path) -> dict[str, Any]:
    """A classification and a regression by `fit`, and what one process says of the weights that come of them."""
    found: dict[str, Any] = {}
    place = directory / "fitted"
    for name, targets, more in (
        ("labels", (Y, W), {"metric": "auc"}),
        ("numbers", (X @ SLOPE, V @ SLOPE), {}),
    ):
        model = net("noisy")
        sets = (X, targets[0]), (V, targets[1])
        given: dict[str, Any] = {"epochs": EPOCHS, "budget": 4, "batch_size": SIZE, **more}
        given["run_dir"] = str(place / name)
        result = fit(model, *sets, **given)
        again = fit(net("noisy"), *sets, **given)
        model.eval()
        with torch.no_grad():
            output = model(V)
        told = next(o.metrics for o in reversed(result.course))
        found[name] = {
            "told": told,
            "counted": [(o.trained, o.evaluated, o.epoch_examples) for o in result.course],
            "report": result.report,
            "output": output,
            "targets": targets[1],
            "kept": torch.load(place / name / "weights.pt") if rank == 0 else None,
            "weights": model.state_dict(),
            "said": result.said,
            "again": (again.course == result.course, again.report == result.report),
            "files": sorted(path.name for path in (place / name).iterdir()),
        }
    return found


def refused_early(rank: int, world: int, directory: Path) -> dict[str, Any]:
    """Before the run: one rank alone, which lives on; and all of them, again and again."""
    alone = rank == 1
    wrapped = DDP(net())
    sets = (X, Y), (V, W)
    calls = {
        "lr": lambda: fit(net(), *sets, epochs=1, lr=-1 if alone else 0.1),
        "seed": lambda: fit(net(), *sets, epochs=1, seed=-1 if alone else 0),
        "data": lambda: fit(net(), (X, Y[:5] if alone else Y), sets[1], epochs=1),
        "model": lambda: fit(wrapped if alone else net(), *sets, epochs=1),
        "keep": lambda: Tuner(model=wrapped, optimizer=sgd(wrapped), epochs=1, keep="?" if alone else "best"),  # type: ignore[arg-type]
    }
    began = clock.monotonic()
    heard = {name: refusal_of(call) for name, call in calls.items()}
    seconds = clock.monotonic() - began
    return {
        "alone": heard,
        "seconds": seconds,
        "all": {refusal_of(lambda: fit(wrapped, *sets, epochs=1)) for _ in range(20)},
    }


def refusal_of(call: Any) -> str:
    try:
        call()
    except GammatuneError as error:
        return f"{type(error).__name__}: {error}"
    return "none"
