"""The values of a column as numbers, text, dates, or codes of classes; what is none of the kind is missing."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, assert_never

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import InvalidData
from gammatune.pipeline.data.cells.dates import BY_ISO, ISO, parsed
from gammatune.pipeline.data.cells.spelling import find, otherwise, written
from gammatune.pipeline.data.columns import listed
from gammatune.pipeline.data.dataset import Label

if TYPE_CHECKING:
    import pandas as pd


Cycle: TypeAlias = Literal["month", "weekday", "hour"]


def texts_in(values: "pd.Series[Any]") -> tuple[NDArray[np.int64], list[str]]:
    """As text: the place of each value in a list of the different ones, -1 where it is missing; and the list."""
    import pandas as pd

    try:
        places, distinct = pd.factorize(values)
    except TypeError:  # lists, mappings
        places, distinct = pd.factorize(values.map(str, na_action="ignore"))
    texts = [value if type(value) is str else written(value) for value in distinct.tolist()]
    return places.astype(np.int64), texts


def counts_of(values: "pd.Series[Any]") -> Counter[str]:
    """How often each value is there, as text."""
    places, distinct = texts_in(values)
    met = np.bincount(places[places >= 0], minlength=len(distinct)).tolist()
    counts = Counter(dict(zip(distinct, met, strict=True)))
    if len(counts) < len(distinct):  # 1 and '1'
        counts = Counter()
        for text, count in zip(distinct, met, strict=True):
            counts[text] += count
    return counts


def codes_of(
    name: str,
    target: str,
    values: "pd.Series[Any]",
    classes: Sequence[Label],
    said: list[str],
    *,
    exact: bool = False,
) -> NDArray[np.int64]:
    """The index in `classes` of each label. name: of the table. said: takes which were spelled otherwise.

    exact: they may not be. Raises InvalidData at one that is none of them.
    """
    places, distinct = texts_in(values)
    known = [written(label) for label in classes]
    found = find(distinct, known, exact=exact)
    unknown = [text for text, place in zip(distinct, found, strict=True) if place is None]
    if unknown:
        raise InvalidData(
            f"{name} holds {target} {unknown[0]!r:.40}, which the training data never shows; known: "
            f"{listed(map(str, classes))}"
        )
    if not exact:
        said += otherwise(counts_of(values), known).said(target)
    return np.array(found, dtype=np.int64)[places]


def dates_in(values: "pd.Series[Any]", format: str | None) -> "pd.Series[Any]":
    """Without a time zone, in UTC where there was one; what is no date is missing."""
    import pandas as pd

    if isinstance(values.dtype, (np.dtype, pd.DatetimeTZDtype)) and values.dtype.kind == "M":
        dates = values
    else:
        is_number = pd.api.types.is_numeric_dtype(values)
        if not isinstance(values.dtype, pd.StringDtype):
            values = values.astype(object)
        dates = parsed(values, format or ISO)
        if format not in (None, ISO) and not is_number and (unknown := dates.isna()).any():
            left = values.where(unknown & values.astype(str).str.match(BY_ISO))
            dates = dates.fillna(parsed(left, ISO))
    return dates.dt.tz_convert(None) if dates.dt.tz is not None else dates


def days_of(dates: "pd.Series[Any]") -> NDArray[np.float64]:
    """Days since 1970; NaN where missing."""
    # whole seconds, since nanoseconds end in 2262, and people write 9999-12-31
    seconds = dates.to_numpy().astype("datetime64[s]")
    days: NDArray[np.float64] = np.where(np.isnat(seconds), np.nan, seconds.astype(np.int64) / (24 * 3600))
    return days


def place_in_cycle(dates: "pd.Series[Any]", cycle: Cycle) -> NDArray[np.int64]:
    """The month from 0, the weekday from Monday as 0, or the hour; -1 where missing."""
    seconds = dates.to_numpy().astype("datetime64[s]")
    days = seconds.astype("datetime64[D]")
    match cycle:
        case "month":
            places = _months(days)
        case "weekday":
            places = (days.astype(np.int64) + 3) % 7  # 1970 began on a Thursday
        case "hour":
            places = (seconds - days).astype(np.int64) // 3600
        case _:
            assert_never(cycle)
    return np.where(np.isnat(days), -1, places)


def _months(days: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """From 0; those of a calendar of all days between, where that is shorter. Anything where missing."""
    known = days[~np.isnat(days)]
    many = int((known.max() - known.min()).astype(np.int64)) + 1 if len(known) else 0
    if not 0 < many < len(days):
        months: NDArray[np.int64] = days.astype("datetime64[M]").astype(np.int64) % 12
        return months
    first = known.min()
    calendar = (first + np.arange(many)).astype("datetime64[M]").astype(np.int64) % 12
    found: NDArray[np.int64] = calendar[np.clip((days - first).astype(np.int64), 0, many - 1)]
    return found
