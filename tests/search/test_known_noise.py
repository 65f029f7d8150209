"""The Gamma process under known standard errors against brute-force integration, and what it does with them."""

import numpy as np
import pytest
from scipy import stats

from gammatune.errors import InvalidArgument
from gammatune.surrogate.dataset import Dataset
from gammatune.surrogate.gamma import GammaProcess
from gammatune.surrogate.kernels import Matern52
from gammatune.surrogate.known_noise import KnownNoiseProcess
from gammatune.surrogate.quadrature import ThetaPrior

ERRORS = np.array([0.05, 0.6, 0.1, 0.3, 0.05, 0.8, 0.2])  # of the seven scores, in their unit


def data(d: int = 1) -> Dataset:
    rng = np.random.default_rng(0)
    X = rng.random((7, d))
    y = 3 + 2 * np.sin(4 * X[:, 0]) + ERRORS * rng.normal(size=7)
    return Dataset(X, y, (ERRORS / 0.2) ** 2)


def brute_force(
    known: Dataset, Z: np.ndarray, at: np.ndarray, d: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and variance of f at Z, and P(f < at), by draws of lengthscales and lambda from their priors, each
    weighted by the likelihood of the scores under y ~ N(0, (K + v0) / lambda + diag(errors^2))."""
    rng, prior = np.random.default_rng(1), ThetaPrior()
    logs, means, variances = [], [], []
    z, noise = known.z, np.diag((ERRORS / known.spread) ** 2)
    for _ in range(3000):
        kernel = Matern52(np.exp(prior.centre(d)[:-1] + prior.lengthscale_spread * rng.normal(size=d)))
        lam = rng.gamma(2.0, 1.0)
        C = (kernel(known.X, known.X) + prior.v0) / lam + noise
        c = (kernel(known.X, Z) + prior.v0) / lam
        solved = np.linalg.solve(C, c)
        logs.append(-z @ np.linalg.solve(C, z) / 2 - np.linalg.slogdet(C)[1] / 2)
        means.append(solved.T @ z)
        variances.append((1 + prior.v0) / lam - np.sum(c * solved, axis=0))
    weights = np.exp(np.array(logs) - max(logs))
    weights /= weights.sum()
    means_, sds = np.array(means) * known.spread + known.centre, np.sqrt(variances) * known.spread
    mean = weights @ means_
    return mean, weights @ (sds**2 + (means_ - mean) ** 2), weights @ stats.norm.cdf(at, means_, sds)


@pytest.mark.parametrize("d", [1, 2])
def test_it_is_the_heteroscedastic_likelihood_integrated_by_brute_force(d: int) -> None:
    known = data(d)
    Z = np.random.default_rng(2).random((5, d))
    ours = KnownNoiseProcess(known, error=0.2).posterior(Z)
    at = ours.mean + np.sqrt(ours.variance)
    mean, variance, below = brute_force(known, Z, at, d)
    sd = np.sqrt(variance)
    assert (np.abs(ours.mean - mean) < 0.08 * sd).all()
    assert np.sqrt(ours.variance) == pytest.approx(
        sd, rel=0.12 if d == 1 else 0.25
    )  # of 32 nodes in two dimensions
    assert ours.weights @ ours.parts.cdf0((at - ours.parts.loc) / ours.parts.scale) == pytest.approx(
        below, abs=0.02
    )


def test_an_error_is_that_of_its_score_in_its_unit() -> None:
    """Of two scores at one point the sure one counts; where both are very unsure, the mean stays near all others."""
    X, y = [[0.3], [0.3], [0.9], [0.6]], [0.0, 1.0, 0.5, 0.5]
    at = np.array([[0.3]])
    first, second = (
        KnownNoiseProcess(Dataset(X, y, [*pair, 1.0, 1.0]), 0.05).posterior(at).mean[0]
        for pair in ((1.0, 400.0), (400.0, 1.0))
    )
    assert first < 0.05
    assert second > 0.95
    lone = [0.0, 0.0, 0.0, 1.0]
    there = np.array([[0.6]])
    sure, unsure = (
        KnownNoiseProcess(Dataset([[0.1], [0.3], [0.9], [0.6]], lone), error).posterior(there).mean[0]
        for error in (0.01, 2.0)
    )
    assert sure > 0.95
    assert unsure < 0.7


@pytest.mark.parametrize("scale", [1e-6, 1e5])
def test_units_do_not_matter(scale: float) -> None:
    known, Z = data(), np.array([[0.2], [0.7]])
    one = KnownNoiseProcess(known, 0.2).posterior(Z)
    two = KnownNoiseProcess(Dataset(known.X, known.y * scale, known.noise), 0.2 * scale).posterior(Z)
    assert two.mean == pytest.approx(one.mean * scale, rel=1e-6)
    assert two.variance == pytest.approx(one.variance * scale**2, rel=1e-6)


def test_it_grows_and_draws_like_the_process_that_it_is() -> None:
    known, Z = data(), np.linspace(0.0, 1.0, 9)[:, None]
    process = KnownNoiseProcess(known, 0.2)
    grown = KnownNoiseProcess(Dataset(known.X[:4], known.y[:4], known.noise[:4]), 0.2).condition(
        known.X[4:], known.y[4:], known.noise[4:]
    )
    assert grown.posterior(Z).mean == pytest.approx(process.posterior(Z).mean)
    draws = process.sample(Z, 10_000, np.random.default_rng(0))
    sd = np.sqrt(process.posterior(Z).variance)
    assert np.abs(draws.mean(axis=0) - process.posterior(Z).mean).max() < 0.06 * sd.max()
    np.testing.assert_allclose(draws.std(axis=0), sd, rtol=0.08)


def test_no_error_at_all_is_near_a_process_of_little_noise() -> None:
    X, y = np.linspace(0.0, 1.0, 7)[:, None], np.sin(5 * np.linspace(0.0, 1.0, 7))
    Z = np.array([[0.1], [0.45]])
    exact, learned = (
        KnownNoiseProcess(Dataset(X, y), 0.0).posterior(Z),
        GammaProcess(Dataset(X, y)).posterior(Z),
    )
    assert exact.mean == pytest.approx(learned.mean, abs=0.05)
    assert KnownNoiseProcess(Dataset(X, y), 0.0).posterior(X).mean == pytest.approx(y, abs=1e-3)


@pytest.mark.parametrize("error", [-0.1, float("nan"), float("inf")])
def test_an_error_that_means_nothing_is_refused(error: float) -> None:
    with pytest.raises(InvalidArgument, match=f"0 or more, got {error}"):
        KnownNoiseProcess(data(), error)
