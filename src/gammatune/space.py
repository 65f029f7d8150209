"""Search spaces: named dimensions, and the one map between a user's values and the unit cube.

Symbols: d columns of the unit cube, q points. Everything that searches works on points u in [0, 1]^d; everything
that trains works on `Values`, a mapping from names to plain Python float, int or str. `Space` is the only
place where one becomes the other, and the only place that says when two candidates are the same (`key`).

How a dimension fills its columns:
    Float           1 column, linear or logarithmic
    Int             1 column; each integer owns an equal share (of the line, or of the log line), and its
                    unit coordinate is where it lies in its share, so that uniform u gives uniform integers
    Choice, numbers 1 column; the sorted options own equal shares (order counts, distance does not)
    Choice, other   one column for each option ("one-hot"); the largest coordinate wins
"""

import itertools
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gammatune.errors import InvalidArgument, InvalidSpace
from gammatune.records import Value, Values

Array: TypeAlias = npt.NDArray[np.float64]

BATCH_SIZE = "batch_size"  # the one name that steers the loader, not the optimizer
OPTIMIZER = "optimizer"  # the one name that says which optimizer takes the steps
DIGITS = 12  # significant digits that tell two floats apart: far below any effect, far above rounding noise
SLACK = 1e-12  # how far (relative) a float may lie outside its bounds and still count as the bound itself
LARGEST_INT = 2**53  # beyond this, neighbouring integers are the same float64
SMALLEST_LOG = 1e-300  # below this, floats lose the digits that `DIGITS` promises


def _is_number(x: object) -> bool:
    return isinstance(x, Real) and not isinstance(x, bool | np.bool_)


def _is_integer(x: object) -> bool:
    return isinstance(x, Integral) and not isinstance(x, bool | np.bool_)


@dataclass(frozen=True, slots=True)
class Float:
    """Real numbers from low to high, both included; `log` spreads the search over orders of magnitude.

    low, high: finite, low < high, further apart than a millionth of the larger; with log, low >= 1e-300.
    Raises InvalidSpace otherwise.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_bounds(self, "numbers", _is_number)
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

    @property
    def size(self) -> float:
        return math.inf

    @property
    def columns(self) -> int:
        return 1

    def contains(self, value: object) -> bool:
        if not _is_number(value):
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

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_bounds(self, "whole numbers", _is_integer)
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
    def columns(self) -> int:
        return 1

    @property
    def _line(self) -> tuple[float, float]:
        """The ends of the line that the integers share, on the log scale if log."""
        low, high = self.low - 0.5, self.high + 0.5
        return (math.log(low), math.log(high)) if self.log else (low, high)

    def contains(self, value: object) -> bool:
        return _is_integer(value) and self.low <= value <= self.high  # type: ignore[operator]

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
    if _is_integer(option):
        return int(option)  # type: ignore[call-overload, no-any-return]
    if _is_number(option):
        x = float(option)  # type: ignore[arg-type]
        if math.isfinite(x):
            return x
        raise InvalidSpace(f"an option must be finite, got {x}; leave it out")
    raise InvalidSpace(f"an option is a float, an int or a str, got {option!r} ({type(option).__name__})")


@dataclass(frozen=True, init=False)
class Space:
    """A product of named dimensions; immutable, hashable and picklable.

    dimensions: a mapping from names (non-empty str) to Float, Int or Choice, at least one.
    Raises InvalidSpace otherwise; its methods raise InvalidArgument for values or points that do not fit.
    """

    items: tuple[tuple[str, Dimension], ...]

    def __init__(self, dimensions: Mapping[str, Dimension]) -> None:
        if not isinstance(dimensions, Mapping):
            raise InvalidSpace(
                f"a space takes a mapping from names to dimensions, got {dimensions!r}; "
                'write Space({"lr": Float(1e-6, 10, log=True)})'
            )
        if not dimensions:
            raise InvalidSpace(
                'a space needs a dimension, got none; write Space({"lr": Float(1e-6, 10, log=True)})'
            )
        for name, dimension in dimensions.items():
            if not isinstance(name, str) or not name:
                raise InvalidSpace(f"the name of a dimension is a non-empty str, got {name!r}")
            if not isinstance(dimension, Float | Int | Choice):
                raise InvalidSpace(
                    f"{name} is {dimension!r}; write Float(low, high), Int(low, high) or Choice((a, b))"
                )
        object.__setattr__(self, "items", tuple(dimensions.items()))

    def __getitem__(self, name: str) -> Dimension:
        return dict(self.items)[name]

    @property
    def lines(self) -> tuple[str, ...]:
        """The space as text, a line a dimension: what `parse` reads."""
        return tuple(f"{name}={_written(dimension)}" for name, dimension in self.items)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.items)

    @property
    def size(self) -> float:
        """The number of distinct points: an int, or inf where a dimension is Float."""
        return math.prod(dimension.size for _, dimension in self.items)

    @property
    def columns(self) -> int:
        """d, the dimension of the unit cube."""
        return sum(dimension.columns for _, dimension in self.items)

    @property
    def blocks(self) -> tuple[tuple[Dimension, slice], ...]:
        """Each dimension with the columns it fills."""
        ends = list(itertools.accumulate((dimension.columns for _, dimension in self.items), initial=0))
        return tuple(
            (dimension, slice(start, stop))
            for (_, dimension), start, stop in zip(self.items, ends, ends[1:], strict=False)
        )

    def contains(self, values: Values) -> bool:
        """True where every name, and no other, has a value within its dimension."""
        return set(values) == set(self.names) and all(dim.contains(values[name]) for name, dim in self.items)

    def _check(self, values: Values) -> None:
        if set(values) != set(self.names):
            raise InvalidArgument(f"a candidate has the names {self.names}, got {tuple(values)}")
        for name, dimension in self.items:
            if not dimension.contains(values[name]):
                raise InvalidArgument(f"{name}={values[name]!r} does not lie in {dimension}")

    def to_unit(self, values: Values) -> Array:  # (d,)
        """The point of the unit cube that stands for these values."""
        self._check(values)
        return np.array([u for name, dim in self.items for u in dim.to_unit(values[name])], dtype=np.float64)

    def from_unit(self, u: npt.ArrayLike) -> Values:
        """The legal values nearest to u (d,); coordinates outside [0, 1] count as the bound they passed."""
        point = np.asarray(u, dtype=np.float64)
        if point.shape != (self.columns,) or np.isnan(point).any():
            raise InvalidArgument(f"a point has {self.columns} coordinates, none of them NaN, got {point}")
        inside = np.clip(point, 0.0, 1.0).tolist()
        return {
            name: dim.from_unit(inside[block])
            for name, (dim, block) in zip(self.names, self.blocks, strict=True)
        }

    def snap(self, u: Array) -> Array:  # (q, d)
        """Each point (q, d) moved to the unit coordinates of the legal values it stands for (floats stay)."""
        inside = np.clip(u, 0.0, 1.0)
        return np.concatenate([dim.snap(inside[:, block]) for dim, block in self.blocks], axis=1)

    def key(self, values: Values) -> Hashable:
        """The identity of a candidate: equal for values that differ by less than the 12th digit."""
        self._check(values)
        return tuple(dimension.key(values[name]) for name, dimension in self.items)

    def sample(self, rng: np.random.Generator) -> Values:
        """One candidate, uniform in the unit cube (so log-uniform where a dimension says log)."""
        return self.from_unit(rng.random(self.columns))

    def axes(self, points: int) -> tuple[tuple[Value, ...], ...]:
        """The grid values of each dimension: `points` in a Float (ends included), at most that many in an
        Int, every option of a Choice."""
        if not _is_integer(points) or points < 1:
            raise InvalidArgument(f"a grid takes 1 or more points per float dimension, got {points!r}")
        return tuple(tuple(dimension.grid(points)) for _, dimension in self.items)

    def grid(self, points: int) -> Iterator[Values]:
        """Every combination of `axes(points)`, the last dimension running fastest."""
        for combination in itertools.product(*self.axes(points)):
            yield dict(zip(self.names, combination, strict=True))


# Text, for a command line ---------------------------------------------------------------------------------


def _written(dimension: Dimension) -> str:
    match dimension:
        case Float(low, high, log):
            return f"{low!r}:{high!r}" + (":log" if log else "")
        case Int(low, high, log):
            return f"{low}:{high}:int" + (",log" if log else "")
        case Choice(options):
            return ",".join(map(str, options))


def parse(*texts: str) -> Space:
    """The space written as `name=low:high[:log][:int]` or `name=option,option,...`, one text a dimension.

    "lr=1e-4:1:log", "lr=0:0.5", "layers=1:8:int", "width=8:512:int,log", "batch_size=16,32,64".
    Raises InvalidSpace with one line naming the text and what to write instead.
    """
    dimensions: dict[str, Dimension] = {}
    for text in texts:
        name, dimension = _parse_dimension(text)
        if name in dimensions:
            raise InvalidSpace(f"{name} is given twice; write each name once")
        dimensions[name] = dimension
    return Space(dimensions)


def _parse_dimension(text: str) -> tuple[str, Dimension]:
    name, equals, body = (part.strip() for part in text.partition("="))
    if not equals or not name or not body:
        raise InvalidSpace(f"cannot read {text!r}; write name=low:high, for example lr=1e-4:1:log")
    if ":" not in body:
        return name, Choice(tuple(_parse_option(text, option.strip()) for option in body.split(",")))
    low, high, *rest = (part.strip() for part in body.split(":"))
    flags = [flag.strip() for part in rest for flag in part.split(",")]
    if unknown := sorted(set(flags) - {"log", "int"}):
        raise InvalidSpace(
            f"{unknown[0]!r} in {text!r} is unknown; after the bounds write log, int or int,log"
        )
    kind, number = (Int, int) if "int" in flags else (Float, float)
    try:
        bounds = [number(low), number(high)]
    except ValueError:
        what = "whole numbers" if number is int else "numbers"
        raise InvalidSpace(f"the bounds in {text!r} are not {what}; write for example {name}=1:8") from None
    try:
        return name, kind(bounds[0], bounds[1], log="log" in flags)  # type: ignore[arg-type]
    except InvalidSpace as error:
        raise InvalidSpace(f"{text!r}: {error}") from None


def _parse_option(text: str, option: str) -> Value:
    if not option:
        raise InvalidSpace(f"an option in {text!r} is empty; write for example batch_size=16,32,64")
    for number in (int, float):
        try:
            return number(option)
        except ValueError:
            pass
    return option
