"""Columns of cells of any type, as spreadsheets, JSON and R hold them, brought to one kind each, as from text.

dates        where every cell is one, with a time or without
truth values, numbers    likewise; whole numbers are whole, however they are stored
text         all else; numbers in it are read as they are in text (`gammatune.pipeline.data.cells.numerals`)
"""

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from gammatune.pipeline.data.cells.numerals import Mark, read_numbers
from gammatune.pipeline.data.cells.replaced import replaced
from gammatune.pipeline.data.cells.spelling import written
from gammatune.pipeline.data.files.missing import KNOWN, MISSING
from gammatune.pipeline.data.files.names import refuse_twice

if TYPE_CHECKING:
    import pandas as pd

_EXACT = 2**53  # up to which doubles hold every whole number


def as_from_text(
    frame: "pd.DataFrame", name: str, said: list[str], learned: Mark, wanted: Mark | None
) -> "tuple[pd.DataFrame, Mark]":
    """With numbers and gaps in columns of text read as in a file of text; and what parts their decimals.

    name: of the file. learned: as in `read_table`. wanted: what parts decimals; None: they tell. Raises InvalidData:
    names twice."""
    frame = settled(frame, name)
    texts = [name for name, values in frame.items() if _is_text(values)]
    is_typed = any(_has_decimals(values) for _, values in frame.items())
    if not texts:
        return frame, ""
    read, decimal = read_numbers(
        without_marks(frame[texts]), name, said, semicolons=False, learned=learned, wanted=wanted
    )
    frame = replaced(frame, {str(name): read[name] for name in texts})
    # beside numbers that are typed what text proves is of its own column alone, as in a CSV of both marks
    return frame, "" if is_typed and wanted is None else decimal


def without_marks(frame: "pd.DataFrame") -> "pd.DataFrame":
    """With nothing in the place of text that stands for a missing value. Names may be there twice."""
    frame = frame.copy(deep=False)
    for name in [name for name, values in frame.items() if _is_text(values)]:
        if frame[name].ndim == 1:
            frame[name] = frame[name].mask(frame[name].str.strip().isin((*KNOWN, *MISSING)))
    return frame


def settled(frame: "pd.DataFrame", name: str) -> "pd.DataFrame":
    """With columns of one kind each; text of blanks is missing. Raises InvalidData: names twice."""
    frame = frame.set_axis([str(name) for name in frame.columns], axis="columns")
    refuse_twice(name, frame.columns)
    return replaced(frame, {str(name): _settled(values) for name, values in frame.items()})


def _settled(values: "pd.Series[Any]") -> "pd.Series[Any]":
    import pandas as pd

    if values.dtype.kind == "f":
        return whole(values)
    if _is_text(values):
        values = values.infer_objects()
        return values.mask(values.str.isspace() | values.eq(""))
    if values.dtype.kind == "m":
        values = values.astype(object)
    if values.dtype != object:
        return values
    present = values[values.notna()]
    types = set(map(type, present.tolist()))
    if not types:
        return values.astype(np.float64)
    if types <= {datetime.date, datetime.datetime, pd.Timestamp}:
        return _dates(values, present)
    if types <= {bool, np.bool_}:
        return values.astype(bool) if len(present) == len(values) else values
    if types & {list, dict, tuple, set, np.ndarray}:
        return values
    if all(issubclass(each, (int, float, np.number)) for each in types) and not types & {bool, np.bool_}:
        numbers = pd.to_numeric(values)
        return whole(numbers) if numbers.dtype.kind == "f" else numbers
    return _settled(values.map(_text, na_action="ignore"))


def whole(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Doubles as whole numbers, where they are such and none is missing."""
    numbers = values.to_numpy(dtype=np.float64)
    with np.errstate(invalid="ignore"):
        is_whole = bool((np.abs(numbers) < _EXACT).all() and (numbers == np.round(numbers)).all())
    return values.astype(np.int64) if is_whole and len(numbers) else values


def _has_decimals(values: "pd.Series[Any]") -> bool:
    if values.dtype.kind != "f":
        return False
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    return bool((np.isfinite(numbers) & (numbers != np.round(numbers))).any())


def _dates(values: "pd.Series[Any]", present: "pd.Series[Any]") -> "pd.Series[Any]":
    import pandas as pd

    # beyond what nanoseconds reach; with a time zone in UTC
    plain = [_plain(each).isoformat() for each in present.tolist()]
    found = pd.Series(np.datetime64("NaT"), index=values.index, dtype="datetime64[us]")
    found[present.index] = np.array(plain, dtype="datetime64[us]")
    return found


def _plain(moment: Any) -> Any:
    zone = getattr(moment, "tzinfo", None)
    return moment if zone is None else moment.astimezone(datetime.UTC).replace(tzinfo=None)


def _text(cell: Any) -> str:
    """As a program writes it into a CSV."""
    form = next((form for kind, form in _FORMS.items() if isinstance(cell, kind)), written)
    return form(cell)


def _duration(span: datetime.timedelta) -> str:
    hours, seconds = divmod(round(span.total_seconds()), 3600)
    return f"{hours}:{seconds // 60:02d}:{seconds % 60:02d}"


_FORMS: dict[type, Callable[[Any], str]] = {
    datetime.time: lambda time: time.isoformat(timespec="seconds"),
    datetime.timedelta: _duration,
    datetime.datetime: lambda moment: str(moment).removesuffix(" 00:00:00"),
    bytes: lambda text: text.decode("utf-8", errors="replace"),
}


def _is_text(values: "pd.Series[Any]") -> bool:
    import pandas as pd

    return isinstance(values.dtype, pd.StringDtype) or (
        values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) == "string"
    )
