"""The measures of the thesis: how good a classifier or a regression is.

    TP, TN, FP, FN   true and false positives and negatives of one class against the rest, in examples
    C                confusion matrix, (k, k): C[i, j] examples of class i that were called class j

    sensitivity = TP / (TP + FN)                                                          (16)
    specificity = TN / (TN + FP)                                                          (17)
    accuracy    = sum_i C[i, i] / n                                                       (18)
    mcc         = (TP TN - FP FN) / sqrt((TP + FP)(TP + FN)(TN + FP)(TN + FN))            (19)

A split may lack a class, or hold one class only. Every number below is defined then, none is NaN:

    sensitivity of a class nobody belongs to          None, left out of the average
    specificity of a class everybody belongs to       None, left out of the average
    mcc of a 2x2 table with an empty row or column    0 (as in scikit-learn)
    macro mcc                                         the average over the classes present in y_true
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gammatune.errors import InvalidArgument
from gammatune.metrics import formulas
from gammatune.metrics.predictions import Answers, cells_of


@dataclass(frozen=True, slots=True)
class Classification:
    """What `classification` measured; all averages are fractions, not per cent.

    sensitivity, specificity: in [0, 1], unweighted means over the classes where they are defined.
    accuracy: in [0, 1].
    mcc: the multiclass R_K (Gorodkin 2004), in [-1, 1].
    mcc_macro: the mean of the one-against-rest values over the classes present, in [-1, 1]. Both, because
    some values of the thesis's table 7 lie below R_K's bound.
    per_class_*: k values, class 0 first; None where the class leaves the measure undefined.
    confusion: k rows of k counts of examples, whatever they weigh; row = true class, column = predicted class.
    """

    sensitivity: float
    specificity: float
    accuracy: float
    mcc: float
    mcc_macro: float
    per_class_sensitivity: tuple[float | None, ...]
    per_class_specificity: tuple[float | None, ...]
    per_class_mcc: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Regression:
    """r2: coefficient of determination, at most 1. mse: mean squared error, in the target's unit squared."""

    r2: float
    mse: float


def classification(
    y_true: ArrayLike, y_pred: ArrayLike, classes: int, sample_weight: ArrayLike | None = None
) -> Classification:
    """Measures (16) to (19) of integer labels `y_true` (n,) and `y_pred` (n,), both in 0 .. classes - 1.

    classes: how many the problem has, 2 or more; labels that do not occur are allowed (module docstring).
    sample_weight: what each example counts for, (n,), 0 or more and not all 0; None: all the same.
    Raises InvalidArgument: fewer than two classes, no examples, lengths that differ, labels that are not
    integers or out of range, weights that are none.
    Twin: tests/test_metrics.py counts with plain loops.
    """
    if classes < 2:
        raise InvalidArgument(f"a classification needs 2 classes or more, got classes={classes}")
    true, pred = _labels("y_true", y_true, classes), _labels("y_pred", y_pred, classes)
    _same_shape(true, pred)

    answers = Answers(true, pred, classes, weights=_weights(sample_weight, len(true)))
    cells, counts, place = cells_of(answers)
    w = counts[None]
    tp, positive, called = (of_classes[0] for of_classes in cells.sums(w))  # each (k,)
    fn, fp = positive - tp, called - tp
    tn = np.maximum(w.sum() - tp - fn - fp, 0)  # sums of weights round
    sensitivity = _ratio(tp, tp + fn)  # (16)
    specificity = _ratio(tn, tn + fp)  # (17)
    margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    mcc = np.where(margins > 0, (tp * tn - fp * fn) / np.sqrt(np.where(margins > 0, margins, 1)), 0.0)  # (19)
    confusion = np.zeros((classes, classes), dtype=np.int64)
    confusion[cells.true, cells.said] = np.bincount(place)
    return Classification(
        sensitivity=_mean(sensitivity),
        specificity=_mean(specificity),
        accuracy=min(1.0, float(formulas.accuracy(cells, w)[0])),  # (18)
        mcc=float(formulas.mcc(cells, w)[0]),
        mcc_macro=float(np.mean(mcc[positive > 0])),
        per_class_sensitivity=sensitivity,
        per_class_specificity=specificity,
        per_class_mcc=tuple(mcc.tolist()),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
    )


def regression(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Regression:
    """r2 and mse of targets `y_true` and predictions, both (n,) or both (n, m); m outputs are averaged.

    Where the targets do not vary (one example, or a constant) r2 is 1 for exact predictions and 0 for any
    other, as scikit-learn has it for constants. Predictions that are not finite are no error, because a
    diverged net makes them: mse is inf and r2 -inf, as they are where squares overflow.
    sample_weight: what each example counts for, (n,), 0 or more and not all 0; None: all the same.
    Raises InvalidArgument: no examples, shapes that differ, values that are not numbers, targets not finite, weights
    that are none.
    """
    true, pred = _numbers("y_true", y_true), _numbers("y_pred", y_pred)
    _same_shape(true, pred)
    if not np.isfinite(true).all():
        raise InvalidArgument("y_true must be finite, got NaN or infinity; drop or fill those examples")
    if not np.isfinite(pred).all():
        return Regression(r2=-np.inf, mse=np.inf)
    answers = Answers(true, pred, weights=_weights(sample_weight, len(true)))
    counted = answers.counted
    w = None if counted is None else counted[None]
    with np.errstate(over="ignore", invalid="ignore"):
        mse, r2 = float(formulas.mse(answers, w)[0]), float(formulas.r2(answers, w)[0])
    return Regression(r2=r2 if np.isfinite(r2) else -np.inf, mse=mse if np.isfinite(mse) else np.inf)


def _labels(name: str, values: ArrayLike, classes: int) -> NDArray[np.int64]:
    labels = np.asarray(values)
    if labels.ndim != 1 or labels.size == 0:
        raise InvalidArgument(f"{name} must be a list of labels, one an example, got shape {labels.shape}")
    if labels.dtype.kind not in "iub":
        raise InvalidArgument(
            f"{name} must hold integer labels, got {labels.dtype}; use argmax of the scores"
        )
    labels = labels.astype(np.int64)
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise InvalidArgument(f"{name} must lie in 0 .. {classes - 1}, got labels from {low} to {high}")
    return labels


def _numbers(name: str, values: ArrayLike) -> NDArray[np.float64]:
    numbers = np.asarray(values)
    if numbers.ndim not in (1, 2) or numbers.size == 0:
        raise InvalidArgument(
            f"{name} must be (n,) or (n, m) with n, m of 1 or more, got shape {numbers.shape}"
        )
    if numbers.dtype.kind not in "iubf":
        raise InvalidArgument(f"{name} must hold real numbers, got {numbers.dtype}")
    return numbers.astype(np.float64)


def _weights(given: ArrayLike | None, n: int) -> NDArray[np.float64] | None:
    if given is None:
        return None
    weights = np.asarray(given)
    if weights.dtype.kind not in "iubf" or weights.shape != (n,):
        raise InvalidArgument(
            f"sample_weight must be a number for each of {n} examples, got {weights.dtype} of shape {weights.shape}"
        )
    weights = weights.astype(np.float64)
    if not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any():
        raise InvalidArgument("sample_weight must be finite, 0 or more, and not all 0")
    return weights


def _same_shape(true: NDArray[np.generic], pred: NDArray[np.generic]) -> None:
    if true.shape != pred.shape:
        raise InvalidArgument(f"y_true and y_pred must have one shape, got {true.shape} and {pred.shape}")


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> tuple[float | None, ...]:
    return tuple(float(p / w) if w > 0 else None for p, w in zip(part, whole, strict=True))


def _mean(values: Sequence[float | None]) -> float:
    return float(np.mean([v for v in values if v is not None]))
