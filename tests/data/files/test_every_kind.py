"""A table is the same from a file of every kind."""

import bz2
import datetime
import gzip
import json
import lzma
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammatune.pipeline.data.cells.dates import date_format
from gammatune.pipeline.data.files.kinds import KINDS
from gammatune.pipeline.data.files.reading import read_table
from gammatune.pipeline.data.values import dates_in

pyreadr, pyreadstat = needs.package("pyreadr"), needs.package("pyreadstat")
xlwt = needs.package("xlwt")
for name in ("python_calamine", "xlsxwriter", "odf"):
    needs.package(name)

# W whole, never missing; N numbers; T text; F truth values; D days. Files of SPSS know no other case.
WORDS = st.text("ab \u00e9,;'\"", max_size=6).map(lambda text: f"x{text}y")
ROWS = st.lists(
    st.tuples(
        st.integers(-(10**9), 10**9),
        st.none()
        | st.integers(-(10**9), 10**9).map(lambda number: number / 64),  # of 14 digits; Excel keeps 15
        st.none() | WORDS,
        st.none() | st.booleans(),
        st.none() | st.datetimes(datetime.datetime(1900, 3, 2), datetime.datetime(2200, 1, 1)),
    ),
    min_size=6,
    max_size=9,
)
# At either end, so that no column is empty, and no line a title or a note.
FIRST = [(1, 0.5, "xay", True, datetime.datetime(2024, 1, 31, 4, 5)), (2, -1.5, "xby", False, None)] * 3


def frame_of(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    days = [None if row[4] is None else row[4].replace(microsecond=0) for row in rows]
    columns = dict(zip("WNTF", zip(*(row[:4] for row in rows), strict=True), strict=True))
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    types = {"W": "int64", "N": "float64", "T": "str"}
    return frame.astype(types).assign(D=pd.Series(days, dtype="datetime64[us]"))


def meaning(frame: pd.DataFrame) -> list[list[Any]]:
    """What the columns say, however they are held."""
    truth = {"True": 1, "False": 0, "true": 1, "false": 0, "TRUE": 1, "FALSE": 0}
    day = frame["D"]
    if day.dtype.kind != "M":
        written = date_format("D", day.dropna().astype(str))
        assert written is not None
        day = dates_in(day, written[0])
    assert frame["W"].dtype.kind == "i"
    return [
        frame["W"].tolist(),
        np.nan_to_num(frame["N"].to_numpy(dtype=np.float64), nan=1e99).tolist(),
        frame["T"].astype(object).where(frame["T"].notna(), None).tolist(),
        [
            None if value != value or value is None else truth.get(str(value), value)
            for value in frame["F"].tolist()
        ],
        day.astype("datetime64[s]").astype(object).where(day.notna(), None).tolist(),
    ]


def flags_as_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Statistics packages have no truth values."""
    return frame.assign(F=frame["F"].map({True: 1.0, False: 0.0}).astype("float64"))


def xls(frame: pd.DataFrame, path: Path) -> None:
    book = xlwt.Workbook()
    sheet, moment = book.add_sheet("rows"), xlwt.easyxf(num_format_str="YYYY-MM-DD HH:MM:SS")
    for column, name in enumerate(frame.columns):
        sheet.write(0, column, name)
        for row, value in enumerate(frame[name].tolist(), start=1):
            if value is not None and value == value:
                sheet.write(row, column, value, *([moment] if name == "D" else []))
    book.save(str(path))


def arff(frame: pd.DataFrame, path: Path) -> None:
    def cell(value: Any) -> str:
        if value is None or value != value:
            return "?"
        quoted = str(value).replace("'", r"\'")
        return f"'{quoted}'" if isinstance(value, (str, datetime.datetime)) else str(value)

    types = {
        "W": "integer",
        "N": "real",
        "T": "string",
        "F": "{True,False}",
        "D": 'date "yyyy-MM-dd HH:mm:ss"',
    }
    head = [f"@attribute {name} {kind}" for name, kind in types.items()]
    rows = [",".join(map(cell, row)) for row in zip(*(frame[name].tolist() for name in types), strict=True)]
    path.write_text("\n".join(["@relation t", *head, "@data", *rows, ""]), encoding="utf-8")


def rds(frame: pd.DataFrame, path: Path, write: Any = pyreadr.write_rds) -> None:
    write(str(path), frame.assign(D=frame["D"].astype("datetime64[ns]")))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    plain = frame.astype(object).where(frame.notna(), None)
    return plain.assign(D=[None if day is None else day.isoformat() for day in plain["D"]]).to_dict("records")


def zipped(frame: pd.DataFrame, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("folder/t.csv", frame.to_csv(index=False))


def text(frame: pd.DataFrame, path: Path, separator: str = ",") -> None:
    frame.to_csv(path, index=False, sep=separator, compression=None)


WRITE: Mapping[str, Callable[[pd.DataFrame, Path], object]] = {
    ".csv": text,
    ".txt": lambda frame, path: text(frame, path, ";"),
    ".data": lambda frame, path: text(frame, path, "|"),
    ".dat": text,
    ".tsv": lambda frame, path: text(frame, path, "\t"),
    ".tab": lambda frame, path: text(frame, path, "\t"),
    ".csv.gz": lambda frame, path: path.write_bytes(gzip.compress(frame.to_csv(index=False).encode())),
    ".csv.bz2": lambda frame, path: path.write_bytes(bz2.compress(frame.to_csv(index=False).encode())),
    ".csv.xz": lambda frame, path: path.write_bytes(lzma.compress(frame.to_csv(index=False).encode())),
    ".zip": zipped,
    ".xlsx": lambda frame, path: frame.to_excel(path, index=False, engine="xlsxwriter"),
    ".xls": xls,
    ".ods": lambda frame, path: frame.to_excel(path, index=False, engine="odf"),
    ".dta": lambda frame, path: pyreadstat.write_dta(flags_as_numbers(frame), str(path)),
    ".sav": lambda frame, path: pyreadstat.write_sav(flags_as_numbers(frame), str(path)),
    ".zsav": lambda frame, path: pyreadstat.write_sav(flags_as_numbers(frame), str(path), compress=True),
    ".rds": rds,
    ".rdata": lambda frame, path: rds(frame, path, pyreadr.write_rdata),
    ".rda": lambda frame, path: rds(frame, path, pyreadr.write_rdata),
    ".arff": arff,
    ".parquet": lambda frame, path: frame.to_parquet(path),
    ".pq": lambda frame, path: frame.to_parquet(path),
    ".feather": lambda frame, path: frame.to_feather(path),
    ".arrow": lambda frame, path: frame.to_feather(path),
    ".ipc": lambda frame, path: frame.to_feather(path),
    ".json": lambda frame, path: path.write_text(json.dumps(records(frame))),
    ".jsonl": lambda frame, path: path.write_text("\n".join(map(json.dumps, records(frame)))),
    ".ndjson": lambda frame, path: path.write_text("\n".join(map(json.dumps, records(frame)))),
}
ELSEWHERE = {".xlsm", ".xlsb", ".por", ".sas7bdat"}  # which nothing writes, or not all of it


def test_every_kind_is_here() -> None:
    assert set(KINDS) - ELSEWHERE <= set(WRITE)


@pytest.mark.parametrize("ending", WRITE)
@settings(max_examples=5)
@given(rows=ROWS)
def test_a_table_is_the_same_from_every_kind_of_file(
    tmp_path_factory: pytest.TempPathFactory, ending: str, rows: list[tuple[Any, ...]]
) -> None:
    frame = frame_of([*FIRST, *rows, *FIRST])
    path = tmp_path_factory.mktemp("t") / f"t{ending}"
    WRITE[ending](frame, path)
    found = read_table(path, []).frame
    assert found.columns.tolist() == [*"WNTFD"]
    assert meaning(found) == meaning(frame)
