"""The target of a table as numbers, where it holds them: amounts, codes for missing, and text between.

What is no number in such a target is left out, row by row, and counted. A few different texts are classes, whatever
stands in them; `--task` and `--column TARGET=KIND` say otherwise and always win.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gammatune.errors import InvalidData
from gammatune.pipeline.data.cells import codes
from gammatune.pipeline.data.cells.amounts import HALF, MOSTLY, form_of, numbers_in
from gammatune.pipeline.data.cells.distinct import Distinct
from gammatune.pipeline.data.cells.numerals import Mark
from gammatune.pipeline.data.columns import Column, Given
from gammatune.pipeline.data.dataset import Task
from gammatune.pipeline.data.given_columns import conversion, form_given
from gammatune.pipeline.data.target import CLASSES

if TYPE_CHECKING:
    import pandas as pd


def target_of(
    name: str,
    values: "pd.Series[Any]",
    task: Task | None,
    given: Given | None,
    *,
    decimal: Mark,
    find_codes: bool,
    beside: "pd.DataFrame | None" = None,
) -> "tuple[pd.Series[Any], Column]":
    """Its values, as numbers where they are meant so, and how they were read.

    task, given: what was said of it. decimal: as the file writes it. find_codes: whether codes for missing are
    looked for. beside: the inputs, whose codes may be its own."""
    import pandas as pd

    present = values.dropna()
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if task == "classification" or pd.api.types.is_complex_dtype(values) or not len(present):
        return (values, Column(name, "category"))
    column = Column(name, "number")
    if not is_number:
        found = _of_text(name, present, task, given, decimal)
        if found is None:
            return (values, Column(name, "category"))
        column = found
    missing = (given and given.missing) or ()
    if find_codes and (given is None or given.missing is None):
        inputs = [] if beside is None else beside.select_dtypes("number", exclude="complex").items()
        numbers = {name: numbers_in(values, column.form)}
        numbers |= {str(other): numbers_in(held) for other, held in inputs}
        by_column = codes.codes_in(numbers)
        missing = by_column.get(name, ())
        if missing:
            note = f"{codes.told(name, by_column, numbers)}; these rows are left out"
            column = replace(column, notes=(*column.notes, note))
    column = replace(column, missing=missing)
    if is_number and not missing:
        return (values, column)
    return (pd.Series(numbers_in(values, column.form, missing), values.index, name=name), column)


def _of_text(
    name: str, present: "pd.Series[Any]", task: Task | None, given: Given | None, decimal: Mark
) -> Column | None:
    """None where it is no number."""
    import pandas as pd

    if present.dtype.kind in "bmM":
        return None
    is_text = isinstance(present.dtype, pd.StringDtype)
    if not is_text and not all(isinstance(value, str | int | float) for value in present.tolist()):
        return None
    distinct = present.nunique()
    form = given.form if given is not None else None
    if task == "regression":
        form = form or form_given(present, decimal)
    elif distinct <= min(CLASSES, len(present) / 2) or bool in {type(value) for value in present.iloc[:3]}:
        return None
    else:
        form = form or form_of(present, decimal)
    numbers = numbers_in(present, form)
    share = float((~np.isnan(numbers)).mean())
    if share == 0 or (task is None and share < MOSTLY):
        return None
    ways = "" if task else "; --task classification takes every value as a class"
    return Column(
        name,
        "number",
        form=form,
        notes=tuple(conversion(present, numbers, f"these rows are left out{ways}")),
    )


def half_numbers(values: "pd.Series[Any]", goal: Column, decimal: Mark) -> str:
    """Of a target of text a sentence where some of it are numbers, too few to be read so; else ""."""
    import pandas as pd

    if goal.kind == "number" or not pd.api.types.is_string_dtype(values):
        return ""
    form = form_of(values, decimal, least=HALF)
    found = Distinct.of(values)
    numbers = numbers_in(found.texts, form)
    if not 0 < found.counts[np.isnan(numbers)].sum() <= (1 - HALF) * len(values):
        return ""
    strange = values[np.isnan(numbers)[found.places]].value_counts()
    if len(np.unique(numbers[~np.isnan(numbers)])) < 2:
        return ""  # one of a few words that begins with a digit
    shown = ", ".join(f"{text!r:.40} ({count})" for text, count in strange.iloc[:2].items())
    return (
        f"{goal.name} holds numbers in {len(values) - strange.sum()} of {len(values)} rows, text in the others, such "
        f"as {shown}. Three ways on: --task regression leaves those rows out, as --missing={strange.index[0]!r:.40} "
        "does those with that text; --task classification takes every value as a class; or correct these cells"
    )


def in_test(table: str, values: "pd.Series[Any]", goal: Column) -> "pd.Series[Any]":
    """The targets of rows to report on, read as those trained on. table: the name of those. Raises InvalidData."""
    import pandas as pd

    numbers = numbers_in(values, goal.form)
    strange = np.flatnonzero(np.isnan(numbers) & values.notna().to_numpy())
    if len(strange):
        raise InvalidData(
            f"{table} holds {goal.name} {values.iloc[strange[0]]!r:.40} in row {strange[0] + 1}, which is no number; "
            "correct it, empty the cell, or name it with --missing"
        )
    return pd.Series(numbers_in(values, goal.form, goal.missing), values.index)
