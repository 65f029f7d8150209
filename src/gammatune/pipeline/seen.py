"""Which examples a run was trained on, so that they are known where it is asked about them again.

trained_on.npz   hashes (k,): of the examples that train or select, sorted; at most MOST, the smallest, which are a
                 sample by chance. examples: how many train or select. held_out: how many do not, and repeats: of
                 these the ones that equal one of those

Of the file itself the journal has the SHA-256. Examples that equal those trained on need not be the same: where few
answers are possible, new ones repeat old ones. So they are taken for the same only where they are half of all, and
far more than of those held out.
"""

import hashlib
import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gammatune.files import whole_file_of_run
from gammatune.pipeline.data.split import Split

FILE = "trained_on.npz"
MOST = 2**17  # hashes, of 8 bytes each
PART = 2**22  # numbers that are hashed at a time
HALF = 0.5  # of the new examples, below which nothing is said
DEVIATIONS = 5  # by which more are equal than of those held out [guess]


def leave_seen(directory: str | Path, split: Split) -> None:
    """Write down which examples train and select."""
    parts = [hashes(part.x, part.y) for part in (split.train, split.select)]
    known = np.unique(np.concatenate(parts))
    held = hashes(split.report.x, split.report.y)
    counts = {"examples": sum(map(len, parts)), "repeats": np.isin(held, known).sum(), "held_out": len(held)}
    whole_file_of_run(
        Path(directory) / FILE,
        lambda stream: np.savez(stream, hashes=known[:MOST], **counts),
        "which examples were trained on",
    )


def seen(directory: str | Path, x: torch.Tensor, y: torch.Tensor, *, is_its_file: bool = False) -> int:
    """How many of these examples the run was trained on, about; 0 where few are, or it is not known.

    x, y: as the network takes them. is_its_file: they are all that the file holds that the run was trained on.
    """
    path = Path(directory) / FILE
    if not path.is_file() or not len(x):
        return 0
    with np.load(path, allow_pickle=False) as file:
        known, repeats, held_out = file["hashes"], int(file["repeats"]), int(file["held_out"])
        if is_its_file:
            return int(file["examples"])
    asked = hashes(x, y)
    if len(known) == MOST:
        asked = asked[asked <= known[-1]]
    equal = int(np.isin(asked, known).sum())
    by_chance = len(asked) * min(1.0, (repeats + 1) / (held_out + 1))
    if equal < HALF * len(asked) or equal <= by_chance + DEVIATIONS * math.sqrt(by_chance):
        return 0
    return round(equal / len(asked) * len(x))


def hashes(x: torch.Tensor, y: torch.Tensor) -> NDArray[np.uint64]:
    """A number (n,) for each example, equal where all that is known of two is: sums of its bits times odd numbers by
    chance, mixed (Steele et al. 2014, splitmix64)."""
    found = np.zeros(len(x), dtype=np.uint64)
    width = max(1, math.prod(x.shape[1:]))
    rows = max(1, PART // width)
    times = np.random.default_rng(0).integers(0, 2**63, width + math.prod(y.shape[1:]), dtype=np.uint64)
    times = times * np.uint64(2) + np.uint64(1)
    for start in range(0, len(x), rows):
        here = slice(start, start + rows)
        sums = _bits(x[here].reshape(-1, width)) @ times[:width]
        found[here] = sums + _bits(y[here].reshape(len(sums), -1)) @ times[width:]
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        found = (found ^ (found >> np.uint64(shift))) * np.uint64(factor)
    return found ^ (found >> np.uint64(31))


def digest_of(path: str) -> str | None:
    """The SHA-256 of a file as it is; None where there is none, but a folder, a name or an address."""
    if not Path(path).is_file():
        return None
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bits(values: torch.Tensor) -> NDArray[np.uint64]:
    """Of numbers, 0 and -0 alike."""
    numbers = values.numpy().astype(np.float32) + np.float32(0)
    return numbers.view(np.uint32).astype(np.uint64)
