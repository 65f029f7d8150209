"""The rows of a text as a frame of text, by Arrow.

Arrow reads what is plain: as many cells in every row, nothing in front of quotes. Any other text is written anew from
its cells, as Python's csv reads them, which is slower and gives the same.
"""

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from gammatune.errors import InvalidData, require
from gammatune.pipeline.data.cells.plain_numbers import numbers_of
from gammatune.pipeline.data.files.delimiters import BLANKS, lines_in
from gammatune.pipeline.data.files.missing import ERRORS, KNOWN, MISSING, said_of_errors
from gammatune.pipeline.data.files.text_body import Text

if TYPE_CHECKING:
    import pandas as pd

_BLOCK = 1 << 20  # bytes that are parsed at once; sixteen times as many take twice as long, beyond the caches
_LONGEST = 16 << 20  # bytes of a row


def read_rows(
    text: Text, missing: tuple[str, ...], said: list[str]
) -> "tuple[pd.DataFrame, dict[str, pd.Series[Any]]]":
    """Every cell as text, or missing; and columns that were seen to be numbers, by name, as `plain_numbers` has them.

    missing: what is so beside what is known. Raises InvalidData: a row of too many cells, quotes that are never
    closed."""
    import pandas as pd

    found = _plain(text, missing)
    if found is None:
        found = _Columns.of(_arrow(_anew(text, said) or b"\n", ",", len(text.names)), missing)
    if text.has(b"#"):
        said += said_of_errors(text.body, text.separator, text.file)
    arrow = require("pyarrow", "tables", "text is read by")
    held = arrow.table(found.texts[: len(text.names)], list(map(str, range(len(text.names)))))
    frame: pd.DataFrame = held.to_pandas()
    numbers = {text.names[place]: each for place, each in found.numbers.items() if place < len(text.names)}
    if text.has(b'"') or found.begin_or_end(" ", "\t"):
        others = [place for place, name in zip(frame.columns, text.names, strict=True) if name not in numbers]
        marks = [*KNOWN, *MISSING, *ERRORS, *missing]  # Arrow holds them against whole cells
        for place in others:
            frame[place] = frame[place].mask(frame[place].str.strip().isin(marks))
    frame = frame.set_axis(list(text.names), axis=1)
    return frame, {
        name: pd.Series(each, frame.index, name=name, copy=False) for name, each in numbers.items()
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    """Columns of text as Arrow holds them, without what stands for missing; and the numbers of those that hold
    nothing else, by place: nothing else is to be looked for in these."""

    texts: list[Any]
    numbers: Mapping[int, Any]

    @classmethod
    def of(cls, table: Any, missing: tuple[str, ...]) -> "_Columns":
        arrow = require("pyarrow", "tables", "text is read by")
        compute = require("pyarrow.compute", "tables", "text is read by")
        marks = arrow.array([*KNOWN, *MISSING, *ERRORS, *missing], arrow.large_string())
        texts, numbers = [], {}
        for place, text in enumerate(table.columns):
            if not missing and (found := numbers_of(text)) is not None:
                numbers[place] = found
            elif compute.any(is_mark := compute.is_in(text, marks)).as_py():
                text = compute.if_else(is_mark, None, text)
            texts.append(text)
        return cls(texts, numbers)

    def begin_or_end(self, *signs: str, begin: bool = False) -> bool:
        """Whether a cell ends, or begins, with one of the signs."""
        compute = require("pyarrow.compute", "tables", "text is read by")
        look = compute.starts_with if begin else compute.ends_with
        others = [text for place, text in enumerate(self.texts) if place not in self.numbers]
        return any(compute.any(look(text, sign)).as_py() for text in others for sign in signs)


def _plain(text: Text, missing: tuple[str, ...]) -> _Columns | None:
    """As Arrow reads it; None where it may read it otherwise than people do."""
    arrow = require("pyarrow", "tables", "text is read by")
    compute = require("pyarrow.compute", "tables", "text is read by")
    quotes = text.count(b'"')
    if text.separator == BLANKS or quotes % 2:
        return None
    body: Any = text.view
    for indented in (True, False):
        try:
            table = _arrow(body, text.separator, text.width, quoted=quotes > 0)
            found = _Columns.of(table, missing) if len(table) else None
        except arrow.ArrowInvalid:  # rows of another number of cells
            found = None
        if not indented or (found is not None and not found.begin_or_end(" ", begin=True)):
            break
        if quotes:
            return None
        sign = re.escape(text.separator.encode())
        body, changed = re.subn(rb"(?m)(^|" + sign + rb") +", rb"\1", text.body)
        if not changed:
            break
    if found is None:
        return None
    if min(column.null_count for column in found.texts):
        empty = None
        for column in found.texts:
            empty = column.is_null() if empty is None else compute.and_(empty, column.is_null())
        if compute.any(empty).as_py():  # rows of nothing, or of what is missing
            return None
    extra = found.texts[len(text.names) :]
    return None if any(column.null_count < len(column) for column in extra) else found


def _arrow(body: Any, separator: str, width: int, block: int = _BLOCK, *, quoted: bool = True) -> Any:
    """As text, empty cells missing: what else is so takes long to be looked for in every cell. block: bytes that are
    parsed at once. Raises ArrowInvalid: rows of another number of cells."""
    arrow = require("pyarrow", "tables", "text is read by")
    csv = require("pyarrow.csv", "tables", "text is read by")
    names = [str(place) for place in range(width)]
    try:
        return csv.read_csv(
            arrow.BufferReader(body),
            read_options=csv.ReadOptions(column_names=names, block_size=max(1, min(block, len(body)))),
            parse_options=csv.ParseOptions(delimiter=separator, newlines_in_values=quoted),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, arrow.large_string()),
                null_values=[""],
                strings_can_be_null=True,
                check_utf8=False,  # it has been decoded
            ),
            memory_pool=arrow.system_memory_pool(),  # Arrow's own clears more than is used: half as long again
        )
    except arrow.ArrowInvalid:
        if block >= min(len(body), _LONGEST):
            raise
    return _arrow(body, separator, width, _LONGEST, quoted=quoted)  # in which a row has room


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
    if text.count(b'"') % 2 and sum(part.count('"') for part in last) % 2:
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
