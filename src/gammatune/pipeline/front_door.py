"""`fit` by its first argument: a module is trained as it is; a frame, a path or a table that was read goes the way of
`gammatune train`."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack, overload

from torch import nn

from gammatune.engine.batches import LossFunction
from gammatune.errors import GammatuneError, InvalidArgument
from gammatune.metrics.catalogue import MetricName
from gammatune.pipeline.data.frames import Frame, as_pandas, called, is_frame
from gammatune.pipeline.keywords import PathOrText, TrainOptions, names_of, options_of
from gammatune.pipeline.predictor import Predictor, load
from gammatune.pipeline.table_reading import TableReading
from gammatune.pipeline.threads import threads_kept
from gammatune.pipeline.train import Stopped, train
from gammatune.supervised.arguments import AnyOptimizer, FitOptions, Training
from gammatune.supervised.fit import fit as fit_module
from gammatune.supervised.loaders import Examples
from gammatune.supervised.result import FitResult
from gammatune.tuning.options import Running, Search
from gammatune.tuning.signals import Terminated

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["fit"]


@overload
def fit(
    model: nn.Module,
    train_set: Examples,
    val_set: Examples | None = ...,
    *,
    test_set: Examples | None = ...,
    epochs: int | None = ...,
    budget: float | None = ...,
    time: float | None = ...,
    metric: MetricName | None = ...,
    loss_fn: LossFunction | None = ...,
    optimizer: AnyOptimizer = ...,
    seed: int = ...,
    run_dir: str | None = ...,
    training: Training | None = ...,
    search: Search | None = ...,
    running: Running | None = ...,
    **options: Unpack[FitOptions],
) -> FitResult: ...


@overload
def fit(
    data: PathOrText | Frame | TableReading,
    target: str | None = ...,
    *,
    run_dir: PathOrText | None = ...,
    progress: bool | None = ...,
    **options: Unpack[TrainOptions],
) -> Predictor: ...


def fit(*given: Any, **options: Any) -> Any:
    """Train what the data allow: a module of yours, or the best model for a table, by its first argument.

    A torch module, `fit(model, train_set, ...)`, is trained as it is while its learning rate is found, and holds the
    best weights afterwards: see `gammatune.supervised.fit.fit`, which takes the same and gives a `FitResult`.

    Anything else is data, `fit(data, target)`, and goes the way of `gammatune train`: it is read and split, a net is
    trained, on a table held against other models, and all is kept in a run directory. It gives a `Predictor`.
    data: a frame of pandas, polars or Arrow, what `gammatune.read_table` gave, or what the command reads: the path of
    a table, a folder of images or an .npz, or "digits". target: the column of a table to predict.
    run_dir: a new directory to keep the run in; None: runs/NAME-NUMBER. One that holds this very run, interrupted or
    complete, is gone on with: call the same again; of a frame a checksum tells whether it is the same.
    progress: whether to show how far it is; None: where somebody watches, on a terminal or in a notebook.
    options: those of the command by name (`gammatune train --help`): metric, time (seconds or "5m"), epochs, budget,
    test (another table), group, drop, column (such as {"zip": "category"}), seed, only and so on. Sentences call
    them as the command does: --time-column is time_column=.

    Ctrl-C leaves there what was trained.
    Raises TypeError at an option that is none, InvalidArgument, InvalidData or MissingExtra before any training,
    AllDiverged where nothing trains, AnotherRun where run_dir holds another run.
    """
    first = given[0] if given else options.get("data")
    if isinstance(first, Predictor):  # its network is gone on with
        return fit_module(first.module, *given[1:], **options)
    if isinstance(first, (str, os.PathLike, TableReading)) or (
        is_frame(first) and not isinstance(first, nn.Module)
    ):
        return _fit_data(given, options)
    if given and not hasattr(first, "parameters"):
        raise InvalidArgument(
            f"fit(...) was given a {type(first).__name__}; give a torch.nn.Module and its examples, or a table, as a "
            "frame or the path of a file, and its target"
        )
    return fit_module(*given, **options)


def _fit_data(given: tuple[Any, ...], options: dict[str, Any]) -> Predictor:
    if len(given) > 2:
        raise TypeError(
            f"fit() takes data and a target by position, but {len(given)} were given; the rest by name"
        )
    named = dict(zip(("data", "target"), given, strict=False))
    if twice := named.keys() & options.keys():
        raise TypeError(f"fit() got multiple values for argument {min(twice)!r}")
    given_all = {**named, **options}
    run_dir, progress = (given_all.pop(name, None) for name in ("run_dir", "progress"))
    if isinstance(given_all["data"], TableReading):
        reading = given_all.pop("data")
        target = {} if reading.target is None else {"target": reading.target}
        given_all = {"data": reading.source, **target, **reading.corrections, **given_all}
    frames: dict[str, pd.DataFrame] = {}
    for name in ("data", "test"):
        if (table := given_all.get(name)) is not None:
            given_all[name] = _journaled(name, table, given_all.get("target"), frames)
    try:
        asked = options_of("fit", given_all.pop("data"), given_all, names_of(TrainOptions))
        return _trained(asked, None if run_dir is None else os.fspath(run_dir), progress, frames)
    except GammatuneError as error:
        if "--" in str(error):
            error.add_note("In Python the options are keyword arguments: --time-column is time_column=.")
        raise


def _journaled(name: str, table: Any, target: Any, frames: "dict[str, pd.DataFrame]") -> str:
    """What a journal calls it. frames: takes it where it lies in memory, by the name of the option."""
    table = table.source if isinstance(table, TableReading) else table
    if not is_frame(table):
        return str(os.fspath(table))
    frames[name] = as_pandas(table, target if isinstance(target, str) else None)
    return called(frames[name])


def _trained(
    options: Any, run_dir: str | None, progress: bool | None, frames: "Mapping[str, pd.DataFrame]"
) -> Predictor:
    from gammatune.report.progress import display_for  # here, since rich comes with it

    try:
        with threads_kept():
            return load(train(options, run_dir, display_for(progress), frames))
    except Stopped as stop:
        if stop.status != Stopped.INTERRUPTED:
            raise Terminated from None
        kept = f"; what was trained is kept in {stop.directory}" if stop.directory else ""
        goes_on = f": the same call with run_dir={stop.directory!r} goes on" if stop.directory else ""
        raise KeyboardInterrupt(f"stopped{kept}{goes_on}") from None
