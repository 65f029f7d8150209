"""Numbers as people write them, 1,234.5 or 1.234,5: told for a file as a whole, as one hand wrote it.

    a decimal comma is proved by   3,5   0,125   1.234,5   1.234.567
    a decimal point by             3.5   0.125   1,234.5   1,234,567
    nothing by                     1,234   1.234   1234

Where one of the two is proved in a column of numbers, the other mark groups digits in every column. Where neither is
or both are, numbers are read as those of the table trained on; else a comma begins decimals where semicolons part the
columns, and groups digits elsewhere.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from gammatune.pipeline.data.cells.plain_numbers import CODE, plain_numbers
from gammatune.pipeline.data.cells.sample import some

if TYPE_CHECKING:
    import pandas as pd

Mark: TypeAlias = Literal[",", ".", ""]  # between a number and its decimals; "" where nothing tells

_FIRST = 100  # values at the beginning, which are at hand

_MARKS: tuple[Mark, Mark] = (",", ".")
_OTHER: dict[Mark, Mark] = {",": ".", ".": ","}


def _forms(decimal: Mark) -> tuple[str, str, str]:
    """Patterns: any number, one that proves `decimal`, one whose digits the other mark groups."""
    d, g = rf"\{decimal}", rf"\{_OTHER[decimal]}"
    grouped = rf"[1-9]\d{{0,2}}({g}\d{{3}})+"
    proof = "|".join(
        (
            rf"\d+{d}(\d{{1,2}}|\d{{4,}})",
            rf"(0\d*|[1-9]\d{{3,}})?{d}\d{{3}}",
            rf"{d}\d+",
            rf"{grouped}{d}\d*",
            rf"[1-9]\d{{0,2}}({g}\d{{3}}){{2,}}",
        )
    )
    whole = r"\s*[+-]?({})([eE][+-]?\d+)?\s*"
    return (
        whole.format(rf"({grouped}|\d+)({d}\d*)?|{d}\d+"),
        whole.format(proof),
        whole.format(rf"{grouped}({d}\d*)?"),
    )


NUMBER, PROOF, _GROUPED = ({mark: _forms(mark)[i] for mark in _MARKS} for i in range(3))
_OPEN = r"\s*[+-]?[1-9]\d{0,2}\.\d{3}\s*"
_EITHER = f"{NUMBER[',']}|{NUMBER['.']}"


def read_numbers(
    frame: "pd.DataFrame",
    name: str,
    said: list[str],
    *,
    semicolons: bool,
    learned: Mark = "",
    wanted: Mark | None = None,
    known: "Mapping[str, pd.Series[Any]]" = MappingProxyType({}),
) -> "tuple[pd.DataFrame, Mark]":
    """Columns of text as numbers, where they hold them, and what parts decimals.

    name: of the file. semicolons: they part its columns. learned: what parts decimals in the table trained on.
    wanted: what does here, whatever the columns prove; None: they tell. known: columns of plain numbers, by name.
    """
    # Words may stand between numbers; but without semicolons a comma may as well part the choices of an answer (1,3).
    least = 0.5 if semicolons else 1 - 1e-9  # half: a guess
    looked = ((name, known.get(name)) for name in frame.columns)
    tried = ((name, plain_numbers(frame[name]) if found is None else found) for name, found in looked)
    plain = {name: found for name, found in tried if found is not None}
    columns = [
        c for name in frame.columns if (c := _Column.of(frame[name], least, plain.get(name))) is not None
    ]
    proved: set[Mark] = (
        {wanted} if wanted else {mark for mark in _MARKS if any(column.proves(mark) for column in columns)}
    )
    marks = frozenset[Mark]().union(*(column.marks for column in columns))
    decimal = _decide(proved, marks, semicolons, learned)
    if not decimal:
        return _converted(frame, plain), ""
    told = len(proved) == 1
    as_trained = ", as the table trained on does" if learned == decimal and not told else ""
    decimals, grouped = False, None
    for column in columns:
        if not column.marks or (decimal == "." and column.marks == {"."}):
            continue  # numbers as they are
        text = column.text
        here = text.str.fullmatch(NUMBER[decimal], na=False)
        if column.proves(_OTHER[decimal]):  # of another hand
            if decimal == "." or not column.proves(","):
                continue
            here &= ~text.str.fullmatch(_OPEN, na=False)  # or of two, to whom both marks begin decimals
        elif here.sum() <= least * text.notna().sum():
            continue
        bare = text.str.replace(_OTHER[decimal], "", regex=False).str.replace(decimal, ".", regex=False)
        in_groups = here & text.str.fullmatch(_GROUPED[decimal], na=False)
        decimals |= decimal == "," and bool(text[here].str.contains(",", regex=False).any())
        if grouped is None and in_groups.any():
            grouped = str(text[in_groups].iloc[0]).strip()
        frame[text.name] = text.where(~here, bare)
        plain.pop(text.name, None)
    if decimals:
        said.append(f"{name} writes decimals with a comma{as_trained}.")
    if grouped is not None:
        mark = "comma" if decimal == "." else "dot"
        said.append(f"{name} groups digits with a {mark} ({grouped}){as_trained}.")
    if decimal == "." and not told and not learned:
        said += _assumed(name, columns)
    return _converted(frame, plain), decimal


def _decide(proved: set[Mark], marks: frozenset[Mark], semicolons: bool, learned: Mark) -> Mark:
    if len(proved) == 1:
        return next(iter(proved))
    if not marks:
        return ""
    return learned or ("," if semicolons and "," in marks else ".")


def _assumed(name: str, columns: "Sequence[_Column]") -> list[str]:
    """A sentence where numbers such as 1.619 were read as they stand, and nothing tells whether they are meant so."""
    for column in columns:
        if column.proves("."):
            continue
        dotted = column.text[column.text.str.fullmatch(_GROUPED[","], na=False)]
        if len(dotted):
            return [
                f"{name} does not tell whether the point in {dotted.iloc[0].strip()} ({column.text.name}) begins "
                "decimals or groups digits: it was read as a decimal point; where it groups digits, say --decimal ,"
            ]
    return []


@dataclass(frozen=True, eq=False)
class _Column:
    """marks: that occur in it. plain: every value is a number as programs write it, and so proves no comma."""

    text: "pd.Series[Any]"
    marks: frozenset[Mark]
    plain: bool

    @cached_property
    def few(self) -> tuple[str, ...]:
        """Values from all over the column, which tell most texts from numbers at once."""
        return tuple(value for value in _few(self.text).tolist() if isinstance(value, str))

    @classmethod
    def of(cls, text: "pd.Series[Any]", least: float, plain: "pd.Series[Any] | None") -> "_Column | None":
        """None where too few are numbers. plain: all of them, where they are known."""
        if plain is not None:
            first = text.iloc[:_FIRST].dropna().tolist()
            has_point = plain.dtype.kind == "f" and (
                any("." in value for value in first) or text.str.contains(".", regex=False).any()
            )
            return cls(text, frozenset({"."} if has_point else set[Mark]()), True)
        few = cls(text, frozenset(), False).few
        numbers = sum(re.fullmatch(_EITHER, value) is not None for value in few)
        if numbers <= least * len(few):
            return None
        marks = {mark for mark in _MARKS if any(mark in value for value in few)}
        if len(few) < len(text):  # else they are all
            marks |= {m for m in _MARKS if m not in marks and text.str.contains(m, regex=False).any()}
            if "," in marks and text.str.fullmatch(_EITHER, na=False).sum() <= least * text.notna().sum():
                return None
        return cls(text, frozenset(marks), False)

    def proves(self, mark: Mark) -> bool:
        if self.plain and mark not in self.marks:
            return False
        if any(re.fullmatch(PROOF[mark], value) for value in self.few):
            return True
        rest = self.marks and len(self.few) < len(self.text)
        return bool(rest and self.text.str.fullmatch(PROOF[mark], na=False).any())


def _few(text: "pd.Series[Any]") -> "pd.Series[Any]":
    return some(text, 100)


def _converted(frame: "pd.DataFrame", plain: "Mapping[Any, pd.Series[Any]]") -> "pd.DataFrame":
    """With numbers where all of a column are. plain: those that are known."""
    import pandas as pd

    columns = {
        name: plain[name] if name in plain else _number_where_all_are(frame[name]) for name in frame.columns
    }
    return pd.DataFrame(columns, index=frame.index, copy=False)


def _number_where_all_are(text: "pd.Series[Any]") -> "pd.Series[Any]":
    import pandas as pd

    if (
        pd.to_numeric(_few(text).dropna(), errors="coerce").isna().any()
        or text.str.fullmatch(CODE, na=False).any()
    ):
        return text
    numbers = pd.to_numeric(text, errors="coerce")
    return text if (numbers.isna() & text.notna()).any() else numbers
