"""The plain frozen records that cross floors.

Words (docs/design.md): a *candidate* is a point of the search space, here a mapping `Values`; a *fork* is
the captured state of a training, named by a string; a *rollout* is a short training from a fork under a
candidate; a *commit* makes a stretch of training part of the *course*; a *pool* is the running mean of
several trainings.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Value: TypeAlias = float | int | str
Values: TypeAlias = Mapping[str, Value]
Metrics: TypeAlias = Mapping[str, float]

Status: TypeAlias = Literal["ok", "diverged", "infeasible"]


class Unscored(dict[str, float]):
    """The metrics of what is not evaluated: there are none, and each that is asked for is NaN."""

    def __missing__(self, name: str) -> float:
        return math.nan


@dataclass(frozen=True, slots=True)
class Observation:
    """A candidate and what became of it; the two never travel apart.

    score: higher is better; None where the candidate failed (diverged, out of memory).
    noise: squared standard error of the score relative to the other observations' (1 = like the rest), > 0.
    """

    values: Values
    score: float | None
    noise: float = 1.0


Family: TypeAlias = Literal[
    "adam", "rmsprop", "momentum", "sgd", "adagrad", "muon", "lbfgs", "prodigy", "schedulefree"
]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a training before it begins, as far as a prior on its learning rate asks (`policy.prior`).

    family: of optimizers whose rates mean about the same; None where it is none of those that are known.
    rate: that the own values stand for (`Job.own`), in the prior's units, above 0; 0 where it cannot be told.
    is_own: whether the user chose it. fan_in: inputs of a unit, geometric mean over the weights that have two
    dimensions or more; 1 where there are none. classes: it learns to which class an example belongs.
    """

    family: Family | None = None
    rate: float = 0.0
    is_own: bool = True
    fan_in: float = 1.0
    classes: bool = False


@dataclass(frozen=True, slots=True)
class Alternative:
    """One of several optimizers, between which the policy is to choose.

    own: what it came with, as in `Job.own`, its own name under "optimizer" included. known: of the training with it.
    """

    own: Values
    known: Known

    @property
    def name(self) -> str:
        return str(self.own["optimizer"])


Because: TypeAlias = Literal[
    # the values of the course
    "looks", "beats own", "not beaten", "other values", "optimizers", "no search", "all diverged", "whole runs",
    "older version", "candidates",
    # another training
    "rival", "other rate", "promising rate", "average", "net", "like the first", "like the best",
    # what is handed back
    "walk won", "net won", "walk stays", "best commit", "ended below", "blew up after",
    "averaged", "left out", "alone",
    "extended", "extension left",
    # along the course
    "schedule", "course found", "course repeated", "blew up", "out of memory", "patience",
    # notes
    "outage", "raised", "below zero", "start handed back", "start left",
]  # fmt: skip
Fact: TypeAlias = Value | Values | None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something was decided, or what is worth a note; `journal.wording` has a sentence for each kind.

    numbers: what the sentence tells, names among them. of: other reasons that it speaks of.
    """

    kind: Because
    numbers: Mapping[str, Fact] = field(default_factory=dict)
    of: tuple["Reason | str", ...] = ()


Kind: TypeAlias = Literal[
    "search", "epoch", "schedule", "guard", "memory", "patience", "walk", "extension", "handed back", "ensemble",
    "other",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision and its reason, in words and in numbers.

    reason: for people alone. A policy of one's own writes it; those of gammatune say `because`, and the words follow
    where the decision is carried out (`journal.wording.worded`).
    kind: what was decided, by which whoever shows a run chooses what to show.
    "search" the values of the whole course; "epoch" those of one epoch; "schedule" to go on as decided before;
    "guard" an epoch blew up, is taken back and tried again slower; "memory" the same at a smaller batch size;
    "patience" the rate goes to zero, for want of progress; "walk" a later walk becomes the course; "extension" the
    course goes on beyond its end; "handed back" it goes back to an earlier state; "ensemble" whose predictions are
    averaged; "other" whatever else a policy of one's own decides, which is always shown.
    """

    reason: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
    kind: Kind = "other"
    because: tuple[Reason | str, ...] = ()

    @classmethod
    def of(cls, kind: Kind, *because: Reason | str, **numbers: float) -> "Verdict":
        """Whose words follow."""
        return cls("", numbers, kind, because)

    @property
    def reasons(self) -> tuple[Reason | str, ...]:
        """Those that a decision is told with which follows from this one."""
        return self.because or ((self.reason,) if self.reason else ())

    @property
    def is_routine(self) -> bool:
        """Whether it says no more than a table of the course does."""
        return self.kind in ("schedule", "epoch")


# The length and the course of a learning rate within a rollout --------------------------------------------


@dataclass(frozen=True, slots=True)
class Length:
    """How far a rollout goes: `epochs` (how many batches that is, a loader says), at least and at most so many."""

    epochs: float = 1.0
    least: int = 1
    most: int | None = None

    @property
    def passes(self) -> int | None:
        """How many whole passes over the data this is; None where it is counted in batches."""
        whole = self.least <= 1 and self.most is None and self.epochs >= 1 and self.epochs == int(self.epochs)
        return int(self.epochs) if whole else None

    def batches(self, epoch_batches: int) -> int:
        """The number of batches where an epoch has `epoch_batches`."""
        wanted = max(round(self.epochs * epoch_batches), self.least)
        return wanted if self.most is None else max(1, min(wanted, self.most))


EPOCH = Length()


@dataclass(frozen=True, slots=True)
class StepCount:
    """A course that is counted in steps of the optimizer: `total` of them, in epochs of `every`, the last as short as
    it must be. Of several optimizers the one counts that makes most."""

    total: int
    every: int

    @property
    def epochs(self) -> int:
        return -(-self.total // self.every)

    def in_epoch(self, epoch: int) -> int:
        """The steps of an epoch, from 0; of those that lie behind the course as of the others."""
        left = self.total - epoch * self.every
        return min(left, self.every) if left > 0 else self.every


@dataclass(frozen=True, slots=True)
class Shape:
    """What the learning rate is multiplied by on the way: straight lines through the knots.

    knots: (progress, multiplier), progress rising from 0 to 1, multipliers 0 or more; two knots may share
    a progress, which is a step.
    """

    knots: tuple[tuple[float, float], ...] = ((0.0, 1.0), (1.0, 1.0))

    def __call__(self, progress: float) -> float:
        left, level = self.knots[0]
        for right, next_level in self.knots[1:]:
            if progress < right:
                return level + (next_level - level) * (progress - left) / (right - left)
            left, level = right, next_level
        return level


FLAT = Shape()


# What a policy asks for, one request at a time ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fork:
    """Capture the training as it stands now under `name`, replacing an earlier fork of that name. lasting: a later
    process will want it, so that it goes on disk at once, where there is one."""

    name: str
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Forget:
    """Nobody comes back to the fork of that name: its memory, and its file, may go."""

    name: str


@dataclass(frozen=True, slots=True)
class Rollout:
    """Train for a while under `values` and score it.

    fork: the fork to start from; None goes on from where the training stands.
    epoch: the epoch of the course in which it begins, from 0.
    course: True where this stretch goes on with the course as it stands (`Run.is_course`).
    length: how far; one epoch where nothing else is said. shape: multiplies the learning rate on the way.
    order: 0 sees the data in the order the course would; k > 0 in another order that belongs to k.
    net: which net it trains, by number; 0 is the one that was handed over. nets: whose predictions are averaged where
    it is evaluated; empty where it is the net itself.
    scored: False where nobody will ask for its score, so that its evaluation is left out.
    role: what it is for, in a word or two, for those who watch.
    small: it is a look that goes through the whole course in small, so that a schedule of the user's own does too.
    """

    values: Values
    epoch: int
    fork: str | None
    course: bool = False
    length: Length = Length()
    shape: Shape = FLAT
    order: int = 0
    scored: bool = True
    role: str = ""
    net: int = 0
    nets: tuple[int, ...] = ()
    small: bool = False


@dataclass(frozen=True, slots=True)
class Ahead:
    """The next rollouts, in the order in which they will be asked for, whatever comes of any: they may be trained
    at the same time.

    rollouts: all from one fork, named. keep: the policy may fork or pool where one of them ends.
    """

    rollouts: tuple[Rollout, ...]
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Pool:
    """Take the training as it stands into the mean kept under `name`, as its `count`-th member (from 1)."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Average:
    """Put the mean kept under `name` in the place of weights, buffers and optimizer state."""

    name: str


@dataclass(frozen=True, slots=True)
class Renew:
    """Put the initial weights of another net in the place of those in `fork`, the start of a training.

    net: its number, from 1. Where nobody can make another net the weights stay, and the nets differ by the order of
    their data alone.
    """

    fork: str
    net: int


@dataclass(frozen=True, slots=True)
class Together:
    """Score the averaged predictions of several nets.

    nets: by number. values, epoch: of the last of them. joined: the fork in which it ended, where it has not been
    kept yet; from then on it is.
    """

    nets: tuple[int, ...]
    values: Values
    epoch: int
    joined: str | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """Make the state in `fork` (None: the training as it stands) the course.

    outcomes: the rollouts that become part of the course by it, one an epoch, in order; none where the
    course goes back to an earlier state of its own.
    epochs: how long the course is after it.
    members: of the outcomes that scored an average, by number: the rollouts that were averaged.
    nets: those whose averaged predictions are handed back beside it, by number; empty where one is to go alone; None:
    those of the commit before.
    """

    outcomes: tuple["Outcome", ...]
    epochs: int
    fork: str | None
    verdict: Verdict
    members: Mapping[int, tuple["Outcome", ...]] = field(default_factory=dict)
    nets: tuple[int, ...] | None = None


Request: TypeAlias = Fork | Forget | Rollout | Ahead | Pool | Average | Renew | Together | Commit


# What comes back ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """One finished rollout.

    number: counts the rollouts of a run from 0.
    score: the objective, higher is better; None unless status is "ok", and where none was asked for.
    steps: optimizer steps taken, the one that diverged included.
    trained, evaluated: examples passed forward and backward, and forward only.
    seconds: wall time of the rollout, its evaluation included. processor: seconds of the processor in it, user and
    system, of all threads of the process that trained it; 0 in older journals, and where several were trained in one
    pass. Nothing is decided by either.
    batches: how many it saw. epoch_batches, epoch_examples: how many an epoch has; 0 where nobody knows.
    shape, order, length, role: as in the request. cut: the ceiling of the budget ended it before that.
    left: after how many batches the loop body left each `run.batches`, 0: at its end, as the last rollout that could
    tell did; empty where it left none. leaves: the same, once two have agreed: over so many later rates come down.
    origin: the number of the rollout after which it began, of an average that of its last member; -1: none.
    raised: the type of the exception that ended it, by name; "" where none did. examined: the units it took to train
    it again at the optimizer's own rate, which did not raise; the seconds of that are in `seconds`.
    net: as in the request. nets: those whose averaged predictions it scored (`Together`); empty of any training.
    clipped: of a survey whose gradient was cut to a norm, the length of the weights over that; else 0.
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
    batches: int = 0
    epoch_batches: int = 0
    epoch_examples: int = 0
    shape: Shape = FLAT
    order: int = 0
    length: Length = Length()
    cut: bool = False
    role: str = ""
    origin: int | None = None
    processor: float = field(default=0.0, compare=False)
    leaves: tuple[int, ...] = ()
    left: tuple[int, ...] = ()
    examined: float = 0.0
    raised: str = ""
    net: int = 0
    nets: tuple[int, ...] = ()
    clipped: float = 0.0

    @property
    def ok(self) -> bool:
        return self.status == "ok"

    @property
    def observation(self) -> Observation:
        return Observation(self.values, self.score)
