"""What of a text is a table: its rows, found by what stands around them; and its names.

Files differ in their encoding (`encodings`), in what parts the columns (`delimiters`) and in which lines are rows
(`shape`). What was found to be unusual is said.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from gammatune.errors import InvalidData, first_line
from gammatune.pipeline.data.files import delimiters
from gammatune.pipeline.data.files.dialect import HowToRead
from gammatune.pipeline.data.files.encodings import decoded, read_encoding
from gammatune.pipeline.data.files.grid import filled
from gammatune.pipeline.data.files.learned import Layout
from gammatune.pipeline.data.files.lines import HEAD, Lines, ends_of
from gammatune.pipeline.data.files.names import name_of_rows
from gammatune.pipeline.data.files.opening import TableFile
from gammatune.pipeline.data.files.shape import Shape, find_shape

_LOOKED_AT = 200  # lines, to tell what parts the columns [guess]


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A table in text, as it stands in its file.

    path, file: where it is, and its name unpacked. content: in UTF-8, of which the bytes from `start` up to `end` are
    its rows: of hundreds of millions no copy is made. line: on which the first of them
    begins, from 1. separator, encoding: of the file. names: of the columns; written: as the file has them. width:
    cells of a row: more than there are names where rows end in separators. layout: of its lines.
    """

    path: Path
    file: str
    content: bytes
    start: int
    end: int
    line: int
    separator: str
    encoding: str
    names: tuple[str, ...]
    written: tuple[str, ...]
    width: int
    layout: Layout

    @property
    def body(self) -> bytes:
        """Its rows alone."""
        return self.content[self.start : self.end]

    @property
    def view(self) -> memoryview:
        return memoryview(self.content)[self.start : self.end]

    def has(self, sign: bytes) -> bool:
        return self.content.find(sign, self.start, self.end) >= 0

    def count(self, sign: bytes) -> int:
        return self.content.count(sign, self.start, self.end) if self.has(sign) else 0

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """The rows as the file has them, with the line on which each begins; those of nothing are none."""
        reader = delimiters.parted(delimiters.lines_in(self.body.decode()), self.separator)
        line = 0
        try:
            for row in reader:
                if filled(row):
                    yield self.line + line, row
                line = reader.line_num
        except csv.Error as error:
            raise InvalidData(
                f"{self.path}, line {self.line + line}: {first_line(error)}; close the quotes, or save it as CSV anew"
            ) from error

    def rows(self) -> Iterator[list[str]]:
        """The rows as the file has them, a cell for each name. Raises InvalidData at one of too many cells."""
        return (self.fitted(line, row) for line, row in self.lines())

    def fitted(self, line: int, row: list[str]) -> list[str]:
        count = len(self.names)
        if len(row) > count and filled(row[count:]):
            raise InvalidData(
                f"{self.path}, line {line}: there are {len(row)} cells ({' | '.join(row)[:60]}), and {count} "
                f"columns; put quotes around a cell that holds {self.separator!r}, take the line out, or leave "
                "lines at the end out with --skip-last"
            )
        return [*row[:count], *[""] * (count - len(row))]


def open_text(file: TableFile, how: HowToRead, said: list[str], layout: Layout | None = None) -> Text:
    """What is a table in a text. layout: of the file trained on.

    Raises InvalidData, InvalidArgument, MissingExtra."""
    path = file.path
    encoding, body = _in_utf_8(file, how.encoding, "" if layout is None else layout.encoding, said)
    first = next(delimiters.lines_in(body[:HEAD].decode("utf-8", "ignore")), "")
    says = delimiters.said_by(first)
    above = 1 if says else 0  # lines
    body = body[len(first.encode()) * above :]
    lines = list(islice(delimiters.lines_in(body[:HEAD].decode("utf-8", "ignore")), _LOOKED_AT))
    separator = (
        says or _known(lines, layout) or delimiters.find_delimiter(lines)
        if how.delimiter is None
        else delimiters.wanted_delimiter(how.delimiter)
    )
    try:
        head, tail = ends_of(body, separator, how.skip_last or 0)
    except csv.Error as error:
        raise InvalidData(
            f"{path} cannot be read as a table ({first_line(error)}); save it as CSV anew, or name what parts its "
            "columns with --delimiter"
        ) from error
    header = None if how.header is None else head.row(max(how.header - above, min(how.header, 1)))
    shape = find_shape(head.rows, tail.rows, replace(how, header=header), layout)
    said += shape.said(file.name, [line + above for line in head.lines])
    found = shape.layout(separator, encoding)
    text = Text(
        path,
        file.name,
        body,
        0,
        len(body),
        above + 1,
        separator,
        encoding,
        shape.names,
        shape.written,
        0,
        found,
    )
    return _cut(text, shape, head, tail, said)


def _known(lines: Sequence[str], layout: Layout | None) -> str:
    """What parted the columns of the file trained on, where it parts the same names here; else ""."""
    if layout is None or not layout.separator:
        return ""
    try:
        rows = [row for row in delimiters.parted(lines, layout.separator) if filled(row)]
    except csv.Error:
        return ""
    return layout.separator if layout.again(rows) is not None else ""


def _cut(text: Text, shape: Shape, head: Lines, tail: Lines, said: list[str]) -> Text:
    """With the rows alone."""
    first = shape.header.first
    last = len(head.rows) - (shape.last if head is tail else 0)
    rows = [(text.line + head.lines[n], head.rows[n]) for n in range(first, last) if filled(head.rows[n])]
    end = tail.starts[len(tail.rows) - shape.last]
    names, written, width = text.names, text.written, len(text.names)
    match _more(text, rows, said):
        case "row names":
            row = name_of_rows(names)
            names, written, width = (row, *names), (row, *written), width + 1
        case "separator":
            width = len(rows[0][1])
    start, line = head.starts[first], text.line + head.lines[first]
    return replace(text, start=start, end=end, line=line, names=names, written=written, width=width)


def _more(
    text: Text, rows: Sequence[tuple[int, list[str]]], said: list[str]
) -> Literal["", "separator", "row names"]:
    """What a row holds beyond the names, as most rows do. rows: the first, with the line of each."""
    count, counts = len(text.names), sorted(len(row) for _, row in rows)
    more = counts[(len(counts) - 1) // 2] - count if counts else 0
    if more <= 0:
        return ""
    if sum(not filled(row[count:]) for _, row in rows) > len(rows) / 2:
        said.append(f"The rows of {text.file} end in a separator, which its line of names does not.")
        return "separator"
    if more > 1:
        line, row = next((line, row) for line, row in rows if len(row) > count)
        raise InvalidData(
            f"{text.path}, line {line}: there are {len(row)} cells ({' | '.join(row)[:60]}), and {count} names "
            f"({', '.join(text.names)[:60]}); name every column, or say which line holds the names with --header"
        )
    said.append(
        f"The rows of {text.file} have one field more than its line of names: the first names the row."
    )
    return "row names"  # as R writes them


def _in_utf_8(file: TableFile, wanted: str | None, likely: str, said: list[str]) -> tuple[str, bytes]:
    """The encoding, and the text in UTF-8, without a mark. likely: that of the file trained on."""
    content = file.content()
    encoding = read_encoding(content, wanted, file.name, said, likely)
    body = content if encoding == "utf-8" else decoded(content, encoding).encode()
    if encoding == "utf-8" and said and "\ufffd" in said[-1]:
        body = decoded(content, encoding).encode()
    if (place := body.find(b"\0")) >= 0:
        line = body.count(b"\n", 0, place) + 1
        raise InvalidData(
            f"{file.path} is no text: a byte of zero stands in line {line}; save the table as CSV (spreadsheets "
            "offer it under 'save as'), or name its encoding with --encoding"
        )
    return encoding, body
