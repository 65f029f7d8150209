"""What is done to a column at once gives what is done to one value after the other."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammatune.pipeline.data.cells.amounts import HALF, MOSTLY, TakenApart, _Parts, form_of
from gammatune.pipeline.data.cells.codes import _counted
from gammatune.pipeline.data.cells.dates import ISO, _at_once
from gammatune.pipeline.data.cells.spelling import _read, find, plain, plain_in_lower_case
from gammatune.pipeline.data.files.rows import _has_blanks
from gammatune.pipeline.data.looking import tell
from gammatune.pipeline.data.table import Table, make_table, split_table
from gammatune.pipeline.data.table_encoding import CYCLES
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


@given(st.lists(st.one_of(st.none(), st.datetimes()), min_size=1, max_size=5))
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


@given(st.text(alphabet=' \t,;"\r\nab', max_size=8), st.sampled_from(",;\t"))
def test_blanks_at_the_edges_of_cells(text: str, separator: str) -> None:
    blank = "[ ]" if separator == "\t" else r"[ \t]"
    edge = rf'["\r\n{separator}]'
    body = text.encode()
    assert _has_blanks(body, separator, behind=True) == bool(re.search(rf"{blank}({edge}|\Z)", text))
    assert _has_blanks(body, separator, behind=False) == bool(re.search(rf"(\A|{edge})[ ]", text))


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
