"""Columns of numbers as programs write them, 1234.5, -3e-7: read by Arrow at once. What people write is read with
more care (`gammatune.pipeline.data.cells.numerals`), and gives the same numbers.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from gammatune.errors import require

if TYPE_CHECKING:
    import pandas as pd

_FEW = 100  # values from all over a column, which tell most texts from numbers at once
CODE = r"0\d+"  # a number would lose the zero: postal codes, keys


def plain_numbers(text: "pd.Series[Any]") -> "pd.Series[Any] | None":
    """The numbers of a column of text, int64 where all are whole and none is missing, else float64; None where a
    value is none, is a code with a zero in front, or is too large to be held as it is."""
    values = getattr(text.array, "__arrow_array__", None)
    if values is None or text.dtype == object:
        return None
    arrow = require("pyarrow", "tables", "text is read by")
    compute = require("pyarrow.compute", "tables", "text is read by")
    held = values()
    try:
        compute.cast(held[:: max(1, len(held) // _FEW)] if len(held) > _FEW else held, arrow.float64())
        numbers = compute.cast(held, arrow.float64())
    except arrow.ArrowInvalid:
        return None
    if len(numbers) == numbers.null_count or not compute.all(compute.is_finite(numbers)).as_py():
        return None
    if compute.any(compute.starts_with(held, "0")).as_py() and _any(compute, held, f"^{CODE}$"):
        return None
    floats = numbers.to_numpy(zero_copy_only=False)
    if bool((floats[~np.isnan(floats)] % 1 == 0).all()) and not _any(compute, held, "[.eE]"):
        try:
            whole = compute.cast(held, arrow.int64())
        except arrow.ArrowInvalid:  # too large, or with a plus in front
            return None
        floats = floats if whole.null_count else whole.to_numpy(zero_copy_only=False)
    return _as_series(floats, text)


def _any(compute: Any, held: Any, pattern: str) -> bool:
    return bool(compute.any(compute.match_substring_regex(held, pattern)).as_py())


def _as_series(numbers: Any, text: "pd.Series[Any]") -> "pd.Series[Any]":
    import pandas as pd

    return pd.Series(numbers, index=text.index, name=text.name)
