"""columns.toml: what was understood of a table, kept beside the journal, to be edited and handed back by --columns.

[file]                  what was asked of the reading of the file; what was told of it is a comment
[columns.NAME]          one for each column
kind = "number"         number, category, date, drop; of columns that are no inputs target, group, weight
task = "regression"     of the target, where it was said
currency, unit, decimal how text writes its numbers (`cells.amounts`)
missing = [99.0]        numbers that stand for missing; an empty list: none do
format = "%d/%m/%Y"     of dates (`cells.dates`)
why = "..."             of a column that is left out
note = "..."            for people; not read
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from gammatune.errors import InvalidArgument, first_line, require
from gammatune.files import whole_file_of_run
from gammatune.pipeline.data.cells.amounts import Form
from gammatune.pipeline.data.columns import KINDS, Column, Given, Sheet, listed
from gammatune.pipeline.data.files.dialect import HowToRead, Source

NAME = "columns.toml"
USES = ("target", "group", "weight")
_OF_FORM = ("decimal", "currency", "unit")
_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "kind": str, "task": str, "format": str, "why": str, "note": str, "missing": list, **dict.fromkeys(_OF_FORM, str),
}  # fmt: skip
_FILE: Mapping[str, type] = {
    "sheet": str, "header": int, "encoding": str, "delimiter": str, "decimal": str, "skip_last": int, "missing": list,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ColumnsFile:
    """given: of the columns, by name. how: of the reading of the file, by the fields of `HowToRead`. uses: the
    columns that are no inputs, by what they are. task: of the target."""

    given: Mapping[str, Given]
    how: Mapping[str, Any]
    uses: Mapping[str, str]
    task: str | None


def write_columns(
    directory: str | Path, sheet: Sheet, how: HowToRead, source: Source | None, task: str | None = None
) -> None:
    """Into the run directory. source: the file that was read. task: the one asked for. Raises MissingExtra."""
    toml = require("tomlkit", "tables", "columns.toml is written by")
    document = toml.document()
    document.add(
        toml.comment("What was understood of the table. Edit it, and hand it back with --columns FILE.")
    )
    document["file"] = _file_table(toml, how, source)
    columns = toml.table(is_super_table=True)
    known = {column.name: column for column in sheet.columns}
    for reading in sheet.readings:
        column = known.get(reading.name)
        table = toml.table()
        table["kind"] = reading.kind
        if task is not None and reading.kind == "target":
            table["task"] = task
        for key, value in ({} if column is None else _of_column(column)).items():
            table[key] = value
        if reading.note and reading.kind != "drop":
            table["note"] = reading.note
        columns[reading.name] = table
    document["columns"] = columns
    text = toml.dumps(document)
    path = Path(directory) / NAME
    whole_file_of_run(path, lambda file: file.write(text.encode()), "what was understood of the columns")


def read_columns(path: str | Path) -> ColumnsFile:
    """Raises InvalidArgument where the file is not there or says what no column is, with its line; MissingExtra."""
    toml = require("tomlkit", "tables", "--columns is read by")
    try:
        text = Path(path).read_text(encoding="utf-8")
        document = toml.parse(text).unwrap()
    except (OSError, UnicodeError) as error:
        raise InvalidArgument(
            f"--columns {path} cannot be read ({first_line(error)}); name a columns.toml"
        ) from error
    except toml.exceptions.TOMLKitError as error:
        raise InvalidArgument(
            f"--columns {path} is no TOML: {first_line(error)}; correct that line"
        ) from error
    known = {"file": dict, "columns": dict}
    _check(f"--columns {path}", document, known)
    how = document.get("file", {})
    _check(f"--columns {path}, [file]", how, _FILE)
    given: dict[str, Given] = {}
    uses: dict[str, str] = {}
    task = None
    for name, table in document.get("columns", {}).items():
        place = f"--columns {path}, line {_line_of(toml, text, name)}"
        if not isinstance(table, dict):
            raise InvalidArgument(
                f"{place}: {name} is {table!r:.40}; write [columns.{name}] and its kind below it"
            )
        _check(f"{place}, column {name}", table, _KEYS)
        kind = table.get("kind")
        if kind in USES:
            if kind in uses:
                raise InvalidArgument(
                    f"{place}: {name} is the {kind}, and so is {uses[kind]}; one column can be"
                )
            uses[kind] = name
        if kind == "target":
            task = table.get("task")
        if kind not in ("group", "weight"):
            given[name] = _given(place, name, table)
    missing = {"missing": tuple(map(str, how["missing"]))} if "missing" in how else {}
    return ColumnsFile(given, {**how, **missing}, uses, task)


def _file_table(toml: Any, how: HowToRead, source: Source | None) -> Any:
    table = toml.table()
    told: dict[str, Any] = {}
    if source is not None:
        dialect = source.dialect
        told = {"encoding": dialect.encoding, "delimiter": dialect.separator, "decimal": dialect.decimal}
    for each in fields(HowToRead):
        value = getattr(how, each.name)
        if value not in (None, ()):
            table[each.name] = list(value) if isinstance(value, tuple) else value
        elif each.name in told:
            table.add(toml.comment(f"{each.name} = {toml.item(told[each.name]).as_string()}"))
    return table


def _of_column(column: Column) -> dict[str, Any]:
    form = {} if column.form is None else {key: getattr(column.form, key) for key in _OF_FORM}
    held = {"format": column.format, **form, "why": column.why}
    missing = {"missing": list(column.missing)} if column.kind == "number" else {}
    return {key: value for key, value in held.items() if value} | missing


def _given(place: str, name: str, table: Mapping[str, Any]) -> Given:
    kind = table.get("kind")
    if kind not in (None, "target", *KINDS):
        raise InvalidArgument(
            f"{place}: {name} is of the kind {kind!r:.40}; write {', '.join([*KINDS, *USES])}"
        )
    missing = table.get("missing")
    if missing is not None and not all(type(code) in (int, float) for code in missing):
        raise InvalidArgument(
            f"{place}: {name} has missing = {missing!r:.40}; write numbers, such as [-999, 99]"
        )
    form = (
        Form(**{key: table[key] for key in _OF_FORM if key in table}) if set(_OF_FORM) & set(table) else None
    )
    if form is not None and form.decimal not in (",", "."):
        raise InvalidArgument(f"{place}: {name} has decimal = {form.decimal!r:.40}; write '.' or ','")
    return Given(
        None if kind == "target" else kind,
        table.get("format"),
        form,
        None if missing is None else tuple(map(float, missing)),
        table.get("why", "as given"),
        place,
    )


def _check(place: str, table: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for key, value in table.items():
        if key not in known:
            raise InvalidArgument(f"{place}: there is no {key!r}; known are {listed(known)}")
        if not isinstance(value, known[key]) or isinstance(value, bool):
            raise InvalidArgument(f"{place}: {key} = {value!r:.40} is of another type")


def _line_of(toml: Any, text: str, name: str) -> int:
    """Where a column begins, from 1."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("["):
            try:
                if name in toml.parse(line).get("columns", {}):
                    return number
            except toml.exceptions.TOMLKitError:  # in the midst of a list
                continue
    return 1
