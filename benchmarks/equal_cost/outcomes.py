"""Cells: a method on a task under a seed; each is computed once and kept, so that a run can be killed anywhere.

    .cache/v<tasks.VERSION>/cells/<task>/<seed>.jsonl
    .cache/v<tasks.VERSION>/trainings/<task>/<seed>.jsonl

A method is a function (task, seed) -> Cell; the modules of methods/ name theirs in a dictionary METHODS. Trainings
that several methods need are kept too, with their cost and seconds, which every method that uses them pays in full.
"""

import fnmatch
import importlib
import json
import math
import pkgutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

import data
import harness
import methods as methods_package
from tasks import TASKS, VERSION, Setting, Task
from training import SHAPES, Trace, train

import gammatune

STORE = data.CACHE / f"v{VERSION}"
RESULTS = data.HERE.parent / "results" / "equal_cost.json"
PACKAGES = (  # whose versions a result file names
    "gammatune", "torch", "numpy", "scipy", "scikit-learn", "optuna", "prodigyopt", "schedulefree", "gen-optim",
)  # fmt: skip
LRS = tuple(10 ** (-5 + i / 8) for i in range(49))  # 1e-5 .. 10: what tuned rates are snapped to


@dataclass(frozen=True)
class Cell:
    """What a method reached.

    test, second, select: the task's error of the model it hands over; None for data that it trained on.
    cost: in plain runs. seconds: of the processor. diverged: the model handed over is no good.
    chosen: what was chosen, the rate among it. note: in words, what else there is to know.
    measured: the metrics of the model it hands over, on the test part.
    """

    task: str
    method: str
    seed: int
    test: float
    second: float | None
    select: float | None
    cost: float
    seconds: float
    diverged: bool
    chosen: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    measured: Mapping[str, float] = field(default_factory=dict)


Method = Callable[[Task, int], Cell]


def cell_of(
    setting: Setting, method: str, trace: Trace, trials: Sequence[Trace] = (), *, seconds: float = 0.0,
    cost: float = 0.0, chosen: Mapping[str, Any] | None = None, note: str = "",
) -> Cell:  # fmt: skip
    """The cell of a method that hands over the model of `trace`, after `trials` (`trace` alone if none).

    seconds, cost: what it took besides the trials.
    """
    paid = trials or (trace,)
    errors = {part: setting.error(metrics) for part, metrics in trace.metrics.items()}
    return Cell(
        setting.task.name,
        method,
        setting.seed,
        errors["test"],
        errors.get("second"),
        errors.get("select"),
        cost + sum(t.cost for t in paid),
        seconds + sum(t.seconds for t in paid),
        trace.diverged,
        chosen or {},
        note,
        trace.metrics["test"],
    )


@lru_cache(maxsize=4)
def setting_of(task: Task, seed: int) -> Setting:
    return task.setting(seed)


def snapped(lr: float) -> int:
    """The place in LRS nearest to a rate, on the logarithmic scale."""
    return min(max(round(8 * (math.log10(lr) + 5)), 0), len(LRS) - 1)


def trained(setting: Setting, shape: str, place: int) -> Trace:
    """A plain run of one of SHAPES at LRS[place], from the store where it has been run before."""
    name = f"{shape}-{place:02d}"
    return Trace(**kept(setting, name, lambda: train(setting, LRS[place], SHAPES[shape]).as_json()))


def kept(setting: Setting, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `make` gives, made once for this setting and name."""
    store = stored(STORE / "trainings" / setting.task.name / f"{setting.seed}.jsonl")
    found: dict[str, Any] = store.get({"name": name}, make)
    return found


@lru_cache(maxsize=4)
def stored(path: Path) -> harness.Cells:
    return harness.Cells(path)


# Methods and cells ----------------------------------------------------------------------------------------


@cache
def all_methods() -> dict[str, Method]:
    """METHODS of every module in methods/; a module whose packages are not installed is left out, and said."""
    found: dict[str, Method] = {}
    for module in sorted(pkgutil.iter_modules(methods_package.__path__), key=lambda m: m.name):
        try:
            found |= importlib.import_module(f"methods.{module.name}").METHODS
        except ImportError as error:
            print(f"methods/{module.name}.py left out: {error}", file=sys.stderr)
    return found


def chosen_names(known: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """The names that match any of the patterns ("*-tpe"), in their own order; all if there is none."""
    known = list(known)
    for pattern in patterns:
        if not fnmatch.filter(known, pattern):
            raise SystemExit(f"nothing is called {pattern!r}; there are: {', '.join(known)}")
    return [name for name in known if not patterns or any(fnmatch.fnmatch(name, p) for p in patterns)]


def compute(task: str, method: str, seed: int, *, again: bool = False) -> tuple[Cell, bool]:
    """The cell, and whether it was computed now. A method that raises is a failed cell with its error as note."""

    def made() -> dict[str, Any]:
        harness.seed_all(seed)
        try:
            cell = all_methods()[method](TASKS[task], seed)
        except Exception as error:
            traceback.print_exc()
            nothing = setting_of(TASKS[task], seed).error({"loss": math.nan})
            note = f"failed: {type(error).__name__}: {error}"
            cell = Cell(task, method, seed, nothing, nothing, nothing, 0.0, 0.0, True, {}, note)
        return {"commit": commit(), "cell": asdict(cell)}

    store, key = stored(STORE / "cells" / task / f"{seed}.jsonl"), {"method": method}
    fresh = again or key not in store
    return Cell(**store.get(key, made, again=again)["cell"]), fresh


def commit() -> str:
    """Of the gammatune that was imported, which may be a checkout apart from the benchmark's own files."""
    command = ["git", "-C", str(Path(gammatune.__file__).parent), "rev-parse", "--short", "HEAD"]
    answer = subprocess.run(command, capture_output=True, text=True)
    return answer.stdout.strip() or "unknown"


# Results --------------------------------------------------------------------------------------------------


def collect(out: Path = RESULTS) -> int:
    """Merge every kept cell into the result file; how many it holds then."""
    cells: dict[tuple[str, str, int], dict[str, Any]] = {}
    commits: set[str] = set()
    if out.exists():
        before = json.loads(out.read_text())
        if before["version"] == VERSION:
            cells = {(c["task"], c["method"], c["seed"]): c for c in before["cells"]}
            commits = set(before["commits"])
    for path in sorted((STORE / "cells").glob("*/*.jsonl")):
        for found in (row["value"] for row in harness.Cells(path)):
            cell = found["cell"]
            if cell["task"] in TASKS:
                cells[cell["task"], cell["method"], cell["seed"]] = harness.rounded(cell, 6)
                commits.add(found["commit"])
    content = {
        "benchmark": "equal_cost",
        "version": VERSION,
        "commits": sorted(commits),
        "machine": harness.machine(*PACKAGES),
        "threads": 1,
        "tasks": {task.name: facts(task) for task in TASKS.values()},
        "cells": [cells[key] for key in sorted(cells)],
    }
    harness.save(out, content, by_line=True)
    return len(cells)


def facts(task: Task) -> dict[str, Any]:
    """What a reader of the results must know of a task."""
    sizes = {part: len(x) for part, (x, _) in setting_of(task, 0).parts.items()}
    names = ("epochs", "batch_size", "optimizer", "default_lr", "weight_decay", "development", "metric")
    return {name: getattr(task, name) for name in names} | sizes
