"""What is lost where several rollouts are chosen together, each knowing less.

    python benchmarks/at_once.py            (some minutes on one core)

`gammatune.fit` with its defaults and budget 1.5 on small sets, with 1, 2, 4 and 8 rollouts chosen at once: error and
log-loss on test examples that took no part, paired over sets, optimizers and seeds. A difference above 0 is a loss;
intervals are 95 % bootstrap intervals of the mean. Failed runs are counted.
"""

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import harness
import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_digits, make_classification, make_moons
from torch import nn

import gammatune

RESULTS = Path(__file__).parent / "results" / "at_once.json"
CHOICES = (1, 2, 4, 8)
OPTIMIZERS = ("sgd", "adamw")
COMPARED = ("error", "log-loss")
FIELDS = ("data", "optimizer", "seed", "at_once", "epochs")


@cache
def sets() -> dict[str, tuple[Any, Any]]:
    return {
        "digits": load_digits(return_X_y=True),
        "breast cancer": load_breast_cancer(return_X_y=True),
        "moons": make_moons(1500, noise=0.25, random_state=0),
        "clusters": make_classification(
            2000, 30, n_informative=12, n_classes=5, n_clusters_per_class=2, random_state=0
        ),
    }


def run(data: str, optimizer: str, seed: int, at_once: int, epochs: int) -> dict[str, float]:
    X, y = sets()[data]
    order = np.random.default_rng(seed).permutation(len(X))
    train, select, test = np.split(order, [int(0.6 * len(X)), int(0.8 * len(X))])
    mean, std = X[train].mean(axis=0), X[train].std(axis=0) + 1e-6
    X = np.clip((X - mean) / std, -5, 5).astype(
        np.float32
    )  # a pixel that is nearly always 0 lies 200 off at times
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(X.shape[1], 64), nn.ReLU(), nn.Linear(64, int(y.max()) + 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = gammatune.fit(
            *(model, (X[train], y[train]), (X[select], y[select])), test_set=(X[test], y[test]),
            epochs=epochs, optimizer=optimizer, at_once=at_once, seed=seed, progress=False,
        )  # fmt: skip
    return {
        "error": 1 - result.report.accuracy,
        "log-loss": result.measures["log-loss"].value,
        "plain_runs": result.cost.plain_runs,
    }


def table(cells: list[harness.Row]) -> list[dict[str, Any]]:
    """A row for each number of rollouts, against one at a time on the same set, optimizer and seed."""
    found = {tuple(row[field] for field in FIELDS): row for row in cells}
    rows = []
    for k in CHOICES:
        pairs = [(row, found.get((*key[:3], k, key[4]))) for key, row in found.items() if key[3] == 1]
        good = [(one, other) for one, other in pairs if other and "failed" not in one | other]
        rows.append({
            "at_once": k, "n": len(good),
            "failed": sum("failed" in row for key, row in found.items() if key[3] == k),
            **{of: round(float(np.mean([other[of] for _, other in good])), 4) for of in COMPARED},
            **{f"{of} - that of 1": difference(good, of) for of in COMPARED},
            "plain_runs": round(float(np.mean([other["plain_runs"] for _, other in good])), 3),
        })  # fmt: skip
    return rows


def difference(pairs: list[tuple[harness.Row, harness.Row]], of: str) -> list[float]:
    return [round(x, 5) for x in harness.bootstrap([other[of] - one[of] for one, other in pairs], 4000)]


def main() -> None:
    parser = harness.arguments(__doc__, RESULTS, seeds=10, minutes=60, jobs=1)
    parser.add_argument("--epochs", type=int, default=12)
    args = parser.parse_args()
    cells = harness.Cells.beside(args.out, *FIELDS)
    keys = [
        dict(zip(FIELDS, (name, optimizer, seed, k, args.epochs), strict=True))
        for name in sets()
        for optimizer in OPTIMIZERS
        for seed in range(args.seeds)
        for k in CHOICES
    ]
    harness.sweep(cells, keys, run, **harness.bounds(args))
    about = {"benchmark": "at_once", "command": harness.command()}
    about |= harness.machine("gammatune", "torch", "numpy", "scikit-learn") | {"epochs": args.epochs}
    harness.save(
        args.out,
        {**about, "rows": table([row for row in cells if row["epochs"] == args.epochs])},
        by_line=True,
    )
    print(args.out.read_text())


if __name__ == "__main__":
    main()
