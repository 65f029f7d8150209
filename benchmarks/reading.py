"""What reading and preparing a table costs, in times of pandas' own read of the same file, and in memory.

    python benchmarks/reading.py [--rows 200000] [--out benchmarks/results/reading.json]

The table has 30 columns: 14 measured numbers, 6 counts, 7 of words, of which one differs in most rows, 2 of dates,
and the target. Each step is done in a process of its own, which has its imports and a small table behind it; seconds
are those of the processor, the middle of some repeats.

    pandas     pandas.read_csv
    read       gammatune's reading of the file
    prepare    the columns told, the rows parted, learned from and encoded, duplicates and leaks looked for
    rss        the most memory that the process had, GiB
"""

import argparse
import json
import resource
import tempfile
from pathlib import Path
from typing import Any

import harness
import numpy as np
import pandas as pd

from gammatune.pipeline.data.files.reading import read_table
from gammatune.pipeline.data.table import make_table, split_table

WORDS = np.array(["red", "green", "blue", "yellow", "dark grey", "white"])


def write(path: Path, rows: int) -> None:
    draw = np.random.default_rng(0)
    columns: dict[str, Any] = {f"measured {i}": draw.normal(size=rows).round(4) for i in range(14)}
    columns |= {f"count {i}": draw.integers(0, 10 ** (i + 1), rows) for i in range(6)}
    columns |= {f"word {i}": WORDS[draw.integers(0, len(WORDS), rows)] for i in range(4)}
    columns["city"] = [f"city {i}" for i in draw.integers(0, 300, rows)]
    columns["note"] = [f"n{i}" for i in draw.integers(0, 10**6, rows)]
    columns["agrees"] = np.where(draw.random(rows) < 0.5, "yes", "no")
    days = pd.Timestamp("2015-01-01") + pd.to_timedelta(draw.integers(0, 3000, rows), unit="D")
    columns["day"] = days.strftime("%Y-%m-%d")
    seconds = pd.to_timedelta(draw.integers(0, 86400, rows), unit="s")
    columns["seen"] = (days + seconds).strftime("%Y-%m-%d %H:%M:%S")
    above = columns["measured 0"] + columns["measured 1"] + draw.normal(size=rows) > 0
    frame = pd.DataFrame(columns | {"target": np.where(above, "up", "down")})
    for name in ("measured 3", "word 2"):
        frame.loc[draw.random(rows) < 0.05, name] = None
    frame.to_csv(path, index=False)


def by_pandas(path: Path) -> dict[str, float]:
    with harness.timed() as taken:
        pd.read_csv(path)
    return {"pandas": taken.processor}


def by_gammatune(path: Path) -> dict[str, float]:
    with harness.timed() as reading:
        frame = read_table(path, []).frame
    with harness.timed() as preparing:
        split_table(make_table("t", frame, "target"), seed=0)
    return {"read": reading.processor, "prepare": preparing.processor}


STEPS = {"pandas": by_pandas, "gammatune": by_gammatune}


def one(step: str, path: Path, warm: Path) -> dict[str, float]:
    by_gammatune(warm)
    found = STEPS[step](path)
    return found | {"rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def main() -> None:
    parser = harness.arguments(__doc__, "benchmarks/results/reading.json")
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=3, help="of which the middle one counts")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        print(json.dumps(one(given.one[0], *map(Path, given.one[1:]))))
        return
    result: dict[str, Any] = {**harness.about("gammatune", "pandas", "pyarrow"), "tables": []}
    with tempfile.TemporaryDirectory() as scratch:
        path, warm = Path(scratch) / "table.csv", Path(scratch) / "warm.csv"
        write(warm, 100)
        for rows in given.rows:
            write(path, rows)
            table: dict[str, Any] = {"rows": rows, "columns": 30, "mib": path.stat().st_size / 2**20}
            for step in STEPS:
                runs = [
                    harness.in_a_process(__file__, "--one", step, str(path), str(warm))
                    for _ in range(given.repeats)
                ]
                table[step] = {key: sorted(run[key] for run in runs)[given.repeats // 2] for key in runs[0]}
            ours = table["gammatune"]
            table["ratio"] = (ours["read"] + ours["prepare"]) / table["pandas"]["pandas"]
            table["ratio of reading"] = ours["read"] / table["pandas"]["pandas"]
            result["tables"].append(table)
            print(
                f"{rows} rows: pandas {table['pandas']['pandas']:.2f} s, read {ours['read']:.2f} s, prepare "
                f"{ours['prepare']:.2f} s: {table['ratio']:.1f} times; {ours['rss']:.2f} GiB"
            )
    harness.save(given.out, harness.rounded(result))


if __name__ == "__main__":
    main()
