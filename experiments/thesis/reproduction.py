"""What every reproduction of a figure or table shares: its options, cells that are computed once, the report.

Each of the files beside this one has a header with its evidence, and

    NAME      "table4"
    TITLE     one line
    run(options: Asked) -> Report

`gammatune reproduce NAME` runs it, prints the report and writes results/NAME.{json,md} and its pictures.

Words: a *cell* is one training, or one search, under one seed; a *claim* is a sentence of the thesis that numbers can
hold or break; *paired* differences are taken seed by seed.
"""

import math
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import harness
from harness import Cells

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
CACHE = HERE / ".cache"

# Files that share cells: one process runs those of a line, in this order, so that no cell is computed twice. Lines
# that take longest come first (seconds in results/*.json). Every other file has its own cells or none.
SHARED: tuple[tuple[str, ...], ...] = (
    ("table7", "fig21"),
    ("table1",),
    ("table6", "fig20"),
    (
        *("table4", "table5", "table8", "table9", "table10", "table11"),
        *("fig2", "fig14", "fig15", "fig16", "fig17", "fig18", "fig19"),
    ),
    ("fig3", "fig4", "fig5", "fig6", "fig11", "fig12", "fig13"),
)

Scale = Literal["smoke", "small", "full"]
Verdict = Literal["holds", "does not hold", "cannot be told"]
ALPHA = 0.05


@dataclass(frozen=True)
class Asked:
    """scale: smoke (seconds, in CI), small (minutes, two cores), full (the thesis's own sizes, a GPU).

    seeds: how many, from 0. data: a folder with mnist.npz and the CIFAR-10 files; None asks OpenML by name.
    out: where results go. cache: where cells are kept.
    """

    scale: Scale = "small"
    seeds: int = 6  # with five no paired test can tell anything (p is 0.0625 or more)
    data: Path | None = None
    out: Path = RESULTS
    cache: Path = CACHE

    def pick(self, *, smoke: Any, small: Any, full: Any) -> Any:
        """The size that belongs to the scale."""
        return {"smoke": smoke, "small": small, "full": full}[self.scale]


# Cells ----------------------------------------------------------------------------------------------------


def cells_of(options: Asked, name: str) -> Cells:
    """Values that are computed once, by a key of plain values, and kept between calls.

    The same cell serves several tables: grids of learning rates are trained once for tables 8 to 11.
    """
    return Cells(options.cache / f"{name}.jsonl")


# Numbers --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """One number a seed. thesis: the number printed there, where there is one."""

    values: tuple[float, ...]
    thesis: float | None = None

    @property
    def mean(self) -> float:
        return statistics.mean(self.values)

    @property
    def sd(self) -> float:
        """Standard deviation over seeds; 0 where there is one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0

    def text(self, digits: int = 2) -> str:
        """'47.21 ± 3.10 (46.00)', the thesis's number in brackets."""
        spread = f" ± {self.sd:.{digits}f}" if len(self.values) > 1 else ""
        printed = "" if self.thesis is None else f" ({self.thesis:.{digits}f})"
        return f"{self.mean:.{digits}f}{spread}{printed}"


@dataclass(frozen=True)
class Paired:
    """A two-sided Wilcoxon signed-rank test of one against other, seed by seed.

    difference: the mean of one - other. p: 1 where nothing differs. effect: matched-pairs rank-biserial
    correlation, from -1 to 1: the share of the rank sum in favour of one, less the share against.
    """

    difference: float
    p: float
    effect: float
    n: int

    def __str__(self) -> str:
        return f"difference {self.difference:+.3g}, p {self.p:.2g}, effect {self.effect:+.2f}, n {self.n}"


def paired(one: Sequence[float], other: Sequence[float]) -> Paired:
    """Compare two samples of the same seeds in the same order."""
    from scipy.stats import rankdata, wilcoxon

    differences = [a - b for a, b in zip(one, other, strict=True)]
    told = [d for d in differences if d != 0]
    if not told:
        return Paired(0.0, 1.0, 0.0, len(differences))
    ranks = rankdata([abs(d) for d in told])
    total = sum(ranks)
    effect = sum(math.copysign(rank, d) for rank, d in zip(ranks, told, strict=True)) / total
    return Paired(statistics.mean(differences), float(wilcoxon(told).pvalue), float(effect), len(differences))


@dataclass(frozen=True)
class Claim:
    """A sentence of the thesis, and what became of it here. words: the numbers behind the verdict."""

    text: str
    verdict: Verdict
    words: str


def judged(text: str, test: Paired, *, better: Literal["more", "less"], margin: float = 0.0) -> Claim:
    """The verdict that a paired test gives on 'one is more (less) than the other'.

    It holds where the difference goes that way by more than the margin and p < 0.05, does not hold where it goes the
    other way with p < 0.05; else it cannot be told. With five seeds p is never below 0.0625: take six or more.
    """
    towards = test.difference > margin if better == "more" else test.difference < -margin
    against = test.difference < 0 if better == "more" else test.difference > 0
    verdict: Verdict = "cannot be told"
    if test.p < ALPHA:
        verdict = "holds" if towards else "does not hold" if against else "cannot be told"
    return Claim(text, verdict, str(test))


# The report -----------------------------------------------------------------------------------------------


@dataclass
class Report:
    """What one figure or table came to.

    columns, rows: the table, text in each place; `Sample.text` writes a number with its spread and the thesis's.
    pictures: file names. notes: readings, reductions, what a reader must know. numbers: what the JSON keeps beside.
    """

    name: str
    title: str
    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)

    def markdown(self) -> str:
        lines = [f"## {self.name}: {self.title}", ""]
        if self.rows:
            lines += [_row(self.columns), _row(["---"] * len(self.columns)), *map(_row, self.rows), ""]
        for claim in self.claims:
            lines.append(f"- **{claim.verdict}**: {claim.text} ({claim.words})")
        lines += [""] if self.claims else []
        lines += [f"{note}\n" for note in self.notes]
        lines += [f"![{self.title}]({name})\n" for name in self.pictures if name.endswith(".png")]
        return "\n".join(lines).rstrip() + "\n"

    def write(self, options: Asked, seconds: float) -> None:
        """results/NAME.json and .md."""
        result = {
            "command": f"gammatune reproduce {self.name} --scale {options.scale} --seeds {options.seeds}",
            "machine": harness.machine("torch", "numpy", "scipy", "scikit-learn", "gammatune"),
            "seconds": round(seconds, 1),
            **asdict(self),
        }
        harness.save(options.out / f"{self.name}.json", result)
        (options.out / f"{self.name}.md").write_text(self.markdown())


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def together(names: Sequence[str]) -> list[list[str]]:
    """The names in lines that different processes may run; see `SHARED`."""
    lines = [[name for name in line if name in names] for line in SHARED]
    alone = [[name] for name in names if not any(name in line for line in SHARED)]
    return [line for line in (*lines, *alone) if line]


def reproduce(module: Any, options: Asked) -> Report:
    """Run one of the files, and write what it came to."""
    began = time.perf_counter()
    report: Report = module.run(options)
    report.write(options, time.perf_counter() - began)
    return report
