"""Runs that an older version of the policy began: what is finished is read, what found its rate goes on."""

import csv
import json
import re
import shutil
import warnings
from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import older_runs
import pytest
import torch
from test_resume import Own, crash, finish, outcome_of, tuner_in

import gammatune
from gammatune.cost import Meter
from gammatune.course import Schedule
from gammatune.errors import JournalError, JournalWarning
from gammatune.journal.history import FILE, WEIGHTS, Story, replay
from gammatune.policy import registry
from gammatune.policy.budget import Budget
from gammatune.policy.job import Job
from gammatune.policy.lookahead import VERSION, lookahead
from gammatune.policy.opening import Opening
from gammatune.records import Length, Outcome, Request, Rollout, Values, Verdict

LATER = 99
VERSIONS = sorted(int(path.name.removeprefix("policy-")) for path in older_runs.OLDER.glob("policy-*"))
FIRST = {"finished", "whole", "walks-whole", "in-the-search", "in-the-course", "in-the-second-walk"} | {
    "open-in-the-course"
}  # kept of version 1


def home_of(version: int) -> Path:
    return older_runs.OLDER / f"policy-{version}"


@pytest.fixture(params=VERSIONS, ids=lambda version: f"policy-{version}")
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the runs of one version."""
    home = tmp_path / "kept"
    shutil.copytree(home_of(request.param), home)
    return home


@dataclass(frozen=True)
class Case:
    """A run that is kept of a version, and the version that is to go on with it."""

    begun: int
    name: str
    ours: int

    def __str__(self) -> str:
        return f"policy-{self.begun}-{self.name}-{'later' if self.ours == LATER else 'today'}"

    def copy(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The runs of that version, where the one is that goes on with them."""
        if self.ours == LATER:
            become_later(monkeypatch)
        home = tmp_path / "kept"
        shutil.copytree(home_of(self.begun), home)
        return home


def cases(*names: str) -> list[Case]:
    """All that are kept of the runs with these names."""
    return [
        Case(version, name, ours)
        for version in VERSIONS
        for name in names
        for ours in (VERSION, LATER)
        if (home_of(version) / name).is_dir()
    ]


IN_THE_SEARCH = ["in-the-search"]
OPEN = [name for name, there in older_runs.INTERRUPTED.items() if there.whole == "open-whole"]
FOUND = [name for name in older_runs.INTERRUPTED if name not in (*IN_THE_SEARCH, *OPEN)]  # their rate


def test_of_every_version_there_are_runs() -> None:
    """With a new version come new ones: see `older_runs`."""
    assert set(VERSIONS) == set(range(1, VERSION + 1))
    for version in VERSIONS:
        names = {path.name for path in home_of(version).iterdir() if path.is_dir()}
        wanted = {"finished", *older_runs.WHOLE, *older_runs.INTERRUPTED} if version > 1 else FIRST
        assert wanted <= names


def another_opening(
    job: Job, purse: Budget, spend: float, survey: Outcome
) -> Generator[Request, Outcome | None, Opening]:
    """As a later version may have it: one short rollout, and a rate that no version finds."""
    values = {**job.own, "lr": 0.0123}
    outcome = yield Rollout(values, 0, "start", length=Length(0.0, 5, 5), role="miniature")
    assert outcome is not None
    purse.pay(outcome)
    return Opening(values, Verdict("always so", kind="search"), job.space, [outcome])


def become_later(monkeypatch: pytest.MonkeyPatch) -> None:
    other = partial(lookahead, opening=another_opening)
    changed = replace(registry.POLICIES["lookahead"], make=other, version=LATER)
    monkeypatch.setitem(registry.POLICIES, "lookahead", changed)


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
    from gammatune.cli.app import main

    monkeypatch.setattr("sys.argv", ["gammatune", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


# What came of a run ---------------------------------------------------------------------------------------


def told(story: Story) -> list[tuple[Any, ...]]:
    return [(o.number, o.epoch, o.status, o.role, o.trained, o.origin) for o in story.rollouts]


def assert_alike(kept: Path, one: Path, other: Path, *, is_searched: bool = False) -> None:
    """The same decisions; the same numbers, to the last bit where the processor and the libraries compute as then.

    is_searched: rates were chosen on the way, by arithmetic that is not torch's."""
    first, second = replay(one), replay(other)
    exact = is_exact(kept, is_searched=is_searched)
    assert told(first) == told(second)
    assert [kind_of(verdict) for verdict in first.verdicts] == [
        kind_of(verdict) for verdict in second.verdicts
    ]
    assert_same_weights(torch.load(one / WEIGHTS), torch.load(other / WEIGHTS), exact=exact)
    for mine, then in zip(first.rollouts, second.rollouts, strict=True):
        assert mine.values == (
            pytest.approx(dict(then.values), rel=0.05) if is_searched and not exact else then.values
        )
        assert mine.metrics == pytest.approx(dict(then.metrics), abs=0.0 if exact else 0.1)
    if exact:
        assert list(map(as_told, first.verdicts)) == list(map(as_told, second.verdicts))
        assert first.schedule == second.schedule


def as_told(verdict: Verdict) -> Verdict:
    """Journals of earlier versions have reasons in words alone."""
    return replace(verdict, because=())


def kind_of(verdict: Verdict) -> tuple[str, str]:
    """A verdict without its numbers."""
    return verdict.kind, re.sub(r"\d[\d.e+-]*", "N", verdict.reason)


def assert_same_weights(one: Any, other: Any, *, exact: bool = True) -> None:
    """Not exact: what the network says is the same. The bias before the normalisation has no gradient but what
    rounding makes, so that it goes anywhere."""
    assert one.keys() == other.keys()
    if exact:
        assert [name for name, value in one.items() if not torch.equal(value, other[name])] == []
    else:
        torch.testing.assert_close(said_by(one), said_by(other), rtol=0.0, atol=0.05)


def said_by(weights: Any) -> torch.Tensor:
    model = older_runs.net().eval()
    model.load_state_dict(weights)
    with torch.no_grad():
        said: torch.Tensor = model(torch.tensor(older_runs.features())).softmax(dim=1)
    return said


def is_exact(kept: Path, *, is_searched: bool = False) -> bool:
    expected = json.loads((kept / "expected.json").read_text())
    same = bool(expected["arithmetic"] == older_runs.arithmetic())
    return same and (not is_searched or expected.get("deciding") == older_runs.deciding())


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
    assert_same_weights(gammatune.load("finished").state_dict(), weights)
    assert command(monkeypatch, "predict", "finished", "table.csv", "--out", "said.csv") == 0
    said = [row["prediction"] for row in csv.DictReader(Path("said.csv").read_text().splitlines())]
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
    assert_same_weights(torch.load("finished/weights.pt"), weights)


@pytest.mark.parametrize("case", cases(*older_runs.WHOLE), ids=str)
def test_every_course_is_shown_reported_and_repeated(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = case.copy(tmp_path, monkeypatch)
    run = kept / case.name
    story = replay(run)
    assert command(monkeypatch, "show", str(run), "--rollouts") == 0
    assert f"{story.schedule[0]['lr']:.3g}" in capsys.readouterr().out
    assert command(monkeypatch, "report", str(run)) == 0
    page = (run / "report.html").read_text()
    assert {outcome.role for outcome in story.rollouts if outcome.role not in page} == set()
    _, weights = older_runs.train(tmp_path / "again", policy=gammatune.replay(run))
    assert_same_weights(weights, torch.load(run / WEIGHTS), exact=is_exact(kept))


def test_the_schedule_of_a_finished_run_lies_beside_it(kept: Path, any_version: None) -> None:
    assert (
        Schedule.from_json((kept / "finished" / "schedule.json").read_text())
        == replay(kept / "finished").schedule
    )


# Interrupted ----------------------------------------------------------------------------------------------


def goes_on(kept: Path, name: str, *, is_searched: bool = False) -> None:
    """To what the one that was not interrupted came to, and without a rollout that is trained twice."""
    there = older_runs.INTERRUPTED[name]
    before = (kept / name / FILE).read_bytes()
    result, _ = older_runs.train(kept / name, **older_runs.WHOLE[there.whole])
    assert_alike(kept, kept / name, kept / there.whole, is_searched=is_searched)
    assert (kept / name / FILE).read_bytes().startswith(before)
    story = replay(kept / name)
    assert list(result.verdicts) == story.verdicts  # what this process was told, and what the journal has
    assert story.repeats == []


@pytest.mark.parametrize("case", cases(*FOUND), ids=str)
def test_a_run_that_found_its_rate_goes_on_along_its_own_schedule(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on(case.copy(tmp_path, monkeypatch), case.name, is_searched="unlooked" in case.name)


@pytest.mark.parametrize(
    "case", [case for case in cases(*IN_THE_SEARCH, *OPEN) if case.begun == case.ours], ids=str
)
def test_a_run_of_this_version_goes_on_wherever_it_was_interrupted(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on(case.copy(tmp_path, monkeypatch), case.name, is_searched=True)


@pytest.mark.parametrize("case", [case for case in cases(*IN_THE_SEARCH) if case.begun != case.ours], ids=str)
def test_a_run_in_the_middle_of_its_search_is_refused(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = case.copy(tmp_path, monkeypatch) / case.name
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    with pytest.raises(
        JournalError,
        match=rf"by version {case.begun} of the policy 'lookahead', and this is version {case.ours}: .* in the "
        r"middle of its search.* new run in another directory, or .* gammatune that began it \(\d",
    ):
        older_runs.train(run, **older_runs.PLAIN)
    assert before.items() <= {path.name: path.read_bytes() for path in run.iterdir()}.items()


@pytest.mark.parametrize(
    "case", [case for case in cases(*OPEN, "open-whole") if case.begun != case.ours], ids=str
)
def test_a_run_whose_length_was_left_open_is_refused(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is complete."""
    run = case.copy(tmp_path, monkeypatch) / case.name
    with pytest.raises(
        JournalError, match=r"the number of epochs was left open\. Begin a new run in another"
    ):
        older_runs.train(run, **older_runs.OPEN)


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


# Any run, gone on with by any later version -----------------------------------------------------------------


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
        {"budget": 2.5, "epochs": 4},  # the same, and a second walk that goes by them
        {
            "budget": 2.5,
            "epochs": 5,
            "space": SIZES,
            "seed": 1,
        },  # batch sizes are searched, and no rate looked at
        {"budget": 8},
        {"budget": 3, "epochs": 3},
        {"budget": 3, "keep": "last", "patience": 1},
        {"budget": 3, "space": SIZES, "seed": 1},  # where one does not fit in the search
        {"time": 1000},
        {"at_once": 3, "budget": 2},
    ],
    ids=str,
)
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
    straight = tuner_in(tmp_path / "straight", one)
    finish(straight)
    with tuner_in(tmp_path, training()) as killed:
        for run in killed:
            if killed.result.rollouts and killed.result.rollouts[-1].role == "course":
                break
            states = {path: path.read_bytes() for path in tmp_path.glob("state-*.pt")}
            run.drive()
    for path, content in states.items():  # a process that is killed tidies nothing up
        path.write_bytes(content)
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
