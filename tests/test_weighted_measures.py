"""Weights of examples in every measure: whole numbers are repeated examples, equal ones change nothing to the bit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammatune.errors import InvalidArgument
from gammatune.metrics.baselines import knowing_nothing
from gammatune.metrics.bootstrap import Resampled, difference, measured
from gammatune.metrics.catalogue import METRICS, relevant, undefined, value
from gammatune.metrics.permutation_importance import importance
from gammatune.metrics.predictions import Answers
from gammatune.metrics.selection import select
from gammatune.metrics.thesis import classification, regression

CLASSES = [name for name, held in METRICS.items() if held.task == "classification"]


def said_of(name: str, n: int, k: int, seed: int) -> Answers:
    """Of classes, numbers or k labels, as the measure needs it; some probabilities and errors are tied."""
    rng = np.random.default_rng(seed)
    if METRICS[name].task == "regression":
        targets = rng.integers(1, 9, size=(n, k - 1)).astype(float)
        return Answers(targets, targets + rng.integers(-3, 4, size=targets.shape) / 2)
    if METRICS[name].task == "multilabel":
        return Answers(*rng.integers(2, size=(2, n, k)), 2)
    targets = rng.integers(k, size=n)
    scores = np.round(rng.normal(size=(n, k)) + np.eye(k)[targets])
    p = np.exp(scores)
    p = (p / p.sum(axis=1, keepdims=True)).astype(np.float32)
    return Answers(targets, p.argmax(axis=1), k, p)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(list(METRICS)),
    st.integers(2, 4),
    st.lists(st.integers(0, 4), min_size=1, max_size=40).filter(any),
    st.integers(0, 10**6),
    st.sampled_from([1.0, 1 / 7, 1e5]),
)
def test_whole_weights_are_repeated_examples(
    name: str, k: int, counts: list[int], seed: int, unit: float
) -> None:
    answers = said_of(name, len(counts), k, seed)
    repeated = answers.some(np.repeat(np.arange(len(counts)), counts))
    weighted = replace(answers, weights=np.array(counts) * unit)
    expected = value(name, repeated)
    assert value(name, weighted) == (
        None if expected is None else pytest.approx(expected, rel=1e-9, abs=1e-12)
    )
    if answers.is_multilabel:
        return
    figures = classification if answers.classes else regression
    options = [answers.classes] if answers.classes else []
    mine = figures(answers.targets, answers.said, *options, weighted.weights)  # type: ignore[operator]
    its = figures(repeated.targets, repeated.said, *options)  # type: ignore[operator]
    held = ("accuracy", "sensitivity", "specificity", "mcc", "mcc_macro") if options else ("r2", "mse")
    for figure in held:
        assert getattr(mine, figure) == pytest.approx(getattr(its, figure), rel=1e-9, abs=1e-7), figure


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(list(METRICS)), st.integers(2, 4), st.integers(0, 10**6), st.sampled_from([1.0, 0.3]))
def test_equal_weights_change_nothing_to_the_bit(name: str, k: int, seed: int, weight: float) -> None:
    answers = said_of(name, 30, k, seed)
    weighted = replace(answers, weights=np.full(30, weight))
    one, other = (measured([name], each, np.random.default_rng(seed)) for each in (answers, weighted))
    assert one == other
    half = replace(answers, said=answers.targets)
    gaps = [difference(name, half, each, np.random.default_rng(1)) for each in (answers, weighted)]
    assert gaps[0] == gaps[1]


@pytest.mark.parametrize("name", list(METRICS))
def test_an_interval_holds_the_weights(name: str) -> None:
    """It lies about the weighted value, and is wider than that of as many examples that weigh the same."""
    answers = said_of(name, 600, 3, 0)
    weights = np.random.default_rng(1).choice([0.0, 1.0, 30.0], size=600, p=[0.1, 0.8, 0.1])
    weighted = replace(answers, weights=weights)
    (held,) = measured([name], weighted, np.random.default_rng(0))[0].values()
    (plain,) = measured([name], answers, np.random.default_rng(0))[0].values()
    assert held.value == value(name, weighted)
    assert held.low <= held.value <= held.high
    if name != "medae":  # whose values are few here
        assert held.high - held.low > 1.3 * (plain.high - plain.low)
    assert weighted.effective < 150


@pytest.mark.parametrize("name", ["accuracy", "auc", "mae"])
def test_models_are_compared_by_weight(name: str) -> None:
    """The one is right where it counts, the other elsewhere."""
    n = 400
    targets = np.tile([0, 1], n // 2)
    counts = np.arange(n) < n // 4
    weights = np.where(counts, 9.0, 1.0)

    def right(where: np.ndarray) -> Answers:
        if name == "mae":
            return Answers(targets[:, None] * 1.0, (targets + ~where)[:, None] * 1.0, weights=weights)
        said = np.where(where, targets, 1 - targets)
        return Answers(targets, said, 2, np.eye(2)[said], weights=weights)

    one, other = right(counts), right(~counts)
    gap = difference(name, one, other, np.random.default_rng(0))
    assert gap is not None
    assert gap.low > 0 if METRICS[name].higher_is_better else gap.high < 0
    found = select(name, [other, one], np.random.default_rng(0))
    assert found is not None
    assert found.chosen == found.best == 1
    without = [replace(each, weights=None) for each in (other, one)]
    unweighted = select(name, without, np.random.default_rng(0))
    assert unweighted is not None
    assert unweighted.best == 0


def test_what_weighs_nothing_is_not_there() -> None:
    answers = Answers(np.array([0, 0, 1]), np.array([0, 0, 1]), 2, np.eye(2)[[0, 0, 1]])
    without = replace(answers, weights=np.array([1.0, 2.0, 0.0]))
    assert undefined("auc", without) == "auc has no value: all 2 examples belong to class 0"
    nothing = replace(answers, weights=np.zeros(3))
    assert undefined("accuracy", nothing) == "accuracy has no value: there is no example that weighs anything"
    resampled = Resampled("accuracy", without, np.random.default_rng(0), 20)
    assert (resampled(replace(without, said=np.array([0, 0, 0]))) == 1).all()


def test_knowing_nothing_goes_by_weight_too() -> None:
    answers = Answers(np.array([0, 1]), np.array([0, 1]), 2, np.eye(2), weights=np.array([1.0, 3.0]))
    constant = knowing_nothing(np.array([0, 0, 1]), answers, np.array([1.0, 1.0, 6.0]))
    assert constant.said.tolist() == [1, 1]
    assert constant.probabilities is not None
    assert constant.probabilities[0].tolist() == [0.25, 0.75]
    assert value("accuracy", constant) == 0.75
    numbers = Answers(np.array([[0.0], [1.0]]), np.array([[0.0], [1.0]]))
    assert knowing_nothing(np.array([0.0, 4.0]), numbers, np.array([3.0, 1.0])).said.tolist() == [
        [1.0],
        [1.0],
    ]


def test_a_column_is_worth_what_it_is_worth_to_those_who_count() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    first = np.arange(300) < 150
    y = (np.where(first, x[:, 0], x[:, 1]) > 0).astype(int)

    def predict(rows: np.ndarray) -> np.ndarray:
        said = np.where(first, rows[:, 0], rows[:, 1]) > 0
        return np.eye(2)[said.astype(int)]

    found = importance(predict, x, y, sample_weight=np.where(first, 1.0, 0.0))
    worth = {feature.name: feature.mean for feature in found.features}
    assert worth["column 1"] > 0.3
    assert worth["column 2"] == 0
    with pytest.raises(InvalidArgument, match="a number for each of 300 examples"):
        importance(predict, x, y, sample_weight=[1.0])


@pytest.mark.parametrize("wrong", [[1.0], [1.0, -1.0], [0.0, 0.0], [1.0, np.nan], ["a", "b"]])
def test_figures_refuse_what_is_no_weight(wrong: list) -> None:
    with pytest.raises(InvalidArgument, match="sample_weight must be"):
        classification([0, 1], [0, 1], 2, wrong)


def test_relevant_is_not_changed_by_weights() -> None:
    answers = said_of("accuracy", 20, 2, 0)
    assert relevant(replace(answers, weights=np.arange(20.0))) == relevant(answers)
    assert relevant(replace(answers, ordered=True)) == CLASSES
    assert relevant(answers) == [name for name in CLASSES if name not in ("steps", "weighted-kappa")]
