"""Runs that an older version of the policy `lookahead` began, gone on with along the schedule that it found.

Versions differ in how they find the rate. What follows, the course and the walks, depends on an opening through the
values that came of it and what it cost; both stand in the journal, so that none of the older rules is needed again.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Self

from gammatune.policy.budget import Budget
from gammatune.policy.job import Job
from gammatune.policy.looks import Looked
from gammatune.policy.opening import (
    AROUND,
    LOOKED,
    VERY_SHORT,
    WIDE,
    Opening,
    after_scouts,
    rates_of,
    unlooked,
)
from gammatune.policy.trial import COURSE
from gammatune.records import Outcome, Reason, Request, Rollout, Values, Verdict

ROUNDING = 1e-6  # decades
PRIOR = 2  # the version from which on walks and guard go by what was known before, where there were no looks


@dataclass(frozen=True, slots=True)
class Taken:
    """An opening in the place of `open_course`, which asks for what the journal has and finds what was found then.

    version: which began the run. rollouts: of the run, by number, those before its first course. values: of that
    course.
    """

    version: int
    rollouts: Sequence[Outcome]
    values: Values

    @classmethod
    def of(cls, version: int, rollouts: Sequence[Outcome]) -> Self | None:
        """That of a run with these rollouts; None where they end before the course, and no values are known."""
        first = next((outcome for outcome in rollouts if outcome.role == COURSE), None)
        return None if first is None else cls(version, rollouts[: first.number], first.values)

    def __call__(
        self, job: Job, budget: Budget, spend: float, survey: Outcome
    ) -> Generator[Request, Outcome | None, Opening]:
        """All of them have been trained, and nothing goes on from where they ended: "start" will do for any."""
        total = budget.total_batches
        tried: list[Outcome] = []
        for past in self.rollouts[survey.number + 1 :]:
            outcome = yield Rollout(
                *(past.values, past.epoch, "start"),
                length=past.length,
                shape=past.shape,
                order=past.order,
                role=past.role,
            )
            assert outcome is not None
            budget.pay(outcome)
            tried.append(outcome)
        # where a commit has told the verdict, the journal has it; and a batch size that did not fit is larger than
        # the one that was chosen, so that it need not be taken out of the space
        why = Reason("older version", {"count": len(tried)})
        verdict = Verdict.of("search", why, candidates=float(len(tried)))
        return Opening(self.values, verdict, job.space, tried, self._believed(job, total, survey, tried))

    def _believed(self, job: Job, total: int, survey: Outcome, tried: Sequence[Outcome]) -> Looked | None:
        """Of the rates, where nobody had looked at them; where somebody had, nothing that follows asks for it.

        total: batches of the course, as they were counted before the search."""
        if self.version < PRIOR or not rates_of(job.space):
            return None
        looked = unlooked(job.space, job.own, job.known, survey, total, job.now)
        at = [looked.line.of(o) for o in tried if o.role == LOOKED]
        # what was searched together with other values lies closer to the first, which is at the rate that was taken
        alone = len(job.space.names) == len(looked.line.rates)
        if at and (alone or abs(at[min(1, len(at) - 1)] - at[0]) > AROUND - ROUNDING):
            return None
        if total <= VERY_SHORT or looked.line.place.sd <= WIDE:
            return looked
        for outcome in tried:
            if outcome.role != LOOKED:
                looked.hear(outcome)
        return after_scouts(looked)
