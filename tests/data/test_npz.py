"""Files: what is read, and what a broken, foreign or absent one is answered."""

import zipfile
from pathlib import Path

import needs
import numpy as np
import pytest

from gammatune.errors import InvalidData
from gammatune.pipeline.data import load
from gammatune.pipeline.data.npz import load_new

X = np.arange(24, dtype=np.uint8).reshape(6, 2, 2)
Y = np.array(["a", "b", "c"] * 2)
MNIST = needs.data_folder() / "mnist.npz"


def test_reads_what_numpy_wrote(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, x_train=X, y_train=Y, x_test=X[:2], y_test=Y[:2], notes="kept out")
    data = load(path)
    assert (data.name, data.classes, data.shape) == ("mine", ("a", "b", "c"), (1, 2, 2))
    assert np.array_equal(data.x_train, X)
    assert data.y_test is not None
    assert data.y_test.tolist() == [0, 1]
    assert load(str(path)).outputs == 3


def test_the_task_can_be_said(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", x_train=X, y_train=np.arange(6))
    assert load(tmp_path / "mine.npz").task == "classification"
    assert load(tmp_path / "mine.npz", task="regression").task == "regression"


def test_missing_keys_are_listed_with_those_found(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", images=X, labels=Y)
    with pytest.raises(InvalidData, match="lacks x_train and y_train; found images, labels; expected"):
        load(tmp_path / "mine.npz")
    np.savez(tmp_path / "mine.npz", x_train=X)
    with pytest.raises(InvalidData, match="lacks y_train; found x_train; expected"):
        load(tmp_path / "mine.npz")
    np.savez(tmp_path / "mine.npz")
    with pytest.raises(InvalidData, match="found nothing"):
        load(tmp_path / "mine.npz")


def test_pickles_are_never_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", x_train=np.array([{}, []], dtype=object), y_train=Y)
    with pytest.raises(InvalidData, match="x_train holds Python objects"):
        load(tmp_path / "mine.npz")


def test_absent_foreign_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"absent.npz: no such file; expected an .npz with x_train"):
        load(tmp_path / "absent.npz")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(InvalidData, match="a folder"):
        load(tmp_path / "folder.npz")
    (tmp_path / "text.npz").write_text("x_train")
    with pytest.raises(InvalidData, match=r"is not an .npz file; write one with"):
        load(tmp_path / "text.npz")
    with zipfile.ZipFile(tmp_path / "zip.npz", "w") as archive:
        archive.writestr("x_train.npy", b"\x93NUMPY garbage")
        archive.writestr("y_train.npy", b"")
    with pytest.raises(InvalidData, match="x_train holds Python objects or is no array"):
        load(tmp_path / "zip.npz")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_flipped_byte_is_noticed(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "mine.npz"
    (np.savez_compressed if compressed else np.savez)(path, x_train=np.arange(4000).reshape(-1, 4), y_train=Y)
    raw = bytearray(path.read_bytes())
    raw[600] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(InvalidData, match=r"is damaged at x_train .*write it anew"):
        load(path)


def test_new_examples_with_and_without_answers(tmp_path: Path) -> None:
    np.savez(tmp_path / "new.npz", x=X)
    x, y = load_new(tmp_path / "new.npz")
    assert np.array_equal(x, X)
    assert y is None
    np.savez(tmp_path / "new.npz", x_train=X[:1], x_test=X, y_test=Y)
    x, y = load_new(tmp_path / "new.npz")
    assert np.array_equal(x, X)
    assert np.array_equal(y, Y)
    np.savez(tmp_path / "new.npz", inputs=X)
    with pytest.raises(InvalidData, match="neither x nor x_test; found inputs; save new examples as x"):
        load_new(tmp_path / "new.npz")


@pytest.mark.skipif(not MNIST.is_file(), reason=needs.DATA)
def test_mnist_as_keras_distributes_it() -> None:
    data = load(MNIST)
    assert data.x_test is not None
    assert (data.shape, len(data.x_train), len(data.x_test)) == ((1, 28, 28), 60_000, 10_000)
    assert data.classes == tuple(range(10))
    assert data.x_train.dtype == np.uint8


def test_too_little_memory_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "mine.npz", x_train=X, y_train=Y)

    def load_nothing(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np, "load", load_nothing)
    with pytest.raises(MemoryError):
        load(tmp_path / "mine.npz")


def test_a_file_that_may_not_be_read_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "mine.npz", x_train=X, y_train=Y)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InvalidData, match=r"mine.npz cannot be read \(Permission denied\)"):
        load(tmp_path / "mine.npz")
