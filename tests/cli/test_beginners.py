"""Mistakes that somebody makes who has never trained a network: each is answered in one line that says what to do.

Written down before they were tried. What each of them needs is made in an empty directory.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

TABLE = pd.DataFrame(
    {
        "name": [f"n{i}" for i in range(40)],
        "age": np.arange(40) % 11,
        "city": ["Ulm", "Bonn"] * 20,
        "answer": ["yes", "no", "no", "yes"] * 10,
    }
)


def table(path: str = "t.csv", **changes: Any) -> None:
    TABLE.assign(**changes).to_csv(path, index=False)


def nothing() -> None: ...


def spreadsheet() -> None:
    Path("t.xlsx").write_bytes(b"PK\x03\x04 and so on")


def renamed_spreadsheet() -> None:
    Path("t.csv").write_bytes(b"PK\x03\x04 and so on")


def picture() -> None:
    Image.new("RGB", (4, 4)).save("cat.png")


def loose_pictures() -> None:
    Path("pets").mkdir()
    Image.new("RGB", (4, 4)).save("pets/cat.png")


def one_kind_of_picture() -> None:
    Path("pets/cats").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save("pets/cats/1.png")


def no_names() -> None:
    Path("t.csv").write_text("1,2,3\n4,5,6\n7,8,9\n")


def only_identifiers() -> None:
    TABLE[["name", "answer"]].to_csv("t.csv", index=False)


def trained() -> None:
    import sys

    from gammatune.cli.app import main

    table()
    before, sys.argv = (
        sys.argv,
        ["gammatune", "train", "t.csv", "--target", "answer", "--epochs", "1", "--quiet"],
    )
    try:
        main()
    except SystemExit:
        pass
    finally:
        sys.argv = before
    TABLE.drop(columns=["city"]).to_csv("new.csv", index=False)


MISTAKES: list[tuple[Callable[[], None], str, str]] = [
    # what is there, what is typed after "gammatune", what the answer must hold
    (table, "train t.csv", "Say --target COLUMN; perhaps --target answer; the table has name, age, city"),
    (table, "train t.csv --target Answer", "perhaps answer"),
    (table, "train t.csv --target name", "too many to be classes; name another column"),
    (
        lambda: table(answer="yes"),
        "train t.csv --target answer",
        "there is nothing to learn: name another column",
    ),
    (nothing, "train t.csv --target answer", "is not there; name a file"),
    (spreadsheet, "train t.xlsx --target answer", "it may be cut: save it anew"),
    (renamed_spreadsheet, "train t.csv --target answer", "is cut or damaged"),
    (no_names, "train t.csv --target answer", "there is no such column; the table has column 1"),
    (only_identifiers, "train t.csv --target answer", "no column is left to learn from"),
    (spreadsheet, "train t.xlsx", "it may be cut: save it anew"),
    (nothing, "train mnits", "did you mean mnist?"),
    (picture, "train cat.png", "give the folder that holds one folder of images for each class"),
    (loose_pictures, "train pets", "put the images of each class into a folder of its own"),
    (one_kind_of_picture, "train pets", "the one class 'cats'"),
    (nothing, "train digits --target answer", "--target goes with a table"),
    (table, "train t.csv --target answer --time soon", "write a time such as 90s, 5m or 1h30m"),
    (table, "train t.csv --target answer --metric r2", "r2"),
    (table, "train t.csv --target answer --metric accurracy", "accuracy"),
    (table, "train t.csv --target answer --class-weights 0.5", "write balanced"),
    (table, "train t.csv --target answer --drop agee", "there is no column 'agee'; the table has name, age"),
    (table, "train t.csv --target answer --column age:number", "write NAME=number"),
    (
        table,
        "train t.csv --target answer --task regression",
        "holds text, such as 'yes'; it must hold numbers",
    ),
    (table, "train t.csv --target answer --group answer", "that is the target; name another column"),
    (table, "train t.csv --target answer --time-column city", "neither dates nor numbers"),
    (lambda: TABLE.iloc[:1].to_csv("t.csv", index=False), "train t.csv --target answer", "nothing to learn"),
    (trained, "predict runs/t-1 new.csv", "lacks the column city, which the network was trained with"),
    (trained, "predict runs/t-2 new.csv", "there is no run"),
    (trained, "predict t.csv new.csv", "t.csv"),
]


@pytest.mark.parametrize(("made", "typed", "answer"), MISTAKES, ids=[typed for _, typed, _ in MISTAKES])
def test_mistake(gammatune: Any, made: Callable[[], None], typed: str, answer: str) -> None:
    made()
    said = gammatune(*typed.split(" "))
    assert said.code == 1, said.out
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert answer in said.err
    assert len(said.err) < 500


def test_there_are_twenty_at_least() -> None:
    assert len(MISTAKES) >= 20
