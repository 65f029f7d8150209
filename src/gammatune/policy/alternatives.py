"""Which of several optimizers: looks at rates with each, under the prior of its own family.

All of them are miniatures from the same initial weights, scored alike, so that what each process expects of the whole
training can be held against the others. One that is behind beyond noise is looked at no further. Looks do not settle
it: of AdamW and Muon the better by a look of an eighth has .943 of the error of the optimizer that was given, the
better by whole trainings .914 (experiments/population/together.py). So where the budget pays for more than one whole
training, rivals that are not clearly behind get one each (`policy.lookahead`).
"""

import math
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TypeAlias

from gammatune.policy.budget import Budget, Share
from gammatune.policy.job import Job
from gammatune.policy.looks import Looked
from gammatune.policy.opening import (
    FIRST,
    LEAST,
    SHARE,
    Opening,
    jointly,
    look_at_rates,
    look_batches,
    rates_of,
)
from gammatune.records import Alternative, Outcome, Reason, Request, Verdict
from gammatune.space import OPTIMIZER

BEHIND = 0.1  # of being better than the best so far: below that an optimizer is out (guess)
SHORTER = 0.5  # of their usual length, down to which looks are cut so that all can have some (guess)

Expected: TypeAlias = tuple[float, float]  # the lead of a whole training, mean and variance
UNKNOWN: Expected = (-1e300, math.inf)
FAILED: Expected = (-math.inf, 0.0)


def open_between(
    job: Job, budget: Budget, spend: float, survey: Outcome
) -> Generator[Request, Outcome | None, Opening]:
    """`opening.open_course` for a job that has alternatives."""
    share = budget.share(spend)
    more = set(job.space.names) - {OPTIMIZER, *rates_of(job.space)}
    room = budget.share((SHARE if more else 1.0) * share.whole)
    found = yield from _look_at_each(job, budget, room, survey)
    first, *others = sorted(found, key=lambda each: -_expected(each)[0])
    best = _expected(first)
    rivals = [each for each in others if ahead(_expected(each), best) >= BEHIND]
    taken = first
    if more:
        taken = yield from jointly(job.with_optimizer(_named(job, first)), budget, share, first)
    tried = [*(outcome for each in others for outcome in each.tried), *taken.tried]
    verdict = _verdict(taken, others, len(tried), best)
    return replace(taken, tried=tried, rivals=rivals, verdict=verdict)


def _look_at_each(
    job: Job, budget: Budget, room: Share, survey: Outcome
) -> Generator[Request, Outcome | None, list[Opening]]:
    """What was found with each, in the order in which they are given, by looks of one length; with the last of more
    than there is room for no more than is believed before any look."""
    batches = look_batches(budget.total_batches)
    least = FIRST * budget.price(max(LEAST, batches * SHORTER))
    count = min(len(job.alternatives), max(1, int(room.left / least)))
    batches = min(batches, max(LEAST, int(budget.affordable(room.left / count / FIRST))))
    found: list[Opening] = []
    for number, alternative in enumerate(job.alternatives):
        single, part = job.with_optimizer(alternative), room.left / max(1, count - number)
        own = budget.share(part if number < count else 0.0)
        found.append((yield from look_at_rates(single, budget, own, survey, batches, _behind(found))))
    return found


def _behind(found: list[Opening]) -> Callable[[Looked], bool]:
    """Whether an optimizer that is being looked at is behind the best of those that were."""
    best = max((_expected(each) for each in found), default=None)

    def is_behind(looked: Looked) -> bool:
        seen = looked.expected()
        return best is not None and seen is not None and ahead(seen, best) < BEHIND

    return is_behind


def _expected(opening: Opening) -> Expected:
    """Of one whose looks told nothing less than of any other, as far as one has to be taken, and of one whose looks
    all diverged nothing at all."""
    looked = opening.looked
    assert looked is not None
    if looked.outcomes and not any(o.ok for o in looked.outcomes):
        return FAILED
    return looked.expected() or UNKNOWN


def ahead(one: Expected, other: Expected) -> float:
    """The probability that the first leads further, both taken to be normal."""
    if FAILED in (one, other):
        return 0.5 if one == other else float(other == FAILED)
    if UNKNOWN in (one, other):
        return 0.5
    apart, variance = one[0] - other[0], one[1] + other[1]
    if variance <= 0:
        return 0.5 if apart == 0 else float(apart > 0)
    return 0.5 * math.erfc(-apart / math.sqrt(2 * variance))


def why_a_rival(rival: Opening) -> Reason:
    """Gets a whole training."""
    assert rival.looked is not None
    rates = {name: float(rival.values[name]) for name in rival.looked.line.rates}
    return Reason("rival", {"optimizer": rival.values[OPTIMIZER], "rates": rates})


def _named(job: Job, opening: Opening) -> Alternative:
    return next(each for each in job.alternatives if each.name == opening.values[OPTIMIZER])


def _verdict(first: Opening, others: list[Opening], count: int, best: Expected) -> Verdict:
    """That on the values with the optimizer that was taken, and how likely each of the others is to be better. count:
    of all rollouts. best: what is expected with the one that was taken."""
    compared = [other for other in others if other.tried]
    better = {str(other.values[OPTIMIZER]): ahead(_expected(other), best) for other in compared}
    numbers = {**first.verdict.numbers, "candidates": float(count)}
    numbers |= {f"{name} better": p for name, p in better.items()}
    why = Reason("optimizers", {"optimizer": first.values[OPTIMIZER], "better": better})
    return replace(first.verdict, numbers=numbers, reason="", because=(why, *first.verdict.reasons))
