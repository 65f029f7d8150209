"""The sheet of what was understood of a table: what each column is, what it holds, and what became of it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from gammatune.pipeline.data.cells.amounts import numbers_in
from gammatune.pipeline.data.cells.dates import COUNTED
from gammatune.pipeline.data.cells.spelling import written
from gammatune.pipeline.data.columns import LEVELS, Column, ColumnReading, Sheet, Use
from gammatune.pipeline.data.looking import columns_in_words
from gammatune.pipeline.data.table import Table
from gammatune.pipeline.data.values import counts_of, dates_in

if TYPE_CHECKING:
    import pandas as pd

FEW = 4  # levels that are named
MANY_MISSING = 0.5  # of the rows: a surprise [guess]


def make_sheet(
    frame: "pd.DataFrame",
    columns: Sequence[Column],
    uses: Mapping[str, Use],
    *,
    time: str | None = None,
    role: str = "",
) -> Sheet:
    """frame: as it was read (`looking.as_read`). uses: of columns that are no inputs. time: the column that
    orders the parts. role: of the target, in words."""
    known = {column.name: column for column in columns}
    readings = []
    for name in frame.columns:
        use, column = uses.get(name), known.get(name)
        if use is None:
            assert column is not None
            readings.append(_reading(frame[name], column, is_time=name == time))
        else:
            readings.append(_other(frame[name], use, column, role))
    inputs = [column for column in columns if column.name not in uses]
    said = [*(sentence for column in columns for sentence in column.sentences), *columns_in_words(inputs)]
    return Sheet(tuple(readings), tuple(columns), dict(uses), tuple(said))


def sheet_of(table: Table) -> Sheet:
    """Of all columns of a table, its target among them, in the rows that have one."""
    import pandas as pd

    is_number = table.task == "regression"
    classes = np.array([written(label) for label in table.classes], dtype=object)
    target = pd.Series(table.y[:, 0] if is_number else classes[table.y], table.frame.index)
    uses: dict[str, Use] = {table.target: "target"}
    uses |= {} if table.weighed_by is None else {table.weighed_by: "weight"}
    uses |= {
        name: "group"
        for name in table.frame.columns
        if name not in uses | {c.name: 0 for c in table.looked_at}
    }
    # pandas warns of one column more beside hundreds that were each read by itself
    frame = pd.concat([table.frame, target.rename(table.target)], axis=1)[list(table.header)]
    columns = [*table.looked_at, table.goal]
    return make_sheet(frame, columns, uses, time=table.ordered_by, role=_role(table))


def _role(table: Table) -> str:
    if table.task == "regression":
        return "a number to predict"
    positive = f"; {table.classes[1]} is the positive one" if len(table.classes) == 2 else ""
    order = " in order" if table.ordered else ""
    if table.may_be_ordered:
        order = ", in order where the rows that train say so"
    return f"one of {len(table.classes)} classes{order}{positive}"


def _other(values: "pd.Series[Any]", use: Use, column: Column | None, role: str) -> ColumnReading:
    """Of a column that is no input."""
    roles: dict[Use, str] = {
        "target": role,
        "group": "rows of one value stay together; no input",
        "weight": "what a row counts for; no input",
    }
    notes = () if column is None else column.notes
    holds = _range(values) if column is not None and column.kind == "number" else _levels(values)
    note = "; ".join([roles[use], *notes])
    return ColumnReading(str(values.name), use, holds, int(values.isna().sum()), note, bool(notes))


def _reading(values: "pd.Series[Any]", column: Column, *, is_time: bool) -> ColumnReading:
    missing = int(values.isna().sum())
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
    notes = [*(["orders the parts"] if is_time else []), *column.notes, *([note] if note else [])]
    surprise = bool(column.notes) or column.kind == "drop" or missing > MANY_MISSING * len(values)
    return ColumnReading(column.name, column.kind, holds, missing, "; ".join(notes), surprise)


def _range(values: "pd.Series[Any]") -> str:
    numbers = numbers_in(values)
    if np.isnan(numbers).all():  # of a kind that was given
        return _levels(values)
    return f"{np.nanmin(numbers):g} to {np.nanmax(numbers):g}, median {np.nanmedian(numbers):g}"


def _of_number(values: "pd.Series[Any]", missing: int) -> str:
    strange = int(np.isnan(numbers_in(values)).sum()) - missing
    return "missing is the median, with a column that says so" if missing + strange else ""


def _span(values: "pd.Series[Any]", written: str | None) -> tuple[str, str]:
    dates = dates_in(values, written)
    said = [] if written is None or written in COUNTED else [f"written as {written}"]
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
