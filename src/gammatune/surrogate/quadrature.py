"""Integrating theta out: which hyperparameters to try, and the linear algebra at all of them at once.

Symbols: n observations, q candidates, d dimensions, k nodes; theta = (lengthscales (d,), rho), rho the ratio of
the noise variance to the signal variance; v0 the variance of the constant level, W the diagonal noise.

    C = K + v0 11' + rho W,    c(x) = k(X, x) + v0 1

Weights are log prior densities corrected for how the nodes were placed; a surrogate adds its log evidence.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special
from scipy.linalg import lapack

from gammatune.surrogate.dataset import Dataset
from gammatune.surrogate.kernels import KernelFamily

Array: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.intp]

JITTER = 1e-10  # the first jitter tried, relative to the diagonal of C
ROUND = 64  # nodes a round in two or more dimensions: a guess
KEPT = 32  # of them for the posterior
# nodes lighter than this share of the heaviest are left out: they cost time and say nothing
NEGLIGIBLE = 1e-4


@dataclass(frozen=True, slots=True)
class ThetaPrior:
    """Log-normal beliefs on the hyperparameters, in units of the cube and of the signal variance.

    lengthscale: median of each lengthscale in one dimension; times sqrt(d) in d (points of a cube lie that much
    further apart: Hvarfner et al. 2024, arXiv 2402.02229). rho: median noise-to-signal variance ratio.
    *_spread: standard deviations of the natural logarithms. v0: variance of the level (guess).
    Medians and spreads began as guesses and were held against random functions (experiments/surrogate_prior.py):
    0.03 for rho lost to every smaller value; 0.001 is the largest that the even smaller ones do not clearly beat.
    """

    lengthscale: float = 0.3
    lengthscale_spread: float = 0.7
    rho: float = 0.001
    rho_spread: float = 1.5
    v0: float = 10.0

    def centre(self, d: int) -> Array:  # (d + 1,)
        """Prior mean of (log lengthscales, log rho)."""
        return np.append(np.full(d, np.log(self.lengthscale * np.sqrt(d))), np.log(self.rho))

    def spread(self, d: int) -> Array:  # (d + 1,)
        return np.append(np.full(d, self.lengthscale_spread), self.rho_spread)


def log_sum(logs: Array) -> float:
    """log(sum(exp(logs))), without overflow; scipy's takes a third of a millisecond."""
    top = float(logs.max())
    return top + float(np.log(np.exp(logs - top).sum()))


@dataclass(frozen=True, slots=True)
class Nodes:
    """k values of theta; rows of `lengthscales` (g, d) may be shared, row[i] is that of node i.

    rho, log_weight: (k,).
    """

    lengthscales: Array
    row: Indices
    rho: Array
    log_weight: Array

    def keep(self, chosen: Indices, log_weight: Array) -> "Nodes":
        rows, row = np.unique(self.row[chosen], return_inverse=True)
        return Nodes(self.lengthscales[rows], row, self.rho[chosen], log_weight)


@functools.cache
def grid_nodes(prior: ThetaPrior, rhos: int = 6) -> Nodes:
    """12 lengthscales times 6 (`rhos`) rho for one dimension, evenly spaced in logarithms.

    They span 2.5 and 2 prior standard deviations either way; cells of equal size, so the weight is the prior
    density. 12 x 6 (guess): doubling both moves suggestions less than the candidates lie apart (tests).
    """
    scale, noise = np.linspace(-2.5, 2.5, 12), np.linspace(-2.0, 2.0, rhos)
    centre, spread = prior.centre(1), prior.spread(1)
    log_weight = -0.5 * (scale[:, None] ** 2 + noise[None, :] ** 2)
    return Nodes(
        np.exp(centre[0] + spread[0] * scale)[:, None],
        np.repeat(np.arange(12), rhos),
        np.tile(np.exp(centre[1] + spread[1] * noise), 12),
        (log_weight - log_sum(log_weight)).ravel(),
    )


def kronecker(q: int, d: int) -> Array:  # (q, d)
    """Quasi-random points of the unit cube: multiples of powers of the generalised golden ratio, modulo 1.

    g is the positive root of g^(d+1) = g + 1 (Roberts 2018, "The unreasonable effectiveness of quasirandom
    sequences"); at d = 1 this is the golden-ratio sequence.
    """
    g = 2.0
    for _ in range(60):
        g = (1 + g) ** (1 / (d + 1))
    steps = g ** -np.arange(1.0, d + 1)
    return np.asarray((0.5 + np.arange(1, q + 1)[:, None] * steps) % 1.0)


@functools.cache
def first_nodes(prior: ThetaPrior, d: int) -> tuple[Array, Nodes]:
    """ROUND quasi-random draws from the prior: in prior standard units (ROUND, d + 1), and as nodes."""
    standard = special.ndtri(kronecker(ROUND, d + 1))
    return standard, _as_nodes(prior, standard, np.zeros(ROUND))


def adaptive_nodes(prior: ThetaPrior, d: int, standard: Array, log_evidence: Array) -> Nodes:
    """One more round of nodes where the evidence of the first round says they matter.

    standard: the first round (k, d + 1) in prior standard units; log_evidence: (k,). A normal proposal is fitted
    to the weighted first round, as many nodes again are drawn from it, and all 2k are weighted by prior / (mean of
    prior and proposal), the balance heuristic of Veach and Guibas (1995).
    """
    k = len(standard)
    weights = np.exp(log_evidence - log_sum(log_evidence))
    centre = weights @ standard
    # diagonal and no narrower than a quarter of the prior: a handful of effective nodes cannot say more (guess)
    spread = np.clip(np.sqrt(weights @ (standard - centre) ** 2), 0.25, 1.0)
    # the next k points of the sequence, so that the rounds do not overlap
    fresh = centre + spread * special.ndtri(kronecker(2 * k, d + 1)[k:])
    both = np.concatenate([standard, fresh])
    log_prior = -0.5 * np.sum(both**2, axis=1)
    log_proposal = -0.5 * np.sum(((both - centre) / spread) ** 2, axis=1) - np.sum(np.log(spread))
    return _as_nodes(prior, both, log_prior - np.logaddexp(log_prior, log_proposal))


def _as_nodes(prior: ThetaPrior, standard: Array, log_weight: Array) -> Nodes:
    d = standard.shape[1] - 1
    points = prior.centre(d) + prior.spread(d) * standard  # (k, d + 1)
    return Nodes(
        np.exp(points[:, :-1]),
        np.arange(len(points)),
        np.exp(points[:, -1]),
        log_weight - log_sum(log_weight),
    )


@dataclass(frozen=True, slots=True)
class Solved:
    """C at every node, factorised: what evidence and prediction need of it.

    inverse: (k, n, n) with inverse' inverse = C^-1 (the inverted Cholesky factor). log_det: (k,) log|C|.
    alpha: (k, n) = C^-1 z. square: (k,) = z' C^-1 z. rho: (k,) of the nodes. jitter: what had to be
    added to the diagonal of C, as a share of it, 0 unless the factorisation failed without; evidence and prediction
    both see it.
    """

    inverse: Array
    log_det: Array
    alpha: Array
    square: Array
    rho: Array
    jitter: float

    def keep(self, chosen: Indices) -> "Solved":
        return Solved(
            self.inverse[chosen], self.log_det[chosen], self.alpha[chosen], self.square[chosen],
            self.rho[chosen], self.jitter,
        )  # fmt: skip

    def joined(self, other: "Solved") -> "Solved":
        """The nodes of both."""
        return Solved(
            np.concatenate([self.inverse, other.inverse]),
            np.concatenate([self.log_det, other.log_det]),
            np.concatenate([self.alpha, other.alpha]),
            np.concatenate([self.square, other.square]),
            np.concatenate([self.rho, other.rho]),
            max(self.jitter, other.jitter),
        )


LogEvidence: TypeAlias = Callable[[Solved], Array]  # of every node, (k,)


def integrate(
    data: Dataset, family: KernelFamily, prior: ThetaPrior, log_evidence: LogEvidence, rhos: int = 6
) -> tuple[Nodes, Solved, float]:
    """The nodes that hold the posterior of theta, C at each, and the log evidence of the whole mixture.

    In one dimension the grid (with so many `rhos`), in more two rounds of quasi-random nodes. On return `log_weight`
    is the log of the posterior probability of each node, those that hold next to nothing left out.
    Raises numpy.linalg.LinAlgError where C cannot be factorised.
    """
    if data.d == 1:
        nodes = grid_nodes(prior, rhos)
        solved = solve(nodes, family, prior.v0, data)
    else:
        standard, first = first_nodes(prior, data.d)
        solved = solve(first, family, prior.v0, data)
        nodes = adaptive_nodes(prior, data.d, standard, log_evidence(solved))
        fresh = np.arange(ROUND, len(nodes.rho))
        solved = solved.joined(solve(nodes.keep(fresh, nodes.log_weight[fresh]), family, prior.v0, data))
    log_weight = nodes.log_weight + log_evidence(solved)
    total = float(log_sum(log_weight))
    if data.d == 1:
        chosen = np.flatnonzero(log_weight >= log_weight.max() + np.log(NEGLIGIBLE))
        log_weight = log_weight[chosen] - log_sum(log_weight[chosen])
    else:
        chosen, log_weight = thinned(log_weight - total)
    return nodes.keep(chosen, log_weight), solved.keep(chosen), total


def thinned(log_weight: Array) -> tuple[Indices, Array]:
    """At most KEPT nodes for all of them, and the logarithms of their weights: systematic resampling.

    Node i stands as often as the marks (j + 1/2) / KEPT fall into its share of the line, so that a heavy node keeps
    its weight to 1 / KEPT and of the light ones every so-and-so-many-th stands for its neighbours in the
    quasi-random order (Kitagawa 1996). log_weight: normalised, (k,).
    """
    line = np.cumsum(np.exp(log_weight))
    marks = (np.arange(KEPT) + 0.5) / KEPT * line[-1]
    chosen, times = np.unique(np.searchsorted(line, marks), return_counts=True)
    return chosen, np.log(times / KEPT)


def solve(nodes: Nodes, family: KernelFamily, v0: float, data: Dataset) -> Solved:
    """Factorise C at every node. Raises numpy.linalg.LinAlgError where even a jitter of 1e-4 does not help."""
    C = family(nodes.lengthscales)(data.X, data.X)[nodes.row] + v0  # (k, n, n)
    diagonal = np.arange(data.n)
    C[:, diagonal, diagonal] += nodes.rho[:, None] * data.noise
    factors, jitter = factor(C)
    inverse = np.stack([invert(L) for L in factors])
    half = inverse @ data.z  # (k, n) = L^-1 z
    return Solved(
        inverse,
        2 * np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1),
        np.squeeze(half[:, None, :] @ inverse, 1),
        np.sum(half**2, axis=1),
        nodes.rho,
        jitter,
    )


def factor(C: Array) -> tuple[Array, float]:
    """The Cholesky factors of the matrices C (..., n, n), and the jitter that they took."""
    diagonal = np.arange(C.shape[-1])
    jitter = 0.0
    while True:
        try:
            shaken = C.copy()
            shaken[..., diagonal, diagonal] *= 1 + jitter
            return np.asarray(np.linalg.cholesky(shaken), dtype=np.float64), jitter
        except np.linalg.LinAlgError:
            if jitter > 1e-4:
                raise
            jitter = 10 * jitter or JITTER


def invert(L: Array) -> Array:
    """The inverse of a lower triangular matrix (n, n)."""
    inverse, _ = lapack.dtrtri(L, lower=1)
    return np.asarray(inverse)


def project(
    nodes: Nodes, solved: Solved, family: KernelFamily, v0: float, X: Array, Z: Array
) -> tuple[Array, Array]:
    """c(x) at the candidates Z (q, d), and L^-1 c(x): both (k, n, q)."""
    c = family(nodes.lengthscales)(X, Z)[nodes.row] + v0
    return c, solved.inverse @ c
