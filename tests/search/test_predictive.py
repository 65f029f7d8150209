"""Tail formulas against 60-digit arithmetic, and the full product of special values."""

import itertools

import mpmath
import numpy as np
import pytest

from gammatune.surrogate.acquisition import ei, log_ei, log_pi, pi
from gammatune.surrogate.predictive import Mixture, Normal, StudentT

INF, NAN = float("inf"), float("nan")
ONE = np.ones(1)
SPECIAL = (0.0, 5e-324, 1e-300, 1e-8, 1.0, 3.7, 1e8, 1e150, 1e300, INF, NAN)
SIGNED = (*SPECIAL, *(-x for x in SPECIAL[:-1]))
Z = (-1e12, -1e5, -101.0, -99.0, -20.0, -5.0, -4.001, -3.999, -1.001, -0.999, -0.1, 0.0, 0.3, 1.0, 5.0, 30.0)


def exact(z: float, v: float) -> tuple[float, float, float]:
    """log f, log F and log h of the standard Student-t (normal at v = inf), from mpmath."""
    with mpmath.workdps(60):
        t = mpmath.mpf(z)
        if v == INF:
            log_f = -t * t / 2 - mpmath.log(2 * mpmath.pi) / 2
            F = mpmath.erfc(-t / mpmath.sqrt(2)) / 2
            h = t * F + mpmath.exp(log_f)
        else:
            v = mpmath.mpf(v)
            log_f = (
                mpmath.loggamma((v + 1) / 2)
                - mpmath.loggamma(v / 2)
                - mpmath.log(v * mpmath.pi) / 2
                - (v + 1) / 2 * mpmath.log1p(t * t / v)
            )
            half = mpmath.betainc(v / 2, mpmath.mpf(1) / 2, 0, v / (v + t * t), regularized=True) / 2
            F = half if z < 0 else 1 - half
            h = t * F + (v + t * t) / (v - 1) * mpmath.exp(log_f)
        return float(log_f), float(mpmath.log(F)), float(mpmath.log(h))


@pytest.mark.parametrize("df", [1.01, 2.0, 5.0, 24.0, 199.0, 201.0, 1e4, INF])
def test_logarithms_against_60_digits(df: float) -> None:
    p = StudentT(ONE, ONE, df) if df < INF else Normal(ONE, ONE)
    for z in Z:
        if df == INF and abs(z) > 1e4:
            continue  # mpmath's h cancels there; see the ordering test below
        for ours, theirs in zip((p.log_pdf0(z), p.log_cdf0(z), p.log_ei0(z)), exact(z, df), strict=True):
            assert float(ours) == pytest.approx(theirs, rel=1e-11, abs=1e-11), (z, df)


def test_the_continued_fraction_is_good_from_where_it_takes_over() -> None:
    """h in the tail by integrating F: h(z) is the area under F left of z."""
    for df in (1.5, 3.0, 11.0, 60.0):
        with mpmath.workdps(20):
            F = lambda u, df=df: mpmath.exp(exact(float(u), df)[1])  # noqa: E731
            area = mpmath.quad(F, [-mpmath.inf, -1000, -50, -10, -6])
        assert float(StudentT(ONE, ONE, df).log_ei0(-6.0)) == pytest.approx(float(mpmath.log(area)), abs=1e-5)


@pytest.mark.parametrize("df", [1e6, 1e10, 1e16, 1e300])
def test_many_degrees_of_freedom_are_the_normal(df: float) -> None:
    z = np.array([-30.0, -5.0, -1.0, 0.0, 2.0])
    student, normal = StudentT(ONE, ONE, df), Normal(ONE, ONE)
    # the two densities differ by z^4 / (4 v) in the exponent
    room = 1e-7 + (5 + z**4) / df
    for name in ("log_pdf0", "log_cdf0", "log_ei0"):
        assert (np.abs(getattr(student, name)(z) - getattr(normal, name)(z)) < room).all(), name


@pytest.mark.parametrize("df", [*SPECIAL, -1.0, -INF])
def test_standard_functions_are_defined_everywhere(df: float) -> None:
    for p in (StudentT(ONE, ONE, df), Normal(ONE, ONE)):
        illegal = isinstance(p, StudentT) and not df > 0
        for z in SIGNED:
            f, F, h = float(p.log_pdf0(z)), float(p.log_cdf0(z)), float(p.log_ei0(z))
            if illegal or np.isnan(z):
                assert np.isnan([f, F, h]).all(), (z, df)
                assert np.isnan([p.pdf0(z), p.cdf0(z)]).all()
                continue
            assert not np.isnan([f, F, h]).any(), (z, df)
            assert F <= 0
            assert 0 <= float(p.cdf0(z)) <= 1
            assert float(p.pdf0(z)) >= 0
            if z == INF:
                assert (f, F, h) == (-INF, 0.0, INF)
            if z == -INF:
                assert (f, F) == (-INF, -INF)
                assert h == (INF if isinstance(p, StudentT) and df <= 1 else -INF)


@pytest.mark.parametrize("df", [1e-300, 1.0, 1.5, 2.5, 30.0, 1e6, 1e12, INF])
def test_cdf_and_ei_grow_with_z_over_all_magnitudes(df: float) -> None:
    size = np.logspace(-8, 120, 400)
    z = np.concatenate([-size[::-1], size])
    p = StudentT(ONE, ONE, df)
    for values in (p.log_cdf0(z), p.log_ei0(z)):
        steps = np.diff(values[np.isfinite(values)])
        assert (steps >= -1e-7 * np.abs(values[np.isfinite(values)][1:])).all()


@pytest.mark.parametrize("df", [None, 1.0, 4.0, INF])
def test_pi_and_ei_over_the_product_of_special_values(df: float | None) -> None:
    points = list(itertools.product(SIGNED, SIGNED, SIGNED))
    loc, scale, best = (np.array(column) for column in zip(*points, strict=True))
    with np.errstate(all="ignore"):
        gap = loc - best
    for function in (pi, ei, log_pi, log_ei):
        # one `best` a call is the interface, so the product runs over the distinct ones
        out = np.empty_like(loc)
        for b in SIGNED:
            rows = np.isnan(best) if np.isnan(b) else best == b
            part = Normal(loc[rows], scale[rows]) if df is None else StudentT(loc[rows], scale[rows], df)
            out[rows] = function(part, b)
        undefined = np.isnan(gap) | np.isnan(scale) | (scale < 0)
        assert np.isnan(out[undefined]).all(), function
        undefined |= np.isinf(gap) & np.isinf(scale)  # inf / inf has no z: any answer will do
        assert not np.isnan(out[~undefined]).any(), function
        certain = ~undefined & (scale == 0)
        if function is pi:
            assert (out[certain] == (gap[certain] > 0)).all()
        if function is ei:
            assert np.allclose(out[certain], np.maximum(gap[certain], 0), rtol=1e-12, atol=0)
            assert (out[~undefined] >= 0).all()


@pytest.mark.parametrize("df", [1.5, 3.0, 24.0, None])
def test_ei_and_pi_by_integration(df: float | None) -> None:
    """(y - best)+ and 1[y > best] integrated against the density, with and without a margin."""
    loc, scale = np.array([0.3, -1.0, 2.0]), np.array([0.5, 2.0, 0.1])
    p = Normal(loc, scale) if df is None else StudentT(loc, scale, df)

    def density(z: mpmath.mpf) -> mpmath.mpf:
        return mpmath.exp(exact(float(z), INF if df is None else df)[0])

    def beyond(z0: float, power: int) -> float:
        """int_z0^inf (z - z0)^power density(z) dz"""
        ends = sorted({z0, max(z0, 0.0) + 5, max(z0, 0.0) + 100})
        return float(mpmath.quad(lambda z: (z - z0) ** power * density(z), [*ends, mpmath.inf]))

    for best, xi in ((0.5, 0.0), (0.2, 0.3)):
        for i in range(3):
            z0 = float((best + xi - loc[i]) / scale[i])
            assert ei(p, best, xi)[i] == pytest.approx(
                scale[i] * beyond(z0, 1), rel=2e-3 if df == 1.5 else 1e-6
            )
            assert pi(p, best, xi)[i] == pytest.approx(beyond(z0, 0), rel=1e-6)


def test_ei_and_pi_of_a_mixture_by_monte_carlo() -> None:
    rng = np.random.default_rng(0)
    weights, loc, scale = np.array([0.2, 0.5, 0.3, 0.0]), rng.normal(size=(4, 2)), rng.uniform(0.2, 1, (4, 2))
    mixture = Mixture(weights, StudentT(loc, scale, 7.0))
    part = rng.choice(4, 400_000, p=weights)
    draws = loc[part] + scale[part] * rng.standard_t(7.0, (400_000, 2))
    assert ei(mixture, 0.4) == pytest.approx(np.maximum(draws - 0.4, 0).mean(axis=0), rel=0.02)
    assert pi(mixture, 0.4) == pytest.approx((draws > 0.4).mean(axis=0), rel=0.02)
    assert mixture.mean == pytest.approx(draws.mean(axis=0), abs=0.01)
    assert mixture.variance == pytest.approx(draws.var(axis=0), rel=0.02)


def test_log_forms_keep_an_order_where_the_plain_ones_are_all_zero() -> None:
    p = Normal(np.array([-50.0, -60.0, -1e6]), np.ones(3))
    assert (ei(p, 0.0) == 0).all()
    assert (np.diff(log_ei(p, 0.0)) < -100).all()
    assert (np.diff(log_pi(p, 0.0)) < -100).all()
    mixture = Mixture(np.array([0.5, 0.5]), Normal(np.array([[-50.0, -60.0]] * 2), np.ones((2, 2))))
    assert log_ei(mixture, 0.0) == pytest.approx(log_ei(p, 0.0)[:2], rel=1e-12)


def test_moments_of_the_student_t() -> None:
    p = StudentT(ONE, 2 * ONE, 5.0)
    assert p.mean == pytest.approx(1.0)
    assert p.variance == pytest.approx(4 * 5 / 3)
    assert StudentT(ONE, ONE, 2.0).variance == INF
    assert StudentT(ONE, 0 * ONE, 2.0).variance == 0
    assert StudentT(ONE, ONE, INF).variance == 1
    assert np.isnan(StudentT(ONE, ONE, 1.0).mean)
    assert np.isnan(StudentT(ONE, -ONE, 1.0).variance)
    assert np.isnan(Normal(ONE, -ONE).variance)
