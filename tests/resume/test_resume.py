"""A run that is interrupted at any event, and gone on with, ends as one that never was."""

import contextlib
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tries import tries

from gammatune.errors import JournalError, JournalWarning
from gammatune.journal.history import replay
from gammatune.journal.writer import Journal
from gammatune.records import Values
from gammatune.testing.fakes import FakeTraining
from gammatune.tuning import checkpoints
from gammatune.tuning.tuner import Tuner

SPACE = ["lr=1e-6:1e2:log"]


class Own(FakeTraining):
    floor = 0.2  # of the loss: what it learns beyond that is not seen

    def own(self, names: Any) -> Values:
        return {"lr": 1e-3}

    def evaluate(self, meter: Any) -> Any:
        return {name: max(self.floor, value) for name, value in super().evaluate(meter).items()}


def training() -> FakeTraining:
    return Own(steps=30, examples=300, validation=30)


def tuner_in(directory: Path, one: FakeTraining, **options: Any) -> Tuner:
    # a survey, 3 scouts, 3 looks, and the course from rollout 7 on
    given: dict[str, Any] = {"epochs": 8, "budget": 1.5, "space": SPACE, "objective": "log-loss"}
    return Tuner(training=one, run_dir=str(directory), **(given | options))


def finish(tuner: Tuner) -> list[int]:
    """Train to the end; the numbers of the rollouts that were trained, repeated ones negative less one."""
    trained = []
    with tuner:
        for run in tuner:
            trained.append(-run.number - 1 if run.is_repeated else run.number)
            run.advance()
            run.report(**run.evaluate())
    return trained


def crash(
    directory: Path, rollouts: int, make: Callable[[], FakeTraining] = training, **options: Any
) -> None:
    """Leave the directory as it is in the midst of the rollout after so many: a process killed there leaves that."""
    then = directory.with_name(directory.name + "-then")
    with contextlib.suppress(KeyboardInterrupt), tuner_in(directory, make(), **options) as tuner:
        for count, run in enumerate(tuner):
            run.advance()
            if count == rollouts:
                shutil.copytree(directory, then)
                raise KeyboardInterrupt
            run.report(**run.evaluate())
        shutil.copytree(directory, then)
    shutil.rmtree(directory)
    then.rename(directory)


def outcome_of(tuner: Tuner, one: FakeTraining) -> Any:
    result = tuner.result
    plain = [
        (o.number, o.epoch, dict(o.values), o.status, o.score, o.trained, o.role) for o in result.rollouts
    ]
    course = [o.number for o in result.course]
    cost = result.cost
    return plain, course, list(result.schedule), one.progress, one.loss, cost.trained, cost.evaluated


POLICIES: list[dict[str, Any]] = [
    {},
    {"budget": 8, "epochs": 5},
    {"budget": 3, "epochs": 3},
    {"epochs": None, "budget": None, "total_epochs": 30},
    {"policy": "greedy", "budget": 4, "epochs": 5},
    {"policy": "greedy", "budget": 4, "epochs": 5, "keep": "last", "sampler": "random"},
    {"policy": "once", "budget": 4, "epochs": 5},
    {"patience": 1, "epochs": 9},
    {"patience": 2, "budget": 8, "epochs": 7},
    {"patience": 1, "policy": "greedy", "budget": 4, "epochs": 7},
]


@pytest.fixture
def always() -> Iterator[None]:
    before, checkpoints.SHARE = checkpoints.SHARE, 1.0
    yield
    checkpoints.SHARE = before


@cache
def undisturbed(number: int) -> Any:
    """What the run with these options comes to; how often checkpoints are written is nothing to it."""
    with tempfile.TemporaryDirectory() as home:
        reference = training()
        straight = tuner_in(Path(home), reference, **POLICIES[number])
        finish(straight)
        return outcome_of(straight, reference)


@tries(25, full=60)
@given(
    policy=st.integers(0, len(POLICIES) - 1),
    crashes=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    share=st.sampled_from([1.0, 0.05, 1e-9]),
    damage=st.integers(0, 3),
)
def test_a_run_that_was_interrupted_ends_as_one_that_was_not(
    tmp_path_factory: pytest.TempPathFactory, policy: int, crashes: list[int], share: float, damage: int
) -> None:
    """damage: of every so many checkpoint files but the first, one is spoilt between two processes; 0: none."""
    options, expected = POLICIES[policy], undisturbed(policy)
    before, checkpoints.SHARE = checkpoints.SHARE, share
    try:
        broken = tmp_path_factory.mktemp("broken")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", JournalWarning)
            for rollouts in crashes:
                crash(broken, rollouts, **options)
                states = sorted(broken.glob("state-*.pt"))
                if damage:
                    for path in states[damage::damage]:
                        path.write_bytes(path.read_bytes()[:-1])
            one = training()
            again = tuner_in(broken, one, **options)
            finish(again)
        assert outcome_of(again, one) == expected
        assert replay(broken).end is not None
        assert len(list(broken.glob("state-*.pt"))) <= 6
    finally:
        checkpoints.SHARE = before


@pytest.mark.parametrize("options", [options for options in POLICIES if "patience" in options])
def test_patience_ends_those_runs_early(tmp_path: Path, options: Any) -> None:
    tuner = tuner_in(tmp_path, training(), **options)
    finish(tuner)
    begun = {outcome.epoch for outcome in tuner.result.course}
    assert len(begun) < options["epochs"]
    with pytest.raises(JournalError, match="begun with patience="):
        tuner_in(tmp_path, training(), **{**options, "patience": None})


def test_a_complete_run_is_not_trained_again(tmp_path: Path, always: None) -> None:
    one, two = training(), training()
    first = tuner_in(tmp_path, one)
    finish(first)
    journal = (tmp_path / "journal.jsonl").read_bytes()
    second = tuner_in(tmp_path, two)
    assert finish(second) == []
    assert outcome_of(second, two) == outcome_of(first, one)
    assert (tmp_path / "journal.jsonl").read_bytes() == journal


def test_another_run_is_refused_by_name(tmp_path: Path) -> None:
    crash(tmp_path, 7)
    with pytest.raises(JournalError, match=r"begun with epochs=8, and epochs=6 is asked for now"):
        tuner_in(tmp_path, training(), epochs=6)
    with pytest.raises(JournalError, match="seed=0, and seed=1"):
        tuner_in(tmp_path, training(), seed=1)
    with pytest.raises(JournalError, match="the space lr"):
        tuner_in(tmp_path, training(), space=["lr=1e-5:1:log"])
    finish(tuner_in(tmp_path, training()))


def test_an_interruption_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    one = training()
    tuner = tuner_in(tmp_path, one)
    with pytest.raises(KeyboardInterrupt) as caught, tuner:
        for run in tuner:
            if run.epoch == 3:
                raise KeyboardInterrupt
            run.advance()
            run.report(**run.evaluate())
    assert any("goes on with it" in note for note in caught.value.__notes__)
    story = replay(tmp_path)
    assert story.end is not None
    assert story.end["how"] == "interrupted"
    last = story.course[-1].number
    assert last in story.states
    two = training()
    again = tuner_in(tmp_path, two)
    assert min(finish(again)) == last + 1  # nothing was trained twice
    whole = training()
    straight = tuner_in(tmp_path / "whole", whole)
    finish(straight)
    assert outcome_of(again, two) == outcome_of(straight, whole)
    assert [resume["facts"]["torn"] for resume in replay(tmp_path).resumes] == [False]


def test_what_is_trained_again_is_told_apart(tmp_path: Path) -> None:
    before, checkpoints.SHARE = checkpoints.SHARE, 1e-9  # the first state of the course is written, no other
    try:
        crash(tmp_path, 10)
        tuner = tuner_in(tmp_path, training())
        trained = finish(tuner)
    finally:
        checkpoints.SHARE = before
    again = [-number - 1 for number in trained if number < 0]
    assert again
    story = replay(tmp_path)
    assert [repeat.rollout for repeat in story.repeats] == again
    assert all(repeat.same for repeat in story.repeats)
    assert tuner.cost.repeated == sum(r.trained + r.evaluated / 3 for r in story.repeats)
    assert "trained again" in str(tuner.cost)


def test_a_directory_may_be_moved(tmp_path: Path, always: None) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    crash(here, 8)
    shutil.move(here, there)
    one, whole = training(), training()
    again = tuner_in(there, one)
    finish(again)
    straight = tuner_in(tmp_path / "whole", whole)
    finish(straight)
    assert outcome_of(again, one) == outcome_of(straight, whole)


def test_few_states_lie_there_and_one_at_the_end(tmp_path: Path, always: None) -> None:
    """The last, beside the best where that is another; the beginning goes once nothing starts there any more."""
    one, seen = training(), []
    with tuner_in(tmp_path, one, epochs=8) as tuner:
        for run in tuner:
            seen.append(sorted(path.name for path in tmp_path.glob("state-*")))
            run.advance()
            run.report(**run.evaluate())
    assert ["state-0.pt"] in seen
    assert all(len(names) <= 2 for names in seen)
    assert "state-0.pt" not in seen[-1]
    (left,) = tmp_path.glob("state-*")
    assert left.name == f"state-{tuner.result.course[-1].number + 1}.pt"
    again = training()
    assert finish(tuner_in(tmp_path, again)) == []  # it is read, and nothing is trained
    assert again.progress == one.progress
    left.unlink()  # as whoever wants the room may
    later = training()
    with pytest.warns(JournalWarning, match="is missing"):
        finish(tuner_in(tmp_path, later))
    assert later.progress == one.progress


def test_a_training_that_came_out_otherwise_is_said(tmp_path: Path) -> None:
    before, checkpoints.SHARE = checkpoints.SHARE, 1e-9
    try:
        crash(tmp_path, 10)
        other = training()
        other.best_lr = 0.2
        with pytest.warns(JournalWarning, match="came out otherwise"):
            finish(tuner_in(tmp_path, other))
    finally:
        checkpoints.SHARE = before


def test_a_lost_beginning_is_made_good_by_the_same_model_only(tmp_path: Path, always: None) -> None:
    crash(tmp_path, 8)
    for path in tmp_path.glob("state-*.pt"):
        path.unlink()
    shutil.copytree(tmp_path, tmp_path / "other")
    with pytest.warns(JournalWarning, match="is missing"):
        one = training()
        again = tuner_in(tmp_path, one)
        finish(again)
    whole = training()
    straight = tuner_in(tmp_path / "whole", whole)
    finish(straight)
    assert outcome_of(again, one) == outcome_of(straight, whole)
    other = training()
    other.loss = 0.5
    with pytest.warns(JournalWarning), pytest.raises(JournalError, match="lost"):
        finish(tuner_in(tmp_path / "other", other))


@pytest.mark.parametrize("policy", [{}, {"policy": "greedy", "budget": 4}])
def test_answers_of_the_clock_are_given_again(
    tmp_path: Path, policy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a limit of time the course stops early; gone on with, it stops there again."""
    crash(tmp_path, 9, time=1000, **policy)
    story = replay(tmp_path)
    assert any(story.answers)
    tuner = tuner_in(tmp_path, training(), time=1000, **policy)
    finish(tuner)
    after = replay(tmp_path)
    assert [o.number for o in after.rollouts] == list(range(len(after.rollouts)))
    assert after.answers[: len(story.answers)] == story.answers


def test_a_journal_on_its_own_is_no_resume(tmp_path: Path) -> None:
    finish(tuner_in(tmp_path, training()))
    with pytest.raises(JournalError, match="already holds a run"):
        Journal(tmp_path)
