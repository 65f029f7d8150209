"""Permutation importance: how much worse a model gets where a column tells it nothing (Breiman 2001, section 10).

The values of a column, or of several that belong together, are dealt out among the examples at random; what the
measure loses by it is what the model makes of that column. Columns that say nearly the same stand in for each other,
so that each of them may seem to be worth little.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.measures import RECIPES, Answers, recipe, undefined, value
from gammatune.seeds import stream

REPEATS = 10
MOST = 5_000  # examples that are looked at (guess)


@dataclass(frozen=True, slots=True)
class Feature:
    """mean, std: of what the measure lost over the repeats, positive where the model needs it."""

    name: str
    mean: float
    std: float


@dataclass(frozen=True, slots=True)
class Importance:
    """features: the most needed first. value: the measure with nothing permuted, on so many examples."""

    metric: str
    value: float
    examples: int
    repeats: int
    features: tuple[Feature, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def importance(
    predict: Callable[[Any], ArrayLike],
    inputs: ArrayLike,
    targets: ArrayLike,
    *,
    groups: Mapping[str, Sequence[int]] | Sequence[str] | None = None,
    metric: str | None = None,
    repeats: int = REPEATS,
    most: int = MOST,
    seed: int = 0,
    target_scale: tuple[ArrayLike, ArrayLike] | None = None,
) -> Importance:
    """How much each column, or group of columns, of a table is worth to a model.

    predict: from inputs (n, d) to probabilities (n, k), or to numbers (n,) or (n, t) for a regression. It is called
    1 + groups x repeats times. inputs: (n, d), of any type. targets: whole numbers from 0, codes of classes; or
    numbers (n,) or (n, t). Take data the model was not trained on.
    groups: the columns of inputs by the name of what they say, each permuted as one (the columns of a category or of
    a date); or a name for each column; without it "column 1", "column 2", ...
    metric: of `gammatune.measures`; accuracy or r2 where none is given, by what predict gives. most: of more
    examples than that a sample is looked at. target_scale: (mean, std) of standardised targets, as in `fit`.
    The same seed gives the same numbers; a group's do not depend on the other groups.
    Raises InvalidArgument, InvalidData where the measure has no value on the examples.
    """
    x, y = np.asarray(inputs), np.asarray(targets)
    if x.ndim != 2 or len(x) != len(y) or not len(x):
        raise InvalidArgument(
            f"inputs of shape {x.shape} and targets of {y.shape}: give a table (n, d), and a target for each row"
        )
    if isinstance(repeats, bool) or not isinstance(repeats, (int, np.integer)) or repeats < 1:
        raise InvalidArgument(f"repeats={repeats!r}: give a whole number of 1 or more")
    named = _groups(groups, x.shape[1])
    if len(x) > most:
        places = np.sort(stream(seed, "importance").choice(len(x), most, replace=False))
        x, y = x[places], y[places]
    first = np.asarray(predict(x))
    classify = y.ndim == 1 and y.dtype.kind in "iub" and first.ndim == 2
    task = "classification" if classify else "regression"
    found = recipe(metric or ("accuracy" if classify else "r2"), task)

    def score(said: ArrayLike) -> float:
        answers = _answers(said, y, classify, target_scale)
        measured = value(found.name, answers)
        if measured is None:
            raise InvalidData(f"{undefined(found.name, answers)}; give other examples, or another metric")
        return measured

    base = score(first)
    sign = 1 if RECIPES[found.name].higher else -1
    features = []
    for name, columns in named.items():
        lost = []
        for repeat in range(repeats):
            dealt = x.copy()
            order = stream(seed, "importance", name, repeat).permutation(len(x))
            dealt[:, columns] = x[order][:, columns]
            lost.append(sign * (base - score(predict(dealt))))
        features.append(Feature(name, float(np.mean(lost)), float(np.std(lost))))
    features.sort(key=lambda feature: -feature.mean)
    return Importance(found.name, base, len(x), int(repeats), tuple(features))


def _groups(given: Any, columns: int) -> dict[str, list[int]]:
    if given is None:
        given = [f"column {place + 1}" for place in range(columns)]
    if not isinstance(given, Mapping):
        names = [str(name) for name in given]
        if len(names) != columns or len(set(names)) != columns:
            raise InvalidArgument(
                f"groups= names {len(set(names))} columns of {columns}; give each a name of its own"
            )
        return {name: [place] for place, name in enumerate(names)}
    named = {str(name): [int(place) for place in places] for name, places in given.items()}
    for name, places in named.items():
        if not places or not all(0 <= place < columns for place in places):
            raise InvalidArgument(
                f"groups= says {name!r} is in columns {places}; give columns from 0 to {columns - 1}"
            )
    return named


def _answers(said: ArrayLike, y: Any, classify: bool, scale: Any) -> Answers:
    given = np.asarray(said)
    if len(given) != len(y):
        raise InvalidArgument(f"predict gave {len(given)} rows for {len(y)} examples; give one for each")
    if classify:
        if given.ndim != 2 or given.shape[1] < 2 or int(y.min()) < 0 or int(y.max()) >= given.shape[1]:
            raise InvalidArgument(
                f"predict gave {given.shape} for classes from {y.min()} to {y.max()}; give probabilities, one column "
                "a class"
            )
        return Answers(y.astype(np.int64), given.argmax(axis=1), given.shape[1], given)
    numbers = given.reshape(len(y), -1).astype(np.float64)
    true = y.reshape(len(y), -1).astype(np.float64)
    if numbers.shape != true.shape:
        raise InvalidArgument(f"predict gave {given.shape} for targets of {y.shape}; give the same shape")
    answers = Answers(true, numbers)
    return answers if scale is None else answers.scaled(*scale)
