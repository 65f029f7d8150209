"""The first and the last lines of a text, in cells, with where in it each of them begins."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

from gammatune.pipeline.data.files.delimiters import lines_in, parted
from gammatune.pipeline.data.files.grid import usual_extent

HEAD = 64 * 1024  # bytes looked at to tell the dialect and the names, or more where they hold few lines
TAIL = 32 * 1024  # bytes looked at for what stands at the end
_LEAST = 50  # lines
_LONGEST = 4 * 1024 * 1024  # bytes of a line [guess]


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """rows: by cell; quotes may hold several lines, which are one row. lines: on which each begins, from 0 at the
    first of them. starts: bytes from the beginning of the text. Of both there is one more than rows."""

    rows: list[list[str]]
    lines: list[int]
    starts: list[int]

    def row(self, line: int) -> int:
        """Which row, from 1, holds that line, from 1; as it is where none does."""
        return bisect_right(self.lines, line - 1) if 0 < line <= self.lines[-1] + 1 else line


def ends_of(body: bytes, separator: str, more: int) -> tuple[Lines, Lines]:
    """The first lines and the last, the same where they are all. more: how many are to be looked at at the end.

    Raises csv.Error."""
    if len(body) <= HEAD + TAIL:
        every = _lines(body, separator, 0)
        return every, every
    end = 0
    for _ in range(_LEAST):
        end = _end_of_line(body, end)
    head = _lines(body[: max(end, _end_of_line(body, HEAD))], separator, 0)
    begin = _end_of_line(body, len(body) - TAIL - 1000 * more)  # letters of a line, at most [guess]
    tail = _lines(body[begin:], separator, begin)
    if usual_extent(tail.rows) != usual_extent(head.rows):  # begun within quotes
        tail = Lines([], [0], [len(body)])
    return head, tail


def _lines(part: bytes, separator: str, begin: int) -> Lines:
    texts = list(lines_in(part.decode("utf-8", "replace")))
    sizes = list(accumulate((len(text.encode()) for text in texts), initial=begin))
    reader = parted(texts, separator)
    rows, lines = [], [0]
    for row in reader:
        rows.append(row)
        lines.append(reader.line_num)
    return Lines(rows, lines, [sizes[line] for line in lines])


def _end_of_line(body: bytes, place: int) -> int:
    """Where the first line begins behind that place; the end of the body where none does."""
    for sign in (b"\n", b"\r"):
        if (found := body.find(sign, max(0, place), place + _LONGEST)) >= 0:
            return found + 1
    return len(body)
