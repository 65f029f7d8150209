"""How version 1 of the policy `lookahead` searched, as far as its journals have to be told again: scouts found a
region, and miniatures searched a window about it."""

from collections.abc import Sequence

from gammatune.policy.choice import choose
from gammatune.policy.opening import rates_of
from gammatune.records import Observation, Outcome, Values
from gammatune.space import Space

WINDOW = 2.0, 0.3  # decades below and above the scouts' choice


def region(space: Space, own: Values, scouts: Sequence[Outcome]) -> Values:
    """The scouts' choice: the optimizer's own values, with the rates that led furthest."""
    rates = rates_of(space)
    told = [Observation({name: o.values[name] for name in rates}, o.score) for o in scouts]
    if any(seen.score is not None for seen in told):
        narrow = Space({name: space[name] for name in rates})
        return {**own, **choose(narrow, told, None, rates, beyond=0.0).values}
    # every one of them diverged: look below the lowest
    return {**own, **{name: min(float(o.values[name]) for o in scouts) / 10 for name in rates}}
