"""The models of a table beside each other: fitted, compared in pairs, one handed over, kept and read again."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from gammatune.errors import JournalError
from gammatune.metrics import bootstrap
from gammatune.metrics.baselines import knowing_nothing, whether_learnt
from gammatune.metrics.bootstrap import difference, lead
from gammatune.metrics.catalogue import value
from gammatune.metrics.predictions import Answers
from gammatune.metrics.selection import select
from gammatune.pipeline import kept, kinds
from gammatune.pipeline import limits as limits_module
from gammatune.pipeline.data.split import Part, Split
from gammatune.pipeline.data.table_preprocessing import Category, Number, TablePreprocessing
from gammatune.pipeline.families import Family, families, on_parts
from gammatune.pipeline.limits import LIMITS, Limits, limits_within
from gammatune.pipeline.models.linear import STRENGTHS, Linear
from gammatune.pipeline.models.rows import Known, Rows, some_rows
from gammatune.pipeline.models.trees import ROUNDS, Trees

RNG = np.random.default_rng(0)
X = RNG.normal(size=(900, 5))
CURVED = ((X[:, 0] > 0) ^ (X[:, 1] > 0.3)).astype(int)  # no line divides them
STRAIGHT = (X[:, 0] + 0.5 * X[:, 1] + 0.7 * RNG.normal(size=900) > 0).astype(int)
T = np.sin(3 * X[:, :1]) + X[:, 1:2] ** 2
TRAIN, SELECT, REPORT = slice(0, 500), slice(500, 650), slice(650, 900)


def split_of(y: NDArray[Any], x: NDArray[Any] = X, codes: int = 0) -> Split:
    """x: its last columns are codes."""
    columns = tuple(Number(f"n{i}", 0.0, 1.0, False) for i in range(x.shape[1] - codes))
    columns += tuple(Category(f"c{i}", tuple("abcdef")) for i in range(codes))  # type: ignore[arg-type]
    classify = y.ndim == 1
    preparing = TablePreprocessing(
        "classification" if classify else "regression", columns, "y",
        classes=tuple(range(int(y.max()) + 1)) if classify else (),
        target_mean=() if classify else (5.0,) * y.shape[1], target_std=() if classify else (10.0,) * y.shape[1],
    )  # fmt: skip
    parts = [
        Part(torch.as_tensor(x[part], dtype=torch.float32), torch.as_tensor(y[part]))
        for part in (TRAIN, SELECT, REPORT)
    ]
    return Split("t", *parts, preparing, ())


def sets(y: NDArray[Any], x: NDArray[Any] = X) -> list[Rows]:
    return [Rows(x[part], y[part]) for part in (TRAIN, SELECT)]


def fitted(family: Family, train: Rows, select: Rows, **known: Any) -> Any:
    """To the rows that train, at the setting that meets those to select by."""
    whole: list[Any] = []

    def fit(rows: Rows, setting: Any, given: Known) -> Any:
        whole.append(family.fit(rows, setting, given))
        return whole[-1]

    on_parts(replace(family, fit=fit), train, select, Known(**known))
    return whole[0]


def grow(train: Rows, select: Rows, *, most: int = ROUNDS, **known: Any) -> Trees:
    found: Trees = fitted(families(most, 1)[1], train, select, **known)
    return found


def fit_linear(train: Rows, select: Rows, *, strengths: int = len(STRENGTHS), **known: Any) -> Linear:
    found: Linear = fitted(families(1, strengths)[0], train, select, **known)
    return found


def a_net(y: NDArray[Any], right: float, seed: int = 1) -> kinds.Answering:
    """Right in such a share of all rows."""
    rng = np.random.default_rng(seed)
    said = np.where(rng.random(len(y)) < right, y, 1 - y)
    known = {row.astype(np.float32).tobytes(): code for row, code in zip(X, said, strict=True)}

    def answer(x: NDArray[Any]) -> NDArray[np.float64]:
        codes = np.array([known[row.astype(np.float32).tobytes()] for row in x])
        return np.where(np.eye(2)[codes] == 1, 0.9, 0.1)

    return answer


def compared(y: NDArray[Any], net: kinds.Answering, metric: str = "accuracy", **options: Any) -> kinds.Models:
    given: dict[str, Any] = {"class_weights": None, "seed": 0, "limits": Limits()} | options
    return kinds.compare(net, split_of(y), metric=metric, **given)


# -- which is handed over


def test_where_a_line_divides_the_classes_the_line_is_handed_over() -> None:
    found = compared(STRAIGHT, a_net(STRAIGHT, 0.5))
    assert found.chosen == kinds.LINEAR
    assert [each.kind for each in found.kinds] == list(kinds.KINDS)
    assert found.in_words(split_of(STRAIGHT), 0)[0].startswith("Handed over: the linear model, ")


@pytest.mark.parametrize("metric", ["accuracy", "auc", "log-loss"])
def test_where_none_does_the_trees_are(metric: str) -> None:
    found = compared(CURVED, a_net(CURVED, 0.6), metric)
    assert found.chosen == kinds.TREES
    assert (found(X[REPORT]).argmax(axis=1) == CURVED[REPORT]).mean() > 0.95
    said = found.in_words(split_of(CURVED), 0)
    assert said[0].startswith("Handed over: the boosted trees, best on the 150 examples to select by.")
    assert ": better than the linear model by " in said[1]


def test_a_net_that_is_better_is_handed_over() -> None:
    noisy = np.where(RNG.random(900) < 0.3, 1 - CURVED, CURVED)
    found = compared(noisy, a_net(noisy, 0.97))
    assert found.chosen == kinds.NET


def test_of_models_that_are_level_the_simplest_is_taken() -> None:
    y = RNG.integers(2, size=4_000)

    def answers(right: float) -> Answers:
        said = np.where(RNG.random(len(y)) < right, y, 1 - y)
        return Answers(y, said, 2, np.where(np.eye(2)[said] == 1, 0.9, 0.1))

    level, ahead = [answers(0.8), answers(0.8)], answers(0.84)
    rng = np.random.default_rng(0)
    found = select("accuracy", [*level, ahead], rng)
    assert found is not None
    assert (found.chosen, found.best) == (2, 2)
    for gap, its in zip(found.behind, found.values, strict=True):
        assert gap is not None
        assert gap.value == pytest.approx(found.values[2] - its)  # type: ignore[operator]
        assert gap.low <= gap.value <= gap.high
    same = select("log-loss", [level[0], level[0]], rng)
    assert same is not None
    assert same.chosen == 0
    nothing = Answers(y * 0, y * 0, 2, np.eye(2)[y * 0])  # one class: the auc has no value
    assert select("auc", [nothing], rng) is None


def test_where_the_measure_has_no_value_the_net_stays() -> None:
    y = np.where(np.arange(900) < 500, CURVED, 0)
    found = compared(y, a_net(CURVED, 0.9), "auc")
    assert found.chosen == kinds.NET
    assert all(each.selected is None for each in found.kinds)


def test_of_one_class_in_training_nothing_is_fitted_and_nothing_breaks(tmp_path: Path) -> None:
    y = np.where(np.arange(900) < 500, 0, CURVED)
    limits = limits_within(None, split_of(y), tmp_path, 0)
    assert limits == Limits(0, 0)
    found = compared(y, a_net(CURVED, 0.9), limits=limits)
    assert found.chosen == kinds.NET
    assert found.in_words(split_of(y), 0)[0].startswith("The network alone was trained")


def test_a_class_that_is_rare_is_not_lost_where_rows_are_drawn() -> None:
    y = np.zeros(1_000, dtype=int)
    y[7] = 1
    x, drawn, _ = some_rows(Rows(np.arange(1_000.0)[:, None], y), 20, Known(2))
    assert len(x) == len(drawn) <= 22  # one more for each class
    assert set(drawn) == {0, 1}


def test_a_wide_table_of_many_classes_is_bounded_without_a_clock(tmp_path: Path) -> None:
    y = np.arange(900) % 100
    wide = split_of(y, np.zeros((900, 20_000), dtype=np.float32))
    limits = limits_within(None, wide, tmp_path, 0)
    assert limits.rounds < ROUNDS
    assert limits.strengths == 0
    assert limits_within(None, split_of(CURVED), tmp_path, 0) == Limits()


def test_the_average_is_of_the_two_that_lead() -> None:
    found = compared(CURVED, a_net(CURVED, 0.95))
    assert set(found.members) == {kinds.TREES, kinds.NET}
    mean = kinds.answer(found.fitted, kinds.AVERAGE, found.members, X[:9])
    apart = [found.fitted[kind](X[:9]) for kind in found.members]
    np.testing.assert_allclose(mean, np.mean(apart, axis=0))


def test_a_regression_is_told_in_its_own_unit() -> None:
    split = split_of(T)
    found = kinds.compare(
        lambda x: np.zeros((len(x), 1)),
        split,
        metric="mae",
        class_weights=None,
        seed=0,
        limits=Limits(),
    )
    net = next(each for each in found.kinds if each.kind == kinds.NET)
    assert net.value is not None
    assert net.value.value == pytest.approx(10 * np.abs(T[REPORT]).mean(), rel=1e-5)
    assert found.chosen == kinds.TREES
    two = split_of(np.column_stack([T, -T]))
    both = kinds.compare(
        lambda x: np.zeros((len(x), 2)), two, metric="rmse", class_weights=None, seed=0, limits=Limits()
    )
    assert both(X[:4]).shape == (4, 2)


# -- fitted


def test_the_number_of_rounds_is_that_which_meets_the_examples_to_select_by() -> None:
    """Twin: scikit-learn's own, of as many rounds."""
    noisy = np.where(RNG.random(900) < 0.2, 1 - CURVED, CURVED)
    trees = grow(*sets(noisy), classes=2)
    theirs = HistGradientBoostingClassifier(max_iter=ROUNDS // 4, early_stopping=False, random_state=0)
    theirs.fit(X[TRAIN], noisy[TRAIN])
    losses = [
        -np.log(np.clip(p[np.arange(150), noisy[SELECT]], 1e-9, 1)).mean()
        for p in theirs.staged_predict_proba(X[SELECT])
    ]
    assert 1 < trees.rounds[0] < len(losses)
    assert losses[trees.rounds[0] - 1] < min(losses) + 0.02 < losses[-1]


def test_the_same_seed_grows_the_same_trees_and_no_more_than_allowed() -> None:
    first, again = (grow(*sets(CURVED), classes=2, seed=3)(X) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert grow(*sets(CURVED), classes=2, most=2).rounds[0] <= 2


def test_classes_that_training_lacks_have_no_probability() -> None:
    y = np.where(np.arange(900) < 500, CURVED, 2)
    for said in (grow(*sets(y), classes=3)(X[REPORT]), fit_linear(*sets(y), classes=3)(X[REPORT])):
        assert said.shape == (250, 3)
        np.testing.assert_array_equal(said[:, 2], 0)
        np.testing.assert_allclose(said.sum(axis=1), 1)


def test_codes_are_levels_to_both() -> None:
    codes = RNG.choice([0.0, 3.0, 5.0], size=900)  # not in the order of what follows
    x, y = np.column_stack([X[:, :2], codes]), (codes == 3).astype(int)
    for fit in (grow, fit_linear):
        model: Any = fit(*sets(y, x), classes=2, codes=[2])  # type: ignore[operator]
        assert (model(x[REPORT]).argmax(axis=1) == y[REPORT]).all()
        x_new = x[REPORT].copy()
        x_new[:, 2] = 7.0  # never met
        assert np.isfinite(model(x_new)).all()


def test_weighed_classes_are_weighed_in_both() -> None:
    y = (RNG.random(900) < 0.15 + 0.2 * (X[:, 0] > 0)).astype(int)
    for fit in (grow, fit_linear):
        plain: Any = fit(*sets(y), classes=2)  # type: ignore[operator]
        weighed: Any = fit(*sets(y), classes=2, class_weights="balanced")  # type: ignore[operator]
        found = [(model(X[REPORT]).argmax(axis=1) == 1).mean() for model in (plain, weighed)]
        assert found[1] > found[0] + 0.1


def test_rows_that_count_for_more_are_met_better() -> None:
    """Labels that nothing tells: what is said of all is how often each occurs, by weight."""
    y = (RNG.random(900) < 0.3).astype(int)
    w = np.where(y == 1, 6.0, 2.0)
    expected = w[y == 1].sum() / w.sum()
    for fit in (grow, fit_linear):
        said: Any = [
            fit(*(Rows(X[part], y[part], scale * w[part]) for part in (TRAIN, SELECT)), classes=2)(X[REPORT])  # type: ignore[operator]
            for scale in (1.0, 10.0)
        ]
        np.testing.assert_allclose(said[0], said[1], rtol=1e-6)  # the unit of weights says nothing
        assert said[0][:, 1].mean() == pytest.approx(expected, abs=0.06)
        plain: Any = fit(*sets(T), classes=0)  # type: ignore[operator]
        alike = [Rows(X[part], T[part], np.full(len(X[part]), 3.0)) for part in (TRAIN, SELECT)]
        same: Any = fit(*alike, classes=0)  # type: ignore[operator]
        np.testing.assert_allclose(plain(X[REPORT]), same(X[REPORT]), rtol=1e-6)


def test_the_penalty_is_chosen_where_it_matters() -> None:
    x = np.column_stack([X, RNG.normal(size=(900, 400))])
    strong = fit_linear(Rows(x[:60], STRAIGHT[:60]), Rows(x[SELECT], STRAIGHT[SELECT]), classes=2)
    weak = fit_linear(*sets(STRAIGHT), classes=2)
    assert strong.penalty > weak.penalty
    assert fit_linear(*sets(STRAIGHT), classes=2, strengths=1).penalty == STRENGTHS[0]


# -- kept


@pytest.mark.parametrize("y", [CURVED, T])
def test_what_is_kept_answers_as_it_did(tmp_path: Path, y: NDArray[Any]) -> None:
    net: Any = a_net(CURVED, 0.6) if y.ndim == 1 else lambda x: np.zeros((len(x), 1))
    options: dict[str, Any] = {"class_weights": None, "seed": 0, "limits": Limits(rounds=20)}
    found = kinds.compare(net, split_of(y), metric="accuracy" if y.ndim == 1 else "rmse", **options)
    checksum = kept.keep(found.fitted, tmp_path)
    again = kept.kept(tmp_path, checksum)
    assert set(again) == {kinds.LINEAR, kinds.TREES}
    for kind, model in again.items():
        np.testing.assert_array_equal(model(X[REPORT]), found.fitted[kind](X[REPORT]))
    content = (tmp_path / kept.MODELS).read_bytes()
    (tmp_path / kept.MODELS).write_bytes(content[:-1] + b"x")
    with pytest.raises(JournalError, match="is not what the run wrote"):
        kept.kept(tmp_path, checksum)
    (tmp_path / kept.MODELS).unlink()
    with pytest.raises(JournalError, match="cannot be read"):
        kept.kept(tmp_path, checksum)


def test_what_the_clock_allowed_is_asked_once(tmp_path: Path) -> None:
    split = split_of(CURVED)
    assert limits_within(None, split, tmp_path, 0) == Limits()
    assert not (tmp_path / LIMITS).exists()
    short = limits_within(0.0, split, tmp_path, 0)
    assert short == Limits(0, 0, rounds_by_time=True)
    assert limits_within(1e6, split, tmp_path, 0) == short
    (tmp_path / LIMITS).unlink()
    long = limits_within(1e6, split, tmp_path, 0)
    assert long == Limits()
    alone = compared(CURVED, a_net(CURVED, 0.6), limits=short)
    assert (alone.chosen, [each.kind for each in alone.kinds]) == (kinds.NET, [kinds.NET])
    assert kept.keep(alone.fitted, tmp_path) is None


def paced(monkeypatch: pytest.MonkeyPatch, start: float, round_: float, strength: float) -> list[str]:
    """A clock that goes by what is fitted: seconds of any trees, of a round of them, of a linear model."""
    now, fitted = [0.0], list[str]()

    def family(kind: str, seconds: Callable[[Any], float]) -> Family:
        def fit(rows: Rows, setting: Any, known: Known) -> Any:
            fitted.append(kind)
            now[0] += seconds(setting)

        return Family(kind, fit, fit, fit, fit)  # type: ignore[arg-type]

    both = family("linear", lambda _: strength), family("trees", lambda rounds: start + round_ * sum(rounds))
    monkeypatch.setattr(limits_module, "families", lambda rounds, strengths: both)
    monkeypatch.setattr(limits_module.clock, "perf_counter", lambda: now[0])
    return fitted


def test_trees_that_the_clock_would_cut_to_a_stump_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paced(monkeypatch, 0.5, 0.1, 1.0)
    # 5.7 s are tried, the linear model takes 9.25, and trees 3.25 times half a second and 0.1 s a round
    hardly = limits_within(25.0, split_of(CURVED), tmp_path, 0)
    assert (hardly.rounds, hardly.strengths, hardly.rounds_by_time) == (0, 7, True)
    (tmp_path / LIMITS).unlink()
    some = limits_within(48.0, split_of(CURVED), tmp_path, 0)
    assert (some.rounds, some.rounds_by_time) == (96, True)
    monkeypatch.undo()
    found = compared(CURVED, a_net(CURVED, 0.6), limits=hardly)
    assert any(
        "boosted trees would have taken too long" in said for said in found.in_words(split_of(CURVED), 0)
    )
    assert "rounds_in_time" not in found.in_event(None)["beside"]
    found = compared(CURVED, a_net(CURVED, 0.6), limits=some)
    assert found.in_event(None)["beside"]["rounds_in_time"] == some.rounds


@settings(max_examples=50, deadline=None)
@given(st.floats(1, 300), st.floats(0, 5), st.floats(1e-3, 1), st.floats(1e-2, 20))
def test_what_time_allows_holds_the_trial_and_all_fits(
    tmp_path_factory: pytest.TempPathFactory, seconds: float, start: float, round_: float, strength: float
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        fitted = paced(patched, start, round_, strength)
        found = limits_within(seconds, split_of(CURVED), tmp_path_factory.mktemp("run"), 0)
        tried = limits_module.clock.perf_counter()
    slowest = max(start + limits_module.TRIAL * round_, strength)
    assert tried <= limits_module.TRYING * seconds + slowest + (
        start + round_ + strength
    )  # what loads comes first
    assert len(fitted) <= 5
    linear = (found.strengths + 2.25) * strength if found.strengths else 0.0
    trees = 3.25 * (start + found.rounds * round_) if found.rounds else 0.0
    if found.strengths or found.rounds:
        assert tried + linear + trees <= seconds * (1 + 1e-9)


# -- what was learnt


def network(right: float, seed: int = 1) -> Answers:
    """Right in such a share of the report part."""
    p = a_net(CURVED, right, seed)(X[REPORT])
    return Answers(CURVED[REPORT], p.argmax(axis=1), 2, p)


def told(metric: str, y: NDArray[Any], answers: Answers) -> str | None:
    found = whether_learnt(metric, y, answers, np.random.default_rng(0), "the network")
    assert found is not None
    assert (found.whether == "something") is (found.sentence == "")
    return found.sentence or None


def test_a_model_that_learned_nothing_is_told_so() -> None:
    y = (RNG.random(900) < 0.2).astype(int)
    said = np.zeros(250, int)
    found = told("accuracy", y[TRAIN], Answers(y[REPORT], said, 2, np.eye(2)[said]))
    assert found is not None
    assert found.startswith("The network is no better than always saying the most frequent class")
    assert told("accuracy", CURVED[TRAIN], network(0.9)) is None


@pytest.mark.parametrize("metric", ["accuracy", "auc", "log-loss", "mcc"])
def test_what_a_dozen_examples_cannot_tell_is_not_told(metric: str) -> None:
    """Right in three of four, or always the common class: of twelve examples either may be anything."""
    y = CURVED[REPORT]
    y = y[[*np.flatnonzero(y == 0)[:7], *np.flatnonzero(y == 1)[:5]]]
    right = y.copy()
    right[[0, 1, 11]] ^= 1
    for answer in (right, np.zeros(12, int)):
        answers = Answers(y, answer, 2, np.where(np.eye(2)[answer] == 1, 0.6, 0.4))
        ahead = lead(metric, answers, knowing_nothing(CURVED[TRAIN], answers), np.random.default_rng(0))
        assert ahead is not None
        found = told(metric, CURVED[TRAIN], answers)
        if ahead.low > 0 and ahead.low != ahead.high:
            assert found is None
        else:
            assert found is not None
            assert "cannot be told from 12 examples" in found


def test_of_one_example_nothing_is_learnt_nor_not() -> None:
    y = CURVED[REPORT]
    for said in (y[:1], 1 - y[:1]):
        found = told("accuracy", CURVED[TRAIN], Answers(y[:1], said, 2, np.eye(2)[said]))
        assert found is not None
        assert "cannot be told from 1 example (" in found


def test_the_mean_knows_nothing_of_a_regression() -> None:
    answers = Answers(T[REPORT], T[REPORT] + 0.5)
    constant = knowing_nothing(T[TRAIN], answers)
    assert value("mae", constant) == pytest.approx(np.abs(T[REPORT] - T[TRAIN].mean()).mean())


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
