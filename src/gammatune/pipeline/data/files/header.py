"""Which lines of a grid hold the names of its columns: told by what stands beneath them.

names over figures       text, where the column holds numbers or dates
a row like the others    figures over figures; words that occur again beneath
counted names            2019, 2020, 2021 or 0, 1, 2, over rows of other numbers
a second line            text again, where the columns hold figures: joined to the first (weight, kg), or left out
                         where it explains (How old are you?)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gammatune.pipeline.data.files.grid import (
    LOOKED_AT,
    Row,
    columns_of,
    extent,
    filled,
    kind_of,
    text_of,
    usual_extent,
)
from gammatune.pipeline.data.files.learned import Layout
from gammatune.pipeline.data.files.second_line import (
    FEW,
    asks,
    fills,
    imported,
    is_second,
    merged,
    over,
    recurs,
    tells_apart,
)

_TITLES = 20  # lines above the names that may be titles, at most [guess]


@dataclass(frozen=True, slots=True)
class Header:
    """Lines of a grid, from 0. names: those that hold them, joined; empty: none does. explain: those beneath, that
    only explain them. first: the first row."""

    names: tuple[int, ...]
    explain: tuple[int, ...]
    first: int


def find_header(
    rows: Sequence[Row], layout: Layout | None = None, bound: Sequence[tuple[int, int]] = ()
) -> Header:
    """rows: the first of a file, blank ones among them. layout: of the one trained on, whose names are names. bound:
    the first and the last of lines that a merged cell stands in, which are all names where one is."""
    there = [line for line, row in enumerate(rows) if filled(row)]
    if not there:
        return Header((), (), 0)
    if layout is not None and (known := _known(rows, there, layout)) is not None:
        return known
    place = _top(rows, there)
    if (stack := _stack(rows, there, place, bound)) > place:
        upper = [
            line for line in there[:stack] if line >= min(top for top, end in bound if end >= there[place])
        ]
        return _with_second(rows, there, stack, upper)
    beneath = [rows[line] for line in there[place + 1 :][:LOOKED_AT]]
    has_second = len(beneath) > 1 and is_second(rows[there[place]], beneath[0], beneath[1:])
    if not has_second and not _holds_names(rows[there[place]], beneath):
        return Header((), (), there[place])
    explained = imported(rows, there, place)
    if explained:
        return Header((there[place],), tuple(there[place + 1 : explained + 1]), there[explained] + 1)
    return _with_second(rows, there, place, _above(rows, there, place))


def _stack(rows: Sequence[Row], there: Sequence[int], place: int, bound: Sequence[tuple[int, int]]) -> int:
    """The place in `there` of the last line that merged cells bind to one of names, where together they stand over
    rows; else its own."""
    last = there[place]
    for top, end in sorted(bound):
        if top <= last:
            last = max(last, end)
    stack = max(number for number, line in enumerate(there) if line <= last)
    lowest = [
        next((cell for cell in cells[::-1] if text_of(cell)), "")
        for cells in zip(*(rows[line] for line in there[place : stack + 1]), strict=False)
    ]
    beneath = [rows[line] for line in there[stack + 1 :][:LOOKED_AT]]
    return stack if beneath and _holds_names(lowest, beneath) else place


def _with_second(rows: Sequence[Row], there: Sequence[int], place: int, above: Sequence[int]) -> Header:
    """With the lines beneath that hold more of the names, or explain them."""
    names, explain = [*above, there[place]], list[int]()
    for line in there[place + 1 : place + 3]:
        under = [rows[other] for other in there if other > line][:LOOKED_AT]
        if not is_second(rows[names[-1]], rows[line], under):
            break
        above = rows[names[-1]]
        is_name = not explain and (
            not asks(rows[line]) or fills(above, rows[line]) or tells_apart(above, rows[line])
        )
        (names if is_name else explain).append(line)
    return Header(tuple(names), tuple(explain), max(*names, *explain, -1) + 1)


def _known(rows: Sequence[Row], there: Sequence[int], layout: Layout) -> Header | None:
    """As in the file trained on: where its names stand again, or where it has none, and few rows tell nothing."""
    if not layout.lines:
        is_told = len(there) > FEW or _stands_over(rows[there[0]], [rows[line] for line in there[1:]])
        return None if is_told else Header((), (), there[0])
    found = layout.again([rows[line] for line in there])
    if found is None:
        return None
    if len(layout.lines) == 1:
        return _with_second(rows, there, found[0][0], ())
    names, explain = (tuple(there[place] for place in places) for places in found)
    return Header(names, explain, max(*names, *explain, -1) + 1)


def header_at(rows: Sequence[Row], line: int) -> Header:
    """line: that holds the names, from 1; 0: none does."""
    if line:
        return Header((line - 1,), (), line)
    there = [n for n, row in enumerate(rows) if filled(row)]
    return Header((), (), there[_top(rows, there)] if there else 0)


def is_line(row: Row, width: int) -> bool:
    """Whether it fills a table of that width, as titles and footnotes do not."""
    cells = filled(row)
    return len(cells) >= max(min(width, 2), width / 2) or (width == 2 and cells == [1])


def _top(rows: Sequence[Row], there: Sequence[int]) -> int:
    """The place in `there` of the first line that is no title."""
    width = usual_extent([rows[line] for line in there])
    full = next(place for place, line in enumerate(there) if extent(rows[line]) >= width)
    found = next((p for p in range(full) if is_line(rows[there[p]], width)), full)
    if (
        better := _fuller([rows[line] for line in there[full:]])
    ) > 0:  # titles that reach as far as the table
        return full + better
    beneath = [rows[line] for line in there[full + 1 :][:LOOKED_AT]]
    has_names = _stands_over(rows[there[full]], beneath)
    if found < full:  # less than full: names, but where the full line is one of names
        return full if has_names and not merged(rows[there[found]], rows[there[full]]) else found
    if not has_names and full and there[full - 1] == there[full] - 1:  # names of a few columns only
        above = rows[there[full - 1]]
        if len(above) > 1 and _stands_over(above, [rows[there[full]], *beneath]):
            return full - 1
    return full


def _fuller(rows: Sequence[Row]) -> int:
    """The place of the last line without a gap that stands below one with gaps, and above all figures; 0: the first
    has none, or no figures follow."""
    width = usual_extent(rows)
    found, has_gaps = 0, False
    for place, row in enumerate(rows[:_TITLES]):
        if any(kind_of(cell) == "figure" for cell in row):
            break
        if len(filled(row)) < width:
            has_gaps = True
        elif has_gaps:
            found, has_gaps = place, False
        elif found == place - 1 and found and _differ(row) and not _differ(rows[found]):
            found = place  # beneath a remark in merged cells
    return found if found and _stands_over(rows[found], rows[found + 1 :][:LOOKED_AT]) else 0


def _differ(row: Row) -> bool:
    texts = [text_of(row[place]) for place in filled(row)]
    return len(set(texts)) == len(texts)


def _stands_over(row: Row, beneath: Sequence[Row]) -> bool:
    """Whether text stands over figures, more than figures do."""
    text, figures = over(row, columns_of(beneath, len(row)))
    return text > figures


def _holds_names(row: Row, beneath: Sequence[Row]) -> bool:
    columns = columns_of(beneath, len(row))
    text, figures = over(row, columns)
    if figures and _counts(row, beneath, alone=not text):
        return True
    # a row with a word for what is not known, or names of which some are numbers
    if text and text == figures:
        return _whole(row) is not None and not any(
            kind_of(cell) == "text" and recurs(place, cell, beneath) for place, cell in enumerate(row)
        )
    if text or figures:
        return text > figures
    repeating = again = 0
    for place, cell in enumerate(row):
        values = [text_of(other[place]) for other in beneath if place < len(other) and other != row]
        values = [value for value in values if value]
        if len(set(values)) < len(values):
            repeating += 1
            again += text_of(cell) in values
    return again == 0 or again < repeating / 2


def _counts(row: Row, beneath: Sequence[Row], *, alone: bool) -> bool:
    """Whether its figures are names that count: years, or whole numbers that go up, as those beneath do not.

    alone: no text stands beside them over figures."""
    numbers = _whole(row)
    if numbers is None or not _go_up(numbers):
        return False
    are_years, are_places = _are_years(numbers), numbers == list(range(len(numbers)))
    one_by_one = _one_by_one(numbers)
    if not (are_years or are_places or len(numbers) >= (4 if alone else 3)) or (alone and not one_by_one):
        return False
    places = [place for place, cell in enumerate(row) if kind_of(cell) == "figure"]
    under = [_whole([other[place] for place in places if place < len(other)]) for other in beneath]
    if are_years and one_by_one:  # over numbers that may grow with them
        alike = [values is not None and _are_years(values) for values in under]
    elif are_places and len(numbers) > 2:
        alike = [
            values is not None and (_one_by_one(values) or max(values, default=0) < len(numbers))
            for values in under
        ]
    else:
        alike = [values is not None and _go_up(values) for values in under]
    return sum(alike) < len(under) / 2


def _are_years(numbers: Sequence[int]) -> bool:
    return all(1900 <= number <= 2100 for number in numbers)


def _one_by_one(numbers: Sequence[int]) -> bool:
    return all(after - before == 1 for before, after in pairwise(numbers))


def _whole(row: Row) -> list[int] | None:
    """The figures of a row; None where one is no whole number."""
    texts = [text_of(cell) for cell in row if kind_of(cell) == "figure"]
    return [int(text) for text in texts] if all(text.isdecimal() for text in texts) else None


def _go_up(numbers: Sequence[int]) -> bool:
    return len(numbers) > 1 and all(a < b for a, b in pairwise(numbers))


def _above(rows: Sequence[Row], there: Sequence[int], place: int) -> list[int]:
    """The line over that of names, where it stands over several of them each."""
    if not place or there[place - 1] != there[place] - 1:
        return []
    upper = rows[there[place - 1]]
    return [there[place - 1]] if len(filled(upper)) > 1 and merged(upper, rows[there[place]]) else []
