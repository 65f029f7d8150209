"""Landscapes of the population: what every rate leads to, and what a policy could see of it on the way.

    python experiments/population/cells.py [--tasks PATTERN ...] [--lengths short long tiny] [--jobs 2]
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

import argparse
import fnmatch
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import torch  # noqa: E402 (the thread counts are read on import)
from lines import append, read_lines  # noqa: E402
from loops import RULE_OF_THUMB, TRIANGLE, first_sight, judge, problem, rates_of, train  # noqa: E402
from trainings import TASKS, Task  # noqa: E402

RESULTS = Path(__file__).parent.parent / "results" / "population"
COURSE_LOOKS = 4, 8, 16  # of the course: a k-th
TRIANGLES = 4, 8, 16, 32
LEAST_LOOK = 4  # steps
SEEDS = {"short": 2, "long": 1, "tiny": 2}


def rounded(value: Any) -> Any:
    """Four digits are more than a cell is worth."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {str(k): rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, (list, tuple)) else value


def cell(task: Task, seed: int, u: float) -> dict[str, Any]:
    """Everything at one rate."""
    made, lr = problem(task, seed), 10.0**u
    looks = {k: task.steps // k for k in COURSE_LOOKS if task.steps // k >= LEAST_LOOK}
    run = train(made, lr, task.steps, looks=tuple(looks.values()))
    out: dict[str, Any] = {"task": task.name, "seed": seed, "u": u, "steps": run.steps, "whole": None}
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
    return rounded(out)


def opening(task: Task, seed: int) -> dict[str, Any]:
    """What is known before the first look, what doing nothing scores, the rule of thumb at 1 and 1.5 times the
    steps."""
    made = problem(task, seed)
    model = made.model()
    out: dict[str, Any] = {"task": task.name, "seed": seed, "first": first_sight(made)}
    out["nothing"] = [*judge(made, model, made.select), *judge(made, model, made.test)]
    for name, factor in (("thumb", 1.0), ("thumb1.5", 1.5)):
        run = train(made, RULE_OF_THUMB.get(task.optimizer, 1e-3), int(factor * task.steps))
        out[name] = None if run.model is None else judge(made, run.model, made.test)
    return rounded(out)


def known(path: Path) -> set[tuple[str, int, float | None]]:
    return {(c["task"], c["seed"], round(c["u"], 3) if "u" in c else None) for c in read_lines(path)}


def compute(name: str, seed: int, until: float, out: Path) -> str:
    """All cells of a task under a seed that are not there yet, until the clock says `until`."""
    torch.set_num_threads(1)
    task, began = TASKS[name], time.process_time()
    path = out / f"{task.length}.jsonl"
    done = known(path)
    for u in [None, *rates_of(task.optimizer)]:
        if (name, seed, u) in done:
            continue
        if time.time() > until:
            return f"{name} {seed}: out of time"
        append(path, opening(task, seed) if u is None else cell(task, seed, u))
    return f"{name} {seed}: {time.process_time() - began:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="*", default=["*"])
    parser.add_argument("--lengths", nargs="*", default=list(SEEDS), choices=list(SEEDS))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    until = time.time() + 60 * args.minutes
    args.out.mkdir(parents=True, exist_ok=True)
    wanted = [t for t in TASKS.values() if t.length in args.lengths]
    wanted = [t for t in wanted if any(fnmatch.fnmatch(t.name, pattern) for pattern in args.tasks)]
    jobs = [(t.name, seed) for seed in range(max(SEEDS.values())) for t in wanted if seed < SEEDS[t.length]]
    if args.jobs == 1:
        for name, seed in jobs:
            print(compute(name, seed, until, args.out), flush=True)
        return
    with ProcessPoolExecutor(args.jobs) as pool:
        for said in [pool.submit(compute, name, seed, until, args.out) for name, seed in jobs]:
            print(said.result(), flush=True)


if __name__ == "__main__":
    main()
