"""Tables: what columns are, how they are encoded, how rows are split, what is noticed."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gammatune.data.columns import kinds_asked, tell
from gammatune.data.split import divide
from gammatune.data.table import Table, as_test, make_table, split_table
from gammatune.data.table_preprocessing import (
    MISSING,
    UNKNOWN,
    TablePreprocessing,
    learn_table,
    preparing_from_dict,
)
from gammatune.errors import InvalidArgument, InvalidData

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
    assert tell(name, pd.Series(values), []).kind == kind


def test_a_date_that_can_be_read_two_ways_is_said() -> None:
    said: list[str] = []
    assert tell("day", pd.Series(["01/02/2020", "03/04/2020"] * 10), said).format == "%m/%d/%Y"
    assert "day/month/year would fit" in said[0]
    assert tell("day", pd.Series(["01/02/2020", "25/04/2020"] * 10), said).format == "%d/%m/%Y"
    assert len(said) == 1


def test_kinds_asked_for() -> None:
    assert kinds_asked(["a=b=number"], ["c"]) == {"a=b": "number", "c": "drop"}
    with pytest.raises(InvalidArgument, match="write NAME=number"):
        kinds_asked(["age"], [])


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
    with pytest.raises(InvalidData, match="was to be a number"):
        make_table("t", frame, "answer", kinds={"city": "number"})


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


def test_the_task_can_be_said() -> None:
    frame = pd.DataFrame({"x": np.arange(20) % 7, "y": [1, 2] * 10})
    assert make_table("t", frame, "y", task="regression").task == "regression"
    with pytest.raises(InvalidData, match="must hold numbers"):
        make_table("t", frame.assign(y=["a", "b"] * 10), "y", task="regression")


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
    return learn_table(
        table.frame,
        table.y,
        task=table.task,
        columns=table.columns,
        target="answer",
        classes=table.classes,
        **options,
    )


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
    made = learn_table(
        table.frame,
        table.y,
        task="classification",
        columns=table.columns,
        target="answer",
        classes=table.classes,
    )
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
    table, other = make_table("t", people(), "answer"), make_table("u", people(30, seed=1), "answer")
    split = split_table(table, seed=0, test=as_test(table, other))
    assert len(split.report.x) == 30
    assert len(split.train.x) + len(split.select.x) == N
    with pytest.raises(InvalidData, match="never shows"):
        as_test(table, make_table("u", people().assign(answer=["maybe", "no"] * 30), "answer"))
    fewer = make_table("u", people().assign(answer=["yes", "no"] * 30).iloc[:40], "answer")
    assert as_test(table, fewer).classes == table.classes


# Noticed --------------------------------------------------------------------------------------------------


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
