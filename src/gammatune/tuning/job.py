"""What a policy is told of the work, made of what a tuner was called with and of how it stands."""

import math
from collections.abc import Callable

from gammatune.engine.trainable import ScoresTogether
from gammatune.policy.job import Job
from gammatune.records import Shape
from gammatune.samplers.sampler import Sampler
from gammatune.space import Space
from gammatune.tuning.arguments import Extent
from gammatune.tuning.before import Before
from gammatune.tuning.driver import Driver
from gammatune.tuning.options import Search


def job_for(
    search: Search,
    extent: Extent,
    before: Before,
    driver: Driver,
    *,
    sampler: Callable[[int, Space | None], Sampler],
    shape: Shape,
    nets: bool,
    is_stopping: Callable[[], bool],
) -> Job:
    """What the clock and the user say is asked through the driver, which writes the answers down."""
    clock, scores, now = driver.clock, driver.scores, driver.now

    def seconds_left() -> float:
        return math.inf if extent.time is None else extent.time - search.reserve - clock.elapsed

    return Job(
        epochs=extent.epochs,
        budget=extent.budget,
        sampler=sampler,
        rank=lambda outcome: scores.rank(now(outcome)),
        space=before.space,
        beats=lambda one, other: scores.beats(now(one), now(other)),
        overfitted=scores.overfitted,
        own=before.own_values,
        shape=shape,
        stopping=lambda: bool(clock.answer(lambda: float(is_stopping()), 0.0)),
        keep=search.keep,
        patience=search.patience,
        at_once=search.at_once or 1,
        now=now,
        scale=lambda: scores.objective.name,
        known=before.known,
        alternatives=before.alternatives,
        nets=nets,
        asks_anew=not isinstance(before.training, ScoresTogether),
        guide=search.guide,
        open=extent.is_open,
        seconds_left=lambda: clock.answer(seconds_left, math.inf),
    )
