"""Rows at the end of a table that sum up those above: total, average.

A row is one where its first cell says so (Total, Mittelwert), as no other does, and

    a number of it is the sum or the mean of its column, or
    nothing else is filled, or the cell stands in a column of numbers, or
    columns of text are blank in it, or the cell stands in a column whose values are all different; these two not
    with words that may be names (Max).

Those beneath one such row are left out with it.
"""

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from gammatune.pipeline.data.cells.sample import some
from gammatune.pipeline.data.files.grid import kind_of, text_of

if TYPE_CHECKING:
    import pandas as pd

_AT_MOST = 5  # such rows [guess]
_FEWEST = 5  # rows above: of fewer many a number is the mean [guess]
_WORDS = 4  # that one begins with: "Total of all countries" [guess]
_SURE = (
    r"(grand |sub ?)?totals?|average|overall|gesamt|gesamtsumme|insgesamt|zusammen|summe|mittelwert|durchschnitt"
    r"|moyenne|promedio|totale|totaal|gemiddelde|итого|всего|合計|总计"
)
_OTHERS = r"sum|avg|mean|median|minimum|maximum|min|max|std|sd|mittel|somme|ensemble|suma|media|somma|średnia"
_TOTAL = re.compile(rf"\W*({_SURE}|{_OTHERS})(?!\w)", re.I)
_SURELY = re.compile(rf"\W*({_SURE})(?!\w)", re.I)  # the others may be names: Max


def without_totals(frame: "pd.DataFrame", name: str, said: list[str]) -> "pd.DataFrame":
    """name: of the file."""
    rows = len(frame)
    first = rows
    while first > 1 and rows - first < _AT_MOST and _says_so(frame.iloc[first - 1].tolist()):
        first -= 1
    above = frame.iloc[:first]
    while first < rows and not _sums_up(frame.iloc[first].tolist(), above):
        first += 1
        above = frame.iloc[:first]
    if first == rows:
        return frame
    labels = [text_of(next(filter(text_of, frame.iloc[row].tolist()))) for row in range(first, rows)]
    what = "row sums" if rows - first == 1 else f"{rows - first} rows sum"
    said.append(
        f"The last {what} up those above ({', '.join(map(repr, labels))}) and "
        f"{'is' if rows - first == 1 else 'are'} left out of {name}; --skip-last 0 keeps what stands at the end."
    )
    return frame.iloc[:first]


def _says_so(row: list[Any]) -> bool:
    label = next((text for cell in row if (text := text_of(cell))), "")
    return len(label.split()) <= _WORDS and _TOTAL.match(label) is not None


def _sums_up(row: list[Any], above: "pd.DataFrame") -> bool:
    place = next(place for place, cell in enumerate(row) if text_of(cell))
    labels = above.iloc[:, place].dropna()
    if (labels.map(text_of) == text_of(row[place])).any():
        return False  # a value like others
    others = [(cell, above.iloc[:, i].dropna()) for i, cell in enumerate(row) if i != place]
    if not any(text_of(cell) for cell, _ in others):
        return len(row) > 1
    words = [
        text_of(cell) for cell, values in others if len(values) > len(above) / 2 and _kind(values) == "text"
    ]
    is_sure = _SURELY.match(text_of(row[place])) is not None
    if is_sure and ((words and not any(words)) or labels.nunique() == len(labels) > 1):
        return True
    if _kind(labels) == "figure":
        return True
    return any(_is_sum(text_of(cell), values) for cell, values in others if kind_of(cell) == "figure")


def _kind(values: "pd.Series[Any]") -> str:
    kinds = [kind_of(value) for value in some(values, 100).tolist()]
    return "figure" if kinds.count("figure") >= kinds.count("text") else "text"


def _is_sum(text: str, values: "pd.Series[Any]") -> bool:
    """Whether it is the sum or the mean of them, be decimals parted by a point or by a comma."""
    for decimal, other in ((".", ","), (",", ".")):
        numbers = np.array([_number(text_of(value), decimal, other) for value in values.tolist()])
        total = _number(text, decimal, other)
        if np.isnan(numbers).all() or np.isnan(total):
            continue
        digits = len(text.rpartition(decimal)[2]) if decimal in text else 0
        near = 0.51 * 10.0**-digits  # rounded
        if abs(np.nansum(numbers) - total) <= max(near, 1e-9 * abs(total)):
            return True
        if len(numbers) >= _FEWEST and abs(np.nanmean(numbers) - total) <= near:
            return True
    return False


def _number(text: str, decimal: str, other: str) -> float:
    try:
        return float(re.sub(r"[\s']", "", text.replace(other, "")).replace(decimal, "."))
    except ValueError:
        return np.nan
