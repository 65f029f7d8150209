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
    """texts (k,): in the order in which they come. counts (k,): of rows. places (n,): of each row's among them."""

    texts: "pd.Series[Any]"
    counts: NDArray[np.int64]
    places: NDArray[np.int64]

    @classmethod
    def of(cls, text: "pd.Series[Any]") -> "Distinct":
        """text: without anything missing."""
        import pandas as pd

        places, found = pd.factorize(text)
        return cls(pd.Series(found), np.bincount(places, minlength=len(found)), places)

    def mean(self, numbers: "pd.Series[Any]") -> float:
        """Over the rows, of whole numbers (k,); of truth values the share."""
        return int((self.counts * numbers.to_numpy(dtype=np.int64)).sum()) / len(self.places)

    def by_text(self) -> Mapping[str, int]:
        return dict(zip(self.texts.tolist(), self.counts.tolist(), strict=True))

    def levels(self, is_there: NDArray[np.bool_]) -> "pd.Categorical":
        """Of the column with what is missing in it. is_there: where it is not."""
        import pandas as pd

        places = np.full(len(is_there), -1)
        places[is_there] = self.places
        return pd.Categorical.from_codes(places, self.texts)
