"""`gammatune.find_lr` on trainings of the population: how far the rate that it names is from the best there is.

    python experiments/population/find_lr.py [--parts choose once] [--lengths short] [--costs 0.1 0.5]
    python experiments/population/find_lr.py --summary

Appends a line a call to experiments/results/population/find_lr.jsonl and leaves out what is there. The optimizer
comes with the rule of thumb's rate. allowed: `cost` as it was asked for; cost: what it took. regret: the logarithm of
the ratio of the test error at the rate that was named to the lowest of the landscape, both of whole trainings; thumb:
that of the rule of thumb. Left out are tasks whose loss is not one of outputs and targets, text, optimizers that need
a closure or are two, and data that are not here.
"""

import fnmatch
import math
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import harness
import numpy as np
import torch
from landscapes import CLIPPED, RESULTS, Landscape, read
from loops import OPTIMIZERS, RULE_OF_THUMB, problem
from sources import load
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from trainings import TASKS, Task

import gammatune
from gammatune.policy.lookahead import VERSION

OUT = RESULTS / "find_lr.jsonl"
OTHERS = "lbfgs", "muon"
DRAWS = 2000


@cache
def known() -> dict[str, Landscape]:
    return {one.task.name: one for one in read(sorted(RESULTS.glob("[slt]*.jsonl")))}


def found(task: str, seed: int, allowed: float, version: int) -> harness.Row:
    """One call. allowed: its `cost`. version: of the policy, whose opening it is."""
    made = problem(TASKS[task], seed)
    model, thumb = made.model(), RULE_OF_THUMB.get(made.task.optimizer, 1e-3)
    optimizer = OPTIMIZERS[made.task.optimizer](model, thumb)
    order = torch.Generator().manual_seed(seed + 7)
    loader = DataLoader(
        TensorDataset(*made.train), made.task.batch, shuffle=True, generator=order, drop_last=True
    )
    select = DataLoader(TensorDataset(*made.select), 1000)
    loss = nn.MSELoss() if made.task.goal == "copy" or made.data.kind == "numbers" else nn.CrossEntropyLoss()
    began = time.process_time()
    rate = gammatune.find_lr(
        *(model, optimizer, loader, loss), steps=made.task.steps, cost=allowed, val_loader=select, seed=seed
    )
    one = known()[task]
    return {
        "rate": harness.rounded(rate.rate),
        "band": [round(math.log10(edge), 2) for edge in rate.band],
        "cost": round(rate.cost, 3),
        "looks": [
            [look.steps, round(math.log10(look.rate), 2), look.score is not None] for look in rate.looks
        ],
        "regret": round(one.regret(math.log10(rate.rate)), 3),
        "thumb": round(one.regret(math.log10(thumb)), 3),
        "seconds": round(time.process_time() - began, 1),
    }


def is_asked(task: Task) -> bool:
    """Whether the task is a loss of outputs and targets, under one optimizer of torch's; and its data are there."""
    if task.goal not in ("", "copy") or task.optimizer in OTHERS:
        return False
    try:
        return load(task.source).kind != "tokens"
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        print(f"left out, since its data are not here: {task.name} ({error})")
        return False


def summary(path: Path) -> None:
    """By cost, over the tasks that have all of them: ratios of the test error to the lowest of the landscape,
    geometric means with their 95 % intervals over data sets, clipped as in `offline`; what it took; failures."""
    rows = harness.read(path)
    failed = [row for row in rows if "failed" in row]
    costs = sorted({row["allowed"] for row in rows})
    by = {(row["task"], row["seed"], row["allowed"]): row for row in rows if "failed" not in row}
    whole = sorted({key[:2] for key in by if all((*key[:2], cost) in by for cost in costs)})
    sources = {TASKS[task].source for task, _ in whole}
    print(f"{len(whole)} trainings (a task under a seed) on {len(sources)} data sets, failed {len(failed)}")
    for cost in costs:
        held = [by[task, seed, cost] for task, seed in whole]
        told([row["regret"] for row in held], held, f"cost {cost:g}")
        looks = [len(row["looks"]) for row in held]
        inside = [row["band"][0] <= known()[row["task"]].best <= row["band"][1] for row in held]
        print(
            f"    took {np.mean([row['cost'] for row in held]):.3f}, {np.mean(looks):.1f} looks, none in "
            f"{sum(count == 0 for count in looks)}; the band holds the best in {np.mean(inside):.2f}"
        )
    told(
        [by[task, seed, costs[0]]["thumb"] for task, seed in whole],
        [by[t, s, costs[0]] for t, s in whole],
        "thumb",
    )
    if len(costs) == 2:
        apart = [by[t, s, costs[0]]["regret"] - by[t, s, costs[1]]["regret"] for t, s in whole]
        told(apart, [by[t, s, costs[0]] for t, s in whole], f"{costs[0]:g} to {costs[1]:g}")
    for row in failed:
        print(f"failed: {row['task']} {row['seed']} {row['allowed']}: {row['failed']}")


def told(logs: Sequence[float], rows: Sequence[harness.Row], what: str) -> None:
    r, sources = np.array(logs), [TASKS[row["task"]].source for row in rows]
    clipped = np.clip(r, -CLIPPED, CLIPPED)
    held = [clipped[[source == one for source in sources]] for one in sorted(set(sources))]
    sums = np.array([(each.sum(), len(each)) for each in held])
    mean, low, high = np.exp(
        harness.bootstrap(sums, DRAWS, of=lambda drawn: drawn[..., 0].sum(axis=1) / drawn[..., 1].sum(axis=1))
    )
    print(
        f"{what:12} {mean:.3f} [{low:.3f}, {high:.3f}] clipped, {math.exp(r.mean()):.3f} unclipped, median "
        f"{math.exp(np.median(r)):.3f}, largest {math.exp(r.max()):.2f}, above 1.1: {(r > math.log(1.1)).mean():.2f}"
    )


def main() -> None:
    parser = harness.arguments(__doc__, OUT, minutes=25, jobs=1)
    parser.add_argument("--parts", nargs="*", default=["choose", "once"], choices=["fit", "choose", "once"])
    parser.add_argument("--tasks", nargs="*", default=["*"])
    parser.add_argument("--lengths", nargs="*", default=["short"])
    parser.add_argument("--costs", nargs="*", type=float, default=[0.1, 0.5])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--summary", action="store_true", help="only what has been run")
    args = parser.parse_args()
    if args.summary:
        summary(args.out)
        return
    keys = [
        {"task": task.name, "seed": seed, "allowed": cost, "version": VERSION}
        for seed in args.seeds
        for task in TASKS.values()
        if task.part in args.parts and task.length in args.lengths and task.name in known()
        if any(fnmatch.fnmatch(task.name, pattern) for pattern in args.tasks) and is_asked(task)
        for cost in args.costs
    ]
    cells = harness.Cells(args.out, "task", "seed", "allowed", "version")
    harness.sweep(cells, keys, found, **harness.bounds(args))
    summary(args.out)


if __name__ == "__main__":
    main()
