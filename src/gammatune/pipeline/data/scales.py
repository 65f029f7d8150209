"""Scales: classes that follow each other, such as "never, sometimes, often" or an agreement from 1 to 7.

`scale_words`, `scale_bands` and `scale_rates` know many; whole numbers that count up are one where the mistakes of a
quick look fall beside the truth more often than they would if the numbers were only names.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import InvalidArgument
from gammatune.pipeline.data import scale_words
from gammatune.pipeline.data.cells.no_answer import says_nothing
from gammatune.pipeline.data.cells.spelling import find, written
from gammatune.pipeline.data.columns import Column, listed
from gammatune.pipeline.data.dataset import Label, TargetTask, Task
from gammatune.pipeline.data.row_hints import as_numbers
from gammatune.pipeline.data.scale_bands import bands, numbered
from gammatune.pipeline.data.scale_rates import rates
from gammatune.pipeline.data.target import CLASSES

if TYPE_CHECKING:
    import pandas as pd

LEAST, MOST = 3, 11  # levels; two are never a scale, and of more a number says as much
# sizes, or names of anything else: never taken, but hinted at
SIZES = ("xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl")
STRANGE = 3  # of so many answers one may be unknown where the others are taken for a scale, in a hint [guess]
NUMBERS = 5  # whole numbers that are one by themselves, at least; three or four are as often names
ENOUGH = 100  # rows by which their order is told
ROWS, COLUMNS, TREES, FOLDS = 2_000, 50, 30, 3  # of the quick look
ORDERS, CHANCE = 500, 0.01  # other orders of the same classes, of which so many may fit better
ROUNDING = 1e-9
NEIGHBOURS = "they count up, and what a quick look at rows that train says of one it says of its neighbours"
MARKS = ",;|"  # that may part the labels of --order


def unordered(task: TargetTask | None, order: str | None) -> Task | None:
    """What a target is read as before its classes are put in order."""
    if task == "ordinal" or (task is None and order is not None):
        return "classification"
    return task


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """classes: from low to high, where their order is_known. codes (k,): the places in it of the classes as they
    were. may_be: they are whole numbers that count up, and `has_order` tells the rest, of rows that train."""

    classes: tuple[Label, ...]
    codes: NDArray[np.int64]
    is_known: bool
    may_be: bool = False

    @classmethod
    def of(
        cls,
        name: str,
        classes: tuple[Label, ...],
        task: TargetTask | None,
        order: str | None,
        said: list[str],
        column: "pd.Series[Any]",
    ) -> "Scale":
        """Of a target. task, order: as asked for. column: as the table has it, which may say their order.
        said: takes what was found.

        Raises InvalidArgument: an order of what is no classes, or one that is asked for and not known.
        """
        ordered, why = _ordered(name, classes, task, order, levels_in_order(column))
        if not ordered:
            said += _like_a_scale(name, classes) if task is None else []
            may_be = task is None and counts_up(classes)
            return cls(classes, np.arange(len(classes)), False, may_be)
        said.append(scale_in_words(name, ordered, why))
        places = {label: place for place, label in enumerate(ordered)}
        return cls(ordered, np.array([places[label] for label in classes]), True)


def scale_in_words(name: str, classes: Sequence[Label], why: str) -> str:
    """What is said of classes in order. why: how that is known."""
    number = all(type(label) is int for label in classes)
    return (
        f"The classes of {name} are in order, {' < '.join(map(str, classes))} ({why}): ordinal, where a mistake "
        "counts by its steps, and an answer is the median of the probabilities. --task classification forgets the "
        "order" + ("; --task regression reads it as a number, which may fall between two." if number else ".")
    )


def _ordered(
    name: str, classes: tuple[Label, ...], task: TargetTask | None, order: str | None, held: Sequence[str]
) -> tuple[tuple[Label, ...], str]:
    """The classes from low to high, and how that is known; empty where it is not."""
    if task != "ordinal" and order is None:
        if task is not None or not classes:
            return (), ""
        known = scale_held(classes, held) if len(classes) >= LEAST else None
        if known is not None:
            return known, "as the table has them"
        return scale_told(classes) or ((), "")
    option = f"--order {order}" if order is not None else "--task ordinal"
    if task not in (None, "ordinal"):
        raise InvalidArgument(f"{option} and --task {task} contradict each other; give one")
    if len(classes) < LEAST:
        raise InvalidArgument(
            f"{option} orders {LEAST} classes or more, and {name} has {len(classes)}; leave it out"
        )
    if order is not None:
        return scale_given(name, classes, order), "as asked"
    if not isinstance(classes[0], str):
        return classes, "as asked"
    known = scale_held(classes, held)
    if known is not None:
        return known, "as the table has them"
    told = scale_told(classes)
    if told is None:
        raise InvalidArgument(
            f"--task ordinal: the order of {listed(map(str, classes))} is not known; say "
            f"{_option('--order', order_of(classes))}, from low to high"
        )
    return told


def levels_in_order(values: "pd.Series[Any]") -> tuple[str, ...]:
    """The levels of a column that holds them from low to high; nothing of another."""
    import pandas as pd

    kind = values.dtype
    in_order = isinstance(kind, pd.CategoricalDtype) and kind.ordered
    return tuple(map(written, kind.categories.tolist())) if in_order else ()


def scale_held(labels: Sequence[Label], held: Sequence[str]) -> tuple[Label, ...] | None:
    """The labels in the order in which a table holds them, where each is one of its levels."""
    places = find([written(label) for label in labels], held)
    known = [(place, label) for place, label in zip(places, labels, strict=True) if place is not None]
    if not held or len(known) < len(labels):
        return None
    return tuple(label for _, label in sorted(known, key=lambda each: each[0]))


def scale_told(labels: Sequence[Label]) -> tuple[tuple[Label, ...], str] | None:
    """The labels from low to high, and what tells it, where each has a place of its own on one scale."""
    found, why = _places(labels)
    known = {label: place for label, place in zip(labels, found, strict=True) if place is not None}
    if not LEAST <= len(labels) == len(known) == len(set(known.values())):
        return None
    return tuple(sorted(labels, key=known.__getitem__)), why


def _like_a_scale(name: str, labels: Sequence[Label]) -> list[str]:
    """A sentence where most labels have a place on one scale, others none or a shared one, or where all are sizes."""
    found, _ = _places(labels)
    if {str(label).lower() for label in labels} <= {*SIZES}:
        found = [float(SIZES.index(str(label).lower())) for label in labels]
    known = sorted((place, label) for place, label in zip(found, labels, strict=True) if place is not None)
    rest = [label for label, place in zip(labels, found, strict=True) if place is None]
    silent = [label for label in rest if says_nothing(str(label)) or not re.search(r"[^\W_]", str(label))]
    if len({place for place, _ in known}) < LEAST or (len(rest) - len(silent)) * STRANGE > len(labels):
        return []
    order = _option("--order", order_of([*(label for _, label in known), *rest]))
    if not rest:
        return [f"{name} looks like a scale; if it is one, say its order, from low to high: {order}."]
    leave = ",".join(map(str, rest))
    out = f"where that is no answer, {_option('--missing', leave)} leaves out its rows; "
    out *= leave.count(",") < len(rest)
    return [
        f"{name} looks like a scale but for {listed(map(repr, rest))}: {out}where it is one, say its place, from low "
        f"to high: {order}."
    ]


def _option(name: str, value: str) -> str:
    """As a shell takes it, which makes something else of "$0"."""
    return shlex.join([name, value])


def _places(labels: Sequence[Label]) -> tuple[list[float | None], str]:
    """Of the scale that knows most of the labels apart: their places, None where one has none; and what tells it."""
    texts = [str(label) for label in labels]
    if not LEAST <= len(texts) <= CLASSES or not isinstance(labels[0], str):
        return [None] * len(texts), ""
    answers = [text for text in texts if not says_nothing(text)]
    told = [(places, "by their words") for places in scale_words.places(answers)]
    told += [
        (bands(answers), "by the numbers that bound them"),
        (rates(answers), "by how often that is"),
        (numbered(answers), "by their numbers"),
    ]
    best, why = max(told, key=lambda each: len({place for place in each[0] if place is not None}))
    known = dict(zip(answers, best, strict=True))
    return [known.get(text) for text in texts], why


def scale_given(name: str, labels: Sequence[Label], order: str) -> tuple[Label, ...]:
    """The labels as `--order` has them, "low, medium, high"; where labels hold commas with one of the other MARKS
    between, or a backslash before each of their own.

    Raises InvalidArgument where it leaves one out, or names another.
    """
    for mark in MARKS:
        parts = re.split(rf"(?<!\\){re.escape(mark)}", order)
        asked = [part.replace(f"\\{mark}", mark).strip() for part in parts]
        places = find(asked, [written(label) for label in labels], exact=False)
        if None not in places and len(asked) == len(labels) == len(set(places)):
            return tuple(labels[place] for place in places if place is not None)
    raise InvalidArgument(
        f"--order {order}: {name} has the labels {listed(map(str, labels))}; name each of them once, from low to "
        f"high, with commas between, or with ; or | where a label holds a comma: {order_of(labels)}"
    )


def order_of(labels: Sequence[Label]) -> str:
    """As `scale_given` reads them."""
    texts = [str(label) for label in labels]
    mark = next((mark for mark in MARKS if not any(mark in text for text in texts)), None)
    if mark is None:
        mark, texts = ",", [text.replace(",", "\\,") for text in texts]
    return (" | " if mark == "|" else f"{mark} ").join(texts)


def counts_up(labels: Sequence[Label]) -> bool:
    """Whether they are whole numbers from 0 or 1 on, without a gap, enough for a scale and not too many."""
    if not NUMBERS <= len(labels) <= MOST or not all(type(label) is int for label in labels):
        return False
    return labels[0] in (0, 1) and list(labels) == list(range(int(labels[0]), int(labels[0]) + len(labels)))


def has_order(
    frame: "pd.DataFrame",
    y: NDArray[np.int64],
    columns: Sequence[Column],
    name: str,
    classes: Sequence[Label],
    said: list[str],
) -> bool:
    """Whether whole numbers are a scale, by rows that train alone: those that report have no say in the task.

    said: takes that they are. name: of the target."""
    found = neighbours_are_alike(frame, y, columns)
    said += [scale_in_words(name, classes, NEIGHBOURS)] if found else []
    return found


def neighbours_are_alike(frame: "pd.DataFrame", y: NDArray[np.int64], columns: Sequence[Column]) -> bool:
    """Whether what a quick look at some rows says of a class is said of its neighbours too: nearer to the truth, in
    squared steps, than under nearly any other order of the same classes."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.model_selection import KFold

    if len(y) < ENOUGH:
        return False
    rng = np.random.default_rng(0)
    taken = rng.permutation(len(y))[:ROWS]
    inputs = [column for column in columns if column.kind != "drop"]
    inputs = [inputs[place] for place in sorted(rng.permutation(len(inputs))[:COLUMNS])]
    x = np.stack([as_numbers(column, frame.iloc[taken]) for column in inputs], axis=1)
    y, k = y[taken], int(y.max()) + 1
    said = np.zeros((len(y), k))
    for train, held in KFold(FOLDS).split(x):
        forest: Any = ExtraTreesClassifier(TREES, min_samples_leaf=3, class_weight="balanced", random_state=0)
        forest.fit(x[train], y[train])
        said[np.ix_(held, forest.classes_)] = forest.predict_proba(x[held])
    # what is said of each class, beyond what is said of all
    confusion = np.stack(
        [said[y == c].mean(axis=0) if (y == c).any() else said.mean(axis=0) for c in range(k)]
    )
    confusion -= confusion.mean(axis=0)

    def off(order: NDArray[Any]) -> float:
        return float((confusion * (order[:, None] - order) ** 2).sum())

    own = off(np.arange(k))
    others = [off(rng.permutation(k)) for _ in range(ORDERS)]
    return float(np.mean([other < own - ROUNDING for other in others])) <= CHANCE
