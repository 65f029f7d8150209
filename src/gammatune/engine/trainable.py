"""What the tuner needs of a training, and why.

`Forkable` is enough where the user writes the loop: the tuner only has to go back in time and to set values.
`Trainable` can also be driven: the tuner says "train so far", "score yourself". `Storable` forks outlive the
process: a run that can be resumed needs them. All are free of torch, so that policies and the tuner are tested with
a fake in milliseconds (`gammatune.testing.fakes`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from gammatune.cost import Meter
from gammatune.records import Metrics, Values

Where: TypeAlias = Literal["auto", "device", "host"]  # copies of a training are held (`engine.device_memory`)


class Forkable(Protocol):
    """A training that can be put back to where it was.

    The law of forks: restore first, then apply, then read back. After `restore(f)` everything that can
    influence the rest of the training is what it was at `capture(f)`, to the bit on a CPU.
    """

    def capture(self, fork: str) -> None:
        """Keep the present state under this name, in the buffers of an earlier fork of the name."""

    def restore(self, fork: str) -> None:
        """Put the captured state back, in place."""

    def apply(self, values: Values, meter: Meter) -> None:
        """Set hyperparameters, read them back, and charge what follows to `meter`, which holds its plan.

        Raises ConflictingControl where a value does not stay.
        """

    def reorder(self, seed: int, *names: int) -> None:
        """Start every random stream anew from `seed` and `names`: other data order, other dropout."""

    def pool(self, name: str, count: int) -> None:
        """Take weights, buffers and optimizer state into the mean of that name, as its `count`-th member."""

    def average(self, name: str) -> None:
        """Put that mean in their place, and forget it. What is no real number stays as it is."""

    def close(self) -> None:
        """Let go of the training: hooks removed, forks freed; the state stays as it is."""


class Trainable(Forkable, Protocol):
    """A training that can also be driven."""

    def advance(self, epoch: int, values: Values, meter: Meter) -> None:
        """Train as far as `meter.length` says, the learning rate multiplied by `meter.shape` on the way,
        counting into `meter`; stop within the step where it diverges or would pass `meter.allowance`."""

    def evaluate(self, meter: Meter) -> Metrics:
        """Score the present weights on the selection data, leaving modes as they were."""


class Joinable(Trainable, Protocol):
    """A training of which several nets can be made, kept, and asked together."""

    def renew(self, seed: int, net: int) -> None:
        """Put the initial weights of another net in the place of the present ones, drawn from `seed` and `net`;
        where no other can be made, leave them."""

    def join(self, net: int) -> str | None:
        """Keep the present weights as those of a net; the checksum of the file they are in, None where no other
        process will find one."""

    def rejoin(self, net: int, checksum: str) -> bool:
        """Take up the weights that another process kept; False where they are gone or damaged."""

    def hear(self, net: int, meter: Meter) -> None:
        """Note what a net that was kept says of the selection data. The training stands elsewhere afterwards."""

    def together(self, nets: Sequence[int]) -> Metrics:
        """Score the averaged predictions of nets that were heard. Of a training that cannot score itself `ask`
        instead."""

    def ask(self, nets: Sequence[int]) -> None:
        """From now on an evaluation hears the averaged predictions of nets that were kept; of none: the model."""


class Storable(Forkable, Protocol):
    """A training whose forks can be put on disk, and read by another process that has built the same training anew.

    After `load` everything that can influence the rest of the training is what it was at the fork, to the bit on a
    CPU, as after `restore`. A file is no fork: who wants to come back to it again captures one.
    """

    def save(self, fork: str, path: Path) -> str:
        """Write a fork, whole or not at all, and return the checksum that `load` will ask for.

        The training itself is not moved. Raises NotRestorable where the fork holds what a file cannot, OSError as
        it comes.
        """

    def load(self, path: Path, checksum: str) -> None:
        """Put the training where the fork in the file stood; nothing has moved where this raises.

        Raises DamagedCheckpoint where the file is missing, is not the one that was written or cannot be read, and
        InvalidArgument where this training is not made as that one was.
        """

    def structure(self) -> dict[str, str]:
        """What the training is made of, in words: equal in every process for equal classes, names, shapes, dtypes."""

    def digest(self, fork: str) -> str:
        """A checksum of all that a fork holds, but for the random streams that a whole process shares.

        Equal in every process for equal numbers, so that it tells whether a training begins as another one did.
        """
