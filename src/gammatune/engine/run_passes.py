"""What one call of `run.batches` gives: counted in batches or in steps, on the terms of whoever made the loader."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from gammatune.cost import Meter
from gammatune.engine.batches import Loader
from gammatune.engine.hyperparameters import Hyperparameters
from gammatune.engine.loaders import Loaders
from gammatune.engine.lockstep import Lockstep
from gammatune.engine.prepared import counters_in
from gammatune.engine.prepared_loaders import AcceleratedLoader, unprepared
from gammatune.engine.run_batches import RunBatches
from gammatune.engine.run_steps import RunSteps
from gammatune.records import StepCount


def batches_of(
    loader: Loader,
    epoch: int,
    meter: Meter,
    examples: Callable[[Any], int],
    *,
    extras: Sequence[Any],
    steps: StepCount | None,
    loaders: Loaders,
    lockstep: Lockstep,
    hyperparameters: Hyperparameters,
) -> Iterator[Any]:
    """extras: what was handed in as state. steps: where these are counted."""

    def given(examples: Callable[[Any], int]) -> Iterator[Any]:
        run = (
            partial(RunBatches, loader, loaders=loaders)
            if steps is None
            else partial(RunSteps, loaders.reel_of(loader), steps=steps)
        )
        return iter(run(epoch, meter, examples, lockstep=lockstep, hyperparameters=hyperparameters))

    if isinstance(loader, AcceleratedLoader):
        return _shown(loader.shown, given(lambda marked: examples(marked[0])))
    if counters := counters_in(extras):
        return _shown(lambda batches: unprepared(batches, counters[0]), given(examples))
    return given(examples)


def _shown(show: Callable[[Iterator[Any]], Iterator[Any]], batches: Any) -> Iterator[Any]:
    with closing(batches):
        yield from show(batches)
