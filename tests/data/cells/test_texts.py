"""Text that is known for what it is, and said."""

import numpy as np
import pandas as pd
import pytest

from gammatune.pipeline.data.looking import tell

N = range(60)


@pytest.mark.parametrize(
    ("name", "values", "kind", "why"),
    [
        ("contact", [f"a{n}@example.org" for n in N], "drop", "holds e-mail addresses"),
        ("page", [f"https://example.org/{n}" for n in N], "drop", "holds web addresses"),
        ("call", [f"+49 30 {n:02}5550{n:02}" for n in N], "drop", "holds phone numbers"),
        ("call", [f"(555) 555-01{n:02}" for n in N], "drop", "holds phone numbers"),
        ("phone", [5550100 + 7 * n for n in N], "drop", "holds phone numbers"),
        ("remark", [f"the {n}th of many words here" for n in N], "drop", "is free text, which is not read"),
        ("key", [f"K{n:04}X" for n in N], "drop", "differs in every row, as an identifier does"),
        ("zip", [10115 + 7 * (n % 9) for n in N], "category", ""),
        ("zip", [10115 + 7 * n for n in N], "number", ""),
        ("zipper", [10115 + 7 * (n % 9) for n in N], "number", ""),
        ("lat", [52.5 + n / 100 for n in N], "number", ""),
    ],
)
def test_what_a_column_holds_is_told(name: str, values: list[object], kind: str, why: str) -> None:
    column = tell(name, pd.Series(values))
    assert (column.kind, column.why) == (kind, why)


def test_several_answers_in_a_cell_are_said() -> None:
    cells = ["tea;milk", "tea", "coffee;milk", "coffee;sugar;milk"]
    column = tell("drinks", pd.Series(cells * 10))
    assert column.kind == "category"
    assert column.sentences == [
        "drinks holds several answers in a cell, with ';' between, such as 'tea;milk': each combination counts as a "
        "level; a column for each answer says more."
    ]
    assert not tell("name", pd.Series([f"Smith{n}, John{n % 7}" for n in N] * 3)).notes
    assert not tell("place", pd.Series(["Ulm, Germany", "Bonn, Germany", "Rome, Italy"] * 3)).notes


def test_text_that_nearly_always_differs_is_not_said_to_differ_in_every_row() -> None:
    column = tell("key", pd.Series([*(f"K{n:04}X" for n in range(199)), "K0007X"]))
    assert (column.kind, column.why) == ("drop", "differs in 99 % of the rows, as an identifier does")


@pytest.mark.parametrize("values", [["a"] * 399 + ["b"], np.array([1.0] * 399 + [2.0])])
def test_a_column_that_is_nearly_constant_is_said(values: object) -> None:
    column = tell("x", pd.Series(values))  # type: ignore[call-overload]
    assert column.kind in ("number", "category")
    assert "in all but 1 of 400 rows" in column.notes[0]
    assert tell("x", pd.Series(["a"] * 395 + ["b"] * 5)).notes == ()
