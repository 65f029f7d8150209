"""Arrow reads what is plain as Python's csv does, and what is not is left to that."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammatune.pipeline.data.files import rows
from gammatune.pipeline.data.files.dialect import AS_IT_IS
from gammatune.pipeline.data.files.opening import TableFile
from gammatune.pipeline.data.files.reading import as_written, read_table
from gammatune.pipeline.data.files.text_body import open_text

CELL = st.one_of(
    st.sampled_from(
        ["1.5", "007", "", " ", "NA", "?", "#DIV/0!", "x y", " x", "x ", '5" pipe', "a,b", "a\nb", "0x10"]
    ),
    st.text(
        st.characters(codec="utf-8", exclude_characters="\x00\r", exclude_categories=["C", "Z"]), max_size=4
    ),
)


def quoted(table: Sequence[Sequence[str]], separator: str, quoting: int) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator, quoting=quoting, lineterminator="\n").writerows(table)  # type: ignore[arg-type]
    return out.getvalue()


@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=6)
    ),
    st.sampled_from(",;\t|"),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.booleans(),
)
def test_both_ways_of_reading_give_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    table: list[list[str]],
    separator: str,
    quoting: int,
    blank: bool,
) -> None:
    path = tmp_path_factory.mktemp("t") / "t.csv"
    names = [f"name {place}" for place in range(len(table[0]))]
    text = quoted([names, *table], separator, quoting)
    path.write_text(text.replace(separator, separator + " ") if blank else text)
    how = AS_IT_IS.__class__(None, 1, "utf-8", separator, None, 0, ())
    opened = open_text(TableFile(path, "t.csv"), how, [])
    plain = rows._plain(opened, ())
    anew = rows._Columns.of(rows._arrow(rows._anew(opened, []) or b"\n", ",", len(names)), ())
    if plain is not None:
        assert [each.to_pylist() for each in plain.texts[: len(names)]] == [
            each.to_pylist() for each in anew.texts
        ]
        numbers = {place: each for place, each in plain.numbers.items() if place < len(names)}
        assert numbers.keys() == anew.numbers.keys()
        assert all(np.array_equal(numbers[place], anew.numbers[place], equal_nan=True) for place in numbers)
    written = [*opened.rows()]
    assert len(written) == len(anew.texts[0])
    if not blank:
        assert written == [
            [cell.lstrip(" ") if quoting == csv.QUOTE_MINIMAL else cell for cell in row]
            for row in table
            if any(cell.strip() for cell in row)
        ]


@pytest.mark.parametrize(
    ("text", "expected", "words"),
    [
        ('a,b\n1, "x, y"\n2, z\n', [[1, "x, y"], [2, "z"]], ""),
        ("a,b\n1,2\n3\n5,6\n", [[1, 2], [3, None], [5, 6]], "a row of fewer cells .* first in line 3"),
        ("a,b\n1,2\n,\n3,4\n\n   \n", [[1, 2], [3, 4]], ""),
        ("a,b\nNA,NA\n3,4\n", [[None, None], [3, 4]], ""),
        ('a,b\n1 ,NA \n3,4\n5,"? "\n', [[1, None], [3, 4], [5, None]], ""),
        ('a;b\nx;" "\n y ; - \n', [["x", None], ["y ", None]], ""),
        ("a,b\r\n1,2\r\n3,4", [[1, 2], [3, 4]], ""),
        ("a,b\n1,2\r3,4\r\n", [[1, 2], [3, 4]], ""),
        ("a,b\n1,5\" pipe\n2,3' wide\n", [[1, '5" pipe'], [2, "3' wide"]], ""),
        (
            "a,b\n1,#DIV/0!\n2,#REF!\n3,1.5\n",
            [[1, None], [2, None], [3, 1.5]],
            "2 cells .* formula .* #DIV/0!",
        ),
    ],
)
def test_texts_that_are_not_plain(
    tmp_path: Path, text: str, expected: list[list[object]], words: str
) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode())
    said: list[str] = []
    read = read_table(tmp_path / "t.csv", said)
    assert read.frame.astype(object).where(read.frame.notna(), None).to_numpy().tolist() == expected
    assert re.search(words, " ".join(said)) if words else not said
    assert read.source is not None
    assert len([*as_written(read.source)[1]()]) == len(expected)


def test_a_long_file_is_read_to_its_end(tmp_path: Path) -> None:
    """Longer than what is looked at of it, with titles, notes, quotes over several lines, and a total."""
    lines = "".join(f'{i},{i / 4},"word {i % 7}\n{"more " * 9}"\n' for i in range(9000))
    total = sum(i / 4 for i in range(9000))
    (tmp_path / "t.csv").write_text(
        f"All of it\n\nn,value,word\n{lines}Total,{total},\n\nSource: here, there\n"
    )
    said: list[str] = []
    read = read_table(tmp_path / "t.csv", said)
    assert read.frame["n"].astype(int).tolist() == list(range(9000))
    assert read.source is not None
    assert [int(row[0]) for row in as_written(read.source)[1]()] == list(range(9000))
    assert len(said) == 3


def test_a_row_longer_than_what_is_parsed_at_once(tmp_path: Path) -> None:
    long = "x" * (2 * rows._BLOCK)
    (tmp_path / "t.csv").write_text(f"n,text\n1,{long}\n2,b\n3,c\n")
    frame = read_table(tmp_path / "t.csv", []).frame
    assert frame["n"].tolist() == [1, 2, 3]
    assert frame["text"].tolist() == [long, "b", "c"]
