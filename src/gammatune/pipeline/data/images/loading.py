"""Many image files at a time: a thread for each core, since Pillow decodes without Python's lock.

What cannot be read is passed over and named. Memory is bounded by the result, which is made once, by one image for
each thread, and by one that is large.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gammatune.pipeline.data.images.decoding import head_of, pillow, pixels_of
from gammatune.pipeline.data.images.files import few, images
from gammatune.pipeline.data.images.framing import Framing, Head

AT_A_TIME = 1024  # files handed to the threads together; bounds what waits
WHY = 60  # characters of a reason

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that cannot be read. why: a few words."""

    file: Path
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """pixels: uint8 (m, H, W) or (m, H, W, 3). kept: (m,), which of the files they are of. skipped: the others."""

    pixels: NDArray[np.uint8]
    kept: NDArray[np.int64]
    skipped: tuple[Skipped, ...]


def heads_of(files: Sequence[Path]) -> list[Head | Skipped]:
    """Of each file what its head says; of those with more than 8 bits a pixel the values too. Raises MissingExtra."""
    return list(_each(files, lambda place: head_of(files[place])))


def read_images(files: Sequence[Path], framing: Framing) -> Images:
    """The images that can be read, in the order of the files. Raises MissingExtra."""
    pixels = np.empty((len(files), *framing.array), dtype=np.uint8)

    def put(place: int) -> None:
        pixels[place] = pixels_of(files[place], framing)

    skipped: list[Skipped] = []
    kept: list[int] = []
    for place, found in enumerate(_each(files, put)):
        if found is not None:
            skipped.append(found)
            continue
        if len(kept) < place:
            pixels[len(kept)] = pixels[place]
        kept.append(place)
    return Images(pixels[: len(kept)], np.array(kept, dtype=np.int64), tuple(skipped))


def skipped_in_words(skipped: Sequence[Skipped], total: int, root: Path) -> str:
    """'2 of 186 images left out that cannot be read: cat/a.jpg (empty), ...'"""
    return f"{len(skipped)} of {images(total)} left out that cannot be read: {named(skipped, root)}."


def named(skipped: Sequence[Skipped], root: Path) -> str:
    """The first of them with their reasons."""
    return few([f"{each.file.relative_to(root)} ({each.why})" for each in skipped])


def _each(files: Sequence[Path], make: Callable[[int], Made]) -> Iterator[Made | Skipped]:
    """Of each file, in their order, what is made of it, by its place, or why it cannot be read."""

    def one(place: int) -> Made | Skipped:
        try:
            return make(place)
        except MemoryError:  # no fault of the file
            raise
        except Exception as error:  # Pillow answers damage with OSError, SyntaxError, ValueError and its own
            return Skipped(files[place], _why(files[place], error))

    pillow()
    with warnings.catch_warnings(), ThreadPoolExecutor(cores()) as pool:
        warnings.simplefilter("ignore")  # of odd tags, and of sizes below what Pillow refuses
        for start in range(0, len(files), AT_A_TIME):
            yield from pool.map(one, range(start, min(start + AT_A_TIME, len(files))))


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _why(file: Path, error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, Image.DecompressionBombError):
        return "larger than Pillow takes: scale it down"
    if isinstance(error, UnidentifiedImageError):
        return "empty" if file.stat().st_size == 0 else "no image that Pillow knows"
    told = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    return f"{told:.{WHY}}"
