"""`Table`: a table to learn from, its target told from its inputs; and its three parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.columns import Column, Kind, date_format, listed, look_at
from gammatune.pipeline.data.dataset import Label, TargetTask, Task
from gammatune.pipeline.data.dialect import Source
from gammatune.pipeline.data.matching import matched
from gammatune.pipeline.data.noticing import duplicates, leaks
from gammatune.pipeline.data.numerals import Mark
from gammatune.pipeline.data.reading import read_table
from gammatune.pipeline.data.row_hints import hints, rare_classes
from gammatune.pipeline.data.row_weights import in_words, weighing
from gammatune.pipeline.data.scales import NEIGHBOURS, Scale, has_order, scale_in_words, unordered
from gammatune.pipeline.data.spelling import plain
from gammatune.pipeline.data.split import VALIDATION, Split, divide, sizes, that_fit, with_targets
from gammatune.pipeline.data.table_learning import learn_table
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing
from gammatune.pipeline.data.target import read_target, task_of
from gammatune.pipeline.data.values import codes_of, dates_in, numbers_in

if TYPE_CHECKING:
    import pandas as pd

USUAL_TARGETS = ("target", "label", "class", "y", "outcome", "answer")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows with a target each.

    frame: every column but the target; its index is the place of each row in the file, from 0. y: codes (n,) for a
    classification, (n, 1) float64 for a regression.
    classes: the labels by code; ordered: from low to high, of a scale; may_be_ordered: `split_table` looks whether
    they are. columns: what each input is. identifiers: columns that are no inputs and name a row.
    groups (n,), times (n,): by which the parts are to be made. weights (n,): what each row counts for, above 0; None:
    all the same. weighed_by: the column that says so, whether they differ or not. said: what was found out, in
    sentences. read: the rows of the file. left_out: why rows of it are not among these, in sentences, which are in
    `said` too. source: the file, where they are of one.
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
    weights: NDArray[np.float64] | None = None
    weighed_by: str | None = None
    ordered: bool = False
    said: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    decimal: Mark = ""
    exact_labels: bool = False
    may_be_ordered: bool = False
    read: int = 0
    left_out: tuple[str, ...] = ()
    source: Source | None = None


def load_table(path: str | Path, target: str | None, **reading: Any) -> Table:
    """The table in a file. reading, and what is raised: as in `make_table`, and in `read_table`."""
    said: list[str] = []
    read = read_table(path, said)
    table = make_table(Path(path).name.partition(".")[0], read.frame, target, **reading)
    return replace(table, said=(*said, *table.said), decimal=read.decimal, source=read.source)


def make_table(
    name: str,
    frame: "pd.DataFrame",
    target: str | None,
    *,
    task: TargetTask | None = None,
    order: str | None = None,
    kinds: Mapping[str, Kind] | None = None,
    group: str | None = None,
    time: str | None = None,
    sample_weight: str | None = None,
    positive: str | None = None,
    exact_labels: bool = False,
) -> Table:
    """A table from a frame.

    target: the column to predict. task: None tells it from the target. order: labels from low to high, with commas.
    kinds: what columns are, where that is not to be told from their values. group: the column whose equal values stay
    in one part. time: the column whose later values select and report. sample_weight: what each row counts for; rows
    without, or of 0, are left out. positive: of two labels the one that is the event (see `POSITIVE`). exact_labels:
    labels that differ in blanks, Unicode's forms or case are classes of their own (`data.spelling`).
    Raises InvalidArgument: a column that is not there, a target that is none. InvalidData: nothing to learn from.
    """
    target = _clear(frame, target, group, time, sample_weight)
    said, left_out, read = list[str](), list[str](), len(frame)
    frame = _with_target(frame.reset_index(drop=True), target, left_out)
    frame, weights = weighing(frame, sample_weight, left_out)
    kinds = dict(kinds or {})
    task = task_of(target, task, kinds.pop(target, None))
    plain_task = unordered(task, order)
    found, y, classes, told = read_target(target, frame[target], plain_task, positive, exact=exact_labels)
    said += [*left_out, *told]
    columns = look_at(frame, kinds, said, leave=[n for n in (target, group, sample_weight) if n is not None])
    scale = Scale.of(target, classes, task, order, said)
    y = scale.codes[y] if classes else y
    said += [*_in_words(columns), *_parts_in_words(frame, group, time), *in_words(weights, sample_weight)]
    said += hints(frame, y, columns, target=target, task=found, given=kinds, parted_by=group or time)
    said += rare_classes(y, scale.classes)
    return Table(
        name,
        found,
        frame.drop(columns=[target]),
        y,
        target,
        scale.classes,
        tuple(c for c in columns if c.kind != "drop"),
        _identifiers(columns, group),
        None if group is None else np.array([plain(str(value)) for value in frame[group].tolist()]),
        None if time is None else _order(frame[time], time),
        time,
        None if weights is None or (weights == weights[0]).all() else weights,
        sample_weight,
        scale.is_known,
        tuple(said),
        tuple(frame.columns),
        exact_labels=exact_labels,
        may_be_ordered=scale.may_be,
        read=read,
        left_out=tuple(left_out),
    )


def _identifiers(columns: Sequence[Column], group: str | None) -> tuple[str, ...]:
    """The columns that are no inputs and name a row."""
    dropped = [c.name for c in columns if c.kind == "drop" and ("identifier" in c.why or "numbers" in c.why)]
    return (*dropped, *([group] if group is not None else []))


def _clear(
    frame: "pd.DataFrame", target: str | None, group: str | None, time: str | None, sample_weight: str | None
) -> str:
    """The target, where all that is named is there. Raises InvalidArgument."""
    _require(frame, target, "--target", guess=True)
    for option, column in (("--group", group), ("--time-column", time), ("--sample-weight", sample_weight)):
        if column is not None:
            _require(frame, column, option)
            if column == target:
                raise InvalidArgument(f"{option} {column}: that is the target; name another column")
    if group is not None and time is not None:
        raise InvalidArgument(
            "--group and --time-column each say how the parts are made; give one of them, or the latest rows as a "
            "file of their own with --test"
        )
    assert target is not None
    return target


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
    table = _in_order(table, train, said)
    preprocessing = _learned(table, train, one_hot, said)
    train, select = that_fit(train, select, preprocessing.shape[0], seed=seed, said=said)
    rows = {"train": train, "select": select}
    frames = {part: table.frame.iloc[taken] for part, taken in rows.items()}
    ys = {part: table.y[taken] for part, taken in rows.items()}
    ws = {part: None if table.weights is None else table.weights[taken] for part, taken in rows.items()}
    if test is None:
        frames["report"], ys["report"] = table.frame.iloc[report], table.y[report]
        ws["report"] = None if table.weights is None else table.weights[report]
    else:
        frames["report"], ys["report"], ws["report"] = test.frame, test.y, test.weights
    said.append(sizes(*(len(frame) for frame in frames.values())))
    if test is not None:
        said += [*test.said, *preprocessing.misread(test.frame)]
    said += leaks(frames["train"], ys["train"], table.columns, preprocessing)
    said += duplicates(frames["train"], frames["report"], [column.name for column in table.columns])
    strange: list[str] = []
    parts = {
        part: with_targets(preprocessing, preprocessing.encode(frame, strange), ys[part], ws[part])
        for part, frame in frames.items()
    }
    return Split(
        name=table.name,
        **parts,
        preprocessing=preprocessing,
        said=tuple(dict.fromkeys([*said, *strange])),
        groups=None if table.groups is None else table.groups[np.concatenate([train, select])],
        in_order=table.times is not None,
        origins=frames["report"].index.to_numpy() + 1,
        source=(test or table).source,
    )


def _in_order(table: Table, train: NDArray[Any], said: list[str]) -> Table:
    """Whether whole numbers are a scale, by the rows that train alone: those that report have no say in the task."""
    if not table.may_be_ordered or not has_order(table.frame.iloc[train], table.y[train], table.columns):
        return table
    said.append(scale_in_words(table.target, table.classes, NEIGHBOURS))
    return replace(table, ordered=True)


def _learned(table: Table, train: NDArray[Any], one_hot: bool, said: list[str]) -> TablePreprocessing:
    """train: which rows teach."""
    known = TablePreprocessing(
        table.task,
        (),
        table.target,
        one_hot,
        table.identifiers,
        table.classes,
        header=table.header,
        decimal=table.decimal,
        exact_labels=table.exact_labels,
        sample_weight=table.weighed_by,
        ordered=table.ordered,
    )
    frame, y = table.frame.iloc[train], table.y[train]
    preprocessing = learn_table(known, frame, y, table.columns, said, ordered_by=table.ordered_by)
    if not preprocessing.columns:
        raise InvalidData(
            f"nothing is left to learn from: the only inputs are dates of one day ({table.ordered_by}); give more "
            "columns"
        )
    return preprocessing


def load_test(path: str | Path, table: Table) -> Table:
    """The rows in a file, to report on; what is raised is that of `as_test`, and of `read_table`."""
    said: list[str] = []
    read = read_table(path, said, table.decimal)
    test = as_test(table, Path(path).name, read.frame)
    return replace(test, said=(*said, *test.said), source=read.source)


def as_test(table: Table, name: str, frame: "pd.DataFrame") -> Table:
    """Rows to report on, with the codes of `table`'s classes. They may be few, and all of one class.

    Raises InvalidArgument: no column of targets, or of weights where the table has one. InvalidData: no target of the
    kind, or a label that the training rows never show.
    """
    said: list[str] = []
    there = frame.columns
    frame = frame.reset_index(drop=True)
    frame = matched(frame, table.header, [column.name for column in table.columns], said)
    read = len(frame)
    if table.target not in frame.columns:
        raise InvalidArgument(
            f"--test {name}: there is no column {table.target}, the target; it has {listed(there)}"
        )
    if table.weighed_by is not None and table.weighed_by not in frame.columns:
        raise InvalidArgument(
            f"--test {name}: there is no column {table.weighed_by}, the weight; it has {listed(there)}"
        )
    frame, weights = weighing(_with_target(frame, table.target, said), table.weighed_by, said)
    values = frame[table.target]
    y: NDArray[Any]
    if table.task == "regression":
        y = numbers_in(values)[:, None]
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
        weights=weights,
        said=tuple(f"{name}: {line}" for line in said),
        read=read,
        left_out=tuple(f"{name}: {line}" for line in said),
        source=None,
    )


def _with_target(frame: "pd.DataFrame", target: str, said: list[str]) -> "pd.DataFrame":
    """Without the rows that have no target."""
    empty = frame[target].isna()
    if not empty.any():
        return frame
    if empty.all():
        raise InvalidData(f"the target {target} holds no value in any row; name another column with --target")
    said.append(f"{int(empty.sum())} of {len(frame)} rows have no {target} and are left out.")
    rest = frame[~empty]
    # truth values beside which one was missing
    return rest.assign(**{target: rest[target].infer_objects()})


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
                    f"--time-column {name} holds neither dates nor numbers, but {values.iloc[0]!r:.40}; write dates "
                    "as 2024-12-31"
                )
        dates = dates_in(values, written)
        found = np.where(dates.isna(), np.nan, dates.astype("int64"))
    if np.isnan(found).any():
        raise InvalidData(
            f"--time-column {name} is missing in {int(np.isnan(found).sum())} rows; fill it, or drop those rows"
        )
    return found


def _parts_in_words(frame: "pd.DataFrame", group: str | None, time: str | None) -> list[str]:
    """By what the parts are made, where that is not by chance."""
    said = []
    if group is not None:
        said.append(f"Rows of one {group} stay together, and {group} is no input.")
        if alone := int(frame[group].isna().sum()):
            said.append(f"{alone} rows have no {group}: they stay together too.")
    if time is not None:
        said.append(
            f"The rows are taken in the order of {time}: the latest report, those before them select."
        )
    return said


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
