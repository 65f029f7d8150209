"""Images kept as JPEG bytes in an .npz, and sets by name, turned into the .npz that `gammatune train` reads.

    bytes    (b,) uint8        one JPEG after the other
    offsets  (n + 1,)          image i is bytes[offsets[i] : offsets[i + 1]]
    labels   (n,)              whole numbers
    names    (k,) text         what the labels mean; may be missing

Decoding needs Pillow (the extra `images`), which is imported only then.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import InvalidData, require
from gammatune.files import whole_file
from gammatune.pipeline.data.dataset import Data, make_data
from gammatune.pipeline.data.npz import read_arrays
from gammatune.pipeline.data.openml import OPENML_SETS, load_openml

KEYS = ("bytes", "offsets", "labels")


def convert(sources: Sequence[str | Path], out: str | Path) -> Data:
    """Write to `out` the set that `sources` mean, and hand it back as it will be read.

    sources: one name of OPENML_SETS; or one or two files of JPEGs, to train and to test, told apart as `in_order`
    says. Labels are written as their names where those are known. An `out` that is there already is left alone.
    Raises InvalidData, MissingExtra.
    """
    out = Path(out)
    _check_place(out)
    if len(sources) == 1 and str(sources[0]) in OPENML_SETS:
        data = load_openml(str(sources[0]))
    else:
        data = load_jpegs(sources)
    classes = np.array(data.classes)
    arrays = {"x_train": data.x_train, "y_train": classes[data.y_train]}
    if data.x_test is not None and data.y_test is not None:
        arrays |= {"x_test": data.x_test, "y_test": classes[data.y_test]}
    try:
        whole_file(out, lambda file: np.savez_compressed(file, allow_pickle=False, **arrays))
    except OSError as error:
        raise InvalidData(
            f"{out} cannot be written ({error.strerror or error}); name another place"
        ) from error
    return data


def load_jpegs(files: Sequence[str | Path], *, limit: int | None = None) -> Data:
    """The set in one or two files of JPEGs. limit: how many images of each, from its beginning; None takes all.

    Raises InvalidData: anything wrong with the files, in one line. MissingExtra: Pillow is not installed.
    """
    train, test = in_order(files)
    x, y = read_jpegs(train, limit=limit)
    name = Path(train).stem
    if test is None:
        return make_data(name, x, y)
    return make_data(name, x, y, *read_jpegs(test, limit=limit))


def in_order(files: Sequence[str | Path]) -> tuple[str | Path, str | Path | None]:
    """(to train, to test). The one with "test" in its name is the latter; where both or none have, the second is.

    A pattern of the shell names test before train, so that the order alone would turn them round.
    """
    if len(files) == 1:
        return files[0], None
    if len(files) != 2:
        raise InvalidData(f"give one or two files, to train and to test; got {len(files)}")
    first, second = files
    turned = "test" in Path(first).name.lower() and "test" not in Path(second).name.lower()
    return (second, first) if turned else (first, second)


def read_jpegs(path: str | Path, *, limit: int | None = None) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """The images (n, H, W, 3), or (n, H, W) where the first is grey, and the labels (n,), as names where there are.

    limit, and what is raised: see `load_jpegs`.
    """
    if not Path(path).is_file():
        known = ", ".join(OPENML_SETS)
        raise InvalidData(f"{path}: no such file, and no set known by name; give {known}, or a file of JPEGs")
    arrays = read_arrays(path, (*KEYS, "names"))
    if missing := [key for key in KEYS if key not in arrays]:
        raise InvalidData(f"{path} lacks {' and '.join(missing)}; a file of JPEGs has {', '.join(KEYS)}")
    encoded, offsets, labels = (arrays[key] for key in KEYS)
    _check(path, encoded, offsets, labels)
    count = len(labels) if limit is None else min(limit, len(labels))
    labels = labels[:count]
    if "names" in arrays:
        labels = _named(path, labels, arrays["names"])
    pieces = [encoded[offsets[i] : offsets[i + 1]].tobytes() for i in range(count)]
    return _decode(path, pieces), labels


def _check_place(out: Path) -> None:
    if out.suffix != ".npz":
        raise InvalidData(f"{out} does not end in .npz, by which `gammatune train` knows it; write {out}.npz")
    if not out.parent.is_dir():
        raise InvalidData(f"there is no folder {out.parent}; make it, or name another")
    if out.exists():
        raise InvalidData(f"{out} is there already; remove it, or name another")


def _check(path: str | Path, encoded: NDArray[Any], offsets: NDArray[Any], labels: NDArray[Any]) -> None:
    if encoded.dtype != np.uint8 or encoded.ndim != 1:
        raise InvalidData(f"{path}: bytes must be uint8 (b,), got {encoded.dtype} of shape {encoded.shape}")
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels):
        raise InvalidData(
            f"{path}: labels must be whole numbers (n,), one or more, got {labels.dtype} of shape {labels.shape}"
        )
    if offsets.shape != (len(labels) + 1,) or offsets.dtype.kind not in "iu":
        raise InvalidData(
            f"{path}: offsets must be {len(labels) + 1} whole numbers, one more than labels, got {offsets.dtype} of "
            f"shape {offsets.shape}"
        )
    ends = offsets.astype(np.int64)
    if ends[0] < 0 or ends[-1] > len(encoded) or (np.diff(ends) <= 0).any():
        raise InvalidData(f"{path}: offsets must rise from 0 to at most {len(encoded)}, the length of bytes")


def _named(path: str | Path, labels: NDArray[Any], names: NDArray[Any]) -> NDArray[Any]:
    if names.ndim != 1 or names.dtype.kind != "U":
        raise InvalidData(f"{path}: names must be text (k,), got {names.dtype} of shape {names.shape}")
    if labels.min() < 0 or labels.max() >= len(names):
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise InvalidData(f"{path}: labels hold {wrong}, and there are {len(names)} names, from 0 on")
    named: NDArray[Any] = names[labels]
    return named


def _decode(path: str | Path, pieces: Sequence[bytes]) -> NDArray[np.uint8]:
    require("PIL", "images", "JPEGs are decoded by")
    from PIL import Image

    images: list[NDArray[np.uint8]] = []
    mode = ""
    for place, piece in enumerate(pieces):
        try:
            with Image.open(io.BytesIO(piece), formats=("JPEG",)) as image:
                mode = mode or ("L" if image.mode == "L" else "RGB")
                images.append(np.asarray(image.convert(mode)))
        except MemoryError:  # no fault of the file
            raise
        except Exception as error:  # Pillow answers damage with OSError, SyntaxError, ValueError and its own
            raise InvalidData(
                f"{path}: image {place} is no JPEG that can be decoded ({error!s:.80})"
            ) from error
        if images[-1].shape != images[0].shape:
            (high, wide), (h, w) = images[0].shape[:2], images[-1].shape[:2]
            raise InvalidData(
                f"{path}: image {place} has {h} x {w} pixels and the first {high} x {wide}; all must be of one size"
            )
    return np.stack(images)
