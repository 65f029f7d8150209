"""Numbers of a file as their writer meant them, whatever mark that is."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammatune.pipeline.data.cells.numerals import Mark
from gammatune.pipeline.data.files.dialect import AS_IT_IS
from gammatune.pipeline.data.files.learned import Learned
from gammatune.pipeline.data.files.reading import read_table
from gammatune.pipeline.data.table import load_table, load_test, split_table
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing


def read(tmp_path: Path, text: str, learned: Mark = "") -> tuple[dict[str, list[Any]], str, list[str]]:
    path = tmp_path / "t.csv"
    path.write_text(text)
    said: list[str] = []
    found = read_table(path, said, Learned(learned))
    return found.frame.to_dict("list"), found.decimal, said  # type: ignore[return-value]


DECIMAL_COMMA = "t.csv writes decimals with a comma."
DOTS = "t.csv groups digits with a dot"


@pytest.mark.parametrize(
    ("text", "a", "decimal", "said"),
    [
        # proved by another column
        ("a;b\n1.619;3,5\n720;4,5\n", [1619, 720], ",", [DECIMAL_COMMA, f"{DOTS} (1.619)."]),
        ("a\tb\n1.619\t3,5\n720\t4,5\n", [1619, 720], ",", [DECIMAL_COMMA, f"{DOTS} (1.619)."]),
        ('a,b\n1.619,"3,5"\n720,"4,5"\n', [1619, 720], ",", [DECIMAL_COMMA, f"{DOTS} (1.619)."]),
        ("a;b\n1,619;3.5\n720;4.5\n", [1619, 720], ".", ["t.csv groups digits with a comma (1,619)."]),
        ('a,b\n"1,619",3.5\n720,4.5\n', [1619, 720], ".", ["t.csv groups digits with a comma (1,619)."]),
        ("a;b\n1,619;0.125\n720;4\n", [1619, 720], ".", ["t.csv groups digits with a comma (1,619)."]),
        ("a;b\n1.619;1234,567\n720;4\n", [1619, 720], ",", [DECIMAL_COMMA, f"{DOTS} (1.619)."]),
        # by itself
        ("a;b\n1.234,5;x\n-720;y\n", [1234.5, -720], ",", [DECIMAL_COMMA, f"{DOTS} (1.234,5)."]),
        ("a;b\n1.234.567;x\n720;y\n", [1234567, 720], ",", [f"{DOTS} (1.234.567)."]),
        ("a;b\n1,5E+03;x\n2,5;y\n", [1500, 2.5], ",", [DECIMAL_COMMA]),
        ("a;b\n1.5;x\n1.619;y\n", [1.5, 1.619], ".", []),
        ("a;b\n.5;x\n7;y\n", [0.5, 7], ".", []),
        # nothing proves it
        ("a;b\n1,500;x\n2,250;y\n", [1.5, 2.25], ",", [DECIMAL_COMMA]),
        ("a;b\n7;x\n8;y\n", [7, 8], "", []),
        ("a;b\n1,469 €;5\n2,500 €;7\n3,250 €;8\n", ["1,469 €", "2,500 €", "3,250 €"], ",", []),
        ("a\n1,5\n2,5\n-3\n", [1.5, 2.5, -3], ",", [DECIMAL_COMMA]),
        # both are proved: a column by its own
        ("a;b\n2.75;3,5\n1.619;4,5\n", [2.75, 1.619], ",", [DECIMAL_COMMA]),
        ("a;b\n2.75;x\n3,5;y\n1.619;z\n1,5;z\n", [2.75, 3.5, 1.619, 1.5], ",", [DECIMAL_COMMA]),
        # no numbers
        ('a,b\n"1,3",3\n"1,2,4",4\n', ["1,3", "1,2,4"], "", []),
        ("a;b\n31.12.2024;3,5\n01.02.2024;4,5\n", ["31.12.2024", "01.02.2024"], ",", [DECIMAL_COMMA]),
        ("a;b\n01234;3,5\n01.234;4,5\n", ["01234", "01.234"], ",", [DECIMAL_COMMA]),
    ],
)  # fmt: skip
def test_numbers_of_a_file(tmp_path: Path, text: str, a: list[Any], decimal: str, said: list[str]) -> None:
    frame, found, told = read(tmp_path, text)
    assert (frame["a"], found, told) == (a, decimal, said)


def test_what_nothing_tells_is_read_as_it_stands_and_said(tmp_path: Path) -> None:
    frame, decimal, said = read(tmp_path, "households;y\n1.619;a\n720;b\n")
    assert (frame["households"], decimal) == ([1.619, 720], ".")
    assert said == [
        "t.csv does not tell whether the point in 1.619 (households) begins decimals or groups digits: it was read "
        "as a decimal point; where it groups digits, say --decimal ,"
    ]


def test_what_a_new_file_does_not_tell_is_read_as_the_table_trained_on(tmp_path: Path) -> None:
    frame, decimal, said = read(tmp_path, "a;b\n1.619;4\n", ",")
    assert (frame["a"], decimal) == ([1619], ",")
    assert said == ["t.csv groups digits with a dot (1.619), as the table trained on does."]
    frame, _, said = read(tmp_path, "a;b\n1,500;4\n", ".")
    assert frame["a"] == [1500]
    assert said == ["t.csv groups digits with a comma (1,500), as the table trained on does."]
    frame, _, said = read(tmp_path, "a;b\n1.619;4.5\n", ",")  # which tells
    assert (frame["a"], said) == ([1.619], [])


def test_the_convention_is_kept_with_the_run(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [f"{1 + i % 9}.{i:03d};{i},5;{'ab'[i % 2]}" for i in range(100, 160)]
    path.write_text("households;rate;y\n" + "\n".join(rows) + "\n")
    table = load_table(path, "y")
    made = split_table(table, seed=0).preprocessing
    assert isinstance(made, TablePreprocessing)
    assert TablePreprocessing.from_dict(made.to_dict()).decimal == made.decimal == ","
    (tmp_path / "n.csv").write_text("households;rate;y\n1.619;4;a\n")
    assert load_test(tmp_path / "n.csv", table).frame["households"].tolist() == [1619]


def test_a_late_row_proves_as_much_as_an_early_one(tmp_path: Path) -> None:
    """In large files a few values are looked at first; what they do not show is looked for in all."""
    rows = ["1.619;7;x"] * 500
    rows[333] = "2.500;3,5;x"
    frame, _, _ = read(tmp_path, "a;b;c\n" + "\n".join(rows) + "\n")
    assert frame["a"][:334] == [1619] * 333 + [2500]
    choices = ["1,3"] * 500
    choices[333] = "1,2,4"
    frame, decimal, _ = read(tmp_path, "a,b\n" + "\n".join(f'"{c}",1.619' for c in choices) + "\n")
    assert (frame["a"], decimal) == (choices, ".")


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.decimals(-10_000_000, 10_000_000, places=2), min_size=3, max_size=8),
    st.sampled_from([",", "."]),
    st.sampled_from(";\t,"),
    st.booleans(),
)
def test_however_numbers_are_written_they_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], decimal: str, separator: str, grouped: bool
) -> None:
    """A column of two decimals proves the mark; whole numbers in groups beside it follow."""
    path = tmp_path_factory.mktemp("t") / "t.csv"

    def write(value: Any, places: int) -> str:
        text = f"{value:,.{places}f}" if grouped else f"{value:.{places}f}"
        return text if decimal == "." else text.translate(str.maketrans(",.", ".,"))

    frame = pd.DataFrame(
        {"a": [write(v, 2) for v in values], "b": [write(int(v), 0) for v in values], "c": "x"}
    )
    frame.to_csv(path, sep=separator, index=False)
    found = read_table(path, []).frame
    assert found["a"].tolist() == [float(v) for v in values]
    assert found["b"].tolist() == [int(v) for v in values]


def test_the_mark_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a;b\n1.619;3\n720;4\n")
    for asked, expected in ((".", [1.619, 720]), (",", [1619, 720])):
        read = read_table(path, [], how=replace(AS_IT_IS, decimal=asked))
        assert (read.frame["a"].tolist(), read.dialect.decimal) == (expected, asked)
    path.write_text("a;b\n1,5;2.25\n2,5;3.25\n")  # each of its own
    assert read_table(path, [], how=replace(AS_IT_IS, decimal=",")).frame.to_numpy().tolist() == [
        [1.5, 2.25],
        [2.5, 3.25],
    ]
