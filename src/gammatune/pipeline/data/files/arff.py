"""Tables from ARFF, the files of Weka and OpenML: their head is read by scipy, their rows by pandas.

scipy reads no text, and quotes in rows only where the first of them has some; hence the rows go to pandas. Nominal
attributes are categories, text and dates are text.
"""

import io
import re
from typing import TYPE_CHECKING, Any

from gammatune.errors import InvalidData, first_line
from gammatune.pipeline.data.files.dialect import HowToRead, Read
from gammatune.pipeline.data.files.learned import Learned
from gammatune.pipeline.data.files.opening import TableFile
from gammatune.pipeline.data.files.settling import settled

if TYPE_CHECKING:
    import pandas as pd

_DATA = re.compile(r"^[ \t]*@data\b.*$", re.IGNORECASE | re.MULTILINE)
_TEXT = re.compile(
    r"""^([ \t]*@attribute[ \t]+(?:'[^'\n]*'|"[^"\n]*"|\S+)[ \t]+)(?:string|date\b.*?)[ \t]*$""",
    re.IGNORECASE | re.MULTILINE,
)
_COMMENT = re.compile(r"^[ \t]*(%.*)?\n", re.MULTILINE)
_QUOTED = re.compile(r"""^(['"])(.*)\1$""")  # by the other sign than most are
_NONE = "{none}"  # a type that scipy knows, in the place of those that it does not


def read_arff(file: TableFile, how: HowToRead, said: list[str], learned: Learned) -> Read:
    """Raises InvalidData: it cannot be read."""
    from scipy.io import arff

    content = _decoded(file.content(), how.encoding)
    at = _DATA.search(content)
    if at is None:
        raise InvalidData(f"{file.path} has no line @data, behind which the rows of an ARFF file stand")
    rows = _COMMENT.sub("", content[at.end() :] + "\n")
    if rows.startswith("{"):
        raise InvalidData(
            f"{file.path} is sparse ARFF, rows of places and values in braces, which is not read; save it as CSV"
        )
    try:
        _, about = arff.loadarff(io.StringIO(_TEXT.sub(rf"\g<1>{_NONE}", content[: at.end()]) + "\n"))
    except (arff.ArffError, ValueError, NotImplementedError, StopIteration, IndexError) as error:
        raise InvalidData(
            f"the head of {file.path} cannot be read ({first_line(error)}); save the table as CSV"
        ) from error
    frame = _rows(file, rows, about)
    return Read(settled(frame, file.name), "")


def _rows(file: TableFile, rows: str, about: Any) -> "pd.DataFrame":
    import pandas as pd

    names = about.names()
    quote = max("'\"", key=rows.count)
    try:
        frame = pd.read_csv(
            io.StringIO(rows), header=None, dtype=str, na_values=["?"], keep_default_na=False, quotechar=quote,
            escapechar="\\", skipinitialspace=True, sep="," if "," in rows or "\t" not in rows else "\t",
        )  # fmt: skip
    except (ValueError, pd.errors.ParserError) as error:
        raise InvalidData(
            f"the rows of {file.path} cannot be read ({first_line(error)}, counted from the first row); save the "
            "table as CSV"
        ) from error
    if frame.shape[1] != len(names):
        raise InvalidData(
            f"{file.path} has {len(names)} attributes, and its rows have {frame.shape[1]} values; correct it, or "
            "save the table as CSV"
        )
    columns = {name: _of_kind(file, frame[place], *about[name]) for place, name in enumerate(names)}
    return pd.DataFrame(columns)


def _of_kind(file: TableFile, values: "pd.Series[Any]", kind: str, levels: Any) -> "pd.Series[Any]":
    import pandas as pd

    if kind == "numeric":
        numbers = pd.to_numeric(values, errors="coerce")
        strange = values[numbers.isna() & values.notna()]
        if len(strange):
            raise InvalidData(
                f"row {strange.index[0] + 1} of {file.path} holds {strange.iloc[0]!r:.40} in the place of a number"
            )
        return numbers
    values = values.str.strip().str.replace(_QUOTED, r"\2", regex=True)
    return values if levels == (_NONE.strip("{}"),) else values.astype("category")


def _decoded(content: bytes, encoding: str | None) -> str:
    try:
        text = content.decode(encoding or "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")
