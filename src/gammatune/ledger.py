"""What a training cost, counted in examples.

A training example (forward and backward) counts 1, a forward-only example 1/3: a backward pass costs about
two forward ones (guess, the usual rule of thumb). A *plain run* is the given epochs of training with one
validation pass each; cost is quoted as a multiple of that, seconds beside it.
"""

import math
from dataclasses import dataclass

from gammatune.records import EPOCH, FLAT, Length, Outcome, Shape

FORWARD_ONLY = 1 / 3


@dataclass(slots=True)
class Meter:
    """The plan of one rollout, and its running count.

    length, shape, order: see `records.Rollout`. allowance: the units it may use, a ceiling looked at before
    every batch.
    fresh: the course has passed these epochs, and what was kept of their batches is gone: they are drawn anew.
    diverged: set by whoever notices; it stays. infeasible: out of memory. cut: the allowance ended it.
    told: every rank knows that it has ended. foreign: an error that no candidate can have caused, since it came from
    a loader, from those who look on, or of want of memory.
    note: why, in words. epoch_batches, epoch_examples: what an epoch of the loader has; 0 until it was seen.
    """

    length: Length = EPOCH
    shape: Shape = FLAT
    order: int = 0
    fresh: bool = False
    allowance: float = math.inf  # units
    trained: int = 0  # examples
    evaluated: int = 0  # examples
    batches: int = 0
    steps: int = 0  # optimizer steps
    epoch_batches: int = 0
    epoch_examples: int = 0
    diverged: bool = False
    infeasible: bool = False
    cut: bool = False
    told: bool = False
    foreign: BaseException | None = None
    note: str = ""

    @property
    def units(self) -> float:
        return units(self.trained, self.evaluated)

    @property
    def ended(self) -> bool:
        """Nothing more is to be trained."""
        return self.diverged or self.infeasible or self.cut


def units(trained: float, evaluated: float) -> float:
    """Examples, forward-only ones counted at a third."""
    return trained + FORWARD_ONLY * evaluated


@dataclass(frozen=True, slots=True)
class Cost:
    """Compute spent: examples, the multiple of a plain run they make, and seconds.

    plain_runs, plain_epochs are None until one rollout has run a whole epoch (only then is the length of a
    plain epoch known). repeated, repeated_seconds: units and time spent beside all that on training again what an
    interruption had lost; no budget is charged with it.
    """

    trained: int
    evaluated: int
    seconds: float
    plain_runs: float | None
    plain_epochs: float | None
    repeated: float = 0.0
    repeated_seconds: float = 0.0

    @property
    def units(self) -> float:
        """Examples, forward-only ones counted at a third."""
        return units(self.trained, self.evaluated)

    def __str__(self) -> str:
        again = f", and {self.repeated:,.0f} examples' worth trained again" if self.repeated else ""
        if self.plain_runs is None or self.plain_epochs is None:
            return f"{self.units:,.0f} examples in {self.seconds:.1f} s{again}"
        worth = f"{self.plain_epochs:.1f} plain epochs, {self.units:,.0f} examples' worth"
        return f"{self.plain_runs:.2f} x a plain run ({worth}) in {self.seconds:.1f} s{again}"


class Ledger:
    """Adds up the outcomes of a run of `epochs` epochs."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._trained = 0
        self._evaluated = 0
        self._seconds = 0.0
        self._plain_epoch: float | None = None  # units
        self._repeated = 0.0  # units
        self._repeated_seconds = 0.0

    def charge(self, outcome: Outcome) -> None:
        self._trained += outcome.trained
        self._evaluated += outcome.evaluated
        self._seconds += outcome.seconds
        if self._plain_epoch is None and outcome.score is not None:  # a validation pass belongs to it
            self._plain_epoch = plain_epoch(outcome)

    def repeat(self, trained: float, evaluated: float, seconds: float) -> None:
        """What was trained again after an interruption."""
        self._repeated += units(trained, evaluated)
        self._repeated_seconds += seconds

    def left(self, budget: float) -> float:
        """Units left of a budget in plain runs; no end before the length of a plain epoch is known."""
        if self._plain_epoch is None:
            return math.inf
        return budget * self._epochs * self._plain_epoch - units(self._trained, self._evaluated)

    @property
    def cost(self) -> Cost:
        spent = units(self._trained, self._evaluated)
        epochs = spent / self._plain_epoch if self._plain_epoch else None
        runs = epochs / self._epochs if epochs is not None else None
        return Cost(
            self._trained,
            self._evaluated,
            self._seconds,
            runs,
            epochs,
            self._repeated,
            self._repeated_seconds,
        )


def plain_epoch(outcome: Outcome) -> float:
    """The units of a plain epoch, as far as a finished rollout tells: one epoch and one validation pass."""
    return units(outcome.epoch_examples or outcome.trained, outcome.evaluated)
