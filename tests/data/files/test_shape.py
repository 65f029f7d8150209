"""Which lines of a file are names, which are rows, and which are neither."""

import csv
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammatune.errors import InvalidArgument
from gammatune.pipeline.data.files.dialect import AS_IT_IS, HowToRead
from gammatune.pipeline.data.files.reading import read_table
from gammatune.pipeline.data.files.shape import shaped

NAMES = "name;age;score;city"
BODY = [f"n{i};{20 + i * 7 % 13};{1.5 * i};c{i % 3}" for i in range(8)]
CLEAN = [line.split(";") for line in BODY]


def grid(*lines: str) -> list[list[str]]:
    return list(csv.reader(lines, delimiter=";"))


def shape(*lines: str, how: HowToRead = AS_IT_IS) -> tuple[list[str], list[list[Any]], str]:
    said: list[str] = []
    frame, _ = shaped(grid(*lines), how, said, "t.csv")
    rows = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
    return list(frame.columns), rows, " ".join(said)


@pytest.mark.parametrize(
    ("above", "names", "words"),
    [
        ([], NAMES.split(";"), ""),
        (["Sales 2020", ""], NAMES.split(";"), r"in line 3 of t.csv; .* left out \('Sales 2020'\)"),
        (["Sales 2020;;;", "by;office;;"], None, "in line 3"),
        ([";only grown-ups;;"], None, "in line 2"),
        (["Survey", "of a few;;;notes", "and;;others;too"], None, "in line 4"),
    ],
)
def test_titles_above_the_names(above: list[str], names: list[str] | None, words: str) -> None:
    said = shape(*above, NAMES, *BODY)
    assert said[:2] == (names or NAMES.split(";"), CLEAN)
    assert re.search(words, said[2])


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        (["a;b", "1;2", "3;4"], ["a", "b"]),
        (["a;2", "1;2", "3;4"], ["a", "2"]),
        (["c;2019;2020;2021", "x;4;3;9", "y;7;1;5"], ["c", "2019", "2020", "2021"]),
        (["2019;2020", "4;3", "7;1"], ["2019", "2020"]),
        (["0;1;2", "4;3;9", "7;1;5"], ["0", "1", "2"]),
        (["label;1;5;9;20", "4;3;9;1;2", "7;1;5;2;2"], ["label", "1", "5", "9", "20"]),
        (["c;2018;2019;2020;y", "C0;1000;1010;1025;a", "C1;50;51;60;b"], ["c", "2018", "2019", "2020", "y"]),
        (["0;1;2", "4;5;9", "7;8;19"], ["0", "1", "2"]),
        (["ripe;colour", "yes;red", "no;red", "no;green"], ["ripe", "colour"]),
        ([";score", "x;1", "y;2"], ["Unnamed: 0", "score"]),
        # a row like those beneath
        (["5.1;3.5;setosa", "4.9;3;setosa", "7;3.2;virginica"], None),
        (["6;148;72;35;0", "1;85;66;29;0", "8;183;64;0;0"], None),
        (["1;2", "3;4"], None),
        (["Ada;1971;1990", "Bo;1980;2001", "Cy;1985;2003"], None),
        (["p;x;s", "e;x;s", "p;b;s", "e;x;t"], None),
        (["2020-01-01;red", "2020-01-02;blue", "2020-01-03;red"], None),
        (["?;36;1.5", "3;35;2.5", "4;36;3.5"], None),
        (["12 kg;x", "13 kg;y", "9 kg;z"], None),
        (["NA;red;yes", "12;blue;no", "13;red;no", "14;red;yes"], None),
        (["unknown;3.5;setosa", "4.9;3.0;setosa", "5.0;3.1;virginica"], None),
        (["2;4;6;8", "5;3;1;7", "9;1;4;2"], None),
        (["1950;2001", "1999;1980"], None),
        (["1999;2000", "2004;1980", "1990;2003"], None),
        (["0;1;2", "2;0;1", "1;1;0"], None),
        (["0;1", "1;3", "2;5"], None),
    ],
)
def test_whether_a_line_holds_names(lines: list[str], names: list[str] | None) -> None:
    found, rows, said = shape(*lines)
    if names is None:
        names, lines = [f"column {i + 1}" for i in range(len(lines[0].split(";")))], ["", *lines]
        assert "no line of names" in said
    assert (found, len(rows)) == (names, len(lines) - 1)


MERGED = [f"r{i};{i};{i * 3 % 5};{9 - i};{i * 7 % 4}" for i in range(7)]


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ([NAMES, ";years;(kg);", *BODY], ["name", "age years", "score (kg)", "city"]),
        ([";2020;;2021;", "who;men;women;men;women", *MERGED], None),
        (["who;2020;;2021;", ";men;women;men;women", *MERGED], None),
        ([NAMES, "Who?;How old?;Which score did you get?;Where?", *BODY], NAMES.split(";")),
        (
            [NAMES, "Who?;Years;Score;Where", ";".join(['{"ImportId":"x"}'] * 4), *BODY],
            NAMES.split(";"),
        ),
        # a first row with a word among numbers
        ([NAMES, "x;unknown;1;z", *BODY], NAMES.split(";")),
        # a first row of nothing
        ([NAMES, "NA;NA;NA;NA", *BODY], NAMES.split(";")),
        (["name;age", "Ada;unknown", *(f"n{i};{i}" for i in range(9))], ["name", "age"]),
    ],
)
def test_two_lines_of_names(lines: list[str], names: list[str] | None) -> None:
    found, rows, _ = shape(*lines)
    assert found == (names or ["who", "2020 men", "2020 women", "2021 men", "2021 women"])
    beneath = lines[lines.index(MERGED[0] if names is None else BODY[0] if BODY[0] in lines else "n0;0") :]
    extra = [line for line in lines if "unknown" in line or "NA;" in line]
    assert len(rows) == len(beneath) + len(extra)


def answers(count: int, *levels: list[str]) -> list[str]:
    return [";".join(of[(i * 7 + i // 3 + n) % len(of)] for n, of in enumerate(levels)) for i in range(count)]


TRUST, YES, FREQUENCY = ["a lot", "some", "none"], ["yes", "no"], ["daily", "weekly", "never"]


@pytest.mark.parametrize(
    ("names", "line", "rows"),
    [
        ("q1;q2", "Do you trust the news?;Did you vote?", answers(12, TRUST, YES)),
        ("q1", "Do you trust the news?", answers(12, TRUST)),
        ("q1;q2;age", "Trust;Voted;Age in years", answers(12, TRUST, YES, ["20", "31"])),
        ("q1;q2;note", "Do you trust the news?;Did you vote?;What else?",
         answers(30, TRUST, YES, [f"n{i}" for i in range(29)])),
        ("q1;q2;q3", "trust;vote;news", answers(40, TRUST, YES, FREQUENCY)),
        ("who;Any remarks;Which?;", "Response;Open-Ended Response;tea;milk",
         [f"{w};remark {i};{'tea' * (i % 2)};{'milk' * (i % 3 == 0)}" for i, w in enumerate(answers(12, YES))]),
        ("Respondent ID;Collector;How often?;Which?;;", ";;Response;tea;milk;water",
         [f"{100 + i};{i % 3};{w};{'tea' * (i % 2)};{'milk' * (i % 3 == 0)};{'water' * (i % 4 == 0)}"
          for i, w in enumerate(answers(12, FREQUENCY))]),
    ],
)  # fmt: skip
def test_a_second_line_over_columns_of_words(names: str, line: str, rows: list[str]) -> None:
    found, held, said = shape(names, line, *rows)
    assert len(held) == len(rows)
    assert found[0].split()[0] == names.split(";")[0].split()[0]
    assert ("explain" in said) or ("joined" in said)
    assert len(shape(names, *rows)[1]) == len(rows)  # and without it every row is one


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        ("q1;q2;q3", ["All;All;All", *answers(40, TRUST, YES, FREQUENCY)]),
        ("q1;q2;q3", ["fresh;yes;new", *answers(40, TRUST, YES, FREQUENCY)]),
        ("q1;q2", ["other;maybe", *answers(40, TRUST, YES)]),
        ("q1;note", ["some;Is that not a strange thing to ask of people?",
                     *(f"{a};why {i}?" for i, a in enumerate(answers(12, TRUST)))]),
        ("q1;q2;age", ["some;maybe;unknown", *answers(12, TRUST, YES, ["20", "31"])]),
        (";;score", ["x;y;", *(f"a{i};b{i};{i}" for i in range(12))]),
        ("name;town", ["Ada;Ulm", *answers(12, ["Bo", "Cy"], ["Bonn", "Rome"])]),
    ],
)  # fmt: skip
def test_a_first_row_of_words_of_its_own_is_a_row(names: str, rows: list[str]) -> None:
    assert len(shape(names, *rows)[1]) == len(rows)


def test_what_qualtrics_exports_where_all_is_text() -> None:
    keys = ";".join(f'"{{""ImportId"":""QID{n}""}}"' for n in range(3))
    rows = answers(4, TRUST, YES, FREQUENCY)
    found, held, said = shape("Q1;Q2;Q3", "How much trust?;Voted?;How often do you read?", keys, *rows)
    assert (found, len(held)) == (["Q1", "Q2", "Q3"], 4)
    assert "Lines 2, 3 of t.csv explain the names, and are no rows." in said


def test_remarks_above_in_merged_cells_are_no_part_of_the_names() -> None:
    """As a spreadsheet holds them, each cell of a merged one filled."""
    found, held, said = shape(
        "A lot of people;;;",
        "write remarks;;;too",
        "above;a;table;",
        "or;merge;merge;cells",
        NAMES,
        *BODY,
    )
    assert (found, held) == (NAMES.split(";"), CLEAN)
    assert "stand in line 5 of t.csv; what is above them is left out" in said
    groups = shape(";2020;2020;2021;2021", "who;men;women;men;women", *MERGED)[0]
    assert groups == ["who", "2020 men", "2020 women", "2021 men", "2021 women"]


DRINKS = ["tea", "a kind of coffee that is roasted long", "1 to 2 cups of milk"]
TICKED = [
    f"{100 + i};{i % 9};{';'.join(w * (i % (n + 2) == 0) for n, w in enumerate(DRINKS))}" for i in range(12)
]


@pytest.mark.parametrize(
    "above",
    [
        [";;q1;;", "id;start;Which do you drink?;;", f";;{';'.join(DRINKS)}"],
        ["id;start;Which do you drink?;Which do you drink?;Which do you drink?", f";;{';'.join(DRINKS)}"],
        ["id;start;Which do you drink?;;", f";;{';'.join(DRINKS)}"],
    ],
)
def test_answers_to_tick_stand_beneath_their_question(above: list[str]) -> None:
    names, rows, _ = shape(*above, *TICKED)
    assert len(rows) == len(TICKED)
    assert [name.rpartition("? ")[2] for name in names[2:]] == DRINKS
    assert all("Which do you drink?" in name for name in names[2:])


def test_boxes_to_tick_whose_names_stand_in_the_second_line() -> None:
    ticked = [
        f"{i};{'tea' * (i % 2)};{'a kind of coffee that is roasted long' * (i % 3 == 0)};{i % 5}"
        for i in range(9)
    ]
    found, rows, _ = shape(
        "id;Which do you drink?;;How often?", ";tea;a kind of coffee that is roasted long;Response", *ticked
    )
    assert found == [
        "id",
        "Which do you drink? tea",
        "Which do you drink? a kind of coffee that is roasted long",
        "How often? Response",
    ]
    assert len(rows) == 9


@pytest.mark.parametrize(
    "after",
    [
        ["Total;;42;"],
        ["Summe;208;42.0;c0"],
        ["Mean;26;5.25;x"],
        ["Mittelwert;26;5,25;"],
        ["Average;;;"],
        ["Total;;42;", "Mean;;5.25;"],
        ["", "Source: the office, 2020"],
        ["* preliminary;;;", "Quelle: Amt;;;"],
        ["Total;;42;", "", "Note: of all; and more"],
        ["a sentence that says what all of this is;;;"],
    ],
)
def test_what_stands_at_the_end_and_is_no_row(after: list[str]) -> None:
    assert shape(NAMES, *BODY, *after)[1] == CLEAN
    assert "--skip-last 0" in shape(NAMES, *BODY, *after)[2]
    count = sum(bool(line) for line in after)
    asked = shape(NAMES, *BODY, *after, how=replace(AS_IT_IS, skip_last=count))
    assert asked[1] == CLEAN
    kept = shape(NAMES, *BODY, *after, how=replace(AS_IT_IS, skip_last=0))
    assert len(kept[1]) == len(CLEAN) + count


@pytest.mark.parametrize(
    "row",
    [
        "Max;12;;",
        "Max;12;3;",
        "Bo;;;",
        "Total;12;3;x",
        "12;;;",
        "n1;;;",
        "Suma;12;3.5;c1",
        "x;1;2;Total",
        "Stand;;;",
    ],
)
def test_a_last_row_like_the_others_is_kept(row: str) -> None:
    lines = BODY if row[:5] != "Total" else ["Total;1;1;y", *BODY]
    assert len(shape(NAMES, *lines, row)[1]) == len(lines) + 1


@pytest.mark.parametrize(
    "lines",
    [
        ["shop;sold", "Shop 1;5", "Shop 2;7", "A shop with quite a long name here;"],
        ["shop;a;b", "A shop with quite a long name here;1;2", "B;3;4", "A shop with as long a name;;"],
        ["who;n", "Ada;1", "Bo;3", "Max;2"],
    ],
)
def test_a_last_row_of_few_is_kept(lines: list[str]) -> None:
    assert len(shape(*lines)[1]) == len(lines) - 1


def test_lines_that_explain_the_names_are_said() -> None:
    asking = "Who?;How old?;Which score did you get?;Where?"
    assert "Line 2 of t.csv explains the names, and is no row." in shape(NAMES, asking, *BODY)[2]
    imported = ";".join(['{"ImportId":"x"}'] * 4)
    assert (
        "Lines 2, 3 of t.csv explain the names, and are no rows." in shape(NAMES, asking, imported, *BODY)[2]
    )


def test_names_that_are_there_twice_or_not_at_all() -> None:
    names, rows, said = shape("a;a 2;;a;", "1;2;3;4;", "5;6;7;8;")
    assert names == ["a", "a 2", "Unnamed: 2", "a 3"]
    assert rows == [["1", "2", "3", "4"], ["5", "6", "7", "8"]]
    assert "2 columns of t.csv are called 'a'; they are 'a', 'a 3' here." in said


def test_the_line_of_names_that_is_asked_for() -> None:
    lines = ["x;y", NAMES, *BODY]
    assert shape(*lines, how=replace(AS_IT_IS, header=2))[:2] == (NAMES.split(";"), CLEAN)
    assert shape(*BODY, how=replace(AS_IT_IS, header=1))[0] == CLEAN[0]
    assert shape("a;b", "1;2", how=replace(AS_IT_IS, header=0))[1] == [["a", "b"], ["1", "2"]]
    with pytest.raises(InvalidArgument, match="--header 9: there are 2 lines"):
        shape("a;b", "1;2", how=replace(AS_IT_IS, header=9))


def test_a_grid_of_values_as_a_spreadsheet_holds_them() -> None:
    when = pd.Timestamp("2020-01-02")
    rows = [
        [None, "Sales", None, None, None],
        [None] * 5,
        [None, "who", 2019.0, "when", None],
        [None, "Ada", 1, when, None],
        [None, "Bo", "#DIV/0!", when, None],
    ]
    said: list[str] = []
    frame, _ = shaped(rows, AS_IT_IS, said, "t.xlsx")
    assert list(frame.columns) == ["who", "2019", "when"]
    assert frame["2019"].isna().tolist() == [False, True]
    assert frame["when"].tolist() == [when, when]


CELL = st.one_of(
    st.none(), st.integers(0, 99), st.sampled_from(["", "a", "Total", "b c", "1,5", "*", "2020"])
)


@given(st.lists(st.lists(CELL, max_size=5), max_size=12), st.sampled_from([None, 0, 1]))
def test_any_grid_gives_rows_of_the_grid_with_a_name_for_each_column(
    rows: list[list[Any]], skip: int | None
) -> None:
    frame, _ = shaped(rows, replace(AS_IT_IS, skip_last=skip), [], "t.csv")
    assert frame.columns.is_unique
    assert len(frame) <= len(rows)
    held = [[cell for cell in row if cell not in (None, "")] for row in rows]
    for row in frame.astype(object).where(frame.notna(), None).to_numpy().tolist():
        assert [cell for cell in row if cell is not None] in held


def test_years_beneath_a_name_of_several_columns(tmp_path: Path) -> None:
    """As CSV has merged cells: blank, but for the first."""
    rows = "".join(f"Place {i},{i + 7},{i + 8},{i + 9},{3 * i}\n" for i in range(9))
    (tmp_path / "t.csv").write_text(f"Area,Counted,,Estimated,\n,2010,2011,2011,2012\n{rows}")
    frame = read_table(tmp_path / "t.csv", []).frame
    assert frame.columns.tolist() == [
        "Area",
        "Counted 2010",
        "Counted 2011",
        "Estimated 2011",
        "Estimated 2012",
    ]
    assert len(frame) == 9
