"""Scales: words and numbers in order are told from mere names, put in order, and can be said otherwise."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammatune.errors import InvalidArgument
from gammatune.pipeline.data import scales
from gammatune.pipeline.data.scales import counts_up, order_of, scale_given, scale_of_words
from gammatune.pipeline.data.split import Split
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


def split(frame: pd.DataFrame) -> Split:
    return split_table(make_table("t", frame, "y"), seed=0)


@pytest.mark.parametrize("levels", [range(1, 6), range(11), range(1, 8)])
def test_numbers_that_count_up_are_a_scale_where_neighbours_are_alike(levels: range) -> None:
    found = split(asked(levels, 800))
    assert found.ordered
    assert found.preprocessing.classes == tuple(levels)
    assert any("count up" in line and "--task regression reads it as a number" in line for line in found.said)
    frame = asked(levels, 800)
    names = np.random.default_rng(1).permutation(len(levels))  # the same classes, called otherwise
    mixed = frame.assign(y=[levels[names[levels.index(value)]] for value in frame.y])
    assert not split(mixed).ordered
    chance = frame.assign(y=np.random.default_rng(2).permutation(frame.y))
    assert not split(chance).ordered


def test_rows_that_report_or_select_have_no_say_in_whether_classes_are_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_at: list[int] = []

    def alike(frame: pd.DataFrame, y: Any, columns: Any) -> bool:
        looked_at.extend(frame.index)
        return len(frame) == len(y)

    monkeypatch.setattr(scales, "neighbours_are_alike", alike)
    found = split(asked(range(1, 6), 200))
    assert found.ordered
    assert found.origins is not None
    assert len(looked_at) == len(found.train.y)
    assert not set(looked_at) & set(found.origins - 1)


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
    ("labels", "order"),
    [
        (("up to 1,000", "1,000 to 5,000", "more"), "up to 1,000; 1,000 to 5,000; more"),
        (("up to 1,000", "1,000 to 5,000", "more"), "up to 1,000|1,000 to 5,000|more"),
        (("up to 1,000", "1,000 to 5,000", "more"), r"up to 1\,000, 1\,000 to 5\,000, more"),
        (("a;", "b|", "c,"), r"a;, b|, c\,"),
        (("a;", "b", "c"), "a;, b, c"),
        ((r"a\b", "c", "d"), r"a\b, c, d"),
    ],
)
def test_labels_that_hold_commas_are_ordered_too(labels: tuple[str, ...], order: str) -> None:
    assert make_table("t", asked(labels), "y", order=order).classes == labels


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("ab ,;|", min_size=1, max_size=5), min_size=3, max_size=5))
def test_what_is_proposed_is_understood(texts: list[str]) -> None:
    labels = [text for text in dict.fromkeys(" ".join(text.split()) for text in texts) if text]
    assert scale_given("y", labels, order_of(labels)) == tuple(labels)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (("S", "M", "XL"), {"task": "ordinal"}, 'the order of M, S, XL is not known; say --order "M, S, XL"'),
        (("S", "M", "XL"), {"order": "S, M"}, "name each of them once"),
        (("S", "M", "XL"), {"order": "S, M, L"}, "name each of them once"),
        (("S", "M", "XL"), {"order": "S, M, M"}, "name each of them once"),
        (("a, b", "c", "d"), {"order": "a, b, c, d"}, r"where a label holds a comma: a, b; c; d"),
        (("a, b", "c;", "|d"), {"task": "ordinal"}, r'say --order "a\\\\, b, c;, \\|d"'),
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


def test_a_table_may_hold_the_order_itself() -> None:
    levels = ["shrugged", "nodded", "cheered", "danced"]
    frame = asked(levels)
    held = frame.assign(y=pd.Categorical(frame["y"], [*levels, "fainted"], ordered=True))
    table = make_table("t", held, "y")
    assert table.ordered
    assert table.classes == tuple(levels)
    assert [levels[code] for code in table.y] == frame["y"].tolist()
    assert any("shrugged < nodded < cheered < danced (as the table has them)" in line for line in table.said)
    assert not make_table("t", held, "y", task="classification").ordered
    assert make_table("t", held, "y", order="danced, cheered, nodded, shrugged").classes[0] == "danced"
    assert make_table("t", held, "y", task="ordinal").classes == tuple(levels)
    assert not make_table("t", held.assign(y=held["y"].cat.as_unordered()), "y").ordered
    two = held[held["y"].isin(levels[:2])]
    assert not make_table("t", two, "y").ordered
