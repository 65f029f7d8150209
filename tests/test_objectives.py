"""Objectives: the formulas at a point, their order, and the full product of special values."""

import itertools
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammatune.errors import InvalidArgument
from gammatune.metrics.catalogue import METRICS
from gammatune.metrics.objectives import FOR_METRICS, LOSS_FLOOR, OBJECTIVES, for_metric, make_objective

UNCUT = ["kappa", "kappa11", "kappa12", "kappa12-ratio"]
KAPPAS = [*UNCUT, *(f"{name}-cut" for name in UNCUT)]
FRACTION = st.floats(0, 1)
LOSS = st.floats(1e-6, 1e6)


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("accuracy", 0.5),
        ("loss", -2.0),
        ("kappa11", 0.5 - 0.25 * math.log(2)),
        ("kappa12", 0.25 - 4 * math.log(2)),
        ("kappa", 0.25 - 4 * math.log(2)),
        ("kappa12-ratio", 0.25 - math.log(8)),
        ("kappa11-cut", 0.5 - 0.25 * math.log(2)),  # above 0: kept
        ("kappa12-cut", 0.0),
        ("kappa12-ratio-cut", 0.0),
        ("kappa-cut", 0.0),
        ("r2", 0.75),
        ("mse", -3.0),
        ("log-loss", -math.log(2)),
    ],
)
def test_each_formula_at_a_point(name: str, score: float) -> None:
    metrics = {"accuracy": 0.5, "loss": 2.0, "r2": 0.75, "mse": 3.0}
    assert make_objective(name, lam=0.25)(metrics) == pytest.approx(score, rel=1e-14)


def test_every_name_is_covered_and_the_default_is_kappa() -> None:
    assert set(OBJECTIVES) == {"accuracy", "loss", "r2", "mse", "log-loss", *KAPPAS}
    default = make_objective()
    assert (default.name, default.lam) == ("kappa", 0.5)
    assert default({"accuracy": 0.9, "loss": 0.3}) == pytest.approx(0.81 - 2 * math.log(0.3))


def test_the_two_readings_of_the_cut_differ() -> None:
    """At accuracy .45 and loss .6, (11) is .705 > 0 but the loss is above the accuracy."""
    metrics = {"accuracy": 0.45, "loss": 0.6}
    assert make_objective("kappa11-cut")(metrics) == pytest.approx(0.45 - 0.5 * math.log(0.6))
    assert make_objective("kappa11-cut", cut="loss-above-accuracy")(metrics) == 0.0
    below = {"accuracy": 0.6, "loss": 0.45}
    assert make_objective("kappa11-cut", cut="loss-above-accuracy")(below) > 0.6


def test_the_thesis_first_cifar_epoch_is_cut_to_nothing() -> None:
    """Table 7's first epoch (accuracy .4474, loss 1.370): why the uncut form searches."""
    metrics = {"accuracy": 0.4474, "loss": 1.370}
    assert make_objective("kappa-cut")(metrics) == 0.0
    assert make_objective("kappa")(metrics) < 0


@given(FRACTION, LOSS, LOSS, st.floats(0.05, 1), st.sampled_from(UNCUT))
def test_less_loss_is_never_worse(a: float, l1: float, l2: float, lam: float, name: str) -> None:
    objective = make_objective(name, lam=lam)
    low, high = sorted([l1, l2])
    assert objective({"accuracy": a, "loss": low}) >= objective({"accuracy": a, "loss": high})


@given(FRACTION, FRACTION, LOSS, st.floats(0.05, 1), st.sampled_from(KAPPAS))
def test_more_accuracy_is_never_worse(a1: float, a2: float, loss: float, lam: float, name: str) -> None:
    objective = make_objective(name, lam=lam)
    low, high = sorted([a1, a2])
    assert objective({"accuracy": high, "loss": loss}) >= objective({"accuracy": low, "loss": loss})


@pytest.mark.parametrize("name", KAPPAS)
@pytest.mark.parametrize(
    ("accuracy", "loss"),
    list(
        itertools.product(
            [0.0, 5e-324, 0.5, 1.0, math.nan, math.inf, -math.inf],
            [0.0, 5e-324, 1e-300, 1.0, 1e300, math.inf, -math.inf, math.nan],
        )
    ),
)
def test_kappa_over_the_product_of_special_values(name: str, accuracy: float, loss: float) -> None:
    score = make_objective(name)({"accuracy": accuracy, "loss": loss})
    if math.isfinite(accuracy) and math.isfinite(loss):
        assert math.isfinite(score)
    else:
        assert score == -math.inf


def test_loss_zero_is_the_floor_and_beats_everything_above_it() -> None:
    for name in UNCUT:
        objective = make_objective(name)
        zero, floor, above = (objective({"accuracy": 0.5, "loss": x}) for x in (0.0, LOSS_FLOOR, 1e-300))
        assert zero == floor > above
    assert make_objective("log-loss")({"loss": 0.0}) == pytest.approx(708.396, abs=1e-3)


@pytest.mark.parametrize("lam", [1e-300, 1.0])
@pytest.mark.parametrize("loss", [0.0, 1e300])
@pytest.mark.parametrize("name", UNCUT)
def test_stays_finite_at_the_ends_of_lam(name: str, loss: float, lam: float) -> None:
    """log(M_l / lambda) is taken as a difference, for M_l / lambda itself would overflow."""
    assert math.isfinite(make_objective(name, lam=lam)({"accuracy": 1.0, "loss": loss}))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("name", "metric"), [("loss", "loss"), ("r2", "r2"), ("mse", "mse"), ("log-loss", "loss")]
)
def test_a_metric_that_is_not_finite_is_the_worst_score(name: str, metric: str, bad: float) -> None:
    assert make_objective(name)({metric: bad}) == -math.inf


def test_a_loss_that_is_not_finite_spoils_accuracy_too() -> None:
    assert make_objective("accuracy")({"accuracy": 0.9, "loss": math.nan}) == -math.inf


def test_ties_fall_back_to_accuracy_then_loss() -> None:
    rank = make_objective("kappa-cut").rank
    assert rank({"accuracy": 0.3, "loss": 2.0}) > rank({"accuracy": 0.2, "loss": 1.5})  # both cut to 0
    assert rank({"accuracy": 0.3, "loss": 2.0}) > rank({"accuracy": 0.3, "loss": 2.5})
    assert make_objective("mse").rank({"mse": 2.0}) == (-2.0, 0.0, 0.0)
    assert make_objective("loss").rank({"loss": math.nan}) == (-math.inf, 0.0, -math.inf)


@pytest.mark.parametrize("name", KAPPAS)
def test_kappa_refuses_a_regression(name: str) -> None:
    with pytest.raises(InvalidArgument, match="a regression has no accuracy"):
        make_objective(name)({"r2": 0.5, "mse": 1.0, "loss": 1.0})


@pytest.mark.parametrize(
    ("name", "metrics", "message"),
    [
        ("kappa", {"accuracy": 93.0, "loss": 0.2}, "fraction in .* not per cent, got 93"),
        ("loss", {"accuracy": -0.1, "loss": 0.2}, "fraction"),
        ("kappa", {"accuracy": 0.5, "loss": -0.2}, "must not be negative, got -0.2"),
        ("log-loss", {"loss": -1.0}, "must not be negative"),
        ("mse", {"loss": 1.0}, "needs the metrics mse; received: loss"),
        ("kappa", {"accuracy": 0.5}, "needs the metrics accuracy, loss; received: accuracy"),
        ("accuracy", {}, "received: none"),
    ],
)
def test_refuses_metrics_it_cannot_use(name: str, metrics: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        make_objective(name)(metrics)


def test_refuses_bad_arguments() -> None:
    with pytest.raises(InvalidArgument, match="no objective 'f1'; choose from accuracy, loss, r2"):
        make_objective("f1")
    for lam in (0.0, 5e-324, -0.5, 1.5, math.nan):
        with pytest.raises(InvalidArgument, match=r"lam must lie in \(0, 1\]"):
            make_objective("kappa", lam=lam)
    with pytest.raises(InvalidArgument, match="cut must be"):
        make_objective("kappa-cut", cut="sometimes")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_travels_between_processes(name: str) -> None:
    objective = make_objective(name, lam=0.3)
    assert pickle.loads(pickle.dumps(objective)) == objective
    assert objective.name == name
    assert set(objective.needs) <= {"accuracy", "loss", "r2", "mse"}


# -- of a measure that is asked for ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "name", "score"),
    [
        ("accuracy", "kappa", 0.25 - 4 * math.log(2)),
        ("f1", "kappa-f1", 0.36 - 4 * math.log(2)),
        ("mcc", "kappa-mcc", -0.09 - 4 * math.log(2)),
        ("brier", "log-brier", -math.log(0.2)),
        ("mae", "log-mae", -math.log(7)),
        ("r2", "r2", 0.75),
    ],
)
def test_a_measure_takes_the_place_of_the_accuracy_or_of_the_loss(
    metric: str, name: str, score: float
) -> None:
    objective = for_metric(metric, lam=0.25)
    assert objective.name == name
    metrics = {
        "accuracy": 0.5, "loss": 2.0, "f1": 0.6, "mcc": -0.3, "brier": 0.2, "mae": 7.0, "r2": 0.75,
    }  # fmt: skip
    assert objective(metrics) == pytest.approx(score, rel=1e-14)
    assert metric in objective.needs


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_every_measure_has_an_objective_in_which_better_is_more(metric: str, bad: float) -> None:
    objective, better = for_metric(metric), METRICS[metric].higher_is_better
    low, high = (objective({"accuracy": 0.5, "loss": 1.0, metric: value}) for value in (0.2, 0.8))
    assert (high > low) == better
    assert objective({"accuracy": 0.5, "loss": 1.0, metric: bad}) == -math.inf
    assert math.isfinite(objective({"accuracy": 0.5, "loss": 1.0, metric: 0.0}))
    assert objective.name in (*FOR_METRICS, *OBJECTIVES)
    assert make_objective(objective.name) == objective
    one, other = ({"accuracy": 0.5, "loss": 1.0, metric: value} for value in (0.2, 0.8))
    assert objective.beats(one, {**one, metric: 0.2}, 100) is False
    if len(objective.needs) == 1:
        assert objective.beats(other, one, 100) == better
    else:
        assert objective.beats({**other, "loss": 0.5}, one, 100)
        assert not objective.beats(other, one, 100)  # the loss is no better


def test_rollouts_in_which_the_measure_is_nothing_are_told_apart_by_the_loss() -> None:
    objective = for_metric("f1")
    assert objective({"f1": 0.0, "loss": 0.5}) > objective({"f1": 0.0, "loss": 0.6})


def test_a_measure_nobody_computed_is_explained() -> None:
    with pytest.raises(InvalidArgument, match="metric='auc' is asked for"):
        make_objective("kappa-auc")({"accuracy": 0.5, "loss": 1.0})
