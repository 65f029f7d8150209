"""What the documents say of equal cost, one number a place: `benchmarks/results/equal_cost_ratios.json`.

    python benchmarks/equal_cost/ratios.py

The rows of table.py over the frozen tasks, whose words these are: `frozen` against its reference, `head to head`
method by method under "ONE against OTHER". ratio, low, high: of test errors, with the 95 % interval over tasks (null
where there is one task); worst: the largest ratio of a task; lower: on how many tasks it is below 1; level: on how
many the task's interval contains 1; cost in plain runs.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from table import BOUND, HEAD_TO_HEAD, REFERENCE, RESULTS, Cells, Row, harness, paired, row

OUT = RESULTS.with_name("equal_cost_ratios.json")
DIGITS = 5  # behind the point: no last bit of another machine is in the file
TOLD = (*HEAD_TO_HEAD, ("lookahead-1.5", "prodigy"), ("greedy", "lookahead-1.5"))


def numbers(row: Row, cells: Cells, tasks: Mapping[str, Any], other: str) -> dict[str, Any]:
    of = [pair.ratio.value for pair in paired(cells, tasks, row.method, other)]
    low, high = (None if math.isnan(end) else round(end, DIGITS) for end in (row.ratio.low, row.ratio.high))
    return {
        "ratio": round(row.ratio.value, DIGITS),
        "low": low,
        "high": high,
        "tasks": row.tasks,
        "pairs": row.pairs,
        "lower": sum(value < 1 for value in of),
        "level": row.words[1],
        "worst": round(row.worst_task[1].value, DIGITS),
        "worst task": row.worst_task[0],
        "cost": round(row.cost, DIGITS),
    }


def ratios(results: Mapping[str, Any]) -> dict[str, Any]:
    cells = {(c["task"], c["method"], c["seed"]): c for c in results["cells"]}
    tasks = {task: facts for task, facts in results["tasks"].items() if not facts["development"]}
    methods = sorted({method for _, method, _ in cells})
    pairs = [(REFERENCE, method, method) for method in methods]
    against = [(other, method, f"{method} against {other}") for method, other in TOLD]
    groups = {}
    for title, of in (("frozen", pairs), ("head to head", against)):
        rows = {name: (row(cells, tasks, method, other, BOUND), other) for other, method, name in of}
        groups[title] = {
            n: numbers(r, cells, tasks, other) for n, (r, other) in rows.items() if r is not None
        }
    return {
        "command": "python benchmarks/equal_cost/ratios.py",
        "cells of": RESULTS.name,
        "machine": results["machine"],  # on which the cells were trained
        **groups,
    }


if __name__ == "__main__":
    harness.save(OUT, ratios(json.loads(RESULTS.read_text())))
