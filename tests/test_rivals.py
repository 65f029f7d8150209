"""The rivals of a network: paired differences, sentences that say who is better, odd data."""

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from gammatune.errors import InvalidArgument
from gammatune.metrics import baselines, bootstrap
from gammatune.metrics.baselines import Comparison
from gammatune.metrics.bootstrap import difference
from gammatune.metrics.catalogue import value
from gammatune.metrics.predictions import Answers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(900, 5))
Y = ((X[:, 0] > 0) ^ (X[:, 1] > 0.3)).astype(int)  # no line divides them
T = np.sin(3 * X[:, :1]) + X[:, 1:2] ** 2
TRAIN, SELECT, REPORT = slice(0, 500), slice(500, 650), slice(650, 900)


def compare(*given: Any, seconds: float = 0.4, **options: Any) -> Comparison:
    return baselines.compare(*given, seconds=seconds, **options)


def parts(y: Any) -> list[Any]:
    return [(X[part], y[part]) for part in (TRAIN, SELECT, REPORT)]


def network(right: float, seed: int = 1) -> Answers:
    """Right in such a share of the report part."""
    rng = np.random.default_rng(seed)
    y = Y[REPORT]
    said = np.where(rng.random(len(y)) < right, y, 1 - y)
    p = np.where(np.eye(2)[said] == 1, 0.9, 0.1)
    return Answers(y, said, 2, p)


@pytest.mark.parametrize("metric", ["accuracy", "auc", "log-loss"])
def test_a_network_that_is_worse_is_told_so(metric: str) -> None:
    found = compare(network(0.6), *parts(Y), metric=metric)
    trees, nobody = found.rivals
    assert trees.is_better
    assert trees.low <= trees.ahead <= trees.high
    lead = trees.value - value(metric, network(0.6))  # type: ignore[operator]
    assert trees.ahead == pytest.approx(-lead if metric == "log-loss" else lead)
    assert found.said[0].startswith(f"HistGradientBoosting reaches {metric} {trees.value:.3g} in ")
    assert found.said[0].endswith(f"{trees.ahead:.3g} [{trees.low:.3g}, {trees.high:.3g}] better than the network: "
                                  "for this table prefer it.")  # fmt: skip
    assert nobody.name == "the most frequent class"


def test_one_example_says_nothing() -> None:
    train, select, (x, y) = parts(Y)
    wrong = Answers(y[:1], 1 - y[:1], 2, np.eye(2)[1 - y[:1]])
    found = compare(wrong, train, select, (x[:1], y[:1]), seconds=20)
    assert found.rivals[0].value == 1
    assert found.said[0].endswith("the network 0: too few examples to say which is better.")


def test_a_network_that_is_better_is_told_so() -> None:
    found = compare(network(1.0), *parts(Y), seconds=60)
    trees = found.rivals[0]
    assert trees.is_worse
    assert not trees.hurried
    assert found.said == (
        f"The network is better than HistGradientBoosting (accuracy {trees.value:.3g} in {trees.seconds:.1f} s) by "
        f"{-trees.ahead:.3g} [{-trees.high:.3g}, {-trees.low:.3g}].",
    )


def test_a_network_that_learned_nothing_is_told_so() -> None:
    y = (RNG.random(900) < 0.2).astype(int)
    said = np.zeros(250, int)
    answers = Answers(y[REPORT], said, 2, np.eye(2)[said])
    found = compare(answers, *parts(y))
    assert any("no better than always saying the most frequent class" in line for line in found.said)
    level = next(line for line in found.said if "HistGradientBoosting" in line)
    assert ": level with the network (" in level


@pytest.mark.parametrize("metric", ["accuracy", "auc", "log-loss", "mcc"])
def test_what_a_dozen_examples_cannot_tell_is_not_told(metric: str) -> None:
    """Right in three of four, or always the common class: of twelve examples either may be anything."""
    train, select, (x, y) = parts(Y)
    few = [*np.flatnonzero(y == 0)[:7], *np.flatnonzero(y == 1)[:5]]
    x, y = x[few], y[few]
    right = y.copy()
    right[[0, 1, 11]] ^= 1
    for answer in (right, np.zeros(12, int)):
        p = np.where(np.eye(2)[answer] == 1, 0.6, 0.4)
        found = compare(Answers(y, answer, 2, p), train, select, (x, y), metric=metric)
        assert not any("has learnt nothing" in line for line in found.said)
        told = [line for line in found.said if "cannot be told from 12 examples" in line]
        assert len(told) == (
            not found.rivals[1].lead.low > 0 or found.rivals[1].lead.low == found.rivals[1].lead.high
        )
        assert found.to_dict()["rivals"][1]["examples"] == 12


def test_of_one_example_nothing_is_learnt_nor_not() -> None:
    train, select, (x, y) = parts(Y)
    for said in (y[:1], 1 - y[:1]):
        found = compare(Answers(y[:1], said, 2, np.eye(2)[said]), train, select, (x[:1], y[:1]))
        assert "cannot be told from 1 example (" in found.said[-1]


def test_a_regression_in_its_own_unit() -> None:
    answers = Answers(T[REPORT], T[REPORT] + 0.5)
    plain = compare(answers, *parts(T), metric="mae", seconds=60)
    scaled = compare(answers, *parts(T), metric="mae", target_scale=([5.0], [10.0]), seconds=60)
    assert plain.network == pytest.approx(0.5)
    assert scaled.network == pytest.approx(5)
    assert scaled.rivals[0].ahead == pytest.approx(10 * plain.rivals[0].ahead)
    assert plain.rivals[0].is_better
    assert [rival.name for rival in plain.rivals] == ["HistGradientBoosting", "the mean"]
    assert plain.to_dict()["rivals"][1]["name"] == "the mean"
    mean = np.abs(T[REPORT] - T[TRAIN].mean()).mean()
    assert plain.rivals[1].value == pytest.approx(mean)


def test_several_targets_are_trained_one_after_the_other() -> None:
    both = np.column_stack([T, -T])
    answers = Answers(both[REPORT], both[REPORT] + 0.5)
    one = compare(Answers(T[REPORT], T[REPORT] + 0.5), *parts(T), seconds=5)
    found = compare(answers, *parts(both), seconds=10)
    assert found.metric == "rmse"
    assert found.rivals[0].value == pytest.approx(one.rivals[0].value, rel=0.1)


def test_the_number_of_trees_is_chosen_on_the_selection_part() -> None:
    """Twin: scikit-learn's own, of as many rounds."""
    found = compare(network(0.9), *parts(Y), seconds=60)
    trees = found.rivals[0]
    assert 1 < trees.rounds < baselines.TREES
    theirs = HistGradientBoostingClassifier(max_iter=trees.rounds, early_stopping=False, random_state=0)
    theirs.fit(*parts(Y)[0])
    assert trees.value == pytest.approx(theirs.score(*parts(Y)[2]), abs=0.02)
    losses = [
        -np.log(np.clip(p[np.arange(150), Y[SELECT]], 1e-9, 1)).mean()
        for p in theirs.staged_predict_proba(X[SELECT])
    ]
    assert np.argmin(losses) + 1 == pytest.approx(trees.rounds, abs=5)


def test_time_that_is_up_cuts_it_off() -> None:
    found = compare(network(0.9), *parts(Y), seconds=1e-9)
    assert found.rivals[0].rounds == 1
    assert found.rivals[0].hurried
    assert any("cut off by the clock" in line for line in found.said)


def test_categories_missing_values_and_infinities() -> None:
    rng = np.random.default_rng(2)
    codes = rng.choice([-3.0, 7.0, 1000.0], size=900)
    y = (codes == 7).astype(int)
    many = rng.choice(np.arange(2000.0), size=900)
    x = np.column_stack([codes, X[:, 0], many])
    x[::7, 1], x[5, 1], x[3::50, 0] = np.nan, np.inf, np.nan
    x[REPORT][:5, 0] = 5000  # never met in training
    answers = Answers(y[REPORT], np.zeros(250, int), 2, np.eye(2)[np.zeros(250, int)])
    found = compare(answers, *[(x[part], y[part]) for part in (TRAIN, SELECT, REPORT)], categorical=[0, 2])
    assert found.rivals[0].value > 0.95
    none = np.full((900, 1), np.nan)
    empty = compare(answers, *[(none[part], y[part]) for part in (TRAIN, SELECT, REPORT)], categorical=[0])
    assert empty.rivals[0].ahead == 0


def test_classes_that_a_part_lacks() -> None:
    y = np.where(np.arange(900) < 500, np.arange(900) % 2, 2)  # class 2 is met in the report part only
    p = np.full((250, 3), 1 / 3)
    found = compare(Answers(y[REPORT], p.argmax(1), 3, p), *parts(y), metric="accuracy")
    assert found.rivals[0].value == 0
    only = compare(Answers(y[REPORT], p.argmax(1), 3, p), *parts(y * 0), metric="accuracy")
    assert [rival.name for rival in only.rivals] == ["the most frequent class"]
    assert any("was not tried" in line for line in only.said)
    undefined = compare(Answers(y[REPORT], p.argmax(1), 3, p), *parts(y), metric="auc")
    assert (undefined.rivals, undefined.network) == ((), None)
    assert "not compared" in undefined.said[0]


def test_weighed_classes_are_weighed_for_the_trees_too() -> None:
    y = (RNG.random(900) < 0.15 + 0.2 * (X[:, 0] > 0)).astype(int)
    said = np.zeros(250, int)
    answers = Answers(y[REPORT], said, 2, np.eye(2)[said])
    plain = compare(answers, *parts(y), metric="recall")
    for weights in ("balanced", [1.0, 5.0]):
        weighed = compare(answers, *parts(y), metric="recall", class_weights=weights)
        assert weighed.rivals[0].value > plain.rivals[0].value + 0.2


def test_parts_that_do_not_fit() -> None:
    with pytest.raises(InvalidArgument, match="the select part has inputs"):
        compare(network(1), parts(Y)[0], (X[:3], Y[:2]), parts(Y)[2])
    with pytest.raises(InvalidArgument, match="answered 250 examples and the report part has 500"):
        compare(network(1), parts(Y)[0], parts(Y)[1], parts(Y)[0])


@pytest.mark.parametrize(
    ("metric", "most"), [("accuracy", 10_000), ("auc", 10_000), ("f1", 1_000), ("rmse", 1_000)]
)
def test_a_paired_difference_is_that_of_a_naive_bootstrap(
    metric: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "MOST", most)
    rng = np.random.default_rng(4)
    n = 2_000 if most == 1_000 else 300
    y = rng.integers(2, size=n)
    score = y + rng.normal(size=n)
    made = []
    for noise in (0.3, 0.6):  # alike in most examples
        p = 1 / (1 + np.exp(0.5 - score - noise * rng.normal(size=n)))
        if metric == "rmse":
            made.append(Answers(y[:, None].astype(float), p[:, None]))
        else:
            made.append(Answers(y, (p > 0.5).astype(int), 2, np.column_stack([1 - p, p])))
    one, other = made
    found = difference(metric, one, other, np.random.default_rng(0))
    assert found is not None
    drawn = []
    for _ in range(200):
        places = rng.integers(n, size=n)
        drawn.append(value(metric, one.some(places)) - value(metric, other.some(places)))  # type: ignore[operator]
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert found.value == pytest.approx(value(metric, one) - value(metric, other))  # type: ignore[operator]
    assert abs(found.low - low) < 0.25 * (high - low)
    assert abs(found.high - high) < 0.25 * (high - low)
