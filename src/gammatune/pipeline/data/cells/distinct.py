"""The different values of a column, and how often each is there: what is told of them is told of all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, eq=False)
class Distinct:
    """texts (k,): in the order in which they come. counts (k,): of rows."""

    texts: "pd.Series[Any]"
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, text: "pd.Series[Any]") -> "Distinct":
        """text: without anything missing."""
        import pandas as pd

        places, found = pd.factorize(text)
        return cls(pd.Series(found), np.bincount(places, minlength=len(found)))

    @property
    def rows(self) -> int:
        return int(self.counts.sum())

    def mean(self, numbers: "pd.Series[Any]") -> float:
        """Over the rows, of whole numbers (k,); of truth values the share."""
        return int((self.counts * numbers.to_numpy(dtype=np.int64)).sum()) / self.rows

    def by_text(self) -> Mapping[str, int]:
        return dict(zip(self.texts.tolist(), self.counts.tolist(), strict=True))
