"""Files of R: frames, names of rows, several in one file, and what is none."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import needs
import pandas as pd
import pytest

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.files.dialect import AS_IT_IS
from gammatune.pipeline.data.files.reading import read_table

pyreadr = needs.package("pyreadr")

FRAME = pd.DataFrame({"x": [0.5, None, 2.0], "n": [1, 2, 3], "t": ["a", None, "é"], "b": [True, False, True]})


@pytest.mark.parametrize("name", ["t.rds", "t.RData", "t.rda"])
@pytest.mark.parametrize("compress", [None, "gzip"])
def test_frames_are_read(tmp_path: Path, name: str, compress: str | None) -> None:
    write = pyreadr.write_rds if name == "t.rds" else pyreadr.write_rdata
    write(str(tmp_path / name), FRAME, compress=compress)
    said: list[str] = []
    pd.testing.assert_frame_equal(read_table(tmp_path / name, said).frame, FRAME)
    assert said == []


def several(monkeypatch: pytest.MonkeyPatch, held: dict[str | None, pd.DataFrame]) -> None:
    """pyreadr writes one frame a file, without names of rows: what it would read is put in its place."""

    def read(_: str) -> Any:
        return held

    monkeypatch.setattr(pyreadr, "read_r", read)


def test_of_several_frames_the_largest_or_the_one_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.RData").write_bytes(b"RDX3\n")
    several(monkeypatch, {"small": FRAME.head(1), "survey": FRAME, "n": pd.DataFrame()})
    said: list[str] = []
    assert len(read_table(tmp_path / "t.RData", said).frame) == 3
    assert said == [
        "t.RData has 2 tables (small, survey): survey was read, the largest. --sheet NAME reads another."
    ]
    assert len(read_table(tmp_path / "t.RData", [], how=replace(AS_IT_IS, sheet="small")).frame) == 1
    with pytest.raises(InvalidArgument, match="has the tables small, survey"):
        read_table(tmp_path / "t.RData", [], how=replace(AS_IT_IS, sheet="other"))


def test_names_of_rows_are_a_column_where_they_are_more_than_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.rds").write_bytes(b"X\n\x00\x00\x00\x03")
    cars = pd.DataFrame({"hp": [110, 93]}, index=pd.Index(["Mazda RX4", "Datsun 710"], name="rownames"))
    several(monkeypatch, {None: cars})
    found = read_table(tmp_path / "t.rds", []).frame
    assert found.to_dict("list") == {"row": ["Mazda RX4", "Datsun 710"], "hp": [110, 93]}
    several(monkeypatch, {None: cars.set_axis(pd.Index(["1", "2"], name="rownames"))})
    assert read_table(tmp_path / "t.rds", []).frame.columns.tolist() == ["hp"]


def test_factors_and_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.rds").write_bytes(b"X\n\x00\x00\x00\x03")
    days = [pd.Timestamp(2024, 1, 31).date(), None]
    several(
        monkeypatch,
        {None: pd.DataFrame({"f": pd.Categorical(["u", "v"]), "d": pd.Series(days, dtype=object)})},
    )
    found = read_table(tmp_path / "t.rds", []).frame
    assert found["f"].cat.categories.tolist() == ["u", "v"]
    assert found["d"].dropna().tolist() == [pd.Timestamp(2024, 1, 31)]


@pytest.mark.parametrize("length", [3, 100, 300])
def test_what_is_cut_says_so(tmp_path: Path, length: int) -> None:
    pyreadr.write_rds(str(tmp_path / "t.rds"), FRAME)
    (tmp_path / "t.rds").write_bytes((tmp_path / "t.rds").read_bytes()[:length])
    with pytest.raises(InvalidData, match=r"cannot be read .*it may be cut"):
        read_table(tmp_path / "t.rds", [])


def test_what_holds_no_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.RData").write_bytes(b"RDX3\n")
    several(monkeypatch, {})
    with pytest.raises(InvalidData, match=r"holds no data\.frame; save one with saveRDS"):
        read_table(tmp_path / "t.RData", [])


def test_text_that_stands_for_nothing_is_missing(tmp_path: Path) -> None:
    pyreadr.write_rds(str(tmp_path / "t.rds"), pd.DataFrame({"a": ["x", "?", "n.a.", "y"]}))
    assert read_table(tmp_path / "t.rds", []).frame["a"].isna().tolist() == [False, True, True, False]
