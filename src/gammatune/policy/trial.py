"""The course of a lookahead run: epoch after epoch along the schedule, with a guard behind it.

One walk from the initial weights to the end. What a later walk came to becomes the course only when it has ended,
and ended better: whoever leaves early keeps the best walk that is whole.

With several *members* each epoch is trained that many times from where the last one ended, every time over the
data in another order, and goes on with the average of their weights and optimizer states: the noise of the steps
cancels, so that a higher rate may be used.
"""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace

from gammatune.policy.batch_sizes import fit_in, size_of
from gammatune.policy.budget import Budget
from gammatune.policy.guard import blew_up, fell, luck
from gammatune.policy.job import Job, Steps, ahead
from gammatune.policy.opening import rates_of
from gammatune.records import (
    EPOCH,
    Average,
    Commit,
    Fact,
    Forget,
    Fork,
    Length,
    Outcome,
    Pool,
    Reason,
    Request,
    Rollout,
    Shape,
    Values,
    Verdict,
)
from gammatune.schedules import STILL, part, stable
from gammatune.space import Space

SLOWER = 0.5  # what a rate is multiplied by after an epoch that blew up (guess)
TRIES = 6  # halvings before a walk gives up: a factor 64
# ... and for falling below where the training began: a factor 4, a little more than the spread of the prior. More of
# them would be false alarms: after a few steps the running statistics of batch normalisation are not the data's.
FALLS = 2
COURSE = "course"  # the role of the first walk's rollouts


@dataclass(slots=True)
class Trial:
    """What one walk came to.

    why: the verdict it began with. values: as it ended. outcomes: one an epoch. averaged: of those that scored an
    average, by number, what was averaged. tried: those that blew up. best: the one with the best score, and once
    the walk has ended the one to hand back; its state is in the fork `peak`. slowed: how often the guard had to
    halve the rate. standing: the training still stands where the last epoch left it. begins: the epochs of the course
    before it, of one that goes on with a run (`policy.extension`).
    """

    peak: str
    why: Verdict
    values: Values
    outcomes: list[Outcome] = field(default_factory=list)
    averaged: dict[int, tuple[Outcome, ...]] = field(default_factory=dict)
    tried: list[Outcome] = field(default_factory=list)
    best: Outcome | None = None
    slowed: int = 0
    standing: bool = False
    begins: int = 0

    @property
    def stale(self) -> int:
        """Epochs since the first that had the best score."""
        scores = [-math.inf if outcome.score is None else outcome.score for outcome in self.outcomes]
        return len(scores) - 1 - scores.index(max(scores)) if scores else 0

    @property
    def upto_best(self) -> tuple[Outcome, ...]:
        assert self.best is not None
        return tuple(self.outcomes[: self.outcomes.index(self.best) + 1])

    def members_of(self, outcomes: Sequence[Outcome]) -> dict[int, tuple[Outcome, ...]]:
        return {o.number: self.averaged[o.number] for o in outcomes if o.number in self.averaged}


def trial(
    job: Job,
    budget: Budget,
    values: Values,
    verdict: Verdict,
    survey: Outcome,
    peak: str,
    members: int = 1,
    *,
    number: int = 1,
    guard: bool = True,
    unseen: bool = False,
    net: int = 0,
    only: bool = False,
    origin: str = "start",
    begins: int = 0,
) -> Generator[Request, Outcome | None, Trial]:
    """From the fork `origin` along the schedule, where `begins` epochs lie before it. verdict: why it is tried.

    number: the first walk is the course and is committed epoch by epoch; a later one has to prove itself first
    (`tour.compare`), and leaves the course where it is. guard: try again at half the rate after an epoch that blew
    up; without it the walk ends there. unseen: nobody has looked at the rate, so that an epoch that ends far below
    doing nothing is taken back too, while that costs no other epoch, and that what is left is a shorter course where
    not even the last epoch can be paid for again. net: see `Rollout.net`; of another net than the first no fork is
    kept but its best, from which it goes on after an epoch that blew up. only: no other walk follows, so that nobody
    comes back to "start" once an epoch is kept.
    """
    done = Trial(peak, verdict, values, begins=begins)
    role = COURSE if number == 1 else f"net {net + 1}" if net else f"walk {number}"
    under_way = _UnderWay(
        *(job, budget, survey, done, members, number == 1, role, guard, unseen, net, only),
        space=job.space,
        verdict=verdict,
        origin=origin,
        epoch=begins,
    )
    yield from under_way.go()
    if done.standing and done.best is not None and not _ended_below(job, done):
        done.best = done.outcomes[-1]
        yield Fork(peak)
    return done


@dataclass(slots=True)
class _UnderWay:
    """A walk that is being gone; the first of these as `walk` was told.

    space: what is left of it where a batch size did not fit into memory. verdict: of the next commit. epoch, length:
    what is trained next. fresh: the training stands where the last epoch left it. ending: the last one has begun.
    seconds: of the last epoch.
    """

    job: Job
    budget: Budget
    survey: Outcome
    done: Trial
    members: int
    is_course: bool
    role: str
    guard: bool
    unseen: bool
    net: int
    only: bool
    space: Space
    verdict: Verdict
    origin: str
    epoch: int
    length: Length = EPOCH
    fresh: bool = False
    ending: bool = False
    seconds: float = 0.0

    def go(self) -> Steps:
        job, done = self.job, self.done
        while self.epoch < job.epochs and not self.ending:
            shape = self._next_shape()
            outcome, joined = yield from self._train(shape)
            # where it has changed what is scored, all before it is scored anew
            done.outcomes = [job.now(o) for o in done.outcomes]
            done.best = None if done.best is None else job.now(done.best)
            self.seconds = outcome.seconds + sum(member.seconds for member in joined)
            if self.is_course and outcome.status == "infeasible":
                self._fit_in(outcome)
            elif not self._is_lost(outcome):
                yield from self._keep(outcome, joined, shape)
            elif not self._take_back(outcome):
                break
        done.standing = self.fresh

    @property
    def _trunk(self) -> int:
        """The epochs of the course at whose end the rate still stands at its highest, before it falls for good: from
        there a longer training goes on. 0 where it never stays there."""
        start, end = stable(self.job.shape)
        begins = self.done.begins
        passed = int(end * (self.job.epochs - begins) + 1e-9)
        return begins + passed if start < end < 1 and passed else 0

    def _next_shape(self) -> Shape:
        """That of the next epoch: along the schedule, or to zero in the last."""
        job, epoch = self.job, self.epoch
        shape = job.shape
        begins = self.done.begins
        if self.length is EPOCH:
            left = job.epochs - begins
            shape = part(shape, (epoch - begins) / left, (epoch + 1 - begins) / left)
        if job.is_ending(self.seconds):  # a short decay from where the rate stands
            self.ending = True
        elif job.patience is not None and self.done.stale >= job.patience and epoch + 1 < job.epochs:
            self.ending = True
            self.verdict = _out_of_patience(self.done)
        return _to_zero(shape) if self.ending else shape

    def _train(self, shape: Shape) -> Generator[Request, Outcome | None, tuple[Outcome, tuple[Outcome, ...]]]:
        """The next epoch, and what was averaged for it."""
        done, net = self.done, self.net
        fork = ("last" if self.fresh else done.peak) if done.outcomes else self.origin
        if self.members > 1:
            rollouts = [
                Rollout(done.values, self.epoch, fork, shape=shape, order=order, scored=False, role=self.role)
                for order in reversed(range(self.members))  # 0 last: its random streams and counters are kept
            ]
            return (yield from _averaged(self.job, self.budget, rollouts))
        outcome = yield Rollout(
            *(done.values, self.epoch, None if self.fresh else fork, self.is_course),
            length=self.length,
            shape=shape,
            order=net,
            role=self.role,
            net=net,
        )
        assert outcome is not None
        self.budget.pay(outcome)
        return outcome, ()

    def _fit_in(self, outcome: Outcome) -> None:
        self.space, self.done.values = fit_in(self.space, self.done.values, outcome)
        self.fresh = False
        why = Reason("out of memory", {"epoch": self.epoch + 1, "batch_size": size_of(self.done.values)})
        self.verdict = replace(self.verdict, kind="memory", reason="", because=(*self.verdict.reasons, why))

    def _is_lost(self, outcome: Outcome) -> bool:
        job, done, survey = self.job, self.done, self.job.now(self.survey)
        return blew_up(job, outcome, done.best, survey, done.outcomes) or (
            self.unseen and fell(outcome, survey) and _can_repeat(job, self.budget, done)
        )

    def _take_back(self, outcome: Outcome) -> bool:
        """Back to the best state, at half the rate; False where that is not to be tried (again).

        What cannot be paid twice is lost, and the schedule moves on."""
        job, done, budget = self.job, self.done, self.budget
        self.fresh = False
        done.tried.append(outcome)
        if not self.guard or done.slowed == TRIES or outcome.status == "infeasible":
            return False
        done.slowed += 1
        done.values = _slower(job, done.values)
        before = None if done.outcomes else self.verdict
        left: int | None = None  # batches, where they are less than an epoch
        done.outcomes = list(done.upto_best) if done.best else []
        lasting = self.members * (budget.epoch - budget.pass_) + budget.pass_  # units an epoch
        self.epoch = max(done.begins + len(done.outcomes), job.epochs - int(budget.left / lasting + 1e-9))
        rest = int(budget.affordable(budget.left) + 1e-9)  # batches
        # The first time the rate, which nobody has looked at, is likelier to blame than the data. What blew up again
        # goes past the batch at which it did, where that is known: what lies in the data is met once more.
        again = done.slowed > 1 and 0 < outcome.batches < budget.batches
        least = outcome.batches if again else 1
        if self.unseen and self.epoch >= job.epochs and not done.outcomes and rest >= least:
            self.epoch, self.length, left = job.epochs - 1, Length(0.0, rest, rest), rest
        self.verdict = _taken_back(outcome, done.slowed, before, left)
        return True

    def _keep(self, outcome: Outcome, joined: tuple[Outcome, ...], shape: Shape) -> Steps:
        job, done = self.job, self.done
        done.outcomes.append(outcome)
        if joined:
            done.averaged[outcome.number] = joined
        if self.is_course:
            taken = (outcome,)
            epochs = done.begins + len(done.outcomes)
            yield Commit(taken, epochs, None, self.verdict, done.members_of(taken))
        if done.best is None or job.rank(outcome) > job.rank(done.best):
            done.best = outcome
            yield Fork(done.peak)
        if (self.guard or self.members > 1) and not self.net:
            yield Fork("last")
        if self.only and len(done.outcomes) == 1:
            yield Forget("start")
        if self.epoch + 1 == self._trunk and not self.net:
            yield Fork(trunk_of(done.peak), lasting=True)
        self.epoch, self.fresh, self.verdict = self.epoch + 1, True, _along(job, done.values, shape)


def trunk_of(peak: str) -> str:
    """The fork at the end of the trunk, of the walk whose best state is in the fork `peak`."""
    return f"trunk {peak}"


def _ended_below(job: Job, done: Trial) -> bool:
    """Whether an earlier epoch was clearly better than the last in every respect that the objective weighs, or is as
    good in what is counted and the last has a far greater loss.

    The schedule aims at its end, where the loss of an overconfident net often rises while it still makes fewer
    errors, and the best of many noisy scores is a lucky one: handing back the best single score costs some 5 % of
    the error (docs/diary.md).
    """
    assert done.best is not None
    best, last = done.best, done.outcomes[-1]
    if job.keep != "best" or best is last:
        return False
    scores = [outcome.score for outcome in done.outcomes if outcome.score is not None]
    is_clear = (best.score or 0.0) - (last.score or 0.0) > luck(scores)
    return (job.beats(best, last) and is_clear) or job.overfitted(last, best)


def _averaged(
    job: Job, budget: Budget, rollouts: Sequence[Rollout]
) -> Generator[Request, Outcome | None, tuple[Outcome, tuple[Outcome, ...]]]:
    """One epoch as often as there are rollouts, and the score of the average of those that did not diverge."""
    joined: list[Outcome] = []
    lost: Outcome | None = None
    for number, rollout in enumerate(rollouts):
        if number % job.at_once == 0:
            yield from ahead(rollouts[number : number + job.at_once], keep=True)
        member = yield rollout
        assert member is not None
        budget.pay(member)
        if member.ok:
            joined.append(member)
            yield Pool("mean", len(joined))
        else:
            lost = member
    if not joined:
        assert lost is not None
        return lost, ()
    yield Average("mean")
    first = rollouts[0]
    length = Length(0.0, least=1)
    outcome = yield Rollout(first.values, first.epoch, None, length=length, shape=STILL, role=first.role)
    assert outcome is not None
    budget.pay(outcome)
    return outcome, tuple(joined)


def _can_repeat(job: Job, budget: Budget, done: Trial) -> bool:
    """Whether the walk may go back to its best state, at half the rate, and still have all of its epochs."""
    passed = len(done.upto_best) if done.best else 0
    return done.slowed < FALLS and budget.left >= (job.epochs - passed) * budget.epoch


def _slower(job: Job, values: Values) -> Values:
    slower = dict(values)
    for name in rates_of(job.space):
        slower[name] = float(values[name]) * SLOWER
    return slower


def _taken_back(outcome: Outcome, times: int, before: Verdict | None, left: int | None) -> Verdict:
    """before: the verdict on the values themselves, where no commit has told it yet. left: the batches that are to
    follow, where they are less than an epoch."""
    told: dict[str, Fact] = {"epoch": outcome.epoch + 1, "note": outcome.note, "score": outcome.score}
    before = before or Verdict()
    numbers = {**before.numbers, "slowed": float(times)}
    why = Reason("blew up", {**told, "batches": left})
    return Verdict.of("guard", *before.reasons, why, **numbers)


def _to_zero(shape: Shape) -> Shape:
    return Shape(((0.0, shape(0.0)), (1.0, 0.0)))


def _out_of_patience(done: Trial) -> Verdict:
    count = done.stale
    why = Reason("patience", {"count": count, "since": done.outcomes[-1 - count].epoch + 1})
    return Verdict.of("patience", why, stale=float(count))


def _along(job: Job, values: Values, shape: Shape) -> Verdict:
    numbers = {"multiplier": shape(1.0)} if rates_of(job.space) else {}
    return Verdict.of("schedule", Reason("schedule"), **numbers)
