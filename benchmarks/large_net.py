"""How much memory and disk a large net takes under a tuner, beside a plain run: a part of benchmarks/memory.py.

    python benchmarks/memory.py --only large [--out benchmarks/results/memory.json]

51 million weights in a loop of one's own, the default policy and budget, each run in a process of its own. Of each:

    peak       the largest resident memory of the process, MiB
    of_plain   that, as a multiple of the plain run's with the same optimizer
    states     the most files of states that lay in the run directory when a run began
    disk       the most that all files of it held at any time, MiB: a state is whole before the one before it goes
    left       what lies there after the end
"""

import json
import resource
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import harness
import torch
from torch import nn

import gammatune

WIDTH = 4096
EPOCHS, BATCHES, SIZE = 6, 4, 16
OPTIMIZERS = {
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=1e-4),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=1e-2, momentum=0.9),
}
FORKS = ("device", "disk")
EVERY = 0.01  # seconds between two looks at the run directory
LOOP_NAMES = ("plain", *FORKS, "run_dir")


def net() -> nn.Module:
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Linear(256, WIDTH), nn.ReLU()]
    for _ in range(3):
        layers += [nn.Linear(WIDTH, WIDTH), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10))


def data() -> tuple[list[Any], Any]:
    """Batches to train on, and examples to select by; classes that can be learnt, with some noise."""
    source = torch.Generator().manual_seed(1)
    centres = torch.randn(10, 256, generator=source)

    def drawn(count: int) -> Any:
        labels = torch.randint(10, (count,), generator=source)
        return centres[labels] + 2.0 * torch.randn(count, 256, generator=source), labels

    return [drawn(SIZE) for _ in range(BATCHES)], drawn(64)


class Looked:
    """What lies in a directory, and the most MiB that it held while it was looked at."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._ended = directory, threading.Event()
        self.most = 0

    @contextmanager
    def on(self) -> Iterator[None]:
        thread = threading.Thread(target=self._look)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def now(self) -> dict[str, float]:
        sizes: dict[str, float] = {}
        for path in self._directory.glob("*.pt*"):
            try:
                sizes[path.name] = path.stat().st_size / 2**20
            except FileNotFoundError:  # gone since
                continue
        return sizes

    def _look(self) -> None:
        while not self._ended.wait(EVERY):
            self.most = max(self.most, round(sum(self.now().values())))


def trained(optimizer: str, how: str) -> dict[str, Any]:
    model, (batches, (x_select, y_select)) = net(), data()
    chosen = OPTIMIZERS[optimizer](model.parameters())

    def epoch(given: Any) -> None:
        for x, y in given:
            chosen.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            chosen.step()

    def validate() -> dict[str, float]:
        said = model(x_select)
        return {
            "loss": float(nn.functional.cross_entropy(said, y_select)),
            "accuracy": float((said.argmax(1) == y_select).float().mean()),
        }

    found: dict[str, Any] = {"weights": sum(p.numel() for p in model.parameters())}
    if how == "plain":
        for _ in range(EPOCHS):
            epoch(batches)
            with torch.no_grad():
                validate()
        return found | _peak()
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "run"
        options = {"run_dir": str(directory)} if how == "run_dir" else {"forks": how}
        tuner = gammatune.Tuner(model=model, optimizer=chosen, epochs=EPOCHS, **options)
        looked, states = Looked(directory), 0
        with looked.on(), tuner:
            for run in tuner:
                states = max(states, sum(name.startswith("state") for name in looked.now()))
                epoch(run.batches(batches))
                run.report(**run.evaluate(validate))
        scores = [outcome.score for outcome in tuner.result.rollouts if outcome.role == "course"]
        found |= _peak() | {"scores": scores, "cost": tuner.cost.plain_runs}
        if how == "run_dir":
            found |= {"states": states, "disk": looked.most, "left": looked.now()}
    return found


def _peak() -> dict[str, float]:
    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux KiB
    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}


def measured(script: str) -> dict[str, Any]:
    """script: that calls `trained` where it is given --large."""
    result: dict[str, Any] = {"units": {"peak": "MiB", "disk": "MiB", "left": "MiB"}, "epochs": EPOCHS}
    for optimizer in OPTIMIZERS:
        cells = {
            how: harness.in_a_process(script, "--large", json.dumps([optimizer, how])) for how in LOOP_NAMES
        }
        for how, cell in cells.items():
            cell["of_plain"] = cell["peak"] / cells["plain"]["peak"]
            print(f"{optimizer}, {how}: peak {cell['peak']:.0f} MiB, {cell['of_plain']:.2f} of plain", end="")
            print(f", {cell['states']} states, {cell['disk']} MiB on disk" if "disk" in cell else "")
        result[optimizer] = cells
    return result
