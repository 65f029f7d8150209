"""What every reproduction of a figure or table shares: its options, cells that are computed once, the report.

Each of the files beside this one has a header with its evidence, and

    NAME      "table4"
    TITLE     one line
    run(options: Asked) -> Report

`gammatune reproduce NAME` runs it, prints the report and writes results/NAME.{json,md} and its pictures.

Words: a *cell* is one training, or one search, under one seed; a *claim* is a sentence of the thesis that numbers can
hold or break (verdicts.py).
"""

import json
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import harness
from harness import Cells
from verdicts import FEWEST, Claim

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

Scale = Literal["smoke", "small", "power", "full"]


@dataclass(frozen=True)
class Asked:
    """scale: smoke (seconds, in CI), small (minutes, two cores), power (small's with seeds enough to tell, and all of
    MNIST; hours), full (the thesis's own sizes, a GPU).

    seeds: how many, from 0. long_seeds: of 500 images over 50 epochs; None is all of them. asked: seeds in the end,
    where this is a round on the way. data: a folder with mnist.npz and the CIFAR-10 files; None asks OpenML by name.
    out: where results go. cache: where cells are kept.
    """

    scale: Scale = "small"
    seeds: int = FEWEST
    long_seeds: int | None = None
    asked: int | None = None
    data: Path | None = None
    out: Path = RESULTS
    cache: Path = CACHE

    def pick(self, *, smoke: Any, small: Any, full: Any, power: Any = None) -> Any:
        """The size that belongs to the scale; power has small's where none is named."""
        return {"smoke": smoke, "small": small, "power": small if power is None else power, "full": full}[
            self.scale
        ]


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
        asked = options.asked or options.seeds
        result = {
            "command": f"gammatune reproduce {self.name} --scale {options.scale} --seeds {asked}",
            "scale": options.scale,
            "seeds": {"asked": asked, "done": options.seeds, "long": options.long_seeds},
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


# Rounds at scale power ------------------------------------------------------------------------------------

ROUND = 6  # seeds: after so many more the results are written, of what there is
POWER_SEEDS = {"table6": 6, "table7": 6}  # by the first of a line; 30 elsewhere
SMALL = "table4"  # the line of the 500 images
NEEDS_LONG = ("table9", "table11", "fig2", "fig15", "fig17")
# Seconds of one core a seed at scale power, by the first of a line: those that results/*.json name at scale small, by
# the clock of two cores that did other work too (112 minutes for 55.5 of a core), times the images that power has
# more of, 25 times in table 6 and 8 times in table 7. 500 images: the short runs (53 measured), and the long ones.
COSTS = {"table7": 8 * 153, "table1": 89, "table6": 25 * 79, SMALL: 53 + 170, "fig3": 1.4}


def seeds_of(line: Sequence[str], scale: str, given: int | None) -> int:
    """How many a line has: what was given, else what its scale is for."""
    if given is not None:
        return given
    whole = next(shared for shared in (*SHARED, tuple(line)) if line[0] in shared)
    return POWER_SEEDS.get(whole[0], 30) if scale == "power" else FEWEST


def hours(lines: Sequence[Sequence[str]], given: int | None) -> dict[str, float]:
    """Of one core, from an empty cache, for each line by its names; arithmetic and descriptions cost nothing."""
    costs = {line[0]: COSTS[line[0]] for line in SHARED}
    return {
        ", ".join(line): costs[whole[0]] * seeds_of(line, "power", given) / 3600
        for line in lines
        for whole in SHARED
        if line[0] in whole
    }


def rounds(line: Sequence[str], options: Asked) -> list[tuple[list[str], Asked]]:
    """What is run in turn, and with how many seeds: at scale power ever more, else all at once.

    500 images: first the runs of one and two epochs under every seed, then those of 50, which cost twice as much.
    """
    trained = any(line[0] in whole for whole in SHARED[:-1])
    if options.scale != "power" or not trained:
        return [(list(line), options)]
    count, options = options.seeds, replace(options, asked=options.seeds)
    steps = [*range(ROUND, count, ROUND), count]
    if not any(line[0] in whole for whole in SHARED if whole[0] == SMALL):
        return [(list(line), replace(options, seeds=step)) for step in steps]
    short = [name for name in line if name not in NEEDS_LONG]
    first = [(short, replace(options, seeds=step, long_seeds=0)) for step in steps if short]
    return first + [(list(line), replace(options, long_seeds=step)) for step in steps]


def left(planned: Sequence[tuple[list[str], Asked]], out: Path) -> list[tuple[list[str], Asked]]:
    """The rounds after the last whose results are all written; the last of all is always run, from its cells."""
    for place in range(len(planned) - 1, -1, -1):
        names, options = planned[place]
        if all(_written(out / f"{name}.json", options) for name in names):
            return list(planned[min(place + 1, len(planned) - 1) :])
    return list(planned)


def _written(path: Path, options: Asked) -> bool:
    if not path.exists():
        return False
    result = json.loads(path.read_text())
    there = result["seeds"] if result.get("scale") == options.scale else {}
    return bool(there) and (there["done"], there["long"]) == (options.seeds, options.long_seeds)


def reproduce(module: Any, options: Asked) -> Report:
    """Run one of the files, and write what it came to."""
    began = time.perf_counter()
    report: Report = module.run(options)
    report.write(options, time.perf_counter() - began)
    return report
