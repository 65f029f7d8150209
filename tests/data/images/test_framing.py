"""Images of any size, mode and depth become arrays of one shape by a rule that is the same for all of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import draw, zoo
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.folder import ImageOptions, load_folder
from gammatune.pipeline.data.images import decoding
from gammatune.pipeline.data.images.decoding import pixels_of
from gammatune.pipeline.data.images.framing import FITS, Framing, Head, choose
from gammatune.pipeline.data.preprocessing import Preprocessing, learn


def heads(*shapes: tuple[int, int]) -> list[Head]:
    return [Head(height, width, grey=False) for height, width in shapes]


@pytest.mark.parametrize(
    ("shapes", "size", "fit", "wanted"),
    [
        ([(20, 30)] * 3, None, None, (20, 30, "crop")),
        ([(480, 640)] * 3, None, None, (64, 64, "crop")),
        ([(400, 600)] * 3, None, None, (64, 64, "crop")),
        ([(90, 160)] * 3, None, None, (64, 64, "pad")),
        ([(100, 100)] * 9 + [(100, 300)], None, None, (64, 64, "crop")),
        ([(100, 100)] * 8 + [(100, 300), (300, 100)], None, None, (64, 64, "pad")),
        ([(90, 160)] * 3, None, "crop", (64, 64, "crop")),
        ([(20, 30)] * 3, 50, "stretch", (50, 50, "stretch")),
        ([(1, 1), (5, 5)], None, None, (16, 16, "crop")),
    ],
)
def test_the_rule(shapes: Any, size: int | None, fit: str | None, wanted: tuple[int, int, str]) -> None:
    said: list[str] = []
    framing = choose(heads(*shapes), size, fit, said)
    assert (framing.height, framing.width, framing.fit) == wanted
    is_cut = wanted[:2] not in shapes
    assert len(said) == is_cut
    if is_cut and max(abs(h - w) for h, w in shapes):
        assert "--fit and --image-size say otherwise; contact-sheet.png in the run shows" in said[0]


def test_what_a_fit_does_is_said() -> None:
    def told(fit: str | None, *shapes: tuple[int, int]) -> str:
        said: list[str] = []
        choose(heads(*shapes), None, fit, said)
        return said[0]

    assert (
        "their middles are scaled to 64 x 64, which leaves out 25 % of the median image and 50 % of the longest"
        in told("crop", (100, 100), (120, 160), (100, 200))
    )
    assert (
        "filled up beside with the colour of their edges, since 67 % of them would lose more than 40 % of their"
        in told(None, (100, 100), (100, 200), (200, 100))
    )
    assert "stretched to 64 x 64." in told("stretch", (100, 100), (100, 200))
    assert " 1 of them are smaller and are enlarged." in told("pad", (100, 100), (20, 10), (200, 100))


@given(
    st.sampled_from(FITS),
    st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"]),
    *[st.integers(1, 70)] * 2,
    *[st.integers(1, 40)] * 2,
    st.sampled_from(["L", "RGB"]),
)
@settings(max_examples=60)
def test_any_image_comes_in_the_shape_wanted(
    tmp_path_factory: pytest.TempPathFactory,
    fit: str,
    mode: str,
    wide: int,
    high: int,
    width: int,
    height: int,
    wanted: str,
) -> None:
    """One grey stays this grey everywhere, whatever is done with its shape."""
    image = Image.new("L", (wide, high), 255).convert(mode)
    framing = Framing(height, width, wanted, fit, (0.0, 255.0))
    path = tmp_path_factory.getbasetemp() / "any.tif"
    image.save(path)
    pixels = pixels_of(path, framing)
    assert pixels.shape == framing.array
    assert pixels.dtype == np.uint8
    assert (pixels >= 254).all()  # CMYK and YCbCr round


def halves(path: Path, size: tuple[int, int], **options: Any) -> None:
    """Black on the left, white on the right, and a grey column in the middle."""
    width, height = size
    columns = np.repeat([0, 128, 255], [width // 2 - 2, 4, width - width // 2 - 2]).astype(np.uint8)
    Image.fromarray(np.tile(columns, (height, 1))).save(path, **options)


def test_crop_pad_and_stretch(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    halves(path, (64, 16))
    seen = {fit: pixels_of(path, Framing(16, 16, "L", fit)) for fit in FITS}
    assert seen["crop"][8, [0, 15]].tolist() == [0, 255]
    assert 120 < seen["crop"][8, 7] < 136  # the middle as it is
    assert seen["stretch"][8, [0, 15]].tolist() == [0, 255]
    assert (seen["stretch"][0] == seen["stretch"][15]).all()
    assert (seen["pad"][6:10] == seen["stretch"][6:10]).all()  # all of it, a quarter as high
    assert len(np.unique(seen["pad"][:6])) == 1


def test_padding_has_the_colour_of_the_edges(tmp_path: Path) -> None:
    path = tmp_path / "tall.png"
    picture = Image.new("RGB", (8, 32), "white")
    picture.paste("red", (2, 8, 6, 24))
    picture.save(path)
    seen = pixels_of(path, Framing(32, 32, "RGB", "pad"))
    assert (seen[:, :12] == 255).all()
    assert (seen[:, 20:] == 255).all()
    assert seen[16, 16].tolist() == [255, 0, 0]


def test_a_large_jpeg_is_decoded_small_and_looks_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.jpg"
    r = np.random.default_rng(0)
    smooth = Image.fromarray(r.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(
        (1600, 1200), Image.Resampling.BICUBIC
    )
    exif = smooth.getexif()
    exif[0x0112] = 6
    smooth.save(path, quality=95, exif=exif)
    decoded: list[tuple[int, int]] = []
    convert = decoding._converted

    def spy(image: Any, framing: Framing) -> Any:
        decoded.append(image.size)
        return convert(image, framing)

    monkeypatch.setattr(decoding, "_converted", spy)
    for fit in FITS:
        small = pixels_of(path, Framing(64, 64, "RGB", fit))
        with monkeypatch.context() as m:
            m.setattr(decoding, "OVER", 1000)
            whole = pixels_of(path, Framing(64, 64, "RGB", fit))
        assert np.abs(small.astype(int) - whole).mean() < 1
    assert decoded == [(150, 200), (1200, 1600)] * 3  # upright


def test_large_images_are_decoded_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "LARGE", 50 * 50)
    held: list[bool] = []
    convert = decoding._converted
    monkeypatch.setattr(
        decoding,
        "_converted",
        lambda image, framing: (held.append(decoding._large.locked()), convert(image, framing))[1],
    )
    for side in (50, 51):
        draw(tmp_path / f"{side}.png", (side, side))
        pixels_of(tmp_path / f"{side}.png", Framing(16, 16, "RGB"))
    assert held == [False, True]


# Depth --------------------------------------------------------------------------------------------------


def deep(path: Path, values: Any, kind: str = "uint16") -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.asarray(values, dtype=kind)).save(path)


@pytest.mark.parametrize(
    ("kind", "ending", "low", "high", "levels"),
    [
        ("uint16", "png", 0, 4000, (0, 4095)),
        ("uint16", "png", 300, 60000, (0, 65535)),
        ("uint16", "png", 5, 200, (0, 255)),
        ("float32", "tif", 0.1, 0.9, (0, 1)),
        ("int32", "tif", -1000, 3000, (-1000, 3000)),
        ("float32", "tif", 0, 0, (0, 1)),
    ],
)
def test_values_of_more_than_8_bits_are_scaled_alike(
    tmp_path: Path, kind: str, ending: str, low: float, high: float, levels: tuple[float, float]
) -> None:
    """The dark image stays dark beside the bright one."""
    for name, value in (("dark", low), ("bright", high)):
        for i in range(2):
            deep(tmp_path / name / f"{i}.{ending}", np.full((8, 8), value), kind)
    said: list[str] = []
    data = load_folder(tmp_path, said=said)
    assert (data.float_levels if kind == "float32" else data.levels) == levels
    assert () in (data.levels, data.float_levels)
    assert said[0] == (
        f"More than 8 bits a pixel have 4 images: {levels[0]:g} becomes black and {levels[1]:g} white, in all of "
        "them alike."
    )
    seen = dict(zip(data.classes, data.x_train[[0, 2], 0, 0].tolist(), strict=True))
    for name, value in (("dark", low), ("bright", high)):
        assert seen[name] == int((value - levels[0]) / (levels[1] - levels[0]) * 255)
    known = learn("classification", data.x_train, data.y_train, data.classes)
    assert known.levels == ()  # of arrays


def test_floating_point_beside_whole_numbers_has_levels_of_its_own(tmp_path: Path) -> None:
    for name, value in (("dark", 0.1), ("bright", 0.9)):
        deep(tmp_path / name / "0.png", np.full((8, 8), value * 65535))
        deep(tmp_path / name / "1.tif", np.full((8, 8), value), "float32")
    said: list[str] = []
    data = load_folder(tmp_path, said=said)
    assert said[0] == (
        "More than 8 bits a pixel have 4 images: 0 becomes black and 65535 white, in whole numbers, in floating "
        "point 0 and 1, in all of them alike."
    )
    assert np.abs(np.diff(data.x_train[:, 0, 0].reshape(2, 2).astype(int))).max() <= 1
    assert data.x_train[:, 0, 0].tolist()[0] > 225


def test_an_image_of_a_kind_that_none_trained_on_was_tells_its_own_white(tmp_path: Path) -> None:
    deep(tmp_path / "a" / "x.tif", np.full((8, 8), 0.5), "float32")
    seen = pixels_of(tmp_path / "a" / "x.tif", Framing(8, 8, "L", levels=(0.0, 65535.0)))
    assert seen[0, 0] == 127


def test_pixels_that_are_no_numbers_are_unreadable(tmp_path: Path) -> None:
    root = zoo(tmp_path)
    deep(root / "cat" / "nan.tif", [[0.0, np.nan]], "float32")
    said: list[str] = []
    load_folder(root, said=said)
    assert (
        said[0]
        == "1 of 9 images left out that cannot be read: cat/nan.tif (some of its pixels are NaN or infinite)."
    )


# What a run keeps ------------------------------------------------------------------------------------------


def test_a_run_keeps_its_framing_and_older_ones_cut() -> None:
    known = Preprocessing(
        "classification", (1, 8, 8), True, (0.5,), (0.2,), ("a", "b"), fit="pad", levels=(0.0, 4095.0)
    )
    again = Preprocessing.from_dict(known.to_dict())
    assert again == known
    assert again.framing == Framing(8, 8, "L", "pad", (0.0, 4095.0))
    older = {
        name: held for name, held in known.to_dict().items() if name not in ("fit", "levels", "float_levels")
    }
    assert Preprocessing.from_dict(older).framing == Framing(8, 8, "L", "crop")
    former = {name: held for name, held in known.to_dict().items() if name != "float_levels"}
    assert Preprocessing.from_dict(former).framing.float_levels == (0.0, 4095.0)
    for wrong in ({"fit": "fold"}, {"levels": [1.0]}, {"levels": [2.0, 1.0]}, {"levels": ["a", "b"]}):
        with pytest.raises(InvalidData):
            Preprocessing.from_dict(known.to_dict() | wrong)
    with pytest.raises(InvalidData, match="was trained on rows of 4 numbers, not on images"):
        _ = Preprocessing("classification", (4,), False, (0.0,) * 4, (1.0,) * 4, ("a", "b")).framing


def test_a_network_that_is_gone_on_with_sees_images_as_it_did(tmp_path: Path) -> None:
    root = zoo(tmp_path)
    like = Framing(20, 20, "L", "pad")
    assert load_folder(root, ImageOptions(like=like), said=[]).x_train.shape == (8, 20, 20)
    other = load_folder(root, ImageOptions(size=12, fit="stretch", like=like), said=[])
    assert (other.x_train.shape, other.fit) == ((8, 12, 12), "stretch")


def test_what_is_no_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="--fit fold: write crop, pad or stretch"):
        load_folder(zoo(tmp_path), ImageOptions(fit="fold"), said=[])
