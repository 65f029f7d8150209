"""Dates as people write them: how those of a column are written, and what they are.

    2021-03-04, 20210304          ISO 8601, with or without a time
    3/4/2021 1:05 PM, 4.3.21      a day may come before the month or after it: what fits more values is taken, and
                                  where both fit all of them that is said
    26-Mar-2021 00:00:00          names of months in ten languages and Turkish: July 26, 2021, 26 juillet 2021,
                                  26 de julio de 2021, 2021年3月4日
    44197, 1609459200             a spreadsheet's days and Unix's seconds: of numbers only where the name of
                                  the column says dates, since numbers of that size are anything

A way of writing is a format of strptime, in which %b is a month by any name, or one of the words in COUNTED.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gammatune.errors import require
from gammatune.pipeline.data.cells.amounts import LOOKED_AT, MOSTLY
from gammatune.pipeline.data.cells.sample import some

if TYPE_CHECKING:
    import pandas as pd

ISO = "ISO8601"
LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "sv", "pl", "ru", "tr")


class Counting(NamedTuple):
    """unit, origin: of what is counted, as pandas has it. low, high: what is meant so. words: for people."""

    unit: str
    origin: str
    low: float
    high: float
    words: str


COUNTED: Mapping[str, Counting] = {
    "excel": Counting("D", "1899-12-30", 20_000, 60_000, "days counted as spreadsheets do"),  # 1954 to 2064
    "unix": Counting("s", "unix", 5e8, 2.5e9, "seconds since 1970"),  # 1985 to 2049
    "unix-ms": Counting("ms", "unix", 5e11, 2.5e12, "milliseconds since 1970"),
}
_NAMED = re.compile(
    r"(^|[\W_])(date|dates|datum|fecha|dato|pvm|tarih|дата|datetime|timestamp|epoch|dt)([\W_]|$)"
    r"|[a-z](Date|Datum|Fecha|Timestamp)$|^data$|[a-z]_at$",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"(?P<gap>T|,?\s+)\d{1,2}:\d{2}(?P<s>:\d{2})?(?P<f>\.\d{1,9})?(?P<p>\s*[ap]\.?\s?m\.?)?"
    r"(?P<z>\s*(?:Z|[+-]\d{2}:?\d{2}))?\s*$",
    re.IGNORECASE,
)
_IN_NUMBERS = re.compile(r"\s*(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})\s*")
BY_ISO = r"\s*\d{4}-\d\d-\d\d"  # nobody takes 2024-12-31 for another day
_WORD = re.compile(r"[^\W\d_]+")
_SMALL = {"de", "del", "of", "the", "st", "nd", "rd", "th", "er", "г", "года"}  # beside the name of a month
_WITH_NAMES = ("%d %b %Y", "%b %d %Y", "%d %b %y", "%Y %b %d", "%b %Y", "%b %y")
_YEARS = (1500, 2262)  # of what is a date, unless it is written by ISO 8601


def date_format(name: str, text: "pd.Series[Any]") -> tuple[str, str] | None:
    """How a column of text writes dates, and a note on what that leaves open, or ""; None where they are none.

    name: of the column, for the note."""
    sample = some(text, LOOKED_AT).astype(str)
    if sample.str.contains(r"\d").mean() < MOSTLY or sample.str.len().median() < 6:
        return None
    shapes = {re.sub(r"\d", "0", value): value for value in sample.tolist()}
    possible = list(dict.fromkeys(each for value in [*shapes.values()][:50] for each in _formats(value)))
    read = {each: share for each in possible if (share := _share(sample, each)) >= MOSTLY / 2}
    if ISO in read and _share(text, ISO) == 1:
        return ISO, ""
    whole = {each: share for each in read if (share := _share(text, each)) >= MOSTLY}
    if not whole:
        return None
    best = max(whole, key=lambda each: (whole[each], each == ISO))  # of equals the first
    return best, _note(name, text, best, [each for each in whole if whole[each] == whole[best]])


def counted_format(name: str, numbers: "pd.Series[Any]", *, known: bool = False) -> str | None:
    """How numbers count time, where the column's name says that they do. known: that they do."""
    if not (known or _NAMED.search(name)) or not len(numbers):
        return None
    low, high = float(numbers.min()), float(numbers.max())
    for word, counting in COUNTED.items():
        if counting.low <= low and high <= counting.high:
            return word
    whole = bool((numbers == numbers.round()).all()) and low >= 15e6 and high <= 23e6
    written = numbers.astype(np.int64).astype(str) if whole else numbers
    return "%Y%m%d" if whole and _share(written, "%Y%m%d") >= MOSTLY else None


def parsed(values: "pd.Series[Any]", written: str) -> "pd.Series[Any]":
    """In UTC; NaT where a value is no date that is written so."""
    import pandas as pd

    if written in COUNTED:
        counting = COUNTED[written]
        numbers = pd.to_numeric(values, errors="coerce").astype(np.float64)
        meant = numbers.where((numbers >= 0) & (numbers <= 10 * counting.high))
        dates = pd.to_datetime(meant, unit=counting.unit, origin=counting.origin, utc=True)
        return dates.dt.round("s")
    is_text = isinstance(values.dtype, pd.StringDtype)
    if written == ISO:
        if is_text and (found := _at_once(values)) is not None:
            return found
        if not is_text and values.dtype.kind in "fO":  # 20210304 beside an empty cell is a float
            values = values.map(
                lambda each: _as_text(each) if isinstance(each, float) else each, na_action="ignore"
            )
        return pd.to_datetime(values, format=ISO, errors="coerce", utc=True)
    places, distinct = pd.factorize(values if is_text else values.astype(object))
    texts = [_as_text(each) for each in distinct.tolist()]
    if "%b" in written:
        written, texts = _spaced(written), [_numbered(text) for text in texts]
    if "%p" in written:
        texts = [re.sub(r"(?i)([ap])\.?\s?m\.?", r"\1m", text) for text in texts]
    dates = pd.to_datetime(pd.Series([*texts, None], dtype=object), format=written, errors="coerce", utc=True)
    return dates.iloc[places].set_axis(values.index)


def _at_once(text: "pd.Series[Any]") -> "pd.Series[Any] | None":
    """By ISO 8601 as Arrow knows it: 2021-03-04, 2021-03-04 05:06:07.8, all with a zone or all without; None where a
    value is written otherwise."""
    import pandas as pd

    values = getattr(text.array, "__arrow_array__", None)
    if values is None:
        return None
    arrow = require("pyarrow", "tables", "text is read by")
    compute = require("pyarrow.compute", "tables", "text is read by")
    for zone in (None, "UTC"):
        try:
            dates = compute.cast(values(), arrow.timestamp("us", zone)).cast(arrow.timestamp("us"))
        except arrow.ArrowInvalid:
            continue
        found = pd.Series(dates.to_numpy(zero_copy_only=False), text.index, name=text.name)
        return found.dt.tz_localize("UTC")
    return None


def in_words(written: str | None) -> str:
    """' written as %d/%m/%Y', or nothing where that goes without saying."""
    if written in (None, ISO):
        return ""
    return f" in {COUNTED[written].words}" if written in COUNTED else f" written as {written}"


def _as_text(value: Any) -> str:
    return f"{value:.0f}" if isinstance(value, float) else str(value).strip()


def _share(text: "pd.Series[Any]", written: str) -> float:
    import pandas as pd

    if written == ISO and isinstance(text.dtype, pd.StringDtype) and (found := _at_once(text)) is not None:
        return float(found.notna().mean())
    # blanks and digits as Arrow knows them, which looks at a million at once
    if written == ISO and not text.astype(str).str.contains(r"^ *[0-9]{4}-[0-9]").mean() >= MOSTLY:
        return 0.0  # "2017" alone is ISO 8601 too
    dates = parsed(text, written)
    if written == ISO:
        return float(dates.notna().mean())
    years = dates.dt.year
    # beside dates that are text a spreadsheet has real ones, which count as they are read (`values.dates_in`)
    left = text[years.isna()]
    left = left[left.astype(str).str.match(BY_ISO)]
    known = int(years.between(*_YEARS).sum()) + (int(parsed(left, ISO).notna().sum()) if len(left) else 0)
    return known / len(text)


def _formats(value: str) -> list[str]:
    """How a value may be written; of ways that fit all values alike the earlier is taken."""
    time = _TIME.search(value)
    clock = "" if time is None else _clock(time)
    day = value if time is None else value[: time.start()]
    if re.match(r"\s*\d{4}-\d", value):
        return [ISO, f"%Y-%m-%d{clock}"]
    if re.fullmatch(r"\s*\d{8}\s*", day):
        return [f"%Y%m%d{clock}"]
    if "年" in day:
        return [f"%Y年%m月%d日{clock}"]
    if found := _IN_NUMBERS.fullmatch(day):
        mark, first, last = found[2], len(found[1]), len(found[4])
        if first == 4:
            return [f"%Y{mark}%m{mark}%d{clock}"]
        year = "%Y" if last == 4 else "%y"
        orders = [f"%m{mark}%d{mark}{year}{clock}", f"%d{mark}%m{mark}{year}{clock}"]
        return orders if mark == "/" else orders[::-1]  # with dots and dashes the day is mostly the first
    if re.fullmatch(r"\s*\d{1,2}/\d{4}\s*", day):
        return ["%m/%Y"]
    words = _WORD.findall(day.lower())
    if words and re.search(r"\d{2}", day) and _has_month(words):
        return [each + clock for each in _WITH_NAMES]
    return []


def _clock(time: "re.Match[str]") -> str:
    gap = "T" if time["gap"] in "Tt" else time["gap"]
    hours = "%H:%M" if time["p"] is None else "%I:%M"
    half = "" if time["p"] is None else " " * time["p"][0].isspace() + "%p"
    zone = "" if time["z"] is None else " " * time["z"][0].isspace() + "%z"
    return gap + hours + ":%S" * (time["s"] is not None) + ".%f" * (time["f"] is not None) + half + zone


def _note(name: str, text: "pd.Series[Any]", best: str, others: list[str]) -> str:
    years = "holds years of two digits, read as 1969 to 2068" if "%y" in best else ""
    if best[:2] in ("%d", "%m") and best[3:5] in ("%d", "%m"):
        first, other = ("month", "day") if best[:2] == "%m" else ("day", "month")
        turned = best[3:5] + best[2] + best[:2] + best[5:]
        if turned in others:
            example = str(text.iloc[0]).strip()
            begin = f"{years}, and" if years else "holds"
            return (
                f"{begin} dates such as {example}, read with the {first} first; the {other} may as well be: --column "
                f"{name}=date:{turned} reads them so"
            )
    return years


def _has_month(words: list[str]) -> bool:
    left = [word for word in words if word not in _SMALL]
    if len(left) != 1 or len(left[0]) < 3:
        return False
    return left[0] in _ENGLISH or left[0] in _months()


_ENGLISH = {
    name[:end]: month
    for month, name in enumerate(
        (
            "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
            "november", "december",
        ),
        start=1,
    )
    for end in (3, len(name))
} | {"sept": 9}  # fmt: skip


@cache
def _months() -> Mapping[str, int]:
    """The number of each month by its names, in full and short, without dots. Raises MissingExtra."""
    dates = require("babel.dates", "tables", "names of months are read by")
    found: dict[str, int] = {}
    for language in LANGUAGES:
        for width in ("wide", "abbreviated"):
            for context in ("format", "stand-alone"):
                names = dates.get_month_names(width, context, language)
                found |= {name.lower().strip("."): month for month, name in names.items()}
    return found | _ENGLISH


def _numbered(cell: str) -> str:
    """'26 07 2021' of 'July 26, 2021' is '07 26 2021': names as numbers, blanks between them, a time as it is."""
    time = _TIME.search(cell)
    day, rest = (cell, "") if time is None else (cell[: time.start()], cell[time.start() :])
    words = []
    for word in re.findall(r"[^\W\d_]+|\d+", day.lower()):
        if word.isdigit():
            words.append(word)
        elif word not in _SMALL:
            month = _ENGLISH.get(word) or _months().get(word)
            words.append(word if month is None else f"{month:02}")
    return " ".join(words) + rest


def _spaced(written: str) -> str:
    """The format of `_numbered`: of '%b %d, %Y' '%m %d %Y'."""
    day, hour, rest = written.partition("%H") if "%H" in written else written.partition("%I")
    gap = day[len(day.rstrip("T, ")) :] if hour else ""
    return " ".join(re.findall("%[a-zA-Z]", day.replace("%b", "%m"))) + gap + hour + rest
