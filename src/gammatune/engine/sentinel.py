"""Notices, inside the optimizer step, that a training has diverged.

A loss that is NaN or infinite makes every gradient non-finite, so the sum of one small gradient tells it in
the very step, for about 4 microseconds (benchmarks/overhead.py); an overflow that spares that tensor is seen
by a look at all of them every `FULL_EVERY` steps. On an accelerator the flag stays on the device and is read
every `READ_EVERY` steps, so that no step waits for it.
"""

import torch
from torch import Tensor
from torch.optim import Optimizer

FULL_EVERY = 16  # steps; guess: the full look costs some 20 us, shared by 16 steps
READ_EVERY = 8  # steps; guess: at most eight wasted steps against one synchronisation
BLOW_UP = 1e10  # a gradient sum beyond this is a blow-up though still finite; guess, float32 ends at 3e38


class Sentinel:
    """Watches the gradients of one optimizer."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._watched: Tensor | None = None  # the parameter whose gradient is looked at in every step
        self._bad: Tensor | None = None  # the flag on an accelerator
        self._steps = 0

    def reset(self) -> None:
        """A new rollout: forget what was seen. The watched parameter is chosen again."""
        self._watched, self._bad, self._steps = None, None, 0

    def diverged(self) -> bool:
        """Look at the gradients of this step; on an accelerator, at the flag when it is due."""
        self._steps += 1
        watched = self._watched
        if watched is None or watched.grad is None:
            watched = self._watched = self._smallest()
            if watched is None:
                return False
        gradient = watched.grad
        assert gradient is not None
        if gradient.device.type == "cpu":
            # not (x < limit) rather than x >= limit: NaN compares false
            return not abs(gradient.sum().item()) < BLOW_UP or (self._full_look_due() and self._any_bad())
        bad = ~(gradient.sum().abs() < BLOW_UP)
        self._bad = bad if self._bad is None else self._bad | bad
        return self._steps % READ_EVERY == 0 and (bool(self._bad.item()) or self._any_bad())

    def finally_diverged(self) -> bool:
        """Read the flag at the end of a rollout, whatever the step."""
        return self._bad is not None and bool(self._bad.item())

    def _full_look_due(self) -> bool:
        return self._steps % FULL_EVERY == 0

    def _gradients(self) -> list[Tensor]:
        groups = self._optimizer.param_groups
        return [p.grad for group in groups for p in group["params"] if p.grad is not None]

    def _any_bad(self) -> bool:
        dense = [g for g in self._gradients() if g.layout == torch.strided]
        if not dense:
            return False
        largest = torch.stack([norm.float() for norm in torch._foreach_norm(dense, float("inf"))]).max()
        return not largest.item() < BLOW_UP

    def _smallest(self) -> Tensor | None:
        """The smallest parameter with a gradient; of equals the last, which is nearest to the loss."""
        candidates = [
            p for group in self._optimizer.param_groups for p in group["params"] if p.grad is not None
        ]
        return min(reversed(candidates), key=lambda p: p.numel(), default=None)
