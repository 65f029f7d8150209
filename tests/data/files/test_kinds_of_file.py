"""What a file is, by its name and by what it holds."""

import gzip
from collections.abc import Callable
from pathlib import Path

import needs
import pandas as pd
import pytest

from gammatune.errors import InvalidData
from gammatune.pipeline.data.files.kinds import KINDS, PACKED, is_table, kind_of, unpacked_name
from gammatune.pipeline.data.files.reading import READERS, read_table

FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})


def test_names() -> None:
    for ending, kind in KINDS.items():
        for name in (
            f"t{ending}",
            f"T{ending.upper()}",
            f"a.b{ending}.gz",
            f"t{ending}.BZ2",
            f"t{ending}.xz",
        ):
            assert kind_of(name) == kind
            assert is_table(name)
    assert is_table("t.zip")
    for name in ("t.npz", "t", "t.png", "csv", "t.gz", ".gz", "digits"):
        assert not is_table(name)
    assert [unpacked_name(f"t.csv{ending}") for ending in PACKED] == ["t.csv"] * len(PACKED)


def test_there_is_a_reader_of_each() -> None:
    assert set(READERS) == set(KINDS.values())


WRITE: dict[str, tuple[str, Callable[[Path], object]]] = {
    ".xlsx": ("a spreadsheet", lambda path: FRAME.to_excel(path, index=False, engine="xlsxwriter")),
    ".parquet": ("Parquet", lambda path: FRAME.to_parquet(path)),
    ".feather": ("Arrow", lambda path: FRAME.to_feather(path)),
    ".dta": ("a table of Stata", lambda path: FRAME.to_stata(path, write_index=False)),
    ".csv": ("text", lambda path: FRAME.to_csv(path, index=False, sep="\t")),
}


@pytest.mark.parametrize("ending", WRITE)
def test_names_may_lie(tmp_path: Path, ending: str) -> None:
    for package in ("python_calamine", "pyreadstat", "xlsxwriter"):
        needs.package(package)
    kind, write = WRITE[ending]
    write(tmp_path / f"t{ending}")
    other = (tmp_path / f"t{ending}").rename(tmp_path / ("t.xls" if kind == "text" else "t.csv"))
    packed = tmp_path / f"{other.name}.gz"
    packed.write_bytes(gzip.compress(other.read_bytes()))
    for path in (other, packed):
        said: list[str] = []
        pd.testing.assert_frame_equal(read_table(path, said).frame, FRAME, check_dtype=False)
        assert said == [f"{other.name} holds {kind}, whatever its name says, and was read as that."]


@pytest.mark.parametrize(
    "begin", ["<!DOCTYPE html>", "\n<html>", '<?xml version="1.0"?><Workbook>', "<TABLE border=1>"]
)
@pytest.mark.parametrize("ending", [".xls", ".csv", ".json"])
def test_pages_of_the_web_are_no_tables(tmp_path: Path, begin: str, ending: str) -> None:
    (tmp_path / f"t{ending}").write_text(f"{begin}<tr><td>1</td></tr>")
    with pytest.raises(InvalidData, match="holds a page for a browser"):
        read_table(tmp_path / f"t{ending}", [])


def test_text_that_begins_as_other_kinds_do(tmp_path: Path) -> None:
    for name in ("<headcount", "PARIS", "Xylem", "RDX", "A", "q\u0101", "BZhao", "@relation's", "<5"):
        (tmp_path / "t.csv").write_text(f"{name},b\nx,2\ny,3\n", encoding="utf-8")
        said: list[str] = []
        assert read_table(tmp_path / "t.csv", said).frame.columns.tolist() == [name, "b"]
        assert said == []
