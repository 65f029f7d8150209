"""Tables from text: CSV in the dialects people have.

Files differ in what parts the columns (`,` `;` tab `|`), in how they write numbers
(`gammatune.pipeline.data.cells.numerals`), in their encoding and in how they write that a value is missing. What was
found to be unusual is said.
"""

import codecs
import csv
import io
from pathlib import Path
from typing import Any

from gammatune.errors import InvalidData, first_line
from gammatune.pipeline.data.cells.codes import without
from gammatune.pipeline.data.cells.numerals import Mark, read_numbers
from gammatune.pipeline.data.files.dialect import Dialect, HowToRead, Read
from gammatune.pipeline.data.files.names import refuse_twice

# What people write where a value is missing, beside what pandas knows ("", NA, N/A, NaN, null, None, ...).
MISSING = ("?", "-", "--", ".", "n.a.", "N.A.", "k.A.", "k. A.", "keine Angabe", "no answer")  # guess
_SAMPLE = 64 * 1024  # bytes looked at to tell the dialect
_SEPARATORS = ",;\t|"


def read_text(path: Path, said: list[str], learned: Mark, how: HowToRead) -> Read:
    """learned: as in `read_table`. Raises InvalidData."""
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
    refuse_twice(path, [name.strip() for name in names.iloc[0] if name.strip()])
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
    frame, told = read_numbers(
        without(frame, how.missing), path.name, said, semicolons=separator == ";", learned=learned
    )
    for name in frame.select_dtypes(exclude="number").columns:  # in quotes, which pandas does not look into
        frame[name] = frame[name].mask(frame[name].str.isspace().eq(True))
    decimal = told or learned or ("," if separator == ";" else ".")
    return Read(frame, told, Dialect(separator, decimal, encoding))


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
