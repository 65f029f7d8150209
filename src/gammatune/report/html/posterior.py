"""What the search believed at each of its decisions, built again from a journal.

Symbols: n observations, q points along a slice. A *search* is a set of rollouts compared with each other, and what
was chosen by them; a *view* is what was believed after so many of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gammatune.errors import GammatuneError
from gammatune.journal.history import Story
from gammatune.policy.choice import belief, limits
from gammatune.policy.opening import rates_of, window_about
from gammatune.records import Observation, Outcome, Values
from gammatune.report.html.looks import (
    Stage,
    alternatives_of,
    has_looks,
    place_of_next,
    rates_found,
    stages,
    why_chosen,
)
from gammatune.report.html.older import region, window
from gammatune.samplers import make_sampler
from gammatune.samplers.bayes import Bayes, Surrogate
from gammatune.seeds import stream
from gammatune.space import OPTIMIZER, Array, Choice, Float, Space, parse
from gammatune.surrogate.gamma import GammaProcess

POINTS = 61  # along a slice: a fifteenth of a decade apart over four
MOST_VIEWS = 40  # on a page; of more searches or rollouts some are left out, evenly
MOST_SLICES = 4  # dimensions shown
DRAWS = 400  # of the score as a whole, for the interval of the best rate
BAND = 0.95
MODELLESS = ("grid", "random", "tabu", "tpe")  # samplers without a surrogate that can be asked
MARGIN = 0.35  # decades shown beyond what was tried


@dataclass(frozen=True, slots=True)
class Search:
    """told: the rollouts compared, those without memory left out. space: where they were proposed; whole: where what
    was chosen may lie.

    what: "scouts", "looks", "miniatures", "epoch" or "runs". chosen: by the search; used: by the course, after it was
    lowered for the longer training. sampler: it proposed by the run's sampler, after the first `given` of those told.
    epoch: from 0. stage: where rates were looked at along their line, what was believed of them. is_beaten: with an
    optimizer that was not taken.
    """

    what: str
    space: Space
    whole: Space
    told: list[Outcome]
    chosen: Values | None = None
    used: Values | None = None
    sampler: bool = True
    epoch: int = 0
    given: int = 0
    stage: Stage | None = None
    is_beaten: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return self.space.names

    def observations(self, count: int | None = None) -> list[Observation]:
        return [Observation({n: o.values[n] for n in self.names}, o.score) for o in self.told[:count]]


@dataclass(frozen=True, slots=True)
class Slice:
    """One dimension, the others held where they are; scores as the objective has them.

    at: (q,) numbers, or the options of a choice. mean, low, high: the posterior and its 95 % band. promise: how much
    a look there promises, 1 the most; None where nobody asked. seen: (value, score), None where it diverged.
    whole: the score expected of the whole training, from 0, the least shown, to 1, the most; None where that is not
    told apart from what was tried.
    """

    name: str
    log: bool
    options: tuple[Any, ...] | None
    at: list[Any]
    mean: list[float]
    low: list[float]
    high: list[float]
    promise: list[float] | None
    seen: list[tuple[Any, float | None]]
    whole: list[float] | None = None


@dataclass(frozen=True, slots=True)
class View:
    """title, words: what it is. slices: one a dimension. next: tried afterwards. chosen, used: at the last one."""

    title: str
    words: str
    slices: list[Slice]
    next: Values | None = None
    chosen: Values | None = None
    used: Values | None = None
    last: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """The interval that holds the best rate with a probability of BAND, given what a search was told.

    low, high: in units of the course, lowered for its length where the rate was. start, stop: epochs of the course;
    inf: to its end.
    """

    name: str
    low: float
    high: float
    start: float
    stop: float


@dataclass(slots=True)
class Surfaces:
    """views: at most MOST_VIEWS. left_out: how many more there were. why_not: why there are none."""

    views: list[View] = field(default_factory=list)
    left_out: int = 0
    why_not: str = ""


# The searches of a story ----------------------------------------------------------------------------------


def searches(story: Story) -> list[Search]:
    """In order; none where the policy is not one of ours, or never came to compare two rollouts."""
    if not story.rollouts:
        return []
    space = parse(*story.begin["space"])
    policy = story.begin["policy"]
    if has_looks(story):
        return _of_looks(story, space)
    if policy == "lookahead":
        return _of_older_lookahead(story, space)
    rollouts = [o for o in story.rollouts if _knows(o, space)]
    if policy == "greedy":
        return [_of_epoch(story, space, rollouts, epoch) for epoch in sorted({o.epoch for o in rollouts})]
    if policy == "once":
        runs: dict[str, Outcome] = {o.role: o for o in rollouts}  # the last epoch of each
        chosen = story.course[-1].values if story.course else None
        return [Search("runs", space, space, list(runs.values()), chosen, chosen)]
    return []


def _knows(outcome: Outcome, space: Space) -> bool:
    return outcome.status != "infeasible" and all(
        name in outcome.values and space[name].contains(outcome.values[name]) for name in space.names
    )


def _of_looks(story: Story, space: Space) -> list[Search]:
    """At rates along their line; then, where more than rates is searched, at all of it about the rate found."""
    rates = rates_of(space)
    first = next((o for o in story.rollouts if o.role == "course"), None)
    found: list[Search] = []
    for other in alternatives_of(story):
        if first is None or first.values.get(OPTIMIZER) != other.name:
            found += _with_another(stages(story, space, other), space)
    chosen_with = next(
        (a for a in alternatives_of(story) if first and first.values[OPTIMIZER] == a.name), None
    )
    at_rates = stages(story, space, chosen_with)
    if chosen_with is not None:
        space = Space({name: space[name] for name in space.names if name != OPTIMIZER})
    elif found:
        return found  # it ended before one was chosen
    used = None if first is None else {n: first.values[n] for n in space.names if n in first.values}
    looked = sum(len(stage.told) for stage in at_rates if not stage.is_scouting)
    miniatures = [
        o
        for o in story.rollouts
        if o.role == "miniature"
        and _knows(o, space)
        and (chosen_with is None or o.values[OPTIMIZER] == chosen_with.name)
    ]
    centre = rates_found(at_rates)
    for stage in at_rates:
        chosen: Values | None = used
        if stage is not at_rates[-1]:  # what the looks begin with
            chosen = at_rates[-1].before.line.at(at_rates[-1].before.line.place.mean)
        elif len(miniatures) > looked:
            chosen = centre
        held = None if chosen is None else {name: chosen[name] for name in rates}
        what, line = "scouts" if stage.is_scouting else "looks", Space({name: space[name] for name in rates})
        taken = used if chosen is used else None
        found.append(Search(what, line, line, stage.told, held, taken, sampler=False, stage=stage))
    if len(miniatures) > looked:
        searched = space if centre is None else window_about(space, rates, centre)
        given = looked or (
            0 if at_rates else 1
        )  # at the optimizer's own values, where nothing was known before
        found.append(Search("miniatures", searched, space, miniatures, used, used, given=given))
    return found


def _with_another(found: Sequence[Stage], space: Space) -> list[Search]:
    """Of an optimizer that was not taken."""
    values, made = rates_found(found), []
    for stage in found:
        line = Space({name: space[name] for name in stage.rates})
        held = None if values is None else {name: values[name] for name in stage.rates}
        what = "scouts" if stage.is_scouting else "looks"
        made.append(
            Search(what, line, line, stage.told, held, None, sampler=False, stage=stage, is_beaten=True)
        )
    return made


def _of_older_lookahead(story: Story, space: Space) -> list[Search]:
    rates = rates_of(space)
    scouts = [o for o in story.rollouts if o.role == "scout" and all(n in o.values for n in rates)]
    miniatures = [o for o in story.rollouts if o.role == "miniature" and _knows(o, space)]
    numbers = story.verdicts[0].numbers if story.verdicts else {}
    first = next((o for o in story.rollouts if o.role == "course"), None)
    used = None if first is None else {n: first.values[n] for n in space.names if n in first.values}
    found: list[Search] = []
    own = next((o.values for o in story.rollouts if o.role == "survey"), None)
    centre: Values | None = None
    if scouts and rates:
        centre = region(space, own if own is not None else scouts[0].values, scouts)
        narrow = Space({name: space[name] for name in rates})
        chosen = {name: centre[name] for name in rates}
        found.append(
            Search("scouts", narrow, narrow, scouts, chosen, None if miniatures else used, sampler=False)
        )
    if miniatures:
        best = None if used is None else {n: numbers.get(f"{n} of rollouts", v) for n, v in used.items()}
        searched = space if centre is None else window(space, rates, centre)
        found.append(Search("miniatures", searched, space, miniatures, best, used, given=2 if rates else 1))
    return found


def _of_epoch(story: Story, space: Space, rollouts: Sequence[Outcome], epoch: int) -> Search:
    tried = [o for o in rollouts if o.epoch == epoch]
    kept = {o.number for o in story.course}
    chosen = next((o.values for o in tried if o.number in kept), None)
    if chosen is None:  # taken back at the end, or never committed
        scored = [o for o in tried if o.score is not None]
        chosen = max(scored, key=lambda o: o.score or 0.0).values if scored else None
    return Search("epoch", space, space, tried, chosen, chosen, epoch=epoch)


# What was believed ----------------------------------------------------------------------------------------


def surfaces(story: Story) -> Surfaces:
    """The views of every decision, evenly thinned where there are more than MOST_VIEWS."""
    found = searches(story)
    plan: list[tuple[Search, int]] = []  # and after how many rollouts
    for search in found:
        scored = [i for i in range(1, len(search.told) + 1) if _scored(search, i)]
        least = 1 if search.stage or len(search.told) == 1 else max(2, search.given)
        plan += [(search, i) for i in scored if i >= least]
    if not plan:
        return Surfaces(why_not=_why_not(story, found))
    if len(plan) > MOST_VIEWS:  # only what each search came to
        plan = [step for step in plan if step[1] == len(step[0].told)] or plan
    kept = plan
    if len(plan) > MOST_VIEWS:
        kept = [plan[i] for i in np.unique(np.linspace(0, len(plan) - 1, MOST_VIEWS).round().astype(int))]
    done = Surfaces(left_out=len(plan) - len(kept))
    for search, count in kept:
        try:
            done.views.append(_view(story, search, count))
        except (np.linalg.LinAlgError, GammatuneError):  # the run went on without, too
            done.left_out += 1
    return done


def _scored(search: Search, count: int) -> bool:
    return any(o.score is not None and math.isfinite(o.score) for o in search.told[:count])


def _why_not(story: Story, found: Sequence[Search]) -> str:
    if found:
        return "None of the short trainings of the search came to a score, so there is nothing to believe."
    if story.begin["policy"] in ("lookahead", "greedy", "once"):
        return "Nothing was compared in this run, so there was nothing to learn a surface from."
    return f"The policy {story.begin['policy']} is not one of gammatune's own; how it searches is not known here."


def _view(story: Story, search: Search, count: int) -> View:
    if search.stage is not None:
        return _view_of_looks(search, search.stage, count)
    told = [o for o in search.observations(count) if o.score is None or math.isfinite(o.score)]
    last = count == len(search.told)
    bayes = _sampler_of(story, search) if search.sampler else None
    rates = rates_of(search.space)
    surrogate: Surrogate
    if search.what in ("scouts", "miniatures") and (last or bayes is None):
        ruler, surrogate = belief(search.whole, told, rates)  # by which was chosen
    elif bayes is None:
        ruler, surrogate = _plain_belief(search.space, told)
    else:
        for seen in told:
            if search.space.contains(seen.values):  # of looks at rates some may lie outside
                bayes.tell(seen)
        ruler, surrogate = search.space, bayes.believe()
    asked = bayes if ruler is search.space else None
    following = None if last else {n: search.told[count].values[n] for n in search.names}
    chosen = search.chosen if last else None
    held = chosen or following or max(told, key=_rank).values
    slices = [
        _slice(ruler, surrogate, asked, search, told, name, held) for name in search.names[:MOST_SLICES]
    ]
    used = search.used if last else None
    return View(_title(search, count), _words(story, search, count), slices, following, chosen, used, last)


def _view_of_looks(search: Search, stage: Stage, count: int) -> View:
    """Along the line of rates; where several move together, told by the first, as the others keep their ratio."""
    looked, name = stage.after(count), stage.rates[0]
    own = float(looked.line.own[name])
    at = _along(search, name)
    u = np.log10(np.array(at) / own)
    score, whole = looked.process.look(u), looked.process.whole(u).mean
    mean, spread = looked.floor + score.mean, 1.96 * np.sqrt(score.variance)
    part = Slice(
        name,
        True,
        None,
        at,
        mean.tolist(),
        (mean - spread).tolist(),
        (mean + spread).tolist(),
        None,
        [(float(o.values[name]), o.score) for o in stage.told[:count]],
        _from_0_to_1(whole),
    )
    last = count == len(stage.told)
    following = None if last else {n: stage.told[count].values[n] for n in search.names}
    chosen = search.chosen if last else None
    return View(
        _title(search, count), _words_of_looks(search, stage, count), [part], following, chosen, last=last
    )


def _from_0_to_1(scores: Array) -> list[float]:
    low, high = float(scores.min()), float(scores.max())
    return ((scores - low) / (high - low)).tolist() if high > low else [0.0] * len(scores)


def _rank(seen: Observation) -> float:
    return -math.inf if seen.score is None else seen.score


def _sampler_of(story: Story, search: Search) -> Bayes | None:
    """The run's sampler, where it is one that believes something."""
    options = story.begin.get("sampler_options") or {}
    if story.begin["sampler"] in MODELLESS:
        return None
    try:
        made: Any = make_sampler(
            story.begin["sampler"], search.space, stream(0, "page"), **{**options, "initial": 1}
        )
    except (GammatuneError, TypeError, ValueError):  # one of the user's own
        return None
    for _ in range(4):  # out of its wrappers
        if isinstance(made, Bayes):
            return made
        made = getattr(made, "inner", getattr(made, "_first", None))
    return None


def _plain_belief(space: Space, told: Sequence[Observation]) -> tuple[Space, GammaProcess]:
    from gammatune.samplers.bayes import dataset

    return space, GammaProcess(dataset(space, told))


def _slice(
    ruler: Space,
    surrogate: Surrogate,
    asked: Bayes | None,
    search: Search,
    told: Sequence[Observation],
    name: str,
    held: Values,
) -> Slice:
    dimension = ruler[name]
    seen = [(one.values[name], one.score) for one in told]
    options = tuple(dimension.options) if isinstance(dimension, Choice) else None
    at: list[Any] = list(options) if options is not None else list(_along(search, name))
    inside = {n: _clip(ruler, n, held[n]) for n in ruler.names}
    Z = np.array([ruler.to_unit({**inside, name: _clip(ruler, name, x)}) for x in at])
    with np.errstate(all="ignore"):
        score = surrogate.posterior(Z)
        mean, sd = score.mean, np.sqrt(np.maximum(score.variance, 0.0))
        promise = (
            None if asked is None else _relative(_inside(search.space[name], at, asked.value(surrogate, Z)))
        )
    # a band of two standard deviations of a Student-t with many degrees of freedom; near enough to 95 % from six
    low, high = mean - 1.96 * sd, mean + 1.96 * sd
    return Slice(
        name,
        bool(getattr(dimension, "log", False)),
        options,
        at,
        mean.tolist(),
        low.tolist(),
        high.tolist(),
        promise,
        seen,
    )


def _along(search: Search, name: str) -> list[float]:
    """Points about what the whole search tried, the same in each of its views."""
    dimension: Any = search.whole[name]
    values = [float(o.values[name]) for o in search.told]
    values += [float(v[name]) for v in (search.chosen, search.used) if v is not None and name in v]
    if dimension.log:
        low = max(dimension.low, min(values) / 10**MARGIN)
        high = min(dimension.high, max(values) * 10**MARGIN)
        if high <= low:
            low, high = dimension.low, dimension.high
        line = np.geomspace(low, high, POINTS)
    else:
        line = np.linspace(dimension.low, dimension.high, POINTS)
    if not isinstance(dimension, Float):
        line = np.unique(line.round())
        return [int(x) for x in line]
    return [float(x) for x in line]


def _clip(space: Space, name: str, value: Any) -> Any:
    dimension: Any = space[name]
    return value if isinstance(dimension, Choice) else min(max(value, dimension.low), dimension.high)


def _inside(dimension: Any, at: Sequence[Any], logs: Array) -> Array:
    """Nothing is promised where nothing is proposed."""
    return np.where([dimension.contains(x) for x in at], logs, -np.inf)


def _relative(logs: Array) -> list[float]:
    """The promise of each point as a share of the largest."""
    top = float(np.max(logs))
    if not math.isfinite(top):
        return [0.0] * len(logs)
    return [float(x) for x in np.exp(logs - top)]


def _title(search: Search, count: int) -> str:
    n = len(search.told)
    if search.what == "scouts":
        return f"Scouts: after {count} of {n}"
    if search.what == "looks":
        using = f" with {search.stage.optimizer}" if search.stage and search.stage.optimizer else ""
        return f"Looks at rates{using}: after {count} of {n}"
    if search.what == "miniatures":
        return f"Miniatures: after {count} of {n}"
    if search.what == "runs":
        return f"Whole trainings: after {count} of {n}"
    return f"Epoch {search.epoch + 1}: after {count} of {n} candidates"


def _words(story: Story, search: Search, count: int) -> str:
    if count < len(search.told):
        following = search.told[count]
        tried = _values(search, following.values)
        if search.what == "scouts":
            return f"Next it tried {tried}, a stride from what was tried before."
        if story.begin["sampler"] in MODELLESS:
            return f"Next it tried {tried}."
        if _is_spread(story, search, count):
            return f"Next it tried {tried}, to spread the first looks; what was promised did not decide yet."
        return f"Next it tried {tried}, where most was promised."
    if search.chosen is None:
        return "Nothing was chosen by it."
    chosen = _values(search, search.chosen)
    lowered = search.used is not None and any(
        search.used.get(n) != v for n, v in search.chosen.items() if n in search.names
    )
    if search.what == "scouts" and search.used is None:
        return f"The region about {chosen} looks best; longer trials follow there."
    if lowered:
        assert search.used is not None
        used = _values(search, search.used)
        return f"Chosen: {chosen}. Since the real training is longer, it used {used}."
    return f"Chosen: {chosen}."


def _words_of_looks(search: Search, stage: Stage, count: int) -> str:
    if count < len(stage.told):
        tried = _values(search, stage.told[count].values)
        return f"Next it looked at {tried}, {place_of_next(stage, count)}."
    if search.chosen is None:
        return "Nothing was chosen by it."
    chosen = _values(search, search.chosen)
    if search.is_beaten:
        return f"Best with {stage.optimizer}: {chosen}; the training began with another optimizer."
    if stage.is_scouting and search.used is None:
        return f"The region about {chosen} looks best; longer trials follow there."
    why = why_chosen(stage, chosen, search.chosen)
    return why if search.used is not None else f"{why} The other values are searched about it."


def _values(search: Search, values: Values) -> str:
    return ", ".join(f"{n} {_short(values[n])}" for n in search.names if n in values)


def _is_spread(story: Story, search: Search, count: int) -> bool:
    """Whether the sampler still spread its proposals over the range when it was asked after `count` rollouts."""
    options = story.begin.get("sampler_options") or {}
    initial = options.get("initial", 2)  # the samplers' own default
    return count - search.given < (len(initial) if isinstance(initial, list) else int(initial))


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


# How sure the rate is -------------------------------------------------------------------------------------


def bands(story: Story) -> list[Band]:
    """Where the best learning rate lies, as the searches of a run knew it; at most MOST_VIEWS of them. None where the
    course is with another optimizer than they were about."""
    first = next((o for o in story.rollouts if o.role == "course"), None)
    if first and story.course and first.values.get(OPTIMIZER) != story.course[-1].values.get(OPTIMIZER):
        return []
    found = [s for s in searches(story) if s.chosen is not None and rates_of(s.space)]
    if has_looks(story) and (told := _told_bands(story)):
        return told
    if story.begin["policy"] == "lookahead":
        found = found[-1:]  # the search that the course was chosen by
    if len(found) > MOST_VIEWS:
        return []
    done = []
    for search in found:
        for name in rates_of(search.space):
            try:
                interval = best_between(search, name)
            except (np.linalg.LinAlgError, GammatuneError):
                continue
            if interval is not None:
                whole = search.what != "epoch"
                start = 0.0 if whole else float(search.epoch)
                stop = math.inf if whole else start + 1
                factor = _factor(search, name)
                done.append(Band(name, interval[0] * factor, interval[1] * factor, start, stop))
    return done


def _told_bands(story: Story) -> list[Band]:
    """As the verdict on the rate has them."""
    numbers = story.verdicts[0].numbers if story.verdicts else {}
    done = []
    for name in rates_of(parse(*story.begin["space"])):
        low, high = numbers.get(f"{name} low", 0.0), numbers.get(f"{name} high", 0.0)
        if 0 < low <= high < math.inf:
            done.append(Band(name, low, high, 0.0, math.inf))
    return done


def _factor(search: Search, name: str) -> float:
    """What the chosen rate was multiplied by for the longer course."""
    if search.chosen is None or search.used is None:
        return 1.0
    return float(search.used[name]) / float(search.chosen[name])


def best_between(search: Search, name: str) -> tuple[float, float] | None:
    """The central interval that holds the best value of the rate `name` with a probability of BAND.

    Where the score is highest, among the rates that may be chosen, in DRAWS draws of the whole posterior; other
    dimensions are held at what was chosen. None where fewer than two rollouts had a score.
    """
    if search.stage is not None:
        around = search.stage.after().band()
        own = float(search.stage.before.line.own[name])
        return None if around is None else (own * 10 ** around[0], own * 10 ** around[1])
    told = [o for o in search.observations() if o.score is None or math.isfinite(o.score)]
    if sum(o.score is not None for o in told) < 2 or search.chosen is None:
        return None
    low, high = limits(search.whole, told, name)
    if not 0 < low < high:
        return None
    rates = rates_of(search.space)
    ruler, process = belief(search.whole, told, rates)
    along = np.geomspace(low, high, POINTS)
    held = {n: _clip(ruler, n, v) for n, v in search.chosen.items() if n in ruler.names}
    Z = np.array([ruler.to_unit({**held, name: _clip(ruler, name, float(x))}) for x in along])
    best = along[process.sample(Z, DRAWS, stream(0, "best rate")).argmax(axis=1)]
    edge = (1 - BAND) / 2
    return float(np.quantile(best, edge)), float(np.quantile(best, 1 - edge))
