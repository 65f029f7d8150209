"""How the answers of the model that is handed over move with the columns that matter most, in their own unit."""

import time as clock
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gammatune.metrics.partial_dependence import partial_dependence, quantile_rows
from gammatune.metrics.permutation_importance import Importance
from gammatune.pipeline.data.split import Split
from gammatune.pipeline.data.table_encoding import (
    CLIP,
    MISSING,
    UNKNOWN,
    Category,
    Date,
    Encoded,
    Number,
)
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing

COLUMNS = 3  # the most needed ones (guess)
LEVELS = 8  # of a category, the most frequent ones (guess)
MOST_CLASSES = 20  # of more the curves of none can be told apart (guess)
DIGITS = 5  # of a number that was squashed in 32 bits


@dataclass(frozen=True, slots=True)
class Dependence:
    """name: of the column. values: (m,), in the order in which they are shown; the days of a date as text. outputs:
    (m, k), the mean probabilities, or (m, t), the mean targets in their own unit."""

    name: str
    kind: Literal["number", "category", "date"]
    values: tuple[float | str, ...]
    outputs: tuple[tuple[float, ...], ...]


def dependences(
    predict: Callable[[NDArray[Any]], NDArray[np.float64]],
    split: Split,
    needed: Importance,
    seed: int,
    seconds: float,
) -> list[dict[str, Any]]:
    """Of the columns that are needed most, as a report event keeps them; no more than fit into the seconds."""
    preparing, x = split.preprocessing, split.report.x.numpy()
    assert isinstance(preparing, TablePreprocessing)
    if len(preparing.classes) > MOST_CLASSES:
        return []
    weights = None if split.report.w is None else split.report.w.numpy()
    columns = {column.name: column for column in preparing.columns}
    spans = dict(preparing.spans)
    found: list[dict[str, Any]] = []
    started = clock.perf_counter()
    for feature in needed.features[:COLUMNS]:
        spent = clock.perf_counter() - started
        if spent and spent * (len(found) + 1) / max(1, len(found)) > seconds:
            break
        values, picks = _grid(columns[feature.name], x[:, spans[feature.name]], preparing.one_hot)
        if len(picks) < 2:  # nothing to move along
            continue
        means = partial_dependence(
            predict, x, spans[feature.name], picks.tolist(), seed=seed, weights=weights
        )
        if split.task == "regression":
            means = preparing.original_targets(means)
        kind: Any = type(columns[feature.name]).__name__.lower()
        found.append(asdict(Dependence(feature.name, kind, tuple(values), tuple(map(tuple, means.tolist())))))
    return found


def _grid(column: Encoded, x: NDArray[Any], one_hot: bool) -> tuple[Sequence[float | str], NDArray[np.intp]]:
    """Values of a column, and a row for each that holds it. x: (n, w), the column as it is encoded."""
    if isinstance(column, Category):
        codes = x.argmax(axis=1) if one_hot else x[:, 0].astype(int)
        present, first, counts = np.unique(codes, return_index=True, return_counts=True)
        frequent = np.sort(np.argsort(-counts, kind="stable")[:LEVELS])
        kept = [place for place in frequent if present[place] != UNKNOWN]
        return [_level(column, int(present[place])) for place in kept], first[kept]
    if isinstance(column, Date) and "trend" not in column.parts:
        return [], np.arange(0)
    numbers = _unsquashed(x[:, 0].astype(np.float64), column)
    if column.flagged:
        numbers = np.where(x[:, -1] > 0.5, np.nan, numbers)
    picks = quantile_rows(numbers)
    if isinstance(column, Date):
        days = np.round(numbers[picks]).astype(int)
        return [str(np.datetime64("1970-01-01") + int(day)) for day in days], picks
    return [float(f"{value:.{DIGITS}g}") for value in numbers[picks]], picks


def _level(column: Category, code: int) -> str:
    return "(missing)" if code == MISSING else column.levels[code - MISSING - 1]


def _unsquashed(z: NDArray[np.float64], column: Number | Date) -> NDArray[np.float64]:
    """Back from `table_preprocessing`'s map; what lay so far out that it is at its end is left there, NaN."""
    inside = 1 - (z / CLIP) ** 2
    u = np.where(inside > 1e-6, z / np.sqrt(np.maximum(inside, 1e-6)), np.nan)
    return column.centre + column.scale * u
