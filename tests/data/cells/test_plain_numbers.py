"""Numbers that Arrow reads at once are those that are read with care."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammatune.pipeline.data.cells.numerals import _number_where_all_are
from gammatune.pipeline.data.cells.plain_numbers import plain_numbers

NUMBER = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats(allow_nan=False).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    st.sampled_from(
        ["1e5", "5.", ".5", "+5", "007", "0", "0.0", "-0", "inf", "0x10", "1_0", " 5", "5 ", "x", "1,5"]
    ),
)


@given(st.lists(st.one_of(st.none(), NUMBER), min_size=1, max_size=9))
def test_as_with_care(cells: list[str | None]) -> None:
    text = pd.Series(cells, dtype="str", name="a")
    found = plain_numbers(text)
    if found is None:
        return
    expected = _number_where_all_are(text)
    pd.testing.assert_series_equal(found, expected, rtol=1e-15)  # pandas is not exact to the last digit
    exact = [float(cell) if cell is not None else None for cell in cells]
    assert [None if pd.isna(value) else float(value) for value in found] == exact


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2"], "int64"),
        (["1", None], "float64"),
        (["1.5", "2"], "float64"),
        (["1e5", "2"], "float64"),
        (["9223372036854775807"], "int64"),
    ],
)
def test_plain_ones_are_read_at_once(cells: list[str | None], kind: str) -> None:
    found = plain_numbers(pd.Series(cells, dtype="str"))
    assert found is not None
    assert found.dtype == kind
