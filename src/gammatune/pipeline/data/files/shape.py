"""The shape of a table: which lines of a file are names, which are rows, and which are neither.

    titles      above the names, filling less than half of the table
    names       one line, two that are joined, or none (`gammatune.pipeline.data.files.header`)
    notes       at the end: "Source: ...", "* preliminary"
    totals      at the end (`gammatune.pipeline.data.files.totals`)

It is told from a grid of cells, of text or as a spreadsheet holds them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gammatune.errors import InvalidArgument
from gammatune.pipeline.data.files.dialect import HowToRead
from gammatune.pipeline.data.files.grid import (
    LOOKED_AT,
    Row,
    columns_of,
    extent,
    filled,
    text_of,
    usual_extent,
)
from gammatune.pipeline.data.files.header import Header, find_header, header_at, is_line
from gammatune.pipeline.data.files.learned import Layout
from gammatune.pipeline.data.files.missing import ERRORS
from gammatune.pipeline.data.files.names import by_place, in_full, twice
from gammatune.pipeline.data.files.repeats import without_names
from gammatune.pipeline.data.files.totals import without_totals

if TYPE_CHECKING:
    import pandas as pd

ENDS = 20  # lines at the end that may be no rows [guess]
_SHOWN = 40  # letters of a line that is left out
_LONG = 25  # letters from which a text at the end is a sentence [guess]
_NOTE = re.compile(
    r"\s*([*†‡§©¹²³]|\d\)|\(\d\)|(source|sources|note|notes|footnote|legend|quelle|quellen|anmerkung|anmerkungen|hinweis"
    r"|fußnote|stand|legende|fuente|nota|notas|fonte|bron|généré|exported|generated|created|downloaded|copyright)\b(?=\W*\w))",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Shape:
    """Lines of a grid, from 0.

    above: what the filled ones above the names hold. header: which are names, and which explain them; lines: what
    these hold, by cell. notes: what lines at the end hold that are no rows. last: how many lines there are from the
    first of these on. written: the names of the columns as the file has them, "" where it has none; names: so that
    each has one of its own.
    """

    above: tuple[str, ...]
    header: Header
    lines: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    last: int
    written: tuple[str, ...]
    names: tuple[str, ...]

    def layout(self, separator: str = "", encoding: str = "") -> Layout:
        return Layout(self.lines, len(self.header.names), self.notes, separator, encoding)

    def said(self, name: str, lines: Sequence[int] | None = None) -> list[str]:
        """What was done, in sentences. name: of the file. lines: that those of the grid are in it, from 0."""
        places = range(self.header.first + 1) if lines is None else lines
        said = [*self._titles(name, places), *self._names(name, places)]
        if again := twice(filter(None, self.written)):
            here = [repr(new) for old, new in zip(self.written, self.names, strict=True) if old == again[0]]
            said.append(
                f"{len(here)} columns of {name} are called {again[0]!r}; they are {', '.join(here)} here."
            )
        if self.notes:
            said.append(
                f"The last lines of {name} are no rows and are left out ({_shown(self.notes)}); --skip-last 0 "
                "keeps them."
            )
        return said

    def _titles(self, name: str, lines: Sequence[int]) -> list[str]:
        if not self.above:
            return []
        what = f"The first lines of {name} are titles, and are"
        if self.header.names:
            line = _numbers(self.header.names, lines)
            lines_of = "lines" if len(self.header.names) > 1 else "line"
            what = f"The names of the columns stand in {lines_of} {line} of {name}; what is above them is"
        return [f"{what} left out ({_shown(self.above)})."]

    def _names(self, name: str, lines: Sequence[int]) -> list[str]:
        header, said = self.header, []
        if not header.names and self.names:
            called = self.names[0] + (f" to {self.names[-1]}" if len(self.names) > 1 else "")
            said.append(
                f"{name} has no line of names, so its columns are called {called}; --header 1 says that the first "
                "line is one."
            )
        elif len(header.names) > 1:
            said.append(
                f"The names of {name} stand in lines {_numbers(header.names, lines)}, which are joined "
                f"({_shown(self.written)}); --header {lines[header.names[-1]] + 1} takes one of them."
            )
        if header.explain:
            where, many = _numbers(header.explain, lines), len(header.explain) > 1
            what = f"Lines {where} of {name} explain" if many else f"Line {where} of {name} explains"
            said.append(f"{what} the names, and {'are no rows' if many else 'is no row'}.")
        return said


def find_shape(
    head: Sequence[Row],
    tail: Sequence[Row],
    how: HowToRead,
    layout: Layout | None = None,
    bound: Sequence[tuple[int, int]] = (),
) -> Shape:
    """head, tail: the first and the last lines, blank ones among them as empty rows; the same where they are all.

    how: its header counts lines of `head`. layout: of the file trained on. bound: as in `find_header`. Raises
    InvalidArgument: a header beyond them."""
    if how.header is not None and not 0 <= how.header <= len(head):
        raise InvalidArgument(
            f"--header {how.header}: there are {len(head)} lines to look at; name one of them, or 0 for no line"
        )
    header = find_header(head, layout, bound) if how.header is None else header_at(head, how.header)
    rows = [row for row in head[header.first :] if filled(row)][:LOOKED_AT]
    last = (
        _notes(tail, rows, () if layout is None else layout.notes)
        if how.skip_last is None
        else _asked(tail, how.skip_last)
    )
    lines = [head[line] for line in header.names]
    written = _joined(lines) if lines else by_place(_width(rows))
    skipped = [*header.names, *header.explain]
    above = [
        _text(row) for line, row in enumerate(head[: header.first]) if line not in skipped and filled(row)
    ]
    notes = [_text(row) for row in tail[len(tail) - last :] if filled(row)]
    held = tuple(tuple(map(text_of, head[line])) for line in skipped)
    return Shape(tuple(above), header, held, tuple(notes), last, written, in_full(written))


def shaped(
    rows: Sequence[Row],
    how: HowToRead,
    said: list[str],
    name: str,
    layout: Layout | None = None,
    bound: Sequence[tuple[int, int]] = (),
) -> "tuple[pd.DataFrame, Layout]":
    """The table in a grid that holds all of it, values as they are there; blank rows and columns are none; and how it
    is laid out.

    name: of the file. layout: of the one trained on. bound: as in `find_header`. Raises InvalidArgument as
    `find_shape` does."""
    import pandas as pd

    first, width = _edges(rows)
    grid = [[*row[first:width], *[None] * (width - max(first, len(row)))] for row in rows]
    shape = find_shape(grid, grid, how, layout, bound)
    said += shape.said(name)
    body = grid[shape.header.first : len(grid) - shape.last]
    cells = [
        [None if text_of(cell) in ("", *ERRORS) else cell for cell in row] for row in body if filled(row)
    ]
    names = [*shape.names, *in_full([*shape.names, *[""] * width])[len(shape.names) :]][: width - first]
    frame = pd.DataFrame(cells, columns=names, dtype=object)
    empty = [
        place for place, name in enumerate(shape.written) if not name and frame.iloc[:, place].isna().all()
    ]
    frame, _ = without_names(frame, shape.lines, name, said)
    frame = frame.drop(columns=[names[place] for place in empty])
    if how.skip_last is None:
        frame = without_totals(frame, name, said)
    return frame.infer_objects(), shape.layout()


def _edges(rows: Sequence[Row]) -> tuple[int, int]:
    """The first column that is filled anywhere, and how many there are up to the last."""
    places = [filled(row) for row in rows]
    return min((there[0] for there in places if there), default=0), max(map(extent, rows), default=0)


def _width(rows: Sequence[Row]) -> int:
    """The commonest number of cells, without those that are blank in all rows."""
    usual = sorted(map(len, rows))[(len(rows) - 1) // 2] if rows else 0
    return max((extent(row) for row in rows if len(row) <= usual), default=0)


def _joined(lines: Sequence[Row]) -> tuple[str, ...]:
    """The names that stand in one line, or in several: what is above several columns counts for each of them."""
    width = max(map(len, lines))
    parts: list[list[str]] = [[] for _ in range(width)]
    for number, line in enumerate(lines):
        texts = [text_of(cell) for cell in line] + [""] * (width - len(line))
        under = [text_of(cell) for cell in lines[-1]] + [""] * width
        above = ""
        for place, text in enumerate(texts):
            above = text or above
            part = above if number < len(lines) - 1 and under[place] else text
            if part and part not in parts[place]:
                parts[place].append(part)
    return (
        tuple(" ".join(" ".join(each).split()) for each in parts)
        if len(lines) > 1
        else tuple(" ".join(each) for each in parts)
    )


def _asked(tail: Sequence[Row], count: int) -> int:
    """How many lines of the tail there are from the last `count` filled ones on."""
    places = [line for line, row in enumerate(tail) if filled(row)]
    return len(tail) - places[max(0, len(places) - count)] if count and places else 0


def _notes(tail: Sequence[Row], rows: Sequence[Row], known: Sequence[str]) -> int:
    """How many lines of the tail there are from the first note at its end on. known: notes of the file trained on."""
    width = usual_extent(rows)
    columns = columns_of(rows, width)
    like = [row for row in (*rows, *tail) if is_line(row, width)]
    longest = max((len(text_of(cell)) for row in like for cell in row), default=0)
    last, line = 0, len(tail)
    while line and last < ENDS:
        line -= 1
        row = tail[line]
        cells = filled(row)
        if not cells:
            continue
        after_blank = line > 0 and not filled(tail[line - 1])
        if _text(row) not in known and not _is_note(row, width, columns, longest, after_blank):
            break
        last = len(tail) - line
    return last


def _is_note(row: Row, width: int, columns: Sequence[str], longest: int, after_blank: bool) -> bool:
    place = filled(row)[0]
    cell = text_of(row[place])
    if width < 2 or (cell[:1].isdecimal() and not _NOTE.match(cell)):
        return False
    marked = _NOTE.match(cell) is not None
    if is_line(row, width) and len(row) == width and not (marked and after_blank):
        return False  # a row like the others
    over_figures = place < len(columns) and columns[place] == "figure"
    is_short = len(row) < width
    # of two cells one may be missing
    is_sentence = len(cell) > max(_LONG, longest) and (is_short or width > 2)
    alone = len(filled(row)) == 1
    torn = is_short and width > 2
    return marked or (alone and (after_blank or over_figures or is_sentence or torn))


def _numbers(places: Sequence[int], lines: Sequence[int]) -> str:
    return ", ".join(str(lines[place] + 1) for place in places)


def _text(row: Row) -> str:
    return " ".join(text_of(row[place]) for place in filled(row))


def _shown(texts: Sequence[str]) -> str:
    cut = [text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..." for text in texts if text]
    return ", ".join(map(repr, cut[:3])) + (", ..." if len(cut) > 3 else "")
