"""The results in a table and a picture: every method against a reference, by task, paired by seed.

    python benchmarks/equal_cost/table.py --reference linear-grid --bound 1.05

What the columns say, over the tasks and seeds that method and reference both have (`pairs`):

    error         mean test error over seeds, then over tasks, in points (hundredths of the task's metric)
    ratio         of the test error to the reference's: the geometric mean over tasks of the ratio of the means over
                  seeds, so that easy tasks and hard ones weigh alike; below 1 is better. With a 95 % interval over
                  tasks, a t-interval of the logarithms of the tasks' ratios: what another task of the kind would
                  have, the noise of its seeds within. None where there is one task
    clipped       the same with each task's ratio held in [1/2, 2], so that no task says it all
    tasks         how many are below / level / above / worse: the 95 % interval of the task's own ratio lies below 1 /
                  contains 1 / lies above 1 / lies above the bound. It is a t-interval of the logarithm, paired by
                  seed; a task with a single seed has none, and counts nowhere
    worst task    the largest ratio, and its interval; worst seed: the largest difference in one pair, in points
    failed        models handed over that had diverged, or methods that raised
    optimism      error on the second half of the validation data less error on the half chosen by, in points
    cost          in plain runs, and processor seconds of a run: the means over tasks

The four words stand beside the two means as well, by the interval over tasks.

Below the tables: pairs of methods head to head; the controls of methods/controls.py, which are no methods to choose,
against the training they vary; how far chosen rates lie apart. All three over the frozen tasks.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

import harness
import numpy as np
from harness import Ratio, t_half
from numpy.typing import NDArray

RESULTS = Path(__file__).resolve().parent.parent / "results" / "equal_cost.json"
REFERENCE = "linear-grid"
CONTROL, CONTROLLED = "control-", "linear-grid"  # what controls are called, and what they vary
BOUND = 1.05  # of a ratio that is no longer borne (guess)
WORDS = ("below", "level", "above", "worse")
HEAD_TO_HEAD = (  # a method, and what it is held against
    ("lookahead-1.5", "grid-100"),
    ("lookahead-1.5", "grid-100-log"),
    ("lookahead-1.5", "grid-100-once"),
    ("lookahead-1.5", "greedy"),
    ("lookahead-1.5", "lookahead-1.5-loss"),
    ("lookahead-1.5", "lookahead-1.5-accuracy"),
    ("lookahead-1.5", "rule-of-thumb"),
    ("lookahead-1.5", "rule-of-thumb-1.5"),
    ("lookahead-1.5", "prodigy-1.5"),
    ("lookahead-1.5", "gen"),
    ("lookahead-1.5", "adalrs"),
    ("lookahead-1.5", "nadamw"),
    ("rule-of-thumb-1.5", "rule-of-thumb"),
    ("prodigy-1.5", "prodigy"),
    ("lookahead-1.5-far-up", "lookahead-1.5"),
    ("lookahead-1.5-far-down", "lookahead-1.5"),
    ("lookahead-4-decay", "lookahead-4"),
    ("lookahead-4", "lookahead-1.5"),
    ("lookahead-12", "lookahead-4"),
    ("nets-2.5", "lookahead-1.5"),
    ("nets-4", "nets-2.5"),
    ("nets-8", "nets-4"),
    ("nets-12", "nets-8"),
    ("nets-4", "lookahead-4"),
    ("nets-12", "lookahead-12"),
    ("nets-open-4", "nets-4"),
    ("nets-open-12", "nets-12"),
    ("nets-4-adamw", "nets-4"),
    ("nets-open-1.5-adamw", "prodigy-1.5"),
    ("nets-open-1.5-auto", "prodigy-1.5"),
    ("nets-open-1.5-auto", "nets-open-1.5-adamw"),
    ("nets-4-auto", "nets-4-adamw"),
    ("nets-12-auto", "nets-12-adamw"),
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
Cells = Mapping[tuple[str, str, int], Mapping[str, Any]]  # task, method, seed


def word(ratio: Ratio, bound: float) -> str:
    """Of WORDS; "" without an interval."""
    if np.isnan(ratio.low):
        return ""
    if ratio.high < 1:
        return "below"
    if ratio.low <= 1:
        return "level"
    return "worse" if ratio.low > bound else "above"


@dataclass(frozen=True)
class Pair:
    """Test errors of a method and the reference on one task, (s,) each, seed by seed.

    floor: no mean counts below it (half a test example), so that a task without an error has a ratio.
    """

    task: str
    seeds: tuple[int, ...]
    method: Array
    reference: Array
    floor: float

    @property
    def ratio(self) -> Ratio:
        """Of the means over seeds; the paired t-interval of its logarithm, by the delta method."""
        a, b = (max(float(errors.mean()), self.floor) for errors in (self.method, self.reference))
        return Ratio.of(a / b, t_half(self.method / a - self.reference / b))


@dataclass(frozen=True)
class Row:
    """A method against the reference; see the module docstring. Errors and differences as fractions.

    words: how many of the tasks have each of WORDS.
    """

    method: str
    tasks: int
    pairs: int
    error: float
    ratio: Ratio
    clipped: Ratio
    words: tuple[int, ...]
    worst_task: tuple[str, Ratio]
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


def row(cells: Cells, tasks: Mapping[str, Any], method: str, reference: str, bound: float) -> Row | None:
    """None where the two have nothing in common."""
    pairs = paired(cells, tasks, method, reference)
    if not pairs:
        return None
    ratios = {p.task: p.ratio for p in pairs}
    values = [ratio.value for ratio in ratios.values()]
    words = [word(ratio, bound) for ratio in ratios.values()]
    gaps = [
        (p.task, seed, float(a - b))
        for p in pairs
        for seed, a, b in zip(p.seeds, p.method, p.reference, strict=True)
    ]
    own = [[cells[p.task, method, seed] for seed in p.seeds] for p in pairs]
    seen = [c for group in own for c in group if c["second"] is not None]
    return Row(
        method,
        len(pairs),
        len(gaps),
        float(np.mean([p.method.mean() for p in pairs])),
        Ratio.mean(values),
        Ratio.mean(list(np.clip(values, 1 / harness.CLIP, harness.CLIP))),
        tuple(words.count(word) for word in WORDS),
        max(ratios.items(), key=lambda item: item[1].value),
        max(gaps, key=lambda gap: gap[2]),
        sum(c["diverged"] for group in own for c in group),
        float(np.mean([c["second"] - c["select"] for c in seen])) if seen else None,
        float(np.mean([np.mean([c["cost"] for c in group]) for group in own])),
        float(np.mean([np.mean([c["seconds"] for c in group]) for group in own])),
    )


# Markdown -------------------------------------------------------------------------------------------------

HEADINGS = (
    "method", "pairs", "error", "ratio", "clipped", f"tasks {'/'.join(WORDS)}", "worst task", "worst seed", "failed",
    "optimism", "cost", "seconds",
)  # fmt: skip


def cells_of(row: Row, bound: float) -> list[str]:
    task, seed, gap = row.worst_seed
    return [
        row.method,
        str(row.pairs),
        f"{POINTS * row.error:.2f}",
        with_interval(row.ratio, bound),
        with_interval(row.clipped, bound),
        "/".join(map(str, row.words)),
        f"{row.worst_task[0]} {with_interval(row.worst_task[1], bound)}",
        f"{task}/{seed} {POINTS * gap:+.1f}",
        str(row.failed),
        "" if row.optimism is None else f"{POINTS * row.optimism:+.2f}",
        f"{row.cost:.2f}",
        f"{row.seconds:.2f}",
    ]


def with_interval(ratio: Ratio, bound: float) -> str:
    interval = "" if np.isnan(ratio.low) else f" [{ratio.low:.3f}, {ratio.high:.3f}] {word(ratio, bound)}"
    return f"{ratio.value:.3f}{interval}"


def markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in (headings, *lines)) for i in range(len(headings))]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |"
        for line in (headings, rule, *lines)
    )


MARKS = {"below": "+", "above": "-", "worse": "--"}


def by_task(
    cells: Cells, tasks: Mapping[str, Any], methods: Sequence[str], reference: str, bound: float
) -> str:
    """Mean test errors in points, by method and task, with MARKS."""
    lines = []
    for method in methods:
        of = {pair.task: pair for pair in paired(cells, tasks, method, reference)}
        texts = [
            f"{POINTS * of[t].method.mean():.2f}{MARKS.get(word(of[t].ratio, bound), '')}" if t in of else ""
            for t in tasks
        ]
        lines.append([method, *texts])
    return markdown(("method", *tasks), lines)


def report(results: Mapping[str, Any], reference: str, bound: float) -> tuple[str, list[Row]]:
    """The document, and the rows over the frozen tasks (all tasks where none of them has been run)."""
    cells = {(c["task"], c["method"], c["seed"]): c for c in results["cells"]}
    methods = sorted({method for _, method, _ in cells})
    if reference not in methods:
        raise SystemExit(f"--reference {reference}: there is none; there are {', '.join(methods)}")
    frozen = {t: f for t, f in results["tasks"].items() if not f["development"]}
    development = {t: f for t, f in results["tasks"].items() if f["development"]}
    head = f"# Equal cost: every method against {reference}, worse beyond {bound:g}\n"
    text = [head, (__doc__ or "").split("\n\n", 2)[2]]
    shown: list[Row] = []
    to_choose = [method for method in methods if not method.startswith(CONTROL)]
    for title, tasks in (("Frozen tasks", frozen), ("Development tasks", development)):
        rows, lines = section(cells, tasks, to_choose, reference, bound, f"{title} ({len(tasks)})")
        text += lines
        shown = shown or rows
    text += head_to_head(cells, frozen, methods, bound)
    varied = [method for method in methods if method.startswith(CONTROL)]
    if varied and CONTROLLED in methods:
        title = f"Controls against {CONTROLLED}"
        text += section(cells, frozen, [*varied, CONTROLLED], CONTROLLED, bound, title)[1]
    text += spreads(cells, frozen)
    where = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    text += [
        f"Measured on {where['processor']}, {results['threads']} thread, Python {where['python']}, {versions}; "
        f"commits {', '.join(results['commits'])}.\n"
    ]
    return "\n".join(text), shown


def section(
    cells: Cells,
    tasks: Mapping[str, Any],
    methods: Sequence[str],
    reference: str,
    bound: float,
    title: str,
) -> tuple[list[Row], list[str]]:
    """The rows from good to bad, and their two tables as text; nothing where nothing has been run."""
    made = (row(cells, tasks, method, reference, bound) for method in methods)
    rows = sorted((r for r in made if r is not None), key=lambda r: r.ratio.value)
    if not rows:
        return [], []
    marks = ", ".join(f"{mark} {word}" for word, mark in MARKS.items())
    return rows, [
        f"## {title}\n",
        markdown(HEADINGS, [cells_of(r, bound) for r in rows]) + "\n",
        f"Test error by task, in points ({marks}):\n",
        by_task(cells, tasks, [r.method for r in rows], reference, bound) + "\n",
    ]


def head_to_head(cells: Cells, tasks: Mapping[str, Any], methods: Sequence[str], bound: float) -> list[str]:
    lines = []
    for method, other in HEAD_TO_HEAD:
        if method in methods and other in methods and (found := row(cells, tasks, method, other, bound)):
            texts, back = cells_of(found, bound), row(cells, tasks, other, method, bound)
            assert back is not None
            costs = f"{found.cost:.2f} / {back.cost:.2f}"
            lines.append([method, other, texts[1], *texts[3:8], costs])
    if not lines:
        return []
    headings = ("method", "against", "pairs", *HEADINGS[3:8], "costs")
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
    """Clipped ratios against cost, with 95 % intervals over tasks; the legend goes from good to bad.

    Left all methods, right those about the reference. Our own policy is drawn broad and black.
    """
    tasks = max(r.tasks for r in rows)
    # what has been run on some tasks only is left out, and "-orders", the runs of a method that is there
    rows = [r for r in rows if r.tasks == tasks and not r.method.endswith("-orders")]
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

    figure, both = plt.subplots(1, 2, figsize=(15, 7), layout="constrained")
    families = list(dict.fromkeys(family(r.method) for r in rows))
    colours, markers = plt.get_cmap("tab20").colors, "osD^v<>PX*p"  # 20 and 11: no pair comes twice
    for i, name in enumerate(families):
        of = sorted((r for r in rows if family(r.method) == name), key=lambda r: r.cost)
        x, y = np.array([r.cost for r in of]), np.array([r.clipped.value for r in of])
        ends = np.array([[r.clipped.low, r.clipped.high] for r in of])
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
        axes.yaxis.set_major_locator(FixedLocator([0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.5, 1.75, 2]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("cost in plain runs")
    both[0].set_ylabel(f"test error over {reference}'s (geometric mean over tasks, each held in [1/2, 2])")
    both[1].set_ylim(0.75, 1.33)
    both[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = harness.arguments(__doc__)
    parser.add_argument("--reference", default=REFERENCE)
    parser.add_argument(
        "--bound", type=float, default=BOUND, help="a ratio whose interval lies above it is worse"
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    out = args.out or args.results.with_suffix("")
    text, rows = report(json.loads(args.results.read_text()), args.reference, args.bound)
    print(text)
    out.with_suffix(".md").write_text(text)
    plot(rows, args.reference, out.with_suffix(".png"))


if __name__ == "__main__":
    main()
