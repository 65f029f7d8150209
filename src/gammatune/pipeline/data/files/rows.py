"""The rows of a text as a frame of text, by Arrow.

Arrow reads what is plain: as many cells in every row, nothing in front of quotes. Any other text is written anew from
its cells, as Python's csv reads them, which is slower and gives the same.
"""

import csv
import io
import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from gammatune.errors import InvalidData, require
from gammatune.pipeline.data.files.delimiters import BLANKS, lines_in
from gammatune.pipeline.data.files.missing import ERRORS, KNOWN, MISSING, said_of_errors
from gammatune.pipeline.data.files.text_body import Text

if TYPE_CHECKING:
    import pandas as pd

_EDGES = rb'"\s+"|"[ \t]|[ \t](["\r\n]|\Z|%s)'  # blanks in quotes, or around a cell
_BLOCK = 16 * 1024 * 1024  # bytes that are parsed at once


def read_rows(text: Text, missing: tuple[str, ...], said: list[str]) -> "pd.DataFrame":
    """Every cell as text, or missing. missing: what is so beside what is known. Raises InvalidData: a row of too
    many cells, quotes that are never closed."""
    table = _plain(text, missing)
    if table is None:
        table = _arrow(_anew(text, said) or b"\n", ",", len(text.names), missing)
    said += said_of_errors(text.body, text.separator, text.file)
    frame: pd.DataFrame = table.select(range(len(text.names))).combine_chunks().to_pandas()
    if re.search(
        _EDGES % re.escape(text.separator.encode()), text.body
    ):  # Arrow holds marks against whole cells
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
    if b'"' not in body and any(before + b" " in body for before in (b"\n", text.separator.encode())):
        body = re.sub(rb"(?m)(^|" + sign + rb") +", rb"\1", body)
    try:
        table = _arrow(body, text.separator, text.width, missing)
    except arrow.ArrowInvalid:  # rows of another number of cells
        return None
    if len(table) == 0:
        return None
    for column in table.columns:
        if compute.any(compute.starts_with(column, " ")).as_py():
            return None
    if min(column.null_count for column in table.columns):
        empty = None
        for column in table.columns:
            empty = column.is_null() if empty is None else compute.and_(empty, column.is_null())
        if compute.any(empty).as_py():  # rows of nothing, or of what is missing
            return None
    extra = table.columns[len(text.names) :]
    return None if any(column.null_count < len(table) for column in extra) else table


def _arrow(body: bytes, separator: str, width: int, missing: tuple[str, ...]) -> Any:
    arrow = require("pyarrow", "tables", "text is read by")
    csv = require("pyarrow.csv", "tables", "text is read by")
    names = [str(place) for place in range(width)]
    return csv.read_csv(
        arrow.BufferReader(body),
        read_options=csv.ReadOptions(column_names=names, block_size=max(1, min(_BLOCK, len(body)))),
        parse_options=csv.ParseOptions(delimiter=separator, newlines_in_values=b'"' in body),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, arrow.large_string()),
            null_values=[*KNOWN, *MISSING, *ERRORS, *missing],
            strings_can_be_null=True,
        ),
    )


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
