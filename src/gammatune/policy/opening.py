"""The opening of a lookahead run: a few looks at the rates that a population of trainings says to look at.

Picking a rate by how a stretch at that rate ends is greedy: small rates quiet the noise and look best now (Wu et
al. 2018, arXiv 1803.02021). So a look is a training in small from the initial weights, up to the rate over its first
two fifths and down to zero: of the short trainings that were compared the one whose best rate told most of that of
the whole (docs/diary.md, experiments/population). What is known before the first look (`policy.prior`) is the mean
and the width of the search; the Gamma process whose mean is a hill (`surrogate.hill`) carries it, the looks and the
drift between them and the whole, and what maximises the expected score of the whole training is taken.

Where other values are searched beside the rates, rollouts of the same kind are proposed by the sampler about the rate
that was found, and the Gamma process of `policy.choice` compares them all.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace

from gammatune.policy.batch_sizes import equal_samples, fit_in
from gammatune.policy.budget import Budget, Share
from gammatune.policy.choice import choose
from gammatune.policy.job import Job, Search, ahead, failures, refuse_all
from gammatune.policy.looks import SAME, Line, Looked
from gammatune.policy.prior import place
from gammatune.records import (
    Fact,
    Known,
    Length,
    Observation,
    Outcome,
    Reason,
    Request,
    Rollout,
    Shape,
    Values,
    Verdict,
)
from gammatune.space import Float, Space

LOOKED = "miniature"  # the role of a look
TRIANGLE = Shape(((0.0, 0.0), (0.4, 1.0), (1.0, 0.0)))  # of a look (docs/diary.md)
# Batches of a look: 15 % of a course of 400 or fewer, and a smaller share of a longer one, so that four looks cost
# 15 % of 3,000 batches and 4 % of 20,000; shorter ones of 400 rank rates worse (docs/diary.md).
LOOK, OF, POWER = 60, 400, 0.31
LEAST = 20
VERY_SHORT = 100  # batches of a course: no look at it costs less than it tells
FIRST = 3  # looks: at the prior's rate and to either side; with fewer there is no search
MOST = 6  # looks at rates alone; so many bracket the best wherever the prior was right within three spreads
STRIDE = 4 / 3  # spreads of the prior between looks ...
STRIDES = 1 / 2, 3 / 2  # ... and in decades at least and at most
BEATEN = 0.6  # of being better than the optimizer's own rate: below that the own rate stays (population)
UNCLEAR = 0.15, 0.85  # such a probability is worth a look at the own rate (guess)
# Spreads of the prior from its rate beyond which the own rate is looked at before anything else is: so far off the
# prior is wrong as likely as the user, and no look near the one tells of the other (a guess; docs/diary.md).
FAR = 3
# Where the prior is wider than WIDE decades, shorter rollouts, scouts, walk in strides through the range first: a
# 64th of the course finds the region, never the rate (docs/diary.md), and costs next to nothing.
WIDE = 0.8
SCOUT, LEAST_SCOUT, SCOUT_STRIDE, SCOUTS_SHARE = 1 / 64, 10, 1.5, 0.45
NARROWED = 0.4  # decades: no surer do scouts make it (guess)
SHARE = 0.6  # of what may be spent, for looks at the rates where more than rates is searched (guess)
PER_DIMENSION = 3  # rollouts wanted for each dimension beside the rates; fewer tell nothing of it
AROUND = 0.5  # decades about the rate that was found, in which it is searched on together with the rest


@dataclass(slots=True)
class Opening:
    """What was found: values for the course, and the verdict that says why.

    space: what may be chosen from: without batch sizes that do not fit into memory. tried: every rollout. looked:
    what is believed of the rates; None where none is searched, or an older version of the policy chose. rivals: what
    was found with other optimizers that are not clearly behind, the best first.
    """

    values: Values
    verdict: Verdict
    space: Space
    tried: list[Outcome] = field(default_factory=list)
    looked: Looked | None = None
    rivals: list["Opening"] = field(default_factory=list)


def rates_of(space: Space) -> list[str]:
    """The names of the learning rates that are searched on a logarithmic scale."""
    found = [name for name in space.names if name.partition(".")[0] == "lr"]
    return [name for name in found if isinstance(space[name], Float) and space[name].log]  # type: ignore[union-attr]


def look_batches(total: int) -> int:
    """How long a look is, for a course of so many batches."""
    return max(LEAST, min(round(total * LOOK / OF), round(LOOK * float((total / OF) ** POWER))))


def open_course(
    job: Job, budget: Budget, spend: float, survey: Outcome
) -> Generator[Request, Outcome | None, Opening]:
    """Search from the fork "start" for at most `spend` units. survey: what doing nothing scores."""
    rates = rates_of(job.space)
    others = [name for name in job.space.names if name not in rates]
    share = budget.share(spend)
    opening = Opening(job.own, _no_search(job, budget), job.space)
    if rates:
        room = budget.share((SHARE if others else 1.0) * share.whole)
        opening = yield from look_at_rates(job, budget, room, survey, look_batches(budget.total_batches))
    if not others:
        return opening
    return (yield from jointly(job, budget, share, opening))


# The looks --------------------------------------------------------------------------------------------------


def look_at_rates(
    job: Job,
    budget: Budget,
    room: Share,
    survey: Outcome,
    batches: int,
    is_enough: Callable[[Looked], bool] = lambda looked: False,
) -> Generator[Request, Outcome | None, Opening]:
    """What looks at rates, of so many batches or fewer, come to. is_enough: asked after some of them, whether the
    others can be left out."""
    looked = unlooked(job.space, job.own, job.known, survey, budget.total_batches, job.now)
    scouts: list[Outcome] = []
    if budget.total_batches > VERY_SHORT:
        if looked.line.place.sd > WIDE:
            scouts = yield from _scout(job, budget, looked, budget.share(SCOUTS_SHARE * room.whole))
            looked = after_scouts(looked)
        yield from _look(job, budget, looked, batches, room, is_enough)
    return by_looks(looked, scouts)


def unlooked(
    space: Space,
    own: Values,
    known: Known,
    survey: Outcome,
    total: int,
    now: Callable[[Outcome], Outcome] = lambda outcome: outcome,
) -> Looked:
    """Before the first look; arguments as of `Job` and `Looked`. At least one rate is searched."""
    line = Line(space, own, rates_of(space), place(known, total, survey.clipped), known.family)
    return Looked(line, survey, total, known.is_own, now)


def after_scouts(scouted: Looked) -> Looked:
    """What the looks begin with."""
    return scouted.narrowed(NARROWED)


def _look(
    job: Job, budget: Budget, looked: Looked, batches: int, room: Share, is_enough: Callable[[Looked], bool]
) -> Generator[Request, Outcome | None, None]:
    """At the prior's rate, or the own one where it lies far off and is better, and to either side; outward while the
    best is at an edge; at the own rate where it is unclear whether that is beaten."""
    batches = min(batches, int(budget.affordable(room.left / FIRST)))
    if batches < LEAST:
        return
    line = looked.line
    stride = min(max(STRIDE * line.place.sd, STRIDES[0]), STRIDES[1])
    centre = line.inside(line.place.mean)
    if looked.has_own and abs(centre) > FAR * line.place.sd:
        yield from _those(job, budget, looked, [centre, 0.0], batches)
        if is_enough(looked):
            return
        centre = looked.best
    about = dict.fromkeys(line.inside(centre + step * stride) for step in (0, 1, -1))
    wanted = [u for u in about if not looked.has_heard_of(u)]
    while wanted and not job.is_ending():
        affordable = min(len(wanted), MOST - len(looked.outcomes), int(room.left / budget.price(batches)))
        if affordable < 1:
            return
        yield from _those(job, budget, looked, wanted[:affordable], batches)
        if is_enough(looked):
            return
        following = looked.beyond(stride)
        if following is None and looked.is_unclear(UNCLEAR):
            following = 0.0
        wanted = [] if following is None else [following]


def _scout(
    job: Job, budget: Budget, looked: Looked, room: Share
) -> Generator[Request, Outcome | None, list[Outcome]]:
    """From the middle of what is believed outward, until the best has been passed on either side."""
    batches = max(LEAST_SCOUT, round(SCOUT * budget.total_batches))
    wanted: float | None = looked.line.inside(looked.line.place.mean)
    while wanted is not None and room.left >= budget.price(batches) and not job.is_ending():
        yield from _those(job, budget, looked, [wanted], batches, "scout")
        wanted = looked.beyond(SCOUT_STRIDE)
    return looked.outcomes


def _those(
    job: Job, budget: Budget, looked: Looked, wanted: Sequence[float], batches: int, role: str = LOOKED
) -> Generator[Request, Outcome | None, None]:
    rollouts = [_in_small(looked.line.at(decades), Length(0.0, batches, batches), role) for decades in wanted]
    for some in _lots(rollouts, job.at_once):
        yield from ahead(some)
        for rollout in some:
            outcome = yield rollout
            assert outcome is not None
            budget.pay(outcome)
            looked.hear(outcome)


def _lots(rollouts: list[Rollout], size: int) -> Iterator[list[Rollout]]:
    for first in range(0, len(rollouts), size):
        yield rollouts[first : first + size]


def _in_small(values: Values, length: Length, role: str = LOOKED) -> Rollout:
    return Rollout(values, 0, "start", length=length, shape=TRIANGLE, role=role, small=True)


# What follows from them -------------------------------------------------------------------------------------


def refuse_failed(found: Opening, job: Job) -> None:
    """Raises AllDiverged where whatever was tried has failed."""
    if found.tried and not any(o.ok for o in found.tried):
        refuse_all(found.tried, job.where)


def by_looks(looked: Looked, scouts: list[Outcome]) -> Opening:
    """The rate of the highest expected score, or the optimizer's own where that is not beaten."""
    tried = scouts + looked.outcomes
    if tried and not any(o.ok for o in tried):
        return Opening(looked.line.own, _all_failed(tried), looked.line.space, tried, looked)
    decades = looked.choice
    better = looked.better(decades)
    keeps_own = better is not None and better < BEATEN
    values = looked.line.own if keeps_own else looked.line.at(decades)
    why = _verdict(looked, tried, values, decades, better, keeps_own)
    return Opening(values, why, looked.line.space, tried, looked)


def _verdict(
    looked: Looked,
    tried: list[Outcome],
    values: Values,
    decades: float,
    better: float | None,
    keeps_own: bool,
) -> Verdict:
    line = looked.line
    numbers = {"candidates": float(len(tried)), "failed": float(sum(not o.ok for o in tried))}
    if tried:
        numbers |= {"horizon": looked.total / tried[0].batches if tried[0].batches else 1.0}
    if (band := looked.band()) is not None:
        low, high = (10**edge for edge in band)
        for name in line.rates:
            own = float(line.own[name])
            numbers |= {f"{name} low": own * low, f"{name} high": own * high}
    first = line.rates[0]
    told: dict[str, Fact] = {
        "count": len(tried),
        "rates": {name: float(values[name]) for name in line.rates},
        "whence": _whence(looked, tried, decades, keeps_own),
        "says_nothing": looked.says_nothing and bool(tried),
        "low": numbers.get(f"{first} low"),
        "high": numbers.get(f"{first} high"),
    }
    why = [Reason("looks", {**told, **failures(tried)})]
    if better is not None:
        numbers["better"] = 1 - better if keeps_own else better
        unbeaten = Reason("not beaten", {"better": better, "least": BEATEN})
        why.append(unbeaten if keeps_own else Reason("beats own", {"better": better}))
    return Verdict.of("search", *why, **numbers)


def _whence(looked: Looked, tried: list[Outcome], decades: float, keeps_own: bool) -> str:
    """By what the rates were taken."""
    if keeps_own or (not tried and abs(decades) < SAME):
        return "own"
    if tried and not looked.says_nothing:
        return "looks"
    is_other = abs(decades - looked.line.place.mean) > SAME  # by the range, or by what diverged
    return "nearest" if is_other else "prior"


def _all_failed(tried: list[Outcome]) -> Verdict:
    return Verdict.of("search", Reason("all diverged"), failed=float(sum(not o.ok for o in tried)))


def _no_search(job: Job, budget: Budget) -> Verdict:
    why = Reason("no search", {"batches": budget.total_batches})
    return Verdict.of("search", why, budget=job.budget, batches=float(budget.total_batches))


# More than rates --------------------------------------------------------------------------------------------


def jointly(
    job: Job, budget: Budget, share: Share, opening: Opening
) -> Generator[Request, Outcome | None, Opening]:
    """Rollouts that the sampler proposes about the rate that was found, and the best of all by the Gamma process."""
    rates, batches = rates_of(job.space), look_batches(budget.total_batches)
    wanted = PER_DIMENSION * (len(job.space.names) - len(rates))
    count = int(share.left / budget.price(batches))
    if count < min(wanted, 2) or budget.total_batches <= VERY_SHORT:
        return opening
    if opening.tried and not any(o.ok for o in opening.tried):
        return opening
    # scouts are too short to be compared with what follows
    tried = [o for o in opening.tried if o.role == LOOKED]
    window = window_about(job.space, rates, opening.values)
    sampler = Search(job, 1, window)
    length = equal_samples(job, batches, budget.batches)
    for earlier in tried:  # of the rates alone
        if window.contains(_part(earlier.values, window.names)):
            sampler.tell(earlier)
    first = [] if tried else [_part(opening.values, window.names)]
    made = 0
    while made < count and not (any(o.ok for o in tried) and job.is_ending()):
        room = min(job.at_once, count - made, int(share.left / budget.price(batches)))
        asked = [first.pop(0) if first else sampler.ask() for _ in range(room)]
        rollouts = [_in_small({**job.own, **values}, length) for values in asked if values is not None]
        if not rollouts:
            break
        yield from ahead(rollouts)
        for rollout in rollouts:
            outcome = yield rollout
            assert outcome is not None
            budget.pay(outcome)
            tried.append(outcome)
            made += 1
            if not window.contains(_part(outcome.values, window.names)):
                continue  # of a size that did not fit a moment ago
            if outcome.status != "infeasible":
                sampler.tell(outcome)
                continue
            # no fault of the rate: search on among sizes that fit
            window = fit_in(window, job.own, outcome)[0]
            job = replace(job, space=fit_in(job.space, job.own, outcome)[0])
            first = [values for values in first if window.contains(values)]
            sampler = Search(job, 1, window)
            for earlier in tried:
                if earlier.status != "infeasible" and window.contains(_part(earlier.values, window.names)):
                    sampler.tell(earlier)
    return _best_of(job, opening, tried, rates)


def _best_of(job: Job, opening: Opening, tried: list[Outcome], rates: list[str]) -> Opening:
    names = job.space.names
    told = [Observation(_part(o.values, names), job.now(o).score) for o in tried if o.status != "infeasible"]
    if not any(seen.score is not None for seen in told):
        return Opening(job.own, _all_failed(tried), job.space, tried)
    before = _part(job.own, names)
    own = before if job.space.contains(before) else None
    chosen = choose(job.space, told, own, rates)
    values = _part(chosen.values, names)
    why = [Reason("other values", {"count": len(tried), "values": values, **failures(tried)})]
    numbers = {"candidates": float(len(tried)), "failed": float(sum(not o.ok for o in tried))}
    if chosen.better is not None:
        why.append(Reason("beats own", {"better": chosen.better}))
        numbers |= {"better": chosen.better, "gain": chosen.gain, "sd": chosen.sd}
    first = opening.verdict.numbers  # the band of a rate is the looks'
    numbers |= {name: first[name] for name in first if name == "horizon" or name.endswith((" low", " high"))}
    scouts = [o for o in opening.tried if o.role != LOOKED]
    verdict = Verdict.of("search", *why, **numbers)
    return Opening({**job.own, **chosen.values}, verdict, job.space, scouts + tried, opening.looked)


def _part(values: Values, names: Sequence[str]) -> Values:
    return {name: values[name] for name in names}


def window_about(
    space: Space, rates: list[str], centre: Values, below: float = AROUND, above: float = AROUND
) -> Space:
    """The part of the space about the rate that was found. below, above: decades."""
    dimensions = {name: space[name] for name in space.names}
    for name in rates:
        whole, at = space[name], float(centre[name])
        assert isinstance(whole, Float)
        low, high = max(whole.low, at / 10**below), min(whole.high, at * 10**above)
        if low < high / 2:
            dimensions[name] = Float(low, high, log=True)
        elif at <= whole.low * 10:  # at an end of the range
            dimensions[name] = Float(whole.low, min(whole.high, whole.low * 10), log=True)
        else:
            dimensions[name] = Float(max(whole.low, whole.high / 10), whole.high, log=True)
    return Space(dimensions)
