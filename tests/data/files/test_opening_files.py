"""Files are taken out of their compression by what they are, and a damaged one says so."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gammatune.errors import InvalidData
from gammatune.pipeline.data.files.opening import open_table

TEXT = b"a,b\n1,2\n3,4\n" * 50


def zipped(**files: bytes) -> bytes:
    """A .zip of files; two underscores stand for a dot."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return stream.getvalue()


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zip": lambda content: zipped(t__csv=content),
    ".gz.zip": lambda content: zipped(t__csv__gz=gzip.compress(content)),
}


@pytest.mark.parametrize("ending", PACKINGS)
def test_every_packing_is_undone(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"t.csv{ending}"
    path.write_bytes(PACKINGS[ending](TEXT))
    said: list[str] = []
    file = open_table(path, said=said)
    assert (file.name, said) == ("t.csv", [])
    with open_table(path).stream() as stream:
        assert stream.read() == open_table(path).content() == file.content() == TEXT
    with file.on_disk() as there:
        assert (there.name, there.read_bytes()) == (path.name if ending == "" else "t.csv", TEXT)
    assert there.exists() == (ending == "")


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz"])
def test_names_may_lie(tmp_path: Path, ending: str) -> None:
    said: list[str] = []
    (tmp_path / "t.csv").write_bytes(PACKINGS[ending](TEXT))
    assert open_table(tmp_path / "t.csv").content() == TEXT
    (tmp_path / f"u.csv{ending}").write_bytes(TEXT)
    file = open_table(tmp_path / f"u.csv{ending}", said=said)
    assert (file.name, file.content()) == ("u.csv", TEXT)
    open_table(tmp_path / "t.csv", said=said)
    assert ["u.csv" in line and "is not compressed" in line for line in said] == [True, False]
    assert "t.csv is compressed" in said[1]


def test_what_r_compresses_itself_is_left_to_it(tmp_path: Path) -> None:
    content = gzip.compress(b"X\n")
    (tmp_path / "t.rds").write_bytes(content)
    (tmp_path / "t.rds.gz").write_bytes(gzip.compress(content))
    assert open_table(tmp_path / "t.rds").content() == content
    assert open_table(tmp_path / "t.rds.gz").content() == content


def test_of_several_tables_in_a_zip_the_largest_or_the_one_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "t.zip"
    path.write_bytes(zipped(README=b"x" * 10**5, small__csv=b"a\n1\n", large__csv=TEXT, _DS_Store__csv=b"x"))
    said: list[str] = []
    assert open_table(path, said=said).content() == TEXT
    assert "large.csv was read, the largest. --sheet NAME" in said[0]
    for sheet in ("small.csv", "small"):
        assert open_table(path, sheet).content() == b"a\n1\n"
    path.write_bytes(zipped(README=b"x", picture__png=b"y"))
    with pytest.raises(InvalidData, match=r"holds no table that is read, but README, picture\.png"):
        open_table(path)


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zip"])
def test_what_is_cut_says_so(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"t.csv{ending}"
    whole = PACKINGS[ending](TEXT)
    for length in range(10, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(InvalidData, match=r"is cut or damaged") as refused:
            open_table(path)
        assert "\n" not in str(refused.value)


def test_what_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "t.csv").write_bytes(TEXT)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InvalidData, match=r"cannot be read \(Permission denied\); close the program"):
        open_table(tmp_path / "t.csv").content()
