"""Runs that an older version of the policy began: what is finished is read, what found its rate goes on."""

import json
import shutil
import warnings
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import older_runs
import pytest
import torch
from test_resume import Own, crash, finish, outcome_of, tuner_in

import gammatune
from gammatune import tuner as tuning
from gammatune.course import Schedule
from gammatune.errors import JournalError, JournalWarning
from gammatune.journal import FILE, WEIGHTS, Story, replay
from gammatune.ledger import Meter
from gammatune.policy.job import Job
from gammatune.policy.lookahead import FACTORS, VERSION, lookahead
from gammatune.policy.opening import Opening
from gammatune.policy.purse import Purse
from gammatune.records import Length, Outcome, Request, Rollout, Values, Verdict

LATER = 99
KEPT = sorted(older_runs.OLDER.glob("policy-*"))


@pytest.fixture(params=KEPT, ids=lambda path: path.name)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the runs of one version, which is the working directory."""
    home = tmp_path / "kept"
    shutil.copytree(request.param, home)
    return home


def another_opening(
    job: Job, purse: Purse, spend: float, survey: Outcome
) -> Generator[Request, Outcome | None, Opening]:
    """As a later version may have it: one short rollout, and a rate that no version finds."""
    values = {**job.own, "lr": 0.0123}
    outcome = yield Rollout(values, 0, "start", length=Length(0.0, 5, 5), role="miniature")
    assert outcome is not None
    purse.pay(outcome)
    return Opening(values, Verdict("always so", kind="search"), job.space, [outcome])


def become_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tuning.POLICIES, "lookahead", partial(lookahead, opening=another_opening))
    monkeypatch.setitem(tuning.POLICY_VERSIONS, "lookahead", LATER)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    become_later(monkeypatch)


@pytest.fixture(params=["today's version", "a later version"])
def any_version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "a later version":
        become_later(monkeypatch)


@pytest.fixture(autouse=True)
def other_libraries() -> Any:
    """The files outlive the versions of torch and NumPy that they were made with, which is said."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the run was begun elsewhere or earlier", JournalWarning)
        warnings.filterwarnings("ignore", "rollout .* trained once more, came out otherwise", JournalWarning)
        yield


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    from gammatune.cli import main

    monkeypatch.setattr("sys.argv", ["gammatune", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


# What came of a run ---------------------------------------------------------------------------------------


def told(story: Story) -> list[tuple[Any, ...]]:
    return [
        (o.number, o.epoch, dict(o.values), o.status, o.role, o.trained, o.origin) for o in story.rollouts
    ]


def assert_alike(kept: Path, one: Path, other: Path) -> None:
    """The same decisions; the same numbers, to the last bit where the processor and torch compute as then."""
    first, second = replay(one), replay(other)
    assert told(first) == told(second)
    assert first.verdicts == second.verdicts
    assert first.schedule == second.schedule
    assert_same_weights(kept, torch.load(one / WEIGHTS), torch.load(other / WEIGHTS))
    for mine, then in zip(first.rollouts, second.rollouts, strict=True):
        assert mine.metrics == pytest.approx(dict(then.metrics), abs=0.0 if is_exact(kept) else 0.05)


def assert_same_weights(kept: Path, one: Any, other: Any) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        if is_exact(kept):
            assert torch.equal(value, other[name]), name
        else:
            torch.testing.assert_close(value, other[name], rtol=0.02, atol=0.02)


def is_exact(kept: Path) -> bool:
    expected = json.loads((kept / "expected.json").read_text())
    return bool(expected["arithmetic"] == older_runs.arithmetic())


# Finished -------------------------------------------------------------------------------------------------


def test_a_finished_run_is_shown_reported_loaded_and_predicts(
    kept: Path,
    any_version: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(kept)
    older_runs.write_table(Path("table.csv"))
    story = replay("finished")
    assert story.end is not None
    assert story.end["how"] == "complete"
    assert command(monkeypatch, "show", "finished", "--rollouts") == 0
    assert f"{story.schedule[0]['lr']:.3g}" in capsys.readouterr().out
    assert command(monkeypatch, "report", "finished") == 0
    page = Path("finished/report.html").read_text()
    for outcome in story.rollouts:
        assert outcome.role in page
    weights = torch.load("finished/weights.pt")
    assert_same_weights(kept, gammatune.load("finished").state_dict(), weights)
    assert command(monkeypatch, "predict", "finished", "table.csv", "--out", "said.csv") == 0
    said = [line.split(",")[0] for line in Path("said.csv").read_text().splitlines()[1:]]
    right = [word == ("no", "yes")[label] for word, label in zip(said, older_runs.labels(), strict=True)]
    assert sum(right) > 0.9 * len(right)


def test_a_finished_run_that_is_called_again_is_not_trained_again(
    kept: Path, any_version: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(kept)
    older_runs.write_table(Path("table.csv"))
    journal, weights = Path("finished", FILE), torch.load("finished/weights.pt")
    before = journal.read_bytes()
    Path("finished/weights.pt").unlink()
    assert command(monkeypatch, "resume", "finished", "--quiet") == 0
    assert journal.read_bytes() == before
    assert_same_weights(kept, torch.load("finished/weights.pt"), weights)


def test_the_schedule_of_a_finished_run_is_followed(kept: Path, any_version: None, tmp_path: Path) -> None:
    assert (
        Schedule.from_json((kept / "finished" / "schedule.json").read_text())
        == replay(kept / "finished").schedule
    )
    _, weights = older_runs.train(tmp_path / "again", policy=gammatune.replay(kept / "whole"))
    assert_same_weights(kept, weights, torch.load(kept / "whole" / WEIGHTS))


# Interrupted ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "whole", "options"),
    [
        ("in-the-course", "whole", older_runs.PLAIN),
        ("in-the-second-walk", "walks-whole", older_runs.WALKS),
    ],
)
def test_a_run_that_found_its_rate_goes_on_along_its_own_schedule(
    kept: Path, any_version: None, name: str, whole: str, options: dict[str, Any]
) -> None:
    before = (kept / name / FILE).read_bytes()
    result, _ = older_runs.train(kept / name, **options)
    assert_alike(kept, kept / name, kept / whole)
    assert (kept / name / FILE).read_bytes().startswith(before)
    story = replay(kept / name)
    assert list(result.verdicts) == story.verdicts  # what this process was told, and what the journal has
    assert story.repeats == []


def test_a_run_in_the_middle_of_its_search_is_refused(kept: Path, later: None) -> None:
    run = kept / "in-the-search"
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    version = json.loads((kept / "expected.json").read_text())["policy_version"]
    with pytest.raises(
        JournalError,
        match=rf"by version {version} of the policy 'lookahead', and this is version {LATER}: .* in the middle of "
        r"its search.* new run in another directory, or .* gammatune that began it \(\d",
    ):
        older_runs.train(run, **older_runs.PLAIN)
    assert before.items() <= {path.name: path.read_bytes() for path in run.iterdir()}.items()


def test_a_run_whose_length_was_left_open_is_refused(kept: Path, later: None) -> None:
    with pytest.raises(
        JournalError, match=r"the number of epochs was left open\. Begin a new run in another"
    ):
        older_runs.train(kept / "open-in-the-course", **older_runs.OPEN)


def test_a_run_of_a_later_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        become_later(patched)
        crash(tmp_path, 8, training)
    assert replay(tmp_path).begin["policy_version"] == LATER
    with pytest.raises(
        JournalError, match=f"version {LATER} of the policy 'lookahead', and this is version {VERSION}, "
    ):
        tuner_in(tmp_path, training())


def test_another_run_is_refused_as_such(kept: Path, later: None) -> None:
    """Not as one of an older version."""
    with pytest.raises(JournalError, match="begun with epochs=6, and epochs=7 is asked for"):
        older_runs.train(kept / "in-the-search", **older_runs.PLAIN | {"epochs": 7})


# Any run whose walks follow from the first one's rate, gone on with by any later version ---------------------


@pytest.fixture
def walks_by_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in version 1; where they follow from the looks, a later version cannot know them."""
    monkeypatch.setitem(tuning.POLICIES, "lookahead", partial(lookahead, factors=FACTORS))


@dataclass
class Tight(Own):
    """Batches of more than 16 do not fit into memory, and from the third epoch on no more than 8 do."""

    def own(self, names: Any) -> Values:
        return {"lr": 1e-3} | ({"batch_size": 16} if "batch_size" in names else {})

    def advance(self, epoch: int, values: Values, meter: Meter) -> None:
        if int(values.get("batch_size", 1)) > (16 if epoch < 2 else 8):
            meter.epoch_batches, meter.epoch_examples = self.steps, self.examples
            meter.infeasible, meter.note = True, "out of memory"
            return
        super().advance(epoch, values, meter)


def training() -> Tight:
    return Tight(steps=30, examples=300, validation=30)


SIZES = ["lr=1e-6:1e2:log", "batch_size=8,16,32,64"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"budget": 1.05},  # no search
        {"budget": 1.2},  # one that has scouts alone
        {"budget": 8},
        {"budget": 3, "epochs": 3},
        {"budget": 3, "keep": "last", "patience": 1},
        {"budget": 3, "space": SIZES, "seed": 1},  # where one does not fit in the search
        {"time": 1000},
        {"at_once": 3, "budget": 2},
    ],
    ids=str,
)
@pytest.mark.usefixtures("walks_by_factors")
def test_wherever_a_run_is_interrupted_it_goes_on_or_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    reference = training()
    straight = tuner_in(tmp_path / "whole", reference, **options)
    finish(straight)
    rollouts = straight.result.rollouts
    course = next(o.number for o in rollouts if o.role == "course")
    for count in {0, course // 2, course, course + 1, course + 2, len(rollouts) - 1, len(rollouts)}:
        broken = tmp_path / f"after-{count}"
        crash(broken, count, training, **options)
        known = len(replay(broken).rollouts)
        with monkeypatch.context() as patched:
            become_later(patched)
            if known <= course:
                with pytest.raises(JournalError, match="in the middle of its search"):
                    tuner_in(broken, training(), **options)
                continue
            one = training()
            again = tuner_in(broken, one, **options)
            finish(again)
        assert outcome_of(again, one) == outcome_of(straight, reference)
        assert again.result.verdicts == straight.result.verdicts


def test_a_course_that_has_not_been_committed_yet_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the end of its first rollout and the commit, which would have said why."""
    one, two = training(), training()
    straight = tuner_in(tmp_path, one)
    finish(straight)
    lines = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
    first = next(place for place, line in enumerate(lines) if b'"role":"course"' in line)
    (tmp_path / FILE).write_bytes(b"".join(lines[: first + 1]))
    become_later(monkeypatch)
    again = tuner_in(tmp_path, two)
    finish(again)
    assert outcome_of(again, two) == outcome_of(straight, one)
    first_verdict, *others = again.result.verdicts
    assert (first_verdict.kind, "older version" in first_verdict.reason) == ("search", True)
    assert others == list(straight.result.verdicts[1:])


def test_a_run_says_which_version_of_the_policy_began_it(tmp_path: Path) -> None:
    finish(tuner_in(tmp_path / "lookahead", training()))
    finish(tuner_in(tmp_path / "greedy", training(), policy="greedy", budget=3))
    versions = [replay(tmp_path / name).begin["policy_version"] for name in ("lookahead", "greedy")]
    assert versions == [VERSION, 1]
