"""How many CPU threads a training step is worth, and whether others use the cores."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gammatune.engine.modes import evaluating
from gammatune.pipeline.data.images.loading import cores

# Below this many floating-point operations in the forward pass of a batch, waking other threads costs more
# than they give, and far more where another process uses the cores (guess; digits on two shared cores: 11
# times slower on two threads than on one).
WORTH_THREADS = 1e8
# Of the last minute's load to the cores: a run of ours that has just ended leaves 1 behind (guess).
BUSY = 1.5


def suitable_threads(model: nn.Module, shape: tuple[int, ...], batch_size: int) -> int:
    """1 for small steps, else as many as torch is set to; the same for the same model and batch size.

    shape: of one example. Modes and random streams are left as they were.
    """
    parameter = next(model.parameters(), torch.empty(0))
    with (
        evaluating(model),
        torch.random.fork_rng(devices=[]),
        FlopCounterMode(display=False) as counter,
    ):
        model(torch.zeros(1, *shape, dtype=parameter.dtype, device=parameter.device))
    return 1 if counter.get_total_flops() * batch_size < WORTH_THREADS else torch.get_num_threads()


def busy() -> list[str]:
    """A sentence where other programs use the cores; none where the system does not tell, as Windows."""
    load, there = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0, cores()
    if load < BUSY * there:
        return []
    has = f"{there} core{'' if there == 1 else 's'}"
    return [f"The machine is busy: a load of {load:.1f} on {has}; this will take longer than it would alone."]


@contextmanager
def threads_kept() -> Iterator[None]:
    """Afterwards torch has as many threads as before."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
