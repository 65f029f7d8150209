"""Numbers with something around them: how those of a column are written, and what they are.

    money        $1,234.56   1.234,56 €   CHF 1'234.50   USD 5   12 kr
    below zero   (1,234.50)   -$3   3.50-   −3
    groups       1 234,5   1'234.50   1_000   1,00,000
    share, unit  12,5 %   12 kg   4,913 square miles   36 months
    times        19M   850k   £5m   3 Mio.   2 crore
    bounds       <1.0   >5   10,000+   ≥ 3: read as the bound

A column has one currency and one unit: dollars beside euros, or grams beside pounds, are no numbers that can be held
against each other, and stay text. So do ranges (10-20), and bounds that part classes (<=50K and >50K).
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gammatune.pipeline.data.cells.distinct import Distinct
from gammatune.pipeline.data.cells.numerals import NUMBER, PROOF, Mark
from gammatune.pipeline.data.cells.sample import every

if TYPE_CHECKING:
    import pandas as pd

MOSTLY = 0.95  # of the values present must be of a kind for the column to be [guess]
LEVELS = 3  # different values, below which text is left as it is: 2 doors, 4 doors [guess]
BOUNDED = 0.5  # of the values at most may begin with a bound; a column of bounds alone is a scale [guess]
HALF = 0.5  # of the values; who asks for less has said that they are numbers
LOOKED_AT = 1000  # values that tell most texts from numbers at once
LARGEST = 1e100  # of a number: beyond it, ranges of ranges overflow
LONG = 60  # letters, beyond which no cell is one number

_CODES = (
    "USD|EUR|GBP|CHF|JPY|CNY|INR|RUB|BRL|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|TRY|ZAR|MXN|KRW|SGD|HKD|ILS|THB"
)
_CURRENCY = rf"US\$|R\$|A\$|C\$|NZ\$|HK\$|[$€£¥₹₽₩₺₪฿]|zł|Kč|kr\.?|Fr\.|Rs\.?|{_CODES}"
_SAME = {
    "us$": "$", "usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "inr": "₹", "rs": "₹", "rub": "₽", "brl": "r$",
    "pln": "zł", "czk": "kč", "chf": "fr", "try": "₺", "krw": "₩", "ils": "₪", "thb": "฿", "aud": "a$", "cad": "c$",
}  # fmt: skip
_TIMES = {
    "k": 1e3, "K": 1e3, "tsd": 1e3, "thousand": 1e3, "lakh": 1e5, "M": 1e6, "mio": 1e6, "mln": 1e6,
    "million": 1e6, "millions": 1e6, "millionen": 1e6, "cr": 1e7, "crore": 1e7, "bn": 1e9, "mrd": 1e9,
    "billion": 1e9, "billions": 1e9, "tn": 1e12, "trillion": 1e12,
}  # fmt: skip
_MEASURES = {
    "kg", "g", "mg", "lb", "lbs", "oz", "t", "km", "m", "cm", "mm", "mi", "mile", "ft", "in", "inch", "inche", "yd",
    "l", "ml", "cl", "gal", "h", "hr", "hour", "min", "minute", "s", "sec", "second", "day", "week", "month", "year",
    "°c", "°f", "kb", "mb", "gb", "tb", "w", "kw", "kwh",
}  # fmt: skip
_OF_MONEY = {"m": 1e6, "mm": 1e6, "mn": 1e6, "b": 1e9, "B": 1e9}  # else m is a metre, mm a millimetre
_BESIDE_TIMES = {"k": 1e3, "b": 1e9}  # 281 K is kelvin, 30B a bus, but beside 19M both are multipliers
_GROUPERS = " \u00a0\u2009\u202f'’_"
_LETTER = r"[^\W\d_]"
_CELL = re.compile(rf"([^\d.,]*)((?:\d[\d.,{_GROUPERS}]*|[.,]\d+)(?:[eE][+-]?\d+(?![^\W_]))?)(.*)", re.DOTALL)
_BEFORE = re.compile(
    rf"(?P<open>\(?)\s*(?P<bound><=|>=|[<>≤≥~≈]|)\s*(?P<sign>[-+−]?)\s*(?P<currency>{_CURRENCY}|)\s*(?P<inner>[-−(]?)"
)
_BEHIND = re.compile(
    rf"(?P<over>\+?)\s*(?P<unit>(?:(?:[%‰°²³$€£¥₹₽₩₺₪฿]|/\s?(?={_LETTER})|{_LETTER})"
    rf"(?:{_LETTER}|[ ./%°²³*^$€£¥-]|(?<=[^\W\d_])[23]\b)*?)?)\s*\+?(?P<sign>[-−]?)\s*(?P<close>\)?)"
)
_IN_GROUPS = re.compile(rf"\d{{1,3}}([{_GROUPERS}])\d{{3}}(\1\d{{3}})*(?!\d)([.,]\d*)?")
_BLANKS = re.compile(f"[{_GROUPERS}]")
_NUMBER, _PROVEN = ({mark: re.compile(forms[mark]) for mark in forms} for forms in (NUMBER, PROOF))
_AS_IT_IS = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_INDIAN = re.compile(r"\d{1,2}(,\d{2})+,\d{3}(\.\d*)?")


@dataclass(frozen=True, slots=True)
class Form:
    """How the numbers of a column are written. decimal: what parts them from their decimals. currency, unit: what may
    stand beside a number and is no part of it, in small letters; "" none."""

    decimal: Mark = "."
    currency: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class _Amount:
    """A cell taken apart. core: digits and marks. bound: "<", ">" or none. sign: 1 or -1."""

    core: str
    sign: int
    times: float
    bound: str
    currency: str
    unit: str

    @property
    def is_bare(self) -> bool:
        return self.times == 1 and not (self.bound or self.currency or self.unit)


def numbers_in(
    values: "pd.Series[Any]", form: Form | None = None, missing: Sequence[float] = ()
) -> NDArray[np.float64]:
    """As numbers; what is none, or infinite, is missing. form: how text writes them; None: as they are. missing:
    numbers that stand for missing."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values) or pd.api.types.is_timedelta64_dtype(values):
        return np.full(len(values), np.nan)  # pandas would count their ticks
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "iuf":
        numbers: NDArray[np.float64] = values.to_numpy(dtype=np.float64)
    elif form is not None and not pd.api.types.is_numeric_dtype(values):
        numbers = amounts_in(values, form)
    else:
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    if not missing and len(numbers) and _are_in_range(numbers):
        return numbers
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    if missing:
        numbers[np.isin(numbers, missing)] = np.nan
    return numbers.clip(-LARGEST, LARGEST)


def _are_in_range(numbers: NDArray[np.float64]) -> bool:
    """Without a copy of them, nor a look at each by itself."""
    low, high = np.fmin.reduce(numbers), np.fmax.reduce(numbers)  # of what is not missing
    return bool(low >= -LARGEST and high <= LARGEST)


def form_of(values: "pd.Series[Any]", decimal: Mark = "", *, least: float = MOSTLY) -> Form | None:
    """See `TakenApart`."""
    return TakenApart(values, decimal).form(least)


class TakenApart:
    """A column of text, taken apart once, whatever is asked of it then; a few values from all over tell most texts
    from numbers at once.

    decimal: as the file has it, where the column does not tell."""

    def __init__(self, values: "pd.Series[Any]", decimal: Mark = "") -> None:
        self._values, self._decimal = values, decimal
        step = len(values) // LOOKED_AT
        self._few = _Parts.of(every(values, step)) if step > 1 else None

    @cached_property
    def _all(self) -> "_Parts":
        return _Parts.of(self._values)

    def form(self, least: float = MOSTLY) -> Form | None:
        """How its numbers are written; None where fewer than `least` of its values are numbers, or one of them could
        be two, or all stand there as they are."""
        if self._few is not None and self._few.form(self._decimal, least / 2) is None:
            return None
        return self._all.form(self._decimal, least)

    def units(self) -> tuple[str, ...]:
        """The units of measure, or currencies, of numbers in several, the commonest first; else none."""
        return () if self._few is not None and not self._few.parts else self._all.units()


def amounts_in(values: "pd.Series[Any]", form: Form) -> NDArray[np.float64]:
    """The numbers; NaN where a value is none, or not of this form."""
    import pandas as pd

    places, found = pd.factorize(
        values if isinstance(values.dtype, pd.StringDtype) else values.astype(object)
    )
    distinct = np.asarray(found, dtype=object)
    numbers = np.full(len(distinct) + 1, np.nan)  # the last is for what is missing
    numbers[:-1] = _alike(distinct, form)
    left = np.flatnonzero(np.isnan(numbers[:-1]))
    numbers[left] = [_value(distinct[place], form) for place in left]
    every: NDArray[np.float64] = numbers[places]
    return every


def _alike(distinct: NDArray[np.object_], form: Form) -> NDArray[np.float64]:
    """The numbers that stand in what most of the first few stand in, all at once, and NaN for the others: a million
    prices are not taken apart one by one."""
    import pandas as pd

    numbers = np.full(len(distinct), np.nan)
    cells = (each for each in distinct[:100].tolist() if isinstance(each, str))
    first = [found for found in map(_CELL.fullmatch, cells) if found is not None]
    (before, behind), _ = (
        Counter((found[1], found[3]) for found in first).most_common(1)[0] if first else (("", ""), 0)
    )
    around = _around(before.strip(), behind.rstrip())
    if around is None or around[:2] != (1, 1.0) or not {*around[3:]} <= {"", form.currency, form.unit}:
        return numbers
    texts = pd.Series([each if isinstance(each, str) else "" for each in distinct.tolist()], dtype="str")
    core = texts.str.slice(len(before), -len(behind) if behind else None)
    here = (
        texts.str.startswith(before) & texts.str.endswith(behind) & core.str.fullmatch(NUMBER[form.decimal])
    )
    group = "," if form.decimal == "." else "."
    bare = core[here].str.replace(group, "", regex=False).str.replace(form.decimal, ".", regex=False)
    numbers[here.to_numpy(dtype=bool)] = pd.to_numeric(bare).to_numpy(dtype=np.float64)
    return numbers


def converted(values: "pd.Series[Any]", numbers: NDArray[np.float64]) -> str:
    """Two examples of what `amounts_in` made of a column: "'$1,234.56' as 1234.56, '(3.50)' as -3.5"; "" where all
    stood there as they are."""
    import pandas as pd

    plain = pd.to_numeric(values, errors="coerce").isna().to_numpy()
    below = np.flatnonzero(plain & (numbers < 0))[:1]
    places = [*np.flatnonzero(plain & ~np.isnan(numbers))[:50], *below]
    shown = {str(values.iloc[place]).strip(): float(numbers[place]) for place in places}
    first = next(iter(shown), "")
    # beside the first the more surprising one: below zero, or of another shape
    others = sorted(
        (text for text in shown if text != first),
        key=lambda text: (shown[text] >= 0, re.sub(r"\d+", "0", text) == re.sub(r"\d+", "0", first)),
    )
    return ", ".join(f"{text!r:.40} as {shown[text]:.12g}" for text in [first, *others[:1]] if text)


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """counts: how often each text is there. parts: of those that hold a number. rows: values that are no text too."""

    counts: Mapping[str, int]
    parts: Mapping[str, _Amount]
    rows: int

    @classmethod
    def of(cls, values: "pd.Series[Any]") -> "_Parts":
        import pandas as pd

        counts = (
            Distinct.of(values).by_text()
            if isinstance(values.dtype, pd.StringDtype)
            else Counter(value for value in values.tolist() if isinstance(value, str))
        )
        return cls(counts, {t: found for t in counts if (found := _apart(t)) is not None}, len(values))

    @property
    def texts(self) -> int:
        return sum(self.counts.values())

    def form(self, decimal: Mark, least: float) -> Form | None:
        """As `TakenApart.form` has it."""
        counts, parts = self.counts, self.parts
        if not parts or (len(counts) < LEVELS and least > HALF):
            return None
        proved = [
            mark for mark in _PROVEN if any(mark in f.core and _proves(f.core, mark) for f in parts.values())
        ]
        told: Mark = proved[0] if len(proved) == 1 else decimal or "."
        form = Form(told, *_unit(counts, parts))
        numbers = {text: n for text, each in parts.items() if (n := _number(each, form)) is not None}
        if all(each.times == 1 for each in parts.values()) and not form.unit:
            numbers = {text: n for text, n in numbers.items() if parts[text].unit not in _BESIDE_TIMES}
        fit = sum(counts[text] for text in numbers) + self.rows - self.texts
        if fit < least * self.rows or not numbers or _is_scale(counts, parts, numbers):
            return None
        if all(map(_AS_IT_IS.fullmatch, numbers)):
            return None
        # without more a comma may as well part the choices of an answer (1,3)
        bare = told == "," and decimal != "," and all(found.is_bare for found in parts.values())
        return None if bare and fit < self.rows else form

    def units(self) -> tuple[str, ...]:
        """As `TakenApart.units` has them."""
        found = Counter[str]()
        for text, parts in self.parts.items():
            found[parts.currency or parts.unit] += self.counts[text]
        units = tuple(unit for unit, _ in found.most_common() if unit)
        are_units = len(units) > 1 and all(
            unit in _MEASURES or re.fullmatch(_CURRENCY, unit, re.I) for unit in units
        )
        return units if are_units and found.total() >= MOSTLY * self.texts else ()


def _unit(counts: Mapping[str, int], parts: Mapping[str, _Amount]) -> tuple[str, str]:
    """The currency and unit of a column: the commonest. Of a few letters beside plain numbers (1OT) it is none."""
    found = Counter[tuple[str, str]]()
    are_scaled = any(each.times != 1 for each in parts.values())
    for text, each in parts.items():
        unit = "" if are_scaled and each.unit in _BESIDE_TIMES else each.unit
        found[each.currency, unit] += counts[text]
    named = sorted((key for key in found if key != ("", "")), key=lambda key: (-found[key], key))
    if not named:
        return "", ""
    currency, unit = named[0]
    is_word = bool(currency) or len(unit) > 3 or not unit.isalpha()
    return named[0] if is_word or found[named[0]] >= found["", ""] else ("", "")


def _proves(core: str, mark: Mark) -> bool:
    return _PROVEN[mark].fullmatch(_BLANKS.sub("", core)) is not None


def _is_scale(counts: Mapping[str, int], parts: Mapping[str, _Amount], numbers: Mapping[str, float]) -> bool:
    """Whether bounds part classes: most values are one, such as 50-, or two that differ in it are the same number; or
    signs behind numbers do, as in the grades 2+, 2 and 3-."""
    bounded = [text for text in numbers if parts[text].bound]
    trailing = [text for text in numbers if text.rstrip().endswith(("-", "−"))]
    over = [text for text in numbers if text.rstrip().endswith("+")]
    # 1,250.00- beside 1,250.00 is a booking and its reversal
    grades = [text for text in trailing if re.fullmatch(r"\s*\d{1,2}\s*[-−]\s*", text)]
    bare = {text.strip() for text in numbers}
    if (trailing and over) or any(text.strip(" +-−") in bare for text in [*over, *grades]):
        return True
    if max(sum(counts[text] for text in each) for each in (bounded, trailing)) > BOUNDED * sum(
        counts.values()
    ):
        return True
    sides = {(numbers[text], parts[text].bound) for text in bounded}
    return len({number for number, _ in sides}) < len(sides)


def _apart(cell: str) -> _Amount | None:
    found = _CELL.fullmatch(cell) if len(cell) <= LONG else None
    if found is None:
        return None
    gap = " " if found[2][-1].isspace() else ""  # the number takes what may part its groups
    around = _around(found[1].strip(), gap + found[3].rstrip())
    return None if around is None else _Amount(found[2].rstrip(_GROUPERS), *around)


@lru_cache(4096)
def _around(before: str, behind: str) -> tuple[int, float, str, str, str] | None:
    """What stands around a number: its sign, times, bound, currency and unit; None where that is something else."""
    start, end = _BEFORE.fullmatch(before), _BEHIND.fullmatch(behind)
    if start is None or end is None:
        return None
    opened = [start["open"], start["inner"]].count("(")
    signs = [each for each in (start["sign"], start["inner"], end["sign"]) if each not in ("", "(")]
    if opened != len(end["close"]) or len(signs) + opened > 1:
        return None
    currency, times, unit = start["currency"], 1.0, end["unit"]
    word = re.match(rf"({_LETTER}+)\.?", unit)
    if word is not None:
        rest = unit[word.end() :].strip()
        is_money = bool(currency or re.fullmatch(_CURRENCY, rest, re.IGNORECASE))
        is_kelvin = word[1] == "K" and behind[: end.start("unit")].endswith(" ")
        scale = None if is_kelvin and not is_money else _times(word[1], money=is_money)
        times, unit = (1.0, unit) if scale is None else (scale, rest)
    if not currency and re.fullmatch(_CURRENCY, unit, re.IGNORECASE):
        currency, unit = unit, ""
    sign = -1 if opened or (signs and signs[0] != "+") else 1
    return sign, times, start["bound"][:1], _plain(currency), _plain(unit)


def _times(word: str, *, money: bool) -> float | None:
    return _TIMES.get(word.lower() if len(word) > 2 else word) or (_OF_MONEY.get(word) if money else None)


def _plain(text: str) -> str:
    """As units are held against each other: kg, KG and kg. are one, and so are year and years."""
    small = " ".join(text.lower().strip(" .").split())
    small = small[:-1] if len(small) > 3 and small.endswith("s") else small
    return _SAME.get(small, small)


def _number(found: _Amount, form: Form) -> float | None:
    """None where it is not of the form."""
    if not form.unit and found.unit in _BESIDE_TIMES:
        found = replace(found, times=_BESIDE_TIMES[found.unit], unit="")
    if found.currency not in ("", form.currency) or found.unit not in ("", form.unit):
        return None
    if found.times != 1 and found.unit != form.unit:
        return None  # 6A beside 6B
    core, decimal = found.core, form.decimal
    if _IN_GROUPS.fullmatch(core):
        core = _BLANKS.sub("", core)
    if not _NUMBER[decimal].fullmatch(core) and not (decimal == "." and _INDIAN.fullmatch(core)):
        return None
    bare = core.replace("," if decimal == "." else ".", "").replace(decimal, ".")
    return found.sign * float(bare) * found.times


def _value(value: Any, form: Form) -> float:
    if isinstance(value, str):
        found = _apart(value)
        number = None if found is None else _number(found, form)
        return np.nan if number is None else number
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan
