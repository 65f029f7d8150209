"""Train once: score a candidate by where it leads, then follow it to the end. The default policy.

    survey     one batch at rate 0: how large an epoch and a validation pass are, and what doing nothing scores
    opening    a few looks at rates, short trainings from the initial weights (policy/opening.py)
    course     epoch after epoch along the schedule, at the rate that led furthest (policy/trial.py)
    guard      an epoch that blows up is taken back and tried again at half the rate, from a reserve

A budget that pays for more walks from start to end than one spends them where looks cannot see: first at twice and
at half the rate, then on averages of several trainings an epoch at the best rate found and at twice that. Where the
course is too short to be looked at, walks are the looks: each goes where most is promised given all before. A walk
that ends better than the course becomes the course.

Where there are several optimizers to choose from, each is looked at (policy/alternatives.py), and a budget that pays
for more than one walk spends one on each rival that the looks leave in the race.

Where the number of epochs is left open, what the looks have left of everything is the course.
"""

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import TypeAlias

from gammatune.cost import units
from gammatune.policy.alternatives import open_between, why_a_rival
from gammatune.policy.batch_sizes import fit_in
from gammatune.policy.budget import Budget
from gammatune.policy.job import Job, Steps, refuse_all, refuse_hopeless
from gammatune.policy.looks import Looked
from gammatune.policy.nets import Nets, asking_all
from gammatune.policy.opening import Opening, open_course, rates_of, refuse_failed
from gammatune.policy.tour import PEAKS, Tour, settle
from gammatune.policy.trial import Trial, trial
from gammatune.records import Fork, Length, Outcome, Reason, Request, Rollout, Values, Verdict
from gammatune.schedules import STILL
from gammatune.space import Float

# Another number whenever the policy, told the same, asks for something else than before. A run that was begun before
# that goes on where the opening alone is another (policy/older.py): with what stands here and in policy/trial.py.
VERSION = 3

RESERVE = 0.12  # of what is left beside the course: kept for epochs that have to be repeated (guess)
OPENING = 0.45  # plain runs: an opening gets that much before a second walk is paid for (docs/diary.md)
STEP = 2.0  # factor between the rates of walks (guess; what looks leave open is about that much)
FACTORS = STEP, 1 / STEP
FEW = 2  # members: fewer are no average
LOOKS_BY_TRIALS = 3  # whole trainings at other rates, at most, before others at the same (guess)
# Where the length is left open, how many nets share x usual trainings. On the population a classifier is better for
# more nets and worse for longer ones (two of .6 have .95 of the error of one, four of 1 have .91, one of 2.4 1.00, of
# the log-loss even 1.08), and of numbers it is the other way round (1.07, .94, .88): there x ** LONGER are nets, each
# so much the longer (experiments/population/together.py).
LEAST_FOR_TWO, MOST_NETS = 0.9, 8
LONGER = 0.4
OPEN_SHARE = 1 / 3  # of an open budget, at most, for looks: half of the course that follows


# (job, budget, the units it may spend, what doing nothing scores) -> requests, and what was found
Open: TypeAlias = Callable[[Job, Budget, float, Outcome], Generator[Request, Outcome | None, Opening]]


def lookahead(
    job: Job,
    *,
    opening: Open = open_course,
    factors: Sequence[float] | None = None,
    averages: Sequence[float] = (1.0, STEP),
) -> Steps:
    """opening: finds the values of the course, where there is one optimizer. factors: of the first walk's rate, for
    further walks; None: FACTORS, or where most is promised if there were no looks. averages: of the best rate so far,
    for walks of averages. The latter two are options for experiments."""
    yield Fork("start")
    job, survey = yield from surveyed(job)
    budget = Budget(job.budget, job.epochs, survey)
    if job.alternatives:
        opening = open_between
    if job.open:
        yield from _open_horizon(job, budget, survey, opening)
        return
    trainings = _paid_for(job, budget)
    spare = budget.left - trainings * budget.plain - (asking_all(job, budget, trainings) if job.nets else 0.0)
    found = yield from opening(job, budget, for_the_opening(spare, budget), survey)
    refuse_failed(found, job)
    job = replace(job, space=found.space)
    only = trainings == 1 and (job.nets or not averages or budget.members(1) < FEW)
    tour = Tour(job, budget, survey, (yield from _course(job, budget, found, survey, only=only)))
    if job.nets:
        yield from _nets(tour, found, trainings - 1)
        return
    looked = (yield from _rivals(tour, found, trainings - 1)).looked
    count = max(0, trainings - tour.count)
    if rates_of(job.space):
        if factors is None and looked is not None and not looked.outcomes:
            yield from _promising_rates(tour, looked, count)
        else:
            yield from _other_rates(tour, (FACTORS if factors is None else factors)[:count])
        yield from _averages(tour, () if only else averages)
    yield from tour.end()


def _paid_for(job: Job, budget: Budget) -> int:
    """Whole trainings; those of several nets with what it takes to ask them as they join."""
    count = max(1, int(budget.left / budget.plain - OPENING))
    if job.nets:
        while count > 1 and (count + OPENING) * budget.plain + asking_all(job, budget, count) > budget.left:
            count -= 1
    return count


def for_the_opening(spare: float, budget: Budget) -> float:
    """What it may spend of the units that the course leaves."""
    return spare - min(RESERVE * spare, budget.epoch)


def surveyed(job: Job) -> Generator[Request, Outcome | None, tuple[Job, Outcome]]:
    """One batch at rate 0; where it does not fit into memory, at the next smaller batch size that is searched."""
    fork = None
    while True:
        survey = yield Rollout(job.own, 0, fork, length=Length(0.0, least=1), shape=STILL, role="survey")
        assert survey is not None
        refuse_hopeless(survey, job.where)
        if survey.status != "infeasible":
            return job, survey
        space, own = fit_in(job.space, job.own, survey)
        job, fork = replace(job, space=space, own=own), "start"


def _course(
    job: Job, budget: Budget, found: Opening, survey: Outcome, *, only: bool
) -> Generator[Request, Outcome | None, Trial]:
    """The first walk. only: there is no other."""
    unseen = found.looked is not None and not found.tried
    first = yield from trial(
        job, budget, found.values, found.verdict, survey, PEAKS[0], unseen=unseen, only=only
    )
    if first.best is None:
        refuse_all(first.tried, job.where)
    yield from settle(job, first)
    return first


def _open_horizon(job: Job, budget: Budget, survey: Outcome, opening: Open) -> Steps:
    """The looks, planned for a course of everything, or for each of several nets; then all that they have left."""
    yield from _measure_speed(job, budget, survey)
    nets = _how_many(job, budget)
    budget.epochs = max(1, int(budget.left / nets / budget.epoch))
    planned = replace(job, epochs=budget.epochs)
    found = yield from opening(planned, budget, OPEN_SHARE * budget.left, survey)
    refuse_failed(found, job)
    nets = _how_many(job, budget)
    budget.epochs = max(1, int((budget.left - asking_all(job, budget, nets)) / nets / budget.epoch))
    course = replace(job, space=found.space, epochs=budget.epochs)
    tour = Tour(course, budget, survey, (yield from _course(course, budget, found, survey, only=nets == 1)))
    yield from _nets(tour, found, nets - 1)


def _how_many(job: Job, budget: Budget) -> int:
    """Of the nets that share what is left, each as long as the others."""
    # as where the looks took longer than their time
    if not job.nets or job.guide is None or budget.left <= 0:
        return 1
    usual = budget.left / budget.epoch / job.guide
    if not job.known.classes:
        return max(1, round(math.exp(LONGER * math.log(usual))))
    return min(MOST_NETS, max(2, round(usual))) if usual >= LEAST_FOR_TWO else 1


def _measure_speed(job: Job, budget: Budget, survey: Outcome) -> Steps:
    """Where the time is limited: how many units that pays for, by a rollout at rate 0 of one in a hundred seconds."""
    seconds = job.seconds_left()
    if seconds == math.inf:
        return
    pace = survey.seconds / max(survey.batches, 1)  # an upper bound: a validation pass is in it
    batches = max(2, min(budget.batches, int(0.01 * seconds / pace)))
    outcome = yield Rollout(
        job.own, 0, "start", length=Length(0.0, batches, batches), shape=STILL, role="survey"
    )
    assert outcome is not None
    budget.pay(outcome)
    # the first batch warms up caches and allocators; a tenth is kept for what is slower later (guess)
    speed = units(outcome.trained, outcome.evaluated) / outcome.seconds
    budget.limit(0.9 * speed * job.seconds_left())


def _rivals(tour: Tour, found: Opening, count: int) -> Generator[Request, Outcome | None, Opening]:
    """A walk with each optimizer that is still in the race, half of `count` at most; what was found with the best."""
    job, budget, leader = tour.job, tour.budget, found
    for rival in found.rivals[: (count + 1) // 2]:
        if job.is_ending(tour.first.outcomes[-1].seconds) or budget.left < budget.plain:
            break
        walked = yield from tour.go(job, rival.values, Verdict.of("walk", why_a_rival(rival)))
        if tour.best is walked:
            leader = rival
    return leader


def _other_rates(tour: Tour, factors: Sequence[float]) -> Steps:
    """Whole walks at other multiples of the rate the best walk ended with."""
    job, budget, before = tour.job, tour.budget, tour.best
    for factor in factors:
        if factor > 1 and before.slowed:
            continue  # such a rate blew up
        values = _times(job, before.values, factor)
        if job.is_ending(tour.first.outcomes[-1].seconds) or values is None or budget.left < budget.plain:
            continue
        yield from tour.go(
            job, values, Verdict.of("walk", Reason("other rate", {"factor": factor}), factor=factor)
        )


def _promising_rates(tour: Tour, looked: Looked, count: int) -> Steps:
    """Whole walks, each where the Gamma process promises most given the looks and the walks before it."""
    job, budget, before = tour.job, tour.budget, tour.best
    heard = looked.of_wholes()
    heard.hear(_whole(before))
    for _ in range(count):
        u = heard.promising()
        if u is None or job.is_ending(tour.first.outcomes[-1].seconds) or budget.left < budget.plain:
            return
        rates = {name: looked.line.at(u)[name] for name in looked.line.rates}
        why = Reason("promising rate", {"rates": {name: float(rate) for name, rate in rates.items()}})
        walked = yield from tour.go(job, {**before.values, **rates}, Verdict.of("walk", why, decades=u))
        heard.hear(_whole(walked))


def _nets(tour: Tour, found: Opening, count: int) -> Steps:
    """More nets at the rate that was found; where nobody has looked at rates, half of what is paid for looks."""
    rivals = found.rivals
    if (
        found.looked is not None
        and not found.looked.outcomes
        and rates_of(tour.job.space)
        and not tour.job.open
    ):
        before = tour.count
        leader, rivals = (yield from _rivals(tour, found, count)), []
        assert leader.looked is not None
        room = (count - (tour.count - before) + 1) // 2
        yield from _promising_rates(tour, leader.looked, min(room, LOOKS_BY_TRIALS))
        count -= tour.count - before  # where no other rate promises anything there are fewer
    nets = Nets(tour)
    if count:
        yield from nets.train(count, rivals)
    if not nets.is_told:  # else the last commit has put the best of them back
        yield from tour.end()


def _whole(trial: Trial) -> Outcome:
    """What stands for it in a comparison of rates: its end, or what it died of."""
    return trial.tried[-1] if trial.best is None else trial.best


def _averages(tour: Tour, averages: Sequence[float]) -> Steps:
    """Walks whose every epoch is the average of several, at multiples of the best rate so far."""
    job, budget = tour.job, tour.budget
    paid = budget.members(1)
    factors = averages[: max(1, paid // FEW)]
    best = tour.best
    for number, factor in enumerate(factors):
        members = budget.members(len(factors) - number)
        values = _times(job, best.values, factor)
        if members < FEW or values is None or job.is_ending(members * tour.first.outcomes[-1].seconds):
            continue
        why = Reason("average", {"members": members, "factor": factor})
        yield from tour.go(
            job, values, Verdict.of("walk", why, members=float(members), factor=factor), members
        )


def _times(job: Job, values: Values, factor: float) -> Values | None:
    """The values at another rate; None where that lies outside the space."""
    other = dict(values)
    for name in rates_of(job.space):
        dimension = job.space[name]
        assert isinstance(dimension, Float)
        other[name] = float(values[name]) * factor
        if not dimension.contains(other[name]):
            return None
    return other
