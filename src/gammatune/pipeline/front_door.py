"""`fit` by its first argument: a module is trained as it is; a frame, a path or a table that was read goes the way of
`gammatune train`."""

import os
from typing import TYPE_CHECKING, Any, Unpack, overload

from torch import nn

from gammatune.engine.batches import LossFunction
from gammatune.errors import InvalidArgument
from gammatune.metrics.catalogue import MetricName
from gammatune.supervised.arguments import AnyOptimizer, FitOptions, Training
from gammatune.supervised.fit import fit as fit_module
from gammatune.supervised.loaders import Examples
from gammatune.supervised.result import FitResult
from gammatune.tuning.options import Running, Search

if TYPE_CHECKING:
    from gammatune.pipeline.data.frames import Frame
    from gammatune.pipeline.keywords import PathOrText, TrainOptions
    from gammatune.pipeline.predictor import Predictor
    from gammatune.pipeline.table_reading import TableReading

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
    data: "PathOrText | Frame | TableReading",
    target: str | None = ...,
    *,
    run_dir: "PathOrText | None" = ...,
    progress: bool | None = ...,
    **options: "Unpack[TrainOptions]",
) -> "Predictor": ...


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
    first = given[0] if given else options.get("data", options.get("model"))
    if isinstance(first, nn.Module) or (first is None and not given):
        return fit_module(*given, **options)
    # here, since a module need not wait for all that tables are read by
    from gammatune.pipeline.data.frames import is_frame
    from gammatune.pipeline.fitting import fit_data
    from gammatune.pipeline.predictor import Predictor
    from gammatune.pipeline.table_reading import TableReading

    if isinstance(first, (str, os.PathLike, TableReading)) or is_frame(first):
        return fit_data(given, options)
    if isinstance(first, Predictor):  # its network is gone on with
        rest = {name: value for name, value in options.items() if name != "model"}
        return fit_module(first.module, *given[1:], **rest)
    if not hasattr(first, "parameters"):
        raise InvalidArgument(
            f"fit(...) was given a {type(first).__name__}; give a torch.nn.Module and its examples, or a table, as a "
            "frame or the path of a file, and its target"
        )
    return fit_module(*given, **options)
