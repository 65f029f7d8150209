"""The course of a lookahead run: epoch after epoch along the schedule, with a guard behind it.

One walk from the initial weights to the end. With several *members* each epoch is trained that many times from
where the last one ended, every time over the data in another order, and goes on with the average of their weights
and optimizer states: the noise of the steps cancels, so that a higher rate may be used.
"""

from collections.abc import Generator
from dataclasses import dataclass, field

from gammatune.policy.job import Job, Steps
from gammatune.policy.opening import rates_of
from gammatune.policy.purse import Purse
from gammatune.records import (
    Average,
    Commit,
    Fork,
    Length,
    Outcome,
    Pool,
    Request,
    Rollout,
    Shape,
    Values,
    Verdict,
)
from gammatune.schedules import STILL, part

# Of the progress made so far: an epoch that loses more than this has blown up. In 24 runs at good rates the
# largest loss was 0.15, in those that ended badly 0.35 or more, but for a task that was learned to the last
# example (experiments/landscape.py).
LOST = 0.35
LEAST_PROGRESS = 0.1  # of the score of doing nothing, or of 1: below that nothing can be lost (guess)
SLOWER = 0.5  # what a rate is multiplied by after an epoch that blew up (guess)
TRIES = 6  # halvings before a walk gives up: a factor 64


@dataclass(slots=True)
class Walk:
    """What one walk came to.

    values: as it ended. outcomes: one an epoch. tried: those that blew up.
    best: the one with the best score, and once the walk has ended the one to hand
    back; its state is in the fork `peak`. slowed: how often the guard had to halve the rate. standing: the
    training still stands where the last commit left it.
    """

    peak: str
    values: Values
    outcomes: list[Outcome] = field(default_factory=list)
    tried: list[Outcome] = field(default_factory=list)
    best: Outcome | None = None
    slowed: int = 0
    standing: bool = False

    @property
    def upto_best(self) -> tuple[Outcome, ...]:
        assert self.best is not None
        return tuple(self.outcomes[: self.outcomes.index(self.best) + 1])


def walk(
    job: Job,
    purse: Purse,
    values: Values,
    verdict: Verdict,
    survey: Outcome,
    peak: str,
    members: int = 1,
    *,
    guard: bool = True,
) -> Generator[Request, Outcome | None, Walk]:
    """From the fork "start" along the schedule. verdict: that of the first commit.

    guard: try again at half the rate after an epoch that blew up; without it the walk ends there.
    """
    done = Walk(peak, values)
    floor = survey.score if survey.score is not None else float("-inf")
    lasting = members * (purse.epoch - purse.pass_) + purse.pass_  # units an epoch
    epoch, fresh, ending = 0, False, False  # fresh: the training stands where the last commit left it
    while epoch < job.epochs and not ending:
        shape = part(job.shape, epoch / job.epochs, (epoch + 1) / job.epochs)
        if job.stopping():  # a short decay from where the rate stands
            shape, ending = Shape(((0.0, shape(0.0)), (1.0, 0.0))), True
        fork = ("last" if fresh else peak) if done.outcomes else "start"
        if members == 1:
            outcome = yield Rollout(values, epoch, None if fresh else fork, course=True, shape=shape)
            assert outcome is not None
            purse.pay(outcome)
            joined: tuple[Outcome, ...] = ()
        else:
            outcome, joined = yield from _averaged(purse, values, epoch, fork, shape, members)
        if _blew_up(outcome, done.best, floor):
            fresh = False
            done.tried.append(outcome)
            if not guard or done.slowed == TRIES:
                break
            done.slowed += 1
            values = done.values = _slower(job, values)
            verdict = _taken_back(outcome, done.slowed, None if done.outcomes else verdict)
            # Back to the best state; what cannot be paid twice is lost, and the schedule moves on.
            done.outcomes = list(done.upto_best) if done.best else []
            epoch = max(len(done.outcomes), job.epochs - int(purse.left / lasting + 1e-9))
            continue
        averaged = {outcome.number: joined} if joined else {}
        yield Commit((outcome,), len(done.outcomes) + 1, None, verdict, averaged)
        done.outcomes.append(outcome)
        if done.best is None or job.rank(outcome) > job.rank(done.best):
            done.best = outcome
            yield Fork(peak)
        yield Fork("last")
        epoch, fresh, verdict = epoch + 1, True, _along(job, values, shape)
    done.standing = fresh
    if fresh and done.best is not None and not _ended_below(job, done):
        done.best = done.outcomes[-1]
        yield Fork(peak)
    return done


def _ended_below(job: Job, done: Walk) -> bool:
    """Whether an earlier epoch was clearly better than the last in every respect that the objective weighs.

    The schedule aims at its end, where the loss of an overconfident net often rises while it still makes fewer
    errors, and the best of many noisy scores is a lucky one: handing back the best single score costs some 5 % of
    the error (docs/diary.md).
    """
    assert done.best is not None
    return (
        job.keep == "best" and done.best is not done.outcomes[-1] and job.beats(done.best, done.outcomes[-1])
    )


def _averaged(
    purse: Purse, values: Values, epoch: int, fork: str, shape: Shape, members: int
) -> Generator[Request, Outcome | None, tuple[Outcome, tuple[Outcome, ...]]]:
    """One epoch, `members` times, and the score of the average of those that did not diverge."""
    joined: list[Outcome] = []
    lost: Outcome | None = None
    for order in reversed(range(members)):  # 0 last: its random streams and counters are the ones kept
        member = yield Rollout(values, epoch, fork, shape=shape, order=order, scored=False)
        assert member is not None
        purse.pay(member)
        if member.ok:
            joined.append(member)
            yield Pool("mean", len(joined))
        else:
            lost = member
    if not joined:
        assert lost is not None
        return lost, ()
    yield Average("mean")
    outcome = yield Rollout(values, epoch, None, course=True, length=Length(0.0, least=1), shape=STILL)
    assert outcome is not None
    purse.pay(outcome)
    return outcome, tuple(joined)


def best_of(job: Job, walks: list[Walk]) -> Walk:
    """The walk with the best outcome to hand back; at least one has any."""
    return max((w for w in walks if w.best is not None), key=lambda w: job.rank(w.best))  # type: ignore[arg-type]


def hand_back(job: Job, walks: list[Walk]) -> Steps:
    """Make the best commit of all walks the course, where it is not already; the last one's where that is kept."""
    last = walks[-1]
    best = best_of(job, walks)
    assert best.best is not None
    if best is last and last.standing and best.best is last.outcomes[-1]:
        return
    outcomes = best.upto_best
    if best is not last:
        reason = f"walk {walks.index(best) + 1} of {len(walks)} ended best and is handed back"
    else:
        reason = f"the last epoch ended below epoch {len(outcomes)} in every respect; that one is handed back"
    score = best.best.score
    assert score is not None
    taken = () if best is last else outcomes
    yield Commit(taken, len(outcomes), best.peak, Verdict(reason, {"score": score}))


def _blew_up(outcome: Outcome, best: Outcome | None, floor: float) -> bool:
    """Not finite, or back near where the training began."""
    if not outcome.ok or outcome.score is None:
        return True
    if best is None or best.score is None:
        return False
    progress = best.score - floor
    return progress > LEAST_PROGRESS * max(1.0, abs(floor)) and outcome.score < best.score - LOST * progress


def _slower(job: Job, values: Values) -> Values:
    slower = dict(values)
    for name in rates_of(job.space):
        slower[name] = float(values[name]) * SLOWER
    return slower


def _taken_back(outcome: Outcome, times: int, why: Verdict | None) -> Verdict:
    """why: the verdict on the values themselves, where no commit has told it yet."""
    what = outcome.note or ("" if outcome.score is None else f"it ended at a score of {outcome.score:.3g}")
    in_brackets = f" ({what})" if what else ""
    reason = f"epoch {outcome.epoch + 1} blew up{in_brackets} and was taken back; on at half the rate"
    if why is None:
        return Verdict(reason, {"slowed": float(times)})
    return Verdict(f"{why.reason}; {reason}", {**why.numbers, "slowed": float(times)})


def _along(job: Job, values: Values, shape: Shape) -> Verdict:
    rates = rates_of(job.space)
    if not rates:
        return Verdict("along the schedule")
    return Verdict("along the schedule", {"multiplier": shape(1.0)})
