"""Tables from JSON, as programs write them, and from lines of JSON.

    [{"age": 36, "city": "London"}, ...]           rows; also one a line
    {"age": [36, ...], "city": ["London", ...]}    columns; also {"age": {"0": 36, ...}}, as pandas has it
    {"0": {"age": 36, "city": "London"}, ...}      rows by their numbers
    {"columns": [...], "data": [[...], ...]}       names, and rows of values
    {"count": 2, "results": [{...}, ...]}          rows beneath a name, the longest list of them

What is nested in a row becomes columns of its own, one level deep ("home.city").
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gammatune.errors import InvalidData, first_line
from gammatune.pipeline.data.cells.numerals import Mark
from gammatune.pipeline.data.files.dialect import HowToRead, Read
from gammatune.pipeline.data.files.opening import TableFile
from gammatune.pipeline.data.files.settling import as_from_text

if TYPE_CHECKING:
    import pandas as pd

_FORMS = "a list of rows, a row a line, or a list for each column"


def read_json(file: TableFile, how: HowToRead, said: list[str], learned: Mark) -> Read:
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
    frame, decimal = as_from_text(frame, file.name, said, learned, how.decimal)
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
        elif _are_numbered(held):
            held = list(held.values())
        elif all(isinstance(value, (list, Mapping)) for value in held.values()):
            if len({len(value) for value in held.values()}) > 1:
                raise ValueError("lists of several lengths")
            columns = {name: pd.Series(value, dtype=object) for name, value in held.items()}
            return pd.DataFrame(columns).reset_index(drop=True)
    if not _are_rows(held):
        if isinstance(held, list) and held and all(isinstance(row, list) for row in held):
            return pd.DataFrame(held[1:], columns=held[0], dtype=object)
        raise ValueError(f"a {type(held).__name__}")
    return _of_rows(file, held, said)


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _are_numbered(held: Mapping[str, Any]) -> bool:
    """Whether the values are rows, called by their numbers, and not columns of which each value is."""
    rows = list(held.values())
    return (
        _are_rows(rows)
        and all(map(str.isdecimal, held))
        and not any(str.isdecimal(name) for row in rows for name in row)
    )


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
