"""Rows that are the line of names again, as where files were put one behind the other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gammatune.pipeline.data.files.grid import text_of

if TYPE_CHECKING:
    import pandas as pd

_LEAST = 2  # columns with a name: a single word may be a value too


def without_names(
    frame: "pd.DataFrame", lines: Sequence[Sequence[str]], name: str, said: list[str]
) -> "tuple[pd.DataFrame, tuple[int, ...]]":
    """Without rows that say in every column what the first of the lines says, and those beneath that say what the
    others do; and which these were, from 0.

    frame: as the file has its cells. lines: of the names, and what explains them. name: of the file. A row of boxes
    that are all ticked with their own names is kept: there the columns hold nothing else."""
    places = (
        [place for first in _equal(frame, lines[0]) for place in _block(frame, lines, first)] if lines else []
    )
    if not places:
        return frame, ()
    rest = frame.drop(index=frame.index[places])
    if not any(_has_others(rest.iloc[:, column], text) for column, text in _named(frame, lines[0])):
        return frame, ()
    what = f"{len(places)} rows of {name} are" if len(places) > 1 else f"A row of {name} is"
    first = f"the first is row {places[0] + 1}" if len(places) > 1 else f"row {places[0] + 1}"
    said.append(
        f"{what} the line of names again ({first}), as where files are put one behind the other: left out; "
        "--header 0 takes every line as a row."
    )
    return rest.reset_index(drop=True), tuple(places)


def _named(frame: "pd.DataFrame", line: Sequence[str]) -> list[tuple[int, str]]:
    return [(column, text) for column, text in enumerate(line[: frame.shape[1]]) if text]


def _equal(frame: "pd.DataFrame", line: Sequence[str]) -> list[int]:
    named = _named(frame, line)
    if len(named) < _LEAST:
        return []
    column, text = named[0]
    found = np.flatnonzero((frame.iloc[:, column] == text).fillna(False).to_numpy(dtype=bool)).tolist()
    return [row for row in found if all(text_of(frame.iat[row, at]) == text for at, text in named)]


def _block(frame: "pd.DataFrame", lines: Sequence[Sequence[str]], first: int) -> list[int]:
    """The rows from `first` on that are the lines, one after the other."""
    found = [first]
    for row, line in enumerate(lines[1:], start=first + 1):
        if row == len(frame) or [text_of(cell) for cell in frame.iloc[row, : len(line)]] != list(line):
            break
        found.append(row)
    return found


def _has_others(values: "pd.Series[object]", text: str) -> bool:
    return bool((values.dropna() != text).any())
