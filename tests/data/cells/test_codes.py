"""Codes for missing: declared ones on every kind of table, found ones where nothing else can be meant."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammatune.pipeline.data.cells.codes import NONE, codes_in, without
from gammatune.pipeline.data.columns import Given
from gammatune.pipeline.data.files.dialect import AS_IT_IS, HowToRead
from gammatune.pipeline.data.table import as_test, load_table, make_table, split_table
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing


def missing(*codes: str) -> HowToRead:
    return HowToRead(None, None, None, None, None, skip_last=None, missing=codes)


N = np.arange(200.0)


@pytest.mark.parametrize(
    ("rest", "codes"),
    [
        (N % 11, [99]),  # on a scale to 10
        (N % 11, [97, 98, 99]),
        (N, [-999]),
        (N / 10, [-200]),
        (N, [-200]),  # one range below, where nothing else is below zero
        (N % 5, [-9]),
        (N % 3, [9999]),
        (N % 40, [-999, 999]),
        (20 + N / 10, [999.9]),
        (N % 41310, [99999]),
    ],
)
def test_a_code_is_found(rest: Any, codes: list[float]) -> None:
    numbers = np.append(rest, codes * 4)
    assert codes_in({"x": numbers}) == {"x": tuple(codes)}
    assert codes_in({"x": numbers[::-1]}) == {"x": tuple(codes)}


@pytest.mark.parametrize(
    "numbers",
    [
        np.append(N, 999),  # once
        np.append(N % 90, [99] * 9),  # near
        np.append(N % 11, [96] * 9),  # of no such shape
        np.repeat([0.0, 1.0, 9.0], 40),  # three groups
        np.repeat([0.0, 999.0], 40),
        np.append(np.linspace(0, 500_000, 2000), [999_999] * 4),  # rarer than one in 200, and near
        np.append(N - 100, [-200] * 5),
        np.full(50, 99.0),
        np.full(50, np.nan),
        np.array([]),
    ],
)
def test_what_may_be_a_number_is_no_code(numbers: Any) -> None:
    assert codes_in({"x": numbers}) == {}


def test_a_code_of_one_column_is_one_in_the_others_where_it_lies_aside() -> None:
    gas, warmth, cold = (np.append(each, [-200] * 6) for each in (N / 20, N / 5 - 2, N - 300))
    assert codes_in({"warmth": warmth}) == {}
    assert codes_in({"gas": gas, "warmth": warmth, "cold": cold}) == {"gas": (-200,), "warmth": (-200,)}


@pytest.mark.parametrize(
    ("code", "numbers"),
    [
        (99, [19, 29, 39, 59, 79, 99] * 30),  # prices
        (99, [*range(80), 99, 99] * 3),  # within twice the largest gap of the rest or not, it says so
        (-9, [*range(40), -9, -9] * 3),
    ],
)
def test_numbers_that_end_like_the_code_of_another_column_are_none(code: float, numbers: list[float]) -> None:
    others = np.append(N[: len(numbers) - 4] % 4, [code] * 4)
    found = codes_in({"a": others, "b": np.array(numbers, dtype=float)})
    assert found["a"] == (code,)
    assert ("b" in found) is (code == 99 and numbers[0] == 0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_codes_are_numbers_of_the_column(numbers: list[float]) -> None:
    held = np.array(numbers)
    found = codes_in({"x": held}).get("x", ())
    assert codes_in({"x": np.random.default_rng(0).permutation(held)}).get("x", ()) == found
    assert set(found) <= set(numbers)
    assert len(set(numbers) - set(found)) >= 2 or not found


def test_declared_codes_are_missing_in_columns_of_any_kind() -> None:
    frame = pd.DataFrame(
        {
            "whole": [1, -999, 3],
            "half": [0.5, 99.0, -999.0],
            "text": ["a", " ** ", "-999"],
            "mixed": pd.Series([1, "**", True], dtype=object),
            "truth": [True, False, True],
            "day": pd.to_datetime(["2020-01-01"] * 3),
        }
    )
    held = without(frame, ["-999", "99", "**"])
    assert held.isna().to_numpy().tolist() == [
        [False] * 6,
        [True, True, True, True, False, False],
        [False, True, True, False, False, False],
    ]
    assert frame.notna().all(axis=None)
    assert without(frame, [NONE]) is frame


def rows(n: int = 200) -> Any:
    rate = np.where(np.arange(n) % 20 == 3, 99, np.arange(n) % 11)
    return pd.DataFrame({"rate": rate, "age": np.arange(n) * 7 % 61, "y": ["no", "yes"] * (n // 2)})


def test_codes_are_said_kept_and_undone() -> None:
    table = make_table("t", rows(), "y")
    said = "rate has 99 (10 times) far from the rest: missing. --missing none takes such numbers as they are."
    assert said in table.said
    assert int(table.frame.rate.isna().sum()) == 10
    made = split_table(table, seed=0).preprocessing
    assert isinstance(made, TablePreprocessing)
    again = TablePreprocessing.from_dict(json.loads(json.dumps(made.to_dict())))
    assert again == made
    new = rows(20)
    assert again.inputs(new).equal(again.inputs(new.assign(rate=new.rate.where(new.rate != 99))))
    for undone in (
        make_table("t", rows(), "y", how=missing(NONE)),
        make_table("t", rows(), "y", how=missing("-1")),  # who says what is missing has said it all
        make_table("t", rows(), "y", kinds={"rate": Given("number", missing=())}),
    ):
        assert int(undone.frame.rate.isna().sum()) == 0


def test_declared_codes_hold_for_files_and_frames_and_new_rows(tmp_path: Path) -> None:
    frame = rows().assign(town=["Ulm", "**"] * 100)
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    how = missing("99", "**")
    tables = [
        make_table("t", frame, "y", how=how),
        *(load_table(tmp_path / name, "y", how=how) for name in ("t.csv", "t.parquet")),
    ]
    made = [split_table(replace(table, layout=None), seed=0).preprocessing for table in tables]
    assert [int(table.frame.isna().sum().sum()) for table in tables] == [110] * 3
    assert made[0] == made[1] == made[2]
    assert made[0].how == how
    assert as_test(tables[0], "u", frame).frame.isna().sum().sum() == 110


def test_a_target_has_the_code_of_an_input_too() -> None:
    n = np.arange(200)
    frame = rows().assign(
        rate=np.where(n % 20 == 3, -999, n % 11), y=np.where(n % 20 == 4, -999, n * 7.5 - 750)
    )
    table = make_table("t", frame, "y")
    assert len(table.y) == 190
    assert any("y has -999 (10 times) as in rate: missing" in line for line in table.said)
    assert len(make_table("t", frame.drop(columns="rate"), "y").y) == 200
    assert len(make_table("t", frame, "y", kinds={"rate": Given("number", missing=())}).y) == 200


def test_a_target_with_a_code_has_rows_without_one() -> None:
    y = np.where(np.arange(200) % 20 == 3, -999.0, np.arange(200) * 3 % 97 + 0.5)
    table = make_table("t", rows().assign(y=y), "y")
    assert table.task == "regression"
    assert table.read - len(table.y) == 10
    assert table.y.min() >= 0
    assert any("these rows are left out" in line for line in table.left_out)
    test = as_test(table, "u", rows(20).assign(y=y[:20]))
    assert len(test.y) == 19
    assert len(make_table("t", rows().assign(y=y), "y", how=missing(NONE)).y) == 200
    assert AS_IT_IS.missing == ()
