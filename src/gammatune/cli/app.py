"""The command `gammatune`. Heavy imports happen inside the commands, so that --help is instant."""

import json
import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from gammatune.cli.doctor import doctor
from gammatune.cli.options import Printing, options_of
from gammatune.pipeline.options import FileOptions, Options

app = typer.Typer(
    name="gammatune",
    help="Trains a neural network while finding its learning rate by itself.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

NOTHING_LEARNT = 3  # the status of --strict
RUNS = "runs"  # as gammatune.pipeline.train has it
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run directory.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"gammatune {version('gammatune')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version and leave."
        ),
    ] = False,
) -> None:
    """Trains a neural network while finding its learning rate by itself."""


@app.command()
@options_of(Options, Printing)
def train(
    options: Options,
    printing: Printing,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Say what would be done and how long it takes.",
            rich_help_panel="Length and cost",
        ),
    ] = False,
    run_dir: Annotated[
        str | None, typer.Option(help="Where to keep the run. Default: runs/DATA-NUMBER.")
    ] = None,
) -> None:
    """Train a network on DATA while finding its learning rate.

    A run directory that holds this very run, interrupted, is gone on with.
    """
    if dry_run:
        from gammatune.pipeline.train import plan
        from gammatune.report.terminal import plan_lines

        planned = plan(options)
        for line in plan_lines(planned.said, planned.columns, planned.expected):
            _console().print(line, highlight=False, markup=False)
        return
    _train(options, run_dir, printing)


@app.command()
@options_of(Printing)
def resume(printing: Printing, run: Run) -> None:
    """Go on with a run that was interrupted, from its last event, with what it was begun with."""
    _train(Options.of_run(run), run, printing)


@app.command()
def show(
    run: Run,
    rollouts: Annotated[bool, typer.Option("--rollouts", help="Every rollout and verdict too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show what a run found, from its journal."""
    from gammatune.journal.history import replay

    story = replay(run)
    if as_json:
        print(json.dumps(_as_json(story, run)))
        return
    from gammatune.report import terminal

    terminal.show(_console(), story, run, rollouts=rollouts)


@app.command()
def methods(run: Run) -> None:
    """Print a paragraph for a methods section, and what to cite."""
    from gammatune.journal.history import replay
    from gammatune.report.methods import methods_of

    print(methods_of(replay(run)))


@app.command()
def runs(
    directory: Annotated[str, typer.Argument(metavar="DIRECTORY", help="Where runs are kept.")] = RUNS,
) -> None:
    """List the runs in a directory."""
    from gammatune.errors import InvalidArgument
    from gammatune.journal.history import FILE
    from gammatune.report.terminal import runs_table

    path = Path(directory)
    if not path.is_dir():
        raise InvalidArgument(f"there is no directory {directory}; name the one that holds your runs")
    if not any(path.glob(f"*/{FILE}")):
        print(f"no runs in {directory}")
        return
    _console().print(runs_table(path))


@app.command()
def rollouts(
    run: Run,
    out: Annotated[
        str | None, typer.Option(help="A file to write: .csv, .parquet or .jsonl. Default: CSV, printed.")
    ] = None,
) -> None:
    """Every rollout of a run as one flat table."""
    from gammatune.journal.table import rollouts as table_of

    table = table_of(run)
    if out is None:
        print(table.to_csv(), end="")
        return
    table.save(out)
    print(f"{out}: {len(table)} rollouts, {len(table.columns)} columns")


@app.command()
@options_of(FileOptions)
def predict(
    reading: Any,
    run: Run,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="New examples as the run was trained on: a table, an image or a folder of them, or an .npz with x.",
        ),
    ],
    out: Annotated[
        str | None, typer.Option(help="Where to write. Default: FILE with the ending .predictions.csv.")
    ] = None,
    single: Annotated[
        bool, typer.Option("--single", help="Of several nets whose answers are averaged ask the best alone.")
    ] = False,
) -> None:
    """Write the predictions of a trained network for new examples, with probabilities, as CSV.

    Where several nets are averaged, a column `spread` says how far they are apart.
    """
    from gammatune.pipeline.predict import default_out, predict_file

    out = default_out(file) if out is None else out
    print(predict_file(run, file, out, single=single, reading=asdict(reading)))


def _train(options: Options, run_dir: str | None, printing: Printing) -> None:
    from gammatune.journal.history import replay
    from gammatune.pipeline.train import Stopped
    from gammatune.pipeline.train import train as train_with
    from gammatune.report.learnt import headline
    from gammatune.report.terminal import final_screen

    try:
        directory = train_with(options, run_dir, _follower(quiet=printing.quiet or printing.as_json))
    except Stopped as stop:  # caught here, since typer swallows a KeyboardInterrupt
        print(_stopped(stop.directory), file=sys.stderr)
        raise typer.Exit(stop.status) from None
    story = replay(directory)
    if printing.as_json:
        print(json.dumps(_as_json(story, directory)))
    elif not printing.quiet:
        _console().print(final_screen(story, directory))
    doubt = headline(story.report)
    if printing.strict and doubt is not None:
        print(f"--strict: {doubt}", file=sys.stderr)
        raise typer.Exit(NOTHING_LEARNT)


app.command()(doctor)


@app.command()
def export(
    run: Run,
    out: Annotated[
        str,
        typer.Option(
            help="Where to write: model.onnx; model.pt2 for torch.export.load; model.skops for scikit-learn's models."
        ),
    ],
    raw: Annotated[
        bool,
        typer.Option(
            "--raw", help="The network alone: standardised inputs in, logits or standardised targets out."
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    single: Annotated[
        bool, typer.Option("--single", help="Of several nets whose answers are averaged the best alone.")
    ] = False,
) -> None:
    """Write what a run hands over as one file that needs no gammatune: raw inputs in, answers out."""
    from gammatune.pipeline.export import export as write

    print(write(run, out, raw=raw, force=force, single=single))


@app.command()
def report(
    run: Run,
    out: Annotated[
        str | None, typer.Option(help="The file to write. Default: report.html in the run directory.")
    ] = None,
) -> None:
    """Write what a run found as one HTML file, for any browser; it needs no server and no network."""
    from gammatune.report.html.page import write_report

    _say_written(write_report(run, out))


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Run directories, 2 to 8.")],
    out: Annotated[str, typer.Option(help="The file to write.")] = "comparison.html",
) -> None:
    """Write several runs beside each other as one HTML file."""
    from gammatune.report.html.comparison import write_comparison

    _say_written(write_comparison(runs, out))


@app.command()
def data(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="One or two .npz with images as JPEG bytes, to train and to test; or mnist, fashion-mnist, cifar10.",
        ),
    ],
    out: Annotated[str, typer.Option(help="The .npz to write.")],
) -> None:
    """Write images kept as JPEGs, or a set from OpenML, as an .npz that `gammatune train` reads."""
    from gammatune.pipeline.data.jpeg import convert

    written = convert(sources, out)
    channels, height, width = written.shape
    tested = "" if written.x_test is None else f", {len(written.x_test):,} to test"
    print(
        f"{out}: {len(written.x_train):,} images of {height} x {width} x {channels} to train{tested}, "
        f"{len(written.classes)} classes; `gammatune train {shlex.quote(out)}` reads it"
    )


@app.command()
def reproduce(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="fig2, table4, ...; several at once.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every figure and table.")] = False,
    scale: Annotated[
        str,
        typer.Option(help="smoke (seconds), small (minutes), power (hours, it says them) or full (a GPU)."),
    ] = "small",
    seeds: Annotated[
        int | None, typer.Option(help="How many. Default: 6; at power 30, of tables 6 and 7 6.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="A folder with mnist.npz and CIFAR-10. Default: by name, from OpenML."),
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="Where results go. Default: beside the experiments.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes at a time.")] = 1,
) -> None:
    """Make a figure or table of the thesis again, ours beside the thesis's."""
    from gammatune.cli.reproduce import names as known
    from gammatune.cli.reproduce import reproduce as run
    from gammatune.errors import InvalidArgument

    if not names and not every:
        raise InvalidArgument(f"name a figure or table, or write --all: {', '.join(known())}")
    run(names or [], scale, seeds, data, out, jobs)


def main() -> None:
    """The entry point: our own errors become one line, everybody else's keep their traceback."""
    from gammatune.errors import GammatuneError

    try:
        app()
    except GammatuneError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # the reader of our output went away (`| head`); say nothing more, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _console() -> Any:
    from rich.console import Console

    # A pipe has no width of its own; tables must not be folded at 80 columns there.
    return Console() if sys.stdout.isatty() else Console(width=160)


def _follower(*, quiet: bool) -> Any:
    from gammatune.report.live import LiveDisplay, PlainLines, Progressing

    if quiet:
        return Progressing()
    console = _console()
    return LiveDisplay(console) if console.is_terminal else PlainLines(console)


def _say_written(path: Path) -> None:
    print(f"{path}: {max(1, path.stat().st_size // 1000):,} kB; open it in a browser")


def _stopped(directory: str | None) -> str:
    if directory is None:
        return "stopped before the training began"
    return f"stopped; what was trained is kept in {directory}; `gammatune resume {shlex.quote(directory)}` goes on"


def _as_json(story: Any, run: str) -> dict[str, Any]:
    from dataclasses import asdict

    from gammatune.report.learnt import whether_of
    from gammatune.report.models import NET, beside_of

    return {
        "run": run,
        "begin": story.begin,
        "handed_over": None if story.report is None else beside_of(story.report).get("model", NET),
        "handed_back": None if story.handed_back is None else asdict(story.handed_back),
        "schedule": [dict(outcome.values) for outcome in story.course],
        "course": [asdict(outcome) for outcome in story.course],
        "verdicts": [asdict(verdict) for verdict in story.verdicts],
        "rollouts": len(story.rollouts),
        "failed": sum(not outcome.ok for outcome in story.rollouts),
        "end": story.end,
        "report": story.report,
        "learnt": whether_of(story.report),
        "nets": list(story.nets),
    }
