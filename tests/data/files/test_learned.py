"""A few rows of a new file are read by what the file trained on taught; names that come again are no rows."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammatune.pipeline.data.files.dialect import AS_IT_IS, Read
from gammatune.pipeline.data.files.learned import Layout, Learned
from gammatune.pipeline.data.files.reading import as_written, read_table
from gammatune.pipeline.data.files.repeats import without_names

NAMES = "who;trust;age;answer"
ROWS = [
    f"p{i};{('a lot', 'some', 'none')[i * 7 % 3]};{20 + i},5;{('yes', 'no')[i * 5 % 2]}" for i in range(24)
]
ASKED = "Who are you?;Do you trust the news?;How old are you?;Did you vote?"
UNITS = ";;(years);"


def read(path: Path, *lines: str, by: Read | None = None, encoding: str = "utf-8") -> Read:
    path.write_bytes("\n".join([*lines, ""]).encode(encoding))
    learned = Learned() if by is None else Learned(by.decimal, by.layout)
    return read_table(path, [], learned)


def cells(read: Read) -> list[str]:
    assert read.source is not None
    once, again = as_written(read.source, read), as_written(read.source)
    rows = [";".join(row) for row in once[1]()]
    assert rows == [";".join(row) for row in again[1]()]  # read again it is the same
    assert len(rows) == len(read.frame)
    return rows


@pytest.mark.parametrize("count", range(1, 5))
@pytest.mark.parametrize(
    "above",
    [[NAMES], [NAMES, ASKED], [NAMES, UNITS], ["Survey of 2020", "", NAMES], ["Survey", NAMES, ASKED]],
)
def test_lines_of_names_are_known_again(tmp_path: Path, above: list[str], count: int) -> None:
    trained = read(tmp_path / "t.csv", *above, *ROWS)
    assert len(trained.frame) == len(ROWS)
    new = read(tmp_path / "n.csv", *above, *ROWS[:count], by=trained)
    assert list(new.frame.columns) == list(trained.frame.columns)
    assert cells(new) == ROWS[:count]
    # without the target and in another order
    lines = [
        ";".join(reversed(line.split(";")[:3])) if ";" in line else line for line in (*above, *ROWS[:count])
    ]
    other = read(tmp_path / "o.csv", *lines, by=trained)
    assert list(other.frame.columns) == list(reversed(trained.frame.columns[:3]))
    assert cells(other) == lines[len(above) :]


def test_what_explains_the_names_may_be_gone_and_what_is_joined_may_not(tmp_path: Path) -> None:
    trained = read(tmp_path / "t.csv", NAMES, ASKED, *ROWS)
    assert cells(read(tmp_path / "n.csv", NAMES, ROWS[0], by=trained)) == ROWS[:1]
    joined = read(tmp_path / "t.csv", NAMES, UNITS, *ROWS)
    assert "age (years)" in joined.frame
    assert "age" in read(tmp_path / "n.csv", NAMES, ROWS[0], by=joined).frame


def test_a_file_without_names_has_none_again(tmp_path: Path) -> None:
    rows = ["red;yes;no", "blue;no;no", "red;no;yes", "blue;yes;no"] * 5
    trained = read(tmp_path / "t.csv", *rows)
    for count in range(1, 5):
        new = read(tmp_path / "n.csv", *rows[:count], by=trained)
        assert list(new.frame.columns) == ["column 1", "column 2", "column 3"]
        assert cells(new) == rows[:count]


def test_delimiter_encoding_and_notes_are_hints(tmp_path: Path) -> None:
    names, note = "größe;straße, nr", "So far as it is known, all of it"
    rows = [f"{i}{',5' * (i % 2)};Köln {i}" for i in range(30)]
    trained = read(tmp_path / "t.csv", names, *rows, "", note, encoding="cp1250")
    assert trained.layout is not None
    assert (trained.layout.separator, trained.layout.notes) == (";", (note,))
    new = read(tmp_path / "n.csv", names, rows[7], note, by=trained, encoding=trained.dialect.encoding)
    assert list(new.frame.columns) == list(trained.frame.columns)
    assert cells(new) == rows[7:8]
    assert new.dialect == trained.dialect


def test_another_file_is_read_as_it_is(tmp_path: Path) -> None:
    trained = read(tmp_path / "t.csv", NAMES, ASKED, *ROWS)
    lines = ["x,y,z", *(f"{i},{i * 3 % 7},u{i % 2}" for i in range(9))]
    new, plain = (read(tmp_path / "n.csv", *lines, by=by) for by in (trained, None))
    assert new.frame.equals(plain.frame)
    assert new.dialect.separator == plain.dialect.separator


def test_a_layout_is_saved_as_json() -> None:
    layout = Layout((("a", "b"), ("c", "")), 1, ("note",), ";", "cp1252")
    saved = {
        "lines": [["a", "b"], ["c", ""]],
        "names": 1,
        "notes": ["note"],
        "separator": ";",
        "encoding": "cp1252",
    }
    assert Layout.of(saved) == layout
    assert Layout.of(None) is None


@given(st.lists(st.lists(st.sampled_from(["", "who", "age", "x", "1"]), max_size=4), max_size=6))
def test_any_rows_can_be_looked_at_by_any_layout(rows: list[list[str]]) -> None:
    layout = Layout((("who", "", "age"), ("x", "1", "")), 2, ())
    found = layout.again(rows)
    assert found is None or [len(part) for part in found] == [2, 0]
    assert replace(layout, lines=()).again(rows) is None


# -- names within the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize("above", [[NAMES], [NAMES, UNITS], [NAMES, ASKED]])
@pytest.mark.parametrize("after", [1, 7, 24])
def test_names_that_come_again_are_left_out_and_counted(tmp_path: Path, above: list[str], after: int) -> None:
    path, said = tmp_path / "t.csv", list[str]()
    path.write_text("\n".join([*above, *ROWS[:after], *above, *ROWS[after:], *above, ""]))
    found = read_table(path, said)
    assert cells(found) == ROWS
    assert found.frame.iloc[:, 2].dtype.kind == "f"
    (line,) = [line for line in said if "again" in line]
    assert f" rows of t.csv are the line of names again (the first is row {after + 1}), as where" in line


def test_boxes_that_are_ticked_with_their_own_names_are_rows(tmp_path: Path) -> None:
    ticked = pd.DataFrame({"tea": ["tea", None, "tea"], "milk": ["milk", "milk", None]})
    assert without_names(ticked, [("tea", "milk")], "t.csv", [])[1] == ()
    assert without_names(ticked.assign(n=["n", 1, 2]), [("tea", "milk", "n")], "t.csv", [])[1] == (0,)
    words = ["a;b", "a;c", "b;c", "a;b"]
    assert cells(read(tmp_path / "t.csv", "first;second", *words)) == words


def test_every_line_is_a_row_where_that_is_said(tmp_path: Path) -> None:
    lines = ["word,answer", "tea,yes", "milk,no", "word,answer", "tea,no"]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    said: list[str] = []
    assert len(read_table(tmp_path / "t.csv", said).frame) == 3
    assert said[-1].endswith("left out; --header 0 takes every line as a row.")
    assert len(read_table(tmp_path / "t.csv", [], how=replace(AS_IT_IS, header=0)).frame) == 5
