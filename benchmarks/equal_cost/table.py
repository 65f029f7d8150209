"""The results in a table and a picture: every method against a reference, by task, paired by seed.

    python benchmarks/equal_cost/table.py --reference cosine-tpe

What the columns say, over the tasks and seeds that method and reference both have (`pairs`):

    error         mean test error over seeds, then over tasks, in points (hundredths of the task's metric)
    difference    to the reference in points, and
    reduction     of the error against the reference: 1 - geometric mean over tasks of the ratio of mean errors, so
                  that easy tasks and hard ones weigh alike; above 0 is better. Both with 95 % intervals: seeds
                  drawn again within each task, method and reference together; the tasks stay as they are. No
                  interval where a task has a single seed
    not worse     tasks where the paired 95 % t-interval of the difference lies below the margin / reaches over it
                  / lies above it. The margin is the larger of 5 % of the reference's error and 0.5 points
    won-lost      tasks with a lower and with a higher mean error than the reference
    worst task    the largest ratio of mean errors; worst seed: the largest difference in one pair, in points
    failed        models handed over that had diverged, or methods that raised
    optimism      error on the second half of the validation data less error on the half chosen by, in points
    cost          in plain runs, and processor seconds of a run: the means over tasks

Below the tables: pairs of methods head to head; the controls of methods/controls.py, which are no methods to choose,
against the training they vary; how far chosen rates lie apart. All three over the frozen tasks.
"""

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

RESULTS = Path(__file__).resolve().parent.parent / "results" / "equal_cost.json"
DRAWS = 4000  # of the bootstrap
CONTROL, CONTROLLED = "control-", "linear-grid"  # what controls are called, and what they vary
HEAD_TO_HEAD = (  # a method, and what it is held against
    ("lookahead-1.5", "grid-100"),
    ("lookahead-1.5", "grid-100-log"),
    ("lookahead-1.5", "grid-100-once"),
    ("lookahead-1.5", "greedy"),
    ("lookahead-1.5", "lookahead-1.5-loss"),
    ("lookahead-1.5", "lookahead-1.5-accuracy"),
    ("lookahead-1.5-far-up", "lookahead-1.5"),
    ("lookahead-1.5-far-down", "lookahead-1.5"),
    ("lookahead-4-decay", "lookahead-4"),
    ("lookahead-4", "lookahead-1.5"),
    ("lookahead-12", "lookahead-4"),
    ("lookahead-12", "lookahead-12-single"),
    ("lookahead-12", "lookahead-12-random"),
    ("lookahead-12-single", "lookahead-12-random"),
    ("lookahead-12", "control-average-x1"),
    ("lookahead-12", "control-average-x2"),
    ("control-average-x1", "control-local-x1"),
    ("control-average-x1", "control-batch-x1"),
    ("control-average-x2", "control-one-x2"),
    ("control-average-x2", "control-local-x2"),
    ("control-average-x2", "control-batch-x2"),
    ("control-average-x2", "control-average-x1"),
    ("control-average-x1", "control-swa-x1-12"),
    ("control-average-x1", "control-lawa-x1-12"),
    ("control-average-x2", "control-swa-x2-12"),
    ("control-average-x2", "control-lawa-x2-12"),
)
RATES = ("lookahead-1.5", "lookahead-4", "lookahead-12", "linear-gamma")  # whose spread is shown
POINTS = 100.0
Array = NDArray[np.float64]
Interval = tuple[float, float]
Cells = Mapping[tuple[str, str, int], Mapping[str, Any]]  # task, method, seed


@dataclass(frozen=True)
class Pair:
    """Test errors of a method and the reference on one task, (s,) each, seed by seed. floor: see `ratio`."""

    task: str
    seeds: tuple[int, ...]
    method: Array
    reference: Array
    floor: float

    @property
    def ratio(self) -> float:
        return float(self.means(np.arange(len(self.seeds))[None])[0])

    def means(self, drawn: NDArray[np.int64]) -> Array:
        """Ratios of mean errors for seeds drawn (b, s) -> (b,).

        No mean counts below half a test example, so that a task without an error has a ratio.
        """
        a, b = (
            np.maximum(errors[drawn].mean(axis=1), self.floor) for errors in (self.method, self.reference)
        )
        return a / b

    @property
    def difference(self) -> Interval:
        """The paired 95 % t-interval; everything from one seed alone."""
        d, n = self.method - self.reference, len(self.seeds)
        if n < 2:
            return -np.inf, np.inf
        half = float(student.ppf(0.975, n - 1) * d.std(ddof=1) / np.sqrt(n))
        return float(d.mean()) - half, float(d.mean()) + half

    @property
    def verdict(self) -> str:
        """ "yes": not worse by the margin; "no": worse by more; "open"."""
        margin = max(0.05 * float(self.reference.mean()), 0.005)
        low, high = self.difference
        return "yes" if high < margin else "no" if low > margin else "open"


@dataclass(frozen=True)
class Row:
    """A method against the reference; see the module docstring. Errors and differences as fractions."""

    method: str
    pairs: int
    error: float
    difference: float
    difference_interval: Interval
    reduction: float
    reduction_interval: Interval
    verdicts: tuple[int, int, int]
    won_lost: tuple[int, int]
    worst_task: tuple[str, float]
    worst_seed: tuple[str, int, float]
    failed: int
    optimism: float | None
    cost: float
    seconds: float


def paired(cells: Cells, tasks: Mapping[str, Any], method: str, reference: str) -> list[Pair]:
    pairs = []
    for task, facts in tasks.items():
        seeds = tuple(
            sorted(s for t, m, s in cells if (t, m) == (task, method) and (task, reference, s) in cells)
        )
        if seeds:
            errors = (np.array([cells[task, m, s]["test"] for s in seeds]) for m in (method, reference))
            pairs.append(Pair(task, seeds, *errors, floor=0.5 / facts["test"]))
    return pairs


def row(cells: Cells, tasks: Mapping[str, Any], method: str, reference: str) -> Row | None:
    """None where the two have nothing in common."""
    pairs = paired(cells, tasks, method, reference)
    if not pairs:
        return None
    rng = np.random.default_rng(0)  # the same draws for every method
    draws = [rng.integers(0, len(p.seeds), (DRAWS, len(p.seeds))) for p in pairs]
    logs = np.mean([np.log(p.means(d)) for p, d in zip(pairs, draws, strict=True)], axis=0)
    steps = np.mean(
        [(p.method - p.reference)[d].mean(axis=1) for p, d in zip(pairs, draws, strict=True)], axis=0
    )
    (low, lowest), (high, highest) = np.quantile([logs, steps], [0.025, 0.975], axis=1)
    if any(len(p.seeds) < 2 for p in pairs):  # nothing to draw from
        low = high = lowest = highest = np.nan
    worst = max(pairs, key=lambda p: p.ratio)
    gaps = [
        (p.task, seed, float(a - b))
        for p in pairs
        for seed, a, b in zip(p.seeds, p.method, p.reference, strict=True)
    ]
    verdicts = [p.verdict for p in pairs]
    own = [[cells[p.task, method, seed] for seed in p.seeds] for p in pairs]
    seen = [c for group in own for c in group if c["second"] is not None]
    return Row(
        method,
        len(gaps),
        float(np.mean([p.method.mean() for p in pairs])),
        float(np.mean([(p.method - p.reference).mean() for p in pairs])),
        (float(lowest), float(highest)),
        1 - float(np.exp(np.mean([np.log(p.ratio) for p in pairs]))),
        (1 - float(np.exp(high)), 1 - float(np.exp(low))),
        (verdicts.count("yes"), verdicts.count("open"), verdicts.count("no")),
        (sum(p.ratio < 1 for p in pairs), sum(p.ratio > 1 for p in pairs)),
        (worst.task, worst.ratio),
        max(gaps, key=lambda gap: gap[2]),
        sum(c["diverged"] for group in own for c in group),
        float(np.mean([c["second"] - c["select"] for c in seen])) if seen else None,
        float(np.mean([np.mean([c["cost"] for c in group]) for group in own])),
        float(np.mean([np.mean([c["seconds"] for c in group]) for group in own])),
    )


# Markdown -------------------------------------------------------------------------------------------------

HEADINGS = (
    "method", "pairs", "error", "difference", "reduction %", "not worse yes/open/no", "won-lost", "worst task",
    "worst seed", "failed", "optimism", "cost", "seconds",
)  # fmt: skip


def cells_of(row: Row) -> list[str]:
    points = [POINTS * d for d in (row.difference, *row.difference_interval)]
    per_cent = [100 * r for r in (row.reduction, *row.reduction_interval)]
    task, seed, gap = row.worst_seed
    return [
        row.method,
        str(row.pairs),
        f"{POINTS * row.error:.2f}",
        with_interval(points, 2),
        with_interval(per_cent, 1),
        "/".join(map(str, row.verdicts)),
        "-".join(map(str, row.won_lost)),
        f"{row.worst_task[0]} x{row.worst_task[1]:.2f}",
        f"{task}/{seed} {POINTS * gap:+.1f}",
        str(row.failed),
        "" if row.optimism is None else f"{POINTS * row.optimism:+.2f}",
        f"{row.cost:.2f}",
        f"{row.seconds:.2f}",
    ]


def with_interval(numbers: Sequence[float], digits: int) -> str:
    value, low, high = (f"{number:+.{digits}f}" for number in numbers)
    return value if np.isnan(numbers[1]) else f"{value} [{low}, {high}]"


def markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in (headings, *lines)) for i in range(len(headings))]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |"
        for line in (headings, rule, *lines)
    )


def by_task(cells: Cells, tasks: Mapping[str, Any], methods: Sequence[str], reference: str) -> str:
    """Mean test errors in points, by method and task; + where it is not worse by the margin, - where it is."""
    lines = []
    for method in methods:
        of = {pair.task: pair for pair in paired(cells, tasks, method, reference)}
        marks = {"yes": "+", "no": "-", "open": ""}
        texts = [
            f"{POINTS * of[t].method.mean():.2f}{marks[of[t].verdict]}" if t in of else "" for t in tasks
        ]
        lines.append([method, *texts])
    return markdown(("method", *tasks), lines)


def report(results: Mapping[str, Any], reference: str) -> tuple[str, list[Row]]:
    """The document, and the rows over the frozen tasks (all tasks where none of them has been run)."""
    cells = {(c["task"], c["method"], c["seed"]): c for c in results["cells"]}
    methods = sorted({method for _, method, _ in cells})
    if reference not in methods:
        raise SystemExit(f"--reference {reference}: there is none; there are {', '.join(methods)}")
    frozen = {t: f for t, f in results["tasks"].items() if not f["development"]}
    development = {t: f for t, f in results["tasks"].items() if f["development"]}
    text = [f"# Equal cost: every method against {reference}\n", (__doc__ or "").split("\n\n", 2)[2]]
    shown: list[Row] = []
    to_choose = [method for method in methods if not method.startswith(CONTROL)]
    for title, tasks in (("Frozen tasks", frozen), ("Development tasks", development)):
        rows, lines = section(cells, tasks, to_choose, reference, f"{title} ({len(tasks)})")
        text += lines
        shown = shown or rows
    text += head_to_head(cells, frozen, methods)
    varied = [method for method in methods if method.startswith(CONTROL)]
    if varied and CONTROLLED in methods:
        text += section(cells, frozen, [*varied, CONTROLLED], CONTROLLED, f"Controls against {CONTROLLED}")[1]
    text += spreads(cells, frozen)
    where = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    text += [
        f"Measured on {where['processor']}, {results['threads']} thread, Python {where['python']}, {versions}; "
        f"commits {', '.join(results['commits'])}.\n"
    ]
    return "\n".join(text), shown


def section(
    cells: Cells, tasks: Mapping[str, Any], methods: Sequence[str], reference: str, title: str
) -> tuple[list[Row], list[str]]:
    """The rows from good to bad, and their two tables as text; nothing where nothing has been run."""
    made = (row(cells, tasks, method, reference) for method in methods)
    rows = sorted((r for r in made if r is not None), key=lambda r: -r.reduction)
    if not rows:
        return [], []
    return rows, [
        f"## {title}\n",
        markdown(HEADINGS, [cells_of(r) for r in rows]) + "\n",
        "Test error by task, in points (+ not worse by the margin, - worse by more):\n",
        by_task(cells, tasks, [r.method for r in rows], reference) + "\n",
    ]


def head_to_head(cells: Cells, tasks: Mapping[str, Any], methods: Sequence[str]) -> list[str]:
    lines = []
    for method, other in HEAD_TO_HEAD:
        if method in methods and other in methods and (found := row(cells, tasks, method, other)):
            texts, back = cells_of(found), row(cells, tasks, other, method)
            assert back is not None
            costs = f"{found.cost:.2f} / {back.cost:.2f}"
            lines.append([method, other, texts[1], *texts[3:9], costs])
    if not lines:
        return []
    headings = ("method", "against", "pairs", *HEADINGS[3:9], "costs")
    return ["## Head to head\n", markdown(headings, lines) + "\n"]


# Spread of the chosen rates -------------------------------------------------------------------------------


def spreads(cells: Cells, tasks: Mapping[str, Any]) -> list[str]:
    """How far the rates that a method chose lie apart, over seeds and over orders of the data alone."""
    groups = {f"{m}, seeds": [over_seeds(cells, task, m) for task in tasks] for m in RATES}
    groups |= {f"{m}, orders": [over_orders(cells, task, m) for task in tasks] for m in RATES}
    known = {name: found for name, found in groups.items() if any(found)}
    if not known:
        return []
    lines = [
        [task, *("" if not found[i] else spread(found[i]) for found in known.values())]
        for i, task in enumerate(tasks)
    ]
    pooled = [float(np.sqrt(np.mean([deviation(f) ** 2 for f in found if f]))) for found in known.values()]
    lines.append(["root mean square", *(f"{sd:.2f}" for sd in pooled)])
    return [
        "## Spread of the chosen learning rate\n",
        "Standard deviation in decades, and in brackets the largest rate over the smallest (the worst seed's). "
        "Seeds: other examples, initial weights and order of the data. Orders: five orders of the data under each "
        "seed, all else the same.\n",
        markdown(("task", *known), lines) + "\n",
    ]


def over_seeds(cells: Cells, task: str, method: str) -> list[Array]:
    """One group: the logarithms (base 10) of the rates of all seeds; none where there are fewer than two."""
    rates = [c["chosen"]["lr"] for (t, m, _), c in cells.items() if (t, m) == (task, method)]
    rates = [lr for lr in rates if lr > 0]
    return [np.log10(rates)] if len(rates) > 1 else []


def over_orders(cells: Cells, task: str, method: str) -> list[Array]:
    """A group a seed."""
    found = [c["chosen"]["lr"] for (t, m, _), c in cells.items() if (t, m) == (task, f"{method}-orders")]
    return [np.log10([lr for lr in rates if lr > 0]) for rates in found]


def deviation(groups: Sequence[Array]) -> float:
    """Within groups, pooled."""
    return float(np.sqrt(np.mean([group.var(ddof=1) for group in groups])))


def spread(groups: Sequence[Array]) -> str:
    return f"{deviation(groups):.2f} (x{10 ** max(float(np.ptp(group)) for group in groups):.1f})"


# Picture --------------------------------------------------------------------------------------------------


NUMBER = r"-(\d+(?:\.\d+)?)"


def family(method: str) -> str:
    """The name without its number: methods of one family differ in length and are joined by a line."""
    return re.sub(NUMBER, "", method)


def label(methods: Sequence[str]) -> str:
    """What one line is called: "lookahead 1.5, 4, 12" for three methods that all have a number."""
    numbers = [found[1] for method in methods if (found := re.search(NUMBER, method))]
    if len(methods) == 1 or len(numbers) < len(methods):
        return " / ".join(methods)
    return f"{family(methods[0])} {', '.join(numbers)}"


def plot(rows: Sequence[Row], reference: str, path: Path) -> None:
    """Error as a multiple of the reference's against cost, with 95 % intervals; the legend goes from good to bad.

    Left all methods, right those about the reference. Our own policy is drawn broad and black.
    """
    tasks = max(sum(r.verdicts) for r in rows)
    # what has been run on some tasks only is left out, and "-orders", the runs of a method that is there
    rows = [r for r in rows if sum(r.verdicts) == tasks and not r.method.endswith("-orders")]
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullFormatter

    figure, both = plt.subplots(1, 2, figsize=(15, 7), layout="constrained")
    families = list(dict.fromkeys(family(r.method) for r in rows))
    colours, markers = plt.get_cmap("tab20").colors, "osD^v<>PX*p"  # 20 and 11: no pair comes twice
    for i, name in enumerate(families):
        of = sorted((r for r in rows if family(r.method) == name), key=lambda r: r.cost)
        x, y = np.array([r.cost for r in of]), np.array([1 - r.reduction for r in of])
        ends = np.array([[1 - r.reduction_interval[1], 1 - r.reduction_interval[0]] for r in of])
        bars = np.maximum(np.nan_to_num([y - ends[:, 0], ends[:, 1] - y]), 0)
        # neighbours at one cost stand a little apart, or their bars would hide each other
        apart = 1 + 0.025 * (i % 11 - 5)
        broad, colour = (2, "black") if name == "lookahead" else (1, colours[i % 20])
        for axes in both:
            axes.errorbar(
                x * apart, y, yerr=bars, label=label([r.method for r in of]), color=colour,
                marker=markers[i % 11], markersize=5, linewidth=broad, elinewidth=0.7 * broad, capsize=2,
                zorder=broad + 1,
            )  # fmt: skip
    for axes in both:
        axes.axhline(1, color="grey", linewidth=0.7)
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("cost in plain runs")
    both[0].set_ylabel(f"test error, as a multiple of {reference}'s (geometric mean over tasks)")
    both[1].set_ylim(0.75, 1.33)
    both[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reference", default="cosine-tpe")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--out", type=Path, help="without suffix; beside the results if not given")
    args = parser.parse_args()
    out = args.out or args.results.with_suffix("")
    text, rows = report(json.loads(args.results.read_text()), args.reference)
    print(text)
    out.with_suffix(".md").write_text(text)
    plot(rows, args.reference, out.with_suffix(".png"))


if __name__ == "__main__":
    main()
