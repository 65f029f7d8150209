"""Looks along the line of rates, and what is believed of the whole training after them.

The coordinate is u, in decades from the rates that the optimizer came with: all rates move together.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gammatune.policy import prior
from gammatune.policy.choice import BELOW_THE_CLIFF
from gammatune.records import Family, Outcome, Values
from gammatune.space import Float, Space

if TYPE_CHECKING:
    from gammatune.surrogate.hill import HillProcess, Normal1

FLAT = 0.01  # of the score of doing nothing: a look that moves it less has learnt nothing (guess)
FALLEN = 0.25  # of the best look's lead over doing nothing: as far below it lies one that diverged (guess)
UNIT = 0.35  # of the root mean square of the leads: the unit in which the prior of the precision is meant (guess)
OUTSIDE = 2 / 3, 1 / 3  # decades below and above what was looked at, in which a rate is still chosen (guess)
FURTHER = 1.0  # decades beyond what was tried, in which the next whole training may lie (guess)
FINE = 24  # candidates a decade
SAME = 1 / 24  # decades: rates no further apart are one


@dataclass(frozen=True, slots=True)
class Line:
    """space, own: of the job. rates: their names. place: what is believed of the best u before any look. family: of
    the optimizer."""

    space: Space
    own: Values
    rates: Sequence[str]
    place: "Normal1"
    family: Family | None = None

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest u at which every rate lies in the space."""
        low, high = -math.inf, math.inf
        for name in self.rates:
            whole = self.space[name]
            assert isinstance(whole, Float)
            own = math.log10(float(self.own[name]))
            low, high = max(low, math.log10(whole.low) - own), min(high, math.log10(whole.high) - own)
        return low, max(low, high)

    def inside(self, u: float) -> float:
        low, high = self.ends
        return min(max(u, low), high)

    def at(self, u: float) -> Values:
        """The own values with the rates moved; kept in the space where rounding would leave it."""
        values = dict(self.own)
        for name in self.rates:
            whole = self.space[name]
            assert isinstance(whole, Float)
            values[name] = float(self.own[name]) if u == 0 else whole.round(float(self.own[name]) * 10**u)
        return values

    def of(self, outcome: Outcome) -> float:
        name = self.rates[0]
        return math.log10(float(outcome.values[name]) / float(self.own[name]))


@dataclass
class Looked:
    """What was heard, and what follows.

    survey: what doing nothing scores. total: batches of the course. is_own: the user chose the rate at u = 0. now: an
    outcome with its score as it is counted now (`Job.now`).
    """

    line: Line
    survey: Outcome
    total: int
    is_own: bool = True
    now: Callable[[Outcome], Outcome] = lambda outcome: outcome
    outcomes: list[Outcome] = field(default_factory=list)

    def hear(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        for name in ("process", "choice"):
            self.__dict__.pop(name, None)

    # -- the looks as numbers

    @property
    def has_own(self) -> bool:
        """Whether the user chose a rate, one that may be used."""
        low, high = self.line.ends
        return self.is_own and low <= 0 <= high

    @property
    def floor(self) -> float:
        """What doing nothing scores."""
        score = self.now(self.survey).score
        return 0.0 if score is None else score

    def lead(self, outcome: Outcome) -> float:
        """Above doing nothing; -inf where it diverged."""
        score = self.now(outcome).score
        return -math.inf if score is None else score - self.floor

    @property
    def best(self) -> float:
        """The u of the highest lead."""
        return self.line.of(max(self.outcomes, key=self.lead))

    def has_heard_of(self, u: float, within: float = SAME) -> bool:
        return any(abs(self.line.of(o) - u) < within for o in self.outcomes)

    @property
    def smallest(self) -> float:
        """A lead below that is none."""
        return FLAT * max(abs(self.floor), 1e-9)

    @property
    def says_nothing(self) -> bool:
        """No look differs from doing nothing."""
        return all(abs(lead) < self.smallest for lead in map(self.lead, self.outcomes) if lead > -math.inf)

    @property
    def is_constant(self) -> bool:
        """All that was ever scored is one number: nothing is measured."""
        return len(self.outcomes) > 1 and all(self.lead(o) == 0 for o in self.outcomes)

    # -- where to look next

    def beyond(self, stride: float) -> float | None:
        """A stride beyond the edge, where the best look is at one; upward where none has learnt anything yet."""
        at = {self.line.of(o): self.lead(o) for o in self.outcomes}
        low, high = self.line.ends
        top, bottom, best = max(at), min(at), self.best
        room_above, room_below = high - top > SAME, bottom - low > SAME
        if self.is_constant:
            return None
        if at[best] == -math.inf:  # all of them diverged
            return self.line.inside(bottom - 2 * stride) if room_below else None
        if self.says_nothing and at[top] > -math.inf and room_above:  # far too low: by two strides
            return self.line.inside(top + 2 * stride)
        if best == top and room_above:
            return self.line.inside(top + stride)
        if best == bottom and room_below:
            return self.line.inside(bottom - stride)
        return None

    def is_unclear(self, between: tuple[float, float]) -> bool:
        """Whether a look at the own rate would tell if it is beaten."""
        if not self.has_own or self.says_nothing or self.has_heard_of(0.0, 3 * SAME):
            return False
        better = self.better(self.choice)
        return abs(self.choice) > 3 * SAME and better is not None and between[0] < better < between[1]

    def promising(self) -> float | None:
        """The u, of those not tried yet, at which a whole training promises most to pass the best heard of (expected
        improvement); None where nothing was measured."""
        from gammatune.surrogate.acquisition import log_ei

        if self.is_constant or not self.outcomes:
            return None
        at = [self.line.of(o) for o in self.outcomes]
        low, high = self.line.inside(min(at) - FURTHER), self._below_what_diverged(max(at) + FURTHER)
        if high - low < SAME:
            return None
        line = np.linspace(low, high, 1 + round(FINE * (high - low)))
        line = line[[all(abs(u - tried) > 3 * SAME for tried in at) for u in line]]
        if not len(line):
            return None
        best = max(max(map(self.lead, self.outcomes)), 0.0)
        return float(line[int(np.argmax(log_ei(self.process.look(line), best)))])

    # -- what is believed

    def of_wholes(self) -> "Looked":
        """To go on with whole trainings, of which no drift parts what is looked for."""
        return replace(self.narrowed(0.0), total=1)

    def narrowed(self, least: float) -> "Looked":
        """To begin anew with what is believed now for a prior, no narrower than `least` decades; a decade below them
        all where every one diverged."""
        from gammatune.surrogate.hill import Normal1

        if self.outcomes and not any(o.ok for o in self.outcomes):
            place = Normal1(min(map(self.line.of, self.outcomes)) - 1, 1.0)
        else:
            weights, means, sds = self.process.best()
            mean = float(weights @ means)
            sd = math.sqrt(float(weights @ (sds**2 + (means - mean) ** 2)))
            place = Normal1(mean, max(sd, least))
        return replace(self, line=replace(self.line, place=place), outcomes=[])

    @cached_property
    def process(self) -> "HillProcess":
        """By the looks that told something."""
        # here, since it brings scipy with it, for which `import gammatune` need not wait
        from gammatune.surrogate.hill import HillProcess, Looks

        heard = [] if self.says_nothing else self.outcomes
        y = np.array([self.lead(o) for o in heard])
        top = float(y.max()) if len(y) else 0.0
        y = np.maximum(y, -FALLEN * max(top, self.smallest))
        unit = max(UNIT * float(np.sqrt(np.mean(y**2))) if len(y) else 0.0, self.smallest)
        batches = max((o.batches for o in heard if o.ok), default=self.total)
        looks = Looks([self.line.of(o) for o in heard], y, unit)
        drift = prior.drift(self.total / batches, self.line.family)
        return HillProcess(looks, self.line.place, drift, prior.hill())

    @cached_property
    def choice(self) -> float:
        """The u of the highest expected score of the whole training; the prior's where no look told anything."""
        if not self.outcomes or self.says_nothing:
            return (
                0.0 if self.is_constant and self.has_own else self._below_what_diverged(self.line.place.mean)
            )
        at = [self.line.of(o) for o in self.outcomes]
        low = self.line.inside(min(at) - OUTSIDE[0])
        high = max(low, self._below_what_diverged(max(at) + OUTSIDE[1]))
        line = np.linspace(low, high, 1 + max(1, round(FINE * (high - low))))
        return float(line[int(np.argmax(self.process.whole(line).mean))])

    def _below_what_diverged(self, u: float) -> float:
        """No higher than a little below the lowest look that diverged above one that did not."""
        fine = [self.line.of(o) for o in self.outcomes if o.ok]
        cliffs = [
            self.line.of(o) for o in self.outcomes if not o.ok and (not fine or self.line.of(o) > max(fine))
        ]
        return self.line.inside(min([u, *(cliff + math.log10(BELOW_THE_CLIFF) for cliff in cliffs)]))

    def better(self, u: float) -> float | None:
        """The probability that the whole training scores more at u than at the own rate; None where there is none."""
        from gammatune.surrogate.acquisition import log_pi

        if not self.has_own:
            return None
        if self.is_constant or abs(u) < SAME:
            return 0.5
        if not self.outcomes or self.says_nothing:
            return _closer(self.line.place, u)
        return float(np.exp(log_pi(self.process.gain(np.array([u]), 0.0), 0.0))[0])

    def expected(self) -> tuple[float, float] | None:
        """What the whole training leads by at the rate of `choice`, mean and variance; None where no look told."""
        if not any(o.ok for o in self.outcomes) or self.says_nothing:
            return None
        there = self.process.whole(np.array([self.choice]))
        return float(there.mean[0]), float(there.variance[0])

    def band(self) -> tuple[float, float] | None:
        """Where the whole training's best u lies with a probability of 95 %; None where nothing was measured."""
        return None if self.is_constant else self.process.band()


def _closer(place: "Normal1", u: float) -> float:
    """The probability that the best lies closer to u than to 0: all that is known where nothing was seen."""
    middle = (u / 2 - place.mean) / max(place.sd, 1e-9)
    below = 0.5 * math.erfc(-middle / math.sqrt(2))
    return 1 - below if u > 0 else below
