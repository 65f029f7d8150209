"""Which of several models to hand over: the simplest that is not plainly behind the best.

Models that answered the same examples are compared in pairs: every resample holds the same examples for both, so
that what makes examples hard for all cancels. A simpler model is taken in the place of the best where it is behind by
no more than half a standard error of that difference (the one-standard-error rule of Breiman et al. 1984, section
3.4.3, halved: what is handed over is to be as good as there is, and simple only where that costs nothing that can be
seen).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gammatune.metrics.bootstrap import Measure, lead
from gammatune.metrics.catalogue import METRICS, value
from gammatune.metrics.predictions import Answers

WITHIN = 0.5  # standard errors
WIDTH = 2 * 1.96  # standard errors that a 95 % interval is wide


@dataclass(frozen=True, slots=True)
class Selection:
    """chosen, best: places among the models that were compared. values: of the metric, None where it has none.
    behind: by how much each is worse than the best, 0 for that itself, with a 95 % interval."""

    metric: str
    chosen: int
    best: int
    values: tuple[float | None, ...]
    behind: tuple[Measure | None, ...]


def select(metric: str, models: Sequence[Answers], rng: np.random.Generator) -> Selection | None:
    """models: what each says of the same examples in the same order, the simplest first.

    None where the measure has no value for any of them.
    """
    sign = 1.0 if METRICS[metric].higher_is_better else -1.0
    values = tuple(value(metric, answers) if answers.is_finite else None for answers in models)
    known = [place for place, held in enumerate(values) if held is not None]
    if not known:
        return None
    best = max(known, key=lambda place: sign * (values[place] or 0.0))
    behind: list[Measure | None] = []
    for place, answers in enumerate(models):
        if place == best:
            behind.append(Measure(0.0, 0.0, 0.0))
        elif values[place] is None:
            behind.append(None)
        else:
            behind.append(lead(metric, models[best], answers, rng))
    chosen = next(place for place in known if _is_level(behind[place]))
    return Selection(metric, chosen, best, values, tuple(behind))


def _is_level(behind: Measure | None) -> bool:
    return behind is not None and behind.value <= WITHIN * (behind.high - behind.low) / WIDTH
