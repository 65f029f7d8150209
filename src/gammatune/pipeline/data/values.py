"""The values of a column as numbers, text, dates, or codes of classes; what is none of the kind is missing."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import InvalidData
from gammatune.pipeline.data.cells.dates import BY_ISO, ISO, parsed
from gammatune.pipeline.data.cells.spelling import find, otherwise, written
from gammatune.pipeline.data.columns import listed
from gammatune.pipeline.data.dataset import Label

if TYPE_CHECKING:
    import pandas as pd

# Levels that were not learned: how many values of a column are such, and the first of them.
Unknown: TypeAlias = dict[str, tuple[int, str]]


def texts_in(values: "pd.Series[Any]") -> tuple[NDArray[np.int64], list[str]]:
    """As text: the place of each value in a list of the different ones, -1 where it is missing; and the list."""
    import pandas as pd

    try:
        places, distinct = pd.factorize(values)
    except TypeError:  # lists, mappings
        places, distinct = pd.factorize(values.map(str, na_action="ignore"))
    return places.astype(np.int64), [written(value) for value in distinct.tolist()]


def unknown_in_words(unknown: Unknown) -> list[str]:
    """A sentence a column."""
    return [
        f"{count} value{'s' * (count > 1)} of {name} {'were' if count > 1 else 'was'} not among the levels learned, "
        f"such as {first!r:.40}: {'they count' if count > 1 else 'it counts'} as unknown."
        for name, (count, first) in unknown.items()
    ]


def counts_of(values: "pd.Series[Any]") -> Counter[str]:
    """How often each value is there, as text."""
    places, distinct = texts_in(values)
    counts: Counter[str] = Counter()
    for text, count in zip(distinct, np.bincount(places[places >= 0], minlength=len(distinct)), strict=True):
        counts[text] += int(count)
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
        values = values.astype(object)
        dates = parsed(values, format or ISO)
        if format not in (None, ISO) and not is_number:
            left = values.where(dates.isna() & values.astype(str).str.match(BY_ISO))
            dates = dates.fillna(parsed(left, ISO))
    return dates.dt.tz_convert(None) if dates.dt.tz is not None else dates


def days_of(dates: "pd.Series[Any]") -> NDArray[np.float64]:
    """Days since 1970; NaN where missing."""
    # whole seconds, since nanoseconds end in 2262, and people write 9999-12-31
    seconds = dates.to_numpy().astype("datetime64[s]")
    days: NDArray[np.float64] = np.where(np.isnat(seconds), np.nan, seconds.astype(np.int64) / (24 * 3600))
    return days
