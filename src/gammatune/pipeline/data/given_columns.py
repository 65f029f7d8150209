"""What a user said of a column, made good by its values."""

from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.cells.amounts import Form, converted, form_of, numbers_in
from gammatune.pipeline.data.cells.dates import counted_format, date_format, parsed
from gammatune.pipeline.data.cells.numerals import Mark
from gammatune.pipeline.data.columns import Column, Given
from gammatune.pipeline.data.values import dates_in

if TYPE_CHECKING:
    import pandas as pd

ANY = 1e-9  # of the values are numbers, where they are meant to be


def column_given(name: str, values: "pd.Series[Any]", given: Given, decimal: Mark) -> Column | None:
    """None where its kind is to be told."""
    if given.kind is None:
        return None
    present = values.dropna()
    match given.kind:
        case "drop":
            return Column(name, "drop", given.why)
        case "number":
            return _given_number(name, present, given, decimal)
        case "date":
            return _given_date(name, present, given)
        case "category":
            return Column(name, "category")
        case _:
            assert_never(given.kind)


def _given_number(name: str, present: "pd.Series[Any]", given: Given, decimal: Mark) -> Column:
    form = given.form or form_given(present, decimal)
    numbers = numbers_in(present, form)
    if np.isnan(numbers).all():
        raise InvalidData(
            f"{name} was to be a number and holds none, but {present.iloc[:1].tolist()!r:.60}; write numbers as "
            "51494 or 0.5, or leave the column out: --drop"
        )
    return Column(
        name, "number", form=form, missing=given.missing or (), notes=tuple(conversion(present, numbers))
    )


def form_given(present: "pd.Series[Any]", decimal: Mark) -> Form | None:
    """The form of what is to be numbers, however few of the values are; None where they stand there as they are."""
    if present.dtype.kind in "iufbmM":
        return None
    return form_of(present, decimal, least=ANY)


def _given_date(name: str, present: "pd.Series[Any]", given: Given) -> Column:
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(present):
        return Column(name, "date")
    notes: tuple[str, ...] = ()
    written = given.format
    if written is None and pd.api.types.is_numeric_dtype(present):
        written = counted_format(name, present, known=True)
    elif written is None:
        written, *notes_of = date_format(name, present.astype(str)) or (None,)
        notes = tuple(filter(None, notes_of))
    try:
        is_read = written is not None and parsed(present, written).notna().any()
    except ValueError as error:  # of a format that is none
        raise InvalidArgument(
            f"--column {name}=date:{written}: that is no way to write dates ({error})"
        ) from error
    if not is_read:
        as_given = "" if given.format is None else f" written as {given.format}"
        raise InvalidData(
            f"{name} was to be a date{as_given} and holds {present.iloc[:1].tolist()!r:.60}; write dates as "
            f"2024-12-31, or say how these are written, such as --column {name}=date:%d/%m/%Y"
        )
    return Column(name, "date", format=written, notes=(*notes, *no_dates(present, written)))


def conversion(present: "pd.Series[Any]", numbers: Any, become: str = "they count as missing") -> list[str]:
    """What became of a column of text that is numbers, in words that follow its name. become: of values that are
    none."""
    notes = []
    if examples := converted(present, numbers):
        notes.append(f"is read as numbers: {examples}")
    return notes + _strange(present, np.isnan(numbers), "numbers", become)


def no_dates(present: "pd.Series[Any]", written: str | None) -> list[str]:
    """What became of the values of a column of dates that are none, in words that follow its name."""
    return _strange(present, dates_in(present, written).isna().to_numpy(), "dates", "they count as missing")


def _strange(present: "pd.Series[Any]", is_none: Any, kind: str, become: str) -> list[str]:
    strange = present[is_none].astype(str)
    if not len(strange):
        return []
    most = strange.value_counts()
    shown = ", ".join(f"{text!r:.40} ({count})" for text, count in most.iloc[:2].items())
    share = f"{100 * len(strange) / len(present):.2g} %"
    return [f"holds {kind}, and {len(strange)} values ({share}) that are none, such as {shown}: {become}"]
