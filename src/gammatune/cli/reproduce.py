"""What `gammatune reproduce` does: the files of experiments/thesis, one for each figure and table."""

import importlib.util
import re
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from gammatune.errors import InvalidArgument, require

FOLDER = Path("experiments") / "thesis"
SCALES = ("smoke", "small", "full")


def folder() -> Path:
    """The folder of the experiments: beneath the working directory, or in the checkout gammatune runs from."""
    for root in (Path.cwd(), Path(__file__).resolve().parents[3]):
        if (root / FOLDER / "reproduction.py").is_file():
            return root / FOLDER
    raise InvalidArgument(
        f"there is no {FOLDER} here: the reproductions lie in gammatune's repository; clone it, and run this there"
    )


def names() -> list[str]:
    """fig2, fig3, ..., table11: figures first, by number."""
    found = [path.stem for path in folder().glob("*.py") if re.fullmatch(r"(fig|table)\d+", path.stem)]
    return sorted(found, key=lambda name: (name.startswith("table"), int(re.sub(r"\D", "", name))))


def reproduce(
    wanted: list[str], scale: str, seeds: int, data: str | None, out: str | None, jobs: int = 1
) -> list[Any]:
    """Run each; the reports, in the order asked for. jobs: processes at a time.

    Raises InvalidArgument at a name or scale that is not known, or where matplotlib is missing MissingExtra.
    """
    known = names()
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
    shared = _shared()
    places = {} if out is None else {"out": Path(out), "cache": Path(out) / ".cache"}
    options = shared.Asked(scale, seeds, None if data is None else Path(data), **places)
    names_asked = wanted or known
    if jobs == 1 or len(names_asked) == 1:
        return [_told(_run(name, options), options) for name in names_asked]
    found: dict[str, Any] = {}
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        lines = [pool.submit(_run_line, line, options) for line in shared.together(names_asked)]
        for line in as_completed(lines):
            found |= {report.name: _told(report, options) for report in line.result()}
    return [found[name] for name in names_asked]


def _shared() -> Any:
    """What the files of the experiments share; they are importable after it."""
    if str(folder()) not in sys.path:
        sys.path.insert(0, str(folder()))
    return importlib.import_module("reproduction")


def _run(name: str, options: Any) -> Any:
    return _shared().reproduce(importlib.import_module(name), options)


def _run_line(names: list[str], options: Any) -> list[Any]:
    return [_run(name, options) for name in names]


def _told(report: Any, options: Any) -> Any:
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
