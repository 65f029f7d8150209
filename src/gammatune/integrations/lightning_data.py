"""What Lightning trains on: its loader as passes, how long a course is, and how much a validation takes."""

from collections.abc import Iterator, Sized
from itertools import islice
from typing import Any

from torch.utils.data import DataLoader

from gammatune.engine.batches import length_of, restorable
from gammatune.engine.forks.streams import StreamStates
from gammatune.errors import InvalidArgument
from gammatune.integrations.callbacks import counted_course
from gammatune.integrations.loaders import passes
from gammatune.records import StepCount


def length_of_course(trainer: Any) -> int | StepCount:
    if trainer.max_steps == -1:
        return int(trainer.max_epochs)
    accumulated, given = trainer.accumulate_grad_batches, trainer.val_check_interval
    by_batch = isinstance(given, int) and trainer.check_val_every_n_epoch is None
    every = max(1, given // accumulated) if by_batch else None
    batches = length_of(trainer.train_dataloader)
    return counted_course(trainer.max_steps, every, batches=batches, accumulated=accumulated)


def batches_of(trainer: Any) -> Any:
    """The trainer's training loader, drawn from as Lightning does."""
    loader = trainer.train_dataloader
    is_one = hasattr(loader, "__iter__") and not isinstance(loader, (dict, list, tuple))
    if not is_one or (trainer.fit_loop.max_batches == float("inf") and trainer.max_steps == -1):
        raise InvalidArgument(
            f"the training data are a {type(loader).__name__}; give one loader that has a length (not a "
            "collection of loaders, nor an iterable data set without __len__)"
        )
    again = isinstance(loader, DataLoader) and loader.batch_sampler is not None and restorable(loader)
    return passes(_begun, loader, trainer, inner=loader if again else None)


def _begun(loader: Any, trainer: Any) -> Iterator[Any]:
    """A pass takes as many batches as the loader has, and never asks for one more, as Lightning's.

    Lightning makes the iterator of the first pass when it sets up the data, so that the random number this draws
    has been drawn before.
    """
    generator = getattr(loader, "generator", None)
    before = StreamStates([] if generator is None else [generator])
    batches = iter(loader)
    if not trainer.fit_loop.epoch_loop.batch_progress.total.ready:
        before.restore()
    length = length_of(loader)
    return batches if length is None else islice(batches, length)


def examples_of(trainer: Any) -> int:
    """How many a validation takes."""
    val_loop = trainer.fit_loop.epoch_loop.val_loop
    val_loop.setup_data()
    total = 0
    for loader, batches in zip(val_loop._combined_loader.flattened, val_loop._max_batches, strict=True):
        size = getattr(loader, "batch_size", None) or 1
        data = getattr(loader, "dataset", None)
        held = len(data) if isinstance(data, Sized) else batches * size
        total += int(min(batches * size, held))
    return total
