"""What was understood of a table, column by column: what is worth a look first, the others in a line each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gammatune.report.held import listed, mapping, whole

SHOWN = 60  # columns without a surprise, on a terminal


@dataclass(frozen=True, slots=True)
class Understood:
    """A column. missing: rows without a value."""

    name: str
    kind: str
    holds: str
    missing: int
    note: str
    surprise: bool

    @property
    def cells(self) -> tuple[str, ...]:
        return self.name, self.kind, self.holds, str(self.missing or ""), self.note

    @property
    def line(self) -> str:
        if self.kind == "drop":
            return f"  {self.name}: not used; {self.note}"
        missing = f", {self.missing} missing" if self.missing else ""
        note = f"; {self.note}" if self.note else ""
        return f"  {self.name}: {self.kind}, {self.holds}{missing}{note}"


def understood(held: Any) -> list[Understood]:
    """Of what a journal holds, surprises first; nothing of what is no column."""
    columns = [mapping(each) for each in listed(held)]
    found = [
        Understood(
            str(each["name"]),
            str(each.get("kind", "")),
            str(each.get("holds", "")),
            whole(each.get("missing")) or 0,
            str(each.get("note", "")),
            each.get("surprise") is True,
        )
        for each in columns
        if "name" in each
    ]
    return sorted(found, key=lambda column: not column.surprise)


def lines_of(columns: Sequence[Understood]) -> list[str]:
    """For a terminal."""
    if not columns:
        return []
    odd = [column.line for column in columns if column.surprise]
    plain = [column.line for column in columns if not column.surprise]
    more = [f"  and {len(plain) - SHOWN} more"] if len(plain) > SHOWN else []
    return [
        *(["Columns worth a look:", *odd] if odd else []),
        *(["As they are:", *plain[:SHOWN], *more] if plain else []),
    ]
