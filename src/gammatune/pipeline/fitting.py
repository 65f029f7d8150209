"""`gammatune.fit` of data in the place of a module: what `gammatune train` does, called from Python."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gammatune.errors import GammatuneError
from gammatune.pipeline.data.frames import as_pandas, called, is_frame
from gammatune.pipeline.keywords import TrainOptions, names_of, options_of
from gammatune.pipeline.options import Options
from gammatune.pipeline.predictor import Predictor, load
from gammatune.pipeline.table_reading import TableReading
from gammatune.pipeline.threads import threads_kept
from gammatune.pipeline.train import Stopped, train
from gammatune.report.progress import display_for
from gammatune.tuning.signals import Terminated

if TYPE_CHECKING:
    import pandas as pd


def fit_data(given: tuple[Any, ...], options: dict[str, Any]) -> Predictor:
    """As `gammatune.fit` of data; given: what it was called with by position."""
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
    options: Options, run_dir: str | None, progress: bool | None, frames: "Mapping[str, pd.DataFrame]"
) -> Predictor:
    try:
        with threads_kept():
            return load(train(options, run_dir, display_for(progress), frames))
    except Stopped as stop:
        if stop.status != Stopped.INTERRUPTED:
            raise Terminated from None
        kept = f"; what was trained is kept in {stop.directory}" if stop.directory else ""
        goes_on = f": the same call with run_dir={stop.directory!r} goes on" if stop.directory else ""
        raise KeyboardInterrupt(f"stopped{kept}{goes_on}") from None
