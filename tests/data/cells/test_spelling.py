"""Labels and levels spelled in several ways: one where nobody meant the difference, else apart."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.cells.spelling import find, plain, spellings
from gammatune.pipeline.data.table import Table, as_test, make_table, split_table
from gammatune.pipeline.data.table_encoding import UNKNOWN
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing

NFC, NFD = "caf\u00e9", "cafe\u0301"


def table(labels: list[Any], **options: Any) -> Table:
    n = len(labels)
    return make_table("t", pd.DataFrame({"x": np.arange(n) % 7, "y": labels}), "y", **options)


def labels_of(made: Table) -> list[Any]:
    return [made.classes[code] for code in made.y]


@pytest.mark.parametrize(
    ("labels", "classes", "said"),
    [
        (["no", "yes"] * 30 + ["no ", " no", "yes"], ("no", "yes"), "' no' (1), 'no ' (1) count as 'no'."),
        (["no", "yes"] * 30 + ["NO"], ("no", "yes"), "'NO' (1) counts as 'no'."),
        (["no", "yes"] * 30 + ["NO "], ("no", "yes"), "'NO ' (1) counts as 'no'."),
        (["a  b", "c"] * 9 + ["a b"], ("a  b", "c"), "'a b' (1) counts as 'a  b'."),  # the commonest
        (["a\u00a0b", "c", "a b", "a b"] * 9, ("c", "a b"), "'a\\xa0b' (9) counts as 'a b'."),
        ([NFD, NFC, NFC, "tea"] * 9, (NFC, "tea"), f"'{NFD}' (9) counts as '{NFC}'."),
    ],
)
def test_labels_that_nobody_meant_to_differ_are_one_class(
    labels: list[str], classes: tuple[str, ...], said: str
) -> None:
    made = table(labels)
    assert set(made.classes) == set(classes)
    assert [plain(label).lower() for label in labels_of(made)] == [plain(label).lower() for label in labels]
    assert f"y: {said} --exact-labels keeps them apart." in made.said
    exact = table(labels, exact_labels=True)
    assert labels_of(exact) == labels
    assert not any("count" in line for line in exact.said)


@pytest.mark.parametrize(
    ("labels", "apart"),
    [
        (["AA", "Aa", "aa"] * 20, "aa (20), AA (20), Aa (20)"),
        (["no"] * 20 + ["NO"], "no (20), NO (1)"),  # 5 % are not rare
    ],
)
def test_labels_that_differ_in_case_and_are_not_rare_stay_apart(labels: list[str], apart: str) -> None:
    made = table(labels)
    assert labels_of(made) == labels
    (said,) = [line for line in made.said if "differ in case only" in line]
    assert {*apart.split(", ")} <= {*said.partition(": ")[2].partition(". ")[0].split(", ")}
    assert not any("differ in case" in line for line in table(labels, exact_labels=True).said)


def test_less_than_a_twentieth_is_rare() -> None:
    assert table(["no"] * 21 + ["NO"] + ["yes"] * 5).classes == ("no", "yes")
    assert spellings({"no": 20, "NO": 1}).one == {}
    assert spellings({"no": 15, "no ": 6, "NO": 1}).one == {"no ": "no", "NO": "no"}  # of all that are no
    assert spellings({"aa": 1, "AA": 90, "Aa": 60}).one == {"aa": "AA"}


def test_what_looks_alike_and_is_not_the_same_stays_apart() -> None:
    labels = ["m2", "m\u00b2", "Masse", "Ma\u00dfe", "1", "01"] * 5
    assert labels_of(table(labels)) == labels


def test_one_label_in_two_spellings_teaches_nothing() -> None:
    with pytest.raises(InvalidData, match="is 'no' in every row"):
        table(["no", "no ", "no"] * 9)


def test_the_positive_label_in_another_spelling() -> None:
    assert table(["yes ", "no"] * 9, positive="no").classes == ("yes ", "no")
    assert table(["yes ", "no"] * 9, positive="YES").classes == ("no", "yes ")
    with pytest.raises(InvalidArgument, match="--positive YES"):
        table(["yes ", "no"] * 9, positive="YES", exact_labels=True)


def test_labels_of_other_files_are_met_and_said() -> None:
    made = table(["no", "yes"] * 30)
    rows = pd.DataFrame({"x": [1, 2, 3], "y": ["NO ", "no", "YES"]})
    test = as_test(made, "u.csv", rows)
    assert test.y.tolist() == [0, 0, 1]
    assert test.said == ("u.csv: y: 'NO ' (1) counts as 'no'; 'YES' (1) counts as 'yes'.",)
    with pytest.raises(InvalidData, match="'NO ', which the training data never shows"):
        as_test(table(["no", "yes"] * 30, exact_labels=True), "u.csv", rows)
    genes = table(["AA", "Aa", "b"] * 20)
    with pytest.raises(InvalidData, match="'aa', which"):  # either of two
        as_test(genes, "u.csv", rows.assign(y="aa"))


def test_levels_are_spelled_in_several_ways_too() -> None:
    towns = ["Ulm", "Ulm ", "Bonn", "M\u00fcnchen", "Mu\u0308nchen", "Ulm"] * 20 + ["BONN"]
    frame = pd.DataFrame({"town": towns, "x": np.arange(121) % 7, "y": (["a", "b"] * 61)[:121]})
    split = split_table(make_table("t", frame, "y"), seed=0)
    made = split.preprocessing
    assert isinstance(made, TablePreprocessing)
    assert len(made.columns[-1].levels) == 3  # type: ignore[union-attr]
    (said,) = [line for line in split.said if line.startswith("town: ")]
    assert "'Ulm ' (" in said
    assert "as 'Ulm'" in said
    new = pd.DataFrame({"town": ["ULM ", " Ulm", "Ulm", "bonn", "Rome"], "x": 1})
    codes = made.inputs(new)[:, -1].tolist()
    assert codes[0] == codes[1] == codes[2] != codes[3]
    assert min(codes[:4]) > UNKNOWN
    assert codes[4] == UNKNOWN
    assert made.misread(new) == ["town: 'bonn' (1) counts as 'Bonn'; ' Ulm' (1), 'ULM ' (1) count as 'Ulm'."]


def test_genotypes_among_the_inputs_stay_three_levels() -> None:
    frame = pd.DataFrame({"gene": ["AA", "Aa", "aa"] * 30, "x": np.arange(90) % 7, "y": ["a", "b"] * 45})
    made = split_table(make_table("t", frame, "y"), seed=0).preprocessing
    codes = made.inputs(pd.DataFrame({"gene": ["AA", "Aa", "aa", "aA"], "x": 1}))[:, -1].tolist()  # type: ignore[arg-type]
    assert len(set(codes)) == 4
    assert codes[3] == UNKNOWN


def test_groups_in_two_spellings_stay_together() -> None:
    homes = [f"house {i // 2}" + " " * (i % 2) for i in range(60)]
    frame = pd.DataFrame({"home": homes, "x": np.arange(60) % 7, "y": ["a", "b"] * 30})
    made = make_table("t", frame, "y", group="home")
    assert made.groups is not None
    assert len(set(made.groups.tolist())) == 30


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text("aA\u00e4\u0308 \u00a01", max_size=4), st.integers(1, 200), max_size=8))
def test_what_is_taken_for_another_is_the_commonest_of_one_form(counts: dict[str, int]) -> None:
    found = spellings(counts)
    for spelling, taken in found.one.items():
        assert taken not in found.one
        assert plain(spelling).lower() == plain(taken).lower()
        if plain(spelling) == plain(taken):
            assert counts[spelling] <= counts[taken]
    forms = {plain(found(text)) for text in counts}
    assert len({found(text) for text in counts}) == len(forms)  # of each form one
    classes = sorted({found(text) for text in counts})
    met = find(list(counts), classes)
    assert [classes[place] for place in met if place is not None] == [
        found(text) for text, place in zip(counts, met, strict=True) if place is not None
    ]
