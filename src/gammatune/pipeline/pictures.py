"""Small pictures that a run keeps beside its journal, so that a report needs no data.

pictures.npz       the worst mistakes among images, first those where the most probability was given to a wrong class

    index     (m,) int64               where they stand in the part that was reported on
    pictures  (m, H, W) or (m, H, W, 3) uint8

contact-sheet.png  of images from files some of each class as the network sees them: cut, filled up, turned
"""

import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import require
from gammatune.files import whole_file_of_run
from gammatune.journal.history import PREDICTIONS, SHEET
from gammatune.pipeline.data.preprocessing import Preprocessing
from gammatune.pipeline.data.split import Split

PICTURES = "pictures.npz"
MOST = 24
LARGEST_SIDE = 96  # pixels; every second, third, ... is kept of larger ones
LEAST_SIDE = 48  # pixels on a sheet, so that something can be seen of tiny images
MOST_CLASSES, IN_A_ROW = 12, 8  # on a sheet
FONTS = ("DejaVuSans.ttf", "Arial Unicode.ttf", "arial.ttf")  # of Linux, macOS and Windows
WORDS, GAP = 150, 4  # pixels: of the names beside the rows, and between pictures


def write_pictures(directory: str | Path, split: Split) -> None:
    """Write the worst mistakes, where there are any among images of classes, and the contact sheet."""
    _write_worst(directory, split)
    _write_sheet(directory, split)


def _write_worst(directory: str | Path, split: Split) -> None:
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


def _write_sheet(directory: str | Path, split: Split) -> None:
    """Write it where the examples to train on are images from files."""
    preparing = split.preprocessing
    if not isinstance(preparing, Preprocessing) or len(split.shape) != 3 or split.origins is None:
        return
    require("PIL", "images", "a contact sheet is drawn by")
    rows = _rows(split)
    pictures = [as_bytes(split.train.x[places].numpy(), preparing) for _, places in rows]
    sheet = _drawn([name for name, _ in rows], pictures)
    whole_file_of_run(Path(directory) / SHEET, lambda file: sheet.save(file, "PNG"), "the contact sheet")


def _rows(split: Split) -> list[tuple[str, NDArray[np.int64]]]:
    """What stands beside each row, and the examples in it: the first of each class, or from low targets to high."""
    y = split.train.y.numpy()
    if split.task == "classification":
        names = [str(label) for label in split.preprocessing.classes]
        shown = np.unique(np.linspace(0, len(names) - 1, MOST_CLASSES).round().astype(int))
        return [(names[code], np.flatnonzero(y == code)[:IN_A_ROW]) for code in shown]
    order = np.argsort(y[:, 0], kind="stable")
    spread = np.linspace(0, len(order) - 1, min(IN_A_ROW, len(order))).round().astype(int)
    return [("low to high", order[spread])]


def _drawn(names: Sequence[str], pictures: Sequence[NDArray[np.uint8]]) -> Any:
    """names, and beside each its pictures (m, H, W) or (m, H, W, 3), as a Pillow image."""
    from PIL import Image, ImageDraw

    height, width = pictures[0].shape[1:3]
    times = -(-LEAST_SIDE // max(height, width))
    high, wide = height * times + GAP, width * times + GAP
    columns = max(len(row) for row in pictures)
    sheet = Image.new("RGB", (WORDS + columns * wide, len(names) * high + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (name, row) in enumerate(zip(names, pictures, strict=True)):
        top = GAP + place * high
        _write(draw, (GAP, top + high // 3), f"{name:.20}")
        for column, picture in enumerate(row):
            large = picture.repeat(times, axis=0).repeat(times, axis=1)
            sheet.paste(Image.fromarray(large), (WORDS + column * wide, top))
    return sheet


def _write(draw: Any, at: tuple[int, int], name: str) -> None:
    """In a font of the system, or in Pillow's own, which has ASCII alone: é is e there, and other scripts are ?."""
    from PIL import ImageFont

    for font in FONTS:
        with suppress(OSError):
            draw.text(at, name, fill="black", font=ImageFont.truetype(font, 12))
            return
    bare = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    draw.text(at, bare.encode("ascii", "replace").decode(), fill="black", font=ImageFont.load_default())
