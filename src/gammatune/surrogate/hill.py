"""A Gamma process over one learning rate, whose mean is a hill: where does the whole training do best?

Over decades of the rate the score of a training rises from what doing nothing scores, has a flat top and falls off
a cliff. So the mean is no level, as in `gamma`, but a hill whose place is a hyperparameter like the others, with a
prior learned from a population of trainings. What a short look sees is the hill of the whole training moved by a
drift, which is integrated too.

Symbols: n looks, q candidates, k nodes; u = log10 of the rate, y a look's score above that of doing nothing, in units
of a scale (`unit`); lambda a precision; theta = (place c', widths w_l and w_r, rho); W the looks' relative noise.

    h(u) = exp(-t^2 / 2), t = (u - c') / w_l    where u < c'
           tail + (1 - tail) exp(-t^2 / 2), t = (u - c') / w_r    beyond                            (1)
    y | f, lambda ~ N(f, rho W / lambda)                                                            (2)
    f | A, lambda ~ GP(A h, k / lambda),   A | lambda ~ N(0, v / lambda),   lambda ~ Gamma(a0, b0)  (3)

A is linear and normal given lambda, so that (4) to (7) of `gamma` hold, given theta, with

    C = K + v h h' + rho W,     c(x) = k(X, x) + v h(X) h(x)                                        (4)

A hill is no valley: theta is weighed by the probability of A > 0 as well, which makes its weights those of a half
normal A.

The whole training's best rate c and the looks' place c' = c + delta are apart by the drift:

    c ~ N(m, s^2),   delta ~ N(mu, tau^2),   so  c' ~ N(m + mu, s^2 + tau^2)                        (5)
    (s is itself one of two, the wider for trainings unlike those that the prior was learned from)
    delta | c' is normal with precision 1 / tau^2 + 1 / s^2 and mean
        (mu / tau^2 + (c' - m) / s^2) / (1 / tau^2 + 1 / s^2)                                       (6)
    whole(u) = g (f(u + delta) + e(u)),   e ~ GP(0, kappa k / lambda),   log g ~ N(log gamma, eta^2)  (7)

g is by how much the whole training gets further, e what else parts a look from it. The top is flat, so that where the
whole's highest score comes to lie is told no better than by N(c, pi^2). theta is integrated on a grid, delta given
theta and g by Gauss-Hermite quadrature: every answer is a mixture of Student-t distributions over them.
"""

import itertools
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import special

from gammatune.surrogate.kernels import Array
from gammatune.surrogate.predictive import Mixture, StudentT
from gammatune.surrogate.quadrature import NEGLIGIBLE, factor, invert, log_sum

PLACES = 25  # nodes of c', over SPAN prior standard deviations either way: a fifth of one apart (guess)
SPAN = 2.5
# A training unlike those that the prior was learned from: with that probability s is so many times wider (guess).
UNLIKE, WIDER = 0.15, 3.0
SIDES = (-1.0, 0.0, 1.0)  # nodes of the logarithm of a width, in its prior standard deviations
DRIFTS, GROWTHS = 7, 5  # nodes of delta given theta, and of g


@dataclass(frozen=True, slots=True)
class Normal1:
    """What is believed of one number: mean and standard deviation >= 0."""

    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class HillPrior:
    """What is believed of a hill before any look. All of it is fitted to a population of trainings
    (experiments/population/fit.py); lengths in decades.

    left, right: medians of w_l and w_r; width_spread: standard deviation of their logarithms. tail: h far to the
    right, as a share of the height. amplitude: v. lengthscale: that of k, a Matern 5/2. rho: nodes of the noise, of
    equal weight. transfer: kappa. growth, growth_spread: gamma and eta. peak: pi. a0, b0: of lambda.
    """

    left: float = 0.95
    right: float = 0.7
    width_spread: float = 0.35
    tail: float = -0.15
    amplitude: float = 16.0
    lengthscale: float = 0.6
    rho: tuple[float, ...] = (0.03, 0.3)
    transfer: float = 4.0
    growth: float = 1.0
    growth_spread: float = 0.0
    peak: float = 0.0
    a0: float = 2.0
    b0: float = 1.0


@dataclass(frozen=True, slots=True, init=False)
class Looks:
    """n >= 0 looks. u: (n,) log10 of the rate; y: (n,) score above that of doing nothing, noise: (n,) its relative
    squared standard error. unit: of y, above 0."""

    u: Array
    y: Array
    noise: Array
    unit: float = field(default=1.0)

    def __init__(
        self, u: npt.ArrayLike, y: npt.ArrayLike, unit: float, noise: npt.ArrayLike | None = None
    ) -> None:
        rates, scores = np.array(u, dtype=np.float64), np.array(y, dtype=np.float64)
        errors = np.ones_like(scores) if noise is None else np.array(noise, dtype=np.float64)
        if rates.ndim != 1 or not rates.shape == scores.shape == errors.shape:
            raise ValueError(
                f"looks are three rows of one length, got {rates.shape}, {scores.shape}, {errors.shape}"
            )
        if not (np.isfinite(rates).all() and np.isfinite(scores).all() and unit > 0 and (errors > 0).all()):
            raise ValueError(
                f"looks are finite, unit and noise above 0; got u {rates}, y {scores}, unit {unit}"
            )
        for name, value in (("u", rates), ("y", scores), ("noise", errors), ("unit", float(unit))):
            object.__setattr__(self, name, value)


class HillProcess:
    """The posterior given some looks, whole from birth.

    place: c ~ N(m, s^2), the whole training's best log10 rate. drift: delta ~ N(mu, tau^2), by how much further up
    the looks' best lies. prior: of the hill. Answers are in units of y, and of decades for rates.
    Twin: tests/search/test_hill.py integrates by Monte Carlo.
    """

    def __init__(self, looks: Looks, place: Normal1, drift: Normal1, prior: HillPrior = HillPrior()) -> None:
        self.looks, self.place, self.drift, self.prior = looks, place, drift, prior
        n, z = len(looks.u), looks.y / looks.unit
        nodes, log_weight = _nodes(place, drift, prior)
        kernel = self._kernel(looks.u[:, None], looks.u[None, :])
        h = _hill(looks.u[None, :], nodes, prior.tail)  # (k, n)
        C = kernel + prior.amplitude * h[:, :, None] * h[:, None, :]
        diagonal = np.arange(n)
        C[:, diagonal, diagonal] += nodes[:, 3:4] * looks.noise
        factors, self.jitter = factor(C) if n else (C, 0.0)
        inverse = np.stack([invert(L) for L in factors]) if n else C
        half = inverse @ z  # (k, n)
        a_n = prior.a0 + n / 2
        b_n = prior.b0 + np.sum(half**2, axis=1) / 2
        log_det = 2 * np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1) if n else 0.0
        log_weight = log_weight - a_n * np.log(b_n) - log_det / 2  # (6) of `gamma`, but for constants
        log_weight = log_weight + _log_above_zero(h, half, inverse, b_n / a_n, 2 * a_n, prior.amplitude)
        kept = np.flatnonzero(log_weight >= log_weight.max() + np.log(NEGLIGIBLE))
        log_weight = log_weight[kept]
        self.weights: Array = np.exp(log_weight - log_sum(log_weight))
        self.nodes, self._h, self._inverse = nodes[kept], h[kept], inverse[kept]
        self._alpha = np.squeeze(half[kept, None, :] @ self._inverse, 1)  # C^-1 z
        self._ratio, self._df = b_n[kept] / a_n, 2 * a_n
        self._deltas, self._delta_weights = self._drifts()

    # -- answers

    def whole(self, u: npt.ArrayLike) -> Mixture:
        """What the whole training scores at the log10 rates u (q,), above doing nothing."""
        at = np.asarray(u, dtype=np.float64)
        loc, bracket = self._at(at[None, None, :] + self._deltas[:, :, None])
        return self._grown(self._mixture(loc, bracket + self.prior.transfer))

    def gain(self, u: npt.ArrayLike, instead: float) -> Mixture:
        """By how much more than at the log10 rate `instead`, at each u (q,), their covariance counted."""
        at, deltas = np.asarray(u, dtype=np.float64), self._deltas[:, :, None]
        loc, bracket = self._difference(at[None, None, :] + deltas, instead + deltas)
        apart = 1 - self._kernel(at, np.array(instead))
        return self._grown(self._mixture(loc, bracket + 2 * self.prior.transfer * apart))

    def look(self, u: npt.ArrayLike) -> Mixture:
        """What a look scores at the log10 rates u (q,), without its noise."""
        at = np.asarray(u, dtype=np.float64)[None, None, :]
        loc, bracket = self._at(np.broadcast_to(at, (len(self.nodes), 1, at.shape[2])))
        return Mixture(self.weights, self._student(loc[:, 0], bracket[:, 0]))

    def best(self) -> tuple[Array, Array, Array]:
        """Where the whole training does best: a mixture of normals, weights, means and standard deviations (k,)."""
        mean, sd = self._given()
        return self.weights, self.nodes[:, 0] - mean, np.hypot(sd, self.prior.peak)

    def band(self, mass: float = 0.95) -> tuple[float, float]:
        """The central interval of `best`, in log10 of the rate."""
        weights, means, sds = self.best()
        sds = np.maximum(sds, 1e-9)
        grid = np.linspace((means - 5 * sds).min(), (means + 5 * sds).max(), 501)
        total = weights @ special.ndtr((grid[None, :] - means[:, None]) / sds[:, None])
        low, high = (float(np.interp(q, total, grid)) for q in ((1 - mass) / 2, (1 + mass) / 2))
        return low, high

    # -- algebra

    def _kernel(self, one: Array, other: Array) -> Array:
        """k between arrays of log10 rates, broadcast."""
        r = np.sqrt(5.0) * np.abs(one - other) / self.prior.lengthscale
        return np.asarray((1 + r + r**2 / 3) * np.exp(-r))

    def _columns(self, at: Array) -> tuple[Array, Array]:
        """c and h at the points (k, d, q): (k, d, q, n) and (k, d, q)."""
        h = _hill(at, self.nodes[:, None, None, :], self.prior.tail)
        kernel = self._kernel(at[..., None], self.looks.u)
        return kernel + self.prior.amplitude * h[..., None] * self._h[:, None, None, :], h

    def _at(self, at: Array) -> tuple[Array, Array]:
        """Location and bracket of f at the points (k, d, q)."""
        c, h = self._columns(at)
        loc, explained = self._projected(c)
        return loc, 1 + self.prior.amplitude * h**2 - explained

    def _difference(self, at: Array, to: Array) -> tuple[Array, Array]:
        """Those of f(at) - f(to), points (k, d, q) and (k, d, 1)."""
        (c, h), (c0, h0) = self._columns(at), self._columns(to)
        loc, explained = self._projected(c - c0)
        prior = 2 * (1 - self._kernel(at, to)) + self.prior.amplitude * (h - h0) ** 2
        return loc, prior - explained

    def _projected(self, c: Array) -> tuple[Array, Array]:
        """c' C^-1 z and c' C^-1 c of (k, d, q, n), both (k, d, q)."""
        k, d, q, n = c.shape
        rows = c.reshape(k, d * q, n)
        half = rows @ self._inverse.transpose(0, 2, 1)
        loc = rows @ self._alpha[:, :, None]
        return loc.reshape(k, d, q), np.einsum("kpn,kpn->kp", half, half).reshape(k, d, q)

    def _given(self) -> tuple[Array, Array]:
        """(6): mean and standard deviation (k,) of delta given c'."""
        s2, tau2 = self.nodes[:, 4] ** 2, self.drift.sd**2
        share = np.divide(tau2, tau2 + s2, out=np.zeros_like(s2), where=tau2 + s2 > 0)
        mean = self.drift.mean + share * (self.nodes[:, 0] - self.place.mean - self.drift.mean)
        return mean, np.sqrt(share * s2)

    def _drifts(self) -> tuple[Array, Array]:
        """Nodes of delta (k, d) given c', and their weights (d,)."""
        points, weights = np.polynomial.hermite_e.hermegauss(DRIFTS)
        mean, sd = self._given()
        return mean[:, None] + sd[:, None] * points[None, :], weights / weights.sum()

    def _student(self, loc: Array, bracket: Array) -> StudentT:
        scale = np.sqrt(self._ratio[:, None] * np.maximum(bracket, 0.0)) * self.looks.unit
        return StudentT(loc * self.looks.unit, scale, self._df)

    def _mixture(self, loc: Array, bracket: Array) -> Mixture:  # of (k, d, q)
        k, d, q = loc.shape
        scale = np.sqrt(self._ratio[:, None, None] * np.maximum(bracket, 0.0)) * self.looks.unit
        weights = (self.weights[:, None] * self._delta_weights).ravel()
        flat = StudentT((loc * self.looks.unit).reshape(k * d, q), scale.reshape(k * d, q), self._df)
        return Mixture(weights, flat)

    def _grown(self, mixture: Mixture) -> Mixture:
        """g times what is distributed like that."""
        if not self.prior.growth_spread:
            points, weights = np.zeros(1), np.ones(1)
        else:
            points, weights = np.polynomial.hermite_e.hermegauss(GROWTHS)
        factors = self.prior.growth * np.exp(self.prior.growth_spread * points)
        parts = mixture.parts
        loc, scale = (
            np.concatenate([factor * part for factor in factors]) for part in (parts.loc, parts.scale)
        )
        shares = np.concatenate([w / weights.sum() * mixture.weights for w in weights])
        return Mixture(shares, StudentT(loc, scale, self._df))


def _nodes(place: Normal1, drift: Normal1, prior: HillPrior) -> tuple[Array, Array]:
    """Rows (c', w_l, w_r, rho, s), and the logarithms of their prior weights, but for a constant."""
    steps = np.linspace(-SPAN, SPAN, PLACES)
    rows, logs = [], []
    for (wider, share), left, right, rho in itertools.product(
        ((1.0, 1 - UNLIKE), (WIDER, UNLIKE)), SIDES, SIDES, prior.rho
    ):
        s = wider * place.sd
        places = place.mean + drift.mean + np.hypot(s, drift.sd) * steps  # (5)
        w_l, w_r = (
            width * np.exp(prior.width_spread * side)
            for width, side in ((prior.left, left), (prior.right, right))
        )
        rows.append(np.column_stack([places, *(np.full(PLACES, v) for v in (w_l, w_r, rho, s))]))
        logs.append(np.log(share) - (steps**2 + left**2 + right**2) / 2)
    return np.concatenate(rows), np.concatenate(logs)


def _log_above_zero(h: Array, half: Array, inverse: Array, ratio: Array, df: float, v: float) -> Array:
    """(k,) log P(A > 0 | y, theta), A being Student-t with location v h' C^-1 z and bracket v - v^2 h' C^-1 h."""
    halved = np.squeeze(inverse @ h[:, :, None], 2)  # (k, n) = L^-1 h
    loc = v * np.sum(halved * half, axis=1)
    scale = np.sqrt(ratio * np.maximum(v - v**2 * np.sum(halved**2, axis=1), 1e-12 * v))
    return np.asarray(np.log(np.maximum(special.stdtr(df, loc / scale), 1e-300)))


def _hill(u: Array, nodes: Array, tail: float) -> Array:
    """(1). u: (k or 1, ...); nodes: (k, 5), or with axes put in so that it broadcasts."""
    if nodes.ndim == 2:
        nodes = nodes[:, None, :]
    t = u - nodes[..., 0]
    left = np.exp(-((t / nodes[..., 1]) ** 2) / 2)
    right = tail + (1 - tail) * np.exp(-((t / nodes[..., 2]) ** 2) / 2)
    return np.where(t < 0, left, right)
