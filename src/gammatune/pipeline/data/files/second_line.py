"""A second line of names beneath the first, or one that explains them: told by what stands beneath it.

over figures      text, where the columns hold numbers or dates
over words        questions, or other words that never come again in columns that repeat a few
of programs       Qualtrics' and LimeSurvey's line of keys, SurveyMonkey's "Open-Ended Response"
"""

import re
from collections.abc import Sequence
from typing import Any

from gammatune.pipeline.data.files.grid import (
    Kind,
    Row,
    columns_of,
    extent,
    filled,
    kind_of,
    text_of,
)

FEW = 5  # rows beneath, before a second line is called one of names [guess]
_QUESTION = 25  # letters in the mean, above which a second line explains the names and is none [guess]
_MANY = 20  # rows beneath, before words that come once are no row [guess]
_EACH = 4  # times that a value is there in the mean, in a column that repeats a few [guess]
_SURE = 3  # such columns, over which no row has words of its own [guess]
_IMPORTED = '{"ImportId"'  # in the third line of what Qualtrics exports
_YEAR = re.compile("(19|20)[0-9]{2}")  # over which counts of it stand
_KEY, _OF_LIMESURVEY = re.compile(r"\w+"), re.compile(r"\d+X\d+X\d+\w*", re.A)  # survey, group and question
_OPEN = "Open-Ended Response"  # in the second line of what SurveyMonkey exports


def is_second(names: Row, row: Row, beneath: Sequence[Row]) -> bool:
    """Whether a line beneath the names holds no row but more of the names."""
    if list(names) in map(list, beneath):  # files that were put one behind the other
        beneath = [other for other in beneath if list(other) not in (list(names), list(row))]
    if len(beneath) < FEW or extent(row) > max(extent(names), *map(extent, beneath)):
        return False
    columns = columns_of(beneath, len(row))
    if _continues(names, row, beneath):
        return True
    text, figures = over(row, columns)
    if figures or any(recurs(place, row[place], beneath) for place in filled(row)):
        return False
    if any(text_of(cell) == _OPEN for cell in row):
        return True
    if not text:
        return _labels(row, beneath, columns, text)
    others = [
        cell for cell, column in zip(row, columns, strict=False) if column != "figure" and text_of(cell)
    ]
    in_brackets = any(text_of(cell)[:1] in ("(", "[") for cell in row if text_of(cell))
    is_over_figures = text > 1 or in_brackets or not others or merged(names, row)
    return is_over_figures or _labels(row, beneath, columns, text)


def _labels(row: Row, beneath: Sequence[Row], columns: Sequence[Kind], over_figures: int) -> bool:
    """Whether a line over columns that repeat a few words asks what they answer, or is far from being an answer: its
    words are all different, and none comes again. over_figures: how many texts of it stand over figures."""
    found = []
    for place in filled(row):
        values = [text for other in beneath if place < len(other) and (text := text_of(other[place]))]
        if columns[place] != "figure" and len(values) >= FEW and 1 < len(set(values)) <= len(values) / 2:
            found.append((text_of(row[place]), values))
    if not found:
        return False
    cells = [cell for cell, _ in found]
    longer = sum(len(cell) > max(map(len, values)) for cell, values in found)
    if asks(cells) and longer > len(found) / 2:
        return True
    least = 0 if over_figures else _MANY
    are_many = all(len(values) >= max(least, _EACH * len(set(values))) for _, values in found)
    return are_many and len(found) + over_figures >= _SURE and len(set(cells)) == len(cells)


def _continues(names: Row, row: Row, beneath: Sequence[Row]) -> bool:
    """Whether it names several columns that have no name of their own in the first line, and says nothing where every
    row does, or in the first of the columns alone."""
    above = [_at(names, place) for place in range(len(row))]
    first = min(filled(names), default=0)
    added = [place for place in filled(row) if place > first and above[place] in ("", above[place - 1])]
    always = [place for place in filled(names) if all(_at(other, place) for other in beneath)]
    blank = [place for place in always if not _at(row, place)]
    figures = sum(kind_of(cell) == "figure" and not _YEAR.fullmatch(text_of(cell)) for cell in row)
    is_stub = blank == [first] and filled(row) == list(range(first + 1, len(row)))
    return len(added) > 1 and 2 * figures <= len(filled(row)) and (is_stub or len(blank) > len(always) / 2)


def _at(row: Row, place: int) -> str:
    return text_of(row[place]) if place < len(row) else ""


def asks(row: Row) -> bool:
    """Whether its texts are questions, or as long."""
    texts = [text_of(row[place]) for place in filled(row)]
    asking = sum(text[-1:] == "?" for text in texts)
    return asking > len(texts) / 2 or sum(map(len, texts)) > _QUESTION * len(texts)


def imported(rows: Sequence[Row], there: Sequence[int], place: int) -> int:
    """The place in `there` of Qualtrics' or LimeSurvey's line of keys; 0: there is none."""
    for other in range(place + 1, min(place + 4, len(there))):
        cells = [cell for each in rows[there[other]] if (cell := text_of(each))]
        if sum(cell.startswith(_IMPORTED) for cell in cells) > len(cells) / 2:
            return other
        if any(map(_OF_LIMESURVEY.fullmatch, cells)) and all(map(_KEY.fullmatch, cells)):
            return other
    return 0


def fills(names: Row, second: Row) -> bool:
    """Whether columns without a name have one in the second line."""
    return any(not text_of(name) and text_of(cell) for name, cell in zip(names, second, strict=False))


def tells_apart(names: Row, second: Row) -> bool:
    """Whether columns of one name differ in the second line."""
    pairs = [
        (text_of(name), text_of(cell)) for name, cell in zip(names, second, strict=False) if text_of(name)
    ]
    return len({name for name, _ in pairs}) < len(set(pairs))


def merged(upper: Row, names: Row) -> bool:
    """Whether cells of the upper line stand over several columns, or over the whole height."""
    texts = [text_of(cell) for cell in names]
    known = [text for text in texts if text]
    above = set(filled(upper))
    return len(set(known)) < len(known) or any(
        place in above and not texts[place] for place in range(len(texts))
    )


def over(row: Row, columns: Sequence[Kind]) -> tuple[int, int]:
    """How many texts, and how many figures, stand over figures."""
    kinds = [kind_of(cell) for cell, column in zip(row, columns, strict=False) if column == "figure"]
    return kinds.count("text"), kinds.count("figure")


def recurs(place: int, cell: Any, beneath: Sequence[Row]) -> bool:
    """Whether its text stands beneath it again, beside others: a box that was ticked holds its name alone."""
    values = {text_of(row[place]) for row in beneath if place < len(row)} - {""}
    return text_of(cell) in values and len(values) > 1
