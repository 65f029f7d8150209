"""A stretch of code with torch's random streams set, and as they were again afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within, torch draws from streams that `seed` fixes; outside, it draws as if nothing had been.

    A GPU's stream takes part only if CUDA is already in use: seeding would otherwise start it.
    """
    cuda = bool(torch.cuda.is_initialized())
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if cuda else []):
        torch.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.manual_seed_all(seed)
        yield
