"""What a longer training is believed to want."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gammatune.course import Schedule
from gammatune.errors import InvalidArgument
from gammatune.journal.events import Event
from gammatune.journal.wording import number
from gammatune.policy import prior
from gammatune.records import Family, Outcome, Values

TWO_SIDED = 1.96  # standard deviations of a normal that hold 95 %


@dataclass(frozen=True, slots=True, repr=False)
class LongerRate:
    """The learning rate of a training `longer` times as long as the one that was found.

    rate: what is believed best; its peak. band: (low, high), where 95 % of trainings have it, were the rate that was
    found their best: how sure that is, is not in it. drift, spread: mean and standard deviation of the decades by
    which the best rate moves, as a population of small trainings has them (experiments/population/fit.py); on
    data sets that took no part in that fit the band held 91 % (longer.py beside it).
    """

    longer: float
    rate: float
    band: tuple[float, float]
    drift: float
    spread: float

    def __float__(self) -> float:
        return self.rate

    def __repr__(self) -> str:
        low, high = map(number, self.band)
        return (
            f"<LongerRate: {number(self.rate)} for {self.longer:g} times the length, from {low} to {high} with 95 % "
            f"({self.drift:+.2f} ± {self.spread:.2f} decades)>"
        )


def rate_for(
    schedule: Schedule, course: Sequence[Outcome], longer: float, events: Sequence[Event] = ()
) -> LongerRate:
    """Of the peak of a course. events: the run's, of which the beginning knows the optimizer. Raises
    InvalidArgument."""
    is_number = isinstance(longer, (int, float)) and not isinstance(longer, bool)
    if not is_number or not 0 < longer < math.inf:
        raise InvalidArgument(f"longer={longer!r}: give how many times as long, a number above 0")
    if schedule.multiplier:
        raise InvalidArgument(
            "the run found a factor of a scheduler of your own (multiplier=True), which is no rate by itself"
        )
    rates = {name: float(value) for name, value in (schedule[-1] if len(schedule) else {}).items()
             if name.partition(".")[0] == "lr"}  # fmt: skip
    if len(rates) != 1:
        what = f"{len(rates)} learning rates ({', '.join(rates)})" if rates else "no learning rate"
        raise InvalidArgument(f"rate_for asks for the one rate of a course, and this one has {what}")
    (rate,) = rates.values()
    total = sum(outcome.batches for outcome in course)
    believed = prior.longer(longer, total, _family(events, schedule[-1]))
    low, middle, high = (
        rate * 10 ** (believed.mean + side * believed.sd) for side in (-TWO_SIDED, 0.0, TWO_SIDED)
    )
    return LongerRate(float(longer), middle, (low, high), believed.mean, believed.sd)


def _family(events: Sequence[Event], values: Values) -> Family | None:
    """Of the optimizer of those values; None where it is not known."""
    begin = next((event for event in events if event["event"] == "begin"), {})
    others = {one["own"]["optimizer"]: one["known"] for one in begin.get("alternatives", ())}
    known: Mapping[str, Any] = others.get(values.get("optimizer")) or begin.get("known", {})
    return known.get("family")
