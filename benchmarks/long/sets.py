"""The data of the eight trainings, all of it made here, or read from what is at hand.

    code         Python's own standard library: its modules of one file whose names begin with i to z, joined by name
    prose        the descriptions of data sets that come with scikit-learn, joined by name
    signals      one-dimensional waves of ten kinds, from the generator below
    rows         scikit-learn's make_classification
    mnist, cifar the files that equal_cost/data.py names, images at their own size

Of what gammatune's prior was fitted on (experiments/population), MNIST and CIFAR-10 are the same data sets. The other
modules of the standard library (a to h, and the four LEFT_OUT) are there as well; signals and rows are of kinds that
are there, prose is Python's help there.
"""

import hashlib
import os
import string
import sysconfig
from functools import cache
from pathlib import Path

import data
import numpy as np
import sklearn
import torch
from numpy.typing import NDArray
from tasks import Parts, split
from torch import Tensor

HERE = Path(__file__).resolve().parent
LEFT_OUT = ("optparse", "tarfile", "turtle", "typing")  # read by experiments/population/sources.py
SYMBOLS = string.ascii_letters + string.digits + string.punctuation + " \n"  # any other is one more symbol
KINDS = 10  # of signals
LENGTH = 128  # of a signal, in samples

# Texts ----------------------------------------------------------------------------------------------------


@cache
def code() -> str:
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("[i-z]*.py"))
    return "".join(file.read_text("utf-8") for file in files if file.stem not in LEFT_OUT)


@cache
def prose() -> str:
    folder = Path(sklearn.__file__).parent / "datasets" / "descr"
    return "".join(file.read_text("utf-8") for file in sorted(folder.glob("*.rst")))


def sha256(text: str) -> str:
    """Of a text as it is read here; it changes with the version of Python or scikit-learn."""
    return hashlib.sha256(text.encode()).hexdigest()


def windows(text: str, context: int, train: int, validation: int, test: int) -> Parts:
    """Stretches of the text without overlap, (n, context) and the same a symbol later: the first `train`, the other
    parts drawn from the last ones; the same for every seed."""
    places = {symbol: place for place, symbol in enumerate(SYMBOLS)}
    codes = torch.tensor([places.get(symbol, len(SYMBOLS)) for symbol in text])
    count = (len(codes) - 1) // context
    x, y = (codes[start : start + count * context].view(count, context) for start in (0, 1))
    counts = [validation, validation, test]
    assert train + sum(counts) <= count, f"the text has {count} stretches"
    last = count - 1 - torch.randperm(sum(counts), generator=torch.Generator().manual_seed(0))
    at = [torch.arange(train), *last.split(counts)]
    named = zip(("train", "select", "second", "test"), at, strict=True)
    return {part: (x[rows], y[rows]) for part, rows in named}


# Signals and rows -----------------------------------------------------------------------------------------


def waves(rng: np.random.Generator, n: int) -> data.Pool:
    """n signals (1, LENGTH) in noise of deviation 1.5: five shapes of wave of random frequency, phase and height,
    each steady or dying away."""
    t = np.arange(LENGTH) / LENGTH
    y = rng.integers(0, KINDS, n)
    turns = rng.uniform(3, 12, n)[:, None] * t + rng.random(n)[:, None]
    phase, angle = turns % 1, 2 * np.pi * turns
    shapes = np.stack(
        [
            np.sin(angle),
            np.sign(np.sin(angle)),
            2 * phase - 1,
            np.sin(angle * (1 + t / 2)),
            (np.sin(angle) + np.sin(1.5 * angle)) / np.sqrt(2),
        ]
    )  # (5, n, LENGTH)
    x = shapes[y % 5, np.arange(n)] * rng.uniform(1, 2, n)[:, None]
    x = np.where((y >= 5)[:, None], x * 2 * np.exp(-3 * t), x) + rng.normal(0, 1.5, x.shape)
    return data.Pool(x[:, None].astype(np.float32), y.astype(np.int64))


def signals(rng: np.random.Generator, train: int, validation: int, test: int) -> Parts:
    pool = waves(rng, train + 2 * validation + test)
    ends = np.cumsum([train, validation, validation])
    parts = zip(
        ("train", "select", "second", "test"), np.split(pool.x, ends), np.split(pool.y, ends), strict=True
    )
    return {name: (torch.from_numpy(x), torch.from_numpy(y)) for name, x, y in parts}


@cache
def rows(n: int) -> data.Pool:
    """n rows of 40 columns, half of which tell something, in five classes of eight clusters each."""
    from sklearn.datasets import make_classification

    x, y = make_classification(
        n,
        40,
        n_informative=20,
        n_classes=5,
        n_clusters_per_class=8,
        flip_y=0.02,
        class_sep=0.8,
        random_state=0,
    )
    return data.Pool(x.astype(np.float32), y.astype(np.int64))


# Images ---------------------------------------------------------------------------------------------------


@cache
def mnist() -> data.Pool:
    """60,000 and 10,000 images (1, 28, 28) in [0, 1]."""
    with np.load(data.folder() / "mnist.npz") as file:
        x, test = (file[name][:, None].astype(np.float32) / 255 for name in ("x_train", "x_test"))
        return data.Pool(x, file["y_train"].astype(np.int64), test, file["y_test"].astype(np.int64))


@cache
def cifar(limit: int | None = None) -> data.Pool:
    """50,000 and 10,000 images (3, 32, 32) in [0, 1], decoded once and kept; or the first `limit` of both."""
    kept = HERE / ".cache" / "cifar.npz"
    if limit is not None:
        return _unit(*data.decoded("train", limit), *data.decoded("test", limit))
    if not kept.exists():
        (x, y), (test, test_y) = (data.decoded(part) for part in ("train", "test"))
        kept.parent.mkdir(parents=True, exist_ok=True)
        beside = kept.with_name(f"cifar.{os.getpid()}.npz")
        np.savez(beside, x=x, y=y, test=test, test_y=test_y)
        os.replace(beside, kept)
    with np.load(kept) as file:
        return _unit(file["x"], file["y"], file["test"], file["test_y"])


def _unit(
    x: NDArray[np.uint8], y: NDArray[np.int64], test: NDArray[np.uint8], test_y: NDArray[np.int64]
) -> data.Pool:
    return data.Pool(x.astype(np.float32) / 255, y, test.astype(np.float32) / 255, test_y)


def pixels(rng: np.random.Generator, train: int, validation: int, test: int) -> Parts:
    """MNIST for a VAE: (n, 784) in [0, 1]; it needs no labels."""
    pool = mnist()
    assert pool.test_x is not None
    of = np.split(rng.permutation(len(pool.x)), np.cumsum([train, validation, validation]))
    chosen = [pool.x[rows] for rows in of[:3]] + [pool.test_x[rng.permutation(len(pool.test_x))[:test]]]
    named = zip(("train", "select", "second", "test"), chosen, strict=True)
    return {name: (torch.from_numpy(x.reshape(len(x), 784)), _nothing(len(x))) for name, x in named}


def _nothing(n: int) -> Tensor:
    return torch.zeros(n, 0)


def table(rng: np.random.Generator, train: int, validation: int, test: int) -> Parts:
    return split(rng, lambda: rows(train + 2 * validation + test), train, validation, test)
