"""Scales: words and numbers in order are told from mere names, put in order, and can be said otherwise."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from gammatune.errors import InvalidArgument
from gammatune.pipeline.data.scales import counts_up, scale_of_words
from gammatune.pipeline.data.table import as_test, make_table, split_table
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing

AGREE = ("Strongly disagree", "Disagree", "Neither agree nor disagree", "Agree", "Strongly agree")


def asked(levels: Any, n: int = 400, seed: int = 0) -> pd.DataFrame:
    """Answers on a scale, by a mood and some noise."""
    r = np.random.default_rng(seed)
    mood = r.normal(size=n)
    place = np.clip(
        np.round((mood + 0.7 * r.normal(size=n)) * len(levels) / 4 + (len(levels) - 1) / 2),
        0,
        len(levels) - 1,
    )
    answer = np.array(list(levels), dtype=object)[place.astype(int)]
    return pd.DataFrame({"mood": mood.round(2), "age": r.integers(18, 80, n), "y": answer}).infer_objects()


@pytest.mark.parametrize(
    "scale",
    [
        AGREE,
        ("never", "rarely", "sometimes", "often", "always"),
        ("Low", "Medium", "High", "Very_High"),
        ("poor", "fair", "good", "very good", "excellent"),
        ("none", "mild", "severe"),
        ("Too Little", "About Right", "Too Much"),
        ("very dissatisfied", "dissatisfied", "satisfied"),
    ],
)
def test_words_of_a_scale_are_put_in_order(scale: tuple[str, ...]) -> None:
    for labels in (sorted(scale), sorted(scale, reverse=True)):
        assert scale_of_words(labels) == scale
    table = make_table("t", asked(scale), "y")
    assert table.ordered
    assert table.classes == scale
    assert [table.classes[code] for code in table.y] == asked(scale).y.tolist()
    (line,) = (line for line in table.said if "in order" in line)
    assert " < ".join(scale) in line
    assert "(by their words): ordinal" in line


@pytest.mark.parametrize(
    "labels",
    [
        ("low", "high"),  # two
        ("red", "green", "blue"),
        ("low", "medium", "setosa"),
        ("good", "bad", "poor"),  # two words of one level
        ("often", "high", "agree"),  # of three scales
        ("no", "yes", "maybe"),
    ],
)
def test_other_words_are_no_scale(labels: tuple[str, ...]) -> None:
    assert scale_of_words(labels) is None
    table = make_table("t", asked(labels), "y")
    assert not table.ordered
    assert table.classes == tuple(sorted(table.classes)) or len(labels) == 2


@pytest.mark.parametrize("levels", [range(1, 6), range(11), range(1, 8)])
def test_numbers_that_count_up_are_a_scale_where_neighbours_are_alike(levels: range) -> None:
    table = make_table("t", asked(levels, 800), "y")
    assert table.ordered
    assert table.classes == tuple(levels)
    assert any("count up" in line and "--task regression reads it as a number" in line for line in table.said)
    frame = asked(levels, 800)
    names = np.random.default_rng(1).permutation(len(levels))  # the same classes, called otherwise
    mixed = frame.assign(y=[levels[names[levels.index(value)]] for value in frame.y])
    assert not make_table("t", mixed, "y").ordered
    chance = frame.assign(y=np.random.default_rng(2).permutation(frame.y))
    assert not make_table("t", chance, "y").ordered


def test_numbers_that_do_not_count_up_are_not() -> None:
    assert counts_up((1, 2, 3, 4, 5))
    assert counts_up(tuple(range(11)))
    for labels in [
        (0, 1, 2),
        (1, 2, 3, 5, 6),
        tuple(range(2, 8)),
        tuple(range(12)),
        ("1", "2", "3", "4", "5"),
    ]:
        assert not counts_up(labels)


def test_it_can_be_said_otherwise() -> None:
    frame = asked(AGREE)
    table = make_table("t", frame, "y", task="classification")
    assert not table.ordered
    assert table.classes == tuple(sorted(AGREE))
    sizes = ("S", "M", "XL")
    assert not make_table("t", asked(sizes), "y").ordered
    table = make_table("t", asked(sizes), "y", order="s, m,XL")
    assert table.ordered
    assert table.classes == sizes
    numbers = make_table("t", asked((10, 20, 30)), "y", task="ordinal")
    assert numbers.ordered
    assert numbers.classes == (10, 20, 30)
    assert make_table("t", asked(range(1, 6)), "y", task="regression").task == "regression"
    halves = make_table("t", asked(AGREE), "y", kinds={"y": "category"}, task="ordinal")
    assert halves.ordered


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (("S", "M", "XL"), {"task": "ordinal"}, 'the order of M, S, XL is not known; say --order "M, S, XL"'),
        (("S", "M", "XL"), {"order": "S, M"}, "name each of them once"),
        (("S", "M", "XL"), {"order": "S, M, L"}, "name each of them once"),
        (("S", "M", "XL"), {"order": "S, M, M"}, "name each of them once"),
        (("S", "M"), {"order": "S, M"}, "orders 3 classes or more, and y has 2"),
        (("low", "high"), {"task": "ordinal"}, "orders 3 classes or more, and y has 2"),
        (
            range(5),
            {"order": "0,1,2,3,4", "task": "regression"},
            "and --task regression contradict each other",
        ),
        (
            AGREE,
            {"order": ", ".join(AGREE), "task": "classification"},
            "and --task classification contradict each other",
        ),
    ],
)
def test_what_has_no_order_is_refused(labels: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        make_table("t", asked(labels), "y", **options)


def test_the_order_goes_with_the_run() -> None:
    split = split_table(make_table("t", asked(AGREE), "y"), seed=0)
    assert split.ordered
    known = split.preprocessing
    assert isinstance(known, TablePreprocessing)
    assert TablePreprocessing.from_dict(known.to_dict()) == known
    assert known.classes == AGREE
    table = make_table("t", asked(AGREE), "y")
    test = as_test(table, "u", asked(AGREE, 30, seed=1))
    assert [AGREE[code] for code in test.y] == asked(AGREE, 30, seed=1).y.tolist()
