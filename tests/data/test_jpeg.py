"""`gammatune data`: files of JPEGs, and sets by name, become an .npz like any other; mistakes are sentences."""

import io
import sys
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest

from gammatune.errors import InvalidData, MissingExtra
from gammatune.pipeline.data import load, make_data
from gammatune.pipeline.data.jpeg import convert, in_order, load_jpegs

Image = needs.package("PIL.Image")

NAMES = np.array(["cat", "dog"])


def jpeg(grey: int, size: tuple[int, int] = (8, 6), mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    colour: Any = grey if mode == "L" else (grey, 0, 0)
    Image.new(mode, size, colour).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def arrays(images: list[bytes], labels: list[int], names: Any = NAMES) -> dict[str, Any]:
    ends = np.cumsum([0, *(len(image) for image in images)])
    made = {"bytes": np.frombuffer(b"".join(images), np.uint8), "offsets": ends, "labels": np.array(labels)}
    return made if names is None else made | {"names": names}


def write(path: Path, **changes: Any) -> Path:
    """Four images, two of each class, 8 wide and 6 high."""
    np.savez(path, **{**arrays([jpeg(g) for g in (0, 250, 0, 250)], [0, 1, 0, 1]), **changes})
    return path


def test_two_files_become_one_that_trains(tmp_path: Path) -> None:
    train, test = (
        write(tmp_path / "set_train.npz"),
        write(tmp_path / "set_test.npz", labels=np.array([1, 1, 0, 1])),
    )
    written = convert([test, train], tmp_path / "set.npz")  # as a pattern of the shell has them
    data = load(tmp_path / "set.npz")
    assert data.classes == written.classes == ("cat", "dog")
    assert (data.x_train.shape, data.x_train.dtype, data.shape) == ((4, 6, 8, 3), np.uint8, (3, 6, 8))
    assert data.y_train.tolist() == [0, 1, 0, 1]
    assert data.y_test is not None
    assert data.y_test.tolist() == [1, 1, 0, 1]
    reds = data.x_train[:, 0, 0, 0].astype(int)
    assert np.abs(reds - [0, 250, 0, 250]).max() < 5  # JPEG loses a little
    assert not list(tmp_path.glob(".*"))


def test_one_file_has_no_test_part_and_may_be_grey_and_nameless(tmp_path: Path) -> None:
    images = [jpeg(g, mode="L") for g in (10, 200)]
    np.savez(tmp_path / "grey.npz", **arrays(images, [3, 7], names=None))
    convert([tmp_path / "grey.npz"], tmp_path / "out.npz")
    data = load(tmp_path / "out.npz")
    assert data.x_test is None
    assert (data.shape, data.classes) == ((1, 6, 8), (3, 7))


def test_the_first_images_only(tmp_path: Path) -> None:
    data = load_jpegs([write(tmp_path / "a.npz"), write(tmp_path / "b.npz")], limit=2)
    assert data.x_test is not None
    assert (len(data.x_train), len(data.x_test)) == (2, 2)


@pytest.mark.parametrize(
    ("files", "order"),
    [
        (["a.npz"], ("a.npz", None)),
        (["a.npz", "b.npz"], ("a.npz", "b.npz")),
        (["x_TEST.npz", "x_train.npz"], ("x_train.npz", "x_TEST.npz")),
        (["test/a.npz", "test/b.npz"], ("test/a.npz", "test/b.npz")),
        (["test1.npz", "test2.npz"], ("test1.npz", "test2.npz")),
    ],
)
def test_which_is_to_test(files: list[str], order: tuple[str, str | None]) -> None:
    assert in_order(files) == order


def test_a_set_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.arange(4 * 9, dtype=np.uint8).reshape(4, 3, 3)
    fetched = make_data("mnist", images[:2], [0, 1], images[2:], [1, 0])
    monkeypatch.setattr("gammatune.pipeline.data.jpeg.load_openml", lambda name: fetched)
    convert(["mnist"], tmp_path / "mnist.npz")
    data = load(tmp_path / "mnist.npz")
    assert np.array_equal(data.x_train, images[:2])
    assert data.classes == (0, 1)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"bytes": np.zeros(4, np.int64)}, r"bytes must be uint8 \(b,\), got int64 of shape \(4,\)"),
        ({"labels": np.array([0.5, 1])}, "labels must be whole numbers"),
        ({"labels": np.array([], int)}, "labels must be whole numbers"),
        ({"labels": np.array([0, 1])}, "offsets must be 3 whole numbers, one more than labels"),
        ({"labels": np.array([0, 1, 2, 0])}, "labels hold 2, and there are 2 names"),
        ({"labels": np.array([0, 1, -1, 0])}, "labels hold -1, and there are 2 names"),
        ({"names": np.array([1, 2])}, "names must be text"),
        ({"offsets": np.array([0, 1, 2, 3, 10**9])}, "offsets must rise from 0 to at most"),
        ({"offsets": np.array([0, 5, 4, 6, 7])}, "offsets must rise"),
        ({"offsets": np.array([0, 5, 9, 12, 20])}, "image 0 is no JPEG that can be decoded"),
        (arrays([jpeg(0), jpeg(0)[:-40]], [0, 1]), "image 1 is no JPEG that can be decoded"),
        (arrays([jpeg(0), jpeg(0, (9, 6))], [0, 1]), "image 1 has 6 x 9 pixels and the first 6 x 8"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    path = write(tmp_path / "set.npz", **changes)
    with pytest.raises(InvalidData, match=sentence) as refused:
        convert([path], tmp_path / "out.npz")
    assert "\n" not in str(refused.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["set.npz"]


def test_what_is_wrong_with_the_call(tmp_path: Path) -> None:
    path = write(tmp_path / "set.npz")
    for sources, out, sentence in (
        (["mnits"], "out.npz", "no such file, and no set known by name; give mnist"),
        ([path, path, path], "out.npz", "one or two files, to train and to test; got 3"),
        ([path], "out.npy", "does not end in .npz"),
        ([path], "nowhere/out.npz", "there is no folder"),
        ([path], "set.npz", "is there already"),
    ):
        with pytest.raises(InvalidData, match=sentence):
            convert(sources, tmp_path / out)
    np.savez(tmp_path / "other.npz", x_train=np.zeros(3))
    with pytest.raises(InvalidData, match="lacks bytes and offsets and labels; a file of JPEGs has"):
        convert([tmp_path / "other.npz"], tmp_path / "out.npz")
    (tmp_path / "text.npz").write_text("no")
    with pytest.raises(InvalidData, match=r"is not an \.npz file"):
        convert([tmp_path / "text.npz"], tmp_path / "out.npz")


def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    path = write(tmp_path / "set.npz")
    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(
        InvalidData, match=r"cannot be written \(No space left on device\); name another place"
    ):
        convert([path], tmp_path / "out.npz")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["set.npz"]


def test_without_pillow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "set.npz")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtra, match=r"pip install 'gammatune\[images\]'"):
        convert([path], tmp_path / "out.npz")


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gammatune.cli.app import main

    write(tmp_path / "a_train.npz")
    write(tmp_path / "a_test.npz")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["gammatune", "data", "a_test.npz", "a_train.npz", "--out", "a.npz"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert (
        "4 images of 6 x 8 x 3 to train, 4 to test, 2 classes; `gammatune train a.npz`"
        in capsys.readouterr().out
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: a.npz is there already; remove it, or name another\n"
