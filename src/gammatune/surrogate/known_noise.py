"""The Gamma process where the scores' standard errors are known, in the scores' own unit.

Symbols as in `gamma`; s_i the standard error of score i, s that of a score of noise 1: W_i = (s_i / s)^2, and
e = (s / spread)^2 its square in standardised units.

    y | f ~ N(f, e W)    instead of (1): the noise does not grow and fall with 1 / lambda               (1')

which is (1) where rho = lambda e. So a node of rho is one of lambda = rho / e, and what `gamma` integrates in closed
form is summed over them, 16 in one dimension:

    log evidence(lengthscales, lambda) = n/2 log lambda - lambda y' C^-1 y / 2 - log|C| / 2 - n/2 log 2 pi   (6')
    f(x) | y, lambda ~ N(c(x)' C^-1 y, (1 + v0 - c(x)' C^-1 c(x)) / lambda)                             (7')

Nodes are placed by a log-normal lambda with the Gamma prior's own median, and weighted by the Gamma prior: the tails
are those of the mixture.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import special

from gammatune.errors import InvalidArgument
from gammatune.surrogate.dataset import Dataset
from gammatune.surrogate.gamma import GammaProcess, PrecisionPrior
from gammatune.surrogate.kernels import Array, KernelFamily, Matern52
from gammatune.surrogate.quadrature import Solved, ThetaPrior

# of s / spread: below it C cannot be factorised where two points are one, above it no score says anything
LEAST, MOST = 1e-4, 1e4
SPREAD = 1.2  # of log lambda, to place nodes: one and a half times that of Gamma(2, 1)


class KnownNoiseProcess(GammaProcess):
    """The posterior given a dataset whose noise is known; `condition` makes a new one from more data.

    error: the standard error of a score of noise 1, finite, at least 0, in units of `data.y`; the others' is
    sqrt(noise) times that. theta: its rho is not used. All else as in GammaProcess; the parts are normal (df is inf).
    Raises InvalidArgument for another error. Twin: tests/search/test_known_noise.py integrates by brute force.
    """

    rhos = 16

    def __init__(
        self,
        data: Dataset,
        error: float,
        family: KernelFamily = Matern52,
        prior: PrecisionPrior = PrecisionPrior(),  # noqa: B008 (frozen)
        theta: ThetaPrior = ThetaPrior(),  # noqa: B008 (frozen)
    ) -> None:
        if not 0 <= error < float("inf"):
            raise InvalidArgument(f"a standard error is a finite number of 0 or more, got {error}")
        self.error = error
        self._e = min(max(error / data.spread, LEAST), MOST) ** 2
        self._median = float(special.gammaincinv(prior.a0, 0.5)) / prior.b0
        super().__init__(data, family, prior, replace(theta, rho=self._median * self._e, rho_spread=SPREAD))

    def _log_evidence(self, solved: Solved) -> Array:  # (k,)
        a0, b0, n = self.prior.a0, self.prior.b0, self.data.n
        log_lambda = np.log(solved.rho / self._e)
        lam = np.exp(log_lambda)
        # densities of log lambda: the prior's, and that by which the nodes are weighted already
        log_prior = a0 * (log_lambda + np.log(b0)) - b0 * lam - special.gammaln(a0)
        standard = (log_lambda - np.log(self._median)) / SPREAD
        log_placed = -0.5 * standard**2 - np.log(SPREAD) - 0.5 * np.log(2 * np.pi)
        fit = n / 2 * (log_lambda - np.log(2 * np.pi)) - lam * solved.square / 2 - solved.log_det / 2  # (6')
        return np.asarray(fit + log_prior - log_placed)

    def _precision(self) -> tuple[Array, float]:
        return np.asarray(self._e / self.nodes.rho), float("inf")  # (7')

    def condition(
        self, X: npt.ArrayLike, y: npt.ArrayLike, noise: npt.ArrayLike | None = None
    ) -> "KnownNoiseProcess":
        """The posterior given these observations as well, under the same `error`."""
        return KnownNoiseProcess(
            self.data.extended(X, y, noise), self.error, self.family, self.prior, self.theta
        )
