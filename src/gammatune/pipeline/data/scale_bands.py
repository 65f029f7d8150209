"""Answers on a scale that are bands of numbers, or numbers with words at the ends.

    bands    18-29   30 to 44   > 60   65 and over   $0 - $24,999   $150,000+   under 5 years   [40, 50)   7 or more
    ends     1 (not at all)   2   3   4   5 (very much)

Bands are in order by their bounds, where no two overlap and all are of one unit; of time several units are one.
"""

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

Band: TypeAlias = tuple[float, float]  # bounds, infinite at an open end

_TIMES = {"k": 1e3, "thousand": 1e3, "m": 1e6, "mio": 1e6, "million": 1e6, "bn": 1e9, "billion": 1e9}
_NUMBER = (
    r"[$€£¥]?\s*-?(?:\d{1,3}(?:[,.' ]\d{3})+(?!\d)|\d+)(?:[.,]\d+)?"
    rf"\s*(?:(?:{'|'.join(_TIMES)})\b)?"
)
_THAN_LESS = "(?:less|fewer|lower|smaller|shorter|younger) than"
_THAN_MORE = "(?:more|greater|higher|larger|longer|older) than"
_BELOW = rf"{_THAN_LESS}|under|below|up to|at most|no more than|until|before|<=?|≤"
_ABOVE = rf"{_THAN_MORE}|over|above|at least|from|after|>=?|≥"
_OR_LESS = "(?:or|and) (?:less|fewer|under|younger|below|lower|smaller|shorter)"
_OR_MORE = r"\+|plus|(?:or|and) (?:more|over|above|older|up|upwards|higher|greater|longer|larger)"
_FORMS = (
    ("between", rf"(?:between )?({_NUMBER}) ?(.*?) ?(?:-|to|and|through|up to) ?({_NUMBER}) ?(.*)"),
    ("below", rf"(?:{_BELOW}) ?({_NUMBER}) ?(.*)"),
    ("below", rf"({_NUMBER}) ?(.*?) ?(?:{_OR_LESS})"),
    ("above", rf"(?:{_ABOVE}) ?({_NUMBER}) ?(.*)"),
    ("above", rf"({_NUMBER}) ?(.*?) ?(?:{_OR_MORE}) ?(.*)"),
    ("at", rf"({_NUMBER}) ?(.*)"),
)
_NUMERALS = dict(zip(["no", "one", "two", "three", "four", "five", "six", "seven"], range(8), strict=True))
_NUMERALS |= {"none": 0, "zero": 0}
_YEARS = {  # in years
    "second": 1 / 31_557_600, "sec": 1 / 31_557_600, "minute": 1 / 525_960, "min": 1 / 525_960, "hour": 1 / 8_766,
    "hr": 1 / 8_766, "day": 1 / 365.25, "week": 7 / 365.25, "month": 1 / 12, "year": 1.0, "yr": 1.0, "decade": 10.0,
}  # fmt: skip


def bands(labels: Sequence[str]) -> list[float | None]:
    """The places of bands and of numbers beside them; none where two overlap, or all are single numbers."""
    read = [_band(label) for label in labels]
    units = {each[1] for each in read if each is not None} - {""}
    if len(units) > 1 and not units <= _YEARS.keys():
        return [None] * len(labels)
    found = [None if each is None else _in_years(*each) for each in read]
    distinct = sorted({band for band in found if band is not None})
    if all(low == high for low, high in distinct) or not all(_follows(*pair) for pair in pairwise(distinct)):
        return [None] * len(labels)
    return [None if band is None else float(distinct.index(band)) for band in found]


def numbered(labels: Sequence[str]) -> list[float | None]:
    """The numbers of labels that count up from 0 or 1, where one end says what it means and others say nothing."""
    read = [re.fullmatch(r"\W*(\d{1,2})(?!\d)[\s.=:()-]*(.*?)\W*", label) for label in labels]
    said = {int(each[1]): each[2] for each in read if each is not None}
    first, last = min(said, default=0), max(said, default=0)
    counts_up = first in (0, 1) and len(said) == len(labels) == last - first + 1
    if not counts_up or all(said.values()) or not (said[first] or said[last]):
        return [None] * len(labels)
    return [None if each is None else float(each[1]) for each in read]


def _follows(one: Band, other: Band) -> bool:
    """Whether a band lies behind another. Of two that are open at the same end the bound tells, as of thresholds."""
    if one[0] == other[0] == -math.inf or one[1] == other[1] == math.inf:
        return one != other
    return one[1] <= other[0] and not one[0] == one[1] == other[0] == other[1]


def _in_years(band: Band, unit: str) -> Band:
    times = _YEARS.get(unit, 1.0)
    return band[0] * times, band[1] * times


def _band(label: str) -> tuple[Band, str] | None:
    """Its bounds and its unit; None where it is neither a band nor a number."""
    text = " ".join(label.lower().replace("–", "-").replace("—", "-").split())
    cut = re.fullmatch(r"[\[(]\s*([^\s,]+)\s*,\s*([^\s,]+?)\s*[\])]", text)
    if cut is not None:
        low, high = (_value(end) for end in cut.groups())
        return None if low is None or high is None or low > high else ((low, high), "")
    text = re.sub(rf"\b({'|'.join(_NUMERALS)})\b", lambda found: str(_NUMERALS[found[0]]), text)
    for kind, form in _FORMS:
        found = re.fullmatch(form, text)
        band = None if found is None else _bounded(kind, [part or "" for part in found.groups()])
        if band is not None:
            return band
    return None


def _bounded(kind: str, parts: Sequence[str]) -> tuple[Band, str] | None:
    """parts: as `_FORMS` has them, by turns a number and what stands behind it."""
    if kind == "between":
        return _between(*parts)
    value, unit = _value(parts[0]), _unit(" ".join(filter(None, parts[1:])))
    if value is None or unit is None:
        return None
    return {"below": (-math.inf, value), "above": (value, math.inf), "at": (value, value)}[kind], unit


def _between(first: str, first_unit: str, second: str, second_unit: str) -> tuple[Band, str] | None:
    low, high, one, other = _value(first), _value(second), _unit(first_unit), _unit(second_unit)
    if low is None or high is None or one is None or other is None:
        return None
    if one not in ("", other):  # 20 minutes to 1 hour
        if not {one, other} <= _YEARS.keys():
            return None
        low, high, other = low * _YEARS[one], high * _YEARS[other], "year"
    times = re.search("[a-z]+", second)
    if times is not None and not re.search("[a-z]", first) and low * _TIMES[times[0]] <= high:
        low *= _TIMES[times[0]]  # 10-20k
    return ((low, high), other) if low <= high else None


def _value(text: str) -> float | None:
    """None of what begins with a 0 that is no number: a code."""
    bare = text.strip().lstrip("$€£¥ ")
    infinite = re.fullmatch("([+-]?)(inf|infinity|∞)", bare)
    if infinite is not None:
        return -math.inf if infinite[1] == "-" else math.inf
    found = re.fullmatch(r"(-?)((?!0\d)[\d,.' ]*\d)\s*([a-z]*)", bare)
    if found is None:
        return None
    whole = re.sub(r"[,.' ](?=\d{3}(\D|$))", "", found[2]).replace(",", ".")
    if whole.count(".") > 1:
        return None
    return float(found[1] + whole) * _TIMES.get(found[3], 1.0)


def _unit(text: str) -> str | None:
    """One word, or two, in the singular; "" where there is none, None where that is no unit."""
    bare = text.strip(" .()")
    if not re.fullmatch(r"([^\W\d_]+( [^\W\d_]+){0,2}|[%$€£¥]|)", bare):
        return None
    return re.sub(r"(?<=[a-z]{2})s$", "", re.sub(" (old|of age)$", "", bare))
