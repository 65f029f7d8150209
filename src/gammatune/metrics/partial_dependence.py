"""Partial dependence: what a model says on average where one column has the same value in every row (Friedman 2001,
Greedy Function Approximation, section 8.2).

    pd(v) = mean over rows i of  f(x_i with the column set to v), by their weights where they have some

It tells how the answers move with a column, the others as they are. It is of the model, not a cause; and where
columns go together, rows are made up that nobody has seen.

    n rows      d columns of inputs      m values of the column      k probabilities, or numbers a target
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gammatune.seeds import stream

ROWS = 300  # that are averaged over (guess: the noise of a mean over them is well below what a picture shows)
VALUES = 11  # of a number, at its quantiles (guess)
MIDDLE = 0.05  # of the rows at either end of a number are left out: there are few there (guess)


def quantile_rows(values: NDArray[np.float64], count: int = VALUES) -> NDArray[np.intp]:
    """Rows (m,), m at most `count`, that hold evenly spaced quantiles of the values (n,), the lowest first; of equal
    values one. Missing ones are NaN, and are not among them."""
    order = np.argsort(values, kind="stable")[: int(np.isfinite(values).sum())]
    if not len(order):
        return order
    at = np.linspace(MIDDLE, 1 - MIDDLE, count) * (len(order) - 1)
    taken = order[np.unique(np.round(at).astype(int))]
    _, first = np.unique(values[taken], return_index=True)
    picked: NDArray[np.intp] = taken[first]
    return picked


def partial_dependence(
    predict: Callable[[Any], ArrayLike],
    inputs: ArrayLike,
    places: Sequence[int],
    picks: Sequence[int],
    *,
    rows: int = ROWS,
    seed: int = 0,
    weights: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """(m, k): the mean answer where the columns `places` are those of each row of `picks`, m of them.

    predict: from inputs (n, d) to (n, k); it is called m times. inputs: (n, d), of which `rows` are averaged over,
    drawn by the seed where there are more. weights: (n,), above 0, what each row counts for in the mean; None: alike.
    """
    x, w = np.asarray(inputs), None if weights is None else np.asarray(weights, dtype=np.float64)
    taken = x
    if len(x) > rows:
        drawn = np.sort(stream(seed, "dependence").choice(len(x), rows, replace=False))
        taken, w = x[drawn], None if w is None else w[drawn]
    means = []
    for pick in picks:
        held = taken.copy()
        held[:, list(places)] = x[pick, list(places)]
        said = np.asarray(predict(held), dtype=np.float64).reshape(len(held), -1)
        means.append(np.average(said, axis=0, weights=w))
    return np.array(means)
