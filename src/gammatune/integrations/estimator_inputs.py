"""Frames with text, dates and missing cells as the estimators take them: read as the command reads tables."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gammatune.errors import DataWarning, InvalidArgument
from gammatune.pipeline.data.columns import listed
from gammatune.pipeline.data.dataset import Label, Task
from gammatune.pipeline.data.frames import as_pandas, is_frame
from gammatune.pipeline.data.looking import look_at
from gammatune.pipeline.data.table_learning import learn_table
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing

if TYPE_CHECKING:
    import pandas as pd


def with_cells_of_all_kinds(X: Any) -> "pd.DataFrame | None":
    """X as a frame of pandas; None where it is none, or holds numbers alone, which are taken as an array is."""
    if not is_frame(X):
        return None
    import pandas as pd

    frame = X if isinstance(X, pd.DataFrame) else as_pandas(X)
    are_numbers = all(
        pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_complex_dtype(values)
        for _, values in frame.items()
    )
    return None if are_numbers and not frame.isna().any(axis=None) else as_pandas(X)


def learned(
    frame: "pd.DataFrame",
    train: NDArray[np.int64],
    y: NDArray[Any],
    *,
    task: Task,
    classes: Sequence[Label],
    one_hot: bool,
    said: list[str],
) -> TablePreprocessing:
    """What the rows `train` teach. y: codes (n,), or targets (n, t). said: takes which columns are left out.

    Raises InvalidData where no column is left.
    """
    target = "y"
    while target in frame.columns:
        target += "_"
    columns = look_at(frame.iloc[train], {}, said, decimal="", find_codes=False)
    dropped = [f"{column.name} ({column.why})" for column in columns if column.kind == "drop"]
    if dropped:
        said.append(f"Not used: {listed(dropped)}.")
    known = TablePreprocessing(
        task, (), target, one_hot, classes=tuple(classes), header=tuple(map(str, frame.columns))
    )
    return learn_table(known, frame.iloc[train], y[train], columns, said)


def encoded(preparing: TablePreprocessing, X: Any) -> Tensor:
    """Rows of another frame, (n, F); what is unusual in them is a `DataWarning`."""
    if not is_frame(X):
        raise InvalidArgument(
            f"a {type(X).__name__} was given, and fit had a frame with the columns "
            f"{listed(column.name for column in preparing.columns)}; give a frame"
        )
    said: list[str] = []
    frame = preparing.matched(as_pandas(X), said)
    inputs = preparing.encode(frame, said)
    for sentence in (*said, *preparing.misread(frame)):
        warnings.warn(sentence, DataWarning, stacklevel=4)
    return inputs
