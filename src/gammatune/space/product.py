"""`Space`: a product of named dimensions."""

import itertools
import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gammatune.errors import InvalidArgument, InvalidSpace
from gammatune.records import Value, Values
from gammatune.space.dimensions import Array, Choice, Dimension, Float, Int, is_integer, written


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
        return tuple(f"{name}={written(dimension)}" for name, dimension in self.items)

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
        if not is_integer(points) or points < 1:
            raise InvalidArgument(f"a grid takes 1 or more points per float dimension, got {points!r}")
        return tuple(tuple(dimension.grid(points)) for _, dimension in self.items)

    def grid(self, points: int) -> Iterator[Values]:
        """Every combination of `axes(points)`, the last dimension running fastest."""
        for combination in itertools.product(*self.axes(points)):
            yield dict(zip(self.names, combination, strict=True))
