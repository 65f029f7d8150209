"""What trackers are told: only the course on the main axis, never backwards, and nothing twice."""

import itertools
import math
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import gammatune
from gammatune.errors import AllDiverged, JournalError
from gammatune.journal.history import FILE
from gammatune.journal.tracker import Tracker, tell
from gammatune.policy.job import Job, Steps
from gammatune.records import Commit, Fork, Outcome, Rollout, Verdict
from gammatune.testing.fakes import FakeTraining
from gammatune.testing.quadratic import NoisyQuadratic, power_law
from gammatune.tuning.tuner import Tuner

JOURNALS = sorted((Path(__file__).parent / "assets").glob("**/*.jsonl"))


class Notes(Tracker):
    """Everything that was told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def begin(self, asked: Any, *, resumed: bool) -> None:
        self.told.append(("begin", asked["seed"], resumed))

    def rollout(self, outcome: Outcome) -> None:
        self.told.append(("rollout", outcome.number, outcome.score))

    def draft(self, version: int, number: int, metrics: Any, values: Any) -> None:
        self.told.append(("draft", version, number, metrics, values))

    def epoch(self, number: int, metrics: Any, values: Any) -> None:
        self.told.append(("epoch", number, metrics, values))

    def end(self, how: str, cost: Any) -> None:
        self.told.append(("end", how, cost.trained))

    def report(self, measures: Any) -> None:
        self.told.append(("report", measures["on"]))

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [one[1:] for one in self.told if one[0] == kind]


class Left(Exception):
    pass


def run(training: Any = None, *, leave_at: int | None = None, **options: Any) -> tuple[Tuner, Notes]:
    """leave_at: the number of the rollout in whose midst the loop is left."""
    notes = options.pop("notes", None) or Notes()
    given: dict[str, Any] = {"epochs": 4, "space": ["lr=1e-4:10:log"], "listeners": [notes]}
    training = training or FakeTraining(examples=1000, steps=100)
    with Tuner(training=training, **(given | options)) as tuner:
        for one in tuner:
            one.advance()
            if one.number == leave_at:
                raise Left
            one.report(**one.evaluate())
    return tuner, notes


def replacing() -> dict[str, Any]:
    """A run whose later walks take the place of the first, the last of them made of averages."""
    training = NoisyQuadratic(power_law(50), steps=40, noise=3.0)
    return {"training": training, "budget": 9, "objective": "log-loss"}


def taking_back(job: Job) -> Steps:
    """Three epochs, the last two taken back, and others in their place; then one more, which is taken back."""
    yield Fork("start")
    for place, (epoch, lr) in enumerate([(0, 0.1), (1, 2.0), (2, 2.0), (1, 0.1), (2, 0.1), (3, 2.0)]):
        if place == 3:
            yield Commit((), 1, "good", Verdict("taken back"))
        last = yield Rollout({"lr": lr}, epoch, None, course=True)
        assert last is not None
        yield Commit((last,), epoch + 1, None, Verdict("committed"))
        if place in (0, 4):
            yield Fork("good")
    yield Commit((), 3, "good", Verdict("the best"))


def check(tuner: Tuner, notes: Notes) -> None:
    """The law."""
    result = tuner.result
    assert [number for number, _ in notes.of("rollout")] == list(range(len(result.rollouts)))
    epochs = notes.of("epoch")
    assert [number for number, *_ in epochs] == list(range(1, len(result.course) + 1))
    for outcome, (_, metrics, values) in zip(result.course, epochs, strict=True):
        assert metrics == {**outcome.metrics, "score": outcome.score}
        assert values["lr"] == outcome.values["lr"]
    kinds = [one[0] for one in notes.told]
    assert "draft" not in kinds[kinds.index("epoch") :]
    assert "rollout" not in kinds[kinds.index("epoch") :]
    # a version goes on by one from where it began, the next begins no later than the last one stood
    drafts = [(version, number) for version, number, *_ in notes.of("draft")]
    assert drafts[0] == (1, 1)
    for (version, number), (then, after) in itertools.pairwise(drafts):
        assert (then == version and after == number + 1) or (then == version + 1 and after <= number)


# -- the law


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"budget": 5},
        {"policy": "greedy", "budget": 3, "sampler": "random"},
        {"policy": "once", "budget": 3},
        {"policy": taking_back, "budget": 9},
        {"training": FakeTraining(examples=1000, steps=100, best_lr=0.5, cliff=0.6), "budget": 5},
    ],
    ids=["default", "walks", "greedy", "once", "taken back", "cliff"],
)
def test_only_the_course_on_the_main_axis(options: dict[str, Any]) -> None:
    check(*run(**options))


@given(
    st.sampled_from(["lookahead", "greedy", "once"]),
    st.floats(2.0, 12.0),
    st.floats(-3.0, 1.0),
    st.integers(0, 10**6),
)
@settings(max_examples=20)
def test_the_law_holds_whatever_is_taken_back(policy: str, budget: float, noise: float, seed: int) -> None:
    training = NoisyQuadratic(power_law(20), steps=30, noise=10**noise, sampled=True, seed=seed)
    options = {"objective": "log-loss", "seed": seed, "budget": budget, "policy": policy, "sampler": "random"}
    try:
        told = run(training, **options)
    except AllDiverged:  # two candidates drawn at random, both too high
        reject()
    check(*told)


def test_walks_that_take_the_place_of_others_are_new_versions() -> None:
    tuner, notes = run(**replacing())
    check(tuner, notes)
    drafts = notes.of("draft")
    versions = sorted({version for version, *_ in drafts})
    assert versions == list(range(1, len(versions) + 1))
    assert len(versions) > 2
    for version in versions:
        assert [number for one, number, *_ in drafts if one == version] == [1, 2, 3, 4]
    assert [one[1:] for one in drafts if one[0] == versions[-1]] == notes.of("epoch"), (
        "the last version is the course"
    )


def test_what_is_taken_back_is_never_on_the_main_axis() -> None:
    tuner, notes = run(policy=taking_back, budget=9)
    check(tuner, notes)
    drafts = [(version, number, values["lr"]) for version, number, _, values in notes.of("draft")]
    assert drafts == [(1, 1, 0.1), (1, 2, 2.0), (1, 3, 2.0), (2, 2, 0.1), (2, 3, 0.1), (2, 4, 2.0)]
    assert [values["lr"] for _, _, values in notes.of("epoch")] == [0.1] * 3


def test_the_rates_are_those_of_the_schedule() -> None:
    for options in ({}, replacing()):
        tuner, notes = run(**options)
        schedule = tuner.result.schedule
        for number, _, values in notes.of("epoch"):
            assert values["lr_start"] == schedule.lr_at(number - 1)
            stretch = schedule.stretches[number - 1]
            assert values["lr_end"] == stretch.values["lr"] * stretch.shape(1.0)


# -- ends that are none


def test_a_run_that_was_left_has_no_course_yet() -> None:
    notes = Notes()
    with pytest.raises(Left):
        run(leave_at=9, notes=notes)
    assert not notes.of("epoch")
    assert notes.told[-1][:2] == ("end", "failed: Left")


def test_what_a_tracker_raises_ends_the_run() -> None:
    class Faulty(Notes):
        def rollout(self, outcome: Outcome) -> None:
            raise OSError("no connection")

    with pytest.raises(OSError, match="no connection"):
        run(notes=Faulty())


def test_one_tracker_for_several_runs_and_several_for_one() -> None:
    notes, other = Notes(), Notes()
    tuner, _ = run(listeners=[notes, other])
    first = list(notes.told)
    assert other.told == first
    run(listeners=[notes])
    assert notes.told == first + first
    check(tuner, other)


def test_a_tracker_needs_no_methods() -> None:
    assert run(listeners=[gammatune.Tracker()])[0].result.course


# -- gone on with


@pytest.mark.parametrize(("options", "every"), [("taken back", 1), ("replaced", 5)])
def test_wherever_a_run_was_cut_off_nothing_is_told_twice(options: str, every: int, tmp_path: Path) -> None:
    def again(directory: Path) -> tuple[Tuner, Notes]:
        if options == "taken back":
            return run(policy=taking_back, budget=9, run_dir=str(directory))
        # too short to be looked at: walks from the middle of the range on find the better rate
        training = FakeTraining(examples=300, steps=30, best_lr=3.0)
        return run(training, budget=4.5, epochs=3, run_dir=str(directory))

    tuner, whole = again(tmp_path / "whole")
    assert max(version for version, *_ in whole.of("draft")) > 1, "nothing was taken back"
    lines = (tmp_path / "whole" / FILE).read_bytes().splitlines(keepends=True)
    # killed after any line, with no state kept: what is needed is trained again, and not told again
    lines = [line for line in lines if b'"event":"state"' not in line and b'"event":"gone"' not in line]
    for cut in range(1, len(lines), every):
        directory = tmp_path / str(cut)
        directory.mkdir()
        (directory / FILE).write_bytes(b"".join(lines[:cut]))
        before = Notes()
        tell(directory, before)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="the run has no checkpoint of its beginning")
            later, after = again(directory)
        assert after.told[0] == ("begin", 0, True)
        assert before.told + after.told[1:] == whole.told
        assert later.result.course[-1].metrics == tuner.result.course[-1].metrics


def test_interrupted_and_gone_on_with_several_times(tmp_path: Path) -> None:
    whole = run()[1].told
    directory, told = str(tmp_path / "run"), []
    for place in (2, 9, 10):
        notes = Notes()
        with pytest.raises(Left):
            run(leave_at=place, run_dir=directory, notes=notes)
        assert notes.told[-1][:2] == ("end", "failed: Left")
        told += notes.told[:-1]
    told += run(run_dir=directory)[1].told
    assert [one for one in told if one[0] != "begin"] == whole[1:]
    assert [one for one in told if one[0] == "begin"] == [("begin", 0, False)] + [("begin", 0, True)] * 3
    assert run(run_dir=directory)[1].told == [], "it was complete"
    # from the journal in one piece, as if nothing had come between
    notes = Notes()
    tell(directory, notes)
    assert notes.told == whole


# -- from a journal


@pytest.mark.parametrize("journal", JOURNALS, ids=lambda path: path.stem)
def test_old_journals_can_be_told(journal: Path) -> None:
    notes = Notes()
    tell(journal, notes)
    story = gammatune.rollouts(journal)
    assert [number for number, _ in notes.of("rollout")] == [row["number"] for row in story]
    assert len(notes.of("epoch")) == sum(row["kept"] for row in story)


def test_a_torn_or_interrupted_journal_is_told_as_far_as_it_goes(tmp_path: Path) -> None:
    with pytest.raises(Left):
        run(leave_at=9, run_dir=str(tmp_path / "run"))
    path = tmp_path / "run" / FILE
    path.write_bytes(path.read_bytes() + b'{"event":"no')
    notes = Notes()
    tell(tmp_path / "run", notes)
    assert len(notes.of("rollout")) == 9
    assert notes.told[-1][:2] == ("end", "failed: Left")
    with pytest.raises(JournalError, match="no run at"):
        tell(tmp_path, notes)


def test_numbers_that_json_has_not_are_numbers_again(tmp_path: Path) -> None:
    class Blown(FakeTraining):
        def evaluate(self, meter: Any) -> Any:
            return {**super().evaluate(meter), "own": math.inf, "none": math.nan}

    _, live = run(Blown(examples=1000, steps=100), run_dir=str(tmp_path / "run"))
    notes = Notes()
    tell(tmp_path / "run", notes)
    for kind in ("draft", "epoch"):
        for (*_, metrics, values), (*_, same, values_too) in zip(notes.of(kind), live.of(kind), strict=True):
            assert metrics["own"] == math.inf
            assert all(math.isnan(told.pop("none")) for told in (metrics, same))
            assert (metrics, values) == (same, values_too)
