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

from gammatune.records import Known

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
    rate += table["tiny"]["slope"] * max(0.0, math.log10(table["tiny"]["below"] / max(total, 1)))
    return Normal1(rate - own, math.hypot(table["spread"], unsure))


def drift(share: float) -> "Normal1":
    """How many decades above the whole training's best rate that of a look lies, the whole being `share` times as
    long: none of the whole itself."""
    from gammatune.surrogate.hill import Normal1

    told = learned()["drift"]
    return Normal1(told["mean"], told["sd"]) if share > 1 else Normal1(0.0, 0.0)


def longer(times: float, total: int) -> "Normal1":
    """By how many decades the best rate of a training `times` as long lies above that of one of so many batches.

    Of looks of one form and several lengths at the trainings of the population: the places of their best rates drift
    by a little with the logarithm of the length, and part as in a random walk. Below 200 batches the best rate rises
    besides (`place`)."""
    from gammatune.surrogate.hill import Normal1

    told, tiny = learned()["longer"], learned()["tiny"]

    def above(batches: float) -> float:
        return float(tiny["slope"]) * max(0.0, math.log10(tiny["below"] / max(batches, 1.0)))

    decades = math.log10(times)
    mean = told["slope"] * decades + above(total * times) - above(total)
    return Normal1(mean, told["spread"] * math.sqrt(abs(decades)))


def hill() -> "HillPrior":
    from gammatune.surrogate.hill import HillPrior

    return replace(HillPrior(), **learned()["hill"])
