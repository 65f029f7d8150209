"""The Gaussian counterparts of the Gamma process: variances are point estimates, tails are normal.

Symbols: n observations, q candidates, d dimensions; y standardised; theta the lengthscales, sigma^2 the signal
variance, rho the noise-to-signal ratio, W the diagonal relative noise.

    y ~ N(0, sigma^2 C),   C = K_theta + rho W                                                      (1)
    log evidence = -y' C^-1 y / (2 sigma^2) - log|C| / 2 - n/2 log(2 pi sigma^2)                    (2)
    f(x) | y ~ N(k' C^-1 y, sigma^2 (1 - k' C^-1 k)),   k = k_theta(X, x)                           (3)
    + rho w in the bracket of (3): a new score, measured with relative noise w

`GP` holds one value of (theta, sigma^2, rho), `fit` finds the one of highest evidence ("type-II maximum
likelihood"), `QuadratureGP` averages over theta and rho as the Gamma process does.
Source: Rasmussen and Williams 2006, equations 2.25, 2.26, 2.30.
"""

import numpy as np
import numpy.typing as npt
from scipy import optimize

from gammatune.surrogate.dataset import Dataset
from gammatune.surrogate.kernels import Array, KernelFamily, Matern52
from gammatune.surrogate.predictive import Mixture, Normal
from gammatune.surrogate.quadrature import Solved, ThetaPrior, factor, integrate, invert, project

# Search box of `fit`. Guesses: no lengthscale below what a dozen points can show or above what is flat in the
# cube; noise from a millionth of the signal to as large as it.
LENGTHSCALES = (0.03, 3.0)
RHO = (1e-6, 1.0)
STARTS = (0.1, 0.3, 1.0)  # lengthscales to start from: the evidence of a few points often has several tops

# least signal variance (standardised): equal scores would otherwise give 0, and a density of inf
FLOOR = 1e-12


class GP:
    """A zero-mean Gaussian process given a dataset, whole from birth; `condition` makes a new one.

    theta: (d,) or (1,) lengthscales. variance: sigma^2 > 0 and rho >= 0, in units of the standardised score.
    Raises numpy.linalg.LinAlgError where C cannot be factorised.
    """

    def __init__(
        self, data: Dataset, theta: Array, variance: float, rho: float, family: KernelFamily = Matern52
    ) -> None:
        self.data, self.theta, self.variance, self.rho, self.family = data, theta, variance, rho, family
        C = family(theta)(data.X, data.X) + rho * np.diag(data.noise)  # (1)
        L, self.jitter = factor(C)
        self.inverse: Array = invert(L)
        half = self.inverse @ data.z
        self.alpha: Array = half @ self.inverse  # C^-1 z
        self.square = float(half @ half)  # z' C^-1 z
        self.log_det = float(2 * np.log(np.diag(L)).sum())
        self.log_evidence = (
            -self.square / (2 * variance) - self.log_det / 2 - data.n / 2 * np.log(2 * np.pi * variance)
        )  # (2)

    def condition(self, X: npt.ArrayLike, y: npt.ArrayLike, noise: npt.ArrayLike | None = None) -> "GP":
        """The posterior given these observations as well, under the same hyperparameters."""
        return GP(self.data.extended(X, y, noise), self.theta, self.variance, self.rho, self.family)

    def posterior(self, Z: Array) -> Normal:
        """f at the candidates Z (q, d), in units of `data.y`."""
        return self.predictive(Z, noise=0.0)

    def predictive(self, Z: Array, noise: float = 1.0) -> Normal:
        """A new score at the candidates Z (q, d), measured with relative noise w = `noise`."""
        k = self.family(self.theta)(self.data.X, Z)  # (n, q)
        loc = self.alpha @ k * self.data.spread + self.data.centre
        bracket = 1 - np.sum((self.inverse @ k) ** 2, axis=0) + self.rho * noise
        return Normal(loc, np.sqrt(self.variance * np.maximum(bracket, 0.0)) * self.data.spread)  # (3)


def fit(data: Dataset, family: KernelFamily = Matern52) -> GP:
    """The GP of highest evidence over lengthscales, signal variance and rho.

    Given theta and rho the best variance is sigma^2 = z' C^-1 z / n, so only those are searched (L-BFGS-B over
    logarithms, from each of STARTS).
    """

    def gp(logs: Array, variance: float = 1.0) -> GP:
        return GP(data, np.exp(logs[:-1]), variance, float(np.exp(logs[-1])), family)

    def best_variance(unit: GP) -> float:
        return max(unit.square / data.n, FLOOR)

    def loss(logs: Array) -> float:
        unit = gp(logs)
        return data.n / 2 * float(np.log(best_variance(unit))) + unit.log_det / 2  # -(2) at the best sigma^2

    def slope(logs: Array) -> Array:
        # central differences of our own: scipy's refuse a point that rounding put an ulp outside the box
        steps = 1e-5 * np.eye(len(logs))
        return np.array([(loss(logs + step) - loss(logs - step)) / 2e-5 for step in steps])

    box = [tuple(np.log(LENGTHSCALES))] * data.d + [tuple(np.log(RHO))]
    tops = [
        optimize.minimize(loss, np.log([*[start] * data.d, 0.01]), jac=slope, bounds=box, method="L-BFGS-B")
        for start in STARTS
    ]
    logs = min(tops, key=lambda top: float(top.fun)).x
    return gp(logs, best_variance(gp(logs)))


class QuadratureGP:
    """The Gamma process with its Gamma taken out: the same kernel, level, nodes and prior of theta, but at each
    node the variance is plugged in at its most likely value, sigma^2 = z' C^-1 z / n, and the tails are normal.

    An ablation: what this does worse than `GammaProcess` is what the Gamma prior gives. With equal scores
    sigma^2 is 0, held at FLOOR.
    """

    def __init__(
        self,
        data: Dataset,
        family: KernelFamily = Matern52,
        theta: ThetaPrior = ThetaPrior(),  # noqa: B008 (frozen)
    ) -> None:
        self.data, self.family, self.theta = data, family, theta
        self.nodes, self.solved, _ = integrate(data, family, theta, self._log_evidence)
        self.weights: Array = np.exp(self.nodes.log_weight)

    def _variance(self, solved: Solved) -> Array:  # (k,)
        return np.maximum(solved.square / self.data.n, FLOOR)

    def _log_evidence(self, solved: Solved) -> Array:  # (k,), up to a constant
        return np.asarray(-self.data.n / 2 * np.log(self._variance(solved)) - solved.log_det / 2)

    def condition(
        self, X: npt.ArrayLike, y: npt.ArrayLike, noise: npt.ArrayLike | None = None
    ) -> "QuadratureGP":
        """The posterior given these observations as well."""
        return QuadratureGP(self.data.extended(X, y, noise), self.family, self.theta)

    def posterior(self, Z: Array) -> Mixture:
        """f at the candidates Z (q, d), in units of `data.y`."""
        return self.predictive(Z, noise=0.0)

    def predictive(self, Z: Array, noise: float = 1.0) -> Mixture:
        """A new score at the candidates Z (q, d), measured with relative noise w = `noise`."""
        c, half = project(self.nodes, self.solved, self.family, self.theta.v0, self.data.X, Z)
        variance = self._variance(self.solved)[:, None]
        bracket = 1 + self.theta.v0 - np.sum(half**2, axis=1) + self.nodes.rho[:, None] * noise
        loc = np.squeeze(self.solved.alpha[:, None, :] @ c, 1) * self.data.spread + self.data.centre
        return Mixture(
            self.weights, Normal(loc, np.sqrt(variance * np.maximum(bracket, 0.0)) * self.data.spread)
        )
