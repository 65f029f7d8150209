"""What a run tells a tracker of experiments: TensorBoard, MLflow, Weights & Biases, a file of one's own.

    class Mine(gammatune.Tracker):
        def epoch(self, number, metrics, values):
            print(number, metrics["loss"], values["lr"])

    gammatune.fit(..., listeners=[Mine()])        # or Tuner(..., listeners=[Mine()])

**Only the course goes on the main axis.** A tracker must never see time run backwards, nor an epoch that was thrown
away; but what a run has committed may still be taken back: an epoch that blew up is repeated from an earlier one, a
later walk that ends better takes the place of all of them, and the best commit may be handed back in the end
(docs/design.md, "The policy"). So there are three axes:

    epoch     the course itself, 1, 2, 3, ...: told once, when the run is complete and nothing can change it any more
    draft     the course as it stands while the run goes on: number and version; whenever what was told is taken back
              a new version begins, at the first epoch that differs; within one version the numbers rise by one
    rollout   every rollout, by its own number

An interrupted run that is gone on with goes on being told: what an earlier process has told is not told again, and a
run that was complete is not told at all. `tell(run_dir, tracker)` tells a whole run from its journal, afterwards.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gammatune.cost import Cost
from gammatune.course import Schedule, Stretch
from gammatune.journal.events import Event, EventVisitor
from gammatune.journal.history import FILE, Story, read, replay
from gammatune.records import Metrics, Outcome, Value


class Tracker:
    """Listens to a run: inherit, and write those of the methods that you need. None has to call `super()`.

    What one raises ends the run, as an error of the loop body does. One tracker may listen to several runs, one
    after the other.
    """

    _teller: "_Teller | None" = None

    def begin(self, settings: Mapping[str, Any], *, resumed: bool) -> None:
        """Before anything else.

        settings: the first line of the journal (seed, epochs, budget, policy, space, facts, ...). resumed: an earlier
        process has told what the journal held.
        """

    def rollout(self, outcome: Outcome) -> None:
        """One rollout has ended, the course's own among them; `outcome.number` rises by one."""

    def draft(self, version: int, number: int, metrics: Metrics, values: Mapping[str, Value]) -> None:
        """An epoch was committed, and may yet be taken back. version, number: from 1. The rest as in `epoch`."""

    def epoch(self, number: int, metrics: Metrics, values: Mapping[str, Value]) -> None:
        """An epoch of the course, from 1, rising by one to the last; told when the run is complete.

        metrics: on the data to select by, "score" (the objective) among them. values: as they were chosen; for each
        learning rate, "lr", also "lr_start" and "lr_end", what the schedule made of it in this epoch.
        """

    def end(self, how: str, cost: Cost) -> None:
        """how: "complete", "stopped" (left early), "interrupted" or "failed: ..."; all but the first may be gone on
        with, and are then told on."""

    def report(self, measures: Mapping[str, Any]) -> None:
        """`fit` has measured the weights handed back. measures: as the journal has them; "on" says on which data."""

    def __call__(self, event: Event) -> None:
        if self._teller is None or event["event"] == "begin":
            self._teller = _Teller(self)
        self._teller.hear(event)


def tell(run: str | os.PathLike[str], tracker: Tracker) -> None:
    """Tell a tracker a whole run from its journal, as if it had listened from the beginning.

    Raises JournalError where there is no journal, or a damaged one.
    """
    story = replay(run)
    path = Path(run)
    path = path / FILE if path.is_dir() else path
    events = [json.loads(line) for line in path.read_bytes()[: read(path)[1]].splitlines()]
    ends = [place for place, event in enumerate(events) if event["event"] == "end"]
    last = ends[-1] if ends and story.end is not None else None
    teller = _Teller(tracker)
    for place, event in enumerate(events):
        if event["event"] == "resume" or (event["event"] == "end" and place != last):
            teller.story.tell(event)  # told in one piece, whatever interrupted it
        else:
            teller.hear(event)


class _Teller(EventVisitor):
    """Turns the events of one run into the calls of a tracker."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.story = Story()
        self._begun = False  # in this process
        self._past = False  # what is told has been told by an earlier one
        self._drafted: list[int] = []  # the rollouts that the present version is made of
        self._told: list[int] = []  # the rollouts of the course as it was told on the main axis
        self._version = 1

    def hear(self, event: Event) -> None:
        self._past = bool(event.get("past", False))
        self.visit({name: value for name, value in event.items() if name != "past"})

    def generic_visit(self, event: Event) -> None:
        self.story.tell(event)

    def visit_start(self, event: Event) -> None:
        """Nothing has come of it yet."""

    def visit_begin(self, event: Event, *, resumed: bool = False) -> None:
        self.story.tell(event)
        if not self._past:
            self._begun = True
            self.tracker.begin(self.story.begin, resumed=resumed)

    def visit_resume(self, event: Event) -> None:
        self.visit_begin(event, resumed=True)

    def visit_rollout(self, event: Event) -> None:
        self.story.tell(event)
        if not self._past:
            self.tracker.rollout(self.story.rollouts[-1])

    def visit_report(self, event: Event) -> None:
        self.story.tell(event)
        if self._begun:
            self.tracker.report(event)

    def visit_commit(self, event: Event) -> None:
        self.story.tell(event)
        course = [outcome.number for outcome in self.story.course]
        same = 0
        for one, two in zip(course, self._drafted, strict=False):
            if one != two:
                break
            same += 1
        if same == len(course):  # taken back, and nothing in its place yet
            return
        if same < len(self._drafted):
            self._version += 1
        self._drafted = course
        if not self._past:
            for place in range(same, len(course)):
                self.tracker.draft(self._version, place + 1, *self._told_of(place))

    def visit_end(self, event: Event) -> None:
        if not self._begun:
            return  # it was complete before
        self.story.tell(event)
        how = str(event["how"])
        if how == "complete":
            course = [outcome.number for outcome in self.story.course]
            for place, number in enumerate(course):
                if self._told[place : place + 1] != [number]:  # of a run that went on beyond its end the rest
                    self.tracker.epoch(place + 1, *self._told_of(place))
            self._told = course
        said = self.story.end or {}
        names = ("trained", "evaluated", "seconds", "plain_runs", "plain_epochs")
        cost: dict[str, Any] = {name: said[name] for name in names}
        cost |= {"plain_processor": said.get("plain_processor")}
        cost |= {name: said.get(name, 0.0) for name in ("repeated", "checked")}
        self.tracker.end(how, Cost(**cost, processor=self.story.spent))

    def _told_of(self, place: int) -> tuple[dict[str, float], dict[str, Value]]:
        story, outcome = self.story, self.story.course[place]
        stretch = Schedule.of([outcome], story.rollouts, story.members).stretches[0]
        score = {} if outcome.score is None else {"score": outcome.score}
        return {**outcome.metrics, **score}, values_along(stretch)


def values_along(stretch: Stretch) -> dict[str, Value]:
    """What was chosen for a stretch of the course; of each learning rate also where it started and where it ended."""
    found: dict[str, Value] = {}
    for name, value in stretch.values.items():
        found[name] = value
        if name.partition(".")[0] == "lr":
            found[f"{name}_start"] = float(value) * stretch.shape(0.0)
            found[f"{name}_end"] = float(value) * stretch.shape(stretch.reached)
    return found
