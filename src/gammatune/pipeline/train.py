"""What `gammatune train` does: data by name or file, a net by name, and the run that comes of them."""

import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gammatune.errors import AnotherRun, InvalidArgument, require
from gammatune.journal.events import Event
from gammatune.journal.history import FILE, replay
from gammatune.pipeline.options import ONLY, Options
from gammatune.report.models import TREES
from gammatune.supervised.defaults import kept_for_after

if TYPE_CHECKING:
    from torch import nn

    from gammatune.metrics.objectives import Objective
    from gammatune.metrics.predictions import Answers
    from gammatune.pipeline.data.split import Split
    from gammatune.pipeline.prepare import Frames, Prepared
    from gammatune.report.live import Progressing
    from gammatune.report.understood import Understood

RUNS = "runs"
LARGE = 1_000_000  # bytes of a file, whose reading takes more than a moment (guess)
# Of what reading a table took, what is kept to read it once more for the rows that were held out, to write its
# columns, and to end: for 80 rows of 6,000 columns 0.14 on a busy machine.
WRITING = 0.15
SEEDS = 2**32  # what every generator behind it takes
# Options that `fit` has by the same name, and checks.
AS_GIVEN = (
    "time", "policy", "schedule", "sampler", "metric", "class_weights", "optimizer", "lr", "weight_decay",
    "batch_size", "device", "parallel", "workers", "at_once", "ensemble", "keep", "seed",
)  # fmt: skip
# Of these what a training without a search knows.
TRAINED_WITH = ("class_weights", "optimizer", "weight_decay", "batch_size", "device")


@dataclass(frozen=True, slots=True)
class Planned:
    """said: what would be done, in sentences. columns: of a table, as they were understood. expected: what a network
    would cost; nothing where none would be trained."""

    said: Sequence[str]
    columns: "Sequence[Understood]"
    expected: Mapping[str, float]


class Stopped(BaseException):
    """The user, or the system, ended the run. status: for the shell. directory: what was trained is kept there;
    None where nothing was."""

    INTERRUPTED = 130  # by Ctrl-C

    def __init__(self, directory: str | None, status: int) -> None:
        self.directory = directory
        self.status = status


def train(
    options: Options, run_dir: str | None, follower: "Progressing", frames: "Frames | None" = None
) -> str:
    """Train; the run directory, a new one in RUNS where none was given.

    frames: where data or test are tables in memory, whom the options call as `pipeline.data.frames.called` does.
    Raises every error of `fit`, InvalidData of the loading, and Stopped.
    """
    from gammatune.pipeline.artifacts import leave
    from gammatune.pipeline.without_net import without_net
    from gammatune.report.glossary import BEFORE_TRAINING
    from gammatune.supervised.fit import fit
    from gammatune.tuning.signals import Terminated

    _check(options, run_dir)
    _refuse_other_frames(options, run_dir, frames or {})
    options = _as_begun(options, run_dir)
    prepared, reading = _read(options, frames, follower)
    options, split = _as_time_allows(options, prepared), prepared.split
    directory = run_dir if run_dir is not None else next_run(split.name)
    judged = prepared.is_table
    after, writing = _kept_of_time(options, reading, judged=judged)
    began = clock.perf_counter()
    extra = _judge(options, prepared, directory, (began, writing), follower) if judged else None
    facts = _facts(options, prepared, frames or {})
    listeners: list[Callable[[Event], None]] = [_columns_writer(directory, split, options), follower]
    if not options.without_net:
        follower.say(BEFORE_TRAINING)
    try:
        with follower:
            if options.without_net and extra is not None:
                without_net(split, directory, options.metric, options.seed, facts, extra, listeners)
            else:
                fit(
                    prepared.net,
                    split.train.pair,
                    split.select.pair,
                    test_set=split.report.pair,
                    sample_weight=split.weights,
                    ordinal=split.ordered,
                    **_length(options, prepared),
                    **{name: getattr(options, name) for name in AS_GIVEN},
                    reserve=after,
                    objective=_objective(options, split.task),
                    target_scale=(split.preprocessing.target_mean, split.preprocessing.target_std),
                    space=options.search or None,
                    pretrained=True if prepared.weights is not None else None,
                    patience=prepared.patience,
                    extra=extra,
                    new_model=prepared.another,
                    run_dir=directory,
                    facts=facts,
                    listeners=listeners,
                )
        _write_beside(directory, split)
        leave(directory)
    except (KeyboardInterrupt, Terminated) as stop:
        kept = directory if (Path(directory) / FILE).is_file() else None
        raise Stopped(kept, stop.status if isinstance(stop, Terminated) else Stopped.INTERRUPTED) from None
    return directory


def _as_time_allows(options: Options, prepared: "Prepared") -> Options:
    return options if prepared.epochs or options.without_net else replace(options, only=TREES)


def _kept_of_time(options: Options, reading: float, *, judged: bool) -> tuple[float, float]:
    """Of the seconds allowed those for all that comes after the learning, and of these the ones for writing, a tenth
    of all at most. reading: how long it took."""
    if options.time is None:
        return 0.0, 0.0
    writing = min(WRITING * reading, options.time / 10) if judged else 0.0
    return kept_for_after(options.time, judged=judged) + writing, writing


def _read(options: Options, frames: "Frames | None", follower: "Progressing") -> tuple["Prepared", float]:
    """What is trained on, and the seconds that reading it took."""
    from gammatune.pipeline.prepare import prepare

    _announce(options.data, follower)
    began = clock.perf_counter()
    return prepare(options, frames), clock.perf_counter() - began


def _announce(data: str, follower: "Progressing") -> None:
    """That a large file is read, before anything else can be said."""
    path = Path(data)
    if path.is_file() and (size := path.stat().st_size) >= LARGE:
        from gammatune.report.wording import in_bytes

        follower.say(f"reading {path.name}, {in_bytes(size)}")


def _columns_writer(directory: str, split: "Split", options: Options) -> "Callable[[Event], None]":
    """Who writes `columns.toml` as soon as the run begins: one that is killed leaves it."""
    from gammatune.pipeline.columns_file import NAME, write_columns
    from gammatune.pipeline.prepare import how_of

    def write(event: Event) -> None:
        is_past = event["event"] == "resume" or event.get("past", False)
        is_due = event["event"] in ("begin", "resume")
        # of a run that is gone on with it is left as it is: perhaps edited
        if split.sheet is not None and is_due and not (is_past and (Path(directory) / NAME).exists()):
            source = None if options.test else split.source
            write_columns(directory, split.sheet, how_of(options), source, options.task)

    return write


def _write_beside(directory: str, split: "Split") -> None:
    """What lies beside the journal of the data, once it has been learnt from."""
    from gammatune.pipeline.held_out import trace
    from gammatune.pipeline.pictures import write_pictures
    from gammatune.pipeline.seen import leave_seen

    trace(directory, split)
    leave_seen(directory, split)
    write_pictures(directory, split)


def _facts(options: Options, prepared: "Prepared", frames: "Frames") -> Mapping[str, Any]:
    """For the first line of the journal."""
    from gammatune.pipeline.seen import digest_of

    chosen = {"usual" if options.is_open else "epochs": prepared.epochs, "patience": prepared.patience or 0}
    return {
        "data": options.data,
        "data_sha256": None if "data" in frames else digest_of(options.data),
        "model": options.only if options.without_net else prepared.model,
        **({} if prepared.weights is None else {"weights": prepared.weights}),
        "shape": list(prepared.split.shape),
        "preprocessing": prepared.split.preprocessing.to_dict(),
        "limit": options.limit,
        "validation": options.validation,
        "weight_decay": options.weight_decay,
        "said": list(prepared.said),
        **_columns(prepared),
        "command": {**asdict(options), **chosen},
        **({"frames": sorted(frames)} if frames else {}),
    }


def _columns(prepared: "Prepared") -> dict[str, Any]:
    """Of a table, what was understood of its columns."""
    sheet = prepared.split.sheet
    return {} if sheet is None else {"columns": [asdict(reading) for reading in sheet.readings]}


def _check(options: Options, run_dir: str | None) -> None:
    if options.task not in (None, "classification", "ordinal", "regression"):
        raise InvalidArgument(f"--task {options.task}: write classification, ordinal or regression")
    if options.only not in (None, *ONLY):
        raise InvalidArgument(
            f"--only {options.only}: write {', '.join(ONLY[:-1])} or {ONLY[-1]}, or leave it out"
        )
    if options.threads is not None and options.threads < 1:
        raise InvalidArgument(f"--threads {options.threads}: give 1 or more")
    if not 0 <= options.seed < SEEDS:
        raise InvalidArgument(f"--seed {options.seed}: give a whole number from 0 to {SEEDS - 1}")
    if run_dir is not None and not run_dir.strip():
        raise InvalidArgument(f"--run-dir {run_dir!r}: name a directory, or leave --run-dir out")
    if options.class_weights not in (None, "balanced"):
        raise InvalidArgument(f"--class-weights {options.class_weights}: write balanced, or leave it out")
    if options.total_epochs is not None and (options.epochs is not None or options.budget is not None):
        other = "--epochs" if options.epochs is not None else "--budget"
        raise InvalidArgument(
            f"--total-epochs {options.total_epochs:g} says what everything together may take, and leaves the length "
            f"of a training open: leave {other} out"
        )
    if options.patience is not None and options.patience < 0:
        raise InvalidArgument(f"--patience {options.patience}: give a number of epochs; 0 trains to the end")


def _refuse_other_frames(options: Options, run_dir: str | None, frames: "Frames") -> None:
    """A run that was begun with tables in memory is gone on with where the same are given again."""
    if run_dir is None or not (Path(run_dir) / FILE).is_file():
        return
    facts = replay(run_dir).begin["facts"]
    again = f"give that again to gammatune.fit in Python, with the same options and run_dir={run_dir!r}"
    for name in facts.get("frames", ()):
        was = facts["command"][name]
        if name not in frames:
            raise InvalidArgument(
                f"{run_dir} was begun with {was} as {name}, which lay in memory and is not in the run; {again}"
            )
        if was != getattr(options, name):
            raise AnotherRun(
                f"{run_dir} was begun with {was} as {name}, and this is {getattr(options, name)}; {again}, or give "
                "another run_dir for a new run"
            )


def _judge(
    options: Options,
    prepared: "Prepared",
    directory: str,
    clocked: tuple[float, float],
    follower: "Progressing",
) -> "Callable[[Answers | None, nn.Module | None], Mapping[str, Any]]":
    """clocked: when the training began, by the clock of this process, and what is kept for writing."""
    from gammatune.pipeline.refit import refit_of
    from gammatune.pipeline.table_diagnostics import Allowance, judge

    require("skops.io", "tables")  # in which the other models are kept: said before anything is trained

    def allowance() -> Allowance:
        # of all the processes of a run that was gone on with, and of this one what its journal has not
        began, writing = clocked
        spent = max(replay(directory).elapsed, clock.perf_counter() - began)
        left = None if options.time is None else max(0.0, options.time - spent - writing)
        return Allowance(spent, left)

    return judge(
        prepared.split,
        metric=options.metric,
        class_weights=options.class_weights,
        seed=options.seed,
        directory=Path(directory),
        allowance=allowance,
        only=options.only,
        tell=follower,
        refit=lambda: refit_of(
            directory,
            prepared.another,
            {name: getattr(options, name) for name in TRAINED_WITH} | {"ordinal": prepared.split.ordered},
            classify=prepared.split.task == "classification",
        ),
    )


def _as_begun(options: Options, run_dir: str | None) -> Options:
    """With what was chosen when the run began, its length by the clock perhaps, where it is gone on with."""
    if run_dir is None or not (Path(run_dir) / FILE).is_file():
        return options
    if options.epochs is not None and not Path(options.data).is_dir():
        return options  # only of images something else is chosen
    begun = Options.of_run(run_dir)
    # which `of_run` knows of an earlier version's
    chosen = ("task", "fit", *(("only",) if options.time is not None else ()))
    by_rule = {name: getattr(begun, name) for name in chosen if getattr(options, name) is None}
    asked = replace(options, **by_rule)
    if options.epochs is not None:
        return asked
    same = replace(begun, epochs=None, usual=None, patience=options.patience) == asked
    return begun if same else options


def _length(options: Options, prepared: "Prepared") -> dict[str, Any]:
    """What `fit` is told of how long to train: the epochs of a training, or what all of it may take, in epochs, and
    how many a training usually has."""
    from gammatune.tuning.arguments import total_of

    if not options.is_open:
        return {"epochs": prepared.epochs, "budget": options.budget, "total_epochs": options.total_epochs}
    total = options.total_epochs
    return {
        "total_epochs": total_of(options.budget, prepared.epochs) if total is None else total,
        "guide": prepared.epochs,
    }


def _objective(options: Options, task: str) -> "Objective | None":
    """What was asked for; None leaves it to `fit`, which goes by the metric or the task."""
    from gammatune.metrics import objectives
    from gammatune.metrics.catalogue import recipe

    if options.objective is None and options.lam == objectives.DEFAULT_LAM:
        return None
    if options.objective is None and options.metric is not None:
        return objectives.for_metric(recipe(options.metric, task).name, lam=options.lam)
    by_task = {"classification": objectives.DEFAULT_CLASSIFICATION}
    default = by_task.get(task, objectives.DEFAULT_REGRESSION)
    return objectives.make_objective(options.objective or default, lam=options.lam)


def plan(options: Options) -> Planned:
    """What would be done, and what a network would cost; nothing is trained."""
    from gammatune.pipeline.prepare import estimate, prepare
    from gammatune.report.models import NAMES, capital
    from gammatune.report.understood import understood

    _check(options, None)
    prepared = prepare(options)
    options = _as_time_allows(options, prepared)
    sheet = prepared.split.sheet
    instead = () if sheet is None else sheet.sentences  # which the columns say
    said = [line for line in prepared.said if line not in instead]
    columns = understood(_columns(prepared).get("columns"))
    if options.without_net:
        name = NAMES[str(options.only)]
        return Planned((*said, f"{capital(name)} would be fitted, and no network."), columns, {})
    return Planned(said, columns, {"epochs": prepared.epochs, **estimate(prepared, options)})


def next_run(name: str) -> str:
    """runs/NAME-1, runs/NAME-2, ...: the first that is not there."""
    number = 1
    while (path := Path(RUNS) / f"{name}-{number}").exists():
        number += 1
    return str(path)
