"""What a journal has of a run that is gone on with, told again in order, and held against what is asked for now."""

import math
import time as clock
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gammatune.errors import JournalError, JournalWarning
from gammatune.journal.events import Repeat
from gammatune.journal.history import Story
from gammatune.records import Outcome, Rollout, Together, Verdict

SAME = 1e-6  # relative: what a sampler proposes may differ by so much on another processor (guess)
OTHERWISE = (
    "it decides otherwise than when the run began. Go on with the version of gammatune (and of NumPy) that began the "
    "run"
)


class Past:
    """What the journal has of a run that is gone on with, one event after the other."""

    def __init__(self, story: Story | None) -> None:
        self._rollouts = deque(story.rollouts if story else ())
        self._verdicts = deque(story.verdicts if story else ())

    @property
    def rollouts_left(self) -> int:
        return len(self._rollouts)

    def next_rollout(self) -> Outcome | None:
        return self._rollouts.popleft() if self._rollouts else None

    def next_commit(self) -> Verdict | None:
        """The verdict of the commit that is asked for now, where that has been made."""
        return self._verdicts.popleft() if self._verdicts else None


class Clock:
    """Seconds since the run began, of all its processes together, and what the policy was told of them; beside them
    what has been spent of the processor, which nothing is decided by.

    What depends on the clock cannot be decided again. So the answers the policy got are written down with the next
    event, where they were not all that there is no hurry, and given again when the run is gone on with.
    """

    def __init__(self, past: Story | None = None) -> None:
        self._before, self._spent_before = (past.elapsed, past.spent) if past else (0.0, 0.0)
        self.start()
        self._past = [list(answers) for answers in past.answers] if past else []
        self._asked: list[float] = []
        self._hurry = False

    def start(self) -> None:
        """The work begins now."""
        self._began = clock.perf_counter() - self._before
        self._spent_from = clock.process_time() - self._spent_before
        self._spent: float | None = None

    def stop(self) -> None:
        """The work has ended: what the process does from now on is spent on something else."""
        self._spent = self.spent

    def restart(self) -> None:
        """It goes on."""
        if self._spent is not None:
            self._spent_from, self._spent = clock.process_time() - self._spent, None

    @property
    def spent(self) -> float:
        """Seconds of the processor, user and system, of all threads of this process and of workers: training,
        forks and decisions."""
        return clock.process_time() - self._spent_from if self._spent is None else self._spent

    def spend(self, seconds: float) -> None:
        """Of the processor, in another process that works for this run."""
        self._spent_from -= seconds

    @property
    def elapsed(self) -> float:
        return max(0.0, clock.perf_counter() - self._began)

    def answer(self, now: Callable[[], float], calm: float) -> float:
        """What the policy was told at this point, or is told now. calm: the answer that there is no hurry."""
        if self._past:
            return self._past[0].pop(0) if self._past[0] else calm
        answer = now()
        self._asked.append(answer)
        self._hurry |= answer != calm
        return answer

    def said(self) -> list[float] | None:
        """The answers since the last event, for the next; None where there is no hurry."""
        said = self._asked if self._hurry else None
        self._asked, self._hurry = [], False
        return said

    def times(self, *, answers: bool = True) -> dict[str, Any]:
        """What an event says of them. asked: with the answers since the last."""
        said = self.said() if answers else None
        told: dict[str, Any] = {} if said is None else {"asked": said}
        return told | {"elapsed": self.elapsed, "spent": self.spent}

    def pass_event(self) -> None:
        """The next event of the past has been told."""
        if self._past:
            self._past.pop(0)


def plain(request: Rollout) -> Rollout:
    """With Python's numbers for NumPy's, so that a journal can hold them."""
    values = {n: v.item() if isinstance(v, np.generic) else v for n, v in request.values.items()}
    return replace(request, values=values)


def refuse_another(request: Rollout, outcome: Outcome) -> None:
    """The policy must ask for what the journal has, or all that follows is another run."""
    alike = (
        request.epoch == outcome.epoch
        and (request.order, request.net) == (outcome.order, outcome.net)
        and request.values.keys() == outcome.values.keys()
        and all(_close(value, outcome.values[name]) for name, value in request.values.items())
    )
    if not alike:
        raise JournalError(
            f"rollout {outcome.number} of the journal is epoch {outcome.epoch + 1} under {dict(outcome.values)}, and "
            f"the policy now asks for epoch {request.epoch + 1} under {dict(request.values)}: {OTHERWISE}"
        )


def refuse_other_nets(request: Together, outcome: Outcome) -> None:
    if outcome.nets != request.nets:
        raise JournalError(
            f"rollout {outcome.number} of the journal asks the nets {outcome.nets}, and the policy now asks "
            f"{request.nets}: {OTHERWISE}"
        )


def repeated(was: Outcome, again: Outcome, *, same_score: bool) -> Repeat:
    """What came of a rollout that was trained once more."""
    same = (again.status, again.metrics) == (was.status, was.metrics) and same_score
    return Repeat(was.number, again.trained, again.evaluated, again.seconds, same)


def say_otherwise(repeat: Repeat, was: Outcome, again: Outcome) -> None:
    if not repeat.same:
        warnings.warn(
            f"rollout {was.number}, trained once more, came out otherwise: {dict(again.metrics)} instead of "
            f"{dict(was.metrics)}. The model, the data, the machine or its threads are not what they were, or an "
            "operation is not deterministic; the run goes on from what came out now",
            JournalWarning,
            stacklevel=3,
        )


def _close(one: object, other: object) -> bool:
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=SAME)
    return one == other
