"""A target of numbers with some text: what is read, what is left out, and the ways on."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from gammatune.errors import InvalidData
from gammatune.pipeline.data.table import as_test, make_table
from gammatune.pipeline.data.target_numbers import target_of

N = 200


def rows(strange: int, text: str = "**") -> Any:
    y = [text if n < strange else f"{n * 31 % 997:,}.5" for n in range(N)]
    return pd.DataFrame({"x": np.arange(N) % 7, "z": np.arange(N) % 11, "y": y})


def test_a_few_texts_among_numbers_are_left_out_and_said() -> None:
    table = make_table("t", rows(4), "y")
    assert table.task == "regression"
    assert len(table.y) == N - 4
    assert table.left_out == (
        "y holds numbers, and 4 values (2 %) that are none, such as '**' (4): these rows are left out; --task "
        "classification takes every value as a class.",
        "4 of 200 rows have no y and are left out.",
    )


@pytest.mark.parametrize(
    ("cells", "number"), [("<1.0", 1.0), ("45.3%", 45.3), ("4,913 square miles", 4913.0), ("$12.50", 12.5)]
)
def test_amounts_among_the_numbers_are_read(cells: str, number: float) -> None:
    table = make_table("t", rows(4, cells), "y")
    assert table.y[:4].tolist() == [[number]] * 4
    assert any(f"{cells!r} as {number:g}" in line for line in table.said)


def test_half_of_it_text_is_refused_with_three_ways_on_and_each_is_one() -> None:
    with pytest.raises(
        InvalidData, match=r"numbers in 140 of 200 rows.*'\*\*' \(60\).*--task regression.*--missing"
    ):
        make_table("t", rows(60), "y")
    asked = make_table("t", rows(60), "y", task="regression")
    assert len(asked.y) == 140
    assert make_table("t", rows(60), "y", kinds={"y": "number"}).y.tolist() == asked.y.tolist()
    with pytest.raises(InvalidData, match="too many to be classes"):
        make_table("t", rows(60), "y", task="classification")
    classes = rows(60).assign(y=["**" if n < 60 else f"{n % 30}.5" for n in range(N)])
    assert len(make_table("t", classes, "y", task="classification").classes) == 31
    assert any("Three ways on" in line for line in make_table("t", classes, "y").said)


def test_a_few_texts_are_classes_whatever_stands_in_them() -> None:
    for labels in (["<=50K", ">50K"], ["1 star", "2 stars", "3 stars"], ["10 %", "20 %", "30 %"]):
        frame = rows(0).assign(y=[labels[n % len(labels)] for n in range(N)])
        table = make_table("t", frame, "y")
        assert sorted(map(str, table.classes)) == sorted(labels)
    stars = rows(0).assign(y=[f"{n % 5 + 1} stars" for n in range(N)])
    assert make_table("t", stars, "y", task="regression").y[:2].tolist() == [[1.0], [2.0]]


def test_numbers_with_a_few_words_and_few_values_are_classes_in_their_order_and_it_is_said() -> None:
    y = ["none" if n % 20 == 0 else f"{n % 12}" for n in range(N)]
    table = make_table("t", rows(0).assign(y=y), "y")
    assert table.classes == (*(f"{n}" for n in range(12)), "none")
    (said,) = [line for line in table.said if "Three ways on" in line]
    assert said.startswith(
        "y holds numbers in 190 of 200 rows, text in the others, such as 'none' (10). Three ways"
    )
    assert len(make_table("t", rows(0).assign(y=y), "y", task="regression").y) == 190
    for labels in (["a1", "b", "c"], ["1st", "2nd"], ["0", "no"]):
        plain = rows(0).assign(y=[labels[n % len(labels)] for n in range(N)])
        assert not any("Three ways on" in line for line in make_table("t", plain, "y").said)


def test_no_number_at_all_is_refused_as_a_regression() -> None:
    with pytest.raises(InvalidData, match="--task regression: the target y holds text, such as 'a'"):
        make_table("t", rows(0).assign(y=["a", "b"] * (N // 2)), "y", task="regression")


def test_text_in_rows_to_report_on_is_refused_by_its_row() -> None:
    table = make_table("t", rows(4), "y")
    with pytest.raises(InvalidData, match=r"u.csv holds y '\*\*' in row 1, which is no number"):
        as_test(table, "u.csv", rows(4))


def test_other_targets_are_left_as_they_are() -> None:
    for values in ([True, False] * 10, pd.date_range("2020-01-01", periods=20), ["a", "b"] * 10):
        held = pd.Series(values)
        assert target_of("y", held, None, None, decimal="", find_codes=True)[0] is held
