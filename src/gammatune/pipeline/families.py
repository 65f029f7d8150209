"""The kinds of models that are fitted to a table beside its network: how each finds its setting, and comes of it.

curves    the loss on rows that were kept aside, at every setting
setting   where it is lowest, over all the parts that were kept aside
fit       a model of some rows at that setting
together  of those that were fitted to parts of the rows, and of all rows, what is handed over
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gammatune.pipeline.models.linear import STRENGTHS, fit_linear, losses_by_strength
from gammatune.pipeline.models.rows import Curves, Known, Rows
from gammatune.pipeline.models.trees import USUAL, Bag, grow, losses_by_round
from gammatune.report.models import LINEAR, TREES

# rows -> probabilities (n, k), or standardised targets (n, t)
Answering: TypeAlias = Callable[[NDArray[Any]], NDArray[np.float64]]
# places that train, that are kept aside
Folds: TypeAlias = Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]


@dataclass(frozen=True, slots=True)
class Family:
    kind: str
    curves: Callable[[Rows, Rows, Known], Curves]
    setting: Callable[[Sequence[NDArray[Any]], Sequence[float]], Any]
    fit: Callable[[Rows, Any, Known], Answering]
    together: Callable[[Sequence[Answering], Rows, Any, Known], Answering]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """aside: what it says of the rows that were kept aside, fitted without them. whole: what is handed over."""

    aside: NDArray[np.float64]
    whole: Answering


def families(rounds: int, strengths: int) -> tuple[Family, ...]:
    """The simplest first; 0 rounds or strengths: without that kind."""
    found = []
    if strengths:
        found.append(
            Family(LINEAR, partial(losses_by_strength, strengths=strengths), _penalty, fit_linear, _anew)
        )
    if rounds:
        curves = partial(losses_by_round, most=rounds)
        found.append(Family(TREES, curves, partial(_rounds, most=rounds), grow, _bag))
    return tuple(found)


def on_parts(family: Family, train: Rows, select: Rows, known: Known) -> Fitted:
    """`select` kept aside once, and taken in for what is handed over."""
    setting = setting_of(family, [(train, select)], known)
    return Fitted(family.fit(train, setting, known)(select.x), family.fit(train.and_(select), setting, known))


def cross_fitted(family: Family, rows: Rows, folds: Folds, known: Known) -> Fitted:
    """Each row kept aside once in every repetition; what is said of it is averaged over those."""
    parts = [(rows.some(train), rows.some(held)) for train, held in folds]
    setting = setting_of(family, parts, known)
    models = [family.fit(train, setting, known) for train, _ in parts]
    return Fitted(aside(models, rows.x, folds), family.together(models, rows, setting, known))


def aside(models: Sequence[Answering], x: NDArray[Any], folds: Folds) -> NDArray[np.float64]:
    """What each says of the rows that were kept from it, averaged over the repetitions."""
    said = [model(x[held]) for model, (_, held) in zip(models, folds, strict=True)]
    total, times = np.zeros((len(x), said[0].shape[1])), np.zeros((len(x), 1))
    for each, (_, held) in zip(said, folds, strict=True):
        total[held] += each
        times[held] += 1
    found: NDArray[np.float64] = total / times
    return found


def setting_of(family: Family, parts: Sequence[tuple[Rows, Rows]], known: Known) -> tuple[Any, ...]:
    """Where the loss is lowest over all parts (rows that train, rows that were kept aside), for each target."""
    curves = [family.curves(train, held, known) for train, held in parts]
    sizes = [len(held.y) if held.w is None else float(held.w.sum()) for _, held in parts]
    return tuple(family.setting(of_one, sizes) for of_one in zip(*curves, strict=True))


def _mean(curves: Sequence[NDArray[Any]], sizes: Sequence[float]) -> NDArray[np.float64]:
    """Over all rows that were kept aside; one that ended earlier goes on as it ended."""
    known = [(curve, size) for curve, size in zip(curves, sizes, strict=True) if len(curve)]
    if not known:
        return np.empty(0)
    longest = max(len(curve) for curve, _ in known)
    long = [np.pad(curve, (0, longest - len(curve)), mode="edge") for curve, _ in known]
    mean: NDArray[np.float64] = np.average(long, axis=0, weights=[size for _, size in known])
    return mean


def _penalty(curves: Sequence[NDArray[Any]], sizes: Sequence[float]) -> float:
    return STRENGTHS[int(np.argmin(_mean(curves, sizes)))]  # of equal ones the strongest


def _rounds(curves: Sequence[NDArray[Any]], sizes: Sequence[float], *, most: int) -> int:
    mean = _mean(curves, sizes)
    return max(1, int(np.argmin(mean))) if len(mean) else min(most, USUAL)  # the first is of no round


def _anew(models: Sequence[Answering], rows: Rows, setting: Any, known: Known) -> Answering:
    """One linear model, whose coefficients can be read."""
    return fit_linear(rows, setting, known)


def _bag(models: Sequence[Any], rows: Rows, setting: Any, known: Known) -> Answering:
    return Bag(tuple(models))
