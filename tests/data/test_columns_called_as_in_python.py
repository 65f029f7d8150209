"""Columns whose names mean something in Python, or to pandas, are columns like others."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammatune import read_table
from gammatune.pipeline.data.cells.replaced import replaced

NAMES = ("self", "index", "columns", "T", "shape", "None", "class", "name", "frame", "cls", "values", "axis")


@pytest.mark.parametrize("name", NAMES)
def test_a_table_with_such_a_column_is_read(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        name: rng.choice(["no", "yes"], 80), "when": pd.date_range("2020-01-01", periods=80).strftime("%d/%m/%Y"),
        "price": [f"${value:,.2f}" for value in rng.uniform(900, 2000, 80)], "answer": rng.choice(["a", "b"], 80),
    })  # fmt: skip
    path = tmp_path / "table.csv"
    frame.to_csv(path, index=False)
    found = read_table(path, target="answer")
    assert {column.name: column.kind for column in found.columns} == {
        name: "category",
        "when": "date",
        "price": "number",
        "answer": "target",
    }


@given(st.text(min_size=1, max_size=8))
@settings(max_examples=50)
def test_what_is_given_stays_and_the_rest_is_as_pandas_has_it(name: str) -> None:
    frame = pd.DataFrame({name: [1, 2], "other": ["a", "b"]})
    found = replaced(frame, {name: [3, 4], "more": [5, 6]})
    assert found[name].tolist() == ([3, 4] if name != "more" else [5, 6])
    assert frame[name].tolist() in ([1, 2], ["a", "b"])
    assert replaced(frame, {}) is frame
