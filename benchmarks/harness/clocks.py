"""How long something took: by the clock, and of the processor, which other programs do not lengthen by waiting."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Seconds:
    wall: float = 0.0
    processor: float = 0.0


@contextmanager
def timed() -> Iterator[Seconds]:
    """What is given holds the seconds of the block when it has ended."""
    taken = Seconds()
    wall, processor = time.perf_counter(), time.process_time()
    yield taken
    taken.processor = time.process_time() - processor
    taken.wall = time.perf_counter() - wall
