"""Rows that a model of a table is fitted to, as a network gets them: numbers first, codes of categories last."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gammatune.seeds import stream

# Rows, of fewer than which one thread works: 142 rows on two cores 12 times as fast (the rest a guess).
ALONE = 10_000
Curves: TypeAlias = tuple[NDArray[np.float64], ...]  # of each target, the loss at every setting


class Rows(NamedTuple):
    """x (n, F), y: codes of classes (n,), or standardised targets (n, t). w: what each counts for, (n,), above 0;
    None: all the same."""

    x: NDArray[Any]
    y: NDArray[Any]
    w: NDArray[Any] | None = None

    def some(self, places: Any) -> "Rows":
        return Rows(self.x[places], self.y[places], None if self.w is None else self.w[places])

    def and_(self, others: "Rows") -> "Rows":
        w = None if self.w is None or others.w is None else np.concatenate([self.w, others.w])
        return Rows(np.concatenate([self.x, others.x]), np.concatenate([self.y, others.y]), w)

    @property
    def weights(self) -> NDArray[Any] | None:
        """With a mean of 1, so that a penalty means what it does without them."""
        return None if self.w is None else self.w / self.w.mean()


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the rows. classes: k; 0 for a regression. codes: the columns that are codes."""

    classes: int
    codes: Sequence[int] = ()
    class_weights: str | dict[int, float] | None = None
    seed: int = 0

    def targets(self, y: NDArray[Any]) -> list[NDArray[Any]]:
        """Each of them by itself, (n,)."""
        return [y] if self.classes else list(y.reshape(len(y), -1).T)


def some_rows(rows: Rows, most: int, known: Known) -> Rows:
    """About so many of the rows at most, drawn at random; of each class one at least."""
    if len(rows.x) <= most:
        return rows
    kept = stream(known.seed, "models", "rows").choice(len(rows.x), most, replace=False)
    if known.classes:
        kept = np.union1d(kept, np.unique(rows.y, return_index=True)[1])
    return rows.some(np.sort(kept))


def threads_for(rows: int) -> Any:
    """Within, one thread where there are few rows: scikit-learn's wait for each other longer than they work."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    return threadpool_limits(1 if rows < ALONE else None)


def of_every_class(probabilities: NDArray[Any], met: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """(n, classes) of (n, those that were met): 0 for the others."""
    every = np.zeros((len(probabilities), classes))
    every[:, np.asarray(met, dtype=np.int64)] = probabilities
    return every
