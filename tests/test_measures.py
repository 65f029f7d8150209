"""Measures: scikit-learn's values by name, intervals as a naive bootstrap has them, and nothing undefined unsaid."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from gammatune.errors import InvalidArgument
from gammatune.metrics import bootstrap, predictions
from gammatune.metrics.bootstrap import measured
from gammatune.metrics.catalogue import ALIASES, FIRST, METRICS, imbalance, recipe, relevant, undefined, value
from gammatune.metrics.predictions import Answers, cells_of

LABELS = [name for name, held in METRICS.items() if held.needs == "labels"]
CLASSES = [name for name, held in METRICS.items() if held.task == "classification"]
NUMBERS = [name for name, held in METRICS.items() if held.task == "regression"]


def classified(n: int, k: int, seed: int = 0, *, grid: int | None = None) -> Answers:
    """A classifier that is right more often than not. grid: probabilities so coarse that many are tied."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(k, size=n)
    scores = rng.normal(size=(n, k)) + 1.5 * np.eye(k)[targets]
    if grid:
        scores = np.round(scores * grid) / grid
    p = np.exp(scores)
    p = (p / p.sum(axis=1, keepdims=True)).astype(np.float32)
    return Answers(targets, p.argmax(axis=1), k, p)


def regressed(n: int, t: int = 1, seed: int = 0) -> Answers:
    rng = np.random.default_rng(seed)
    targets = rng.normal(size=(n, t)) + 3
    return Answers(targets, targets + 0.5 * rng.normal(size=(n, t)))


def naive(name: str, a: Answers) -> float:
    """As a person would call scikit-learn."""
    y, said, p = a.targets, a.said, a.probabilities
    two = a.classes == 2
    average: Any = "binary" if two else "macro"
    match name:
        case "accuracy":
            return float(sk.accuracy_score(y, said))
        case "balanced-accuracy":
            return float(sk.balanced_accuracy_score(y, said))
        case "f1" | "precision" | "recall":
            return float(getattr(sk, f"{name}_score")(y, said, average=average, zero_division=0))
        case "mcc":
            return float(sk.matthews_corrcoef(y, said))
        case "steps":
            return float(np.abs(y - said).mean())
        case "weighted-kappa":
            return float(sk.cohen_kappa_score(y, said, weights="quadratic"))
        case "auc":
            return float(sk.roc_auc_score(y, p[:, 1] if two else _exact(p), multi_class="ovr"))  # type: ignore[index]
        case "average-precision":
            return float(
                sk.average_precision_score(y if two else np.eye(a.classes)[y], p[:, 1] if two else p)
            )  # type: ignore[index]
        case "log-loss":
            return float(sk.log_loss(y, _exact(p)))
        case "brier":
            return float(sk.brier_score_loss(y, _exact(p)[:, 1] if two else _exact(p)))  # type: ignore[index]
    function = {
        "r2": "r2_score", "mae": "mean_absolute_error", "rmse": "root_mean_squared_error",
        "mse": "mean_squared_error", "medae": "median_absolute_error", "mape": "mean_absolute_percentage_error",
    }[name]  # fmt: skip
    return float(getattr(sk, function)(y, said))


def _exact(p: Any) -> Any:
    return p.astype(float) / p.astype(float).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("k", [2, 3, 7])
@pytest.mark.parametrize("grid", [None, 1])
def test_a_classification_is_measured_as_scikit_learn_does(name: str, k: int, grid: int | None) -> None:
    answers = classified(200, k, grid=grid)
    assert value(name, answers) == pytest.approx(naive(name, answers), rel=1e-9)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("t", [1, 3])
def test_a_regression_is_measured_as_scikit_learn_does(name: str, t: int) -> None:
    answers = regressed(100, t)
    assert value(name, answers) == pytest.approx(naive(name, answers), rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(CLASSES), st.integers(2, 4), st.integers(5, 40), st.integers(0, 10**6))
def test_a_resample_is_measured_as_the_examples_it_holds(name: str, k: int, n: int, seed: int) -> None:
    """The vectorised measure of a resample is scikit-learn's of the same examples, written out."""
    answers = classified(n, k, seed, grid=1 if seed % 2 else None)
    w = np.random.default_rng(seed).multinomial(n, [1 / n] * n, size=6)
    if METRICS[name].needs == "labels":
        cells, counts, place = cells_of(answers)
        in_cells = np.zeros((6, len(counts)), dtype=int)
        for example, cell in enumerate(place):
            in_cells[:, cell] += w[:, example]
        found = METRICS[name].resampled(cells, in_cells)
    else:
        found = METRICS[name].resampled(answers, w)
    for one, weights in zip(found, w, strict=True):
        drawn = answers.some(np.repeat(np.arange(n), weights))
        assert one == pytest.approx(value(name, drawn), abs=1e-9, nan_ok=True) or (
            math.isnan(one) and value(name, drawn) is None
        ) or (k > 2 and name in ("auc", "average-precision") and len(np.unique(drawn.targets)) < k)  # fmt: skip


@pytest.mark.parametrize("name", ["auc", "average-precision"])
@pytest.mark.parametrize("k", [2, 3])
def test_tied_probabilities_count_half_in_resamples_too(name: str, k: int) -> None:
    answers = classified(60, k, grid=1)
    assert answers.probabilities is not None
    assert len(np.unique(answers.probabilities[:, 1])) < 40
    w = np.random.default_rng(0).multinomial(60, [1 / 60] * 60, size=4)
    for one, weights in zip(METRICS[name].resampled(answers, w), w, strict=True):
        assert one == pytest.approx(value(name, answers.some(np.repeat(np.arange(60), weights))))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(NUMBERS), st.integers(1, 3), st.integers(3, 40), st.integers(0, 10**6))
def test_a_resampled_regression_likewise(name: str, t: int, n: int, seed: int) -> None:
    answers = regressed(n, t, seed)
    w = np.random.default_rng(seed).multinomial(n, [1 / n] * n, size=6)
    for one, weights in zip(METRICS[name].resampled(answers, w), w, strict=True):
        drawn = answers.some(np.repeat(np.arange(n), weights))
        assert one == pytest.approx(value(name, drawn), rel=1e-9)


@pytest.mark.parametrize("name", ["accuracy", "f1", "auc", "brier", "r2", "medae"])
def test_an_interval_is_that_of_a_naive_bootstrap(name: str) -> None:
    answers = classified(300, 3, 1) if name in CLASSES else regressed(300, 2, 1)
    found = measured([name], answers, np.random.default_rng(0))[0][name]
    rng = np.random.default_rng(1)
    drawn = [value(name, answers.some(rng.integers(300, size=300))) for _ in range(400)]
    low, high = np.percentile(np.asarray(drawn, dtype=float), [2.5, 97.5])
    assert found.low <= found.value <= found.high
    assert found.value == value(name, answers)
    width = high - low
    assert abs(found.low - low) < 0.2 * width
    assert abs(found.high - high) < 0.2 * width


@pytest.mark.parametrize(("name", "tolerance"), [("auc", 0.15), ("brier", 0.15), ("log-loss", 0.15)])
def test_of_many_examples_some_are_resampled_and_the_interval_is_as_narrow(
    name: str, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = classified(6000, 2, 3)
    whole = measured([name], answers, np.random.default_rng(0))[0][name]
    monkeypatch.setattr(bootstrap, "MOST", 1000)
    some = measured([name], answers, np.random.default_rng(0))[0][name]
    assert some.value == whole.value
    assert some.high - some.low == pytest.approx(whole.high - whole.low, rel=tolerance)
    assert some.low <= some.value <= some.high


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Of 200 samples of 150 examples, an accuracy of 0.8 lies in 95 % of the intervals, give or take."""
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(200):
        targets = rng.integers(2, size=150)
        said = np.where(rng.random(150) < 0.8, targets, 1 - targets)
        found = measured(["accuracy"], Answers(targets, said, 2), rng)[0]["accuracy"]
        hits += found.low <= 0.8 <= found.high
    assert 0.89 <= hits / 200 <= 0.99


def test_the_same_stream_gives_the_same_interval() -> None:
    answers = classified(50, 3)
    one = measured(relevant(answers), answers, np.random.default_rng(7))
    assert one == measured(relevant(answers), answers, np.random.default_rng(7))
    assert one != measured(relevant(answers), answers, np.random.default_rng(8))


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("only", [0, 1])
def test_one_class_only_is_a_value_or_a_sentence(k: int, only: int) -> None:
    answers = classified(30, k)
    answers = Answers(np.full(30, only), answers.said, k, answers.probabilities)
    found, lacking = measured(relevant(answers), answers, np.random.default_rng(0))
    for name in relevant(answers):
        reason = undefined(name, answers)
        assert (name in found) == (reason is None)
        if reason is None:
            held = found[name]
            assert all(math.isfinite(x) for x in (held.value, held.low, held.high))
        else:
            assert f"belong to class {only}" in reason
            assert reason in lacking
    assert "auc" not in found
    assert ("average-precision" in found) == (k == 2 and only == 1)


def test_other_reasons_for_no_value() -> None:
    assert "some targets are 0" in str(undefined("mape", Answers(np.array([[0.0], [1.0]]), np.ones((2, 1)))))
    blown = Answers(np.ones((2, 1)), np.array([[np.nan], [1.0]]))
    assert value("mae", blown) is None
    assert "not all finite" in str(undefined("mae", blown))
    assert "too many" in str(undefined("auc", Answers(np.array([0, 1]), np.array([0, 1]), 2)))
    assert "no example" in str(undefined("f1", Answers(np.zeros(0, int), np.zeros(0, int), 2)))


@pytest.mark.parametrize("name", [*CLASSES, *NUMBERS])
def test_a_single_example_has_a_finite_value_or_none(name: str) -> None:
    answers = classified(1, 2) if name in CLASSES else regressed(1)
    found = value(name, answers)
    assert found is None or math.isfinite(found)


def test_a_perfect_and_a_hopeless_classifier() -> None:
    y = np.array([0, 0, 1, 1])
    right = Answers(y, y, 2, np.eye(2, dtype=np.float32)[y])
    wrong = Answers(y, 1 - y, 2, np.eye(2, dtype=np.float32)[1 - y])
    for name in ("accuracy", "balanced-accuracy", "f1", "mcc", "auc", "average-precision"):
        assert value(name, right) == 1
    assert (value("mcc", wrong), value("auc", wrong), value("brier", wrong)) == (-1, 0, 1)
    assert value("log-loss", right) == pytest.approx(0, abs=1e-12)


def test_a_regression_is_told_in_its_own_unit() -> None:
    answers = regressed(40, 2)
    scaled = answers.scaled([10.0, 0.0], [5.0, 2.0])
    assert value("r2", scaled) == pytest.approx(value("r2", answers))
    errors = np.abs(answers.said - answers.targets)
    assert value("mae", scaled) == pytest.approx((5 * errors[:, 0].mean() + 2 * errors[:, 1].mean()) / 2)


def test_names_are_known_and_wrong_ones_answered() -> None:
    assert recipe("roc_auc").name == "auc"
    assert recipe("F1").name == "f1"
    assert recipe("Balanced_Accuracy", "classification").name == "balanced-accuracy"
    with pytest.raises(InvalidArgument, match="did you mean 'accuracy'"):
        recipe("acuracy")
    with pytest.raises(InvalidArgument, match="measures a regression, and this is a classification"):
        recipe("mae", "classification")


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_many_columns_leave_out_what_needs_a_pass_for_each(task: str) -> None:
    answers = classified(50, 101) if task == "classification" else regressed(50, 101)
    left_out = {"auc", "average-precision", "medae"}
    assert not left_out & set(relevant(answers))
    assert left_out & set(relevant(classified(50, 100) if task == "classification" else regressed(50, 100)))
    found, _ = measured(["auc" if task == "classification" else "medae"], answers, np.random.default_rng(0))
    assert len(found) == 1


def test_imbalance_is_seen_from_five_to_one() -> None:
    assert imbalance([50, 10]) is None
    said = imbalance([51, 10], ["no", "yes"])
    assert said is not None
    assert "51 of class no, 10 of class yes" in said
    assert "balanced-accuracy" in said
    assert imbalance([51, 0]) is None
    assert imbalance([0, 100, 3]) is not None
    many = imbalance([100, 50, 40, 30, 2])
    assert many is not None
    assert "100 of class 0, 2 of class 4 (the smallest)" in many


def test_all_is_said_of_each_measure_and_the_old_module_still_gives_its_names() -> None:
    with pytest.warns(DeprecationWarning, match=r"gammatune\.measures is gammatune\.metrics now"):
        from gammatune.measures import RECIPES, Answers, Measure, measured  # type: ignore[import-not-found]

    assert (RECIPES, Answers, Measure, measured) == (
        METRICS, predictions.Answers, bootstrap.Measure, bootstrap.measured,
    )  # fmt: skip
    assert set(FIRST) < set(METRICS)
    assert set(ALIASES.values()) <= set(METRICS)
    for name, spec in METRICS.items():
        assert spec.name == name
        assert spec.words.title
        assert spec.words.meaning
        assert spec.range[0] < spec.range[1]


@pytest.mark.parametrize("targets", [[0.1] * 3, [0.1] * 10])
def test_r2_of_targets_that_do_not_vary_is_that_of_a_constant(targets: list[float]) -> None:
    """Whatever the rounding of their mean."""
    y = np.array(targets)
    assert value("r2", Answers(y, y + 1)) == 0
    assert value("r2", Answers(y, y)) == 1
