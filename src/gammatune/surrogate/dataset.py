"""What a surrogate learns from: points, scores and their noise, checked once and never apart again."""

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gammatune.errors import InvalidArgument

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, init=False)
class Dataset:
    """n >= 1 scored points of the unit cube.

    X: (n, d) points. y: (n,) finite scores, higher is better. noise: (n,) above 0, the diagonal of W: each
    score's squared standard error relative to the others' (1 = like the rest).
    z = (y - centre) / spread has mean 0 and standard deviation 1; where all y are equal (or n = 1) the scores
    say nothing of their own unit, and spread is 1.
    """

    X: Array
    y: Array
    noise: Array
    z: Array = field(repr=False)
    centre: float = field(repr=False)
    spread: float = field(repr=False)

    def __init__(self, X: npt.ArrayLike, y: npt.ArrayLike, noise: npt.ArrayLike | None = None) -> None:
        points, scores = np.array(X, dtype=np.float64), np.array(y, dtype=np.float64)
        errors = np.ones_like(scores) if noise is None else np.array(noise, dtype=np.float64)
        if (
            points.ndim != 2
            or scores.shape != points.shape[:1]
            or errors.shape != scores.shape
            or not points.size
        ):
            raise InvalidArgument(
                f"a dataset takes X (n, d), y (n,) and noise (n,) with n, d >= 1, "
                f"got {points.shape}, {scores.shape} and {errors.shape}"
            )
        for name, array in (("X", points), ("y", scores), ("noise", errors)):
            if not np.isfinite(array).all():
                raise InvalidArgument(
                    f"{name} holds {array[~np.isfinite(array)][0]}; leave failed points out"
                )
        if not (errors > 0).all():
            raise InvalidArgument(f"noise is a relative squared standard error above 0, got {errors.min()}")
        # divided first, so that scores near the largest float do not overflow in the square
        largest = float(np.abs(scores).max()) or 1.0
        shares = scores / largest
        centre, spread = float(shares.mean()), float(shares.std())
        flat = spread <= 1e-13  # rounding noise of equal numbers
        centre, spread = centre * largest, 1.0 if flat else spread * largest
        z = np.zeros_like(scores) if flat else (shares - shares.mean()) / shares.std()
        for name, value in (
            ("X", points), ("y", scores), ("noise", errors), ("z", z), ("centre", centre), ("spread", spread),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    @property
    def n(self) -> int:
        return len(self.y)

    @property
    def d(self) -> int:
        return int(self.X.shape[1])

    def extended(self, X: npt.ArrayLike, y: npt.ArrayLike, noise: npt.ArrayLike | None = None) -> "Dataset":
        """These observations and more of them."""
        more = Dataset(X, y, noise)
        return Dataset(
            np.concatenate([self.X, more.X]),
            np.concatenate([self.y, more.y]),
            np.concatenate([self.noise, more.noise]),
        )
