"""The formula of each measure, of many resamples of the examples at once.

Each is given what it needs, the `Cells` of a confusion matrix or the `Answers` themselves, and w (see `predictions`),
which holds what they weigh; None: every example once, whatever it weighs. It gives one value a resample, (b,), NaN
where the resample leaves it undefined. The measures of two classes are those of class 1, of more the mean over the
classes.
Twin: tests/test_measures.py calls scikit-learn on the examples of each resample.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gammatune.metrics.predictions import Answers, Cells, Counts, Floats

OfCells: TypeAlias = Callable[[Cells, Counts], Floats]
OfAnswers: TypeAlias = Callable[[Answers, Counts | None], Floats]

ROUNDING = 1e-12  # relative: of a sum of squares that is a difference
TINY = np.finfo(np.float64).eps


def ratio(part: Floats, whole: Floats) -> Floats:
    """0 where nothing is divided by nothing."""
    return np.asarray(np.divide(part, whole, out=np.zeros_like(part), where=whole > 0))


def mean_where(values: Floats, where: NDArray[np.bool_]) -> Floats:
    """Over the classes; NaN where there is none."""
    count = where.sum(axis=1)
    total = np.where(where, values, 0.0).sum(axis=1)
    return np.asarray(np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0))


# Of labels ------------------------------------------------------------------------------------------------


def accuracy(cells: Cells, w: Counts) -> Floats:
    return np.asarray(cells.right(w) / w.sum(axis=1))


def balanced_accuracy(cells: Cells, w: Counts) -> Floats:
    right, true, _ = cells.sums(w)
    return mean_where(ratio(right, true), true > 0)


def precision_recall(true_part: float, said_part: float) -> OfCells:
    """Right answers over a weighted mean of examples and answers: recall (1, 0), precision (0, 1), f1 (1/2, 1/2)."""

    def of(cells: Cells, w: Counts) -> Floats:
        right, true, said = cells.sums(w)
        scores = ratio(right, true_part * true + said_part * said)
        return scores[:, 1] if cells.k == 2 else mean_where(scores, (true > 0) | (said > 0))

    return of


def mcc(cells: Cells, w: Counts) -> Floats:
    """R_K of Gorodkin (2004)."""
    right, true, said = cells.sums(w)
    n = w.sum(axis=1).astype(float)
    over = right.sum(axis=1) * n - (true * said).sum(axis=1)
    apart = [n**2 - (each**2).sum(axis=1) for each in (true, said)]
    for each in apart:
        each[each < ROUNDING * n**2] = 0  # one class, whose weights round
    return ratio(over, np.sqrt(apart[0] * apart[1]))


def steps(cells: Cells, w: Counts) -> Floats:
    apart = np.abs(cells.true - cells.said)
    return np.asarray((w * apart).sum(axis=1) / w.sum(axis=1))


def weighted_kappa(cells: Cells, w: Counts) -> Floats:
    """1 - what squared steps come to, over what they would if answers had nothing to do with the truth (Cohen 1968);
    0 where neither varies.

    The mean of (i - j)^2 over independent i and j is E i^2 - 2 E i E j + E j^2."""
    n = w.sum(axis=1).astype(float)
    i, j = cells.true.astype(float), cells.said.astype(float)
    found = (w * (i - j) ** 2).sum(axis=1) / n
    means, squares = ([(w * each**power).sum(axis=1) / n for each in (i, j)] for power in (1, 2))
    by_chance = squares[0] + squares[1] - 2 * means[0] * means[1]
    by_chance[by_chance < ROUNDING * (squares[0] + squares[1])] = 0  # one class, met exactly
    return ratio(by_chance - found, by_chance)


# Of probabilities -----------------------------------------------------------------------------------------


def auc(answers: Answers, w: Counts | None) -> Floats:
    def of(positive: Floats, negative: Floats) -> Floats:
        below = negative.cumsum(axis=1) - negative / 2
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        won = (positive * below).sum(axis=1)
        return np.asarray(np.divide(won, pairs, out=np.full(len(won), np.nan), where=pairs > 0))

    return _each_side(answers, w, of)


def average_precision(answers: Answers, w: Counts | None) -> Floats:
    def of(positive: Floats, negative: Floats) -> Floats:
        found = positive[:, ::-1].cumsum(axis=1)
        called = found + negative[:, ::-1].cumsum(axis=1)
        precision = ratio(found, called)
        all_ = positive.sum(axis=1)
        total = (precision * positive[:, ::-1]).sum(axis=1)
        return np.asarray(np.divide(total, all_, out=np.full(len(total), np.nan), where=all_ > 0))

    return _each_side(answers, w, of)


def _sides(answers: Answers) -> Iterator[tuple[NDArray[Any], NDArray[np.bool_]]]:
    """Of each class against the rest, or of each label: its probability, and which examples have it, (n,) each."""
    p, targets = answers.probabilities, answers.targets
    assert p is not None
    if answers.is_multilabel:
        yield from ((p[:, c], targets[:, c] == 1) for c in range(targets.shape[1]))
    else:
        classes = [1] if answers.classes == 2 else np.unique(targets).tolist()
        yield from ((p[:, c], targets == c) for c in classes)


def _each_side(answers: Answers, w: Counts | None, of: Callable[[Floats, Floats], Floats]) -> Floats:
    """The mean over one class against the rest. of: what (positive, negative) counts at rising probabilities give."""
    weights = np.ones((1, len(answers))) if w is None else w.astype(np.float64)
    columns = []
    for scores, belongs in _sides(answers):
        order = np.argsort(scores, kind="stable")
        steps = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
        drawn = np.take(weights, order, axis=1)
        positive = drawn * belongs[order]
        if len(steps) < len(order):  # some are tied
            drawn, positive = (np.add.reduceat(part, steps, axis=1) for part in (drawn, positive))
        columns.append(of(positive, drawn - positive))
    found = np.stack(columns, axis=1)
    return mean_where(found, np.isfinite(found))


def log_loss(answers: Answers, w: Counts | None) -> Floats:
    if answers.is_multilabel:
        p = _of_what_is_true(answers)
        return np.asarray(_mean(-np.log(np.clip(p, TINY, 1 - TINY)), w).mean(axis=1))
    if answers.shares is not None:
        each = -(answers.shares * np.log(np.clip(_sound(answers), TINY, 1 - TINY))).sum(axis=1)
        return _mean(each[:, None], w)[:, 0]
    p = _sound(answers)[np.arange(len(answers)), answers.targets]
    return _mean(-np.log(np.clip(p, TINY, 1 - TINY))[:, None], w)[:, 0]


def brier(answers: Answers, w: Counts | None) -> Floats:
    """The mean of (p(1) - y)^2 of two classes, in [0, 1]; of more the sum over all, in [0, 2] (Brier 1950). Of labels
    the mean over them, as of two classes."""
    if answers.is_multilabel:
        return np.asarray(_mean((1 - _of_what_is_true(answers)) ** 2, w).mean(axis=1))
    p = _sound(answers)
    if answers.shares is not None:
        each = ((p - answers.shares) ** 2).sum(axis=1) / (2 if answers.classes == 2 else 1)
    elif answers.classes == 2:
        each = (p[:, 1] - answers.targets) ** 2
    else:
        true = p[np.arange(len(p)), answers.targets]
        each = (p**2).sum(axis=1) - true**2 + (1 - true) ** 2
    return _mean(each[:, None], w)[:, 0]


def _of_what_is_true(answers: Answers) -> Floats:
    """(n, k), the probability of each label's being as it is."""
    assert answers.probabilities is not None
    p = answers.probabilities.astype(np.float64)
    return np.where(answers.targets == 1, p, 1 - p)


def _sound(answers: Answers) -> Floats:
    """Probabilities in double precision, whose rows sum to 1."""
    assert answers.probabilities is not None
    p = answers.probabilities.astype(np.float64)
    total = p.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(p, total, out=np.full_like(p, 1 / p.shape[1]), where=total > 0))


# Of numbers -----------------------------------------------------------------------------------------------


def _mean(each: Floats, w: Counts | None) -> Floats:
    """Over the examples, (n, t) to (b, t)."""
    if w is None:
        return np.asarray(each.mean(axis=0, keepdims=True))
    return np.asarray(w @ each / w.sum(axis=1, keepdims=True))


def _errors(answers: Answers) -> Floats:
    """(n, t)"""
    return np.asarray(answers.said - answers.targets).reshape(len(answers), -1)


def mae(answers: Answers, w: Counts | None) -> Floats:
    return np.asarray(_mean(np.abs(_errors(answers)), w).mean(axis=1))


def mse(answers: Answers, w: Counts | None) -> Floats:
    return np.asarray(_mean(_errors(answers) ** 2, w).mean(axis=1))


def rmse(answers: Answers, w: Counts | None) -> Floats:
    return np.asarray(np.sqrt(_mean(_errors(answers) ** 2, w)).mean(axis=1))


def mape(answers: Answers, w: Counts | None) -> Floats:
    true = np.abs(answers.targets).reshape(len(answers), -1)
    return np.asarray(_mean(np.abs(_errors(answers)) / true, w).mean(axis=1))


def medae(answers: Answers, w: Counts | None) -> Floats:
    """The mean of two: half of the weight lies at or below the one, more than half at or below the other."""
    counts = np.ones((1, len(answers))) if w is None else w
    columns = []
    for errors in np.abs(_errors(answers)).T:
        order = np.argsort(errors)
        along = counts[:, order].cumsum(axis=1)
        half = along[:, -1:] / 2
        low = errors[order][(along >= half * (1 - ROUNDING)).argmax(axis=1)]
        high = errors[order][(along > half * (1 + ROUNDING)).argmax(axis=1)]
        columns.append((low + high) / 2)
    return np.asarray(np.mean(columns, axis=0))


def r2(answers: Answers, w: Counts | None) -> Floats:
    """1 - residual / total; where the targets do not vary 1 of exact answers and 0 of others."""
    centred = (answers.targets - answers.targets.mean(axis=0)).reshape(len(answers), -1)
    centred[:, (centred == centred[0]).all(axis=0)] = 0  # all the same, but for the mean's rounding
    residual, total = (_sum(each, w) for each in (_errors(answers) ** 2, centred**2))
    if w is not None:  # about the mean of the resample
        squares, total = total, total - _sum(centred, w) ** 2 / w.sum(axis=1, keepdims=True)
        total[total < ROUNDING * squares] = 0  # one example drawn again and again
    constant = (residual == 0).astype(float)  # as scikit-learn has it
    return np.asarray(
        np.where(total > 0, 1 - residual / np.where(total > 0, total, 1), constant).mean(axis=1)
    )


def _sum(each: Floats, w: Counts | None) -> Floats:
    return each.sum(axis=0, keepdims=True) if w is None else np.asarray(w @ each)
