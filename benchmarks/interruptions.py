"""Kills runs at any moment, goes on with them, and compares the end with that of a run that was never interrupted.

    python benchmarks/interruptions.py --kills 240 --seed 0

Each case is an optimizer, a policy and a way to hand out data. A child process trains; it is killed (SIGKILL), at a
random moment or in the midst of a certain write to disk, again and again, and then left to finish. The weights, the
optimizer's state, the schedule, every rollout and the ledger must be those of the reference, to the last bit.

Where it was killed is read from a byte shared with the child, which says what it was doing.
"""

import hashlib
import io
import json
import mmap
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import harness
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import gammatune
from gammatune.engine import loop
from gammatune.errors import JournalWarning
from gammatune.journal.history import replay
from gammatune.journal.writer import Journal
from gammatune.tuning import checkpoints

RESULTS = Path(__file__).parent / "results" / "interruptions.json"
MOMENTS = ("starting", "deciding", "training", "scoring", "journal", "checkpoint", "copying", "ended")
EPOCHS = 4

OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda p: torch.optim.Adam(p, lr=1e-3, amsgrad=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=1e-3),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=1e-3, momentum=0.5, centered=True),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=1e-2),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=1e-3),
}
POLICIES: dict[str, dict[str, Any]] = {
    "lookahead 1.5": {"epochs": EPOCHS, "budget": 1.5},
    "lookahead 7": {"epochs": EPOCHS, "budget": 7},
    "lookahead open": {"total_epochs": 16},
    "greedy": {"epochs": EPOCHS, "policy": "greedy", "budget": 3},
    "once": {"epochs": EPOCHS, "policy": "once", "budget": 3},
}
LOADERS = ("shuffled", "tape")


@dataclass(frozen=True)
class Case:
    optimizer: str
    policy: str
    loader: str


def cases() -> list[Case]:
    return [
        Case(o, p, LOADERS[(i + j) % 2]) for i, o in enumerate(OPTIMIZERS) for j, p in enumerate(POLICIES)
    ]


# One training ---------------------------------------------------------------------------------------------


class Stream(IterableDataset):  # type: ignore[type-arg]
    """Draws its order itself, so that a loader over it cannot be set back, only written down."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.x, self.y = x, y

    def __iter__(self) -> Iterator[Any]:
        for index in torch.randperm(len(self.x)).tolist():
            yield self.x[index], self.y[index]


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    data = load_digits()
    return torch.tensor(data.data / 16, dtype=torch.float32), torch.tensor(data.target)


def net() -> nn.Module:
    torch.manual_seed(1)
    hidden = [nn.Linear(64, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(0.2)]
    return nn.Sequential(*hidden, nn.Linear(24, 10))


def train(case: Case, directory: Path) -> dict[str, Any]:
    """One run to its end, from wherever the directory is; what it came to."""
    random.seed(2)
    np.random.seed(2)  # noqa: NPY002
    model = net()
    optimizer = OPTIMIZERS[case.optimizer](model.parameters())
    x, y = digits()
    if case.loader == "shuffled":
        order = torch.Generator().manual_seed(3)
        loader = DataLoader(TensorDataset(x[:400], y[:400]), batch_size=32, shuffle=True, generator=order)
    else:
        loader = DataLoader(Stream(x[:400], y[:400]), batch_size=32)
    loss = nn.CrossEntropyLoss()

    def validate() -> dict[str, float]:
        mark("scoring")
        output = model(x[400:600])
        found = {"accuracy": float((output.argmax(1) == y[400:600]).float().mean())}
        return found | {"loss": float(loss(output, y[400:600]))}

    tuner = gammatune.Tuner(model=model, optimizer=optimizer, run_dir=str(directory), **POLICIES[case.policy])
    with tuner:
        for run in tuner:
            model.train()
            mark("training")
            for inputs, targets in run.batches(loader):
                optimizer.zero_grad()
                loss(model(inputs), targets).backward()
                optimizer.step()
            run.report(**run.evaluate(validate))
            mark("deciding")
    mark("ended")
    result = tuner.result
    return {
        "weights": checksum(model.state_dict()),
        "optimizer": checksum(optimizer.state_dict()["state"]),
        "schedule": result.schedule.to_json(),
        "rollouts": [
            [o.number, o.epoch, o.status, o.score, o.trained, dict(o.values)] for o in result.rollouts
        ],
        "cost": [result.cost.trained, result.cost.evaluated],
        "repeated": result.cost.repeated,
    }


def checksum(state: Any) -> str:
    buffer = io.BytesIO()
    torch.save(state, buffer)  # of equal tensors in equal order the same bytes
    found = hashlib.sha256()

    def take(item: Any) -> None:
        if isinstance(item, torch.Tensor):
            found.update(item.detach().contiguous().numpy().tobytes())
        elif isinstance(item, dict):
            for key in item:
                found.update(str(key).encode())
                take(item[key])
        else:
            found.update(repr(item).encode())

    take(state)
    return found.hexdigest()


# Moments --------------------------------------------------------------------------------------------------

_moment = mmap.mmap(-1, 1)


def mark(what: str) -> None:
    _moment[0] = MOMENTS.index(what)


def marking(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def marked(*given: Any, **named: Any) -> Any:
        before = _moment[0]
        mark(what)
        try:
            return function(*given, **named)
        finally:
            _moment[0] = before

    return marked


def watch() -> None:
    """In the child: say what goes on."""
    Journal.append = marking("journal", Journal.append)  # type: ignore[method-assign]
    checkpoints.Checkpoints.save = marking("checkpoint", checkpoints.Checkpoints.save)  # type: ignore[method-assign]
    for name in ("capture", "restore"):
        setattr(loop.TorchLoop, name, marking("copying", getattr(loop.TorchLoop, name)))


@dataclass
class Trap:
    """Ends the process in the midst of the nth call of one of the functions that write to disk."""

    name: str
    nth: int
    calls: int = 0

    def set(self) -> None:
        owner: Any = {"fsync": os, "replace": os, "unlink": Path, "half a line": os}[self.name]
        called = "fsync" if self.name == "half a line" else self.name
        original = getattr(owner, called)

        def trapped(*given: Any, **named: Any) -> Any:
            if self.name == "half a line":
                if not os.readlink(f"/proc/self/fd/{given[0]}").endswith("journal.jsonl"):
                    return original(*given, **named)
                if self.calls + 1 == self.nth:
                    os.ftruncate(given[0], os.fstat(given[0]).st_size - self.nth)
            self.calls += 1
            if self.calls == self.nth:
                if self.nth % 2:  # before it, or after it
                    original(*given, **named)
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*given, **named)

        setattr(owner, called, trapped)


TRAPS = ("fsync", "replace", "unlink", "half a line")


# Children -------------------------------------------------------------------------------------------------


def in_child(work: Callable[[], Any], out: Path, kill_after: float | None = None) -> tuple[str, float]:
    """Run `work` in a child, its result written to `out`. ("ended" | "killed" | "failed", seconds)"""
    out.unlink(missing_ok=True)
    mark("starting")
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            warnings.simplefilter("ignore", JournalWarning)
            out.write_text(json.dumps(work()))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        elapsed = time.perf_counter() - began
        if done:
            if os.WIFSIGNALED(status):
                return "killed", elapsed
            return ("ended" if os.WEXITSTATUS(status) == 0 else "failed"), elapsed
        if kill_after is not None and elapsed > kill_after:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "killed", elapsed
        time.sleep(0.001)


@dataclass
class Tally:
    """What came of a number of trials."""

    kills: Counter[str] = field(default_factory=Counter)
    traps: Counter[str] = field(default_factory=Counter)
    trials: int = 0
    identical: int = 0
    repeated_rollouts: int = 0
    torn: int = 0
    lost: list[str] = field(default_factory=list)  # in words


def trial(case: Case, reference: dict[str, Any], seconds: float, rng: random.Random, tally: Tally) -> int:
    """Kill one run one to three times, let it end, and compare; the number of kills."""
    home = Path(tempfile.mkdtemp(prefix="gammatune-kill-"))
    directory, out = home / "run", home / "out.json"
    killed = 0
    try:
        for _ in range(rng.randint(1, 3)):
            trap = Trap(rng.choice(TRAPS), rng.randint(1, 40)) if rng.random() < 0.4 else None

            def work(trap: Trap | None = trap) -> Any:
                watch()
                if trap is not None:
                    trap.set()
                return train(case, directory)

            how, _elapsed = in_child(work, out, rng.uniform(0.05, 1.05) * seconds)
            if how == "failed":
                tally.lost.append(f"{case}: a run that was gone on with raised")
                return killed
            if how == "ended":
                break
            killed += 1
            tally.kills[MOMENTS[_moment[0]]] += 1
            if trap is not None:
                tally.traps[trap.name] += 1
            if (directory / "journal.jsonl").exists():
                content = (directory / "journal.jsonl").read_bytes()
                tally.torn += bool(content) and not content.endswith(b"\n")
        how, _elapsed = in_child(lambda: train(case, directory), out)
        if how != "ended":
            tally.lost.append(f"{case}: the last process {how}")
            return killed
        found = json.loads(out.read_text())
        differing = [name for name in reference if name != "repeated" and found[name] != reference[name]]
        if differing:
            tally.lost.append(f"{case}: {', '.join(differing)} differ after {killed} kills")
        else:
            tally.identical += 1
        tally.repeated_rollouts += len(replay(directory).repeats)
        return killed
    finally:
        tally.trials += 1
        shutil.rmtree(home, ignore_errors=True)


def measure(chosen: list[Case], kills: int, seed: int, share: float | None = None) -> Tally:
    """share: of the time that checkpoints may take; None leaves it."""
    if share is not None:
        checkpoints.SHARE = share
    rng = random.Random(seed)
    tally = Tally()
    with tempfile.TemporaryDirectory() as home:  # what is imported at first need would be so in every child
        train(chosen[0], Path(home))
    references: dict[Case, tuple[dict[str, Any], float]] = {}
    done = turn = 0
    while done < kills:
        case = chosen[turn % len(chosen)]
        turn += 1
        if case not in references:
            home = Path(tempfile.mkdtemp(prefix="gammatune-whole-"))
            how, seconds = in_child(lambda case=case, home=home: train(case, home / "run"), home / "out.json")
            if how != "ended":
                raise SystemExit(f"{case}: the run that nobody interrupts {how}")
            references[case] = json.loads((home / "out.json").read_text()), seconds
            shutil.rmtree(home)
        done += trial(case, *references[case], rng, tally)
    return tally


def main() -> None:
    parser = harness.arguments(__doc__, RESULTS)
    parser.add_argument("--kills", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    began = time.perf_counter()
    tally = measure(cases(), args.kills, args.seed)
    result = {
        **harness.about("gammatune", "torch", "numpy"),
        "cases": len(cases()),
        "trials": tally.trials,
        "kills": sum(tally.kills.values()),
        "killed while": dict(tally.kills.most_common()),
        "killed in the midst of": dict(tally.traps),
        "torn last lines": tally.torn,
        "rollouts trained again": tally.repeated_rollouts,
        "identical": tally.identical,
        "not identical": tally.lost,
        "seconds": round(time.perf_counter() - began),
    }
    harness.save(args.out, result)
    print(json.dumps(result, indent=1))
    raise SystemExit(bool(tally.lost))


if __name__ == "__main__":
    main()
