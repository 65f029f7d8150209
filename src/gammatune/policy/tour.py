"""The walks of a run, and which of them is the course."""

from collections.abc import Generator

from gammatune.policy.budget import Purse
from gammatune.policy.job import Job, Steps
from gammatune.policy.trial import Walk, compare, hand_back, walk
from gammatune.records import Fork, Outcome, Renew, Request, Values, Verdict

PEAKS = "one", "two"  # forks: the state that the course ends in, and the best of a walk under way
LAST = "last"  # where the last epoch of the course ended


class Tour:
    """The walks of a run from start to end. first: the one that found the rate. best: the one that is the course, the
    `place`-th."""

    def __init__(self, job: Job, purse: Purse, survey: Outcome, first: Walk) -> None:
        self.job, self.purse, self.survey = job, purse, survey
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
    ) -> Generator[Request, Outcome | None, Walk]:
        """One more walk, from the start; it becomes the course if it ends better. net: see `Rollout.net`."""
        self.count += 1
        peak = PEAKS[self.best.peak == PEAKS[0]]  # not where the course stands
        if net and self.best.peak != LAST:
            peak = LAST  # which nobody needs any more, so that several nets take no more memory than one
        later = yield from walk(
            job,
            self.purse,
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

    def renew(self, net: int, values: Values, verdict: Verdict) -> Generator[Request, Outcome | None, Walk]:
        """One more walk, by another net."""
        yield Renew("start", net)
        yield Fork("start")
        return (yield from self.go(self.job, values, verdict, guard=True, net=net))

    def end(self) -> Steps:
        if self.place < self.count:
            yield from hand_back(self.job, self.best, self.place, self.count)
