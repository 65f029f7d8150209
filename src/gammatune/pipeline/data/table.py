"""`Table`: a table to learn from, its target told from its inputs; and its three parts.

The target tells the task: text, truth values and a few whole numbers are classes, other numbers a regression.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.columns import Column, Kind, date_format, listed, look_at
from gammatune.pipeline.data.dataset import Label, Task
from gammatune.pipeline.data.matching import matched
from gammatune.pipeline.data.noticing import duplicates, leaks
from gammatune.pipeline.data.numerals import Mark
from gammatune.pipeline.data.reading import read_table
from gammatune.pipeline.data.spelling import find, plain, spellings, written
from gammatune.pipeline.data.split import VALIDATION, Split, divide, sizes, with_targets
from gammatune.pipeline.data.table_preprocessing import _counts, _dates, _numbers, codes_of, learn_table

if TYPE_CHECKING:
    import pandas as pd

CLASSES = 20  # distinct whole numbers that are still classes [guess]
MANY = 1000  # classes; more were never meant [guess]
# Of two labels, the one that is the event: it gets code 1, of which f1, precision, recall and the like are told.
POSITIVE = (
    "yes",
    "y",
    "true",
    "t",
    "1",
    "positive",
    "pos",
    "ja",
    "oui",
    "si",
    "sí",
    "sim",
    "evet",
    "是",
    "예",
)
USUAL_TARGETS = ("target", "label", "class", "y", "outcome", "answer")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows with a target each.

    frame: every column but the target. y: codes (n,) for a classification, (n, 1) float64 for a regression.
    classes: the labels by code. columns: what each input is. identifiers: columns that are no inputs and name a row.
    groups (n,), times (n,): by which the parts are to be made. said: what was found out, in sentences. read: the rows
    of the file. left_out: why rows of it are not among these, in sentences, which are in `said` too.
    header, decimal, exact_labels: as in `TablePreprocessing`.
    """

    name: str
    task: Task
    frame: "pd.DataFrame"
    y: NDArray[Any]
    target: str
    classes: tuple[Label, ...]
    columns: tuple[Column, ...]
    identifiers: tuple[str, ...] = ()
    groups: NDArray[Any] | None = None
    times: NDArray[Any] | None = None
    ordered_by: str | None = None
    said: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    decimal: Mark = ""
    exact_labels: bool = False
    read: int = 0
    left_out: tuple[str, ...] = ()


def load_table(
    path: str | Path,
    target: str | None,
    *,
    task: Task | None = None,
    kinds: Mapping[str, Kind] | None = None,
    group: str | None = None,
    time: str | None = None,
    positive: str | None = None,
    exact_labels: bool = False,
) -> Table:
    """The table in a file. The arguments, and what is raised, are those of `make_table`, and of `read_table`."""
    said: list[str] = []
    read = read_table(path, said)
    table = make_table(
        Path(path).name.partition(".")[0],
        read.frame,
        target,
        task=task,
        kinds=kinds,
        group=group,
        time=time,
        positive=positive,
        exact_labels=exact_labels,
    )
    return replace(table, said=(*said, *table.said), decimal=read.decimal)


def make_table(
    name: str,
    frame: "pd.DataFrame",
    target: str | None,
    *,
    task: Task | None = None,
    kinds: Mapping[str, Kind] | None = None,
    group: str | None = None,
    time: str | None = None,
    positive: str | None = None,
    exact_labels: bool = False,
) -> Table:
    """A table from a frame.

    target: the column to predict. task: None tells it from the target. kinds: what columns are, where that is not to
    be told from their values. group: the column whose equal values stay in one part. time: the column whose later
    values select and report. positive: of two labels the one that is the event (see `POSITIVE`). exact_labels: labels
    that differ in blanks, Unicode's forms or case are classes of their own (see `gammatune.pipeline.data.spelling`).
    Raises InvalidArgument: a column that is not there, a target that is none. InvalidData: nothing to learn from.
    """
    said: list[str] = []
    _require(frame, target, "--target", guess=True)
    assert target is not None
    for option, column in (("--group", group), ("--time-column", time)):
        if column is not None:
            _require(frame, column, option)
            if column == target:
                raise InvalidArgument(f"{option} {column}: that is the target; name another column")
    if group is not None and time is not None:
        raise InvalidArgument(
            "--group and --time-column each say how the parts are made; give one of them, or the latest rows as a "
            "file of their own with --test"
        )
    read = len(frame)
    left_out: list[str] = []
    frame = _with_target(frame, target, left_out)
    said += left_out
    kinds = dict(kinds or {})
    task = _task_asked(target, task, kinds.pop(target, None))
    found, y, classes, told = read_target(target, frame[target], task, positive, exact=exact_labels)
    said += told
    order = None if time is None else _order(frame[time], time)
    leave = [target, *([group] if group is not None else [])]
    columns = look_at(frame, kinds, said, leave=leave)
    said += _in_words(columns)
    dropped = tuple(
        c.name for c in columns if c.kind == "drop" and ("identifier" in c.why or "numbers" in c.why)
    )
    if group is not None:
        said.append(f"Rows of one {group} stay together, and {group} is no input.")
        if alone := int(frame[group].isna().sum()):
            said.append(f"{alone} rows have no {group}: they stay together too.")
    if time is not None:
        said.append(
            f"The rows are taken in the order of {time}: the latest report, those before them select."
        )
    return Table(
        name,
        found,
        frame.drop(columns=[target]),
        y,
        target,
        classes,
        tuple(c for c in columns if c.kind != "drop"),
        (*dropped, *([group] if group is not None else [])),
        None if group is None else np.array([plain(str(value)) for value in frame[group].tolist()]),
        order,
        time,
        tuple(said),
        tuple(frame.columns),
        exact_labels=exact_labels,
        read=read,
        left_out=tuple(left_out),
    )


def read_target(
    name: str,
    values: "pd.Series[Any]",
    task: Task | None,
    positive: str | None = None,
    *,
    exact: bool = False,
) -> tuple[Task, NDArray[Any], tuple[Label, ...], list[str]]:
    """The task, targets as in `Table`, classes, and how the target was read, in words. exact: see `make_table`."""
    import pandas as pd

    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    try:
        spelled: list[str] = []
        if not exact and not is_number:
            values = _one_spelling(name, values, spelled)
        distinct = int(values.nunique())
    except TypeError as error:  # lists, mappings
        raise InvalidData(
            f"the target {name} holds {values.iloc[0]!r:.40}, which is no class and no number; name another column"
        ) from error
    if pd.api.types.is_complex_dtype(values):
        raise InvalidData(f"the target {name} holds complex numbers; give real ones")
    if is_number and not np.isfinite(values.to_numpy(dtype=np.float64)).all():
        raise InvalidData(f"the target {name} holds infinite values; drop or correct those rows")
    if distinct == 1:
        raise InvalidData(
            f"the target {name} is {values.iloc[:1].tolist()[0]!r:.40} in every row; there is nothing to learn: "
            f"name another column"
        )
    whole = is_number and bool((values == values.round()).all())
    few = distinct <= min(CLASSES, len(values) / 2)
    told: Task = "regression" if is_number and not (whole and few) else "classification"
    chosen = task or told
    other = "" if task else "; --task classification reads it otherwise"
    if chosen == "regression":
        if not is_number:
            raise InvalidData(
                f"--task regression: the target {name} holds text, such as {values.iloc[0]!r:.40}; it "
                f"must hold numbers"
            )
        y = values.to_numpy(dtype=np.float64)
        return (
            chosen,
            y[:, None],
            (),
            [f"{name} holds numbers from {y.min():g} to {y.max():g}: a regression{other}."],
        )
    if pd.api.types.is_datetime64_any_dtype(values) or (
        not is_number and date_format(name, values.astype(str), []) is not None
    ):
        raise InvalidData(
            f"the target {name} holds dates, such as {values.iloc[0]!s:.20}, which are not predicted; name another "
            "column"
        )
    if distinct > MANY or distinct > len(values) / 2:
        raise InvalidData(
            f"the target {name} holds {distinct} different values in {len(values)} rows, too many to "
            f"be classes; name "
            "another column with --target" + (", or say --task regression" if is_number else "")
        )
    if whole:
        values = values.astype(np.int64)
    elif not pd.api.types.is_bool_dtype(values):
        values = values.map(str)
    classes = _in_order(name, values, positive, exact=exact)
    codes = {label: code for code, label in enumerate(classes)}
    y = np.array([codes[label] for label in values.tolist()], dtype=np.int64)
    other = "; --task regression reads it otherwise" if is_number and task is None else ""
    said = f"{name} is one of {len(classes)} classes ({listed(map(str, classes))}): a classification{other}."
    if len(classes) == 2:
        said += f" {classes[1]} is the positive one; --positive LABEL says otherwise."
    return chosen, y, classes, [said, *spelled]


def _one_spelling(name: str, values: "pd.Series[Any]", said: list[str]) -> "pd.Series[Any]":
    """Labels with one spelling for those that differ in what nobody meant: see `gammatune.pipeline.data.spelling`."""
    texts = values[values.map(lambda label: isinstance(label, str)).astype(bool)]
    found = spellings(_counts(texts))
    said += found.said(name, " --exact-labels keeps them apart.")
    if found.apart:
        groups = [", ".join(f"{label} ({found.counts[label]})" for label in group) for group in found.apart]
        said.append(
            f"Labels of {name} that differ in case only stay classes of their own, since none is rare: "
            f"{listed(groups)}. Where they are meant to be one, write them alike."
        )
    return values.astype(object).map(found) if found.one else values


def _in_order(name: str, values: "pd.Series[Any]", positive: str | None, *, exact: bool) -> tuple[Label, ...]:
    """The labels, sorted; of two the positive one last: the one asked for, or named so, or the rarer."""
    counts = values.value_counts()
    classes = sorted(counts.index.tolist())
    if positive is not None:
        (place,) = find([positive], [written(label) for label in classes], exact=exact)
        chosen = [] if place is None else [classes[place]]
        if len(classes) != 2 or not chosen:
            raise InvalidArgument(
                f"--positive {positive}: {name} has the labels {listed(map(str, classes))}; of two labels name one"
            )
    elif len(classes) == 2 and isinstance(classes[0], str):
        chosen = [label for label in classes if label.strip().lower() in POSITIVE]
        chosen = (
            chosen
            if len(chosen) == 1
            else [min(classes, key=lambda label: (counts[label], label != classes[1]))]
        )
    else:
        return tuple(classes)
    return (*(label for label in classes if label != chosen[0]), chosen[0])


def split_table(
    table: Table,
    *,
    seed: int,
    limit: int | None = None,
    validation: float = VALIDATION,
    test: Table | None = None,
    one_hot: bool = False,
) -> Split:
    """A table in three parts, encoded by what the training rows say; see `divide`.

    test: rows to report on, of another file. one_hot: see `gammatune.pipeline.data.table_preprocessing`.
    """
    said = list(table.said)
    train, select, report = divide(
        len(table.y),
        name=table.name,
        seed=seed,
        said=said,
        labels=table.y if table.task == "classification" else None,
        groups=table.groups,
        times=table.times,
        limit=limit,
        validation=validation,
        report=test is None,
    )
    preprocessing = learn_table(
        table.frame.iloc[train],
        table.y[train],
        task=table.task,
        columns=table.columns,
        target=table.target,
        classes=table.classes,
        identifiers=table.identifiers,
        one_hot=one_hot,
        ordered_by=table.ordered_by,
        header=table.header,
        decimal=table.decimal,
        exact_labels=table.exact_labels,
        said=said,
    )
    if not preprocessing.columns:
        raise InvalidData(
            f"nothing is left to learn from: the only inputs are dates of one day "
            f"({table.ordered_by}); give more columns"
        )
    rows = {"train": train, "select": select}
    frames = {part: table.frame.iloc[taken] for part, taken in rows.items()}
    ys = {part: table.y[taken] for part, taken in rows.items()}
    frames["report"], ys["report"] = (
        (table.frame.iloc[report], table.y[report]) if test is None else (test.frame, test.y)
    )
    said.append(sizes(*(len(frame) for frame in frames.values())))
    if test is not None:
        said += [*test.said, *preprocessing.misread(test.frame)]
    said += leaks(frames["train"], ys["train"], table.columns, preprocessing)
    said += duplicates(frames["train"], frames["report"], [column.name for column in table.columns])
    strange: list[str] = []
    parts = {
        part: with_targets(preprocessing, preprocessing.encode(frame, strange), ys[part])
        for part, frame in frames.items()
    }
    return Split(
        name=table.name, **parts, preprocessing=preprocessing, said=tuple(dict.fromkeys([*said, *strange]))
    )


def load_test(path: str | Path, table: Table) -> Table:
    """The rows in a file, to report on; what is raised is that of `as_test`, and of `read_table`."""
    said: list[str] = []
    test = as_test(table, Path(path).name, read_table(path, said, table.decimal).frame)
    return replace(test, said=(*said, *test.said))


def as_test(table: Table, name: str, frame: "pd.DataFrame") -> Table:
    """Rows to report on, with the codes of `table`'s classes. They may be few, and all of one class.

    Raises InvalidArgument: no column of targets. InvalidData: no target of the kind, or a label that the training
    rows never show.
    """
    said: list[str] = []
    there = frame.columns
    frame = matched(frame, table.header, [column.name for column in table.columns], said)
    read = len(frame)
    if table.target not in frame.columns:
        raise InvalidArgument(
            f"--test {name}: there is no column {table.target}, the target; it has {listed(there)}"
        )
    frame = _with_target(frame, table.target, said)
    values = frame[table.target]
    y: NDArray[Any]
    if table.task == "regression":
        y = _numbers(values)[:, None]
        if np.isnan(y).any():
            raise InvalidData(
                f"{name} holds {table.target} {values[np.isnan(y[:, 0])].iloc[0]!r:.40}, which is no number"
            )
    else:
        y = codes_of(name, table.target, values, table.classes, said, exact=table.exact_labels)
    return replace(
        table,
        name=name,
        frame=frame.drop(columns=[table.target]),
        y=y,
        groups=None,
        times=None,
        said=tuple(f"{name}: {line}" for line in said),
        read=read,
        left_out=tuple(f"{name}: {line}" for line in said),
    )


def _with_target(frame: "pd.DataFrame", target: str, said: list[str]) -> "pd.DataFrame":
    """Without the rows that have no target."""
    empty = frame[target].isna()
    if not empty.any():
        return frame
    if empty.all():
        raise InvalidData(f"the target {target} holds no value in any row; name another column with --target")
    said.append(f"{int(empty.sum())} of {len(frame)} rows have no {target} and are left out.")
    rest = frame[~empty].reset_index(drop=True)
    # truth values beside which one was missing
    return rest.assign(**{target: rest[target].infer_objects()})


def _task_asked(target: str, task: Task | None, kind: Kind | None) -> Task | None:
    """--column TARGET=KIND says of the target what --task says."""
    if kind is None:
        return task
    meant: dict[Kind, Task] = {"category": "classification", "number": "regression"}
    if kind == "drop":
        raise InvalidArgument(f"--drop {target}: that is the target; name another column with one of the two")
    if kind not in meant:
        raise InvalidArgument(
            f"--column {target}={kind}: that is the target, and is a number or a category; say one of these"
        )
    if task not in (None, meant[kind]):
        raise InvalidArgument(f"--task {task} and --column {target}={kind} contradict each other; give one")
    return meant[kind]


def _require(frame: "pd.DataFrame", name: str | None, option: str, *, guess: bool = False) -> None:
    if name in frame.columns:
        return
    usual = [column for column in frame.columns if guess and column.lower() in USUAL_TARGETS]
    hint = f"; perhaps {option} {usual[0]}" if usual else ""
    if name is None:
        raise InvalidArgument(
            f"which column is to be predicted? Say {option} COLUMN{hint}; the table has {listed(frame.columns)}"
        )
    near = [column for column in frame.columns if column.lower() == name.lower()]
    hint = f"; perhaps {near[0]}" if near else ""
    raise InvalidArgument(
        f"{option} {name}: there is no such column{hint}; the table has {listed(frame.columns)}"
    )


def _order(values: "pd.Series[Any]", name: str) -> NDArray[Any]:
    """Numbers by which rows follow each other. Raises InvalidData where a row has none."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values):
        found: NDArray[Any] = values.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        written = None
        if not pd.api.types.is_datetime64_any_dtype(values):
            written = date_format(name, values.dropna().astype(str), [])
            if written is None:
                raise InvalidData(
                    f"--time-column {name} holds neither dates nor numbers, but "
                    f"{values.iloc[0]!r:.40}; write dates as "
                    "2024-12-31"
                )
        dates = _dates(values, written)
        found = np.where(dates.isna(), np.nan, dates.astype("int64"))
    if np.isnan(found).any():
        raise InvalidData(
            f"--time-column {name} is missing in {int(np.isnan(found).sum())} rows; fill it, or drop those rows"
        )
    return found


def _in_words(columns: Sequence[Column]) -> list[str]:
    kept = {kind: [c.name for c in columns if c.kind == kind] for kind in ("number", "category", "date")}
    plural = {"number": "numbers", "category": "categories", "date": "dates"}
    lines = [
        f"{len(names)} {plural[kind] if len(names) > 1 else kind}: {listed(names)}."
        for kind, names in kept.items()
        if names
    ]
    dropped = [f"{c.name} ({c.why})" for c in columns if c.kind == "drop"]
    if dropped:
        lines.append(f"Not used: {listed(dropped)}; --column NAME=number|category|date says otherwise.")
    return lines
