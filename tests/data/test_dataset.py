"""`Data` and `make_data`: what is encoded, what is guessed, and every refusal in one line."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammatune.errors import InvalidData
from gammatune.pipeline.data import DATA_SETS, Data, load, make_data

X = np.arange(12.0).reshape(6, 2)
Y = np.array([0, 1, 2, 0, 1, 2])
NAN = np.where(np.arange(12).reshape(6, 2) == 5, np.nan, X)


@pytest.mark.parametrize(
    ("x", "y", "kwargs", "message"),
    [
        (NAN, Y, {}, r"x_train holds 1 values that are NaN .* nan, at \(2, 1\)\); drop or fill them"),
        (np.where(X == 3, np.inf, X), Y, {}, r"inf, at \(1, 1\)"),
        (X, Y[:5], {}, "x_train holds 6 examples and y_train 5"),
        (X, np.zeros(6, int), {}, "the labels hold the one class 0; .* two or more"),
        (X[:0], Y[:0], {}, "y_train is empty"),
        (X[:0], Y, {}, r"x_train is empty, its shape is \(0, 2\)"),
        (X[:, 0], Y, {}, r"has shape \(6,\); .* write x\[:, None\]"),
        (X.astype(object), Y, {}, "Python objects"),
        (X.astype(str), Y, {}, "not numbers"),
        (X.astype(complex), Y, {}, "complex128, not numbers"),
        (X, Y.astype(object), {}, "y_train must hold one label an example, .* got object"),
        (X, Y + 0.5, {"task": "classification"}, r"got float64 of shape \(6,\) \(0.5, 1.5, 2.5, ...\)"),
        (X, np.where(Y == 1, np.nan, Y), {"task": "classification"}, "whole numbers or text"),
        (X, np.eye(6, dtype=int), {}, r"one label an example, .* got int64 of shape \(6, 6\)"),
        (X, np.where(Y == 1, np.nan, Y), {"task": "regression"}, "y_train must hold finite numbers"),
        (X, Y.astype(str), {"task": "regression"}, "y_train must hold finite numbers"),
        (X, Y, {"x_test": X}, "x_test comes without y_test"),
        (X, Y, {"y_test": Y}, "y_test comes without x_test"),
        (X, Y, {"x_test": X[:0], "y_test": Y[:0]}, "y_test is empty"),
        (X, Y, {"x_test": X[:, :1], "y_test": Y}, r"x_test have shape \(1,\), those of x_train \(2,\)"),
        (X, Y, {"x_test": NAN, "y_test": Y}, "x_test holds 1 values"),
        (X, Y, {"x_test": X, "y_test": Y + 1}, r"y_test holds the label 3, .* known labels: 0, 1, 2"),
        (np.zeros((6, 5, 5, 2)), Y, {}, r"shape \(5, 5, 2\) is neither"),
        (np.zeros((6, 3, 5, 5, 1)), Y, {}, r"shape \(3, 5, 5, 1\) is neither"),
    ],
)
def test_refuses_in_one_line(x: Any, y: Any, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidData, match=message) as caught:
        make_data("mine", x, y, **kwargs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.array([0, 1, 3]), r"whole numbers from 0 to 2, got int64 of shape \(3,\) \(0, 1, 3\)"),
        (np.array([0, 1, -1]), "whole numbers from 0 to 2"),
        (np.array([0.0, 1.0, 2.0]), "whole numbers from 0 to 2, got float64"),
        (np.array([[0], [1], [2]]), "whole numbers from 0 to 2"),
        (np.array([], dtype=int), "x_train holds 3 examples and y_train 0"),
    ],
)
def test_the_record_itself_checks_its_codes(codes: Any, message: str) -> None:
    with pytest.raises(InvalidData, match=message):
        Data("mine", "classification", X[:3], codes, None, None, ("a", "b", "c"))


def test_the_record_itself_checks_its_targets() -> None:
    with pytest.raises(InvalidData, match=r"finite floats \(n, targets\), got float64 of shape \(6,\)"):
        Data("mine", "regression", X, Y.astype(float), None, None, ())


@given(st.lists(st.sampled_from(["ham", "spam", "eggs", ""]), min_size=2, max_size=20))
def test_codes_keep_the_labels(labels: list[str]) -> None:
    if len(set(labels)) < 2:
        labels = [*labels, "ham", "spam"]
    data = make_data("mine", np.zeros((len(labels), 1)), labels)
    assert [data.classes[code] for code in data.y_train] == labels
    assert data.classes == tuple(sorted(set(labels)))


@pytest.mark.parametrize(
    ("y", "task", "classes"),
    [
        ([-1, 1, -1, 1, 1, 1], "classification", (-1, 1)),
        ([[0], [1], [2], [0], [1], [2]], "classification", (0, 1, 2)),  # a column, as Keras has it
        ([True, False, True, True, True, True], "classification", (False, True)),
        ([0.0, 1.0, 2.0, 0.5, 1.0, 2.0], "regression", ()),
        ([0.0, 1.0, 2.0, 0.0, 1.0, 2.0], "regression", ()),  # floats are targets unless the task is said
    ],
)
def test_tells_labels_from_targets(y: Any, task: str, classes: tuple[Any, ...]) -> None:
    data = make_data("mine", X, y)
    assert (data.task, data.classes) == (task, classes)
    assert data.outputs == (len(classes) or 1)


def test_whole_floats_are_labels_where_the_task_says_so() -> None:
    data = make_data("mine", X, [0.0, 1.0, 2.0, 0.0, 1.0, 2.0], task="classification")
    assert data.classes == (0, 1, 2)
    assert data.y_train.dtype == np.int64


def test_asks_where_whole_numbers_are_too_many_to_be_labels() -> None:
    prices = np.arange(40)
    with pytest.raises(InvalidData, match=r"40 different whole numbers in 40 examples, .* task='regression'"):
        make_data("mine", np.zeros((40, 1)), prices)
    assert make_data("mine", np.zeros((40, 1)), prices, task="regression").outputs == 1
    assert make_data("mine", np.zeros((40, 1)), prices, task="classification").outputs == 40
    assert make_data("mine", np.zeros((80, 1)), np.tile(prices, 2)).task == "classification"


def test_several_targets() -> None:
    data = make_data("mine", X, np.ones((6, 3)), X, np.zeros((6, 3)))
    assert (data.outputs, data.y_train.shape, data.shape) == (3, (6, 3), (2,))


def test_digits() -> None:
    data = load("digits")
    assert (data.x_train.shape, data.shape, data.outputs) == ((1797, 8, 8), (1, 8, 8), 10)
    assert data.x_test is None
    assert np.bincount(data.y_train).min() == 174  # as counted in scikit-learn's description of the set


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(
        InvalidData,
        match=r"'digit' is no data set.*; did you mean digits\?; give digits, mnist, .* an .npz with",
    ):
        load("digit")
    assert DATA_SETS == ("digits", "mnist", "fashion-mnist", "cifar10")
