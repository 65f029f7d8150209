"""Kernels and Gaussian processes against scikit-learn's, which was written by other people."""

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel

from gammatune.samplers.thesis_gamma import plugin
from gammatune.surrogate.dataset import Dataset
from gammatune.surrogate.gamma import GammaProcess
from gammatune.surrogate.gp import GP, LENGTHSCALES, RHO, QuadratureGP, fit
from gammatune.surrogate.kernels import Matern52, SquaredExponential

RNG = np.random.default_rng(0)
THETA = np.array([0.3, 0.8])
X, POINTS = RNG.random((9, 2)), RNG.random((5, 2))
Y = np.sin(4 * X[:, 0]) + X[:, 1] + 0.1 * RNG.normal(size=9)


def standardised() -> Dataset:
    """Scores whose centre is 0 and spread 1 already, so that ours and scikit-learn's see the same numbers."""
    return Dataset(X, (Y - Y.mean()) / Y.std())


def test_squared_exponential_is_equation_5() -> None:
    expected = [
        [np.exp(-0.5 * sum((a - b) ** 2 for a, b in zip(x, z, strict=True))) for z in POINTS] for x in X
    ]
    assert SquaredExponential()(X, POINTS) == pytest.approx(np.array(expected))


@pytest.mark.parametrize("theta", [np.array([0.4]), THETA, 0.7])
@pytest.mark.parametrize(
    ("ours", "theirs"), [(SquaredExponential, RBF), (Matern52, lambda length: Matern(length, nu=2.5))]
)
def test_kernels_are_those_of_scikit_learn(theta, ours, theirs) -> None:  # type: ignore[no-untyped-def]
    length = theta if np.size(theta) > 1 else float(np.squeeze(theta))
    assert ours(theta)(X, POINTS) == pytest.approx(theirs(length)(X, POINTS), rel=1e-12)
    assert np.diag(ours(theta)(X, X)) == pytest.approx(1.0)


def test_many_thetas_at_once_are_each_alone() -> None:
    thetas = np.array([[0.1, 0.2], [0.5, 2.0], [1.0, 1.0]])
    for family in (SquaredExponential, Matern52):
        stacked = family(thetas)(X, POINTS)
        assert stacked.shape == (3, 9, 5)
        for k, theta in enumerate(thetas):
            assert stacked[k] == pytest.approx(family(theta)(X, POINTS), rel=1e-12)


def test_gp_is_that_of_scikit_learn() -> None:
    data = standardised()
    kernel = ConstantKernel(1.7) * Matern(THETA, nu=2.5) + WhiteKernel(1.7 * 0.05)
    theirs = GaussianProcessRegressor(kernel, optimizer=None, alpha=0).fit(data.X, data.y)
    ours = GP(data, THETA, 1.7, 0.05)
    mean, sd = theirs.predict(POINTS, return_std=True)
    assert ours.log_evidence == pytest.approx(theirs.log_marginal_likelihood_value_, rel=1e-10)
    assert ours.posterior(POINTS).loc == pytest.approx(mean, rel=1e-9)
    # theirs is of a new score, ours of the function below the noise
    assert ours.posterior(POINTS).variance + 1.7 * 0.05 == pytest.approx(sd**2, rel=1e-9)


def test_fit_reaches_the_evidence_that_scikit_learn_reaches() -> None:
    data = standardised()
    kernel = ConstantKernel(1.0, (1e-8, 1e8)) * Matern([0.3, 0.3], length_scale_bounds=LENGTHSCALES, nu=2.5)
    kernel += WhiteKernel(0.01, (1e-8, 1e2))
    theirs = GaussianProcessRegressor(kernel, alpha=0, n_restarts_optimizer=8, random_state=0)
    with np.errstate(all="ignore"):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its optimiser reports bounds it touches
            theirs.fit(data.X, data.y)
    ours = fit(data)
    assert ours.log_evidence > theirs.log_marginal_likelihood_value_ - 0.02
    assert (LENGTHSCALES[0] - 1e-9 <= ours.theta).all()
    assert (ours.theta <= LENGTHSCALES[1] + 1e-9).all()
    assert RHO[0] * 0.999 <= ours.rho <= RHO[1] * 1.001


def test_fit_is_a_top_of_the_evidence() -> None:
    best = fit(standardised())
    for step in (0.9, 1.1):
        for theta, variance, rho in (
            (best.theta * np.array([step, 1]), best.variance, best.rho),
            (best.theta, best.variance * step, best.rho),
            (best.theta, best.variance, best.rho * step),
        ):
            inside = (
                RHO[0] <= rho <= RHO[1]
                and (theta >= LENGTHSCALES[0]).all()
                and (theta <= LENGTHSCALES[1]).all()
            )
            if inside:
                assert GP(best.data, theta, variance, rho).log_evidence < best.log_evidence + 1e-6


def test_conditioning_keeps_the_hyperparameters() -> None:
    data = standardised()
    some = GP(Dataset(X[:6], Y[:6]), THETA, 2.0, 0.1)
    grown = some.condition(X[6:], Y[6:])
    whole = GP(Dataset(X, Y), THETA, 2.0, 0.1)
    assert grown.posterior(POINTS).loc == pytest.approx(whole.posterior(POINTS).loc)
    assert grown.data.n == data.n


@pytest.mark.parametrize("n", [1, 2, 6])
def test_equal_scores(n: int) -> None:
    for surrogate in (fit(Dataset(X[:n], np.full(n, 3.0))), QuadratureGP(Dataset(X[:n], np.full(n, 3.0)))):
        m = surrogate.posterior(POINTS)
        assert m.mean == pytest.approx(3.0)
        assert np.isfinite(m.variance).all()


def test_the_quadrature_without_the_gamma_is_a_plug_in_at_every_node() -> None:
    data = Dataset(X[:, :1], Y)
    q = QuadratureGP(data)
    k = int(np.argmax(q.weights))
    kernel = Matern52(q.nodes.lengthscales[q.nodes.row[k]])
    C = kernel(data.X, data.X) + q.theta.v0 + q.nodes.rho[k] * np.eye(9)
    c = kernel(data.X, POINTS[:, :1]) + q.theta.v0
    solved = np.linalg.solve(C, c)
    variance = data.z @ np.linalg.solve(C, data.z) / 9
    m = q.posterior(POINTS[:, :1]).parts
    assert m.loc[k] == pytest.approx(data.z @ solved * data.spread + data.centre, rel=1e-6)
    scale = np.sqrt(variance * (1 + q.theta.v0 - np.sum(c * solved, axis=0))) * data.spread
    assert m.scale[k] == pytest.approx(scale, rel=1e-6)
    grown = QuadratureGP(Dataset(data.X[:5], data.y[:5])).condition(data.X[5:], data.y[5:])
    assert grown.posterior(POINTS[:, :1]).mean == pytest.approx(q.posterior(POINTS[:, :1]).mean, rel=1e-9)


def test_with_much_data_gamma_and_plug_in_agree() -> None:
    x = np.linspace(0, 1, 60)[:, None]
    data = Dataset(x, np.sin(6 * x[:, 0]) + 0.1 * np.random.default_rng(3).normal(size=60))
    points = np.array([[0.21], [0.5], [0.93]])
    one, two = GammaProcess(data).posterior(points), QuadratureGP(data).posterior(points)
    assert one.mean == pytest.approx(two.mean, abs=0.02)
    assert np.sqrt(one.variance) == pytest.approx(np.sqrt(two.variance), rel=0.2)


@pytest.mark.parametrize("reading", ["a", "b"])
@pytest.mark.parametrize("variance", ["mean", "variance"])
def test_the_thesis_plug_in_step_by_step(reading: str, variance: str) -> None:
    """Equations (13) and (15) with loops and no algebra, at every candidate."""
    data = Dataset(X, 7 + 3 * Y)
    gp = fit(data)
    ours = plugin(gp, POINTS, reading, variance)  # type: ignore[arg-type]
    for j, m in enumerate((gp.posterior(POINTS).loc - data.centre) / data.spread):
        known = [m] * 9 if reading == "a" else (gp.posterior(X).loc - data.centre) / data.spread
        a_n, b_n = 2.0 + 9 / 2, 1.0 + sum((z - mu) ** 2 for z, mu in zip(data.z, known, strict=True)) / 2
        sigma2 = b_n / a_n if variance == "mean" else b_n / (a_n - 1)
        values = [z if reading == "a" else z - mu + m for z, mu in zip(data.z, known, strict=True)]
        mean = (m / 1.0 + sum(values) / sigma2) / (1 / 1.0 + 9 / sigma2)  # (13)
        assert ours.loc[j] == pytest.approx(mean * data.spread + data.centre, rel=1e-9)
        assert ours.scale[j] == pytest.approx(np.sqrt(sigma2) * data.spread, rel=1e-9)
