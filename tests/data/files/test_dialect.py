"""Rows are written as the file is that they came of, and are the same when they are read back."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammatune.errors import InvalidArgument
from gammatune.pipeline.data.files.dialect import Dialect, Read, without_clash, write_rows
from gammatune.pipeline.data.files.learned import Learned
from gammatune.pipeline.data.files.reading import as_written, read_table


def written(read: Read) -> tuple[list[str], list[list[str]]]:
    """As the file has it; by what was read, and by reading it again."""
    assert read.source is not None
    (names, rows), (again, anew) = as_written(read.source, read), as_written(read.source)
    assert (names, [*rows()]) == (again, [*anew()])
    return names, [*rows()]


TEXT = "naïve;3,5;?;007\nb;1.234,25;-1;008\n"


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("cp1252", "cp1252"), ("utf-16", "utf-16")],
)
def test_a_file_is_known_by_how_it_is_written(tmp_path: Path, encoding: str, expected: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(f" word;rate;left;code\n{TEXT}".encode(encoding))
    read = read_table(path, [])
    assert read.dialect == Dialect(";", ",", expected)
    header, rows = written(read)
    assert (header, list(rows)) == (
        ["word", "rate", "left", "code"],
        [["naïve", "3,5", "?", "007"], ["b", "1.234,25", "-1", "008"]],
    )


def test_lines_that_are_not_rows_leave_the_rows_right(tmp_path: Path) -> None:
    for text, expected in (
        ("a,b\n\n1,2\n   \n3,4\n", [["1", "2"], ["3", "4"]]),
        ("a,b\n1,2,\n3,4,\n", [["1", "2"], ["3", "4"]]),
        ("a,b\nx,1,2\ny,3,4\n", [["x", "1", "2"], ["y", "3", "4"]]),
        ('a,b\n"1\n2",\n3\n', [["1\n2", ""], ["3", ""]]),
    ):
        path = tmp_path / "t.csv"
        path.write_text(text)
        read = read_table(path, [])
        header, rows = written(read)
        assert list(rows) == expected
        assert len(header) == len(expected[0]) == read.frame.shape[1]
    path = tmp_path / "t.tsv.gz"
    path.write_bytes(gzip.compress(b"a\tb\n1\t2\n"))
    read = read_table(path, [])
    assert [*written(read)[1]] == [["1", "2"]]
    assert read.dialect.separator == "\t"


def test_a_parquet_file_is_written_with_commas(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"a": [1.0, None], "b": [0.5, 2.0], "c": ["x", None], "d": pd.to_datetime(["2024-01-02", None])}
    )
    frame.to_parquet(tmp_path / "t.parquet")
    read = read_table(tmp_path / "t.parquet", [])
    header, rows = written(read)
    assert header == ["a", "b", "c", "d"]
    assert list(rows) == [["1", "0.5", "x", "2024-01-02"], ["", "2.0", "", ""]]


def test_what_the_encoding_has_no_sign_for_is_written_in_utf_8(tmp_path: Path) -> None:
    said: list[str] = []
    out = str(tmp_path / "o.csv")
    write_rows(out, Dialect(encoding="cp1252"), ["a"], lambda: [["ł"]], said)
    assert said == [f"'ł' cannot be written in cp1252: {out} is in UTF-8."]
    assert Path(out).read_text(encoding="utf-8-sig") == "a\nł\n"
    with pytest.raises(InvalidArgument, match="choose another place with --out"):
        write_rows(str(tmp_path), Dialect(), ["a"], list, [])


def test_a_file_may_be_written_over_by_what_is_read_from_it(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    source = read_table(path, []).source
    assert source is not None
    header, rows = as_written(source)
    write_rows(str(path), Dialect(), [*header, "c"], lambda: ([*row, "x"] for row in rows()), [])
    assert path.read_text() == "a,b,c\n1,2,x\n3,4,x\n"

    def full() -> Iterator[list[str]]:
        yield ["5", "6"]
        raise OSError(28, "No space left on device")

    with pytest.raises(InvalidArgument, match="No space left"):
        write_rows(str(path), Dialect(), header, full, [])
    assert path.read_text() == "a,b,c\n1,2,x\n3,4,x\n"
    assert [*tmp_path.iterdir()] == [path]
    with pytest.raises(InvalidArgument, match="an empty name"):
        write_rows("", Dialect(), header, list, [])


def test_names_that_are_taken_get_a_number() -> None:
    taken = ["prediction", "p(a)", "prediction 2"]
    assert without_clash(["prediction", "p(a)", "p(b)"], taken) == ["prediction 3", "p(a) 2", "p(b)"]


CELL = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\x00", exclude_categories=["Z", "C"]), min_size=1
)


@given(
    rows=st.lists(st.tuples(CELL, st.floats(-1e6, 1e6)), min_size=1, max_size=8),
    dialect=st.builds(
        Dialect,
        st.sampled_from([";", "\t", "|"]),
        st.sampled_from([",", "."]),
        st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    ),
)
def test_what_was_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], dialect: Dialect
) -> None:
    path = tmp_path_factory.mktemp("rows") / "t.csv"
    told = [[word, dialect.number(value)] for word, value in rows]
    write_rows(str(path), dialect, ["word", "value"], lambda: told, [])
    read = read_table(path, [], Learned(dialect.decimal))
    assert [*written(read)[1]] == told
    assert (read.dialect.separator, read.dialect.encoding) == (dialect.separator, dialect.encoding)
    assert read.frame["value"].astype(float).tolist() == pytest.approx([value for _, value in rows])
