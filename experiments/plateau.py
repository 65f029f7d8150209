"""A training in which progress begins late: the sign of a product of two inputs, and 300 rows to learn it from.

    python experiments/plateau.py [--seeds 24] [--steps 300 600 1200 2400]

Short looks see nothing of it, so that a rate that follows from them is no choice. Printed for each length, with a
rate of the user's own (AdamW, .001) and without: how many seeds end below 70 % on 2,000 fresh rows, the lowest, the
rates.
"""

import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

import harness
import torch
from torch import nn

import gammatune

RESULT = Path(__file__).parent / "results" / "plateau.json"
ENOUGH = 0.7


def run(own: bool, steps: int, seed: int) -> harness.Row:
    """Accuracy on the fresh rows, and the rate that was chosen."""
    torch.manual_seed(seed)
    x = torch.randn(2500, 8)
    y = (x[:, 0] * x[:, 1] > 0).long()
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3) if own else "adamw"
    result = gammatune.fit(
        model, (x[:300], y[:300]), (x[300:500], y[300:500]), optimizer=optimizer, epochs=steps // 30,
        batch_size=10, budget=1.5, seed=seed, device="cpu",
    )  # fmt: skip
    model.eval()
    with torch.no_grad():
        accuracy = float((model(x[500:]).argmax(1) == y[500:]).float().mean())
    return {"accuracy": accuracy, "rate": float(result.schedule[0]["lr"])}


def main() -> None:
    parser = harness.arguments(__doc__, RESULT, seeds=24, jobs=1)
    parser.add_argument("--steps", type=int, nargs="*", default=[300, 600, 1200, 2400])
    args = parser.parse_args()
    cells = harness.Cells.beside(args.out, "own", "steps", "seed")
    rows, began = [], time.time()
    for own in (False, True):
        for steps in args.steps:
            keys = [{"own": own, "steps": steps, "seed": seed} for seed in range(args.seeds)]
            harness.sweep(cells, keys, run, **harness.bounds(args))
            here = cells.good(own=own, steps=steps)
            accuracies, rates = zip(*((row["accuracy"], row["rate"]) for row in here), strict=True)
            below = sum(accuracy < ENOUGH for accuracy in accuracies)
            pairs = list(zip(accuracies, rates, strict=True))
            rows.append({"own": own, "steps": steps, "below": below, "of": len(here), "cells": pairs})
            print(
                f"{'own .001' if own else 'no rate':9}{steps:5} steps: {below} of {len(here)} below {ENOUGH:.0%}, "
                f"lowest {min(accuracies):.3f}, rates {min(rates):.2g} to {max(rates):.2g}", flush=True,
            )  # fmt: skip
    where = harness.machine("gammatune", "torch")
    harness.save(args.out, {"machine": where, "seconds": round(time.time() - began), "rows": rows})


if __name__ == "__main__":
    main()
