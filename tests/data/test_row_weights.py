"""A column of weights: no input, read strictly, with its rows in every part."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.metrics.permutation_importance import Feature, Importance
from gammatune.pipeline.data.table import as_test, make_table, split_table
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing
from gammatune.pipeline.dependence import dependences


def survey(n: int = 60) -> pd.DataFrame:
    r = np.random.default_rng(0)
    weight = (r.permutation(n) + 4) / 20
    return pd.DataFrame(
        {
            "row": np.arange(n) % 50 + weight,
            "w": weight,
            "a": r.normal(size=n),
            "y": r.choice(["no", "yes"], n),
        }
    )


def test_rows_keep_their_weight_and_it_is_no_input() -> None:
    frame = survey()
    table = make_table("t", frame, "y", sample_weight="w")
    assert [column.name for column in table.columns] == ["row", "a"]
    assert any(line.startswith("Each row counts for its w, 0.2") for line in table.said)
    split = split_table(table, seed=0)
    known = split.preprocessing
    assert isinstance(known, TablePreprocessing)
    assert known.sample_weight == "w"
    assert TablePreprocessing.from_dict(known.to_dict()) == known
    of_weight = {round(value, 3): known.inputs(frame.iloc[[row]])[0] for row, value in enumerate(frame.w)}
    for part in (split.train, split.select, split.report):
        assert part.w is not None
        for x, weight in zip(part.x, part.w.tolist(), strict=True):
            assert x.tolist() == of_weight[round(weight, 3)].tolist()
    assert split.weights is not None
    assert sum(map(len, split.weights.values())) == 60
    assert split_table(make_table("t", frame, "y"), seed=0).weights is None


def test_equal_weights_are_none() -> None:
    table = make_table("t", survey().assign(w=2), "y", sample_weight="w")
    assert table.weights is None
    assert "w" not in [column.name for column in table.columns]
    assert split_table(table, seed=0).weights is None


def test_rows_that_count_for_nothing_are_left_out_and_said() -> None:
    frame = survey()
    frame.loc[[3, 4], "w"] = [np.nan, 0]
    frame.loc[[3, 9], "y"] = [None, None]
    table = make_table("t", frame, "y", sample_weight="w")
    assert len(table.y) == 57
    assert table.left_out == (
        "2 of 60 rows have no y and are left out.",
        "1 of 58 rows have a weight (w) of 0, and are left out.",
    )
    frame.loc[5, "w"] = np.nan
    table = make_table("t", frame, "y", sample_weight="w")
    assert "1 of 58 rows have no w, their weight, and are left out." in table.said
    assert table.weights is not None
    assert table.weights.tolist() == frame.drop([3, 4, 5, 9]).w.tolist()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([-1, *[1] * 59], "below 0 in 1 rows, such as -1"),
        (["much", *[1] * 59], "holds 'much', which is no finite number"),
        ([np.inf, *[1] * 59], "holds 'inf', which is no finite number"),
        ([0, *[None] * 59], "missing or 0 in every row"),
    ],
)
def test_what_is_no_weight_is_refused(values: list[Any], message: str) -> None:
    with pytest.raises(InvalidData, match=message):
        make_table("t", survey().assign(w=values), "y", sample_weight="w")


def test_a_weight_is_another_column() -> None:
    with pytest.raises(InvalidArgument, match="--sample-weight y: that is the target"):
        make_table("t", survey(), "y", sample_weight="y")
    with pytest.raises(InvalidArgument, match="--sample-weight W: there is no such column; perhaps w"):
        make_table("t", survey(), "y", sample_weight="W")


def test_another_table_to_report_on_has_weights_too() -> None:
    table = make_table("t", survey(), "y", sample_weight="w")
    test = as_test(table, "u.csv", survey(30).assign(w=[0, *[2, 3, 4] * 9, 2, 2]))
    assert test.weights is not None
    assert test.weights.tolist() == [*[2, 3, 4] * 9, 2, 2]
    assert "u.csv: 1 of 30 rows have a weight (w) of 0, and are left out." in test.said
    split = split_table(table, seed=0, test=test)
    assert split.report.w is not None
    assert split.report.w.tolist() == test.weights.tolist()
    with pytest.raises(InvalidArgument, match=r"--test u.csv: there is no column w, the weight"):
        as_test(table, "u.csv", survey().drop(columns="w"))


def test_rows_left_out_do_not_move_the_others_in_their_file() -> None:
    """`origins` are by what people find a row: its place in the file, from 1."""
    frame = survey()
    frame["place"] = np.arange(60) + 0.5
    frame.loc[[0, 20, 40], "w"] = [0, np.nan, 0]
    table = make_table("t", frame, "y", sample_weight="w")
    assert (table.frame.index + 0.5).tolist() == table.frame.place.tolist()
    rows = survey(30).assign(place=np.arange(30) + 0.5, w=[0, *[2, 3, 4] * 9, 0, 2])
    test = as_test(table, "u.csv", rows)
    assert split_table(table, seed=0, test=test).origins.tolist() == [*range(2, 29), 30]


def test_how_answers_move_is_told_by_weight() -> None:
    split = split_table(make_table("t", survey(), "y", sample_weight="w"), seed=0)
    needed = Importance("accuracy", 1.0, 12, 1, (Feature("row", 0.1, 0.0, 0.2),))
    assert isinstance(split.preprocessing, TablePreprocessing)
    (a,) = dict(split.preprocessing.spans)["a"]
    (found,) = dependences(lambda x: x[:, [a]], split, needed, 0, 60.0)
    assert split.report.w is not None
    mean = np.average(split.report.x[:, a].numpy(), weights=split.report.w.numpy())
    assert [out for (out,) in found["outputs"]] == pytest.approx([mean] * len(found["values"]), rel=1e-5)
