"""Several processes that train one model together, as the rest of the house sees them.

A *rank* is one of `world` processes, counted from 0, that run the same script over their own shares of the data.
Rank 0 decides; the others are told, and every rank takes the same way through its program, since each waits for all.
`engine/process_group.py` is made of torch.distributed; a process that trains alone is a `Single`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, TypeVar

from gammatune.errors import RankFailed

T = TypeVar("T")

# What a rank is about when it waits for the others: in step all are about the same.
Step: TypeAlias = Literal[
    "begins the run",
    "asks what comes next",
    "begins to pass over a loader",
    "takes a batch",
    "evaluates",
    "reports",
    "writes a checkpoint",
    "reads a checkpoint",
    "leaves the loop",
]


class Ranks(Protocol):
    """The processes of one training, this one among them. step: for the message where they are not in step.

    Each call waits for all ranks. Raises RankFailed where one has ended or does something else.
    """

    @property
    def rank(self) -> int:
        """Which one this is, from 0."""

    @property
    def world(self) -> int:
        """How many there are."""

    def agree(self, step: Step, decide: Callable[[], T]) -> T:
        """What `decide` answers on rank 0, where alone it is called, on every rank; what it raises, too."""

    def each(self, step: Step, act: Callable[[], T]) -> list[T]:
        """What `act` answers on every rank, by rank. Where it raises on one, it does on all."""

    def sum(self, step: Step, *numbers: float, patience: float | None = None) -> Sequence[float]:
        """Sums over the ranks, of at most `MOST` numbers; cheap enough for every batch.

        patience: seconds to wait for the others. Raises TimeoutError where they do not come in that time.
        """

    def fault(self, error: BaseException, *, infeasible: bool = False) -> RankFailed | None:
        """Of the error with which this rank ends the run: what ended it elsewhere, where it comes of that. Else
        the others are told of it. infeasible: memory ran out."""


MOST = 5  # numbers that `Ranks.sum` takes
PATIENCE = 10.0  # seconds that a rank which ends before the others waits for them to do the same (guess)


def beside(path: Path, rank: int) -> Path:
    """The file of a rank where rank 0 has `path`: state-3.pt, state-3.rank1.pt, ..."""
    return path if rank == 0 else path.with_name(f"{path.stem}.rank{rank}{path.suffix}")


class Single:
    """A process that trains alone: it agrees with itself."""

    rank = 0
    world = 1

    def agree(self, step: Step, decide: Callable[[], T]) -> T:
        return decide()

    def each(self, step: Step, act: Callable[[], T]) -> list[T]:
        return [act()]

    def sum(self, step: Step, *numbers: float, patience: float | None = None) -> Sequence[float]:
        return numbers

    def fault(self, error: BaseException, *, infeasible: bool = False) -> RankFailed | None:
        return None


SINGLE = Single()
