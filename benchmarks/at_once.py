"""What is lost where several rollouts are chosen together, each knowing less.

    python benchmarks/at_once.py            (some minutes on one core)

`gammatune.fit` with its defaults and budget 1.5 on small sets, with 1, 2, 4 and 8 rollouts chosen at once: error and
log-loss on test examples that took no part, paired over sets, optimizers and seeds. A difference above 0 is a loss;
intervals are 95 % bootstrap intervals of the mean. Failed runs are counted.
"""

import argparse
import json
import os
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from machine import machine
from sklearn.datasets import load_breast_cancer, load_digits, make_classification, make_moons
from torch import nn

import gammatune

RESULTS = Path(__file__).parent / "results" / "at_once.json"
CHOICES = (1, 2, 4, 8)
OPTIMIZERS = ("sgd", "adamw")
COMPARED = ("error", "log-loss")


def sets() -> dict[str, tuple[Any, Any]]:
    return {
        "digits": load_digits(return_X_y=True),
        "breast cancer": load_breast_cancer(return_X_y=True),
        "moons": make_moons(1500, noise=0.25, random_state=0),
        "clusters": make_classification(
            2000, 30, n_informative=12, n_classes=5, n_clusters_per_class=2, random_state=0
        ),
    }


def run(
    data: tuple[Any, Any], optimizer: str, at_once: int, seed: int, epochs: int
) -> dict[str, float] | None:
    X, y = data
    order = np.random.default_rng(seed).permutation(len(X))
    train, select, test = np.split(order, [int(0.6 * len(X)), int(0.8 * len(X))])
    mean, std = X[train].mean(axis=0), X[train].std(axis=0) + 1e-6
    X = np.clip((X - mean) / std, -5, 5).astype(
        np.float32
    )  # a pixel that is nearly always 0 lies 200 off at times
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(X.shape[1], 64), nn.ReLU(), nn.Linear(64, int(y.max()) + 1))
    try:
        result = gammatune.fit(
            *(model, (X[train], y[train]), (X[select], y[select])), test_set=(X[test], y[test]),
            epochs=epochs, optimizer=optimizer, at_once=at_once, seed=seed, progress=False,
        )  # fmt: skip
    except gammatune.errors.AllDiverged:
        return None
    return {
        "error": 1 - result.report.accuracy,
        "log-loss": result.measures["log-loss"].value,
        "plain_runs": result.cost.plain_runs,
    }


def interval(values: np.ndarray) -> list[float]:
    drawn = np.random.default_rng(0).choice(values, (4000, len(values))).mean(axis=1)
    return [round(float(x), 5) for x in (values.mean(), *np.quantile(drawn, [0.025, 0.975]))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    about = {
        "benchmark": "at_once", "command": f"python benchmarks/at_once.py --seeds {args.seeds}",
        **machine("gammatune", "torch", "numpy", "scikit-learn"), "epochs": args.epochs,
    }  # fmt: skip
    found: dict[int, list[dict[str, float] | None]] = {k: [] for k in CHOICES}
    for name, data in sets().items():
        for optimizer in OPTIMIZERS:
            for seed in range(args.seeds):
                for k in CHOICES:
                    found[k].append(run(data, optimizer, k, seed, args.epochs))
        rows = []
        for k in CHOICES:
            pairs = [(one, other) for one, other in zip(found[1], found[k], strict=True) if one and other]
            rows.append({
                "at_once": k, "n": len(pairs), "failed": sum(each is None for each in found[k]),
                "error": round(float(np.mean([other["error"] for _, other in pairs])), 4),
                "log-loss": round(float(np.mean([other["log-loss"] for _, other in pairs])), 4),
                **{f"{of} - that of 1": interval(np.array([b[of] - a[of] for a, b in pairs])) for of in COMPARED},
                "plain_runs": round(float(np.mean([other["plain_runs"] for _, other in pairs])), 3),
            })  # fmt: skip
        text = ",\n".join("  " + json.dumps(row) for row in rows)
        args.out.write_text(json.dumps(about)[:-1] + ', "rows": [\n' + text + "\n]}\n")
        print(f"after {name}:\n{text}", flush=True)


if __name__ == "__main__":
    main()
