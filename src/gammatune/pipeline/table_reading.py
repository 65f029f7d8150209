"""`read_table`: how a table is understood, column by column, before anything is trained on it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING, Any, Unpack

from gammatune.pipeline.data.cells.codes import without
from gammatune.pipeline.data.columns import ColumnReading, Sheet, Use
from gammatune.pipeline.data.files.dialect import Read
from gammatune.pipeline.data.files.finding import name_of, title_of
from gammatune.pipeline.data.files.reading import read_table as read_file
from gammatune.pipeline.data.frames import NAME, Frame, as_pandas, is_frame
from gammatune.pipeline.data.looking import as_read, look_at
from gammatune.pipeline.data.sheet import make_sheet, sheet_of
from gammatune.pipeline.data.table import make_table
from gammatune.pipeline.keywords import TableOptions, names_of, options_of
from gammatune.pipeline.options import Options
from gammatune.pipeline.prepare import how_of, reading_of, with_uses

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 60  # columns in a repr
WIDE = 40  # letters of a cell there


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
    options = with_uses(options)
    said: list[str] = []
    if isinstance(source, str):
        read = read_file(source, said, how=how_of(options))
    if options.target is None:
        sheet, task, left_out = _without_target(read, options, said), None, tuple[str, ...]()
    else:
        table = make_table(name, read.frame, options.target, mark=read.decimal, **reading_of(options))
        sheet, task, left_out = sheet_of(table), table.task, table.left_out
        said += [sentence for column in table.looked_at for sentence in column.sentences]
    by_name = {reading.name: reading for reading in sheet.readings}
    return TableReading(
        source,
        len(read.frame),
        options.target,
        task,
        tuple(_with_label(by_name[name], read.labels.get(name)) for name in read.frame.columns),
        (*said, *left_out),
        {key: value for key, value in corrections.items() if value is not None},
    )


def _with_label(reading: ColumnReading, label: str | None) -> ColumnReading:
    """What the file says of the column beside its name, before what is noted of it."""
    notes = [repr(label) if label else "", reading.note]
    return replace(reading, note="; ".join(filter(None, notes)))


def _without_target(read: Read, options: Options, said: list[str]) -> Sheet:
    """Every column looked at as an input."""
    how = how_of(options)
    frame = without(read.frame, how.missing)
    uses: dict[str | None, Use] = {options.group: "group", options.sample_weight: "weight"}
    named = {name: use for name, use in uses.items() if name is not None}
    columns = look_at(
        frame,
        reading_of(options)["kinds"],
        said,
        leave=[*named],
        decimal=read.decimal,
        find_codes=not how.missing,
    )
    return make_sheet(as_read(frame, columns), columns, named, time=options.time_column)


def _cut(text: str) -> str:
    return text if len(text) <= WIDE else text[: WIDE - 3] + "..."
