"""Files that are written whole or not at all."""

import contextlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from gammatune.errors import JournalWarning


def whole_file(path: Path, save: Callable[[BinaryIO], object]) -> None:
    """A file that `save` writes, durable.

    It is written beside its place (`.part`) and renamed: whatever happens, there is the old file or the new one.
    What `save` raises goes through, and OSError as it comes.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            save(file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    make_durable(path.parent)


def whole_file_of_run(path: Path, save: Callable[[BinaryIO], object], what: str) -> None:
    """As `whole_file`, for what a finished run can do without: a disk that is full is a JournalWarning."""
    try:
        whole_file(path, save)
    except OSError as error:
        warnings.warn(
            f"cannot write {what} to {path} ({error.strerror or error}). Free the disk, and run the same again: what "
            "is on disk is not trained again",
            JournalWarning,
            stacklevel=3,
        )


def net_file(net: int) -> str:
    """The name of the weights of one of several nets, by its number, in the directory of their run."""
    return f"net-{net}.pt"


def make_durable(directory: Path) -> None:
    """The names in it: a new or renamed file survives a power cut only with them. Windows has no such call."""
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
