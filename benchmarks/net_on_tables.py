"""The net for tables, with and without devices of RealMLP, beside others on the same rows of twenty tables.

    python benchmarks/tables_apart.py WHEELS TABLES        (their files; see there)
    python benchmarks/net_on_tables.py --tables TABLES --part choose --methods present,scale6 [--seeds 3]

A fifth of the rows is held out, the same for all methods; of the rest a fifth selects, or is handed over too.

    present      the net `tabular` of `gammatune train`: two nets or so at a budget of 1.5, their answers averaged
    NAME         with the devices of that name (`table_nets.py`); +wdN: a weight decay of N per cent; +lsN: labels
                 smoothed by N per cent; +eN: N per cent of the usual epochs; +bN: batches of N; +xN: a budget of N
                 per cent
    boosting     scikit-learn's HistGradientBoosting as the command grows it
    linear       logistic or ridge regression as the command fits it
    realmlp      pytabkit's RealMLP-TD, one thread, its own fifth to stop by
    realmlp-ce   the same without smoothed labels, stopped by the log-loss; of numbers the same
    catboost     CatBoost's defaults, stopped by the rows to select by (100 rounds)

The last three in a virtual environment with pytabkit and catboost: run the same command with its Python. Error: the
share of wrong answers, or the root mean squared error in the target's unit; loss: log-loss, or the mean square.
Seconds are the processor's, of the fitting. One thread.
"""

import argparse
import re
import tempfile
import warnings
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import harness
import numpy as np
import tables_apart

HERE = Path(__file__).resolve().parent
OTHERS = ("boosting", "linear", "realmlp", "realmlp-ce", "catboost")
FLOOR = 1e-6  # of an error, in a ratio


def main() -> None:
    parser = harness.arguments(__doc__, HERE / "results" / "net_on_tables.json", seeds=3, minutes=600)
    parser.add_argument("--tables", type=Path, help="the folder with their files")
    parser.add_argument("--part", choices=["choose", "report"], default="choose")
    parser.add_argument("--methods", default="", help="parted by commas; none: only the results are written")
    parser.add_argument("--only", default="", help="tables of it, parted by commas")
    args = parser.parse_args()
    cells = harness.Cells.beside(args.out, "table", "method", "seed", held="cells")
    known = {table["name"]: table for table in tables_apart.listed(args.part)}
    methods = list(filter(None, args.methods.split(",")))
    keys = [
        {"table": name, "seed": seed, "method": method}
        for seed in range(args.seeds)
        for method in methods
        for name in known
        if name in (args.only.split(",") if args.only else known)
        and ("+ls" not in method or known[name]["task"] == "classification")
    ]
    harness.sweep(cells, keys, partial(compute, args.tables, known), **harness.bounds(args))
    print(write(args, cells))


def compute(folder: Path, listed: dict[str, Any], table: str, seed: int, method: str) -> harness.Row:
    known, file = listed[table], folder / f"{table.replace('/', '-')}.csv"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return other(file, known, seed, method) if method in OTHERS else ours(file, known, seed, method)


# Ours -----------------------------------------------------------------------------------------------------


def ours(file: Path, known: dict[str, Any], seed: int, method: str) -> harness.Row:
    import table_nets
    import torch

    from gammatune.pipeline.options import Options
    from gammatune.pipeline.prepare import prepare
    from gammatune.policy.registry import default_budget
    from gammatune.supervised.fit import fit
    from gammatune.tuning.arguments import total_of

    name, *settings = method.split("+")
    set_to = {found[1]: int(found[2]) for each in settings if (found := re.fullmatch(r"([a-z]+)(\d+)", each))}
    options = Options(
        data=str(file), target=known["target"], drop=known["drop"] or None, task=known["task"], seed=seed,
        threads=1, model="tabular" if name == "present" else f"table_nets:{name}", batch_size=set_to.get("b"),
    )  # fmt: skip
    prepared = prepare(options)
    split = prepared.split
    epochs = max(1, round(prepared.epochs * set_to.get("e", 100) / 100))
    budget = set_to["x"] / 100 if "x" in set_to else default_budget(options.policy)
    smooth = partial(torch.nn.functional.cross_entropy, label_smoothing=set_to.get("ls", 0) / 100)
    followed = follow_progress(table_nets.PROGRESS)
    with harness.timed() as took, followed:
        result = fit(
            prepared.net, split.train.pair, split.select.pair, test_set=split.report.pair,
            total_epochs=total_of(budget, epochs), guide=epochs,
            seed=seed, patience=prepared.patience, new_model=prepared.another, batch_size=options.batch_size,
            weight_decay=set_to["wd"] / 100 if "wd" in set_to else None,
            loss_fn=smooth if "ls" in set_to and split.task == "classification" else None,
            target_scale=(split.preprocessing.target_mean, split.preprocessing.target_std), progress=False,
        )  # fmt: skip
    net = result.ensemble or prepared.net.eval()
    with torch.no_grad():
        outputs = net(split.report.x)
    if split.task == "classification":
        logs = outputs.double().log_softmax(1)
        row = of_classes(logs.exp().numpy(), split.report.y.numpy())
    else:
        std = np.asarray(split.preprocessing.target_std)
        row = of_numbers(outputs.double().numpy() * std, split.report.y.double().numpy() * std)
    epoch = 0 if result.handed_back is None else result.handed_back.epoch
    rate = 0.0 if result.handed_back is None else result.handed_back.rates.get("lr", 0.0)
    more = {"nets": max(1, len(result.nets)), "usual": prepared.epochs, "best_epoch": epoch, "rate": rate}
    return {**row, "seconds": round(took.processor, 2), **more}


def follow_progress(progress: list[float]) -> Any:
    """Within, `progress` is how far along its shape the training's rate is."""
    from contextlib import contextmanager

    from gammatune.engine.run_batches import RunBatches

    @contextmanager
    def following() -> Any:
        before = RunBatches.__iter__

        def passed(self: Any) -> Any:
            for batch in before(self):
                # of the whole course: after the warm-up a linear shape is the rest of the way
                progress[0] = 1 - min(1.0, self._hyperparameters.bent)
                yield batch

        RunBatches.__iter__ = passed  # type: ignore[method-assign]
        try:
            yield
        finally:
            RunBatches.__iter__ = before  # type: ignore[method-assign]

    return following()


# Others ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def split_of(file: Path, target: str, drop: tuple[str, ...], task: str, seed: int) -> Any:
    from gammatune.pipeline.options import Options
    from gammatune.pipeline.prepare import prepare

    prepared = prepare(Options(str(file), target, drop=list(drop) or None, task=task, seed=seed, threads=1))
    return prepared.split


@lru_cache(maxsize=1)
def frames_of(file: Path, target: str, drop: tuple[str, ...], task: str, seed: int) -> Any:
    """(frame, y) that train, select and report: numbers as they are, missing ones the median of the training's;
    categories as text."""
    import pandas as pd

    from gammatune.pipeline.data.columns import kinds_given
    from gammatune.pipeline.data.split import divide
    from gammatune.pipeline.data.table import load_table

    table = load_table(file, target, task=task, kinds=kinds_given((), drop))
    classes = task == "classification"
    parts = divide(len(table.y), name=table.name, seed=seed, said=[], labels=table.y if classes else None)
    made = {}
    for column in table.columns:
        given = table.frame[column.name]
        if column.kind == "number":
            numbers = pd.to_numeric(given, errors="coerce").astype(float)
            made[column.name] = numbers.fillna(numbers.iloc[parts[0]].median())
        else:
            made[column.name] = given.astype("str").fillna("missing").astype("category")
    frame = pd.DataFrame(made)
    return [(frame.iloc[part], table.y[part].reshape(-1)) for part in parts]


def other(file: Path, known: dict[str, Any], seed: int, method: str) -> harness.Row:
    what = (file, known["target"], tuple(known["drop"]), known["task"], seed)
    classify = known["task"] == "classification"
    if method in ("boosting", "linear"):
        from gammatune.pipeline.families import families, setting_of
        from gammatune.pipeline.limits import Limits, known_of, rows_of

        split, most = split_of(*what), Limits()
        linear, trees = families(most.rounds, most.strengths)
        family = trees if method == "boosting" else linear
        train, select, about = rows_of(split.train), rows_of(split.select), known_of(split, None, seed)
        with harness.timed() as took:
            model = family.fit(train, setting_of(family, [(train, select)], about), about)
        told, y = model(split.report.x.numpy()), split.report.y.numpy()
        if classify:
            return {**of_classes(told, y), "seconds": round(took.processor, 2)}
        std = np.asarray(split.preprocessing.target_std)
        return {**of_numbers(told * std, y * std), "seconds": round(took.processor, 2)}
    (train, y_train), (select, y_select), (report, y_report) = frames_of(*what)
    with harness.timed() as took:
        told = (realmlp if method.startswith("realmlp") else catboost)(
            train, y_train, select, y_select, report, classify, seed, method
        )
    row = of_classes(told, y_report) if classify else of_numbers(told, y_report)
    return {**row, "seconds": round(took.processor, 2)}


def realmlp(
    train: Any, y: Any, select: Any, y_select: Any, report: Any, classify: bool, seed: int, method: str
) -> Any:
    """The rows to select by are those it stops by."""
    import pandas as pd
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    more = {"use_ls": False, "val_metric_name": "cross_entropy"} if classify and method.endswith("ce") else {}
    kind = RealMLP_TD_Classifier if classify else RealMLP_TD_Regressor
    model = kind(device="cpu", random_state=seed, n_threads=1, verbosity=0, **more)
    both, at = pd.concat([train, select]), np.arange(len(train), len(train) + len(select))
    model.fit(both, np.concatenate([y, y_select]), val_idxs=at)
    return model.predict_proba(report) if classify else model.predict(report)


def catboost(
    train: Any, y: Any, select: Any, y_select: Any, report: Any, classify: bool, seed: int, method: str
) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    kind = CatBoostClassifier if classify else CatBoostRegressor
    named = [name for name in train if train[name].dtype == "category"]
    with tempfile.TemporaryDirectory() as folder:
        model = kind(
            random_seed=seed, thread_count=1, verbose=False, cat_features=named, train_dir=folder,
            early_stopping_rounds=100, allow_writing_files=False,
        )  # fmt: skip
        model.fit(train, y, eval_set=(select, y_select))
    return model.predict_proba(report) if classify else model.predict(report)


# What is measured -----------------------------------------------------------------------------------------


def of_classes(told: Any, y: Any) -> harness.Row:
    told = np.clip(np.asarray(told, dtype=np.float64), 1e-12, 1)
    told /= told.sum(1, keepdims=True)
    loss = -np.log(told[np.arange(len(y)), y]).mean()
    return {"error": float((told.argmax(1) != y).mean()), "loss": float(loss), "report": len(y)}


def of_numbers(told: Any, y: Any) -> harness.Row:
    squared = float(((np.asarray(told).reshape(-1) - np.asarray(y).reshape(-1)) ** 2).mean())
    return {"error": squared**0.5, "loss": squared, "report": len(y)}


def ratios(
    cells: harness.Cells, tables: list[dict[str, Any]], method: str, to: str, what: str
) -> list[float]:
    """A table each: the mean over the seeds that both have, over that of the other."""
    found = []
    for table in tables:
        of = [
            {row["seed"]: row[what] for row in cells.good(table=table["name"], method=m)}
            for m in (method, to)
        ]
        seeds = of[0].keys() & of[1].keys()
        if seeds:
            found.append(sum(of[0][s] + FLOOR for s in seeds) / sum(of[1][s] + FLOOR for s in seeds))
    return found


def write(args: argparse.Namespace, cells: harness.Cells) -> str:
    """The result file, and what it says in lines."""
    found = {}
    for part in ("choose", "report"):
        for to in ("present", "realmlp"):
            for method in dict.fromkeys(row["method"] for row in cells):
                if row := compared(cells, tables_apart.listed(part), method, to):
                    found[f"{part}: {method} to {to}"] = harness.rounded(row)
    about = harness.about("torch", "numpy", "scikit-learn", "pandas", "pytabkit", "catboost")
    harness.save(args.out, {**about, "ratios": found, "cells": list(cells)}, by_line=True)
    return "\n".join(f"{name}: {ratio}" for name, ratio in found.items())


def compared(
    cells: harness.Cells, every: list[dict[str, Any]], method: str, to: str
) -> dict[str, list[float] | float]:
    """By task and measure: over how many tables, the geometric mean over them, and its interval where they are three
    or more; of the seconds the mean alone. Empty where no table has both methods."""
    row: dict[str, list[float] | float] = {}
    for task in ("all", "classification", "regression"):
        tables = [table for table in every if task in ("all", table["task"])]
        for what in ("error", "loss") if task == "classification" else ("error",):
            if each := ratios(cells, tables, method, to, what):
                mean = harness.Ratio.mean(each)
                interval = [mean.low, mean.high] if len(each) > 2 else []
                row[f"{task} {what}"] = [float(len(each)), mean.value, *interval]
    if row:
        row["seconds"] = harness.geometric_mean(ratios(cells, every, method, to, "seconds"))
    return row


if __name__ == "__main__":
    main()
