"""The linear model of a table: logistic or ridge regression by scikit-learn, a column for each level of a category.

The strength of the penalty is that at which rows that were kept aside are met best.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammatune.pipeline.models.rows import Curves, Known, Rows, of_every_class, some_rows, threads_for

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


def losses_by_strength(train: Rows, held: Rows, known: Known, strengths: int = len(STRENGTHS)) -> Curves:
    """The loss on `held` at so many of STRENGTHS, of all targets together."""
    with threads_for(len(train.y)):
        columns, inputs, rows = _prepared(train, known)
        kept = columns.transform(np.asarray(held.x, dtype=np.float64))
        models = [_fitted(strength, inputs, rows, known) for strength in STRENGTHS[:strengths]]
        return (np.array([_loss(model, kept, held, known.classes) for model in models]),)


def fit_linear(train: Rows, setting: tuple[float], known: Known) -> Linear:
    """One model for all targets. setting: the strength of its penalty."""
    from sklearn.pipeline import make_pipeline

    (penalty,) = setting
    with threads_for(len(train.y)):
        columns, inputs, rows = _prepared(train, known)
        model = _fitted(penalty, inputs, rows, known)
    return Linear(make_pipeline(columns, model), known.classes, penalty)


def _prepared(train: Rows, known: Known) -> tuple[Any, Any, Rows]:
    train = some_rows(train, ROWS, known)
    x = np.asarray(train.x, dtype=np.float64)
    columns = _columns(x.shape[1], known.codes).fit(x)
    return columns, columns.transform(x), train


def _columns(width: int, codes: Sequence[int]) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [column for column in range(width) if column not in set(codes)]
    levels = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=LEVELS)
    return ColumnTransformer([("numbers", StandardScaler(), numbers), ("levels", levels, list(codes))])


def _fitted(strength: float, inputs: Any, rows: Rows, known: Known) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge

    if not known.classes:
        return Ridge(alpha=strength).fit(inputs, rows.y, rows.weights)
    model = LogisticRegression(C=1 / strength, class_weight=known.class_weights, max_iter=STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # see STEPS
        return model.fit(inputs, rows.y, rows.weights)


def _loss(model: Any, x: Any, rows: Rows, classes: int) -> float:
    """The mean over the examples: minus the logarithm of the probability of the class, or the squared error."""
    y, n = rows.y, len(rows.y)
    if not classes:
        squares = (model.predict(x).reshape(n, -1) - y.reshape(n, -1)) ** 2
        return float(np.average(squares.mean(axis=1), weights=rows.w))
    said = of_every_class(model.predict_proba(x), model.classes_, classes)
    losses = -np.log(said[np.arange(n), y].clip(min=np.finfo(np.float64).eps))
    return float(np.average(losses, weights=rows.w))
