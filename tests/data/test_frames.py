"""Frames of pandas, polars and Arrow become what the pipeline reads, and nothing they hold becomes another."""

import datetime
import decimal
from typing import Any

import needs
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.frames import as_pandas, called, is_frame

LARGE = 2**60 + 1  # no float is
HELD: dict[str, list[Any]] = {
    "whole": [1, None, LARGE],
    "number": [1.5, None, 2.0],
    "text": ["a", None, "b"],
    "day": [datetime.date(2020, 1, 1), None, datetime.date(2021, 1, 1)],
    "truth": [True, None, False],
    "money": [decimal.Decimal("1.5"), None, decimal.Decimal("2.5")],
    "time": [datetime.datetime(2020, 1, 1), None, datetime.datetime(2021, 1, 1, 12)],
}


@pytest.mark.parametrize("kind", ["polars", "pyarrow", "arrow within pandas"])
def test_what_a_frame_holds_stays(kind: str) -> None:
    arrow = needs.package("pyarrow")
    table = arrow.table(HELD)
    if kind == "polars":
        table = needs.package("polars").DataFrame(HELD)
    elif kind == "arrow within pandas":
        table = table.to_pandas(types_mapper=pd.ArrowDtype)
    frame = as_pandas(table)
    assert list(frame.columns) == list(HELD)
    assert frame["whole"].tolist()[::2] == [1, LARGE]
    assert frame["number"].tolist()[::2] == [1.5, 2.0]
    assert frame["text"].tolist()[::2] == ["a", "b"]
    assert frame["truth"].tolist()[::2] == [True, False]
    assert frame["money"].tolist()[::2] == [1.5, 2.5]
    for name, second in (("day", datetime.datetime(2021, 1, 1)), ("time", datetime.datetime(2021, 1, 1, 12))):
        assert pd.api.types.is_datetime64_any_dtype(frame[name])
        assert frame[name].tolist()[2] == second
    assert frame.isna().sum().tolist() == [1] * len(HELD)


def test_a_frame_of_pandas_is_not_touched() -> None:
    given = pd.DataFrame({" a ": [1, 2], 7: ["x", "y"]}, index=pd.Index([5, 3], name="number"))
    before = given.copy()
    frame = as_pandas(given)
    assert frame.to_dict("list") == {"number": [5, 3], "a": [1, 2], "7": ["x", "y"]}
    assert frame.index.tolist() == [0, 1]
    frame["a"] = 0
    pd.testing.assert_frame_equal(given, before)


def test_odd_columns_of_pandas_become_usual_ones() -> None:
    frame = as_pandas(
        pd.DataFrame(
            {
                "sparse": pd.arrays.SparseArray([0, 1, 0]),
                "period": pd.period_range("2020-01", periods=3, freq="M"),
                "kind": pd.Categorical([1, 2, 1]),
            }
        ),
        "kind",
    )
    assert frame["sparse"].tolist() == [0, 1, 0]
    assert frame["period"].dt.month.tolist() == [1, 2, 3]
    assert pd.api.types.is_integer_dtype(frame["kind"])  # labels are given as they were
    assert not isinstance(frame["sparse"].dtype, pd.SparseDtype)


def test_what_is_meant_as_a_frame() -> None:
    assert is_frame(pd.DataFrame({"a": [1]}))
    for other in ("path.csv", np.zeros((2, 2)), {"a": [1]}, [[1]], None, pd.Series([1])):
        assert not is_frame(other)


def test_refusals() -> None:
    with pytest.raises(InvalidData, match="the frame has the column 'a' more than once"):
        as_pandas(pd.DataFrame([[1, 2]], columns=["a", "a "]))
    with pytest.raises(InvalidData, match="more than once"):
        as_pandas(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    twice = needs.package("pyarrow").Table.from_arrays([[1], [2]], names=["a", "a"])
    with pytest.raises(InvalidData, match=r"the frame cannot be read: .* 'a' 2 times"):
        as_pandas(twice)
    with pytest.raises(InvalidData, match=r"the frame has names \(a\) and no rows"):
        as_pandas(pd.DataFrame({"a": []}))
    with pytest.raises(InvalidArgument, match="a list is no frame of pandas, polars or Arrow; give a frame"):
        as_pandas([1])


cells = st.one_of(st.integers(-3, 3), st.floats(-3, 3), st.text("ab", max_size=2), st.none())


@given(st.lists(st.tuples(cells, cells), min_size=2, max_size=6), st.data())
def test_another_frame_is_called_otherwise(rows: list[Any], data: st.DataObject) -> None:
    frame = as_pandas(pd.DataFrame(rows, columns=["a", "b"]))
    name = called(frame)
    assert called(as_pandas(frame)) == name
    assert called(frame.rename(columns={"b": "c"})) != name
    place = data.draw(st.integers(0, len(rows) - 1))
    changed = frame.astype(object)
    changed.iloc[place, 0] = "other"
    assert called(changed) != name


def test_what_cannot_be_hashed_is_named_too() -> None:
    one, two = (pd.DataFrame({"a": [[1], [last]]}) for last in (2, 3))
    assert called(one) == called(one.copy())
    assert called(one) != called(two)


def test_columns_called_by_numbers_may_hold_text_and_nothing() -> None:
    frame = as_pandas(pd.DataFrame({0: ["x", "?", "y"], 1: [b"u", b"v", None]}))
    assert frame["0"].isna().tolist() == [False, True, False]
    assert frame["1"].tolist()[:2] == ["u", "v"]
