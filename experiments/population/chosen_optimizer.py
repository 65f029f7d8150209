"""An optimizer that is named and one that is chosen, through `fit`, on trainings of the population.

    python experiments/population/chosen_optimizer.py [--parts choose] [--budgets 1.5 4] [--optimizers adamw auto]
    python experiments/population/chosen_optimizer.py --summary

Appends a line a run to experiments/results/population/optimizers.jsonl and leaves out what is there. error: [error,
loss] on the test part of what `fit` hands over, an average of nets where there are several; single: of the best net
alone. Trainings whose loss no `fit` has, a policy gradient, and those that begin with trained weights are left out.
"""

import math
import sys
import time
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import harness
import numpy as np
import torch
from landscapes import CLIPPED, RESULTS, log_error
from loops import Problem, judge, problem
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from trainings import TASKS

import gammatune

OUT = RESULTS / "optimizers.jsonl"


def run(task: str, seed: int, optimizer: str, budget: float) -> harness.Row:
    made = problem(TASKS[task], seed)
    model = made.model()
    order = torch.Generator().manual_seed(seed + 7)
    loader = DataLoader(
        TensorDataset(*made.train), made.task.batch, shuffle=True, generator=order, drop_last=True
    )
    began = time.process_time()
    found = gammatune.fit(
        model,
        loader,
        TensorDataset(*made.select),
        epochs=max(1, round(made.task.steps / len(loader))),
        budget=budget,
        optimizer=optimizer,
        loss_fn=_of_tokens if made.data.kind == "tokens" and made.task.goal != "copy" else None,
        new_model=partial(made.task.net, made.data),  # not `made.model`, which seeds torch itself
        seed=seed,
        device="cpu",
        progress=False,
    )
    seconds = time.process_time() - began
    return {
        "error": _judged(made, model if found.ensemble is None else found.ensemble),
        "single": _judged(made, model),
        "cost": round(found.cost.plain_runs, 3),
        "seconds": round(seconds, 2),
        "nets": max(1, len(found.nets)),
        "taken": str(found.schedule[0].get("optimizer", optimizer)),
        "rate": harness.rounded(float(found.schedule[0]["lr"])),
        "verdict": found.verdicts[0].reason,
    }


def _of_tokens(output: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(output.flatten(0, -2), target.flatten())


def _judged(made: Problem, model: nn.Module) -> list[float]:
    figures: list[float] = harness.rounded(judge(made, model, made.test))
    return figures


def said(row: harness.Row) -> str:
    name = f"{row['task']} {row['seed']} {row['optimizer']} {row['budget']:g}"
    return f"{name}: {row.get('failed') or row['error']} in {row.get('seconds')} s"


def summary(path: Path, part: str) -> list[str]:
    """Test errors to those of AdamW at the same budget, and to those at the lowest budget, the same seed: geometric
    means over trainings of the mean over seeds."""
    rows = {(r["task"], r["seed"], r["optimizer"], r["budget"]): r for r in harness.read(path)}
    kinds = sorted({key[2:] for key in rows})
    lowest = min((budget for _, budget in kinds), default=0.0)
    pairs = [((name, budget), ("adamw", budget)) for name, budget in kinds if name != "adamw"]
    pairs += [((name, budget), (name, lowest)) for name, budget in kinds if budget > lowest]
    told = []
    for one, to in pairs:
        logs: dict[str, list[float]] = {}
        slower, taken = [], []
        for (task, seed, *rest), row in rows.items():
            other = rows.get((task, seed, *to))
            if tuple(rest) != one or TASKS[task].part != part or other is None:
                continue
            if "failed" in row or "failed" in other:
                told.append(f"   failed: {task} {seed} {'failed' in row} {'failed' in other}")
                continue
            logs.setdefault(task, []).append(log_error(row["error"]) - log_error(other["error"]))
            slower.append(math.log(max(row["seconds"], 0.1) / max(other["seconds"], 0.1)))
            taken.append(row["taken"])
        if logs:
            r = np.array([np.mean(some) for some in logs.values()])
            told.append(
                f"{part} {one[0]} at {one[1]:g} to {to[0]} at {to[1]:g}: {mean(r)}, clipped "
                f"{mean(np.clip(r, -CLIPPED, CLIPPED))}, median {math.exp(np.median(r)):.3f}, below "
                f"{np.mean(r < 0):.2f}, largest {math.exp(r.max()):.2f}, trainings {len(r)}, runs {len(taken)}; "
                f"seconds of the processor {math.exp(np.mean(slower)):.2f} times; taken: "
                + ", ".join(f"{name} {taken.count(name)}" for name in sorted(set(taken)))
            )
    return told


def mean(logs: np.ndarray) -> harness.Ratio:
    """With two standard errors to either side."""
    sem = float(logs.std(ddof=1)) / math.sqrt(len(logs)) if len(logs) > 1 else math.nan
    return harness.Ratio.of(math.exp(logs.mean()), 2 * sem)


def main() -> None:
    parser = harness.arguments(__doc__, OUT, minutes=60, jobs=1)
    parser.add_argument("--parts", nargs="*", default=["choose"], choices=["fit", "choose", "once"])
    parser.add_argument("--lengths", nargs="*", default=["short"])
    parser.add_argument("--optimizers", nargs="*", default=["adamw", "auto"])
    parser.add_argument("--budgets", nargs="*", type=float, default=[1.5, 4.0])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--summary", action="store_true", help="only what has been run")
    args = parser.parse_args()
    if not args.summary:
        tasks = [
            task
            for task in TASKS.values()
            if task.part in args.parts
            and task.length in args.lengths
            and task.start is None
            and task.goal != "reinforce"
        ]
        keys = [
            {"task": task.name, "seed": seed, "optimizer": optimizer, "budget": budget}
            for seed in args.seeds
            for budget in args.budgets
            for task in tasks
            for optimizer in args.optimizers
        ]
        cells = harness.Cells(args.out, "task", "seed", "optimizer", "budget")
        harness.sweep(cells, keys, run, **harness.bounds(args), say=said)
    print("\n".join(line for part in args.parts for line in summary(args.out, part)))


if __name__ == "__main__":
    main()
