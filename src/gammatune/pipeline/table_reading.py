"""`read_table`: how a table is understood, column by column, before anything is trained on it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Unpack, assert_never

import numpy as np

from gammatune.pipeline.data.cells.amounts import numbers_in
from gammatune.pipeline.data.cells.spelling import written
from gammatune.pipeline.data.columns import Column, Kind, kinds_given
from gammatune.pipeline.data.files.dialect import Read
from gammatune.pipeline.data.files.finding import name_of, title_of
from gammatune.pipeline.data.files.reading import read_table as read_file
from gammatune.pipeline.data.frames import NAME, Frame, as_pandas, is_frame
from gammatune.pipeline.data.looking import look_at
from gammatune.pipeline.data.table import Table, make_table
from gammatune.pipeline.data.table_learning import LEVELS
from gammatune.pipeline.data.values import counts_of, dates_in
from gammatune.pipeline.keywords import TableOptions, names_of, options_of
from gammatune.pipeline.options import Options
from gammatune.pipeline.prepare import how_of, reading_of

if TYPE_CHECKING:
    import pandas as pd

Use: TypeAlias = Kind | Literal["target", "group", "weight"]

SHOWN = 60  # columns in a repr
WIDE = 40  # letters of a cell there
FEW = 4  # levels that are named


@dataclass(frozen=True, slots=True)
class ColumnReading:
    """name: as in the table. kind: "number", "category", "date", "drop", or "target", "group" or "weight". holds: its
    range, or its commonest values. missing: rows without a value. note: why it is left out, or what becomes of its
    values."""

    name: str
    kind: Use
    holds: str
    missing: int
    note: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TableReading:
    """A table as `gammatune.read_table` understood it, for `gammatune.fit`.

    source: the path, or the frame as pandas has it. rows: how many. task: None where no target was named.
    columns: in the order of the table. said: how it was read, in sentences. corrections: what was given beside it.
    """

    source: "str | pd.DataFrame"
    rows: int
    target: str | None
    task: str | None
    columns: tuple[ColumnReading, ...]
    said: tuple[str, ...]
    corrections: Mapping[str, Any] = field(default_factory=dict)

    def to_frame(self) -> "pd.DataFrame":
        """`columns` as a frame of pandas, a row each."""
        import pandas as pd

        names = ("name", "kind", "holds", "missing", "note")
        return pd.DataFrame([[getattr(each, name) for name in names] for each in self.columns], columns=names)

    def __repr__(self) -> str:
        cells = [("column", "kind", "holds", "missing", "")]
        cells += [
            (_cut(c.name), c.kind, _cut(c.holds), str(c.missing or ""), c.note) for c in self.columns[:SHOWN]
        ]
        widths = [max(len(row[place]) for row in cells) for place in range(4)]
        lines = ["  ".join([*map(str.ljust, row, widths), row[4]]).rstrip() for row in cells]
        if len(self.columns) > SHOWN:
            lines.append(f"... and {len(self.columns) - SHOWN} more: to_frame() has them all")
        return "\n".join([self._head, *lines, *self.said])

    def _repr_html_(self) -> str:
        said = "".join(f"<p>{escape(line)}</p>" for line in (self._head, *self.said))
        return said + str(self.to_frame().to_html(index=False))

    @property
    def _head(self) -> str:
        name = name_of(self.source) if isinstance(self.source, str) else NAME
        goal = "no target named" if self.target is None else f"{self.target} to predict, a {self.task}"
        return f"{name}: {self.rows} rows, {len(self.columns)} columns, {goal}"


def read_table(
    data: str | os.PathLike[str] | Frame, target: str | None = None, **corrections: Unpack[TableOptions]
) -> TableReading:
    """How a table is understood: what each column is, what it holds, why one is left out.

    data: the path of a table (.csv, .xlsx, .sav, .parquet, ...), its address, or a frame of pandas, polars or Arrow.
    target: the column to predict; without it every column is looked at as an input. corrections: the options by which
    `gammatune.fit` reads tables (column, drop, task, order, positive, exact_labels, group, time_column,
    sample_weight, sheet, ...). Nothing is changed in `data`, and nothing is trained. What it gives can be handed to
    `gammatune.fit`, which reads the same table in the same way.
    Raises InvalidData: no table, or nothing to learn from. InvalidArgument: a column that is not there. MissingExtra.
    """
    given = {**corrections, **({} if target is None else {"target": target})}
    if is_frame(data):
        read = Read(as_pandas(data, target), "")
        source: str | pd.DataFrame = read.frame
        name, options = NAME, options_of("read_table", NAME, given, names_of(TableOptions))
    else:
        source = os.fspath(data)  # type: ignore[arg-type]
        options = options_of("read_table", source, given, names_of(TableOptions))
        name = title_of(source)
    said: list[str] = []
    if isinstance(source, str):
        read = read_file(source, said, how=how_of(options))
    kinds = kinds_given(options.column or (), options.drop or ())
    table = None
    if options.target is not None:
        table = make_table(name, read.frame, options.target, **reading_of(options))
    frame = read.frame if table is None else table.frame
    inputs = {key: kind for key, kind in kinds.items() if key != options.target}
    leave = [name for name in (options.group, options.sample_weight) if name is not None]
    found = look_at(frame, inputs, said, leave=leave, decimal=read.decimal, find_codes=not options.missing)
    known = {column.name: column for column in found}
    readings = [
        _reading(column, read.frame[column], known.get(column), table, options)
        for column in read.frame.columns
    ]
    return TableReading(
        source,
        len(read.frame),
        options.target,
        None if table is None else table.task,
        tuple(readings),
        (*said, *(() if table is None else table.left_out)),
        {key: value for key, value in corrections.items() if value is not None},
    )


def _reading(
    name: str, values: "pd.Series[Any]", column: Column | None, table: Table | None, options: Options
) -> ColumnReading:
    """column: None of one that is no input."""
    missing = int(values.isna().sum())
    if column is None:
        others: dict[str | None, Use] = {options.target: "target", options.sample_weight: "weight"}
        kind = others.get(name, "group")
        is_number = kind == "target" and table is not None and table.task == "regression"
        holds = _range(values) if is_number else _levels(values)
        return ColumnReading(name, kind, holds, missing, _role(kind, table))
    match column.kind:
        case "number":
            holds, note = _range(values), _of_number(values, missing)
        case "date":
            holds, note = _span(values, column.format)
        case "category":
            holds, note = _levels(values), _of_category(values, missing)
        case "drop":
            holds, note = _levels(values), column.why
        case _:
            assert_never(column.kind)
    if name == options.time_column:
        note = "; ".join(["orders the parts", *([note] if note else [])])
    return ColumnReading(name, column.kind, holds, missing, note)


def _role(kind: Use, table: Table | None) -> str:
    if kind == "group":
        return "rows of one value stay together; no input"
    if kind == "weight":
        return "what a row counts for; no input"
    assert table is not None
    if table.task == "regression":
        return "a number to predict"
    positive = f"; {table.classes[1]} is the positive one" if len(table.classes) == 2 else ""
    order = " in order" if table.ordered else ""
    if table.may_be_ordered:
        order = ", in order where the rows that train say so"
    return f"one of {len(table.classes)} classes{order}{positive}"


def _range(values: "pd.Series[Any]") -> str:
    numbers = numbers_in(values)
    if np.isnan(numbers).all():  # of a kind that was asked for
        return _levels(values)
    return f"{np.nanmin(numbers):g} to {np.nanmax(numbers):g}, median {np.nanmedian(numbers):g}"


def _of_number(values: "pd.Series[Any]", missing: int) -> str:
    strange = int(np.isnan(numbers_in(values)).sum()) - missing
    said = [f"{strange} values are no numbers, and count as missing"] if strange else []
    said += ["missing is the median, with a column that says so"] if missing + strange else []
    return "; ".join(said)


def _span(values: "pd.Series[Any]", written: str | None) -> tuple[str, str]:
    dates = dates_in(values, written)
    strange = int((dates.isna() & values.notna()).sum())
    said = [] if written is None else [f"written as {written}"]
    said += [f"{strange} values are no dates, and count as missing"] if strange else []
    return f"{dates.min():%Y-%m-%d} to {dates.max():%Y-%m-%d}", "; ".join(said)


def _of_category(values: "pd.Series[Any]", missing: int) -> str:
    count = len(counts_of(values))
    said = [f"{count} levels" if count > 1 else "1 level"]
    said += [f"the {LEVELS} commonest are known"] if count > LEVELS else []
    said += ["missing is one too"] if missing else []
    return "; ".join(said)


def _levels(values: "pd.Series[Any]") -> str:
    try:
        found = values.value_counts()
    except TypeError:  # lists, mappings
        found = values.map(str, na_action="ignore").value_counts()
    found = found[found > 0]  # a categorical may have levels that no row has
    shown = ", ".join(f"{written(level)} ({count})" for level, count in found.iloc[:FEW].items())
    return shown + (f", ... ({len(found)} in all)" if len(found) > FEW else "")


def _cut(text: str) -> str:
    return text if len(text) <= WIDE else text[: WIDE - 3] + "..."
