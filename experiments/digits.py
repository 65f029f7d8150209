"""The demo over several seeds: `gammatune train digits` as it stands, accuracy on the held-out digits.

    python experiments/digits.py [--seeds 5] [--out experiments/results/digits.json] [--quick]

The seed fixes the split, the initial weights, the order of the batches and the search, so the spread holds all of
these. Evidence: experiments/results/digits.json.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
from machine import machine


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", default=None)
    parser.add_argument("--quick", action="store_true", help="one epoch, two candidates: a smoke test")
    arguments = parser.parse_args()
    extra = ("--epochs", "1", "--budget", "2") if arguments.quick else ()
    accuracies, seconds, failed = [], [], 0
    for seed in range(arguments.seeds):
        with tempfile.TemporaryDirectory() as directory:
            command = [sys.executable, "-m", "gammatune.cli", "train", "digits", "--json", *extra]
            command += ["--seed", str(seed), "--run-dir", f"{directory}/run"]
            done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            failed += 1
            print(done.stderr)
            continue
        answer = json.loads(done.stdout)
        accuracies.append(answer["report"]["accuracy"])
        seconds.append(answer["end"]["seconds"])
        print(f"seed {seed}: {100 * accuracies[-1]:.2f} % in {seconds[-1]:.1f} s", flush=True)
    result = {
        "machine": machine("torch", "numpy", "scikit-learn", "gammatune"),
        "n": len(accuracies),
        "failed": failed,
        "accuracy_mean": statistics.mean(accuracies),
        "accuracy_sd": statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        "accuracy_min": min(accuracies),
        "accuracies": accuracies,
        "seconds_mean": statistics.mean(seconds),
    }
    print(
        f"{100 * result['accuracy_mean']:.2f} %, lowest {100 * result['accuracy_min']:.2f} %, {failed} failed"
    )
    if arguments.out:
        Path(arguments.out).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
