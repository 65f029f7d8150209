"""What a page, a card and the terminal show follows from fields of the records: whatever the sentences say, whichever
of them tells it."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from small_runs import rewrite, tuned
from test_page import Read

from gammatune import FitResult, Tuner, fit
from gammatune.cost import Meter
from gammatune.journal.history import Story, replay
from gammatune.journal.reducer import HandedBack
from gammatune.records import Values, Verdict
from gammatune.report import terminal
from gammatune.report.html import sentences
from gammatune.report.html.comparison import write_comparison
from gammatune.report.html.page import write_report
from gammatune.report.live import PlainLines
from gammatune.testing.fakes import FakeTraining
from gammatune.tuning import notebook
from gammatune.tuning.result import Result


def scripted(run_dir: Path, *told: tuple[float, float], **options: Any) -> Result:
    """A course whose k-th training of an epoch reports told[k] = (accuracy, loss) over 100 examples."""
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    left = iter(told)
    given: dict[str, Any] = {"epochs": 4, "budget": 1.4, "space": ["lr=0.05:0.2:log"]}
    with Tuner(model=model, optimizer=optimizer, run_dir=str(run_dir), **(given | options)) as tuner:
        for run in tuner:
            for x in run.batches([torch.ones(4, 2)] * 12):
                optimizer.zero_grad()
                model(x).sum().backward()
                optimizer.step()
            accuracy, loss = next(left) if run.is_course else (0.1, 2.3)
            run.report(**run.evaluate(lambda: {"accuracy": accuracy, "loss": loss}, examples=100))  # noqa: B023
    return tuner.result


def earlier_epoch(home: Path) -> Result:
    return scripted(home, (0.5, 1.0), (0.9, 0.3), (0.9, 0.5), (0.9, 0.6))


def taken_back(home: Path) -> Result:
    """The third epoch blows up, and the fourth is better than what is repeated of it."""
    return scripted(home, (0.6, 1.0), (0.9, 0.3), (0.1, 2.3), (0.92, 0.25), (0.95, 0.2))


def taken_back_at_once(home: Path) -> Result:
    """With the sentence on the rate still to be told."""
    return scripted(home, (0.1, float("nan")), (0.6, 1.0), (0.9, 0.3), (0.92, 0.25), (0.95, 0.2), budget=1.6)


class Misleading(FakeTraining):
    """What is best in a miniature, which never comes to the second epoch, is not what is best after it."""

    def advance(self, epoch: int, values: Values, meter: Meter) -> None:
        self.best_lr = 1.0 if epoch else 0.1
        super().advance(epoch, values, meter)


def several_walks(home: Path) -> Result:
    return tuned(home, epochs=3, budget=8.0)


def a_later_walk(home: Path) -> Result:
    return tuned(home, epochs=3, budget=8.0, training=Misleading(examples=1000, steps=100))


def out_of_patience(home: Path) -> Result:
    return scripted(home, *[(0.9, 0.3)] * 6, epochs=6, patience=2)


def of_the_thesis(home: Path) -> Result:
    return tuned(home, epochs=3, budget=3, policy="greedy", space=["lr=0.01,0.1,20"])


def best_of_whole_runs(home: Path) -> Result:
    return tuned(home, epochs=3, budget=3, policy="once", space=["lr=0.01,0.1,20"])


def pretrained(home: Path) -> FitResult:
    """What it trains on is noise, and no epoch is better than the weights it comes with."""
    x = torch.linspace(-1, 1, 80)[:, None]
    model = torch.nn.Linear(1, 1)
    with torch.no_grad():
        model.weight.fill_(1.9)
        model.bias.zero_()
    options: dict[str, Any] = {"epochs": 2, "pretrained": True, "budget": 1.5, "batch_size": 8}
    data = ((x[:60], -5 + torch.randn(60, 1)), (x[60:], 2 * x[60:]))
    return fit(model, *data, run_dir=str(home), device="cpu", optimizer="sgd", progress=False, **options)


RUNS = (earlier_epoch, taken_back, taken_back_at_once, several_walks, a_later_walk, out_of_patience)
RUNS += (of_the_thesis, best_of_whole_runs, pretrained)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Result]]:
    torch.manual_seed(0)
    home = tmp_path_factory.mktemp("runs")
    return {make.__name__: (home / make.__name__, make(home / make.__name__)) for make in RUNS}


@pytest.fixture(params=[make.__name__ for make in RUNS])
def run(request: pytest.FixtureRequest, made: dict[str, tuple[Path, Result]]) -> tuple[Path, Result]:
    return made[request.param]


def changed(run: Path, to: Path, change: Callable[[dict[str, Any]], None]) -> Story:
    """The story with each verdict changed."""

    def each(event: dict[str, Any]) -> dict[str, Any]:
        if event["event"] == "commit":
            change(event["verdict"])
        return event

    return replay(rewrite(run, to, each))


# -- verdicts


def test_other_words_are_shown_in_the_same_places(run: tuple[Path, Result], tmp_path: Path) -> None:
    count = iter(range(1000))
    known: dict[str, str] = {}  # a sentence said twice stays one

    def reword(verdict: dict[str, Any]) -> None:
        verdict["reason"] = known.setdefault(verdict["reason"], f"sentence {next(count)}")

    was, now = replay(run[0]), changed(run[0], tmp_path, reword)

    def other(reasons: list[str]) -> list[str]:
        return [known.get(reason, reason) for reason in reasons]

    assert other(terminal.reasons(was)) == terminal.reasons(now)
    assert other(notebook.reasons(was.verdicts)) == notebook.reasons(now.verdicts)
    assert [place for place, _ in sentences.verdicts(was)] == [place for place, _ in sentences.verdicts(now)]
    assert len(live(was, run[0])) == len(live(now, tmp_path))
    assert was.handed_back == now.handed_back


def live(story: Story, run: Path) -> list[tuple[bool, bool]]:
    """Of each line that a pipe gets, whether it says a reason."""
    console = Console(width=400, record=True, quiet=True)
    follower = PlainLines(console)
    lines = []
    follower.show_start = lambda: None  # type: ignore[method-assign]
    for line in (run / "journal.jsonl").read_text().splitlines():
        event = json.loads(line)
        follower({**event})
        if event["event"] == "commit":
            reason = follower.story.verdicts[-1].reason
            lines.append((reason in follower.commit_in_words(), reason == follower.said))
    return lines


def test_every_sentence_but_the_routine_is_told(made: dict[str, tuple[Path, Result]]) -> None:
    """The card left out whatever began with a word that other sentences begin with."""
    for name, words in {
        "taken_back": "epoch 3 blew up (it ended at a score of ",
        "taken_back_at_once": "epoch 1 blew up",
        "earlier_epoch": "the last epoch ended below epoch 2; that one is handed back",
        "out_of_patience": "no better score for 2 epochs, since epoch 1",
    }.items():
        path, result = made[name]
        story = replay(path)
        for reasons in (
            notebook.reasons(result.verdicts),
            terminal.reasons(story),
            [verdict.reason for _, verdict in sentences.verdicts(story)],
        ):
            assert any(words in reason for reason in reasons), (name, reasons)
        assert words in Read(result._repr_html_()).text
    for _, result in made.values():
        told = notebook.reasons(result.verdicts)
        assert all(v.reason in told for v in result.verdicts if v.kind not in ("schedule", "epoch"))


def test_a_smaller_batch_size_within_the_course_is_no_routine() -> None:
    said = Verdict(
        "along the schedule; out of memory in epoch 2: the batch size goes down to 8", kind="memory"
    )
    assert notebook.reasons([Verdict("why", kind="search"), said]) == ["why", said.reason]
    story = Story(verdicts=[said], begin={"policy": "lookahead"})
    assert terminal.reasons(story) == [said.reason]


def test_a_policy_of_ones_own_is_told_whatever_its_words() -> None:
    own = [Verdict("best of luck"), Verdict("epoch by epoch"), Verdict("along the schedule of the trains")]
    assert notebook.reasons(own) == [verdict.reason for verdict in own]


def test_journals_without_the_field_are_read_as_those_with_it(
    run: tuple[Path, Result], tmp_path: Path
) -> None:
    def older(verdict: dict[str, Any]) -> None:
        del verdict["kind"]
        # a sentence that is younger than the field, in the words of before
        verdict["reason"] = verdict["reason"].replace("no look at rates: ", "no search: ")

    was, now = replay(run[0]), changed(run[0], tmp_path, older)
    assert [verdict.kind for verdict in now.verdicts] == [verdict.kind for verdict in was.verdicts]
    assert "other" not in {verdict.kind for verdict in was.verdicts}


def test_every_kind_has_been_met(made: dict[str, tuple[Path, Result]]) -> None:
    kinds = {verdict.kind for _, result in made.values() for verdict in result.verdicts}
    assert kinds >= {"search", "epoch", "schedule", "guard", "patience", "walk", "handed back"}


# -- what is handed back


def test_one_epoch_and_one_rate_wherever_they_are_told(
    run: tuple[Path, Result],
    made: dict[str, tuple[Path, Result]],
    tmp_path: Path,
    said: Callable[..., tuple[int, str, str]],
) -> None:
    path, result = run
    back = result.handed_back
    assert back is not None
    assert replay(path).handed_back == back
    _, shown, _ = said("show", str(path))
    assert f"handed back    {back}" in shown
    _, listed, _ = said("show", str(path), "--json")
    assert json.loads(listed)["handed_back"] == dataclasses.asdict(back)
    assert f"handed back: {back}" in Read(result._repr_html_()).text
    other = next(there for there, _ in made.values() if there != path)
    compared = Read(write_comparison([path, other], tmp_path / "c.html").read_text(encoding="utf-8")).text
    assert f"handed back {back}" in compared
    tiles = {what: value for value, what in sentences.tiles(replay(path))}
    if back.epoch:
        assert tiles["epoch handed back"] == f"{back.epoch} of {back.trained}"
        assert tiles["highest learning rate"] == f"{back.rates['lr']:.3g}"
        seen = [value["lr"] for value in result.schedule]
        assert back.rates["lr"] <= max(seen)
    assert write_report(path, tmp_path / "page.html")


def test_which_epoch_that_is(made: dict[str, tuple[Path, Result]]) -> None:
    back = {name: result.handed_back for name, (_, result) in made.items()}
    assert back["pretrained"] == HandedBack(0, 2)
    assert str(back["pretrained"]) == "the weights the model came with"
    earlier = back["earlier_epoch"]
    assert earlier is not None
    assert (earlier.epoch, earlier.trained) == (2, 4)
    assert str(earlier) == f"epoch 2 of the 4 that were trained; lr at most {earlier.rates['lr']:.3g}"
    later = back["a_later_walk"]
    assert later is not None
    assert str(later).startswith(f"epoch 3, the last, {later.walk}; lr at most ")
    assert later.walk.startswith("walk ")
    slowed = back["taken_back"]
    assert slowed is not None
    assert (slowed.epoch, slowed.trained) == (4, 4)
    assert str(slowed).startswith("epoch 4, the last; lr at most ")


def test_the_highest_rate_of_a_step_is_what_stands_before_it(tmp_path: Path) -> None:
    """A picture that looks at even distances alone misses the end of a rise that falls at once."""
    from gammatune.course import Schedule
    from gammatune.journal.reducer import handed_back
    from gammatune.records import Outcome, Shape
    from gammatune.report.html import figures

    shape = Shape(((0.0, 0.0), (0.37, 1.0), (0.37, 0.1), (1.0, 0.1)))
    given: dict[str, Any] = {
        "metrics": {},
        "score": 1.0,
        "steps": 9,
        "trained": 9,
        "evaluated": 1,
        "seconds": 0.1,
    }
    outcome = Outcome(0, 0, {"lr": 0.5}, "ok", shape=shape, **given)
    schedule = Schedule.of([outcome], [outcome], {})
    back = handed_back([outcome], [outcome], schedule)
    assert back is not None
    assert back.rates == {"lr": 0.5}
    assert max(rate for _, rate in figures._along(schedule.stretches, "lr", 0)) == 0.5
