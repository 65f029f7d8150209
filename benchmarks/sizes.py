"""Tables as large as people have them, by the one-line command within its time: how long each phase takes, how much
memory the process holds, and how long it says nothing.

    python benchmarks/sizes.py [--only tall,wide,usual] [--time 5m] [--out benchmarks/results/sizes.json]

    usual   6,000 rows, 80 columns
    wide    500 rows, 2,000 columns
    tall    1,000,000 rows, 30 columns

Every table has numbers, of which a tenth is missing, categories of 3 to 40 levels, a date and free text, and a class
of two that follows from a few of them. seconds of a phase: from its first line to that of the next, by the clock, and
of the processor over all; silent: the longest time between two lines, where nobody looks at a screen. GB: the most
that the process held (getrusage). The load of the machine stands beside: other processes took part.
"""

import json
import os
import subprocess
import sys
import tempfile
import time as clock
from pathlib import Path
from typing import Any

import harness
import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
SIZES = {"usual": (6_000, 80), "wide": (500, 2_000), "tall": (1_000_000, 30)}
# Of a phase, how its first line begins; see `phase_of`.
PHASES = ("reading", "training", "models", "columns", "after")
PIECE = 50_000  # rows that are made at once


def main() -> None:
    parser = harness.arguments(__doc__, HERE / "results" / "sizes.json")
    parser.add_argument("--only", default="", help="names, parted by commas")
    parser.add_argument("--time", default="5m")
    args = parser.parse_args()
    cells = json.loads(args.out.read_text())["cells"] if args.out.exists() else []
    for name in args.only.split(",") if args.only else SIZES:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{name}.csv"
            make(file, *SIZES[name])
            found = {"size": name, "time": args.time, **measured(file, args.time)}
        cells = [cell for cell in cells if cell["size"] != name] + [found]
        harness.save(
            args.out, {"machine": harness.machine("torch", "scikit-learn", "pandas"), "cells": cells}
        )
    print(table(cells))


def make(file: Path, rows: int, columns: int) -> None:
    rng = np.random.default_rng(0)
    for start in range(0, rows, PIECE):
        piece = some(rng, min(PIECE, rows - start), columns, start)
        piece.to_csv(file, mode="a", index=False, header=start == 0)


def some(rng: np.random.Generator, n: int, columns: int, start: int) -> pd.DataFrame:
    """n rows; of the columns six tenths are numbers, the rest categories, but for a date, a text and the target."""
    numbers = 6 * columns // 10
    x = rng.normal(size=(n, numbers)).round(3)
    codes = np.stack([rng.integers(3 + place % 38, size=n) for place in range(columns - numbers - 3)], axis=1)
    known = x[:, 0] + np.sin(2 * x[:, 1]) + (codes[:, 0] == 1) + 0.7 * rng.normal(size=n) > 0.3
    x[rng.random(x.shape) < 0.1] = np.nan
    held = {f"number {place}": column for place, column in enumerate(x.T)}
    held |= {
        f"kind {place}": np.char.add("level ", column.astype(str)) for place, column in enumerate(codes.T)
    }
    held["day"] = (np.datetime64("2015-01-01") + rng.integers(3_000, size=n)).astype(str)
    words = np.array(["red", "old", "large", "broken", "new", "paid", "late", "north", "twice", "never"])
    held["remark"] = [" ".join(words[rng.integers(10, size=6)]) + f" {start + row}" for row in range(n)]
    held["answer"] = np.where(known, "yes", "no")
    return pd.DataFrame(held)


def measured(file: Path, time: str) -> dict[str, Any]:
    """The command in a process of its own, whose lines are timed as they come."""
    command = ["-u", "-m", "gammatune.cli", "train", str(file), "--target", "answer", "--time", time]
    began = clock.perf_counter()
    loads = [os.getloadavg()[0]]
    process = subprocess.Popen(
        [sys.executable, *command, "--run-dir", str(file.parent / "run")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    said = [(0.0, "")]
    for line in process.stdout:
        said.append((clock.perf_counter() - began, line.rstrip()))
        loads.append(os.getloadavg()[0])
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    whole = clock.perf_counter() - began
    gaps = [(b - a, line) for (a, line), (b, _) in zip(said, [*said[1:], (whole, "")], strict=True)]
    silent, behind = max(gaps)
    return {
        "status": process.returncode,
        "seconds": round(whole, 1),
        "phases": phases(said, whole),
        "silent": round(silent, 1),
        "silent_after": behind[:80],
        "memory_gb": round(used.ru_maxrss / 2**20, 2),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "file_mb": round(file.stat().st_size / 1e6, 1),
        "load": [round(min(loads), 1), round(max(loads), 1)],
    }


def phases(said: list[tuple[float, str]], whole: float) -> dict[str, float]:
    """Seconds of each."""
    found, phase, since = dict.fromkeys(PHASES, 0.0), PHASES[0], 0.0
    for at, line in said:
        begun = phase_of(line)
        if begun is not None and PHASES.index(begun) > PHASES.index(phase):
            found[phase] += at - since
            phase, since = begun, at
    found[phase] += whole - since
    return {name: round(seconds, 1) for name, seconds in found.items()}


def phase_of(line: str) -> str | None:
    """Of which a line is the first."""
    if "beside the net" in line:
        return "models"
    if line.startswith("what each column is worth"):
        return "columns"
    if line.startswith(("schedule found", "measured on")):
        return "after"
    return "training" if line.startswith(("course:", "epoch ")) else None


def table(cells: list[Any]) -> str:
    heads = ["size", "seconds", "of the processor", *PHASES, "silent", "GB", "load"]
    rows = [
        [
            *(cell["size"], f"{cell['seconds']:.0f}", f"{cell['processor_seconds']:.0f}"),
            *(f"{cell['phases'][name]:.0f}" for name in PHASES),
            *(f"{cell['silent']:.0f}", f"{cell['memory_gb']:.1f}", f"{cell['load'][0]} to {cell['load'][1]}"),
        ]
        for cell in cells
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows])


if __name__ == "__main__":
    main()
