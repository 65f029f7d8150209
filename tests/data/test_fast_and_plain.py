"""What is done to a column at once gives what is done to one value after the other."""

import datetime
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammatune.pipeline.data.cells.amounts import HALF, MOSTLY, TakenApart, _Parts, form_of
from gammatune.pipeline.data.cells.codes import _counted
from gammatune.pipeline.data.cells.dates import ISO, _at_once
from gammatune.pipeline.data.cells.sample import every
from gammatune.pipeline.data.cells.spelling import _read, find, plain, plain_in_lower_case
from gammatune.pipeline.data.files.missing import ERRORS, KNOWN, MISSING
from gammatune.pipeline.data.files.rows import _arrow, _Columns
from gammatune.pipeline.data.looking import tell
from gammatune.pipeline.data.table import Table, make_table, split_table
from gammatune.pipeline.data.table_encoding import CYCLES
from gammatune.pipeline.data.table_learning import _robust
from gammatune.pipeline.data.values import place_in_cycle

DAYS = [
    "2015-01-01",
    "0001-01-01",
    "9999-12-31",
    "2015-02-30",
    "20150101",
    "2015-1-1",
    "2015",
    "2015-01",
    "x",
]
TIMES = ["", " 12:30", "T12:30:00", " 12:30:00.5", " 12:30:00.123456", " 24:00:00", " 12", " 1:30"]
ZONES = ["", "Z", "+02:00", "-0530", "+02", " ", " UTC"]
MARCH, APRIL = datetime.date(2020, 3, 1), datetime.date(2020, 4, 2)  # of which a calendar is short
DATE = st.tuples(st.sampled_from(DAYS), st.sampled_from(TIMES), st.sampled_from(ZONES)).map("".join)
TEXT = st.one_of(
    st.sampled_from(
        ["red", "Red", " red", "RED ", "true", "TRUE", "01", "1", "1.0", "é", "e\u0301", "", "a\nb"]
    ),
    st.text(max_size=4),
)


@given(st.lists(st.one_of(st.none(), DATE), min_size=1, max_size=4))
def test_dates(cells: list[str | None]) -> None:
    text = pd.Series(cells, dtype="str", name="when", index=range(5, 5 + len(cells)))
    found = _at_once(text)
    if found is not None:
        expected = pd.to_datetime(text, format=ISO, errors="coerce", utc=True)
        pd.testing.assert_series_equal(found, expected.astype("datetime64[us, UTC]"))


@given(st.lists(st.one_of(st.none(), st.datetimes(), st.dates(MARCH, APRIL)), min_size=1, max_size=80))
def test_months_weekdays_and_hours(moments: list[object]) -> None:
    dates = pd.Series(moments, dtype="datetime64[us]")
    expected = {"month": dates.dt.month - 1, "weekday": dates.dt.day_of_week, "hour": dates.dt.hour}
    for cycle in CYCLES:
        assert place_in_cycle(dates, cycle).tolist() == expected[cycle].fillna(-1).astype(int).tolist()


@given(st.lists(TEXT, max_size=6), st.lists(TEXT, max_size=6, unique=True))
def test_spellings(texts: list[str], known: list[str]) -> None:
    assert plain_in_lower_case(texts) == [plain(text).lower() for text in texts]
    loosest = {_read(plain(text)).lower() for text in known}
    for text, place in zip(texts, find(texts, known), strict=True):
        assert place == find([text], known)[0]
        if place is not None:
            assert text in known or _read(plain(text)).lower() in loosest


CELLS = st.sampled_from(
    ["1", "-20", "007", "0", "0.5", "00.5", "0x1F", "0xFFFFFFFFFF", "NA", "nan", "inf", "+1", "", "x"]
)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=6))
def test_missing_cells_and_numbers_of_columns(cells: list[list[str]]) -> None:
    body = "".join(f"{','.join(row)}\n" for row in cells).encode()
    types = dict.fromkeys(["0", "1"], pa.large_string())
    marks = [*KNOWN, *MISSING, *ERRORS]
    convert = pa_csv.ConvertOptions(column_types=types, null_values=marks, strings_can_be_null=True)
    expected = pa_csv.read_csv(
        pa.BufferReader(body), pa_csv.ReadOptions(column_names=[*types]), None, convert
    )
    found = _Columns.of(_arrow(body, ",", 2), ())
    for place, column in enumerate(expected.columns):
        assert found.texts[place].to_pylist() == column.to_pylist()
        texts = [text for text in column.to_pylist() if text is not None]
        numbers = found.numbers.get(place)
        if numbers is None:
            continue
        assert not any(re.fullmatch(r"0\d+|0[xX].*", text) for text in texts)
        assert numbers[~np.isnan(numbers)].tolist() == [float(text) for text in texts]


@given(st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "", "1"])), max_size=30), st.integers(1, 7))
def test_values_from_all_over_a_column(cells: list[str | None], step: int) -> None:
    pieces = [pa.array(cells[at : at + 4], pa.large_string()) for at in range(0, len(cells), 4)]
    held = pa.chunked_array(pieces, pa.large_string())
    text = pa.table({"n": held}).to_pandas()["n"]
    pd.testing.assert_series_equal(every(text, step), text.iloc[::step])


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=40))
def test_median_and_interquartile_range(numbers: list[float]) -> None:
    values = np.array(numbers)
    scale = float(np.subtract(*np.quantile(values, (0.75, 0.25))))
    scale = scale if scale > 0 else float(np.ptp(values)) / 2 or 1.0
    assert _robust(values) == (float(np.median(values)), scale)


@given(st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=20))
def test_counts_of_numbers(numbers: list[float]) -> None:
    for found, expected in zip(
        _counted(np.array(numbers)), np.unique(numbers, return_counts=True), strict=True
    ):
        assert found.tolist() == expected.tolist()


def test_a_column_that_stays_text_is_taken_apart_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    of = _Parts.of.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(
        _Parts, "of", classmethod(lambda cls, values: asked.append(len(values)) or of(cls, values))
    )
    values = pd.Series([f"{i % 50} kg" if i % 3 else "heavy" for i in range(300)], dtype="str")
    apart = TakenApart(values)
    assert (apart.form(MOSTLY), apart.form(HALF)) == (None, form_of(values, least=HALF))
    asked.clear()
    assert "in 67 % of its cells" in " ".join(tell("weight", values).notes)
    assert asked == [300]


def mixed(n: int = 240) -> Table:
    r = np.random.default_rng(0)
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(r.integers(0, 900, n), unit="D")
    frame = pd.DataFrame(
        {
            "size": np.where(r.random(n) < 0.1, np.nan, r.normal(size=n)),
            "colour": pd.Series(np.array(["red", "green", "blue"])[r.integers(3, size=n)], dtype="str"),
            "day": pd.Series(days.strftime("%Y-%m-%d"), dtype="str"),
            "y": np.where(r.random(n) < 0.5, "a", "b"),
        }
    )
    frame.loc[::17, ["colour", "day"]] = None
    return make_table("t", frame, "y")


@pytest.mark.parametrize("one_hot", [False, True])
def test_parts_are_encoded_as_each_by_itself(one_hot: bool) -> None:
    table = mixed()
    split = split_table(table, seed=0, one_hot=one_hot)
    assert split.origins is not None
    report = table.frame.iloc[split.origins - 1]
    alone = split.preprocessing.encode(report, [])  # type: ignore[union-attr]
    assert alone.tolist() == split.report.x.tolist()
    text = report.assign(colour=report["colour"].astype("str"), day=report["day"].dt.strftime("%Y-%m-%d"))
    assert split.preprocessing.encode(text, []).tolist() == alone.tolist()  # type: ignore[union-attr]


def test_rows_that_are_equal_are_found_by_all_columns() -> None:
    r = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": r.integers(9, size=400) / 2, "b": r.integers(9, size=400), "y": r.integers(2, size=400)}
    )
    said = " ".join(split_table(make_table("t", frame, "y"), seed=0).said)
    assert "rows to report on equal rows that are trained on" in said
    other = frame.assign(c=np.arange(400) % 397)
    assert "trained on" not in " ".join(split_table(make_table("t", other, "y"), seed=0).said)
