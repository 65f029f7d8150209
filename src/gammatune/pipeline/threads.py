"""How many CPU threads a training step is worth."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gammatune.engine.modes import evaluating

# Below this many floating-point operations in the forward pass of a batch, waking other threads costs more
# than they give, and far more where another process uses the cores (guess; digits on two shared cores: 11
# times slower on two threads than on one).
WORTH_THREADS = 1e8


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


@contextmanager
def threads_kept() -> Iterator[None]:
    """Afterwards torch has as many threads as before."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
