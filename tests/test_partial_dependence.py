"""Partial dependence, against what can be written down."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gammatune.metrics.partial_dependence import VALUES, partial_dependence, quantile_rows

RNG = np.random.default_rng(0)


def test_of_a_sum_it_is_the_part_of_the_column() -> None:
    """f(x) = x_0^2 + 3 x_1 x_2: along x_0 the mean of the rest is added to its square."""
    x = RNG.normal(size=(200, 3))
    picks = [3, 50, 7]
    found = partial_dependence(lambda held: held[:, 0] ** 2 + 3 * held[:, 1] * held[:, 2], x, [0], picks)
    assert found[:, 0] == pytest.approx(x[picks, 0] ** 2 + np.mean(3 * x[:, 1] * x[:, 2]))
    both = partial_dependence(lambda held: held[:, [1, 2]], x, [1, 2], picks)  # columns of one go together
    np.testing.assert_allclose(both, x[np.ix_(picks, [1, 2])])


def test_it_averages_over_some_rows_and_leaves_the_inputs() -> None:
    x = RNG.normal(size=(2_000, 2))
    before, seen = x.copy(), []

    def predict(held: NDArray[np.float64]) -> NDArray[np.float64]:
        seen.append(len(held))
        return held[:, 1]

    found = partial_dependence(predict, x, [0], [0, 1], rows=500, seed=3)
    assert seen == [500, 500]
    assert found[0] == found[1] == pytest.approx(0, abs=0.2)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(found, partial_dependence(predict, x, [0], [0, 1], rows=500, seed=3))


def test_rows_average_by_their_weights() -> None:
    x = RNG.normal(size=(50, 2))
    often = RNG.integers(1, 5, 50)
    found = partial_dependence(lambda held: held.sum(axis=1), x, [0], [3, 7], weights=often)
    alike = partial_dependence(lambda held: held.sum(axis=1), x.repeat(often, axis=0), [0], [0])
    assert found[0, 0] - x[3, 0] == pytest.approx(alike[0, 0] - x[0, 0])
    assert found[1, 0] - found[0, 0] == pytest.approx(x[7, 0] - x[3, 0])
    # of more rows than are averaged over each still has its own weight
    many = np.column_stack([np.zeros(1_000), np.arange(1_000) % 2])
    found = partial_dependence(lambda held: held[:, 1], many, [0], [0], weights=many[:, 1] + 1e-9)
    assert found[0, 0] == pytest.approx(1)


@given(st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), max_size=60))
def test_rows_of_quantiles_rise_and_are_there(values: list[float]) -> None:
    held = np.array(values, dtype=float)
    picks = quantile_rows(held)
    taken = held[picks]
    assert len(taken) <= VALUES
    assert np.isfinite(taken).all()
    assert (np.diff(taken) > 0).all()
    assert (len(taken) == 0) == (not np.isfinite(held).any())
