"""The estimators take frames with text, dates and missing cells, among other parts of scikit-learn too."""

import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from gammatune.errors import DataWarning, InvalidArgument, InvalidData
from gammatune.integrations.sklearn import GammaTunedClassifier, GammaTunedRegressor
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing
from gammatune.pipeline.predictor import load

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "door"))
import mixed

WINE = mixed.wine()
X, Y = WINE.drop(columns="grape"), WINE["grape"]
QUICK: dict[str, Any] = {"epochs": 12, "random_state": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def fitted() -> GammaTunedClassifier:
    return GammaTunedClassifier(**QUICK).fit(X, Y)


def test_cells_of_all_kinds_are_learned_from(fitted: GammaTunedClassifier) -> None:
    assert fitted.score(X, Y) > 0.9
    assert fitted.classes_.tolist() == ["barbera", "barolo", "grignolino"]
    assert fitted.feature_names_in_.tolist() == list(X.columns)
    assert fitted.n_features_in_ == 6
    assert isinstance(fitted.preprocessing_, TablePreprocessing)
    assert fitted.scaler_ is None
    assert any("Not used: bottle (differs in every row" in line for line in fitted.result_.said)


def test_raw_frames_are_predicted_row_by_row(fitted: GammaTunedClassifier) -> None:
    said = fitted.predict_proba(X)
    assert np.allclose(fitted.predict_proba(X.iloc[[3]]), said[[3]], rtol=1e-12)
    assert np.array_equal(fitted.predict_proba(needs.package("polars").from_pandas(X)), said)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(X), said)
    assert np.array_equal(clone(fitted).fit(X, Y).predict_proba(X), said)


def test_among_other_parts_of_scikit_learn() -> None:
    # 0.4 is what the commonest class gives
    one = GammaTunedClassifier(**QUICK)
    assert cross_val_score(one, X, Y, cv=3).min() > 0.7
    dropping = make_pipeline(FunctionTransformer(lambda frame: frame.drop(columns="bottle")), one)
    assert np.array_equal(dropping.fit(X, Y).predict(X), clone(dropping).fit(X, Y).predict(X))
    found = GridSearchCV(GammaTunedClassifier(**QUICK), {"batch_size": [16, 32]}, cv=2).fit(X, Y)
    assert found.best_estimator_.preprocessing_ is not None


@pytest.mark.parametrize(
    "module", ["mlp", lambda shape, outputs: __import__("torch").nn.Linear(shape[0], outputs)]
)
def test_a_net_that_knows_no_codes_gets_a_column_a_level(module: Any) -> None:
    fitted = GammaTunedClassifier(module, **QUICK).fit(X, Y)
    assert fitted.preprocessing_ is not None
    assert fitted.preprocessing_.one_hot
    assert fitted.preprocessing_.cardinalities == ()
    assert fitted.score(X, Y) > 0.6


def test_numbers_are_predicted_one_or_several() -> None:
    frame = mixed.diabetes()
    inputs, y = frame.drop(columns="progression"), frame["progression"]
    fitted = GammaTunedRegressor(**QUICK).fit(inputs, y)
    assert fitted.predict(inputs).shape == (442,)
    assert fitted.score(inputs, y) > 0.3
    both = np.column_stack([y, -1000 * y])
    assert GammaTunedRegressor(**QUICK).fit(inputs, both).score(inputs, both) > 0.3


def test_several_nets_answer_together() -> None:
    fitted = GammaTunedClassifier(**(QUICK | {"budget": 5, "batch_size": 16})).fit(X, Y)
    assert len(fitted.ensemble_.members) >= 2
    assert fitted.predict_proba(X).shape == (178, 3)


def test_a_frame_of_numbers_is_what_its_array_is() -> None:
    numbers = X[["flavanoids", "proline"]]
    one, other = (GammaTunedClassifier(**QUICK).fit(x, Y) for x in (numbers, numbers.to_numpy()))
    assert one.preprocessing_ is None
    assert np.array_equal(one.predict_proba(numbers), other.predict_proba(numbers.to_numpy()))
    # a cell that is missing in new rows alone, as in one fold of several, is taken for the mean of its column
    gone, mean = numbers.head(3).copy(), numbers.head(3).copy()
    gone.iloc[0, 1], mean.iloc[0, 1] = np.nan, one.scaler_.mean_[1]
    with pytest.warns(DataWarning, match="1 cells are missing, as none was in fit"):
        assert np.allclose(one.predict_proba(gone), one.predict_proba(mean))
    with pytest.raises(ValueError, match="NaN"):
        other.predict(gone.to_numpy())
    with pytest.raises(ValueError, match="infinity"):
        one.predict(numbers.replace(numbers.iloc[0, 0], np.inf))


def test_what_is_unusual_is_a_warning_and_what_does_not_fit_is_refused(fitted: GammaTunedClassifier) -> None:
    with pytest.warns(DataWarning, match="values of hue were not among the levels learned, such as 'green'"):
        fitted.predict(X.assign(hue="green"))
    with (
        warnings.catch_warnings(),
        pytest.raises(InvalidArgument, match="fit had a frame with the columns alcohol"),
    ):
        fitted.predict(np.zeros((2, 6)))
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(X.drop(columns="hue"))
    with pytest.raises(InvalidData, match="no column is left to learn from"):
        GammaTunedClassifier(**QUICK).fit(X[["bottle"]], Y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        GammaTunedClassifier(**QUICK).fit(X, Y[:-1])
    with pytest.raises(ValueError, match="one class only"):
        GammaTunedClassifier(**QUICK).fit(X, ["a"] * len(X))
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        GammaTunedClassifier(**QUICK).fit(X.head(1), Y[:1])


def test_a_run_that_is_kept_predicts_raw_rows(tmp_path: Path) -> None:
    run = tmp_path / "run"
    fitted = GammaTunedClassifier(**QUICK, run_dir=str(run)).fit(X, Y)
    found = load(run)
    assert np.allclose(found.predict_proba(X), fitted.predict_proba(X), atol=1e-5)
    assert found.predict(X).tolist() == fitted.predict(X).tolist()
    frame = mixed.diabetes()
    inputs = frame.drop(columns="progression")
    numbers = GammaTunedRegressor(**QUICK, run_dir=str(tmp_path / "other")).fit(inputs, frame["progression"])
    assert np.allclose(load(tmp_path / "other").predict(inputs), numbers.predict(inputs), rtol=1e-4)


def test_fitted_again_nothing_of_the_first_fit_is_left() -> None:
    estimator = GammaTunedClassifier(**QUICK).fit(X, Y)
    numbers = X[["flavanoids"]].to_numpy()
    assert np.array_equal(
        estimator.fit(numbers, Y).predict_proba(numbers),
        GammaTunedClassifier(**QUICK).fit(numbers, Y).predict_proba(numbers),
    )
    assert estimator.preprocessing_ is None
    assert isinstance(pd.DataFrame(estimator.predict_proba(numbers)).iloc[0, 0], float)
