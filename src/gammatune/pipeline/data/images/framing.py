"""`Framing`: how images of any size and kind become arrays of one shape.

It is chosen once, from the heads of all files; a run keeps it, and brings every later image to that shape by it.

    crop      the middle in the shape wanted, scaled; what lies at the edge is lost
    pad       all of it, scaled; beside it the median colour of the two edges that are filled up
    stretch   all of it, scaled in both directions; what is round becomes oval

16-bit and floating-point images have no white of their own: `levels` says which values become 0 and 255 in whole
numbers of more than 8 bits, `float_levels` in floating point, whose values are of another size; in all of them alike,
so that one may be brighter than another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import InvalidArgument
from gammatune.journal.history import SHEET
from gammatune.pipeline.data.images.files import images

Fit: TypeAlias = Literal["crop", "pad", "stretch"]
FITS: tuple[str, ...] = get_args(Fit)

SIDES = (16, 24, 28, 32, 48, 64)  # of images that are scaled: the largest that the median image fills [guess]
LEAST_SIDE = 4
# of an image's area, beyond which it is a pity to cut it away: 3 x 2 is cut, 16 x 9 is not [guess]
LOSS = 0.4
SHARE = 0.1  # of the images that may lose more than that [guess]
WHITES = (1, 255, 1023, 4095, 16383, 65535)  # of fractions, and of 8, 10, 12, 14 and 16 bits


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of an image that is not decoded. height, width: upright. levels: the least and the largest value
    of a 16-bit or floating-point image, which has been decoded for them; else None. floats: they are in floating
    point. moves: there are more pictures in the file."""

    height: int
    width: int
    grey: bool
    levels: tuple[float, float] | None = None
    floats: bool = False
    moves: bool = False


@dataclass(frozen=True, slots=True)
class Framing:
    """mode: "L" or "RGB". fit: of FITS. levels, float_levels: what becomes 0 and 255 in images that are no bytes, of
    whole numbers and in floating point; empty where none was among those trained on, and where an older version
    trained: then each image tells by itself."""

    height: int
    width: int
    mode: str
    fit: str = "crop"
    levels: tuple[float, ...] = ()
    float_levels: tuple[float, ...] = ()

    @property
    def array(self) -> tuple[int, ...]:
        """The shape of one image: (H, W) or (H, W, 3)."""
        return (self.height, self.width) if self.mode == "L" else (self.height, self.width, 3)


def check_options(size: int | None, fit: str | None) -> None:
    """Raises InvalidArgument at a size or a fit that is none."""
    if size is not None and size < LEAST_SIDE:
        raise InvalidArgument(f"--image-size {size}: give {LEAST_SIDE} pixels or more")
    if fit is not None and fit not in FITS:
        raise InvalidArgument(f"--fit {fit}: write {', '.join(FITS[:-1])} or {FITS[-1]}")


def choose(heads: Sequence[Head], size: int | None, fit: str | None, said: list[str]) -> Framing:
    """The framing for images with these heads. size: the side of squares, and fit, as they were asked for.

    said: takes what was chosen, and why.
    """
    shapes = np.array([(head.height, head.width) for head in heads])
    mode = "L" if all(head.grey for head in heads) else "RGB"
    levels = _all_levels(heads, said)
    alike = bool((shapes == shapes[0]).all())
    if size is None and alike and shapes.max() <= SIDES[-1]:
        height, width = shapes[0].tolist()
        return Framing(height, width, mode, fit or "crop", *levels)
    side = _side(shapes) if size is None else size
    lost = 1 - shapes.min(axis=1) / shapes.max(axis=1)  # (n,), the share of each that a square leaves out
    much = float((lost > LOSS).mean())
    chosen = fit or ("pad" if much > SHARE else "crop")
    if size is None or lost.any():
        said.append(_in_words(shapes, side, chosen, lost, much, by_rule=fit is None))
    return Framing(side, side, mode, chosen, *levels)


def _side(shapes: NDArray[np.int64]) -> int:
    median = float(np.median(shapes.min(axis=1)))
    return max([s for s in SIDES if s <= median] or [SIDES[0]])


def _in_words(
    shapes: NDArray[np.int64], side: int, fit: str, lost: NDArray[Any], much: float, *, by_rule: bool
) -> str:
    low, high = (" x ".join(map(str, of.tolist())) for of in (shapes.min(axis=0), shapes.max(axis=0)))
    have = f"The images have {low if low == high else f'{low} to {high}'} pixels, height by width; "
    if not lost.any():
        return f"{have}they are scaled to {side} x {side}. --image-size says otherwise."
    how = {
        "crop": f"their middles are scaled to {side} x {side}, which leaves out {100 * np.median(lost):.0f} % of the "
        f"median image and {100 * lost.max():.0f} % of the longest",
        "pad": f"they are scaled to {side} x {side} as a whole, filled up beside with the colour of their edges",
        "stretch": f"they are stretched to {side} x {side}",
    }[fit]
    why = (
        f", since {100 * much:.0f} % of them would lose more than {100 * LOSS:.0f} % of their area to a square"
        if fit == "pad" and by_rule
        else ""
    )
    small = int((shapes.max(axis=1) < side).sum())
    more = f" {small} of them are smaller and are enlarged." if small else ""
    otherwise = f"--fit and --image-size say otherwise; {SHEET} in the run shows some of each class."
    return f"{have}{how}{why}.{more} {otherwise}"


def _all_levels(heads: Sequence[Head], said: list[str]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Of whole numbers, and of floating point."""
    deep = [head for head in heads if head.levels is not None]
    levels, float_levels = (
        _levels([head.levels for head in deep if head.levels is not None and head.floats == floats])
        for floats in (False, True)
    )
    known = [each for each in (levels, float_levels) if each]
    if known:
        low, high = known[0]
        kind, other = "", ""
        if len(known) > 1:
            kind = ", in whole numbers"
            other = f", in floating point {float_levels[0]:g} and {float_levels[1]:g}"
        said.append(
            f"More than 8 bits a pixel have {images(len(deep))}: {low:g} becomes black and {high:g} "
            f"white{kind}{other}, in all of them alike."
        )
    return levels, float_levels


def _levels(found: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    """The least and the largest value of all, widened to what so many bits hold; empty of none."""
    if not found:
        return ()
    low, high = min(0.0, *(low for low, _ in found)), max(high for _, high in found)
    if low == 0:
        high = next((float(white) for white in WHITES if white >= high), high)
    return low, high if high > low else low + 1
