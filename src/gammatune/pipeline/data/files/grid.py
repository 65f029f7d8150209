"""What is seen at a glance of a grid of cells: what is blank, what is a figure, and what stands in its columns."""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from gammatune.pipeline.data.cells.spelling import written
from gammatune.pipeline.data.files.missing import KNOWN, MISSING

Row: TypeAlias = Sequence[Any]  # text, numbers, dates, None: what the file holds
Kind: TypeAlias = Literal["", "figure", "text"]

LOOKED_AT = 100  # rows beneath a line, to tell whether it holds names [guess]
MOSTLY = 0.8  # of the cells of a column that make it one of figures [guess]
_UNIT = 4  # letters that a figure may hold: EUR, kg, the T and Z of a time [guess]
_BEFORE = " \t\u00a0+-\u2212(<>=~$€£¥'\""


def text_of(cell: Any) -> str:
    """Without blanks around it; of nothing "". 3.0 is '3'."""
    if cell is None or (isinstance(cell, float) and cell != cell):
        return ""
    return cell.strip() if isinstance(cell, str) else written(cell)


def kind_of(cell: Any) -> Kind:
    """ "" of what is missing; a figure is a number or a date, in whatever form."""
    if not isinstance(cell, str):
        return "figure" if text_of(cell) else ""
    return _kind(cell.strip())


@lru_cache(maxsize=1 << 15)  # every line is asked more than once
def _kind(text: str) -> Kind:
    if text in KNOWN or text in MISSING:
        return ""
    bare = text.lstrip(_BEFORE)
    begins = bare[:1].isdecimal() or (bare[:1] in (".", ",") and bare[1:2].isdecimal())
    # what parts columns, if they are parted by another sign
    of_one = not any(sign in bare for sign in ";|\t")
    return "figure" if begins and of_one and sum(map(str.isalpha, bare)) <= _UNIT else "text"


def filled(row: Row) -> list[int]:
    """The places of the cells that are not blank."""
    return [place for place, cell in enumerate(row) if (cell.strip() if type(cell) is str else text_of(cell))]


def extent(row: Row) -> int:
    """How many cells there are up to the last that is filled."""
    return next((place for place in range(len(row), 0, -1) if text_of(row[place - 1])), 0)


def usual_extent(rows: Sequence[Row]) -> int:
    """The commonest `extent`, of those the largest; 0 of nothing."""
    counts = Counter(width for row in rows if (width := extent(row)))
    return max(counts, key=lambda width: (counts[width], width), default=0)


def columns_of(rows: Sequence[Row], width: int) -> list[Kind]:
    """What stands in each column: figures, or text; "" where nothing does, or both."""
    found: list[Kind] = []
    for place in range(width):
        kinds = [kind_of(row[place]) for row in rows if place < len(row)]
        figures, there = kinds.count("figure"), len(kinds) - kinds.count("")
        share = figures / there if there else 0.5
        found.append("figure" if share >= MOSTLY else "text" if share <= 1 - MOSTLY else "")
    return found
