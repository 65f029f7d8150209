"""Permutation importance: what scikit-learn's finds, groups dealt out as one, the same numbers from the same seed."""

import math
import time
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression

import gammatune
from gammatune.errors import InvalidArgument, InvalidData

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 4))
Y = (X[:, 0] + 0.5 * X[:, 1] > 0).astype(int)
T = 3 * X[:, 0] + X[:, 2]


def test_it_is_that_of_scikit_learn() -> None:
    """Twin: theirs averages over 40 repeats, ours too or takes one; they differ by their own noise, and the interval
    of one permutation holds the mean of many."""
    forest = RandomForestClassifier(20, max_depth=5, random_state=0).fit(X[:200], Y[:200])
    found = gammatune.importance(forest.predict_proba, X[200:], Y[200:], repeats=40)
    theirs = permutation_importance(forest, X[200:], Y[200:], n_repeats=40, random_state=0)
    assert found.value == forest.score(X[200:], Y[200:])
    for feature in found.features:
        place = int(feature.name.removeprefix("column ")) - 1
        noise = 4 * theirs.importances_std[place] / math.sqrt(40 / 2)
        assert feature.mean == pytest.approx(theirs.importances_mean[place], abs=noise + 1e-12)
        assert feature.low <= feature.mean <= feature.high
    assert found.features[0].name == "column 1"
    assert (found.repeats, found.unranked) == (40, 0)
    once = gammatune.importance(forest.predict_proba, X[200:], Y[200:])
    assert once.repeats == 1
    for feature in once.features:
        place = int(feature.name.removeprefix("column ")) - 1
        noise = 4 * theirs.importances_std[place] / math.sqrt(40)
        assert feature.low - noise <= theirs.importances_mean[place] <= feature.high + noise


@pytest.mark.parametrize(
    ("metric", "scorer"),
    [
        ("accuracy", "accuracy"),
        ("auc", "roc_auc"),
        ("log-loss", "neg_log_loss"),
        ("f1", "f1"),
        ("mcc", "matthews_corrcoef"),
    ],
)
def test_every_kind_of_measure_is_that_of_scikit_learn(metric: str, scorer: str) -> None:
    """Of labels, of their order and of the probabilities: the mean of many permutations lies in the interval of one,
    or within their noise."""
    forest = RandomForestClassifier(20, max_depth=5, random_state=0).fit(X[:200], Y[:200])
    found = gammatune.importance(forest.predict_proba, X[200:], Y[200:], metric=metric, repeats=10)
    theirs = permutation_importance(forest, X[200:], Y[200:], n_repeats=20, random_state=0, scoring=scorer)
    for feature in found.features:
        place = int(feature.name.removeprefix("column ")) - 1
        noise = 4 * theirs.importances_std[place] / math.sqrt(10 / 1.5)
        assert feature.mean == pytest.approx(theirs.importances_mean[place], abs=noise + 1e-12)
        assert feature.low <= theirs.importances_mean[place] + noise
        assert feature.high >= theirs.importances_mean[place] - noise


def test_the_interval_is_that_of_other_examples() -> None:
    """Over 60 samples of 60 examples the loss on all that there are lies within 19 times of 20, or nearly."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(4000, 2))
    y = (x[:, 0] + 0.7 * rng.normal(size=4000) > 0).astype(int)

    def predict(table: Any) -> Any:
        return np.column_stack([table[:, 0] <= 0, table[:, 0] > 0]).astype(float)

    true = gammatune.importance(predict, x, y, repeats=20).features[0].mean
    held = []
    for i in range(60):
        part = slice(60 * i, 60 * i + 60)
        (first, second) = gammatune.importance(predict, x[part], y[part], seed=i).features
        held.append(first.low <= true <= first.high)
        assert (second.mean, second.low, second.high, second.is_needed) == (0.0, 0.0, 0.0, False)
    assert np.mean(held) > 0.85


def test_of_one_example_nothing_is_known_to_be_needed() -> None:
    found = gammatune.importance(lambda t: t[:, :1], X[:1], T[:1], metric="mae")
    assert not any(feature.is_needed for feature in found.features)


def test_the_first_columns_alone_and_no_more_than_there_is_time_for() -> None:
    model = LinearRegression().fit(X, T)
    whole = gammatune.importance(model.predict, X, T)
    some = gammatune.importance(model.predict, X, T, first=2)
    assert {f.name for f in some.features} == {"column 1", "column 2"}
    assert some.unranked == 2
    assert set(some.features) < set(whole.features)
    told = []

    def slow(table: Any) -> Any:
        time.sleep(0.02)
        return model.predict(table)

    wide = np.tile(X, 50)
    started = time.perf_counter()
    hurried = gammatune.importance(
        lambda t: slow(t[:, :4]), wide, T, seconds=0.5, tell=lambda share, whole: told.append((share, whole))
    )
    assert time.perf_counter() - started < 2.5
    assert 1 <= len(hurried.features) < 60
    assert len(hurried.features) + hurried.unranked == 200
    assert told
    assert all(0 < share < 1 and 0 < whole < 2 for share, whole in told)
    one = gammatune.importance(lambda t: slow(t[:, :4]), wide, T, seconds=0.0)
    assert (len(one.features), one.unranked) == (1, 199)


def test_what_is_handed_to_the_model_is_whole_again_for_the_next_column() -> None:
    seen = []

    def predict(table: Any) -> Any:
        seen.append([not np.array_equal(table[:, i], X[:, i]) for i in range(4)])
        return table[:, 0]

    gammatune.importance(predict, X, T)
    assert seen == [[False] * 4, *np.eye(4, dtype=bool).tolist()]


def test_columns_of_a_group_are_dealt_out_together() -> None:
    """Two halves of one thing: dealt out apart they would no longer agree."""
    twice = np.column_stack([X[:, 0], X[:, 0], X[:, 1]])

    def predict(table: Any) -> Any:
        assert (table[:, 0] == table[:, 1]).all()
        return table[:, 0]

    found = gammatune.importance(predict, twice, X[:, 0], groups={"one": [0, 1], "rest": [2]}, metric="mae")
    assert [feature.name for feature in found.features] == ["one", "rest"]
    assert found.features[0].mean > 0.5
    assert (found.features[1].mean, found.features[1].low, found.features[1].high) == (0.0, 0.0, 0.0)


def test_an_error_that_rises_is_a_loss_too_and_units_are_the_targets_own() -> None:
    model = LinearRegression().fit(X, T)
    names = ["a", "b", "c", "d"]
    plain = gammatune.importance(model.predict, X, T, groups=names, metric="mae")
    scaled = gammatune.importance(model.predict, X, T, groups=names, metric="mae", target_scale=(7.0, 10.0))
    assert [f.name for f in plain.features[:2]] == ["a", "c"]
    assert plain.features[0].mean > plain.features[1].mean > 0.5
    assert scaled.features[0].mean == pytest.approx(10 * plain.features[0].mean)
    r2 = gammatune.importance(model.predict, X, T, groups=names)
    assert r2.metric == "r2"
    assert r2.value == pytest.approx(1)
    # of a linear model: twice the share of the variance
    assert r2.features[0].mean == pytest.approx(2 * 9 / 10, rel=0.1)


def test_whole_numbers_may_be_a_regression() -> None:
    count = (10 * T).astype(int)
    found = gammatune.importance(lambda table: 30 * table[:, 0], X, count)
    assert found.metric == "r2"


def test_the_same_seed_the_same_numbers_whatever_else_is_looked_at() -> None:
    model = LinearRegression().fit(X, T)
    one = gammatune.importance(model.predict, X, T, seed=3)
    assert one == gammatune.importance(model.predict, X, T, seed=3)
    assert one != gammatune.importance(model.predict, X, T, seed=4)
    alone = gammatune.importance(model.predict, X, T, seed=3, groups={"column 3": [2]})
    assert alone.features[0] in one.features
    assert alone.to_dict()["features"][0]["name"] == "column 3"


def test_of_many_examples_a_sample_is_looked_at() -> None:
    sizes = []

    def predict(table: Any) -> Any:
        sizes.append(len(table))
        return table[:, 0]

    found = gammatune.importance(predict, X, X[:, 0], most=50, repeats=3)
    assert found.examples == 50
    assert sizes == [50] * (1 + 4 * 3)


def test_any_kind_of_column() -> None:
    table = np.array([["a", 1.0], ["b", 2.0], ["a", 3.0], ["b", 4.0]] * 10, dtype=object)
    y = (table[:, 0] == "b").astype(int)
    found = gammatune.importance(lambda t: np.eye(2)[(t[:, 0] == "b").astype(int)], table, y)
    assert found.features[0].name == "column 1"
    assert found.features[0].mean > 0.2
    assert found.features[1].mean == 0


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"inputs": X[:, 0]}, InvalidArgument, "give a table"),
        ({"targets": Y[:3]}, InvalidArgument, "a target for each row"),
        ({"repeats": 0}, InvalidArgument, "repeats=0"),
        ({"groups": ["a"]}, InvalidArgument, "names 1 columns of 4"),
        ({"groups": {"a": [4]}}, InvalidArgument, "columns from 0 to 3"),
        ({"groups": {"a": []}}, InvalidArgument, "columns from 0 to 3"),
        ({"metric": "mae"}, InvalidArgument, "this is a classification"),
        ({"predict": lambda t: np.eye(2)[:1]}, InvalidArgument, "gave 1 rows for 400"),
        ({"predict": lambda t: np.ones((400, 1))}, InvalidArgument, "one column a class"),
        ({"targets": T, "predict": lambda t: np.ones((400, 2))}, InvalidArgument, "give the same shape"),
        ({"targets": Y * 0, "metric": "auc"}, InvalidData, "belong to class 0"),
        ({"predict": lambda t: np.full((400, 2), np.nan)}, InvalidData, "not all finite"),
    ],
)
def test_mistakes(options: dict[str, Any], error: type[Exception], words: str) -> None:
    given: dict[str, Any] = {
        "predict": lambda t: np.eye(2)[(t[:, 0] > 0).astype(int)],
        "inputs": X,
        "targets": Y,
    }
    with pytest.raises(error, match=words):
        gammatune.importance(**(given | options))


def test_the_columns_of_a_group_are_dealt_out_together_and_each_keeps_its_own_values() -> None:
    seen = []

    def predict(x: np.ndarray) -> np.ndarray:
        seen.append(x.copy())
        return x[:, 0]

    x = np.arange(40.0).reshape(20, 2)  # the second number of a row is one more than the first
    gammatune.importance(predict, x, x[:, 0], groups={"both": [0, 1]}, repeats=1)
    dealt = seen[1]
    assert not np.array_equal(dealt, x)
    np.testing.assert_array_equal(dealt[:, 1], dealt[:, 0] + 1)
