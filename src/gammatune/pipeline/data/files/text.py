"""Tables from text: CSV in the dialects people have.

Which lines are rows is told first (`text_body`), then their cells are read (`rows`), and numbers as people write them
(`gammatune.pipeline.data.cells.numerals`).
"""

from gammatune.pipeline.data.cells.codes import NONE
from gammatune.pipeline.data.cells.numerals import Mark, read_numbers
from gammatune.pipeline.data.files.dialect import Dialect, HowToRead, Read, Source
from gammatune.pipeline.data.files.opening import TableFile
from gammatune.pipeline.data.files.rows import read_rows
from gammatune.pipeline.data.files.text_body import open_text
from gammatune.pipeline.data.files.totals import without_totals


def read_text(file: TableFile, how: HowToRead, said: list[str], learned: Mark) -> Read:
    """learned: as in `read_table`. Raises InvalidData, InvalidArgument, MissingExtra."""
    text = open_text(file, how, said)
    frame = read_rows(text, () if how.missing == (NONE,) else how.missing, said)
    rows = len(frame)
    if how.skip_last is None:
        frame = without_totals(frame, file.name, said)
    totals = rows - len(frame)
    is_semicolon = text.separator == ";"
    frame, told = read_numbers(
        frame, file.name, said, semicolons=is_semicolon, learned=learned, wanted=how.decimal
    )
    decimal = how.decimal or told or learned or ("," if is_semicolon else ".")
    dialect = Dialect(text.separator, decimal, text.encoding)
    return Read(
        frame,
        told,
        dialect,
        Source(str(file.path), dialect, text.names, rows - totals, text.written, totals, how),
    )
