"""Before the first look: one batch, trained twice from the same fork, must be the same training twice.

No policy hears of it, no number is given to it, and the training stands afterwards where it stood, so that a run with
it and one without are the same to the bit. It costs two batches, which are told beside the rest (`Cost.checked`).
"""

import math
import sys
import time as clock
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict
from types import FrameType
from typing import Any, Protocol, TypeAlias

from gammatune.cost import Ledger, units
from gammatune.engine.doctor.ownership import is_users_own
from gammatune.engine.trainable import Forkable
from gammatune.errors import EscapeWarning
from gammatune.journal.events import Check, check_event
from gammatune.metrics.objectives import Objective
from gammatune.records import Length, Outcome, Rollout, Values
from gammatune.tuning.checkpoints import BEGIN
from gammatune.tuning.run import Run
from gammatune.tuning.states import States
from gammatune.tuning.teller import Teller

FORK = "check"
ONE_BATCH = Length(0.0, least=1, most=1)


class Twofold(Protocol):
    """What came of it, and in a sentence. findings: of "where", "what" and "advice". unseen: why there are none."""

    @property
    def same(self) -> bool: ...

    @property
    def findings(self) -> Sequence[Any]: ...

    @property
    def unseen(self) -> str: ...


class Comparison(Protocol):
    """Of two trainings of one batch (`engine.doctor.twice`)."""

    def look(self) -> None:
        """The training stands at the fork."""

    def see(self, batch: Any) -> None:
        """The loop body is given this."""

    def note(self) -> None:
        """It has trained with it."""

    def found(self) -> Twofold:
        """After both."""


Comparing: TypeAlias = Callable[[FrameType | None], Comparison]  # of the loop in this frame, the user's own


class CheckRun(Run):
    """A run of one batch whose outcome nobody asks for. see: hears of what the loop body is given."""

    def __init__(self, training: Forkable, values: Values, see: Callable[[Any], None]) -> None:
        request = Rollout(values, 0, None, length=ONE_BATCH, scored=False, role=FORK)
        super().__init__(training, request, 0, math.inf, is_repeated=True, origin=BEGIN)
        self._see = see
        self._has_passed = False

    @property
    def is_examination(self) -> bool:
        return True

    def may_be_at_fault(self, error: BaseException) -> bool:
        return False  # the values are the user's own

    @property
    def is_conclusive(self) -> bool:
        return bool(self.meter.trained) and not self.meter.ended

    def batches(self, loader: Any, *, examples: Callable[[Any], int] | None = None) -> Iterator[Any]:
        return self._noted(super().batches(loader, examples=examples))

    def _noted(self, given: Iterator[Any]) -> Iterator[Any]:
        # a body that passes over its data twice has had its batch; drawing from a second pass before the first has
        # ended would give a loader that goes on in one from the other other passes
        if self._has_passed:
            return
        for batch in given:
            self._see(batch)
            yield batch
        self._has_passed = True

    def outcome(self, objective: Objective) -> Outcome:
        self._settle()
        meter = self.meter
        return Outcome(
            *(self.number, self.epoch, self.values, "diverged" if meter.ended else "ok", {}, None),
            *(meter.steps, meter.trained, meter.evaluated, 0.0),
            note=meter.note,
            batches=meter.batches,
            length=ONE_BATCH,
            role=self.role,
            origin=BEGIN,
        )


class BeforeTheFirst:
    """comparing: of the training. states, teller, ledger: of the driver."""

    def __init__(
        self, training: Forkable, comparing: Comparing, states: States, teller: Teller, ledger: Ledger
    ) -> None:
        self._training, self._comparing = training, comparing
        self._states, self._teller, self._ledger = states, teller, ledger

    def runs(self, values: Values) -> Generator[Run, None, None]:
        """The two that the loop body is to train, under `values`."""
        training, states = self._training, self._states
        began, frame = clock.perf_counter(), _frame_of_the_loop()
        twice = self._comparing(frame)
        states.fork(FORK)
        twice.look()
        taken: list[CheckRun] = []
        for _ in range(2):
            run = CheckRun(training, values, twice.see)
            taken.append(run)
            states.depart()
            training.apply(values, run.meter)
            yield run
            twice.note()
            yield from states.restore(FORK)
            twice.look()
            if not run.is_conclusive:
                break
        states.forget(FORK)
        found = twice.found() if taken[-1].is_conclusive else None
        check = Check(
            trained=sum(run.meter.trained for run in taken),
            evaluated=sum(run.meter.evaluated for run in taken),
            seconds=clock.perf_counter() - began,
            same=None if found is None else found.same,
            found=() if found is None else tuple(asdict(each) for each in found.findings),
            unseen="" if found is None else found.unseen,
        )
        self._ledger.check(units(check.trained, check.evaluated))
        self._teller.write(check_event(check))
        if found is not None and not (found.same and not found.findings):
            _warn(str(found), frame)


def _frame_of_the_loop() -> FrameType | None:
    """The frame that goes through the runs, where it is the user's own."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("gammatune.tuning."):
        frame = frame.f_back
    return frame if frame is not None and is_users_own(frame.f_globals.get("__name__", "")) else None


def _warn(text: str, frame: FrameType | None) -> None:
    """At the line of the loop."""
    if frame is None:
        warnings.warn(text, EscapeWarning, stacklevel=5)
        return
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    module = frame.f_globals.get("__name__")
    warnings.warn_explicit(
        text, EscapeWarning, frame.f_code.co_filename, frame.f_lineno, module=module, registry=registry
    )
