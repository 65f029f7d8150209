"""The eight trainings of recipes.py by their authors' recipes, by gammatune and by its peers.

    python benchmarks/long/measure.py --scale short [--seeds 3] [--only code,vae] [--methods 'ours*'] [--minutes 120]

A cell is a method on a training under a seed, a line of results/long.jsonl; what is there is not computed again, and
nothing begins after --minutes. Seeds go outermost, then trainings, so that whole comparisons are there first; ours-4,
which takes as long as four of the others, comes last in each seed. `standing.py` makes the table.

    ours-1.5, ours-4    gammatune with the author's optimizer, whose rate it knows as the optimizer's own: as many
                        steps as the recipe, 1.5 and 4 plain runs of compute (at 4 several nets, averaged; of the VAE
                        one, the best of several)
    author, author-1.5  the recipe, and the recipe stretched over 1.5 times the steps
    author x F          the recipe at F times its rate; the five with F = 1/9 .. 9 are the grid
    prodigy, schedule-free, and both with 1.5 times the steps, by equal_cost's rules

All train on the same examples from the same initial weights and see them in an order of their own seed; the part
"select" is for ours and the grid to choose by; what is reported is "test", after the last step. One thread. Seconds
are of the processor. A plain run of full scale takes one minute (finetune) to eight (cifar), and eighteen of mnist at
its author's fourteen epochs; three seeds of everything about 33 core-hours, by the time of some steps of each
(`standing.py --hours`; "full" in results/long.json):

    for i in $(seq 20); do python benchmarks/long/measure.py --scale full --minutes 120; done
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))
sys.path.append(str(Path(__file__).resolve().parents[1] / "equal_cost"))

import harness
import torch
from methods import ours
from outcomes import Cell, Method, all_methods, cell_of, chosen_names, commit, setting_of
from recipes import LOSS, SCALES, Recipe, recipes
from tasks import Task
from training import train

RESULTS = Path(__file__).resolve().parents[1] / "results" / "long.json"
FACTORS = (1 / 9, 1 / 3, 1, 3, 9)
KEY = ("scale", "task", "method", "seed")
LAST = ("ours-4",)  # in each seed
PACKAGES = ("gammatune", "torch", "numpy", "scikit-learn", "prodigyopt", "schedulefree")


def author(name: str, factor: float, times: float, task: Task, seed: int) -> Cell:
    assert isinstance(task, Recipe)
    setting, lr = setting_of(task, seed), task.default_lr * factor
    trace = train(setting, lr, task.shape, round(times * task.epochs))
    return cell_of(setting, name, trace, chosen={"lr": lr})


def own(name: str, budget: float, task: Task, seed: int) -> Cell:
    several = {"ensemble": True} if budget >= 2.5 and task.name != "vae" else {}
    return ours.run(task, seed, name, budget=budget, **several)


def peer(name: str, task: Task, seed: int) -> Cell:
    return all_methods()[name](task, seed)


def of_grid(factor: float) -> str:
    """The method that trains at the author's rate times this."""
    return "author" if factor == 1 else f"author x {factor:.2g}"


METHODS: dict[str, Method] = {
    "author": partial(author, "author", 1.0, 1.0),
    "ours-1.5": partial(own, "ours-1.5", 1.5),
    "author-1.5": partial(author, "author-1.5", 1.0, 1.5),
    **{
        name: partial(peer, name) for name in ("prodigy", "prodigy-1.5", "schedule-free", "schedule-free-1.5")
    },
    **{of_grid(f): partial(author, of_grid(f), f, 1.0) for f in FACTORS if f != 1},
    "ours-4": partial(own, "ours-4", 4.0),
}
known = cache(recipes)


def cell(scale: str, task: str, method: str, seed: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    made = asdict(METHODS[method](known(scale)[task], seed))
    return harness.rounded({**made, "commit": commit()}, 6)  # type: ignore[no-any-return]


def keys(scale: str, seeds: int, tasks: Sequence[str], methods: Sequence[str]) -> Iterator[dict[str, Any]]:
    for seed in range(seeds):
        for late in (False, True):
            for task in tasks:
                for method in methods:
                    if (method in LAST) is late:
                        yield {"scale": scale, "task": task, "method": method, "seed": seed}


def said(row: harness.Row) -> str:
    if "failed" in row:
        return f"{row['task']} {row['method']} seed {row['seed']}: {row['failed']}"
    what = "loss" if known(row["scale"])[row["task"]].metric == LOSS else "error"
    return (
        f"{row['task']:9} {row['method']:17} seed {row['seed']}: {what} {row['test']:.4f}  cost {row['cost']:.2f}  "
        f"{row['seconds']:.1f} s  lr {row['chosen'].get('lr', 0):.3g}"
    )


def main() -> None:
    parser = harness.arguments(__doc__, RESULTS, seeds=3, jobs=1, minutes=120)
    parser.add_argument("--scale", choices=SCALES, default="short")
    parser.add_argument("--only", default="", help="trainings, with commas")
    parser.add_argument("--methods", nargs="*", default=[], help="names or patterns")
    args = parser.parse_args()
    cells = harness.Cells.beside(args.out, *KEY)
    tasks = chosen_names(recipes(args.scale), [name for name in args.only.split(",") if name])
    wanted = keys(args.scale, args.seeds, tasks, chosen_names(METHODS, args.methods))
    harness.sweep(cells, wanted, cell, **harness.bounds(args), say=said)


if __name__ == "__main__":
    main()
