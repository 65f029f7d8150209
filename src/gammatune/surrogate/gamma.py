"""The Gamma process: a Gaussian process whose precision has a Gamma prior and is integrated out.

Symbols: n observations, q candidates, d dimensions, points in the unit cube, y standardised (`Dataset.z`),
theta = (lengthscales, rho), lambda a precision; Gamma(a, b) with b a rate; W diagonal, each score's relative
squared standard error.

    y | f, lambda ~ N(f, rho W / lambda)                                                            (1)
    f | m, lambda ~ GP(m, k_theta / lambda),   m | lambda ~ N(0, v0 / lambda)                       (2)
    lambda ~ Gamma(a0, b0)                                                                          (3)

f and m are linear and normal given lambda, so they integrate at once: y | lambda ~ N(0, C / lambda) with

    C = K + v0 11' + rho W,     c(x) = k(X, x) + v0 1                                               (4)

and the likelihood of lambda, lambda^(n/2) exp(-lambda y' C^-1 y / 2), is a Gamma's: conjugate.

    lambda | y ~ Gamma(a_n, b_n),   a_n = a0 + n/2,   b_n = b0 + y' C^-1 y / 2                      (5)
    log evidence(theta) = log G(a_n) - log G(a0) + a0 log b0 - a_n log b_n
                          - log|C| / 2 - n/2 log 2 pi,   G the Gamma function                       (6)
    f(x) | y: Student-t, 2 a_n degrees of freedom, location c(x)' C^-1 y,
              scale^2 = (b_n / a_n) (1 + v0 - c(x)' C^-1 c(x));  + rho w in the bracket: a new y    (7)
    f(x) - f(x0): the same with location (c(x) - c(x0))' C^-1 y and bracket
              2 - 2 k(x, x0) - (c(x) - c(x0))' C^-1 (c(x) - c(x0))                                  (8)

theta has no closed form. In one dimension a 12 x 6 grid holds it, in more quasi-random nodes and one adaptive
round; either way the answer is a mixture of (7) over nodes, weighted by prior times (6). No optimiser runs.

What this is: the full conjugate treatment of the thesis's idea (equations 13-15), which the thesis puts into the
acquisition by hand [reading]; `samplers/thesis_gamma.py` holds the thesis's own construction. What it gives: honest
tails from 3 to 12 points. What it does not: the mean is a Gaussian process's, so an outlier bends it the same.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from gammatune.surrogate.dataset import Dataset
from gammatune.surrogate.kernels import Array, KernelFamily, Matern52
from gammatune.surrogate.predictive import Mixture, StudentT
from gammatune.surrogate.quadrature import Solved, ThetaPrior, integrate, project


@dataclass(frozen=True, slots=True)
class PrecisionPrior:
    """lambda ~ Gamma(a0, rate b0), in units of the standardised score (guesses)."""

    a0: float = 2.0
    b0: float = 1.0


class GammaProcess:
    """The posterior given a dataset, whole from birth; `condition` makes a new one from more data.

    data: what was observed. family: the kernel. prior, theta: the beliefs about lambda and about theta.
    Attributes: weights (k,), the posterior probability of each node; log_evidence, that of the whole mixture;
    variance (k,), what a bracket of (7) is multiplied by, and df, the degrees of freedom; jitter (see `Solved`).
    Everything it answers is in units of `data.y`.
    Raises numpy.linalg.LinAlgError where C cannot be factorised.
    Twin: tests/search/test_gamma.py integrates over lambda numerically.
    """

    rhos = 6  # nodes of rho in one dimension

    def __init__(
        self,
        data: Dataset,
        family: KernelFamily = Matern52,
        prior: PrecisionPrior = PrecisionPrior(),
        theta: ThetaPrior = ThetaPrior(),  # noqa: B008 (frozen)
    ) -> None:
        self.data, self.family, self.prior, self.theta = data, family, prior, theta
        self.a_n = prior.a0 + data.n / 2  # (5)
        self.nodes, self.solved, self.log_evidence = integrate(
            data, family, theta, self._log_evidence, self.rhos
        )
        self.b_n: Array = prior.b0 + self.solved.square / 2  # (5), (k,)
        self.weights: Array = np.exp(self.nodes.log_weight)
        self.jitter: float = self.solved.jitter
        self.variance, self.df = self._precision()

    def _precision(self) -> tuple[Array, float]:
        return np.asarray(self.b_n / self.a_n), 2 * self.a_n  # (7)

    def _log_evidence(self, solved: Solved) -> Array:  # (k,)
        a0, b0, a_n, n = self.prior.a0, self.prior.b0, self.a_n, self.data.n
        b_n = b0 + solved.square / 2
        constant = special.gammaln(a_n) - special.gammaln(a0) + a0 * np.log(b0) - n / 2 * np.log(2 * np.pi)
        return np.asarray(constant - a_n * np.log(b_n) - solved.log_det / 2)  # (6)

    def condition(
        self, X: npt.ArrayLike, y: npt.ArrayLike, noise: npt.ArrayLike | None = None
    ) -> "GammaProcess":
        """The posterior given these observations as well: X (m, d), y (m,), noise (m,) or all 1."""
        return GammaProcess(self.data.extended(X, y, noise), self.family, self.prior, self.theta)

    def posterior(self, Z: Array) -> Mixture:
        """f at the candidates Z (q, d)."""
        return self.predictive(Z, noise=0.0)

    def predictive(self, Z: Array, noise: float = 1.0) -> Mixture:
        """A new score at the candidates Z (q, d), measured with relative noise w = `noise`."""
        c, half = self._project(Z)
        bracket = 1 + self.theta.v0 - np.sum(half**2, axis=1) + self.nodes.rho[:, None] * noise
        return self._mixture(self._location(c) + self.data.centre, bracket)  # (7)

    def difference(self, Z: Array, x0: Array) -> Mixture:
        """f(x) - f(x0) for each candidate x of Z (q, d) against one x0 (d,), their covariance counted."""
        c, half = self._project(np.concatenate([Z, x0[None, :]]))
        c, half = c[:, :, :-1] - c[:, :, -1:], half[:, :, :-1] - half[:, :, -1:]
        to_x0 = self.family(self.nodes.lengthscales)(Z, x0[None, :])[self.nodes.row, :, 0]  # (k, q)
        return self._mixture(self._location(c), 2 - 2 * to_x0 - np.sum(half**2, axis=1))  # (8)

    def sample(self, Z: Array, count: int, rng: np.random.Generator) -> Array:  # (count, q)
        """Draws of f at the candidates Z (q, d) together: a node by its weight, then a precision by (5), then a
        normal with the covariance k(x, x') + v0 - c(x)' C^-1 c(x').

        Twin: `posterior`, whose mean and variance the draws have (tests/search/test_gamma.py).
        """
        c, half = self._project(Z)
        loc = self._location(c)  # (k, q)
        drawn = rng.choice(len(self.weights), size=count, p=self.weights / self.weights.sum())
        a = self.df / 2
        shares = np.ones(count) if np.isinf(a) else rng.gamma(a, size=count) / a
        scale = np.sqrt(self.variance[drawn] / shares) * self.data.spread  # 1 / sqrt(lambda)
        standard = rng.standard_normal((count, len(Z)))
        out = np.empty((count, len(Z)))
        for k in np.unique(drawn):
            among = drawn == k
            prior = self.family(self.nodes.lengthscales[self.nodes.row[k]][None, :])(Z, Z)[0] + self.theta.v0
            values, vectors = np.linalg.eigh(prior - half[k].T @ half[k])
            root = vectors * np.sqrt(np.maximum(values, 0.0))  # rounding can leave one just below 0
            out[among] = loc[k] + scale[among, None] * (standard[among] @ root.T)
        return out + self.data.centre

    def _project(self, Z: Array) -> tuple[Array, Array]:
        return project(self.nodes, self.solved, self.family, self.theta.v0, self.data.X, Z)

    def _location(self, c: Array) -> Array:  # (k, q)
        return np.asarray(np.squeeze(self.solved.alpha[:, None, :] @ c, 1) * self.data.spread)

    def _mixture(self, loc: Array, bracket: Array) -> Mixture:
        # rounding can leave a bracket of an observed point just below 0
        scale = np.sqrt(self.variance[:, None] * np.maximum(bracket, 0.0)) * self.data.spread
        return Mixture(self.weights, StudentT(loc, scale, self.df))
