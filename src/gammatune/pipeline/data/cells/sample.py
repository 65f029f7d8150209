"""Values from all over a column, which tell at once what most columns are not."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def every(values: "pd.Series[Any]", step: int) -> "pd.Series[Any]":
    """`values.iloc[::step]`, for which Arrow would copy all of a column that it holds in several pieces."""
    import pandas as pd

    held = values.array.__arrow_array__() if isinstance(values.dtype, pd.StringDtype) and step > 1 else None
    if held is None or not hasattr(held, "chunks"):
        return values.iloc[::step]
    found, start = list[Any](), 0
    for chunk in held.chunks:
        found += [chunk[place].as_py() for place in range(-start % step, len(chunk), step)]
        start += len(chunk)
    return pd.Series(found, values.index[::step], values.dtype, values.name)


def some(values: "pd.Series[Any]", count: int) -> "pd.Series[Any]":
    """So many of them, evenly from all over the column, or nearly twice as many; all where there are fewer."""
    return every(values, max(1, len(values) // count))
