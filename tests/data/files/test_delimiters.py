"""What parts the columns of a text: told from its lines, said by the first, or asked for."""

from dataclasses import replace
from pathlib import Path

import pytest

from gammatune.errors import InvalidArgument
from gammatune.pipeline.data.files.delimiters import find_delimiter, wanted_delimiter
from gammatune.pipeline.data.files.dialect import AS_IT_IS
from gammatune.pipeline.data.files.reading import as_written, read_table


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("a,b\n1,2\n3,4", ","),
        ("a;b\n1,5;2,5\n3,5;4", ";"),
        ("1,5;2,5\n3,5;4,5", ";"),
        ("a;b\n1.000,5;2\n3;4", ";"),
        ("a\tb, c\nx, y\tz, u", "\t"),
        ("a|b\n1|2", "|"),
        ("text\nhello, world\nfoo\nbar", ";"),  # one column
        ("a\n1\n2", ","),
        ("a\n1,5\n2\n-0,25", ";"),
        ("a,b\n1,5\n2,5", ","),
        ("Sales; all of them\n\na,b,c\n1,2,3\n3,4,5", ","),
        ("a b\n1 2\n3 4", " "),
        ("  1   2.5\n 10   3.5", " "),
        ("one word\nand others here\nmore", ","),
        ("", ","),
    ],
)
def test_the_sign_that_parts_most_lines_alike(text: str, sign: str) -> None:
    assert find_delimiter(text.split("\n")) == sign


def test_columns_parted_by_blanks(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(
        '18.0   8   307.0\t"chevrolet malibu"\n 15.0   8   ?\t"buick skylark"\n9.5  4   12.0\t"vw, golf"\n'
    )
    read = read_table(tmp_path / "t.txt", [])
    assert read.frame.to_numpy().tolist()[0] == [18, 8, 307, "chevrolet malibu"]
    assert read.frame["column 3"].isna().tolist() == [False, True, False]
    assert read.source is not None
    assert [*as_written(read.source)[1]()][2] == ["9.5", "4", "12.0", "vw, golf"]


def test_what_the_first_line_says(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for first in ("sep=;", '"sep=;"', "SEP=;", "sep=;;"):
        path.write_text(f"{first}\r\na,b;c\r\n1,5;2\r\n3,5;4\r\n")
        read = read_table(path, [])
        assert read.frame.to_dict("list") == {"a,b": [1.5, 3.5], "c": [2, 4]}
        assert read.source is not None
        assert as_written(read.source)[0] == ["a,b", "c"]
    path.write_text("sep=,\na,b\n1,2\n3,4\n")
    assert list(read_table(path, [], how=replace(AS_IT_IS, header=2)).frame) == ["a", "b"]
    assert list(read_table(path, [], how=replace(AS_IT_IS, header=3)).frame) == ["1", "2"]


def test_what_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a#b\n1#2\n3#4\n")
    frame = read_table(path, [], how=replace(AS_IT_IS, delimiter="#")).frame
    assert frame.to_dict("list") == {"a": [1, 3], "b": [2, 4]}
    for asked, sign in (
        ("tab", "\t"),
        ("\\t", "\t"),
        ("\t", "\t"),
        ("space", " "),
        (" ", " "),
        ("semicolon", ";"),
    ):
        assert wanted_delimiter(asked) == sign
    for asked in ("::", "", '"', "\n"):
        with pytest.raises(InvalidArgument, match=r"--delimiter .* give one sign"):
            wanted_delimiter(asked)
