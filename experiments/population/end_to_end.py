"""The policy itself on trainings of the population, from end to end: what it chose, what it cost, what came of it.

    python experiments/population/end_to_end.py [--parts fit] [--tasks PATTERN ...] [--budgets 1.5] [--own none thumb]
    python experiments/population/end_to_end.py --summary

Appends a line a run to experiments/results/population/end.jsonl and leaves out what is there. own: whether the
optimizer comes with a rate that its user chose, the rule of thumb's, or with none. error: [error, loss] on the test
part; regret: the logarithm of its ratio to the lowest of the landscape, where there is one.
"""

import fnmatch
import math
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import harness
import numpy as np
import torch
from landscapes import CLIPPED, RESULTS, Landscape, log_error, read
from loops import OPTIMIZERS, RULE_OF_THUMB, Problem, judge, problem
from sources import SOURCES
from torch import nn
from trainings import TASKS

import gammatune
from gammatune.engine.loop import TorchLoop
from gammatune.policy.lookahead import VERSION

OUT = RESULTS / "end.jsonl"


class Unowned(TorchLoop):
    """A loop whose rate nobody chose."""

    rate_is_own = False


def ours(task: str, seed: int, budget: float, own: str, version: int) -> harness.Row:
    """One run of a loop of one's own, in as many whole epochs as come nearest to the task's steps.

    version: of the policy, which the run depends on and does not choose.
    """
    made = problem(TASKS[task], seed)
    model = made.model()
    optimizer = OPTIMIZERS[made.task.optimizer](model, RULE_OF_THUMB.get(made.task.optimizer, 1e-3))
    loop = Unowned if own == "none" else TorchLoop
    torch.manual_seed(seed + 11)
    order = torch.Generator().manual_seed(seed + 7)
    x, y = made.train
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(x, y), made.task.batch, shuffle=True, generator=order, drop_last=True
    )
    epochs = max(1, round(made.task.steps / len(loader)))
    decades = 12.0
    lr = optimizer.param_groups[0]["lr"]
    space = [f"lr={lr / 10 ** (decades / 2)}:{lr * 10 ** (decades / 2)}:log"]
    objective = "kappa" if made.data.classes and made.task.goal != "copy" else "log-loss"
    training = loop(model, optimizer, ["lr"])
    began = time.process_time()
    tuner = gammatune.Tuner(
        training=training, epochs=epochs, budget=budget, space=space, objective=objective, seed=seed
    )
    try:
        with tuner:
            for run in tuner:
                for inputs, targets in run.batches(loader):
                    _train(made, model, optimizer, inputs, targets)
                run.report(**_scores(made, model))
    finally:
        training.close()
    result = tuner.result
    chosen = float(result.schedule[0]["lr"])
    row = {
        "rate": harness.rounded(chosen),
        "cost": round(tuner.cost.plain_runs, 3),
        "error": harness.rounded(judge(made, model, made.test)),
        "looks": [
            [o.role[0], o.batches, round(math.log10(float(o.values["lr"])), 2), o.score and round(o.score, 3)]
            for o in result.rollouts
            if o.role in ("scout", "miniature")
        ],
        "verdict": result.verdicts[0].reason,
        "seconds": round(time.process_time() - began, 1),
    }
    if task in known():
        row["regret"] = round(known()[task].regret(math.log10(row["rate"])), 3)
    return row


@cache
def known() -> dict[str, Landscape]:
    return {one.task.name: one for one in read(sorted(RESULTS.glob("[slt]*.jsonl")))}


def _train(made: Problem, model: nn.Module, optimizer: Any, x: torch.Tensor, y: torch.Tensor) -> None:
    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = made.loss(model, x, y)
        loss.backward()
        return loss

    if made.task.optimizer == "lbfgs":
        optimizer.step(closure)
    else:
        closure()
        optimizer.step()


def _scores(made: Problem, model: nn.Module) -> dict[str, float]:
    error, loss = judge(made, model, made.select)
    classes = made.data.classes and made.data.kind == "classes" and made.task.goal != "copy"
    return {"accuracy": 1 - error if classes else math.exp(-loss), "loss": loss}


def summary(path: Path) -> None:
    """By part and length: ratios of the test error, geometric means, clipped in brackets, and the largest."""
    kinds: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in harness.read(path):
        task = TASKS[row["task"]]
        if "failed" in row:
            print(f"failed: {task.name} {row['seed']}: {row['failed']}")
            continue
        kinds.setdefault((task.part, task.length), []).append(row)
    for (part, length), rows in sorted(kinds.items()):
        print(
            f"{part} {length}: n {len(rows)}, cost {min(r['cost'] for r in rows)} to {max(r['cost'] for r in rows)}"
        )
        ratios: dict[str, list[float]] = {}
        for row in rows:
            one, log = known()[row["task"]], log_error(row["error"])
            best = int(np.argmax(one.select[0]))
            for to, what in (
                (float(one.test[0][best]), "best of the rates by selection, same seed"),
                (float(one.thumb["thumb"].mean()), "rule of thumb"),
                (float(one.thumb["thumb1.5"].mean()), "rule of thumb, 1.5 times the steps"),
            ):
                ratios.setdefault(what, []).append(log - to)
            ratios.setdefault("its rate on the landscape to the best", []).append(row["regret"])
        for what, logs in ratios.items():
            r = np.array(logs)
            clipped = math.exp(np.clip(r, -CLIPPED, CLIPPED).mean())
            print(f"   {what}: {math.exp(r.mean()):.3f} ({clipped:.3f}), largest {math.exp(r.max()):.2f}")


def main() -> None:
    parser = harness.arguments(__doc__, OUT, minutes=60, jobs=1)
    parser.add_argument("--parts", nargs="*", default=["fit"], choices=["fit", "choose", "once"])
    parser.add_argument("--tasks", nargs="*", default=["*"])
    parser.add_argument("--lengths", nargs="*", default=["short"])
    parser.add_argument("--budgets", nargs="*", type=float, default=[1.5])
    parser.add_argument("--own", nargs="*", default=["none"], choices=["none", "thumb"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument(
        "--summary", action="store_true", help="only what has been run, against the landscapes"
    )
    args = parser.parse_args()
    if args.summary:
        summary(args.out)
        return
    keys = [
        {"task": task.name, "seed": seed, "budget": budget, "own": own, "version": VERSION}
        for seed in args.seeds
        for task in TASKS.values()
        if SOURCES[task.source].part in args.parts and task.length in args.lengths
        if any(fnmatch.fnmatch(task.name, pattern) for pattern in args.tasks)
        for budget in args.budgets
        for own in args.own
    ]
    cells = harness.Cells(args.out, "task", "seed", "budget", "own", "version")
    harness.sweep(cells, keys, ours, **harness.bounds(args))


if __name__ == "__main__":
    main()
