"""What the documents say of the policy on the population, one number a place: experiments/results/end_ratios.json.

    python experiments/population/end_ratios.py

From the runs of end_to_end.py (end.jsonl) and the landscapes, both of which lie there already. For each length, over
the part that was looked at once and over all parts: n; cost, [least, most] plain runs, validation left out; ratios of
the test error, geometric means, each held in [1/2, 2]: to `thumb`, the usual rate, and to `best`, that of the
landscape's rates which its selection data choose; regret: what the chosen rate alone leads to, over the landscape's
least, one by one in order.
"""

import math
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import harness
import numpy as np
from end_to_end import OUT as RUNS
from end_to_end import known
from landscapes import CLIPPED, log_error
from trainings import TASKS

OUT = RUNS.parent.parent / "end_ratios.json"
WITHIN = 1.02, 1.06  # regrets that are counted


def ratios(rows: list[harness.Row]) -> dict[str, Any]:
    landscapes = [known()[row["task"]] for row in rows]
    errors = np.array([log_error(row["error"]) for row in rows])
    thumb = errors - [float(one.thumb["thumb"].mean()) for one in landscapes]
    best = errors - [float(one.test[0][int(np.argmax(one.select[0]))]) for one in landscapes]
    regrets = sorted(round(math.exp(row["regret"]), 3) for row in rows)
    return {
        "n": len(rows),
        "cost": [min(row["cost"] for row in rows), max(row["cost"] for row in rows)],
        "thumb": _mean(thumb),
        "best": _mean(best),
        "regret": regrets,
        **{f"within {bound}": sum(regret <= bound for regret in regrets) for bound in WITHIN},
        "versions": sorted({row["version"] for row in rows}),
    }


def _mean(logs: Any) -> float:
    return round(math.exp(float(np.clip(logs, -CLIPPED, CLIPPED).mean())), 4)


def content() -> dict[str, Any]:
    runs = [row for row in harness.read(RUNS) if "failed" not in row]
    lengths = sorted({TASKS[row["task"]].length for row in runs})
    made: dict[str, Any] = {}
    for title, parts in (("once", ("once",)), ("all", ("fit", "choose", "once"))):
        of = {length: _of(runs, parts, length) for length in lengths}
        made[title] = {length: ratios(rows) for length, rows in of.items() if rows}
    return made


def _of(runs: list[harness.Row], parts: tuple[str, ...], length: str) -> list[harness.Row]:
    return [row for row in runs if TASKS[row["task"]].part in parts and TASKS[row["task"]].length == length]


if __name__ == "__main__":
    harness.save(OUT, harness.about("gammatune", "torch", "numpy") | content())
