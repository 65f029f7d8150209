"""Where the methods of measure.py stand: results/long.json and results/long.md from the cells of results/long.jsonl.

    python benchmarks/long/standing.py [--scale short] [--hours]

By method, against the author's recipe in the same seed (the words are those of equal_cost/table.py):

    score    the ratio of what a training is told by, to the author's: its loss (code, finetune, in nats a character;
             vae, in nats an image) or its error (1 - accuracy), on the test part after the last step; the geometric
             mean over trainings of the ratio of the means over seeds, with a 95 % interval over trainings
    loss     the same of the test loss, of all eight
    cost     plain runs, in examples; seconds: of the processor, over the author's of the same training and seed, the
             geometric mean
    failed   models handed over that had diverged, or methods that raised

    best of grid: of the five runs at 1/9 to 9 times the author's rate the one that is best by "select"; it costs five

Ratios are of whole comparisons alone: the trainings and seeds on which every method has run (ours-4 where it has).
--hours: times some steps of each training at full scale, and adds the hours that all of it would take; they
stay in the file.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))
sys.path.append(str(Path(__file__).resolve().parents[1] / "equal_cost"))

import harness
import numpy as np
import sets
from course import Course
from harness import Ratio
from measure import FACTORS, KEY, LAST, METHODS, PACKAGES, RESULTS, keys, of_grid
from outcomes import setting_of
from recipes import LOSS, SCALES, SIZES, Recipe, recipes
from table import BOUND, Cells, markdown, paired, with_interval

AUTHOR, GRID, OURS = "author", "best of grid", ("ours-1.5", "ours-4")
SHOWN = (
    *(*OURS, AUTHOR, "author-1.5", GRID),
    *("prodigy", "prodigy-1.5", "schedule-free", "schedule-free-1.5"),
)
PLAIN_RUNS = 17.0  # of all methods of a training and seed together
SEEDS = 3
TIMED = 10  # steps
SEEN = {  # by the population that gammatune's prior was fitted on
    "code": "other modules of the same library",
    "mnist": "the same images",
    "cifar": "the same images",
    "signals": "other signals",
    "rows": "other tables, also made by scikit-learn",
    "vae": "the same images",
    "muon": "other signals",
    "finetune": "not this text",
}


# Numbers --------------------------------------------------------------------------------------------------


def compared(rows: Sequence[Mapping[str, Any]]) -> Cells:
    """By training, method and seed; the best of the grid among them where all five of it are there."""
    cells = {(row["task"], row["method"], row["seed"]): row for row in rows}
    for task, seed in sorted({(task, seed) for task, _, seed in cells}):
        five = [cells.get((task, of_grid(factor), seed)) for factor in FACTORS]
        runs = [run for run in five if run is not None]
        if len(runs) == len(FACTORS):
            best = min(runs, key=lambda run: (run["diverged"], run["select"]))
            paid = {name: sum(run[name] for run in runs) for name in ("cost", "seconds")}
            cells[task, GRID, seed] = {**best, **paid, "method": GRID}
    return cells


def whole(cells: Cells) -> Cells:
    """Of the trainings and seeds on which every method has run that has run anywhere, but those of LAST."""
    methods = {method for _, method, _ in cells if method not in LAST}
    ran: dict[tuple[str, int], set[str]] = {}
    for task, method, seed in cells:
        ran.setdefault((task, seed), set()).add(method)
    return {(t, m, s): cell for (t, m, s), cell in cells.items() if methods <= ran[t, s]}


def losses(cells: Cells) -> Cells:
    return {key: {**cell, "test": cell["measured"]["loss"]} for key, cell in cells.items()}


def against(cells: Cells, tasks: Mapping[str, Any], method: str, other: str = AUTHOR) -> Ratio:
    return Ratio.mean([pair.ratio.value for pair in paired(cells, tasks, method, other)])


def standing(cells: Cells, tasks: Mapping[str, Any], method: str) -> dict[str, Any] | None:
    pairs = paired(cells, tasks, method, AUTHOR)
    if not pairs:
        return None
    own = [(cells[p.task, method, seed], cells[p.task, AUTHOR, seed]) for p in pairs for seed in p.seeds]
    by_task = {pair.task: pair.ratio for pair in pairs}
    worst = max(by_task, key=lambda task: by_task[task].value)
    score, loss = against(cells, tasks, method), against(losses(cells), tasks, method)
    return {
        "trainings": len(pairs),
        "pairs": len(own),
        **{name: _ratio(ratio) for name, ratio in (("score", score), ("loss", loss))},
        "lower": sum(ratio.value < 1 for ratio in by_task.values()),
        "worst": by_task[worst].value,
        "worst training": worst,
        "by training": {task: _ratio(ratio) for task, ratio in by_task.items()},
        "cost": float(np.mean([cell["cost"] for cell, _ in own])),
        "seconds": harness.geometric_mean([cell["seconds"] / of["seconds"] for cell, of in own]),
        "diverged": sum(cell["diverged"] for cell, _ in own),
    }


def over_others(cells: Cells, tasks: Mapping[str, Any], ours: str) -> dict[str, Any]:
    """Our score over every other's, one by one."""
    found = {}
    for other in SHOWN:
        pairs = paired(cells, tasks, ours, other)
        if other != ours and pairs:
            ratios = {pair.task: pair.ratio.value for pair in pairs}
            worst = max(ratios, key=lambda task: ratios[task])
            told = {"trainings": len(pairs), "lower": sum(ratio < 1 for ratio in ratios.values())}
            told |= {"worst": ratios[worst], "worst training": worst}
            found[other] = {**told, **_ratio(against(cells, tasks, ours, other))}
    return found


def _ratio(ratio: Ratio) -> dict[str, float | None]:
    ends = {"low": ratio.low, "high": ratio.high}
    return {"ratio": ratio.value} | {name: None if np.isnan(end) else end for name, end in ends.items()}


def facts(recipe: Recipe, scale: str, cells: Cells) -> dict[str, Any]:
    """Of a training; what its plain runs reached and took, in the mean over seeds; what ours decided, by seed."""
    size = SIZES[scale][recipe.name]
    plain = [cell for (task, method, _), cell in cells.items() if (task, method) == (recipe.name, AUTHOR)]
    ours = {
        f"{method} seed {seed}": {
            name: cell["chosen"][name] for name in ("lr", "nets", "looks", "handed back")
        }
        for (task, method, seed), cell in cells.items()
        if task == recipe.name and method.startswith("ours")
    }
    return {
        "steps": steps_of(size),
        "epochs": size.epochs,
        "train": size.train,
        "test": size.test,
        "batch": size.batch,
        "lr": recipe.default_lr,
        "told by": "loss" if recipe.metric == LOSS else "error",
        "seen": SEEN[recipe.name],
        "seconds": float(np.mean([cell["seconds"] for cell in plain])) if plain else None,
        "ours": ours,
    }


def steps_of(size: Any) -> int:
    return int(size.epochs * -(-size.train // size.batch))


def hours() -> dict[str, Any]:
    """Of the full scale: a plain run's seconds from those of TIMED steps, and core-hours of everything."""
    seconds: dict[str, float] = {}
    known = recipes("full")
    known["finetune"] = replace(known["finetune"], net=known["code"].net)  # the same net, not trained before
    for name, recipe in known.items():
        course = Course(setting_of(recipe, 0))
        course.advance(2, lambda k: 1e-4)
        with harness.timed() as took:
            course.advance(TIMED, lambda k: 1e-4)
        seconds[name] = took.processor / TIMED * steps_of(SIZES["full"][name])
        setting_of.cache_clear()
        print(f"{name}: {seconds[name]:.0f} s a plain run", flush=True)
    total = sum(seconds.values()) * PLAIN_RUNS * SEEDS / 3600
    return {"timed steps": TIMED, "seconds of a plain run": seconds, "seeds": SEEDS, "core hours": total}


def numbers(scale: str, rows: Sequence[harness.Row]) -> dict[str, Any]:
    good = [row for row in rows if "failed" not in row]
    cells, known = compared(good), recipes(scale)
    tasks = {name: facts(recipe, scale, cells) for name, recipe in known.items()}
    compared_in = whole(cells)
    best = [cell for (_, method, _), cell in compared_in.items() if method == GRID]
    chosen = [cell["chosen"]["lr"] / known[cell["task"]].default_lr for cell in best]
    methods = {method: standing(compared_in, tasks, method) for method in SHOWN}
    raised = [f"{r['task']} {r['method']} seed {r['seed']}: {r['failed']}" for r in rows if "failed" in r]
    wanted = sum(1 for _ in keys(scale, SEEDS, list(known), list(METHODS)))
    return {
        "scale": scale,
        "cells": len(rows),
        "grid": {"of": len(chosen), "best at its highest rate": sum(f > 8.9 for f in chosen)},
        "whole": sorted({(task, seed) for task, _, seed in compared_in}),
        "of": wanted,
        "commits": sorted({row["commit"] for row in good}),
        "texts": {"code": sets.sha256(sets.code()), "finetune": sets.sha256(sets.prose())},
        "methods": {name: found for name, found in methods.items() if found},
        **{f"{ours} over": over_others(compared_in, tasks, ours) for ours in OURS},
        "trainings": tasks,
        "reached": {name: reached(cells, name) for name in known},
        "raised": raised,
    }


def reached(cells: Cells, task: str) -> dict[str, Any]:
    """By method, in the mean over its seeds: the score, the test metrics, cost, seconds; and the seeds."""
    found: dict[str, Any] = {}
    for method in dict.fromkeys(method for of, method, _ in cells if of == task):
        of = {seed: cell for (t, m, seed), cell in cells.items() if (t, m) == (task, method)}
        names = ("test", "cost", "seconds")
        means = {name: float(np.mean([cell[name] for cell in of.values()])) for name in names}
        measured = {
            name: float(np.mean([cell["measured"][name] for cell in of.values()]))
            for name in next(iter(of.values()))["measured"]
        }
        found[method] = {"seeds": sorted(of), **means, **measured}
    return found


# Markdown -------------------------------------------------------------------------------------------------


def document(told: Mapping[str, Any]) -> str:
    text = [
        f"# The long benchmark, scale {told['scale']}: {told['cells']} of {told['of']} cells\n",
        (__doc__ or "").split("\n\n", 2)[2],
    ]
    names = ", ".join(f"{task} (seed {seed})" for task, seed in told["whole"])
    edge = "{best at its highest rate} of {of}".format(**told["grid"])
    text.append(
        f"Whole comparisons: {names}. The best of the grid is its highest rate, nine times the author's, on {edge}: "
        "what lies beyond it is not known.\n"
    )
    text += ["## Against the author's recipe\n", markdown(*by_method(told)) + "\n"]
    for ours in OURS:
        text += [f"## {ours} over the others\n", markdown(*one_by_one(told, ours)) + "\n"]
    text += ["## What was reached\n", REACHED, markdown(*by_training(told)) + "\n"]
    text += ["## The trainings\n", markdown(*trainings(told)) + "\n"]
    text += ["## What ours decided\n", DECIDED, markdown(*decisions(told)) + "\n"]
    text += ["Raised:\n", *(f"- {each}" for each in told["raised"])] if told["raised"] else []
    if "full" in told:
        seconds = ", ".join(f"{name} {s:.0f}" for name, s in told["full"]["seconds of a plain run"].items())
        text.append(
            f"Full scale: {told['full']['core hours']:.0f} core-hours for {told['full']['seeds']} seeds, by the time "
            f"of {told['full']['timed steps']} steps each; seconds of a plain run: {seconds}.\n"
        )
    where = told["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    text.append(f"Measured on {where['processor']}, 1 thread, Python {where['python']}, {versions}.\n")
    return "\n".join(text)


REACHED = "Test loss (code, vae, finetune) or test error in % after the last step, means over the seeds there are.\n"
DECIDED = "The highest rate over the author's, and the rates that were looked at before it.\n"
Table = tuple[Sequence[str], list[list[str]]]


def by_method(told: Mapping[str, Any]) -> Table:
    lines = []
    for method, of in told["methods"].items():
        score, loss = _read(of["score"]), _read(of["loss"])
        cells = [
            method,
            f"{of['trainings']} ({of['pairs']})",
            with_interval(score, BOUND),
            with_interval(loss, BOUND),
        ]
        worst = f"{of['worst training']} {of['worst']:.3f}"
        lines.append(
            [
                *cells,
                f"{of['lower']}",
                worst,
                f"{of['diverged']}",
                f"{of['cost']:.2f}",
                f"{of['seconds']:.2f}",
            ]
        )
    head = ("method", "trainings (runs)", "score", "loss", "better on", "worst", "failed", "cost", "seconds")
    return head, lines


def _read(of: Mapping[str, Any]) -> Ratio:
    low, high = (np.nan if of[end] is None else of[end] for end in ("low", "high"))
    return Ratio(of["ratio"], low, high)


def one_by_one(told: Mapping[str, Any], ours: str) -> Table:
    lines = [
        [
            other,
            f"{of['trainings']}",
            with_interval(_read(of), BOUND),
            f"{of['lower']}",
            f"{of['worst training']} {of['worst']:.3f}",
            f"{told['methods'][ours]['cost']:.2f} / {told['methods'][other]['cost']:.2f}",
        ]
        for other, of in told[f"{ours} over"].items()
    ]
    return ("over", "trainings", "score", "better on", "worst", "costs"), lines


def by_training(told: Mapping[str, Any]) -> Table:
    methods = [*SHOWN, *(of_grid(factor) for factor in FACTORS if factor != 1)]
    lines = []
    for method in methods:
        line = [method]
        for task, of in told["reached"].items():
            points = 1 if told["trainings"][task]["told by"] == LOSS else 100
            line.append(f"{points * of[method]['test']:.4g}" if method in of else "")
        if any(line[1:]):
            lines.append(line)
    return ("method", *told["reached"]), lines


def trainings(told: Mapping[str, Any]) -> Table:
    lines = [
        [
            name,
            f"{of['train']:,}",
            f"{of['epochs']}",
            f"{of['steps']:,}",
            f"{of['lr']:g}",
            "" if of["seconds"] is None else f"{of['seconds']:.0f}",
            of["seen"],
        ]
        for name, of in told["trainings"].items()
    ]
    return (
        "training",
        "examples",
        "epochs",
        "steps",
        "author's rate",
        "seconds",
        "data in the population",
    ), lines


def decisions(told: Mapping[str, Any]) -> Table:
    lines = []
    for task, of in told["trainings"].items():
        for run, made in of["ours"].items():
            rates = " ".join(f"{look[0]:.2g}" for look in made["looks"])
            lines.append(
                [task, run, f"{made['lr'] / of['lr']:.2f}", str(made["nets"]), rates, made["handed back"]]
            )
    return ("training", "run", "rate over the author's", "nets", "rates of the looks", "handed back"), lines


def main() -> None:
    parser = harness.arguments(__doc__, RESULTS)
    parser.add_argument("--scale", choices=SCALES, default="short")
    parser.add_argument("--hours", action="store_true")
    args = parser.parse_args()
    rows = [row for row in harness.Cells.beside(args.out, *KEY) if row["scale"] == args.scale]
    if not rows:
        raise SystemExit(
            f"no cell of scale {args.scale} in {args.out.with_suffix('.jsonl')}: run measure.py first"
        )
    before = json.loads(args.out.read_text()) if args.out.exists() else {}
    full = hours() if args.hours else before.get("full")
    told = {**harness.about(*PACKAGES), **numbers(args.scale, rows)} | ({"full": full} if full else {})
    told = harness.rounded(told, 5)
    harness.save(args.out, told)
    args.out.with_suffix(".md").write_text(document(told))


if __name__ == "__main__":
    main()
