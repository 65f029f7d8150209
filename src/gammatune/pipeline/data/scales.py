"""Scales: classes that follow each other, such as "never, sometimes, often" or an agreement from 1 to 7.

Words are known by a list; whole numbers that count up are a scale where the mistakes of a quick look fall beside the
truth more often than they would if the numbers were only names.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import InvalidArgument
from gammatune.pipeline.data.cells.spelling import find, written
from gammatune.pipeline.data.columns import Column, listed
from gammatune.pipeline.data.dataset import Label, TargetTask, Task
from gammatune.pipeline.data.row_hints import as_numbers

if TYPE_CHECKING:
    import pandas as pd

LEAST, MOST = 3, 11  # levels; two are never a scale, and of more a number says as much
NUMBERS = 5  # whole numbers that are one by themselves, at least; three or four are as often names
ENOUGH = 100  # rows by which their order is told
ROWS, COLUMNS, TREES, FOLDS = 2_000, 50, 30, 3  # of the quick look
ORDERS, CHANCE = 500, 0.01  # other orders of the same classes, of which so many may fit better
ROUNDING = 1e-9
NEIGHBOURS = "they count up, and what a quick look at rows that train says of one it says of its neighbours"
MARKS = ",;|"  # that may part the labels of --order

# From low to high; words of one level stand in one string.
_SCALES = (
    ("never", "almost never|hardly ever|very rarely", "rarely|seldom", "sometimes|occasionally", "often|frequently",
     "usually|very often|very frequently|almost always", "always"),
    ("none|not at all|no", "very little|slightly|a little|minimal", "some|somewhat|mild|moderately",
     "moderate|fairly", "much|very|quite a bit|a lot|severe|marked", "very much|extremely|very severe|completely"),
    ("none", "mild|slight", "moderate|some", "severe|marked", "very severe|extreme|critical"),
    ("very low", "low", "medium|moderate|middle|average|normal", "high", "very high"),
    ("very small", "small", "medium", "large", "very large|extra large"),
    ("very bad|very poor|terrible", "bad|poor", "fair|average|ok|acceptable", "good", "very good", "excellent|ideal"),
    ("strongly disagree|disagree strongly|completely disagree|totally disagree", "disagree|mostly disagree",
     "somewhat disagree|slightly disagree|disagree somewhat",
     "neutral|neither|neither agree nor disagree|undecided|neither disagree nor agree",
     "somewhat agree|slightly agree|agree somewhat", "agree|mostly agree",
     "strongly agree|agree strongly|completely agree|totally agree"),
    ("very dissatisfied", "dissatisfied|unsatisfied", "neutral|neither|neither satisfied nor dissatisfied",
     "satisfied", "very satisfied"),
    ("very unlikely", "unlikely", "neutral|possible|neither likely nor unlikely", "likely", "very likely"),
    ("very unimportant|not important|not at all important", "unimportant|slightly important",
     "neutral|somewhat important|moderately important", "important", "very important|extremely important"),
    ("too little", "about right", "too much"),
    ("worse", "same|about the same|unchanged|no change", "better"),
    ("much worse", "worse", "same|about the same|unchanged|no change", "better", "much better"),
)  # fmt: skip


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
        return scale_of_words(classes) or (), "by their words"
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
    known = scale_held(classes, held) or scale_of_words(classes)
    if known is None:
        raise InvalidArgument(
            f"--task ordinal: the order of {listed(map(str, classes))} is not known; say --order "
            f'"{order_of(classes)}", from low to high'
        )
    return known, "as the table has them" if held else "by their words"


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


def scale_of_words(labels: Sequence[Label]) -> tuple[Label, ...] | None:
    """The labels from low to high, where each is a level of its own of one known scale."""
    if not LEAST <= len(labels) <= MOST:
        return None
    plain = {label: re.sub(r"[\W_]+", " ", str(label)).strip().lower() for label in labels}
    for scale in _SCALES:
        levels = {word: place for place, words in enumerate(scale) for word in words.split("|")}
        places = {label: levels[word] for label, word in plain.items() if word in levels}
        if len(labels) == len(places) == len(set(places.values())):
            return tuple(sorted(labels, key=places.__getitem__))
    return None


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
