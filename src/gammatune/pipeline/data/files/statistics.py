"""Tables from statistics packages: Stata (.dta), SPSS (.sav, .zsav, .por) and SAS (.sas7bdat), read by pyreadstat.

value labels      1 "male", 2 "female": what a column holds where they cover it, in the order of its codes; a scale
                  of which only some values have labels, such as its ends, keeps its numbers
no answer         values whose label says so ("don't know"), and those that the file declares, are missing
column labels     go with the names
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from gammatune.errors import InvalidData, first_line, require
from gammatune.pipeline.data.cells.no_answer import says_nothing
from gammatune.pipeline.data.cells.replaced import replaced
from gammatune.pipeline.data.cells.spelling import written
from gammatune.pipeline.data.files.dialect import HowToRead, Read
from gammatune.pipeline.data.files.learned import Learned
from gammatune.pipeline.data.files.opening import TableFile
from gammatune.pipeline.data.files.settling import settled, without_marks

if TYPE_CHECKING:
    import pandas as pd

Reads: TypeAlias = Literal["read_dta", "read_sav", "read_por", "read_sas7bdat"]  # pyreadstat's

COVERED = 0.95  # of the values there have labels, where these are what a column holds [guess]
NUMERIC = 0.5  # of the labels are the number they stand for, where a column is one of numbers [guess]
SHOWN = 3  # columns named in a sentence
LONG = 60  # letters of what is said of one


@dataclass(frozen=True, slots=True)
class _Found:
    """By columns: the labels that they hold now; the labels of those that keep their numbers; how many values were
    taken for missing by their labels."""

    labelled: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    nothing: dict[str, str] = field(default_factory=dict)


def read_statistics(reads: Reads, file: TableFile, how: HowToRead, said: list[str], learned: Learned) -> Read:
    """Raises InvalidData: it cannot be read. MissingExtra: pyreadstat is not installed."""
    pyreadstat = require("pyreadstat", "files", "files of Stata, SPSS and SAS are read by")
    options: dict[str, Any] = {"dates_as_pandas_datetime": True}
    if how.encoding is not None and reads != "read_por":
        options["encoding"] = how.encoding
    try:
        with file.on_disk() as path:
            read = getattr(pyreadstat, reads)
            if reads == "read_sas7bdat" and (catalog := path.with_suffix(".sas7bcat")).is_file():
                options["catalog_file"] = str(catalog)  # has the labels
            frame, about = read(str(path), **options)
            declared = {} if reads == "read_por" else _declared(read, path, options)
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, UnicodeError, OverflowError) as error:
        raise InvalidData(
            f"{file.path} cannot be read ({first_line(error)}); it may be cut: fetch it anew; or not in the encoding "
            "that it names: --encoding names another"
        ) from error
    frame = without_marks(settled(frame, file.name))
    found = _Found()
    columns = {
        name: _labelled(frame[name], labels, about.variable_measure.get(name) == "ordinal", found)
        for name, labels in about.variable_value_labels.items()
        if name in frame.columns
    }
    names = {name: str(label or "").strip() for name, label in about.column_names_to_labels.items()}
    names = {name: label for name, label in names.items() if label and label != name}
    said += _in_words(file.name, found, declared, names)
    return Read(replaced(frame, columns), "", labels=names)


def _declared(read: Any, path: Path, options: Mapping[str, Any]) -> dict[str, str]:
    """What the file declares to be missing, by column; the values themselves are missing already."""
    _, about = read(str(path), metadataonly=True, user_missing=True, **options)
    ranges = {
        name: ", ".join(dict.fromkeys(_range(each) for each in declared))
        for name, declared in about.missing_ranges.items()
    }
    letters = {
        name: ", ".join(f".{code} {text}" for code, text in labels.items() if isinstance(code, str))
        for name, labels in about.variable_value_labels.items()
        if about.readstat_variable_types[name] != "string"
    }  # of Stata
    return {name: values for name, values in {**ranges, **letters}.items() if values}


def _range(declared: Mapping[str, Any]) -> str:
    low, high = written(declared["lo"]), written(declared["hi"])
    return low if low == high else f"{low} to {high}"


def _labelled(
    values: "pd.Series[Any]", labels: Mapping[Any, Any], is_ordered: bool, found: _Found
) -> "pd.Series[Any]":
    """The labels in the place of the values, as categories in the order of these; or the values, where they are
    what is meant."""
    import pandas as pd

    name = str(values.name)
    known = {code: text for code in _sorted(labels) if (text := " ".join(str(labels[code]).split()))}
    silent = {code: text for code, text in known.items() if says_nothing(text)}
    gone = values.isin(list(silent))
    if gone.any():
        texts = dict.fromkeys(silent[code] for code in values[gone].unique().tolist())
        found.nothing[name] = f"{int(gone.sum())} of {name} ({', '.join(texts)})"
        values = values.mask(gone)
    known = {code: text for code, text in known.items() if code not in silent}
    present = values[values.notna()]
    if not known or not len(present) or _say_the_number(known):
        return values
    in_words = ", ".join(f"{written(code)} {text}" for code, text in list(known.items())[:SHOWN])
    if present.isin(list(known)).mean() < COVERED:
        found.kept[name] = f"{name} ({in_words:.{LONG}})"
        return values
    strange = {code: written(code) for code in _sorted(present.unique().tolist()) if code not in known}
    found.labelled[name] = f"{name} ({in_words:.{LONG}})"
    known |= strange
    texts = values.map(known)
    levels = [text for text in dict.fromkeys(known.values()) if text in set(texts.dropna())]
    return pd.Series(pd.Categorical(texts, levels, ordered=is_ordered), index=values.index, name=name)


def _sorted(codes: Any) -> list[Any]:
    return sorted(codes, key=lambda code: (isinstance(code, str), code))


def _say_the_number(known: Mapping[Any, str]) -> bool:
    """Whether labels are the numbers they stand for, but for a few, such as 89 "89 or older"."""
    return sum(text == written(code) for code, text in known.items()) >= NUMERIC * len(known)


def _in_words(file: str, found: _Found, declared: Mapping[str, str], names: Mapping[str, str]) -> list[str]:
    missing = {name: f"{name} ({values})" for name, values in declared.items()}
    labels = {name: f"{name} {label!r:.{LONG}}" for name, label in names.items()}
    told = (
        (labels, "{file} says more of its columns than their names: {of}."),
        (missing, "{file} declares values to be missing: {of}."),
        (found.nothing, "Values whose labels say that there is no answer are missing in {file}: {of}."),
        (found.labelled, "In {file} the labels of values stand in their place: {of}."),
        (found.kept, "In {file} numbers stay numbers where only some of them have labels: {of}."),
    )
    return [sentence.format(file=file, of=_listed(columns)) for columns, sentence in told if columns]


def _listed(columns: Mapping[str, str]) -> str:
    more = f"; and {len(columns) - SHOWN} more" if len(columns) > SHOWN else ""
    return "; ".join(list(columns.values())[:SHOWN]) + more
