"""Ten real sets by the one-line command with its defaults, beside what else one line gives.

    python benchmarks/front_door.py --data FOLDER [--seeds 3] [--only iris,mnist] [--out results/front_door.json]

    iris, wine, breast-cancer, digits, diabetes, linnerud    scikit-learn's own, as CSV files
    digits-images     the same digits as images, an .npz
    fashion-mnist     Debian's package dataset-fashion-mnist, a folder of idx files
    mnist, cifar10    FOLDER/mnist.npz and FOLDER/cifar10_{train,test}_jpeg.npz

Images: 2,000 of the training examples, for all methods (`--limit 2000`), reported on the sets' own test parts;
tables: a fifth is held out, the same rows for all methods. gammatune sets a fifth of what is left aside to select by;
the others are handed both parts.

    gammatune     `gammatune train SET`, nothing else said but the target, the seed and the limit
    boosting      HistGradientBoosting, scikit-learn's defaults
    linear        LogisticRegression (max_iter 1000), or Ridge, behind a StandardScaler
    mlp           MLPClassifier or MLPRegressor, scikit-learn's defaults, behind a StandardScaler
    flaml         FLAML's AutoML over LightGBM, forests and linear models, given the seconds that gammatune took
                  (at least 5), where it is installed

Quality is accuracy, or R2 for a regression. Seconds are those of the training; gammatune's are those of the whole
command too, imports and all. One thread each. Results are written as they come.
The net for tables alone, on more of them: `net_on_tables.py`.
"""

import importlib.util
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import harness
import numpy as np
from sklearn import datasets

HERE = Path(__file__).resolve().parent
LIMIT = 2_000
FASHION = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package puts it
LEAST_SECONDS = 5.0  # for FLAML
TABLES: Mapping[str, tuple[Callable[..., Any], str]] = {
    "iris": (datasets.load_iris, "target"),
    "wine": (datasets.load_wine, "target"),
    "breast-cancer": (datasets.load_breast_cancer, "target"),
    "digits": (datasets.load_digits, "target"),
    "diabetes": (datasets.load_diabetes, "target"),
    "linnerud": (datasets.load_linnerud, "Weight"),
}
IMAGES = ("digits-images", "fashion-mnist", "mnist", "cifar10")
METHODS = ("gammatune", "boosting", "linear", "mlp", "flaml")


def main() -> None:
    parser = harness.arguments(__doc__, HERE / "results" / "front_door.json", seeds=3)
    parser.add_argument("--data", type=Path, help="a folder with mnist.npz and CIFAR-10 as JPEGs")
    parser.add_argument("--only", default="", help="names, parted by commas")
    args = parser.parse_args()
    cells = harness.Cells.beside(args.out, "set", "method", "seed", held="cells")
    methods = METHODS if installed("flaml") else METHODS[:-1]
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only.split(",") if args.only else [*TABLES, *IMAGES]:
            if (file := prepare(name, Path(folder), args.data)) is None:
                print(f"{name}: its files are not here; left out")
                continue
            keys = [{"set": name, "seed": seed, "method": m} for seed in range(args.seeds) for m in methods]
            harness.sweep(cells, keys, partial(compute, file, cells))
    about = {
        "command": f"python benchmarks/front_door.py --data FOLDER --seeds {args.seeds}",
        "machine": harness.machine(
            "torch", "numpy", "scikit-learn", "pandas", *installed("flaml", "lightgbm")
        ),
    }
    harness.save(args.out, {**about, "limit": LIMIT, "cells": list(cells)})
    args.out.with_suffix(".md").write_text(table(list(cells)))
    print(table(list(cells)))


def prepare(name: str, folder: Path, data: Path | None) -> Path | None:
    """The set as a user has it: a CSV file, an .npz, or a folder; None where it is not here."""
    if name in TABLES:
        load, _ = TABLES[name]
        frame = load(as_frame=True).frame
        if name in ("iris", "wine", "breast-cancer"):
            frame["target"] = [str(load().target_names[code]) for code in frame["target"]]
        frame.to_csv(path := folder / f"{name}.csv", index=False)
        return path
    if name == "digits-images":
        digits = datasets.load_digits()
        pixels = (digits.images * 15.9375).astype(np.uint8)
        np.savez_compressed(path := folder / "digits-images.npz", x_train=pixels, y_train=digits.target)
        return path
    if name == "fashion-mnist":
        return FASHION if FASHION.is_dir() else None
    if data is None:
        return None
    if name == "mnist":
        return path if (path := data / "mnist.npz").is_file() else None
    sources = [data / f"cifar10_{part}_jpeg.npz" for part in ("train", "test")]
    if not all(source.is_file() for source in sources):
        return None
    path = folder / "cifar10.npz"
    command = [sys.executable, "-m", "gammatune.cli", "data", *map(str, sources), "--out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


def compute(file: Path, cells: harness.Cells, set: str, seed: int, method: str) -> harness.Row:
    if method == "gammatune":
        return ours(set, file, seed)
    x, y, x_report, y_report, classify = arrays(set, file, seed)
    key = (set, "gammatune", seed)
    own = [row.get("seconds", 0.0) for row in cells if (row["set"], row["method"], row["seed"]) == key]
    model = rivals(classify, max([LEAST_SECONDS, *own]), seed)[method]
    with warnings.catch_warnings(), harness.timed() as took:
        warnings.simplefilter("ignore")  # that they did not converge is theirs to say
        quality = float(model(x, y, x_report, y_report))
    return {"quality": quality, "seconds": round(took.wall, 2)}


def ours(name: str, file: Path, seed: int) -> harness.Row:
    limit = [] if name in TABLES else ["--limit", str(LIMIT)]
    target = ["--target", TABLES[name][1]] if name in TABLES else []
    with tempfile.TemporaryDirectory() as folder, harness.timed() as took:
        end = ("--seed", str(seed), "--only", "net", "--json", "--run-dir", f"{folder}/run")
        story = harness.in_a_process("-m", "gammatune.cli", "train", str(file), *target, *limit, *end)
    report = story["report"]
    return {
        "quality": report.get("accuracy", report.get("r2")),
        "seconds": round(story["end"]["seconds"], 2),
        "seconds_whole": round(took.wall, 2),
        "model": story["begin"]["facts"]["model"],
        "epochs": story["begin"]["epochs"],
        "failed_rollouts": story["failed"],
    }


@lru_cache(maxsize=1)
def arrays(name: str, file: Path, seed: int) -> tuple[Any, Any, Any, Any, bool]:
    """(training x, y, report x, y, whether it is a classification): the very rows that the command takes."""
    from gammatune.pipeline.data import load
    from gammatune.pipeline.data.split import divide
    from gammatune.pipeline.data.table import load_table

    if name in TABLES:
        table = load_table(file, TABLES[name][1])
        x, y = table.frame.to_numpy(dtype=np.float64), table.y.reshape(-1)
        classify = table.task == "classification"
        train, select, report = divide(len(y), name=name, seed=seed, said=[], labels=y if classify else None)
        taken = np.concatenate([train, select])
        return x[taken], y[taken], x[report], y[report], classify
    data = load(file)
    x, y = data.x_train.reshape(len(data.x_train), -1), data.y_train
    train, select, report = divide(
        len(y), name=name, seed=seed, said=[], labels=y, limit=LIMIT, report=data.x_test is None
    )
    taken = np.concatenate([train, select])
    if data.x_test is None or data.y_test is None:
        return x[taken], y[taken], x[report], y[report], True
    return x[taken], y[taken], data.x_test.reshape(len(data.x_test), -1), data.y_test, True


def rivals(classify: bool, seconds: float, seed: int) -> dict[str, Callable[..., float]]:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    boosting = (HistGradientBoostingClassifier if classify else HistGradientBoostingRegressor)(
        random_state=seed
    )
    linear = LogisticRegression(max_iter=1000) if classify else Ridge()
    mlp = (MLPClassifier if classify else MLPRegressor)(random_state=seed)

    def scored(model: Any) -> Callable[..., float]:
        return lambda x, y, x_report, y_report: model.fit(x, y).score(x_report, y_report)

    found = {
        "boosting": scored(boosting),
        "linear": scored(make_pipeline(StandardScaler(), linear)),
        "mlp": scored(make_pipeline(StandardScaler(), mlp)),
    }
    try:
        from flaml import AutoML
    except ImportError:
        return found

    def flaml(x: Any, y: Any, x_report: Any, y_report: Any) -> float:
        model = AutoML()
        model.fit(
            x,
            y,
            task="classification" if classify else "regression",
            time_budget=seconds,
            metric="accuracy" if classify else "r2",
            estimator_list=["lgbm", "rf", "extra_tree", "lrl1"] if classify else ["lgbm", "rf", "extra_tree"],
            seed=seed,
            verbose=0,
            n_jobs=1,
        )
        told = model.predict(x_report)
        if classify:
            return float(np.mean(np.asarray(told) == y_report))
        from sklearn.metrics import r2_score

        return float(r2_score(y_report, told))

    return found | {"flaml": flaml}


def installed(*packages: str) -> list[str]:
    return [name for name in packages if importlib.util.find_spec(name) is not None]


def table(cells: list[dict[str, Any]]) -> str:
    """Mean over seeds, standard deviation, and seconds; the best of a row in bold, failures counted."""
    methods = list(dict.fromkeys(cell["method"] for cell in cells))
    lines = [
        "Accuracy in per cent (R2 x 100 for diabetes and linnerud): mean ± standard deviation over seeds (seconds).",
        "",
        f"| set | {' | '.join(methods)} |",
        f"|{'---|' * (len(methods) + 1)}",
    ]
    for name in dict.fromkeys(cell["set"] for cell in cells):
        means: dict[str, float] = {}
        words: dict[str, str] = {}
        for method in methods:
            of = [cell for cell in cells if cell["set"] == name and cell["method"] == method]
            values = [100 * cell["quality"] for cell in of if cell.get("quality") is not None]
            if not values:
                words[method] = "failed" if of else ""
                continue
            means[method] = statistics.mean(values)
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            failed = f", {len(of) - len(values)} failed" if len(values) < len(of) else ""
            took = statistics.mean(cell["seconds"] for cell in of if "seconds" in cell)
            words[method] = f"{means[method]:.1f}{spread} ({took:.1f} s{failed})"
        best = max(means.values())
        shown = [f"**{words[m]}**" if means.get(m) == best else words[m] for m in methods]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
