"""Where each state of a training came from.

A *state* is what a training is at one moment. It can be had in three ways: from a fork that holds it, from a
checkpoint, or by training it once more from the state it came from; on a CPU all three give the same bits. So
what a run must keep is little, and what it loses costs time alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from gammatune.records import Outcome, Rollout

BEGIN = -1  # what `State.number` says of the state in which a training was handed over


@dataclass(frozen=True, slots=True, eq=False)
class Beginning:
    """The training as it was handed over."""

    number = BEGIN


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """After a rollout from `origin`. allowance, fresh: of its `cost.Meter`."""

    origin: "Place"
    request: Rollout
    outcome: Outcome
    allowance: float
    fresh: bool = False

    @property
    def number(self) -> int:
        return self.outcome.number


@dataclass(frozen=True, slots=True, eq=False)
class Averaged:
    """The mean of the members in the place of the weights of `last`, whose random streams and counters stay."""

    last: "Place"
    members: tuple["Place", ...]

    @property
    def origin(self) -> "Place":
        """Where the first member came from, and as a rule all of them."""
        first = self.members[0]
        return first if isinstance(first, Beginning) else first.origin


@dataclass(frozen=True, slots=True, eq=False)
class Renewed:
    """At the start of another net: its initial weights in the place of those of `origin`."""

    origin: "Place"
    net: int

    number = BEGIN  # no rollout led there


Place: TypeAlias = Beginning | Trained | Averaged | Renewed


def last_number(place: Place) -> int:
    """The number of the rollout that led there, of an average that of its last member; BEGIN before the first."""
    return last_number(place.members[-1]) if isinstance(place, Averaged) else place.number


def ancestors(place: Place) -> Iterator[Place]:
    """The place itself, where it came from, and so on to the beginning."""
    while True:
        yield place
        if isinstance(place, Beginning):
            return
        place = place.origin
