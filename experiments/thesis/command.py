"""What `gammatune reproduce` does: the files beside this one, each a figure or table of the thesis, run and shown."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from reproduction import RESULTS, Asked, Report, hours, left, rounds, seeds_of, together
from reproduction import reproduce as reproduce_one

from gammatune.errors import InvalidArgument, require

SCALES = ("smoke", "small", "power", "full")


def reproduce(
    wanted: Sequence[str],
    known: Sequence[str],
    scale: str,
    seeds: int | None,
    data: str | None,
    out: str | None,
    jobs: int = 1,
) -> list[Report]:
    """Run each of `wanted`, or all that are known; the reports, in the order asked for. jobs: processes at a time.

    seeds: None takes what the scale is for; see `reproduction.seeds_of`. At scale power the hours are said first, and
    results are written after every round of seeds: a run that is ended goes on where it was.

    Raises InvalidArgument at a name or scale that is not known, or where matplotlib is missing MissingExtra.
    """
    if scale not in SCALES:
        raise InvalidArgument(f"--scale {scale}: write {', '.join(SCALES)}")
    if seeds is not None and seeds < 1:
        raise InvalidArgument(f"--seeds {seeds}: give 1 or more")
    if jobs < 1:
        raise InvalidArgument(f"--jobs {jobs}: give 1 or more")
    if unknown := [name for name in wanted if name not in known]:
        raise InvalidArgument(
            f"{', '.join(unknown)}: there is no such figure or table; choose of {', '.join(known)}"
        )
    require("matplotlib", "figures", "the pictures are drawn by")
    power = RESULTS / "power"
    places: dict[str, Path] = {"out": power, "cache": power / "cells"} if scale == "power" else {}
    if out is not None:
        places = {"out": Path(out), "cache": Path(out) / ".cache"}
    options = Asked(scale, data=None if data is None else Path(data), **places)
    names = wanted or known
    lines = together(names)
    if scale == "power":
        lines.sort(key=lambda line: sum(hours([line], seeds).values()))
        _say_hours(hours(lines, seeds))
    work = [(line, replace(options, seeds=seeds_of(line, scale, seeds))) for line in lines]
    if jobs == 1 or len(lines) == 1:
        if scale != "power":  # in the order asked for
            work = [([name], replace(options, seeds=seeds_of([name], scale, seeds))) for name in names]
        found = {report.name: report for one in work for report in _run_line(*one, shown=True)}
        return [found[name] for name in names]
    found = {}
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(_run_line, *one) for one in work]):
            found |= {report.name: _told(report, options) for report in done.result()}
    return [found[name] for name in names]


def _say_hours(costs: Mapping[str, float]) -> None:
    for names, cost in costs.items():
        print(f"{cost:6.2f} hours of one core: {names}")
    print(f"{sum(costs.values()):6.2f} hours in all, less what lies in the cache", flush=True)


def _run_line(names: Sequence[str], options: Asked, *, shown: bool = False) -> list[Report]:
    """The reports of the last round."""
    found: dict[str, Report] = {}
    planned = rounds(names, options)
    for asked, at in left(planned, options.out):
        for name in asked:
            found[name] = reproduce_one(importlib.import_module(name), at)
            if shown:
                _told(found[name], at)
        if len(planned) > 1:
            print(f"{', '.join(asked)}: {_count(at)} seeds are done", flush=True)
    return [found[name] for name in names]


def _count(at: Asked) -> str:
    long = "" if at.long_seeds is None else f", {at.long_seeds} of {at.asked} in long runs"
    return f"{at.seeds} of {at.asked}{long}"


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
