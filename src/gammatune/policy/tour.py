"""The walks of a run, and which of them is the course."""

from collections.abc import Generator

from gammatune.policy.budget import Budget
from gammatune.policy.job import Job, Steps
from gammatune.policy.trial import Trial, trial
from gammatune.records import Commit, Fork, Outcome, Reason, Renew, Request, Values, Verdict

PEAKS = "one", "two"  # forks: the state that the course ends in, and the best of a walk under way
LAST = "last"  # where the last epoch of the course ended


class Tour:
    """The walks of a run from start to end. first: the one that found the rate. best: the one that is the course, the
    `place`-th."""

    def __init__(self, job: Job, budget: Budget, survey: Outcome, first: Trial) -> None:
        self.job, self.budget, self.survey = job, budget, survey
        self.first = self.best = first
        self.place = self.count = 1

    def go(
        self,
        job: Job,
        values: Values,
        verdict: Verdict,
        members: int = 1,
        *,
        guard: bool = False,
        net: int = 0,
    ) -> Generator[Request, Outcome | None, Trial]:
        """One more walk, from the start; it becomes the course if it ends better. net: see `Rollout.net`."""
        self.count += 1
        peak = PEAKS[self.best.peak == PEAKS[0]]  # not where the course stands
        if net and self.best.peak != LAST:
            peak = LAST  # which nobody needs any more, so that several nets take no more memory than one
        later = yield from trial(
            job,
            self.budget,
            values,
            verdict,
            self.survey,
            peak,
            members,
            number=self.count,
            guard=guard,
            net=net,
        )
        best = yield from compare(job, self.best, later, self.count)
        if best is later:
            self.best, self.place = later, self.count
        return later

    def renew(self, net: int, values: Values, verdict: Verdict) -> Generator[Request, Outcome | None, Trial]:
        """One more walk, by another net."""
        yield Renew("start", net)
        yield Fork("start")
        return (yield from self.go(self.job, values, verdict, guard=True, net=net))

    def end(self) -> Steps:
        if self.place < self.count:
            yield from hand_back(self.job, self.best, self.place, self.count)


def settle(job: Job, first: Trial) -> Steps:
    """Make the outcome to hand back of the first walk the end of the course, where it is not already."""
    assert first.best is not None
    if first.standing and first.best is first.outcomes[-1]:
        return
    epoch = first.best.epoch + 1  # which is not how many there were, where one could not be paid twice
    why = Reason("blew up after" if first.best is first.outcomes[-1] else "ended below", {"epoch": epoch})
    yield _go_back(job, first, why)


def compare(job: Job, best: Trial, later: Trial, number: int) -> Generator[Request, Outcome | None, Trial]:
    """The better of the walk that is the course and a later one, which then becomes the course as a whole."""
    assert best.best is not None
    if later.best is None or job.rank(later.best) <= job.rank(best.best):
        return best
    taken = later.upto_best
    scores = {"score": _score(job, later), "before": _score(job, best)}
    net = later.why.numbers.get("net")
    why = Reason("walk won", {"walk": number, **scores}, later.why.reasons)
    if net is not None:
        why = Reason("net won", {"net": int(net) + 1, **scores})
    verdict = Verdict.of("walk", why, **{**later.why.numbers, **scores})
    yield Commit(taken, len(taken), later.peak, verdict, later.members_of(taken))
    return later


def hand_back(job: Job, best: Trial, number: int, count: int) -> Steps:
    """Put the training back to the course after a later walk that did not end better."""
    yield _go_back(job, best, Reason("walk stays", {"walk": number, "count": count}))


def _go_back(job: Job, done: Trial, why: Reason) -> Commit:
    verdict = Verdict.of("handed back", why, score=_score(job, done))
    return Commit((), done.begins + len(done.upto_best), done.peak, verdict)


def _score(job: Job, done: Trial) -> float:
    """Of what is to be handed back."""
    assert done.best is not None
    score = job.now(done.best).score
    assert score is not None
    return score
