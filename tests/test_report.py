"""What a person sees of a run: the progress, the schedule found and why, old journals too."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gammatune.cost import Cost, Meter
from gammatune.journal.events import begin_event, rollout_event
from gammatune.journal.history import Story, replay
from gammatune.records import Commit, Fork, Metrics, Outcome, Rollout, Shape, Values, Verdict
from gammatune.report.live import LiveDisplay, PlainLines, Progressing
from gammatune.report.terminal import final_screen, rollout_table, runs_table, show
from gammatune.report.wording import (
    at_an_edge,
    cost_in_words,
    epoch_in_words,
    place_in_range,
    settings_in_words,
)
from gammatune.schedules import STILL
from gammatune.space import parse
from gammatune.testing.fakes import FakeTraining
from gammatune.tuning.tuner import Tuner

SPACE = "lr=1e-6:10:log"
OLD = Path(__file__).parent / "assets" / "journal-format-1.jsonl"


def run(follower: Progressing, run_dir: Path | None = None, **options: Any) -> Tuner:
    given: dict[str, Any] = {
        "epochs": 4,
        "space": [SPACE],
        "training": FakeTraining(examples=1000, steps=100),
    }
    directory = None if run_dir is None else str(run_dir)
    with follower, Tuner(**(given | options), run_dir=directory, listeners=[follower]) as tuner:
        for one in tuner:
            one.advance()
            one.report(**one.evaluate())
    return tuner


def text(shown: Any, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(shown)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


class Watched(Progressing):
    """Notes what stands there at every event."""

    def __init__(self) -> None:
        super().__init__()
        self.phases: list[str] = []
        self.shares: list[float] = []

    def show_start(self) -> None:
        self.phases.append(self.phase)
        self.shares.append(self.done)

    def show_rollout(self, outcome: Outcome) -> None:
        self.shares.append(self.done)


# -- while it runs ---------------------------------------------------------------------------------------------


def test_the_phases_of_a_lookahead() -> None:
    seen = Watched()
    result = run(seen).result
    searched = len(result.rollouts) - 4
    assert searched > 3
    assert seen.phases == [
        *(f"searching: rollout {n + 1}" for n in range(searched)),
        *(f"course: epoch {n + 1}/4" for n in range(4)),
    ]


def test_the_phases_of_an_averaged_lookahead() -> None:
    seen = Watched()
    run(seen, budget=9)
    kinds = list(dict.fromkeys(phase.split(":")[0] for phase in seen.phases))
    assert kinds[:3] == ["searching", "course", "walk 2"]
    averaged = [phase for phase in seen.phases if "member" in phase or "mean" in phase]
    walk, members = averaged[0].split(":")[0], int(averaged[1].split()[-1])
    assert members > 1
    # how many there are is known once the first has run
    assert averaged[0] == f"{walk}: epoch 1/4, member 1"
    assert averaged[1] == f"{walk}: epoch 1/4, member 2 of {members}"
    assert averaged[members] == f"{walk}: epoch 1/4, the mean"
    assert averaged[members + 1] == f"{walk}: epoch 2/4, member 1 of {members}"


def test_the_phases_of_the_others() -> None:
    greedy = Watched()
    run(greedy, policy="greedy", budget=2, epochs=2, sampler="random")
    assert greedy.phases == [f"epoch {e}/2, candidate {n}/2" for e in (1, 2) for n in (1, 2)]
    once = Watched()
    run(once, policy="once", budget=2, epochs=2, sampler="random")
    assert once.phases == [f"run {n}/2, epoch {e}/2" for n in (1, 2) for e in (1, 2)]

    def mine(job: Any) -> Any:
        yield Fork("start")
        outcome = yield Rollout({"lr": 0.1}, 0, "start")
        yield Commit((outcome,), 1, None, Verdict("mine"))

    own = Watched()
    run(own, policy=mine, epochs=1)
    assert own.phases == ["epoch 1/1: rollout 1"]


@pytest.mark.parametrize(
    "options",
    [{"budget": b} for b in (1.5, 2.7, 5, 9)]
    + [{"policy": "greedy", "budget": 5}, {"policy": "once", "budget": 3}],
)
def test_progress_is_the_share_of_what_will_be_spent(options: dict[str, Any]) -> None:
    seen = Watched()
    tuner = run(seen, **options)
    assert seen.shares == sorted(seen.shares)
    assert seen.shares[0] == 0
    assert ("policy" not in options) * 0.7 < seen.shares[-1] <= 1
    assert tuner.cost.plain_runs is not None
    assert seen.shares[-1] == pytest.approx(tuner.cost.plain_runs / options["budget"])


def test_progress_where_the_space_is_small() -> None:
    seen = Watched()
    run(seen, policy="greedy", budget=50, space=["lr=0.01,0.1,0.2"])
    assert seen.shares[-1] == 1


def lines(**options: Any) -> list[str]:
    console = Console(file=io.StringIO(), width=80)
    run(PlainLines(console), **options)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


def test_plain_lines_of_a_lookahead() -> None:
    said = lines()
    assert said[0].startswith("course: lr ")
    assert said[0].endswith(" rollouts")
    first, second, last = said[1], said[2], said[4]
    assert first.startswith("epoch 1/4  lr 0 → ")
    assert "leads furthest" in first
    assert "with probability" in first
    assert " of at most 6 plain epochs  " in first
    assert first.endswith(" left")
    start, end = second.split("  ")[1].removeprefix("lr ").split(" → ")
    assert float(start) > float(end) > 0
    assert "along the schedule" not in second
    assert " → 0  accuracy" in last


def test_plain_lines_of_an_averaged_lookahead() -> None:
    said = lines(budget=9)
    assert any(line.startswith("walk 2: lr ") for line in said)
    averaged = [line for line in said if "(mean of " in line]
    assert len(averaged) % 4 == 0
    assert averaged
    assert averaged[0].startswith("walk ")
    assert (
        " → " in averaged[0]
    )  # the way of the rate is the members', though the mean was scored at a rate of 0


def test_plain_lines_of_the_thesis_policy() -> None:
    said = lines(policy="greedy", budget=3, epochs=2, space=["lr=0.01,0.1,20"])
    assert len(said) == 2
    assert said[0].startswith("epoch 1/2  lr 0.1  accuracy ")
    assert "best of 3 candidates" in said[0]
    assert "(1 diverged)" in said[0]


@pytest.mark.parametrize("options", [{}, {"budget": 9}, {"policy": "greedy", "budget": 4}])
def test_the_live_display_fits_a_terminal(options: dict[str, Any]) -> None:
    class Drawn(LiveDisplay):
        def __call__(self, event: Any) -> None:
            super().__call__(event)
            frames.append(text(self.render()))

    frames: list[str] = []
    run(Drawn(Console(file=io.StringIO(), width=80)), **options)
    everything = "".join(frames)
    assert "trying   lr " in everything
    assert " left" in everything
    if "policy" not in options:
        assert "searching: rollout 2" in everything
        assert "course: epoch 2/4" in everything
        assert "chosen   lr " in everything
    wide = [line for frame in frames for line in frame.splitlines() if len(line.rstrip()) > 80]
    assert not wide


class BlowsUp(FakeTraining):
    """Once, in the third epoch of the course."""

    done = 0

    def advance(self, epoch: int, values: Values, meter: Meter) -> None:
        super().advance(epoch, values, meter)
        if epoch == 2 and not self.done:
            self.done, self.loss = 1, 50.0

    def evaluate(self, meter: Meter) -> Metrics:
        return super().evaluate(meter)


def test_the_guard_is_heard(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=80)
    run(PlainLines(console), tmp_path / "run", training=BlowsUp(examples=1000, steps=100), budget=1.8)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert said.count("taken back; on at half the rate") == 1
    shown = text(final_screen(replay(tmp_path / "run"), None), 160)
    assert "epoch 3 blew up" in shown
    assert "leads furthest" in shown


# -- at the end ------------------------------------------------------------------------------------------------


def test_the_screen_of_a_lookahead(tmp_path: Path) -> None:
    tuner = run(Progressing(), tmp_path)
    story = replay(tmp_path)
    shown = text(final_screen(story, "runs/a"))
    assert all(len(line.rstrip()) <= 80 for line in shown.splitlines())
    chosen = float(tuner.result.schedule[0]["lr"])
    assert f"chosen lr {chosen:.3g}" in shown
    rows = [line.split("  ") for line in shown.splitlines() if " → " in line]
    assert len(rows) == 4
    assert "leads furthest" in " ".join(shown.split())
    assert "along the schedule" not in shown
    cost = tuner.cost
    assert (
        f"{cost.plain_runs:.2f} x a plain run ({cost.plain_epochs:.1f} plain epochs, {cost.units:,.0f}"
        in shown
    )


def test_the_screen_of_an_averaged_course(tmp_path: Path) -> None:
    members = [told(n, None, order=1 - n, shape=Shape(((0.0, 1.0), (1.0, 0.0)))) for n in (0, 1)]
    mean = told(2, 1.0, shape=STILL, batches=1, metrics={"accuracy": 0.9})
    story = tell(members, mean)
    shown = text(final_screen(story, None))
    assert "every epoch is the mean of 2 trainings" in shown
    assert "0.1 → 0 " in shown
    table = text(rollout_table(story)).splitlines()
    assert sum(line.split()[-2] == "member" for line in table[2:]) == 2
    assert "mean of 2" in table[4]


def test_rollouts_are_shown_with_their_length(tmp_path: Path) -> None:
    run(Progressing(), tmp_path)
    story = replay(tmp_path)
    table = text(rollout_table(story), 160)
    assert " a look " in table
    assert table.count(" 1 epoch ") >= 4
    batches = {f" {o.batches} batches " for o in story.rollouts if 1 < o.batches < 100}
    assert batches
    assert all(words in table for words in batches)


def test_an_old_journal_is_still_shown() -> None:
    console = Console(file=io.StringIO(), width=80)
    show(console, replay(OLD), "runs/old", rollouts=True)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "decision 1: best of 3 candidates, 1.4 ahead of the next" in shown
    assert shown.count(" diverged ") == 1
    assert "lr 0.198     0.0001 ─" in shown
    assert "2.59 x a plain run (5.2 plain epochs, 570 examples' worth)" in shown
    assert all(len(line.rstrip()) <= 80 for line in shown.splitlines())


def test_a_run_that_committed_nothing_is_shown(tmp_path: Path) -> None:
    story = tell([], None)
    assert "the run has not ended" in text(final_screen(story, None))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "journal.jsonl").write_bytes(OLD.read_bytes())
    assert "2.59 x  " in text(runs_table(tmp_path), 160)


def told(number: int, score: float | None, **fields: Any) -> Outcome:
    given: dict[str, Any] = {"values": {"lr": 0.1}, "metrics": {}, "batches": 4, "epoch_batches": 4}
    counts = {"steps": 4, "trained": 100, "evaluated": 30, "seconds": 0.1}
    return Outcome(number=number, epoch=0, status="ok", score=score, **(given | counts | fields))


def tell(members: list[Outcome], last: Outcome | None, *, numbers: dict[str, float] | None = None) -> Story:
    story = Story()
    facts = {"seed": 0, "epochs": 1, "budget": 1.5, "sampler": "gamma", "objective": "kappa", "facts": {}}
    story.tell(begin_event(policy="lookahead", space=["lr=1e-4:0.1:log"], **facts))
    for outcome in [*members, *([last] if last else [])]:
        story.tell(rollout_event(outcome))
    if last:
        verdict = {"reason": "why", "numbers": numbers or {}}
        commit = {"event": "commit", "rollouts": [last.number], "epochs": 1, "verdict": verdict}
        story.tell(commit | ({"members": [o.number for o in members]} if members else {}))
    return story


def test_a_lookahead_at_the_edge_of_its_range() -> None:
    space = parse("lr=1e-4:0.1:log")
    lowered = told(0, 1.0, values={"lr": 0.05})  # for the length of the course; the search had taken the edge
    found = {"candidates": 4.0, "lr of rollouts": 0.097}
    (line,) = at_an_edge(space, tell([], lowered, numbers=found))
    assert "lr was chosen at or near the upper end of its range, 0.1; the best may lie beyond" in line
    assert not at_an_edge(space, tell([], lowered, numbers=found | {"lr of rollouts": 0.05}))
    assert not at_an_edge(space, tell([], told(0, 1.0)))  # nothing was searched
    assert not at_an_edge(space, tell([], None))


def test_a_rate_outside_its_range_has_a_place() -> None:
    above, below = (place_in_range(parse("lr=1e-4:0.1:log"), {"lr": lr})[0] for lr in (0.2, 1e-5))
    assert "●" in above
    assert len(above) == len(below)


def test_a_run_whose_length_is_left_open() -> None:
    begin = tell([], None).begin | {
        "open": True,
        "epochs": 60,
        "total_epochs": 60.0,
        "seconds": None,
        "budget": 1.0,
    }
    story = Story(begin=begin)
    assert settings_in_words(begin) == (
        "policy lookahead, sampler gamma, objective kappa, at most 60 epochs in all"
    )
    assert settings_in_words(begin | {"total_epochs": None, "seconds": 90.0}).endswith(
        "kappa, at most 1:30 min"
    )
    assert epoch_in_words(story, 2) == "epoch 3"
    seen = Watched()
    seen(begin)
    assert seen.compute == "? of at most 60 plain epochs"
    seen(begin | {"total_epochs": None, "seconds": 1e-9, "epochs": 10**6})
    seen(rollout_event(told(0, 1.0, epoch_examples=100)))
    assert seen.compute == "1.0 plain epochs"
    assert seen.done == 1


def test_the_cost_in_words() -> None:
    end = {"trained": 900, "evaluated": 300, "plain_runs": None, "plain_epochs": None}
    assert cost_in_words(end, {}) == "900 examples trained, 300 evaluated"
    end |= {"plain_runs": 1.4333, "plain_epochs": 14.333}
    whole = cost_in_words(end, {})
    assert whole == "1.43 x a plain run (14.3 plain epochs, 1,000 examples' worth)"
    assert cost_in_words(end, {"open": True}) == "14.3 plain epochs (1,000 examples' worth)"
    assert str(Cost(900, 300, 2.5, 1.4333, 14.333)) == whole + " in 2.5 s"
