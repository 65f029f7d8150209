"""Real data for the tasks: scikit-learn's bundled sets, MNIST and CIFAR-10 from files, images pooled to half size.

The files are looked for in --data, in the environment's GAMMATUNE_DATA, or in ../shared/data beside the repository:
mnist.npz (x_train, y_train, x_test, y_test) and cifar10_{train,test}_jpeg.npz (bytes, offsets, labels). The images
of CIFAR-10 are decoded once, with Pillow, and kept in the cache.
"""

import io
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
CACHE = HERE / ".cache"
CIFAR_LIMIT = {"train": 20_000, "test": 5_000}  # decoded: more than all tasks together draw from

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Pool:
    """What a task draws from. x: (n, ...) float32; y: (n,) int64 labels, or (n,) float32 numbers.

    test_x, test_y: a separate pool for the test; None where the test is split off x, y.
    """

    x: Array
    y: NDArray
    test_x: Array | None = None
    test_y: NDArray | None = None


def folder() -> Path:
    """Where the files lie."""
    return Path(os.environ.get("GAMMATUNE_DATA", HERE.parents[2] / "shared" / "data"))


def missing() -> list[str]:
    """The names of the files that are not there."""
    names = ("mnist.npz", "cifar10_train_jpeg.npz", "cifar10_test_jpeg.npz")
    return [name for name in names if not (folder() / name).exists()]


@cache
def digits() -> Pool:
    """1,797 images (1, 8, 8) in [0, 1], 10 classes."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return Pool((x / 16).astype(np.float32).reshape(-1, 1, 8, 8), y.astype(np.int64))


@cache
def digits_table() -> Pool:
    """The digits as a table: ink in each of the 8 rows and 8 columns, 16 features; 10 classes."""
    pool = digits()
    ink = np.concatenate([pool.x.sum(axis=3), pool.x.sum(axis=2)], axis=2)
    return Pool(ink.reshape(len(ink), 16), pool.y)


@cache
def breast_cancer() -> Pool:
    """569 examples, 30 features, 2 classes."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return Pool(x.astype(np.float32), y.astype(np.int64))


@cache
def diabetes() -> Pool:
    """442 examples, 10 features, a number."""
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    return Pool(x.astype(np.float32), y.astype(np.float32))


@cache
def mnist() -> Pool:
    """60,000 and 10,000 images (1, 14, 14) in [0, 1], 10 classes."""
    with np.load(folder() / "mnist.npz") as file:
        return Pool(
            halved(file["x_train"][:, None]), file["y_train"].astype(np.int64),
            halved(file["x_test"][:, None]), file["y_test"].astype(np.int64),
        )  # fmt: skip


@cache
def cifar() -> Pool:
    """20,000 and 5,000 images (3, 16, 16) in [0, 1], 10 classes."""
    parts = [_cifar_part("train"), _cifar_part("test")]
    (x, y), (test_x, test_y) = [(images.astype(np.float32) / 255, labels) for images, labels in parts]
    return Pool(x, y, test_x, test_y)


def _cifar_part(part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    kept = CACHE / f"cifar-{part}.npz"
    if not kept.exists():
        images, labels = decoded(part, CIFAR_LIMIT[part])
        pooled = np.rint(halved(images) * 255).astype(np.uint8)
        CACHE.mkdir(parents=True, exist_ok=True)
        beside = CACHE / f"cifar-{part}.{os.getpid()}.npz"
        np.savez(beside, x=pooled, y=labels)
        os.replace(beside, kept)
    with np.load(kept) as file:
        return file["x"], file["y"]


def decoded(part: str, limit: int | None = None) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """CIFAR-10's images (n, 3, 32, 32) and labels, of "train" or "test", the first `limit`."""
    from PIL import Image

    with np.load(folder() / f"cifar10_{part}_jpeg.npz") as file:
        stream, offsets = file["bytes"].tobytes(), file["offsets"]
        labels = file["labels"][:limit].astype(np.int64)
    files = [stream[offsets[i] : offsets[i + 1]] for i in range(len(labels))]
    images = np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files])
    return images.transpose(0, 3, 1, 2), labels


def halved(images: NDArray[np.uint8]) -> Array:
    """(n, C, 2h, 2w) bytes -> (n, C, h, w) in [0, 1], the mean of each 2x2 square."""
    n, c, h, w = images.shape
    squares = images.reshape(n, c, h // 2, 2, w // 2, 2)
    return squares.mean(axis=(3, 5), dtype=np.float32) / np.float32(255)
