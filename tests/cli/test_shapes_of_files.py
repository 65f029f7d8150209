"""Files that hold more than names and rows, or less, from the command line: trained on, predicted."""

import csv
import random
from pathlib import Path
from typing import Any

QUICK = ("--only", "linear", "--quiet")
NAMES = "name;age;points;town;answer"


def rows_of(count: int) -> list[str]:
    draw = random.Random(0)
    rows = []
    for i in range(count):
        age, points = draw.randrange(18, 70), draw.gauss(50, 10)
        answer = "yes" if age + points / 2 > 70 else "no"
        rows.append(
            f"Müller {i};{age};{points:.2f};{draw.choice(['Köln', 'Århus'])};{answer}".replace(".", ",")
        )
    return rows


def write(path: str, *lines: str) -> None:
    Path(path).write_bytes("\r\n".join([*lines, ""]).encode("cp1252"))


def written(path: str) -> list[list[str]]:
    return [*csv.reader(Path(path).read_bytes().decode("cp1252").splitlines(), delimiter=";")]


def test_predictions_stand_beside_the_rows_of_the_file_whatever_its_shape(gammatune: Any) -> None:
    rows = rows_of(120)
    write("t.csv", "Survey 2020", "", NAMES, *rows, "Total;;1234,5;;", "", "Source: an office, 2020")
    said = gammatune("train", "t.csv", "--target", "answer", "--only", "linear")
    assert said.code == 0
    for words in ("stand in line 3", "'Source: an office, 2020'", "row sums up", "read as cp1252"):
        assert words in said.out
    assert "120 predictions" in gammatune("predict", "runs/t-1", "t.csv").out
    known = written("t.predictions.csv")
    assert known[0][:5] == NAMES.split(";")
    assert [";".join(row[:5]) for row in known[1:]] == rows

    new = [row.rpartition(";")[0] for row in rows[:30]]
    write("none.csv", *new)  # no names, no target
    assert "told by their places" in gammatune("predict", "runs/t-1", "none.csv").out
    assert [row[4:] for row in written("none.predictions.csv")[1:]] == [row[5:] for row in known[1:31]]

    write("asked.csv", "x;y;z;u", NAMES.rpartition(";")[0], *new, "one more;50;60,5;Köln")
    asked = gammatune(
        "predict", "runs/t-1", "asked.csv", "--header", "2", "--skip-last", "1", "--encoding", "cp1252"
    )
    assert "30 predictions" in asked.out
    assert [row[4:] for row in written("asked.predictions.csv")[1:]] == [row[5:] for row in known[1:31]]


def test_what_is_asked_of_a_file_and_cannot_be(gammatune: Any) -> None:
    write("t.csv", NAMES, *rows_of(40), "a;1;2;c;yes;more")
    for options, words in (
        ((), "t.csv, line 42: there are 6 cells (a | 1 | 2 | c | yes | more), and 5 columns"),
        (("--header", "90"), "--header 90: there are 42 lines to look at"),
        (("--encoding", "utf-9"), "--encoding utf-9: there is no such encoding; perhaps utf"),
        (("--encoding", "utf-8"), "t.csv is not in utf-8: line 2 holds"),
        (("--delimiter", "::"), "--delimiter '::': give one sign"),
        (("--decimal", "x"), "--decimal x: give . or ,"),
        (("--skip-last", "-1"), "--skip-last -1: give a whole number"),
    ):
        said = gammatune("train", "t.csv", "--target", "answer", *QUICK, *options)
        assert (said.code, words in said.err, said.err) == (1, True, said.err)
    assert gammatune("train", "t.csv", "--target", "answer", *QUICK, "--skip-last", "1").code == 0
    assert not Path("runs/t-2").exists()
