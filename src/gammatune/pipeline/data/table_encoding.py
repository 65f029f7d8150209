"""How a column of a table becomes numbers for a network; see `gammatune.pipeline.data.table_preprocessing`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gammatune.pipeline.data.cells.amounts import Form, numbers_in
from gammatune.pipeline.data.cells.spelling import find
from gammatune.pipeline.data.values import Cycle, dates_in, days_of, place_in_cycle, texts_in

if TYPE_CHECKING:
    import pandas as pd

CLIP = 3.0  # RealMLP's
FAR = 1e6  # scales from the centre, where all is the same to 32 bits, and squares are finite
TOGETHER = 16  # columns that are written at once: as many as a line of the cache holds
_ROWS, _PIECE = 1 << 11, 1 << 14  # of these, and of one alone, which stay in the cache [guess]
UNKNOWN, MISSING = 0, 1  # codes

Part: TypeAlias = Literal["trend"] | Cycle
CYCLES: Mapping[Cycle, int] = {"month": 12, "weekday": 7, "hour": 24}


@dataclass(frozen=True, slots=True)
class Number:
    """centre, scale: median and interquartile range, scale > 0. flagged: a column says where it is missing. form: how
    text writes its numbers; None: as they are. missing: numbers that stand for missing."""

    name: str
    centre: float
    scale: float
    flagged: bool
    form: Form | None = None
    missing: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        return 1 + self.flagged


@dataclass(frozen=True, slots=True)
class Category:
    """levels: in the order of their codes, from 2 on; of spellings that are one, the commonest."""

    name: str
    levels: tuple[str, ...]

    @property
    def codes(self) -> int:
        return 2 + len(self.levels)


@dataclass(frozen=True, slots=True)
class Date:
    """format: as in `Column`. parts: what is made of it. centre, scale: of the days since 1970. flagged: see
    Number."""

    name: str
    format: str | None
    parts: tuple[Part, ...]
    centre: float
    scale: float
    flagged: bool

    @property
    def width(self) -> int:
        return sum(1 if part == "trend" else 2 for part in self.parts) + self.flagged


Encoded: TypeAlias = Number | Category | Date


def encode_columns(
    columns: Sequence[Encoded],
    values: "Callable[[str], pd.Series[Any]]",
    one_hot: bool,
    parts: Sequence[NDArray[np.float32]],
) -> list[str]:
    """Writes the columns into each part of x, one part behind the other in the values of a column; what was unusual
    in them is returned.

    values: of a column, by name. parts: (n_i, F).
    """
    said, at = list[str](), 0
    held = list[NDArray[Any]]()  # float32 or truth values
    for column in columns:
        if not isinstance(column, Category):
            held += _numbers(column, values(column.name))
        else:
            places, distinct = texts_in(values(column.name))
            codes = _codes(column, places, distinct)
            said += _unknown(column.name, codes, places, distinct)
            if one_hot:
                at = _write(held, parts, at)
                _write_ones(codes, parts, at, column.codes)
                at += column.codes
            else:
                held.append(codes.astype(np.float32))
        if len(held) >= TOGETHER:
            at = _write(held, parts, at)
    _write(held, parts, at)
    return said


def _write(held: list[NDArray[Any]], parts: Sequence[NDArray[np.float32]], at: int) -> int:
    """The columns held, from the place `at` on, and where those behind them begin; none is held then. Some rows at
    once: one column alone would come by each of the rows for four bytes of it."""
    behind, end = at + len(held), 0
    for x in parts:
        start, end = end, end + len(x)
        for row in range(0, len(x) if held else 0, _ROWS):
            several = x[row : row + _ROWS, at:behind]
            first = start + row
            for place, each in enumerate(held):
                several[:, place] = each[first : first + len(several)]
    held.clear()
    return behind


def _write_ones(codes: NDArray[np.int64], parts: Sequence[NDArray[np.float32]], at: int, width: int) -> None:
    end = 0
    for x in parts:
        start, end = end, end + len(x)
        x[:, at : at + width] = 0
        x[np.arange(len(x)), at + codes[start:end]] = 1


def _unknown(name: str, codes: NDArray[Any], places: NDArray[np.int64], distinct: Sequence[str]) -> list[str]:
    """A sentence where levels were not learned."""
    strange = np.flatnonzero(codes == UNKNOWN)
    if not len(strange):
        return []
    many = len(strange) > 1
    return [
        f"{len(strange)} value{'s' * many} of {name} {'were' if many else 'was'} not among the levels learned, "
        f"such as {distinct[places[strange[0]]]!r:.40}: {'they count' if many else 'it counts'} as unknown."
    ]


def _numbers(column: Number | Date, values: "pd.Series[Any]") -> list[NDArray[Any]]:
    if isinstance(column, Date):
        return _encode_date(column, values)
    numbers = numbers_in(values, column.form, column.missing)
    return _flag([_squash(numbers, column.centre, column.scale)], column.flagged)


def _squash(values: NDArray[np.float64], centre: float, scale: float) -> NDArray[np.float32]:
    """RealMLP's robust scaling and smooth clipping; missing stays missing."""
    far = FAR * scale
    squashed = np.empty(len(values), np.float32)
    for start in range(0, len(values), _PIECE):
        piece = slice(start, start + _PIECE)
        u = np.clip(values[piece], centre - far, centre + far)
        u -= centre
        u /= scale
        bend = u / CLIP
        np.divide(u, np.hypot(1, bend, out=bend), out=u)
        squashed[piece] = u
    return squashed


def _flag(encoded: list[NDArray[np.float32]], flagged: bool) -> list[NDArray[Any]]:
    """Missing values at the centre, and a column that says where they were."""
    missing = np.isnan(encoded[0])
    if missing.any():
        for each in encoded:
            each[missing] = 0.0
    return [*encoded, missing] if flagged else [*encoded]


def _encode_date(column: Date, values: "pd.Series[Any]") -> list[NDArray[Any]]:
    dates = dates_in(values, column.format)
    found = list[NDArray[np.float32]]()
    for part in column.parts:
        if part == "trend":
            found.append(_squash(days_of(dates), column.centre, column.scale))
            continue
        angle = 2 * np.pi * np.arange(CYCLES[part], dtype=np.float64) / CYCLES[part]
        places = place_in_cycle(dates, part)  # of what is missing the last
        found += [np.append(of(angle), np.nan).astype(np.float32)[places] for of in (np.sin, np.cos)]
    return _flag(found, column.flagged)


def _codes(column: Category, places: NDArray[np.int64], distinct: Sequence[str]) -> NDArray[np.int64]:
    """places: of each value among the distinct ones, -1 where it is missing."""
    found = [-1 if place is None else place for place in find(distinct, column.levels)]
    coded = np.array([UNKNOWN if place < 0 else place + 2 for place in found] + [MISSING], dtype=np.int64)
    codes: NDArray[np.int64] = coded[places]  # the place of what is missing is the last
    return codes
