"""columns.toml: what a run understood, edited and handed back; what it cannot say is refused with its line."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gammatune.errors import InvalidArgument
from gammatune.pipeline.columns_file import NAME, read_columns, write_columns
from gammatune.pipeline.data.cells.amounts import Form
from gammatune.pipeline.data.columns import Given
from gammatune.pipeline.data.files.dialect import AS_IT_IS, HowToRead
from gammatune.pipeline.data.sheet import sheet_of
from gammatune.pipeline.data.table import Table, load_table, make_table, split_table
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing
from gammatune.pipeline.options import Options
from gammatune.pipeline.prepare import with_uses
from gammatune.report.understood import lines_of, understood

N = 120


def rows() -> Any:
    n = np.arange(N)
    return pd.DataFrame(
        {
            "the price": [f"${v:,}.50" for v in n * 37],
            "rate": np.where(n % 20 == 3, 99, n % 11),
            "day.of": [f"{v % 12 + 1}/{v % 9 + 1}/2020" for v in n],
            "mail": [f"a{v}@x.org" for v in n],
            "key": [f"K{v}" for v in n],
            "town": [("Ulm", "Bonn", "Köln")[v % 3] for v in n],
            "home": n // 3,
            "w": n % 4 + 1,
            "y": [f"{v * 100:,} kg" for v in n],
        }
    )


def preprocessing(table: Table) -> TablePreprocessing:
    made = split_table(table, seed=0).preprocessing
    assert isinstance(made, TablePreprocessing)
    return made


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame,
        lambda frame: frame.assign(y=["no", "yes"] * (N // 2)),
        lambda frame: frame.assign(y=["never", "sometimes", "often"] * (N // 3)),
    ],
)
def test_a_table_read_by_its_own_file_teaches_the_same(change: Callable[[Any], Any], tmp_path: Path) -> None:
    frame, uses = change(rows()), {"group": "home", "sample_weight": "w"}
    table = make_table("t", frame, "y", **uses)
    write_columns(tmp_path, sheet_of(table), AS_IT_IS, None)
    read = read_columns(tmp_path / NAME)
    again = make_table("t", frame, "y", kinds=read.given, **uses)
    assert preprocessing(again) == preprocessing(table)
    assert not set(read.given) & {"home", "w"}
    assert read.uses == {"target": "y", "group": "home", "weight": "w"}
    asked = with_uses(Options("t.csv", columns=str(tmp_path / NAME)))
    assert (asked.target, asked.group, asked.sample_weight, asked.task) == ("y", "home", "w", None)


def test_options_beside_the_file_win(tmp_path: Path) -> None:
    table = make_table("t", rows(), "y", group="home", sample_weight="w", task="regression")
    write_columns(tmp_path, sheet_of(table), AS_IT_IS, None, "regression")
    options = Options("t.csv", columns=str(tmp_path / NAME))
    assert with_uses(options).task == with_uses(replace(options, target="y")).task == "regression"
    other = with_uses(replace(options, target="rate", time_column="day.of", drop=("w",)))
    assert (other.target, other.task, other.group, other.sample_weight) == ("rate", None, None, None)
    assert with_uses(replace(options, target="home", task="classification")).group is None
    said = with_uses(replace(options, column=("y=number", "home=category")))
    assert (said.target, said.group, said.sample_weight) == ("y", None, "w")


def test_a_file_that_was_edited_is_followed(tmp_path: Path) -> None:
    table = make_table("t", rows(), "y")
    write_columns(tmp_path, sheet_of(table), AS_IT_IS, None)
    path = tmp_path / NAME
    text = path.read_text().replace("missing = [99.0]", "missing = []").replace("%m/%d/%Y", "%d/%m/%Y")
    path.write_text(text.replace('[columns.town]\nkind = "category"', '[columns.town]\nkind = "drop"'))
    again = make_table("t", rows(), "y", kinds=read_columns(path).given)
    known = {column.name: column for column in again.looked_at}
    assert known["rate"].missing == ()
    assert known["day.of"].format == "%d/%m/%Y"
    assert known["town"].kind == "drop"
    assert known["the price"].form == Form(currency="$")


def test_how_the_file_was_read_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows().to_csv(path, index=False, sep=";")
    how = HowToRead(None, None, None, None, None, skip_last=None, missing=("Ulm", "99"))
    table = load_table(path, "y", how=how)
    write_columns(tmp_path, sheet_of(table), how, table.source)
    assert read_columns(tmp_path / NAME).how == {"missing": ("Ulm", "99")}
    assert '# delimiter = ";"' in (tmp_path / NAME).read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '[columns.a]\nkind = "number"\n\n[columns.b]\nkind = "figure"',
            r"line 4: b is of the kind 'figure'; write num",
        ),
        ('[columns."a b"]\nsize = 3', r"line 1, column a b: there is no 'size'; known are kind"),
        ('[columns.a]\nmissing = ["x"]', r"line 1: a has missing = \['x'\]; write numbers"),
        ("[columns.a]\nmissing = 99", r"missing = 99 is of another type"),
        ('[columns.a]\ndecimal = "x"', r"line 1: a has decimal = 'x'; write '.' or ','"),
        ('[columns]\na = "number"', r"a is 'number'; write \[columns.a\]"),
        ("[file]\nheader = true", r"\[file\]: header = True is of another type"),
        ("[file]\nlines = 3", r"\[file\]: there is no 'lines'; known are sheet"),
        (
            '[columns.a]\nkind = "group"\n[columns.b]\nkind = "group"',
            r"line 3: b is the group, and so is a; one",
        ),
        ("[columns.a\n", r"is no TOML: .*line 1"),
        ("[colums.a]\n", r"there is no 'colums'; known are file, columns"),
    ],
)
def test_what_it_cannot_say_is_refused(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(InvalidArgument, match=words):
        read_columns(path)


def test_a_column_that_is_not_there_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[columns.rate]\nkind = "number"\n[columns.rates]\nkind = "number"\n')
    with pytest.raises(
        InvalidArgument, match=r"c.toml, line 3: there is no column 'rates'; the table has the price"
    ):
        make_table("t", rows(), "y", kinds=read_columns(path).given)
    with pytest.raises(InvalidArgument, match="cannot be read"):
        read_columns(tmp_path / "none.toml")


def test_no_column_is_silently_lost() -> None:
    table = make_table("t", rows(), "y", group="home", sample_weight="w")
    sheet = sheet_of(table)
    assert [reading.name for reading in sheet.readings] == list(rows())
    by_name = {reading.name: reading for reading in sheet.readings}
    assert {name: reading.kind for name, reading in by_name.items()} == {
        "the price": "number", "rate": "number", "day.of": "date", "mail": "drop", "key": "drop", "town": "category",
        "home": "group", "w": "weight", "y": "target",
    }  # fmt: skip
    assert [name for name, reading in by_name.items() if reading.surprise] == [
        "the price", "rate", "day.of", "mail", "key", "y",
    ]  # fmt: skip
    assert by_name["rate"].missing == 6
    assert set(sheet.sentences) <= set(table.said)


def test_surprises_come_first_and_what_is_no_column_is_nothing() -> None:
    held = [
        {"name": "a", "kind": "number", "holds": "0 to 1", "missing": 0, "note": "", "surprise": False},
        {
            "name": "b",
            "kind": "drop",
            "holds": "x (1)",
            "missing": 2,
            "note": "holds nothing",
            "surprise": True,
        },
        {"kind": "number"},
        "c",
    ]
    found = understood(held)
    assert [column.name for column in found] == ["b", "a"]
    assert lines_of(found) == [
        "Columns worth a look:",
        "  b: not used; holds nothing",
        "As they are:",
        "  a: number, 0 to 1",
    ]
    assert understood(None) == []
    assert lines_of([]) == []
    many = [{"name": f"c{n}"} for n in range(70)]
    assert lines_of(understood(many))[-1] == "  and 10 more"
    assert Given(None).kind is None
