"""A table from a file of any kind that is read, and the rows of that file as it has them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from gammatune.errors import InvalidData, require
from gammatune.pipeline.data.files.arff import read_arff
from gammatune.pipeline.data.files.columnar import read_arrow, read_parquet
from gammatune.pipeline.data.files.dialect import AS_IT_IS, HowToRead, Read, Source, cells_of
from gammatune.pipeline.data.files.finding import find, is_address
from gammatune.pipeline.data.files.json_tables import read_json
from gammatune.pipeline.data.files.kinds import Kind, kind_in
from gammatune.pipeline.data.files.learned import NOTHING, Learned
from gammatune.pipeline.data.files.names import called_by_text
from gammatune.pipeline.data.files.opening import TableFile, open_table
from gammatune.pipeline.data.files.r_data import read_r
from gammatune.pipeline.data.files.spreadsheets import read_spreadsheet
from gammatune.pipeline.data.files.statistics import read_statistics
from gammatune.pipeline.data.files.text import read_text
from gammatune.pipeline.data.files.text_body import open_text

Reader: TypeAlias = Callable[[TableFile, HowToRead, list[str], Learned], Read]

READERS: Mapping[Kind, Reader] = {
    "text": read_text,
    "spreadsheet": read_spreadsheet,
    "stata": partial(read_statistics, "read_dta"),
    "spss": partial(read_statistics, "read_sav"),
    "spss portable": partial(read_statistics, "read_por"),
    "sas": partial(read_statistics, "read_sas7bdat"),
    "r": read_r,
    "arff": read_arff,
    "parquet": read_parquet,
    "arrow": read_arrow,
    "json": read_json,
}


def read_table(
    path: str | Path, said: list[str], learned: Learned = NOTHING, how: HowToRead = AS_IT_IS
) -> Read:
    """The table in the file, one column a name, as it is; what was unusual goes into `said`.

    path: or the address from which it is fetched. learned: from the table trained on, by which a file is read
    that does not tell. how: what was asked.
    Raises InvalidData: no such file, no table, no rows, names twice. InvalidArgument: what was asked cannot be had of
    it. MissingExtra: what reads files of its kind is not installed.
    """
    require("pandas", "tables", "tables are read by")  # said before the file is looked at
    place = find(path)
    try:
        return _read(place, said, learned, how)
    except InvalidData as error:
        if not is_address(path):
            raise
        raise InvalidData(str(error).replace(str(place), str(path))) from error


def _read(path: Path, said: list[str], learned: Learned, how: HowToRead) -> Read:
    file = open_table(path, how.sheet, said)
    kind = kind_in(file.name, file.head(), said)
    read = READERS[kind](file, how, said, learned)
    has_lines = kind in ("text", "spreadsheet")
    called_by_text(read.frame, path, ", or say --header 0 where the first line is one" if has_lines else "")
    if read.source is not None:
        return read
    names, rows = tuple(read.frame.columns), len(read.frame)
    return replace(read, source=Source(str(path), read.dialect, names, rows, how=how, learned=learned))


def as_written(
    source: Source, read: Read | None = None
) -> tuple[list[str], Callable[[], Iterator[list[str]]]]:
    """The names of the columns, and what gives the rows, by cell: as the file has them, and as they are read where it
    is no text, or its lines are not its rows.

    read: what was read of it, else it is read again. Raises InvalidData where it cannot be.
    """
    if read is not None and read.rows is not None:
        return list(source.written), read.rows
    path = Path(source.path)
    if source.written:  # text
        text = open_text(open_table(path, source.how.sheet), source.how, [], source.learned.layout)
        if text.names == source.names and sum(1 for _ in text.rows()) == source.lines:
            return list(source.written), lambda: source.rows_of(text.rows())
        raise InvalidData(f"{path} has been changed since it was read")
    learned = replace(source.learned, decimal=source.dialect.decimal)
    held = (read_table(path, [], learned, source.how) if read is None else read).frame
    return list(source.names), lambda: cells_of(held, source.dialect)
