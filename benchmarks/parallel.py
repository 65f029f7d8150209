"""What rollouts on Ray cost and bring: wall time against one process, and the bytes that travel.

    python benchmarks/parallel.py            (some minutes on an otherwise idle machine of two cores or more)

Every training is made with the same number of rollouts chosen together (`at_once`), alone and on one and two workers;
the results are compared to the bit. Seconds are wall time of `fit`, the start of the workers included (each imports
torch and builds the training anew), that of the cluster not. One thread each. `forks`: how many went to the workers;
without sharing, each rollout would need one.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import harness
import numpy as np
import ray
import torch
from torch import nn

import gammatune
from gammatune.tuning import ray_executor

RESULTS = Path(__file__).parent / "results" / "parallel.json"
AT_ONCE = 4


def images(n: int, side: int) -> tuple[Any, Any]:
    """Ten blurred patterns in noise: as costly as photographs, and learnable."""
    rng = np.random.default_rng(0)
    patterns = rng.standard_normal((10, 3, side, side))
    y = rng.integers(0, 10, n)
    return (0.3 * patterns[y] + rng.standard_normal((n, 3, side, side))).astype(np.float32), y


def small_cnn() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, 10),
        ),
    )


def wide_mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(768, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10)
    )


MODELS: dict[str, Callable[[], nn.Module]] = {"cnn": small_cnn, "mlp": wide_mlp}
RUNS: dict[str, dict[str, Any]] = {
    "lookahead 1.5": {"budget": 1.5},
    "lookahead 6": {"budget": 6.0},
    "greedy 8": {"budget": 8.0, "policy": "greedy"},
}


class Counted(ray_executor.RayCrew):
    """Leaves what it sent where it can be read."""

    last: "Counted | None" = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        Counted.last = self
        self.forks = 0

    def _store(self, training: Any, fork: str) -> ray_executor.State:
        self.forks += 1
        return super()._store(training, fork)


def train(
    name: str, run: dict[str, Any], seed: int, workers: int, data: tuple[Any, Any], epochs: int
) -> dict[str, Any]:
    torch.manual_seed(seed)
    model = MODELS[name]()
    X, y = data
    n = len(X) * 4 // 5
    began = time.perf_counter()
    parallel = {} if not workers else {"parallel": "ray", "workers": workers}
    result = gammatune.fit(
        *(model, (X[:n], y[:n]), (X[n:], y[n:])),
        epochs=epochs, batch_size=32, seed=seed, at_once=AT_ONCE, progress=False, **run, **parallel,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    row = {
        "seconds": seconds,
        "rollouts": len(result.rollouts),
        "accuracy": result.metrics["accuracy"],
        "plain_runs": result.cost.plain_runs,
        "same": [replace(outcome, seconds=0.0) for outcome in result.rollouts],
    }
    if workers and (executor := Counted.last) is not None:
        row |= {"forks": executor.forks, "sent": executor.sent, "returned": executor.returned}
    return row


def main() -> None:
    parser = harness.arguments(__doc__, RESULTS, seeds=2)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--examples", type=int, default=6000)
    parser.add_argument("--models", default=",".join(MODELS), help="by commas")
    args = parser.parse_args()
    ray_executor.RayCrew = Counted  # type: ignore[misc]
    data = images(args.examples, 16)
    about = {
        "benchmark": "parallel", "command": harness.command(),
        **harness.machine("gammatune", "torch", "ray"), "load": os.getloadavg()[0], "at_once": AT_ONCE,
        "epochs": args.epochs, "examples": args.examples,
    }  # fmt: skip
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    rows: list[dict[str, Any]] = []
    train("cnn", RUNS["greedy 8"], 0, 1, (data[0][:300], data[1][:300]), 1)  # imports and first calls
    for name in args.models.split(","):
        bytes_ = sum(p.numel() * p.element_size() for p in MODELS[name]().parameters())
        for called, run in RUNS.items():
            runs: dict[int, list[dict[str, Any]]] = {0: [], 1: [], 2: []}
            for seed in range(args.seeds):
                for workers in runs:  # in turns
                    runs[workers].append(train(name, run, seed, workers, data, args.epochs))
            same = all(each["same"] == runs[0][i]["same"] for w in (1, 2) for i, each in enumerate(runs[w]))
            ratios = {
                w: [a["seconds"] / b["seconds"] for a, b in zip(runs[0], runs[w], strict=True)]
                for w in (1, 2)
            }
            sent = runs[2][0]
            row = {
                "model": name, "weights_bytes": bytes_, "run": called, "seeds": args.seeds, "same_to_the_bit": same,
                "rollouts": sent["rollouts"], "plain_runs": round(sent["plain_runs"], 3),
                "seconds_alone": round(float(np.mean([r["seconds"] for r in runs[0]])), 2),
                **{f"speedup_{w}": [round(x, 2) for x in (np.mean(v), min(v), max(v))] for w, v in ratios.items()},
                "forks": sent["forks"], "sent": sent["sent"], "returned": sent["returned"],
            }  # fmt: skip
            rows.append(row)
            print(json.dumps(row), flush=True)
            harness.save(args.out, {**about, "rows": rows}, by_line=True)
    ray.shutdown()


if __name__ == "__main__":
    main()
