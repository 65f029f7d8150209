"""Cross-fitting: the parts that rows are kept aside in, each once in every repetition."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammatune.seeds import stream

FOLDS = 5  # parts (the usual number; Hastie, Tibshirani and Friedman 2009, section 7.10)

Indices = NDArray[np.int64]


def folds_of(
    labels: NDArray[Any] | None, n: int, *, groups: NDArray[Any] | None, repeats: int, seed: int
) -> list[tuple[Indices, Indices]]:
    """(places that train, places that are kept aside), FOLDS of them in every repetition, or fewer where there are
    fewer groups.

    labels (n,): codes of classes, whose proportions are kept as far as that goes; None for a regression. groups (n,):
    those of one stay together. None at all where a part would leave one class, or one group, to train on.
    """
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    parts = min(FOLDS, n if groups is None else len(np.unique(groups)))
    if parts < 2:
        return []
    common = labels is not None and np.unique(labels, return_counts=True)[1].max() >= parts
    if groups is not None:
        kind = StratifiedGroupKFold if common else GroupKFold
    else:
        kind = StratifiedKFold if common else KFold
    found = []
    for repeat in range(repeats):
        chance = int(stream(seed, "folds", repeat).integers(2**32))
        folds = kind(parts, shuffle=True, random_state=chance)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of classes with fewer members than there are parts
            found += list(folds.split(np.zeros((n, 1)), labels, groups))
    if labels is not None and any(len(np.unique(labels[train])) < 2 for train, _ in found):
        return []
    return found
