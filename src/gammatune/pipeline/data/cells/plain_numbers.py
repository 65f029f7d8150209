"""Columns of numbers as programs write them, 1234.5, -3e-7: read by Arrow at once. What people write is read with
more care (`gammatune.pipeline.data.cells.numerals`), and gives the same numbers.
"""

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import require

if TYPE_CHECKING:
    import pandas as pd

_FEW = 1000  # values of a column, which are looked at one by one
_FIRST = 100  # and some of each chunk, which tell most texts from numbers at once
_SHORT = 16**9  # below it hexadecimal digits with 0x in front are more than decimal ones
CODE = r"0\d+"  # a number would lose the zero: postal codes, keys


def plain_numbers(text: "pd.Series[Any]") -> "pd.Series[Any] | None":
    """As `numbers_of`, of a column of text."""
    import pandas as pd

    values = getattr(text.array, "__arrow_array__", None)
    if values is None or text.dtype == object:
        return None
    numbers = numbers_of(values())
    return None if numbers is None else pd.Series(numbers, index=text.index, name=text.name)


def numbers_of(held: Any) -> NDArray[Any] | None:
    """The numbers of a column of Arrow's text, int64 where all are whole and none is missing, else float64; None
    where a value is none, is a code with a zero in front, or is too large to be held as it is."""
    arrow = require("pyarrow", "tables", "text is read by")
    chunks = _chunks(held)
    few = arrow.chunked_array([chunk[: max(1, _FIRST // len(chunks))] for chunk in chunks], held.type)
    whole = _cast(few, held, arrow.int64())
    found = _cast(few, held, arrow.float64()) if whole is None else whole
    if found is None or len(found) == found.null_count:
        return None
    numbers: NDArray[Any] = found.to_numpy(zero_copy_only=False)
    if _lose_zeros(held, numbers, are_whole=whole is not None):
        return None
    if whole is not None:
        return numbers
    if int(np.isfinite(numbers).sum()) < len(found) - found.null_count:
        return None
    # whole numbers that cannot be held as such are too large, or have a plus in front
    return None if _are_whole(numbers) and not _any(held, "[.eE]") else numbers


def _cast(few: Any, held: Any, kind: Any) -> Any:
    """None where not all are of the kind. few: some of them."""
    arrow = require("pyarrow", "tables", "text is read by")
    compute = require("pyarrow.compute", "tables", "text is read by")
    try:
        compute.cast(few, kind)
        return compute.cast(held, kind)
    except arrow.ArrowInvalid:
        return None


def _lose_zeros(held: Any, numbers: NDArray[Any], *, are_whole: bool) -> bool:
    """Whether one of them is a code, or hexadecimal, which Arrow takes for a whole number.

    are_whole: all are, and written without decimals."""
    if are_whole and _bytes_of(held) == _letters(numbers):
        return False
    code = f"^({CODE}|0[xX].*)$"
    few = np.flatnonzero((numbers >= 0) & (numbers == np.trunc(numbers)))  # not 0.5
    if len(few) <= _FEW:
        return any(re.match(code, held[place].as_py()) for place in few.tolist())
    compute = require("pyarrow.compute", "tables", "text is read by")
    with_zero = compute.starts_with(held, "0").fill_null(False).to_numpy(zero_copy_only=False)
    few = few[with_zero[few]]
    return len(few) > 0 and _any(held.take(few), code)


def _bytes_of(held: Any) -> int:
    """Of all its values."""
    if held.null_count or str(held.type) != "large_string":
        compute = require("pyarrow.compute", "tables", "text is read by")
        return int(compute.sum(compute.binary_length(held)).as_py())
    ends = ((each, np.frombuffer(each.buffers()[1], np.int64)) for each in _chunks(held) if len(each))
    return sum(int(places[each.offset + len(each)] - places[each.offset]) for each, places in ends)


def _chunks(held: Any) -> list[Any]:
    return held.chunks if hasattr(held, "chunks") else [held]


def _letters(numbers: NDArray[Any]) -> int:
    """How many whole numbers take without a needless one; -1 where they are too large to be sure: 0xFFFFFFFFFF is
    shorter than what it says."""
    present = numbers[~np.isnan(numbers)] if numbers.dtype.kind == "f" else numbers
    low, high = int(present.min()), int(present.max())
    if max(-low, high) >= _SHORT:
        return -1
    size = np.abs(present) if low < 0 else present
    tens = (10**power for power in range(1, len(str(_SHORT))))
    above = sum(int(np.count_nonzero(size >= ten)) for ten in tens if ten <= max(-low, high))
    return len(present) + above + (int(np.count_nonzero(present < 0)) if low < 0 else 0)


def _are_whole(numbers: Any) -> bool:
    """What is missing does not count."""
    parts = (numbers[:_FIRST], numbers)  # most columns of decimals are told by a few
    return all(bool((np.isnan(part) | (part == np.trunc(part))).all()) for part in parts)


def _any(held: Any, pattern: str) -> bool:
    compute = require("pyarrow.compute", "tables", "text is read by")
    return bool(compute.any(compute.match_substring_regex(held, pattern)).as_py())
