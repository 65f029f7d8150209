"""What to do where memory runs out: a batch size that did not fit is an upper bound on all that follow."""

from gammatune.errors import AllDiverged
from gammatune.policy.job import Job
from gammatune.records import Length, Outcome, Values
from gammatune.space import BATCH_SIZE, Choice, Dimension, Float, Space


def below(space: Space, size: int) -> Space | None:
    """The space with batch sizes below one that did not fit; None where it has none."""
    if BATCH_SIZE not in space.names:
        return None
    dimension = space[BATCH_SIZE]
    assert not isinstance(dimension, Float)
    left: Dimension
    if isinstance(dimension, Choice):
        options = tuple(option for option in dimension.options if int(option) < size)
        if not options:
            return None
        left = Choice(options)
    else:
        if dimension.low >= size:
            return None
        left = (
            type(dimension)(dimension.low, size - 1, dimension.log)
            if dimension.low < size - 1
            else Choice((dimension.low,))
        )
    return Space({name: left if name == BATCH_SIZE else space[name] for name in space.names})


def largest(space: Space) -> int:
    dimension = space[BATCH_SIZE]
    assert not isinstance(dimension, Float)
    return max(map(int, dimension.options)) if isinstance(dimension, Choice) else dimension.high


def size_of(values: Values) -> int | None:
    size = values.get(BATCH_SIZE)
    return size if isinstance(size, int) else None


def fit_in(space: Space, values: Values, outcome: Outcome) -> tuple[Space, Values]:
    """The space and the values with the largest batch size below that of an outcome that ran out of memory.

    Raises AllDiverged where no batch size is searched, or none is smaller.
    """
    size = size_of(outcome.values)
    smaller = None if size is None else below(space, size)
    if smaller is None:
        raise AllDiverged(
            f"{outcome.note or 'out of memory'}, in epoch {outcome.epoch + 1}, and nothing searched needs less. The "
            "weights are at the last commit. "
            + (
                "Lower the batch size, or search it: batch_size=8,16,32"
                if size is None
                else f"Let the search begin below a batch size of {size}"
            )
        )
    return smaller, {**values, BATCH_SIZE: largest(smaller)}


def equal_samples(job: Job, batches: int, epoch_batches: int) -> Length:
    """A rollout of so many batches of the optimizer's own size: of another size as many examples, not batches."""
    if BATCH_SIZE in job.space.names:
        return Length(batches / epoch_batches)
    return Length(0.0, batches, batches)
