"""Dates as people write them: one way for a column, what it leaves open is said."""

from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.cells.dates import LANGUAGES, _months, date_format, parsed
from gammatune.pipeline.data.columns import Given, kinds_given
from gammatune.pipeline.data.looking import look_at, tell
from gammatune.pipeline.data.table import make_table, split_table
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing
from gammatune.pipeline.data.values import dates_in

DAY, OTHER = date(2021, 7, 26), date(2020, 1, 1)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2021-07-26", "2020-01-01"),
        ("20210726", "20200101"),
        ("2021/7/26", "2020/1/1"),
        ("7/26/2021", "1/1/2020"),
        ("26/07/2021", "01/01/2020"),
        ("26.7.21", "1.1.20"),
        ("26-07-2021", "01-01-2020"),
        ("7/26/21", "1/1/20"),
        ("July 26, 2021", "January 1, 2020"),
        ("Jul 26 2021", "Jan 1 2020"),
        ("July 26th, 2021", "January 1st, 2020"),
        ("26-Jul-2021", "1-Jan-2020"),
        ("26-JUL-21", "01-JAN-20"),
        ("26. Juli 2021", "1. Januar 2020"),
        ("26 juillet 2021", "1er janvier 2020"),
        ("26 de julio de 2021", "1 de enero de 2020"),
        ("26 luglio 2021", "1 gennaio 2020"),
        ("26 de julho de 2021", "1 de janeiro de 2020"),
        ("26 juli 2021", "1 januari 2020"),
        ("26 lipca 2021", "1 stycznia 2020"),
        ("26 июля 2021 г.", "1 января 2020 г."),
        ("26 Temmuz 2021", "1 Ocak 2020"),
        ("2021年7月26日", "2020年1月1日"),
    ],
)
@pytest.mark.parametrize(
    ("clock", "time"),
    [
        ("", (0, 0)),
        (" 13:05", (13, 5)),
        (" 00:00:00", (0, 0)),
        (" 1:05 PM", (13, 5)),
        (" 01:05:00 p.m.", (13, 5)),
    ],
)
def test_dates_are_read(first: str, second: str, clock: str, time: tuple[int, int]) -> None:
    values = pd.Series([first + clock, second + clock] * 5)
    found = date_format("day", values)
    assert found is not None
    read = parsed(values, found[0]).dt.tz_convert(None)
    assert read[0] == datetime(*DAY.timetuple()[:3], *time)
    assert read[1] == datetime(*OTHER.timetuple()[:3], *time)
    assert tell("date", values).kind == "date"


@pytest.mark.parametrize(
    "texts",
    [
        ["12 apples 2020", "13 apples 2021"],
        ["2017", "2018"],
        ["abc1234", "def5678"],
        ["1.2.3", "10.0.1"],
        ["192.168.10.1", "10.0.10.12"],
        ["13/13/2021", "14/15/2020"],
        ["555-1234", "555-9876"],
    ],
)
def test_what_is_no_date_is_none(texts: list[str]) -> None:
    assert date_format("x", pd.Series(texts * 5)) is None


def test_one_value_that_only_a_day_can_be_decides() -> None:
    few = pd.Series(["01/02/2020"] * 99 + ["25/04/2020"])
    assert date_format("day", few) == ("%d/%m/%Y", "")
    dots = date_format("day", pd.Series(["01.02.2020", "03.04.2020"]))
    assert dots is not None
    assert dots[0] == "%d.%m.%Y"
    assert "read with the day first; the month may as well be" in dots[1]
    found = date_format("day", pd.Series(["01-02-2020", "03-04-2020"]))
    assert found is not None
    assert "the month may as well be: --column day=date:%m-%d-%Y reads them so" in found[1]
    years = date_format("day", pd.Series(["25/04/99", "01/02/05"]))
    assert years == ("%d/%m/%y", "holds years of two digits, read as 1969 to 2068")
    both = date_format("day", pd.Series(["02/04/99", "01/02/05"]))
    assert both is not None
    assert both[1].startswith(
        "holds years of two digits, read as 1969 to 2068, and dates such as 02/04/99, read "
    )


@pytest.mark.parametrize(
    ("texts", "written"),
    [
        (["Mar-21", "Jan-20"], "%b %y"),
        (["Jan 10", "Feb 12"], "%b %y"),
        ([datetime(2021, 3, 4), "13/4/2021", "5/6/2021", datetime(2021, 4, 4)], "%d/%m/%Y"),
        ([datetime(2021, 3, 4), "2021-04-04"], "ISO8601"),
    ],
)
def test_months_alone_and_real_dates_beside_text_are_dates(texts: list[Any], written: str) -> None:
    values = pd.Series(texts * 9, dtype=object)
    column = tell("day", values)
    assert (column.kind, column.format) == ("date", written)
    assert dates_in(values, written).notna().all()


def test_what_is_no_date_among_dates_is_missing_and_said() -> None:
    note = "holds dates, and 2 values (2.2 %) that are none, such as 'n.a.?' (2): they count as missing"
    for day in ("2021-03-04", "13/4/2021"):
        values = pd.Series([day, day.replace("4", "5")] * 45 + ["n.a.?"] * 2)
        assert tell("day", values).notes == (note,)
        (asked,) = look_at(values.to_frame("day"), {"day": Given("date")}, [], decimal="", find_codes=True)
        assert asked.notes == (note,)


def test_days_in_numbers_and_by_iso_are_read_for_each_other() -> None:
    march = [datetime(2021, 3, 4)]
    assert list(dates_in(pd.Series(["2021-03-04"]), "excel")) == march
    assert list(dates_in(pd.Series([44259, "2021-03-04"], dtype=object), "excel")) == march * 2
    for values in ([20210304, None], [20210304.0, None], ["20210304", None]):
        assert list(dates_in(pd.Series(values), "ISO8601").dropna()) == march


def test_no_name_of_a_month_is_another_month_elsewhere() -> None:
    from babel.dates import get_month_names

    for language in LANGUAGES:
        for width in ("wide", "abbreviated"):
            for month, name in get_month_names(width, "format", language).items():
                assert _months()[name.lower().strip(".")] == month


@given(st.lists(st.dates(date(1970, 1, 1), date(2060, 12, 31)), min_size=2, max_size=20, unique=True))
def test_the_order_of_rows_changes_no_date(days: list[date]) -> None:
    values = pd.Series([f"{day:%d/%m/%Y}" for day in days])
    found, turned = date_format("x", values), date_format("x", values.iloc[::-1])
    assert found is not None
    assert turned is not None
    assert found[0] == turned[0]
    shown = any(day.day > 12 for day in days)
    read = parsed(values, "%d/%m/%Y" if shown else found[0])
    assert read.notna().all()
    assert not shown or list(read.dt.date) == days


@pytest.mark.parametrize(
    ("name", "numbers", "first"),
    [
        ("order_date", [44197, 44198.5], "2021-01-01"),
        ("Datum", [44197, 44198], "2021-01-01"),
        ("timestamp", [1609459200, 1609545600], "2021-01-01"),
        ("created_at", [1609459200000, 1609545600000], "2021-01-01"),
        ("dateOrdered", [44197, 44198], None),
        ("price", [44197, 44198], None),
        ("date", [1, 31], None),
        ("date", [20210101, 20211231], "2021-01-01"),
    ],
)
def test_numbers_are_dates_by_their_name(name: str, numbers: list[float], first: str | None) -> None:
    values = pd.Series(numbers * 15)
    column = tell(name, values)
    assert column.kind == ("number" if first is None else "date")
    if first is not None:
        assert f"is {first}; --column {name}=number takes them as numbers" in column.notes[0]
        assert parsed(values, str(column.format)).iloc[0].date() == date.fromisoformat(first)
        (asked,) = look_at(values.to_frame(name), {name: Given("number")}, [], decimal="", find_codes=True)
        assert asked.kind == "number"


def rows(**columns: Any) -> Any:
    n = 60
    return pd.DataFrame({"x": np.arange(n) % 7, "y": ["no", "yes"] * 30} | columns)


def test_a_date_may_be_told_how_it_is_written() -> None:
    frame = rows(day=[f"{n % 12 + 1:02}/{n % 10 + 1:02}/2021" for n in range(60)])
    table = make_table("t", frame, "y", kinds=kinds_given(["day=date:%d/%m/%Y"], []))
    assert {c.name: c.format for c in table.columns}["day"] == "%d/%m/%Y"
    with pytest.raises(
        InvalidData, match=r"written as %Y/%m/%d and holds \['01/01/2021'\].*--column day=date:"
    ):
        make_table("t", frame, "y", kinds=kinds_given(["day=date:%Y/%m/%d"], []))
    with pytest.raises(InvalidArgument, match="--column day=date:%Q: that is no way to write dates"):
        make_table("t", frame, "y", kinds=kinds_given(["day=date:%Q"], []))
    with pytest.raises(InvalidArgument, match="write NAME=number"):
        kinds_given(["x=number:%d"], [])
    asked = make_table("t", frame, "y", kinds=kinds_given(["day=date:%d/%m/%Y"], []), time="day")
    assert asked.times is not None
    assert list(asked.times[:2]) == sorted(asked.times[:2])


def test_new_rows_are_dates_as_those_trained_on() -> None:
    days = [f"{n % 28 + 1}. März {2000 + n % 20}" for n in range(60)]
    made = split_table(make_table("t", rows(day=days), "y"), seed=0).preprocessing
    assert isinstance(made, TablePreprocessing)
    new = rows(day=days).iloc[:4]
    turned = made.inputs(new.iloc[::-1])
    assert turned.flip(0).equal(made.inputs(new))
    assert made.inputs(new.assign(day=["1. mars 2000", "2-Mar-2001", "3 maart 2002", "2003-03-04"])).equal(
        made.inputs(new.assign(day=["1. März 2000", "2. März 2001", "3. März 2002", "4. März 2003"]))
    )
    assert made.misread(new.assign(day=["1. Mars 2000", "gestern", None, None])) == [
        "1 of 2 values of day are no dates written as %d %b %Y, such as 'gestern': they count as missing."
    ]
