"""Ranks that pass over their loaders in step: a batch is taken where all have one, and a run ends for all at once."""

import warnings
from collections.abc import Callable

from gammatune.cost import Meter
from gammatune.engine.batches import Epoch
from gammatune.engine.ranks import Ranks


class Lockstep:
    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self.is_alone = ranks.world == 1
        self._warned = False

    def share(
        self, meter: Meter, size: int = 0, *, ready: bool = False, patience: float | None = None
    ) -> tuple[int, int, bool]:
        """What all ranks know before a batch: the examples in it, those evaluated so far, and whether all have one.
        Where the run is over for one of them it is for all."""
        world = self._ranks.world
        if world == 1:
            return size, meter.evaluated, ready
        there, total, evaluated, diverged, infeasible = self._ranks.sum(
            "takes a batch",
            *(ready, size, meter.evaluated, meter.diverged, meter.infeasible),
            patience=patience,
        )
        if diverged or infeasible:
            meter.told = True
            if not meter.ended:
                meter.note = f"of {world} ranks " + (
                    f"{infeasible:.0f} had no memory left"
                    if infeasible
                    else f"{diverged:.0f} had a gradient that was not finite"
                )
            meter.diverged |= diverged > 0
            meter.infeasible |= infeasible > 0
        elif 0 < there < world:
            self._warn_uneven()
        return int(total), int(evaluated), there == world and not meter.told

    def epoch_of_all(self, measure: Callable[[], Epoch]) -> Epoch:
        """The epoch of all ranks together, which ends with the shortest."""
        epochs = self._ranks.each("begins to pass over a loader", measure)
        batches = min(epoch.batches for epoch in epochs)
        if any(epoch.batches > batches for epoch in epochs):
            self._warn_uneven()
        return Epoch(
            batches,
            sum(epoch.first(batches) for epoch in epochs),
            None if any(epoch.size is None for epoch in epochs) else sum(epoch.size or 0 for epoch in epochs),
        )

    def _warn_uneven(self) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                "the ranks have not the same number of batches: an epoch ends with the shortest. A "
                "DistributedSampler gives all as many",
                stacklevel=6,
            )
