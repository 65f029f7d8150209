"""The command `gammatune`. Heavy imports happen inside the commands, so that --help is instant."""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gammatune.cli.doctor import doctor
from gammatune.cli.export import export
from gammatune.cli.report import compare, report

if TYPE_CHECKING:
    from gammatune.pipeline.options import Asked

app = typer.Typer(
    name="gammatune",
    help="Trains a neural network while finding its learning rate by itself.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

RUNS = "runs"  # as gammatune.pipeline.train has it


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
def train(
    data: Annotated[
        str,
        typer.Argument(
            help="A table (.csv, .parquet), a folder of images (one sub-folder a class, or train, val and test "
            "folders of such), an .npz with x_train, y_train, x_test, y_test, or digits, mnist, fashion-mnist, "
            "cifar10."
        ),
    ],
    target: Annotated[
        str | None, typer.Option(help="The column to predict.", rich_help_panel="Tables")
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(
            help="Of two labels the one whose finding counts in f1, precision, recall. Default: yes, true, 1, "
            "..., or the rarer one.",
            rich_help_panel="Tables",
        ),
    ] = None,
    exact_labels: Annotated[
        bool,
        typer.Option(
            "--exact-labels",
            help="Keep labels apart that differ in blanks, accents' encoding or rare case only.",
            rich_help_panel="Tables",
        ),
    ] = False,
    test: Annotated[
        str | None,
        typer.Option(
            help="Another table to report on. Default: a fifth of the rows.", rich_help_panel="Tables"
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(help="A column; rows with the same value stay in one part.", rich_help_panel="Tables"),
    ] = None,
    time_column: Annotated[
        str | None,
        typer.Option(
            help="A column; the latest rows report, those before them select.", rich_help_panel="Tables"
        ),
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(help="A column to leave out, once for each.", rich_help_panel="Tables"),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=number, NAME=category, NAME=date: what a column is. Default: told from its values.",
            rich_help_panel="Tables",
        ),
    ] = None,
    compare: Annotated[
        bool,
        typer.Option(
            help="Try gradient boosting beside the net for a few seconds.", rich_help_panel="Tables"
        ),
    ] = True,
    task: Annotated[
        str | None,
        typer.Option(
            help="classification or regression. Default: told from the targets.", rich_help_panel="Data"
        ),
    ] = None,
    validation: Annotated[
        float, typer.Option(help="Share of the training examples to select by.", rich_help_panel="Data")
    ] = 0.2,
    limit: Annotated[
        int | None,
        typer.Option(
            help="Use this many training examples, those to select by included.", rich_help_panel="Data"
        ),
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(help="Side of the squares that images in a folder become.", rich_help_panel="Data"),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="What counts: accuracy, auc, f1, balanced-accuracy, mcc, ...; mae, rmse, r2, mape, ... for a "
            "regression.",
            rich_help_panel="Goal",
        ),
    ] = None,
    class_weights: Annotated[
        str | None,
        typer.Option(help="balanced: rare classes weigh as much as common ones.", rich_help_panel="Goal"),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="kappa, accuracy, loss, kappa11, kappa12, ... Default: kappa, or log-loss for regression.",
            rich_help_panel="Goal",
        ),
    ] = None,
    lam: Annotated[
        float, typer.Option(help="Lambda of kappa, above 0 and at most 1.", rich_help_panel="Goal")
    ] = 0.5,
    keep: Annotated[
        str,
        typer.Option(help="Weights handed back: of the best epoch, or of the last.", rich_help_panel="Goal"),
    ] = "best",
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Length of a training. Default: by the number of examples and what the budget leaves.",
            rich_help_panel="Length and cost",
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            help="Ceiling on compute, in multiples of a plain run. Default: 1.5 for lookahead, which trains "
            "several nets for it and averages their answers, with --epochs from 2.5 on; 12 for the others.",
            rich_help_panel="Length and cost",
        ),
    ] = None,
    total_epochs: Annotated[
        float | None,
        typer.Option(
            help="What everything together may take, in epochs; in the place of --epochs and --budget.",
            rich_help_panel="Length and cost",
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            help="Ceiling on time, from when the data have been read to the report: 90s, 5m, 1h30m.",
            rich_help_panel="Length and cost",
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Epochs without progress after which the training ends early; 0 never. Default: half of the "
            "epochs, 10 at least, where their number was left open.",
            rich_help_panel="Length and cost",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Say what would be done and how long it takes.",
            rich_help_panel="Length and cost",
        ),
    ] = False,
    model: Annotated[
        str,
        typer.Option(
            help="auto, tabular, mlp, cnn, resnet, thesis, keras-cnn, alexnet, googlenet, lstm, or "
            "package.module:factory; or an earlier run's directory, whose network is gone on with.",
            rich_help_panel="Network",
        ),
    ] = "auto",
    weights: Annotated[
        str | None,
        typer.Option(
            help="Begin with the weights in this file: a state_dict (.pt, .pth) or .safetensors.",
            rich_help_panel="Network",
        ),
    ] = None,
    freeze: Annotated[
        list[str] | None,
        typer.Option(
            help="Parameters that stay as they are, such as 'features.*'; once for each pattern.",
            rich_help_panel="Network",
        ),
    ] = None,
    optimizer: Annotated[
        str,
        typer.Option(
            help="sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw, muon; with the extra optimizers also "
            "prodigy and schedulefree; auto: adamw or muon, whichever leads further.",
            rich_help_panel="Network",
        ),
    ] = "adamw",
    lr: Annotated[
        float | None,
        typer.Option(
            help="The optimizer's own rate: three decades about it are searched, in place of twelve, and it "
            "stays unless another is likely to be better.",
            rich_help_panel="Network",
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Default: by the number of examples.", rich_help_panel="Network")
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="Default: the optimizer's own.", rich_help_panel="Network")
    ] = None,
    policy: Annotated[
        str,
        typer.Option(
            help="lookahead: a few short rollouts find the rate, then one training along a schedule. greedy: the "
            "best candidate each epoch. once: the best of several whole runs.",
            rich_help_panel="Search",
        ),
    ] = "lookahead",
    schedule: Annotated[
        str | None,
        typer.Option(
            help="What lookahead makes of the rate: linear (a short rise, then down to zero) or constant. "
            "Default: linear.",
            rich_help_panel="Search",
        ),
    ] = None,
    sampler: Annotated[
        str,
        typer.Option(
            help="gamma, gaussian, gaussian-quadrature, gamma-plugin-a, gamma-plugin-b, random, grid, tabu or tpe. "
            "lookahead asks it only for what is searched beside the learning rate.",
            rich_help_panel="Search",
        ),
    ] = "gamma",
    ensemble: Annotated[
        bool | None,
        typer.Option(
            "--ensemble/--no-ensemble",
            help="Spend a budget that pays for several trainings on several nets whose answers are averaged, or on "
            "whole trainings at other rates. Default: on several nets, unless the network is gone on with.",
            rich_help_panel="Search",
        ),
    ] = None,
    search: Annotated[
        list[str] | None,
        typer.Option(
            help="What to search, once for each: lr=1e-4:1:log, lr=0:0.5, batch_size=16,32,64.",
            rich_help_panel="Search",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Fixes the run, to the last bit on one machine.")] = 0,
    run_dir: Annotated[
        str | None, typer.Option(help="Where to keep the run. Default: runs/DATA-NUMBER.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, ... Default: cuda where there is one.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads. Default: 1 where steps are small, else torch's.")
    ] = None,
    parallel: Annotated[
        str | None,
        typer.Option(
            help="ray: several rollouts at a time, in processes of their own; ray:ADDRESS: on that cluster; vmap: in "
            "one batched pass, for small networks on a GPU.",
            rich_help_panel="Several processes",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes. Default: as many as there is room for.", rich_help_panel="Several processes"
        ),
    ] = None,
    at_once: Annotated[
        int | None,
        typer.Option(
            help="Rollouts chosen together; the result depends on it, not on --workers. Default: 4 with --parallel, "
            "else 1.",
            rich_help_panel="Several processes",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object at the end, nothing else.")
    ] = False,
) -> None:
    """Train a network on DATA while finding its learning rate.

    A run directory that holds this very run, interrupted, is gone on with.
    """
    from gammatune.pipeline.options import Asked
    from gammatune.pipeline.train import seconds_in

    asked = Asked(
        data=data,
        model=model,
        optimizer=optimizer,
        epochs=epochs,
        budget=budget,
        policy=policy,
        schedule=schedule,
        sampler=sampler,
        objective=objective,
        lam=lam,
        search=search,
        batch_size=batch_size,
        weight_decay=weight_decay,
        limit=limit,
        validation=validation,
        task=task,
        keep=keep,
        seed=seed,
        device=device,
        threads=threads,
        lr=lr,
        weights=weights,
        freeze=freeze,
        target=target,
        positive=positive,
        exact_labels=exact_labels,
        metric=metric,
        class_weights=class_weights,
        group=group,
        time_column=time_column,
        test=test,
        drop=drop,
        column=column,
        image_size=image_size,
        time=seconds_in(time),
        patience=patience,
        compare=compare,
        parallel=parallel,
        workers=workers,
        at_once=at_once,
        ensemble=ensemble,
        total_epochs=total_epochs,
    )
    if dry_run:
        from gammatune.pipeline.train import plan
        from gammatune.report.terminal import plan_lines

        said, expected = plan(asked)
        for line in plan_lines(said, expected):
            _console().print(line, highlight=False, markup=False)
        return
    _train(asked, run_dir, quiet=quiet, as_json=as_json)


@app.command()
def resume(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run directory.")],
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object at the end, nothing else.")
    ] = False,
) -> None:
    """Go on with a run that was interrupted, from its last event, with what it was begun with."""
    from gammatune.pipeline.options import Asked

    _train(Asked.of_run(run), run, quiet=quiet, as_json=as_json)


@app.command()
def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run directory.")],
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
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run directory.")],
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
def predict(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run directory.")],
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

    print(predict_file(run, file, out if out is not None else default_out(file), single=single))


def _train(asked: "Asked", run_dir: str | None, *, quiet: bool, as_json: bool) -> None:
    from gammatune.journal.history import replay
    from gammatune.pipeline.train import Stopped
    from gammatune.pipeline.train import train as train_as_asked
    from gammatune.report.terminal import final_screen

    try:
        directory = train_as_asked(asked, run_dir, _follower(quiet=quiet or as_json))
    except Stopped as stop:  # caught here, since typer swallows a KeyboardInterrupt
        print(_stopped(stop.directory), file=sys.stderr)
        raise typer.Exit(stop.status) from None
    if as_json:
        print(json.dumps(_as_json(replay(directory), directory)))
    elif not quiet:
        _console().print(final_screen(replay(directory), directory))


app.command()(doctor)
app.command()(export)
app.command()(report)
app.command()(compare)


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
        str, typer.Option(help="smoke (seconds), small (minutes) or full (the thesis's own sizes).")
    ] = "small",
    seeds: Annotated[int, typer.Option(help="How many; paired tests tell something from 6 on.")] = 6,
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


def _stopped(directory: str | None) -> str:
    if directory is None:
        return "stopped before the training began"
    return f"stopped; what was trained is kept in {directory}; `gammatune resume {shlex.quote(directory)}` goes on"


def _as_json(story: Any, run: str) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "run": run,
        "begin": story.begin,
        "handed_back": None if story.handed_back is None else asdict(story.handed_back),
        "schedule": [dict(outcome.values) for outcome in story.course],
        "course": [asdict(outcome) for outcome in story.course],
        "verdicts": [asdict(verdict) for verdict in story.verdicts],
        "rollouts": len(story.rollouts),
        "failed": sum(not outcome.ok for outcome in story.rollouts),
        "end": story.end,
        "report": story.report,
        "nets": list(story.nets),
    }
