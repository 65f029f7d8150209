"""Folders of images as people have them."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from drawn import draw, zoo
from PIL import Image

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data import load
from gammatune.pipeline.data.folder import ImageOptions, load_folder
from gammatune.pipeline.data.split import split_data


def test_a_folder_a_class(tmp_path: Path) -> None:
    said: list[str] = []
    data = load_folder(zoo(tmp_path / "zoo"), said=said)
    assert (data.name, data.classes, data.x_train.shape) == ("zoo", ("cat", "dog"), (8, 10, 12, 3))
    assert data.y_train.tolist() == [0] * 4 + [1] * 4
    assert data.x_train[5, 0, 0].tolist() == [101] * 3
    assert data.x_test is None
    assert said == ["8 images of 10 x 12 pixels, in colour, 2 classes by folder."]


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "validation", "testing"), ("train", "test")]
)
def test_folders_of_parts(tmp_path: Path, names: tuple[str, ...]) -> None:
    data = load(zoo(tmp_path, names))
    assert data.x_train.shape[0] == 8
    assert data.x_test is not None
    assert (data.x_select is not None) == (len(names) == 3)
    split = split_data(data, seed=0)
    assert len(split.report.x) == 8
    assert len(split.select.x) == (8 if len(names) == 3 else 2)


def test_sizes_and_modes_are_brought_together(tmp_path: Path) -> None:
    root = zoo(tmp_path)
    draw(root / "cat" / "palette.gif", (40, 80), "P")
    draw(root / "cat" / "grey.jpg", (90, 30), "L")
    draw(root / "dog" / "sixteen.png", (50, 50), "I;16")
    draw(root / "dog" / "float.tif", (50, 50), "F")
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(root / "dog" / "clear.png")
    said: list[str] = []
    data = load_folder(root, said=said)
    assert data.x_train.shape == (13, 16, 16, 3)
    assert said[0].startswith("More than 8 bits a pixel have 2 images: 0 becomes black and 255 white")
    assert "10 x 12 to 80 x 90 pixels" in said[1]
    assert "--fit and --image-size say otherwise" in said[1]
    assert load_folder(root, ImageOptions(size=20), said=[]).x_train.shape[1:] == (20, 20, 3)
    clear = data.x_train[[*sorted(p.name for p in (root / "dog").iterdir())].index("clear.png") + 6]
    assert (clear == 255).all()  # what is transparent is white


def test_grey_stays_grey(tmp_path: Path) -> None:
    for name in ("a", "b"):
        draw(tmp_path / name / "1.png", mode="L")
    assert load_folder(tmp_path, said=[]).x_train.shape == (2, 10, 12)


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        picture = Image.new("RGB", (12, 8), "black")
        picture.paste("white", (0, 0, 6, 8))  # left half
        exif = picture.getexif()
        exif[0x0112] = 6  # to be turned by a quarter
        picture.save(tmp_path / name / "1.png", exif=exif)
    data = load_folder(tmp_path, said=[])
    assert data.x_train.shape == (2, 12, 8, 3)
    assert data.x_train[0, 0].min() == 255  # the white half is on top
    assert data.x_train[0, -1].max() == 0


def test_what_lies_about_is_left_out(tmp_path: Path) -> None:
    root = zoo(tmp_path)
    (root / "cat" / "notes.txt").write_text("no image")
    (root / ".cache").mkdir()
    draw(root / "loose.png")
    said: list[str] = []
    assert len(load_folder(root, said=said).x_train) == 8
    assert said[0].startswith("1 image beside the folders")


def test_damaged_images_are_left_out_counted_and_named(tmp_path: Path) -> None:
    root = zoo(tmp_path)
    (root / "cat" / "bad.png").write_bytes(b"no image")
    (root / "dog" / "cut.png").write_bytes((root / "dog" / "1.png").read_bytes()[:45])
    (root / "dog" / "0.jpg").touch()
    said: list[str] = []
    data = load_folder(root, said=said)
    assert data.x_train[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 100, 101, 102, 103]
    assert data.y_train.tolist() == [0] * 4 + [1] * 4
    assert data.files is not None
    assert data.files.tolist() == [f"{name}/{i}.png" for name in ("cat", "dog") for i in range(4)]
    assert said[0].startswith("3 of 11 images left out that cannot be read: ")
    for part in (
        "cat/bad.png (no image that Pillow knows)",
        "dog/0.jpg (empty)",
        "dog/cut.png (image file is trunc",
    ):
        assert part in said[0]


def test_where_most_or_all_of_a_class_are_damaged_the_data_is_refused(tmp_path: Path) -> None:
    root = zoo(tmp_path)
    for i in range(4):
        (root / "dog" / f"{i}.png").write_bytes(b"no image")
    with pytest.raises(
        InvalidData, match=r"no image of 'dog' can be read, such as dog/0\.png; replace its images"
    ):
        load_folder(root, said=[])
    (root / "cat" / "0.png").write_bytes(b"no image")
    with pytest.raises(
        InvalidData, match=r"5 of 8 images cannot be read, more than half: .* and 2 more; is this the"
    ):
        load_folder(root, said=[])
    for i in range(4):
        (root / "cat" / f"{i}.png").write_bytes(b"no image")
    with pytest.raises(InvalidData, match="none of 8 images can be read"):
        load_folder(root, said=[])


def test_folders_that_hold_no_classes(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="no folders of images"):
        load_folder(tmp_path, said=[])
    draw(tmp_path / "1.png")
    with pytest.raises(
        InvalidData,
        match=r"1 image and no folders, and their names \(1\.png\) do not begin .*; put the images",
    ):
        load_folder(tmp_path, said=[])
    draw(tmp_path / "cat" / "1.png")
    with pytest.raises(InvalidData, match="the one class 'cat'"):
        load_folder(tmp_path, said=[])
    (tmp_path / "dog").mkdir()
    with pytest.raises(InvalidData, match="dog holds no image"):
        load_folder(tmp_path, said=[])
    with pytest.raises(InvalidArgument, match="--image-size 2"):
        load_folder(tmp_path, ImageOptions(size=2), said=[])


def test_parts_that_do_not_agree(tmp_path: Path) -> None:
    root = zoo(tmp_path, ("train", "test"))
    draw(root / "test" / "owl" / "1.png")
    with pytest.raises(InvalidData, match="no image of 'owl' to train on, and there is in test"):
        load_folder(root, said=[])
    draw(root / "more" / "cat" / "1.png")
    with pytest.raises(InvalidData, match="holds train and more"):
        load_folder(root, said=[])


def test_the_files_of_mnist(tmp_path: Path) -> None:
    for part, n in (("train", 5), ("t10k", 3)):
        pixels = np.arange(n * 6, dtype=np.uint8).reshape(n, 2, 3)
        head = b"".join(int(k).to_bytes(4, "big") for k in (0x803, n, 2, 3))
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + pixels.tobytes()))
        head = b"".join(int(k).to_bytes(4, "big") for k in (0x801, n))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(head + bytes(i % 2 for i in range(n)))
    data = load(tmp_path)
    assert data.x_train.shape == (5, 2, 3)
    assert data.x_test is not None
    assert data.x_test[2, 1].tolist() == [15, 16, 17]
    assert data.y_train.tolist() == [0, 1, 0, 1, 0]
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\x05ab")
    with pytest.raises(InvalidData, match="fetch it anew"):
        load(tmp_path)
