"""What a training cost, counted in examples.

A training example (forward and backward) counts 1, a forward-only example 1/3: of the products of a network a
backward pass has twice those of a forward one. So a budget follows from data and seed alone. On a processor a
forward-only example takes between .09 and .45 of a training one in five nets, and the multiples agree within 5 %
(benchmarks/results/cost.json). A *plain run* is the given epochs of training with one validation pass each; cost is
quoted as a multiple of that. Beside it stands what was measured: seconds, and the multiple in processor seconds.
"""

import math
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any

from gammatune.records import EPOCH, FLAT, Length, Outcome, Shape

FORWARD_ONLY = 1 / 3


@dataclass(slots=True)
class Call:
    """One call of `run.batches`: the batches it was to give (0: nobody knew), and those it gave.

    left: the loop body went on without the rest.
    """

    planned: int
    batches: int = 0
    left: bool = False


@dataclass(slots=True)
class Meter:
    """The plan of one rollout, and its running count.

    length, shape, order: see `records.Rollout`. allowance: the units it may use, a ceiling looked at before
    every batch.
    fresh: the course has passed these epochs, and what was kept of their batches is gone: they are drawn anew.
    diverged: set by whoever notices; it stays. infeasible: out of memory. cut: the allowance ended it.
    told: every rank knows that it has ended. foreign: an error that no candidate can have caused, since it came from
    a loader, from those who look on, or of want of memory.
    course: it goes on with the course as it stands, so that no other rollout sees the same batches.
    small: it goes through the whole course in small.
    leaves, seen: `leaves` and `left` of the outcome before. calls: of `run.batches`, so far. held: what these gave:
    an error that goes through a loop ends the batches that nobody holds, before anybody has heard of it, as if the
    loop had had enough of them, and the batch that raised would not be counted.
    note: why, in words. clipped: as of `Outcome`.
    epoch_batches, epoch_examples: what an epoch of the loader has; 0 until it was seen.
    """

    length: Length = EPOCH
    shape: Shape = FLAT
    order: int = 0
    fresh: bool = False
    allowance: float = math.inf  # units
    course: bool = False
    small: bool = False
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
    clipped: float = 0.0
    leaves: tuple[int, ...] = ()
    seen: tuple[int, ...] = ()
    calls: list[Call] = field(default_factory=list)
    held: list[Generator[Any, None, None]] = field(default_factory=list)

    def close(self) -> None:
        """End the batches that are held."""
        for given in self.held:
            given.close()

    @property
    def units(self) -> float:
        return units(self.trained, self.evaluated)

    def leaves_at(self, place: int) -> int:
        """After how many batches the loop body leaves that call of `run.batches`; 0 where it goes to the end."""
        return self.leaves[place] if place < len(self.leaves) else 0

    @property
    def left(self) -> tuple[int, ...]:
        """`seen`, with what this rollout has told, unless it was ended."""
        if self.ended:
            return self.seen
        found = []
        for place, call in enumerate(self.calls):
            known = self.seen[place] if place < len(self.seen) else 0
            found.append(call.batches if call.left else known if call.planned <= known else 0)
        found += self.seen[len(found) :]
        return tuple(found) if any(found) else ()

    def leaves_after(self, left: tuple[int, ...]) -> tuple[int, ...]:
        """`leaves` of what follows. A body that leaves once, at a loss that has blown up say, does not always."""
        if not left:
            return ()
        agreed = left == self.seen and any(call.left for call in self.calls)
        return left if agreed else self.leaves

    @property
    def ended(self) -> bool:
        """Nothing more is to be trained."""
        return self.diverged or self.infeasible or self.cut


def units(trained: float, evaluated: float) -> float:
    """Examples, forward-only ones counted at a third."""
    return trained + FORWARD_ONLY * evaluated


def examined(raised: Outcome, again: Outcome) -> Outcome:
    """The outcome of a candidate that raised, with what it took to train that again."""
    return replace(
        raised,
        examined=raised.examined + units(again.trained, again.evaluated),
        seconds=raised.seconds + again.seconds,
        processor=raised.processor + again.processor,
    )


@dataclass(frozen=True, slots=True)
class Cost:
    """Compute spent: examples, the multiple of a plain run they make, and seconds of the wall and of the processor.

    plain_runs, plain_epochs are None until one rollout has run a whole epoch (only then is the length of a
    plain epoch known). repeated, repeated_seconds: units and time spent beside all that on training again: what an
    interruption had lost, and, without the time, what a candidate had raised; no budget is charged with it. checked:
    units, likewise, of two batches before the first rollout.
    processor: user and system, of all threads of the process and of workers that trained for it, with forks and
    decisions; of an accelerator that is what driving it takes. plain_processor: what a plain run takes, by the
    whole epochs that were trained; None before there was one, or where that was not measured.
    """

    trained: int
    evaluated: int
    seconds: float
    plain_runs: float | None
    plain_epochs: float | None
    repeated: float = 0.0
    repeated_seconds: float = 0.0
    processor: float = 0.0
    plain_processor: float | None = None
    checked: float = 0.0

    @property
    def units(self) -> float:
        """Examples, forward-only ones counted at a third."""
        return units(self.trained, self.evaluated)

    @property
    def processor_runs(self) -> float | None:
        """The multiple of a plain run in seconds of the processor: measured, and nothing is decided by it."""
        return self.processor / self.plain_processor if self.plain_processor else None

    def __str__(self) -> str:
        again = f", and {self.repeated:,.0f} examples' worth trained again" if self.repeated else ""
        again += f", and {self.checked:,.0f} to check it before" if self.checked else ""
        if self.plain_runs is None or self.plain_epochs is None:
            return f"{self.units:,.0f} examples in {self.seconds:.1f} s{again}"
        worth = f"{self.plain_epochs:.1f} plain epochs, {self.units:,.0f} examples' worth"
        measured = f", {self.processor_runs:.2f} x in processor time" if self.processor_runs else ""
        return f"{self.plain_runs:.2f} x a plain run ({worth}) in {self.seconds:.1f} s{measured}{again}"


class PlainEpoch:
    """One epoch of a plain run with its validation pass, as the outcomes of a run tell, heard in their order.

    units, batches: of it; pass_: the units of the validation pass; 0 before an outcome with a score was heard.
    longest: the batches that a rollout can have at most. Both are as the loader has it, but where the loop body
    leaves its epochs early: then as far as the body goes, or has gone.
    """

    def __init__(self) -> None:
        self.units = self.pass_ = 0.0
        self.batches = 0
        self.longest = math.inf
        self._leaves: tuple[int, ...] = ()
        self._examples = self._batches = self._in_rollout = 0  # the most taken, of an epoch and in a rollout

    def hear(self, outcome: Outcome) -> None:
        examples = outcome.epoch_examples or outcome.trained
        self._examples = max(self._examples, min(outcome.trained, examples))
        self._batches = max(self._batches, min(outcome.batches, outcome.epoch_batches))
        self._in_rollout = max(self._in_rollout, outcome.batches)
        if outcome.score is None or (self.units and outcome.leaves == self._leaves):
            return
        self._leaves = leaves = outcome.leaves
        goes = sum(leaves) if leaves and all(leaves) else math.inf
        self.longest = max(goes, self._in_rollout)
        self.batches = max(1, int(min(outcome.epoch_batches, goes)), self._batches)
        self.units = units(max(examples, self._examples), outcome.evaluated)
        self.pass_ = units(0, outcome.evaluated)


class Ledger:
    """Adds up the outcomes of a run of `epochs` epochs."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._trained = 0
        self._evaluated = 0
        self._seconds = 0.0
        self._plain = PlainEpoch()
        self._whole: list[float] = []  # seconds of the processor, of whole epochs with their validation pass
        self._repeated = 0.0  # units
        self._repeated_seconds = 0.0
        self._checked = 0.0  # units

    def charge(self, outcome: Outcome) -> None:
        self._trained += outcome.trained
        self._evaluated += outcome.evaluated
        self._seconds += outcome.seconds
        self._repeated += outcome.examined
        self._plain.hear(outcome)
        whole = outcome.epoch_batches > 0 and outcome.batches == self._plain.batches
        if outcome.ok and whole and outcome.evaluated and outcome.processor:
            self._whole.append(outcome.processor)

    def extend(self, epochs: int) -> None:
        """A plain run has so many epochs from now on."""
        self._epochs = epochs

    @property
    def spent(self) -> float | None:
        """Plain epochs; None before the length of one is known."""
        return units(self._trained, self._evaluated) / self._plain.units if self._plain.units else None

    def repeat(self, trained: float, evaluated: float, seconds: float) -> None:
        """What was trained again after an interruption."""
        self._repeated += units(trained, evaluated)
        self._repeated_seconds += seconds

    def check(self, units: float) -> None:
        """What was trained before the first rollout, to see whether it comes out alike twice."""
        self._checked += units

    def left(self, budget: float) -> float:
        """Units left of a budget in plain runs; no end before the length of a plain epoch is known."""
        if not self._plain.units:
            return math.inf
        return budget * self._epochs * self._plain.units - units(self._trained, self._evaluated)

    def cost(self, processor: float = 0.0) -> Cost:
        """processor: seconds of it that the run has taken."""
        from statistics import median  # here, since fractions and decimals come with it

        spent = units(self._trained, self._evaluated)
        epochs = spent / self._plain.units if self._plain.units else None
        runs = epochs / self._epochs if epochs is not None else None
        return Cost(
            self._trained,
            self._evaluated,
            self._seconds,
            runs,
            epochs,
            self._repeated,
            self._repeated_seconds,
            processor,
            median(self._whole) * self._epochs if self._whole else None,
            self._checked,
        )
