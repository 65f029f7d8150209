"""What is told of different values is what is told of all."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from gammatune.pipeline.data.cells.distinct import Distinct

CELLS = st.lists(st.one_of(st.none(), st.sampled_from(["a", "a b", "", "Ä", "01"])), min_size=1, max_size=12)


@given(CELLS)
def test_of_rows_as_of_the_different_ones(cells: list[str | None]) -> None:
    column = pd.Series(cells, dtype="str")
    text = column.dropna()
    found = Distinct.of(text)
    assert found.texts.tolist() == list(dict.fromkeys(text.tolist()))
    assert found.by_text() == {each: text.tolist().count(each) for each in text}
    if len(text):
        assert found.mean(found.texts.str.count(" ")) == text.str.count(" ").mean()
        assert found.mean(found.texts == "a") == (text == "a").mean()
    levels = pd.Series(found.levels(column.notna().to_numpy(dtype=bool)))
    assert levels.astype(object).where(levels.notna(), None).tolist() == cells
    assert not np.isin("b", found.texts)
