"""Scales: words and numbers in order are told from mere names, put in order, and can be said otherwise."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammatune.errors import InvalidArgument
from gammatune.pipeline.data import scales
from gammatune.pipeline.data.scale_bands import bands
from gammatune.pipeline.data.scales import counts_up, order_of, scale_given, scale_told
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
        assert scale_told(labels) == (scale, "by their words")
    table = make_table("t", asked(scale), "y")
    assert table.ordered
    assert table.classes == scale
    assert [table.classes[code] for code in table.y] == asked(scale).y.tolist()
    (line,) = (line for line in table.said if "in order" in line)
    assert " < ".join(scale) in line
    assert "(by their words): ordinal" in line


# Of questionnaires: fivethirtyeight's surveys (github.com/fivethirtyeight/data), the General Social Survey, the
# PHQ-9, and the anchors of Vagias (2006), "Likert-type scale response anchors".
PRINTED = """
Never / Once in a while / About half the time / Usually / Always
Never / Rarely / Sometimes / Often
Not at all / Not much / Some / A lot
Not at all / A little / A moderate amount / A lot / A great deal
None / Some / Most / All
Very unlikely / Somewhat unlikely / Somewhat likely / Very likely
Very unfavorably / Somewhat unfavorably / Neither favorably nor unfavorably (neutral) / Somewhat favorably / Very favorably
Very unimportant / Somewhat unimportant / Neither important nor unimportant (neutral) / Somewhat important / Very important
Not at all important / Not too important / Somewhat important / Very important
Not at all comfortable / Not so comfortable / Somewhat comfortably / Very comfortable / Extremely comfortable
Not at all aware / Slightly aware / Somewhat aware / Moderately aware / Extremely aware
Not too happy / Pretty happy / Very happy
No, not at all rude / Yes, somewhat rude / Yes, very rude
Very difficult / Difficult / Neutral / Easy / Very easy
Strongly oppose / Somewhat oppose / Neither / Somewhat favor / Strongly favor
Strongly disapprove / Disapprove / Approve / Strongly approve
StronglyDisagree / Disagree / Agree / StronglyAgree
Disagree strongly / Disagree a little / Neither agree nor disagree / Agree a little / Agree strongly
1 - Strongly disagree / 2 - Disagree / 3 - Neutral / 4 - Agree / 5 - Strongly agree
Definitely not / Probably not / Might or might not / Probably yes / Definitely yes
Much worse / Somewhat worse / About the same / Somewhat better / Much better
Decreased a lot / Decreased a little / Stayed the same / Increased a little / Increased a lot
Extremely liberal / Liberal / Slightly liberal / Moderate / Slightly conservative / Conservative / Extremely conservative
Not at all / Several days / More than half the days / Nearly every day
Novice / Intermediate / Advanced / Expert
Poor / Fair / Good / Very good / Excellent
Low risk / Medium risk / High risk
Less than high school degree / High school degree / Some college or Associate degree / Bachelor degree / Graduate degree
18-29 / 30-44 / 45-60 / > 60
18 - 29 / 30 - 44 / 45 - 59 / 60+
18 - 34 / 35 - 64 / 65 and up
$0 - $24,999 / $25,000 - $49,999 / $50,000 - $99,999 / $100,000 - $149,999 / $150,000+
Less than $40k / $40-75k / $75-125k / $125k or more
1.000 - 2.000 € / 2.000 - 5.000 € / 5.000+ €
[0, 10) / [10, 20) / [20, 30) / [100, Inf)
10 or younger / 11 / 12 / 21 or older
<1 month / 1-6 months / 6-12 months / 1-2 years / 2+ years
Less than 20 minutes / 20 minutes to 1 hour / More than 1 hour
None / 1-2 / 3-5 / 6 or more
1 (not at all) / 2 / 3 / 4 / 5 (very much)
Never / Once a year or less / Once a month or less / A few times per month / A few times per week / Every day
Less than once a month / Once a month / A few times a month / Once a week / A few times a week / Every day
Never / Less than once a year / Once a year / Several times a year / Once a month / 2-3 times a month / Every week
Never / Yearly / Monthly / Weekly / Daily
Once / Twice / Three times / Four times / More than five times
"""  # noqa: E501


@pytest.mark.parametrize("line", PRINTED.strip().split("\n"))
def test_scales_of_questionnaires_are_put_in_order(line: str) -> None:
    scale = line.split(" / ")
    found = [scale_told(labels) for labels in (scale, scale[::-1], sorted(scale))]
    assert [list(each[0]) for each in found if each is not None] == [scale] * 3


@pytest.mark.parametrize(
    "line",
    [
        "1-2 / 1-3 / 2-3",  # pairs
        "2-1 / 1-0 / 3-2",  # of a game
        "01-02 / 03-04 / 05-06",  # dates, or codes
        "2019-04-20 / 2019-06-01 / 2019-05-18",
        "5 kg / 10 kg / 20 lb+",  # two units
        "DT-1 / DT-2 / DT-3",
        "10 / 20 / 30",
        "Left / Right / Neither",
        "Married / Never married / Divorced",
        "Little Rock / Some City / All Saints",
        "not / notvery / very",
        "No answer / Some / A lot",
        "satisfied / quite satisfied / mostly satisfied",  # of usage that differs
        "A / B / C",
    ],
)
def test_names_that_look_like_answers_are_none(line: str) -> None:
    assert scale_told(line.split(" / ")) is None


@given(st.lists(st.integers(0, 10**6), min_size=3, max_size=8, unique=True), st.data())
def test_bands_are_in_order_by_their_bounds(bounds: list[int], data: Any) -> None:
    bounds.sort()
    mark, unit = data.draw(st.sampled_from([("-", ""), (" to ", " years"), (" – ", " km"), (" - ", "%")]))
    written = [f"{low:,}{mark}{high:,}{unit}" for low, high in pairwise(bounds)]
    written = [f"under {bounds[0]:,}{unit}", *written, f"{bounds[-1]:,}{unit} or more"]
    mixed = data.draw(st.permutations(written))
    assert [label for _, label in sorted(zip(bands(mixed), mixed, strict=True))] == written


@pytest.mark.parametrize(
    ("levels", "hints"),
    [
        ((*AGREE, "No answer"), ("but for 'No answer'", "--missing 'No answer' leaves out its rows")),
        (
            ("never", "now and again", "sometimes", "always"),
            ("'now and again'", "--order 'never, sometimes,"),
        ),
        (("poor", "bad", "good", "excellent"), ("if it is one", "--order 'bad, poor, good, ")),
        (("S", "M", "XL"), ("if it is one", "--order 'S, M, XL'")),
        (("$0", "$1-$5", "$6-$9", "lost"), ("but for 'lost'", "--order '$0, $1-$5, $6-$9, lost'")),
    ],
)
def test_what_is_nearly_a_scale_is_hinted_at_once(levels: tuple[str, ...], hints: tuple[str, ...]) -> None:
    table = make_table("t", asked(levels), "y")
    assert not table.ordered
    (line,) = (line for line in table.said if "scale" in line)
    assert all(hint in line for hint in ("looks like a scale", *hints))
    assert not any(
        "scale" in line for line in make_table("t", asked(levels), "y", task="classification").said
    )
    for names in (("red", "green", "blue"), ("low", "medium", "setosa")):
        assert not any("scale" in line for line in make_table("t", asked(names), "y").said)


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
    assert scale_told(labels) is None
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
        (("S", "M", "XL"), {"task": "ordinal"}, "the order of M, S, XL is not known; say --order 'M, S, XL'"),
        (("S", "M", "XL"), {"order": "S, M"}, "name each of them once"),
        (("S", "M", "XL"), {"order": "S, M, L"}, "name each of them once"),
        (("S", "M", "XL"), {"order": "S, M, M"}, "name each of them once"),
        (("a, b", "c", "d"), {"order": "a, b, c, d"}, r"where a label holds a comma: a, b; c; d"),
        (("a, b", "c;", "|d"), {"task": "ordinal"}, r"say --order 'a\\\\, b, c;, \\|d'"),
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
