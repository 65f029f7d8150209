"""The opening of a lookahead run: short trainings from the initial weights, each the whole course in miniature.

Picking a rate by how a stretch at that rate ends is greedy: small rates quiet the noise and look best now (Wu et
al. 2018, arXiv 1803.02021). A miniature decays to zero as the course will, so what is compared is where a rate
leads. Two things remain, and experiments/landscape.py measured both on twelve small trainings:

    too short a miniature cannot tell a rate that is stable from one that is not: rollouts of a 64th of the
    course, the scouts, find the region, never the rate; a few of an eighth find the rate about as well as
    twelve whole runs;
    the best rate falls as the horizon grows, by more where scouts and miniatures already differ, so what was
    found is lowered by that.
"""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from gammatune.ledger import units
from gammatune.policy.choice import Chosen, choose
from gammatune.policy.job import Job
from gammatune.policy.purse import Purse
from gammatune.records import Length, Observation, Outcome, Request, Rollout, Values, Verdict
from gammatune.space import Float, Space

# Where each number came from: experiments/landscape.py, experiments/results/landscape.json.
SCOUT = 1 / 64  # of the course: a scout
LEAST_SCOUT = 8  # batches
STRIDE = 1.5  # decades between scouts
SCOUTS_SHARE = 0.3  # of what may be spent: at most so much goes to scouts
MINIATURE = 1 / 8  # of the course: a miniature, where it can be paid
LEAST_MINIATURE = 16  # batches; guess: five steps pick rates ten times too high (docs/design.md)
LONGEST = 1 / 4  # of the course
WANTED = 4  # miniatures for one dimension
PER_DIMENSION = 3  # more of them for each further one
ENOUGH = 8  # miniatures a dimension; with more than that paid for, they grow longer
BELOW, ABOVE = 2.0, 0.3  # decades about the scouts' choice in which miniatures search
# The best rate falls as horizon^-DRIFT: what is believed before scouts and miniatures are compared, its standard
# deviation, and that of the place of one search's optimum, in decades.
DRIFT, DRIFT_SD, PLACE_SD = 0.16, 0.25, 0.35


@dataclass(slots=True)
class Opening:
    """What was found: values for the course, and the verdict that says why.

    miniatures: the outcomes the choice was made by. cliff: the lowest rate that diverged.
    """

    values: Values
    verdict: Verdict
    tried: list[Outcome] = field(default_factory=list)
    cliff: float = math.inf


def rates_of(space: Space) -> list[str]:
    """The names of the learning rates that are searched on a logarithmic scale."""
    found = [name for name in space.names if name.partition(".")[0] == "lr"]
    return [name for name in found if isinstance(space[name], Float) and space[name].log]  # type: ignore[union-attr]


def open_course(job: Job, purse: Purse, spend: float) -> Generator[Request, Outcome | None, Opening]:
    """Search from the fork "start" for at most `spend` units."""
    tried: list[Outcome] = []
    rates = rates_of(job.space)
    space, centre = job.space, dict(job.own)
    before = purse.left

    def left() -> float:
        return spend - (before - purse.left)

    scouted = False
    if rates and _decades(space, rates) > BELOW + ABOVE:
        batches = max(LEAST_SCOUT, round(SCOUT * purse.total_batches))
        room = SCOUTS_SHARE * spend
        if room >= 3 * purse.price(batches):
            scouts = yield from _scout(job, purse, rates, batches, room)
            tried += scouts
            told = [_observation(o, rates) for o in scouts]
            if any(seen.score is not None for seen in told):
                centre |= choose(_only(space, rates), told, None, rates, reach=0.0).values
            else:  # every one of them diverged: look below the lowest
                for name in rates:
                    centre[name] = min(float(o.values[name]) for o in scouts) / 10
            space = _window(job.space, rates, centre)
            scouted = True
    d = len(job.space.names)
    batches, count = _plan(purse, left(), WANTED + PER_DIMENSION * (d - 1), ENOUGH * d)
    if count < 2:
        return Opening(job.own, _no_search(job, purse), tried)
    first = [_moved(space, centre, rates, -0.5 if scouted else 0.0)]
    first.append(_moved(space, centre, rates, -1.25 if scouted else -0.75))
    miniatures = yield from _search(job, purse, space, 1, first, count, batches, left)
    tried += miniatures
    told = [o.observation for o in miniatures]
    if not any(seen.score is not None for seen in told):
        return Opening(job.own, Verdict("every candidate diverged"), tried)
    chosen = choose(job.space, told, job.own if _inside(job) else None, rates)
    longer = purse.total_batches / batches
    drift = DRIFT
    if scouted:
        risen = max(math.log10(float(centre[n]) / float(chosen.values[n])) for n in rates)
        drift = _drift(risen, math.log10(batches / tried[0].batches))
    values = _lowered(job.space, chosen.values, rates, longer**-drift)
    diverged = [float(o.values[n]) for o in tried if not o.ok for n in rates]
    return Opening(
        values, _verdict(job, chosen, values, tried, longer, rates), tried, min(diverged, default=math.inf)
    )


def _scout(
    job: Job, purse: Purse, rates: list[str], batches: int, room: float
) -> Generator[Request, Outcome | None, list[Outcome]]:
    """Walk through the range in strides from the optimizer's own rate, up as long as it pays, else down; then
    half a stride to either side of the best. A rate too small to matter scores as doing nothing does, so that the
    walk always knows which way is up, and one that blows up stops at once and costs next to nothing.
    """
    space = _only(job.space, rates)
    own = {name: job.own[name] for name in rates}
    done: list[Outcome] = []
    scores: dict[float, float] = {}  # strides from the own rate -> score

    def inside(strides: float) -> bool:
        return all(space[n].contains(float(own[n]) * 10 ** (STRIDE * strides)) for n in rates)

    def worth(strides: float) -> float:
        return scores.get(strides, -math.inf)

    def next_stride() -> float | None:
        best = max(scores, key=worth) if scores else 0.0
        top, bottom = max(scores, default=0.0), min(scores, default=0.0)
        if not scores:
            return 0.0
        if best == top and inside(top + 1) and worth(top) > -math.inf:
            return top + 1
        if (best == bottom or worth(best) == -math.inf) and inside(bottom - 1):
            return bottom - 1
        for half in (best + 0.5, best - 0.5):
            if half not in scores and inside(half):
                return half
        return None

    while not job.stopping() and (strides := next_stride()) is not None and room >= purse.price(batches):
        values = {n: float(own[n]) * 10 ** (STRIDE * strides) for n in rates}
        outcome = yield Rollout(
            {**job.own, **values}, 0, "start", length=Length(0.0, batches, batches), shape=job.shape
        )
        assert outcome is not None
        purse.pay(outcome)
        room -= units(outcome.trained, outcome.evaluated)
        done.append(outcome)
        scores[strides] = -math.inf if outcome.score is None else outcome.score
    return done


def _search(
    job: Job,
    purse: Purse,
    space: Space,
    decision: int,
    first: list[Values],
    count: int,
    batches: int,
    left: Callable[[], float],
) -> Generator[Request, Outcome | None, list[Outcome]]:
    """`count` rollouts of `batches` from "start", as far as the money goes."""
    sampler = job.sampler(decision, space)
    done: list[Outcome] = []
    while len(done) < count and not (any(o.ok for o in done) and job.stopping()):
        values = first.pop(0) if first else sampler.ask()
        if values is None or left() < purse.price(batches):
            break
        outcome = yield Rollout(
            {**job.own, **values}, 0, "start", length=Length(0.0, batches, batches), shape=job.shape
        )
        assert outcome is not None
        purse.pay(outcome)
        done.append(outcome)
        sampler.tell(Observation({n: outcome.values[n] for n in space.names}, outcome.score))
    return done


def _observation(outcome: Outcome, names: list[str]) -> Observation:
    return Observation({name: outcome.values[name] for name in names}, outcome.score)


def _plan(purse: Purse, spend: float, wanted: int, enough: int) -> tuple[int, int]:
    """(batches, count) of miniatures: the longest of which enough can be paid, the wanted number of them or more."""
    target = max(LEAST_MINIATURE, round(MINIATURE * purse.total_batches))
    count = int(spend / purse.price(target))
    if count > enough:
        target = round(min(LONGEST * purse.total_batches, purse.affordable(spend / enough)))
        return target, enough
    if count < wanted:
        target = max(LEAST_MINIATURE, int(purse.affordable(spend / wanted)))
        count = int(spend / purse.price(target))
    return target, count


# Spaces ---------------------------------------------------------------------------------------------------


def _decades(space: Space, rates: list[str]) -> float:
    return max(math.log10(space[n].high / space[n].low) for n in rates)  # type: ignore[union-attr]


def _drift(risen: float, apart: float) -> float:
    """The exponent of the horizon, given that the optimum of the scouts lies `risen` decades above that of the
    miniatures, which are `apart` decades longer: prior and measurement, both normal; never below 0."""
    if apart <= 0.3:  # too close in length to tell
        return DRIFT
    error = PLACE_SD / apart
    weight = DRIFT_SD**2 / (DRIFT_SD**2 + error**2)
    return max(0.0, (1 - weight) * DRIFT + weight * risen / apart)


def _only(space: Space, names: list[str]) -> Space:
    return Space({name: space[name] for name in names})


def _window(space: Space, rates: list[str], centre: Values) -> Space:
    """The part of the space about the scouts' choice."""
    dimensions = {name: space[name] for name in space.names}
    for name in rates:
        whole, at = space[name], float(centre[name])
        assert isinstance(whole, Float)
        low, high = max(whole.low, at / 10**BELOW), min(whole.high, at * 10**ABOVE)
        if low < high / 2:
            dimensions[name] = Float(low, high, log=True)
        else:  # at the lower end of the range
            dimensions[name] = Float(whole.low, min(whole.high, whole.low * 10), log=True)
    return Space(dimensions)


def _moved(space: Space, values: Values, rates: list[str], decades: float) -> Values:
    """The values with their rates moved, put back into the space where they left it."""
    moved = {name: values[name] for name in space.names}
    for name in rates:
        moved[name] = float(values[name]) * 10**decades
    return space.from_unit(space.to_unit(moved))


def _lowered(space: Space, values: Values, rates: list[str], factor: float) -> Values:
    lowered = dict(values)
    for name in rates:
        dimension = space[name]
        assert isinstance(dimension, Float)
        lowered[name] = max(dimension.low, float(values[name]) * factor)
    return lowered


def _inside(job: Job) -> bool:
    return job.space.contains(job.own)


# Words ----------------------------------------------------------------------------------------------------


def _no_search(job: Job, purse: Purse) -> Verdict:
    return Verdict(
        f"no search: a budget of {job.budget:g} leaves too little beside a course of {purse.total_batches} batches "
        f"for rollouts that mean something ({LEAST_MINIATURE} batches each or more); the values are "
        "the optimizer's own",
        {"budget": job.budget, "batches": float(purse.total_batches)},
    )


def _verdict(
    job: Job, chosen: Chosen, values: Values, tried: list[Outcome], taken: float, rates: list[str]
) -> Verdict:
    failed = sum(not o.ok for o in tried)
    reason = f"best of {len(tried)} rollouts" + (f" ({failed} diverged)" if failed else "")
    numbers = {"candidates": float(len(tried)), "failed": float(failed), "horizon": taken}
    for name in rates:
        factor = float(values[name]) / float(chosen.values[name])
        reason += (
            f": {name} {float(chosen.values[name]):.3g} leads furthest there, times {factor:.2g} since the "
            f"course is {taken:.3g} times longer"
        )
        numbers[f"{name} of rollouts"] = float(chosen.values[name])
    if chosen.better is not None:
        reason += f"; better than the optimizer's own with probability {chosen.better:.2g}"
        numbers |= {"better": chosen.better, "gain": chosen.gain, "sd": chosen.sd}
    return Verdict(reason, numbers)
