"""The names of the columns of a table."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from gammatune.errors import InvalidData

if TYPE_CHECKING:
    import pandas as pd


def called_by_text(frame: "pd.DataFrame", what: str | Path) -> None:
    """Call its columns by text, without blanks around it. Raises InvalidData: names twice, no rows."""
    frame.columns = [str(name).strip() for name in frame.columns]
    refuse_twice(what, frame.columns)
    if frame.empty:
        raise InvalidData(
            f"{what} has names ({', '.join(frame.columns[:5])}) and no rows; give at least one row"
        )


def refuse_twice(path: str | Path, names: Iterable[str]) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise InvalidData(
            f"{path} has the column {twice[0]!r} more than once; give every column a name of its own"
        )
