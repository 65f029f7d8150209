"""Landscapes of the population: what every rate leads to, and what a policy could see of it on the way.

    python experiments/population/cells.py [--tasks PATTERN ...] [--lengths short long tiny clipped] [--jobs 2]
                                           [--minutes 120]

Appends a line a training to experiments/results/population/<length>.jsonl and leaves out what is there, so that it
can be stopped and begun again anywhere. GAMMATUNE_DATA: the directory of mnist.npz and cifar10_train_jpeg.npz. Fields
of a line:

    task, seed, u   log10 of the rate; a line without u is what is known of the task before the first look
    whole           [error, loss] on the selection part and [error, loss] on the test part at the end; null: it died
    tail            mean training loss of the last third
    steps           that were trained
    raw, avg        by the k of the course's first T/k: [error, loss] on the selection part of the weights as they
                    stand and averaged over the second half
    tri             by the k of a triangle of T/k steps: [error, loss, mean training loss of its last third]; null:
                    it died
"""

import fnmatch
import sys
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import harness
from loops import RULE_OF_THUMB, TRIANGLE, first_sight, judge, problem, rates_of, train
from trainings import TASKS, Task

RESULTS = Path(__file__).parent.parent / "results" / "population"
COURSE_LOOKS = 4, 8, 16  # of the course: a k-th
TRIANGLES = 4, 8, 16, 32
LEAST_LOOK = 4  # steps
SEEDS = {"short": 2, "long": 1, "tiny": 2, "clipped": 1}


def compute(task: str, seed: int, u: float | None) -> dict[str, Any]:
    """The cell of a task: four digits are more than it is worth."""
    made: dict[str, Any] = harness.rounded(
        opening(TASKS[task], seed) if u is None else cell(TASKS[task], seed, u)
    )
    return made


def cell(task: Task, seed: int, u: float) -> dict[str, Any]:
    """Everything at one rate."""
    made, lr = problem(task, seed), 10.0**u
    looks = {k: task.steps // k for k in COURSE_LOOKS if task.steps // k >= LEAST_LOOK}
    run = train(made, lr, task.steps, looks=tuple(looks.values()))
    out: dict[str, Any] = {"steps": run.steps, "whole": None}
    if run.model is not None:
        out["whole"] = [*judge(made, run.model, made.select), *judge(made, run.model, made.test)]
    out["tail"] = run.tail
    for what in ("raw", "avg"):
        out[what] = {k: run.looks[n][what] if n in run.looks else None for k, n in looks.items()}
    out["tri"] = {}
    for k in (1,) if task.length == "tiny" else TRIANGLES:
        if (n := task.steps // k) >= LEAST_LOOK:
            look = train(made, lr, n, warm_up=TRIANGLE)
            out["tri"][k] = None if look.model is None else [*judge(made, look.model, made.select), look.tail]
    return out


def opening(task: Task, seed: int) -> dict[str, Any]:
    """What is known before the first look, what doing nothing scores, the rule of thumb at 1 and 1.5 times the
    steps."""
    made = problem(task, seed)
    model = made.model()
    out: dict[str, Any] = {"first": first_sight(made)}
    out["nothing"] = [*judge(made, model, made.select), *judge(made, model, made.test)]
    for name, factor in (("thumb", 1.0), ("thumb1.5", 1.5)):
        run = train(made, RULE_OF_THUMB.get(task.optimizer, 1e-3), int(factor * task.steps))
        out[name] = None if run.model is None else judge(made, run.model, made.test)
    return out


def main() -> None:
    parser = harness.arguments(__doc__, RESULTS, minutes=120, jobs=1)
    parser.add_argument("--tasks", nargs="*", default=["*"])
    parser.add_argument("--lengths", nargs="*", default=list(SEEDS), choices=list(SEEDS))
    args = parser.parse_args()
    until = time.time() + 60 * args.minutes
    for length in args.lengths:
        tasks = [task for task in TASKS.values() if task.length == length]
        tasks = [task for task in tasks if any(fnmatch.fnmatch(task.name, pattern) for pattern in args.tasks)]
        keys = [
            {"task": task.name, "seed": seed, "u": u}
            for seed in range(SEEDS[length])
            for task in tasks
            for u in (None, *rates_of(task.optimizer, task.clip))
        ]
        if keys:
            cells = harness.Cells(args.out / f"{length}.jsonl", "task", "seed", "u")
            args.minutes = (until - time.time()) / 60
            harness.sweep(cells, keys, compute, **harness.bounds(args), say=said)


def said(row: dict[str, Any]) -> str:
    return f"{row['task']} {row['seed']} {row.get('u', 'before the first look')}: {row.get('failed', 'done')}"


if __name__ == "__main__":
    main()
