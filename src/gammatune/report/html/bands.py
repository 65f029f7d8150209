"""How sure a search was of the learning rate: the interval that holds the best one."""

import math
from dataclasses import dataclass

import numpy as np

from gammatune.errors import GammatuneError
from gammatune.journal.history import Story
from gammatune.policy.choice import belief, limits
from gammatune.policy.opening import rates_of
from gammatune.report.html.looks import has_looks
from gammatune.report.html.posterior import MOST_VIEWS, POINTS, clip
from gammatune.report.html.searches import Search, searches
from gammatune.report.wording import compares
from gammatune.seeds import stream
from gammatune.space import OPTIMIZER, parse

DRAWS = 400  # of the score as a whole, for the interval of the best rate
BAND = 0.95


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


def bands(story: Story) -> list[Band]:
    """Where the best learning rate lies, as the searches of a run knew it; at most MOST_VIEWS of them. None where the
    course is with another optimizer than they were about."""
    first = next((o for o in story.rollouts if o.role == "course"), None)
    if first and story.course and first.values.get(OPTIMIZER) != story.course[-1].values.get(OPTIMIZER):
        return []
    found = [s for s in searches(story) if s.chosen is not None and rates_of(s.space)]
    if has_looks(story) and (told := _told_bands(story)):
        return told
    if compares(story) == "looks":
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
                low, high = (edge * _factor(search, name) for edge in interval)
                start, stop = (search.epoch, search.epoch + 1) if search.what == "epoch" else (0, math.inf)
                done.append(Band(name, low, high, start, stop))
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
    held = {n: clip(ruler, n, v) for n, v in search.chosen.items() if n in ruler.names}
    Z = np.array([ruler.to_unit({**held, name: clip(ruler, name, float(x))}) for x in along])
    best = along[process.sample(Z, DRAWS, stream(0, "best rate")).argmax(axis=1)]
    edge = (1 - BAND) / 2
    return float(np.quantile(best, edge)), float(np.quantile(best, 1 - edge))
