"""One image file, decoded by Pillow: its head, or its pixels in a framing.

Photographs are turned upright as their EXIF tag says, what is transparent is laid on white, of an animation the first
picture is taken, CMYK and palettes become RGB. A large JPEG is decoded at an eighth, a quarter or half of its size
where that is enough: faster by as much, and in less memory.
"""

import threading
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import require
from gammatune.pipeline.data.images.framing import Framing, Head

GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F")
CLEAR = ("RGBA", "RGBa", "LA", "La", "PA")
ORIENTATION = 0x0112  # of EXIF
TURNS = {
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE",
    8: "ROTATE_90",
}  # fmt: skip
QUARTERS = (5, 6, 7, 8)  # that make height of width
OVER = 2  # a JPEG is decoded at this many times the size wanted or more, as Pillow's thumbnails are
GAP = 3.0  # as much larger an image may be when its pixels are weighed one by one; Pillow calls 3 hardly visible
LARGE = 2e7  # pixels; of so large images one is decoded at a time, whatever the threads

_large = threading.Lock()


def pillow() -> Any:
    """Pillow's `Image`, every format of which is known. Raises MissingExtra."""
    require("PIL", "images", "images are read by")
    from PIL import Image

    Image.init()
    return Image


def head_of(file: Path) -> Head:
    """Raises whatever Pillow does at a file that it cannot read."""
    with pillow().open(file) as image:
        width, height = image.size
        if _orientation(image) in QUARTERS:
            width, height = height, width
        grey = image.mode in GREY
        levels = None
        if _is_deep(image):
            with _room_for(image):
                values = _finite(image)
            levels = float(values.min()), float(values.max())
        return Head(
            height, width, grey, levels, image.mode == "F", bool(getattr(image, "is_animated", False))
        )


def pixels_of(file: Path, framing: Framing) -> NDArray[np.uint8]:
    """The image as (H, W) or (H, W, 3). Raises whatever Pillow does at a file that it cannot read."""
    with pillow().open(file) as image:
        turn = _orientation(image)
        image.draft(None, _enough(image.size, framing, is_turned=turn in QUARTERS))
        with _room_for(image):
            image.load()
            if image.format == "PNG":  # some say it behind their pixels
                turn = _orientation(image, is_loaded=True)
            upright = image.transpose(pillow().Transpose[TURNS[turn]]) if turn in TURNS else image
            return _framed(_converted(upright, framing), framing)


def _orientation(image: Any, *, is_loaded: bool = False) -> int:
    if image.format == "PNG" and "exif" not in image.info and not is_loaded:
        return 1  # Pillow would decode all of it to look
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # a damaged tag turns nothing
        return 1


def _enough(size: tuple[int, int], framing: Framing, *, is_turned: bool) -> tuple[int, int]:
    """The least size, as the file lies, from which the framing can be made well."""
    wanted = (framing.height, framing.width) if is_turned else (framing.width, framing.height)
    if framing.fit == "pad":
        scale = min(want / has for want, has in zip(wanted, size, strict=True))
        wanted = tuple(max(1, round(has * scale)) for has in size)  # type: ignore[assignment]
    return OVER * wanted[0], OVER * wanted[1]


def _room_for(image: Any) -> AbstractContextManager[Any]:
    return _large if image.size[0] * image.size[1] > LARGE else nullcontext()


def _is_deep(image: Any) -> bool:
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def _finite(image: Any) -> NDArray[np.float64]:
    values = np.asarray(image, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("some of its pixels are NaN or infinite")
    return values


def _converted(image: Any, framing: Framing) -> Any:
    """In the mode of the framing, in bytes."""
    if _is_deep(image):
        values = _finite(image)
        low, high = (framing.float_levels if image.mode == "F" else framing.levels) or (
            0.0,
            65535.0 if values.max() > 255 else 255.0 if values.max() > 1 else 1.0,
        )
        image = pillow().fromarray(((values - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8))
    if image.mode in CLEAR or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = pillow().new("RGBA", rgba.size, "white")
        image = pillow().alpha_composite(white, rgba)
    return image if image.mode == framing.mode else image.convert(framing.mode)


def _framed(image: Any, framing: Framing) -> NDArray[np.uint8]:
    width, height = image.size
    wide, high = framing.width, framing.height
    if (width, height) == (wide, high):
        return np.asarray(image)
    resample = pillow().Resampling.BICUBIC
    if framing.fit == "pad":
        scale = min(wide / width, high / height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return _padded(np.asarray(image.resize(size, resample, reducing_gap=GAP)), framing)
    box = (0.0, 0.0, float(width), float(height))
    if framing.fit == "crop":
        scale = max(wide / width, high / height)
        left, top = max(0.0, (width - wide / scale) / 2), max(0.0, (height - high / scale) / 2)
        box = (left, top, width - left, height - top)
    return np.asarray(image.resize((wide, high), resample, box=box, reducing_gap=GAP))


def _padded(pixels: NDArray[np.uint8], framing: Framing) -> NDArray[np.uint8]:
    """In the middle of a canvas in the median colour of the two edges that it fills up."""
    height, width = pixels.shape[:2]
    edges = pixels[:, [0, -1]] if width < framing.width else pixels[[0, -1]]
    colour = np.median(edges.reshape(-1, *pixels.shape[2:]), axis=0).astype(np.uint8)
    canvas = np.empty(framing.array, dtype=np.uint8)
    canvas[...] = colour
    top, left = (framing.height - height) // 2, (framing.width - width) // 2
    canvas[top : top + height, left : left + width] = pixels
    return canvas
