"""Numbers of a new table that are written otherwise than in the one trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gammatune.pipeline.data.cells.amounts import HALF, Form, amounts_in, converted, form_of, numbers_in
from gammatune.pipeline.data.cells.numerals import Mark
from gammatune.pipeline.data.cells.replaced import replaced
from gammatune.pipeline.data.given_columns import form_given

if TYPE_CHECKING:
    import pandas as pd


def read_as_here(
    frame: "pd.DataFrame",
    forms: Mapping[str, Form | None],
    marks: tuple[Mark, Mark],
    said: list[str],
) -> "pd.DataFrame":
    """The frame with numbers in the place of cells that write them otherwise; what is none stays as it is.

    forms: how the table trained on writes its columns of numbers. marks: what parts decimals there and here; "" where
    nothing tells. said: takes what was read so.
    """
    changed = {}
    for name, form in forms.items():
        values = frame.get(name)
        if values is None or values.dtype.kind in "iufbmMc":
            continue
        here = _form_here(values.dropna(), form, marks)
        if here is None or here == form:
            continue
        numbers = amounts_in(values, here)
        changed[name] = values.astype(object).mask(~np.isnan(numbers), numbers)
        if examples := converted(values, numbers):
            said.append(f"{name} is read as numbers: {examples}.")
    return replaced(frame, changed)


def _form_here(present: "pd.Series[Any]", form: Form | None, marks: Sequence[Mark]) -> Form | None:
    trained, here = marks
    if form is None:
        are_plain = bool(len(present)) and (~np.isnan(numbers_in(present))).mean() >= HALF
        return None if are_plain or not len(present) else form_of(present, here, least=HALF)
    if here in ("", trained):
        return None
    found = form_given(present, here)  # the column's own mark, where it shows one
    return replace(form, decimal=here if found is None else found.decimal)
