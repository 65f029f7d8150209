"""The four files that MNIST and Fashion-MNIST come as: {train,t10k}-{images-idx3,labels-idx1}-ubyte, with .gz
or without.

images   magic 0x00000803, n, H, W as big-endian 32-bit numbers, then n * H * W bytes
labels   magic 0x00000801, n, then n bytes                              http://yann.lecun.com/exdb/mnist
"""

import gzip
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import InvalidData
from gammatune.pipeline.data.dataset import Data, make_data

PARTS = ("train", "t10k")
KINDS = ("images-idx3", "labels-idx1")


def is_idx(folder: Path) -> bool:
    """Whether the training part lies in a folder."""
    return all(_find(folder, "train", kind) is not None for kind in KINDS)


def load_idx(folder: Path) -> Data:
    """The set in a folder. Raises InvalidData where a file is damaged."""
    arrays = []
    for part in PARTS:
        paths = [_find(folder, part, kind) for kind in KINDS]
        if None not in paths:
            arrays += [
                _read(path, dimensions) for path, dimensions in zip(paths, (3, 1), strict=True) if path
            ]
    return make_data(folder.resolve().name, *arrays)


def _find(folder: Path, part: str, kind: str) -> Path | None:
    for name in (f"{part}-{kind}-ubyte", f"{part}-{kind.replace('-idx', '.idx')}-ubyte"):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    return None


def _read(path: Path, dimensions: int) -> NDArray[np.uint8]:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise InvalidData(f"{path} cannot be read ({error}); fetch it anew") from error
    head = np.frombuffer(content[: 4 + 4 * dimensions], dtype=">u4")
    if len(head) != 1 + dimensions or head[0] != 0x800 + dimensions:
        raise InvalidData(f"{path} does not begin as such a file does; fetch it anew")
    shape = tuple(head[1:].tolist())
    if len(content) != 4 + 4 * dimensions + prod(shape):
        raise InvalidData(f"{path} should hold {shape} bytes and holds {len(content)} in all; fetch it anew")
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape)
