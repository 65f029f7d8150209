"""The batches that one call of `run.batches` gives where steps of the optimizer are counted, and not epochs."""

from collections.abc import Callable, Iterator
from typing import Any

from gammatune.cost import Call, Meter
from gammatune.engine.hyperparameters import Hyperparameters
from gammatune.engine.lockstep import Lockstep
from gammatune.engine.recorded_stream import Reel
from gammatune.engine.run_batches import paid
from gammatune.errors import InvalidArgument
from gammatune.records import StepCount

IDLE = 4096  # batches without a step; guess: of an accumulation of gradients, as large as one is made


class RunSteps:
    """One call of `run.batches`: from where the training stands, until so many steps have been taken, however many
    batches that is. The rate is bent from step to step, and stands still while gradients accumulate.

    What `RunBatches` counts in batches is counted in steps here: an epoch has `steps.every` of them.
    """

    def __init__(
        self,
        reel: Reel,
        epoch: int,
        meter: Meter,
        examples: Callable[[Any], int],
        *,
        steps: StepCount,
        lockstep: Lockstep,
        hyperparameters: Hyperparameters,
    ) -> None:
        self._reel, self._epoch, self._meter, self._examples = reel, epoch, meter, examples
        self._lockstep, self._hyperparameters = lockstep, hyperparameters
        whole = steps.in_epoch(epoch)
        self._leaves = meter.leaves_at(len(meter.calls))  # after how many steps the loop body does
        self._of_epoch = min(self._leaves, whole) or whole
        self._planned = meter.length.batches(self._of_epoch)
        self._call = Call(self._planned)
        meter.calls.append(self._call)
        self._batches, self._trained = meter.batches, meter.trained  # before the first of them
        self._first = hyperparameters.steps

    def __iter__(self) -> Iterator[Any]:
        """They end early when the rollout diverges or may use no more."""
        meter = self._meter
        self._first = self._hyperparameters.steps  # of calls that go on beside each other, each counts all
        horizon = min(self._planned, self._leaves) or self._planned
        self._hyperparameters.look_ahead(is_last=False)
        try:
            for batch, size in paid(self._source(), meter, self._examples, self._lockstep):
                meter.trained += size
                meter.batches = self._batches + self._done + 1
                self._hyperparameters.go_along((self._done + 0.5) / horizon, self._of_epoch)
                if self._done + 1 == horizon:
                    self._hyperparameters.look_ahead(is_last=True)
                yield batch
                if meter.diverged:
                    break
        except GeneratorExit:  # the loop body goes on without the rest
            self._count()
            self._call.left = not meter.ended and 0 < self._done < self._planned
            raise
        self._count()
        if not meter.diverged and self._hyperparameters.diverged_at_last():
            meter.diverged = True
            meter.note = "the gradient was not finite near the end of the rollout"
        if not meter.told:
            self._lockstep.share(meter)

    @property
    def _done(self) -> int:
        """Steps taken since the first batch."""
        return self._hyperparameters.steps - self._first

    def _source(self) -> Iterator[Any]:
        idle, before = 0, self._done
        for batch in self._reel.play(self._epoch, self._meter.order, course=self._meter.course):
            yield batch
            idle = 0 if self._done > before else idle + 1
            before = self._done
            if self._done >= self._planned or self._meter.ended:
                return
            if idle >= IDLE:
                raise InvalidArgument(
                    f"the loop body took {IDLE:,} batches without a step of the optimizer, and steps= counts these: "
                    "call optimizer.step() in it, or count in epochs (epochs=)"
                )

    def _count(self) -> None:
        meter, done = self._meter, self._done
        meter.batches = self._batches + done
        self._call.batches = done
        if done:
            meter.epoch_batches += self._of_epoch
            meter.epoch_examples += round((meter.trained - self._trained) * self._of_epoch / done)
