"""The opening of `lookahead` alone: a rate for a training that somebody else will do.

What is asked for is what a run of `lookahead` asks for first, and what it believes then is handed back; the training
stands where it stood.
"""

from dataclasses import dataclass, field

from gammatune.errors import InvalidArgument
from gammatune.policy.budget import Budget
from gammatune.policy.job import Job, Steps
from gammatune.policy.lookahead import for_the_opening, surveyed
from gammatune.policy.opening import Opening, open_course, refuse_failed
from gammatune.records import Commit, Fork, Outcome


@dataclass(slots=True)
class Finding:
    """The policy. steps: batches of the training that the rate is for. cost: the most that looks may take, of that
    training, each epoch with its validation pass: the looks are those of a run with a budget of 1 + cost.

    found, survey, spent: what came of it: the opening, what doing nothing scored, and what all of it took of that
    training.
    """

    steps: int
    cost: float
    found: Opening | None = field(default=None, init=False)
    survey: Outcome | None = field(default=None, init=False)
    spent: float = field(default=0.0, init=False)

    __name__ = "finding"  # what tables call it

    def __call__(self, job: Job) -> Steps:
        yield Fork("start")
        job, survey = yield from surveyed(job)
        budget = Budget(1 + self.cost, self.steps / max(survey.epoch_batches, 1), survey)
        self.survey, left = survey, budget.left - budget.plain
        if left < 0:
            raise InvalidArgument(
                f"cost={self.cost:g} of a training of {self.steps:,} steps pays for nothing: one batch and one pass "
                f"over what is scored take {budget.paid / budget.plain:.2g} of it. Give more, or fewer examples to "
                "score by"
            )
        found = yield from open_course(job, budget, for_the_opening(left, budget), survey)
        refuse_failed(found, job)
        self.found, self.spent = found, budget.paid / budget.plain
        yield Commit((), 0, "start", found.verdict)  # where it stood
