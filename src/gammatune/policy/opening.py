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
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace

from gammatune.policy.choice import Chosen, choose
from gammatune.policy.job import Job, Search, ahead, failures
from gammatune.policy.memory import equal_samples, fit_in
from gammatune.policy.purse import Purse, Share
from gammatune.records import Length, Observation, Outcome, Request, Rollout, Values, Verdict
from gammatune.space import Float, Space

# Where each number came from: experiments/landscape.py, experiments/results/landscape.json.
SCOUT = 1 / 64  # of the course: a scout
# Batches: after ten the running statistics of a batch normalisation are two thirds its own (momentum 0.1).
LEAST_SCOUT = 10
SCOUTS = 4  # most walks are that long
STRIDE = 1.5  # decades between scouts, twice that where nothing happens at all
FLAT = 0.01  # of the score of doing nothing: a scout that moves it less says that its rate is far too low (guess)
SCOUTS_SHARE = 0.45  # of what may be spent: at most so much goes to scouts
MINIATURE = 1 / 8  # of the course: a miniature, where it can be paid
# Batches: fewer cannot tell a stable rate from one that is not (five steps pick rates ten times too high); of a
# course that is short itself, a sixth. Guesses.
LEAST_MINIATURE, LEAST_SHARE = 24, 1 / 6
FEWEST_BATCHES = 10
LONGEST = 1 / 4  # of the course
WANTED = 4  # miniatures for one dimension
PER_DIMENSION = 3  # more of them for each further one
ENOUGH = 8  # miniatures a dimension; with more than that paid for, they grow longer
BELOW, ABOVE = 2.0, 0.3  # decades about the scouts' choice in which miniatures search
# The best rate falls as horizon^-DRIFT: what is believed before scouts and miniatures are compared, its standard
# deviation, and that of the place of one search's optimum, in decades.
DRIFT, DRIFT_SD, PLACE_SD = 0.16, 0.25, 0.35
DRIFT_UNSEEN = 1 / 3  # where there is nothing to compare: rather too low a rate than one that blows up
SURE = 0.99  # beyond that a probability is told as a bound


@dataclass(slots=True)
class Opening:
    """What was found: values for the course, and the verdict that says why.

    space: what may be chosen from: without batch sizes that do not fit into memory. tried: every rollout.
    drift: the best rate is taken to fall as horizon^-drift.
    """

    values: Values
    verdict: Verdict
    space: Space
    tried: list[Outcome] = field(default_factory=list)
    drift: float = DRIFT


def rates_of(space: Space) -> list[str]:
    """The names of the learning rates that are searched on a logarithmic scale."""
    found = [name for name in space.names if name.partition(".")[0] == "lr"]
    return [name for name in found if isinstance(space[name], Float) and space[name].log]  # type: ignore[union-attr]


def open_course(
    job: Job, purse: Purse, spend: float, survey: Outcome
) -> Generator[Request, Outcome | None, Opening]:
    """Search from the fork "start" for at most `spend` units. survey: what doing nothing scores."""
    tried: list[Outcome] = []
    rates = rates_of(job.space)
    space, centre = job.space, job.own
    share = purse.share(spend)
    scouted = False
    if rates and _decades(space, rates) > BELOW + ABOVE:
        batches, part, alone = _plan_scouts(purse, spend)
        if batches:
            room = purse.share(part * spend)
            scouts = yield from _scout(job, purse, rates, batches, room, survey)
            tried += scouts
            if not scouts:
                why = "no search: the run is to end before one has begun; the values are the optimizer's own"
                return Opening(job.own, Verdict(why, kind="search"), job.space)
            centre = region(space, job.own, [job.now(o) for o in scouts])
            if alone:
                return _by_scouts(job, purse, centre, tried, rates)
            space = window(job.space, rates, centre)
            scouted = True
    d = len(job.space.names)
    batches, count = _plan(purse, share.left, WANTED + PER_DIMENSION * (d - 1), ENOUGH * d)
    if count < 2 and scouted:
        return _by_scouts(job, purse, centre, tried, rates)
    if count < 2:
        return Opening(job.own, _no_search(job, purse), job.space, tried)
    first = [_moved(space, centre, rates, -0.5 if scouted else 0.0)]
    if rates:
        first.append(_moved(space, centre, rates, -1.25 if scouted else -0.75))
    miniatures = yield from _search(job, purse, space, 1, first, count, batches, share)
    tried += miniatures
    for outcome in miniatures:
        if outcome.status == "infeasible":
            job = replace(job, space=fit_in(job.space, job.own, outcome)[0])
    told = [job.now(o).observation for o in miniatures if o.status != "infeasible"]
    if not any(seen.score is not None for seen in told):
        return Opening(job.own, _all_failed(tried), job.space, tried)
    chosen = choose(job.space, told, job.own if _inside(job) else None, rates)
    batches = int(min(batches, purse.longest))
    longer = purse.total_batches / batches
    drift = DRIFT_UNSEEN
    if scouted:
        risen = max(math.log10(float(centre[n]) / float(chosen.values[n])) for n in rates)
        drift = _drift(risen, math.log10(batches / tried[0].batches))
    values = _lowered(job.space, chosen.values, rates, longer**-drift)
    return Opening(values, _verdict(job, chosen, values, tried, longer, rates), job.space, tried, drift)


def _plan_scouts(purse: Purse, spend: float) -> tuple[int, float, bool]:
    """(batches, the share of `spend` for them, whether they are all there is); 0 batches: too little for any."""
    batches = max(LEAST_SCOUT, round(SCOUT * purse.total_batches))
    walk = SCOUTS * purse.price(batches)
    if walk <= SCOUTS_SHARE * spend and spend - walk >= 2 * purse.price(_least(purse)):
        return batches, SCOUTS_SHARE, False
    for count in (SCOUTS + 1, SCOUTS, SCOUTS - 1):
        batches = min(round(MINIATURE * purse.total_batches), int(purse.affordable(spend / count)))
        if batches >= LEAST_SCOUT:
            return batches, 1.0, True
    return 0, 0.0, True


def _scout(
    job: Job, purse: Purse, rates: list[str], batches: int, room: Share, survey: Outcome
) -> Generator[Request, Outcome | None, list[Outcome]]:
    """Walk through the range in strides from the optimizer's own rate, up as long as it pays, else down; then
    half a stride to either side of the best. A rate too small to matter scores as doing nothing does, so that the
    walk always knows which way is up, and one that blows up stops at once and costs next to nothing.
    """
    space = _only(job.space, rates)
    heard: dict[
        float, Outcome | None
    ] = {}  # decades from the own rate -> what came of it, None: not yet known
    done: list[Outcome] = []

    def inside(decades: float) -> bool:
        return space.contains({n: float(job.own[n]) * 10**decades for n in rates})

    def at(decades: float) -> float:
        outcome = heard.get(decades)
        score = None if outcome is None else job.now(outcome).score
        return -math.inf if score is None else score

    def is_flat(decades: float) -> bool:
        """Whether nothing has happened yet: such a rate is far too low."""
        floor = job.now(survey).score
        return floor is not None and abs(at(decades) - floor) < FLAT * max(abs(floor), 1e-9)

    def next_one() -> float | None:
        if not heard:
            return 0.0
        best, top, bottom = max(heard, key=at), max(heard), min(heard)
        up = top + (2 * STRIDE if is_flat(top) else STRIDE)
        if best == top and at(top) > -math.inf:
            for higher in (up, top + STRIDE):
                if inside(higher):
                    return higher
        # Below a rate that does nothing there is nothing: what is better lies between it and the one above.
        if (best == bottom or at(best) == -math.inf) and not is_flat(bottom) and inside(bottom - STRIDE):
            return bottom - STRIDE
        above = min((tried for tried in heard if tried > best), default=best + STRIDE)
        for between in ((best + above) / 2, best - STRIDE / 2):
            if inside(between) and not any(abs(between - tried) < STRIDE / 3 for tried in heard):
                return between
        return None

    def next_ones() -> list[float]:
        """As many as are tried at once and can be paid; those not yet heard of count as if they had diverged."""
        most = min(job.at_once, int(room.left / purse.price(batches)))
        if not heard and most > 1:  # about the own rate, since nothing says which way is up
            rungs = [0.0, *(sign * k * STRIDE for k in range(1, most) for sign in (1, -1))]
            return [rung for rung in rungs if inside(rung)][:most]
        wanted: list[float] = []
        while len(wanted) < most and (decades := next_one()) is not None:
            wanted.append(decades)
            heard[decades] = None
        return wanted

    while not job.is_ending() and (wanted := next_ones()):
        rollouts = [
            Rollout(
                {**job.own, **{n: float(job.own[n]) * 10**decades for n in rates}},
                0,
                "start",
                length=Length(0.0, batches, batches),
                shape=job.shape,
                role="scout",
            )
            for decades in wanted
        ]
        yield from ahead(rollouts)
        for decades, rollout in zip(wanted, rollouts, strict=True):
            outcome = yield rollout
            assert outcome is not None
            purse.pay(outcome)
            done.append(outcome)
            heard[decades] = outcome
    return done


def _search(
    job: Job,
    purse: Purse,
    space: Space,
    decision: int,
    first: list[Values],
    count: int,
    batches: int,
    share: Share,
) -> Generator[Request, Outcome | None, list[Outcome]]:
    """`count` rollouts of `batches` from "start", as far as the money goes."""
    sampler = Search(job, decision, space)
    length = equal_samples(job, batches, purse.batches)
    done: list[Outcome] = []
    while len(done) < count and not (any(o.ok for o in done) and job.is_ending()):
        wanted = min(job.at_once, count - len(done), int(share.left / purse.price(batches)))
        asked = (first.pop(0) if first else sampler.ask() for _ in range(wanted))
        rollouts = [
            Rollout({**job.own, **values}, 0, "start", length=length, shape=job.shape, role="miniature")
            for values in asked
            if values is not None
        ]
        if not rollouts:
            break
        yield from ahead(rollouts)
        for rollout in rollouts:
            outcome = yield rollout
            assert outcome is not None
            purse.pay(outcome)
            done.append(outcome)
            if not space.contains(_part(outcome.values, space.names)):
                continue  # of a size that did not fit a moment ago
            if outcome.status != "infeasible":
                sampler.tell(outcome)
                continue
            # no fault of the rate: search on among sizes that fit
            space = fit_in(space, job.own, outcome)[0]
            first = [values for values in first if space.contains(values)]
            sampler = Search(job, decision, space)
            for earlier in done:
                if earlier.status != "infeasible" and space.contains(_part(earlier.values, space.names)):
                    sampler.tell(earlier)
    return done


def _part(values: Values, names: Sequence[str]) -> Values:
    return {name: values[name] for name in names}


def _plan(purse: Purse, spend: float, wanted: int, enough: int) -> tuple[int, int]:
    """(batches, count) of miniatures: the longest of which enough can be paid, the wanted number of them or more."""
    least = _least(purse)
    target = max(least, round(MINIATURE * purse.total_batches))
    count = int(spend / purse.price(target))
    if count > enough:
        target = round(min(LONGEST * purse.total_batches, purse.affordable(spend / enough)))
        return target, enough
    if count < wanted:
        target = max(least, int(purse.affordable(spend / wanted)))
        count = int(spend / purse.price(target))
    return target, count


def _least(purse: Purse) -> int:
    """The shortest miniature that means something, in batches."""
    return max(FEWEST_BATCHES, min(LEAST_MINIATURE, round(LEAST_SHARE * purse.total_batches)))


# Spaces ---------------------------------------------------------------------------------------------------


def _decades(space: Space, rates: list[str]) -> float:
    return max(math.log10(space[n].high / space[n].low) for n in rates)  # type: ignore[union-attr]


def _drift(risen: float, apart: float) -> float:
    """The exponent of the horizon, given that the optimum of the scouts lies `risen` decades above that of the
    miniatures, which are `apart` decades longer: prior and measurement, both normal; never below 0."""
    if apart <= 0.5:  # too close in length to tell
        return DRIFT_UNSEEN
    error = PLACE_SD / apart
    weight = DRIFT_SD**2 / (DRIFT_SD**2 + error**2)
    return max(0.0, (1 - weight) * DRIFT + weight * risen / apart)


def _only(space: Space, names: list[str]) -> Space:
    return Space({name: space[name] for name in names})


def region(space: Space, own: Values, scouts: Sequence[Outcome]) -> Values:
    """The scouts' choice: the optimizer's own values, with the rates that led furthest."""
    rates = rates_of(space)
    told = [Observation(_part(o.values, rates), o.score) for o in scouts]
    if any(seen.score is not None for seen in told):
        return {**own, **choose(_only(space, rates), told, None, rates, reach=0.0).values}
    # every one of them diverged: look below the lowest
    return {**own, **{name: min(float(o.values[name]) for o in scouts) / 10 for name in rates}}


def window(space: Space, rates: list[str], centre: Values) -> Space:
    """The part of the space about the scouts' choice, in which miniatures are proposed."""
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
        whole = space[name]
        assert isinstance(whole, Float)
        moved[name] = min(max(float(values[name]) * 10**decades, whole.low), whole.high)
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


def _by_scouts(job: Job, purse: Purse, centre: Values, tried: list[Outcome], rates: list[str]) -> Opening:
    """Where no miniatures can be paid beside them: the scouts' choice, lowered by more the shorter they are."""
    longer = purse.total_batches / max(o.batches for o in tried)
    factor = longer**-DRIFT_UNSEEN
    values = _lowered(job.space, centre, rates, factor)
    told = failures(tried)
    reason = f"best of {len(tried)} rollouts" + (f" ({told})" if told else "")
    reason += f" of {tried[0].batches} batches, a region rather than a value"
    for name in rates:
        reason += (
            f": {name} {float(centre[name]):.3g} leads furthest there, times {factor:.2g} since the "
            f"course is {longer:.3g} times longer"
        )
    return Opening(
        values,
        Verdict(reason, {"candidates": float(len(tried)), "horizon": longer}, "search"),
        job.space,
        tried,
    )


# Words ----------------------------------------------------------------------------------------------------


def _no_search(job: Job, purse: Purse) -> Verdict:
    return Verdict(
        f"no search: what is left beside a course of {purse.total_batches} batches is too little "
        f"for rollouts that mean something ({LEAST_SCOUT} batches each or more); the values are "
        "the optimizer's own",
        {"budget": job.budget, "batches": float(purse.total_batches)},
        "search",
    )


def _all_failed(tried: list[Outcome]) -> Verdict:
    failed = float(sum(not o.ok for o in tried))
    return Verdict("every candidate diverged", {"failed": failed}, "search")


def _verdict(
    job: Job, chosen: Chosen, values: Values, tried: list[Outcome], taken: float, rates: list[str]
) -> Verdict:
    failed = sum(not o.ok for o in tried)
    reason = f"best of {len(tried)} rollouts" + (f" ({failures(tried)})" if failed else "")
    numbers = {"candidates": float(len(tried)), "failed": float(failed), "horizon": taken}
    for name in rates:
        factor = float(values[name]) / float(chosen.values[name])
        reason += (
            f": {name} {float(chosen.values[name]):.3g} leads furthest there, times {factor:.2g} since the "
            f"course is {taken:.3g} times longer"
        )
        numbers[f"{name} of rollouts"] = float(chosen.values[name])
    if chosen.better is not None:
        reason += f"; better than the optimizer's own with probability {_probability(chosen.better)}"
        numbers |= {"better": chosen.better, "gain": chosen.gain, "sd": chosen.sd}
    return Verdict(reason, numbers, "search")


def _probability(p: float) -> str:
    """'0.83'; never the certainty that a posterior cannot have."""
    return "> 0.99" if p > SURE else "< 0.01" if p < 1 - SURE else f"{p:.2g}"
