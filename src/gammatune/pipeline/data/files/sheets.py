"""Of several tables in one file the one to read: sheets of a spreadsheet, frames of R, files in a .zip."""

from collections.abc import Mapping
from difflib import get_close_matches

from gammatune.errors import InvalidArgument


def choose(name: str, sizes: Mapping[str, int], sheet: str | None, said: list[str], noun: str) -> str:
    """The table that is meant, else the largest, which is said.

    name: of the file. sizes: of its tables, by their names. sheet: the one that
    `--sheet` names. noun: what these are ("sheets").
    Raises InvalidArgument where none of several is called so."""
    found = None if sheet is None else _called(sheet, list(sizes))
    if found is not None:
        return found
    largest = max(sizes, key=lambda table: sizes[table])  # the first of those alike
    listed = ", ".join(list(sizes)[:8]) + (", ..." if len(sizes) > 8 else "")
    if sheet is not None and len(sizes) > 1:
        near = get_close_matches(sheet, sizes, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InvalidArgument(f"--sheet {sheet}: {name} has the {noun} {listed}{hint}; name one of them")
    if sheet is not None:
        said.append(f"{name} has one table, {largest}, and none called {sheet}: it was read.")
    elif len(sizes) > 1:
        said.append(
            f"{name} has {len(sizes)} {noun} ({listed}): {largest} was read, the largest. --sheet NAME reads another."
        )
    return largest


def _called(sheet: str, names: list[str]) -> str | None:
    """As it is written, or in another case, or by its number from 1 on."""
    alike = [each for each in names if each.strip().lower() == sheet.strip().lower()]
    if sheet in names or alike:
        return sheet if sheet in names else alike[0]
    return names[int(sheet) - 1] if sheet.isdecimal() and 0 < int(sheet) <= len(names) else None
