"""What the tuner needs of a training, and why.

Two protocols. `Forkable` is enough where the user writes the loop: the tuner only has to go back in time and
to set values. `Trainable` can also be driven: the tuner says "train one epoch", "score yourself". Both are
free of torch, so that policies and the tuner are tested with a fake in milliseconds
(`gammatune.testing.fakes`).
"""

from typing import Protocol

from gammatune.ledger import Meter
from gammatune.records import Metrics, Values


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
        """Set hyperparameters, read them back, and charge what follows to `meter`.

        Raises ConflictingControl where a value does not stay.
        """

    def close(self) -> None:
        """Let go of the training: hooks removed, forks freed; the state stays as it is."""


class Trainable(Forkable, Protocol):
    """A training that can also be driven."""

    def advance(self, epoch: int, values: Values, meter: Meter) -> None:
        """Train one epoch, counting into `meter`; stop within the step where it diverges."""

    def evaluate(self, meter: Meter) -> Metrics:
        """Score the present weights on the selection data, leaving modes as they were."""
