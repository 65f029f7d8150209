"""The demo over several seeds: `gammatune train digits` as it comes, lengths that are given, and the thesis's policy.

    python experiments/digits.py [--seeds 10] [--out experiments/results/digits.json] [--quick]

Beside the digits a set of a third of their size, scikit-learn's breast cancer cells, to see how long a training of
little data should be. Accuracy is measured on examples that no run trained on or selected by. The seed fixes the
split, the initial weights, the order of the batches and the search, so the spread holds all of these.
Evidence: experiments/results/digits.json.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
from machine import machine

SETUPS = {
    "as it comes": (),
    "10 epochs": ("--epochs", "10"),
    "20 epochs": ("--epochs", "20"),
    "30 epochs": ("--epochs", "30"),
    "greedy, 10 epochs, budget 12": ("--epochs", "10", "--policy", "greedy"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", default=None)
    parser.add_argument("--quick", action="store_true", help="one epoch, one set-up: a smoke test")
    arguments = parser.parse_args()
    setups = {"1 epoch": ("--epochs", "1")} if arguments.quick else SETUPS
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        x, y = load_breast_cancer(return_X_y=True)
        cells = f"{directory}/cells.npz"
        np.savez(cells, x_train=x, y_train=y)
        for name, data in (("digits", "digits"), ("cells", cells)):
            for setup, options in setups.items():
                rows.append(several(name, data, setup, options, arguments.seeds, directory))
    if arguments.out:
        result = {"machine": machine("torch", "numpy", "scikit-learn", "gammatune"), "rows": rows}
        Path(arguments.out).write_text(json.dumps(result, indent=1) + "\n")


def several(
    name: str, data: str, setup: str, options: tuple[str, ...], seeds: int, directory: str
) -> dict[str, Any]:
    """One set-up over the seeds."""
    accuracies, costs, seconds, failed = [], [], [], 0
    for seed in range(seeds):
        run_dir = f"{directory}/{name} {setup} {seed}"
        command = [sys.executable, "-m", "gammatune.cli", "train", data, *options, "--json"]
        command += ["--seed", str(seed), "--run-dir", run_dir]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            failed += 1
            print(done.stderr)
            continue
        answer = json.loads(done.stdout)
        accuracies.append(answer["report"]["accuracy"])
        costs.append(answer["end"]["plain_epochs"])
        seconds.append(answer["end"]["seconds"])
    row = {
        "data": name,
        "setup": setup,
        "n": len(accuracies),
        "failed": failed,
        "accuracy_mean": statistics.mean(accuracies),
        "accuracy_sd": statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        "accuracy_min": min(accuracies),
        "accuracies": accuracies,
        "plain_epochs_mean": statistics.mean(costs),
        "seconds_mean": statistics.mean(seconds),
    }
    print(
        f"{name}, {setup}: {100 * row['accuracy_mean']:.2f} %, lowest {100 * row['accuracy_min']:.2f} %, "
        f"{row['plain_epochs_mean']:.1f} plain epochs, {row['seconds_mean']:.1f} s, {failed} failed",
        flush=True,
    )
    return row


if __name__ == "__main__":
    main()
