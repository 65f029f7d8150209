"""Data sets: from a name, a file or a folder to `Data`, then to tensors (`gammatune.pipeline.data.split`).

Tables are `gammatune.pipeline.data.table.Table`s instead, since they have columns of different kinds.
"""

from difflib import get_close_matches
from pathlib import Path

from gammatune.errors import InvalidData
from gammatune.pipeline.data.dataset import Data, Task, make_data
from gammatune.pipeline.data.digits import load_digits
from gammatune.pipeline.data.files.finding import nearest
from gammatune.pipeline.data.files.kinds import SHOWN
from gammatune.pipeline.data.folder import BY_RULE, ImageOptions, load_folder
from gammatune.pipeline.data.idx import is_idx, load_idx
from gammatune.pipeline.data.images.files import is_image
from gammatune.pipeline.data.npz import LAYOUT, load_npz
from gammatune.pipeline.data.openml import OPENML_SETS, load_openml

NUMBERS = ".numbers"  # of Apple's spreadsheets
DATA_SETS: tuple[str, ...] = ("digits", *OPENML_SETS)

__all__ = ["DATA_SETS", "Data", "load", "make_data"]


def load(
    spec: str | Path,
    *,
    task: Task | None = None,
    images: ImageOptions = BY_RULE,
    said: list[str] | None = None,
) -> Data:
    """The data set that `spec` means: a name in DATA_SETS, the path of an .npz file, or a folder of images.

    task: for a file, whether its y are labels or targets; None tells it from their type. images: how those of a
    folder are read. said: takes what was found out on the way.
    Raises InvalidData: neither a known name nor a file or folder of that kind, or whatever is wrong with it.
    """
    said = [] if said is None else said
    if spec == "digits":
        return load_digits()
    if spec in OPENML_SETS:
        return load_openml(str(spec))
    path = Path(spec)
    if path.suffix == ".npz":
        return load_npz(spec, task=task)
    if path.is_dir():
        return load_idx(path) if is_idx(path) else load_folder(path, images, task=task, said=said)
    raise InvalidData(_neither(path))


def _neither(path: Path) -> str:
    known = f"give {', '.join(DATA_SETS)}, a table ({SHOWN}), a folder of images, or {LAYOUT}"
    if path.suffix.lower() == NUMBERS:
        return (
            f"{path} is a spreadsheet of Numbers, which is not read; export it there as .xlsx, and give that"
        )
    if is_image(path) and path.is_file():
        return f"{path} is a single image; give the folder that holds one folder of images for each class"
    if path.is_file():
        return f"{path} ends in {path.suffix or 'nothing'}, which says no kind of data that is read; {known}"
    near = get_close_matches(str(path), DATA_SETS, 1)
    hint = f"; did you mean {near[0]}?" if near else nearest(path)
    return f"{str(path)!r} is no data set, no file and no folder here{hint}; {known}"
