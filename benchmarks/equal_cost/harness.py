"""Cells: a method on a task under a seed; each is computed once and kept, so that a run can be killed anywhere.

    .cache/v<tasks.VERSION>/cells/<task>/<seed>/<method>.json
    .cache/v<tasks.VERSION>/trainings/<task>/<seed>/<name>.json

A method is a function (task, seed) -> Cell; the modules of methods/ name theirs in a dictionary METHODS. Trainings
that several methods need are kept too, with their cost and seconds, which every method that uses them pays in full.
"""

import fnmatch
import importlib
import json
import math
import os
import pkgutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import data
import methods as methods_package
from tasks import TASKS, VERSION, Setting, Task
from training import SHAPES, Trace, train

import gammatune

sys.path.append(str(Path(__file__).resolve().parent.parent))
from machine import machine

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
    path = STORE / "trainings" / setting.task.name / str(setting.seed) / f"{name}.json"
    if not path.exists():
        write(path, make())
    return json.loads(path.read_text())


def write(path: Path, content: object) -> None:
    """Beside its place first, then moved there whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(content))
    os.replace(beside, path)


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
    path = STORE / "cells" / task / str(seed) / f"{method}.json"
    if path.exists() and not again:
        return Cell(**json.loads(path.read_text())["cell"]), False
    try:
        cell = all_methods()[method](TASKS[task], seed)
    except Exception as error:
        traceback.print_exc()
        nothing = setting_of(TASKS[task], seed).error({"loss": math.nan})
        note = f"failed: {type(error).__name__}: {error}"
        cell = Cell(task, method, seed, nothing, nothing, nothing, 0.0, 0.0, True, {}, note)
    write(path, {"commit": commit(), "cell": asdict(cell)})
    return cell, True


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
    for path in sorted((STORE / "cells").glob("*/*/*.json")):
        found = json.loads(path.read_text())
        cell = found["cell"]
        if cell["task"] in TASKS:
            cells[cell["task"], cell["method"], cell["seed"]] = rounded(cell)
            commits.add(found["commit"])
    head = {
        "benchmark": "equal_cost",
        "version": VERSION,
        "commits": sorted(commits),
        "machine": machine(*PACKAGES),
        "threads": 1,
        "tasks": {task.name: facts(task) for task in TASKS.values()},
    }
    lines = [json.dumps(cells[key]) for key in sorted(cells)]
    text = json.dumps(head, indent=1)[:-2] + ',\n "cells": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.with_name(out.name + ".part")
    beside.write_text(text)
    os.replace(beside, out)
    return len(lines)


def facts(task: Task) -> dict[str, Any]:
    """What a reader of the results must know of a task."""
    sizes = {part: len(x) for part, (x, _) in setting_of(task, 0).parts.items()}
    names = ("epochs", "batch_size", "optimizer", "default_lr", "weight_decay", "development", "metric")
    return {name: getattr(task, name) for name in names} | sizes


def rounded(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Six significant digits are more than a cell is worth."""
    return {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in cell.items()}
