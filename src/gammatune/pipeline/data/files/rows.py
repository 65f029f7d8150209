"""The rows of a text as a frame of text, by Arrow.

Arrow reads what is plain: as many cells in every row, nothing in front of quotes. Any other text is written anew from
its cells, as Python's csv reads them, which is slower and gives the same.
"""

import csv
import io
import re
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from gammatune.errors import InvalidData, require
from gammatune.pipeline.data.files.delimiters import BLANKS, lines_in
from gammatune.pipeline.data.files.missing import ERRORS, KNOWN, MISSING, said_of_errors
from gammatune.pipeline.data.files.text_body import Text

if TYPE_CHECKING:
    import pandas as pd

_BLOCK = 1 << 20  # bytes that are parsed at once; sixteen times as many take twice as long, beyond the caches
_LONGEST = 16 << 20  # bytes of a row
_PIECE = 1 << 18  # bytes that are looked at at once, within the caches


def read_rows(text: Text, missing: tuple[str, ...], said: list[str]) -> "pd.DataFrame":
    """Every cell as text, or missing. missing: what is so beside what is known. Raises InvalidData: a row of too
    many cells, quotes that are never closed."""
    table = _plain(text, missing)
    if table is None:
        table = _arrow(_anew(text, said) or b"\n", ",", len(text.names), missing)
    said += said_of_errors(text.body, text.separator, text.file)
    frame: pd.DataFrame = table.select(range(len(text.names))).to_pandas()
    if b'"' in text.body or _has_blanks(text.body, text.separator, behind=True):
        # Arrow holds marks against whole cells
        marks = [*KNOWN, *MISSING, *ERRORS, *missing]
        frame = frame.apply(lambda column: column.mask(column.str.strip().isin(marks)))
    return frame.set_axis(list(text.names), axis=1)


def _plain(text: Text, missing: tuple[str, ...]) -> Any:
    """As Arrow reads it; None where it may read it otherwise than people do."""
    arrow = require("pyarrow", "tables", "text is read by")
    compute = require("pyarrow.compute", "tables", "text is read by")
    if text.separator == BLANKS or text.body.count(b'"') % 2:
        return None
    body, sign = text.body, re.escape(text.separator.encode())
    is_indented = _has_blanks(body, text.separator, behind=False)
    if is_indented and b'"' not in body:
        body = re.sub(rb"(?m)(^|" + sign + rb") +", rb"\1", body)
    try:
        table = _arrow(body, text.separator, text.width, missing)
    except arrow.ArrowInvalid:  # rows of another number of cells
        return None
    if len(table) == 0:
        return None
    if is_indented and any(compute.any(compute.starts_with(each, " ")).as_py() for each in table.columns):
        return None
    if min(column.null_count for column in table.columns):
        empty = None
        for column in table.columns:
            empty = column.is_null() if empty is None else compute.and_(empty, column.is_null())
        if compute.any(empty).as_py():  # rows of nothing, or of what is missing
            return None
    extra = table.columns[len(text.names) :]
    return None if any(column.null_count < len(table) for column in extra) else table


def _has_blanks(body: bytes, separator: str, *, behind: bool) -> bool:
    """Whether a blank stands behind what a cell may hold, or in front of it: at once, where a pattern would look at
    one letter after the other."""
    is_edge = np.zeros(256, dtype=bool)
    is_edge[[*b'"\r\n', *separator.encode()]] = True
    letters = np.frombuffer(body, dtype=np.uint8)
    for start in range(0, len(letters), _PIECE):
        piece = letters[start : start + _PIECE]
        is_blank = piece == ord(" ")
        if behind and separator != "\t":
            is_blank |= piece == ord("\t")
        places = start + np.flatnonzero(is_blank)
        beside = places + 1 if behind else places - 1
        within = (beside >= 0) & (beside < len(letters))
        if not within.all() or is_edge[letters[beside]].any():
            return True
    return False


def _arrow(body: bytes, separator: str, width: int, missing: tuple[str, ...], block: int = _BLOCK) -> Any:
    """block: bytes that are parsed at once. Raises ArrowInvalid: rows of another number of cells."""
    arrow = require("pyarrow", "tables", "text is read by")
    csv = require("pyarrow.csv", "tables", "text is read by")
    names = [str(place) for place in range(width)]
    try:
        return csv.read_csv(
            arrow.BufferReader(body),
            read_options=csv.ReadOptions(column_names=names, block_size=max(1, min(block, len(body)))),
            parse_options=csv.ParseOptions(delimiter=separator, newlines_in_values=b'"' in body),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, arrow.large_string()),
                null_values=[*KNOWN, *MISSING, *ERRORS, *missing],
                strings_can_be_null=True,
                check_utf8=False,  # it has been decoded
            ),
            memory_pool=arrow.system_memory_pool(),  # Arrow's own clears more than is used: half as long again
        )
    except arrow.ArrowInvalid:
        if block >= min(len(body), _LONGEST):
            raise
    return _arrow(body, separator, width, missing, _LONGEST)  # in which a row has room


def _anew(text: Text, said: list[str]) -> bytes:
    """The rows with commas between, quotes where they are needed, and as many cells in each."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    short = []
    line = text.line
    for line, row in text.lines():
        writer.writerow(text.fitted(line, row))
        if len(row) < len(text.names):
            short.append(line)
    last = islice(lines_in(text.body.decode()), line - text.line, None)
    if text.body.count(b'"') % 2 and sum(part.count('"') for part in last) % 2:
        raise InvalidData(
            f"{text.path}, line {line}: a quote is opened here and never closed; close it, take the line out, or "
            "leave it out with --skip-last where it is the last"
        )
    if short:
        what = f"{len(short)} rows" if len(short) > 1 else "a row"
        said.append(
            f"{text.file} has {what} of fewer cells than there are columns, the first in line {short[0]}: the "
            "others count as missing."
        )
    return out.getvalue().encode()
