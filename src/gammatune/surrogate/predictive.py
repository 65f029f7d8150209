"""What a surrogate says of a score not yet seen, and every tail formula that this takes.

Symbols: m location, s scale (both of any equal shape, mostly (q,)), v degrees of freedom, z = (y - m) / s.
f and F are the standard density and distribution function, `pdf0` and `cdf0`; R = F / f is Mills' ratio;
h(z) = E[(z + T)+] for a standard T, `ei0`, so that the expected improvement over `best` is s h((m - best) / s).

The range on the door: every function here takes any float64, NaN and infinities included, raises no warning,
and answers NaN only to a NaN, a negative scale, v <= 0, or a true inf - inf. A scale of 0 is a point mass;
an infinite v is the normal. Logarithms are right to 1e-10 up to v = 1e4 and to 1e-7 beyond,
relative or absolute, whichever is larger (tests/search/test_predictive.py: 60-digit arithmetic, and the full
product of special values).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special

Array: TypeAlias = npt.NDArray[np.float64]

LOG_2PI = float(np.log(2 * np.pi))


def _quiet() -> np.errstate:
    return np.errstate(all="ignore")


# The standard normal --------------------------------------------------------------------------------------


def _normal_log_pdf0(z: Array) -> Array:
    return np.asarray(-0.5 * z**2 - 0.5 * LOG_2PI)


def _normal_log_ei0(z: Array) -> Array:
    """log h(z), h(z) = f(z) + z F(z), in three pieces so that nothing cancels.

    Left of -100 the series 1 - t R = 1/t^2 - 3/t^4 + 15/t^6 - ... (t = -z; Abramowitz and Stegun 26.2.12),
    there its first left-out term is below 1e-15; from -100 to -1 with R(-t) = sqrt(pi/2) erfcx(t / sqrt 2),
    where cancellation costs a factor t^2 <= 1e4; right of -1 as it stands.
    """
    t = np.maximum(-z, 1.0)
    r = 1 / t**2
    series = -2 * np.log(t) + np.log1p(-3 * r * (1 - 5 * r * (1 - 7 * r * (1 - 9 * r))))
    mills = np.log1p(
        -np.clip(t, 1, 100) * np.sqrt(np.pi / 2) * special.erfcx(np.clip(t, 1, 100) / np.sqrt(2))
    )
    left = _normal_log_pdf0(z) + np.where(t > 100, series, mills)
    right = np.maximum(z, -1.0)
    h = np.where(np.isposinf(right), np.inf, np.exp(_normal_log_pdf0(right)) + right * special.ndtr(right))
    return np.where(z < -1, left, np.log(h))


# The standard Student-t, finite v > 0 ---------------------------------------------------------------------

FAR = 4.0  # left of -FAR a continued fraction takes over from scipy's distribution function
MANY = 1e8  # degrees of freedom from which its digits run out, and the normal's ratios are right to 9 / v


def _log_square_ratio(z: Array, v: float) -> Array:
    """log(1 + z^2 / v) without forming z^2."""
    return np.asarray(np.logaddexp(0.0, 2 * np.log(np.abs(z)) - np.log(v)))


def _t_log_pdf0(z: Array, v: float) -> Array:
    """log f(z) = log G((v+1)/2) - log G(v/2) - log(v pi)/2 - (v+1)/2 log(1 + z^2/v), G the Gamma function.

    Beyond v = 200 the two log G nearly cancel: their difference is log(v/2)/2 - 1/(4v) + 1/(24 v^3) - ...
    (Stirling; the next term is below 1e-12 there).
    """
    if v > 200:
        ratio = np.log(v / 2) / 2 - 1 / (4 * v) + 1 / (24 * v) / v / v
    else:
        # G(v/2) = G(v/2 + 1) / (v/2), which holds for the smallest v too
        ratio = special.gammaln((v + 1) / 2) - special.gammaln(v / 2 + 1) + np.log(v) - np.log(2)
    return np.asarray(ratio - (np.log(v) + np.log(np.pi)) / 2 - (v + 1) / 2 * _log_square_ratio(z, v))


def _t_fraction(t: Array, v: float) -> Array:
    """The continued fraction c(t) in Mills' ratio R(-t) = (t / v) c(t), for t >= FAR.

    F(-t) = I_x(v/2, 1/2) / 2 with x = v / (v + t^2); the fraction is that of the incomplete beta function
    (Abramowitz and Stegun 26.5.8) by Lentz's method. It converges where t^2 > 3v / (v + 2); from FAR on 60
    steps are enough for 1e-13 (tests).
    """
    a, b, x = v / 2, 0.5, 1 / (1 + (t / v) * t)
    # both terms of a step divided by a, so that a large v does not overflow
    c = np.ones_like(x)
    d = 1 / (1 - (1 + b / a) / (1 + 1 / a) * x)
    fraction = d
    for k in range(1, 60):
        even = k * (b - k) / a / (a + 2 * k - 1) / (1 + 2 * k / a) * x
        d = 1 / (1 + even * d)
        c = 1 + even / c
        step = d * c
        odd = -(1 + k / a) / (1 + 2 * k / a) * (a + b + k) / (a + 2 * k + 1) * x
        d = 1 / (1 + odd * d)
        c = 1 + odd / c
        step = step * d * c
        fraction = fraction * step
        if not (np.abs(step - 1) > 1e-15).any():
            break
    return fraction


def _t_log_tail(t: Array, v: float) -> tuple[Array, Array]:
    """log F(-t) / f(t) and log h(-t) / f(t) for t >= FAR (the second for v > 1).

    Up to MANY degrees of freedom, F / f = (t / v) c(t) and h / f = (v + t^2)/(v - 1) - (t^2/v) c(t), the latter
    divided by 1 + t^2/v to stay finite; the difference loses a factor min(t^2, v) <= MANY. Beyond, the density
    at t falls with the rate g = (v+1) t / (v + t^2), and both ratios are those of the normal where it falls with
    that rate, at g, to 9 / v; from t = 1e4 on they are 1/g and 1/g^2, to 3 / t^2.
    """
    square = _log_square_ratio(t, v)
    if v <= MANY:
        c = _t_fraction(t, v)
        share = 1 / (1 + v / t / t)  # (t^2/v) / (1 + t^2/v)
        return np.log(t) - np.log(v) + np.log(c), np.log(v / (v - 1) - share * c) + square
    log_g = np.log(v + 1) + np.log(t) - np.log(v) - square
    z = -np.exp(np.minimum(log_g, np.log(1e4)))
    near = t < 1e4
    cdf = np.where(near, special.log_ndtr(z) - _normal_log_pdf0(z), -log_g)
    ei = np.where(near, _normal_log_ei0(z) - _normal_log_pdf0(z), -2 * log_g)
    return cdf, ei


def _t_log_cdf0(z: Array, v: float) -> Array:
    v = max(v, 1e-300)  # F is 1/2 either way, and 1/v stays finite
    out = np.asarray(np.log(special.stdtr(v, z)), dtype=np.float64)
    far = z < -FAR
    if far.any():
        out[far] = _t_log_pdf0(z[far], v) + _t_log_tail(-z[far], v)[0]
        out[np.isneginf(z)] = -np.inf
    return out


def _t_log_ei0(z: Array, v: float) -> Array:
    """log h(z) for v > 1; +inf for v <= 1, where the mean does not exist.

    As it stands, h(z) = z F(z) + (v + z^2) / (v - 1) f(z), between -FAR and 1e8; right of that h(z) = z (unless
    v - 1 is itself as small as 1e-8), and left of -FAR see `_t_log_tail`.
    """
    if v <= 1:
        return np.where(np.isnan(z), np.nan, np.inf)
    middle = np.clip(z, -FAR, 1e8)
    bulk = middle * special.stdtr(v, middle) + (v + middle**2) / (v - 1) * np.exp(_t_log_pdf0(middle, v))
    out = np.log(np.where(z > 1e8, z, bulk))
    far = z < -FAR
    if far.any():
        out[far] = _t_log_pdf0(z[far], v) + _t_log_tail(-z[far], v)[1]
        out[np.isneginf(z)] = -np.inf
    return out


Formula: TypeAlias = Callable[[Array, float], Array]
Formula0: TypeAlias = Callable[[Array], Array]


# The records ----------------------------------------------------------------------------------------------


def _legal_scale(scale: Array) -> Array:
    return np.where(scale >= 0, scale, np.nan)


@dataclass(frozen=True, slots=True)
class Normal:
    """Scores believed normal: location loc and scale (standard deviation), arrays of one shape."""

    loc: Array
    scale: Array

    @property
    def mean(self) -> Array:
        return self.loc

    @property
    def variance(self) -> Array:
        with _quiet():
            return _legal_scale(self.scale) ** 2

    def log_pdf0(self, z: npt.ArrayLike) -> Array:
        """log of the standard density, elementwise."""
        with _quiet():
            return _normal_log_pdf0(np.asarray(z, dtype=np.float64))

    def log_cdf0(self, z: npt.ArrayLike) -> Array:
        """log of the standard distribution function, elementwise."""
        with _quiet():
            return np.asarray(special.log_ndtr(np.asarray(z, dtype=np.float64)))

    def log_ei0(self, z: npt.ArrayLike) -> Array:
        """log E[(z + T)+], T standard, elementwise."""
        with _quiet():
            return _normal_log_ei0(np.asarray(z, dtype=np.float64))

    def pdf0(self, z: npt.ArrayLike) -> Array:
        with _quiet():
            return np.exp(self.log_pdf0(z))

    def cdf0(self, z: npt.ArrayLike) -> Array:
        with _quiet():
            return np.asarray(special.ndtr(np.asarray(z, dtype=np.float64)))


@dataclass(frozen=True, slots=True)
class StudentT:
    """Scores believed Student-t: location, scale (NOT the standard deviation) and degrees of freedom.

    loc, scale: arrays of one shape. df: above 0; the mean exists above 1, the variance above 2 (else inf).
    """

    loc: Array
    scale: Array
    df: float

    @property
    def mean(self) -> Array:
        return self.loc if self.df > 1 else np.full_like(self.loc, np.nan)

    @property
    def variance(self) -> Array:
        """s^2 v / (v - 2); inf where v <= 2, and 0 at a scale of 0."""
        with _quiet():
            scale = _legal_scale(self.scale)
            if self.df > 2:
                return scale**2 * (1 + 2 / (self.df - 2))
            return np.where(scale == 0, 0.0, np.where(np.isnan(scale), np.nan, np.inf))

    def _standard(self, z: npt.ArrayLike, student: Formula, normal: Formula0) -> Array:
        """`student` at this v, `normal` where v is infinite, NaN where it is not above 0."""
        points = np.atleast_1d(np.asarray(z, dtype=np.float64))
        with _quiet():
            if self.df == np.inf:
                out = normal(points)
            else:
                out = student(points, np.float64(self.df)) if self.df > 0 else np.full_like(points, np.nan)
        return out.reshape(np.shape(z))

    def log_pdf0(self, z: npt.ArrayLike) -> Array:
        """log of the standard density, elementwise."""
        return self._standard(z, _t_log_pdf0, _normal_log_pdf0)

    def log_cdf0(self, z: npt.ArrayLike) -> Array:
        """log of the standard distribution function, elementwise."""
        return self._standard(z, _t_log_cdf0, special.log_ndtr)

    def log_ei0(self, z: npt.ArrayLike) -> Array:
        """log E[(z + T)+], T standard, elementwise; inf where v <= 1."""
        return self._standard(z, _t_log_ei0, _normal_log_ei0)

    def pdf0(self, z: npt.ArrayLike) -> Array:
        with _quiet():
            return np.exp(self.log_pdf0(z))

    def cdf0(self, z: npt.ArrayLike) -> Array:
        return self._standard(z, lambda z, v: np.asarray(special.stdtr(v, z)), special.ndtr)


@dataclass(frozen=True, slots=True)
class Mixture:
    """A weighted sum of k distributions of one family, for example one for each theta of a quadrature.

    weights: (k,), at least 0, sum 1. parts: loc and scale of shape (k, q), one df.
    """

    weights: Array
    parts: Normal | StudentT

    @property
    def mean(self) -> Array:  # (q,)
        return np.asarray(self.weights @ self.parts.mean)

    @property
    def variance(self) -> Array:  # (q,)
        """sum p [variance + (m - mbar)^2]."""
        return np.asarray(self.weights @ (self.parts.variance + (self.parts.loc - self.mean) ** 2))


Predictive: TypeAlias = Normal | StudentT | Mixture
