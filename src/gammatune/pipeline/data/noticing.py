"""What somebody who knows tables would notice in one, said before the training: columns that give the target away,
rows that stand in two parts."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from gammatune.pipeline.data.columns import listed
from gammatune.pipeline.data.frame_rows import FrameRows

if TYPE_CHECKING:
    from gammatune.pipeline.data.table_preprocessing import TablePreprocessing

ROWS = 5_000  # looked at, which a small tree needs no more of [guess]
FEWEST = 40  # rows below which nothing is concluded [guess]
GIVEN_AWAY = 0.99  # of the balanced accuracy, or of R2, that one column reaches alone [guess]
LEAVES = 64
_TELLING = 3  # columns that tell most rows from others


def leaks(x: torch.Tensor, y: NDArray[Any], preprocessing: "TablePreprocessing") -> list[str]:
    """A sentence on every column that tells the target alone.

    x, y: rows that train, encoded. A tree with few leaves is trained on the one column in one half of the rows and
    judged on the other half; a column that tells nearly all is more often a copy of the answer, or was written down
    after it, than a good predictor. Said, never left out: only the user knows.
    """
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if len(y) < FEWEST:
        return []
    taken = np.random.default_rng(0).permutation(len(y))[:ROWS]
    rows = x.numpy()[taken]
    y = y[taken].reshape(-1)
    half = len(y) // 2
    classify = preprocessing.task == "classification"
    learned, judged = y[:half], y[half:]
    known = np.isin(judged, learned) if classify else np.ones(len(judged), dtype=bool)
    if len(np.unique(learned)) < 2 or len(np.unique(judged[known])) < 2:
        return []  # where there is one answer only every column tells it
    if classify and 2 * len(np.unique(learned)) > half:
        return []  # too few of each, of which scikit-learn warns
    tree: Any = DecisionTreeClassifier if classify else DecisionTreeRegressor
    measure, score = ("balanced accuracy", _balanced_accuracy) if classify else ("R2", r2)
    said = []
    for name, span in preprocessing.spans:
        column = np.ascontiguousarray(rows[:, span.start : span.stop])
        small = tree(max_leaf_nodes=LEAVES, random_state=0).fit(column[:half], learned, check_input=False)
        told = small.predict(column[half:], check_input=False)
        reached = score(judged[known], told[known])
        if reached >= GIVEN_AWAY:
            said.append(
                f"Look at {name}: alone it tells {preprocessing.target} ({measure} {reached:.3f}). If it is only "
                f"known once {preprocessing.target} is, leave it out: --drop {shlex.quote(name)}."
            )
    return said


def _balanced_accuracy(true: NDArray[Any], said: NDArray[Any]) -> float:
    """The mean over the true classes of the share that was told. scikit-learn's warns of a class that is said and
    never true, and for thousands of columns takes longer than the trees."""
    classes = true.astype(np.int64)
    members = np.bincount(classes)
    right = np.bincount(classes[true == said], minlength=len(members))
    return float(np.mean(right[members > 0] / members[members > 0]))


def r2(true: NDArray[Any], said: NDArray[Any]) -> float:
    with np.errstate(over="ignore", invalid="ignore"):  # targets beyond what can be squared are refused later
        return 1 - float(np.sum((true - said) ** 2) / np.sum((true - true.mean()) ** 2))


def duplicates(train: FrameRows, report: FrameRows, names: Sequence[str]) -> list[str]:
    """A sentence where rows to report on are rows trained on too, which flatters the figures."""
    import pandas as pd

    if len(names) < 2:
        return []  # equal values of one column are no copies of a row
    if not set(names) <= set(report.frame.columns):
        return []  # a test file that lacks a column is refused where it is encoded
    frames = [train.frame[list(names)]]
    if report.frame is not train.frame:
        frames.append(report.frame[list(names)])
        kinds = [["category" if kind == "category" else kind for kind in each.dtypes] for each in frames]
        if kinds[0] != kinds[1]:
            frames = [each.astype(str) for each in frames]
    copies = 0
    decimals_first = sorted(names, key=lambda name: frames[0][name].dtype.kind != "f")
    for some in (decimals_first[:_TELLING], names):  # rows that are equal are so in a few columns
        hashes = [pd.util.hash_pandas_object(each[list(some)], index=False).to_numpy() for each in frames]
        seen, asked = hashes[0][train.places], hashes[-1][report.places]
        copies = int(pd.Series(asked).isin(seen).sum())
        if copies < max(2, 0.01 * len(report)):
            return []
    return [
        f"{copies} of the {len(report)} rows to report on equal rows that are trained on (in {listed(names)}): if "
        "they are copies the figures flatter."
    ]
