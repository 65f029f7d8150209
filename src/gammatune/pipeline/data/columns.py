"""What is known of the columns of a table: the records of what they are and of what a user said, and their names."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from gammatune.errors import InvalidArgument
from gammatune.pipeline.data.cells.amounts import Form

Kind: TypeAlias = Literal["number", "category", "date", "drop"]
Use: TypeAlias = Kind | Literal["target", "group", "weight"]
LEVELS = 500  # of a category at most, the most frequent ones; the others count as unknown [guess]
LONGEST = 40  # letters of a name among others: whole questions fill a screen (guess)
KINDS: tuple[Kind, ...] = ("number", "category", "date", "drop")

_UNNAMED = re.compile(r"unnamed: \d+(\.\d+)*|\.\.\.\d+", re.I)  # by pandas; by R's tibbles


@dataclass(frozen=True, slots=True)
class Column:
    """name: as in the file. kind: see `data.looking`. why: of one left out, in words. format: of dates that are no
    dates yet, see `cells.dates`; None where the file holds dates. form: of numbers that are text. missing: numbers
    that stand for missing. notes: what is unusual in it, in words that follow its name."""

    name: str
    kind: Kind
    why: str = ""
    format: str | None = None
    form: Form | None = None
    missing: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sentences(self) -> list[str]:
        return [f"{self.name} {note}." for note in self.notes]


@dataclass(frozen=True, slots=True)
class Given:
    """What a user said of a column. kind, format, form, missing: as in `Column`, None where that is to be told. why:
    of one left out. place: where it was said, of a file."""

    kind: Kind | None
    format: str | None = None
    form: Form | None = None
    missing: tuple[float, ...] | None = None
    why: str = "as asked"
    place: str = ""


@dataclass(frozen=True, slots=True)
class ColumnReading:
    """name: as in the table. kind: "number", "category", "date", "drop", or "target", "group" or "weight". holds: its
    range, or its commonest values. missing: rows without a value. note: why it is left out, or what becomes of its
    values. surprise: whether that is worth a look."""

    name: str
    kind: Use
    holds: str
    missing: int
    note: str
    surprise: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """What was understood of a table. readings: of all its columns, in their order. columns: what is known of those
    that are no group and no weight, the target among them, by which they are read again. uses: of columns that are no
    inputs. sentences: those that say the same."""

    readings: tuple[ColumnReading, ...]
    columns: tuple[Column, ...]
    uses: Mapping[str, Use]
    sentences: tuple[str, ...]


def is_unnamed(name: Any) -> bool:
    """Whether a program calls a column so by its place, here or when it wrote the file, since it has no name."""
    return isinstance(name, str) and _UNNAMED.fullmatch(name) is not None


def keep_their_names(names: Sequence[Any]) -> bool:
    """Whether columns that a program once called by their place stand elsewhere now, and so have those as names."""
    counted = [(place, re.search(r"\d+", name)) for place, name in enumerate(names) if is_unnamed(name)]
    first = 1 if any(str(name).startswith("...") for name in names) else 0
    return any(found is not None and int(found[0]) != place + first for place, found in counted)


def kinds_given(columns: Sequence[str], drop: Sequence[str]) -> dict[str, Given]:
    """`NAME=KIND` lines and names to drop, by name. Raises InvalidArgument where one is neither."""
    found = {name: Given("drop") for name in drop}
    for line in columns:
        name, equals, kind = line.rpartition("=")
        kind, colon, written = kind.partition(":")
        if not equals or kind not in KINDS or (colon and kind != "date"):
            raise InvalidArgument(
                f"--column {line}: write NAME=number, NAME=category, NAME=date (or NAME=date:%d/%m/%Y, as the dates "
                "are written) or NAME=drop"
            )
        found[name] = Given(kind, format=written or None)
    return found


def listed(names: Any) -> str:
    """'age, income, city, ...': the first dozen, of long ones the beginning."""
    return dozen([short(name) for name in names])


def dozen(texts: Sequence[str]) -> str:
    """The first dozen, and how many there are."""
    return ", ".join(texts[:12]) + (f", ... ({len(texts)} in all)" if len(texts) > 12 else "")


def short(name: Any) -> str:
    """Of a long name the beginning."""
    text = str(name)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3].rstrip()}..."
