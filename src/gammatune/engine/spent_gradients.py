"""Gradients that no step will use again, which a fork therefore does without.

A loop that begins its steps with `zero_grad()` ends a run with the gradients of its last step still there, as large
as the weights. They are let go of where two things have been seen: a step has used them and nobody has written into
them since, so that they are no tail of an accumulation; and the loop puts others in their place before its next step,
instead of adding to them (or filling them with zeros, which is a gradient too, to an optimizer with momentum).
"""

import weakref
from collections.abc import Sequence
from typing import TypeAlias

from torch import Tensor
from torch.optim import Optimizer

# Gradients, and how often each had been written into.
Seen: TypeAlias = list[tuple["weakref.ref[Tensor]", int]]
FIRST = 2  # steps of a run, which tell what the loop does


class SpentGradients:
    """Of several optimizers. is_last: what comes is the last batch of a run."""

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        self._each = [_OfOne(optimizer) for optimizer in optimizers]
        self.is_last = False

    def begin_run(self) -> None:
        self.is_last = False
        for one in self._each:
            one.begin_run()

    def before_step(self, index: int, steps: int) -> None:
        """Of one of them, its so manieth of the run; beyond the FIRST only of the last batch."""
        self._each[index].before_step(steps, self.is_last)

    @property
    def ids(self) -> set[int]:
        """Of the gradients, as objects, that are spent now."""
        return set().union(*(one.ids for one in self._each))


class _OfOne:
    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._replaces: bool | None = None  # None: nobody has seen two steps yet
        self.begin_run()

    def begin_run(self) -> None:
        self._first: Seen = []
        self._used: Seen = []

    def before_step(self, steps: int, is_last: bool) -> None:
        seen = self._seen()
        if steps == 1:
            self._first = seen
        elif steps == 2 and self._first:
            now = {id(gradient()) for gradient, _ in seen}
            others = all((first := gradient()) is None or id(first) not in now for gradient, _ in self._first)
            self._replaces = others and self._replaces is not False
        if is_last:
            self._used = seen

    @property
    def ids(self) -> set[int]:
        if not self._replaces:
            return set()
        alive = ((gradient(), version) for gradient, version in self._used)
        return {
            id(gradient)
            for gradient, version in alive
            if gradient is not None and gradient._version == version
        }

    def _seen(self) -> Seen:
        parameters = [p for group in self._optimizer.param_groups for p in group["params"]]
        return [(weakref.ref(p.grad), p.grad._version) for p in parameters if p.grad is not None]
