"""The Gamma process against numerical integration over the precision, and its behaviour at the edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from gammatune.errors import InvalidArgument
from gammatune.surrogate.dataset import Dataset
from gammatune.surrogate.gamma import GammaProcess, PrecisionPrior
from gammatune.surrogate.gp import fit
from gammatune.surrogate.kernels import Matern52, SquaredExponential
from gammatune.surrogate.predictive import StudentT
from gammatune.surrogate.quadrature import KEPT, ThetaPrior, factor, grid_nodes, log_sum, solve, thinned
from gammatune.surrogate.quadrature import integrate as integrate_theta

Z = np.array([[0.05], [0.4], [0.77]])


def data(n: int = 6, d: int = 1, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    X = rng.random((n, d))
    return Dataset(X, np.sin(5 * X[:, 0]) + 0.1 * rng.normal(size=n), rng.uniform(0.5, 2.0, n))


def covariance(g: GammaProcess, node: int, Z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """C, c(Z) and the prior covariance of f at Z for one node, written out with plain loops."""
    kernel, v0 = Matern52(g.nodes.lengthscales[g.nodes.row[node]]), g.theta.v0
    X = g.data.X
    C = kernel(X, X) + v0 + g.nodes.rho[node] * np.diag(g.data.noise)
    return C, kernel(X, Z) + v0, kernel(Z, Z) + v0


def over_lambda(g: GammaProcess, node: int, function) -> float:  # type: ignore[no-untyped-def]
    """int Gamma(lambda; a0, b0) N(z; 0, C / lambda) function(lambda) d lambda, by quadrature."""
    C, _, _ = covariance(g, node, Z)
    n = g.data.n

    def integrand(lam: float) -> float:
        prior = stats.gamma.pdf(lam, g.prior.a0, scale=1 / g.prior.b0)
        return prior * stats.multivariate_normal.pdf(g.data.z, np.zeros(n), C / lam) * function(lam)

    return integrate.quad(integrand, 0, 60, points=[0.5, 2, 8], limit=400, epsabs=0, epsrel=1e-10)[0]


NODES = (0, 9, 20)


@pytest.mark.parametrize("node", NODES)
def test_evidence_is_the_integral_over_the_precision(node: int) -> None:
    g = GammaProcess(data())
    other = (node + 1) % len(g.weights)
    ours = np.log(g.weights[node]) - np.log(g.weights[other])
    theirs = np.log(over_lambda(g, node, lambda _: 1.0)) - np.log(over_lambda(g, other, lambda _: 1.0))
    s = grid_nodes(g.theta)
    logs = dict(zip(zip(s.rho, s.lengthscales[s.row, 0], strict=True), s.log_weight, strict=True))
    at = [logs[g.nodes.rho[i], g.nodes.lengthscales[g.nodes.row[i], 0]] for i in (node, other)]
    assert ours == pytest.approx(theirs + at[0] - at[1], abs=1e-7)


def test_log_evidence_is_that_of_the_whole_mixture() -> None:
    g = GammaProcess(data())
    s = grid_nodes(g.theta)
    chosen = [
        np.flatnonzero(
            (s.rho == g.nodes.rho[i]) & (s.lengthscales[s.row, 0] == g.nodes.lengthscales[g.nodes.row[i], 0])
        )[0]
        for i in range(len(g.weights))
    ]
    total = sum(np.exp(s.log_weight[j]) * over_lambda(g, i, lambda _: 1.0) for i, j in enumerate(chosen))
    assert g.log_evidence == pytest.approx(np.log(total), abs=0.02)  # light nodes are left out of the sum


@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize("what", ["posterior", "predictive", "difference"])
def test_the_student_t_is_the_normal_integrated_over_the_precision(node: int, what: str) -> None:
    g = GammaProcess(data())
    C, c, prior = covariance(g, node, Z)
    solved = np.linalg.solve(C, c)
    mean, cov = solved.T @ g.data.z, prior - c.T @ solved
    if what == "predictive":
        mixture = g.predictive(Z, noise=1.7)
        cov = cov + 1.7 * g.nodes.rho[node] * np.eye(3)
    elif what == "difference":
        mixture = g.difference(Z, Z[0])
        D = np.eye(3) - np.outer(np.ones(3), [1, 0, 0])
        mean, cov = D @ mean, D @ cov @ D.T
    else:
        mixture = g.posterior(Z)
    assert isinstance(mixture.parts, StudentT)
    evidence = over_lambda(g, node, lambda _: 1.0)
    i, centre = 2, 0.0 if what == "difference" else g.data.centre
    for y in mixture.parts.loc[node, i] + np.array([-0.7, 0.0, 1.3]) * g.data.spread:
        z = (y - centre) / g.data.spread
        theirs = (
            over_lambda(g, node, lambda lam, z=z: stats.norm.pdf(z, mean[i], np.sqrt(cov[i, i] / lam)))
            / evidence
        )
        t = stats.t(mixture.parts.df, mixture.parts.loc[node, i], mixture.parts.scale[node, i])
        assert t.pdf(y) * g.data.spread == pytest.approx(theirs, rel=1e-6)
    if what == "difference":
        assert mixture.parts.loc[:, 0] == pytest.approx(0, abs=1e-12)
        assert mixture.parts.scale[:, 0] == pytest.approx(0, abs=1e-6)


def test_conditioning_is_the_same_as_knowing_all_at_once() -> None:
    whole = data(9)
    some = Dataset(whole.X[:5], whole.y[:5], whole.noise[:5])
    grown = GammaProcess(some).condition(whole.X[5:], whole.y[5:], whole.noise[5:])
    for a, b in zip(
        (grown.posterior(Z).mean, grown.posterior(Z).variance, grown.weights),
        (
            GammaProcess(whole).posterior(Z).mean,
            GammaProcess(whole).posterior(Z).variance,
            GammaProcess(whole).weights,
        ),
        strict=True,
    ):
        assert a == pytest.approx(b, rel=1e-12)


@pytest.mark.parametrize("d", [1, 2, 4])
@pytest.mark.parametrize(("scale", "shift"), [(1e-6, 3.0), (1e5, -1e7), (1e200, 0.0)])
def test_units_of_the_score_do_not_matter(d: int, scale: float, shift: float) -> None:
    base = data(7, d)
    points = np.random.default_rng(1).random((5, d))
    one = GammaProcess(base).posterior(points)
    two = GammaProcess(Dataset(base.X, base.y * scale + shift, base.noise)).posterior(points)
    assert two.mean == pytest.approx(one.mean * scale + shift, rel=1e-7)
    assert two.parts.scale == pytest.approx(one.parts.scale * scale, rel=1e-5)


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_equal_scores_are_believed_everywhere(n: int, d: int) -> None:
    X = np.random.default_rng(0).random((n, d))
    points = np.random.default_rng(1).random((4, d))
    m = GammaProcess(Dataset(X, np.full(n, 0.5))).posterior(points)
    assert m.mean == pytest.approx(0.5)
    assert (m.variance > 0).all()
    assert np.isfinite(m.variance).all()


def test_precise_observations_weigh_more() -> None:
    X, y = [[0.3], [0.3], [0.9]], [0.0, 1.0, 0.5]
    low = GammaProcess(Dataset(X, y, [0.01, 10.0, 1.0])).posterior(np.array([[0.3]])).mean[0]
    high = GammaProcess(Dataset(X, y, [10.0, 0.01, 1.0])).posterior(np.array([[0.3]])).mean[0]
    assert low < 0.1
    assert high > 0.9


def test_uncertainty_covers_what_is_true() -> None:
    """Functions drawn from the prior, six noisy scores: how often the 90 % interval holds the truth.

    The scores' own mean and spread are used to standardise, so 90 % is not exact; the Gaussian process of
    highest evidence, with the same data, is far below it.
    """
    rng = np.random.default_rng(0)
    prior = ThetaPrior()
    inside, gaussian = [], []
    for _ in range(150):
        ell = np.exp(np.log(prior.lengthscale) + prior.lengthscale_spread * rng.normal())
        rho = np.exp(np.log(prior.rho) + prior.rho_spread * rng.normal())
        X = rng.random((9, 1))
        K = Matern52(np.array([ell]))(X, X)
        f = np.linalg.cholesky(K + 1e-10 * np.eye(9)) @ rng.normal(size=9) / np.sqrt(rng.gamma(2.0, 1.0))
        y = f[:6] + np.sqrt(rho) * rng.normal(size=6) * f.std()
        m = GammaProcess(Dataset(X[:6], y)).posterior(X[6:])
        t = (f[6:] - m.parts.loc) / m.parts.scale
        u = m.weights @ m.parts.cdf0(t)
        inside += list((u > 0.05) & (u < 0.95))
        p = fit(Dataset(X[:6], y)).posterior(X[6:])
        gaussian += list(np.abs(f[6:] - p.loc) < 1.645 * p.scale)
    assert 0.8 < np.mean(inside) < 0.97
    assert np.mean(gaussian) < np.mean(inside) - 0.1


def test_twice_the_grid_gives_the_same_beliefs(monkeypatch: pytest.MonkeyPatch) -> None:
    """12 x 6 cells against 48 x 24 of the same span."""
    from gammatune.surrogate import quadrature

    def fine(prior: ThetaPrior, rhos: int) -> quadrature.Nodes:
        scale, noise = np.linspace(-2.5, 2.5, 48), np.linspace(-2.0, 2.0, 24)
        centre, spread = prior.centre(1), prior.spread(1)
        log_weight = (-0.5 * (scale[:, None] ** 2 + noise[None, :] ** 2)).ravel()
        return quadrature.Nodes(
            np.exp(centre[0] + spread[0] * scale)[:, None],
            np.repeat(np.arange(48), 24),
            np.tile(np.exp(centre[1] + spread[1] * noise), 48),
            log_weight - np.log(np.exp(log_weight).sum()),
        )

    coarse = GammaProcess(data(8)).posterior(Z)
    monkeypatch.setattr(quadrature, "grid_nodes", fine)
    exact = GammaProcess(data(8)).posterior(Z)
    assert np.abs(coarse.mean - exact.mean).max() < 0.05 * np.sqrt(exact.variance).min()
    assert np.sqrt(coarse.variance) == pytest.approx(np.sqrt(exact.variance), rel=0.1)


def test_adaptive_nodes_agree_with_many_draws_from_the_prior() -> None:
    """Two dimensions: self-normalised importance sampling from the prior with 20,000 draws."""
    base, prior = data(8, 2), ThetaPrior()
    points = np.random.default_rng(1).random((4, 2))
    ours = GammaProcess(base).posterior(points)
    rng = np.random.default_rng(2)
    means, logs = [], []
    for _ in range(20_000):
        theta = np.exp(prior.centre(2) + prior.spread(2) * rng.normal(size=3))
        kernel = Matern52(theta[:2])
        C = kernel(base.X, base.X) + prior.v0 + theta[2] * np.diag(base.noise)
        alpha = np.linalg.solve(C, base.z)
        logs.append(-(2 + 4) * np.log(1 + base.z @ alpha / 2) - np.linalg.slogdet(C)[1] / 2)
        means.append((kernel(points, base.X) + prior.v0) @ alpha * base.spread + base.centre)
    weights = np.exp(np.array(logs) - max(logs))
    truth = weights @ np.array(means) / weights.sum()
    assert (np.abs(ours.mean - truth) < 0.1 * np.sqrt(ours.variance)).all()


def test_jitter_is_added_only_where_needed_and_said() -> None:
    assert GammaProcess(data()).jitter == 0
    singular = Dataset([[0.2], [0.2], [0.7]], [0.0, 0.1, 1.0], [1e-30, 1e-30, 1e-30])
    g = GammaProcess(singular, SquaredExponential)
    assert 0 < g.jitter <= 1e-4
    assert np.isfinite(g.posterior(Z).mean).all()
    with pytest.raises(np.linalg.LinAlgError):
        factor(np.array([[1.0, 2.0], [2.0, 1.0]]))


def test_priors_are_arguments() -> None:
    sure = GammaProcess(data(3), prior=PrecisionPrior(200.0, 100.0))
    open_ = GammaProcess(data(3), prior=PrecisionPrior(0.5, 0.25))
    assert sure.posterior(Z).parts.df == 403
    assert open_.posterior(Z).parts.df == 4
    long = GammaProcess(data(3), theta=ThetaPrior(lengthscale=3.0, lengthscale_spread=0.1))
    assert long.nodes.lengthscales.min() > 2


@pytest.mark.parametrize(
    ("X", "y", "noise", "match"),
    [
        ([[0.1], [0.2]], [1.0], None, r"\(2, 1\), \(1,\)"),
        ([], [], None, "n, d >= 1"),
        ([[0.1]], [np.nan], None, "y holds nan; leave failed points out"),
        ([[np.inf]], [1.0], None, "X holds inf"),
        ([[0.1]], [1.0], [0.0], "above 0, got 0.0"),
    ],
)
def test_a_dataset_is_checked_at_birth(X: object, y: object, noise: object, match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        Dataset(X, y, noise)  # type: ignore[arg-type]


def test_integrate_sees_every_node_solved() -> None:
    base = data(4)
    nodes, solved, _ = integrate_theta(base, Matern52, ThetaPrior(), lambda s: -s.log_det / 2)
    i = 3
    C = Matern52(nodes.lengthscales[nodes.row[i]])(base.X, base.X) + 10 + nodes.rho[i] * np.diag(base.noise)
    assert solved.inverse[i].T @ solved.inverse[i] == pytest.approx(np.linalg.inv(C), rel=1e-6)
    assert solved.alpha[i] == pytest.approx(np.linalg.solve(C, base.z), rel=1e-6)
    assert solved.log_det[i] == pytest.approx(np.linalg.slogdet(C)[1])
    assert solved.square[i] == pytest.approx(base.z @ np.linalg.solve(C, base.z))
    assert np.exp(nodes.log_weight).sum() == pytest.approx(1)
    assert solve(nodes, Matern52, 10.0, base).log_det == pytest.approx(solved.log_det)


def test_draws_have_the_mean_and_the_variance_of_the_posterior() -> None:
    process = GammaProcess(Dataset(np.array([[0.2], [0.5], [0.55], [0.9]]), np.array([0.0, 2.0, 1.9, -1.0])))
    Z = np.linspace(0.0, 1.0, 21)[:, None]
    draws = process.sample(Z, 20_000, np.random.default_rng(0))
    told = process.posterior(Z)
    sd = np.sqrt(told.variance)
    assert np.abs(draws.mean(axis=0) - told.mean).max() < 0.05 * sd.max()
    np.testing.assert_allclose(draws.std(axis=0), sd, rtol=0.08)
    # drawn together: the difference of two candidates varies as `difference` says
    apart = process.difference(Z[4:5], Z[5])
    np.testing.assert_allclose((draws[:, 4] - draws[:, 5]).std(), np.sqrt(apart.variance[0]), rtol=0.08)


@given(st.lists(st.floats(-300, 0), min_size=1, max_size=200))
def test_thinned_nodes_keep_their_weight_to_one_mark(logs: list[float]) -> None:
    log_weight = np.array(logs)
    log_weight = log_weight - log_sum(log_weight)
    chosen, kept = thinned(log_weight)
    weights = np.zeros(len(logs))
    weights[chosen] = np.exp(kept)
    assert weights.sum() == pytest.approx(1.0)
    assert np.count_nonzero(weights) <= KEPT
    assert (np.abs(weights - np.exp(log_weight)) <= 1 / KEPT + 1e-9).all()
