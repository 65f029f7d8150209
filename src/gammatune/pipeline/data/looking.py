"""What the columns of a table are: numbers, categories, dates, or nothing a network can learn from.

Told from the values, so that nobody has to say it; said in words, and overruled by `--column NAME=KIND`.

    number     measured or counted, as people write it (`cells.amounts`); codes for missing left out (`cells.codes`)
    category   one of some levels; truth values are categories with two
    date       a day, with or without a time (`cells.dates`)
    left out   one value only; different in every row (an identifier); sentences (free text); anything else
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.cells import codes
from gammatune.pipeline.data.cells.amounts import (
    MOSTLY,
    Form,
    TakenApart,
    amounts_in,
    numbers_in,
)
from gammatune.pipeline.data.cells.dates import counted_format, date_format, in_words, parsed
from gammatune.pipeline.data.cells.distinct import Distinct
from gammatune.pipeline.data.cells.numerals import Mark
from gammatune.pipeline.data.cells.plain_numbers import CODE
from gammatune.pipeline.data.cells.replaced import replaced
from gammatune.pipeline.data.cells.sample import every, some
from gammatune.pipeline.data.cells.texts import answers_mark, kind_of_numbers, kind_of_text
from gammatune.pipeline.data.columns import LEVELS, Column, Given, dozen, is_unnamed, listed, short
from gammatune.pipeline.data.given_columns import column_given, conversion, no_dates
from gammatune.pipeline.data.survey_tools import beside_answers, boxes
from gammatune.pipeline.data.values import dates_in

if TYPE_CHECKING:
    import pandas as pd

IDENTIFYING = 0.95  # distinct values among those present that make text an identifier [guess]
FEWEST = 20  # rows below which nothing is called an identifier by counting [guess]
ONCE = 0.5  # of the rows hold a value that no other row has: nothing is learned of it [guess]
LEAST = 0.1  # of the rows hold one of the levels that are kept, or nothing is learned of them [guess]
SENTENCE = 4.0  # words in the mean that make text free text [guess]
HALF = 0.5  # of the values are numbers: said where they are too few to be read so [guess]
NEARLY = 0.995  # of the values are one [guess]

_NAMED_ID = re.compile(r"(^|[\W_])(id|ids|uuid|guid|index|idx|rownum|row_number|rowid|nr|no)$", re.I)
_CAMEL_ID = re.compile(r"[a-z](ID|Id|UUID|No|Nr)$")


def look_at(
    frame: "pd.DataFrame",
    given: Mapping[str, Given],
    said: list[str],
    *,
    leave: Sequence[str | None] = (),
    decimal: Mark,
    find_codes: bool,
    levels: dict[str, Distinct] | None = None,
) -> tuple[Column, ...]:
    """What each column is. given: what is not told but known. leave: columns that are no inputs. decimal: as the file
    writes it. find_codes: whether codes for missing are looked for. levels: takes those of categories, by name."""
    unknown = [name for name in given if name not in frame.columns]
    if unknown:
        place = f"{given[unknown[0]].place}: " if given[unknown[0]].place else ""
        raise InvalidArgument(
            f"{place}there is no column {unknown[0]!r}; the table has {listed(frame.columns)}"
        )
    found, beside = list[Column](), beside_answers(list(frame.columns))
    for name in frame.columns:
        if name not in leave:
            own = given.get(name, Given(None))
            if own.kind is None and name in beside:
                own = replace(own, kind="drop", why=beside[name])
            column = column_given(name, frame[name], own, decimal) or tell(name, frame[name], decimal, levels)
            found.append(column if own.missing is None else replace(column, missing=own.missing))
    if all(column.kind == "drop" for column in found):
        why = "; ".join(f"{column.name} {column.why}" for column in found[:5])
        raise InvalidData(
            f"no column is left to learn from ({why or 'there is only the target'}); give columns that say something "
            "of each row, or --column NAME=number|category|date for one that was misread"
        )
    if find_codes:
        known = {name for name, each in given.items() if each.missing is not None}
        found = _without_codes(frame, found, known)
    said += [sentence for column in found for sentence in column.sentences]
    said += boxes(frame, [column.name for column in found if column.kind != "drop"])
    return tuple(found)


def _without_codes(frame: "pd.DataFrame", columns: Sequence[Column], known: set[str]) -> list[Column]:
    """The columns with the codes for missing that were found in them. known: those of which the user said them."""
    numbers = {
        c.name: numbers_in(frame[c.name], c.form)
        for c in columns
        if c.kind == "number" and c.name not in known
    }
    found = codes.codes_in(numbers)
    return [
        column
        if column.name not in found
        else replace(
            column,
            missing=found[column.name],
            notes=(*column.notes, codes.told(column.name, found, numbers)),
        )
        for column in columns
    ]


def as_read(
    frame: "pd.DataFrame", columns: Sequence[Column], levels: Mapping[str, Distinct] = MappingProxyType({})
) -> "pd.DataFrame":
    """The frame with numbers and dates in the place of text that writes them, levels in that of categories, and
    nothing in that of codes for missing: what comes after need not take text apart again. A column of dates some of
    which are none stays text."""
    import pandas as pd

    read: dict[str, Any] = {}
    for column in columns:
        name = column.name
        if name not in frame.columns:
            continue
        is_text = isinstance(frame[name].dtype, pd.StringDtype)
        if column.kind == "number" and (column.form is not None or column.missing):
            read[name] = numbers_in(frame[name], column.form, column.missing)
        elif column.kind == "date" and is_text:
            dates = dates_in(frame[name], column.format)
            if dates.notna().sum() == frame[name].notna().sum():
                # of one kind, whether seconds have decimals or not
                read[name] = dates.astype("datetime64[us]")
        elif column.kind == "category" and is_text:
            is_there = frame[name].notna()
            known = levels.get(name) or Distinct.of(frame[name][is_there])
            read[name] = known.levels(is_there.to_numpy(dtype=bool))
    return replaced(frame, read)


def tell(
    name: str, values: "pd.Series[Any]", decimal: Mark = "", levels: dict[str, Distinct] | None = None
) -> Column:
    """The kind of a column, from its name and values alone. levels: takes those of a category."""
    present = values.dropna() if values.hasnans else values
    column = _tell(name, values, present, decimal, {} if levels is None else levels)
    if column.kind != "drop" and (note := _nearly_constant(present)):
        return replace(column, notes=(*column.notes, note))
    return column


def _tell(
    name: str, values: "pd.Series[Any]", present: "pd.Series[Any]", decimal: Mark, levels: dict[str, Distinct]
) -> Column:
    """present: the values that are not missing."""
    import pandas as pd

    if not len(present):
        return Column(name, "drop", "holds nothing")
    is_plain = all(isinstance(value, str | int | float | bool) for value in present.iloc[:3].tolist())
    try:
        if is_plain and len(present) < len(values) and present.nunique() == 1:
            return Column(name, "category")  # there or not there is what it says
    except TypeError:  # lists, mappings
        return Column(name, "drop", "holds neither numbers nor text nor dates")
    if pd.api.types.is_datetime64_any_dtype(values):
        return Column(name, "date")
    if pd.api.types.is_bool_dtype(values) or pd.api.types.infer_dtype(present) == "boolean":
        return Column(name, "category") if present.nunique() > 1 else _constant(name, present)
    if pd.api.types.is_timedelta64_dtype(values) or pd.api.types.is_complex_dtype(values):
        return Column(name, "drop", f"holds {values.dtype}, which is not supported")
    if pd.api.types.is_numeric_dtype(values):
        return _tell_numbers(name, present, len(values))
    return _tell_text(name, present, len(values), decimal, levels)


def _tell_numbers(name: str, present: "pd.Series[Any]", rows: int) -> Column:
    if present.min() == present.max():
        return _constant(name, present)
    if written := counted_format(name, present):
        first = f"{present.iloc[0]:.12g} is {parsed(present.iloc[:1], written).iloc[0]:%Y-%m-%d}"
        note = f"holds dates{in_words(written)}, by its name: {first}; --column {name}=number"
        notes = (f"{note} takes them as numbers", *no_dates(present, written))
        return Column(name, "date", format=written, notes=notes)
    if _counts_rows(name, present, rows):
        return Column(name, "drop", "numbers the rows")
    return _by_name(name, present, present, rows) or Column(name, "number")


def _by_name(name: str, numbers: "pd.Series[Any]", written: "pd.Series[Any]", rows: int) -> Column | None:
    """Of numbers that are none by their name and length, such as phone numbers; else None. written: as they are."""
    what, is_input = kind_of_numbers(name, numbers)
    if what and not is_input:
        return Column(name, "drop", f"holds {what}")
    if not what:
        return None
    text = written.astype(str)
    if _category_or_identifier(name, text, Distinct.of(text), rows).kind == "category":
        note = f"holds {what}: a category; --column {name}=number takes them as numbers"
        return Column(name, "category", notes=(note,))
    return None


def _tell_text(
    name: str, present: "pd.Series[Any]", rows: int, decimal: Mark, levels: dict[str, Distinct]
) -> Column:
    import pandas as pd

    text, is_text = present, isinstance(present.dtype, pd.StringDtype)
    try:
        if present.iloc[:FEWEST].nunique() <= 1 and present.nunique() <= 1:
            return _constant(name, present)
        if not is_text:
            present.nunique()
    except TypeError:  # lists, mappings
        return Column(name, "drop", "holds neither numbers nor text nor dates")
    if isinstance(present.dtype, pd.CategoricalDtype):
        return Column(name, "category")
    text = present if is_text else present.astype(str)
    if example := _code(text):
        column = _category_or_identifier(name, text, Distinct.of(text), rows)
        note = f"holds codes such as {example}: a category"
        return column if column.kind == "drop" else replace(column, notes=(note,))
    apart = TakenApart(present, decimal)
    numbers, form = _numbers_of_text(present, apart)
    if numbers is not None and form is None and not np.isnan(numbers).any():
        exact = pd.to_numeric(present)  # objects still, where numbers beyond 64 bits are among others
        told = pd.Series(numbers, present.index) if exact.dtype == object else exact
        return _tell_numbers(name, told, rows)
    if numbers is not None:
        return _amounts(name, present, text, numbers, form, rows)
    if dates := date_format(name, text):
        return Column(
            name, "date", format=dates[0], notes=(*filter(None, dates[1:]), *no_dates(present, dates[0]))
        )
    found = Distinct.of(text)
    column = _category_or_identifier(name, text, found, rows)
    if column.kind == "category" and is_text:
        levels[name] = found
    return replace(column, notes=tuple(_of_text(name, present, text, apart)))


def _code(text: "pd.Series[Any]") -> str:
    """The first code with a zero in front, of a column that is mostly digits; else ""."""
    with_zero = text[text.str.startswith("0")]
    marked = with_zero[with_zero.str.fullmatch(CODE)]
    return marked.iloc[0] if len(marked) and text.str.fullmatch(r"\d+").mean() >= MOSTLY else ""


def _amounts(
    name: str, present: "pd.Series[Any]", text: "pd.Series[Any]", numbers: Any, form: Form | None, rows: int
) -> Column:
    """Of text that is numbers. text: the values, all as such."""
    import pandas as pd

    are_known = ~np.isnan(numbers)
    is_bare = form is not None and not (form.currency or form.unit)
    if is_bare and (named := _by_name(name, pd.Series(numbers[are_known]), text[are_known], rows)):
        return named
    plain = present[are_known] if form is None else None
    if plain is not None and _counts_rows(name, pd.to_numeric(plain), rows):
        return Column(name, "drop", "numbers the rows")
    return Column(name, "number", form=form, notes=tuple(conversion(present, numbers)))


def _numbers_of_text(present: "pd.Series[Any]", apart: TakenApart) -> "tuple[Any, Form | None]":
    """The numbers of a column of text, and their form, None where they stand there as they are; None where it is
    not mostly numbers."""
    import pandas as pd

    sample = some(present, 1000)  # tells most texts from numbers at once
    numbers = pd.to_numeric(sample, errors="coerce")
    if numbers.notna().mean() > MOSTLY / 2:
        numbers = pd.to_numeric(present, errors="coerce")
    share = float(numbers.notna().mean())
    if share == 1:
        return numbers_in(present), None
    form = apart.form()
    if form is not None:
        return amounts_in(present, form), form
    return (numbers_in(present), None) if share >= MOSTLY else (None, None)


def _share_of_numbers(present: "pd.Series[Any]", form: Form | None) -> float:
    """Of all, but where a few from all over the column have hardly any: of these."""
    few = some(present, 1000)
    share = float((~np.isnan(numbers_in(few, form))).mean())
    return share if share < HALF / 2 else float((~np.isnan(numbers_in(present, form))).mean())


def _of_text(name: str, present: "pd.Series[Any]", text: "pd.Series[Any]", apart: TakenApart) -> list[str]:
    """What is to be said of a column that stays text."""
    if units := apart.units():
        return [
            f"holds numbers in several units ({', '.join(units[:4])}), which are left as text; write them in one unit"
        ]
    share = _share_of_numbers(present, apart.form(HALF))
    if share >= HALF:
        return [
            f"holds numbers in {100 * share:.0f} % of its cells, too few to be read so: --column {name}=number reads "
            "them, and the others count as missing"
        ]
    if mark := answers_mark(text):
        return [
            f"holds several answers in a cell, with {mark!r} between, such as {text.iloc[0]!r:.40}: each combination "
            "counts as a level; a column for each answer says more"
        ]
    return []


def _category_or_identifier(name: str, text: "pd.Series[Any]", found: Distinct, rows: int) -> Column:
    """found: what is different in the text."""
    share = len(found.texts) / len(text)
    alone = int((found.counts == 1).sum()) / len(text)
    kept = len(text) if len(found.texts) <= LEVELS else np.partition(found.counts, -LEVELS)[-LEVELS:].sum()
    if rows < FEWEST or (share < IDENTIFYING and alone <= ONCE and kept >= LEAST * len(text)):
        return Column(name, "category")
    if what := kind_of_text(text):
        return Column(name, "drop", f"holds {what}")
    words = found.mean(found.texts.str.count(" ")) + 1
    if share >= IDENTIFYING:
        if words >= SENTENCE:
            return Column(name, "drop", "is free text, which is not read")
        return Column(
            name, "drop", f"differs in {_share(len(found.texts), len(text))}, as an identifier does"
        )
    if words >= SENTENCE / 2:
        return Column(name, "drop", "is free text, which is not read")
    few = f"repeats too little: its {LEVELS} commonest values stand in {100 * kept / len(text):.2g} % of the rows"
    return Column(name, "drop", "has a value of its own in most rows" if alone > ONCE else few)


def _share(distinct: int, rows: int) -> str:
    return "every row" if distinct == rows else f"{100 * distinct // rows} % of the rows"


def _nearly_constant(present: "pd.Series[Any]") -> str:
    """Where all but a few values are one: this, in words."""
    if len(present) < 1 / (1 - NEARLY):
        return ""
    few = every(present, len(present) // 1000 + 1).value_counts()
    if few.iloc[0] < (2 * NEARLY - 1) * few.sum():
        return ""
    others = int((present != few.index[0]).sum())
    if not 0 < others < (1 - NEARLY) * len(present):
        return ""
    return f"is {few.index[0]!s:.40} in all but {others} of {len(present)} rows"


def _constant(name: str, present: "pd.Series[Any]") -> Column:
    return Column(name, "drop", f"is {present.iloc[0]!s:.40} everywhere")


def _counts_rows(name: str, present: "pd.Series[Any]", rows: int) -> bool:
    """Whether whole numbers are identifiers: all different, and named so, or counting up row by row."""
    if len(present) < rows or rows < FEWEST:
        return False
    if any(bool((part != part.round()).any()) for part in (present.iloc[:FEWEST], present)):
        return False
    if is_unnamed(name) or _NAMED_ID.search(name) or _CAMEL_ID.search(name):
        return bool(present.nunique() == rows)
    return all(bool((part.diff().iloc[1:] == 1).all()) for part in (present.iloc[:FEWEST], present))


def columns_in_words(columns: Sequence[Column]) -> list[str]:
    """Which columns are numbers, categories, dates and left out, a sentence each."""
    kept = {kind: [c.name for c in columns if c.kind == kind] for kind in ("number", "category", "date")}
    plural = {"number": "numbers", "category": "categories", "date": "dates"}
    lines = [
        f"{len(names)} {plural[kind] if len(names) > 1 else kind}: {listed(names)}."
        for kind, names in kept.items()
        if names
    ]
    dropped = [f"{short(c.name)} ({c.why})" for c in columns if c.kind == "drop"]
    if dropped:
        lines.append(f"Not used: {dozen(dropped)}; --column NAME=number|category|date says otherwise.")
    return lines
