"""The names of the columns of a table."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.files.dialect import without_clash

if TYPE_CHECKING:
    import pandas as pd

_BY_PLACE = "column {}"


def called_by_text(frame: "pd.DataFrame", what: str | Path, instead: str = "") -> None:
    """Call its columns by text, without blanks around it. instead: what else can be done where there are no rows.
    Raises InvalidData: names twice, no rows."""
    frame.columns = [str(name).strip() for name in frame.columns]
    refuse_twice(what, frame.columns)
    if frame.empty:
        raise InvalidData(
            f"{what} has names ({', '.join(frame.columns[:5])}) and no rows; give at least one row{instead}"
        )


def refuse_twice(path: str | Path, names: Iterable[str]) -> None:
    if found := twice(names):
        raise InvalidData(
            f"{path} has the column {found[0]!r} more than once; give every column a name of its own"
        )


def refuse_named_twice(path: str | Path, written: Sequence[str], wanted: Iterable[str]) -> None:
    """Where one that was asked for is the name of several columns. written: names as the file has them."""
    for name in wanted:
        if (count := list(written).count(name)) > 1:
            raise InvalidArgument(
                f"{path}: {count} columns are called {name!r}; give each a name of its own in the file, so that it "
                "is clear which is meant"
            )


def twice(names: Iterable[str]) -> list[str]:
    return sorted(name for name, times in Counter(names).items() if times > 1)


def in_full(names: Sequence[str]) -> tuple[str, ...]:
    """Every column with a name, and none with that of another: without one it is called as pandas does, by its place
    from 0, and those that share a name are numbered from the second on."""
    given = [name or f"Unnamed: {place}" for place, name in enumerate(names)]
    found: list[str] = []
    for name in given:
        taken = {*given, *found} if name in found else ()
        found += without_clash([name], taken)
    return tuple(found)


def name_of_rows(names: Iterable[str]) -> str:
    """What a column is called that names the rows, beside columns of these names."""
    return "row" if "row" not in names else "name of the row"


def by_place(width: int) -> tuple[str, ...]:
    """The names of columns in a file that has none."""
    return tuple(_BY_PLACE.format(place) for place in range(1, width + 1))


def are_by_place(names: Sequence[str]) -> bool:
    return bool(names) and tuple(names) == by_place(len(names))
