"""Run methods on tasks; what has been run is not run again.

    python benchmarks/equal_cost/run.py --tasks development --methods 'linear-*' defaults --seeds 5 --jobs 1

Seeds go outermost and the development tasks first, so that a run that is stopped early has a seed of everything.
"""

import argparse
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import torch  # noqa: E402 (the thread counts are read on import)
from harness import RESULTS, all_methods, chosen_names, collect, compute  # noqa: E402
from tasks import TASKS  # noqa: E402


def group(task: str, methods: list[str], seed: int, again: bool) -> float:
    """All methods on one task under one seed, which share trainings; the seconds it took."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    for method in methods:
        cell, fresh = compute(task, method, seed, again=again)
        if fresh:
            print(
                f"{time.strftime('%H:%M:%S')} seed {seed} {task:18} {method:24} test {cell.test:.4f}  cost "
                f"{cell.cost:6.2f}  {cell.seconds:6.1f} s  {dict(cell.chosen)} {cell.note}",
                flush=True,
            )
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="*", default=[], help="names, patterns, 'development' or 'frozen'")
    parser.add_argument("--methods", nargs="*", default=[], help="names or patterns")
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="compute the cells anew (not their trainings)")
    parser.add_argument("--collect", action="store_true", help="only gather what has been run")
    parser.add_argument("--data", type=Path, help="the folder of the data files")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    if args.data:
        os.environ["GAMMATUNE_DATA"] = str(args.data)
    if not args.collect:
        run(args)
    print(f"{collect(args.out)} cells in {args.out.name}")


def run(args: argparse.Namespace) -> None:
    ordered = sorted(TASKS, key=lambda name: not TASKS[name].development)
    groups = {"development": True, "frozen": False}
    wanted = [pattern for pattern in args.tasks if pattern not in groups]
    tasks = chosen_names(ordered, wanted) if wanted or not args.tasks else []
    kinds = [groups[name] for name in args.tasks if name in groups]
    tasks = [name for name in ordered if name in tasks or TASKS[name].development in kinds]
    methods = chosen_names(all_methods(), args.methods)
    jobs = [(task, methods, seed, args.again) for seed in range(args.seeds) for task in tasks]
    if args.jobs == 1:
        for job in jobs:
            said(job, group(*job))
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(args.jobs, mp_context=spawn) as pool:
        for job, taken in zip(jobs, pool.map(group, *zip(*jobs, strict=True)), strict=True):
            said(job, taken)


def said(job: tuple[str, list[str], int, bool], taken: float) -> None:
    print(f"== seed {job[2]} {job[0]}: {len(job[1])} methods, {taken:.0f} s", flush=True)


if __name__ == "__main__":
    main()
