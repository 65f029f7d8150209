"""A training in which progress begins late: the sign of a product of two inputs, and 300 rows to learn it from.

    python experiments/plateau.py [--seeds 24] [--steps 300 600 1200 2400]

Short looks see nothing of it, so that a rate that follows from them is no choice. Printed for each length, with a
rate of the user's own (AdamW, .001) and without: how many seeds end below 70 % on 2,000 fresh rows, the lowest, the
rates.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import nn

import gammatune

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))
from machine import machine

RESULT = Path(__file__).parent / "results" / "plateau.json"
ENOUGH = 0.7


def one(seed: int, steps: int, own: bool) -> tuple[float, float]:
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
    return accuracy, float(result.schedule[0]["lr"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=24)
    parser.add_argument("--steps", type=int, nargs="*", default=[300, 600, 1200, 2400])
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows, began = [], time.time()
    for own in (False, True):
        for steps in args.steps:
            cells = [one(seed, steps, own) for seed in range(args.seeds)]
            below = sum(accuracy < ENOUGH for accuracy, _ in cells)
            rows.append({"own": own, "steps": steps, "below": below, "of": len(cells), "cells": cells})
            accuracies, rates = zip(*cells, strict=True)
            print(
                f"{'own .001' if own else 'no rate':9}{steps:5} steps: {below} of {len(cells)} below {ENOUGH:.0%}, "
                f"lowest {min(accuracies):.3f}, rates {min(rates):.2g} to {max(rates):.2g}", flush=True,
            )  # fmt: skip
    told = {"machine": machine("gammatune", "torch"), "seconds": round(time.time() - began), "rows": rows}
    args.out.write_text(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
