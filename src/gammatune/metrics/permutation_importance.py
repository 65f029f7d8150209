"""Permutation importance: how much worse a model gets where a column tells it nothing (Breiman 2001, section 10).

The values of a column, or of several that belong together, are dealt out among the examples at random; what the
measure loses by it is what the model makes of that column. Columns that say nearly the same stand in for each other,
so that each of them may seem to be worth little.

One permutation a column: how far another would differ is among what the interval holds, which resamples the examples
(a bootstrap of the loss, the same examples before and after), the same resamples for all columns.
"""

import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gammatune.errors import InvalidArgument, InvalidData, whole
from gammatune.metrics.bootstrap import Resampled
from gammatune.metrics.catalogue import METRICS, recipe, undefined, value
from gammatune.metrics.predictions import Answers
from gammatune.seeds import stream

REPEATS = 1
MOST = 5_000  # examples that are looked at (guess)
EACH = 5  # columns between two words on how far it is, at least


@dataclass(frozen=True, slots=True)
class Feature:
    """mean: of what the measure lost over the repeats, positive where the model needs it. low, high: its 95 %
    interval."""

    name: str
    mean: float
    low: float
    high: float

    @property
    def is_needed(self) -> bool:
        """By more than chance."""
        return self.high > self.low > 0  # of one example, or a few that tell alike, there is no interval


@dataclass(frozen=True, slots=True)
class Importance:
    """features: the most needed first. value: the measure with nothing permuted, on so many examples. unranked: how
    many columns, or groups of them, were not looked at."""

    metric: str
    value: float
    examples: int
    repeats: int
    features: tuple[Feature, ...]
    unranked: int = 0

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
    sample_weight: ArrayLike | None = None,
    ordered: bool = False,
    first: int | None = None,
    seconds: float | None = None,
    tell: Callable[[float, float], None] | None = None,
) -> Importance:
    """How much each column, or group of columns, of a table is worth to a model.

    predict: from inputs (n, d) to probabilities (n, k), or to numbers (n,) or (n, t) for a regression. It is called
    1 + groups x repeats times, once more where `seconds` are given, and must leave what it is handed as it is.
    inputs: (n, d), of any type. targets: whole numbers from 0, codes of classes; or numbers (n,) or (n, t). Take data
    the model was not trained on.
    groups: the columns of inputs by the name of what they say, each permuted as one (the columns of a category or of
    a date); or a name for each column; without it "column 1", "column 2", ...
    metric: of `gammatune.metrics.catalogue`; accuracy, steps where ordered, or r2, by what predict gives, where none
    is given. ordered: the classes follow each other. most: of more examples than that a sample is looked at.
    target_scale: (mean, std) of standardised targets, as in `fit`.
    sample_weight: what each example counts for, (n,), 0 or more; None: all the same.
    first: look at so many of the groups, in their order. seconds: at no more of them than fit into this, measured on
    one before the others; one is always looked at. tell: handed (the share done, the seconds all takes) on the way.
    The same seed gives the same numbers; a group's do not depend on the other groups.
    Raises InvalidArgument, InvalidData where the measure has no value on the examples.
    """
    x, y = np.asarray(inputs), np.asarray(targets)
    if x.ndim != 2 or len(x) != len(y) or not len(x):
        raise InvalidArgument(
            f"inputs of shape {x.shape} and targets of {y.shape}: give a table (n, d), and a target for each row"
        )
    weights = _weights(sample_weight, len(x))
    repeats = whole(repeats, "repeats", least=1)
    named = _groups(groups, x.shape[1])
    if len(x) > most:
        places = np.sort(stream(seed, "importance").choice(len(x), most, replace=False))
        x, y = x[places], y[places]
        weights = None if weights is None else weights[places]
    undisturbed = np.asarray(predict(x))
    classify = y.ndim == 1 and y.dtype.kind in "iub" and undisturbed.ndim == 2
    task = "classification" if classify else "regression"
    found = recipe(metric or ("r2" if not classify else "steps" if ordered else "accuracy"), task)

    def answers_of(said: ArrayLike) -> Answers:
        return replace(_answers(np.asarray(said), y, classify, target_scale, ordered), weights=weights)

    look = _Look(
        found.name, lambda held: answers_of(predict(held)), x, answers_of(undisturbed), repeats, seed
    )
    features = _within(seconds, look, named, list(named)[:first], tell)
    features.sort(key=lambda feature: -feature.mean)
    return Importance(found.name, look.worth, len(x), repeats, tuple(features), len(named) - len(features))


class _Look:
    """What the measure loses where some columns are permuted. worth: with none of them permuted."""

    def __init__(
        self,
        metric: str,
        ask: Callable[[np.ndarray[Any, Any]], Answers],
        x: np.ndarray[Any, Any],
        base: Answers,
        repeats: int,
        seed: int,
    ) -> None:
        self.metric, self.ask, self.x, self.repeats, self.seed = metric, ask, x, repeats, seed
        self.worth = _value(metric, base)
        self._resampled = Resampled(metric, base, stream(seed, "importance", "resamples"))
        self._dealt = x.copy()

    def __call__(self, name: str, columns: Sequence[int]) -> Feature:
        losses, drawn = [], []
        for repeat in range(self.repeats):
            order = stream(self.seed, "importance", name, repeat).permutation(len(self.x))
            self._dealt[:, columns] = self.x[:, columns][order]
            answers = self.ask(self._dealt)
            losses.append(self.worth - _value(self.metric, answers))
            drawn.append(self._resampled.base - self._resampled(answers))
        self._dealt[:, columns] = self.x[:, columns]
        lost = float(np.mean(losses))
        low, high = self._resampled.ends(np.mean(drawn, axis=0), lost)
        is_gain = METRICS[self.metric].higher_is_better
        return Feature(name, lost, low, high) if is_gain else Feature(name, -lost, -high, -low)


def _within(
    seconds: float | None,
    look: _Look,
    named: Mapping[str, Sequence[int]],
    wanted: list[str],
    tell: Callable[[float, float], None] | None,
) -> list[Feature]:
    """Of as many as fit into so many seconds, by what the first of them takes."""
    started = clock.perf_counter()
    if seconds is not None:
        look.ask(look.x)  # the first call of all is slower than those that follow
    began = clock.perf_counter()
    features = [look(wanted[0], named[wanted[0]])]
    each = clock.perf_counter() - began
    if seconds is not None:
        fitting = int((seconds - (clock.perf_counter() - started)) / each) if each else len(wanted)
        wanted = wanted[: max(1, 1 + fitting)]
    for place, name in enumerate(wanted[1:], start=1):
        if tell is not None and (place == 1 or place % max(EACH, len(wanted) // 100) == 0):
            tell(place / len(wanted), each * len(wanted))
        if seconds is not None and clock.perf_counter() - started > seconds:  # slower than it was at first
            break
        features.append(look(name, named[name]))
    return features


def _value(name: str, answers: Answers) -> float:
    held = value(name, answers)
    if held is None:
        raise InvalidData(f"{undefined(name, answers)}; give other examples, or another metric")
    return held


def _weights(given: ArrayLike | None, n: int) -> np.ndarray[Any, Any] | None:
    weights = None if given is None else np.asarray(given, dtype=np.float64)
    if weights is not None and weights.shape != (n,):
        raise InvalidArgument(
            f"sample_weight of shape {weights.shape}: give a number for each of {n} examples"
        )
    return weights


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


def _answers(said: ArrayLike, y: Any, classify: bool, scale: Any, ordered: bool) -> Answers:
    given = np.asarray(said)
    if len(given) != len(y):
        raise InvalidArgument(f"predict gave {len(given)} rows for {len(y)} examples; give one for each")
    if classify:
        if given.ndim != 2 or given.shape[1] < 2 or int(y.min()) < 0 or int(y.max()) >= given.shape[1]:
            raise InvalidArgument(
                f"predict gave {given.shape} for classes from {y.min()} to {y.max()}; give probabilities, one column "
                "a class"
            )
        return Answers.of_classes(y.astype(np.int64), given, ordered=ordered)
    numbers = given.reshape(len(y), -1).astype(np.float64)
    true = y.reshape(len(y), -1).astype(np.float64)
    if numbers.shape != true.shape:
        raise InvalidArgument(f"predict gave {given.shape} for targets of {y.shape}; give the same shape")
    answers = Answers(true, numbers)
    return answers if scale is None else answers.scaled(*scale)
