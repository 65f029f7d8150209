"""Spreadsheets: which sheet, what stands in its cells, and what is damaged."""

import datetime
import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import needs
import pandas as pd
import pytest

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.files.dialect import AS_IT_IS
from gammatune.pipeline.data.files.reading import read_table

xlsxwriter = needs.package("xlsxwriter")
xlwt = needs.package("xlwt")
needs.package("python_calamine")
needs.package("odf")

ROWS = [["name", "age"], ["Ada", 36], ["Bo", 7], ["Cy", 8]]


def excel(path: Path, sheets: Mapping[str, Sequence[Sequence[Any]]], hidden: Sequence[str] = ()) -> Path:
    with xlsxwriter.Workbook(str(path), {"default_date_format": "yyyy-mm-dd hh:mm"}) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for place, row in enumerate(rows):
                sheet.write_row(place, 0, row)
            if name in hidden:
                sheet.hide()
    return path


def test_of_several_sheets_the_largest_or_the_one_asked_for(tmp_path: Path) -> None:
    sheets = {"Notes": [["a"], ["b"]], "Data": ROWS, "old": [*ROWS, ["Di", 9]]}
    path, said = excel(tmp_path / "t.xlsx", sheets, hidden=["old"]), list[str]()
    assert read_table(path, said).frame.to_dict("list") == {"name": ["Ada", "Bo", "Cy"], "age": [36, 7, 8]}
    assert said == [
        "t.xlsx has 2 sheets (Notes, Data): Data was read, the largest. --sheet NAME reads another."
    ]
    for asked, rows in (("data", 3), ("2", 3), ("old", 4), ("Data", 3)):
        said = []
        assert len(read_table(path, said, how=replace(AS_IT_IS, sheet=asked)).frame) == rows
        assert said == []
    with pytest.raises(
        InvalidArgument, match=r"--sheet Dat: t\.xlsx has the sheets Notes, Data; did you mean 'Data'"
    ):
        read_table(path, [], how=replace(AS_IT_IS, sheet="Dat"))


def test_the_one_sheet_there_is_whatever_it_is_called(tmp_path: Path) -> None:
    path, said = excel(tmp_path / "t.xlsx", {"2025": ROWS}), list[str]()
    assert len(read_table(path, said, how=replace(AS_IT_IS, sheet="2024")).frame) == 3
    assert said == ["t.xlsx has one table, 2025, and none called 2024: it was read."]


def test_what_stands_in_cells(tmp_path: Path) -> None:
    moment, day = datetime.datetime(2024, 1, 31, 4, 5), datetime.datetime(2023, 12, 1)
    columns: dict[str, list[Any]] = {
        "id": [1, 2, 3],
        "x": [0.5, None, 1e300],
        "when": [moment, None, day],
        "flag": [True, False, True],
        "gap": [True, None, False],
        "code": ["007", "010", "100"],
        "money": ["1.234,5", "0,5", " "],
        "mixed": [1, "two", 3.5],
        "word": ["a", "k.A.", "n/a"],
    }
    path, said = tmp_path / "t.xlsx", list[str]()
    excel(path, {"s": [list(columns), *map(list, zip(*columns.values(), strict=True))]})
    frame = read_table(path, said).frame
    assert frame["id"].dtype.kind == "i"
    assert frame["x"].tolist()[0::2] == [0.5, 1e300]
    assert frame["when"].dropna().tolist() == [pd.Timestamp(moment), pd.Timestamp(day)]
    assert frame["flag"].dtype == bool
    assert frame["gap"].tolist()[0::2] == [True, False]
    assert frame["code"].tolist() == columns["code"]
    assert frame["money"].tolist()[:2] == [1234.5, 0.5]
    assert frame["mixed"].tolist() == ["1", "two", "3.5"]
    assert frame.isna().sum().to_dict() == dict.fromkeys(columns, 0) | {
        "x": 1,
        "when": 1,
        "gap": 1,
        "money": 1,
        "word": 2,
    }
    assert said == ["t.xlsx writes decimals with a comma.", "t.xlsx groups digits with a dot (1.234,5)."]


def test_what_text_proves_beside_typed_numbers_is_of_its_own_column(tmp_path: Path) -> None:
    rows = [["x", "a", "price"], [1.5, "5,5", "$4,912"], [2, "6,5", "$5,100"]]
    read = read_table(excel(tmp_path / "t.xlsx", {"s": rows}), [])
    assert read.frame["a"].tolist() == [5.5, 6.5]
    assert read.decimal == ""  # so that $4,912 is 4912, as in a CSV


def test_times_are_text_as_in_a_csv(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(str(tmp_path / "t.xlsx")) as book:
        sheet = book.add_worksheet()
        formats = [book.add_format({"num_format": form}) for form in ("hh:mm:ss", "[h]:mm:ss", "yyyy-mm-dd")]
        sheet.write_row(0, 0, ["at", "took", "on"])
        for row in (1, 2, 3):
            sheet.write_datetime(row, 0, datetime.time(3, row), formats[0])
            sheet.write_datetime(row, 1, datetime.timedelta(hours=30, seconds=row), formats[1])
            sheet.write_datetime(row, 2, datetime.date(9999, 12, row), formats[2])
    frame = read_table(tmp_path / "t.xlsx", []).frame
    assert frame["at"].tolist() == ["03:01:00", "03:02:00", "03:03:00"]
    assert frame["took"].tolist() == ["30:00:01", "30:00:02", "30:00:03"]
    assert frame["on"].dt.day.tolist() == [1, 2, 3]


def test_errors_of_formulas_are_missing_and_counted(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(str(tmp_path / "t.xlsx")) as book:
        book.add_worksheet("empty")
        sheet = book.add_worksheet("rows")
        sheet.write_row(0, 0, ["a", "b"])
        for row in range(1, 9):
            sheet.write(row, 0, f"x{row}")
            sheet.write_formula(row, 1, "=1/A1", None, "#DIV/0!" if row % 2 else row)
    said: list[str] = []
    frame = read_table(tmp_path / "t.xlsx", said).frame
    assert frame["b"].isna().tolist() == [True, False] * 4
    assert frame["b"].dropna().tolist() == [2, 4, 6, 8]
    assert said[-1] == (
        "Formulas of t.xlsx have errors, such as #DIV/0!, in the place of a value; their cells count as missing: 4 "
        "(B2, B4, B6, ...)."
    )
    pd.DataFrame({"a": [1, 2, 3], "b": ["u", "#N/A", "v"]}).to_excel(
        tmp_path / "t.ods", engine="odf", index=False
    )
    assert read_table(tmp_path / "t.ods", said).frame["b"].isna().tolist() == [False, True, False]
    assert "their cells count as missing: 1 (B3)" in said[-1]


def test_merged_cells_count_for_each_that_they_cover(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(str(tmp_path / "t.xlsx")) as book:
        sheet = book.add_worksheet()
        sheet.merge_range(0, 0, 0, 2, "All that was found")
        sheet.write_row(1, 0, ["town", "year", "rate"])
        for row in range(2, 8):
            sheet.write_row(row, 1, [2020 + row, row / 2])
        sheet.merge_range(2, 0, 4, 0, "Ulm")
        sheet.merge_range(5, 0, 7, 0, "Bern")
    said: list[str] = []
    frame = read_table(tmp_path / "t.xlsx", said).frame
    assert frame.columns.tolist() == ["town", "year", "rate"]
    assert frame["town"].tolist() == ["Ulm"] * 3 + ["Bern"] * 3
    assert "All that was found" in said[0]


CENSUS = (  # first line, first column, last line, last column, from 0
    (0, 0, 0, 5, "Table 1. People, by county and age"),
    (1, 0, 3, 0, "County"),
    (1, 1, 2, 1, "All"),
    (1, 2, 1, 5, "Of these"),
    (2, 2, 3, 2, "children"),
    (2, 3, 2, 5, "over 18, July 1"),
)
LOWEST = {1: "people", 3: 2010, 4: 2011, 5: 2012}
NAMES = [
    "County",
    "All people",
    "Of these children",
    *(f"Of these over 18, July 1 {n}" for n in range(2010, 2013)),
]


@pytest.mark.parametrize("ending", [".xlsx", ".xls"])
@pytest.mark.parametrize("counties", [3, 12])
def test_names_in_merged_cells_over_several_lines(tmp_path: Path, ending: str, counties: int) -> None:
    """Labels on the left of several rows stand in merged cells too, and are no names."""
    path = tmp_path / f"t{ending}"
    labels = [(4 + 2 * n, 0, 5 + 2 * n, 0, f"County {n}") for n in range(counties)]
    counts = [[1000 * row + place for place in range(5)] for row in range(2 * counties)]
    if ending == ".xls":
        book = xlwt.Workbook()
        sheet: Any = book.add_sheet("rows")
        merge = sheet.write_merge
        order = (0, 2, 1, 3)
    else:
        book = xlsxwriter.Workbook(str(path))
        sheet = book.add_worksheet()
        merge, order = sheet.merge_range, (0, 1, 2, 3)
    for *corners, text in (*CENSUS, *labels):
        merge(*(corners[place] for place in order), text)
    for place, name in LOWEST.items():
        sheet.write(3, place, name)
    for row, numbers in enumerate(counts):
        for place, number in enumerate(numbers):
            sheet.write(4 + row, 1 + place, number)
    book.save(str(path)) if ending == ".xls" else book.close()
    said: list[str] = []
    frame = read_table(path, said).frame
    assert frame.columns.tolist() == NAMES
    assert frame["County"].tolist() == [f"County {row // 2}" for row in range(2 * counties)]
    assert frame.iloc[:, 1:].to_numpy().tolist() == counts
    assert "stand in lines 2, 3, 4, which are joined" in said[1]


@pytest.mark.parametrize("ending", [".xls", ".ods"])
def test_older_and_open_spreadsheets(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"t{ending}"
    days = [datetime.datetime(2024, 1, 31), datetime.datetime(1999, 12, 31), datetime.datetime(2000, 2, 29)]
    if ending == ".ods":
        frame = pd.DataFrame(ROWS[1:], columns=ROWS[0]).assign(day=days)
        frame.to_excel(path, engine="odf", index=False)
    else:
        book = xlwt.Workbook()
        sheet = book.add_sheet("rows")
        for place, row in enumerate(ROWS):
            for column, cell in enumerate([*row, "day" if place == 0 else days[place - 1]]):
                date = (
                    xlwt.easyxf(num_format_str="YYYY-MM-DD")
                    if column == 2 and place
                    else xlwt.Style.default_style
                )
                sheet.write(place, column, cell, date)
        book.save(str(path))
    said: list[str] = []
    found = read_table(path, said).frame
    assert found.to_dict("list") == {
        "name": ["Ada", "Bo", "Cy"],
        "age": [36, 7, 8],
        "day": [*map(pd.Timestamp, days)],
    }
    assert said == []


def binary(rows: Sequence[Sequence[str | float]]) -> bytes:
    """An .xlsb as small as one can be, of MS-XLSB's records: a number, a length, and content."""

    def record(kind: int, content: bytes = b"") -> bytes:
        number = bytes([kind]) if kind < 128 else bytes([kind & 127 | 128, kind >> 7])
        assert len(content) < 128
        return number + bytes([len(content)]) + content

    def wide(text: str) -> bytes:
        return len(text).to_bytes(4, "little") + text.encode("utf-16-le")

    def cell(place: int, content: str | float) -> bytes:
        at = place.to_bytes(4, "little") + bytes(4)
        if isinstance(content, str):
            return record(6, at + wide(content))  # BrtCellSt
        return record(5, at + struct.pack("<d", content))  # BrtCellReal

    size = b"".join(n.to_bytes(4, "little") for n in (0, len(rows) - 1, 0, len(rows[0]) - 1))
    sheet = record(129) + record(148, size) + record(145)
    for place, row in enumerate(rows):
        sheet += record(0, place.to_bytes(4, "little") + bytes(13))
        sheet += b"".join(cell(column, content) for column, content in enumerate(row))
    sheet += record(146) + record(130)
    sheets = (
        record(143)
        + record(156, bytes(4) + (1).to_bytes(4, "little") + wide("rId1") + wide("rows"))
        + record(144)
    )
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{package}/content-types"/>')
        archive.writestr(
            "xl/_rels/workbook.bin.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" Type="{office}/worksheet" '
            'Target="worksheets/sheet1.bin"/></Relationships>',
        )
        archive.writestr("xl/workbook.bin", record(131) + sheets + record(132))
        archive.writestr("xl/worksheets/sheet1.bin", sheet)
    return stream.getvalue()


def test_binary_spreadsheets(tmp_path: Path) -> None:
    (tmp_path / "t.xlsb").write_bytes(binary([["name", "age"], ["Ada", 36.0], ["Bo", 7.0]]))
    assert read_table(tmp_path / "t.xlsb", []).frame.to_dict("list") == {
        "name": ["Ada", "Bo"],
        "age": [36, 7],
    }


@pytest.mark.parametrize("length", [5, 400, 3000])
@pytest.mark.parametrize("ending", [".xlsx", ".xls", ".ods"])
def test_what_is_cut_says_so(tmp_path: Path, ending: str, length: int) -> None:
    path = tmp_path / f"t{ending}"
    if ending == ".xls":
        book = xlwt.Workbook()
        book.add_sheet("rows").write(0, 0, "a")
        book.save(str(path))
    else:
        pd.DataFrame({"a": range(500)}).to_excel(path, engine="odf" if ending == ".ods" else "xlsxwriter")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(
        InvalidData, match=r"no spreadsheet that can be read .* it may be cut: save it anew"
    ) as refused:
        read_table(path, [])
    assert "\n" not in str(refused.value)


def test_what_holds_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="holds no cell that is filled"):
        read_table(excel(tmp_path / "t.xlsx", {"a": [], "b": []}), [])
