"""Notices, inside the optimizer step, that a training has diverged.

A loss that is NaN or infinite makes every gradient non-finite, so the smallest gradient tells it in the very
step, for some two microseconds (benchmarks/overhead.py). An overflow that spares that tensor is met in turn:
every `TURN` steps one other gradient is looked at. On an accelerator the flag stays on the device and is read after
a rollout's first step, where data that are not finite show, and then every `READ_EVERY` steps, so that none of the
others waits for it.
"""

import math

import torch
from torch import Tensor
from torch.optim import Optimizer

from gammatune.engine.forks.sharding import PLAIN, local

TURN = 8  # steps; guess: a sum over a tensor costs 7 us beside a small net's step, shared by eight
FEW = 64  # numbers; so few are faster read as a list than summed by torch
READ_EVERY = 8  # steps; guess: at most eight wasted steps against one synchronisation
# A finite gradient is a blow-up beyond this, and beyond this many times the rollout's first: data in large units
# have large gradients from the start. Guess; float32 ends at 3e38.
BLOW_UP = 1e10
GROWTH = 1e6


def _is_short(held: Tensor | None) -> bool:  # len(held) is Python's, and slow
    return type(held) in PLAIN and held is not None and held.ndim == 1 and held.numel() <= FEW


def _size(gradient: Tensor) -> float:
    """The magnitude of the sum; complex numbers have one too."""
    if _is_short(gradient):
        return float(abs(sum(gradient.tolist())))
    return float(abs(gradient.sum().item()))


def _gradient(parameter: Tensor) -> Tensor | None:
    """What this process holds of it."""
    gradient = parameter.grad
    return None if gradient is None else local(gradient)


class DivergenceCheck:
    """Watches the gradients of one optimizer.

    short, limit, due: before the step `due` all that `diverged` asks, where `short` has a gradient, is whether the
    magnitude of its sum is below `limit`. The hook asks for that itself, in nearly every step.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self.reset()

    def reset(self) -> None:
        """A new rollout: forget what was seen, and choose again what to watch."""
        self._parameters: list[Tensor] = []  # those with a gradient, the smallest first
        self._on_cpu = True
        self.short: Tensor | None = None  # the first of them, where its gradient can be read as a list
        self.limit = math.inf  # until a gradient has been seen
        self.due = 0
        self._flag: Tensor | None = None  # on an accelerator: true once something was bad

    def diverged(self, steps: int, overflow: Tensor | None = None) -> bool:
        """Look at the gradients of this step; on an accelerator, at the flag when it is due.

        steps: of this rollout, this one among them. overflow: there, above 0 where the optimizer skips this step by
        itself, whatever the gradients."""
        if is_first := not self._parameters:
            self._parameters = self._with_gradient()
            if not self._parameters:
                return False
            first = self._parameters[0]
            self._on_cpu = first.is_cpu
            self.short = first if self._on_cpu and _is_short(first.grad) else None
        parameters = self._parameters
        watched = _gradient(parameters[0])
        other = None if steps % TURN else _gradient(parameters[steps // TURN % len(parameters)])
        if watched is None or not self._on_cpu:
            is_due = is_first or steps % READ_EVERY == 0
            return self._on_the_device(watched, other, overflow=overflow, is_due=is_due)
        size = _size(watched) if self.short is None else abs(sum(watched.tolist()))
        diverged = not size < self.limit  # not (x < limit) rather than x >= limit: NaN compares false
        if is_first:
            self.limit = max(BLOW_UP, GROWTH * size)
        return diverged or (other is not None and not math.isfinite(_size(other)))

    def rest(self, steps: int) -> None:
        """After so many steps, of this rollout: the next ones need no more than is said above."""
        self.due = 0 if self.short is None else (steps // TURN + 1) * TURN

    def finally_diverged(self) -> bool:
        """Read the flag at the end of a rollout, whatever the step."""
        return self._flag is not None and bool(self._flag.item())

    def _on_the_device(self, *gradients: Tensor | None, overflow: Tensor | None, is_due: bool) -> bool:
        if any(g is not None and g.is_cuda for g in gradients) and torch.cuda.is_current_stream_capturing():
            return False  # nothing can be read, and a graph that is replayed calls no hook
        for gradient in gradients:
            if gradient is not None:
                bad = ~gradient.sum().isfinite()
                if overflow is not None:
                    bad = bad & (overflow == 0).to(bad.device, non_blocking=True)
                # a model may lie on several devices
                self._flag = (
                    bad if self._flag is None else self._flag | bad.to(self._flag.device, non_blocking=True)
                )
        return is_due and self.finally_diverged()

    def _with_gradient(self) -> list[Tensor]:
        groups = self._optimizer.param_groups
        found = [p for group in groups for p in group["params"] if p.grad is not None]
        found.reverse()  # sorting is stable: of equals the last comes first, which is nearest to the loss
        return sorted(found, key=lambda p: p.numel())
