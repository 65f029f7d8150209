"""The commands `gammatune report` and `gammatune compare`: pages of runs (report/html/page.py,
report/html/comparison.py)."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run directory.")],
    out: Annotated[
        str | None, typer.Option(help="The file to write. Default: report.html in the run directory.")
    ] = None,
) -> None:
    """Write what a run found as one HTML file, for any browser; it needs no server and no network."""
    from gammatune.report.html.page import write_report

    _say(write_report(run, out))


def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Run directories, 2 to 8.")],
    out: Annotated[str, typer.Option(help="The file to write.")] = "comparison.html",
) -> None:
    """Write several runs beside each other as one HTML file."""
    from gammatune.report.html.comparison import write_comparison

    _say(write_comparison(runs, out))


def _say(path: Path) -> None:
    print(f"{path}: {max(1, path.stat().st_size // 1000):,} kB; open it in a browser")
