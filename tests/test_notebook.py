"""What notebooks and terminals show of a run: while it runs, and of its result."""

import html.parser
import io
import math
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

import needs
import pytest
import torch
from torch import nn

import gammatune
from gammatune.cost import Cost
from gammatune.course import Schedule
from gammatune.journal.reducer import handed_back
from gammatune.records import Outcome, Shape, Verdict
from gammatune.report import progress as shown
from gammatune.report.live import LiveDisplay, PlainLines, Progressing
from gammatune.report.progress import NotebookDisplay, Progress, listeners_for
from gammatune.testing.fakes import FakeTraining
from gammatune.tuning import notebook as cards
from gammatune.tuning.result import Result
from gammatune.tuning.tuner import Tuner

COST = Cost(1000, 300, 2.0, 1.5, 15.0)


class Elements(html.parser.HTMLParser):
    """Fails at elements that do not match; keeps their names, their attributes and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.names.add(tag)
        self.attributes += attributes

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += attributes

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def run(*, leave_at: int | None = None, training: FakeTraining | None = None, **options: Any) -> Result:
    given: dict[str, Any] = {"epochs": 4, "space": ["lr=1e-4:10:log"]}
    training = training or FakeTraining(examples=1000, steps=100)
    with Tuner(training=training, **(given | options)) as tuner:
        for one in tuner:
            one.advance()
            if one.number == leave_at:
                raise ValueError("mine")
            one.report(**one.evaluate())
    return tuner.result


def outcome(number: int, **other: Any) -> Outcome:
    plain = {"epoch": number, "values": {"lr": 0.1}, "status": "ok", "metrics": {"loss": 1.0}, "score": 1.0}
    plain |= {"steps": 5, "trained": 10, "evaluated": 3, "seconds": 0.1, "batches": 5, "epoch_batches": 5}
    return Outcome(number=number, **(plain | other))


def card(course: list[Outcome], **other: Any) -> str:
    given: dict[str, Any] = {"verdicts": [Verdict("why")], "cost": COST, "rollouts": len(course)}
    schedule = Schedule.of(course, course, {})
    given: dict[str, Any] = {
        "verdicts": [Verdict("why")],
        "cost": COST,
        "rollouts": len(course),
        "back": handed_back(course, course, schedule),
        "metrics": course[-1].metrics if course else {},
    }
    return cards.card(course=course, schedule=schedule, **(given | other))


# -- of a result


def test_the_card_of_a_result() -> None:
    result = run()
    found = Elements(result._repr_html_())
    assert found.text.startswith(f"4 epochs, {len(result.rollouts)} rollouts")
    assert result.verdicts[0].reason in found.text
    assert str(result.cost) in found.text
    assert f"accuracy {result.metrics['accuracy']:.4f}" in found.text
    rows = found.text.split("every epoch")[1]
    assert all(f"{o.metrics['loss']:.4f}" in rows for o in result.course)
    labels = [value for name, value in found.attributes if name == "aria-label"]
    assert [label.split(",")[0] for label in labels if label] == ["learning rate", "score"]


def test_the_card_needs_nothing_from_elsewhere_and_has_the_colours_of_the_notebook() -> None:
    text = run()._repr_html_()
    found = Elements(text)
    assert not found.names & {"script", "style", "link", "img", "iframe", "object"}
    assert not re.search(r"https?:|url\(|\bon\w+=", text)
    styles = " ".join(value or "" for name, value in found.attributes if name == "style")
    assert "color:inherit" in styles
    assert not re.search(r"(?<!-)\bcolor:(?!inherit)|background:(?!transparent)", styles)


NASTY = "</td><script>alert(1)</script>&\"'"


def test_every_word_is_escaped() -> None:
    course = [outcome(n, values={"lr": 0.1, NASTY: NASTY}, metrics={NASTY: 1.0}) for n in range(3)]
    texts = [
        card(course, verdicts=[Verdict(NASTY)], measured=[(NASTY, NASTY)], where=NASTY, said=[NASTY]),
        NotebookDisplay._box([]),
    ]
    display = NotebookDisplay()
    space = {"lr": gammatune.Choice((0.1, 0.2)), NASTY: gammatune.Choice((NASTY,))}
    listeners = [display, lambda event: texts.append(display.render())]
    with Tuner(training=FakeTraining(), epochs=2, space=space, listeners=listeners) as tuner:
        for one in tuner:
            one.advance()
            one.report(**{**one.evaluate(), NASTY: 1.0})
    assert len(texts) > 6
    for text in texts:
        assert "script" not in Elements(text).names
        assert "<script" not in text


@pytest.mark.parametrize(
    "course",
    [
        [],
        [outcome(0)],
        [outcome(0, metrics={"loss": math.nan, "own": math.inf}), outcome(1, score=None, metrics={})],
        [outcome(n, values={}) for n in range(3)],
        [outcome(n, values={"lr.0": 0.1, "lr.1": 0.2, "kind": "a"}) for n in range(3)],
        [outcome(0, values={"lr": 0.1}), outcome(1, values={"batch_size": 32})],
        [outcome(n, shape=Shape(((0.0, 0.0), (0.0, 1.0), (1.0, 0.0)))) for n in range(2)],
        [outcome(n) for n in range(1000)],
    ],
    ids=["none", "one", "not finite", "no values", "two rates", "changing", "a step", "many"],
)
def test_cards_of_odd_courses(course: list[Outcome]) -> None:
    text = card(course)
    assert "nan" not in " ".join(v or "" for n, v in Elements(text).attributes if n == "points")
    assert len(text) < 100_000


def test_a_result_in_one_line() -> None:
    result = run()
    assert repr(result).startswith(
        f"<Result: 4 epochs, {len(result.rollouts)} rollouts, selected by accuracy 0."
    )
    assert "\n" not in repr(result)
    assert len(repr(result)) < 200


def fitted(**options: Any) -> gammatune.FitResult:
    torch.manual_seed(0)
    x = torch.randn(60, 4)
    y = (x[:, 0] > 0).long()
    parts: dict[str, Any] = {"epochs": 2, "space": ["lr=0.01:1:log"], "test_set": (x[50:], y[50:])}
    return gammatune.fit(nn.Linear(4, 2), (x[:40], y[:40]), (x[40:50], y[40:50]), **(parts | options))


def test_the_card_of_fit_says_on_which_data() -> None:
    result = fitted()
    text = Elements(result._repr_html_()).text
    assert result.report is not None
    assert repr(result).startswith(f"<FitResult: accuracy {result.report.accuracy:.4g}")
    assert "on the test data; 2 epochs" in repr(result)
    assert "on data it neither trained on nor selected by" in text
    assert all(sentence in text for sentence in result.said)
    assert "expect less on new data" in Elements(fitted(test_set=None)._repr_html_()).text


# -- while it runs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_fit_shows_its_progress_where_somebody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    def kinds(progress: bool | None, *listeners: Any) -> list[type]:
        return [type(listener) for listener in listeners_for(progress, listeners)]

    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert kinds(None) == kinds(False) == []
    assert kinds(True) == [Progress]
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert kinds(None) == kinds(True) == [Progress]
    assert kinds(False) == []
    assert kinds(None, Progressing()) == [Progressing], "the command has its own"
    assert kinds(None, Progress()) == [Progress]


def test_a_script_is_not_spammed_unless_it_asks(capsys: pytest.CaptureFixture[str]) -> None:
    fitted()
    assert capsys.readouterr().out == ""
    fitted(progress=True)
    said = capsys.readouterr().out.splitlines()
    assert any(line.startswith("epoch 2/2") for line in said)


def test_on_a_terminal_it_is_drawn_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    run(listeners=[gammatune.progress()])
    assert "compute" in screen.getvalue()
    assert screen.getvalue().rfind("\x1b[?25h") > screen.getvalue().rfind("\x1b[?25l"), "the cursor is back"


def test_it_ends_with_the_run_however_that_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str | None] = []

    class Display(Progressing):
        def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
            ended.append(None if error is None else str(error))

    monkeypatch.setattr(shown, "_display", Display)
    listener = gammatune.progress()
    run(listeners=[listener])
    with pytest.raises(ValueError, match="mine"):
        run(listeners=[listener], leave_at=3)
    run(listeners=[listener])
    assert ended == [None, "failed: ValueError", None]


def test_where_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert isinstance(shown._display(), PlainLines)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert isinstance(shown._display(), LiveDisplay)
    monkeypatch.setattr(shown, "_in_notebook", lambda: True)
    assert isinstance(shown._display(), NotebookDisplay)


def test_the_display_of_a_notebook_moves_while_a_rollout_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    display = needs.package("IPython.display")
    drawn: list[str] = []

    class Handle:
        def update(self, html: Any) -> None:
            drawn.append(html.data)

    monkeypatch.setattr(display, "display", lambda html, display_id: drawn.append(html.data) or Handle())
    monkeypatch.setattr(shown, "_display", NotebookDisplay)
    monkeypatch.setattr(shown, "EVERY", 0.002)

    class Slow(FakeTraining):
        def advance(self, epoch: int, values: Any, meter: Any) -> None:
            time.sleep(0.01)
            super().advance(epoch, values, meter)

    result = run(training=Slow(examples=1000, steps=100), listeners=[gammatune.progress()])
    assert "preparing" in drawn[0]
    assert len(set(drawn)) > 5
    assert any("searching: rollout" in text and "trying" in text for text in drawn)
    assert any("course: epoch 3/4" in text for text in drawn)
    shares = [int(found) for text in drawn for found in re.findall(r'value="(\d+)"', text)]
    assert shares == sorted(shares)
    assert Elements(drawn[-1]).text.startswith(f"4 epochs, {len(result.rollouts)} rollouts in")
    assert not any(thread.name == "gammatune progress" for thread in threading.enumerate())
    drawn.clear()
    with pytest.raises(ValueError, match="mine"):
        run(listeners=[gammatune.progress()], leave_at=len(result.rollouts) - 1)
    assert "failed: ValueError; 3 epochs" in drawn[-1]
    assert "epoch 3  lr" in drawn[-1]


NOTEBOOK = [
    """import gammatune
from gammatune.testing.fakes import FakeTraining

def train(listeners):
    with gammatune.Tuner(
        training=FakeTraining(examples=1000, steps=100), epochs=4, space=["lr=1e-4:10:log"], listeners=listeners
    ) as tuner:
        for run in tuner:
            run.advance()
            run.report(**run.evaluate())
    return tuner.result

result = train([gammatune.progress()])""",
    "result",
    "from gammatune.report.progress import listeners_for\n[type(one).__name__ for one in listeners_for(None, [])]",
]


def test_in_a_real_notebook(tmp_path: Path) -> None:
    nbclient = needs.package("nbclient")
    nbformat = needs.package("nbformat")
    needs.package("ipykernel")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in NOTEBOOK])
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120).execute(cwd=str(tmp_path))
    trained, looked, asked = (cell.outputs for cell in notebook.cells)
    assert [output.output_type for output in trained] == ["display_data"], (
        "one output, and no warning beside it"
    )
    assert re.match(r"4 epochs, \d+ rollouts in", Elements(trained[0].data["text/html"]).text)
    (result,) = looked
    assert Elements(result.data["text/html"]).text.startswith("4 epochs")
    assert result.data["text/plain"].startswith("<Result: 4 epochs")
    assert asked[0].data["text/plain"] == "['Progress']", "in a notebook somebody watches"
