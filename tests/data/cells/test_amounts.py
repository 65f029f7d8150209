"""Numbers with something around them: one currency, one unit, and what is none stays text."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammatune.pipeline.data.cells.amounts import Form, TakenApart, amounts_in, converted, form_of
from gammatune.pipeline.data.looking import tell
from gammatune.pipeline.data.new_amounts import read_as_here
from gammatune.pipeline.data.table import as_test, load_table, load_test, make_table, split_table
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing
from gammatune.pipeline.predict import new_examples

WAYS: dict[str, tuple[list[str], list[float]]] = {
    "dollars": (["$1,234.56", "(1,234.50)", "-$3", "$ 7", "12"], [1234.56, -1234.5, -3, 7, 12]),
    "euros": (["1.234,56 €", "3,5 €", "-7 EUR"], [1234.56, 3.5, -7]),
    "francs": (["CHF 1'234.50", "CHF 5.00", "CHF 1’000’000.00"], [1234.5, 5, 1e6]),
    "crowns": (["1 234 kr", "12 kr", "5\u202f000 kr."], [1234, 12, 5000]),
    "share": (["12,5 %", "3 %", "0,25%"], [12.5, 3, 0.25]),
    "groups": (["1_000", "12", "3_000_000"], [1000, 12, 3e6]),
    "india": (["1,00,000", "2,50,000.5", "99,000"], [1e5, 250000.5, 99000]),
    "below zero": (["3.50-", "2.00", "−7"], [-3.5, 2, -7]),
    "times": (["19M", "850k", "1.2B"], [19e6, 850e3, 1.2e9]),
    "millimetres": (["12 mm", "3.5 mm", "7mm"], [12, 3.5, 7]),
    "kelvin": (["281 K", "290.5 K", "300 K"], [281, 290.5, 300]),
    "minutes": (["3 mn", "12 mn", "40 mn"], [3, 12, 40]),
    "thousands": (["850 K", "1.2 M", "30B"], [850e3, 1.2e6, 30e9]),
    "in millions": (["$5mm", "$3 mn", "$2B", "$7 K"], [5e6, 3e6, 2e9, 7e3]),
    "crores": (["4cr", "2cr", "1.5cr"], [4e7, 2e7, 1.5e7]),
    "bookings": (["100.00-", "100.00", "7.50", "12.00"], [-100, 100, 7.5, 12]),
    "millions": (["£5m", "£2.5bn", "£900k"], [5e6, 2.5e9, 9e5]),
    "in words": (["3 Mio. €", "2,5 Mrd. €", "7 Tsd. €"], [3e6, 2.5e9, 7e3]),
    "at least": (["10,000+", "500+", "5+"], [1e4, 500, 5]),
    "bounds": (["<1.0", "2.5", "3", ">5"], [1, 2.5, 3, 5]),
    "unit": (["12 kg", "3.5kg", "1,200 KG"], [12, 3.5, 1200]),
    "plural": (["10+ years", "< 1 year", "2 years", "3 years"], [10, 1, 2, 3]),
    "words": (["4,913 square miles", "50 square miles", "1 square mile"], [4913, 50, 1]),
    "area": (["5 m²", "7.5 m²", "12 m²"], [5, 7.5, 12]),
    "an hour": (["$12/hr", "$15.50/hr", "$9/hr"], [12, 15.5, 9]),
}


@pytest.mark.parametrize("way", WAYS)
def test_amounts_are_numbers(way: str) -> None:
    texts, numbers = WAYS[way]
    values = pd.Series(texts * 5)
    form = form_of(values)
    assert form is not None
    np.testing.assert_allclose(amounts_in(values, form)[: len(numbers)], numbers)
    assert tell("x", values).kind == "number"


@pytest.mark.parametrize(
    "texts",
    [
        ["$5", "€7", "$9"],  # two currencies
        ["12 kg", "3 lb", "5 kg"],
        ["<=50K", ">50K", "<=50K", "unknown"],
        ["10-20", "20-30", "30-40"],
        ["50-", "60-", "70-"],  # 50 and over
        ["3-", "2", "1", "2+", "3"],  # grades
        ["2+", "2", "1", "3"],
        ["3-", "3", "2", "1"],
        ["18-", "25", "35", "65+"],
        ["6A", "6B", "5A"],
        ["30", "30B", "31", "32"],  # buses
        ["1OT", "2OT", "1", "2", "3", "4"],
        ["1st", "2nd", "3rd"],
        ["2 doors", "4 doors"],
        ["1,3", "2,4", "1", "1,2,3"],  # answers
        ["12 Main Street", "14 Oak Avenue", "3 Elm Road"],
        ["1.2.3", "10.0.1", "2.2.0"],
        ["(3", "4)", "-(5)"],
        ["--5", "5--", "$$7"],
        ["12:30", "13:45", "09:15"],
    ],
)
def test_what_is_no_amount_stays_text(texts: list[str]) -> None:
    assert form_of(pd.Series(texts * 5)) is None


def test_what_is_no_number_among_amounts_is_missing_and_said() -> None:
    values = pd.Series(["$1,234.56", "(3.50)", *(f"${n}" for n in range(40)), "on request"])
    column = tell("price", values)
    assert column.form == Form(currency="$")
    assert column.sentences == [
        "price is read as numbers: '$1,234.56' as 1234.56, '(3.50)' as -3.5.",
        "price holds numbers, and 1 values (2.3 %) that are none, such as 'on request' (1): they count as missing.",
    ]


def test_phone_numbers_in_groups_are_none() -> None:
    values = pd.Series([f"612 345 {n}" for n in range(100, 190)])
    assert tell("phone", values).why == "holds phone numbers"
    assert tell("people", values).kind == "number"


def test_numbers_too_few_to_be_read_so_are_said() -> None:
    column = tell("size", pd.Series(["19M", "850k", "2M", "Varies"] * 10))
    assert column.kind == "category"
    assert column.notes[0].startswith(
        "holds numbers in 75 % of its cells, too few to be read so: --column size=number"
    )
    assert TakenApart(pd.Series(["12 kg", "3 lb", "5 kg"] * 5)).units() == ("kg", "lb")
    (note,) = tell("load", pd.Series(["12 kg", "3 lb", "5 kg"] * 5)).notes
    assert note.startswith("holds numbers in several units (kg, lb), which are left as text")


def test_the_decimal_mark_is_told_from_the_column_else_from_the_file() -> None:
    proved, open_ = pd.Series(["1.234,5 €", "2 €", "3 €"]), pd.Series(["1.234 €", "2.500 €", "3.100 €"])
    assert form_of(proved) == form_of(proved, ".") == Form(",", "€")
    assert form_of(open_) == Form(".", "€")
    assert form_of(open_, ",") == Form(",", "€")


@given(
    st.lists(st.integers(-(10**9), 10**9), min_size=3, max_size=30, unique=True),
    st.sampled_from([",", ".", " ", "'", "_", "\u202f"]),
    st.sampled_from([("$", ""), ("€ ", ""), ("", " kg"), ("", "%"), ("", " kr")]),
)
def test_what_is_written_is_what_is_read(cents: list[int], mark: str, around: tuple[str, str]) -> None:
    def write(n: int) -> str:
        whole, rest = divmod(abs(n), 100)
        decimal = "," if mark == "." else "."
        text = f"{around[0]}{whole:,}{decimal}{rest:02}{around[1]}".replace(",", "\0") if mark != "." else ""
        text = text.replace("\0", mark) or f"{around[0]}{f'{whole:,}'.replace(',', '.')},{rest:02}{around[1]}"
        return f"({text})" if n < 0 else text

    values = pd.Series([write(n) for n in cents])
    form = form_of(values)
    assert form is not None
    np.testing.assert_allclose(amounts_in(values, form), np.array(cents) / 100)
    turned = values.iloc[::-1]
    assert form_of(turned) == form
    assert converted(values, amounts_in(values, form)).count(" as ") == 2


@pytest.mark.parametrize("way", WAYS)
def test_numbers_read_at_once_are_those_read_one_by_one(way: str) -> None:
    values = pd.Series(WAYS[way][0])
    form = form_of(values)
    assert form is not None
    for first in range(len(values)):
        turned = pd.concat([values.iloc[first:], values.iloc[:first]])
        one_by_one = [amounts_in(turned.iloc[[place]], form)[0] for place in range(len(turned))]
        np.testing.assert_array_equal(amounts_in(turned, form), one_by_one)


@given(st.lists(st.text(alphabet="0123456789.,$€%()+-<> kgM'", max_size=12), min_size=1, max_size=20))
def test_any_text_is_read_or_left(texts: list[str]) -> None:
    values = pd.Series(texts, dtype=object)
    form = form_of(values, least=1e-9)
    if form is not None:
        assert not np.isnan(amounts_in(values, form)).all()


def table(n: int = 120) -> Any:
    x = np.arange(n) * 37 % 101
    prices = [f"({v}.50)" if v < 20 else f"${v:,}.50" for v in x]
    return pd.DataFrame({"price": prices, "age": x % 7, "y": [f"{v * 100:,} kg" for v in x]})


def test_new_rows_are_read_as_those_trained_on_in_any_order() -> None:
    made = split_table(make_table("t", table(), "y"), seed=0).preprocessing
    assert isinstance(made, TablePreprocessing)
    again = TablePreprocessing.from_dict(json.loads(json.dumps(made.to_dict())))
    assert again == made
    rows = pd.DataFrame({"price": ["$1,000.50", "(5.50)", "1000.5", None], "age": [1, 2, 1, 3]})
    said: list[str] = []
    x = again.inputs(rows, said)
    assert not said
    assert x[0].equal(x[2])
    turned = rows.iloc[::-1][["age", "price"]]
    assert again.inputs(turned).equal(x.flip(0))
    numbers = rows.assign(price=[1000.5, -5.5, 1000.5, None])
    assert again.inputs(numbers).equal(x)
    assert again.misread(rows.assign(price=["€5", "$2", "3", "4"])) == [
        "1 of 4 values of price are no numbers, such as '€5': they count as missing."
    ]


def test_a_percentage_that_comes_as_a_share_is_said() -> None:
    frame = table().assign(price=[f"{n * 7 % 90 + 1}.5 %" for n in range(120)])
    made = split_table(make_table("t", frame, "y"), seed=0).preprocessing
    assert isinstance(made, TablePreprocessing)
    (said,) = made.misread(frame.assign(price=0.453))
    assert "0.453 counts as 0.453 %; where these are shares of 1, write them a hundred times as large" in said
    assert made.misread(frame.assign(price=45.3)) == made.misread(frame) == []


@pytest.mark.parametrize(
    ("learned", "marks", "cells", "numbers"),
    [
        (Form(".", "", "kg"), (".", ","), ["1,234 kg", "2,5 kg"], [1.234, 2.5]),
        (Form(".", "", "kg"), (".", ","), ["1,234 kg"], [1.234]),
        (Form(".", "", "kg"), ("", ","), ["1,234 kg", "on request"], [1.234, "on request"]),
        (Form(",", "€"), ("", "."), ["2,5 €", "1.234 €"], ["2,5 €", "1.234 €"]),  # its own hand
        (Form(".", "", "kg"), (".", ""), ["1,234 kg"], ["1,234 kg"]),  # nothing tells
        (None, ("", ""), ["36 years", "<5 years", "?"], [36, 5, "?"]),
        (None, ("", ""), ["1,5"], [1.5]),
        (None, ("", ""), ["1.5", "2", "12 kg"], ["1.5", "2", "12 kg"]),  # mostly numbers as they are
        (None, ("", ""), ["red", "blue"], ["red", "blue"]),
    ],
)
def test_new_amounts_are_read_by_the_mark_of_their_own_file(
    learned: Form | None, marks: Any, cells: list[str], numbers: list[Any]
) -> None:
    said: list[str] = []
    read = read_as_here(pd.DataFrame({"p": cells}), {"p": learned, "gone": None}, marks, said)
    assert read.p.tolist() == numbers
    assert len(said) == (numbers != cells)


def test_a_file_to_report_on_is_read_by_its_own_mark(tmp_path: Path) -> None:
    frame = pd.DataFrame({"p": [f"{n * 7 % 50} kg" for n in range(90)], "x": np.arange(90) / 4})
    frame.assign(y=[f"{n * 11 % 97} m" for n in range(90)]).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "u.csv").write_text("p;x;y\n1,234 kg;0,5;1,625 m\n2,5 kg;0,25;1 m\n")
    learned = load_table(tmp_path / "t.csv", "y")
    test = load_test(tmp_path / "u.csv", learned)
    assert test.y[:, 0].tolist() == [1.625, 1]
    assert test.frame.p.tolist() == [1.234, 2.5]
    made = split_table(learned, seed=0).preprocessing
    new = new_examples(str(tmp_path / "u.csv"), made)
    assert new.y is not None
    assert new.y.tolist() == [1.625, 1]
    plain = pd.DataFrame({"p": [1.234, 2.5], "x": [0.5, 0.25]})
    assert isinstance(made, TablePreprocessing)
    assert new.x.equal(made.inputs(plain))


def test_the_order_of_rows_and_columns_teaches_nothing() -> None:
    frame = table()
    plain = make_table("t", frame, "y")
    turned = make_table("t", frame.iloc[::-1, ::-1], "y")
    assert {c.name: (c.kind, c.form) for c in plain.columns} == {
        c.name: (c.kind, c.form) for c in turned.columns
    }
    assert plain.goal.form == turned.goal.form == Form(unit="kg")
    np.testing.assert_array_equal(plain.y, turned.y[::-1])


def test_a_target_to_report_on_is_read_as_that_trained_on() -> None:
    made = make_table("t", table(), "y")
    assert made.task == "regression"
    test = as_test(made, "u.csv", table(20))
    np.testing.assert_array_equal(test.y, made.y[:20])


def test_amounts_of_a_file(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "t.csv", index=False)
    read = load_table(tmp_path / "t.csv", "y")
    assert [c.kind for c in read.columns] == ["number", "number"]
    assert read.frame.price.dtype.kind == "f"
