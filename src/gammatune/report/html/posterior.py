"""What the search believed at each of its decisions, built again from a journal.

q: points along a slice. A *view* is what was believed after so many of the rollouts of a search.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gammatune.errors import GammatuneError
from gammatune.journal.history import Story
from gammatune.journal.wording import number
from gammatune.policy.choice import belief
from gammatune.policy.looks import Looked
from gammatune.policy.opening import rates_of
from gammatune.records import Observation, Outcome, Values
from gammatune.report.html.looks import Stage, place_of_next, why_chosen
from gammatune.report.html.searches import Search, searches
from gammatune.samplers import make_sampler
from gammatune.samplers.bayes import Bayes, Surrogate, dataset
from gammatune.seeds import stream
from gammatune.space import Array, Choice, Float, Space
from gammatune.surrogate.gamma import GammaProcess

POINTS = 61  # along a slice: a fifteenth of a decade apart over four
MOST_VIEWS = 40  # on a page; of more searches or rollouts some are left out, evenly
MOST_SLICES = 4  # dimensions shown
MODELLESS = ("grid", "random", "tabu", "tpe")  # samplers without a surrogate that can be asked
TITLES = {
    "scouts": "Scouts", "looks": "Looks at rates", "miniatures": "Miniatures", "runs": "Whole trainings",
}  # fmt: skip
MARGIN = 0.35  # decades shown beyond what was tried


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


@dataclass(slots=True)
class Surfaces:
    """views: at most MOST_VIEWS. left_out: how many more there were. searched: rollouts were compared."""

    views: list[View] = field(default_factory=list)
    left_out: int = 0
    searched: bool = True


def surfaces(story: Story) -> Surfaces:
    """The views of every decision, evenly thinned where there are more than MOST_VIEWS."""
    found = searches(story)
    plan: list[tuple[Search, int]] = []  # and after how many rollouts
    for search in found:
        scored = [i for i in range(1, len(search.told) + 1) if _scored(search, i)]
        least = 1 if search.stage or len(search.told) == 1 else max(2, search.given)
        plan += [(search, i) for i in scored if i >= least]
    if not plan:
        return Surfaces(searched=bool(found))
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


def _view(story: Story, search: Search, count: int) -> View:
    if search.stage is not None:
        return _view_of_looks(story, search, search.stage, count)
    told = [o for o in search.observations(count) if o.score is None or math.isfinite(o.score)]
    last = count == len(search.told)
    bayes = _sampler_of(story, search) if search.sampler else None
    rates = rates_of(search.space)
    surrogate: Surrogate
    if search.what in ("scouts", "miniatures") and (last or bayes is None):
        ruler, surrogate = belief(search.whole, told, rates)  # by which was chosen
    elif bayes is None:
        ruler, surrogate = search.space, GammaProcess(dataset(search.space, told))
    else:
        for seen in told:
            if search.space.contains(seen.values):  # of looks at rates some may lie outside
                bayes.tell(seen)
        ruler, surrogate = search.space, bayes.believe()
    sampler = bayes if ruler is search.space else None
    following = None if last else {n: search.told[count].values[n] for n in search.names}
    chosen = search.chosen if last else None
    held = chosen or following or max(told, key=lambda o: -math.inf if o.score is None else o.score).values
    slices = [
        _slice(ruler, surrogate, sampler, search, told, name, held) for name in search.names[:MOST_SLICES]
    ]
    used = search.used if last else None
    return View(_title(search, count), _words(story, search, count), slices, following, chosen, used, last)


def _view_of_looks(story: Story, search: Search, stage: Stage, count: int) -> View:
    """Along the line of rates; where several move together, told by the first, as the others keep their ratio."""
    part = slice_of_looks(stage.after(count), stage.told[:count], _along(search, stage.rates[0]))
    last = count == len(stage.told)
    following = None if last else {n: stage.told[count].values[n] for n in search.names}
    chosen = search.chosen if last else None
    return View(_title(search, count), _words(story, search, count), [part], following, chosen, last=last)


def slice_of_looks(looked: Looked, told: Sequence[Outcome], at: Sequence[float]) -> Slice:
    """What is believed along the line of rates, by the first of them, after the looks that were told. at: of that."""
    name = looked.line.rates[0]
    u = np.log10(np.array(at) / float(looked.line.own[name]))
    score, whole = looked.process.look(u), looked.process.whole(u).mean
    curve = _with_band(looked.floor + score.mean, np.sqrt(score.variance))
    seen = [(float(o.values[name]), o.score) for o in told]
    return Slice(name, True, None, list(at), *curve, None, seen, _from_0_to_1(whole))


def _with_band(mean: Array, sd: Array) -> tuple[list[float], list[float], list[float]]:
    """Two standard deviations of a Student-t with many degrees of freedom; near enough to 95 % from six."""
    return mean.tolist(), (mean - 1.96 * sd).tolist(), (mean + 1.96 * sd).tolist()


def _from_0_to_1(scores: Array) -> list[float]:
    low, high = float(scores.min()), float(scores.max())
    return ((scores - low) / (high - low)).tolist() if high > low else [0.0] * len(scores)


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


def _slice(
    ruler: Space,
    surrogate: Surrogate,
    sampler: Bayes | None,
    search: Search,
    told: Sequence[Observation],
    name: str,
    held: Values,
) -> Slice:
    dimension = ruler[name]
    seen = [(one.values[name], one.score) for one in told]
    options = tuple(dimension.options) if isinstance(dimension, Choice) else None
    at: list[Any] = list(options) if options is not None else list(_along(search, name))
    inside = {n: clip(ruler, n, held[n]) for n in ruler.names}
    Z = np.array([ruler.to_unit({**inside, name: clip(ruler, name, x)}) for x in at])
    with np.errstate(all="ignore"):
        score = surrogate.posterior(Z)
        mean, sd = score.mean, np.sqrt(np.maximum(score.variance, 0.0))
        promise = (
            None
            if sampler is None
            else _relative(_inside(search.space[name], at, sampler.value(surrogate, Z)))
        )
    log = bool(getattr(dimension, "log", False))
    return Slice(name, log, options, at, *_with_band(mean, sd), promise, seen)


def _along(search: Search, name: str) -> list[float]:
    """Points about what the whole search tried, the same in each of its views."""
    values = [float(o.values[name]) for o in search.told]
    values += [float(v[name]) for v in (search.chosen, search.used) if v is not None and name in v]
    return points_about(search.whole[name], values)


def points_about(dimension: Any, values: Sequence[float]) -> list[float]:
    """Of a dimension that is no choice, as far as these values lie and a little further."""
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


def clip(space: Space, name: str, value: Any) -> Any:
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
    if search.what == "epoch":
        return f"Epoch {search.epoch + 1}: after {count} of {n} candidates"
    optimizer = search.stage.optimizer if search.stage and search.what == "looks" else ""
    using = f" with {optimizer}" if optimizer else ""
    return f"{TITLES[search.what]}{using}: after {count} of {n}"


def _words(story: Story, search: Search, count: int) -> str:
    if count < len(search.told):
        return _words_of_next(story, search, count)
    if search.chosen is None:
        return "Nothing was chosen by it."
    stage, chosen = search.stage, _values(search, search.chosen)
    if stage is not None and search.is_beaten:
        return f"Best with {stage.optimizer}: {chosen}; the training began with another optimizer."
    if search.what == "scouts" and search.used is None:
        return f"The region about {chosen} looks best; longer trials follow there."
    if stage is not None:
        why = why_chosen(stage, chosen, search.chosen)
        return why if search.used is not None else f"{why} The other values are searched about it."
    used = search.used or search.chosen
    if any(used.get(n) != v for n, v in search.chosen.items() if n in search.names):
        return f"Chosen: {chosen}. Since the real training is longer, it used {_values(search, used)}."
    return f"Chosen: {chosen}."


def _words_of_next(story: Story, search: Search, count: int) -> str:
    tried = _values(search, search.told[count].values)
    if search.stage is not None:
        return f"Next it looked at {tried}, {place_of_next(search.stage, count)}."
    if search.what == "scouts":
        return f"Next it tried {tried}, a stride from what was tried before."
    if story.begin["sampler"] in MODELLESS:
        return f"Next it tried {tried}."
    if _is_spread(story, search, count):
        return f"Next it tried {tried}, to spread the first looks; what was promised did not decide yet."
    return f"Next it tried {tried}, where most was promised."


def _values(search: Search, values: Values) -> str:
    return ", ".join(f"{n} {number(values[n])}" for n in search.names if n in values)


def _is_spread(story: Story, search: Search, count: int) -> bool:
    """Whether the sampler still spread its proposals over the range when it was asked after `count` rollouts."""
    options = story.begin.get("sampler_options") or {}
    initial = options.get("initial", 2)  # the samplers' own default
    return count - search.given < (len(initial) if isinstance(initial, list) else int(initial))
