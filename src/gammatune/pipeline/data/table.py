"""`Table`: a table to learn from, its target told from its inputs; and its three parts."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.cells.amounts import numbers_in
from gammatune.pipeline.data.cells.codes import without
from gammatune.pipeline.data.cells.dates import date_format
from gammatune.pipeline.data.cells.distinct import Distinct
from gammatune.pipeline.data.cells.numerals import Mark
from gammatune.pipeline.data.cells.replaced import replaced
from gammatune.pipeline.data.cells.spelling import plain
from gammatune.pipeline.data.columns import Column, Given, Kind, listed
from gammatune.pipeline.data.dataset import Label, TargetTask, Task
from gammatune.pipeline.data.files.dialect import AS_IT_IS, HowToRead, Source
from gammatune.pipeline.data.files.finding import name_of, title_of
from gammatune.pipeline.data.files.learned import Layout, Learned
from gammatune.pipeline.data.files.names import refuse_named_twice
from gammatune.pipeline.data.files.reading import read_table
from gammatune.pipeline.data.frame_rows import FrameRows
from gammatune.pipeline.data.looking import as_read, columns_in_words, look_at
from gammatune.pipeline.data.matching import matched
from gammatune.pipeline.data.named_columns import target_among
from gammatune.pipeline.data.new_amounts import read_as_here
from gammatune.pipeline.data.noticing import duplicates, leaks
from gammatune.pipeline.data.row_hints import hints, rare_classes
from gammatune.pipeline.data.row_weights import in_words, weighing
from gammatune.pipeline.data.scales import Scale, has_order, unordered
from gammatune.pipeline.data.split import VALIDATION, Split, divide, sizes, that_fit, with_targets
from gammatune.pipeline.data.table_learning import learn_table
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing
from gammatune.pipeline.data.target import read_target, task_of
from gammatune.pipeline.data.target_numbers import half_numbers, in_test, target_of
from gammatune.pipeline.data.values import codes_of, dates_in

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows with a target each.

    frame: every column but the target; its index is the place of each row in the file, from 0. y: codes (n,) for a
    classification, (n, 1) float64 for a regression.
    classes: the labels by code; ordered: from low to high, of a scale; may_be_ordered: `split_table` looks whether
    they are. columns: what each input is. goal: how the target was read. looked_at: what each other column is, those
    left out too.
    groups (n,), times (n,): by which the parts are to be made. weights (n,): what each row counts for, above 0; None:
    all the same. weighed_by: the column that says so, whether they differ or not. said: what was found out, in
    sentences. read: the rows of the file. left_out: why rows of it are not among these, in sentences, which are in
    `said` too. source: the file, where they are of one; layout: of its lines.
    header, decimal, how, exact_labels: as in `TablePreprocessing`.
    """

    name: str
    task: Task
    frame: "pd.DataFrame"
    y: NDArray[Any]
    target: str
    classes: tuple[Label, ...]
    columns: tuple[Column, ...]
    groups: NDArray[Any] | None = None
    times: NDArray[Any] | None = None
    ordered_by: str | None = None
    weights: NDArray[np.float64] | None = None
    weighed_by: str | None = None
    ordered: bool = False
    said: tuple[str, ...] = ()
    _: KW_ONLY
    header: tuple[str, ...]
    decimal: Mark
    how: HowToRead = AS_IT_IS
    exact_labels: bool
    goal: Column
    looked_at: tuple[Column, ...]
    may_be_ordered: bool = False
    read: int = 0
    left_out: tuple[str, ...] = ()
    source: Source | None = None
    layout: Layout | None = None

    @property
    def learned(self) -> Learned:
        """By which other files are read."""
        return Learned(self.decimal, self.layout)


def load_table(path: str | Path, target: str | None, *, how: HowToRead = AS_IT_IS, **reading: Any) -> Table:
    """The table in a file. how, reading, and what is raised: as in `make_table`, and in `read_table`."""
    said: list[str] = []
    read = read_table(path, said, how=how)
    if read.source is not None:
        named = [target, *(reading.get(role) for role in ("group", "time", "sample_weight"))]
        refuse_named_twice(path, read.source.written, [name for name in named if name is not None])
    table = make_table(title_of(path), read.frame, target, how=how, mark=read.decimal, **reading)
    return replace(table, said=(*said, *table.said), source=read.source, layout=read.layout)


def make_table(
    name: str,
    frame: "pd.DataFrame",
    target: str | None,
    *,
    task: TargetTask | None = None,
    order: str | None = None,
    kinds: Mapping[str, Kind | Given] | None = None,
    group: str | None = None,
    time: str | None = None,
    sample_weight: str | None = None,
    positive: str | None = None,
    exact_labels: bool = False,
    how: HowToRead = AS_IT_IS,
    mark: Mark = "",
) -> Table:
    """A table from a frame.

    target: the column to predict. task: None tells it from the target. order: labels from low to high, with commas.
    kinds: what columns are, where that is not to be told from their values. group: the column whose equal values stay
    in one part. time: the column whose later values select and report. sample_weight: what each row counts for; rows
    without, or of 0, are left out. positive: of two labels the one that is the event (see `POSITIVE`). exact_labels:
    labels that differ in blanks, Unicode's forms or case are classes of their own (`data.cells.spelling`). how: what
    was said of its reading, codes for missing among it. mark: between numbers and decimals, as the file has it.
    Raises InvalidArgument: a column that is not there, a target that is none. InvalidData: nothing to learn from.
    """
    target = target_among(frame, target, group, time, sample_weight)
    said, left_out, levels, read = list[str](), list[str](), dict[str, Distinct](), len(frame)
    frame = without(frame.reset_index(drop=True), how.missing)
    given = {n: kind if isinstance(kind, Given) else Given(kind) for n, kind in (kinds or {}).items()}
    own, find_codes = given.pop(target, None), not how.missing
    task = task_of(target, task, None if own is None else own.kind)
    meant, column = unordered(task, order), frame[target]
    known = [n for n, each in given.items() if each.missing is not None or each.kind not in (None, "number")]
    beside = frame.drop(columns=[n for n in (target, group, sample_weight, *known) if n in frame])
    values, goal = target_of(target, column, meant, own, decimal=mark, find_codes=find_codes, beside=beside)
    frame = _with_target(replaced(frame, {target: values}), target, left_out, goal)
    frame, weights = weighing(frame, sample_weight, left_out)
    values = frame[target]
    hint = half_numbers(values, goal, mark)
    found, y, classes, told = read_target(target, values, meant, positive, exact=exact_labels, hint=hint)
    said += [*left_out, *told]
    leave = (target, group, sample_weight)
    columns = look_at(frame, given, said, leave=leave, decimal=mark, find_codes=find_codes, levels=levels)
    frame = as_read(frame, columns, levels)
    scale = Scale.of(target, classes, task, order, said, column)
    y = scale.codes[y] if classes else y
    said += columns_in_words(columns) + _parts_in_words(frame, group, time) + in_words(weights, sample_weight)
    said += hints(frame, y, columns, target=target, task=found, given=given, parted_by=group or time)
    said += rare_classes(y, scale.classes)
    groups = None if group is None else np.array([plain(str(value)) for value in frame[group].tolist()])
    weights = None if weights is None or (weights == weights[0]).all() else weights
    return Table(
        name, found, frame.drop(columns=[target]), y, target, scale.classes,
        tuple(c for c in columns if c.kind != "drop"), groups,
        None if time is None else _order(frame[time], time, columns), time, weights, sample_weight, scale.is_known,
        tuple(said), header=tuple(frame.columns), decimal=mark, how=how, goal=goal, looked_at=columns, read=read,
        exact_labels=exact_labels, may_be_ordered=scale.may_be, left_out=tuple(left_out),
    )  # fmt: skip


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
    if table.may_be_ordered:
        frame, y = FrameRows(table.frame, train).as_frame(), table.y[train]
        table = replace(table, ordered=has_order(frame, y, table.columns, table.target, table.classes, said))
    preprocessing = _learned(table, train, one_hot, said)
    train, select = that_fit(train, select, preprocessing.shape[0], seed=seed, said=said)
    said.append(sizes(len(train), len(select), len(report if test is None else test.frame)))
    reporting = FrameRows(table.frame, report)
    if test is not None:
        said += [*test.said, *preprocessing.misread(test.frame)]
        reporting = FrameRows(as_read(test.frame, table.columns), np.arange(len(test.frame)))
    strange: list[str] = []
    own = [train, select] if test is not None else [train, select, report]
    inputs = preprocessing.encode_parts(table.frame, own, strange)
    inputs += [] if test is None else [preprocessing.encode(reporting.frame, strange)]
    said += leaks(inputs[0], table.y[train], preprocessing)
    names = [column.name for column in table.columns]
    said += duplicates(FrameRows(table.frame, train), reporting, names)
    answers = [_answers(table, train), _answers(table, select), _answers(test or table, reporting.places)]
    parts = (with_targets(preprocessing, x, y, w) for x, (y, w) in zip(inputs, answers, strict=True))
    training, selecting, reported = parts
    return Split(
        *(table.name, training, selecting, reported, preprocessing),
        said=tuple(dict.fromkeys([*said, *strange])),
        groups=None if table.groups is None else table.groups[np.concatenate([train, select])],
        in_order=table.times is not None,
        origins=reporting.frame.index.to_numpy()[reporting.places] + 1,
        source=(test or table).source,
    )


def _answers(table: Table, places: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The targets of some rows, and what these count for."""
    return table.y[places], None if table.weights is None else table.weights[places]


def _learned(table: Table, train: NDArray[Any], one_hot: bool, said: list[str]) -> TablePreprocessing:
    """train: the rows that teach."""
    teaching = FrameRows(table.frame, np.sort(train))  # which are read one after the other
    known = TablePreprocessing(
        table.task,
        (),
        table.target,
        one_hot,
        classes=table.classes,
        header=table.header,
        decimal=table.decimal,
        how=table.how,
        exact_labels=table.exact_labels,
        sample_weight=table.weighed_by,
        ordered=table.ordered,
        target_form=table.goal.form,
        target_missing=table.goal.missing,
        layout=table.layout,
    )
    preprocessing = learn_table(
        known, teaching, table.y[train], table.columns, said, ordered_by=table.ordered_by
    )
    if not preprocessing.columns:
        raise InvalidData(
            f"nothing is left to learn from: the only inputs are dates of one day ({table.ordered_by}); give more "
            "columns"
        )
    return preprocessing


def load_test(path: str | Path, table: Table) -> Table:
    """The rows in a file, to report on; what is raised is that of `as_test`, and of `read_table`."""
    said: list[str] = []
    read = read_table(path, said, table.learned, table.how)
    test = as_test(table, name_of(path), read.frame, mark=read.decimal)
    return replace(test, said=(*said, *test.said), source=read.source)


def as_test(table: Table, name: str, frame: "pd.DataFrame", *, mark: Mark = "") -> Table:
    """Rows to report on, with the codes of `table`'s classes. They may be few, and all of one class.

    mark: between numbers and decimals, as their file has it.
    Raises InvalidArgument: no column of targets, or of weights where the table has one. InvalidData: no target of the
    kind, or a label that the training rows never show.
    """
    said: list[str] = []
    there = frame.columns
    frame = without(frame.reset_index(drop=True), table.how.missing)
    frame = matched(frame, table.header, [column.name for column in table.columns], said, table.target)
    read = len(frame)
    if table.target not in frame.columns:
        raise InvalidArgument(
            f"--test {name}: there is no column {table.target}, the target; it has {listed(there)}"
        )
    if table.weighed_by is not None and table.weighed_by not in frame.columns:
        raise InvalidArgument(
            f"--test {name}: there is no column {table.weighed_by}, the weight; it has {listed(there)}"
        )
    forms = {c.name: c.form for c in (*table.columns, table.goal) if c.kind == "number"}
    frame = read_as_here(frame, forms, (table.decimal, mark), said)
    if table.task == "regression":
        frame = replaced(frame, {table.target: in_test(name, frame[table.target], table.goal)})
    frame, weights = weighing(_with_target(frame, table.target, said), table.weighed_by, said)
    values = frame[table.target]
    y: NDArray[Any]
    if table.task == "regression":
        y = numbers_in(values)[:, None]
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


def _with_target(
    frame: "pd.DataFrame", target: str, said: list[str], goal: Column | None = None
) -> "pd.DataFrame":
    """Without the rows that have no target. goal: how it was read, where that is to be said too."""
    said += [] if goal is None else goal.sentences
    empty = frame[target].isna()
    if not empty.any():
        return frame
    if empty.all():
        raise InvalidData(f"the target {target} holds no value in any row; name another column with --target")
    said.append(f"{int(empty.sum())} of {len(frame)} rows have no {target} and are left out.")
    rest = frame[~empty]
    # truth values beside which one was missing
    return replaced(rest, {target: rest[target].infer_objects()})


def _order(values: "pd.Series[Any]", name: str, columns: Sequence[Column]) -> NDArray[Any]:
    """Numbers by which rows follow each other. Raises InvalidData where a row has none."""
    import pandas as pd

    written = next((column.format for column in columns if column.name == name), None)

    if pd.api.types.is_numeric_dtype(values):
        found: NDArray[Any] = values.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        if written is None and not pd.api.types.is_datetime64_any_dtype(values):
            written, _ = date_format(name, values.dropna().astype(str)) or (None, "")
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
