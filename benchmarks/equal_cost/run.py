"""Run methods on tasks; what has been run is not run again.

    python benchmarks/equal_cost/run.py --tasks development --methods 'linear-*' defaults --seeds 5 --jobs 1

Seeds go outermost and the development tasks first, so that a run that is stopped early has a seed of everything.
"""

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

import harness
from outcomes import RESULTS, all_methods, chosen_names, collect, compute
from tasks import TASKS


def group(task: str, methods: list[str], seed: int, again: bool) -> str:
    """All methods on one task under one seed, which share trainings; how long they took."""
    began = time.perf_counter()
    for method in methods:
        cell, fresh = compute(task, method, seed, again=again)
        if fresh:
            print(
                f"{time.strftime('%H:%M:%S')} seed {seed} {task:18} {method:24} test {cell.test:.4f}  cost "
                f"{cell.cost:6.2f}  {cell.seconds:6.1f} s  {dict(cell.chosen)} {cell.note}",
                flush=True,
            )
    return f"== seed {seed} {task}: {len(methods)} methods, {time.perf_counter() - began:.0f} s"


def main() -> None:
    parser = harness.arguments(__doc__, RESULTS, seeds=5, jobs=1)
    parser.add_argument("--tasks", nargs="*", default=[], help="names, patterns, 'development' or 'frozen'")
    parser.add_argument("--methods", nargs="*", default=[], help="names or patterns")
    parser.add_argument("--again", action="store_true", help="compute the cells anew (not their trainings)")
    parser.add_argument("--collect", action="store_true", help="only gather what has been run")
    parser.add_argument("--data", type=Path, help="the folder of the data files")
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
    for taken in harness.each(group, jobs, args.jobs):
        print(taken, flush=True)


if __name__ == "__main__":
    main()
