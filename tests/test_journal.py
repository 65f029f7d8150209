"""The journal: append, replay, and what happens to damaged files."""

import errno
import json
import math
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import needs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammatune.errors import GammatuneError, JournalError, JournalWarning
from gammatune.journal.events import (
    Repeat,
    State,
    begin_event,
    commit_event,
    gone_event,
    note_event,
    repeat_event,
    resume_event,
    rollout_event,
    state_event,
    text_of,
)
from gammatune.journal.fields import OUTCOME
from gammatune.journal.history import FILE, Story, replay
from gammatune.journal.writer import Journal
from gammatune.records import Outcome, Verdict
from gammatune.testing.fakes import FakeTraining
from gammatune.tuning.tuner import Tuner

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


def test_another_run_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(JournalError, match="holds another run: it was begun with seed=0, and seed=1"):
        run(tmp_path, seed=1)
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


def test_every_field_of_an_outcome_is_looked_at() -> None:
    assert set(OUTCOME) == {field.name for field in fields(Outcome)}


# Going on with a run --------------------------------------------------------------------------------------

JOURNAL = (JOURNALS / "second-lookahead.jsonl").read_bytes()
FIRST_LINE = JOURNAL.index(b"\n") + 1
NO_SYNC = pytest.mark.usefixtures(
    "unsynced"
)  # of thousands of journals, each of which would wait for the disk


@pytest.fixture
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def outcome(number: int, score: float | None = 0.5) -> Outcome:
    return Outcome(number, 0, {"lr": 0.1}, "ok", {"loss": 0.25}, score, 1, 2, 3, 0.5)


def test_a_new_run_has_no_past(tmp_path: Path) -> None:
    with Journal(tmp_path / "run", resume=True) as journal:
        assert journal.past is None
        assert not journal.torn
        journal.refuse_to_continue()  # there is nothing to refuse
        journal.append(json.loads(BEGIN))
    assert replay(tmp_path / "run").begin["policy"] == "greedy"


def test_going_on_writes_behind_what_is_there(tmp_path: Path) -> None:
    tuner = run(tmp_path)
    before = journal_of(tmp_path).read_bytes()
    with Journal(tmp_path, resume=True) as journal:
        assert journal.past is not None
        assert tuple(journal.past.rollouts) == tuner.result.rollouts
        assert not journal.torn
        assert journal_of(tmp_path).read_bytes() == before  # looking back changes nothing
        journal.append(resume_event({"torch": "9.9"}))
    after = journal_of(tmp_path).read_bytes()
    assert after.startswith(before)
    story = replay(tmp_path)
    assert story.end is None
    assert [one["facts"] for one in story.resumes] == [{"torch": "9.9"}]


def test_who_cannot_go_on_refuses_and_lets_go(tmp_path: Path) -> None:
    run(tmp_path)
    journal = Journal(tmp_path, resume=True)
    with pytest.raises(JournalError, match="already holds a run; give another run directory"):
        journal.refuse_to_continue()
    Journal(tmp_path, resume=True).close()  # not locked any more


@NO_SYNC
def test_a_journal_cut_off_anywhere_is_gone_on_with(tmp_path: Path) -> None:
    """After every byte: what stands in whole lines is kept, the rest is cut away before anything is written."""
    note = text_of(note_event("on")).encode()
    for cut in [*range(0, FIRST_LINE + 1, 97), *range(FIRST_LINE, len(JOURNAL), 7), len(JOURNAL)]:
        journal_of(tmp_path).write_bytes(JOURNAL[:cut])
        whole = JOURNAL[: JOURNAL.rfind(b"\n", 0, cut) + 1]
        with Journal(tmp_path, resume=True) as journal:
            assert (journal.past is None) == (not whole)
            assert journal.torn == (len(whole) < cut)
            assert journal_of(tmp_path).read_bytes() == JOURNAL[:cut]
            if whole:
                assert journal.past is not None
                assert len(journal.past.rollouts) == whole.count(b'"event":"rollout"')
                journal.append(note_event("on"))
            else:
                journal.append(json.loads(BEGIN))
        assert journal_of(tmp_path).read_bytes() == (whole + note if whole else BEGIN.encode())


@pytest.mark.parametrize("tail", [b"\0\0\0\0", b'{"event":"no', b"\xff\xfe", b"\0" * 50 + b"\n", b"\n"])
def test_what_a_power_cut_leaves_behind_the_last_event_is_cut_away(tmp_path: Path, tail: bytes) -> None:
    journal_of(tmp_path).write_bytes(JOURNAL + tail)
    assert replay(tmp_path).torn
    with Journal(tmp_path, resume=True) as journal:
        assert journal.torn
        journal.append(note_event("on"))
    assert journal_of(tmp_path).read_bytes() == JOURNAL + text_of(note_event("on")).encode()
    assert not replay(tmp_path).torn


@pytest.mark.parametrize("content", [b"\n", b"my shopping list\n", b"{}\n", b"[]\n", b'{"event":"end"}\n'])
def test_a_file_that_is_no_journal_is_never_written_over(tmp_path: Path, content: bytes) -> None:
    journal_of(tmp_path).write_bytes(content)
    for _ in range(2):  # the lock is free again after a refusal
        with pytest.raises(JournalError, match="line 1"):
            Journal(tmp_path, resume=True)
    assert journal_of(tmp_path).read_bytes() == content


def test_a_newer_format_is_refused_with_advice(tmp_path: Path) -> None:
    journal_of(tmp_path).write_text(BEGIN.replace('"format":2', '"format":3') + '{"event":"dance"}\n')
    for refuse in (replay, lambda run: Journal(run, resume=True)):
        with pytest.raises(
            JournalError, match="format 3, and this gammatune reads formats 1 to 2; read it with"
        ):
            refuse(tmp_path)


@pytest.mark.parametrize("wrong", ["0", "-1", "true", "1.5", '"2"', "null", "[2]"])
def test_a_format_that_is_none_is_damage(tmp_path: Path, wrong: str) -> None:
    journal_of(tmp_path).write_text(BEGIN.replace('"format":2', f'"format":{wrong}'))
    with pytest.raises(JournalError, match="line 1"):
        replay(tmp_path)


@pytest.mark.parametrize("name", sorted(path.name for path in JOURNALS.glob("*.jsonl")))
def test_lines_that_are_missing_or_doubled_are_not_believed(tmp_path: Path, name: str) -> None:
    lines = (JOURNALS / name).read_bytes().splitlines(keepends=True)
    for place, line in enumerate(lines):
        kind = json.loads(line)["event"]
        if kind in ("commit", "report"):  # the same one again changes nothing
            continue
        damaged = [lines[: place + 1] + lines[place:]]
        if kind == "rollout" and b'"event":"rollout"' in lines[place + 1]:  # whose number tells
            damaged.append(lines[:place] + lines[place + 1 :])
        for found in damaged:
            journal_of(tmp_path).write_bytes(b"".join(found))
            with pytest.raises(JournalError, match="is not an event"):
                replay(tmp_path)


# Events ---------------------------------------------------------------------------------------------------


def written(directory: Path, *events: dict[str, Any]) -> Story:
    with Journal(directory) as journal:
        for event in (json.loads(BEGIN), *events):
            journal.append(event)
    return replay(directory)


def test_states_come_and_go(tmp_path: Path) -> None:
    first, second = State(-1, "a.pt", "ab" * 32), State(0, "b.pt", "cd" * 32, "ef" * 8)
    again = State(0, "c.pt", "12" * 32)
    told = [state_event(first), rollout_event(outcome(0)), state_event(second)]
    assert written(tmp_path / "1", *told).states == {-1: first, 0: second}
    assert written(tmp_path / "2", *told, gone_event(-1)).states == {0: second}
    assert written(tmp_path / "3", *told, state_event(again)).states == {-1: first, 0: again}
    assert written(tmp_path / "4", *told, gone_event(7)).states == {
        -1: first,
        0: second,
    }  # twice deleted is deleted


@pytest.mark.parametrize(
    "wrong",
    [
        {"file": "../weights.pt"},
        {"file": "/etc/passwd"},
        {"file": "C:x"},
        {"file": ".."},
        {"file": ""},
        {"file": 3},
        {"sha256": "not hex"},
        {"sha256": None},
        {"after": -2},
        {"after": True},
        {"after": 0.0},
        {"digest": 5},
        {"more": 1},
    ],
)
def test_a_state_lies_beside_the_journal_and_nowhere_else(tmp_path: Path, wrong: dict[str, Any]) -> None:
    event = state_event(State(0, "a.pt", "ab" * 32))
    with pytest.raises(JournalError, match="line 2"):
        written(tmp_path, event | wrong)


def test_repeats_are_no_rollouts(tmp_path: Path) -> None:
    repeat = Repeat(rollout=0, trained=10, evaluated=5, seconds=0.25, same=False)
    story = written(tmp_path, rollout_event(outcome(0)), repeat_event(repeat))
    assert story.repeats == [repeat]
    assert story.rollouts == [outcome(0)]


def test_answers_and_the_time_that_passed(tmp_path: Path) -> None:
    verdict = Verdict("the only one", {})
    end = {"event": "end", "how": "interrupted", "trained": 2, "evaluated": 3, "seconds": 0.5}
    end |= {"plain_runs": None, "plain_epochs": None}
    told = [
        rollout_event(outcome(0), {"asked": [math.inf, 12.5], "elapsed": 1.0, "spent": 0.5}),
        commit_event([outcome(0)], 1, verdict, {}, {"asked": [], "elapsed": 1.5}),
        end | {"asked": [3.0], "elapsed": 2.0},
    ]
    story = written(tmp_path / "ended", *told)
    assert story.answers == [[math.inf, 12.5], [], [3.0]]
    assert (story.elapsed, story.spent) == (2.0, 0.5)  # what an older journal does not say stands as it was
    assert story.rollouts == story.course == [outcome(0)]
    assert story.end is not None
    # Who goes on asks again what was asked between the last event and the end.
    story = written(
        tmp_path / "gone on with", *told, resume_event({}), rollout_event(outcome(1), {"asked": [2.0]})
    )
    assert story.answers == [[math.inf, 12.5], [], [2.0]]
    assert story.elapsed == 2.0
    assert story.end is None


@pytest.mark.parametrize(
    "wrong", [{"asked": [None]}, {"asked": 3}, {"asked": ["1"]}, {"elapsed": "nan"}, {"spent": "1"}]
)
def test_a_clock_that_says_no_numbers_is_damage(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(JournalError, match="line 2"):
        written(tmp_path, rollout_event(outcome(0)) | wrong)


def test_nothing_follows_an_end_but_a_resume(tmp_path: Path) -> None:
    end = {"event": "end", "how": "complete", "trained": 2, "evaluated": 3, "seconds": 0.5}
    end |= {"plain_runs": None, "plain_epochs": None}
    with pytest.raises(JournalError, match="after the end"):
        written(tmp_path / "1", end, rollout_event(outcome(0)))
    with pytest.raises(JournalError, match="after the end"):
        written(tmp_path / "2", end, end)
    story = written(tmp_path / "3", end, resume_event({}), rollout_event(outcome(0)), end)
    assert story.end is not None
    assert len(story.rollouts) == 1


def test_a_clock_on_the_wall_that_goes_backwards_changes_nothing(tmp_path: Path) -> None:
    run(tmp_path)
    lines = [json.loads(line) for line in journal_of(tmp_path).read_text().splitlines()]
    lines.insert(4, resume_event({}))
    told = []
    for clock in (lambda place: 2030 + place, lambda place: 2030 - place):
        for place, event in enumerate(lines):
            event["time"] = f"{clock(place)}-01-01T00:00:00+00:00"
            if event["event"] not in ("begin", "resume"):
                del event["time"]
        journal_of(tmp_path).write_text("".join(map(text_of, lines)))
        story = replay(tmp_path)
        story.begin.pop("time")
        story.resumes[0].pop("time")
        told.append(story)
    assert told[0] == told[1]


# A disk that cannot be written ----------------------------------------------------------------------------


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Files end at `size` bytes: the kernel takes the part of a write that fits, and refuses the rest."""
    resource = needs.package("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def begun(directory: Path) -> Journal:
    journal = Journal(directory)
    journal.append(json.loads(BEGIN))
    return journal


def quiet_notes(journal: Journal, texts: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JournalWarning)
        for text in texts:
            journal.append(note_event(text))


def test_a_full_disk_is_said_once_and_written_when_there_is_room(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    journal.append(note_event("before"))
    size = journal_of(tmp_path).stat().st_size
    with disk_of(size + 10):  # half a line fits
        with pytest.warns(JournalWarning, match=r"cannot write .* the training goes on") as said:
            for text in ("one", "two", "three"):
                journal.append(note_event(text))
        assert len(said) == 1
        assert journal.pending == 3
        assert replay(tmp_path).notes == ["before"]  # what a reader meets meanwhile is no damage
    journal.append(note_event("four"))
    assert journal.pending == 0
    notes = replay(tmp_path).notes
    assert notes[:5] == ["before", "one", "two", "three", "four"]
    assert len(notes) == 6
    assert "could not be written for a while" in notes[5]
    journal.close()
    assert not replay(tmp_path).torn


def test_every_outage_is_said(tmp_path: Path) -> None:
    with begun(tmp_path) as journal:
        for _ in range(2):
            with disk_of(journal_of(tmp_path).stat().st_size), pytest.warns(JournalWarning):
                journal.append(note_event("kept"))
            journal.append(note_event("written"))
    assert replay(tmp_path).notes.count("kept") == 2


def test_closing_tries_again(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    with disk_of(journal_of(tmp_path).stat().st_size):
        quiet_notes(journal, ["one", "two"])
    journal.close()
    assert replay(tmp_path).notes[:2] == ["one", "two"]


def test_what_is_lost_in_the_end_is_counted(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    with disk_of(journal_of(tmp_path).stat().st_size):
        quiet_notes(journal, ["one", "two"])
        with pytest.warns(JournalWarning, match="the last 2 events of the run are lost"):
            journal.close()
        journal.close()  # nothing more to say
    with Journal(tmp_path, resume=True) as again:  # and nothing is left locked
        assert again.past is not None
        assert again.past.notes == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.EIO, errno.ENOSPC, errno.ESTALE, errno.EDQUOT])
def test_whatever_the_system_says_the_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Written, but not made durable: it may be on disk or not, and must stand there once."""
    journal = begun(tmp_path)
    sync, broken = os.fsync, True

    def fsync(handle: int) -> None:
        if broken:
            raise OSError(number, os.strerror(number))
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.warns(JournalWarning, match=os.strerror(number)):
        journal.append(note_event("one"))
    quiet_notes(journal, ["two"])
    assert journal.pending == 2
    broken = False
    journal.append(note_event("three"))
    journal.close()
    assert replay(tmp_path).notes[:3] == ["one", "two", "three"]
    assert len(replay(tmp_path).notes) == 4


def test_a_run_directory_that_is_gone(tmp_path: Path) -> None:
    journal = begun(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "moved")
    journal.append(note_event("one"))  # the file is open, whatever it is called now
    assert replay(tmp_path / "moved").notes == ["one"]
    journal_of(tmp_path / "moved").unlink()
    with pytest.warns(JournalWarning, match="has been removed"):
        journal.append(note_event("two"))
    # What stands in its place is not ours to write into, whoever put it there.
    (tmp_path / "run").mkdir()
    journal_of(tmp_path / "run").write_bytes(JOURNAL)
    with pytest.warns(JournalWarning, match="another file is in its place"):
        journal.close()
    assert journal_of(tmp_path / "run").read_bytes() == JOURNAL


def test_a_run_that_cannot_begin_says_so_and_leaves_no_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run")
    with disk_of(20), pytest.raises(JournalError, match="cannot write a journal"):
        journal.append(json.loads(BEGIN))
    assert not journal_of(tmp_path / "run").exists()
    journal.append({"event": "end"})  # how a run ended that did not begin, nobody need know
    journal.close()
    assert not journal_of(tmp_path / "run").exists()
    run(tmp_path / "run")  # and the directory can be used


def test_a_run_that_cannot_be_gone_on_with_is_left_as_it_was(tmp_path: Path) -> None:
    journal_of(tmp_path).write_bytes(JOURNAL + b"torn")
    journal = Journal(tmp_path, resume=True)
    with disk_of(len(JOURNAL)), pytest.raises(JournalError, match="cannot write a journal"):
        journal.append(resume_event({}))
    journal.append(note_event("nothing"))
    journal.close()
    assert journal_of(tmp_path).read_bytes() == JOURNAL
    Journal(tmp_path, resume=True).close()


@pytest.mark.parametrize("at", ["write", "sync"])
def test_ctrl_c_in_the_middle_of_a_line_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    journal = begun(tmp_path)

    file = journal._file
    assert file is not None

    class Half:
        """Takes five bytes of a line before the key is pressed."""

        def write(self, data: memoryview) -> int:
            file.write(data[:5])
            raise KeyboardInterrupt

        def close(self) -> None:
            file.close()

    def interrupted(handle: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if at == "sync":
            patch.setattr(os, "fsync", interrupted)
        else:
            journal._file = Half()  # type: ignore[assignment]
        journal.append(note_event("one"))
    journal.append(note_event("two"))
    journal.close()
    assert replay(tmp_path).notes == ["one", "two"]


def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    journal.close()
    with pytest.raises(JournalError, match="closed"):
        journal.append(note_event("late"))


def test_the_working_directory_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with Journal("run") as journal:
        journal.append(json.loads(BEGIN))
        monkeypatch.chdir("elsewhere")
        with disk_of(0):
            quiet_notes(journal, ["one"])
    assert replay(tmp_path / "run").notes[0] == "one"
    assert list((tmp_path / "elsewhere").iterdir()) == []
