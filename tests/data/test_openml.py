"""OpenML's sets without a network: a tiny set in the real layout, and every way a download fails."""

import hashlib
import http.client
import io
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import numpy as np
import pytest
import sklearn.datasets
from sklearn.utils import Bunch

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data import load
from gammatune.pipeline.data.openml import OPENML_SETS, load_openml
from gammatune.pipeline.data.split import split_data


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
    monkeypatch.setattr("gammatune.pipeline.data.openml.OPENML_SETS", short)
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
    monkeypatch.setattr("gammatune.pipeline.data.openml.find_spec", lambda name: object() if there else None)
    load("mnist")
    assert tiny[0]["parser"] == ("pandas" if there else "liac-arff")


def fail_with(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    def fetch(**_: Any) -> Bunch:
        raise failure

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)


@pytest.mark.parametrize(
    "failure",
    [
        URLError("no route to host"),
        HTTPError("address", 503, "unavailable", http.client.HTTPMessage(), None),
        TimeoutError("timed out"),
        http.client.IncompleteRead(b""),
        ConnectionResetError("reset by peer"),
    ],
)
def test_a_failed_download_says_how_to_go_on_without(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    fail_with(monkeypatch, failure)
    with pytest.raises(
        InvalidData, match=r"mnist could not be fetched .* give a file: an .npz with"
    ) as caught:
        load("mnist")
    assert caught.value.__cause__ is failure


@pytest.mark.parametrize(
    "failure",
    [
        ValueError("md5 checksum of local file does not match description"),
        TypeError("fetch_openml() got an unexpected keyword argument"),
        OSError(28, "No space left on device"),
    ],
)
def test_what_is_no_fault_of_the_network_keeps_its_own_words(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    fail_with(monkeypatch, failure)
    with pytest.raises(type(failure)) as caught:
        load("mnist")
    assert caught.value is failure


@pytest.fixture
def openml(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What openml.org answers of a set of 30 rows, to scikit-learn's own function; the addresses asked for."""
    source, asked = OPENML_SETS["mnist"], list[str]()
    pixels = int(np.prod(source.shape))
    names = [f"pixel{i + 1}" for i in range(pixels)]
    arff = "@RELATION mnist\n" + "".join(f"@ATTRIBUTE {name} real\n" for name in names)
    arff += "@ATTRIBUTE class {" + ",".join(map(str, range(10))) + "}\n@DATA\n"
    rows = (np.arange(30 * pixels) % 256).reshape(30, pixels)
    arff += "".join(",".join(map(str, [*row, i % 10])) + "\n" for i, row in enumerate(rows.tolist()))
    features = [
        {"index": str(i), "name": name, "data_type": "numeric", "is_target": "false"}
        for i, name in enumerate(names)
    ] + [{"index": str(pixels), "name": "class", "data_type": "nominal", "is_target": "true"}]
    plain = {"is_ignore": "false", "is_row_identifier": "false", "number_of_missing_values": "0"}
    features = [feature | plain for feature in features]
    answers: dict[str, Any] = {
        "features/554": {"data_features": {"feature": features}},
        "qualities/554": {"data_qualities": {"quality": [{"name": "NumberOfInstances", "value": "30"}]}},
        "json/data/554": {
            "data_set_description": {
                "name": "mnist_784",
                "version": "1",
                "format": "ARFF",
                "status": "active",
                "description": "",
                "url": "https://www.openml.org/data/v1/download/52667/mnist_784.arff",
                "md5_checksum": hashlib.md5(arff.encode()).hexdigest(),
            }
        },
    }

    class Answer(io.BytesIO):
        def info(self) -> dict[str, str]:
            return {}

    def urlopen(request: Any) -> Answer:
        asked.append(request.full_url)
        content = next((json.dumps(a) for end, a in answers.items() if request.full_url.endswith(end)), arff)
        return Answer(content.encode())

    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    monkeypatch.setattr("sklearn.datasets._openml.urlopen", urlopen)
    monkeypatch.setattr(
        "gammatune.pipeline.data.openml.OPENML_SETS", {"mnist": replace(source, test_rows=10)}
    )
    return asked


@pytest.mark.parametrize("parser", ["pandas", "liac-arff"])
def test_scikit_learn_takes_the_call(openml: list[str], monkeypatch: pytest.MonkeyPatch, parser: str) -> None:
    monkeypatch.setattr(
        "gammatune.pipeline.data.openml.find_spec", lambda _: object() if parser == "pandas" else None
    )
    data = load("mnist")
    assert (data.shape, data.x_train.dtype, len(data.x_train)) == ((1, 28, 28), np.uint8, 20)
    assert data.y_train.tolist() == [*range(10), *range(10)]
    assert data.x_train[1].reshape(-1)[:3].tolist() == [16, 17, 18]  # row 1 begins with 784 % 256
    assert any("mnist_784.arff" in address for address in openml)


def test_without_a_network_scikit_learn_tries_again_and_the_advice_is_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tried = []

    def urlopen(request: Any) -> None:
        tried.append(request.full_url)
        raise URLError("no route to host")

    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    monkeypatch.setattr("sklearn.datasets._openml.urlopen", urlopen)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.raises(InvalidData, match="no route to host"):
        load("cifar10")
    assert len(tried) > 1


def test_an_unknown_set_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="no set 'cifar100' here; choose from mnist"):
        load_openml("cifar100")
