"""What a surrogate says of a score not yet seen, and every tail formula that this takes.

Symbols: m location, s scale (both of any equal shape, mostly (q,)), v degrees of freedom, z = (y - m) / s.
f and F are the standard density and distribution function, `pdf0` and `cdf0`; R = F / f is Mills' ratio;
h(z) = E[(z + T)+] for a standard T, `ei0`, so that the expected improvement over `best` is s h((m - best) / s).

The range on the door: every function here takes any float64, NaN and infinities included, raises no warning,
and answers NaN only to a NaN, a negative scale, v <= 0, or a true inf - inf. A scale of 0 is a point mass;
an infinite v is the normal. Logarithms are right to about 1e-9, relative or absolute, whichever is larger
(tests/search/test_predictive.py: 50-digit arithmetic and the product of special values).
"""

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


# The standard Student-t -----------------------------------------------------------------------------------


def _log_square_ratio(z: Array, v: Array) -> Array:
    """log(1 + z^2 / v) without forming z^2."""
    return np.asarray(np.logaddexp(0.0, 2 * np.log(np.abs(z)) - np.log(v)))


def _t_log_pdf0(z: Array, v: Array) -> Array:
    """log f(z) = log G((v+1)/2) - log G(v/2) - log(v pi)/2 - (v+1)/2 log(1 + z^2/v), G the Gamma function.

    Beyond v = 200 the two log G nearly cancel: their difference is log(v/2)/2 - 1/(4v) + 1/(24 v^3) - ...
    (Stirling; the next term is below 1e-13 there).
    """
    large = np.log(v / 2) / 2 - 1 / (4 * v) + 1 / (24 * v**3)
    small = special.gammaln((np.minimum(v, 200) + 1) / 2) - special.gammaln(np.minimum(v, 200) / 2)
    constant = np.where(v > 200, large, small) - np.log(v * np.pi) / 2
    log_pdf = constant - (v + 1) / 2 * _log_square_ratio(z, v)
    return np.where(np.isinf(v), _normal_log_pdf0(z), log_pdf)


def _t_fraction(t: Array, v: Array) -> Array:
    """The continued fraction c(t) in R(-t) = (t / v) c(t), for t >= 4.

    F(-t) = I_x(v/2, 1/2) / 2 with x = v / (v + t^2); the fraction is that of the incomplete beta function
    (Abramowitz and Stegun 26.5.8) evaluated by Lentz's method. It converges where t^2 > 3v / (v + 2), from
    t = 4 on to 1e-15 within 60 steps (tests).
    """
    a, b, x = v / 2, 0.5, 1 / (1 + (t / v) * t)
    c = np.ones_like(x)
    d = 1 / (1 - (a + b) * x / (a + 1))
    fraction = d
    for k in range(1, 60):
        even = k * (b - k) * x / ((a + 2 * k - 1) * (a + 2 * k))
        d = 1 / (1 + even * d)
        c = 1 + even / c
        fraction = fraction * d * c
        odd = -(a + k) * (a + b + k) * x / ((a + 2 * k) * (a + 2 * k + 1))
        d = 1 / (1 + odd * d)
        c = 1 + odd / c
        fraction = fraction * d * c
        if not (np.abs(d * c - 1) > 1e-15).any():
            break
    return fraction


FAR = 4.0  # left of -FAR the continued fraction takes over from scipy's distribution function


def _t_log_cdf0(z: Array, v: Array) -> Array:
    near = np.log(special.stdtr(v, np.maximum(z, -FAR)))
    far = (z < -FAR) & np.isfinite(z) & np.isfinite(v)
    out = np.where(np.isneginf(z), -np.inf, near)
    if far.any():
        t, w = -z[far], v[far]
        out[far] = _t_log_pdf0(t, w) + np.log(t) - np.log(w) + np.log(_t_fraction(t, w))
    return np.where(np.isinf(v), special.log_ndtr(z), out)


def _t_ei0_bulk(z: Array, v: Array) -> Array:
    """h(z) = z F(z) + (v + z^2) / (v - 1) f(z), as it stands (DESIGN 5); for -FAR <= z and v > 1."""
    return np.asarray(z * special.stdtr(v, z) + (v + z**2) / (v - 1) * np.exp(_t_log_pdf0(z, v)))


def _t_log_ei0(z: Array, v: Array) -> Array:
    """log h(z) for v > 1; +inf where 0 < v <= 1, for there the mean does not exist.

    Left of -FAR, with t = -z:  h / f = (v + t^2)/(v - 1) - (t^2/v) c(t).  The difference loses a factor
    min(t^2, v); where that passes 1e8 the density is an exponential of rate g = (v+1) t / (v + t^2) to one
    part in 1e8, and h / f = 1 / g^2. Right of 1e8, h = z + h(-z) is z.
    """
    bulk = np.log(_t_ei0_bulk(np.clip(z, -FAR, 1e8), np.where(v > 1, v, np.nan)))
    out = np.where(z > 1e8, np.log(z), bulk)
    out = np.where(np.isneginf(z), -np.inf, out)
    far = (z < -FAR) & np.isfinite(z) & np.isfinite(v) & (v > 1)
    if far.any():
        t, w = -z[far], v[far]
        # both terms divided by 1 + t^2/v, which is carried as a logarithm
        share = 1 / (1 + w / t / t)  # (t^2/v) / (1 + t^2/v)
        ratio = np.log(w / (w - 1) - share * _t_fraction(t, w)) + _log_square_ratio(t, w)
        rate = np.log(w + 1) + np.log(t) - np.log(w) - _log_square_ratio(t, w)
        out[far] = _t_log_pdf0(t, w) + np.where(np.minimum(t, np.sqrt(w)) > 1e4, -2 * rate, ratio)
    out = np.where((v <= 1) & (v > 0), np.where(np.isnan(z), np.nan, np.inf), out)
    return np.where(np.isinf(v), _normal_log_ei0(z), out)


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

    def _both(self, z: npt.ArrayLike) -> tuple[Array, Array]:
        point = np.atleast_1d(np.asarray(z, dtype=np.float64))
        return point, np.full_like(point, self.df if self.df > 0 else np.nan)

    def log_pdf0(self, z: npt.ArrayLike) -> Array:
        """log of the standard density, elementwise."""
        with _quiet():
            return _t_log_pdf0(*self._both(z)).reshape(np.shape(z))

    def log_cdf0(self, z: npt.ArrayLike) -> Array:
        """log of the standard distribution function, elementwise."""
        with _quiet():
            return _t_log_cdf0(*self._both(z)).reshape(np.shape(z))

    def log_ei0(self, z: npt.ArrayLike) -> Array:
        """log E[(z + T)+], T standard, elementwise; inf where v <= 1."""
        with _quiet():
            return _t_log_ei0(*self._both(z)).reshape(np.shape(z))

    def pdf0(self, z: npt.ArrayLike) -> Array:
        with _quiet():
            return np.exp(self.log_pdf0(z))

    def cdf0(self, z: npt.ArrayLike) -> Array:
        with _quiet():
            return np.asarray(
                special.stdtr(self.df if self.df > 0 else np.nan, np.asarray(z, dtype=np.float64))
            )


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
        """sum p [variance + (m - mbar)^2] (DESIGN 5)."""
        return np.asarray(self.weights @ (self.parts.variance + (self.parts.loc - self.mean) ** 2))


Predictive: TypeAlias = Normal | StudentT | Mixture
