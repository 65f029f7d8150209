"""ARFF: what Weka and OpenML write, and what is refused."""

from pathlib import Path

import pandas as pd
import pytest

from gammatune.errors import InvalidData
from gammatune.pipeline.data.files.reading import read_table

TEXT = """% a comment
@RELATION 'wine, red'

@attribute 'alcohol by volume' numeric
@ATTRIBUTE count INTEGER
@attribute grape {barolo, 'nero d\\'avola', "pinot noir"}
@attribute tasted date "yyyy-MM-dd"
@attribute note string
% another
@data
12.5,3,barolo,2024-01-31,'good, but young'
% one more
?, 4, 'nero d\\'avola', ?, ?

13,5,"pinot noir",2024-02-01,'fine'
13,6,?,2024-02-01,'fine'
"""


def test_every_type_of_attribute(tmp_path: Path) -> None:
    path, said = tmp_path / "t.arff", list[str]()
    path.write_text(TEXT)
    frame = read_table(path, said).frame
    assert frame.columns.tolist() == ["alcohol by volume", "count", "grape", "tasted", "note"]
    assert frame["alcohol by volume"].tolist()[::2] == [12.5, 13.0]
    assert frame["count"].tolist() == [3, 4, 5, 6]
    assert frame["count"].dtype.kind == "i"
    assert frame["grape"].dropna().tolist() == ["barolo", "nero d'avola", "pinot noir"]
    assert isinstance(frame["grape"].dtype, pd.CategoricalDtype)
    assert frame["tasted"].dropna().tolist() == ["2024-01-31", "2024-02-01", "2024-02-01"]
    assert frame["note"].dropna().tolist() == ["good, but young", "fine", "fine"]
    assert frame.isna().sum().tolist() == [1, 0, 1, 1, 1]
    assert said == []


def test_numbers_that_are_nominal_are_categories(tmp_path: Path) -> None:
    (tmp_path / "t.arff").write_text("@relation r\n@attribute a {0,1}\n@attribute b real\n@data\n0,1\n1,2\n")
    frame = read_table(tmp_path / "t.arff", []).frame
    assert frame["a"].tolist() == ["0", "1"]
    assert isinstance(frame["a"].dtype, pd.CategoricalDtype)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_and_ends_of_lines(tmp_path: Path, encoding: str, end: str) -> None:
    text = "@relation r\n@attribute Größe real\n@attribute b {ä,ö}\n@data\n0,ä\n1,ö\n"
    (tmp_path / "t.arff").write_bytes(text.replace("\n", end).encode(encoding))
    found = read_table(tmp_path / "t.arff", []).frame
    assert found.to_dict("list") == {"Größe": [0, 1], "b": ["ä", "ö"]}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("12.5,3,barolo,2024-01-31,'good, but young'", "{0 12.5, 1 3}", "is sparse ARFF"),
        ("@data", "", "no line @data"),
        ("INTEGER", "RELATIONAL", "the head of .* cannot be read"),
        ("12.5,", "many,", "row 1 of .* holds 'many' in the place of a number"),
        ("13,5,", "13,5,6,7,8,", "the rows of .* cannot be read"),
        ("@ATTRIBUTE count INTEGER\n", "", "has 4 attributes, and its rows have 5 values"),
    ],
)
def test_what_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    (tmp_path / "t.arff").write_text(TEXT.replace(old, new))
    with pytest.raises(InvalidData, match=words) as refused:
        read_table(tmp_path / "t.arff", [])
    assert "\n" not in str(refused.value)
