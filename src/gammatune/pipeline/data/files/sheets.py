"""Of several tables in one file the one to read: sheets of a spreadsheet, frames of R, files in a .zip."""

from collections.abc import Mapping
from difflib import get_close_matches

from gammatune.errors import InvalidArgument


def choose(name: str, sizes: Mapping[str, int], asked: str | None, said: list[str], noun: str) -> str:
    """The table that is asked for, else the largest, which is said.

    name: of the file. sizes: of its tables, by their names. noun: what these are ("sheets").
    Raises InvalidArgument where none of several is called as asked."""
    found = None if asked is None else _called(asked, list(sizes))
    if found is not None:
        return found
    largest = max(sizes, key=lambda table: sizes[table])  # the first of those alike
    listed = ", ".join(list(sizes)[:8]) + (", ..." if len(sizes) > 8 else "")
    if asked is not None and len(sizes) > 1:
        near = get_close_matches(asked, sizes, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InvalidArgument(f"--sheet {asked}: {name} has the {noun} {listed}{hint}; name one of them")
    if asked is not None:
        said.append(f"{name} has one table, {largest}, and none called {asked}: it was read.")
    elif len(sizes) > 1:
        said.append(
            f"{name} has {len(sizes)} {noun} ({listed}): {largest} was read, the largest. --sheet NAME reads another."
        )
    return largest


def _called(asked: str, names: list[str]) -> str | None:
    """As it is written, or in another case, or by its number from 1 on."""
    alike = [each for each in names if each.strip().lower() == asked.strip().lower()]
    if asked in names or alike:
        return asked if asked in names else alike[0]
    return names[int(asked) - 1] if asked.isdecimal() and 0 < int(asked) <= len(names) else None
