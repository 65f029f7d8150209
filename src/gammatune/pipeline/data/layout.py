"""The shapes one example may have, and their one form for torch: (C, H, W) images or (F,) vectors.

    n examples, H rows, W columns, C channels, F features
    received      (n, F)   (n, H, W)      (n, H, W, C)   (n, C, H, W)
    torch gets    (n, F)   (n, 1, H, W)   (n, C, H, W)   (n, C, H, W)

A sequence (n, T, F) looks like a one-channel image and is handled as one.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import InvalidData

CHANNELS = (1, 3, 4)  # grey, RGB, RGBA

Shape = tuple[int, ...]


def torch_shape(example: Shape) -> Shape:
    """The shape torch gets for an example that has the shape `example` in the file.

    Four axes are told apart by the channels: the last axis if it counts 1, 3 or 4, otherwise the first of the
    example. Raises InvalidData where neither does, or the number of axes is none of the above.
    """
    if len(example) == 1:
        return example
    if len(example) == 2:
        return (1, *example)
    if len(example) == 3 and example[-1] in CHANNELS:
        return (example[2], example[0], example[1])
    if len(example) == 3 and example[0] in CHANNELS:
        return example
    raise InvalidData(
        f"an example of shape {example} is neither a vector (F,) nor an image; "
        "write it as (H, W), (H, W, C) or (C, H, W) with C = 1, 3 or 4"
    )


def to_torch_layout(x: NDArray[Any]) -> NDArray[Any]:
    """`x` (n, ...) with the axes torch expects; a view where that is possible."""
    example = x.shape[1:]
    shape = torch_shape(example)
    if len(example) == 3 and example[-1] in CHANNELS:
        return np.moveaxis(x, -1, 1)
    return x.reshape(len(x), *shape)
