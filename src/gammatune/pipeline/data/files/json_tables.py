"""Tables from JSON, as programs write them, and from lines of JSON.

    [{"age": 36, "city": "London"}, ...]           rows; also one a line
    {"age": [36, ...], "city": ["London", ...]}    columns; also {"age": {"0": 36, ...}}, as pandas has it
    {"0": {"age": 36, "city": "London"}, ...}      rows by their numbers, or by words, which are a column then;
                                                   "age": {"anna": 36, ...} likewise
    {"columns": [...], "data": [[...], ...]}       names, and rows of values
    {"count": 2, "results": [{...}, ...]}          rows beneath a name, the longest list of them

What is nested in a row becomes columns of its own, one level deep ("home.city").
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gammatune.errors import InvalidData, first_line
from gammatune.pipeline.data.files.dialect import HowToRead, Read
from gammatune.pipeline.data.files.learned import Learned
from gammatune.pipeline.data.files.names import name_of_rows
from gammatune.pipeline.data.files.opening import TableFile
from gammatune.pipeline.data.files.settling import as_from_text

if TYPE_CHECKING:
    import pandas as pd

_FORMS = "a list of rows, a row a line, or a list for each column"


def read_json(file: TableFile, how: HowToRead, said: list[str], learned: Learned) -> Read:
    """Raises InvalidData: no JSON, with the line, or none that is a table."""
    import pandas as pd

    try:
        text = file.content().decode(how.encoding or json.detect_encoding(file.content()))
        held = _parsed(text.removeprefix("\ufeff"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise InvalidData(
            f"{file.path} is no JSON that can be read ({first_line(error)}); it may be cut"
        ) from error
    except (UnicodeError, LookupError) as error:
        raise InvalidData(
            f"{file.path} is not in {how.encoding or 'UTF-8'} ({first_line(error)}); --encoding names another"
        ) from error
    try:
        frame = _table(file, held, said)
    except (ValueError, TypeError, AttributeError, KeyError) as error:  # rows of several kinds or lengths
        raise InvalidData(f"{file.path} holds no table ({first_line(error)}); write {_FORMS}") from error
    assert isinstance(frame, pd.DataFrame)
    frame, decimal = as_from_text(frame, file.name, said, learned.decimal, how.decimal)
    return Read(frame, decimal)


def _parsed(text: str) -> Any:
    """The one value in it, or a list of those in its lines. Raises JSONDecodeError."""
    begin = len(text) - len(text.lstrip())
    value, end = json.JSONDecoder().raw_decode(text, begin)
    if not text[end:].strip():
        return value
    rows, begun = [], 0
    for line in text.split("\n"):
        try:
            rows += [json.loads(line)] if line.strip() else []
        except json.JSONDecodeError as error:
            raise json.JSONDecodeError(error.msg, text, begun + error.pos) from None
        begun += len(line) + 1
    return rows


def _table(file: TableFile, held: Any, said: list[str]) -> "pd.DataFrame":
    import pandas as pd

    if isinstance(held, Mapping):
        if "columns" in held and isinstance(held.get("data"), list):
            return pd.DataFrame(held["data"], columns=held["columns"], dtype=object)
        if isinstance(held.get("schema"), Mapping) and isinstance(held.get("data"), list):
            names = [each["name"] for each in held["schema"]["fields"]]
            own = set(held["schema"].get("primaryKey", ())) & {"index"}
            return pd.DataFrame(
                held["data"], columns=[name for name in names if name not in own], dtype=object
            )
        rows = {name: value for name, value in held.items() if _are_rows(value)}
        if rows:
            name = max(rows, key=lambda name: len(rows[name]))
            said.append(f"The rows of {file.name} are those that it calls {name!r}.")
            held = rows[name]
        elif held and all(isinstance(value, Mapping) for value in held.values()):
            return _of_mappings(file, held, said)
        elif held and all(isinstance(value, list) for value in held.values()):
            if len({len(value) for value in held.values()}) > 1:
                raise ValueError("lists of several lengths")
            return pd.DataFrame({name: pd.Series(value, dtype=object) for name, value in held.items()})
    if not _are_rows(held):
        if isinstance(held, list) and held and all(isinstance(row, list) for row in held):
            return pd.DataFrame(held[1:], columns=held[0], dtype=object)
        raise ValueError(f"a {type(held).__name__}")
    return _of_rows(file, held, said)


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _of_mappings(file: TableFile, held: Mapping[str, Mapping[str, Any]], said: list[str]) -> "pd.DataFrame":
    """Rows by what they are called, or columns of values by what their rows are called."""
    import pandas as pd

    inner = dict.fromkeys(name for each in held.values() for name in each)
    is_word, is_word_within = not all(map(str.isdecimal, held)), not all(map(str.isdecimal, inner))
    are_rows = _are_called_rows(held) if is_word and is_word_within else is_word_within
    if are_rows is None:
        raise ValueError(
            f"whether {next(iter(held))!r} is a row or a column is not to be told: all values are of one kind"
        )
    calls_rows = list(held) if are_rows else list(inner)
    if are_rows:
        frame = _of_rows(file, list(held.values()), said)
    else:
        columns = {name: pd.Series(value, dtype=object) for name, value in held.items()}
        frame = pd.DataFrame(columns).reindex(calls_rows).reset_index(drop=True)
    if is_word if are_rows else is_word_within:
        row = name_of_rows(map(str, frame.columns))
        frame.insert(0, row, pd.Series(calls_rows, dtype=object))
        said.append(
            f"{file.name} calls its rows {', '.join(map(repr, calls_rows[:2]))}{', ...' * (len(calls_rows) > 2)}: "
            f"they are the column {row!r}."
        )
    return frame


def _are_called_rows(held: Mapping[str, Mapping[str, Any]]) -> bool | None:
    """Whether values are rows, where rows and columns are called by words: those of one column are of one kind, those
    of one row of several. None where nothing tells."""
    within: dict[str, set[str]] = {}
    for each in held.values():
        for name, value in each.items():
            within.setdefault(name, set()).update(_kind(value))
    of_rows = sum(len(kinds) > 1 for kinds in within.values()) / max(1, len(within))
    of_columns = sum(
        len({kind for value in each.values() for kind in _kind(value)}) > 1 for each in held.values()
    ) / len(held)
    if of_rows != of_columns:
        return of_rows < of_columns
    if len(held) != len(within):  # a table is longer than it is wide
        return len(held) > len(within)
    return None


def _kind(value: Any) -> set[str]:
    """Of nothing none."""
    if value is None:
        return set()
    return {
        "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__
    }


def _of_rows(file: TableFile, rows: list[Mapping[str, Any]], said: list[str]) -> "pd.DataFrame":
    import pandas as pd

    nested = {
        name: None for row in rows for name, value in row.items() if isinstance(value, Mapping) and value
    }
    if not nested:
        return pd.DataFrame(rows, dtype=object)
    frame = pd.json_normalize(rows, max_level=1).astype(object)
    said.append(
        f"What is nested in {', '.join(list(nested)[:3])} of {file.name} became columns of its own, such as "
        f"{next(name for name in frame.columns if '.' in str(name))}."
    )
    return frame
