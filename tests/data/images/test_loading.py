"""Many files at a time: what cannot be read is named, the others come in their order, in one array."""

from pathlib import Path

import numpy as np
import pytest
from drawn import draw, zoo
from PIL import Image

from gammatune.pipeline.data.folder import load_folder
from gammatune.pipeline.data.images import loading
from gammatune.pipeline.data.images.files import image_files
from gammatune.pipeline.data.images.framing import Framing, Head
from gammatune.pipeline.data.images.loading import Skipped, heads_of, read_images, skipped_in_words

FRAMING = Framing(8, 8, "L")


def test_the_order_is_that_of_the_files_whatever_the_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "AT_A_TIME", 7)
    for i in range(60):
        draw(tmp_path / f"{i:02}.png", (10 + i, 10), value=4 * i)
    for i in (0, 13, 59):
        (tmp_path / f"{i:02}.png").write_bytes(b"no image")
    files = image_files(tmp_path)
    for cores in (1, 5):
        monkeypatch.setattr(loading, "cores", lambda n=cores: n)
        found = read_images(files, FRAMING)
        kept = [i for i in range(60) if i not in (0, 13, 59)]
        assert found.kept.tolist() == kept
        assert found.pixels[:, 0, 0].tolist() == [4 * i for i in kept]
        assert [each.file for each in found.skipped] == [files[i] for i in (0, 13, 59)]


def test_memory_is_the_result_and_little_more(tmp_path: Path) -> None:
    draw(tmp_path / "1.png", (10, 10))
    found = read_images([tmp_path / "1.png"] * 300, FRAMING)
    assert found.pixels.base is not None
    assert found.pixels.base.nbytes == 300 * 64


def test_reasons_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path / "bomb.png", (40, 40))
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no image")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    files = [*image_files(tmp_path), tmp_path / "gone.png"]
    heads = heads_of(files)
    assert heads == [
        Skipped(files[0], "larger than Pillow takes: scale it down"),
        Skipped(files[1], "empty"),
        Skipped(files[2], "no image that Pillow knows"),
        Skipped(files[3], "No such file or directory"),
    ]
    skipped = [head for head in heads if isinstance(head, Skipped)]
    assert skipped_in_words(skipped, 186, tmp_path) == (
        "4 of 186 images left out that cannot be read: bomb.png (larger than Pillow takes: scale it down), empty.jpg "
        "(empty), text.jpg (no image that Pillow knows) and 1 more."
    )
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1500)  # of which Pillow warns alone
    assert heads_of(files)[0] == Head(40, 40, grey=False)


def test_no_memory_is_no_fault_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path / "1.png")

    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(loading, "pixels_of", full)
    with pytest.raises(MemoryError):
        read_images([tmp_path / "1.png"], FRAMING)


def test_blanks_unicode_hidden_files_and_what_an_archive_leaves(tmp_path: Path) -> None:
    root = zoo(tmp_path)
    draw(root / "cat" / "Ein Bild – 図.PNG")
    draw(root / "cat" / ".ipynb_checkpoints" / "0.png")
    draw(root / "dog" / "._0.png")
    draw(root / "__MACOSX" / "cat" / "0.png")
    (root / "dog" / "photo.HEIC").touch()
    said: list[str] = []
    data = load_folder(root, said=said)
    assert data.files is not None
    assert len(data.files) == 9
    assert "cat/Ein Bild – 図.PNG" in data.files
    assert said[0] == "Pictures that are not read are left out (1 ending in .heic); save them as JPEG or PNG."


def test_of_a_moving_picture_the_first_is_taken(tmp_path: Path) -> None:
    root = zoo(tmp_path)
    frames = [Image.new("L", (12, 10), value) for value in (60, 200)]
    frames[0].save(root / "cat" / "moves.gif", save_all=True, append_images=frames[1:])
    said: list[str] = []
    data = load_folder(root, said=said)
    assert said[0] == "Several pictures in one file, moving or as pages, have 1 image: the first is taken."
    assert data.files is not None
    assert np.unique(data.x_train[data.files.tolist().index("cat/moves.gif")]).tolist() == [60]
