"""A frame with other columns, whatever these are called: pandas' `assign` takes names as keywords, "self" not."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def replaced(frame: "pd.DataFrame", columns: Mapping[str, Any]) -> "pd.DataFrame":
    """A frame with these in the place of those of their names, or behind the others. The one given stays as it is."""
    if not columns:
        return frame
    found = frame.copy(deep=False)
    for name, values in columns.items():
        found[name] = values
    return found
