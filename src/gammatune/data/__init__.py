"""Data sets: from a name or a file to `Data`, then to tensors (`gammatune.data.split`)."""

from pathlib import Path

from gammatune.data.dataset import Data, Task, make_data
from gammatune.data.digits import load_digits
from gammatune.data.npz import LAYOUT, load_npz
from gammatune.data.openml import OPENML_SETS, load_openml
from gammatune.errors import InvalidData

DATA_SETS: tuple[str, ...] = ("digits", *OPENML_SETS)

__all__ = ["DATA_SETS", "Data", "load", "make_data"]


def load(spec: str | Path, *, task: Task | None = None) -> Data:
    """The data set that `spec` means: a name in DATA_SETS, or the path of an .npz file.

    task: for a file, whether its y are labels or targets; None tells it from their type.
    Raises InvalidData: neither a known name nor an .npz, or whatever is wrong with the file.
    """
    if spec == "digits":
        return load_digits()
    if spec in OPENML_SETS:
        return load_openml(str(spec))
    if Path(spec).suffix == ".npz":
        return load_npz(spec, task=task)
    raise InvalidData(f"{str(spec)!r} is no data set; give {', '.join(DATA_SETS)}, or {LAYOUT}")
