"""Named random streams: one seed, any number of independent generators, no order of creation to keep."""

import zlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """The generator that belongs to `names` under `seed`; the same names give the same stream.

    seed: 0 or more. Names are hashed (CRC-32) into the spawn key of a NumPy `SeedSequence`, so that a new
    stream never disturbs the numbers of an old one.
    """
    key = tuple(n if isinstance(n, int) else zlib.crc32(n.encode()) for n in names)
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=key))
