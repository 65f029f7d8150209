"""What a trainer of Transformers trains on: its loader as passes, how long a course is, and how much it evaluates."""

from collections.abc import Iterator, Mapping, Sized
from itertools import islice
from typing import Any

from torch.utils.data import BatchSampler, DataLoader

from gammatune.engine.batches import length_of
from gammatune.integrations.callbacks import counted_course
from gammatune.records import StepCount

# Samplers whose order follows from torch's streams, or from seed and epoch.
TRUSTED = ("SequentialSampler", "RandomSampler", "SeedableRandomSampler", "LengthGroupedSampler")
ORDERS = 100_003  # what the epoch of a seeded sampler is moved by for another order; guess: more than any has


def length_of_course(trainer: Any, loader: Any) -> int | StepCount:
    args, steps = trainer.args, int(trainer.args.max_steps)
    if steps <= 0:
        return int(args.num_train_epochs)
    by_step = getattr(args.eval_strategy, "value", args.eval_strategy) == "steps"
    every = int(trainer.state.eval_steps) if by_step else None
    accumulated = args.gradient_accumulation_steps
    return counted_course(steps, every, batches=length_of(loader), accumulated=accumulated)


def batches_of(trainer: Any, loader: Any) -> Any:
    sampler = getattr(loader, "batch_sampler", None)
    again = (
        isinstance(loader, DataLoader)
        and type(sampler) is BatchSampler
        and type(sampler.sampler).__name__ in TRUSTED
        and not loader.persistent_workers
    )
    return _Again(loader) if again else _Drawn(loader)


class _Drawn:
    """A pass over the trainer's loader in the order of an epoch, as it takes it: never asking for one batch more."""

    def __init__(self, loader: Any) -> None:
        self.source, self.epoch = loader, 0

    def __len__(self) -> int:
        return len(self.source)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[Any]:
        return _drawn(self.source, self.epoch)


class _Again(DataLoader[Any]):
    """The same, known to the engine as one that can be drawn again."""

    def __init__(self, loader: Any) -> None:
        sampler = loader.batch_sampler
        super().__init__(loader.dataset, batch_size=sampler.batch_size, drop_last=sampler.drop_last)
        self.source, self.epoch = loader, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Any:
        return _drawn(self.source, self.epoch)


def _drawn(loader: Any, epoch: int) -> Iterator[Any]:
    if hasattr(loader, "set_epoch"):
        loader.set_epoch(epoch)
    length = length_of(loader)
    return iter(loader) if length is None else islice(iter(loader), length)


class Pass:
    """The next batches of a run, as the trainer's epoch asks for them."""

    def __init__(self, batches: Iterator[Any], loader: Any, trainer: Any, order: int) -> None:
        self._batches, self._loader, self._trainer, self._order = batches, loader, trainer, order

    def set_epoch(self, epoch: int) -> None:
        self._loader.epoch = epoch + self._order * ORDERS

    def __iter__(self) -> "Pass":
        return self

    def __next__(self) -> Any:
        try:
            return next(self._batches)
        except StopIteration:  # it diverged, or the budget is spent
            self._trainer.control.should_epoch_stop = True
            raise


def examples_of(data: Any) -> int:
    if isinstance(data, Mapping):
        return sum(map(examples_of, data.values()))
    return len(data) if isinstance(data, Sized) else 0
