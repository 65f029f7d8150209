"""Train once: score a candidate by where it leads, then follow it to the end. The default policy.

survey     one batch at rate 0: how large an epoch and a validation pass are, and what doing nothing scores
opening    rollouts from the initial weights, each the whole course in miniature (policy/opening.py)
course     epoch after epoch along the schedule, at the rate that led furthest (policy/course.py)
guard      an epoch that blows up is taken back and tried again at half the rate, from a reserve
averaging  where the budget pays for it, a second walk whose every epoch is the average of several
"""

import math

from gammatune.policy.course import hand_back, walk
from gammatune.policy.job import Job, Steps, all_diverged, refuse_hopeless
from gammatune.policy.opening import open_course, rates_of
from gammatune.policy.purse import Purse
from gammatune.records import Fork, Length, Rollout, Values, Verdict
from gammatune.schedules import STILL

RESERVE = 0.12  # of what is left beside the course: kept for epochs that have to be repeated (guess)
MEMBERS = 2  # fewer are no average
MOST_MEMBERS = 16  # guess: the noise of the mean falls with the root of the number
FASTER = 2.0  # how much higher the rate of an averaged course is (docs/diary.md)


def lookahead(job: Job) -> Steps:
    yield Fork("start")
    survey = yield Rollout(job.own, 0, None, length=Length(0.0, least=1), shape=STILL)
    assert survey is not None
    refuse_hopeless(survey, job.where)
    purse = Purse(job.budget, job.epochs, survey)
    spare = purse.left - purse.plain
    reserve = min(RESERVE * spare, purse.epoch)
    opening = yield from open_course(job, purse, min(spare - reserve, purse.plain))
    if opening.tried and not any(o.ok for o in opening.tried):
        raise all_diverged(opening.tried, job.where)
    walks = [(yield from walk(job, purse, opening.values, opening.verdict, survey, "peak"))]
    members = _members(purse)
    if members >= MEMBERS and not job.stopping():
        values = _faster(job, opening.values)
        verdict = Verdict(
            f"again from the start, every epoch the average of {members}, at {FASTER:g} times the rate",
            {"members": float(members)},
        )
        walks.append((yield from walk(job, purse, values, verdict, survey, "averaged peak", members)))
    if not any(w.best for w in walks):
        raise all_diverged([survey], job.where)
    yield from hand_back(job, walks)


def _members(purse: Purse) -> int:
    """How many trainings of every epoch what is left pays for, besides scoring their average."""
    scored = purse.epochs * purse.price(1)
    members = math.floor((purse.left - scored) / (purse.epochs * (purse.epoch - purse.pass_)))
    return min(members, MOST_MEMBERS)


def _faster(job: Job, values: Values) -> Values:
    faster = dict(values)
    for name in rates_of(job.space):
        faster[name] = float(values[name]) * FASTER
    return faster
