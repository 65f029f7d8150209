"""JSON in the forms that programs write, and what is none."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gammatune.errors import InvalidData
from gammatune.pipeline.data.files.reading import read_table

ROWS = [{"name": "Ada", "age": 36, "in": True}, {"name": "Bo", "age": None, "in": False}]
FRAME = pd.DataFrame(ROWS).assign(age=[36.0, None])
LINES = "\n".join(map(json.dumps, ROWS))

FORMS: dict[str, Any] = {
    "rows": json.dumps(ROWS),
    "indented": json.dumps(ROWS, indent=2),
    "lines": LINES,
    "lists": json.dumps(FRAME.to_dict("list"), default=str).replace("NaN", "null"),
    **{form: FRAME.to_json(orient=form) for form in ("records", "columns", "index", "split", "table")},
    "beneath a name": json.dumps({"count": 2, "results": ROWS, "links": []}),
    "lists of cells": json.dumps([["name", "age", "in"], ["Ada", 36, True], ["Bo", None, False]]),
}


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".ndjson", ".txt"])
@pytest.mark.parametrize("form", FORMS)
def test_forms(tmp_path: Path, form: str, ending: str) -> None:
    if form == "lists of cells" and ending == ".txt":
        return  # may as well be a CSV
    path = tmp_path / f"t{ending}"
    path.write_text(FORMS[form])
    pd.testing.assert_frame_equal(read_table(path, []).frame, FRAME)


def test_what_is_nested_becomes_columns(tmp_path: Path) -> None:
    rows = [
        {"n": 1, "home": {"city": "Ulm", "at": {"lat": 48}}},
        {"n": 2, "home": {"city": "Bern"}},
        {"n": 3},
    ]
    (tmp_path / "t.json").write_text(json.dumps(rows))
    said: list[str] = []
    frame = read_table(tmp_path / "t.json", said).frame
    assert frame["home.city"].tolist()[:2] == ["Ulm", "Bern"]
    assert frame["home.at"].iloc[0] == {"lat": 48}
    assert said == ["What is nested in home of t.json became columns of its own, such as home.city."]


PEOPLE = {"anna": {"age": 36, "city": "Ulm"}, "ben": {"age": 40}, "cleo": {"age": None, "city": "Bonn"}}


def by_column(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    names = dict.fromkeys(name for row in rows.values() for name in row)
    return {name: {row: held.get(name) for row, held in rows.items()} for name in names}


@pytest.mark.parametrize("held", [PEOPLE, by_column(PEOPLE)])
def test_rows_that_are_called_by_words(tmp_path: Path, held: Any) -> None:
    (tmp_path / "t.json").write_text(json.dumps(held))
    said: list[str] = []
    frame = read_table(tmp_path / "t.json", said).frame
    expected = pd.DataFrame(
        {"row": ["anna", "ben", "cleo"], "age": [36, 40, None], "city": ["Ulm", None, "Bonn"]}
    )
    pd.testing.assert_frame_equal(frame, expected, check_dtype=False)
    assert said[-1] == "t.json calls its rows 'anna', 'ben', ...: they are the column 'row'."


def test_values_of_one_kind_are_longer_than_wide_or_refused(tmp_path: Path) -> None:
    marks = {who: {"maths": 3, "music": 2} for who in ("anna", "ben", "cleo")}
    for held in (marks, by_column(marks)):
        (tmp_path / "t.json").write_text(json.dumps(held))
        assert list(read_table(tmp_path / "t.json", []).frame.columns) == ["row", "maths", "music"]
    (tmp_path / "t.json").write_text(json.dumps({who: marks[who] for who in ("anna", "ben")}))
    with pytest.raises(InvalidData, match="whether 'anna' is a row or a column is not to be told"):
        read_table(tmp_path / "t.json", [])


def test_text_is_read_as_in_a_csv_and_numbers_are_exact(tmp_path: Path) -> None:
    rows = [{"id": 2**60 + 1, "zip": "01234", "rate": "3,5", "word": "n/a", "at": "2024-01-31T04:05:06"}] * 2
    (tmp_path / "t.json").write_text(json.dumps(rows))
    frame = read_table(tmp_path / "t.json", []).frame
    assert frame["id"].tolist() == [2**60 + 1] * 2
    assert frame["zip"].tolist() == ["01234"] * 2
    assert frame["rate"].tolist() == [3.5] * 2
    assert frame["word"].isna().all()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "t.json").write_bytes(json.dumps([{"a": "é"}], ensure_ascii=False).encode(encoding))
    assert read_table(tmp_path / "t.json", []).frame["a"].tolist() == ["é"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (json.dumps(ROWS)[:-5], r"is no JSON that can be read \(.*line 1 column .*it may be cut"),
        (LINES[:-5], r"is no JSON that can be read \(.*line 2 column"),
        ("3", "holds no table .*write a list of rows"),
        ('["a", "b"]', "holds no table"),
        ('{"a": 1, "b": 2}', "holds no table"),
        ('{"a": [1, 2], "a b": 3}', "holds no table"),
        ('{"a": [1, 2], "b": [3]}', r"holds no table \(lists of several lengths\)"),
        ("[]", "holds no table"),
        ("[" * 5000, "is no JSON that can be read"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(InvalidData, match=words) as refused:
        read_table(tmp_path / "t.json", [])
    assert "\n" not in str(refused.value)


def test_an_encoding_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_bytes('[{"a": "é"}]'.encode("cp1252"))
    with pytest.raises(InvalidData, match=r"is not in UTF-8 .*--encoding names another"):
        read_table(tmp_path / "t.json", [])
