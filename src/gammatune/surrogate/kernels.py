"""Stationary kernels on the unit cube.

Symbols: x in X (n, d), x' in Z (q, d); theta the widths, one for each dimension ("automatic relevance
determination", thesis eq. 6) or a single one for all; r^2 = sum_j (x_j - x'_j)^2 / theta_j^2.

A kernel is built from its theta of shape (d,), (1,) or (), or from k of them at once, (k, d): the matrix it
gives is then (n, q) or (k, n, q). Every kernel here has k(x, x) = 1; amplitudes belong to the processes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]


class Kernel(Protocol):
    """A covariance function with its widths already in it."""

    def __call__(self, X: Array, Z: Array) -> Array:
        """The matrix k(X, Z): (n, d), (q, d) -> (n, q), or (k, n, q) for k thetas."""


KernelFamily: TypeAlias = Callable[[Array], Kernel]  # theta -> kernel


def square_distances(theta: npt.ArrayLike, X: Array, Z: Array) -> Array:
    """r^2 for every pair: (n, q), or (k, n, q) where theta is (k, d)."""
    n, d = X.shape
    widths = np.broadcast_to(np.asarray(theta, dtype=np.float64), (*np.shape(theta)[:-1], d))
    steps = ((X[:, None, :] - Z[None, :, :]) ** 2).reshape(-1, d)  # (n q, d)
    return np.asarray((widths**-2 @ steps.T).reshape(*widths.shape[:-1], n, len(Z)))


@dataclass(frozen=True)
class SquaredExponential:
    """k(x, x') = exp(-r^2 / 2): thesis eq. (5) at theta = 1, eq. (6) with a width, or one per dimension."""

    theta: npt.ArrayLike = 1.0

    def __call__(self, X: Array, Z: Array) -> Array:
        return np.exp(-0.5 * square_distances(self.theta, X, Z))  # (5), (6)


@dataclass(frozen=True)
class Matern52:
    """k(x, x') = (1 + a + a^2 / 3) exp(-a), a = sqrt(5) r: twice differentiable, not smoother.

    Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), eq. 4.17.
    """

    theta: npt.ArrayLike = 1.0

    def __call__(self, X: Array, Z: Array) -> Array:
        a = square_distances(self.theta, X, Z)
        a *= 5  # in place: most of a search's time is spent on these two lines
        np.sqrt(a, out=a)
        falling = np.exp(-a)
        a *= 1 + a / 3
        a += 1
        a *= falling
        return a
