"""The demo over several seeds: `gammatune train digits` as it comes, lengths that are given, and the thesis's policy.

    python experiments/digits.py [--seeds 10] [--out experiments/results/digits.json] [--quick]

Beside the digits a set of a third of their size, scikit-learn's breast cancer cells, to see how long a training of
little data should be. Accuracy is measured on examples that no run trained on or selected by. The seed fixes the
split, the initial weights, the order of the batches and the search, so the spread holds all of these.
Evidence: experiments/results/digits.json.
"""

import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

import harness
import numpy as np
from sklearn.datasets import load_breast_cancer

QUICK = "1 epoch"
SETUPS = {
    QUICK: ("--epochs", "1"),
    "as it comes": (),
    "10 epochs": ("--epochs", "10"),
    "20 epochs": ("--epochs", "20"),
    "30 epochs": ("--epochs", "30"),
    "greedy, 10 epochs, budget 12": ("--epochs", "10", "--policy", "greedy"),
}


def run(files: dict[str, str], data: str, setup: str, seed: int) -> harness.Row:
    with tempfile.TemporaryDirectory() as directory:
        command = ("-m", "gammatune.cli", "train", files[data], *SETUPS[setup], "--json")
        answer = harness.in_a_process(*command, "--seed", str(seed), "--run-dir", f"{directory}/run")
    return {
        "accuracy": answer["report"]["accuracy"],
        "plain_epochs": answer["end"]["plain_epochs"],
        "seconds": answer["end"]["seconds"],
    }


def main() -> None:
    parser = harness.arguments(__doc__, seeds=10, quick="one epoch, one set-up: a smoke test")
    args = parser.parse_args()
    setups = [QUICK] if args.quick else [setup for setup in SETUPS if setup != QUICK]
    cells = harness.Cells.beside(args.out, "data", "setup", "seed")
    with tempfile.TemporaryDirectory() as directory:
        x, y = load_breast_cancer(return_X_y=True)
        files = {"digits": "digits", "cells": f"{directory}/cells.npz"}
        np.savez(files["cells"], x_train=x, y_train=y)
        rows = []
        for data in files:
            for setup in setups:
                keys = [{"data": data, "setup": setup, "seed": seed} for seed in range(args.seeds)]
                harness.sweep(cells, keys, partial(run, files))
                rows.append(several([row for row in cells if (row["data"], row["setup"]) == (data, setup)]))
    if args.out:
        where = harness.machine("torch", "numpy", "scikit-learn", "gammatune")
        harness.save(args.out, {"machine": where, "rows": rows})


def several(cells: list[harness.Row]) -> dict[str, Any]:
    """One set-up over the seeds."""
    good = [cell for cell in cells if "failed" not in cell]
    accuracies = [cell["accuracy"] for cell in good]
    row = {
        "data": cells[0]["data"],
        "setup": cells[0]["setup"],
        "n": len(good),
        "failed": len(cells) - len(good),
        "accuracy_mean": statistics.mean(accuracies),
        "accuracy_sd": statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        "accuracy_min": min(accuracies),
        "accuracies": accuracies,
        "plain_epochs_mean": statistics.mean(cell["plain_epochs"] for cell in good),
        "seconds_mean": statistics.mean(cell["seconds"] for cell in good),
    }
    print(
        f"{row['data']}, {row['setup']}: {100 * row['accuracy_mean']:.2f} %, lowest "
        f"{100 * row['accuracy_min']:.2f} %, {row['plain_epochs_mean']:.1f} plain epochs, "
        f"{row['seconds_mean']:.1f} s, {row['failed']} failed",
        flush=True,
    )
    return row


if __name__ == "__main__":
    main()
