"""How a file of a table is written, and other rows written alike."""

import codecs
import csv
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress, count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np

from gammatune.errors import InvalidArgument
from gammatune.files import whole_file
from gammatune.pipeline.data.files.learned import NOTHING, Layout, Learned

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Dialect:
    """separator: between columns. decimal: between a number and its decimals. encoding: by Python's names;
    "utf-8-sig" begins with a mark."""

    separator: str = ","
    decimal: Literal[",", "."] = "."
    encoding: str = "utf-8"

    def number(self, value: float) -> str:
        """The shortest text that is read back as it."""
        return repr(value).replace(".", self.decimal)


PLAIN = Dialect()


@dataclass(frozen=True, slots=True)
class HowToRead:
    """What was asked of the reading of a file; None, 0 and nothing: told from the file.

    sheet: of several in a file. header: the line, from 1, that holds the names of the columns; 0: no line does.
    encoding: by Python's names. delimiter: between columns. decimal: between a number and its decimals. skip_last:
    lines at the end that are no rows, blank ones not counted; 0: none is. missing: what stands for a missing value,
    beside what is known.
    """

    sheet: str | None
    header: int | None
    encoding: str | None
    delimiter: str | None
    decimal: Literal[",", "."] | None
    skip_last: int | None
    missing: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raises InvalidArgument."""
        if self.decimal not in (None, ",", "."):
            raise InvalidArgument(f"--decimal {self.decimal}: give . or ,")
        for option, number in (("--header", self.header), ("--skip-last", self.skip_last)):
            if number is not None and number < 0:
                raise InvalidArgument(f"{option} {number}: give a whole number of 0 or more")


AS_IT_IS = HowToRead(None, None, None, None, None, skip_last=None, missing=())


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a table as it was read. names: of the columns. rows: how many.

    Of text, written: the names as the file has them; totals: rows behind the others that sum them up; again: places,
    from 0, of rows among them that are the names once more. how: what was asked. learned: by what it was read.
    """

    path: str
    dialect: Dialect
    names: tuple[str, ...]
    rows: int
    written: tuple[str, ...] = ()
    totals: int = 0
    again: tuple[int, ...] = ()
    how: HowToRead = AS_IT_IS
    learned: Learned = NOTHING

    @property
    def lines(self) -> int:
        """How many rows the file holds that are no notes."""
        return self.rows + len(self.again) + self.totals

    def rows_of(self, rows: Iterable[list[str]]) -> Iterator[list[str]]:
        """Of all the rows of the file those of the table."""
        again = frozenset(self.again)
        return islice((row for place, row in enumerate(rows) if place not in again), self.rows)


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """frame: with numbers where a column holds nothing else. decimal: as the file writes it; "" where nothing tells.
    dialect: how it is written otherwise. source: the file, once it is read. rows: gives those of text as the file has
    them. labels: what it says of columns beside their names, by these. layout: where it has lines."""

    frame: "pd.DataFrame"
    decimal: Literal[",", ".", ""]
    dialect: Dialect = PLAIN
    source: Source | None = None
    rows: Callable[[], Iterator[list[str]]] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    layout: Layout | None = None


_MIDNIGHT = " 00:00:00"


def without_clash(names: Iterable[str], taken: Container[str]) -> list[str]:
    """The names, those that are taken with a number behind them: 'prediction 2'."""
    return [
        name if name not in taken else next(n for i in count(2) if (n := f"{name} {i}") not in taken)
        for name in names
    ]


def cells_of(frame: "pd.DataFrame", dialect: Dialect) -> Iterator[list[str]]:
    """The rows of a frame, by cell; what is missing is empty."""
    columns = [_texts(frame.iloc[:, place], dialect) for place in range(frame.shape[1])]
    return map(list, zip(*columns, strict=True))


def _texts(values: "pd.Series[Any]", dialect: Dialect) -> list[str]:
    there = values.notna().tolist()
    if values.dtype.kind == "f":
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        known = numbers[there]
        is_whole = (known == np.round(known)).all() and (
            np.abs(known) < 2**53
        ).all()  # but that some are missing
        texts = list(map("{:.0f}".format if is_whole else dialect.number, numbers.tolist()))
    else:
        texts = [str(value) for value in values.tolist()]
        if values.dtype.kind == "M" and all(cell.endswith(_MIDNIGHT) for cell in compress(texts, there)):
            texts = [cell.removesuffix(_MIDNIGHT) for cell in texts]  # days
    return [text if is_there else "" for text, is_there in zip(texts, there, strict=True)]


def write_rows(
    out: str,
    dialect: Dialect,
    header: Sequence[str],
    rows: Callable[[], Iterable[Sequence[str]]],
    said: list[str],
) -> None:
    """Write them, whole or not at all, so that `out` may be the file that they are read from; in UTF-8 where the
    encoding has no sign for one of them, which is said.

    rows: gives them, from the first; asked twice where they have to be written in UTF-8.
    Raises InvalidArgument where the file cannot be written."""

    def write(file: BinaryIO) -> None:
        writer = csv.writer(codecs.getwriter(dialect.encoding)(file), delimiter=dialect.separator)
        writer.writerow(header)
        writer.writerows(rows())

    try:
        path = Path(out).resolve() if out else Path(out)
        if path.is_file() or not path.exists():
            whole_file(path, write)
        else:  # a pipe
            with path.open("wb") as file:
                write(file)
    except UnicodeEncodeError as error:
        sign = error.object[error.start]
        said.append(f"{sign!r} cannot be written in {dialect.encoding}: {out} is in UTF-8.")
        write_rows(out, replace(dialect, encoding="utf-8-sig"), header, rows, said)
    except OSError as error:
        raise InvalidArgument(
            f"cannot write {out or 'to an empty name'} ({error.strerror or error}); choose another place with --out"
        ) from error
