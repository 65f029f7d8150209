"""Codes for missing: numbers, or words, that stand where a value would. Declared, or found by a rule that is said.

Found is what has the shape of such a code (99, -999, -1, -200, ...), stands at an end of the numbers, far outside of
the rest, and is there more than once. A code that one column of a table has is one in the others too, where it stands
alone below or above the rest of them, near or far.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gammatune.pipeline.data.cells.replaced import replaced

if TYPE_CHECKING:
    import pandas as pd

NONE = "none"  # said in the place of codes: there are none, and none are looked for
FAR = 5.0  # ranges of the rest that lie between it and a code, at least [guess]
BELOW = 1.0  # where nothing else is below zero, and the code is -7 or less [guess]
ASIDE = 0.1  # of that range, where another column has the same code [guess]
HOLES = 2.0  # times the largest gap within the rest, there too [guess]
TIMES, SHARE = 2, 0.005  # how often a code is there, at least [guess]
MOST = 4  # codes in a column: refused, does not know, does not apply, not asked
# 9, 99, ... with the refusals before them, with decimals, and below zero; -200 of sensors, the least of 16 bits.
_NINES = [10.0**n - 1 for n in range(1, 9)]
_ABOVE = [
    *_NINES,
    *(nines - less for nines in _NINES[1:4] for less in (1, 2, 11)),
    *(n / 10 for n in _NINES[2:5]),
]
_USUAL = frozenset(
    [*_ABOVE, *(-code for code in _ABOVE), -1.0, -2.0, -3.0, -7.0, -8.0, -77.0, -200.0, -32768.0]
)


def without(frame: "pd.DataFrame", codes: Sequence[str]) -> "pd.DataFrame":
    """The frame with nothing where a cell is one of the codes: a number equal to it, or text."""
    if not codes or tuple(codes) == (NONE,):
        return frame
    numbers = [number for code in codes if (number := _number(code)) is not None]
    changed = {}
    for name in frame.columns:
        values = frame[name]
        kind = getattr(values.dtype, "kind", "O")
        if kind in "iuf":
            here = values.isin(numbers)
        elif kind in "mMbc":
            continue
        else:
            text = values.astype(object).map(lambda value: value.strip() if isinstance(value, str) else value)
            here = text.isin([*codes, *numbers]) & ~text.map(lambda value: isinstance(value, bool)).astype(
                bool
            )
        if here.any():
            changed[name] = values.mask(here)
    return replaced(frame, changed)


def codes_in(columns: "Mapping[str, NDArray[np.float64]]") -> dict[str, tuple[float, ...]]:
    """The codes of each column of numbers that has some, by name. NaN is what is missing already."""
    ends = {name: found for name, numbers in columns.items() if (found := _ends(numbers, FAR))}
    known = frozenset(code for codes in ends.values() for code in codes)
    if not known:
        return {}
    known = frozenset(code for code in known if abs(code) >= 10)  # 9 may be a number anywhere else
    others = {name: _ends(numbers, ASIDE, known) for name, numbers in columns.items() if name not in ends}
    return ends | {name: found for name, found in others.items() if found}


def told(
    name: str, found: Mapping[str, Sequence[float]], columns: "Mapping[str, NDArray[np.float64]]"
) -> str:
    """'has -999 (12 times) far from the rest: missing. ...', for people. name: of a column with codes. found: as
    `codes_in` has them of the columns."""
    codes, numbers = found[name], columns[name]
    where = "far from the rest"
    if not _ends(numbers, FAR):
        like = [other for other in found if {*codes} & {*found[other]} and _ends(columns[other], FAR)]
        where = f"as in {like[0]}"
    counts = [f"{code:.12g} ({int((numbers == code).sum())} times)" for code in codes]
    return f"has {' and '.join(counts)} {where}: missing. --missing {NONE} takes such numbers as they are"


def _ends(numbers: NDArray[np.float64], far: float, usual: frozenset[float] = _USUAL) -> tuple[float, ...]:
    """The codes at both ends of the numbers, so far outside of the rest."""
    if not len(numbers):
        return ()
    ends = [float(end.reduce(numbers)) for end in (np.fmin, np.fmax)]  # of what is not missing
    if not usual.intersection(ends):  # so are most columns, without another look
        return ()
    here = numbers[~np.isnan(numbers)]
    least = max(TIMES, SHARE * len(here))
    if all(end not in usual or (here == end).sum() < least for end in ends):
        return ()
    values, counts = _counted(here)

    def is_code(place: int) -> bool:
        return float(values[place]) in usual and bool(counts[place] >= least)

    lows = [n for n in range(MOST + 1) if n < len(values) and all(map(is_code, range(n)))]
    highs = [n for n in range(MOST + 1) if n < len(values) and all(is_code(-1 - place) for place in range(n))]
    possible = sorted(((low, high) for low in lows for high in highs if 0 < low + high <= MOST), key=sum)
    for low, high in reversed(possible):
        end = len(values) - high
        outer = np.concatenate([values[:low], values[end:]])
        if low < end and _lie_apart(values[:low], values[low:end], values[end:], far):
            return tuple(outer.tolist())
    return ()


def _counted(numbers: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The different ones, sorted, and how often each is there: of a million that repeat no more are sorted."""
    import pandas as pd

    places, values = pd.factorize(numbers)
    order = np.argsort(values)
    return values[order], np.bincount(places, minlength=len(values))[order]


def _lie_apart(
    low: NDArray[np.float64], rest: NDArray[np.float64], high: NDArray[np.float64], far: float
) -> bool:
    """Whether codes below and above the rest of the numbers are so far from them; all are sorted."""
    small = min(np.abs(low).min(initial=np.inf), np.abs(high).min(initial=np.inf)) < 10
    if len(rest) < (3 if small else 2):
        return False  # 9 beside 0 and 1 alone may be a third of three groups
    span = rest[-1] - rest[0]
    hole = HOLES * np.diff(rest).max() if far < BELOW else 0.0
    are_odd = len(low) > 0 and rest[0] >= 0 and low[-1] <= -7
    is_below = not len(low) or rest[0] - low[-1] > max((min(far, BELOW) if are_odd else far) * span, hole)
    return bool(is_below and (not len(high) or high[0] - rest[-1] > max(far * span, hole)))


def _number(code: str) -> float | None:
    try:
        return float(code)
    except ValueError:
        return None
