"""A table from a file of any kind that is read, and the rows of that file as it has them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from gammatune.errors import InvalidData, require
from gammatune.pipeline.data.cells.numerals import Mark
from gammatune.pipeline.data.files.columnar import read_parquet
from gammatune.pipeline.data.files.dialect import AS_IT_IS, HowToRead, Read, Source, cells_of
from gammatune.pipeline.data.files.names import called_by_text
from gammatune.pipeline.data.files.opening import open_table
from gammatune.pipeline.data.files.text import read_text
from gammatune.pipeline.data.files.text_body import open_text

if TYPE_CHECKING:
    import pandas as pd

TEXT_ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz")
PARQUET_ENDINGS = (".parquet", ".pq")
ENDINGS = (*TEXT_ENDINGS, *PARQUET_ENDINGS)


def is_table(path: str | Path) -> bool:
    """Whether the file's name says that it holds a table."""
    return str(path).lower().endswith(ENDINGS)


def read_table(path: str | Path, said: list[str], learned: Mark = "", how: HowToRead = AS_IT_IS) -> Read:
    """The table in the file, one column a name, as it is; what was unusual goes into `said`.

    learned: how the table trained on writes decimals, by which a file is read that does not tell. how: what was
    asked.
    Raises InvalidData: no such file, no table, no rows, names twice. MissingExtra: pandas is not installed.
    """
    require("pandas", "tables", "tables are read by")  # said before the file is looked at
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise InvalidData(f"{path} {what}; name a file that ends in {', '.join(ENDINGS)}")
    if path.stat().st_size == 0:
        raise InvalidData(f"{path} is empty; give a table with a line of names and at least two rows")
    is_parquet = str(path).lower().endswith(PARQUET_ENDINGS)
    if is_parquet:
        read = Read(read_parquet(path), "")
    else:
        read = read_text(open_table(path, how.sheet, said), how, said, learned)
    called_by_text(read.frame, path)
    if read.source is not None:
        return read
    names, rows = tuple(read.frame.columns), len(read.frame)
    return replace(read, source=Source(str(path), read.dialect, names, rows, how=how))


def as_written(
    source: Source, frame: "pd.DataFrame | None" = None
) -> tuple[list[str], Callable[[], Iterator[list[str]]]]:
    """The names of the columns, and what gives the rows, by cell: as the file has them, and as they are read where it
    is no text, or its lines are not its rows.

    frame: what was read, which is read again without it. Raises InvalidData where it cannot be.
    """
    path = Path(source.path)
    if path.name.lower().endswith(TEXT_ENDINGS):
        text = open_text(open_table(path, source.how.sheet), source.how, [])
        if text.names == source.names and sum(1 for _ in text.rows()) == source.rows + source.totals:
            return list(text.written), lambda: islice(text.rows(), source.rows)
        raise InvalidData(f"{path} has been changed since it was read")
    held = read_table(path, [], source.dialect.decimal, source.how).frame if frame is None else frame
    return list(source.names), lambda: cells_of(held, source.dialect)
