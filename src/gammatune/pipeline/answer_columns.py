"""What a model said of examples, as columns of text."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammatune.metrics.predictions import decided
from gammatune.pipeline.data.dataset import Label
from gammatune.pipeline.data.files.dialect import Dialect
from gammatune.pipeline.data.preprocessing import Preprocessing
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing


def answer_columns(
    said: NDArray[Any],
    spread: NDArray[Any] | None,
    preparing: Preprocessing | TablePreprocessing,
    dialect: Dialect,
) -> dict[str, list[str]]:
    """By name: `prediction` and a column of probability a class; of a regression a column a target, in its original
    unit. Of several nets a last column `spread`, how far they are apart, of a regression one a target, in its unit.

    said: probabilities (n, k), or standardised targets (n, t). spread: (n,) or (n, t); None of one net.
    """
    if preparing.task == "classification":
        columns = {"prediction": [str(label) for label in labels_of(said, preparing)]}
        columns |= _numbers([f"p({label})" for label in preparing.classes], said, dialect)
    else:
        values = preparing.original_targets(said)
        table = isinstance(preparing, TablePreprocessing)
        names = ["prediction"] if table else [f"target {i + 1}" for i in range(values.shape[1])]
        columns = _numbers(names, values, dialect)
    if spread is None:
        return columns
    apart = np.asarray(spread).reshape(len(said), -1)
    if preparing.task == "regression":
        apart = apart.astype(np.float64) * preparing.target_std
    count = apart.shape[1]
    names = ["spread"] if count == 1 else [f"spread {i + 1}" for i in range(count)]
    return columns | _numbers(names, apart, dialect)


def labels_of(said: NDArray[Any], preparing: Preprocessing | TablePreprocessing) -> list[Label]:
    """Of probabilities (n, k), the label that each row of them is answered with."""
    return preparing.labels(decided(said, ordered=preparing.ordered))


def _numbers(names: list[str], values: NDArray[Any], dialect: Dialect) -> dict[str, list[str]]:
    return {
        name: [dialect.number(value) for value in column.tolist()]
        for name, column in zip(names, values.T, strict=True)
    }
