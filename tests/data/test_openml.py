"""OpenML's sets without a network: a tiny set in the real layout, and every way a download fails."""

import http.client
from dataclasses import replace
from typing import Any
from urllib.error import HTTPError, URLError

import numpy as np
import pytest
import sklearn.datasets
from sklearn.utils import Bunch

from gammatune.data import load
from gammatune.data.openml import OPENML_SETS, load_openml
from gammatune.data.split import split_data
from gammatune.errors import InvalidArgument, InvalidData


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """fetch_openml hands out 30 flat rows of float64 and text targets, as it does; calls are kept."""
    calls: list[dict[str, Any]] = []

    def fetch(**kwargs: Any) -> Bunch:
        calls.append(kwargs)
        name = next(name for name, source in OPENML_SETS.items() if source.data_id == kwargs["data_id"])
        pixels = int(np.prod(OPENML_SETS[name].shape))
        rows = (np.arange(30 * pixels) % 256).reshape(30, pixels).astype(np.float64)
        return Bunch(data=rows, target=np.array([str(i % 10) for i in range(30)], dtype=object))

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    short = {name: replace(source, test_rows=10) for name, source in OPENML_SETS.items()}
    monkeypatch.setattr("gammatune.data.openml.OPENML_SETS", short)
    return calls


@pytest.mark.parametrize(
    ("name", "data_id", "shape", "third"),
    [
        ("mnist", 554, (1, 28, 28), 2),
        ("fashion-mnist", 40996, (1, 28, 28), "pullover"),
        ("cifar10", 40927, (3, 32, 32), "bird"),
    ],
)
def test_rows_become_images_and_the_last_ones_the_test_part(
    tiny: list[dict[str, Any]], name: str, data_id: int, shape: tuple[int, ...], third: object
) -> None:
    data = load(name)
    assert [call["data_id"] for call in tiny] == [data_id]
    assert tiny[0]["as_frame"] is False
    assert (data.shape, data.x_train.dtype, len(data.x_train)) == (shape, np.uint8, 20)
    assert data.x_test is not None
    assert data.y_test is not None
    assert (
        data.x_test.reshape(10, -1)[0, 0] == 20 * np.prod(shape) % 256
    )  # row 20 is the first of the test part
    assert data.y_test.tolist() == list(range(10))
    assert data.classes[2] == third
    assert split_data(data, seed=0).train.x.shape == (16, *shape)


def test_cifar_rows_hold_one_colour_after_the_other(tiny: list[dict[str, Any]]) -> None:
    data = load("cifar10")
    assert data.x_train[0, 1, 0, 0] == 1024 % 256
    assert data.x_train[0, 0, 1, 5] == 37  # row 1, column 5


@pytest.mark.parametrize("there", [True, False])
def test_pandas_is_used_where_it_is_and_not_needed(
    tiny: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    monkeypatch.setattr("gammatune.data.openml.find_spec", lambda name: object() if there else None)
    load("mnist")
    assert tiny[0]["parser"] == ("pandas" if there else "liac-arff")


@pytest.mark.parametrize(
    "failure",
    [
        URLError("no route to host"),
        HTTPError("address", 503, "unavailable", http.client.HTTPMessage(), None),
        TimeoutError("timed out"),
        http.client.IncompleteRead(b""),
        ValueError("md5 checksum of local file does not match"),
    ],
)
def test_a_failed_download_says_how_to_go_on_without(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fetch(**_: Any) -> Bunch:
        raise failure

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    with pytest.raises(
        InvalidData, match=r"mnist could not be fetched .* give a file: an .npz with"
    ) as caught:
        load("mnist")
    assert caught.value.__cause__ is failure


def test_an_unknown_set_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="no set 'cifar100' here; choose from mnist"):
        load_openml("cifar100")
