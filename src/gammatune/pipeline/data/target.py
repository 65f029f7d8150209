"""The target of a table: what it is, and which task that makes.

Text, truth values and a few whole numbers are classes, other numbers a regression.
"""

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.cells.dates import date_format
from gammatune.pipeline.data.cells.spelling import find, spellings, written
from gammatune.pipeline.data.columns import Kind, listed
from gammatune.pipeline.data.dataset import Label, TargetTask, Task
from gammatune.pipeline.data.values import counts_of

if TYPE_CHECKING:
    import pandas as pd

_NUMERAL = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
CLASSES = 20  # distinct whole numbers that are still classes [guess]
MANY = 1000  # classes; more were never meant [guess]
# Of two labels, the one that is the event: it gets code 1, of which f1, precision, recall and the like are told.
POSITIVE = (
    "yes", "y", "true", "t", "1", "positive", "pos", "ja", "oui", "si", "sí", "sì", "sim", "tak", "да", "evet", "是",
    "예", "wahr", "vrai", "verdadero", "vero", "verdadeiro", "waar", "sant", "prawda", "истина", "doğru", "はい",
)  # fmt: skip


def read_target(
    name: str,
    values: "pd.Series[Any]",
    task: Task | None,
    positive: str | None = None,
    *,
    exact: bool = False,
    hint: str = "",
) -> tuple[Task, NDArray[Any], tuple[Label, ...], list[str]]:
    """The task, targets as in `Table`, classes, and how the target was read, in words. exact: see `make_table`. hint:
    what else it could be."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.cat.remove_unused_categories()  # no class is known of which there is no row
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    spelled: list[str] = []
    try:
        if not exact and not is_number:
            values = _one_spelling(name, values, spelled)
        distinct = int(values.nunique())
    except TypeError as error:  # lists, mappings
        raise InvalidData(
            f"the target {name} holds {values.iloc[0]!r:.40}, which is no class and no number; name another column"
        ) from error
    _refuse_what_teaches_nothing(name, values, distinct, is_number=is_number)
    whole = is_number and bool((values == values.round()).all())
    few = distinct <= min(CLASSES, len(values) / 2)
    told: Task = "regression" if is_number and not (whole and few) else "classification"
    other = "" if task else "; --task classification reads it otherwise"
    if (task or told) == "regression":
        if not is_number:
            raise InvalidData(
                f"--task regression: the target {name} holds text, such as {values.iloc[0]!r:.40}; it must hold "
                "numbers"
            )
        y = values.to_numpy(dtype=np.float64)
        said = f"{name} holds numbers from {y.min():g} to {y.max():g}: a regression{other}."
        return "regression", y[:, None], (), [said]
    _refuse_what_is_no_class(name, values, distinct, hint, is_number=is_number)
    if whole:
        values = values.astype(np.int64)
    elif not pd.api.types.is_bool_dtype(values) and not isinstance(values.dtype, pd.StringDtype):
        values = values.map(str)
    classes = _in_order(name, values, positive, exact=exact)
    codes = {label: code for code, label in enumerate(classes)}
    places, labels = pd.factorize(values)
    y = np.array([codes[label] for label in labels.tolist()], dtype=np.int64)[places]
    other = "; --task regression reads it otherwise" if is_number and task is None else ""
    said = f"{name} is one of {len(classes)} classes ({listed(map(str, classes))}): a classification{other}."
    if len(classes) == 2:
        said += f" {classes[1]} is the positive one; --positive LABEL says otherwise."
    return "classification", y, classes, [said, *spelled, *([f"{hint}."] if hint and task is None else [])]


def _refuse_what_teaches_nothing(
    name: str, values: "pd.Series[Any]", distinct: int, *, is_number: bool
) -> None:
    import pandas as pd

    if pd.api.types.is_complex_dtype(values):
        raise InvalidData(f"the target {name} holds complex numbers; give real ones")
    if is_number and not np.isfinite(values.to_numpy(dtype=np.float64)).all():
        raise InvalidData(f"the target {name} holds infinite values; drop or correct those rows")
    if distinct == 1:
        raise InvalidData(
            f"the target {name} is {values.iloc[:1].tolist()[0]!r:.40} in every row; there is nothing to learn: "
            "name another column"
        )


def _refuse_what_is_no_class(
    name: str, values: "pd.Series[Any]", distinct: int, hint: str, *, is_number: bool
) -> None:
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values) or (
        not is_number and date_format(name, values.astype(str)) is not None
    ):
        raise InvalidData(
            f"the target {name} holds dates, such as {values.iloc[0]!s:.20}, which are not predicted; name another "
            "column"
        )
    if distinct > MANY or distinct > len(values) / 2:
        raise InvalidData(
            f"the target {name} holds {distinct} different values in {len(values)} rows, too many to be classes; "
            + (hint or "name another column with --target")
            + (", or say --task regression" if is_number else "")
        )


def _one_spelling(name: str, values: "pd.Series[Any]", said: list[str]) -> "pd.Series[Any]":
    """Labels with one spelling for those that differ in what nobody meant: see `data.cells.spelling`."""
    import pandas as pd

    is_text = isinstance(values.dtype, pd.StringDtype)
    texts = (
        values.dropna() if is_text else values[values.map(lambda label: isinstance(label, str)).astype(bool)]
    )
    found = spellings(counts_of(texts))
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
    classes = sorted(counts.index.tolist(), key=_numbers_first)
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


def _numbers_first(label: Any) -> Any:
    """By which labels of text are sorted: 2 before 10, both before words."""
    if not isinstance(label, str):
        return label
    number = float(label) if _NUMERAL.fullmatch(label) else np.inf
    return number, label


def task_of(target: str, task: TargetTask | None, kind: Kind | None) -> TargetTask | None:
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
    if task == "ordinal" and kind == "category":
        return task
    if task not in (None, meant[kind]):
        raise InvalidArgument(f"--task {task} and --column {target}={kind} contradict each other; give one")
    return meant[kind]
