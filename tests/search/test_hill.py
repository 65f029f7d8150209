"""The process of hills against plain sums over everything it integrates, and its behaviour at the edges."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gammatune.surrogate import hill
from gammatune.surrogate.hill import HillPrior, HillProcess, Looks, Normal1
from gammatune.surrogate.predictive import Mixture, StudentT

PLACE, DRIFT, PRIOR = Normal1(0.3, 0.6), Normal1(0.15, 0.25), HillPrior()
LOOKS = Looks([-0.6, 0.2, 1.0], [0.9, 1.4, 0.2], 0.5, [1.0, 0.7, 1.5])
Z = np.array([-1.2, 0.1, 0.5, 1.6])


def shape(u: float, node: np.ndarray, prior: HillPrior) -> float:
    """(1), for one number."""
    place, left, right = node[:3]
    if u < place:
        return math.exp(-(((u - place) / left) ** 2) / 2)
    return prior.tail + (1 - prior.tail) * math.exp(-(((u - place) / right) ** 2) / 2)


def matern(one: float, other: float, prior: HillPrior) -> float:
    r = math.sqrt(5) * abs(one - other) / prior.lengthscale
    return (1 + r + r**2 / 3) * math.exp(-r)


class Twin:
    """f at the looks and at some points, given one node: lambda and the amplitude A are summed over on grids."""

    def __init__(self, looks: Looks, node: np.ndarray, prior: HillPrior, at: list[float]) -> None:
        n, q, z = len(looks.u), len(at), looks.y / looks.unit
        everything = [*looks.u, *at]
        K = np.array([[matern(a, b, prior) for b in everything] for a in everything])
        h = np.array([shape(u, node, prior) for u in everything])
        S = K[:n, :n] + node[3] * np.diag(looks.noise)
        gain = np.linalg.solve(S, K[:n, n:]).T
        self.cov = K[n:, n:] - gain @ K[:n, n:]  # times 1 / lambda
        lam = np.exp(np.linspace(math.log(1e-3), math.log(60), 200))
        standard = np.linspace(-9, 9, 301)  # A in its prior standard deviations
        weight = np.zeros((200, 301))
        means = np.zeros((200, 301, q))
        for i, precision in enumerate(lam):
            prior_of_lambda = stats.gamma.pdf(precision, prior.a0, scale=1 / prior.b0) * precision  # d log
            A = standard * math.sqrt(prior.amplitude / precision)
            rest = z - A[:, None] * h[:n]
            square = (rest * np.linalg.solve(S, rest.T).T).sum(axis=1)
            log_pdf = (n * math.log(precision) - precision * square) / 2
            weight[i] = prior_of_lambda * np.exp(log_pdf - standard**2 / 2)
            means[i] = A[:, None] * h[n:] + rest @ gain.T
        self.evidence = weight.sum() / math.sqrt(np.linalg.det(S))
        self.above_zero = (
            weight[:, standard > 0].sum() + weight[:, 150].sum() / 2
        ) / weight.sum()  # P(A > 0)
        self.weight = (weight / weight.sum()).ravel()
        self.means = means.reshape(-1, q)
        self.precision = np.repeat(lam, 301)

    def pdf(self, y: float, direction: np.ndarray, extra: float = 0.0) -> float:
        """Density at y of direction' f + e, e ~ N(0, extra / lambda)."""
        var = (direction @ self.cov @ direction + extra) / self.precision
        return float(self.weight @ stats.norm.pdf(y, self.means @ direction, np.sqrt(var)))


def chosen(process: HillProcess) -> tuple[int, int]:
    """The heaviest node, and one that differs from it in everything."""
    first = int(np.argmax(process.weights))
    apart = (process.nodes != process.nodes[first]).all(axis=1)
    return first, int(np.argmax(np.where(apart, process.weights, -1)))


def prior_log_weight(node: np.ndarray) -> float:
    """But for a constant; from the node alone."""
    s = node[4]
    share = 1 - hill.UNLIKE if s == PLACE.sd else hill.UNLIKE
    steps = (node[0] - PLACE.mean - DRIFT.mean) / math.hypot(s, DRIFT.sd)
    sides = (np.log(node[1:3]) - np.log([PRIOR.left, PRIOR.right])) / PRIOR.width_spread
    return math.log(share) - (steps**2 + sides @ sides) / 2


def given_node(process: HillProcess, mixture: Mixture, node: int) -> StudentT:
    """The parts of that node: (drifts or 1, q)."""
    k, (all_, q) = len(process.weights), mixture.parts.loc.shape
    assert isinstance(mixture.parts, StudentT)
    loc, scale = (a.reshape(k, all_ // k, q)[node] for a in (mixture.parts.loc, mixture.parts.scale))
    return StudentT(loc, scale, mixture.parts.df)


def drift_given(place: float, s: float) -> tuple[np.ndarray, np.ndarray]:
    """delta given c' on a fine grid: what c = c' - delta and delta themselves say."""
    delta = np.linspace(DRIFT.mean - 8 * DRIFT.sd, DRIFT.mean + 8 * DRIFT.sd, 401)
    weight = stats.norm.pdf(delta, DRIFT.mean, DRIFT.sd) * stats.norm.pdf(place - delta, PLACE.mean, s)
    return delta, weight / weight.sum()


@pytest.fixture(scope="module")
def process() -> HillProcess:
    return HillProcess(LOOKS, PLACE, DRIFT, PRIOR)


@pytest.fixture(scope="module")
def twins(process: HillProcess) -> dict[int, Twin]:
    return {node: Twin(LOOKS, process.nodes[node], PRIOR, list(Z)) for node in chosen(process)}


# Against the twin -------------------------------------------------------------------------------------------


def test_weights_are_the_prior_times_the_evidence(process: HillProcess, twins: dict[int, Twin]) -> None:
    one, other = twins
    ours = math.log(process.weights[one] / process.weights[other])
    theirs = math.log(twins[one].evidence / twins[other].evidence)
    theirs += math.log(twins[one].above_zero / twins[other].above_zero)
    theirs += prior_log_weight(process.nodes[one]) - prior_log_weight(process.nodes[other])
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert process.weights.sum() == pytest.approx(1)


def test_a_look_is_integrated_over_precision_and_amplitude(
    process: HillProcess, twins: dict[int, Twin]
) -> None:
    mixture = process.look(Z)
    for node, twin in twins.items():
        told = given_node(process, mixture, node)
        for q in range(len(Z)):
            t = stats.t(told.df, told.loc[0, q], told.scale[0, q])
            for y in told.loc[0, q] + told.scale[0, q] * np.array([-2.0, -0.3, 0.0, 1.1]):
                theirs = twin.pdf(y / LOOKS.unit, np.eye(len(Z))[q]) / LOOKS.unit
                assert t.pdf(y) == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("what", ["whole", "gain"])
def test_the_whole_and_its_gain_given_one_drift(process: HillProcess, what: str) -> None:
    """For a node of delta: the hill of the whole is that of the looks, moved; and e has its own covariance."""
    u, instead, d = 0.5, -0.2, 4
    mixture = process.whole([u]) if what == "whole" else process.gain([u], instead)
    points, _ = np.polynomial.hermite_e.hermegauss(hill.DRIFTS)
    for node in chosen(process):
        delta, weight = drift_given(process.nodes[node, 0], process.nodes[node, 4])
        mean = float(delta @ weight)
        moved = mean + math.sqrt(float((delta - mean) ** 2 @ weight)) * points[d]
        twin = Twin(LOOKS, process.nodes[node], PRIOR, [u + moved, instead + moved])
        direction = np.array([1.0, 0.0] if what == "whole" else [1.0, -1.0])
        e = PRIOR.transfer * (1.0 if what == "whole" else 2 - 2 * matern(u, instead, PRIOR))
        told = given_node(process, mixture, node)
        t = stats.t(told.df, told.loc[d, 0], told.scale[d, 0])
        for y in told.loc[d, 0] + told.scale[d, 0] * np.array([-1.5, 0.0, 0.8]):
            assert t.pdf(y) == pytest.approx(twin.pdf(y / LOOKS.unit, direction, e) / LOOKS.unit, rel=1e-4)


def test_the_drift_is_integrated_given_the_place_of_the_looks(process: HillProcess) -> None:
    """Mean and variance over delta, by a fine grid of it."""
    mixture = process.whole(Z)
    _, weights = np.polynomial.hermite_e.hermegauss(hill.DRIFTS)
    for node in chosen(process):
        delta, weight = drift_given(process.nodes[node, 0], process.nodes[node, 4])
        told = given_node(process, mixture, node)
        ours = Mixture(weights / weights.sum(), told)
        kept = weight > 1e-12
        moved = (Z[None, :] + delta[kept, None]).ravel()
        looks = given_node(process, process.look(moved), node)
        loc, variance = (a.reshape(-1, len(Z)) for a in (looks.loc[0], looks.variance[0]))
        mean = weight[kept] @ loc
        assert ours.mean == pytest.approx(mean, abs=2e-3)
        exact = weight[kept] @ (variance + (loc - mean) ** 2)
        e = ours.variance - exact  # that of e, the same everywhere
        assert e == pytest.approx(np.full(len(Z), e.mean()), rel=0.05)
        assert e.mean() > 0


def test_the_mixture_is_that_of_many_draws_from_the_prior() -> None:
    """20,000 draws of theta from its continuous prior, lambda, A and delta, weighted by the looks' likelihood."""
    place, drift, prior = PLACE, DRIFT, replace(PRIOR, growth=1.5, growth_spread=0.3, peak=0.2)
    process = HillProcess(LOOKS, place, drift, prior)
    rng = np.random.default_rng(0)
    n, z = len(LOOKS.u), LOOKS.y / LOOKS.unit
    logs, means, squares, best = [], [], [], []
    for _ in range(20_000):
        s = place.sd * (hill.WIDER if rng.random() < hill.UNLIKE else 1.0)
        c, delta = rng.normal(place.mean, s), rng.normal(drift.mean, drift.sd)
        widths = np.array([PRIOR.left, PRIOR.right]) * np.exp(PRIOR.width_spread * rng.normal(size=2))
        node = np.array([c + delta, *widths, rng.choice(PRIOR.rho)])
        lam = rng.gamma(PRIOR.a0) / PRIOR.b0
        A = rng.normal() * math.sqrt(PRIOR.amplitude / lam)
        points = np.concatenate([LOOKS.u, Z + delta])
        r = math.sqrt(5) * abs(points[:, None] - points) / PRIOR.lengthscale
        K = (1 + r + r**2 / 3) * np.exp(-r)
        h = np.array([shape(u, node, PRIOR) for u in points])
        S = K[:n, :n] + node[3] * np.diag(LOOKS.noise)
        rest = z - A * h[:n]
        solved = np.linalg.solve(S, np.column_stack([rest, K[:n, n:]]))
        logs.append((n * math.log(lam) - math.log(np.linalg.det(S)) - lam * rest @ solved[:, 0]) / 2)
        mean = A * h[n:] + K[n:, :n] @ solved[:, 0]
        g = prior.growth * math.exp(prior.growth_spread * rng.normal()) * LOOKS.unit
        means.append(g * mean)
        var = (np.diag(K[n:, n:] - K[n:, :n] @ solved[:, 1:]) + prior.transfer) / lam
        squares.append(g**2 * var + means[-1] ** 2)
        best.append(rng.normal(c, prior.peak))
    weight = np.exp(np.array(logs) - max(logs))
    weight /= weight.sum()
    assert 1 / (weight**2).sum() > 500  # so many draws count
    theirs, told = weight @ np.array(means), process.whole(Z)
    sd = np.sqrt(weight @ np.array(squares) - theirs**2)
    assert (abs(told.mean - theirs) < 0.15 * sd).all()
    assert np.sqrt(told.variance) == pytest.approx(sd, rel=0.15)
    order = np.argsort(best)
    total = np.cumsum(weight[order])
    low, high = (np.array(best)[order][np.searchsorted(total, p)] for p in (0.025, 0.975))
    assert process.band() == pytest.approx((low, high), abs=0.2 * (high - low) / 4)


def test_the_band_is_that_of_draws_from_the_posterior(process: HillProcess) -> None:
    rng = np.random.default_rng(1)
    draws = []
    for node in rng.choice(len(process.weights), 4000, p=process.weights):
        delta, weight = drift_given(process.nodes[node, 0], process.nodes[node, 4])
        draws.append(process.nodes[node, 0] - np.interp(rng.random(), np.cumsum(weight), delta))
    for mass in (0.5, 0.95):
        low, high = np.quantile(draws, [(1 - mass) / 2, (1 + mass) / 2])
        assert process.band(mass) == pytest.approx((low, high), abs=0.08)


def test_bands_and_gains_cover_what_is_true() -> None:
    """Hills drawn from the prior, three looks at each: how often 90 % hold the best rate, and a gain of the whole."""
    rng = np.random.default_rng(0)
    inside, gained = [], []
    for _ in range(80):
        s = PLACE.sd * (hill.WIDER if rng.random() < hill.UNLIKE else 1.0)
        c, delta = rng.normal(PLACE.mean, s), rng.normal(DRIFT.mean, DRIFT.sd)
        widths = np.array([PRIOR.left, PRIOR.right]) * np.exp(PRIOR.width_spread * rng.normal(size=2))
        node = np.array([c + delta, *widths, rng.choice(PRIOR.rho)])
        lam = rng.gamma(PRIOR.a0) / PRIOR.b0
        at = np.array([0.3, -0.5, 1.1, 0.8 + delta, -0.4 + delta])  # looks, and two of the whole
        r = math.sqrt(5) * abs(at[:, None] - at) / PRIOR.lengthscale
        K = (1 + r + r**2 / 3) * np.exp(-r)
        f = np.array([shape(u, node, PRIOR) for u in at]) * rng.normal() * math.sqrt(PRIOR.amplitude / lam)
        f = f + rng.multivariate_normal(np.zeros(5), K) / math.sqrt(lam)
        y = f[:3] + math.sqrt(node[3] / lam) * rng.normal(size=3)
        e = PRIOR.transfer * 2 * (1 - matern(0.8, -0.4, PRIOR)) / lam
        process = HillProcess(Looks(at[:3], y, 1.0), PLACE, DRIFT, PRIOR)
        low, high = process.band(0.9)
        inside.append(low < c < high)
        told = process.gain([0.8], -0.4)
        t = (f[3] - f[4] + math.sqrt(e) * rng.normal() - told.parts.loc[:, 0]) / told.parts.scale[:, 0]
        gained.append(0.05 < told.weights @ told.parts.cdf0(t) < 0.95)
    assert 0.82 < np.mean(inside) < 0.97
    assert 0.82 < np.mean(gained) < 0.97


# Properties -------------------------------------------------------------------------------------------------


@st.composite
def some_looks(draw: st.DrawFn) -> Looks:
    n = draw(st.integers(0, 5))
    u = draw(st.lists(st.floats(-4, 4), min_size=n, max_size=n))
    y = draw(st.lists(st.floats(-3, 3), min_size=n, max_size=n))
    noise = draw(st.lists(st.floats(0.1, 10), min_size=n, max_size=n))
    return Looks(u, y, draw(st.floats(0.05, 5.0)), noise)


def answers(process: HillProcess, u: np.ndarray, instead: float) -> list[Mixture]:
    return [process.whole(u), process.gain(u, instead), process.look(u)]


@settings(max_examples=12)
@given(some_looks(), st.floats(-5, 5))
def test_where_the_scale_of_rates_begins_does_not_matter(looks: Looks, by: float) -> None:
    """Rates are told from the optimizer's own, which may be any."""
    one = HillProcess(looks, PLACE, DRIFT)
    moved = Looks(looks.u + by, looks.y, looks.unit, looks.noise)
    two = HillProcess(moved, Normal1(PLACE.mean + by, PLACE.sd), DRIFT)
    for a, b in zip(answers(one, Z, 0.1), answers(two, Z + by, 0.1 + by), strict=True):
        assert b.mean == pytest.approx(a.mean, abs=1e-6 * looks.unit)
        assert np.sqrt(b.variance) == pytest.approx(np.sqrt(a.variance), rel=1e-5, abs=1e-5 * looks.unit)
    assert np.subtract(two.band(), by) == pytest.approx(one.band(), abs=1e-6)


@settings(max_examples=12)
@given(some_looks(), st.sampled_from([1e-6, 0.3, 1e5]))
def test_units_of_the_score_do_not_matter(looks: Looks, by: float) -> None:
    one = HillProcess(looks, PLACE, DRIFT)
    two = HillProcess(Looks(looks.u, by * looks.y, by * looks.unit, looks.noise), PLACE, DRIFT)
    for a, b in zip(answers(one, Z, 0.1), answers(two, Z, 0.1), strict=True):
        assert b.mean / by == pytest.approx(a.mean, rel=1e-6, abs=1e-9)
        assert np.sqrt(b.variance) / by == pytest.approx(np.sqrt(a.variance), rel=1e-6, abs=1e-9)
    assert two.band() == pytest.approx(one.band(), abs=1e-9)


@settings(max_examples=12)
@given(some_looks(), st.floats(-3, 3), st.floats(-3, 3))
def test_a_gain_is_antisymmetric_and_none_over_itself(looks: Looks, u: float, instead: float) -> None:
    process = HillProcess(looks, PLACE, DRIFT)
    none = process.gain([u], u)
    assert none.parts.loc == pytest.approx(0, abs=1e-9 * looks.unit)
    assert none.parts.scale == pytest.approx(0, abs=1e-5 * looks.unit)
    there, back = process.gain([u], instead), process.gain([instead], u)
    assert there.parts.loc == pytest.approx(-back.parts.loc, abs=1e-8 * looks.unit)
    assert there.parts.scale == pytest.approx(back.parts.scale, abs=1e-5 * looks.unit)
    difference = process.whole([u]).mean - process.whole([instead]).mean
    assert there.mean == pytest.approx(difference, abs=1e-7 * looks.unit)


@settings(max_examples=12)
@given(some_looks(), st.floats(-3, 3))
def test_weights_sum_to_one_and_nothing_is_certain(looks: Looks, u: float) -> None:
    process = HillProcess(looks, PLACE, DRIFT)
    assert process.weights.sum() == pytest.approx(1)
    assert (process.weights >= 0).all()
    for mixture in (process.whole([u]), process.look([u])):
        assert mixture.weights.sum() == pytest.approx(1)
        assert np.isfinite(mixture.mean).all()
        assert (mixture.variance > 0).all()
    low, high = process.band()
    assert low < high
    assert process.band(0.5)[1] - process.band(0.5)[0] < high - low


@settings(max_examples=12)
@given(some_looks().filter(lambda looks: len(looks.u) > 0), st.floats(1.5, 100), st.floats(-3, 3))
def test_noisier_looks_tell_less_of_any_hill(looks: Looks, times: float, u: float) -> None:
    """Where the precision is known; else noise explains away what is taken for a large scale of everything."""
    known = replace(PRIOR, a0=1e9, b0=1e9)
    precise = HillProcess(looks, PLACE, DRIFT, known)
    noisy = HillProcess(Looks(looks.u, looks.y, looks.unit, times * looks.noise), PLACE, DRIFT, known)
    at = {tuple(node): i for i, node in enumerate(noisy.nodes)}
    shared = [(i, at[tuple(node)]) for i, node in enumerate(precise.nodes) if tuple(node) in at]
    assert shared
    one, two = precise.look([u]).parts.scale, noisy.look([u]).parts.scale
    assert all(one[i, 0] <= two[j, 0] * (1 + 1e-6) for i, j in shared)
    one, two = precise.look(looks.u).parts.scale, noisy.look(looks.u).parts.scale
    assert all((one[i] < two[j]).all() for i, j in shared)


def test_noisier_looks_leave_the_band_wider() -> None:
    y, u = np.array([0.2, 1.5, 1.9, 1.4]), np.array([-1.0, 0.0, 0.5, 1.0])
    widths = [
        np.ptp(HillProcess(Looks(u, y, 1.0, np.full(4, w)), PLACE, DRIFT).band()) for w in (0.1, 3, 100)
    ]
    assert widths[0] < widths[1] < widths[2]


# Edges ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drift", [DRIFT, Normal1(0.15, 0.0), Normal1(0.0, 0.0)])
def test_without_looks_the_band_is_the_priors(drift: Normal1) -> None:
    """Two normals about one middle; the grid ends at two and a half standard deviations and is a little narrower."""
    process = HillProcess(Looks([], [], 1.0), PLACE, drift)
    edges = np.linspace(-8, 8, 200_001)
    total = sum(
        share * stats.norm.cdf(edges, 0, s)
        for share, s in ((1 - hill.UNLIKE, PLACE.sd), (hill.UNLIKE, hill.WIDER * PLACE.sd))
    )
    for mass in (0.5, 0.9):
        theirs = [PLACE.mean + edges[np.searchsorted(total, p)] for p in ((1 - mass) / 2, (1 + mass) / 2)]
        assert process.band(mass) == pytest.approx(theirs, abs=0.25 * PLACE.sd)
    assert process.whole(Z).mean == pytest.approx(np.zeros(len(Z)))


def test_where_nothing_drifts_the_whole_is_a_look_up_to_what_else_parts_them() -> None:
    process = HillProcess(LOOKS, PLACE, Normal1(0.0, 0.0), replace(PRIOR, transfer=0.0))
    apart = HillProcess(LOOKS, PLACE, Normal1(0.0, 0.0))
    assert process.whole(Z).mean == pytest.approx(process.look(Z).mean)
    assert process.whole(Z).variance == pytest.approx(process.look(Z).variance)
    assert apart.whole(Z).mean == pytest.approx(apart.look(Z).mean)
    assert (apart.whole(Z).variance > apart.look(Z).variance).all()
    assert process.nodes[:, 0] == pytest.approx(process.best()[1])


def test_whole_trainings_get_further_than_looks() -> None:
    """By a factor that is told from the population, and that differs from training to training (log-normally)."""
    plain, grown = (HillProcess(LOOKS, PLACE, DRIFT, replace(PRIOR, growth=g)) for g in (1.0, 2.5))
    spread = HillProcess(LOOKS, PLACE, DRIFT, replace(PRIOR, growth=2.5, growth_spread=0.4))
    for one, two, three in zip(*(answers(p, Z, 0.3)[:2] for p in (plain, grown, spread)), strict=True):
        assert two.mean == pytest.approx(2.5 * one.mean)
        assert two.variance == pytest.approx(2.5**2 * one.variance)
        assert three.mean == pytest.approx(2.5 * math.exp(0.4**2 / 2) * one.mean, rel=1e-4)
        second = 2.5**2 * math.exp(2 * 0.4**2) * (one.variance + one.mean**2)
        assert three.variance + three.mean**2 == pytest.approx(second, rel=1e-3)
        assert three.weights.sum() == pytest.approx(1)
    assert spread.look(Z).mean == pytest.approx(plain.look(Z).mean)
    assert spread.band() == plain.band()


def test_a_flat_top_leaves_the_place_of_the_best_open() -> None:
    """However surely the hill is known."""
    place = Normal1(0.3, 1e-3)
    known, flat = (
        HillProcess(LOOKS, place, Normal1(0.0, 0.0), replace(PRIOR, peak=peak)) for peak in (0.0, 0.5)
    )
    assert np.ptp(known.band()) < 0.05
    assert flat.band() == pytest.approx((0.3 - 1.96 * 0.5, 0.3 + 1.96 * 0.5), abs=0.02)


def test_the_whole_lies_below_its_looks_by_the_drift() -> None:
    """What is known of the place of the looks alone moves the whole, one for one."""
    open_ = Normal1(0.0, 30.0)
    looks = Looks(np.linspace(-2, 2, 9), np.exp(-(np.linspace(-2, 2, 9) ** 2)), 0.4, np.full(9, 0.1))
    none, some = (HillProcess(looks, open_, Normal1(mean, 0.01)) for mean in (0.0, 0.5))
    u = np.array([-0.6, 0.0, 0.4])
    assert some.whole(u - 0.5).mean == pytest.approx(none.whole(u).mean, abs=0.05)


@pytest.mark.parametrize("far", [-3.0, -1.5, 1.5, 3.0, 5.0])
def test_looks_that_walk_far_from_the_prior_are_believed(far: float) -> None:
    """A training unlike all of the population; the place follows as far as the wide component reaches."""
    u = np.sign(far) * np.arange(-0.6, abs(far) + 1, 0.6)
    place = Normal1(0.0, 0.5)
    process = HillProcess(Looks(u, np.exp(-((u - far) ** 2)), 0.2), place, DRIFT)
    line = np.linspace(-6, 6, 289)
    assert abs(line[int(np.argmax(process.whole(line).mean))] - far) < 0.6
    if abs(far) < 0.9 * hill.SPAN * hill.WIDER * place.sd:
        low, high = process.band()
        assert low < far < high
        assert high - low < 2


def test_a_cliff_pushes_the_best_below_it() -> None:
    """Looks that differ only above: where that one fell, place and choice move down."""
    u = [-0.5, 0.0, 0.8]
    calm = HillProcess(Looks(u, [1.0, 1.3, 1.2], 0.5), PLACE, DRIFT)
    fell = HillProcess(Looks(u, [1.0, 1.3, -0.3], 0.5), PLACE, DRIFT)
    low, high = (float(p.best()[0] @ p.best()[1]) for p in (fell, calm))
    assert low < high
    line = np.linspace(-1.5, 1.5, 73)
    low, high = (line[int(np.argmax(p.whole(line).mean))] for p in (fell, calm))
    assert low < high


def test_the_same_look_twice_weighs_more_than_once() -> None:
    once = HillProcess(Looks([0.4], [1.0], 0.5), PLACE, DRIFT, replace(PRIOR, a0=1e9, b0=1e9))
    twice = HillProcess(Looks([0.4, 0.4], [1.0, 1.0], 0.5), PLACE, DRIFT, replace(PRIOR, a0=1e9, b0=1e9))
    assert twice.jitter == 0
    assert twice.look([0.4]).variance[0] < once.look([0.4]).variance[0]


@pytest.mark.parametrize(
    ("u", "y", "unit", "noise", "match"),
    [
        ([0.0, 1.0], [1.0], 1.0, None, r"one length, got \(2,\), \(1,\)"),
        ([[0.0]], [[1.0]], 1.0, None, "three rows"),
        ([0.0], [math.nan], 1.0, None, r"finite.*y \[nan\]"),
        ([math.inf], [1.0], 1.0, None, "finite"),
        ([0.0], [1.0], 0.0, None, "above 0.*unit 0.0"),
        ([0.0], [1.0], 1.0, [0.0], "above 0"),
    ],
)
def test_looks_are_checked_at_birth(u: list, y: list, unit: float, noise: list | None, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Looks(u, y, unit, noise)
