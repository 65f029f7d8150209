"""The measures against plain counting, and a table of the degenerate cases."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import matthews_corrcoef

from gammatune.errors import InvalidArgument
from gammatune.metrics.thesis import classification, regression


def counts(true: list[int], pred: list[int], c: int) -> tuple[int, int, int, int]:
    """TP, TN, FP, FN of class c against the rest, counted one example at a time."""
    tp = tn = fp = fn = 0
    for t, p in zip(true, pred, strict=True):
        if t == c and p == c:
            tp += 1
        elif t == c:
            fn += 1
        elif p == c:
            fp += 1
        else:
            tn += 1
    return tp, tn, fp, fn


@st.composite
def labelled(draw: st.DrawFn) -> tuple[list[int], list[int], int]:
    k = draw(st.integers(2, 5))
    pairs = draw(st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), min_size=1, max_size=30))
    true, pred = zip(*pairs, strict=True)
    return list(true), list(pred), k


@given(labelled())
def test_agrees_with_plain_counting(case: tuple[list[int], list[int], int]) -> None:
    true, pred, k = case
    sens, spec, mccs = [], [], []
    for c in range(k):
        tp, tn, fp, fn = counts(true, pred, c)
        sens.append(tp / (tp + fn) if tp + fn else None)
        spec.append(tn / (tn + fp) if tn + fp else None)
        bottom = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
        mccs.append((tp * tn - fp * fn) / bottom if bottom else 0.0)
    got = classification(true, pred, k)

    assert got.per_class_sensitivity == tuple(sens)
    assert got.per_class_specificity == tuple(spec)
    assert got.per_class_mcc == pytest.approx(mccs)
    assert got.sensitivity == pytest.approx(np.mean([s for s in sens if s is not None]))
    assert got.specificity == pytest.approx(np.mean([s for s in spec if s is not None]))
    assert got.mcc_macro == pytest.approx(np.mean([mccs[c] for c in set(true)]))
    assert got.accuracy == pytest.approx(sum(t == p for t, p in zip(true, pred, strict=True)) / len(true))
    for i in range(k):
        for j in range(k):
            assert got.confusion[i][j] == sum(t == i and p == j for t, p in zip(true, pred, strict=True))


@given(labelled())
def test_is_always_defined_and_in_range(case: tuple[list[int], list[int], int]) -> None:
    got = classification(*case)
    for value in (got.sensitivity, got.specificity, got.accuracy):
        assert 0 <= value <= 1
    for value in (got.mcc, got.mcc_macro, *got.per_class_mcc):
        assert -1 - 1e-12 <= value <= 1 + 1e-12


def test_two_classes_have_one_mcc() -> None:
    true, pred = [0, 0, 1, 1, 1, 0, 1], [0, 1, 1, 1, 0, 0, 1]
    got = classification(true, pred, 2)
    assert got.mcc == pytest.approx(matthews_corrcoef(true, pred))
    assert got.per_class_mcc == pytest.approx((got.mcc, got.mcc))


def test_r_k_by_hand() -> None:
    """R_K of [[2, 0, 0], [0, 1, 1], [1, 0, 1]], worked from its definition.

    c = 4 correct of s = 6, true counts t = (2, 2, 2), predicted p = (3, 1, 2):
    (c s - t.p) / sqrt((s^2 - p.p)(s^2 - t.t)) = (24 - 12) / sqrt(22 * 24).
    """
    got = classification([0, 0, 1, 1, 2, 2], [0, 0, 1, 2, 0, 2], 3)
    assert got.mcc == pytest.approx(12 / math.sqrt(22 * 24))
    assert got.mcc_macro != pytest.approx(got.mcc)


@pytest.mark.parametrize(
    ("true", "pred", "k", "sens", "spec", "mcc", "mcc_macro"),
    [
        ([0], [0], 2, 1.0, 1.0, 0.0, 0.0),  # one example: nothing to correlate
        ([1, 1], [1, 1], 3, 1.0, 1.0, 0.0, 0.0),  # one class, right
        ([1, 1], [0, 0], 2, 0.0, 0.0, 0.0, 0.0),  # one class, wrong
        ([0, 1, 0, 1], [0, 0, 0, 0], 2, 0.5, 0.5, 0.0, 0.0),  # always the same answer
        ([0, 1, 0, 1], [0, 1, 0, 1], 3, 1.0, 1.0, 1.0, 1.0),  # class 2 absent, all right
        ([0, 1, 0, 1], [1, 0, 1, 0], 2, 0.0, 0.0, -1.0, -1.0),  # always wrong
    ],
)
def test_degenerate_splits(
    true: list[int], pred: list[int], k: int, sens: float, spec: float, mcc: float, mcc_macro: float
) -> None:
    got = classification(true, pred, k)
    assert (got.sensitivity, got.specificity, got.mcc, got.mcc_macro) == pytest.approx(
        (sens, spec, mcc, mcc_macro)
    )


def test_undefined_classes_say_none() -> None:
    got = classification([1, 1], [1, 0], 3)
    assert got.per_class_sensitivity == (None, 0.5, None)
    assert got.per_class_specificity == (0.5, None, 1.0)


@pytest.mark.parametrize(
    ("true", "pred", "k", "message"),
    [
        ([0, 1], [0], 2, "one shape"),
        ([], [], 2, "shape"),
        ([0, 2], [0, 1], 2, "0 .. 1, got labels from 0 to 2"),
        ([0, 1], [0, -1], 2, "y_pred"),
        ([0.0, 1.0], [0, 1], 2, "integer labels, got float64"),
        ([0, 0], [0, 0], 1, "2 classes"),
        ([[0, 1]], [[0, 1]], 2, r"shape \(1, 2\)"),
    ],
)
def test_refuses_bad_labels(true: object, pred: object, k: int, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        classification(true, pred, k)  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=2, max_size=20))
def test_regression_agrees_with_plain_sums(pairs: list[tuple[int, int]]) -> None:
    n = len(pairs)
    mean = sum(t for t, _ in pairs) / n
    residual = sum((t - p) ** 2 for t, p in pairs)
    total = sum((t - mean) ** 2 for t, _ in pairs)
    got = regression([t for t, _ in pairs], [p for _, p in pairs])
    assert got.mse == pytest.approx(residual / n)
    if len({t for t, _ in pairs}) > 1:
        assert got.r2 == pytest.approx(1 - residual / total)
    else:
        assert got.r2 == (1.0 if residual == 0 else 0.0)


@pytest.mark.parametrize(
    ("true", "pred", "r2", "mse"),
    [
        ([2.0], [2.0], 1.0, 0.0),
        ([2.0], [3.0], 0.0, 1.0),
        ([2.0, 2.0], [2.0, 2.0], 1.0, 0.0),
        ([2.0, 2.0], [2.0, 4.0], 0.0, 2.0),
        ([1.0, 2.0], [math.nan, 2.0], -math.inf, math.inf),
        ([1.0, 2.0], [math.inf, 2.0], -math.inf, math.inf),
        ([1.0, 2.0], [1e200, 2.0], -math.inf, math.inf),  # the square overflows
        ([[1.0, 0.0], [2.0, 4.0]], [[1.0, 2.0], [2.0, 2.0]], 0.5, 2.0),  # outputs averaged
    ],
)
def test_regression_special_values(true: object, pred: object, r2: float, mse: float) -> None:
    got = regression(true, pred)  # type: ignore[arg-type]
    assert (got.r2, got.mse) == (r2, mse)


@pytest.mark.parametrize(
    ("true", "pred", "message"),
    [
        ([1.0, 2.0], [1.0], "one shape"),
        ([], [], "shape"),
        ([math.nan, 1.0], [1.0, 1.0], "finite"),
        (["a", "b"], ["a", "b"], "real numbers"),
    ],
)
def test_regression_refuses(true: object, pred: object, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        regression(true, pred)  # type: ignore[arg-type]
