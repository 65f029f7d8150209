"""What each row of a table counts for: a column of weights, such as a survey has."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import InvalidData
from gammatune.pipeline.data.cells.amounts import numbers_in
from gammatune.pipeline.data.cells.spelling import written

if TYPE_CHECKING:
    import pandas as pd


def weights_in(values: "pd.Series[Any]", name: str) -> NDArray[np.float64]:
    """(n,), 0 or more; NaN where one is missing. Raises InvalidData at what is no weight."""
    weights = numbers_in(values)
    strange = np.isnan(weights) & values.notna().to_numpy()
    if strange.any():
        raise InvalidData(
            f"--sample-weight {name} holds {written(values[strange].iloc[0])!r:.40}, which is no finite number; name "
            "a column of numbers"
        )
    below = weights[weights < 0]
    if len(below):
        raise InvalidData(
            f"--sample-weight {name} is below 0 in {len(below)} rows, such as {below[0]:g}; a weight is 0 or more"
        )
    return weights


def weighing(
    frame: "pd.DataFrame", name: str | None, said: list[str]
) -> tuple["pd.DataFrame", NDArray[np.float64] | None]:
    """The rows that count for something, and what they count for by this column; all and None where there is none.
    said: takes how many others there were. The index stays: it is the place of a row in its file.

    Raises InvalidData: see `weights_in`; and where no row counts.
    """
    if name is None:
        return frame, None
    weights = weights_in(frame[name], name)
    missing, nothing = np.isnan(weights), weights == 0
    if (missing | nothing).all():
        raise InvalidData(
            f"--sample-weight {name} is missing or 0 in every row; name another column, or leave it out"
        )
    if missing.any():
        said.append(
            f"{int(missing.sum())} of {len(frame)} rows have no {name}, their weight, and are left out."
        )
    if nothing.any():
        said.append(
            f"{int(nothing.sum())} of {len(frame)} rows have a weight ({name}) of 0, and are left out."
        )
    kept = ~(missing | nothing)
    return (frame if kept.all() else frame[kept]), weights[kept]


def in_words(weights: NDArray[np.float64] | None, name: str | None) -> list[str]:
    if weights is None:
        return []
    return [
        f"Each row counts for its {name}, {weights.min():.3g} to {weights.max():.3g}, which is no input: a weight "
        "says for how many a row stands."
    ]
