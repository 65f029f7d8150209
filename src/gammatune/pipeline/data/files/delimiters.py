"""What parts the columns of a text: the sign that parts the most lines into the same number of cells."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gammatune.errors import InvalidArgument
from gammatune.pipeline.data.files.grid import filled, kind_of

if TYPE_CHECKING:
    from _csv import Reader as _Reader

LONGEST_CELL = 2**31 - 1  # letters, as many as the reader can count
BLANKS = " "  # one or several, tabulators among them
_SIGNS = ",;\t|"
_LOOKED_AT = 100  # lines [guess]
_CALLED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "bar": "|"}
_CALLED |= dict.fromkeys(("space", "spaces", "blank", "blanks", "whitespace", "\\s+"), BLANKS)
_SAYS = re.compile(r'\s*"?sep=(.)"?[,;\t|]*\s*', re.I)
_WITH_COMMA = re.compile(r"[+-]?\d+(,\d+)?")
_GAP = re.compile(r'("(?:[^"]|"")*")|[ \t]+')


def wanted_delimiter(wanted: str) -> str:
    """Of `--delimiter`. Raises InvalidArgument where it is more than one sign."""
    found = _CALLED.get(wanted.strip().lower(), wanted) if wanted.strip() else wanted[:1]
    if len(found) != 1 or found in '"\r\n\0':
        raise InvalidArgument(
            f"--delimiter {wanted!r}: give one sign, or tab, or space for columns parted by any number of blanks"
        )
    return found


def said_by(line: str) -> str:
    """What a first line such as "sep=;" says; "" of any other."""
    found = _SAYS.fullmatch(line)
    return found[1] if found else ""


def find_delimiter(lines: Sequence[str]) -> str:
    """lines: the first of a file."""
    there = [line for line in lines if line.strip()][:_LOOKED_AT]
    if _is_one_column(there):
        return ";"
    marks = {sign: mark for sign in _SIGNS if (mark := _mark(there, sign)) is not None}
    best = max(marks, key=lambda sign: marks[sign], default=None)
    aligned = sum("  " in line.strip() for line in there) > len(there) / 2
    blanks = _mark(there, BLANKS) if best is None or aligned else None
    if blanks is not None and blanks[0] > (1.0 if best is None else marks[best][0]):
        return BLANKS
    if best is not None:
        return best
    ragged = max(_SIGNS, key=lambda sign: there[0].count(sign)) if there else ","
    if there and ragged in there[0]:
        return ragged
    return next((sign for sign in _SIGNS if not any(sign in line for line in there)), ",")  # one column


def _is_one_column(lines: Sequence[str]) -> bool:
    """Whether beneath one name stand numbers with a decimal comma, and nothing else."""
    numbers = [line.strip() for line in lines[1:]]
    return (
        any("," in number for number in numbers)
        and not any(sign in lines[0] for sign in _SIGNS)
        and kind_of(lines[0]) == "text"
        and all(map(_WITH_COMMA.fullmatch, numbers))
    )


def _mark(lines: Sequence[str], sign: str) -> tuple[float, int] | None:
    """How well it parts them: the share of lines of the commonest number of cells, and the share of these cells that
    are figures, together; and that number. None where it is one, or of few lines."""
    try:
        rows = list(parted(lines, sign))
    except csv.Error:
        return None
    counts = Counter(len(row) for row in rows)
    width = max(counts, key=lambda cells: (counts[cells], cells), default=1)
    if width < 2 or counts[width] < len(rows) / 2:
        return None
    cells = [row[place] for row in rows if len(row) == width for place in filled(row)]
    figures = sum(kind_of(cell) == "figure" for cell in cells) / max(1, len(cells))
    return round(counts[width] / len(rows) + figures, 2), width


def parted(lines: Iterable[str], sign: str) -> "_Reader":
    """The cells of each line, by Python's reader; a line of nothing has none. Raises csv.Error."""
    csv.field_size_limit(LONGEST_CELL)  # of the whole process, which has no other way: 128 KiB otherwise
    if sign == BLANKS:
        return csv.reader(map(_collapsed, lines), delimiter=BLANKS)
    return csv.reader(lines, delimiter=sign, skipinitialspace=True)


def _collapsed(line: str) -> str:
    return _GAP.sub(lambda gap: gap[1] or BLANKS, line.strip()) + "\n"


def lines_in(text: str) -> io.StringIO:
    """Its lines, whichever way they end."""
    return io.StringIO(text, newline="")
