"""The progress of a run while it runs: a live display on a terminal, plain lines elsewhere."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from gammatune.journal import Story
from gammatune.ledger import Ledger
from gammatune.records import Outcome
from gammatune.report.words import (
    duration,
    failures,
    metrics_in_words,
    number,
    place_in_range,
    values_in_words,
)
from gammatune.space import parse

SHOWN = 6  # commits kept on the screen; the journal has all


class Follower(Protocol):
    """Listens to a run: a context manager that is called with every event."""

    def __call__(self, event: Mapping[str, Any]) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Progressing:
    """What both displays know: the story so far, the cost, how far it is and how long it may take."""

    def __init__(self) -> None:
        self.story = Story()
        self.run: Any = None  # the `Run` going on
        self._ledger = Ledger(1)
        self._started = time.perf_counter()
        self._went_back = False
        self._epoch_size = 0  # training examples in a whole epoch, once one was seen

    def __call__(self, event: Mapping[str, Any]) -> None:
        match event["event"]:
            case "begin":
                self.story.tell(event)
                self._started = time.perf_counter()
                self.space = parse(*event["space"])
                self.epochs = int(event["epochs"])
                self.candidates = int(min(event["budget"], self.space.size))
                self._ledger = Ledger(self.epochs)
                self.show_begin()
            case "start":
                self.run = event["run"]
                self.show_start()
            case "rollout":
                self.story.tell(event)
                outcome = self.story.rollouts[-1]
                self._ledger.charge(outcome)
                if outcome.ok:
                    self._epoch_size = max(self._epoch_size, outcome.trained)
                self.run = None
                self.show_rollout(outcome)
            case "commit":
                self.story.tell(event)
                self._went_back = not event["rollouts"]  # to an earlier state of the course
                self.show_commit()
            case _:
                self.story.tell(event)

    @property
    def done(self) -> float:
        """The share of all candidate epochs that has been run, in [0, 1]."""
        under_way = 0.0
        if self.run is not None and self._epoch_size:
            under_way = min(1.0, self.run.seen / self._epoch_size)
        total: float = self.epochs * self.candidates
        return min(1.0, (len(self.story.rollouts) + under_way) / total)

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self._started

    @property
    def left(self) -> float | None:
        """Seconds still to go, if the rest is as fast as what has been done."""
        return self.elapsed * (1 - self.done) / self.done if self.done > 0.01 else None

    @property
    def compute(self) -> str:
        cost = self._ledger.cost
        spent = "?" if cost.plain_epochs is None else f"{cost.plain_epochs:.1f}"
        return f"{spent} of {self.candidates * self.epochs} plain epochs"

    def commit_in_words(self) -> str:
        """One line for the commit that came last."""
        story = self.story
        last = story.course[-1]
        if self._went_back:
            return story.verdicts[-1].reason
        tried = [o for o in story.rollouts if o.epoch == last.epoch]
        failed = f" ({failures(tried)})" if failures(tried) else ""
        score = "" if last.score is None else f", {story.begin['objective']} {number(last.score)}"
        return (
            f"epoch {last.epoch + 1}/{self.epochs}  {values_in_words(last.values)}  {metrics_in_words(last.metrics)}"
            f"{score}  {story.verdicts[-1].reason}{failed}"
        )

    def show_begin(self) -> None: ...
    def show_start(self) -> None: ...
    def show_rollout(self, outcome: Outcome) -> None: ...
    def show_commit(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class PlainLines(Progressing):
    """A line a commit, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)

    def show_begin(self) -> None:
        for sentence in self.story.begin["facts"].get("said", ()):
            self._say(sentence)

    def show_commit(self) -> None:
        self._say(f"{self.commit_in_words()}  {self.compute}  {duration(self.elapsed)}")


class LiveDisplay(Progressing):
    """Redraws itself four times a second from what it knows; the training does not wait for it."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._best: Outcome | None = None  # of the decision going on
        self._last: Outcome | None = None
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=30), TextColumn("{task.percentage:>3.0f} %")
        )
        self._task = self._bar.add_task("", total=1.0)
        self._live = Live(get_renderable=self.render, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        if error is not None:  # what was shown goes with the display; what was reached stays on the screen
            for line in self._commits() if self.story.begin else []:
                self._console.print(Text(line))

    def show_begin(self) -> None:
        for sentence in self.story.begin["facts"].get("said", ()):
            self._live.console.print(Text(sentence, style="dim"))

    def show_rollout(self, outcome: Outcome) -> None:
        self._last = outcome
        better = outcome.score is not None and (
            self._best is None or self._best.score is None or outcome.score > self._best.score
        )
        self._best = outcome if better else self._best

    def show_commit(self) -> None:
        self._best = None

    def render(self) -> RenderableType:
        run = self.run
        if not self.story.begin:
            return Text("preparing ...")
        lines: list[RenderableType] = [Text(line, style="green") for line in self._commits()]
        self._bar.update(
            self._task,
            completed=self.done,
            description=f"epoch {(run.epoch if run else len(self.story.course)) + 1}/{self.epochs}  "
            f"rollout {len(self.story.rollouts) + 1}/{self.epochs * self.candidates}",
        )
        left = "?" if self.left is None else duration(self.left)
        lines.append(self._bar)
        lines.append(Text(f"compute {self.compute}   time {duration(self.elapsed)}   left about {left}"))
        if run is not None:
            lines += [
                Text(f"trying   {line}", style="cyan") for line in place_in_range(self.space, run.values)
            ]
        for name, outcome in (("last", self._last), ("best", self._best)):
            if outcome is not None:
                lines.append(Text(f"{name:<8} {self._words(outcome)}"))
        return Group(*lines)

    def _commits(self) -> list[str]:
        course = self.story.course
        return [
            f"epoch {o.epoch + 1:>3}  {values_in_words(o.values):<24} {self._measured(o)}"
            for o in course[-SHOWN:]
        ]

    def _words(self, outcome: Outcome) -> str:
        if not outcome.ok:
            return f"{values_in_words(outcome.values)}  {outcome.status}: {outcome.note}"
        return f"{values_in_words(outcome.values)}  {self._measured(outcome)}"

    def _measured(self, outcome: Outcome) -> str:
        score = "" if outcome.score is None else f", {self.story.begin['objective']} {number(outcome.score)}"
        return metrics_in_words(outcome.metrics) + score
