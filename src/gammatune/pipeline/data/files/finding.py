"""Where the file of a table lies: a path, or an address from which it is fetched; and what stands in the way.

survey.csv   ~/survey.csv   file:///home/ada/survey.csv      on the disk
https://example.org/survey.csv.gz                            fetched, and kept until Python ends
"""

import re
from difflib import get_close_matches
from functools import cache
from http.client import HTTPException, HTTPMessage
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory, mkdtemp
from typing import BinaryIO
from urllib.parse import unquote, urlsplit
from urllib.request import Request, url2pathname, urlopen

from gammatune.errors import InvalidData, first_line
from gammatune.pipeline.data.files.kinds import SHOWN, is_table, kind_of

LARGEST = 4 * 2**30  # bytes that are fetched; more is a matter of hours, and nobody is asked [guess]
PATIENCE = 60  # seconds without an answer [guess]
_LOCK = "~$"  # begins the names of files that Excel keeps beside those it has open
_ADDRESS = re.compile(r"(https?|ftp)://", re.IGNORECASE)


def is_address(path: str | Path) -> bool:
    """Whether it is fetched from somewhere."""
    return _ADDRESS.match(str(path)) is not None


def holds_table(path: str | Path) -> bool:
    """Whether it is meant as one: by its name, and an address always."""
    return is_address(path) or is_table(str(path))


def name_of(path: str | Path) -> str:
    """The name of the file: survey.csv of https://example.org/survey.csv?version=2."""
    return PurePosixPath(unquote(urlsplit(str(path)).path)).name if is_address(path) else Path(path).name


def title_of(path: str | Path) -> str:
    """What the table is called: survey of survey.csv.gz."""
    return name_of(path).partition(".")[0]


def find(path: str | Path) -> Path:
    """Where the file lies on this machine, once an address is fetched.

    Raises InvalidData: it is not there (with the nearest name that is), is a folder, empty, or cannot be fetched.
    """
    if is_address(path):
        return _fetched(str(path))
    if str(path).lower().startswith("file:"):
        path = url2pathname(urlsplit(str(path)).path)
    path = Path(path).expanduser()
    if path.name.startswith(_LOCK):
        raise InvalidData(
            f"{path} only says that a program has {path.name.removeprefix(_LOCK)} open; name that file"
        )
    try:
        if path.is_dir():
            raise InvalidData(f"{path} is a folder{_tables_in(path)}; name one file")
        if not path.is_file():
            near = nearest(path) or f"; name a file that ends in {SHOWN}"
            raise InvalidData(f"{path} is not there{near}")
        if path.stat().st_size == 0:
            raise InvalidData(f"{path} is empty; give a table with a line of names and at least two rows")
    except PermissionError as error:
        raise InvalidData(
            f"{path} cannot be read ({error.strerror}); allow it, or name another file"
        ) from error
    return path


def nearest(path: Path) -> str:
    """Behind "is not there": the file of the same folder whose name is nearest."""
    folder = path.parent
    if not folder.is_dir():
        return f", and neither is its folder {folder}"
    names = [each.name for each in folder.iterdir() if each.is_file()]
    lower = {name.lower(): name for name in names}
    near = get_close_matches(path.name.lower(), lower, 1)
    return f"; did you mean {path.with_name(lower[near[0]])}?" if near else ""


def _tables_in(folder: Path) -> str:
    names = sorted(each.name for each in folder.iterdir() if each.is_file() and is_table(each.name))
    return f" that holds {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}" if names else ""


@cache
def _folder() -> TemporaryDirectory[str]:
    """Of all that was fetched; gone when Python ends."""
    return TemporaryDirectory(prefix="gammatune-")


def _fetched(address: str) -> Path:
    try:
        # some servers answer no one who does not say what he is
        with urlopen(Request(address, headers={"User-Agent": "gammatune"}), timeout=PATIENCE) as answer:
            path = Path(mkdtemp(dir=_folder().name)) / _called(address, answer.headers)
            with path.open("wb") as file:
                size = _copy(answer, file)
    except (OSError, HTTPException, ValueError) as error:
        # URLError, timeouts, a full disk; addresses that are none
        raise InvalidData(
            f"{address} cannot be fetched ({first_line(error)}); fetch it with a browser, and name that file"
        ) from error
    if 0 < size <= LARGEST:
        return path
    path.unlink()
    if size == 0:
        raise InvalidData(f"{address} answers with nothing; look at it in a browser")
    raise InvalidData(
        f"{address} holds more than {LARGEST // 2**30} GiB; fetch it to this machine, and name that file"
    )


def _called(address: str, headers: HTTPMessage) -> str:
    """What the file is called: by the answer, where that says so and the address does not tell its kind."""
    name = name_of(address)
    said = PurePosixPath(headers.get_filename() or "").name
    return said if said and kind_of(name) is None else name or "table"


def _copy(source: BinaryIO, target: BinaryIO) -> int:
    """How many bytes were copied; no more than a block beyond LARGEST."""
    size = 0
    while size <= LARGEST and (block := source.read(2**20)):
        size += target.write(block)
    return size
