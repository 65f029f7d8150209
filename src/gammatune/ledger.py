"""What a training cost, counted in examples.

A training example (forward and backward) counts 1, a forward-only example 1/3: a backward pass costs about
two forward ones (guess, the usual rule of thumb). A *plain run* is the given epochs of training with one
validation pass each; cost is quoted as a multiple of that, seconds beside it.
"""

from dataclasses import dataclass

from gammatune.records import Outcome

FORWARD_ONLY = 1 / 3


@dataclass(slots=True)
class Meter:
    """The running count of one rollout.

    diverged: set by whoever notices; it stays. infeasible: out of memory. note: why, in words.
    """

    trained: int = 0  # examples
    evaluated: int = 0  # examples
    steps: int = 0  # optimizer steps
    diverged: bool = False
    infeasible: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """Compute spent: examples, the multiple of a plain run they make, and seconds.

    plain_runs, plain_epochs are None until one rollout has run a whole epoch (only then is the length of a
    plain epoch known).
    """

    trained: int
    evaluated: int
    seconds: float
    plain_runs: float | None
    plain_epochs: float | None

    @property
    def units(self) -> float:
        """Examples, forward-only ones counted at a third."""
        return self.trained + FORWARD_ONLY * self.evaluated

    def __str__(self) -> str:
        if self.plain_runs is None or self.plain_epochs is None:
            return f"{self.units:,.0f} examples in {self.seconds:.1f} s"
        return f"{self.plain_runs:.2f} x a plain run ({self.plain_epochs:.1f} plain epochs) in {self.seconds:.1f} s"


class Ledger:
    """Adds up the outcomes of a run of `epochs` epochs."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._trained = 0
        self._evaluated = 0
        self._seconds = 0.0
        self._plain_epoch: float | None = None  # units

    def charge(self, outcome: Outcome) -> None:
        self._trained += outcome.trained
        self._evaluated += outcome.evaluated
        self._seconds += outcome.seconds
        if self._plain_epoch is None and outcome.ok:
            self._plain_epoch = outcome.trained + FORWARD_ONLY * outcome.evaluated

    @property
    def cost(self) -> Cost:
        units = self._trained + FORWARD_ONLY * self._evaluated
        epochs = units / self._plain_epoch if self._plain_epoch else None
        runs = epochs / self._epochs if epochs is not None else None
        return Cost(self._trained, self._evaluated, self._seconds, runs, epochs)
