"""What the file of a table trained on taught, by which other files are read: of few rows little can be told."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gammatune.pipeline.data.cells.numerals import Mark
from gammatune.pipeline.data.cells.spelling import plain
from gammatune.pipeline.data.files.grid import Row, text_of

_TITLES = 20  # lines above the names that may be titles, at most [guess]


@dataclass(frozen=True, slots=True)
class Layout:
    """Which lines of a file are no rows, and how it is written.

    lines: cell by cell, first those that hold the names, then those that explain these; none where the file has no
    names. names: how many hold them. notes: what stands behind the rows. separator, encoding: of text; "" of others.
    """

    lines: tuple[tuple[str, ...], ...]
    names: int
    notes: tuple[str, ...]
    separator: str = ""
    encoding: str = ""

    @classmethod
    def of(cls, saved: Mapping[str, Any] | None) -> "Layout | None":
        """The record that was saved as JSON. Raises TypeError, ValueError where it is another."""
        if saved is None:
            return None
        lines, notes = tuple(tuple(map(str, line)) for line in saved["lines"]), map(str, saved["notes"])
        return cls(lines, int(saved["names"]), tuple(notes), str(saved["separator"]), str(saved["encoding"]))

    def again(self, rows: Sequence[Row]) -> tuple[list[int], list[int]] | None:
        """Where these lines stand in the rows of another file, which may lack columns or have others: those that
        hold names, and those that explain them, which may be gone. None where names do not."""
        for place, row in enumerate(rows[:_TITLES]):
            columns = self._columns(row) if self.lines else None
            if columns is not None:
                count = 1 + sum(1 for _ in self._following(columns, rows[place + 1 :]))
                found = list(range(place, place + count))
                return (found[: self.names], found[self.names :]) if count >= self.names else None
        return None

    def _following(self, columns: Sequence[int | None], rows: Sequence[Row]) -> Iterator[None]:
        """One for each of the lines beneath the first that is there again."""
        for line, row in zip(self.lines[1:], rows, strict=False):
            pairs = [
                (text_of(cell), line[column])
                for cell, column in zip(row, columns, strict=False)
                if column is not None and column < len(line)
            ]
            if not any(there for _, there in pairs) or any(
                plain(here) != plain(there) for here, there in pairs
            ):
                return
            yield

    def _columns(self, row: Row) -> list[int | None] | None:
        """Which column each cell of the first of the lines names; one without a name by that before it. None where
        hardly any does."""
        first = self.lines[0]
        left: dict[str, list[int]] = {}
        for column, name in enumerate(first):
            left.setdefault(plain(name), []).append(column)
        texts, found = [plain(text_of(cell)) for cell in row], list[int | None]()
        for text in texts:
            before = found[-1] if found else -1
            if text:
                places = left.get(text)
                found.append(places.pop(0) if places else None)
            elif before is not None and before + 1 < len(first) and not first[before + 1]:
                found.append(before + 1)
            else:
                found.append(None)
        hits = sum(column is not None for text, column in zip(texts, found, strict=True) if text)
        here, there = sum(map(bool, texts)), sum(map(bool, first))
        return found if hits >= max(min(2, there), here / 2, there / 2) else None


@dataclass(frozen=True, slots=True)
class Learned:
    """decimal: what parts decimals, "" where nothing told it. layout: None where the file has no lines."""

    decimal: Mark = ""
    layout: Layout | None = None


NOTHING = Learned()
