"""The worst mistakes among images, kept beside the journal as small pictures, so that a report needs no data.

    index     (m,) int64               where they stand in the part that was reported on
    pictures  (m, H, W) or (m, H, W, 3) uint8

The worst first: those where the most probability was given to a wrong class.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gammatune.files import whole_file_of_run
from gammatune.journal.history import PREDICTIONS
from gammatune.pipeline.data.preprocessing import Preprocessing
from gammatune.pipeline.data.split import Split

PICTURES = "pictures.npz"
MOST = 24
LARGEST_SIDE = 96  # pixels; every second, third, ... is kept of larger ones


def write_pictures(directory: str | Path, split: Split) -> None:
    """Write them where the examples are images of classes and there are mistakes."""
    predictions = Path(directory) / PREDICTIONS
    preparing = split.preprocessing
    if not isinstance(preparing, Preprocessing) or len(split.shape) != 3 or split.task != "classification":
        return
    if not predictions.is_file():
        return
    with np.load(predictions, allow_pickle=False) as held:
        index = worst(held["probabilities"], held["targets"])
    if not len(index):
        return
    path = Path(directory) / PICTURES
    pictures = as_bytes(split.report.x[index].numpy(), preparing)
    whole_file_of_run(
        path, lambda file: np.savez_compressed(file, index=index, pictures=pictures), "the pictures"
    )


def worst(probabilities: NDArray[np.float32], targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places of the mistakes, the most probability for a wrong class first; (m,), m at most `MOST`."""
    said = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(said != targets)
    certainty = probabilities[wrong, said[wrong]]
    order = np.lexsort((wrong, -certainty))
    return wrong[order][:MOST].astype(np.int64)


def as_bytes(x: NDArray[np.float32], preparing: Preprocessing) -> NDArray[np.uint8]:
    """Standardised images (m, C, H, W) as they were, or stretched from their least to their largest value."""
    mean, std = (
        np.asarray(part, dtype=np.float32).reshape(-1, 1, 1) for part in (preparing.mean, preparing.std)
    )
    x = x * std + mean
    if not preparing.pixels:
        low, high = float(x.min()), float(x.max())
        x = (x - low) / (high - low or 1.0)
    step = -(-max(x.shape[2:]) // LARGEST_SIDE)
    pixels = np.round(x * 255).clip(0, 255).astype(np.uint8)[:, :3, ::step, ::step]
    return pixels[:, 0] if pixels.shape[1] < 3 else np.moveaxis(pixels, 1, -1)
