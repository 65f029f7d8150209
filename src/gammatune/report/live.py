"""The progress of a run while it runs: a live display on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from gammatune.cost import Ledger
from gammatune.course import Schedule
from gammatune.journal.events import Event, EventVisitor
from gammatune.journal.history import Story
from gammatune.journal.wording import failures_in_words, number, values_in_words
from gammatune.policy.job import failures
from gammatune.policy.registry import called
from gammatune.records import Outcome
from gammatune.report import wording
from gammatune.schedules import STILL
from gammatune.space import parse

SEARCHING = ("survey", "scout", "miniature", "")  # roles of rollouts before the course
SHOWN = 6  # commits kept on the screen; the journal has all


class Progressing(EventVisitor):
    """What every display knows: the story so far, the cost, how far it is and how long it may take. It listens to a
    run, as a context manager."""

    def __init__(self) -> None:
        self.story = Story()
        self.run: Any = None  # the `Run` going on
        self.phase = ""
        self.past = False
        self.said = ""  # by the last verdict that was no routine
        self.recent: list[Outcome] = []  # the rollouts since the last commit
        self._ledger = Ledger(1)
        self._started = time.perf_counter()
        self._walk = ""  # the role of what runs, once the search is over
        self._members = 0  # trainings an epoch of this walk, as far as they have been seen
        self._joined = 0  # members of the epoch going on
        self.after: Event | None = None  # what is done once the learning is over
        self._went_back = False

    def __call__(self, event: Event) -> None:
        self.past = bool(event.get("past", False))  # told from the journal of a run that is gone on with
        self.visit({name: value for name, value in event.items() if name != "past"})

    def generic_visit(self, event: Event) -> None:
        self.story.tell(event)

    def visit_begin(self, event: Event) -> None:
        self.story.tell(event)
        self._started = time.perf_counter()
        for sentence in event["facts"].get("said", ()):
            self.say(sentence)
        if not self.story.has_net:
            return
        self.space = parse(*event["space"])
        self._scale = wording.objective_in_words(str(event["objective"]))
        policy = called(str(event["policy"]))
        self.compared, self.expected = policy.compares, policy.expected(float(event["budget"]), self.space)
        self._ledger = Ledger(self.story.epochs)

    def visit_extend(self, event: Event) -> None:
        self.story.tell(event)
        self.expected = self.story.budget
        self._ledger.extend(self.story.epochs)

    def visit_start(self, event: Event) -> None:
        self.run = event["run"]
        role = self.run.role if self.compared == "looks" else "course" if self.run.is_course else ""
        if role != self._walk and role not in SEARCHING and not self.run.nets:
            self._walk, self._members = role, 0
        self.phase = self._phase()
        self.show_start()

    def visit_rollout(self, event: Event) -> None:
        self.story.tell(event)
        outcome = self.story.rollouts[-1]
        self.recent.append(outcome)
        if _is_member(outcome):
            self._members = max(self._members, outcome.order + 1)  # the first has the highest order
        self._ledger.charge(outcome)
        self.run = None
        if outcome.nets:
            self.show_together(outcome)
        else:
            self.show_rollout(outcome)
            self._joined = self._joined + 1 if _is_member(outcome) else 0

    def visit_commit(self, event: Event) -> None:
        self.story.tell(event)
        new = {outcome.number for outcome in self.recent}
        self._went_back = new.isdisjoint(event["rollouts"])  # to what was committed before
        verdict = self.story.verdicts[-1]
        if not verdict.is_routine:
            self.said = verdict.reason
        self.show_commit()
        self.recent = []

    def visit_resume(self, event: Event) -> None:
        self.story.tell(event)
        rollouts, epochs = len(self.story.rollouts), len(self.story.course)
        self.say(f"gone on with after {rollouts} rollouts, {epochs} epochs of the course")

    def visit_judging(self, event: Event) -> None:
        is_new = self.after is None or self.after["what"] != event["what"]
        self.after = event
        self.phase = event["what"]
        if is_new:
            self.show_judging()

    def visit_note(self, event: Event) -> None:
        self.story.tell(event)
        self._scale = wording.objective_in_words(self.story.objective)
        self.show_note(self.story.notes[-1])

    def visit_objective(self, event: Event) -> None:
        self.visit_note(event)

    def say(self, sentence: str) -> None:
        """Leaves a line where it stays, unless it was there before the run was gone on with."""
        if not self.past:
            self.print(sentence)

    def show_note(self, sentence: str) -> None:
        """Something worth keeping has been said."""
        self.said = sentence
        self.say(sentence)

    # -- how far it is

    @property
    def done(self) -> float:
        """The share of what will be spent that has been, in [0, 1]; after the learning that of what is done then."""
        if self.after is not None:
            return float(self.after["share"])
        cost = self._ledger.cost()
        if not cost.plain_runs:
            return 0.0
        under_way = run.seen / cost.units if (run := self.run) is not None else 0.0  # another thread draws
        of_compute = cost.plain_runs * (1 + under_way) / self.expected
        seconds = self.story.begin.get("seconds")
        return min(1.0, of_compute if seconds is None else max(of_compute, self.elapsed / seconds))

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self._started

    @property
    def left(self) -> float | None:
        """Seconds still to go, if the rest is as fast as what has been done."""
        return self.elapsed * (1 - self.done) / self.done if self.done > 0.01 else None

    @property
    def compute(self) -> str:
        cost = self._ledger.cost()
        spent = "?" if cost.plain_epochs is None else f"{cost.plain_epochs:.1f}"
        # only the time is limited
        if wording.is_open(begin := self.story.begin) and begin.get("total_epochs") is None:
            return f"{spent} plain epochs"
        return f"{spent} of at most {self.story.budget * self.story.epochs:.4g} plain epochs"

    @property
    def time(self) -> str:
        left = "?" if self.left is None else wording.duration(self.left)
        return f"{wording.duration(self.elapsed)}, about {left} left"

    @property
    def _is_later_walk(self) -> bool:
        """What runs is a walk that is committed only when it has ended, and ended better."""
        return self._walk not in ("", "course")

    # -- in words

    def _phase(self) -> str:
        """What the run that starts is for."""
        epoch = wording.epoch_in_words(self.story, self.run.epoch)
        done = len(self.recent)
        if self.run.nets:
            return wording.nets_in_words(self.run.nets)
        if self.compared == "epochs":
            return f"{epoch}, candidate {done + 1}/{self.expected:g}"
        if self.compared == "runs":
            number_ = sum(o.epoch == 0 for o in self.recent) + (self.run.epoch == 0)
            return f"run {number_}/{self.expected:g}, {epoch}"
        if not self._walk:
            return f"{'searching' if self.compared == 'looks' else epoch}: rollout {done + 1}"
        if self.run.scored:
            return f"{self._walk}: {epoch}" + (", the mean" if self._joined else "")
        of = f" of {self._members}" if self._members else ""
        return f"{self._walk}: {epoch}, member {self._joined + 1}{of}"

    def commit_in_words(self) -> str:
        """One line for the commit that came last."""
        story = self.story
        last, verdict = story.course[-1], story.verdicts[-1]
        if self._went_back or self._is_later_walk:
            return verdict.reason
        # a search says itself what failed in it
        failed = "" if verdict.kind in ("search", "epoch") else failures_in_words(**failures(self.recent))
        reason = "" if verdict.kind == "schedule" else verdict.reason
        return "  ".join(
            part
            for part in (
                wording.epoch_in_words(story, last.epoch),
                wording.stretch_in_words(story.schedule.stretches[-1])
                + wording.mean_of(story.members.get(last.number, ())),
                self.measured(last),
                reason + (f" ({failed})" if failed else ""),
            )
            if part
        )

    def epochs_in_words(self, digits: int = 1, width: int = 0) -> list[str]:
        """A line for each of the last epochs of the course. digits, width: of the number and the choice, at least."""
        last = zip(self.story.course[-SHOWN:], self.story.schedule.stretches[-SHOWN:], strict=True)
        return [
            f"epoch {outcome.epoch + 1:>{digits}}  {wording.stretch_in_words(stretch):<{width}}  "
            f"{self.measured(outcome)}"
            for outcome, stretch in last
        ]

    def rollout_in_words(self, outcome: Outcome) -> str:
        """One line for an epoch of a walk that is not, or not yet, the course."""
        epoch = wording.epoch_in_words(self.story, outcome.epoch)
        joined = self.recent[-1 - self._joined : -1]
        stretch = Schedule.of([outcome], self.story.rollouts, {outcome.number: joined}).stretches[0]
        return (
            f"{epoch}  {wording.stretch_in_words(stretch)}{wording.mean_of(joined)}  {self.measured(outcome)}"
        )

    def measured(self, outcome: Outcome) -> str:
        score = "" if outcome.score is None else f", {self._scale} {number(outcome.score)}"
        return wording.metrics_in_words(outcome.metrics) + score

    def together_in_words(self, outcome: Outcome) -> str:
        """One line for what several nets score together."""
        return f"{wording.nets_in_words(outcome.nets)}  {self.measured(outcome)}"

    def judging_in_words(self) -> str:
        assert self.after is not None
        return f"{self.after['what']}: up to {wording.duration(self.after['seconds'])}"

    # -- for those who show it

    def print(self, line: str) -> None: ...
    def show_judging(self) -> None: ...
    def show_start(self) -> None: ...
    def show_rollout(self, outcome: Outcome) -> None: ...
    def show_together(self, outcome: Outcome) -> None: ...
    def show_commit(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class PlainLines(Progressing):
    """One line a commit, for pipes and notebooks."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._told = ""  # the walk that was announced last

    def print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, highlight=False, markup=False)

    def show_start(self) -> None:
        if self.run.is_repeated:
            self.say(f"{wording.epoch_in_words(self.story, self.run.epoch)} once more")
            return
        if self.compared != "looks":
            return
        values = values_in_words(self.run.values)
        if self._walk != self._told:
            count = len(self.recent)
            rollouts = f", after {count} rollout{'s' if count > 1 else ''}" if self._walk == "course" else ""
            self.say(f"{self._walk}: {values}{rollouts}")
            self._told = self._walk

    def show_rollout(self, outcome: Outcome) -> None:
        if self._is_later_walk and outcome.score is not None:  # not committed before it has ended
            self.say(f"{self._walk}: {self.rollout_in_words(outcome)}  {self.compute}  {self.time}")

    def show_together(self, outcome: Outcome) -> None:
        if len(outcome.nets) > 1:  # of one it is known
            self.say(f"{self.together_in_words(outcome)}  {self.compute}  {self.time}")

    def show_judging(self) -> None:
        self.say(self.judging_in_words())

    def show_commit(self) -> None:
        self.say(f"{self.commit_in_words()}  {self.compute}  {self.time}")


class LiveDisplay(Progressing):
    """Redraws itself four times a second from what it knows; the training does not wait for it."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._best: Outcome | None = None  # of the decision going on
        self._last: Outcome | None = None
        self._commits: list[str] = []
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
            for line in self._commits:
                self._console.print(Text(line))

    def print(self, line: str) -> None:
        self._live.console.print(Text(line, style="dim"))

    def show_note(self, sentence: str) -> None:
        self.say(sentence)  # above what is redrawn, where it stays

    def show_start(self) -> None:
        if self._walk:  # the search is over
            self._best = self._last = None

    def show_rollout(self, outcome: Outcome) -> None:
        if self._walk or outcome.shape == STILL:
            return
        self._last = outcome
        best = self._best
        if outcome.score is not None and (
            best is None
            or best.score is None
            or best.length != outcome.length  # a longer one scores better by that alone
            or best.score < outcome.score
        ):
            self._best = outcome

    def show_commit(self) -> None:
        self._best = self._last = None
        self._commits = self.epochs_in_words(2, 26)

    def render(self) -> RenderableType:
        run = self.run
        if not self.story.begin:
            return Text("preparing ...")
        lines: list[RenderableType] = [Text(line, style="green") for line in self._commits]
        if self.said:
            lines.append(Text(self.said, style="dim"))
        self._bar.update(self._task, completed=self.done, description=f"{self.phase:<34}")
        lines.append(self._bar)
        if self.after is not None:
            return Group(*lines, Text(self.judging_in_words()))
        if not self.story.has_net:
            return Group(*lines)
        lines.append(Text(f"compute {self.compute}   time {self.time}"))
        if run is not None:
            what = "chosen" if self._walk else "trying"
            lines += [
                Text(f"{what:<8} {line}", style="cyan")
                for line in wording.place_in_range(self.space, run.values)
            ]
        for name, seen in (("last", self._last), ("best", self._best)):
            if seen is not None:
                how = self.measured(seen) if seen.ok else f"{seen.status}: {seen.note}"
                lines.append(Text(f"{name:<8} {values_in_words(seen.values)}  {how}"))
        return Group(*lines)


def _is_member(outcome: Outcome) -> bool:
    """Trained to be averaged, and not scored by itself."""
    return outcome.ok and outcome.score is None
