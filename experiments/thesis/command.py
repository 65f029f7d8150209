"""What `gammatune reproduce` does: the files beside this one, each a figure or table of the thesis, run and shown."""

import importlib
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from reproduction import Asked, Report, together
from reproduction import reproduce as reproduce_one

from gammatune.errors import InvalidArgument, require

SCALES = ("smoke", "small", "full")


def reproduce(
    wanted: Sequence[str],
    known: Sequence[str],
    scale: str,
    seeds: int,
    data: str | None,
    out: str | None,
    jobs: int = 1,
) -> list[Report]:
    """Run each of `wanted`, or all that are known; the reports, in the order asked for. jobs: processes at a time.

    Raises InvalidArgument at a name or scale that is not known, or where matplotlib is missing MissingExtra.
    """
    if scale not in SCALES:
        raise InvalidArgument(f"--scale {scale}: write {', '.join(SCALES)}")
    if seeds < 1:
        raise InvalidArgument(f"--seeds {seeds}: give 1 or more")
    if jobs < 1:
        raise InvalidArgument(f"--jobs {jobs}: give 1 or more")
    if unknown := [name for name in wanted if name not in known]:
        raise InvalidArgument(
            f"{', '.join(unknown)}: there is no such figure or table; choose of {', '.join(known)}"
        )
    require("matplotlib", "figures", "the pictures are drawn by")
    places = {} if out is None else {"out": Path(out), "cache": Path(out) / ".cache"}
    options = Asked(scale, seeds, None if data is None else Path(data), **places)
    names = wanted or known
    if jobs == 1 or len(names) == 1:
        return [_told(_run(name, options), options) for name in names]
    found: dict[str, Report] = {}
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        lines = [pool.submit(_run_line, line, options) for line in together(names)]
        for line in as_completed(lines):
            found |= {report.name: _told(report, options) for report in line.result()}
    return [found[name] for name in names]


def _run(name: str, options: Any) -> Report:
    return reproduce_one(importlib.import_module(name), options)


def _run_line(names: Sequence[str], options: Any) -> list[Report]:
    return [_run(name, options) for name in names]


def _told(report: Report, options: Any) -> Report:
    from rich.console import Console
    from rich.table import Table

    console = Console() if sys.stdout.isatty() else Console(width=160)
    console.print(f"[bold]{report.name}[/bold]  {report.title}", highlight=False)
    if report.rows:
        table = Table(*report.columns)
        for row in report.rows:
            table.add_row(*row)
        console.print(table)
    for claim in report.claims:
        console.print(f"{claim.verdict}: {claim.text} ({claim.words})", highlight=False, markup=False)
    for note in report.notes:
        console.print(note, highlight=False, markup=False)
    if report.pictures:
        console.print(
            f"pictures: {', '.join(str(options.out / name) for name in report.pictures)}", markup=False
        )
    console.print()
    return report
