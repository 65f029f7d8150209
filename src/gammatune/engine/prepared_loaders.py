"""Loaders that accelerate and Lightning Fabric have prepared, passed over as they pass over them.

Where a pass ends is part of what accelerate trains by: in the last batch gradients that accumulate become a step. So
every batch is drawn together with where its loader stood, and whoever is handed it again, from memory or after a
rollout, finds the loader standing there.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from gammatune.engine.batches import Wrapped, samplers_of
from gammatune.engine.prepared import (
    FABRIC,
    AcceleratorCounters,
    counters_in,
    is_a,
    is_of_accelerate,
    passes_over,
    without_accelerator,
)
from gammatune.errors import InvalidArgument

SAMPLERS = "accelerate.data_loader"
# a batch, whether it is the last of its pass, `remainder` as accelerate has it, and the number of the pass
Marked: TypeAlias = tuple[Any, bool, int, int]
# What a loader of accelerate's keeps of the pass it is in, while here several may be under way.
OF_A_PASS = "end_of_dataloader", "remainder", "iteration", "_stop_iteration"


class AcceleratedLoader(Wrapped):
    """A loader of accelerate's. It gives `Marked` batches, of which `shown` makes the batches of the loop."""

    counts_passes = True

    def __init__(self, loader: Any, counters: AcceleratorCounters) -> None:
        super().__init__(loader.base_dataloader)
        # their order follows from the number of the pass, and from what they share out
        self.trusted = tuple(
            sampler
            for sampler in samplers_of(self.inner)
            if is_a(sampler, "SeedableRandomSampler", SAMPLERS)
            or is_a(sampler, "BatchSamplerShard", SAMPLERS)
        )
        self._loader, self._first = loader, counters.first(loader)
        self._state = counters.accelerator.gradient_state
        # accelerate tells a data set which pass it is, and it cannot be in two
        self.is_single |= hasattr(self.inner.dataset, "set_epoch")

    def set_epoch(self, epoch: int) -> None:
        self._loader.iteration = self._first + epoch

    def __iter__(self) -> Iterator[Marked]:
        loader, state = self._loader, self._state
        number, batches = loader.iteration, iter(loader)
        own: dict[str, Any] = {}
        while True:
            outside = {name: getattr(loader, name) for name in OF_A_PASS if hasattr(loader, name)}
            active = state.dataloader_references
            vars(loader).update(own)
            try:
                batch = next(batches)
            except StopIteration:
                return
            finally:  # drawn, it is not trained with yet
                own = {name: getattr(loader, name) for name in OF_A_PASS if hasattr(loader, name)}
                vars(loader).update(outside)
                state.dataloader_references = active
            yield batch, bool(own["end_of_dataloader"]), int(own["remainder"]), number

    def shown(self, given: Iterator[Marked]) -> Iterator[Any]:
        """The batches, within each of which the loader stands as when it was drawn. Left early, it stands within its
        pass, as one that a plain loop leaves."""
        loader, state = self._loader, self._state
        for batch, is_last, remainder, number in given:
            if state.active_dataloader is not loader:
                state._add_dataloader(loader)
            loader.end_of_dataloader, loader.remainder, loader.iteration = is_last, remainder, number
            yield batch
            if is_last:
                loader.iteration = number + 1
                state._remove_dataloader(loader)


class FabricLoader(Wrapped):
    """A loader of Fabric's, which tells its samplers how often it was passed over."""

    def __init__(self, loader: Any) -> None:
        super().__init__(loader._dataloader)
        self._loader, self._first = loader, loader._num_iter_calls

    def set_epoch(self, epoch: int) -> None:
        self._loader._num_iter_calls = self._first + epoch

    def __iter__(self) -> Iterator[Any]:
        return iter(self._loader)


def prepared_loader(given: Any, extras: Sequence[Any]) -> Wrapped | None:
    """A loader that another library has prepared, as the engine passes over it; None: it is none.

    extras: what was handed in as state. Raises InvalidArgument at one of accelerate's whose Accelerator is not there.
    """
    if is_a(given, "_FabricDataLoader", *FABRIC):
        return FabricLoader(given)
    if not is_of_accelerate(given):
        return None
    what = f"what run.batches was given, a {type(given).__name__},"
    counters = counters_in(extras)
    if not counters:
        raise without_accelerator(what)
    owner = next((each for each in counters if each.knows(given)), None)
    if owner is None or not hasattr(given, "base_dataloader"):
        raise InvalidArgument(
            f"{what} is not what the Accelerator in state=[...] has prepared: give the loader as accelerator.prepare "
            "returned it (a run that was interrupted goes on by itself with run_dir=, without skip_first_batches)"
        )
    return AcceleratedLoader(given, owner)


def unprepared(given: Iterator[Any], counters: AcceleratorCounters) -> Iterator[Any]:
    """Batches that come from no loader of accelerate's. Raises InvalidArgument where they do after all."""
    accelerator = counters.accelerator

    def passed_over() -> tuple[int, list[int]]:
        passes = [passes_over(loader) for loader in accelerator._dataloaders]
        return len(accelerator.gradient_state.dataloader_references), passes

    while True:
        before = passed_over()
        try:
            batch = next(given)
        except StopIteration:
            return
        if passed_over() != before:
            raise InvalidArgument(
                "what run.batches was given takes its batches from a loader that accelerate has prepared, whose end "
                "would not be known when they come again: give that loader itself, and wrap what comes of it, "
                "tqdm(run.batches(loader))"
            )
        yield batch
