"""What a model said of examples, beside the truth, and the confusion matrix of it.

n   examples                    k   classes, or labels  t   numbers a target
c   cells of the confusion matrix that are not empty
w   how often a resample holds each example, (b, n), or each cell, (b, c); where examples weigh differently times
    the weight of each
"""

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

HALF = 0.5 - 1e-6  # of the probability, less what sums in 32 bits round by
Floats: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[Any]  # int64, or float64 where examples weigh differently


def decided(probabilities: Any, *, ordered: bool = False) -> Any:
    """The codes (n, ...) that are the answers, of probabilities (n, k, ...), an array or a tensor: everything that
    gives or judges an answer asks here.

    The likeliest class. ordered: of classes that follow each other the median, the lowest that half of the
    probability lies at or below, which is the fewest steps off on average (docs/diary.md, "Ordered classes").
    """
    return (probabilities.cumsum(1) < HALF).sum(1) if ordered else probabilities.argmax(1)


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model said of n examples.

    targets: (n,) codes from 0, or (n, t) numbers. said: labels (n,), or numbers (n, t). classes: k; 0 for a
    regression. probabilities: (n, k), rows that sum to 1; None where nobody kept them. Of k labels an example, each
    of them 0 or 1, targets, said and probabilities (of a 1) are (n, k), and classes 2. spread: how far the nets of
    an ensemble are apart, (n,) of classes, (n, t) of numbers (`engine.ensemble.Ensemble.spread`); None of one net.
    weights: what each example counts for, (n,), finite and 0 or more, in any unit; None: all the same. A measure of
    whole numbers is that of the examples repeated so often. ordered: the classes follow each other in the order of
    their codes, as "never, sometimes, often" do. shares: (n, k), where a target is no class but a distribution over
    them, of which `targets` has the class that weighs most.
    """

    targets: NDArray[Any]
    said: NDArray[Any]
    classes: int = 0
    probabilities: NDArray[Any] | None = None
    spread: NDArray[Any] | None = None
    weights: NDArray[Any] | None = None
    ordered: bool = False
    shares: NDArray[Any] | None = None

    @classmethod
    def of_classes(
        cls,
        targets: NDArray[Any],
        probabilities: NDArray[Any],
        weights: NDArray[Any] | None = None,
        *,
        ordered: bool = False,
    ) -> "Answers":
        """Those that follow from probabilities (n, k): see `decided`."""
        said = decided(probabilities, ordered=ordered)
        return cls(targets, said, probabilities.shape[1], probabilities, weights=weights, ordered=ordered)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def columns(self) -> int:
        """Classes, or labels, or numbers a target."""
        return (
            self.classes if self.classes and not self.is_multilabel else int(np.prod(self.targets.shape[1:]))
        )

    @property
    def is_multilabel(self) -> bool:
        """Whether an example has several labels."""
        return self.classes > 0 and self.targets.ndim == 2

    @property
    def is_finite(self) -> bool:
        held = self.said if self.probabilities is None else self.probabilities
        return bool(np.isfinite(held).all())

    @property
    def counted(self) -> Floats | None:
        """The weights (n,); None where they tell no example from another, so that figures are those of examples
        without weights, to the last bit."""
        w = self.weights
        return None if w is None or bool((w == w[:1]).all()) else w.astype(np.float64)

    @property
    def effective(self) -> float:
        """How many examples of one weight would tell as much (Kish 1965, section 11.7)."""
        w = self.counted
        return float(len(self)) if w is None else float(w.sum() ** 2 / (w**2).sum())

    def weighing(self) -> "Answers":
        """Those that weigh anything."""
        w = self.weights
        return self if w is None or bool((w > 0).all()) else self.some(np.flatnonzero(w > 0))

    def scaled(self, mean: ArrayLike, std: ArrayLike) -> "Answers":
        """A regression in another unit: x std + mean, each of (t,) or one number."""
        mean, std = np.asarray(mean, dtype=np.float64), np.asarray(std, dtype=np.float64)
        spread = None if self.spread is None else self.spread * std
        return replace(self, targets=self.targets * std + mean, said=self.said * std + mean, spread=spread)

    def some(self, places: NDArray[np.intp]) -> "Answers":
        names = ("targets", "said", "probabilities", "spread", "weights", "shares")
        held = {name: getattr(self, name) for name in names}
        return replace(self, **{name: each[places] for name, each in held.items() if each is not None})


class Cells:
    """The cells of a confusion matrix, and sums of their counts over it. true, said: (c,) codes of each."""

    def __init__(self, true: Counts, said: Counts, k: int) -> None:
        from scipy.sparse import csr_array

        every, one = np.arange(len(true)), np.ones(len(true))
        self.true, self.said, self.k = true, said, k
        self._right = true == said
        self._rows = csr_array((one, (true, every)), shape=(k, len(true)))
        self._columns = csr_array((one, (said, every)), shape=(k, len(true)))
        self._diagonal = csr_array((self._right.astype(float), (true, every)), shape=(k, len(true)))

    def sums(self, w: Counts) -> tuple[Floats, Floats, Floats]:
        """Of each class: right answers, examples, answers; each (b, k)."""
        counts = w.T.astype(float)
        right, true, said = (
            np.asarray(matrix @ counts).T for matrix in (self._diagonal, self._rows, self._columns)
        )
        return right, true, said

    def right(self, w: Counts) -> Floats:
        return np.asarray(w[:, self._right].sum(axis=1), dtype=np.float64)


def cells_of(answers: Answers) -> tuple[Cells, Counts, NDArray[np.intp]]:
    """The cells that are not empty, what their examples count for (c,), and the cell of each example (n,)."""
    pairs = answers.targets.astype(np.int64) * answers.classes + answers.said.astype(np.int64)
    codes, place, counts = np.unique(pairs, return_inverse=True, return_counts=True)
    cells = Cells(codes // answers.classes, codes % answers.classes, answers.classes)
    if (w := answers.counted) is not None:
        return cells, np.bincount(place, w, minlength=len(codes)), place
    return cells, counts.astype(np.int64), place
