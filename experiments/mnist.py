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

import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

import harness

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


def run(data: str, extra: tuple[str, ...], setup: str, sampler: str, seed: int) -> dict[str, Any]:
    """One run of the command; its JSON answer cut down to what the table needs."""
    command = ("-m", "gammatune.cli", "train", data, *THESIS, *SETUPS[setup], *extra)
    with tempfile.TemporaryDirectory() as directory:
        end = ("--sampler", sampler, "--seed", str(seed), "--json", "--run-dir", f"{directory}/run")
        answer = harness.in_a_process(*command, *end)
    return {
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
            good = [r for r in mine if "failed" not in r]
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
    parser = harness.arguments(__doc__, seeds=5, quick="one epoch, three candidates: a smoke test")
    parser.add_argument("data")
    parser.add_argument("--setup", action="append", choices=list(SETUPS))
    parser.add_argument("--sampler", action="append", choices=SAMPLERS)
    args = parser.parse_args()
    extra = ("--epochs", "1", "--budget", "3") if args.quick else ()
    cells = harness.Cells.beside(args.out, "setup", "sampler", "seed", held="runs")
    keys = [
        {"setup": setup, "sampler": sampler, "seed": seed}
        for setup in args.setup or SETUPS
        for seed in range(args.seeds)
        for sampler in args.sampler or SAMPLERS
    ]
    harness.sweep(cells, keys, partial(run, args.data, extra))
    runs = list(cells)
    if args.out:
        where = harness.machine("torch", "numpy", "scipy", "scikit-learn", "gammatune")
        harness.save(args.out, {"machine": where, "summary": summary(runs), "runs": runs})
    for row in summary(runs):
        sd = f" +- {100 * row['accuracy_sd']:.2f}" if row["accuracy_sd"] is not None else ""
        print(
            f"{row['setup']:<6} {row['sampler']:<9} Sens {100 * row['sensitivity']:.2f}  Spec "
            f"{100 * row['specificity']:.2f}  Acc {100 * row['accuracy']:.2f}{sd}  MCC {100 * row['mcc']:.2f}  "
            f"(selected {100 * row['selected_accuracy']:.2f})  {row['seconds']:.1f} s  n {row['n']}, "
            f"failed {row['failed']}"
        )


if __name__ == "__main__":
    main()
