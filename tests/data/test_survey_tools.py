"""Exports of programs that ask people: what is an answer, and what was put beside it."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gammatune.pipeline.data.survey_tools import beside_answers
from gammatune.pipeline.data.table import Table, load_table

PEOPLE = 60
DRAW = np.random.default_rng(0)
WHEN = [f"2024-03-{1 + i // 4:02} {8 + i % 9:02}:{(7 * i) % 60:02}:11" for i in range(PEOPLE)]
AGE = DRAW.integers(18, 80, PEOPLE).tolist()
HAPPY = DRAW.integers(2, size=PEOPLE).tolist()
TICKED = DRAW.integers(2, size=(3, PEOPLE)).tolist()
SEED = DRAW.integers(10**8, 10**9, PEOPLE).tolist()
WORDS = DRAW.choice(["never", "often"], PEOPLE).tolist()


def boxes(name: str, parts: Sequence[Any], ticked: str, left: str) -> dict[str, list[str]]:
    return {name.format(part): [ticked if x else left for x in TICKED[n]] for n, part in enumerate(parts)}


BY_CODE: dict[str, Sequence[Any]] = {
    "id": range(3, 3 + PEOPLE), "submitdate": WHEN, "lastpage": [5] * PEOPLE, "startlanguage": ["en", "de"] * 30,
    "seed": SEED, "startdate": WHEN, "age": AGE, **boxes("tea[SQ00{}]", (0, 1), "Y", ""),
    "walk[SQ001]": WORDS, "spareTime": AGE[::-1], "interviewtime": np.multiply(AGE, 1.7),
    "ageTime": np.multiply(AGE, 0.3), "happy": ["NY"[x] for x in HAPPY],
}  # fmt: skip
IN_FULL: dict[str, Sequence[Any]] = {
    "Response ID": range(PEOPLE), "Date submitted": WHEN, "Last page": [5] * PEOPLE,
    "Start language": ["en", "de"] * 30, "Seed": SEED, "How old are you?": AGE,
    **boxes("What do you drink? [{}]", ("Tea", "Milk"), "Yes", "No"),
    "Total time": np.multiply(AGE, 1.7), "Are you happy?": ["Yes" if x else "No" for x in HAPPY],
}  # fmt: skip
RAW: dict[str, Sequence[Any]] = {
    "record_id": np.arange(PEOPLE) // 2, "redcap_event_name": ["first_arm_1", "second_arm_1"] * 30,
    "redcap_repeat_instrument": [""] * PEOPLE, "redcap_data_access_group": ["north", "north", "south"] * 20,
    "intake_timestamp": WHEN, "age": AGE, "colour___1": TICKED[0], "colour___2": TICKED[1], "colour___99": TICKED[2],
    "intake_complete": [2, 2, 0] * 20, "happy": HAPPY,
}  # fmt: skip
LABELLED: dict[str, Sequence[Any]] = {
    "Record ID": range(PEOPLE), "Event Name": ["First", "Second"] * 30, "Survey Timestamp": WHEN, "Age": AGE,
    **boxes("Colours? (choice={})", ("Red", "Blue, dark"), "Checked", "Unchecked"),
    "Complete?": ["Complete", "Incomplete", "Complete"] * 20,
    "Complete? 2": ["Unverified", "Complete", "Complete"] * 20,
    "Happy": HAPPY,
}  # fmt: skip


def read(path: Path, columns: dict[str, Sequence[Any]], **how: Any) -> Table:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([[*columns], *zip(*columns.values(), strict=True)])
    return load_table(path, next(reversed(columns)), **how)


@pytest.mark.parametrize(
    ("columns", "answers", "ticks"),
    [
        (
            BY_CODE,
            ["startlanguage", "age", "tea[SQ000]", "tea[SQ001]", "walk[SQ001]", "spareTime"],
            "tea (SQ000, SQ001)",
        ),
        (
            IN_FULL,
            ["Start language", "How old are you?", "What do you drink? [Tea]", "What do you drink? [Milk]"],
            "What do you drink? (Tea, Milk)",
        ),
        (
            RAW,
            [
                "redcap_event_name",
                "redcap_data_access_group",
                "age",
                "colour___1",
                "colour___2",
                "colour___99",
            ],
            "colour (1, 2, 99)",
        ),
        (
            LABELLED,
            ["Event Name", "Age", "Colours? (choice=Red)", "Colours? (choice=Blue, dark)"],
            "Colours? (Red, Blue, dark)",
        ),
    ],
    ids=["LimeSurvey", "LimeSurvey in full", "REDCap", "REDCap labelled"],
)
def test_answers_are_inputs_and_the_rest_is_not(
    tmp_path: Path, columns: dict[str, Sequence[Any]], answers: list[str], ticks: str
) -> None:
    table = read(tmp_path / "t.csv", columns)
    assert [column.name for column in table.columns] == answers
    assert f"Boxes to tick, a column each: {ticks}." in table.said
    assert "is no answer" in " ".join(table.said)


def test_what_is_said_of_a_column_wins(tmp_path: Path) -> None:
    table = read(
        tmp_path / "t.csv", BY_CODE, kinds={"lastpage": "category", "seed": "number"}, time="submitdate"
    )
    assert {"lastpage", "seed"} <= {column.name for column in table.columns}
    assert table.times is not None


def test_a_line_of_keys_beneath_the_questions_and_what_was_not_shown(tmp_path: Path) -> None:
    """As LimeSurvey's "VV" file has them."""
    known = ["id", "submitdate", "lastpage", "startlanguage", "seed"]
    keys = [*known, "123X4X1", "123X4X2SQ001", "123X4X2SQ002", "time", "123X4X3"]
    rows = [list(map(str, row)) for row in zip(*IN_FULL.values(), strict=True)]
    for row in rows[:9]:
        row[6] = "{question_not_shown}"
    lines = ["\t".join(row) for row in [[*IN_FULL], keys, *rows]]
    (tmp_path / "t.txt").write_text("\n".join(lines))
    table = load_table(tmp_path / "t.txt", "Are you happy?")
    assert (len(table.frame), table.classes) == (PEOPLE, ("No", "Yes"))
    assert table.frame["What do you drink? [Tea]"].isna().sum() == 9
    assert "Line 2 of t.txt explains the names, and is no row." in table.said


def test_names_that_any_table_may_have_tell_of_no_program() -> None:
    assert beside_answers(["id", "seed", "token", "status", "startdate", "progress", "answer"]) == {}
    qualtrics = ["StartDate", "Progress", "ResponseId", "DistributionChannel", "UserLanguage", "Q1"]
    assert list(beside_answers(qualtrics)) == qualtrics[:4]
    monkey = ["respondent_id", "collector_id", "ip_address", "How old are you?"]
    assert list(beside_answers(monkey)) == monkey[:3]
