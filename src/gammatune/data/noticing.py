"""What somebody who knows tables would notice in one, said before the training: columns that give the target away,
rows that stand in two parts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gammatune.data.columns import Column, listed

if TYPE_CHECKING:
    import pandas as pd

    from gammatune.data.table_preprocessing import TablePreprocessing

ROWS = 5_000  # looked at, which a small tree needs no more of [guess]
FEWEST = 40  # rows below which nothing is concluded [guess]
GIVEN_AWAY = 0.99  # of the balanced accuracy, or of R2, that one column reaches alone [guess]
LEAVES = 64


def leaks(
    frame: "pd.DataFrame", y: NDArray[Any], columns: Sequence[Column], preprocessing: "TablePreprocessing"
) -> list[str]:
    """A sentence on every column that tells the target alone.

    frame, y: training rows. A tree with few leaves is trained on the one column in one half of the rows and judged on
    the other half; a column that tells nearly all is more often a copy of the answer, or was written down after it,
    than a good predictor. Said, never left out: only the user knows.
    """
    from sklearn.metrics import balanced_accuracy_score, r2_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if len(y) < FEWEST:
        return []
    taken = np.random.default_rng(0).permutation(len(y))[:ROWS]
    x = preprocessing.inputs(frame.iloc[taken], []).numpy()
    y = y[taken].reshape(-1)
    half = len(y) // 2
    said = []
    for name, span in preprocessing.spans:
        tree: Any
        if preprocessing.task == "classification":
            if len(np.unique(y[:half])) < 2:
                return []
            tree, score = (
                DecisionTreeClassifier(max_leaf_nodes=LEAVES, random_state=0),
                balanced_accuracy_score,
            )
        else:
            tree, score = DecisionTreeRegressor(max_leaf_nodes=LEAVES, random_state=0), r2_score
        column = x[:, list(span)]
        told = tree.fit(column[:half], y[:half]).predict(column[half:])
        known = np.isin(y[half:], y[:half]) if preprocessing.task == "classification" else slice(None)
        reached = float(score(y[half:][known], told[known]))
        if reached >= GIVEN_AWAY:
            measure = "balanced accuracy" if preprocessing.task == "classification" else "R2"
            said.append(
                f"Look at {name}: alone it tells {preprocessing.target} ({measure} {reached:.3f}). If "
                f"it is only known "
                f"once {preprocessing.target} is, leave it out: --drop {name}."
            )
    return said


def duplicates(train: "pd.DataFrame", report: "pd.DataFrame", names: Sequence[str]) -> list[str]:
    """A sentence where rows to report on are rows trained on too, which flatters the figures."""
    import pandas as pd

    if len(names) < 2:
        return []  # equal values of one column are no copies of a row
    try:
        seen = set(pd.util.hash_pandas_object(train[list(names)].astype(str), index=False).tolist())
        copies = int(
            pd.util.hash_pandas_object(report[list(names)].astype(str), index=False).isin(seen).sum()
        )
    except KeyError:
        return []  # a test file that lacks a column is refused where it is encoded
    if copies < max(2, 0.01 * len(report)):
        return []
    return [
        f"{copies} of the {len(report)} rows to report on equal rows that are trained on (in "
        f"{listed(names)}): if they are "
        "copies the figures flatter."
    ]
