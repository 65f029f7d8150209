"""The plain frozen records that cross floors.

Words (docs/design.md): a *candidate* is a point of the search space, here a mapping `Values`; a *fork* is
the captured state of a training, named by a string; a *rollout* is a short training from a fork under a
candidate; a *commit* makes a stretch of training part of the *course*.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Value: TypeAlias = float | int | str
Values: TypeAlias = Mapping[str, Value]
Metrics: TypeAlias = Mapping[str, float]

Status: TypeAlias = Literal["ok", "diverged", "infeasible"]


@dataclass(frozen=True, slots=True)
class Observation:
    """A candidate and what became of it; the two never travel apart.

    score: higher is better; None where the candidate failed (diverged, out of memory).
    noise: squared standard error of the score relative to the other observations' (1 = like the rest), > 0.
    """

    values: Values
    score: float | None
    noise: float = 1.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision and its reason, in words and in numbers."""

    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)


# What a policy asks for, one request at a time ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fork:
    """Capture the training as it stands now under `name`, replacing an earlier fork of that name."""

    name: str


@dataclass(frozen=True, slots=True)
class Rollout:
    """Train one epoch under `values` and score it.

    fork: the fork to start from; None goes on from where the training stands.
    epoch: which epoch of the course this is, from 0.
    course: True where this stretch is the course itself, certain to be kept; loggers may listen to it.
    """

    values: Values
    epoch: int
    fork: str | None
    course: bool = False


@dataclass(frozen=True, slots=True)
class Commit:
    """Make the state in `fork` (None: the training as it stands) the course.

    outcomes: the rollouts that become part of the course by it, in order; none where the course goes back
    to an earlier state of its own.
    epochs: how long the course is after it.
    """

    outcomes: tuple["Outcome", ...]
    epochs: int
    fork: str | None
    verdict: Verdict


Request: TypeAlias = Fork | Rollout | Commit


# What comes back ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """One finished rollout.

    number: counts the rollouts of a run from 0.
    score: the objective, higher is better; None unless status is "ok".
    steps: optimizer steps taken, the one that diverged included.
    trained, evaluated: examples passed forward and backward, and forward only.
    seconds: wall time of the rollout, its evaluation included.
    """

    number: int
    epoch: int
    values: Values
    status: Status
    metrics: Metrics
    score: float | None
    steps: int
    trained: int
    evaluated: int
    seconds: float
    note: str = ""

    @property
    def ok(self) -> bool:
        return self.status == "ok"

    @property
    def observation(self) -> Observation:
        return Observation(self.values, self.score)
