"""The estimators do what scikit-learn asks of estimators, and keep what `fit` promises."""

import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import programs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_classification
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator
from torch import nn

import gammatune
from gammatune.errors import InvalidArgument, ModelMismatch
from gammatune.integrations.sklearn import (
    GammaTunedClassifier,
    GammaTunedRegressor,
    epochs_for,
    hold_out,
)
from gammatune.pipeline.predict import predict_file

IRIS = load_iris(return_X_y=True)
QUICK: dict[str, Any] = {"epochs": 5, "random_state": 0, "device": "cpu"}


def name_of(check: Any) -> str:
    return str(getattr(check, "func", check).__name__)


# Ten epochs, since the rule's hundred on tables this small take ten times as long and change no outcome.
# check_array_api_input, which scikit-learn skips unless SCIPY_ARRAY_API is set before SciPy is there, is run below.
@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(estimator, check, id=f"{type(estimator).__name__}-{name_of(check)}")
        for each in (GammaTunedClassifier(epochs=10), GammaTunedRegressor(epochs=10))
        for estimator, check in estimator_checks_generator(each)
        if name_of(check) != "check_array_api_input"
    ],
)
def test_what_scikit_learn_asks_of_an_estimator(estimator: Any, check: Any) -> None:
    check(estimator)


def test_the_check_that_needs_an_environment_variable() -> None:
    code = (
        "from sklearn.utils.estimator_checks import check_array_api_input as check\n"
        "from gammatune import GammaTunedClassifier as C, GammaTunedRegressor as R\n"
        "for e in (C(epochs=2), R(epochs=2)):\n"
        "    check(type(e).__name__, e, 'numpy', expect_only_array_outputs=False)\n"
        "print('passed')"
    )
    assert in_a_process(code, SCIPY_ARRAY_API="1") == "passed"


def in_a_process(code: str, **environment: str) -> str:
    import os

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# The front door -------------------------------------------------------------------------------------------


def test_they_are_found_at_the_front_door_and_cost_nothing_before() -> None:
    assert gammatune.GammaTunedClassifier is GammaTunedClassifier
    assert gammatune.GammaTunedRegressor is GammaTunedRegressor
    code = "import sys, gammatune; print('sklearn' in sys.modules or 'torch' in sys.modules)"
    assert in_a_process(code) == "False"


# Quality --------------------------------------------------------------------------------------------------


def test_it_learns_with_defaults() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    classifier = GammaTunedClassifier(random_state=0).fit(x[:400], y[:400])
    assert classifier.score(x[400:], y[400:]) > 0.93
    x, y = load_diabetes(return_X_y=True)
    regressor = GammaTunedRegressor(random_state=0).fit(x[:350], y[:350])
    assert regressor.score(x[350:], y[350:]) > 0.35


def test_what_is_there_after_fit() -> None:
    x, y = IRIS
    names = np.array(["setosa", "versicolor", "virginica"])
    frame = pd.DataFrame(x, columns=["sl", "sw", "pl", "pw"])
    fitted = GammaTunedClassifier(**QUICK).fit(frame, names[y])
    assert isinstance(fitted.result_, gammatune.FitResult)
    assert fitted.schedule_ == fitted.result_.schedule
    assert fitted.n_iter_ == len(fitted.schedule_) == 5
    assert fitted.n_features_in_ == 4
    assert fitted.feature_names_in_.tolist() == ["sl", "sw", "pl", "pw"]
    assert fitted.classes_.tolist() == names.tolist()
    assert fitted.predict(frame).dtype == names.dtype
    assert fitted.predict_proba(frame).shape == (150, 3)
    assert not fitted.module_.training
    assert any("30 of the 150 examples were kept aside" in s for s in fitted.result_.said)
    assert fitted.result_.reported_on == "selection"


def test_the_parameters_reach_fit() -> None:
    x, y = IRIS
    fitted = GammaTunedClassifier(
        epochs=4,
        budget=3,
        policy="greedy",
        optimizer="momentum",
        batch_size=16,
        objective="accuracy",
        search=["lr=1e-3:0.1:log", "weight_decay=1e-5:1e-2:log"],
        validation_fraction=0.4,
        random_state=0,
    ).fit(x, y)
    assert set(fitted.schedule_[0]) == {"lr", "weight_decay"}
    assert 1e-3 <= fitted.schedule_[0]["lr"] <= 0.1
    assert len(fitted.result_.rollouts) == 12  # three candidates an epoch
    assert fitted.result_.rollouts[0].epoch_batches == 6  # 90 in batches of 16
    assert fitted.result_.rollouts[0].evaluated == 60
    searched = GammaTunedClassifier(**QUICK, search="batch_size=8,16").fit(x, y)
    assert searched.schedule_[0]["batch_size"] in (8, 16)


# Same random_state, same result ---------------------------------------------------------------------------


def test_same_random_state_same_result_and_no_trace() -> None:
    x, y = IRIS
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), torch.get_num_threads()  # noqa: NPY002
    one = GammaTunedClassifier(**QUICK).fit(x, y)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert torch.get_num_threads() == before[2]
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    two = clone(one).fit(x, y)
    assert np.array_equal(one.predict_proba(x), two.predict_proba(x))
    assert one.schedule_ == two.schedule_
    other = clone(one).set_params(random_state=1).fit(x, y)
    assert not np.array_equal(one.predict_proba(x), other.predict_proba(x))
    generator = clone(one).set_params(random_state=np.random.RandomState(3))
    assert not np.array_equal(clone(generator).fit(x, y).predict_proba(x), one.predict_proba(x))


def test_without_a_random_state_numpys_seed_decides() -> None:
    x, y = IRIS
    found = []
    for _ in range(2):
        np.random.seed(7)  # noqa: NPY002
        found.append(GammaTunedClassifier(epochs=2).fit(x, y).predict_proba(x))
    assert np.array_equal(*found)


def test_threads_do_not_disturb_each_other() -> None:
    x, y = IRIS
    alone = GammaTunedClassifier(**QUICK).fit(x, y).predict_proba(x)
    fitted: list[Any] = []
    threads = [
        threading.Thread(target=lambda: fitted.append(GammaTunedClassifier(**QUICK).fit(x, y)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [np.array_equal(one.predict_proba(x), alone) for one in fitted] == [True] * 3


def test_the_number_of_threads_is_put_back_after_an_error() -> None:
    x, y = IRIS
    torch.set_num_threads(2)
    try:
        GammaTunedClassifier(**QUICK).fit(x, y)
        assert torch.get_num_threads() == 2
        with pytest.raises(ModelMismatch):
            GammaTunedClassifier(**QUICK, module=nn.Linear(4, 2)).fit(x, y)
        with pytest.raises(InvalidArgument):
            GammaTunedClassifier(**QUICK, policy="no such").fit(x, y)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


# Kept and read again --------------------------------------------------------------------------------------


def test_pickle_and_joblib_keep_the_network(tmp_path: Path) -> None:
    x, y = load_diabetes(return_X_y=True)
    fitted = GammaTunedRegressor(**QUICK).fit(x, y)
    joblib.dump(fitted, tmp_path / "fitted.joblib")
    copies = pickle.loads(pickle.dumps(fitted)), joblib.load(tmp_path / "fitted.joblib")
    for read in copies:
        assert np.array_equal(read.predict(x), fitted.predict(x))
        assert read.schedule_ == fitted.schedule_
        assert read.result_.cost == fitted.result_.cost
    assert np.array_equal(clone(copies[0]).fit(x, y).predict(x), fitted.predict(x))


def test_a_pickle_is_read_in_another_process(tmp_path: Path) -> None:
    x, y = IRIS
    fitted = GammaTunedClassifier(**QUICK).fit(x, y)
    np.save(tmp_path / "x.npy", x)
    (tmp_path / "fitted.pickle").write_bytes(pickle.dumps(fitted))
    code = (
        "import pickle, numpy\n"
        f"fitted = pickle.load(open({str(tmp_path / 'fitted.pickle')!r}, 'rb'))\n"
        f"numpy.save({str(tmp_path / 'said.npy')!r}, fitted.predict_proba(numpy.load({str(tmp_path / 'x.npy')!r})))"
    )
    done = programs.run("-W", "error", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / "said.npy"), fitted.predict_proba(x))


def test_a_run_directory_serves_the_command_line(tmp_path: Path) -> None:
    x, y = IRIS
    names = np.array(["setosa", "versicolor", "virginica"])
    classifier = GammaTunedClassifier(**QUICK, run_dir=str(tmp_path / "run")).fit(x, names[y])
    np.savez(tmp_path / "new.npz", x=x)
    predict_file(str(tmp_path / "run"), str(tmp_path / "new.npz"), str(tmp_path / "out.csv"))
    said = pd.read_csv(tmp_path / "out.csv")
    assert said["prediction"].tolist() == classifier.predict(x).tolist()
    assert np.allclose(said["p(setosa)"], classifier.predict_proba(x)[:, 0], atol=1e-5)
    again = clone(classifier).fit(x, names[y])  # complete: nothing is trained
    assert np.array_equal(again.predict_proba(x), classifier.predict_proba(x))
    regressor = GammaTunedRegressor(**QUICK, run_dir=str(tmp_path / "regression")).fit(x, y)
    predict_file(str(tmp_path / "regression"), str(tmp_path / "new.npz"), str(tmp_path / "out.csv"))
    assert np.allclose(pd.read_csv(tmp_path / "out.csv")["target 1"], regressor.predict(x), atol=1e-4)


# Among other parts of scikit-learn ------------------------------------------------------------------------


def test_in_a_pipeline_with_columns_of_all_kinds() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.normal(50, 10, 200), "colour": rng.choice(["red", "blue"], 200)})
    y = np.where((frame["colour"] == "red") & (frame["size"] > 50), "yes", "no")
    columns = make_column_transformer(
        (StandardScaler(), ["size"]), (OneHotEncoder(sparse_output=False), ["colour"])
    ).set_output(transform="pandas")
    pipeline = make_pipeline(columns, GammaTunedClassifier(epochs=20, random_state=0))
    assert cross_val_score(pipeline, frame, y, cv=3).min() > 0.8
    pipeline.fit(frame, y)
    assert list(pipeline[-1].feature_names_in_) == [
        "standardscaler__size",
        "onehotencoder__colour_blue",
        "onehotencoder__colour_red",
    ]


def test_in_a_grid_search_with_processes() -> None:
    x, y = IRIS
    grid = {"batch_size": [16, 32], "weight_decay": [None, 0.1]}
    one = GridSearchCV(GammaTunedClassifier(**QUICK), grid, cv=2).fit(x, y)
    assert set(one.best_params_) == set(grid)
    assert one.best_estimator_.score(x, y) > 0.8
    two = GridSearchCV(GammaTunedClassifier(**QUICK), grid, cv=2, n_jobs=2).fit(x, y)
    assert np.array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])


# Modules of one's own -------------------------------------------------------------------------------------


class Wide(nn.Sequential):
    def __init__(self, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__(nn.Linear(shape[0], 20), nn.BatchNorm1d(20), nn.Tanh(), nn.Linear(20, outputs))


class SinglePrecision(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.float())


def test_a_factory_a_class_and_a_name() -> None:
    x, y = IRIS
    for module in (Wide, lambda shape, outputs: Wide(shape, outputs), "mlp"):
        one, two = (GammaTunedClassifier(module, **QUICK).fit(x, y) for _ in range(2))
        assert np.array_equal(one.predict_proba(x), two.predict_proba(x))  # initial weights are seeded too
        assert one.score(x, y) > 0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_module_is_copied_not_changed(dtype: torch.dtype) -> None:
    x, y = load_diabetes(return_X_y=True)
    own = Wide((10,), 1).to(dtype)
    before = {name: value.clone() for name, value in own.state_dict().items()}
    fitted = GammaTunedRegressor(own, **QUICK).fit(x, y)
    assert fitted.module_ is not own
    assert all(torch.equal(value, own.state_dict()[name]) for name, value in before.items())
    assert next(fitted.module_.parameters()).dtype == dtype
    assert fitted.predict(x[:1]).shape == (1,)
    assert clone(fitted).get_params()["module"] is not own


def test_a_module_that_computes_in_one_precision_only() -> None:
    x, y = IRIS
    assert GammaTunedClassifier(SinglePrecision(4, 3), **QUICK).fit(x, y).predict_proba(x).shape == (150, 3)


@pytest.mark.parametrize(
    ("module", "message"),
    [(3, "module=3; give"), (lambda shape, outputs: "net", "made a str"), ("mpl", "there is no model 'mpl'")],
)
def test_what_is_no_module_is_refused(module: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        GammaTunedClassifier(module, **QUICK).fit(*IRIS)


# Targets --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels", [["a", "b"], [False, True], [-1, 1], [1.5, 2.5], [10**12, 3]], ids=lambda v: str(v[0])
)
def test_labels_of_any_type(labels: list[Any]) -> None:
    x, y = make_classification(80, class_sep=3, random_state=0)
    if labels == [1.5, 2.5]:
        with pytest.raises(ValueError, match="continuous"):
            GammaTunedClassifier(**QUICK).fit(x, np.array(labels)[y])
        return
    fitted = GammaTunedClassifier(**QUICK).fit(x, np.array(labels)[y])
    assert set(fitted.predict(x)) <= set(labels)
    assert fitted.classes_.tolist() == sorted(labels)
    assert fitted.score(x, np.array(labels)[y]) > 0.7


def test_class_weights() -> None:
    rng = np.random.default_rng(0)
    y = (rng.random(600) < 0.1).astype(int)
    x = rng.normal(size=(600, 2)) + y[:, None]
    recall = {
        str(weight): (
            GammaTunedClassifier(epochs=10, class_weight=weight, random_state=0).fit(x, y).predict(x) == 1
        )[y == 1].mean()
        for weight in (None, "balanced", {0: 1, 1: 100})
    }
    plain, balanced, extreme = recall.values()
    assert plain < balanced - 0.2
    assert balanced <= extreme
    with pytest.raises(ValueError, match="class_weight"):
        GammaTunedClassifier(class_weight="balance").fit(x, y)


def test_class_weights_in_all_classes_alike_change_only_the_objective() -> None:
    x, y = IRIS
    plain = GammaTunedClassifier(**QUICK, objective="log-loss").fit(x, y)
    weighted = GammaTunedClassifier(**QUICK, class_weight={0: 7, 1: 7, 2: 7}).fit(x, y)
    assert np.allclose(plain.predict_proba(x), weighted.predict_proba(x), atol=1e-3)


def test_regression_is_told_in_the_targets_own_unit() -> None:
    x, y = load_diabetes(return_X_y=True)
    one = GammaTunedRegressor(**QUICK).fit(x, y)
    far = GammaTunedRegressor(**QUICK).fit(x, 1e6 + 1e-3 * y)
    assert np.allclose((far.predict(x) - 1e6) * 1e3, one.predict(x), atol=0.5)
    two = GammaTunedRegressor(**QUICK).fit(x, np.column_stack([y, -1000 * y]))
    assert two.predict(x).shape == (len(x), 2)
    assert two.score(x, np.column_stack([y, -1000 * y])) > 0.3
    assert GammaTunedRegressor(**QUICK).fit(x, y[:, None]).predict(x).shape == (len(x), 1)


def test_a_target_that_does_not_vary() -> None:
    x, _ = load_diabetes(return_X_y=True)
    predicted = GammaTunedRegressor(epochs=20, random_state=0).fit(x, np.full(len(x), 4.0)).predict(x)
    assert abs(predicted - 4).mean() < 0.3


# Few examples, odd inputs ---------------------------------------------------------------------------------


# 41: of the 33 that train a last batch of one would be left
@pytest.mark.parametrize(("n", "features"), [(2, 1), (3, 3), (4, 1), (5, 3), (41, 1)])
def test_few_examples(n: int, features: int) -> None:
    x = np.random.default_rng(n).normal(size=(n, features))
    assert set(GammaTunedClassifier(random_state=0).fit(x, np.arange(n) % 2).predict(x)) <= {0, 1}
    assert np.isfinite(GammaTunedRegressor(random_state=0).fit(x, x[:, 0]).predict(x)).all()


def test_every_label_once() -> None:
    fitted = GammaTunedClassifier(random_state=0).fit(np.eye(4), list("abcd"))
    assert fitted.predict(np.eye(4)).tolist() == list("abcd")
    assert any("those that train select too" in sentence for sentence in fitted.result_.said)


def test_numbers_of_any_size_and_columns_that_do_not_vary() -> None:
    x, y = IRIS
    scale = np.array([1e-8, 1e8, 1.0, 1.0])
    plain = GammaTunedClassifier(**QUICK).fit(x, y)
    scaled = GammaTunedClassifier(**QUICK).fit(np.column_stack([x * scale + 1e3 * scale, np.ones(150)]), y)
    assert plain.score(x, y) > 0.8
    assert scaled.score(np.column_stack([x * scale + 1e3 * scale, np.ones(150)]), y) > 0.8
    single = GammaTunedClassifier(**QUICK).fit(x.astype(np.float32), y)
    assert np.allclose(single.predict_proba(x.astype(np.float32)), plain.predict_proba(x), atol=1e-2)


def test_refusals() -> None:
    x, y = IRIS
    classifier = GammaTunedClassifier(**QUICK)
    with pytest.raises(NotFittedError):
        classifier.predict(x)
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        classifier.fit(sparse.csr_array(x), y)
    with pytest.raises(ValueError, match=r"one class only, 0\.0;"):
        classifier.fit(x, np.zeros(150))
    with pytest.raises(TypeError, match="sample_weight"):
        classifier.fit(x, y, sample_weight=np.ones(150))
    for fraction in (0, 1, 20, "a fifth", None, True):
        with pytest.raises(InvalidArgument, match="validation_fraction"):
            clone(classifier).set_params(validation_fraction=fraction).fit(x, y)
    for name, value in {
        "epochs": 0,
        "budget": -1,
        "batch_size": 0,
        "optimizer": "adma",
        "policy": "x",
    }.items():
        with pytest.raises(InvalidArgument, match=name):
            clone(classifier).set_params(**{name: value}).fit(x, y)


def test_verbose_tells_what_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    GammaTunedClassifier(**QUICK).fit(*IRIS)
    assert capsys.readouterr().out == ""
    GammaTunedClassifier(**QUICK, verbose=1).fit(*IRIS)
    said = capsys.readouterr().out
    assert "kept aside to select by" in said
    assert "5/5" in said


# Several nets ---------------------------------------------------------------------------------------------

PAID: dict[str, Any] = {"epochs": 12, "budget": 3.6, "random_state": 0, "device": "cpu", "batch_size": 8}


def own_net(shape: tuple[int, ...], outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(shape[0], 8), nn.ReLU(), nn.Linear(8, outputs))


@pytest.mark.parametrize("module", [None, "mlp", own_net])
def test_several_nets_predict_where_the_budget_pays_for_them(module: Any) -> None:
    x, y = IRIS
    fitted = GammaTunedClassifier(module, **PAID).fit(x, y)
    assert fitted.ensemble_ is fitted.result_.ensemble
    members = fitted.ensemble_.members
    assert len(members) == len(fitted.result_.nets) >= 2
    first = [next(member.parameters()) for member in members]
    assert not torch.equal(first[0], first[1])
    inputs = torch.from_numpy(fitted.scaler_.transform(x))
    with torch.no_grad():
        each = torch.stack([member(inputs.float()).softmax(1) for member in members])
    assert np.allclose(fitted.predict_proba(x), each.mean(0).numpy(), atol=1e-5)
    assert (fitted.predict(x) == fitted.predict_proba(x).argmax(1)).all()
    read = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(read.predict_proba(x), fitted.predict_proba(x))


def test_several_nets_of_the_same_random_state_are_the_same() -> None:
    x, y = IRIS
    fitted = GammaTunedClassifier(own_net, **PAID).fit(x, y)
    assert np.array_equal(clone(fitted).fit(x, y).predict_proba(x), fitted.predict_proba(x))


def test_one_net_where_that_was_asked_for_or_paid_for() -> None:
    x, y = IRIS
    for options in ({"ensemble": False}, {"budget": 1.5}):
        fitted = GammaTunedClassifier(**(PAID | options)).fit(x, y)
        assert fitted.ensemble_ is None
        assert fitted.result_.single is None
    with pytest.raises(InvalidArgument, match="policy='once' trains one net"):
        GammaTunedClassifier(**PAID, ensemble=True, policy="once").fit(x, y)
    # a module that is given makes others by itself
    fitted = GammaTunedClassifier(own_net((4,), 3), **PAID).fit(x, y)
    assert len(fitted.ensemble_.members) >= 2


def test_several_nets_for_numbers_are_in_their_unit(tmp_path: Path) -> None:
    x, y = (part[:200] for part in load_diabetes(return_X_y=True))
    run = str(tmp_path / "run")
    fitted = GammaTunedRegressor(**PAID, run_dir=run).fit(x, y)
    inputs = torch.from_numpy(fitted.scaler_.transform(x)).float()
    with torch.no_grad():
        each = [fitted.target_scaler_.inverse_transform(m(inputs).numpy()) for m in fitted.ensemble_.members]
    assert np.allclose(fitted.predict(x), np.mean(each, axis=0).ravel(), rtol=1e-4)
    np.savez(tmp_path / "new.npz", x=x.astype(np.float32))
    predict_file(run, str(tmp_path / "new.npz"), str(tmp_path / "out.csv"))
    frame = pd.read_csv(tmp_path / "out.csv")
    assert list(frame) == ["target 1", "spread"]
    assert np.allclose(frame["target 1"], fitted.predict(x), rtol=1e-3)
    assert np.allclose(frame["spread"], np.std(each, axis=0).ravel(), rtol=1e-2, atol=1e-3)


# The rules ------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=8),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**31),
)
def test_hold_out_keeps_proportions_and_every_class(counts: list[int], fraction: float, seed: int) -> None:
    codes = np.repeat(np.arange(len(counts)), counts)
    n = len(codes)
    train, select = hold_out(n, codes, fraction, seed, [])
    assert set(codes[train]) == set(range(len(counts)))  # none is lost
    if max(counts) == 1:
        assert train.tolist() == select.tolist() == list(range(n))
        return
    assert sorted([*train, *select]) == list(range(n))
    held = min(max(round(fraction * n), 1), n - 1)
    assert len(select) == min(held, n - len(counts))
    spare = [count - 1 for count in counts]
    for code, count in enumerate(counts):
        taken = int((codes[select] == code).sum())
        if all(held * c / n <= s for c, s in zip(counts, spare, strict=True)):
            assert abs(taken - held * count / n) < 1 + 1e-9
    again = hold_out(n, codes, fraction, seed, [])
    assert again[0].tolist() == train.tolist()


@given(n=st.integers(1, 10**7), size=st.sampled_from([1, 8, 32, 128]))
def test_the_rule_for_epochs(n: int, size: int) -> None:
    epochs = epochs_for(n, size)
    assert 20 <= epochs <= 100
    assert epochs_for(2 * n, size) <= epochs
