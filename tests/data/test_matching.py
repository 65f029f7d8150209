"""Which column of a new table is which of those trained on: the right one, or the table is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammatune.errors import InvalidData
from gammatune.pipeline.data.columns import is_unnamed
from gammatune.pipeline.data.files.reading import read_table
from gammatune.pipeline.data.matching import matched
from gammatune.pipeline.data.table import as_test, load_table, make_table, split_table
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing

ROWS = 60


def learned(path: Path, target: str = "answer", **options: Any) -> TablePreprocessing:
    made = split_table(load_table(path, target, **options), seed=0).preprocessing
    assert isinstance(made, TablePreprocessing)
    return made


def write(path: Path, names: list[str], columns: list[Any]) -> Path:
    rows = [",".join(names), *(",".join(map(str, row)) for row in zip(*columns, strict=True))]
    path.write_text("\n".join(rows) + "\n")
    return path


def films(tmp_path: Path) -> tuple[list[Any], TablePreprocessing]:
    r = np.random.default_rng(0)
    columns = [r.choice(["yes", "no"], ROWS), *(r.integers(0, 10 * i, ROWS) for i in range(1, 5))]
    return columns, learned(write(tmp_path / "t.csv", ["answer", "rate each film", "", "", ""], columns))


def test_columns_without_a_name_do_not_shift_where_the_target_is_not_there(tmp_path: Path) -> None:
    columns, made = films(tmp_path)
    there = read_table(tmp_path / "t.csv", []).frame
    new = read_table(write(tmp_path / "n.csv", ["rate each film", "", "", ""], columns[1:]), []).frame
    assert made.inputs(new).tolist() == made.inputs(there).tolist()
    assert made.columns[-1].name == "Unnamed: 4"
    assert made.inputs(new)[:, -1].tolist() == made.inputs(there)[:, -1].tolist()


def test_names_that_were_places_once_are_names_where_the_columns_have_moved(tmp_path: Path) -> None:
    """As in a table that pandas has written back."""
    columns, _ = films(tmp_path)
    names = ["answer", "rate", "Unnamed: 2", "Unnamed: 3", "Unnamed: 4"]
    made = learned(write(tmp_path / "t.csv", names, columns))
    expected = made.inputs(read_table(tmp_path / "t.csv", []).frame).tolist()

    def inputs(*places: int, called: list[str] | None = None) -> Any:
        new = [names[place] for place in places] if called is None else called
        path = write(tmp_path / "n.csv", new, [columns[place] for place in places])
        return made.inputs(read_table(path, []).frame).tolist()

    assert inputs(1, 2, 3, 4, called=["rate", "Unnamed: 1", "Unnamed: 2", "Unnamed: 3"]) == expected
    assert inputs(1, 4, 2, 3) == expected
    assert inputs(0, 3, 2, 1, 4) == expected
    with pytest.raises(InvalidData, match="lacks the column Unnamed: 2"):
        inputs(1, 4, 3)


@pytest.mark.parametrize(
    ("names", "taken", "words"),
    [
        (
            ["rate each film", "", ""],
            [1, 2, 3],
            "3 without a name, and here rate each film, 2 without a name;",
        ),
        (["", "rate each film", "", ""], [2, 1, 3, 4], "here 1 without a name, rate each film, 2 without"),
        (["", "", "", "rate each film"], [2, 3, 4, 1], "here 3 without a name, rate each film"),
        (["rate each film", "", "", "", ""], [1, 2, 3, 4, 4], "here rate each film, 4 without a name"),
        (["rate each film"], [1], "trained on rate each film, 3 without a name, and here rate each film;"),
        (["", "", ""], [1, 2, 3], "lacks the column rate each film"),
    ],
)
def test_a_table_whose_columns_cannot_be_told_is_refused(
    tmp_path: Path, names: list[str], taken: list[int], words: str
) -> None:
    columns, made = films(tmp_path)
    path = write(tmp_path / "n.csv", names, [columns[i] for i in taken])
    with pytest.raises(InvalidData, match=words):
        made.inputs(read_table(path, []).frame)


def test_a_file_to_report_on_is_matched_too(tmp_path: Path) -> None:
    columns, _ = films(tmp_path)
    table = load_table(tmp_path / "t.csv", "answer")
    path = write(tmp_path / "u.csv", ["z", "answer", "rate each film", "", "", ""], [range(ROWS), *columns])
    split = split_table(table, seed=0, test=as_test(table, "u", read_table(path, []).frame))
    made = split.preprocessing
    assert isinstance(made, TablePreprocessing)
    assert split.report.x.tolist() == made.inputs(read_table(tmp_path / "t.csv", []).frame).tolist()
    fewer = write(tmp_path / "v.csv", ["rate each film", "", "answer"], [columns[i] for i in (1, 2, 0)])
    with pytest.raises(InvalidData, match="without a name"):
        as_test(table, "v", read_table(fewer, []).frame)


def test_where_no_column_has_a_name_all_must_be_there(tmp_path: Path) -> None:
    columns, _ = films(tmp_path)
    path = tmp_path / "t.csv"
    rows = zip(*columns, strict=True)
    path.write_text(",,,,\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    made = learned(path, "column 1")
    frame = read_table(path, []).frame
    expected = made.encode(frame, [])[:, 0].tolist()
    assert made.inputs(frame)[:, 0].tolist() == expected
    for names in ([f"Unnamed: {i}" for i in range(4)], [f"column {i + 1}" for i in range(4)], list("abcd")):
        assert made.inputs(frame.iloc[:, 1:].set_axis(names, axis=1))[:, 0].tolist() == expected
    with pytest.raises(InvalidData, match="lacks the columns"):
        made.inputs(frame.iloc[:, 2:].set_axis(list("abc"), axis=1))
    without = pd.DataFrame([[1, 2, 3]], columns=["column 1", "column 2", "column 3"])
    for trained in (["a", "b", "c"], ["a", "y", "b", "c"]):
        assert list(matched(without, trained, ["a", "b"], [], "y")) == ["a", "b", "c"]


def test_columns_left_out_may_lack_and_names_need_no_place(tmp_path: Path) -> None:
    """An index that pandas wrote, a constant, an unnamed column of nothing: none is an input, and none is missed."""
    r = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "Unnamed: 0": range(ROWS),
            "a": r.normal(size=ROWS),
            "same": 1,
            "b": r.normal(size=ROWS),
            "Unnamed: 4": np.nan,
            "answer": r.choice(["yes", "no"], ROWS),
        }
    )
    made = split_table(make_table("t", frame, "answer"), seed=0).preprocessing
    assert isinstance(made, TablePreprocessing)
    assert made.inputs(frame[["b", "a"]]).tolist() == made.inputs(frame).tolist()
    more = frame[["b", "a"]].assign(**{"Unnamed: 7": 5, "z": "z"})
    assert made.inputs(more).tolist() == made.inputs(frame).tolist()


def test_names_differ_in_blanks_and_case() -> None:
    said: list[str] = []
    new = pd.DataFrame({"BODY  mass": [1], "Cafe\u0301": [2], "age": [3]})
    frame = matched(new, ["age", "body mass", "Caf\u00e9", "y"], ["age", "body mass", "Caf\u00e9"], said)
    assert frame.to_dict("list") == {"age": [3], "body mass": [1], "Caf\u00e9": [2]}
    assert said[0] == "The column 'BODY  mass' is taken for 'body mass'."
    for trained, columns in ((["age"], ["Age", "AGE"]), (["age", "Age"], ["age", "AGE"])):
        with pytest.raises(InvalidData, match="lacks the column"):  # which of the two is not said
            matched(pd.DataFrame([[1, 2]], columns=columns), trained, trained, [])
    exact = matched(pd.DataFrame([[1, 2]], columns=["Age", "age"]), ["age"], ["age"], [])
    assert exact.to_dict("list") == {"age": [2]}


def test_a_name_that_is_there_twice_is_refused() -> None:
    twice = pd.DataFrame([[1, 2, 3]], columns=["a", "a", "b"])
    with pytest.raises(InvalidData, match="'a' more than once"):
        matched(twice, ["a", "b"], ["a", "b"], [])
    assert matched(twice, ["a", "b"], ["b"], [])["b"].tolist() == [3]


def test_a_run_that_does_not_keep_where_columns_stood(tmp_path: Path) -> None:
    columns, made = films(tmp_path)
    saved = made.to_dict()
    for name in ("header", "decimal", "exact_labels"):
        del saved[name]
    old = TablePreprocessing.from_dict(saved)
    with pytest.raises(InvalidData, match="earlier version, which did not keep where they stood"):
        old.inputs(read_table(tmp_path / "t.csv", []).frame)
    named = write(tmp_path / "n.csv", ["answer", "a", "b", "c", "d"], columns)
    saved = learned(named).to_dict()
    del saved["header"]
    frame = read_table(named, []).frame
    old = TablePreprocessing.from_dict(saved)
    assert old.inputs(frame[["d", "b", "a", "c"]]).tolist() == old.inputs(frame).tolist()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_mixture_of_columns_is_met_rightly_or_refused(data: st.DataObject) -> None:
    """Every column holds its own number, so that what was met is seen. Columns without a name keep their order, and
    either some are gone or some are new: any other change of theirs nobody could tell."""
    kinds = data.draw(st.lists(st.booleans(), min_size=1, max_size=7), label="named")
    trained = [f"c{i}" if named else f"Unnamed: {i}" for i, named in enumerate(kinds)]
    needed = data.draw(st.lists(st.sampled_from(trained), min_size=1, unique=True), label="needed")
    gone = data.draw(st.sets(st.sampled_from(trained)), label="gone")
    came = [(name, i) for i, name in enumerate(trained) if name not in gone]
    if not any(is_unnamed(name) for name in gone):
        count = data.draw(st.integers(0, 2), label="more without a name")
        for more in range(count):
            came.insert(data.draw(st.integers(0, len(came))), ("Unnamed: 99", 100 + more))
    came += [(f"z{i}", 200 + i) for i in range(data.draw(st.integers(0, 2), label="more"))]
    order = data.draw(st.permutations(range(len(came))), label="order")
    if data.draw(st.booleans(), label="reordered"):
        unnamed = iter(sorted(i for i in order if is_unnamed(came[i][0])))
        came = [came[next(unnamed) if is_unnamed(came[i][0]) else i] for i in order]
    names = [f"Unnamed: {place}" if is_unnamed(name) else name for place, (name, _) in enumerate(came)]
    frame = pd.DataFrame([[value for _, value in came]], columns=names)
    try:
        found = matched(frame, trained, needed, [])
    except InvalidData:
        unnamed_needed = any(is_unnamed(name) for name in needed)
        assert unnamed_needed or set(needed) & gone  # names alone are always met
        return
    assert set(needed) <= set(found.columns)
    for name in found.columns:
        assert found[name].tolist() == [trained.index(name)]
