"""What is told of the search of a lookahead run: by the opening that made it, whichever version that was."""

from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import events, flowers, rewrite, tuned
from test_page import ASSETS, page_of

from gammatune.errors import JournalError
from gammatune.journal.history import Story, replay
from gammatune.journal.wording import worded
from gammatune.policy.opening import by_looks
from gammatune.report.html.bands import bands
from gammatune.report.html.looks import has_looks, stages
from gammatune.report.html.posterior import surfaces
from gammatune.report.html.searches import searches
from gammatune.space import parse
from gammatune.supervised.fit import fit

OLDER = Path(__file__).resolve().parents[1] / "resume" / "older" / "policy-1"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """strange: of an optimizer nobody knows, with scouts. known: of one that is known. two: with two rates. joint:
    with more than rates."""
    home = tmp_path_factory.mktemp("looks")
    tuned(home / "strange")
    tuned(home / "two", space=["lr=1e-6:10:log", "lr.head=1e-5:100:log"])
    tuned(home / "joint", epochs=12, budget=1.9, space=["lr=1e-4:1:log", "momentum=0.5:0.99", "kind=a,b"])
    torch.manual_seed(0)
    x, y = flowers(600)
    data = ((x[:500], y[:500]), (x[500:], y[500:]))
    options: dict[str, Any] = {"epochs": 4, "batch_size": 8, "seed": 0, "device": "cpu", "progress": False}
    fit(torch.nn.Linear(4, 3), *data, run_dir=str(home / "known"), **options)
    return {path.name: path for path in home.iterdir()}


def changed(run: Path, to: Path, **of: Any) -> Story:
    """The story with what `of` says of each kind of event, by name, in place of it."""
    return replay(rewrite(run, to, lambda event: of.get(event["event"], lambda e: e)(event)))


# -- the looks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["strange", "known", "two"])
def test_the_journal_tells_what_the_run_believed(name: str, runs: dict[str, Path]) -> None:
    story = replay(runs[name])
    found = stages(story, parse(*story.begin["space"]))
    assert [stage.is_scouting for stage in found] == ([False] if name == "known" else [True, False])
    scouts = found[0].told if len(found) == 2 else []
    again = by_looks(found[-1].after(), scouts)
    verdict = story.verdicts[0]
    assert again.verdict.numbers == pytest.approx(verdict.numbers)
    assert worded(again.verdict).reason == verdict.reason
    course = next(o for o in story.rollouts if o.role == "course")
    assert again.values == course.values


@pytest.mark.parametrize("name", ["strange", "known", "two"])
def test_looks_are_drawn_with_what_is_expected_of_them_and_of_the_whole(
    name: str, runs: dict[str, Path]
) -> None:
    story = replay(runs[name])
    views = surfaces(story).views
    looked = [o for o in story.rollouts if o.role in ("scout", "miniature")]
    assert len(views) == len(looked)
    for view in views:
        (part,) = view.slices
        assert part.name == "lr"
        assert part.promise is None
        assert all(low < mean < high for low, mean, high in zip(part.low, part.mean, part.high, strict=True))
        for rate, score in part.seen:
            assert score is not None
            at = min(range(len(part.at)), key=lambda i: abs(part.at[i] / rate - 1))
            assert part.low[at] < score < part.high[at]
    last = views[-1]
    (part,) = last.slices
    assert part.whole is not None
    assert (min(part.whole), max(part.whole)) == (0.0, 1.0)
    best = part.at[part.whole.index(1.0)]
    chosen = story.course[0].values
    assert chosen["lr"] == pytest.approx(best, rel=0.25)
    assert last.chosen == {n: v for n, v in chosen.items() if n.startswith("lr")}
    assert last.used is None
    assert last.words.startswith("Chosen: lr ")
    assert last.words.endswith("of the highest expected score for the whole training.")
    following = [view.next for view in views if view.next is not None]
    assert len(following) == len(looked) - len({o.role for o in looked})


def test_scouts_say_where_the_looks_begin(runs: dict[str, Path]) -> None:
    story = replay(runs["strange"])
    scouts, looks = searches(story)
    assert scouts.chosen is not None
    assert scouts.chosen["lr"] == pytest.approx(looks.told[0].values["lr"])
    words = [view.words for view in surfaces(story).views]
    assert words[len(scouts.told) - 1].startswith("The region about lr ")
    for search, view in zip([scouts, looks], [words[0], words[len(scouts.told)]], strict=True):
        first, second = (float(o.values["lr"]) for o in search.told[:2])
        assert ("above" if second > first else "below") + " what was tried so far" in view


def test_the_optimizers_own_rate_is_told_as_that(runs: dict[str, Path], tmp_path: Path) -> None:
    run = runs["strange"]
    own = events(run)[1]["values"]

    def kept(event: dict[str, Any]) -> dict[str, Any]:
        return event | {"values": own} if event["role"] == "course" else event

    story = changed(run, tmp_path / "kept", rollout=kept)
    assert surfaces(story).views[-1].words.startswith("Kept: lr 0.00316, the optimizer's own")

    nothing = events(run)[1]["score"]
    story = changed(run, tmp_path / "nothing", rollout=lambda event: event | {"score": nothing})
    words = surfaces(story).views[-1].words
    assert words.startswith("No look scores otherwise than doing nothing does. Taken: lr ")


def test_looks_that_diverged_do_no_harm(runs: dict[str, Path], tmp_path: Path) -> None:
    failed: dict[str, Any] = {"status": "diverged", "score": None, "metrics": {}}
    for roles in (["scout"], ["miniature"], ["scout", "miniature"]):

        def fail(event: dict[str, Any], roles: list[str] = roles) -> dict[str, Any]:
            return event | failed if event["role"] in roles else event

        run = tmp_path / "-".join(roles)
        story = changed(runs["strange"], run, rollout=fail)
        left = {"scout", "miniature"} - set(roles)
        titles = " ".join(view.title for view in surfaces(story).views)
        assert ("Scouts" in titles) == ("scout" in left)
        # looks go on from scouts that told nothing but that they diverged
        assert ("Looks" in titles) == ("miniature" in left)
        assert "How the rate was looked for" in page_of(run, run).text


# -- how sure the rate is ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["strange", "known", "two"])
def test_the_band_is_that_of_the_verdict(name: str, runs: dict[str, Path], tmp_path: Path) -> None:
    story = replay(runs[name])
    numbers = story.verdicts[0].numbers
    rates = ["lr", "lr.head"] if name == "two" else ["lr"]
    assert [band.name for band in bands(story)] == rates
    for band in bands(story):
        assert (band.low, band.high) == (numbers[f"{band.name} low"], numbers[f"{band.name} high"])
        assert band.low < story.course[0].values[band.name] < band.high  # type: ignore[operator]

    def silent(event: dict[str, Any]) -> dict[str, Any]:
        told = {n: v for n, v in event["verdict"]["numbers"].items() if not n.endswith((" low", " high"))}
        return event | {"verdict": event["verdict"] | {"numbers": told}}

    for band, again in zip(
        bands(story), bands(changed(runs[name], tmp_path / name, commit=silent)), strict=True
    ):
        assert (again.low, again.high) == pytest.approx((band.low, band.high), rel=1e-6)


# -- more than rates ---------------------------------------------------------------------------------------------


def test_what_is_searched_beside_rates_is_told_after_them(runs: dict[str, Path], tmp_path: Path) -> None:
    story = replay(runs["joint"])
    scouts, looks, joint = searches(story)
    own = story.rollouts[0].values
    assert [search.what for search in (scouts, looks, joint)] == ["scouts", "looks", "miniatures"]
    for name in ("momentum", "kind"):
        assert {o.values[name] for o in looks.told} == {own[name]}
        assert len({o.values[name] for o in joint.told}) > 1
    assert joint.told[: len(looks.told)] == looks.told
    assert len(joint.told) == sum(o.role == "miniature" for o in story.rollouts)
    views = surfaces(story).views
    decided = [v for v in views if v.last]
    assert decided[1].words.endswith("The other values are searched about it.")
    assert decided[2].chosen == story.course[0].values
    assert "longer" not in decided[2].words
    kinds = [kind for kind, _ in groupby(view.title.partition(":")[0] for view in views)]
    assert kinds == ["Scouts", "Looks at rates", "Miniatures"]
    assert views[-1].title == f"Miniatures: after {len(joint.told)} of {len(joint.told)}"
    (band,) = bands(story)  # of all that was compared, since the verdict has none
    assert band.low < story.course[0].values["lr"] < band.high  # type: ignore[operator]
    text = page_of(runs["joint"], tmp_path).text
    assert "promise of a further look" in text
    assert "expected of the whole training" in text


# -- the page ----------------------------------------------------------------------------------------------------


def test_the_page_speaks_of_the_version_that_searched(runs: dict[str, Path], tmp_path: Path) -> None:
    new, old = (page_of(run, tmp_path).text for run in (runs["known"], OLDER / "whole"))
    assert "expected of the whole training" in new
    assert "up to its rate over the first two fifths and down to zero" in new
    assert "Since the real training is longer" not in new
    assert "used in the longer training" not in new
    assert "finding the region" not in new
    assert "expected of the whole training" not in old
    assert "A rollout of about an eighth of the training" in old
    assert "used in the longer training" in old
    assert "finding the region (scouts)" in old


def test_an_older_run_is_told_as_it_always_was() -> None:
    """Numbers: by the version of gammatune that made it."""
    story = replay(OLDER / "whole")
    assert not has_looks(story)
    (band,) = bands(story)
    assert (band.low, band.high) == pytest.approx((0.0332578, 0.1906458), rel=0.01)
    assert [(view.title, view.words) for view in surfaces(story).views] == [
        ("Scouts: after 2 of 4", "Next it tried lr 0.548, a stride from what was tried before."),
        ("Scouts: after 3 of 4", "Next it tried lr 3.08, a stride from what was tried before."),
        ("Scouts: after 4 of 4", "The region about lr 0.411 looks best; longer trials follow there."),
        (
            "Miniatures: after 2 of 2",
            "Chosen: lr 0.173. Since the real training is longer, it used lr 0.0804.",
        ),
    ]
    assert not has_looks(replay(ASSETS / "journals" / "second-lookahead.jsonl"))


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        3,
        {"family": "none"},
        {"rate": -1.0},
        {"rate": "x"},
        {"fan_in": 0},
        {"is_own": 1},
        {"more": 1},
    ],
)
def test_what_was_known_is_looked_at(wrong: Any, runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(JournalError):
        changed(runs["known"], tmp_path, begin=lambda event: event | {"known": wrong})


def test_a_journal_that_does_not_say_what_was_known_has_a_page(runs: dict[str, Path], tmp_path: Path) -> None:
    def forget(event: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in event.items() if name != "known"}

    story = changed(runs["known"], tmp_path, begin=forget)
    assert surfaces(story).views
    assert page_of(tmp_path, tmp_path).text
