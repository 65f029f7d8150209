"""The batches that one call of `run.batches` gives, counted as they are taken."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from gammatune.cost import Call, Meter, units
from gammatune.engine.batches import (
    Epoch,
    Loader,
    empty_loader,
    length_of,
    of_the_loader,
    refuse_endless,
    versions,
)
from gammatune.engine.hyperparameters import Hyperparameters
from gammatune.engine.loaders import Loaders
from gammatune.engine.lockstep import Lockstep
from gammatune.errors import NotRestorable
from gammatune.records import FLAT

SPOILT = (
    "the loop changed a batch of the list in place, so no other run would see it as it was; work on a copy "
    "(x = x * 2 instead of x *= 2), or give a DataLoader"
)


@dataclass(frozen=True, slots=True)
class _Plan:
    """epoch: one pass, as the loader says, None where its length need not be known. passes: at most so many.
    batches: in all of them, 0 where that is not known. leaves: after how many the loop body leaves, 0: it does not.
    epoch_batches: of an epoch that ends there. horizon: the batches after which the shape of the rates ends.
    """

    epoch: Epoch | None
    passes: int
    batches: int
    leaves: int
    epoch_batches: int
    horizon: int


class RunBatches:
    """One call of `run.batches`, charged to `meter`, its rates bent along the way."""

    def __init__(
        self,
        loader: Loader,
        epoch: int,
        meter: Meter,
        examples: Callable[[Any], int],
        *,
        loaders: Loaders,
        lockstep: Lockstep,
        hyperparameters: Hyperparameters,
    ) -> None:
        self._loaders, self._lockstep, self._hyperparameters = loaders, lockstep, hyperparameters
        self._loader, self._epoch, self._meter, self._examples = loader, epoch, meter, examples
        self._plan = self._planned()
        self._call = Call(self._plan.batches)
        meter.calls.append(self._call)
        self._trained = meter.trained  # before the first of them

    def __iter__(self) -> Iterator[Any]:
        """They end early when the rollout diverges or may use no more. What every step passes through stands here and
        in `paid`, in few calls: between two steps of a net nothing of it is left in the processor's caches."""
        meter, loaders, loader, plan, call = self._meter, self._loaders, self._loader, self._plan, self._call
        # a list's batches come again as they are; a loop that spoils them does so in its first pass
        watched = isinstance(loader, (list, tuple)) and id(loader) not in loaders.exhausted
        nth = loaders.next_pass(loader)
        hyperparameters, is_known = self._hyperparameters, plan.epoch is not None
        hyperparameters.look_ahead(is_last=False)
        batches, horizon = plan.batches, plan.horizon
        levels: list[float] = []  # of the rates in the batches to come, the next one last
        # of the batch that was taken last: examples, and the optimizer's steps then; batches before it without a step
        size = steps = idle = 0
        try:
            for ahead in range(plan.passes):
                if meter.ended:
                    break
                # after a whole pass the loader comes to its own end, which may draw random numbers
                started = done = call.batches
                whole = not batches if plan.epoch is None else batches - started >= plan.epoch.batches
                played = loaders.play(loader, self._epoch + ahead, nth, meter)
                for batch, size in paid(played, meter, self._examples, self._lockstep):
                    meter.trained += size
                    meter.batches += 1
                    if is_known and not levels:
                        levels = hyperparameters.levels(done, horizon)
                        if not levels:
                            hyperparameters.go_along((done + 0.5) / horizon, plan.epoch_batches)
                    if levels and (level := levels.pop()) != hyperparameters.bent:
                        hyperparameters.bend(level)
                    call.batches = done = done + 1
                    if done == horizon:
                        hyperparameters.look_ahead(is_last=True)
                    steps = meter.steps
                    before = versions(batch) if watched else None
                    yield batch
                    if meter.steps == steps:
                        idle += 1
                    if watched and versions(batch) != before:
                        raise NotRestorable(SPOILT)
                    if meter.diverged or (done == batches and not whole):
                        break
                if call.batches == started and not meter.ended:
                    raise empty_loader(loader)
                if whole:
                    loaders.exhausted.add(id(loader))
        except GeneratorExit:  # the loop body goes on without the rest
            self._leave(size, idle + 1 if meter.steps == steps else 0)
            raise
        self._end()

    def _planned(self) -> _Plan:
        meter, loaders, loader = self._meter, self._loaders, self._loader
        refuse_endless(loader, length_of(loader))
        passes = meter.length.passes
        # A loader drawn onto a tape is drawn ahead only where its length must be known: in a plain loop its
        # draws and the training's alternate.
        one = meter.length.most == 1  # a batch is one, however many an epoch has
        known = loaders.is_restorable(loader) or (passes is None and not one) or meter.shape != FLAT
        epoch = None
        if known:
            with of_the_loader(meter):
                epoch = self._lockstep.epoch_of_all(
                    partial(loaders.epoch_of, loader, self._epoch, self._examples)
                )
            if not epoch.batches:
                raise empty_loader(loader)
        # An epoch is as long as the loop body goes; how long it may be, only the loader says.
        leaves = meter.leaves_at(len(meter.calls))
        there = 0 if epoch is None else epoch.batches
        epoch_batches = min(leaves, there) or there
        if passes is None:
            batches = meter.length.batches(epoch_batches)
            passes = math.ceil(batches / there) if there else 1
        else:
            batches = passes * there
        return _Plan(epoch, passes, batches, leaves, epoch_batches, min(batches, leaves) or batches)

    def _leave(self, size: int, idle: int) -> None:
        """The loop body did not take the rest. size: examples in the batch taken last. idle: batches without a step,
        that one among them; 0 where it had one."""
        meter, call, plan = self._meter, self._call, self._plan
        if not meter.ended:  # else it raised
            if idle == 1 and call.batches > 1:
                # it has drawn one to see that it had enough
                call.batches -= 1
                meter.trained, meter.batches = meter.trained - size, meter.batches - 1
            call.left = 0 < call.batches < plan.batches
        if plan.epoch is not None:
            self._count_epoch(plan.epoch, plan.epoch_batches, call.batches if call.left else plan.leaves)

    def _end(self) -> None:
        meter, plan, done = self._meter, self._plan, self._call.batches
        if plan.epoch is None:
            if not meter.ended:
                meter.epoch_batches += done // plan.passes
                meter.epoch_examples += (meter.trained - self._trained) // plan.passes
        elif done > plan.leaves:  # to the end, whatever was believed
            self._count_epoch(plan.epoch, plan.epoch.batches, 0)
        else:
            self._count_epoch(plan.epoch, plan.epoch_batches, plan.leaves)
        if not meter.diverged and self._hyperparameters.diverged_at_last():
            meter.diverged = True
            meter.note = "the gradient was not finite near the end of the rollout"
        if not meter.told:
            self._lockstep.share(meter)

    def _count_epoch(self, epoch: Epoch, batches: int, leaves: int) -> None:
        """What an epoch has, told by so many batches of it and their examples. batches: along which the rate went.
        leaves: after which the loop body leaves it; 0: it does not."""
        meter, done = self._meter, self._call.batches
        seen = meter.trained - self._trained
        meter.epoch_batches += batches
        examples, of = (seen, done) if leaves and done else (epoch.examples(done, seen), epoch.batches)
        meter.epoch_examples += round(examples * (min(leaves, epoch.batches) or of) / of)


def paid(
    source: Iterable[Any], meter: Meter, examples: Callable[[Any], int], lockstep: Lockstep
) -> Iterator[tuple[Any, int]]:
    """The batches of a source, as far as every rank has one and the allowance goes, each with the number of its
    examples, those of all ranks together."""
    with of_the_loader(meter):
        batches = iter(source)
    is_alone = lockstep.is_alone
    evaluated, worth = 0, 0.0  # examples, and their units
    while True:
        try:  # as `drawn` does, in every step
            batch = next(batches)
        except StopIteration:
            break
        except Exception as error:
            meter.foreign = error
            raise
        size, now = examples(batch), meter.evaluated
        if not is_alone:
            size, now, ready = lockstep.share(meter, size, ready=True)
            if not ready:
                return
        if now != evaluated:
            evaluated, worth = now, units(0, now)
        if meter.trained + worth + size > meter.allowance:
            meter.cut = True
            meter.note = "the budget was spent before the rollout had ended"
            return
        yield batch, size
    lockstep.share(meter)
