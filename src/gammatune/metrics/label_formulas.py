"""The formula of each measure of k labels an example, of many resamples of the examples at once.

Each is given the `Answers` and w (see `predictions`), or None, and gives one value a resample, (b,). Those of
probabilities are in `formulas`, for which a label is a class against the rest. An example is drawn with all its
labels, which do not come independently.
Twin: tests/test_measures_of_labels.py calls scikit-learn.
"""

import numpy as np

from gammatune.metrics.formulas import OfAnswers, mean_where, ratio
from gammatune.metrics.predictions import Answers, Counts, Floats


def accuracy(answers: Answers, w: Counts | None) -> Floats:
    """Of all labels of all examples: 1 - the Hamming loss."""
    return _share(np.asarray((answers.targets == answers.said).mean(axis=1)), w)


def subset_accuracy(answers: Answers, w: Counts | None) -> Floats:
    return _share(np.asarray((answers.targets == answers.said).all(axis=1), dtype=np.float64), w)


def precision_recall(true_part: float, said_part: float) -> OfAnswers:
    """As `formulas.precision_recall`, the mean over the labels."""

    def of(answers: Answers, w: Counts | None) -> Floats:
        right, true, said = _sums(answers, w)
        return mean_where(ratio(right, true_part * true + said_part * said), (true > 0) | (said > 0))

    return of


def f1_micro(answers: Answers, w: Counts | None) -> Floats:
    right, true, said = (each.sum(axis=1) for each in _sums(answers, w))
    return ratio(right, (true + said) / 2)


def _sums(answers: Answers, w: Counts | None) -> tuple[Floats, Floats, Floats]:
    """Of each label: right answers that it is there, examples, answers; each (b, k)."""
    true, said = answers.targets.astype(np.float64), answers.said.astype(np.float64)
    if w is None:
        w = np.ones((1, len(answers)))
    return w @ (true * said), w @ true, w @ said


def _share(each: Floats, w: Counts | None) -> Floats:
    return np.asarray([each.mean()] if w is None else w @ each / w.sum(axis=1))
