"""Tables from spreadsheets: .xlsx, .xlsm, .xls, .xlsb and .ods, read by python-calamine.

Of several sheets the largest is read, hidden ones left out. A cell that several were merged into counts for each of
them, but where it is a title, with nothing beside it. Dates and times are dates. Cells whose formula has no value are
missing, and where the file says how many there are (.xlsx, .ods), it is said.
"""

import re
import zipfile
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from gammatune.errors import InvalidData, first_line, require
from gammatune.pipeline.data.files.dialect import HowToRead, Read
from gammatune.pipeline.data.files.learned import Learned
from gammatune.pipeline.data.files.missing import ERRORS
from gammatune.pipeline.data.files.opening import TableFile
from gammatune.pipeline.data.files.settling import as_from_text
from gammatune.pipeline.data.files.shape import shaped
from gammatune.pipeline.data.files.sheets import choose

_ERROR = re.compile(rb'<c\b[^>]*\bt="e"[^>]*>')
_PLACE = re.compile(rb'\br="([A-Z]+[0-9]+)"')
_BOOK, _RELATED = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def read_spreadsheet(file: TableFile, how: HowToRead, said: list[str], learned: Learned) -> Read:
    """learned: as in `read_table`. Raises InvalidData: no spreadsheet that can be read, locked, or nothing in it.
    InvalidArgument: a sheet that is not there. MissingExtra: python-calamine is not installed."""
    calamine = require("python_calamine", "files", "spreadsheets are read by")
    try:
        with file.stream() as stream, calamine.load_workbook(stream) as book:
            sheets = _sheets(calamine, book, how.sheet)
            sizes = {name: sheet.height * sheet.width for name, sheet in sheets.items()}
            if not any(sizes.values()):
                raise InvalidData(f"{file.path} holds no cell that is filled; give a table")
            name = choose(file.name, sizes, how.sheet, said, "sheets")
            rows = sheets[name].to_python(skip_empty_area=False)
            merged = sheets[name].merged_cell_ranges or []
    except calamine.PasswordError as error:
        raise InvalidData(
            f"{file.path} is locked with a password; save it without one, and name that file"
        ) from error
    except calamine.CalamineError as error:
        raise InvalidData(
            f"{file.path} is no spreadsheet that can be read ({first_line(error)}); it may be cut: save it anew"
        ) from error
    _fill(rows, merged)
    _say_errors(file, name, rows, said)
    bound = [(top, bottom) for (top, _), (bottom, _) in merged if bottom > top]
    table, layout = shaped(rows, how, said, file.name, learned.layout, bound)
    frame, decimal = as_from_text(table, file.name, said, learned.decimal, how.decimal)
    return Read(frame, decimal, layout=layout)


def _sheets(calamine: Any, book: Any, wanted: str | None) -> dict[str, Any]:
    """Those with cells, by name; hidden ones only where one is asked for, or no other holds anything."""
    kinds = {each.name: each for each in book.sheets_metadata if each.typ == calamine.SheetTypeEnum.WorkSheet}
    found = {name: book.get_sheet_by_name(name) for name in kinds}
    shown = {name: found[name] for name in kinds if kinds[name].visible == calamine.SheetVisibleEnum.Visible}
    is_enough = any(sheet.height for sheet in shown.values()) and (wanted in shown or wanted not in found)
    return shown if is_enough else found


def _fill(rows: list[list[Any]], merged: Sequence[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    """Put what merged cells hold into each of those that they cover."""
    for (top, left), (bottom, right) in merged:
        row = rows[top] if top < len(rows) else []
        beside = [cell for place, cell in enumerate(row) if not left <= place <= right]
        if right > left and all(cell == "" for cell in beside):
            continue  # a title
        for line in rows[top : bottom + 1]:
            covered = len(line[left : right + 1])
            line[left : right + 1] = [row[left]] * covered


def _say_errors(file: TableFile, sheet: str, rows: Sequence[Sequence[Any]], said: list[str]) -> None:
    """Which cells hold errors, as far as the file says it."""
    places = [
        f"{_letters(place)}{number}"
        for number, row in enumerate(rows, start=1)
        for place, cell in enumerate(row)
        if isinstance(cell, str) and cell.strip() in ERRORS
    ] or _errors_of_excel(file, sheet)
    if places:
        more = ", ..." if len(places) > 3 else ""
        said.append(
            f"Formulas of {file.name} have errors, such as #DIV/0!, in the place of a value; their cells count as "
            f"missing: {len(places)} ({', '.join(places[:3])}{more})."
        )


def _errors_of_excel(file: TableFile, sheet: str) -> list[str]:
    """The places of cells with errors in an .xlsx, which python-calamine takes for empty."""
    with file.stream() as stream:
        if not zipfile.is_zipfile(stream):
            return []
        with zipfile.ZipFile(stream) as archive:
            if _BOOK not in archive.namelist():
                return []
            book, related = (ElementTree.fromstring(archive.read(part)) for part in (_BOOK, _RELATED))
            own = next(each.get(_ID) for each in book.iter() if each.get("name") == sheet and each.get(_ID))
            target = next(each.get("Target", "") for each in related if each.get("Id") == own)
            cells = _ERROR.findall(archive.read(f"xl/{target.removeprefix('/xl/')}"))
    return [found[1].decode() for cell in cells if (found := _PLACE.search(cell))]


def _letters(place: int) -> str:
    """A, B, ..., Z, AA, ..."""
    return (_letters(place // 26 - 1) if place >= 26 else "") + chr(ord("A") + place % 26)
