"""What is shown of several nets: on the page, in the comparison, on the way."""

import io
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from small_runs import asked, events, flowers, rewrite
from test_page import Read, page_of
from torch import nn

from gammatune import Tuner
from gammatune.journal.history import replay
from gammatune.pipeline.train import train
from gammatune.report import terminal
from gammatune.report.html import sentences
from gammatune.report.html.comparison import write_comparison
from gammatune.report.html.costs import PARTS, shares
from gammatune.report.html.timeline import joined, lanes
from gammatune.report.live import LiveDisplay, PlainLines, Progressing
from gammatune.report.predictions import Findings, load_findings
from gammatune.report.several import disagreement, several
from gammatune.report.wording import brief, in_bytes, nets_in_words


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("several")
    x, y = flowers()
    labels = np.array(["iris", "rose", "tulip"])[y]
    np.savez(home / "flowers.npz", x_train=x[:180], y_train=labels[:180], x_test=x[180:], y_test=labels[180:])
    torch.set_num_threads(1)
    with Progressing() as follower:
        train(asked(data=str(home / "flowers.npz"), budget=3.7), str(home / "run"), follower)
    with Progressing() as follower:
        train(asked(data=str(home / "flowers.npz"), budget=3.7, ensemble=False), str(home / "one"), follower)
    return home


@pytest.fixture
def run(home: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    shutil.copytree(home / "run", tmp_path / "run")
    return tmp_path / "run"


# -- the page


def test_the_page_tells_the_nets_from_the_best_of_them(home: Path, tmp_path: Path) -> None:
    story = replay(home / "run")
    count = len(story.nets)
    assert count >= 2
    text = page_of(home / "run", tmp_path).text
    for words in (
        f"{count} neural networks (mlp, ",
        " weights each) were trained alike, one after the other, on ",
        "while their learning rate was looked for. Their answers are averaged, and what follows is of the average.",
        "Their average is right for ",
        f"{count} nets, whose answers are averaged",
        "epoch of the best net alone",
        f"{count} nets together, and the best of them alone",
        f"Asking them takes {count} times the memory (",
        "measure together the best alone Accuracy ",
        "Where they disagree",
        "their average is ",  # how sure
        "other nets that are averaged",
        "the other nets and trainings that were thrown away",
        "of a net that is averaged",
        "How far the nets are apart in an answer",
        "gammatune predict writes the spread beside every answer",
    ):
        assert words in text, words
    one = page_of(home / "one", tmp_path).text
    for words in ("disagree", "the best alone", "spread", "nets"):
        assert words not in one


def test_every_answer_is_in_one_row_of_the_disagreement(home: Path) -> None:
    found = load_findings(home / "run")
    groups = disagreement(found)
    assert found.targets is not None
    assert sum(group.count for group in groups) == len(found.targets)
    assert sum(group.share for group in groups) == pytest.approx(1)
    assert found.probabilities is not None
    right = (found.probabilities.argmax(1) == found.targets).mean()
    assert sum(group.count * group.right for group in groups) / len(found.targets) == pytest.approx(right)


def test_groups_by_spread_of_classes_and_of_numbers() -> None:
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
    found = Findings(
        probabilities=p, targets=np.array([0, 1, 1, 0]), spread=np.array([0.0, 0.009, 0.3, 0.05])
    )
    told = [(group.low, group.high, group.count, group.right) for group in disagreement(found)]
    assert told == [(0.0, 0.01, 2, 1.0), (0.05, 0.1, 1, 1.0), (0.2, 1.0, 1, 0.0)]
    true = np.arange(8.0)[:, None]
    far = np.array([8, 7, 6, 5, 4, 3, 2, 1.0])[:, None]
    found = Findings(predictions=true + far, targets=true, spread=far)
    told = [(group.low, group.high, group.count, group.right) for group in disagreement(found, [2.0])]
    assert told == [
        (2 * a, 2 * b, 2, pytest.approx(2 * np.sqrt((a * a + b * b) / 2)))
        for a, b in ((1, 2), (3, 4), (5, 6), (7, 8))
    ]
    two = Findings(predictions=np.ones((3, 2)), targets=np.zeros((3, 2)), spread=np.ones((3, 2)))
    assert [group.count for group in disagreement(two)] == [1, 1, 1]
    assert disagreement(Findings()) == []


@pytest.mark.parametrize(
    "spread", [np.full(60, np.nan), np.full(60, -1.0), np.zeros(59), np.zeros((60, 2)), np.array(["a"] * 60)]
)
def test_a_spread_that_cannot_be_is_left_out(spread: Any, run: Path, tmp_path: Path) -> None:
    with np.load(run / "predictions.npz") as held:
        np.savez(run / "predictions.npz", **{**held, "spread": spread})
    text = page_of(run, tmp_path).text
    assert "Where they disagree" not in text
    assert "the best of them alone" in text


def test_pages_without_the_figures_of_one_or_without_predictions(run: Path, tmp_path: Path) -> None:
    """As an interrupted run, whose nets were averaged on the way, has them."""
    (run / "predictions.npz").unlink()
    assert "Where they disagree" not in page_of(run, tmp_path).text
    cut = rewrite(run, tmp_path / "cut", lambda event: None if event["event"] in ("report", "end") else event)
    story = replay(cut)
    assert several(story.report) is None
    text = page_of(cut, tmp_path).text
    together = next(o for o in reversed(story.rollouts) if o.nets == story.nets)
    assert f"On the data it selects by: accuracy {together.metrics['accuracy']:.4f}" in text
    assert "the best of them alone" not in text
    for name in ("single", "price", "nets"):
        less = rewrite(run, tmp_path / name, lambda event: {k: v for k, v in event.items() if k != name})  # noqa: B023
        assert "the best of them alone" not in page_of(less, tmp_path).text
    mixed = rewrite(
        run,
        tmp_path / "mixed",
        lambda event: event | ({"single": {"r2": 0.5, "mse": 1}} if event["event"] == "report" else {}),
    )
    assert "the best of them alone" not in page_of(mixed, tmp_path).text
    console = Console(width=80, record=True)
    with console.capture() as shown:
        terminal.show(console, replay(mixed), str(mixed), rollouts=True)
    assert "best alone " not in shown.get()


def test_the_tree_and_the_cost_know_whose_training_was_for_nothing(home: Path) -> None:
    story = replay(home / "run")
    found = {lane.name: lane for lane in lanes(story) if lane.what == "walk"}
    assert sum(lane.is_kept for lane in found.values()) == 1
    assert sum(lane.is_joined for lane in found.values()) == len(story.nets) - 1
    assert all(lane.is_kept or lane.is_joined for lane in found.values())
    numbers = joined(story)
    kept = {outcome.number for outcome in story.course}
    assert not numbers & kept
    parts = {part.name: part.units for part in shares(story)[0]}
    trained = sum(o.trained for o in story.rollouts if o.number in numbers)
    assert parts[PARTS[-1]] == pytest.approx(trained)
    assert PARTS[3] not in parts  # nothing was thrown away
    one = replay(home / "one")
    assert joined(one) == set()
    assert PARTS[-1] not in {part.name for part in shares(one)[0]}


def test_runs_of_one_and_of_several_are_compared(home: Path, tmp_path: Path) -> None:
    path = write_comparison([home / "run", home / "one"], tmp_path / "compare.html")
    text = Read(path.read_text(encoding="utf-8")).text
    assert f"nets averaged {len(replay(home / 'run').nets)} 1" in text
    assert PARTS[-1] in text


# -- on the terminal


def test_the_screen_fits_a_terminal(home: Path) -> None:
    story = replay(home / "run")
    console = Console(width=80, record=True)
    with console.capture() as shown:
        terminal.show(console, story, str(home / "run"), rollouts=True)
    assert all(len(line) <= 80 for line in shown.get().splitlines())
    reasons = terminal.reasons(story)
    assert sum("are averaged" in reason for reason in reasons) == 1
    assert any(reason.startswith(f"the predictions of {len(story.nets)} nets") for reason in reasons)


def test_the_way_of_numbers() -> None:
    assert [in_bytes(n) for n in (12, 999, 1_000, 340_008, 1_020_024, 25e9)] == [
        "12 B", "999 B", "1.0 kB", "340 kB", "1.0 MB", "25 GB",
    ]  # fmt: skip
    assert [brief(s) for s in (5.1e-6, 2.5e-7, 0.0123, 0.25, 3.0)] == [
        "5.1 µs",
        "0.25 µs",
        "12 ms",
        "250 ms",
        "3 s",
    ]
    assert nets_in_words((0, 2)) == "nets 1, 3 together"
    assert nets_in_words((1,)) == "net 2"


class Told(Progressing):
    """Every phase, and the share that is done."""

    def __init__(self) -> None:
        super().__init__()
        self.phases: list[str] = []
        self.shares: list[float] = []

    def __call__(self, event: Any) -> None:
        super().__call__(event)
        self.phases.append(self.phase)
        self.shares.append(self.done)


def in_a_loop_of_ones_own(listeners: Sequence[Any], run_dir: Path | None = None) -> Tuner:
    def net() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))

    x, y = (torch.from_numpy(part) for part in flowers(160))
    torch.manual_seed(0)
    model = net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    batches = [(x[i : i + 4], y[i : i + 4]) for i in range(0, 120, 4)]

    def score() -> dict[str, Any]:
        out = model(x[120:])
        accuracy = (out.argmax(1) == y[120:]).float().mean()
        return {"accuracy": accuracy, "loss": nn.functional.cross_entropy(out, y[120:])}

    with Tuner(
        model=model, optimizer=optimizer, epochs=5, budget=3.7, ensemble=True, new_model=net, listeners=listeners,
        run_dir=None if run_dir is None else str(run_dir),
    ) as tuner:  # fmt: skip
        for run in tuner:
            for a, b in run.batches(batches):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(a), b).backward()
                optimizer.step()
            run.report(**run.evaluate(score))
    return tuner


def test_what_scores_the_average_is_no_epoch(tmp_path: Path) -> None:
    console, told = Console(width=160, record=True), Told()
    shown = LiveDisplay(Console(force_terminal=True, width=100, file=io.StringIO()))
    tuner = in_a_loop_of_ones_own([PlainLines(console), told, shown], tmp_path / "run")
    assert len(tuner.result.nets) >= 2
    lines = console.export_text().splitlines()
    assert sum(line.startswith("nets 1, 2 together  accuracy ") for line in lines) == 1
    assert not any("lr 0  " in line for line in lines)
    assert not any(line.startswith("together") for line in lines)
    assert "nets 1, 2 together" in told.phases
    assert told.shares == sorted(told.shares)
    assert told.shares[-1] <= 1
    # a loop of one's own has no report: what it selects by is told of all together
    text = page_of(tmp_path / "run", tmp_path).text
    assert "Their answers are averaged" in text
    assert "other nets that are averaged" in text
    assert events(tmp_path / "run")[-1]["event"] == "end"
    assert sentences.verdict(replay(tmp_path / "run"), None)[1].startswith("How good it is on examples")
