"""What the tuner needs of a training, and why: small protocols, each whole.

`Forkable` is enough where the user writes the loop: the tuner only has to go back in time and to set values.
`Trainable` can also be driven: the tuner says "train so far", "score yourself". `Storable` forks outlive the
process: a run that can be resumed needs them. The others are each for one thing more, and what a training lacks is
done without: the tuner asks `isinstance`. All are free of torch, so that policies and the tuner are tested with
a fake in milliseconds (`gammatune.testing.fakes`).
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from gammatune.cost import Meter
from gammatune.records import Alternative, Known, Metrics, StepCount, Values
from gammatune.schedules import ScheduleName

# copies of a training are held (`engine.device_memory`)
Where: TypeAlias = Literal["auto", "device", "host", "disk"]
TAPE_BYTES = 2**30  # of batches that are kept; guess: what a workstation can spare


@runtime_checkable
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


@runtime_checkable
class Frees(Protocol):
    def forget(self, fork: str) -> None:
        """Nobody comes back to that fork: what it holds is freed."""


@runtime_checkable
class Trainable(Forkable, Protocol):
    """A training that can also be driven."""

    def advance(self, epoch: int, values: Values, meter: Meter) -> None:
        """Train as far as `meter.length` says, the learning rate multiplied by `meter.shape` on the way,
        counting into `meter`; stop within the step where it diverges or would pass `meter.allowance`."""

    def evaluate(self, meter: Meter) -> Metrics:
        """Score the present weights on the selection data, leaving modes as they were."""


@runtime_checkable
class Joinable(Protocol):
    """A training of which several nets can be made and kept."""

    def renew(self, seed: int, net: int) -> None:
        """Put the initial weights of another net in the place of the present ones, drawn from `seed` and `net`;
        where no other can be made, leave them."""

    def join(self, net: int) -> str | None:
        """Keep the present weights as those of a net; the checksum of the file they are in, None where no other
        process will find one."""

    def rejoin(self, net: int, checksum: str) -> bool:
        """Take up the weights that another process kept; False where they are gone or damaged."""


@runtime_checkable
class ScoresTogether(Joinable, Protocol):
    """Nets that were kept can be scored together by the training itself."""

    def hear(self, net: int, meter: Meter) -> None:
        """Note what a net that was kept says of the selection data. The training stands elsewhere afterwards."""

    def together(self, nets: Sequence[int]) -> Metrics:
        """Score the averaged predictions of nets that were heard."""


class AnswersTogether(Joinable, Protocol):
    """Nets that were kept can be scored together by who wrote the loop."""

    def ask(self, nets: Sequence[int]) -> None:
        """From now on an evaluation hears the averaged predictions of nets that were kept; of none: the model."""


@runtime_checkable
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


# What a training tells of itself before it begins ---------------------------------------------------------


@runtime_checkable
class HasOwn(Protocol):
    def own(self, names: Sequence[str]) -> Values:
        """What the optimizer came with, of those of `names` that it has."""


@runtime_checkable
class Knows(Protocol):
    def known(self) -> Known:
        """What a prior on the learning rate asks of it."""


@runtime_checkable
class HasAlternatives(Protocol):
    def alternatives(self, names: Sequence[str]) -> tuple[Alternative, ...]:
        """The optimizers to choose from, with what each came with of `names`; none where there is one."""


@runtime_checkable
class Advises(Protocol):
    """It says how it wants to be trained where nobody else has said so."""

    @property
    def base_schedule(self) -> ScheduleName:
        """What its optimizer wants the learning rate multiplied by along the course."""

    @property
    def rate_is_own(self) -> bool:
        """The user chose the rate that the optimizer comes with."""

    @property
    def said(self) -> Sequence[str]:
        """What was chosen, in sentences."""


@runtime_checkable
class CountsSteps(Protocol):
    @property
    def steps(self) -> StepCount | None:
        """How its runs are counted in steps of the optimizer; None: in epochs."""


@runtime_checkable
class HasDigest(Protocol):
    def weights_digest(self) -> str:
        """A checksum of the parameters, which processes that train one model have alike."""


@dataclass(frozen=True, slots=True)
class Roots:
    """The objects that a training is made of.

    models, optimizers, state: what forks put back. others: what else takes part, by name. apart: whom nobody is to
    look into, since they only look on."""

    models: Sequence[Any]
    optimizers: Sequence[Any]
    state: Sequence[Any]
    others: Mapping[str, Any] = field(default_factory=dict)
    apart: Sequence[Any] = ()


@runtime_checkable
class Reachable(Protocol):
    """It can be looked into, so that what its forks would miss is found before it begins (`engine.doctor.twice`)."""

    def roots(self) -> Roots:
        """What it is made of, as far as it is known by now."""


# While it is trained --------------------------------------------------------------------------------------


@runtime_checkable
class Guards(Protocol):
    """It can tell what is a candidate's fault, and tidies up behind it."""

    def attempting(self, meter: Meter) -> AbstractContextManager[None]:
        """Within, what a candidate alone may cause is noted in `meter` instead of raised."""

    def end_run(self, meter: Meter, error: Exception) -> None:
        """A candidate has raised: let go of what the step held."""

    def refuse_changed(self) -> None:
        """Raises ConflictingControl where a value that was set does not stand any more."""


@runtime_checkable
class KeepsBatches(Protocol):
    def forget_before(self, epoch: int) -> None:
        """The course has passed this point: drop the batches kept for rollouts before it."""
