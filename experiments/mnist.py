"""The four searches under the thesis's policy on MNIST: 500 images as in the thesis, and 10,000.

    python experiments/mnist.py FILE [--setup small|large|cnn] [--seeds 5] [--out experiments/results/mnist.json]

FILE is an .npz with x_train, y_train, x_test, y_test. Every run is `gammatune train` with the options below; the
measures are taken on the 10,000 test images, which no run selects by (the thesis selects and reports on the same
100 images).

    small  500 images, 100 of them to select by; the six-layer network; SGD, batch 50, weight decay 0.001; 20 epochs
    large  10,000 images, 2,000 of them to select by; the mlp; SGD; 5 epochs
    cnn    the same with the cnn; 2 epochs

LR from 0 to 0.5 in all, 12 candidates an epoch. Evidence: experiments/results/mnist.json (its header says where and
with what it was made); what it shows is told in docs/method.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
from machine import machine  # one place says where a number was measured

SAMPLERS = ("gamma", "gaussian", "grid", "random")
THESIS = ("--policy", "greedy", "--optimizer", "sgd", "--search", "lr=0:0.5", "--threads", "1")
SETUPS: dict[str, tuple[str, ...]] = {
    "small": (
        "--limit",
        "500",
        "--model",
        "thesis",
        "--batch-size",
        "50",
        "--weight-decay",
        "0.001",
        "--epochs",
        "20",
    ),
    "large": ("--limit", "10000", "--model", "mlp", "--epochs", "5"),
    "cnn": ("--limit", "10000", "--model", "cnn", "--epochs", "2"),
}
MEASURES = ("sensitivity", "specificity", "accuracy", "mcc")


def run(data: str, setup: str, sampler: str, seed: int, extra: tuple[str, ...]) -> dict[str, Any]:
    """One run of the command; its JSON answer cut down to what the table needs."""
    command = [sys.executable, "-m", "gammatune.cli", "train", data, *THESIS, *SETUPS[setup], *extra]
    with tempfile.TemporaryDirectory() as directory:
        command += ["--sampler", sampler, "--seed", str(seed), "--json", "--run-dir", f"{directory}/run"]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"setup": setup, "sampler": sampler, "seed": seed, "error": done.stderr.strip()}
    answer = json.loads(done.stdout)
    return {
        "setup": setup,
        "sampler": sampler,
        "seed": seed,
        **{name: answer["report"][name] for name in MEASURES},
        "selected_accuracy": answer["course"][-1]["metrics"]["accuracy"],
        "lrs": [values["lr"] for values in answer["schedule"]],
        "failed_rollouts": answer["failed"],
        "rollouts": answer["rollouts"],
        "seconds": answer["end"]["seconds"],
        "plain_runs": answer["end"]["plain_runs"],
    }


def summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard deviation over seeds, failures counted."""
    rows = []
    for setup in SETUPS:
        for sampler in SAMPLERS:
            mine = [r for r in runs if (r["setup"], r["sampler"]) == (setup, sampler)]
            good = [r for r in mine if "error" not in r]
            if not good:
                continue
            row: dict[str, Any] = {
                "setup": setup,
                "sampler": sampler,
                "n": len(good),
                "failed": len(mine) - len(good),
            }
            for name in (*MEASURES, "selected_accuracy", "seconds"):
                values = [r[name] for r in good]
                row[name] = statistics.mean(values)
                row[f"{name}_sd"] = statistics.stdev(values) if len(values) > 1 else None
            rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data")
    parser.add_argument("--setup", action="append", choices=list(SETUPS))
    parser.add_argument("--sampler", action="append", choices=SAMPLERS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", default=None)
    parser.add_argument("--quick", action="store_true", help="one epoch, three candidates: a smoke test")
    arguments = parser.parse_args()
    extra = ("--epochs", "1", "--budget", "3") if arguments.quick else ()
    runs: list[dict[str, Any]] = []
    if arguments.out and Path(arguments.out).exists():
        runs = json.loads(Path(arguments.out).read_text())["runs"]  # go on where an earlier call was cut off
    known = {(r["setup"], r["sampler"], r["seed"]) for r in runs}
    for setup in arguments.setup or SETUPS:
        for seed in range(arguments.seeds):
            for sampler in arguments.sampler or SAMPLERS:
                if (setup, sampler, seed) in known:
                    continue
                runs.append(run(arguments.data, setup, sampler, seed, extra))
                if arguments.out:
                    where = machine("torch", "numpy", "scipy", "scikit-learn", "gammatune")
                    result = {"machine": where, "summary": summary(runs), "runs": runs}
                    Path(arguments.out).write_text(json.dumps(result, indent=1) + "\n")
    for row in summary(runs):
        sd = f" +- {100 * row['accuracy_sd']:.2f}" if row["accuracy_sd"] is not None else ""
        print(
            f"{row['setup']:<6} {row['sampler']:<9} Sens {100 * row['sensitivity']:.2f}  Spec "
            f"{100 * row['specificity']:.2f}  Acc {100 * row['accuracy']:.2f}{sd}  MCC {100 * row['mcc']:.2f}  "
            f"(selected {100 * row['selected_accuracy']:.2f})  {row['seconds']:.1f} s  n {row['n']}, "
            f"failed {row['failed']}"
        )
    for bad in [r for r in runs if "error" in r]:
        print(bad)


if __name__ == "__main__":
    main()
