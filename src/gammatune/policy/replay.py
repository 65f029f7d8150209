"""A course that was found before, repeated without a search.

From the same initial weights, with the same data and seed, it ends in the same weights, to the bit on a CPU: the
same rollouts in the same order, each going on from where the last commit left the training and its random streams.
With another model, data set or seed it is a schedule like any other.

The course of another of several nets begins with initial weights of its own, which are made again where the training
can do that; where it cannot, as the run that it comes from could not, they differ by the order of the data alone.
"""

from dataclasses import dataclass
from typing import NoReturn

from gammatune.course import Leg, Schedule, Stretch
from gammatune.errors import AllDiverged, InvalidArgument
from gammatune.journal.wording import in_words
from gammatune.policy.job import Job, Steps
from gammatune.records import (
    Average,
    Commit,
    Fork,
    Length,
    Outcome,
    Pool,
    Reason,
    Renew,
    Rollout,
    Shape,
    Value,
    Verdict,
)
from gammatune.space import Choice, Dimension, Float, Space

FEW = 4  # values that a space lists one by one (guess: what a line of a table holds)


@dataclass(frozen=True, slots=True)
class Replay:
    """The policy. Raises InvalidArgument where there is nothing to repeat."""

    schedule: Schedule

    __name__ = "replay"  # what journals and tables call it

    def __post_init__(self) -> None:
        if not len(self.schedule):
            raise InvalidArgument("the schedule is empty: the run it comes from committed nothing to repeat")

    def __str__(self) -> str:
        return in_words(Reason("course repeated", {"epochs": len(self.schedule)}))

    def __call__(self, job: Job) -> Steps:
        self._refuse(job)
        outcome: Outcome | None = None
        if net := self.schedule.stretches[0].net:
            # not "here": where nothing comes of the first epoch the training goes back to it
            yield Fork("begin")
            yield Renew("begin", net)
        for place, stretch in enumerate(self.schedule.stretches):
            if outcome is not None and job.is_ending(outcome.seconds):
                break
            yield Fork("here")
            joined: list[Outcome] = []
            for member in stretch.members:
                outcome = yield _rollout(member, stretch, "here")
                assert outcome is not None
                if member.pooled and outcome.ok:
                    joined.append(outcome)
                    yield Pool("mean", len(joined))
            if joined:
                yield Average("mean")
            elif stretch.members:
                self._refuse_failed(place, outcome)  # type: ignore[arg-type]  # there was a member
            last = stretch if stretch.settle is None else stretch.settle
            outcome = yield _rollout(last, stretch, None)
            assert outcome is not None
            if not outcome.ok:
                self._refuse_failed(place, outcome)
            why = Reason("course found", {"epoch": place + 1, "epochs": len(self.schedule)})
            verdict = Verdict.of("schedule", why)
            members = {outcome.number: tuple(joined)} if joined else {}
            yield Commit((outcome,), place + 1, None, verdict, members)

    @property
    def budget(self) -> float:
        """A ceiling that is not met: twice what the rollouts cost at most, in plain runs."""
        epochs = 0.0
        for stretch in self.schedule.stretches:
            in_epoch = stretch.epoch_batches or 1
            for leg in (*stretch.members, stretch.settle or stretch):
                # as many epochs as it takes, each no dearer than a plain one with its validation pass
                epochs += max(1.0, leg.length.batches(in_epoch) / in_epoch)
        return 2 * epochs / len(self.schedule)

    @property
    def space(self) -> Space:
        """What the course chose from, for a tuner that has to be told: nothing is searched in it."""
        names = dict.fromkeys(name for values in self.schedule for name in values)
        return Space({name: _dimension([v[name] for v in self.schedule if name in v]) for name in names})

    def refuse_other_rates(self, *, multiplier: bool) -> None:
        """A factor is no learning rate, nor the other way round."""
        if multiplier != self.schedule.multiplier:
            raise InvalidArgument(
                f"multiplier={multiplier}: the course that is to be repeated chose "
                + (
                    "factors of a scheduler of its own; write multiplier=True in a gammatune.Tuner, with that "
                    "scheduler"
                    if self.schedule.multiplier
                    else "learning rates; write multiplier=False"
                )
            )

    def _refuse(self, job: Job) -> None:
        names = {name for values in self.schedule for name in values}
        if missing := sorted(names - set(job.space.names)):
            raise InvalidArgument(
                f"the course sets {', '.join(missing)}, and the space {job.where} does not; leave space= out"
            )
        if job.epochs < len(self.schedule):
            raise InvalidArgument(
                f"epochs={job.epochs} is less than the course has; write epochs={len(self.schedule)}, or repeat "
                f"schedule[:{job.epochs}]"
            )

    def _refuse_failed(self, place: int, outcome: Outcome) -> NoReturn:
        values = ", ".join(f"{name} {value}" for name, value in outcome.values.items())
        raise AllDiverged(
            f"epoch {place + 1} of the course that is repeated failed ({values}): {outcome.note or outcome.status}. "
            "The weights are back where the epoch began. What was found on other data or another model need not "
            "fit here; search anew",
            [outcome.number],
        )


def _rollout(leg: Leg, stretch: Stretch, fork: str | None) -> Rollout:
    """The request that the leg came from. One that was cut is asked for as far as it came."""
    length, shape = leg.length, leg.shape
    if leg.cut:
        planned = length.batches(stretch.epoch_batches) if stretch.epoch_batches else leg.batches
        length = Length(0.0, leg.batches, leg.batches) if leg.batches else Length(0.0, least=0)
        shape = _seen(shape, leg.batches, planned)
    course = leg is stretch or leg is stretch.settle
    return Rollout(leg.values, stretch.epoch, fork, course, length, shape, leg.order, leg.scored, net=leg.net)


def _seen(shape: Shape, batches: int, planned: int) -> Shape:
    """The first so many batches of a shape, stretched to run from 0 to 1: the same multipliers, to the bit."""
    if not batches:
        return shape
    levels = [shape((batch + 0.5) / planned) for batch in range(batches)]
    inner = [((batch + 0.5) / batches, level) for batch, level in enumerate(levels)]
    return Shape(((0.0, levels[0]), *inner, (1.0, levels[-1])))


def _dimension(values: list[Value]) -> Dimension:
    options = list(dict.fromkeys(values))
    numbers = [value for value in options if isinstance(value, float) and value > 0]
    if len(options) > FEW and len(numbers) == len(options) and max(numbers) > 2 * min(numbers):
        return Float(min(numbers), max(numbers), log=True)
    return Choice(tuple(options))
