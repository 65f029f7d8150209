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


def _is_short(gradient: Tensor | None) -> bool:
    return type(gradient) in PLAIN and gradient is not None and gradient.ndim == 1 and len(gradient) <= FEW


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
    """Watches the gradients of one optimizer."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self.reset()

    def reset(self) -> None:
        """A new rollout: forget what was seen, and choose again what to watch."""
        self._parameters: list[Tensor] = []  # those with a gradient, the smallest first
        self._on_cpu = True
        self._is_short = False  # the gradient that is watched can be read as a list
        self._limit = math.inf  # until the first gradient has been seen
        self._flag: Tensor | None = None  # on an accelerator: true once something was bad
        self._steps = 0

    def diverged(self, overflow: Tensor | None = None) -> bool:
        """Look at the gradients of this step; on an accelerator, at the flag when it is due.

        overflow: there, above 0 where the optimizer skips this step by itself, whatever the gradients."""
        if not self._parameters:
            self._parameters = self._with_gradient()
            if not self._parameters:
                return False
            self._on_cpu = self._parameters[0].is_cpu
            self._is_short = self._on_cpu and _is_short(self._parameters[0].grad)
        steps = self._steps = self._steps + 1
        shortest = self._parameters[0].grad
        if self._is_short and shortest is not None and steps > 1 and steps % TURN:  # nearly every step
            return not float(abs(sum(shortest.tolist()))) < self._limit
        watched = _gradient(self._parameters[0])
        other = (
            _gradient(self._parameters[steps // TURN % len(self._parameters)]) if steps % TURN == 0 else None
        )
        if watched is None or not self._on_cpu:
            return self._on_the_device(watched, other, overflow=overflow)
        size = _size(watched)
        diverged = not size < self._limit  # not (x < limit) rather than x >= limit: NaN compares false
        if steps == 1:
            self._limit = max(BLOW_UP, GROWTH * size)
        return diverged or (other is not None and not math.isfinite(_size(other)))

    def finally_diverged(self) -> bool:
        """Read the flag at the end of a rollout, whatever the step."""
        return self._flag is not None and bool(self._flag.item())

    def _on_the_device(self, *gradients: Tensor | None, overflow: Tensor | None) -> bool:
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
        return (self._steps == 1 or self._steps % READ_EVERY == 0) and self.finally_diverged()

    def _with_gradient(self) -> list[Tensor]:
        groups = self._optimizer.param_groups
        found = [p for group in groups for p in group["params"] if p.grad is not None]
        found.reverse()  # sorting is stable: of equals the last comes first, which is nearest to the loss
        return sorted(found, key=lambda p: p.numel())
