"""Tables from text: CSV in the dialects people have.

Which lines are rows is told first (`text_body`), then their cells are read (`rows`), and numbers as people write them
(`gammatune.pipeline.data.cells.numerals`).
"""

from typing import TYPE_CHECKING

from gammatune.pipeline.data.cells.amounts import form_of
from gammatune.pipeline.data.cells.codes import NONE
from gammatune.pipeline.data.cells.numerals import Mark, read_numbers
from gammatune.pipeline.data.files.dialect import Dialect, HowToRead, Read, Source
from gammatune.pipeline.data.files.learned import Learned
from gammatune.pipeline.data.files.opening import TableFile
from gammatune.pipeline.data.files.repeats import without_names
from gammatune.pipeline.data.files.rows import read_rows
from gammatune.pipeline.data.files.text_body import open_text
from gammatune.pipeline.data.files.totals import without_totals

if TYPE_CHECKING:
    import pandas as pd

_THREE = r"\d,\d{3}(?!\d)"  # decimals, or digits in a group


def read_text(file: TableFile, how: HowToRead, said: list[str], learned: Learned) -> Read:
    """learned: as in `read_table`. Raises InvalidData, InvalidArgument, MissingExtra."""
    text = open_text(file, how, said, learned.layout)
    frame, plain = read_rows(text, () if how.missing == (NONE,) else how.missing, said)
    frame, again = without_names(frame, text.layout.lines, file.name, said)
    rows = len(frame)
    if how.skip_last is None:
        frame = without_totals(frame, file.name, said)
    totals = rows - len(frame)
    if totals or again:
        plain = {}  # a column may hold nothing else now
    is_semicolon = text.separator == ";"
    frame, told = read_numbers(
        frame,
        file.name,
        said,
        semicolons=is_semicolon,
        learned=learned.decimal,
        wanted=how.decimal,
        known=plain,
    )
    if is_semicolon and not (told or learned.decimal):
        told = _beside_units(frame)
    decimal = how.decimal or told or learned.decimal or ("," if is_semicolon else ".")
    dialect = Dialect(text.separator, decimal, text.encoding)
    source = Source(
        str(file.path), dialect, text.names, rows - totals, text.written, totals, again, how, learned
    )
    return Read(frame, told, dialect, source, lambda: source.rows_of(text.rows()), layout=text.layout)


def _beside_units(frame: "pd.DataFrame") -> Mark:
    """A comma, where one stands in numbers beside a currency or unit: with semicolons between columns it begins
    decimals, as it does in bare numbers."""
    texts = [values for _, values in frame.items() if values.dtype.kind not in "iuf"]
    some = [values.dropna() for values in texts if values.str.contains(_THREE, na=False).any()]
    forms = [form for values in some if (form := form_of(values, ",")) is not None]
    return "," if any(form.decimal == "," and (form.currency or form.unit) for form in forms) else ""
