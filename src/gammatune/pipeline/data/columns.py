"""What the columns of a table are: numbers, categories, dates, or nothing a network can learn from.

Told from the values, so that nobody has to say it; said in words, and overruled by `--column NAME=KIND`.

    number     measured or counted
    category   one of some levels; truth values are categories with two
    date       a day, with or without a time
    left out   one value only; different in every row (an identifier); sentences (free text); anything else
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.cells.plain_numbers import CODE

if TYPE_CHECKING:
    import pandas as pd

Kind: TypeAlias = Literal["number", "category", "date", "drop"]
KINDS: tuple[Kind, ...] = ("number", "category", "date", "drop")

MOSTLY = 0.95  # of the values present must be of a kind for the column to be [guess]
IDENTIFYING = 0.95  # distinct values among those present that make text an identifier [guess]
FEWEST = 20  # rows below which nothing is called an identifier by counting [guess]
ONCE = 0.5  # of the rows hold a value that no other row has: nothing is learned of it [guess]
SENTENCE = 4.0  # words in the mean that make text free text [guess]

_NAMED_ID = re.compile(r"(^|[\W_])(id|ids|uuid|guid|index|idx|rownum|row_number|rowid|nr|no)$", re.I)
_UNNAMED = re.compile(r"unnamed: \d+(\.\d+)*|\.\.\.\d+", re.I)  # by pandas; by R's tibbles
_CAMEL_ID = re.compile(r"[a-z](ID|Id|UUID|No|Nr)$")

# Beside ISO 8601. A day may come before the month or after it: what fits all values is taken, and said where both do.
_DATE_FORMATS = (
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%Y/%m/%d",
    "%d-%m-%Y",
    "%Y%m%d",
    "%d %b %Y",
    "%b %d, %Y",
)
_TIMES = ("", " %H:%M", " %H:%M:%S")


@dataclass(frozen=True, slots=True)
class Column:
    """name: as in the file. kind: see the module. why: of one left out, in words. format: of dates that are text, as
    strptime has it; "ISO8601"; None where the file holds dates."""

    name: str
    kind: Kind
    why: str = ""
    format: str | None = None


def look_at(
    frame: "pd.DataFrame", given: Mapping[str, Kind], said: list[str], *, leave: Sequence[str] = ()
) -> tuple[Column, ...]:
    """What each column is. given: kinds that are not told but known. leave: columns that are no inputs."""
    unknown = [name for name in given if name not in frame.columns]
    if unknown:
        raise InvalidArgument(f"there is no column {unknown[0]!r}; the table has {listed(frame.columns)}")
    found = []
    for name in frame.columns:
        if name not in leave:
            found.append(
                _asked(name, frame[name], given[name]) if name in given else tell(name, frame[name], said)
            )
    if all(column.kind == "drop" for column in found):
        why = "; ".join(f"{column.name} {column.why}" for column in found[:5])
        raise InvalidData(
            f"no column is left to learn from ({why or 'there is only the target'}); give columns that say something "
            "of each row, or --column NAME=number|category|date for one that was misread"
        )
    return tuple(found)


def tell(name: str, values: "pd.Series[Any]", said: list[str]) -> Column:
    """The kind of a column, from its values alone."""
    import pandas as pd

    present = values.dropna()
    if not len(present):
        return Column(name, "drop", "holds nothing")
    is_plain = all(isinstance(value, str | int | float | bool) for value in present.iloc[:3].tolist())
    try:
        if is_plain and len(present) < len(values) and present.nunique() == 1:
            return Column(name, "category")  # there or not there is what it says
    except TypeError:  # lists, mappings
        return Column(name, "drop", "holds neither numbers nor text nor dates")
    if pd.api.types.is_datetime64_any_dtype(values):
        return Column(name, "date")
    if pd.api.types.is_bool_dtype(values):
        return Column(name, "category") if present.nunique() > 1 else _constant(name, present)
    if pd.api.types.is_timedelta64_dtype(values) or pd.api.types.is_complex_dtype(values):
        return Column(name, "drop", f"holds {values.dtype}, which is not supported")
    if pd.api.types.is_numeric_dtype(values):
        if present.nunique() <= 1:
            return _constant(name, present)
        if _counts_rows(name, present, len(values)):
            return Column(name, "drop", "numbers the rows")
        return Column(name, "number")
    return _tell_text(name, present, len(values), said)


def _tell_text(name: str, present: "pd.Series[Any]", rows: int, said: list[str]) -> Column:
    import pandas as pd

    try:
        distinct = present.nunique()
    except TypeError:  # lists, mappings
        return Column(name, "drop", "holds neither numbers nor text nor dates")
    if distinct <= 1:
        return _constant(name, present)
    if isinstance(present.dtype, pd.CategoricalDtype):
        return Column(name, "category")
    codes = present.astype(str).str.fullmatch(CODE)
    if codes.any() and present.astype(str).str.fullmatch(r"\d+").mean() >= MOSTLY:
        said.append(f"{name} holds codes such as {present[codes].iloc[0]}: a category.")
        return _category_or_identifier(name, present.astype(str), rows)
    sample = present.iloc[:: max(1, len(present) // 1000)]  # tells most texts from numbers at once
    numbers = pd.to_numeric(sample, errors="coerce")
    if numbers.notna().mean() > MOSTLY / 2:
        numbers = pd.to_numeric(present, errors="coerce")
    share = float(numbers.notna().mean())
    if share >= MOSTLY:
        if share < 1:
            strange = present[numbers.isna()].astype(str)
            said.append(
                f"{name} holds numbers, and {len(strange)} values that are none, such as "
                f"{strange.iloc[0]!r:.40}: they count as missing."
            )
        return (
            Column(name, "drop", "numbers the rows")
            if _counts_rows(name, numbers.dropna(), rows)
            else Column(name, "number")
        )
    text = present.astype(str)
    if written := date_format(name, text, said):
        return Column(name, "date", format=written)
    return _category_or_identifier(name, text, rows)


def _category_or_identifier(name: str, text: "pd.Series[Any]", rows: int) -> Column:
    words = float(text.str.count(" ").mean()) + 1
    counts = text.value_counts()
    if rows >= FEWEST and len(counts) / len(text) >= IDENTIFYING:
        if words >= SENTENCE:
            return Column(name, "drop", "is free text, which is not read")
        return Column(name, "drop", "differs in every row, as an identifier does")
    if rows >= FEWEST and float((counts == 1).sum()) / len(text) > ONCE:
        what = (
            "is free text, which is not read"
            if words >= SENTENCE / 2
            else "has a value of its own in most rows"
        )
        return Column(name, "drop", what)
    return Column(name, "category")


def _constant(name: str, present: "pd.Series[Any]") -> Column:
    return Column(name, "drop", f"is {present.iloc[0]!s:.40} everywhere")


def _counts_rows(name: str, present: "pd.Series[Any]", rows: int) -> bool:
    """Whether whole numbers are identifiers: all different, and named so, or counting up row by row."""
    if len(present) < rows or rows < FEWEST or present.nunique() < rows:
        return False
    if not bool((present == present.round()).all()):
        return False
    steps = present.diff().dropna()
    named = is_unnamed(name) or bool(_NAMED_ID.search(name) or _CAMEL_ID.search(name))
    return named or bool((steps == 1).all())


def date_format(name: str, text: "pd.Series[Any]", said: list[str]) -> str | None:
    """How a column of text writes its dates; None where it holds none."""
    sample = text.iloc[:: max(1, len(text) // 1000)]
    if not sample.str.contains(r"\d").mean() >= MOSTLY or sample.str.len().median() < 6:
        return None
    formats = ["ISO8601", *(date + time for date in _DATE_FORMATS for time in _TIMES)]
    fitting = [written for written in formats if _fits(sample, written)]
    fitting = [written for written in fitting if _fits(text, written)]
    if not fitting:
        return None
    orders = {written[:2] for written in fitting if written.startswith(("%d/", "%m/"))}
    if len(orders) > 1:
        said.append(f"The dates of {name} were read as month/day/year; day/month/year would fit them too.")
    return fitting[0]


def _fits(text: "pd.Series[Any]", written: str) -> bool:
    import pandas as pd

    if written == "ISO8601" and not text.str.match(r"\s*\d{4}-\d").mean() >= MOSTLY:
        return False  # "2017" alone is ISO 8601 too
    parsed = pd.to_datetime(text, format=written, errors="coerce", utc=True)
    return float(parsed.notna().mean()) >= MOSTLY


def _asked(name: str, values: "pd.Series[Any]", kind: Kind) -> Column:
    import pandas as pd

    if kind == "drop":
        return Column(name, "drop", "as asked")
    present = values.dropna()
    if kind == "number" and pd.to_numeric(present, errors="coerce").notna().sum() == 0:
        raise InvalidData(
            f"{name} was to be a number and holds none, but {present.iloc[:1].tolist()!r:.60}; write numbers as "
            "51494 or 0.5, without units"
        )
    if kind == "date" and not pd.api.types.is_datetime64_any_dtype(values):
        written = date_format(name, present.astype(str), [])
        if written is None:
            raise InvalidData(
                f"{name} was to be a date and holds {present.iloc[:1].tolist()!r:.60}; write dates as 2024-12-31"
            )
        return Column(name, "date", format=written)
    return Column(name, kind)


def is_unnamed(name: Any) -> bool:
    """Whether a program calls a column so by its place, here or when it wrote the file, since it has no name."""
    return isinstance(name, str) and _UNNAMED.fullmatch(name) is not None


def keep_their_names(names: Sequence[Any]) -> bool:
    """Whether columns that a program once called by their place stand elsewhere now, and so have those as names."""
    counted = [(place, re.search(r"\d+", name)) for place, name in enumerate(names) if is_unnamed(name)]
    first = 1 if any(str(name).startswith("...") for name in names) else 0
    return any(found is not None and int(found[0]) != place + first for place, found in counted)


def kinds_given(columns: Sequence[str], drop: Sequence[str]) -> dict[str, Kind]:
    """`NAME=KIND` lines and names to drop as a mapping. Raises InvalidArgument where one is neither."""
    found: dict[str, Kind] = dict.fromkeys(drop, "drop")
    for line in columns:
        name, equals, kind = line.rpartition("=")
        if not equals or kind not in KINDS:
            raise InvalidArgument(
                f"--column {line}: write NAME=number, NAME=category, NAME=date or NAME=drop"
            )
        found[name] = kind
    return found


def listed(names: Any) -> str:
    """'age, income, city, ...': the first dozen."""
    shown = [str(name) for name in names]
    return ", ".join(shown[:12]) + (f", ... ({len(shown)} in all)" if len(shown) > 12 else "")
