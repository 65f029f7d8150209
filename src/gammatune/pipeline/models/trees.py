"""Gradient-boosted trees for a table: scikit-learn's HistGradientBoosting on rows as a network gets them.

Rows x (n, F), the last columns codes of categories. The number of rounds is that at which the examples to select by
are met best; the trees that are kept are grown with so many, and no clock has a say in them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammatune.seeds import stream

ROUNDS = 1_000  # of boosting at most
ROWS = 200_000  # that they are grown on at most (guess: a minute for 50 columns)
CATEGORIES = 255  # what HistGradientBoosting can tell apart in a column


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """boosters: one, or one for each target. classes: k; 0 for a regression. rounds: of each."""

    boosters: tuple[Any, ...]
    classes: int
    rounds: tuple[int, ...]

    def __call__(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Probabilities (n, k), or standardised targets (n, t)."""
        x = np.asarray(x, dtype=np.float64)
        if not self.classes:
            return np.stack([booster.predict(x) for booster in self.boosters], axis=1)
        (booster,) = self.boosters
        return of_every_class(booster.predict_proba(x), booster.classes_, self.classes)


def grow(
    train: tuple[NDArray[Any], NDArray[Any]],
    select: tuple[NDArray[Any], NDArray[Any]],
    *,
    classes: int,
    codes: Sequence[int] = (),
    class_weights: str | dict[int, float] | None = None,
    seed: int = 0,
    most: int = ROUNDS,
) -> Trees:
    """train, select: x (n, F), and y: codes (n,) of `classes` classes, or standardised targets (n, t). codes: the
    columns that are codes. most: rounds of each booster."""
    x, y = (np.asarray(part) for part in train)
    x, y = some_rows((x, y), ROWS, classes, seed)
    told_apart = [column for column in codes if len(np.unique(x[:, column])) <= CATEGORIES]
    targets = [y] if classes else list(y.reshape(len(y), -1).T)
    chosen = [select[1]] if classes else list(np.asarray(select[1]).reshape(len(select[1]), -1).T)
    boosters, rounds = [], []
    for place, (target, held) in enumerate(zip(targets, chosen, strict=True)):
        options = {
            "categorical_features": told_apart or None,
            "random_state": int(stream(seed, "trees", place).integers(2**31)),
        }
        kind = _kind(options | ({"class_weight": class_weights} if classes else {}), classify=bool(classes))
        is_known = np.isin(held, target) if classes else np.ones(len(held), dtype=bool)
        count = _rounds(kind, x, target, (select[0][is_known], held[is_known]), most)
        boosters.append(kind(max_iter=count, early_stopping=False).fit(x, target))
        rounds.append(count)
    return Trees(tuple(boosters), classes, tuple(rounds))


def some_rows(
    part: tuple[NDArray[Any], NDArray[Any]], most: int, classes: int, seed: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """About so many of the rows at most, drawn at random; of each class one at least."""
    x, y = part
    if len(x) <= most:
        return x, y
    kept = stream(seed, "models", "rows").choice(len(x), most, replace=False)
    if classes:
        kept = np.union1d(kept, np.unique(y, return_index=True)[1])
    kept = np.sort(kept)
    return x[kept], y[kept]


def _kind(options: dict[str, Any], *, classify: bool) -> Any:
    """scikit-learn's, with these options, that takes the rounds beside them."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    return partial(HistGradientBoostingClassifier if classify else HistGradientBoostingRegressor, **options)


def _rounds(
    kind: Any, x: NDArray[Any], y: NDArray[Any], select: tuple[NDArray[Any], NDArray[Any]], most: int
) -> int:
    """At which the examples to select by are met best; all of them where there is none of a class that is known."""
    if not len(select[1]):
        return most
    grown = kind(max_iter=most, early_stopping=True).fit(x, y, X_val=select[0], y_val=select[1])
    return max(1, int(np.argmax(grown.validation_score_)))  # the first of which is without a tree


def of_every_class(probabilities: NDArray[Any], known: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """(n, classes) of (n, those that were met): 0 for the others."""
    every = np.zeros((len(probabilities), classes))
    every[:, np.asarray(known, dtype=np.int64)] = probabilities
    return every
