"""Kept runs of several nets, of a chosen optimizer and of the thesis's policies: read, and gone on with."""

import shutil
from pathlib import Path
from typing import Any

import older_runs
import pytest
import torch
from test_older_policies import (
    LATER,
    assert_alike,
    become_later,
    command,
    is_exact,
    other_libraries,
    said_by,
    told,
)

import gammatune
from gammatune.errors import JournalError
from gammatune.files import net_file
from gammatune.journal.history import FILE, replay
from gammatune.policy.lookahead import VERSION

__all__ = ["other_libraries"]  # a fixture

HOMES = sorted(older_runs.OLDER.glob("kinds-*"))
# What the version alone that began them can end: rivals, and lengths left open, come of the opening and follow it.
SEARCHED = "in-the-second-of-open", "in-the-looks-at-another", "in-the-net-of-another"


@pytest.fixture(params=HOMES, ids=lambda home: home.name)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the runs of one version."""
    home = tmp_path / "kept"
    shutil.copytree(request.param, home)
    return home


def test_of_each_kind_there_is_a_run() -> None:
    assert HOMES
    for home in HOMES:
        names = {path.name for path in home.iterdir() if path.is_dir()}
        assert names == {*older_runs.KINDS, *older_runs.KINDS_INTERRUPTED}


@pytest.mark.parametrize("name", older_runs.KINDS)
def test_it_is_shown_and_reported(
    kept: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    story = replay(kept / name)
    assert story.end is not None
    assert command(monkeypatch, "show", str(kept / name), "--rollouts") == 0
    assert f"{story.schedule[0]['lr']:.3g}" in capsys.readouterr().out
    assert command(monkeypatch, "report", str(kept / name)) == 0
    page = (kept / name / "report.html").read_text()
    assert {outcome.role for outcome in story.rollouts if outcome.role not in page} == set()
    for net in story.nets:
        assert said_by(torch.load(kept / name / net_file(net))).shape == (older_runs.ROWS, 2)


@pytest.mark.parametrize("name", older_runs.KINDS)
def test_its_course_is_repeated(kept: Path, name: str, tmp_path: Path) -> None:
    """Of several nets that of the best, from initial weights of its own."""
    story = replay(kept / name)
    _, weights = older_runs.train(
        tmp_path / "again", policy=gammatune.replay(kept / name), optimizer=_of(name)
    )
    then = torch.load(kept / name / "weights.pt")
    if is_exact(kept):
        assert all(torch.equal(value, weights[key]) for key, value in then.items())
    else:
        assert (said_by(weights) - said_by(then)).abs().mean() < 0.03  # rounding grows where no rate falls
    assert len(replay(tmp_path / "again").course) == len(story.course)


def _of(name: str) -> str:
    return str(older_runs.KINDS[name].get("optimizer", "adamw"))


@pytest.mark.parametrize("home", HOMES, ids=lambda home: home.name)
@pytest.mark.parametrize("name", older_runs.KINDS_INTERRUPTED)
def test_it_goes_on_to_what_it_was_to_come_to(home: Path, name: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(home, kept)
    there = older_runs.KINDS_INTERRUPTED[name]
    before = (kept / name / FILE).read_bytes()
    options: dict[str, Any] = older_runs.KINDS[there.whole]
    if name in SEARCHED and home.name != f"kinds-{VERSION}":
        with pytest.raises(JournalError, match=f"this is version {VERSION}, which cannot go on"):
            older_runs.train(kept / name, **options)
        assert (kept / name / FILE).read_bytes() == before
        return
    result, _ = older_runs.train(kept / name, **options)
    if not is_exact(kept, is_searched=True):  # rates that are chosen on the way may be others
        assert result.nets == replay(kept / there.whole).nets
        return
    assert_alike(kept, kept / name, kept / there.whole, is_searched=True)
    assert (kept / name / FILE).read_bytes().startswith(before)
    first, second = replay(kept / name), replay(kept / there.whole)
    assert told(first) == told(second)
    assert first.nets == second.nets
    for net in first.nets:
        one, other = (torch.load(kept / each / net_file(net)) for each in (name, there.whole))
        assert all(torch.equal(value, other[key]) for key, value in one.items())


def test_a_later_version_does_not_go_on_where_the_optimizer_was_chosen(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rivals of the one that was taken are trained after the opening, and no other version has them."""
    become_later(monkeypatch)
    with pytest.raises(
        JournalError, match=f"this is version {LATER}, which cannot go on .* optimizer was chosen"
    ):
        older_runs.train(kept / "in-the-net-of-another", **older_runs.KINDS["auto-whole"])
