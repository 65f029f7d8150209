"""Some rows of a frame, a column at a time: no copy of all of them is ever held."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, eq=False)
class FrameRows:
    """places (n,): of the rows in the frame, from 0."""

    frame: "pd.DataFrame"
    places: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, name: str) -> "pd.Series[Any]":
        import pandas as pd

        return pd.Series(self.frame[name].array.take(self.places), name=name, copy=False)

    def as_frame(self) -> "pd.DataFrame":
        """With the index of the frame."""
        return self.frame.iloc[self.places]
