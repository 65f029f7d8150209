"""Gradient-boosted trees for a table: scikit-learn's HistGradientBoosting.

The number of rounds is that at which rows that were kept aside are met best; the trees that are kept are grown with
so many, and no clock has a say in them.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammatune.pipeline.models.rows import Curves, Known, Rows, of_every_class, some_rows, threads_for
from gammatune.seeds import stream

ROUNDS = 1_000  # of boosting at most
USUAL = 100  # where nothing tells how many (scikit-learn's)
ROWS = 200_000  # that they are grown on at most (guess: a minute for 50 columns)
CATEGORIES = 255  # what HistGradientBoosting can tell apart in a column


@dataclass(frozen=True, slots=True, eq=False)
class Bag:
    """Trees grown on several parts of the rows, and averaged (Breiman 1996)."""

    members: tuple["Trees", ...]

    def __call__(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """As one of them."""
        said: NDArray[np.float64] = np.mean([member(x) for member in self.members], axis=0)
        return said


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """boosters: one, or one for each target. classes: k; 0 for a regression. rounds: of each."""

    boosters: tuple[Any, ...]
    classes: int
    rounds: tuple[int, ...]

    def __call__(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Probabilities (n, k), or standardised targets (n, t)."""
        x = np.asarray(x, dtype=np.float64)
        with threads_for(len(x)):
            if not self.classes:
                return np.stack([booster.predict(x) for booster in self.boosters], axis=1)
            (booster,) = self.boosters
            return of_every_class(booster.predict_proba(x), booster.classes_, self.classes)


def losses_by_round(train: Rows, held: Rows, known: Known, most: int = ROUNDS) -> Curves:
    """For each target the loss on `held` after 0, 1, 2, ... rounds, as far as it was worth going; nothing where
    `held` has no row of a class that is known."""
    train = some_rows(train, ROWS, known)
    curves = []
    for booster, target, kept in _each(train, held, known):
        is_known = np.isin(kept, target) if known.classes else np.ones(len(kept), dtype=bool)
        if not is_known.any():
            curves.append(np.empty(0))
            continue
        grown, aside = booster(max_iter=most, early_stopping=True), held.some(is_known)
        with threads_for(len(train.x)):
            grown.fit(
                train.x,
                target,
                sample_weight=train.weights,
                X_val=aside.x,
                y_val=kept[is_known],
                sample_weight_val=aside.weights,
            )
        curves.append(-np.asarray(grown.validation_score_, dtype=np.float64))
    return tuple(curves)


def grow(train: Rows, rounds: tuple[int, ...], known: Known) -> Trees:
    """rounds: for each target."""
    train = some_rows(train, ROWS, known)
    with threads_for(len(train.x)):
        boosters = [
            booster(max_iter=count, early_stopping=False).fit(train.x, target, train.weights)
            for (booster, target, _), count in zip(_each(train, train, known), rounds, strict=True)
        ]
    return Trees(tuple(boosters), known.classes, rounds)


def _each(train: Rows, held: Rows, known: Known) -> list[tuple[Any, NDArray[Any], NDArray[Any]]]:
    """For each target scikit-learn's kind, that takes the rounds beside its options, and the targets."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    told_apart = [column for column in known.codes if len(np.unique(train.x[:, column])) <= CATEGORIES]
    found = []
    for place, (y, kept) in enumerate(zip(known.targets(train.y), known.targets(held.y), strict=True)):
        options: dict[str, Any] = {
            "categorical_features": told_apart or None,
            "random_state": int(stream(known.seed, "trees", place).integers(2**31)),
        }
        if known.classes:
            booster = partial(HistGradientBoostingClassifier, class_weight=known.class_weights, **options)
        else:
            booster = partial(HistGradientBoostingRegressor, **options)
        found.append((booster, y, kept))
    return found
