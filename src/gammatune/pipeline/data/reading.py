"""A table from a file: CSV in the dialects people have, or Parquet.

CSV files differ in what parts the columns (`,` `;` tab `|`), in how they write numbers
(`gammatune.pipeline.data.numerals`), in their encoding and in how they write that a value is missing. What was found
to be unusual is said.
"""

import codecs
import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gammatune.errors import InvalidData, first_line, require
from gammatune.pipeline.data.dialect import Dialect, Source, cells_of, lines_of
from gammatune.pipeline.data.numerals import Mark, Read, read_numbers

if TYPE_CHECKING:
    import pandas as pd

TEXT_ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz")
PARQUET_ENDINGS = (".parquet", ".pq")
ENDINGS = (*TEXT_ENDINGS, *PARQUET_ENDINGS)

# What people write where a value is missing, beside what pandas knows ("", NA, N/A, NaN, null, None, ...).
MISSING = ("?", "-", "--", ".", "n.a.", "N.A.", "k.A.", "k. A.", "keine Angabe", "no answer")  # guess
_SAMPLE = 64 * 1024  # bytes looked at to tell the dialect
_SEPARATORS = ",;\t|"


def is_table(path: str | Path) -> bool:
    """Whether the file's name says that it holds a table."""
    return str(path).lower().endswith(ENDINGS)


def read_table(path: str | Path, said: list[str], learned: Mark = "") -> Read:
    """The table in the file, one column a name, as it is; what was unusual goes into `said`.

    learned: how the table trained on writes decimals, by which a file is read that does not tell.
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
    read = Read(_parquet(path), "") if is_parquet else _text(path, said, learned)
    called_by_text(read.frame, path)
    return replace(read, source=Source(str(path), read.dialect, tuple(read.frame.columns), len(read.frame)))


def called_by_text(frame: "pd.DataFrame", what: str | Path) -> None:
    """Call its columns by text, without blanks around it. Raises InvalidData: names twice, no rows."""
    frame.columns = [str(name).strip() for name in frame.columns]
    _refuse_twice(what, frame.columns)
    if frame.empty:
        raise InvalidData(
            f"{what} has names ({', '.join(frame.columns[:5])}) and no rows; give at least one row"
        )


def as_written(
    source: Source, frame: "pd.DataFrame | None" = None
) -> tuple[list[str], Callable[[], Iterator[list[str]]]]:
    """The names of the columns, and what gives the rows, by cell: as the file has them, and as they are read where it
    is no text, or its lines are not its rows.

    frame: what was read, which is read again without it. Raises InvalidData where it cannot be.
    """
    path, width = Path(source.path), len(source.names)
    if path.name.lower().endswith(TEXT_ENDINGS):
        try:
            lines = lines_of(path, source.dialect)
            head = next(lines)
            if sum(1 for _ in lines) == source.rows:
                names = [name.strip() for name in head] if len(head) == width else list(source.names)
                return names, lambda: _rows(source)
        except (OSError, UnicodeError, csv.Error, StopIteration):  # pandas was more forgiving
            pass
    held = read_table(path, [], source.dialect.decimal).frame if frame is None else frame
    return list(source.names), lambda: cells_of(held, source.dialect)


def _rows(source: Source) -> Iterator[list[str]]:
    width = len(source.names)
    lines = lines_of(Path(source.path), source.dialect)
    next(lines)
    return ([*line, *[""] * width][:width] for line in lines)


def _refuse_twice(path: str | Path, names: Iterable[str]) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise InvalidData(
            f"{path} has the column {twice[0]!r} more than once; give every column a name of its own"
        )


def _parquet(path: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except ImportError:
        require("pyarrow", "tables", "Parquet files are read by")
        raise
    except MemoryError:  # no fault of the file
        raise
    except PermissionError as error:
        raise InvalidData(
            f"{path} cannot be read ({error.strerror}); allow it, or name another file"
        ) from error
    except Exception as error:  # pyarrow has its own kinds for a damaged file
        raise InvalidData(
            f"{path} is no Parquet file that can be read ({first_line(error)}); write it anew"
        ) from error
    return as_columns(frame)


def as_columns(frame: "pd.DataFrame") -> "pd.DataFrame":
    """With an index that has a name among the columns, and decimals as floats."""
    named = [name for name in frame.index.names if name is not None]
    if named and not set(named) & set(frame.columns):  # else the columns are what is meant
        frame = frame.reset_index()
    objects = [name for name, kind in frame.dtypes.items() if kind == "object"]
    decimals = [name for name in objects if _holds_decimals(frame[name])]
    there = {name: frame[name].where(frame[name].notna(), float("nan")) for name in decimals}
    return frame.assign(**{name: values.astype("float64") for name, values in there.items()})


def _holds_decimals(values: Any) -> bool:
    import pandas as pd

    # of two columns of one name, which are refused, there is a table here
    return bool(values.ndim == 1 and pd.api.types.infer_dtype(values, skipna=True) == "decimal")


def _text(path: Path, said: list[str], learned: Mark) -> Read:
    import pandas as pd

    encoding, head = _encoding(path, said)
    separator = _separator(head)
    options: dict[str, Any] = {
        "sep": separator,
        "encoding": encoding,
        "na_values": list(MISSING),
        "skipinitialspace": True,
        "dtype": str,  # what is a number is told of the whole column, the same in every file
    }
    try:
        # pandas would number columns of one name
        names = pd.read_csv(path, header=None, nrows=1, keep_default_na=False, **options | {"na_values": []})
        frame = pd.read_csv(path, **options)
    except pd.errors.ParserError as error:
        raise InvalidData(
            f"{path} is not a table: {first_line(error)}; every row needs as many fields as the line of names"
        ) from error
    except (pd.errors.EmptyDataError, UnicodeError, OSError, EOFError, ValueError) as error:
        raise InvalidData(
            f"{path} cannot be read as a table ({first_line(error)}); save it as CSV"
        ) from error
    if "\x00" in head:
        raise InvalidData(f"{path} is no text; save the table as CSV (spreadsheets offer it under 'save as')")
    more = _fields(head, separator) - frame.shape[1]
    _refuse_twice(path, [name.strip() for name in names.iloc[0] if name.strip()])
    if more == 1 and frame.iloc[:, -1].isna().all():
        frame = pd.read_csv(path, index_col=False, **options)
        said.append(f"The rows of {path.name} end in a separator, which its line of names does not.")
    elif more == 1:  # as R writes its row names
        frame = frame.reset_index(names="row" if "row" not in frame.columns else "name of the row")
        said.append(
            f"The rows of {path.name} have one field more than its line of names: the first names the row."
        )
    elif more > 1:
        raise InvalidData(
            f"{path}: rows have {more} fields more than the line of names; give every column a name, or remove what "
            "follows the last one"
        )
    if all(_is_number(name) for name in frame.columns):
        raise InvalidData(
            f"the first line of {path} holds numbers ({', '.join(map(str, frame.columns[:4]))}); it must hold the "
            "names of the columns"
        )
    read = read_numbers(frame, path.name, said, semicolons=separator == ";", learned=learned)
    for name in read.frame.select_dtypes(
        exclude="number"
    ).columns:  # in quotes, which pandas does not look into
        read.frame[name] = read.frame[name].mask(read.frame[name].str.isspace().eq(True))
    decimal = read.decimal or learned or ("," if separator == ";" else ".")
    return replace(read, dialect=Dialect(separator, decimal, encoding))


def _encoding(path: Path, said: list[str]) -> tuple[str, str]:
    """The encoding, and the beginning of the text."""
    import gzip

    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix.lower() == ".gz" else content
    except (OSError, EOFError) as error:
        raise InvalidData(f"{path} cannot be read ({first_line(error)})") from error
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16", content[:_SAMPLE].decode("utf-16", errors="ignore")
    if content[:2] == b"PK" or content[:4] == b"\xd0\xcf\x11\xe0":
        raise InvalidData(
            f"{path} is a spreadsheet, not text; save it as CSV ('save as' in the spreadsheet program)"
        )
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        said.append(
            f"{path.name} is not in UTF-8 and was read as Windows-1252: check its special letters below."
        )
        return "cp1252", content[:_SAMPLE].decode("cp1252", errors="replace")
    encoding = "utf-8-sig" if content.startswith(codecs.BOM_UTF8) else "utf-8"
    return encoding, content[:_SAMPLE].decode(encoding, errors="ignore")


def _separator(head: str) -> str:
    """The one that parts the first lines into the most fields, the same number in each."""
    lines = [line for line in head.splitlines()[:50] if line.strip()]
    best, most = ",", 1
    for separator in _SEPARATORS:
        rows = list(csv.reader(io.StringIO("\n".join(lines[:-1] or lines)), delimiter=separator))
        counts = {len(row) for row in rows}
        if len(counts) == 1 and (count := counts.pop()) > most:
            best, most = separator, count
    if most == 1 and lines:  # ragged everywhere: the one the names are parted by
        best = max(_SEPARATORS, key=lines[0].count)
    return best


def _fields(head: str, separator: str) -> int:
    """How many fields the first row has, behind the line of names."""
    rows = csv.reader(io.StringIO(head, newline=None), delimiter=separator, skipinitialspace=True)
    filled = (row for row in rows if row)
    next(filled, [])
    return len(next(filled, []))


def _is_number(name: Any) -> bool:
    try:
        float(str(name).rpartition(".")[0] if str(name).count(".") > 1 else str(name))
    except ValueError:
        return False
    return True
