"""The journal: append, replay, and what happens to damaged files."""

import json
import math
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammatune.errors import GammatuneError, JournalError
from gammatune.journal import FILE, Journal, begin_event, replay, rollout_event, text_of
from gammatune.records import Outcome
from gammatune.testing.fakes import FakeTraining
from gammatune.tuner import Tuner

BEGIN = text_of(
    begin_event(
        seed=0,
        epochs=1,
        budget=2.0,
        policy="greedy",
        sampler="gamma",
        objective="kappa",
        space=["lr=0:1"],
        facts={},
    )
)


def journal_of(directory: Path) -> Path:
    return directory / FILE


def run(directory: Path, **options: Any) -> Tuner:
    given: dict[str, Any] = {"epochs": 2, "budget": 3, "policy": "greedy", "sampler": "random"}
    training = FakeTraining(examples=400, steps=20)
    tuner = Tuner(training=training, run_dir=str(directory), space=["lr=1e-4:1:log"], **(given | options))
    with tuner:
        for one in tuner:
            one.advance()
            one.report(**one.evaluate())
    return tuner


@pytest.mark.parametrize(
    "options",
    [{}, {"policy": "once"}, {"policy": "lookahead", "budget": 1.5}, {"policy": "lookahead", "budget": 9}],
)
def test_replay_gives_the_result_back(tmp_path: Path, options: dict[str, Any]) -> None:
    tuner = run(tmp_path / "run", seed=7, **options)
    story = replay(tmp_path / "run")
    assert tuple(story.rollouts) == tuner.result.rollouts
    assert tuple(story.course) == tuner.result.course
    assert tuple(story.verdicts) == tuner.result.verdicts
    assert story.schedule == tuner.result.schedule
    assert story.begin["seed"] == 7
    assert story.begin["space"] == ["lr=0.0001:1.0:log"]
    assert story.end is not None
    assert story.end["how"] == "complete"
    assert story.end["plain_runs"] == tuner.cost.plain_runs
    assert not story.torn


def test_a_second_run_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(JournalError, match="already holds a run"):
        run(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"sampler": "magic"},
        {"epochs": 0},
        {"budget": 1.5},
        {"facts": {"what": object()}},
        {"objective": "joy"},
    ],
)
def test_a_run_that_is_refused_leaves_nothing(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(GammatuneError):
        run(tmp_path / "run", **wrong)
    assert not (tmp_path / "run").exists()
    run(tmp_path / "run")


def test_every_event_is_on_disk_when_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files: list[int] = []  # their lengths
    directories: list[int] = []  # their inodes

    def sync(handle: int) -> None:
        held = os.fstat(handle)
        if stat.S_ISDIR(held.st_mode):
            directories.append(held.st_ino)
        else:
            files.append(held.st_size)

    monkeypatch.setattr(os, "fsync", sync)
    with Journal(tmp_path / "new" / "run") as journal:
        journal.append({"event": "note", "text": "one"})
        assert len(files) == 1
        journal.append({"event": "note", "text": "two"})
    sizes = [
        len(line) for line in journal_of(tmp_path / "new" / "run").read_bytes().splitlines(keepends=True)
    ]
    assert files == [sizes[0], sum(sizes)]
    # the names of the file and of both new directories
    assert {place.stat().st_ino for place in (tmp_path, tmp_path / "new", tmp_path / "new" / "run")} == set(
        directories
    )


def test_facts_may_hold_numpy_numbers_and_paths(tmp_path: Path) -> None:
    import numpy as np

    facts = {"n": np.int64(3), "x": np.float32(0.5), "flag": np.bool_(True), "path": tmp_path, 5: (1, None)}
    run(tmp_path / "run", facts=facts, epochs=np.int64(1), budget=np.float64(2))
    assert replay(tmp_path / "run").begin["facts"] == {
        "n": 3,
        "x": 0.5,
        "flag": True,
        "path": str(tmp_path),
        "5": [1, None],
    }


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JournalError, match="cannot write a journal"):
        Journal(tmp_path / "file" / "run").append({"event": "note", "text": "first"})


def test_a_run_that_failed_says_how_it_ended(tmp_path: Path) -> None:
    tuner = Tuner(training=FakeTraining(), epochs=2, space=["lr=1e-4:1:log"], run_dir=str(tmp_path))
    with pytest.raises(KeyError), tuner:
        for one in tuner:
            one.advance()
            one.report(**one.evaluate())
            if one.number == 2:
                raise KeyError("mine")
    story = replay(tmp_path)
    assert story.end is not None
    assert story.end["how"] == "failed: KeyError"
    assert len(story.rollouts) == 2  # the run the error interrupted was not told


def test_a_torn_last_line_is_left_out_and_said(tmp_path: Path) -> None:
    run(tmp_path)
    path = tmp_path / FILE
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in (1, len(lines[-1]) // 2, len(lines[-1]) - 1):
        path.write_bytes(whole[: len(whole) - len(lines[-1]) + cut])
        story = replay(tmp_path)
        assert story.torn
        assert story.end is None
        assert len(story.rollouts) == 6


def test_damage_in_the_middle_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    run(tmp_path)
    path = tmp_path / FILE
    lines = path.read_text().splitlines(keepends=True)
    lines[3] = lines[3][:20] + "\n"
    path.write_text("".join(lines))
    with pytest.raises(JournalError, match="line 4"):
        replay(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no event yet"),
        ('{"event":"begin","format":99}\n', "format 99"),
        (BEGIN + '{"event":"dance"}\n', "'dance' is not known"),
        ('{"event":"begin","format":1,"seed":0}\n{}\n', "lacks epochs"),
        ("[]\n[]\n", "line 1"),
    ],
)
def test_files_that_are_no_journal(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(JournalError, match=message):
        replay(tmp_path)


def test_no_run_there(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="there is no run"):
        replay(tmp_path / "nothing")


@given(st.binary(max_size=200))
def test_any_bytes_give_a_story_or_a_clear_error(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / FILE
        path.write_bytes(BEGIN.encode() + content)
        with suppress(GammatuneError):  # any other exception fails the test
            assert replay(path).begin["format"] == 2


@given(
    score=st.one_of(st.none(), st.floats(allow_nan=False)),
    loss=st.floats(),
    lr=st.floats(1e-300, 1e300),
    note=st.text(),
)
def test_every_number_survives(score: float | None, loss: float, lr: float, note: str) -> None:
    import tempfile

    told = Outcome(0, 0, {"lr": lr, "batch_size": 32}, "ok", {"loss": loss}, score, 1, 2, 3, 0.5, note)
    with tempfile.TemporaryDirectory() as directory:
        with Journal(directory) as journal:
            journal.append(json.loads(BEGIN))
            journal.append(rollout_event(told))
        for line in (Path(directory) / FILE).read_text().splitlines():
            json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
        (back,) = replay(directory).rollouts
    assert back.values == told.values
    assert back.score == told.score
    assert back.note == note
    assert back.metrics["loss"] == loss or (math.isnan(back.metrics["loss"]) and math.isnan(loss))


def test_a_journal_of_the_first_format_is_read_for_ever() -> None:
    """A file kept as it was written; tomorrow's code must tell the same story."""
    story = replay(Path(__file__).parent / "assets" / "journal-format-1.jsonl")
    assert len(story.rollouts) == 6
    assert [round(float(o.values["lr"]), 6) for o in story.course] == story.begin["facts"][
        "expected_schedule"
    ]
    assert story.end is not None
    assert story.end["how"] == "complete"


JOURNALS = Path(__file__).parent / "assets" / "journals"


@pytest.mark.parametrize("name", sorted(path.name for path in JOURNALS.glob("*.jsonl")))
def test_journals_of_older_versions_tell_what_they_told_those(name: str) -> None:
    """Written by the commits that ended the first two parts of the work, and read by them: expected.json."""
    expected = json.loads((JOURNALS / "expected.json").read_text())[name]
    story = replay(JOURNALS / name)
    assert story.end is not None
    assert story.report is not None
    assert {
        "rollouts": len(story.rollouts),
        "course": [outcome.number for outcome in story.course],
        "rates": [values["lr"] for values in story.schedule],
        "verdicts": len(story.verdicts),
        "members": {str(n): [o.number for o in joined] for n, joined in story.members.items()},
        "trained": story.end["trained"],
        "how": story.end["how"],
        "accuracy": story.report["accuracy"],
    } == expected
    assert story.answers == [[]] * (len(story.rollouts) + len(story.verdicts) + 1)
    assert story.states == {}
