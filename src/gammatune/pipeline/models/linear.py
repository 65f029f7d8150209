"""The linear model of a table: logistic or ridge regression by scikit-learn, on rows as a network gets them.

Rows x (n, F), the last columns codes of categories, of which each level becomes a column. The strength of the
penalty is that at which the examples to select by are met best.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammatune.pipeline.models.trees import of_every_class, some_rows

STRENGTHS = (1e3, 1e2, 1e1, 1e0, 1e-1, 1e-2, 1e-3)  # of the penalty, the strongest first
ROWS = 100_000  # that it is fitted to at most (guess: half a minute for 50 columns)
STEPS = 200  # of the solver (guess: what is not settled then hardly moves)
LEVELS = 100  # of a category, the commonest; the others share a column (guess)


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """model: scikit-learn's, from rows to classes or targets. classes: k; 0 for a regression. penalty: its
    strength."""

    model: Any
    classes: int
    penalty: float

    def __call__(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Probabilities (n, k), or standardised targets (n, t)."""
        x = np.asarray(x, dtype=np.float64)
        if not self.classes:
            return np.asarray(self.model.predict(x), dtype=np.float64).reshape(len(x), -1)
        return of_every_class(self.model.predict_proba(x), self.model.classes_, self.classes)


def fit_linear(
    train: tuple[NDArray[Any], NDArray[Any]],
    select: tuple[NDArray[Any], NDArray[Any]],
    *,
    classes: int,
    codes: Sequence[int] = (),
    class_weights: str | dict[int, float] | None = None,
    seed: int = 0,
    strengths: int = len(STRENGTHS),
) -> Linear:
    """As `trees.grow`; one model for all targets. strengths: how many of the penalties are tried."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.pipeline import make_pipeline

    x, y = np.asarray(train[0], dtype=np.float64), np.asarray(train[1])
    x, y = some_rows((x, y), ROWS, classes, seed)
    columns = _columns(x.shape[1], codes).fit(x)
    inputs, held = columns.transform(x), columns.transform(np.asarray(select[0], dtype=np.float64))
    tried = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # see STEPS
        for strength in STRENGTHS[:strengths]:
            model = _regression(strength, classes, class_weights).fit(inputs, y)
            tried.append((_loss(model, held, np.asarray(select[1]), classes), strength, model))
    _, penalty, model = min(tried, key=lambda each: each[0])  # of equal ones the strongest
    return Linear(make_pipeline(columns, model), classes, penalty)


def _columns(width: int, codes: Sequence[int]) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [column for column in range(width) if column not in set(codes)]
    levels = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=LEVELS)
    return ColumnTransformer([("numbers", StandardScaler(), numbers), ("levels", levels, list(codes))])


def _regression(strength: float, classes: int, class_weights: Any) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    if classes:
        return LogisticRegression(C=1 / strength, class_weight=class_weights, max_iter=STEPS)
    return Ridge(alpha=strength)


def _loss(model: Any, x: Any, y: NDArray[Any], classes: int) -> float:
    """The mean over the examples: minus the logarithm of the probability of the class, or the squared error."""
    if not classes:
        return float(np.mean((model.predict(x).reshape(len(y), -1) - y.reshape(len(y), -1)) ** 2))
    said = of_every_class(model.predict_proba(x), model.classes_, classes)
    return float(np.mean(-np.log(said[np.arange(len(y)), y].clip(min=np.finfo(np.float64).eps))))
