"""How a column of a table becomes numbers for a network; see `gammatune.pipeline.data.table_preprocessing`."""

from collections.abc import Mapping, Sequence
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


def encode_column(
    column: Encoded,
    values: "pd.Series[Any]",
    one_hot: bool,
    parts: Sequence[NDArray[np.float32]],
    said: list[str],
) -> None:
    """Writes the column into its places of each part of x, one behind the other in `values`.

    parts: (n_i, w), those of the column alone. said: takes what was unusual in it.
    """
    if isinstance(column, Category):
        places, distinct = texts_in(values)
        codes = _codes(column, places, distinct)
        said += _unknown(column.name, codes, places, distinct)
    else:
        numbers = _numbers(column, values)
    end = 0
    for x in parts:
        start, end = end, end + len(x)
        if not isinstance(column, Category):
            x[:] = numbers[start:end]
            continue
        own = codes[start:end]
        if one_hot:
            x[:] = 0
            x[np.arange(len(own)), own] = 1
        else:
            x[:, 0] = own


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


def _numbers(column: Number | Date, values: "pd.Series[Any]") -> NDArray[np.float64]:
    if isinstance(column, Date):
        return _encode_date(column, values)
    numbers = numbers_in(values, column.form, column.missing)
    return _flag(_squash(numbers, column.centre, column.scale)[:, None], column.flagged)


def _squash(values: NDArray[np.float64], centre: float, scale: float) -> NDArray[np.float64]:
    """RealMLP's robust scaling and smooth clipping; missing stays missing."""
    far = FAR * scale
    u = np.clip(values, centre - far, centre + far)
    u -= centre
    u /= scale
    bend = u / CLIP
    squashed: NDArray[np.float64] = np.divide(u, np.hypot(1, bend, out=bend), out=u)
    return squashed


def _flag(encoded: NDArray[np.float64], flagged: bool) -> NDArray[np.float64]:
    """Missing values at the centre, and a column that says where they were."""
    missing = np.isnan(encoded[:, :1])
    if missing.any():
        encoded[missing[:, 0]] = 0.0
    return np.concatenate([encoded, missing], axis=1) if flagged else encoded


def _encode_date(column: Date, values: "pd.Series[Any]") -> NDArray[np.float64]:
    dates = dates_in(values, column.format)
    parts = []
    for part in column.parts:
        if part == "trend":
            parts.append(_squash(days_of(dates), column.centre, column.scale)[:, None])
            continue
        angle = 2 * np.pi * np.arange(CYCLES[part], dtype=np.float64) / CYCLES[part]
        circle = np.stack([np.append(np.sin(angle), np.nan), np.append(np.cos(angle), np.nan)], axis=1)
        parts.append(circle[place_in_cycle(dates, part)])  # of what is missing the last
    return _flag(np.concatenate(parts, axis=1), column.flagged)


def _codes(column: Category, places: NDArray[np.int64], distinct: Sequence[str]) -> NDArray[np.int64]:
    """places: of each value among the distinct ones, -1 where it is missing."""
    found = [-1 if place is None else place for place in find(distinct, column.levels)]
    coded = np.array([UNKNOWN if place < 0 else place + 2 for place in found] + [MISSING], dtype=np.int64)
    codes: NDArray[np.int64] = coded[places]  # the place of what is missing is the last
    return codes
