"""Tables: what columns are, how they are encoded, how rows are split, what is noticed."""

import json
import re
from typing import Any

import needs
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.columns import Given, kinds_given, listed
from gammatune.pipeline.data.looking import tell
from gammatune.pipeline.data.split import divide
from gammatune.pipeline.data.table import Table, as_test, make_table, split_table
from gammatune.pipeline.data.table_encoding import MISSING, UNKNOWN
from gammatune.pipeline.data.table_learning import learn_table
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing, preparing_from_dict

N = 60


def people(n: int = N, seed: int = 0) -> pd.DataFrame:
    r = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "person_id": r.permutation(n) + 100,
            "age": np.where(np.arange(n) % 7 == 0, np.nan, r.integers(18, 80, n)),
            "city": r.choice(["Ulm", "Bonn", "Kiel"], n),
            "since": pd.date_range("2021-01-01", periods=n).strftime("%d.%m.%Y"),
            "member": r.random(n) < 0.5,
            "answer": r.choice(["yes", "no"], n),
        }
    )


# Columns --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("x", [0.5, None, 2.0] * 10, "number"),
        ("x", [3, 1, 2] * 10, "number"),
        ("x", ["3", "1.5", "n"] + ["2"] * 57, "number"),  # nearly all text is numbers
        ("x", ["a", "b", None] * 10, "category"),
        ("x", [True, False, True] * 10, "category"),
        ("x", [True, None, False] * 10, "category"),  # as in a CSV
        ("x", pd.Series(["a", "b"] * 10, dtype="category"), "category"),
        ("x", pd.date_range("2020-01-01", periods=30), "date"),
        ("x", [f"2020-01-{d:02d}" for d in range(1, 31)], "date"),
        ("x", [f"{d:02d}.01.2020" for d in range(1, 31)], "date"),
        ("x", [f"2020-01-{d:02d} 10:30" for d in range(1, 31)], "date"),
        ("x", [f"01/{d:02d}/2020" for d in range(1, 31)], "date"),
        ("x", ["same"] * 30, "drop"),
        ("x", [None] * 30, "drop"),
        ("x", ["there"] + [None] * 29, "category"),  # whether it is there says something
        ("x", list(range(30)), "drop"),  # counts the rows
        ("customerID", list(np.random.default_rng(0).permutation(30)), "drop"),
        ("x", list(np.random.default_rng(0).permutation(30)), "number"),
        ("x", [f"code{i}" for i in range(30)], "drop"),
        ("x", [f"a long sentence of many words, number {i}" for i in range(30)], "drop"),
        ("x", [[1, 2]] * 15 + [[3]] * 15, "drop"),
        ("x", ["2017", "2018", "2019"] * 10, "number"),  # years are numbers
    ],
)
def test_kinds_are_told_from_values(name: str, values: Any, kind: str) -> None:
    assert tell(name, pd.Series(values)).kind == kind


def test_a_date_that_can_be_read_two_ways_is_said() -> None:
    column = tell("day", pd.Series(["01/02/2020", "03/04/2020"] * 10))
    assert column.format == "%m/%d/%Y"
    assert column.sentences == [
        "day holds dates such as 01/02/2020, read with the month first; the day may as well be: --column "
        "day=date:%d/%m/%Y reads them so."
    ]
    told = tell("day", pd.Series(["01/02/2020", "25/04/2020"] * 10))
    assert (told.format, told.notes) == ("%d/%m/%Y", ())


def test_kinds_asked_for() -> None:
    assert kinds_given(["a=b=number"], ["c"]) == {"a=b": Given("number"), "c": Given("drop")}
    assert kinds_given(["day=date:%d/%m/%Y"], []) == {"day": Given("date", format="%d/%m/%Y")}
    with pytest.raises(InvalidArgument, match="write NAME=number"):
        kinds_given(["age"], [])


def test_kinds_asked_for_win_over_what_is_told() -> None:
    frame = people().assign(code=[f"c{i}" for i in range(N)])
    table = make_table("t", frame, "answer", kinds={"code": "category", "age": "category", "city": "drop"})
    assert {c.name: c.kind for c in table.columns} == {
        "age": "category", "since": "date", "member": "category", "code": "category"
    }  # fmt: skip
    with pytest.raises(InvalidArgument, match="no column 'town'"):
        make_table("t", frame, "answer", kinds={"town": "drop"})
    with pytest.raises(InvalidData, match="was to be a date"):
        make_table("t", frame, "answer", kinds={"city": "date"})
    for kind, words in (
        ("drop", "--drop answer: that is the target"),
        ("date", "answer=date: that is the target"),
    ):
        with pytest.raises(InvalidArgument, match=words):
            make_table("t", frame, "answer", kinds={"answer": kind})
    with pytest.raises(InvalidData, match=r"was to be a number.*leave the column out"):
        make_table("t", frame, "answer", kinds={"city": "number"})


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pd.Series([1, 2, 3] * 20, dtype="category"), "category"),  # whoever made it one knows
        (pd.Series([1, 2, None] * 20, dtype="Int64"), "number"),
        (pd.Series([True, False, None] * 20, dtype="boolean"), "category"),
        (pd.Series(["a", "b", None] * 20, dtype="string"), "category"),
        (pd.Series(pd.date_range("2020-01-01", periods=60, tz="Europe/Berlin")), "date"),
        (pd.Series(["9999-12-31", "2020-01-01", "1066-10-14"] * 20), "date"),  # beyond what nanoseconds reach
    ],
)
def test_types_of_pandas_are_read_and_encoded_alike_row_by_row(values: Any, kind: str) -> None:
    frame = people().assign(x=values)
    table = make_table("t", frame, "answer", kinds={"since": "drop"})
    assert {c.name: c.kind for c in table.columns}["x"] == kind
    made = split_table(table, seed=0).preprocessing
    assert isinstance(made, TablePreprocessing)
    every = made.inputs(frame)
    assert torch.isfinite(every).all()
    torch.testing.assert_close(made.inputs(frame.iloc[[5]]), every[[5]], rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["timestamp[ns][pyarrow]", "date32[day][pyarrow]"])
def test_dates_as_arrow_has_them(kind: str) -> None:
    needs.package("pyarrow")
    plain = people().assign(x=pd.date_range("2020-01-01", periods=N))
    arrow = plain.assign(x=plain.x.astype(kind))
    made = split_table(make_table("t", arrow, "answer"), seed=0).preprocessing
    assert isinstance(made, TablePreprocessing)
    torch.testing.assert_close(made.inputs(arrow), made.inputs(plain))


def test_numbers_beyond_all_measure_do_not_overflow() -> None:
    frame = people().assign(x=[1e308, -1e308, 3.0] * 20)
    assert torch.isfinite(split_table(make_table("t", frame, "answer"), seed=0).train.x).all()


# The target -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (["b", "a", "b", "a"] * 5, "classification", ("a", "b")),
        ([True, False] * 10, "classification", (False, True)),
        ([3, 1, 2, 1] * 5, "classification", (1, 2, 3)),
        ([1.0, 0.0, 1.0, 0.0] * 5, "classification", (0, 1)),  # a column that lacked a value once
        ([0.5, 1.5, 2.0, 3.0] * 5, "regression", ()),
        (list(range(100)), "regression", ()),
    ],
)
def test_the_task_is_told_from_the_target(values: list[Any], task: str, classes: tuple[Any, ...]) -> None:
    table = make_table("t", pd.DataFrame({"x": np.arange(len(values)) % 7, "y": values}), "y")
    assert (table.task, table.classes) == (task, classes)
    assert any("a classification" in line or "a regression" in line for line in table.said)


@pytest.mark.parametrize(
    ("labels", "positive", "classes"),
    [
        (["yes", "no"], None, ("no", "yes")),
        (["ja", "nein"], None, ("nein", "ja")),
        (["fraud", "ok", "ok"], None, ("ok", "fraud")),  # the rarer
        (["ok", "zero", "ok"], None, ("ok", "zero")),
        (["a", "b"], None, ("a", "b")),
        (["a", "b"], "a", ("b", "a")),
        ([0, 1, 1], None, (0, 1)),
        ([0, 1], "0", (1, 0)),
        ([True, False], "False", (True, False)),
    ],
)
def test_of_two_labels_one_is_the_event(
    labels: list[Any], positive: str | None, classes: tuple[Any, ...]
) -> None:
    frame = pd.DataFrame({"x": np.arange(12) % 5, "y": (labels * 12)[:12]})
    table = make_table("t", frame, "y", positive=positive)
    assert table.classes == classes
    assert [table.classes[code] for code in table.y] == (labels * 12)[:12]
    assert f"{classes[1]} is the positive one" in table.said[0]


def test_a_positive_label_that_is_none() -> None:
    frame = pd.DataFrame({"x": np.arange(12) % 5, "y": ["a", "b", "c"] * 4})
    with pytest.raises(InvalidArgument, match="--positive a: y has the labels a, b, c"):
        make_table("t", frame, "y", positive="a")
    with pytest.raises(InvalidArgument, match="--positive d"):
        make_table("t", frame.assign(y=["a", "b"] * 6), "y", positive="d")


def test_dates_are_no_target() -> None:
    days = pd.date_range("2024-01-01", periods=N)
    for values in (days, days.strftime("%d.%m.%Y")):
        with pytest.raises(InvalidData, match="holds dates"):
            make_table("t", people().assign(answer=values), "answer")


def test_codes_with_leading_zeros_are_categories() -> None:
    column = tell("zip", pd.Series(["07305", "10115", "20095"] * 10))
    assert column.kind == "category"
    assert column.sentences == ["zip holds codes such as 07305: a category."]


def test_texts_that_hardly_repeat_teach_nothing() -> None:
    values = [f"all well {i}" for i in range(40)] + ["nothing"] * 15
    assert tell("remark", pd.Series(values)).kind == "drop"


def test_the_task_can_be_said() -> None:
    frame = pd.DataFrame({"x": np.arange(20) % 7, "y": [1, 2] * 10})
    assert make_table("t", frame, "y", task="regression").task == "regression"
    with pytest.raises(InvalidData, match="must hold numbers"):
        make_table("t", frame.assign(y=["a", "b"] * 10), "y", task="regression")


def test_a_column_asked_for_says_the_task_of_the_target() -> None:
    frame = pd.DataFrame({"x": np.arange(20) % 7, "y": [1, 2] * 10})
    assert make_table("t", frame, "y", kinds={"y": "number"}).task == "regression"
    halves = frame.assign(y=frame.y / 4)
    assert make_table("t", halves, "y", kinds={"y": "category"}).task == "classification"
    with pytest.raises(InvalidArgument, match="contradict each other"):
        make_table("t", frame, "y", task="classification", kinds={"y": "number"})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([np.inf, 1.0, 2.0], "infinite"),  # whole numbers but for one
        ([[1], [2], [1]], "no class and no number"),
        ([1j, 2j, 3j], "complex"),
    ],
)
def test_a_target_that_cannot_be_predicted(values: list[Any], words: str) -> None:
    with pytest.raises(InvalidData, match=words):
        make_table("t", pd.DataFrame({"x": np.arange(60) % 7, "y": values * 20}), "y")


def test_rows_without_a_target_are_left_out_and_said() -> None:
    frame = people()
    frame.loc[:4, "answer"] = None
    table = make_table("t", frame, "answer")
    assert len(table.y) == len(table.frame) == N - 5
    assert "5 of 60 rows have no answer and are left out." in table.said


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (None, "which column is to be predicted"),
        ("Answer", "perhaps answer"),
        ("ans", "perhaps answer"),
        ("anwser", "perhaps answer"),
        ("nothing", "there is no such column"),
    ],
)
def test_a_target_that_is_not_there(target: str | None, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words) as refused:
        make_table("t", people(), target)
    assert "age" in str(refused.value)  # says what there is


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["same"] * N, "in every row"),
        ([1] * N, "is 1 in every row"),
        ([f"a{i}" for i in range(N)], "too many to be classes"),
        ([None] * N, "holds no value"),
    ],
)
def test_targets_that_teach_nothing(values: list[Any], words: str) -> None:
    with pytest.raises(InvalidData, match=words):
        make_table("t", people().assign(answer=values), "answer")


def test_a_table_of_identifiers_only() -> None:
    with pytest.raises(InvalidData, match="no column is left to learn from"):
        make_table("t", people()[["person_id", "answer"]], "answer")


# Encoding -------------------------------------------------------------------------------------------------


def learned(frame: pd.DataFrame, **options: Any) -> TablePreprocessing:
    table = make_table("t", frame, "answer")
    known = TablePreprocessing(table.task, (), "answer", classes=table.classes, **options)
    return learn_table(known, table.frame, table.y, table.columns, [])


def test_encoding_by_hand() -> None:
    frame = pd.DataFrame(
        {
            "n": [0.0, 1.0, 2.0, 3.0, 4.0, None] * 5,
            "c": ["b", "a", "a", None, "a", "b"] * 5,
            "answer": ["yes", "no", "yes", "no", "yes", "no"] * 5,
        }
    )
    made = learned(frame)
    assert made.shape == (3,)
    assert made.cardinalities == (4,)
    assert made.spans == (("n", range(2)), ("c", range(2, 3)))
    x = made.inputs(pd.DataFrame({"n": [2.0, 4.0, None, "x", 1e30], "c": ["a", "b", None, "z", "a"]}))
    # median 2, quartiles 1 and 3: u = (x - 2) / 2, z = u / sqrt(1 + (u / 3)^2)
    z = 1 / np.sqrt(1 + 1 / 9)
    np.testing.assert_allclose(x[:, 0], [0, z, 0, 0, 3], rtol=1e-6)
    assert x[:, 1].tolist() == [0, 0, 1, 1, 0]  # missing, said beside
    assert x[:, 2].tolist() == [2, 3, MISSING, UNKNOWN, 2]  # a is more frequent than b


def test_one_column_a_level() -> None:
    codes, columns = learned(people()), learned(people(), one_hot=True)
    x, wide = codes.inputs(people()), columns.inputs(people())
    assert columns.cardinalities == ()
    narrow = x.shape[1] - len(codes.cardinalities)
    assert torch.equal(x[:, :narrow], wide[:, :narrow])
    at = narrow
    for i, k in enumerate(codes.cardinalities):
        assert torch.equal(wide[:, at : at + k].argmax(1), x[:, narrow + i].long())
        assert (wide[:, at : at + k].sum(1) == 1).all()
        at += k
    assert at == wide.shape[1] == columns.shape[0]


def test_dates_become_a_trend_and_cycles() -> None:
    frame = people().assign(since=pd.date_range("2020-01-01", periods=N, freq="13D"))
    made = learned(frame)
    (since,) = [column for column in made.columns if column.name == "since"]
    assert since.parts == ("trend", "month", "weekday")  # type: ignore[union-attr]
    span = dict(made.spans)["since"]
    x = made.inputs(frame)[:, list(span)]
    assert (x[1:, 0] > x[:-1, 0]).all()
    torch.testing.assert_close(x[:, 1] ** 2 + x[:, 2] ** 2, torch.ones(N))
    january, july = (
        made.inputs(frame.assign(since=pd.Timestamp(day)))[0, list(span)]
        for day in ("2020-01-06", "2020-07-06")
    )
    torch.testing.assert_close(january[1:3], -july[1:3], atol=1e-6, rtol=0)  # six months apart
    torch.testing.assert_close(january[3:], july[3:])  # both are Mondays


def test_a_file_may_hold_whole_numbers_as_decimals() -> None:
    frame = people().assign(grade=np.arange(N) % 4)
    table = make_table("t", frame, "answer", kinds={"grade": "category"})
    known = TablePreprocessing("classification", (), "answer", classes=table.classes)
    made = learn_table(known, table.frame, table.y, table.columns, [])
    assert torch.equal(made.inputs(frame), made.inputs(frame.assign(grade=frame.grade.astype(float))))
    assert torch.equal(made.inputs(frame), made.inputs(frame.assign(member=frame.member.astype(object))))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)),
            st.one_of(st.none(), st.text(max_size=3)),
            st.one_of(st.none(), st.dates().map(str)),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_any_rows_become_finite_numbers_and_known_codes(rows: list[tuple[Any, ...]]) -> None:
    made = learned(people()[["age", "city", "since", "answer"]])
    frame = pd.DataFrame(rows, columns=["age", "city", "since"])
    x = made.inputs(frame)
    assert x.shape == (len(rows), *made.shape)
    assert torch.isfinite(x).all()
    assert (x[:, 0].abs() <= 3).all()
    codes = x[:, -1]
    assert ((codes >= 0) & (codes < made.cardinalities[0])).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_nothing_depends_on_the_order_of_rows_or_columns(seed: int) -> None:
    frame = people()
    order = np.random.default_rng(seed).permutation(N)
    one, other = learned(frame), learned(frame.iloc[order].reset_index(drop=True))
    assert one == other
    assert torch.equal(one.inputs(frame)[order], one.inputs(frame.iloc[order][frame.columns[::-1]]))


def test_it_is_kept_as_json() -> None:
    for made in (learned(people()), learned(people(), one_hot=True, identifiers=("person_id",))):
        assert preparing_from_dict(json.loads(json.dumps(made.to_dict()))) == made


@pytest.mark.parametrize(
    "change",
    [
        {"columns": []},
        {"columns": [{"kind": "color"}]},
        {"one_hot": 1},
        {"classes": []},
        {"extra": 1},
        {"kind": 3},
    ],
)
def test_a_damaged_record_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidData, match="no preprocessing"):
        TablePreprocessing.from_dict({**learned(people()).to_dict(), **change})


def test_new_rows_that_do_not_fit() -> None:
    made = learned(people())
    with pytest.raises(InvalidData, match="lacks the columns age, city"):
        made.inputs(people().drop(columns=["age", "city"]))
    with pytest.raises(InvalidData, match="trained on a table"):
        made.inputs(np.zeros((2, 3)))  # type: ignore[arg-type]
    said: list[str] = []
    made.inputs(people().assign(city="Rome"), said)
    assert said == [
        "60 values of city were not among the levels learned, such as 'Rome': they count as unknown."
    ]
    many = people().assign(**{f"c{i}": np.array(["a", "b"])[np.arange(60) % 2] for i in range(9)})
    learned(many).inputs(many.assign(**{f"c{i}": "z" for i in range(9)}), told := list[str]())
    assert len(told) == 4
    assert told[-1] == "So do values of 6 other columns."


# Parts ----------------------------------------------------------------------------------------------------


def parts(table: Table, **options: Any) -> tuple[np.ndarray, ...]:
    return divide(
        len(table.y),
        name="t",
        seed=0,
        said=[],
        labels=table.y,
        groups=table.groups,
        times=table.times,
        **options,
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(6, 80), st.integers(0, 5), st.booleans(), st.booleans())
def test_parts_are_disjoint_and_leave_nothing_out(n: int, seed: int, by_group: bool, by_time: bool) -> None:
    r = np.random.default_rng(seed)
    groups = r.integers(0, 5, n) if by_group else None
    times = r.integers(0, 9, n).astype(float) if by_time and not by_group else None
    try:
        found = divide(
            n, name="t", seed=seed, said=[], labels=r.integers(0, 2, n), groups=groups, times=times
        )
    except InvalidData as error:
        assert "of one group" in str(error)  # noqa: PT017 - few groups may not be enough for three parts
        return
    assert sorted(np.concatenate(found).tolist()) == list(range(n))
    assert all(len(part) for part in found)
    if groups is not None:
        held = [set(groups[part].tolist()) for part in found]
        assert len(held[0] | held[1] | held[2]) == sum(map(len, held))
    if times is not None:
        train, select, report = (times[part] for part in found)
        assert train.max() <= select.min() <= select.max() <= report.min()


@pytest.mark.parametrize("limit", [2, 10, 30, 46, 47])
def test_a_limit_of_rows_in_groups(limit: int) -> None:
    groups, said = np.arange(60) % 5, list[str]()
    train, select, report = divide(60, name="t", seed=0, said=said, groups=groups, limit=limit)
    assert not {*groups[train]} & {*groups[select]}
    assert f"Only {len(train) + len(select)} of 48 training examples are used." in said
    assert len(report) == 12


def test_rows_without_a_group() -> None:
    frame = people().assign(home=[None, "a", "b", "c"] * 15)
    split = split_table(make_table("t", frame, "answer", group="home"), seed=0)
    assert "15 rows have no home: they stay together too." in split.said


def test_groups_and_times_at_once_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="give one of them"):
        make_table("t", people(), "answer", group="city", time="since")


def test_groups_and_times_of_a_table() -> None:
    frame = people().assign(household=np.arange(N) // 3)
    table = make_table("t", frame, "answer", group="household")
    assert "household" not in [c.name for c in table.columns]
    split = split_table(table, seed=0)
    assert any("whole groups" in line for line in split.said)
    ordered = make_table("t", frame.sample(frac=1, random_state=0), "answer", time="since")
    made = split_table(ordered, seed=0).preprocessing
    assert isinstance(made, TablePreprocessing)
    (since,) = [column for column in made.columns if column.name == "since"]
    assert "trend" not in since.parts  # type: ignore[union-attr]
    with pytest.raises(InvalidArgument, match="--group street"):
        make_table("t", frame, "answer", group="street")
    with pytest.raises(InvalidData, match="neither dates nor numbers"):
        make_table("t", frame, "answer", time="city")
    with pytest.raises(InvalidData, match="is missing in"):
        make_table("t", frame, "answer", time="age")


def test_only_the_training_rows_teach_the_encoding() -> None:
    frame = people(200)
    frame["age"] = np.arange(200.0)
    table = make_table("t", frame, "answer", kinds={"age": "number"})
    train, _, _ = parts(table)
    made = split_table(table, seed=0).preprocessing
    assert isinstance(made, TablePreprocessing)
    (age,) = [column for column in made.columns if column.name == "age"]
    assert age.centre == np.median(frame.age.to_numpy()[train])  # type: ignore[union-attr]


def test_a_file_of_its_own_to_report_on() -> None:
    table = make_table("t", people(), "answer", kinds={"city": "drop"})
    split = split_table(table, seed=0, test=as_test(table, "u", people(30, seed=1)))
    assert len(split.report.x) == 30
    assert len(split.train.x) + len(split.select.x) == N
    with pytest.raises(InvalidData, match="'maybe', which the training data never shows; known: no, yes"):
        as_test(table, "u", people().assign(answer=["maybe", "no"] * 30))
    with pytest.raises(InvalidArgument, match="no column answer, the target"):
        as_test(table, "u", people().drop(columns=["answer"]))


def test_a_file_to_report_on_may_be_small_and_lack_what_is_not_used() -> None:
    table = make_table("t", people(), "answer", kinds={"city": "drop"})
    few = people().assign(answer="yes").drop(columns=["city", "person_id"]).iloc[:1]
    split = split_table(table, seed=0, test=as_test(table, "u", few))
    assert split.report.x.shape == (1, *split.shape)
    assert split.report.y.tolist() == [1]


def test_a_file_to_report_on_is_read_as_the_training_rows_were() -> None:
    n = np.arange(60)
    frame = pd.DataFrame({"x": n % 7, "z": n % 11, "y": pd.Series([True, False, None] * 20, dtype=object)})
    table = make_table("t", frame, "y")
    assert table.classes == (False, True)  # a missing one beside them makes no text of truth values
    test = as_test(table, "u", pd.DataFrame({"x": [1, 2], "z": [1, 2], "y": [True, False]}))
    assert test.y.tolist() == [1, 0]
    codes = make_table("t", frame.assign(y=["01", "2", "b"] * 20), "y")
    assert as_test(codes, "u", frame.assign(y=[1, 2] * 30)).y[:2].tolist() == [0, 1]
    said = split_table(
        table, seed=0, test=as_test(table, "u.csv", frame.assign(x=["a", *map(str, n[1:])]))
    ).said
    assert "u.csv: 20 of 60 rows have no y and are left out." in said
    assert "1 of 40 values of x are no numbers, such as 'a': they count as missing." in said
    prices = make_table("t", frame.assign(y=n / 7), "y")
    assert as_test(prices, "u", frame.assign(y=["1.5"] * 60)).y[0] == [1.5]
    with pytest.raises(InvalidData, match="'cheap' in row 1, which is no number"):
        as_test(prices, "u", frame.assign(y="cheap"))


# Noticed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rare", ["fraud", 1000.5])
def test_where_nearly_all_answers_are_one_no_column_gives_it_away(rare: Any) -> None:
    r = np.random.default_rng(0)
    for seed in range(8):
        y = np.where(r.permutation(100) < 2, rare, "ok" if rare == "fraud" else 0.5)
        frame = pd.DataFrame({"x": r.normal(size=100), "z": r.normal(size=100), "y": y})
        table = make_table("t", frame, "y", task="classification" if rare == "fraud" else "regression")
        assert not [line for line in split_table(table, seed=seed).said if line.startswith("Look at")]


def test_many_classes_of_few_rows_bring_no_warning() -> None:
    r = np.random.default_rng(0)
    frame = pd.DataFrame({"x": r.normal(size=(100)), "z": r.normal(size=100), "y": r.integers(0, 30, 100)})
    split_table(make_table("t", frame.astype({"y": str}), "y", task="classification"), seed=0)


def test_a_column_that_gives_the_answer_away_is_said() -> None:
    frame = people(300)
    frame["told_on"] = np.where(frame.answer == "yes", "2024-01-01", None)
    frame["noise"] = np.random.default_rng(1).normal(size=300)
    said = split_table(make_table("t", frame, "answer"), seed=0).said
    assert [line for line in said if line.startswith("Look at")] == [
        "Look at told_on: alone it tells answer (balanced accuracy 1.000). If it is only known once answer is, "
        "leave it out: --drop told_on."
    ]
    numbers = people(300).assign(value=lambda f: f.age.fillna(1) * 2.5 + 1e-6 * np.arange(300))
    numbers["price"] = numbers.value / 1.19
    said = split_table(make_table("t", numbers, "price"), seed=0).said
    assert any(line.startswith("Look at value: alone it tells price (R2") for line in said)


def test_rows_in_two_parts_are_said() -> None:
    frame = pd.concat([people()] * 4, ignore_index=True).drop(columns=["person_id"])
    said = split_table(make_table("t", frame, "answer"), seed=0).said
    assert any("equal rows that are trained on" in line for line in said)
    said = split_table(make_table("t", people(240), "answer"), seed=0).said
    assert not any("equal rows" in line for line in said)


# Read otherwise -------------------------------------------------------------------------------------------


def learned_as(values: Any, kind: str) -> TablePreprocessing:
    frame = pd.DataFrame({"x": values, "z": np.arange(60) % 7, "y": ["a", "b"] * 30})
    made = split_table(make_table("t", frame, "y", kinds={"x": kind}), seed=0).preprocessing  # type: ignore[dict-item]
    assert isinstance(made, TablePreprocessing)
    return made


@pytest.mark.parametrize(
    ("trained", "new"),
    [
        (["01", "2", "b"], [1, 2]),  # where no letter stands in the column, pandas reads numbers
        ([1, 2, 3], ["01", "2"]),
        ([1.5, 2.0, 3.0], ["1.50", "2"]),
        (["1.0", "2.0", "b"], [1.0, 2.0]),
        ([True, False, None], ["TRUE", "false"]),
        (["true", "false", "perhaps"], [True, False]),
        ([1234567890123456, 1234567890123457, 5], [1234567890123456.0, 1234567890123457.0]),
    ],
)
def test_levels_are_met_again_as_they_are_read(trained: list[Any], new: list[Any]) -> None:
    made = learned_as(pd.Series(trained * 20, dtype=object).infer_objects(), "category")
    said: list[str] = []
    codes = made.inputs(pd.DataFrame({"x": new, "z": 0}), said)[:, -1].tolist()
    before = made.inputs(pd.DataFrame({"x": pd.Series(trained[:2], dtype=object), "z": 0}))[:, -1].tolist()
    assert codes == before
    assert min(codes) >= 2
    assert len(set(codes)) == 2
    assert said == []


def test_levels_that_are_read_alike_are_kept_apart() -> None:
    made = learned_as(["1", "01", "b"] * 20, "category")
    codes = made.inputs(pd.DataFrame({"x": ["1", "01", "001"], "z": 0}))[:, -1].tolist()
    assert codes[2] == UNKNOWN
    assert len(set(codes)) == 3


def test_new_numbers_and_dates_that_are_none_are_said() -> None:
    made = learned_as([f"{d:02d}.01.2020" for d in range(1, 31)] * 2, "date")
    new = pd.DataFrame({"x": ["01/05/2020", "05.01.2020", "2020-01-05"], "z": ["1", "two", "1"]})
    assert made.misread(new) == [
        "1 of 3 values of x are no dates written as %d.%m.%Y, such as '01/05/2020': they count as missing.",
        "1 of 3 values of z are no numbers, such as 'two': they count as missing.",
    ]
    dates = pd.DataFrame({"x": pd.to_datetime(["2020-01-05"]), "z": [1]})
    assert made.misread(dates) == []
    torch.testing.assert_close(made.inputs(dates), made.inputs(dates.assign(x="2020-01-05 00:00")))
    torch.testing.assert_close(made.inputs(dates), made.inputs(dates.assign(x="05.01.2020")))


def test_a_date_is_no_number() -> None:
    made = learned_as(np.arange(60.0), "number")
    dates = pd.DataFrame({"x": pd.to_datetime(["2020-01-05"]), "z": [1]})
    assert made.misread(dates)[0].startswith("1 of 1 values of x are no numbers")
    assert made.inputs(dates)[0, 0] == 0  # the median


def test_levels_met_equally_often_are_in_the_order_of_their_names() -> None:
    for order in (["b", "a", "c"], ["c", "b", "a"]):
        frame = pd.DataFrame({"x": order * 20})
        columns = [tell("x", frame.x)]
        known = TablePreprocessing("classification", (), "y", classes=("p", "q"))
        made = learn_table(known, frame, np.arange(60) % 2, columns, [])
        assert made.columns[0].levels == ("a", "b", "c")  # type: ignore[union-attr]


def test_among_few_rows_text_that_always_differs_is_no_identifier() -> None:
    assert tell("x", pd.Series([f"code{i}" for i in range(19)])).kind == "category"


def test_levels_that_only_rows_to_judge_by_have_are_said_once() -> None:
    frame = people().assign(city=[f"c{n // 3}" for n in range(N)])
    said = split_table(make_table("t", frame, "answer"), seed=0).said
    told = [line for line in said if "not among the levels learned" in line]
    assert len(told) == 1, told
    assert re.match(r"\d+ values? of city w", told[0])


def test_whole_questions_are_cut_in_a_list() -> None:
    question = "How often, if at all, did you drink tea in the last twelve months?"
    assert listed(["age", question]) == "age, How often, if at all, did you drink t..."


def test_keys_of_a_few_rows_each_are_left_out() -> None:
    keys = pd.Series([f"k{i // 2}" for i in range(24_000)], dtype="str")
    column = tell("customer", keys)
    assert (column.kind, column.why) == (
        "drop",
        "repeats too little: its 500 commonest values stand in 4.2 % of the rows",
    )
    assert tell("customer", pd.concat([keys, keys[:400].repeat(20)], ignore_index=True)).kind == "category"
