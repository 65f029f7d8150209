"""What a policy is told of the work before it begins."""

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn, TypeAlias

from gammatune.errors import AllDiverged, InvalidArgument
from gammatune.journal.wording import values_in_words
from gammatune.records import Ahead, Alternative, Known, Observation, Outcome, Request, Rollout, Shape, Values
from gammatune.samplers.sampler import Sampler
from gammatune.schedules import linear
from gammatune.space import BATCH_SIZE, OPTIMIZER, Space

Policy: TypeAlias = Callable[["Job"], Generator[Request, Outcome | None, None]]
Rank: TypeAlias = Callable[[Outcome], tuple[float, ...]]
Steps: TypeAlias = Generator[Request, Outcome | None, None]  # a part of a policy


ONE_MORE = 2.5  # steps: the last one, and what an uneven machine adds to it (guess)


@dataclass(frozen=True, slots=True)
class Job:
    """epochs: the length of the course; where `open`, the epochs that everything together may cost, and the
    policy chooses the length. budget: the ceiling on compute, in plain runs of so many epochs.

    sampler: a fresh one for decision k (from 0), over a space (None: the whole of `space`). space: what is
    searched. own: the values the optimizer came with, as far as they lie in the space; the middle of it else.
    shape: what the learning rate is multiplied by along the course. rank: higher is better; ties fall through
    the tuple. beats: whether the first is better than the second in every metric that the objective weighs.
    overfitted: whether the first, later than the second, is no better in what is counted and much worse in the loss.
    stopping: true once the user asked to end soon (`is_ending` minds the time too). keep: "best" hands back the
    weights of the best commit, "last" those of the last. seconds_left: of the time given, infinite where none was.
    patience: the course ends early once so many of its epochs have brought no better score; None: it does not.
    at_once: of the rollouts of one decision, how many are chosen before the first of them has been heard of.
    now: an outcome with its score as it is counted now, and scale: the name of what is counted. It becomes another
    where a loss falls below 0 and has no logarithm, and scores of before then mean nothing beside later ones.
    known: what can be told of the training before it begins.
    alternatives: the optimizers to choose from, in the order of the space; none where "optimizer" is not in it. own
    and known are the first one's.
    nets: several nets may be trained, and asked together (`records.Together`). asks_anew: in a loop of the user's own
    all of them pass over the selection data each time, after a batch of training; else only the one that joins does.
    guide: where the length was left open, the epochs that a training like this usually has; None where nobody can
    tell.
    """

    epochs: int
    budget: float
    sampler: Callable[[int, Space | None], Sampler]
    rank: Rank
    space: Space
    beats: Callable[[Outcome, Outcome], bool] = lambda a, b: (a.score or 0.0) > (b.score or 0.0)
    overfitted: Callable[[Outcome, Outcome], bool] = lambda later, earlier: False
    own: Values = field(default_factory=dict)
    shape: Shape = field(default_factory=linear)
    stopping: Callable[[], bool] = lambda: False
    keep: str = "best"
    open: bool = False
    seconds_left: Callable[[], float] = lambda: math.inf
    patience: int | None = None
    at_once: int = 1
    now: Callable[[Outcome], Outcome] = lambda outcome: outcome
    scale: Callable[[], str] = lambda: ""
    known: Known = field(default_factory=Known)
    alternatives: tuple[Alternative, ...] = ()
    nets: bool = False
    asks_anew: bool = False
    guide: float | None = None

    def with_optimizer(self, taken: Alternative) -> "Job":
        """The job that is left once the optimizer is chosen."""
        space = Space({name: self.space[name] for name in self.space.names if name != OPTIMIZER})
        fitting = {name: self.own[name] for name in self.own if name == BATCH_SIZE}  # what fits into memory
        return replace(self, space=space, own={**taken.own, **fitting}, known=taken.known, alternatives=())

    def is_ending(self, seconds: float = 0.0) -> bool:
        """The user asked to end, or the time left is that of one more step, which may bring the rate to zero.

        seconds: what one step of what goes on, an epoch or a rollout, has lasted.
        """
        return self.stopping() or self.seconds_left() < ONE_MORE * seconds

    @property
    def where(self) -> str:
        """The space in words, for messages."""
        return ", ".join(self.space.lines)

    def trials(self, what: str) -> int:
        """How many trainings of `what` the budget pays for each time; at least two, or there is no search."""
        if self.budget < 2:
            raise InvalidArgument(
                f"budget={self.budget:g} cannot pay for two {what} to choose between; give 2 or more (the thesis "
                "uses 12), or policy='lookahead', which takes any budget of 1 or more"
            )
        return int(self.budget)


class Search:
    """The sampler of a decision, which is told all anew where the scale of the scores has become another."""

    def __init__(self, job: Job, decision: int, space: Space | None = None) -> None:
        self._job, self._decision, self._space = job, decision, space
        self._told: list[Outcome] = []
        self._scale = job.scale()
        self._sampler = job.sampler(decision, space)

    def ask(self) -> Values | None:
        return self._sampler.ask()

    def tell(self, outcome: Outcome) -> None:
        if self._scale != self._job.scale():
            self._scale = self._job.scale()
            if any(earlier.score is not None for earlier in self._told):
                self._sampler = self._job.sampler(self._decision, self._space)
                for earlier in self._told:
                    self._sampler.tell(self._observation(earlier))
        self._told.append(outcome)
        self._sampler.tell(self._observation(outcome))

    def _observation(self, outcome: Outcome) -> Observation:
        names = (self._space or self._job.space).names
        return Observation({name: outcome.values[name] for name in names}, self._job.now(outcome).score)


def ahead(rollouts: Sequence[Rollout], *, keep: bool = False) -> Iterator[Ahead]:
    """Say, where there is more than one, that these will be asked for; see `records.Ahead`."""
    if len(rollouts) > 1:
        yield Ahead(tuple(rollouts), keep)


def refuse_hopeless(outcome: Outcome, where: str) -> None:
    """A gradient that is not finite before any update is not the candidate's fault: say so at once."""
    if outcome.status == "diverged" and outcome.steps == 1 and not outcome.raised:
        raise AllDiverged(
            f"the gradient is not finite at the very first step of epoch {outcome.epoch + 1}, before any "
            f"update, so no candidate in {where} can help. Look at the data (NaN, Inf, scale), the loss and the "
            "initial weights",
            [outcome.number],
        )


def failures(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """How many failed in each way."""
    return {status: sum(o.status == status for o in outcomes) for status in ("diverged", "infeasible")}


def refuse_all(tried: list[Outcome], where: str) -> NoReturn:
    values = "; ".join(values_in_words(outcome.values) for outcome in tried)
    raise AllDiverged(
        f"all {len(tried)} candidates of epoch {tried[0].epoch + 1} diverged ({values}) in {where}. The weights "
        "are back where the epoch began. Lower the range, and look at the data (NaN, Inf, scale) and at the loss",
        [outcome.number for outcome in tried],
    )
