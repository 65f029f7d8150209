"""What is believed of the best learning rate before any look at it, learned from a population of trainings.

prior.json is made by experiments/population/fit.py from landscapes of whole trainings over the rate, and holds for a
peak that is reached after a short warm-up and falls straight to zero.
"""

import json
import math
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from gammatune.records import Family, Known

if TYPE_CHECKING:
    from gammatune.surrogate.hill import HillPrior, Normal1

# Where nothing is known of an optimizer its own rate is the middle (guesses): somebody's choice, or nobody's.
STRANGE, NOBODYS = 1.0, 1.5
# Of two families the population has no training. What is believed of them is what their authors say, none of it
# fitted (guesses from READMEs), as log10 and standard deviation. Prodigy: a rate of 1 "for all networks", whatever
# their size and the length; of the factor beside it "values such as 0.5 and 2.0 typically work as well", which are
# taken for two standard deviations; of twice that width, short looks lead to rates that fail (docs/diary.md).
PRODIGY = 0.0, 0.15
# AdamW of Schedule-Free: "1x-10x larger than with schedule-based approaches", as if uniform over that decade.
SCHEDULE_FREE = 0.5, 0.29


@cache
def learned() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(resources.files("gammatune.policy").joinpath("prior.json").read_text())
    return found


def place(known: Known, total: int, clipped: float = 0.0) -> "Normal1":
    """Where a whole training of so many batches does best: decades from the rate that the optimizer came with.

    clipped: as of `Outcome`. Where steps are cut to one length, the weights' own length says how long is right."""
    # here, since it brings scipy with it, for which `import gammatune` need not wait
    from gammatune.surrogate.hill import Normal1

    table = learned()
    if known.family is None or known.rate <= 0:
        return Normal1(0.0, STRANGE if known.is_own else NOBODYS)
    own = math.log10(known.rate)
    if known.family == "prodigy":
        return Normal1(PRODIGY[0] - own, PRODIGY[1])
    family, above, unsure = known.family, 0.0, 0.0
    if family == "schedulefree":
        family, (above, unsure) = "adam", SCHEDULE_FREE
    rate = table["places"][family] + above
    if clipped and family in (cut := table["clipped"])["families"]:
        return Normal1(cut["place"] + math.log10(clipped) - own, cut["spread"])
    if family in table["fan_in"]["families"]:
        rate += table["fan_in"]["slope"] * (math.log10(known.fan_in) - table["fan_in"]["about"])
    return Normal1(rate + _by_length(family, total) - own, math.hypot(table["spread"], unsure))


def _by_length(family: Family | None, batches: float) -> float:
    """By how many decades the best rate of a training of so many batches lies above that of a usual one: higher where
    it is tiny. Of a family that every step moves by as much, as Muon's, lower the longer it is."""
    table, batches = learned(), max(batches, 1.0)
    if (own := table["longer"]["families"].get(family)) is not None:
        return float(own["slope"]) * math.log10(batches / own["batches"])
    return float(table["tiny"]["slope"]) * max(0.0, math.log10(table["tiny"]["below"] / batches))


def drift(share: float, family: Family | None = None) -> "Normal1":
    """How many decades above the whole training's best rate that of a look lies, the whole being `share` times as
    long: none of the whole itself."""
    from gammatune.surrogate.hill import Normal1

    told, of_length = learned()["drift"], learned()["longer"]["families"]
    if share <= 1:
        return Normal1(0.0, 0.0)
    if family not in of_length:
        return Normal1(told["mean"], told["sd"])
    of_share = of_length[family]["slope"] * math.log10(share / told["share"])
    return Normal1(told["families"][family] - of_share, told["sd"])


def longer(times: float, total: int, family: Family | None = None) -> "Normal1":
    """By how many decades the best rate of a training `times` as long lies above that of one of so many batches.

    Of looks of one form and several lengths at the trainings of the population: the places of their best rates drift
    by a little with the logarithm of the length, and part as in a random walk; besides, tiny trainings and some
    families have their own way with it (`_by_length`)."""
    from gammatune.surrogate.hill import Normal1

    told, decades = learned()["longer"], math.log10(times)
    common = 0.0 if family in told["families"] else told["slope"] * decades
    own = _by_length(family, total * times) - _by_length(family, total)
    return Normal1(common + own, told["spread"] * math.sqrt(abs(decades)))


def hill() -> "HillPrior":
    from gammatune.surrogate.hill import HillPrior

    return replace(HillPrior(), **learned()["hill"])
