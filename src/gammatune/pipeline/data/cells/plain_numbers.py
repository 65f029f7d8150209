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
    held = values()
    few = held[:: max(1, len(held) // _FEW)] if len(held) > _FEW else held
    whole = _cast(few, held, arrow.int64())
    numbers = _cast(few, held, arrow.float64()) if whole is None or whole.null_count else whole
    if numbers is None or len(numbers) == numbers.null_count:
        return None
    floats = numbers.to_numpy(zero_copy_only=False)
    if _lose_zeros(held, floats):
        return None
    if whole is not None:
        return _as_series(floats, text)
    if int(np.isfinite(floats).sum()) < len(numbers) - numbers.null_count:
        return None
    # whole numbers that cannot be held as such are too large, or have a plus in front
    return None if _are_whole(floats) and not _any(held, "[.eE]") else _as_series(floats, text)


def _cast(few: Any, held: Any, kind: Any) -> Any:
    """None where not all are of the kind. few: some of them."""
    arrow = require("pyarrow", "tables", "text is read by")
    compute = require("pyarrow.compute", "tables", "text is read by")
    try:
        compute.cast(few, kind)
        return compute.cast(held, kind)
    except arrow.ArrowInvalid:
        return None


def _lose_zeros(held: Any, numbers: Any) -> bool:
    """Whether one of them is a code, or hexadecimal, which Arrow takes for a whole number."""
    compute = require("pyarrow.compute", "tables", "text is read by")
    begins = compute.starts_with(held, "0").fill_null(False).to_numpy(zero_copy_only=False)
    few = np.flatnonzero(begins & ~((numbers > 0) & (numbers < 1)))  # not 0.5
    return len(few) > 0 and _any(held.take(few), f"^({CODE}|0[xX].*)$")


def _are_whole(numbers: Any) -> bool:
    """What is missing does not count."""
    parts = (numbers[:_FEW], numbers)  # most columns of decimals are told by a few
    return all(bool((np.isnan(part) | (part == np.trunc(part))).all()) for part in parts)


def _any(held: Any, pattern: str) -> bool:
    compute = require("pyarrow.compute", "tables", "text is read by")
    return bool(compute.any(compute.match_substring_regex(held, pattern)).as_py())


def _as_series(numbers: Any, text: "pd.Series[Any]") -> "pd.Series[Any]":
    import pandas as pd

    return pd.Series(numbers, index=text.index, name=text.name)
