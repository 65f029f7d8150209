"""Tables in the dialects people write them."""

import gzip
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.files.kinds import is_table
from gammatune.pipeline.data.files.reading import read_table
from gammatune.pipeline.data.table import load_table

TEXT = "name,age,city\nAda,36,London\nBo,,Århus\n"
FRAME = pd.DataFrame({"name": ["Ada", "Bo"], "age": [36.0, None], "city": ["London", "Århus"]})


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_dialects_are_told(tmp_path: Path, separator: str, encoding: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(TEXT.replace(",", separator).encode(encoding))
    said: list[str] = []
    pd.testing.assert_frame_equal(read_table(path, said).frame, FRAME)
    assert bool(said) == (encoding == "cp1252")  # a guess is said


def test_decimal_commas_where_semicolons_part_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a;b;c\n1,5;x, y;3\n-2,25;z;4\n")
    said: list[str] = []
    frame = read_table(path, said).frame
    assert frame["a"].tolist() == [1.5, -2.25]
    assert frame["b"].tolist() == ["x, y", "z"]
    assert said == ["t.csv writes decimals with a comma."]


def test_decimal_commas_beside_words(tmp_path: Path) -> None:
    """A number is read the same whatever else stands in its file."""
    path = tmp_path / "t.csv"
    for rows in (["3,9", "2,5"], ["3,9", "weiss nicht", "2,5"], ["3,9", "4", "", "2,5"]):
        path.write_text("id;v;zip\n" + "".join(f"x;{row};01234\n" for row in rows))
        column = read_table(path, []).frame["v"]
        assert pd.to_numeric(column, errors="coerce").dropna().tolist()[0] == 3.9
        assert pd.to_numeric(column, errors="coerce").dropna().tolist()[-1] == 2.5
        assert read_table(path, []).frame["zip"].tolist() == ["01234"] * len(rows)


def test_digits_in_groups(tmp_path: Path) -> None:
    """Where a column holds nothing but numbers; a word or a group of another size makes it text."""
    path = tmp_path / "t.csv"
    said: list[str] = []
    path.write_text('a,b,c\n"51,494","1,5",x\n700,"2,000",y\n"-1,234,567.5",,"1,000"\n')
    frame = read_table(path, said).frame
    assert frame["a"].tolist() == [51494, 700, -1234567.5]
    assert frame["b"].dropna().tolist() == ["1,5", "2,000"]
    assert frame["c"].tolist() == ["x", "y", "1,000"]
    assert said == ["t.csv groups digits with a comma (51,494)."]
    path.write_text("a;b\n1,500;2\n2,250;3\n")  # decimals there
    assert read_table(path, []).frame["a"].tolist() == [1.5, 2.25]


def test_zipped_and_parquet(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(TEXT.encode()))
    FRAME.to_parquet(tmp_path / "t.parquet")
    FRAME.set_index("name").to_parquet(tmp_path / "indexed.parquet")
    for name in ("t.csv.gz", "t.parquet", "indexed.parquet"):
        pd.testing.assert_frame_equal(read_table(tmp_path / name, []).frame, FRAME)


@pytest.mark.parametrize("missing", ["", "NA", "?", "n/a", "NaN", "-", "null"])
def test_missing_values_in_the_ways_they_are_written(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"a,b\n1,2\n{missing},3\n")
    assert read_table(path, []).frame["a"].isna().tolist() == [False, True]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-999, 999), st.text("abc ÄÖ\"'", max_size=8)), min_size=2, max_size=8),
    st.sampled_from(",;\t|"),
)
def test_what_pandas_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str]], separator: str
) -> None:
    path = tmp_path_factory.mktemp("t") / "t.csv"
    frame = pd.DataFrame({"n": [n for n, _ in rows], "t": [f"x{t}x" for _, t in rows]})
    frame.to_csv(path, index=False, sep=separator)
    back = read_table(path, []).frame
    assert back["n"].tolist() == frame["n"].tolist()
    assert back["t"].tolist() == frame["t"].tolist()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"a,b\n", "and no rows; .* --header 0"),
        (b"a,b\n1,2\n1,2,3,4\n", r"t.csv, line 3: there are 4 cells \(1 \| 2 \| 3 \| 4\), .* --skip-last"),
        (b"PK\x03\x04rest", "is cut or damaged"),
        (b"a,b\n1,2,3,4\n4,5,6,7\n", r"line 2: there are 4 cells .*, and 2 names \(a, b\); .* --header"),
        (b"a,b\n\x00,2\n", "is no text: a byte of zero stands in line 2"),
        (b'a,b\n1,2\n"x,3\n4,5\n', "line 3: a quote is opened here and never closed"),
    ],
)
def test_what_is_no_table_is_refused_with_advice(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidData, match=words) as refused:
        read_table(path, [])
    assert "\n" not in str(refused.value)


def test_row_names_as_r_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('"a" "b"\n"1" 2 3\n"2" 4 5\n'.replace(" ", ","))
    said: list[str] = []
    assert read_table(path, said).frame.to_dict("list") == {"row": [1, 2], "a": [2, 4], "b": [3, 5]}
    assert "the first names the row" in said[0]


def test_a_damaged_parquet_file_and_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InvalidData, match="no Parquet file that can be read"):
        read_table(tmp_path / "t.parquet", [])
    with pytest.raises(InvalidData, match="is not there"):
        read_table(tmp_path / "u.csv", [])


def test_names_twice_are_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame([[1, 2]], columns=["a ", "a"])
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(InvalidData, match="'a' more than once"):
        read_table(tmp_path / "t.parquet", [])


@pytest.mark.parametrize("names", ["a,b,a", "a,b, a"])
def test_names_twice_in_text_are_numbered_and_none_of_them_is_a_target(tmp_path: Path, names: str) -> None:
    (tmp_path / "t.csv").write_text(f"{names}\n" + "1,2,3\n4,5,6\n" * 20)
    said: list[str] = []
    assert list(read_table(tmp_path / "t.csv", said).frame) == ["a", "b", "a 2"]
    assert said == ["2 columns of t.csv are called 'a'; they are 'a', 'a 2' here."]
    with pytest.raises(InvalidArgument, match="2 columns are called 'a'"):
        load_table(tmp_path / "t.csv", "a")


def test_rows_that_end_in_a_separator(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a;b\n1;2,5;\n3;4,5;\n")
    said: list[str] = []
    frame = read_table(tmp_path / "t.csv", said).frame
    assert frame.to_dict("list") == {"a": [1, 3], "b": [2.5, 4.5]}
    assert "The rows of t.csv end in a separator, which its line of names does not." in said


def test_lines_that_end_as_on_an_old_macintosh(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,b\r1,2\r3,4\r")
    assert read_table(tmp_path / "t.csv", []).frame.to_dict("list") == {"a": [1, 3], "b": [2, 4]}


def test_decimals_of_parquet_are_numbers(tmp_path: Path) -> None:
    pd.DataFrame({"a": [Decimal("1.5"), None], "b": ["x", "y"]}).to_parquet(tmp_path / "t.parquet")
    frame = read_table(tmp_path / "t.parquet", []).frame
    assert frame.a.dtype == "float64"
    assert frame.a[0] == 1.5


def test_an_index_called_as_a_column(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1, 2]}, index=pd.Index([5, 6], name="a")).to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet", []).frame.a.tolist() == [1, 2]


def test_endings() -> None:
    assert is_table("A.CSV")
    assert is_table("a.csv.gz")
    assert not is_table("a.npz")


def test_what_is_no_damage_of_a_parquet_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FRAME.to_parquet(tmp_path / "t.parquet")

    def fail(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(pd, "read_parquet", fail)
    with pytest.raises(MemoryError):
        read_table(tmp_path / "t.parquet", [])


def test_names_twice_far_to_the_right(tmp_path: Path) -> None:
    names = [f"a_column_of_a_long_name_{i}" for i in range(4000)]
    (tmp_path / "t.csv").write_text(",".join([*names, "b", "b"]) + "\n" + ",".join(["1"] * 4002) + "\n")
    assert list(read_table(tmp_path / "t.csv", []).frame)[-2:] == ["b", "b 2"]


def test_row_names_beside_a_column_called_row(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('"row","b"\n"x",2,3\n"y",4,5\n')
    found = read_table(tmp_path / "t.csv", []).frame
    assert found.to_dict("list") == {"name of the row": ["x", "y"], "row": [2, 4], "b": [3, 5]}


def test_blanks_in_quotes_are_no_value(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a,b\n"  ",x\nz," "\nz,x\n')
    assert read_table(tmp_path / "t.csv", []).frame.isna().sum().tolist() == [1, 1]
