"""Data sets and new examples from NumPy's .npz files. Pickles are never read."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import InvalidData
from gammatune.pipeline.data.dataset import Data, Task, make_data

LAYOUT = "an .npz with x_train and y_train, and x_test and y_test if there is a test part"


def load_npz(path: str | Path, *, task: Task | None = None) -> Data:
    """The data set in the file `path`: x_train, y_train, and x_test with y_test where there is a test part.

    task: None tells a classification from a regression by y_train, as `make_data` does.
    Raises InvalidData: no such file, not an .npz, keys missing (those found are listed), object arrays, and
    all that `Data` refuses.
    """
    arrays = read_arrays(path, ("x_train", "y_train", "x_test", "y_test"))
    missing = [key for key in ("x_train", "y_train") if key not in arrays]
    if missing:
        raise InvalidData(f"{path} lacks {' and '.join(missing)}; {_found(path)}; expected {LAYOUT}")
    return make_data(
        Path(path).stem,
        arrays["x_train"],
        arrays["y_train"],
        arrays.get("x_test"),
        arrays.get("y_test"),
        task=task,
    )


def load_new(path: str | Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """New examples to predict: key x (or x_test), and their targets y (or y_test) where the file has them.

    As they are in the file; `Preprocessing.inputs` and `.targets` check and convert them.
    Raises InvalidData: no such file, not an .npz, neither key found, object arrays.
    """
    arrays = read_arrays(path, ("x", "y", "x_test", "y_test"))
    for x, y in (("x", "y"), ("x_test", "y_test")):
        if x in arrays:
            return arrays[x], arrays.get(y)
    raise InvalidData(f"{path} has neither x nor x_test; {_found(path)}; save new examples as x")


def read_arrays(path: str | Path, keys: tuple[str, ...]) -> Mapping[str, NDArray[Any]]:
    """Those of `keys` that the file has. Raises InvalidData where it, or one of them, cannot be read."""
    path = Path(path)
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise InvalidData(f"{path}: {what}; expected {LAYOUT}")
    try:
        with path.open("rb") as stream:  # of a path alone is_zipfile says no, whatever the obstacle
            is_archive = zipfile.is_zipfile(stream)
    except OSError as error:
        raise InvalidData(
            f"{path} cannot be read ({error.strerror or error}); allow it, or name another file"
        ) from error
    if not is_archive:
        raise InvalidData(f"{path} is not an .npz file; write one with numpy.savez_compressed")
    arrays = {}
    key = ""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            for key in keys:
                if key in archive.files:
                    arrays[key] = archive[key]
    except ValueError as error:  # what NumPy raises for a pickle, and for an .npy header it cannot parse
        raise InvalidData(
            f"{path}: {key} holds Python objects or is no array; save plain numbers or text"
        ) from error
    except MemoryError:  # no fault of the file
        raise
    except Exception as error:  # zip, zlib and NumPy each have their own kinds for a damaged file
        why = str(error).partition("\n")[0] or type(error).__name__
        raise InvalidData(f"{path} is damaged at {key or 'its start'} ({why:.100}); write it anew") from error
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):  # NumPy hands on as bytes what does not begin as an array
            raise InvalidData(f"{path} is damaged at {key} (it is no array); write it anew")
    return arrays


def _found(path: str | Path) -> str:
    with np.load(path, allow_pickle=False) as archive:
        names = sorted(archive.files)
    shown = [name if name.isprintable() and len(name) <= 40 else f"{name!r:.40}" for name in names[:20]]
    return f"found {', '.join(shown) or 'nothing'}" + (", ..." if len(names) > 20 else "")
