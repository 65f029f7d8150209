"""What a file of a table holds, out of its compression: .gz, .bz2, .xz, or a .zip of one table or several.

    survey.csv               as it is
    survey.csv.gz            unpacked
    survey.zip               the table in it; of several the largest, or the one that `--sheet` names

The first bytes say whether a file is compressed, since a program may have unpacked it on its way and left the name.
R's files are compressed within, and left so.
"""

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import BinaryIO

from gammatune.errors import InvalidData, first_line
from gammatune.pipeline.data.files.kinds import PACKED, kind_of
from gammatune.pipeline.data.files.sheets import choose

HEAD = 4096  # bytes, of which the kind of a file is told

_PACKINGS: Mapping[re.Pattern[bytes], Callable[[bytes], bytes]] = {
    re.compile(rb"\x1f\x8b"): gzip.decompress,
    re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"): bz2.decompress,
    re.compile(rb"\xfd7zXZ\x00"): lzma.decompress,
}
_ZIP = b"PK\x03\x04"
# What packages of documents hold that are zips themselves: Excel's, LibreOffice's, Apple's
_OF_DOCUMENTS = ("[Content_Types].xml", "mimetype", "Index/Document.iwa")


@dataclass(frozen=True, slots=True, eq=False)
class TableFile:
    """path: as it is called. name: of the file that holds the table, without endings of compression. unpacked: what
    it holds, where that is not what stands on the disk."""

    path: Path
    name: str
    unpacked: bytes | None = None

    def content(self) -> bytes:
        return self.path.read_bytes() if self.unpacked is None else self.unpacked

    def stream(self) -> BinaryIO:
        return self.path.open("rb") if self.unpacked is None else io.BytesIO(self.unpacked)

    def head(self) -> bytes:
        with self.stream() as stream:
            return stream.read(HEAD)

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        """Where it stands, for what reads nothing else than files; what was unpacked does as long as this lasts."""
        if self.unpacked is None:
            yield self.path
            return
        with TemporaryDirectory(prefix="gammatune-") as folder:
            path = Path(folder) / PurePosixPath(self.name).name
            path.write_bytes(self.unpacked)
            yield path


def open_table(path: Path, sheet: str | None = None, said: list[str] | None = None) -> TableFile:
    """The file, unpacked. sheet: of several files in a .zip the one to read, by its name, with its ending or without.
    said: takes which one was, and where the name of the file says otherwise than it is.

    Raises InvalidData: it cannot be read, is cut or damaged, or there is no table in it.
    """
    said = [] if said is None else said
    file = TableFile(path, path.name)
    try:
        while (unpack := _packing(file)) is not None:
            file = unpack(file, sheet, said)
        if file.name.lower().endswith(PACKED):
            said.append(f"{path.name} is not compressed, as its name says, and was read as it is.")
            file = TableFile(path, _shorter(file.name), file.unpacked)
    except (MemoryError, InvalidData):  # no fault of the file, or said already
        raise
    except PermissionError as error:
        raise InvalidData(
            f"{path} cannot be read ({error.strerror}); close the program that holds it, allow reading, or name "
            "another file"
        ) from error
    except (
        OSError,
        EOFError,
        ValueError,
        RuntimeError,
        zlib.error,
        lzma.LZMAError,
        zipfile.BadZipFile,
    ) as error:
        raise InvalidData(
            f"{path} is cut or damaged, and cannot be unpacked ({first_line(error)}); fetch or pack it anew"
        ) from error
    return file


def _packing(file: TableFile) -> "Callable[[TableFile, str | None, list[str]], TableFile] | None":
    head = file.head()
    if head.startswith(_ZIP):
        if not _ends_as_zip(file) and kind_of(file.name) == "spreadsheet":
            return None  # which says what it lacks
        with file.stream() as stream, zipfile.ZipFile(stream) as archive:
            return None if set(archive.namelist()) & set(_OF_DOCUMENTS) else _from_zip
    is_compressed = any(first.match(head) for first in _PACKINGS)
    within = kind_of(file.name) == "r" and not file.name.lower().endswith(PACKED)
    return _decompressed if is_compressed and not within else None


def _ends_as_zip(file: TableFile) -> bool:
    with file.stream() as stream:
        return zipfile.is_zipfile(stream)


def _decompressed(file: TableFile, _: str | None, said: list[str]) -> TableFile:
    content = file.content()
    decompress = next(unpack for first, unpack in _PACKINGS.items() if first.match(content))
    if not file.name.lower().endswith(PACKED):
        said.append(f"{file.name} is compressed, which its name does not say, and was unpacked.")
    return TableFile(file.path, _shorter(file.name), decompress(content))


def _from_zip(file: TableFile, sheet: str | None, said: list[str]) -> TableFile:
    with file.stream() as stream, zipfile.ZipFile(stream) as archive:
        held = [each for each in archive.infolist() if not each.is_dir()]
        tables = {each.filename: each for each in held if _is_table(each.filename)}
        if not tables:
            names = ", ".join(each.filename for each in held[:5]) or "nothing"
            raise InvalidData(f"{file.path} holds no table that is read, but {names}; name a file that does")
        asked = [
            name for name in tables if sheet in (name, PurePosixPath(name).name, PurePosixPath(name).stem)
        ]
        within = any(kind_of(name) in ("spreadsheet", "r") for name in tables)  # may be what is called so
        sizes = {name: tables[name].file_size for name in tables}
        chosen = choose(file.name, sizes, asked[0] if asked else None if within else sheet, said, "files")
        if tables[chosen].flag_bits & 1:
            raise InvalidData(f"{file.path} is locked with a password; unpack it, and name the table in it")
        return TableFile(file.path, chosen, archive.read(chosen))


def _is_table(name: str) -> bool:
    path = PurePosixPath(name)
    is_hidden = path.name.startswith((".", "~$")) or "__MACOSX" in path.parts
    return kind_of(name) is not None and not is_hidden


def _shorter(name: str) -> str:
    """Without its last ending, where that is of compression."""
    return name.rpartition(".")[0] if name.lower().endswith(PACKED) else name
