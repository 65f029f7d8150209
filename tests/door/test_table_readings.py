"""`gammatune.read_table` shows how a table is understood, takes corrections, and what it gives can be trained on."""

import re
from pathlib import Path
from typing import Any

import mixed
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gammatune
from gammatune.errors import GammatuneError, InvalidArgument, InvalidData
from gammatune.journal.history import replay

WINE = mixed.wine()
COLUMNS = {
    "alcohol": ("number", 18), "flavanoids": ("number", 0), "proline": ("number", 0), "hue": ("category", 9),
    "tasted": ("date", 0), "bottle": ("drop", 0), "grape": ("target", 0),
}  # fmt: skip


def by_name(reading: gammatune.TableReading) -> dict[str, Any]:
    return {column.name: column for column in reading.columns}


def test_every_column_is_told() -> None:
    reading = gammatune.read_table(WINE, "grape")
    assert {c.name: (c.kind, c.missing) for c in reading.columns} == COLUMNS
    assert (reading.rows, reading.target, reading.task) == (178, "grape", "classification")
    found = by_name(reading)
    assert (
        found["flavanoids"].holds == f"{WINE.flavanoids.min():g} to {WINE.flavanoids.max():g}, median 2.135"
    )
    assert found["alcohol"].note == "missing is the median, with a column that says so"
    assert found["hue"].holds.startswith("pale (97), ")
    assert found["hue"].note == "3 levels; missing is one too"
    assert found["tasted"].holds == "2021-03-01 to 2021-08-25"
    assert found["bottle"].note == "differs in every row, as an identifier does"
    assert found["grape"].note == "one of 3 classes"
    frame = reading.to_frame()
    assert list(frame.columns) == ["name", "kind", "holds", "missing", "note"]
    assert frame["name"].tolist() == list(COLUMNS)


def test_it_reads_well() -> None:
    reading = gammatune.read_table(WINE, "grape")
    first, heads, alcohol, *_ = repr(reading).splitlines()
    assert first == "frame: 178 rows, 7 columns, grape to predict, a classification"
    assert heads.split() == ["column", "kind", "holds", "missing"]
    assert alcohol.split()[:2] == ["alcohol", "number"]
    html = reading._repr_html_()
    assert html.count("<tr") == 1 + len(COLUMNS)
    assert "no target named" in repr(gammatune.read_table(WINE))
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 70)), columns=[f"c{n}" for n in range(70)])
    assert repr(gammatune.read_table(wide)).endswith("... and 10 more: to_frame() has them all")


def test_without_a_target_every_column_is_an_input() -> None:
    reading = gammatune.read_table(WINE)
    assert (reading.target, reading.task) == (None, None)
    assert by_name(reading)["grape"].kind == "category"


def test_corrections_are_kept_for_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    corrections: dict[str, Any] = {"column": {"proline": "category"}, "drop": ["tasted"], "group": "hue"}
    reading = gammatune.read_table(WINE, "grape", **corrections)
    found = by_name(reading)
    assert [found[name].kind for name in ("proline", "tasted", "hue")] == ["category", "drop", "group"]
    assert found["tasted"].note == "as asked"
    gammatune.fit(reading, run_dir="read", epochs=1, only="net", seed=2)
    gammatune.fit(WINE, "grape", run_dir="told", epochs=1, only="net", seed=2, **corrections)
    read, told = (replay(run).begin["facts"] for run in ("read", "told"))
    assert read["command"] == told["command"]
    assert read["preprocessing"] == told["preprocessing"]
    gammatune.fit(reading, run_dir="more", epochs=1, only="net", drop=["alcohol"])  # the later word counts
    assert replay("more").begin["facts"]["command"]["drop"] == ["alcohol"]


def test_a_file_is_read_as_the_command_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "survey.csv"
    lines = ["age;income;joined;answer"]
    lines += [f"{20 + n};{n},5;{n % 28 + 1:02}.03.2020;{'yes' if n % 3 else 'no'}" for n in range(60)]
    lines[5] = "unknown;;;yes"
    lines[6] = "30;1,5;01.03.2020;"
    path.write_text("\n".join(lines))
    reading = gammatune.read_table(path, "answer", positive="no")
    found = by_name(reading)
    assert found["income"].holds.startswith("0.5 to 59.5")
    assert found["joined"].note == "written as %d.%m.%Y"
    assert found["age"].note.startswith(
        "holds numbers, and 1 values (1.7 %) that are none, such as 'unknown' (1): they count as missing; "
    )
    assert found["answer"].note == "one of 2 classes; no is the positive one"
    assert any("writes decimals with a comma" in line for line in reading.said)
    assert any("1 of 60 rows have no answer and are left out" in line for line in reading.said)
    assert repr(reading).startswith("survey.csv: 60 rows")


def test_a_regression_and_an_order_in_time() -> None:
    frame = mixed.diabetes()
    frame["seen"] = pd.date_range("2020-01-01", periods=len(frame))
    reading = gammatune.read_table(frame, "progression", time_column="seen")
    assert reading.task == "regression"
    found = by_name(reading)
    assert found["progression"].note == "a number to predict"
    assert found["seen"].note == "orders the parts"
    assert found["sex"].kind == "category"


def test_refusals(tmp_path: Path) -> None:
    for options, kind, message in (
        ({"target": "grap"}, InvalidArgument, "there is no such column"),
        (
            {"target": "grape", "colum": {}},
            TypeError,
            r"read_table\(\) got an unexpected .*; did you mean 'column'",
        ),
        ({"target": "grape", "epochs": 3}, TypeError, "unexpected keyword argument 'epochs'"),
        ({"column": {"nothing": "number"}}, InvalidArgument, "there is no column 'nothing'"),
    ):
        with pytest.raises(kind, match=message):  # type: ignore[call-overload]
            gammatune.read_table(WINE, **options)  # type: ignore[arg-type]
    with pytest.raises(InvalidData, match="is not there"):
        gammatune.read_table(tmp_path / "none.csv")
    with pytest.raises(InvalidData, match="no column is left to learn from"):
        gammatune.read_table(WINE[["bottle", "grape"]], "grape")


KINDS = (
    st.integers(-(10**20), 10**20), st.floats(), st.text(max_size=6), st.booleans(), st.none(),
    st.datetimes(), st.dates(), st.decimals(allow_nan=False), st.lists(st.integers(), max_size=2),
    st.sampled_from(["2020-01-01", "3,5", "1.234", "", "?", "yes", "12%"]),
)  # fmt: skip


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.integers(1, 30))
    columns = draw(
        st.lists(st.text("ab =", min_size=1, max_size=3), min_size=1, max_size=4, unique_by=str.strip)
    )
    held = {}
    for name in columns:
        kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=2))
        held[name] = draw(st.lists(st.one_of(*kinds), min_size=rows, max_size=rows))
    return pd.DataFrame(held)


@settings(max_examples=60)
@given(frame=frames())
def test_any_frame_is_read_or_refused_with_a_reason(frame: pd.DataFrame) -> None:
    try:
        reading = gammatune.read_table(frame)
    except GammatuneError:  # nothing is left to learn from
        return
    assert [column.name for column in reading.columns] == [name.strip() for name in frame.columns]
    missing = zip((column.missing for column in reading.columns), frame.isna().sum().tolist(), strict=True)
    assert all(read >= there for read, there in missing)  # blanks and marks such as "?" are missing too
    assert len(repr(reading).splitlines()) >= 2 + len(frame.columns)


def test_the_page_shows_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "site" / "tables-in-python.md").read_text()
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL)[:2]:
        exec(block, names)
    (shown,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    assert capsys.readouterr().out == shown


def test_numbers_beyond_64_bits_among_truth_values_are_numbers() -> None:
    frame = pd.DataFrame({"a": [0.0] * 20, "b": [False] * 18 + [0, -(2**63) - 1]})
    assert {c.name: c.kind for c in gammatune.read_table(frame).columns}["b"] in (
        "number",
        "drop",
        "category",
    )
