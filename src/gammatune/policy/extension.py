"""A course that has come to its end goes on: a training of more epochs, from where its schedule says.

Under a schedule that stays at its highest for a while and then falls (warm-up, stable, decay) it goes on from the end
of that stretch, and what fell is trained anew at the end of the longer course: which is what such a schedule is for
(Hu et al. 2024, arXiv 2404.06395). Under a constant one it simply goes on. Under any other the rate has come down,
and rises again briefly to where the longer course would be (Ibrahim et al. 2024, arXiv 2403.08763), at the rate that
the longer course is believed to want (`prior.longer`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gammatune.policy import prior
from gammatune.policy.budget import Budget
from gammatune.policy.job import Job, Steps, refuse_all
from gammatune.policy.opening import rates_of
from gammatune.policy.tour import PEAKS, settle
from gammatune.policy.trial import trial, trunk_of
from gammatune.records import Commit, Fact, Fork, Outcome, Reason, Values, Verdict
from gammatune.schedules import longer, stable
from gammatune.space import Float

RESERVE = 0.12  # of what it is to cost, for epochs that have to be repeated: as of a course (`lookahead`)
TRUNKS = tuple(map(trunk_of, PEAKS))


@dataclass(frozen=True, slots=True)
class Extension:
    """The policy. course: as it stands, one outcome an epoch, at least one. more: epochs. trunk: a fork that holds an
    earlier state of that course, in which the rate still stood at its highest, and how many epochs lie before it.
    survey: what doing nothing scores."""

    course: Sequence[Outcome]
    more: int
    survey: Outcome
    trunk: tuple[str, int] | None = None

    __name__ = "extension"  # what tables call it

    @property
    def epochs(self) -> int:
        """Of the course that it comes to."""
        return len(self.course) + self.more

    @property
    def begins(self) -> int:
        """The epochs of the course that stay."""
        return len(self.course) if self.trunk is None else self.trunk[1]

    @property
    def worth(self) -> float:
        """What it may cost, in plain epochs."""
        return (1 + RESERVE) * (self.epochs - self.begins)

    def __call__(self, job: Job) -> Steps:
        # the forks of the walks before, which nobody needs any more; where the run began is left as it is
        finished, peak = PEAKS if self.trunk is None or self.trunk[0] == TRUNKS[0] else reversed(PEAKS)
        yield Fork(finished)
        stands = self.trunk is not None or stable(job.shape)[1] == 1
        shape = longer(job.shape, self.begins / self.epochs, stands=stands)
        budget = Budget(1 + RESERVE, self.epochs - self.begins, self.survey)
        values = self.course[self.begins - 1].values
        if not stands:
            values = self._for_longer(job, values)
        rates = {name: float(values[name]) for name in rates_of(job.space) if name in values}
        told: dict[str, Fact] = {
            "more": self.more,
            "begins": self.begins,
            "rates": rates,
            "stands": int(stands),
        }
        verdict = Verdict.of("extension", Reason("extended", told), epochs=float(self.epochs))
        done = yield from trial(
            replace(job, epochs=self.epochs, shape=shape, nets=False),
            *(budget, values, verdict, self.survey, peak),
            origin=finished if self.trunk is None else self.trunk[0],
            begins=self.begins,
        )
        if done.best is None:
            refuse_all(done.tried, job.where)
        before = job.now(self.course[-1])
        if job.keep == "best" and job.beats(before, done.best):
            why = Reason("extension left", {"epochs": len(self.course), "more": self.more})
            verdict = Verdict.of("handed back", why)
            yield Commit(tuple(self.course[self.begins :]), len(self.course), finished, verdict)
            return
        yield from settle(job, done)

    def _for_longer(self, job: Job, values: Values) -> Values:
        """With the rates that a course of so many more epochs is believed to do best with."""
        times = self.epochs / len(self.course)
        factor = 10 ** prior.longer(times, sum(outcome.batches for outcome in self.course)).mean
        moved = dict(values)
        for name in rates_of(job.space):
            dimension = job.space[name]
            assert isinstance(dimension, Float)
            moved[name] = min(max(float(values[name]) * factor, dimension.low), dimension.high)
        return moved
