"""MNIST, Fashion-MNIST and CIFAR-10 from OpenML, through scikit-learn and its cache."""

import http.client
import ssl
import urllib.error
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.dataset import Data, Label
from gammatune.pipeline.data.npz import LAYOUT


@dataclass(frozen=True, slots=True)
class OpenmlSet:
    """One set at OpenML: flat rows of pixels 0 .. 255, targets "0" .. "9", the test part last.

    data_id: pins name and version. shape: of one image, as the rows are to be folded. test_rows: how many of
    the last rows are the test part of the set's authors. classes: the labels, in the order of the targets.
    """

    data_id: int
    shape: tuple[int, ...]
    test_rows: int
    classes: tuple[Label, ...]


OPENML_SETS: Mapping[str, OpenmlSet] = {
    "mnist": OpenmlSet(554, (28, 28), 10_000, tuple(range(10))),  # mnist_784, version 1
    "fashion-mnist": OpenmlSet(  # Fashion-MNIST, version 1
        40996,
        (28, 28),
        10_000,
        (
            "T-shirt/top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
    ),
    "cifar10": OpenmlSet(  # CIFAR_10, version 1; rows hold 1024 red, 1024 green and 1024 blue values
        40927,
        (3, 32, 32),
        10_000,
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    ),
}

# Not OSError as a whole: a full disk is one too, and says so itself.
NETWORK = (urllib.error.URLError, TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException)


def load_openml(name: str) -> Data:
    """The set called `name` in OPENML_SETS, as uint8 images; downloaded once into scikit-learn's data home.

    Every call parses the file again: seconds with pandas (the extra `openml`), a minute or more without.
    Raises InvalidArgument for a name that is not known, InvalidData where the network is at fault; every other error
    of scikit-learn goes through as it is.
    """
    from sklearn.datasets import fetch_openml

    if name not in OPENML_SETS:
        raise InvalidArgument(f"there is no set {name!r} here; choose from {', '.join(OPENML_SETS)}")
    source = OPENML_SETS[name]
    parsing: dict[str, Any] = {"parser": "liac-arff"}
    if find_spec("pandas"):  # the same numbers, ten times the speed
        # targets too: scikit-learn strips quotes of categories, and pandas 3.1 makes whole numbers of these
        parsing = {"parser": "pandas", "read_csv_kwargs": {"dtype": "float32"}}
    try:
        with warnings.catch_warnings():
            # that it tries again; where that helps nobody need know, and else the error below says what to do
            warnings.filterwarnings("ignore", "A network error occurred")
            bunch = fetch_openml(data_id=source.data_id, as_frame=False, **parsing)
    except NETWORK as error:
        raise InvalidData(
            f"{name} could not be fetched from OpenML ({error}); with a network, try again, and without one "
            f"give a file: {LAYOUT}"
        ) from error
    images = bunch.data.astype(np.uint8).reshape(-1, *source.shape)
    codes = bunch.target.astype(np.int64)
    cut = len(images) - source.test_rows
    return Data(
        name=name,
        task="classification",
        x_train=images[:cut],
        y_train=codes[:cut],
        x_test=images[cut:],
        y_test=codes[cut:],
        classes=source.classes,
    )
