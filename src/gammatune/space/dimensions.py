"""The dimensions of a search space, and how each fills its columns of the unit cube: see `gammatune.space`."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from gammatune.errors import InvalidSpace
from gammatune.records import Value

Array: TypeAlias = npt.NDArray[np.float64]

BATCH_SIZE = "batch_size"  # the one name that steers the loader, not the optimizer
LR_RATIO = "lr_ratio"  # what the rates of one part are multiplied by beside those of the others
OPTIMIZER = "optimizer"  # the one name that says which optimizer takes the steps
DIGITS = 12  # significant digits that tell two floats apart: far below any effect, far above rounding noise
SLACK = 1e-12  # how far (relative) a float may lie outside its bounds and still count as the bound itself
LARGEST_INT = 2**53  # beyond this, neighbouring integers are the same float64
SMALLEST_LOG = 1e-300  # below this, floats lose the digits that `DIGITS` promises


def is_number(x: object) -> bool:
    return isinstance(x, Real) and not isinstance(x, bool | np.bool_)


def is_integer(x: object) -> bool:
    return isinstance(x, Integral) and not isinstance(x, bool | np.bool_)


@dataclass(frozen=True, slots=True)
class Float:
    """Real numbers from low to high, both included; `log` spreads the search over orders of magnitude.

    low, high: finite, low < high, further apart than a millionth of the larger; with log, low >= 1e-300.
    Raises InvalidSpace otherwise.
    """

    size: ClassVar[float] = math.inf
    columns: ClassVar[int] = 1

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_bounds(self, "numbers", is_number)
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))
        if not math.isfinite(self.high - self.low):
            raise InvalidSpace(
                f"the range of {self} overflows; write bounds whose difference is a finite float"
            )
        if self.high - self.low <= 1e-6 * max(abs(self.low), abs(self.high)):
            raise InvalidSpace(
                f"the bounds of {self} are too close to search between; write Choice(({self.low},))"
            )
        if self.log and self.low < SMALLEST_LOG:
            raise InvalidSpace(
                f"a logarithmic range must start above 0 (at {SMALLEST_LOG:g} or more), "
                f"got low={self.low}; write a positive low, for example 1e-6, or leave log out"
            )

    def contains(self, value: object) -> bool:
        if not is_number(value):
            return False
        x = float(value)  # type: ignore[arg-type]
        slack = SLACK * max(abs(self.low), abs(self.high))
        if self.log:
            return self.low * (1 - SLACK) <= x <= self.high + slack
        return self.low - slack <= x <= self.high + slack

    def round(self, value: Any) -> float:
        """The nearest legal value, with `DIGITS` digits (of the value if log, else of the larger bound)."""
        if self.log:
            x = float(f"{float(value):.{DIGITS}g}")
        else:
            largest = max(abs(self.low), abs(self.high))
            x = round(float(value), DIGITS - 1 - math.floor(math.log10(largest)))
        return min(max(x, self.low), self.high) + 0.0  # + 0.0 turns -0.0 into 0.0

    def to_unit(self, value: Any) -> list[float]:
        x = min(max(float(value), self.low), self.high)
        if self.log:
            return [(math.log(x) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))]
        return [(x - self.low) / (self.high - self.low)]

    def from_unit(self, u: Sequence[float]) -> float:
        if u[0] >= 1:
            return self.high
        if self.log:
            return self.round(
                math.exp(math.log(self.low) + u[0] * (math.log(self.high) - math.log(self.low)))
            )
        return self.round(self.low + u[0] * (self.high - self.low))

    def snap(self, u: Array) -> Array:
        return u

    def grid(self, points: int) -> list[Value]:
        if points == 1:
            return [self.from_unit([0.5])]
        return [self.from_unit([i / (points - 1)]) for i in range(points)]

    def key(self, value: Any) -> Hashable:
        return float(f"{self.round(value):.{DIGITS}g}")


@dataclass(frozen=True, slots=True)
class Int:
    """Whole numbers from low to high, both included; `log` spreads the search over orders of magnitude.

    low, high: integers within +-2^53, low < high; with log, low >= 1. Raises InvalidSpace otherwise.
    """

    columns: ClassVar[int] = 1

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_bounds(self, "whole numbers", is_integer)
        object.__setattr__(self, "low", int(self.low))
        object.__setattr__(self, "high", int(self.high))
        if max(abs(self.low), abs(self.high)) > LARGEST_INT:
            raise InvalidSpace(
                f"the bounds of {self} lie beyond 2^53; write Float(low, high, log=True) instead"
            )
        if self.log and self.low < 1:
            raise InvalidSpace(
                f"a logarithmic range must start above 0, got low={self.low}; write low=1 or more, or leave log out"
            )

    @property
    def size(self) -> float:
        return self.high - self.low + 1

    @property
    def _line(self) -> tuple[float, float]:
        """The ends of the line that the integers share, on the log scale if log."""
        low, high = self.low - 0.5, self.high + 0.5
        return (math.log(low), math.log(high)) if self.log else (low, high)

    def contains(self, value: object) -> bool:
        return is_integer(value) and self.low <= value <= self.high  # type: ignore[operator]

    def to_unit(self, value: Any) -> list[float]:
        low, high = self._line
        return [((math.log(value) if self.log else value) - low) / (high - low)]

    def from_unit(self, u: Sequence[float]) -> int:
        low, high = self._line
        x = low + u[0] * (high - low)
        return min(max(math.floor((math.exp(x) if self.log else x) + 0.5), self.low), self.high)

    def snap(self, u: Array) -> Array:
        low, high = self._line
        x = low + u * (high - low)
        x = np.clip(np.floor((np.exp(x) if self.log else x) + 0.5), self.low, self.high)
        return np.asarray(((np.log(x) if self.log else x) - low) / (high - low))

    def grid(self, points: int) -> list[Value]:
        if self.size <= points:
            return list(range(self.low, self.high + 1))
        ends = Float(self.low, self.high, log=self.log).grid(points)
        return sorted({round(x) for x in ends if not isinstance(x, str)})

    def key(self, value: Any) -> Hashable:
        return int(value)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few options: all numbers (then their order is used) or anything among float, int and str.

    options: at least one, no two equal, every number finite, no booleans. Raises InvalidSpace otherwise.
    """

    options: tuple[Value, ...]

    def __post_init__(self) -> None:
        given: object = self.options
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise InvalidSpace(f"a choice takes a list of options, got {given!r}; write Choice((16, 32, 64))")
        options = tuple(_plain(option) for option in given)
        if not options:
            raise InvalidSpace("a choice needs at least one option, got none; write Choice((16, 32, 64))")
        for i, option in enumerate(options):
            if option in options[:i]:
                raise InvalidSpace(
                    f"the option {option!r} appears twice in {options}; write each option once"
                )
        object.__setattr__(self, "options", options)

    @property
    def size(self) -> float:
        return len(self.options)

    @property
    def ordered(self) -> bool:
        """All options are numbers, so that one column holds them in order."""
        return not any(isinstance(option, str) for option in self.options)

    @property
    def columns(self) -> int:
        return 1 if self.ordered else len(self.options)

    def contains(self, value: object) -> bool:
        return not isinstance(value, bool | np.bool_) and value in self.options

    def to_unit(self, value: Any) -> list[float]:
        if self.ordered:
            return [(sorted(self.options).index(value) + 0.5) / len(self.options)]
        return [float(option == value) for option in self.options]

    def from_unit(self, u: Sequence[float]) -> Value:
        if self.ordered:
            return sorted(self.options)[min(int(u[0] * len(self.options)), len(self.options) - 1)]
        return self.options[max(range(len(u)), key=lambda i: u[i])]

    def snap(self, u: Array) -> Array:
        k = len(self.options)
        if self.ordered:
            return np.asarray((np.minimum(np.floor(u * k), k - 1) + 0.5) / k)
        return np.asarray(np.eye(k)[np.argmax(u, axis=1)])

    def grid(self, points: int) -> list[Value]:
        return sorted(self.options) if self.ordered else list(self.options)

    def key(self, value: Any) -> Hashable:
        return self.options.index(value)


Dimension: TypeAlias = Float | Int | Choice


def _check_bounds(dimension: Float | Int, kind: str, is_legal: Any) -> None:
    low, high, name = dimension.low, dimension.high, type(dimension).__name__
    for bound in (low, high):
        if not is_legal(bound):
            raise InvalidSpace(f"{name} takes {kind} as bounds, got {bound!r} ({type(bound).__name__})")
        if not math.isfinite(bound):
            raise InvalidSpace(
                f"{name} takes finite bounds, got {bound}; write the largest value worth a trial"
            )
    if not isinstance(dimension.log, bool):
        raise InvalidSpace(
            f"log is True or False, got {dimension.log!r}; write {name}({low}, {high}, log=True)"
        )
    if low == high:
        raise InvalidSpace(
            f"{name} got equal bounds, low=high={low}; write Choice(({low},)) for a fixed value"
        )
    if low > high:
        raise InvalidSpace(
            f"{name} got reversed bounds, low={low} > high={high}; write {name}({high}, {low})"
        )


def _plain(option: object) -> Value:
    """The option as a plain Python float, int or str."""
    if isinstance(option, str):
        return str(option)
    if is_integer(option):
        return int(option)  # type: ignore[call-overload, no-any-return]
    if is_number(option):
        x = float(option)  # type: ignore[arg-type]
        if math.isfinite(x):
            return x
        raise InvalidSpace(f"an option must be finite, got {x}; leave it out")
    raise InvalidSpace(f"an option is a float, an int or a str, got {option!r} ({type(option).__name__})")


def written(dimension: Dimension) -> str:
    """As `text.parse` reads it, without the name."""
    match dimension:
        case Float(low, high, log):
            return f"{low!r}:{high!r}" + (":log" if log else "")
        case Int(low, high, log):
            return f"{low}:{high}:int" + (",log" if log else "")
        case Choice(options):
            return ",".join(map(str, options))
