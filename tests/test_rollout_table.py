"""Every rollout as one row: what stands in it, and that files hold the same numbers."""

import csv
import io
import json
import math
import sys
from pathlib import Path
from typing import Any

import needs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gammatune
from gammatune.errors import InvalidArgument, JournalError, MissingExtra
from gammatune.journal.table import HEAD, MIDDLE, TAIL, Table, flatten
from gammatune.records import FLAT, Outcome, Shape
from gammatune.testing.fakes import FakeTraining
from gammatune.testing.quadratic import NoisyQuadratic, power_law
from gammatune.tuning.result import Result
from gammatune.tuning.tuner import Tuner


def run(training: FakeTraining | NoisyQuadratic | None = None, **options: Any) -> Result:
    given: dict[str, Any] = {"epochs": 3, "space": ["lr=1e-4:10:log"]}
    training = training or FakeTraining(examples=1000, steps=100)
    with Tuner(training=training, **(given | options)) as tuner:
        for one in tuner:
            one.advance()
            one.report(**one.evaluate())
    return tuner.result


def averaging() -> NoisyQuadratic:
    """Where averages of several trainings are worth their while."""
    return NoisyQuadratic(power_law(50), steps=40, noise=3.0)


def outcome(number: int = 0, **other: Any) -> Outcome:
    plain = {"epoch": 0, "values": {"lr": 0.1}, "status": "ok", "metrics": {"loss": 1.0}, "score": 1.0}
    plain |= {"steps": 5, "trained": 10, "evaluated": 3, "seconds": 0.1}
    return Outcome(number=number, **(plain | other))


def read_back(text: str, table: Table) -> list[dict[str, Any]]:
    """CSV as the kinds of its columns say."""
    rows = []
    for written, row in zip(csv.DictReader(io.StringIO(text)), table, strict=True):
        assert list(written) == list(table.columns)
        kinds = {name: type(value) for name, value in row.items()}
        plain = {
            name: None
            if kinds[name] is type(None)
            else cell == "True"
            if kinds[name] is bool
            else kinds[name](cell)
            for name, cell in written.items()
        }
        assert all(row[name] is not None or cell == "" for name, cell in written.items())
        rows.append(plain)
    return rows


# -- what stands in it


def test_the_course_its_decisions_and_its_origins() -> None:
    result = run()
    table = result.table()
    assert [row["number"] for row in table] == list(range(len(result.rollouts)))
    assert [row["number"] for row in table if row["kept"]] == [o.number for o in result.course]
    course = [row for row in table if row["role"] == "course"]
    searched = [row for row in table if row["role"] != "course"]
    # one decision an epoch, the search belongs to the first
    assert [row["decision"] for row in course] == [0, 1, 2]
    assert {row["decision"] for row in searched} == {0}
    # rollouts of the search begin where the training began, every epoch where the one before ended
    assert {row["origin"] for row in searched} == {-1}
    assert [row["origin"] for row in course] == [-1, course[0]["number"], course[1]["number"]]
    assert all(row["epochs"] == 1 for row in course)
    assert all(row["batches"] == row["planned"] for row in table)
    knots = [json.loads(row["shape"]) for row in course]
    assert [Shape(tuple(map(tuple, k))) for k in knots] == [o.shape for o in result.course]  # type: ignore[arg-type]


def test_the_candidates_of_greedy_belong_to_their_epoch() -> None:
    table = run(policy="greedy", budget=2, sampler="random").table()
    assert [(row["epoch"], row["decision"]) for row in table[:6]] == [(e, e) for e in (0, 0, 1, 1, 2, 2)]
    kept = [row["number"] for row in table if row["kept"]]
    assert [row["origin"] for row in table[2:4]] == [kept[0]] * 2


def test_members_name_their_average() -> None:
    result = run(averaging(), budget=9, epochs=4, objective="log-loss")
    table = result.table()
    averages = [row for row in table if row["kept"]]
    assert len(averages) == 4
    (role,) = {row["role"] for row in averages}
    assert role.startswith("walk ")
    for row in averages:
        members = [one for one in table if one["member_of"] == row["number"]]
        assert len(members) > 1
        assert row["origin"] == members[-1]["number"]
        assert len({one["origin"] for one in members}) == 1
        assert all(one["score"] is None and one["status"] == "ok" for one in members)


def test_a_name_of_a_column_is_not_taken_twice() -> None:
    values = {"lr": 0.1, "epoch": 2, "value.epoch": 3}
    table = flatten([outcome(values=values, metrics={"lr": 1.0, "seconds": 2.0, "loss": 3.0})], [], {}, [])
    assert len(set(table.columns)) == len(table.columns)
    (row,) = table
    assert (row["epoch"], row["value.value.epoch"], row["value.epoch"]) == (0, 2, 3)
    assert (row["lr"], row["metric.lr"], row["metric.seconds"], row["loss"]) == (0.1, 1.0, 2.0, 3.0)


def test_what_one_rollout_has_and_another_has_not() -> None:
    one, two = outcome(0), outcome(1, values={"batch_size": 32}, metrics={}, score=None, status="diverged")
    table = flatten([one, two], [one], {}, [1])
    assert table.columns == (*HEAD, "lr", "batch_size", *MIDDLE, "loss", *TAIL)
    assert all(tuple(row) == table.columns for row in table)
    assert (table[1]["lr"], table[1]["loss"], table[1]["score"], table[1]["decision"]) == (None,) * 4
    assert table[0]["planned"] is None, "nobody counted"
    assert flatten([], [], {}, []).columns == (*HEAD, *MIDDLE, *TAIL)


# -- the same from a journal


def test_a_journal_tells_the_same(tmp_path: Path) -> None:
    result = run(averaging(), budget=9, objective="log-loss", run_dir=str(tmp_path / "run"))
    assert gammatune.rollouts(tmp_path / "run") == result.table()
    assert gammatune.rollouts(tmp_path / "run" / "journal.jsonl").columns == result.table().columns


@pytest.mark.parametrize("journal", sorted((Path(__file__).parent / "assets").glob("**/*.jsonl")))
def test_old_journals_have_no_origins_and_all_else(journal: Path) -> None:
    table = gammatune.rollouts(journal)
    assert table
    assert {row["origin"] for row in table} == {None}
    kept = [row for row in table if row["kept"]]
    assert kept
    assert all(row["decision"] is not None for row in kept)


def test_no_run_there(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="there is no run"):
        gammatune.rollouts(tmp_path)


# -- written and read back

numbers = st.floats(allow_nan=False) | st.sampled_from([math.inf, -math.inf, 5e-324, 0.1 + 0.2])


@given(
    st.lists(
        st.tuples(numbers, st.integers(-5, 5) | st.none(), st.text(st.characters(codec="utf-8")), numbers),
        max_size=5,
    )
)
def test_csv_read_back_gives_the_same(drawn: list[tuple[float, int | None, str, float]]) -> None:
    rollouts = [
        outcome(number, values={"lr": lr}, origin=origin, note=note.replace("\r", ""), metrics={"loss": loss})
        for number, (lr, origin, note, loss) in enumerate(drawn)
    ]
    table = flatten(rollouts, rollouts[:1], {}, [1])
    assert read_back(table.to_csv(), table) == list(table)


def test_every_file_holds_the_same(tmp_path: Path) -> None:
    pandas = needs.package("pandas")
    needs.package("pyarrow")
    odd = [
        outcome(1000, metrics={"loss": math.nan, "own": math.inf}, status="diverged", score=None, note='a "b",\nc'),
        outcome(1001, values={"lr": 1 / 3, "kind": "sgd"}),
    ]  # fmt: skip
    for number, table in enumerate(
        [run(budget=9).table(), flatten(odd, [], {}, []), flatten([], [], {}, [])]
    ):
        for ending in ("csv", "CSV", "jsonl", "parquet"):
            table.save(tmp_path / f"{number}.{ending}")
        frame = table.to_pandas()
        assert list(frame) == list(table.columns)
        assert frame["origin"].dtype == frame["member_of"].dtype == "Int64"
        for back in (
            pandas.read_parquet(tmp_path / f"{number}.parquet"),
            pandas.read_csv(tmp_path / f"{number}.csv"),
            pandas.read_csv(tmp_path / f"{number}.CSV"),
        ):
            assert list(back) == list(table.columns)
            for name in ("lr", "score", "loss", "seconds", "trained"):
                if name in frame:
                    one, two = back[name].astype(float), frame[name].astype(float)
                    pandas.testing.assert_series_equal(one, two, rtol=1e-14)
        lines = [json.loads(line) for line in (tmp_path / f"{number}.jsonl").read_text().splitlines()]
        assert [line["number"] for line in lines] == [row["number"] for row in table]
    told = json.loads((tmp_path / "1.jsonl").read_text().splitlines()[0])
    assert (told["loss"], told["own"], told["kept"], told["note"]) == ("nan", "inf", False, 'a "b",\nc')


def test_a_column_of_numbers_and_words_is_written_as_words(tmp_path: Path) -> None:
    pandas = needs.package("pandas")
    table = flatten([outcome(values={"size": 32}), outcome(1, values={"size": "own"})], [], {}, [])
    table.save(tmp_path / "a.parquet")
    assert list(pandas.read_parquet(tmp_path / "a.parquet")["size"]) == ["32", "own"]


def test_another_ending_is_refused_and_missing_packages_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = flatten([outcome(shape=FLAT)], [], {}, [])
    with pytest.raises(InvalidArgument, match=r"\.csv, \.jsonl or \.parquet"):
        table.save(tmp_path / "a.xlsx")
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"pandas .*gammatune\[tables\]"):
        table.to_pandas()
    with pytest.raises(MissingExtra, match=r"pyarrow .*gammatune\[tables\]"):
        table.save(tmp_path / "a.parquet")
    assert not (tmp_path / "a.parquet").exists()


# -- the command


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from gammatune.cli.app import main

    table = run(run_dir=str(tmp_path / "run")).table()

    def said(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["gammatune", "rollouts", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return captured.out if not ended.value.code else f"{ended.value.code}: {captured.err}"

    assert said(str(tmp_path / "run")) == table.to_csv()
    out = tmp_path / "out.csv"
    assert said(str(tmp_path / "run"), "--out", str(out)) == (
        f"{out}: {len(table)} rollouts, {len(table.columns)} columns\n"
    )
    assert out.read_text() == table.to_csv()
    assert "end it in .csv" in said(str(tmp_path / "run"), "--out", "table.txt")
    assert "there is no run" in said(str(tmp_path))
