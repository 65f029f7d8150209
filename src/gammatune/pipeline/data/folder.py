"""Images in folders: one sub-folder a class, or train, val and test folders of such.

    FOLDER/cat/a.jpg  FOLDER/dog/b.png                        all of one part
    FOLDER/train/cat/a.jpg  FOLDER/val/cat/b.jpg  FOLDER/test/cat/c.jpg

Images of any size and mode: they are turned upright, brought to one mode (grey where all are, else RGB) and one size
(as they are where all agree and are small; else the middle, cut to one shape and scaled). Pillow decodes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import InvalidArgument, InvalidData, require
from gammatune.pipeline.data.dataset import Data

ENDINGS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jfif")
PARTS = {
    "train": ("train", "training", "trainset"),
    "select": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "testset", "eval"),
}
GREY = ("1", "L", "LA", "I", "I;16", "F")
SIDES = (16, 24, 28, 32, 48, 64)  # of images that are scaled: the largest that the median image fills [guess]
LARGEST_BYTES = 8 * 2**30  # of all images together, as bytes


def load_folder(path: str | Path, *, size: int | None = None, said: list[str]) -> Data:
    """The images beneath a folder as uint8 (n, H, W) or (n, H, W, 3), and their classes, the names of the folders.

    size: the side of the squares they become. Raises InvalidData: no classes, no images, one that cannot be read, too
    many to hold. InvalidArgument: size. MissingExtra: Pillow is not installed.
    """
    if size is not None and size < 4:
        raise InvalidArgument(f"--image-size {size}: give 4 pixels or more")
    path = Path(path)
    parts = _parts(path)
    found = {part: _files(folder, said) for part, folder in parts.items()}
    classes = tuple(sorted({name for files in found.values() for name, _ in files}))
    missing = sorted(set(classes) - {name for name, _ in found["train"]})
    if missing:
        raise InvalidData(
            f"{path}: there is no image of {missing[0]!r} in {parts['train'].name}, and there is elsewhere; every "
            "class needs images to train on"
        )
    if len(classes) < 2:
        raise InvalidData(
            f"{path} holds the one class {classes[0]!r}; put the images of each class into a folder of its own"
        )
    every = [file for files in found.values() for _, file in files]
    mode, shapes = _survey(every)
    shape = _shape(shapes, size, said)
    channels = 1 if mode == "L" else 3
    wanted = len(every) * shape[0] * shape[1] * channels
    if wanted > LARGEST_BYTES:
        raise InvalidData(
            f"{len(every)} images of {shape[0]} x {shape[1]} take {wanted / 2**30:.0f} GiB; choose a smaller "
            "--image-size"
        )
    codes = {name: code for code, name in enumerate(classes)}
    arrays: dict[str, Any] = dict.fromkeys(("x_test", "y_test"))
    for part, files in found.items():
        arrays[f"x_{part}"] = read_images([file for _, file in files], shape, mode)
        arrays[f"y_{part}"] = np.array([codes[name] for name, _ in files], dtype=np.int64)
    tail = "grey" if mode == "L" else "in colour"
    said.append(
        f"{len(every)} images of {shape[0]} x {shape[1]} pixels, {tail}, {len(classes)} classes by folder."
    )
    reported = [str(file.relative_to(path)) for _, file in found.get("test", found["train"])]
    return Data(
        name=path.resolve().name, task="classification", classes=classes, files=np.array(reported), **arrays
    )


def image_files(path: Path) -> list[Path]:
    """The images beneath a folder, in the order of their names; hidden files are none."""
    return sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in ENDINGS and file.is_file() and not file.name.startswith(".")
    )


def read_images(files: Sequence[Path], shape: tuple[int, int], mode: str) -> NDArray[np.uint8]:
    """The images as uint8 (n, H, W) or (n, H, W, 3). mode: "L" or "RGB".

    Raises InvalidData: those that cannot be read, all of them named.
    """
    image, ops = _pillow()
    channels = () if mode == "L" else (3,)
    found = np.empty((len(files), *shape, *channels), dtype=np.uint8)
    damaged = []
    for place, file in enumerate(files):
        try:
            with image.open(file) as opened:
                upright = ops.exif_transpose(opened)
                found[place] = np.asarray(ops.fit(_converted(upright, mode), (shape[1], shape[0])))
        except MemoryError:  # no fault of the file
            raise
        except Exception as error:  # Pillow answers damage with OSError, SyntaxError, ValueError and its own
            damaged.append(f"{file} ({str(error).strip() or type(error).__name__:.60})")
    if damaged:
        more = f" and {len(damaged) - 3} more" if len(damaged) > 3 else ""
        raise InvalidData(
            f"{len(damaged)} of {len(files)} images cannot be read: {'; '.join(damaged[:3])}{more}; "
            f"remove or replace them"
        )
    return found


def _pillow() -> tuple[Any, Any]:
    require("PIL", "images", "images are read by")
    from PIL import Image, ImageOps

    return Image, ImageOps


def _converted(image: Any, mode: str) -> Any:
    """16-bit and float images scaled to bytes; what is transparent on white."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image, dtype=np.float64)
        top = 65535.0 if values.max() > 255 else 255.0 if values.max() > 1 else 1.0
        image = _pillow()[0].fromarray((values * (255 / top)).clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = _pillow()[0].new("RGBA", rgba.size, "white")
        image = _pillow()[0].alpha_composite(white, rgba)
    return image.convert(mode)


def _parts(path: Path) -> dict[str, Path]:
    """The folder of each part; all of it is to train on where there is no folder called so."""
    folders = [
        folder for folder in sorted(path.iterdir()) if folder.is_dir() and not folder.name.startswith(".")
    ]
    named = {
        part: folder for folder in folders for part, names in PARTS.items() if folder.name.lower() in names
    }
    if "train" not in named:
        return {"train": path}
    if len(named) != len(folders):
        other = next(folder for folder in folders if folder not in named.values())
        raise InvalidData(
            f"{path} holds {named['train'].name} and {other.name}; beside train there may be val and test, nothing "
            "else"
        )
    return {part: named[part] for part in PARTS if part in named}


def _files(folder: Path, said: list[str]) -> list[tuple[str, Path]]:
    """(class, image) of each image beneath a folder of classes."""
    found = []
    for sub in sorted(folder.iterdir()):
        if sub.is_dir() and not sub.name.startswith("."):
            images = image_files(sub)
            if not images:
                raise InvalidData(
                    f"the folder {sub} holds no image ({', '.join(ENDINGS[:4])}, ...); fill it, or remove it"
                )
            found += [(sub.name, file) for file in images]
    loose = [file for file in folder.iterdir() if file.suffix.lower() in ENDINGS]
    if not found:
        advice = "put the images of each class into a folder of its own, named after the class"
        held = f"{len(loose)} images and no folders" if loose else "no folders of images"
        raise InvalidData(f"{folder} holds {held}; {advice}")
    if loose:
        said.append(
            f"{len(loose)} images beside the folders of {folder.name} belong to no class and are left out."
        )
    return found


def _survey(files: Sequence[Path]) -> tuple[str, NDArray[np.int64]]:
    """The mode all have in common, and the (H, W) of each; only the heads of the files are read."""
    image, _ = _pillow()
    grey, shapes = True, []
    for file in files:
        try:
            with image.open(file) as opened:
                grey &= opened.mode in GREY
                turned = opened.getexif().get(0x0112, 1) in (5, 6, 7, 8)
                width, height = opened.size
                shapes.append((width, height) if turned else (height, width))
        except Exception:  # said, with all others, when it is read
            continue
    if not shapes:
        raise InvalidData(f"none of {len(files)} files is an image that can be read, {files[0]} among them")
    return "L" if grey else "RGB", np.array(shapes)


def _shape(shapes: NDArray[np.int64], size: int | None, said: list[str]) -> tuple[int, int]:
    if size is not None:
        return size, size
    height, width = shapes[0].tolist()
    if (shapes == shapes[0]).all() and max(height, width) <= SIDES[-1]:
        return height, width
    median = float(np.median(shapes.min(axis=1)))
    side = max([s for s in SIDES if s <= median] or [SIDES[0]])
    low, high = shapes.min(axis=0).tolist(), shapes.max(axis=0).tolist()
    said.append(
        f"The images have {low[0]} x {low[1]} to {high[0]} x {high[1]} pixels; their middles are scaled to {side} x "
        f"{side}. --image-size says otherwise."
    )
    return side, side
