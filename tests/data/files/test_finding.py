"""A file that is not there, or not a file; and addresses."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from gammatune.errors import InvalidData
from gammatune.pipeline.data.files import finding
from gammatune.pipeline.data.files.finding import find, holds_table, name_of, title_of
from gammatune.pipeline.data.files.reading import as_written, read_table

TEXT = b"a,b\n1,2\n3,4\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "survey.csv").write_bytes(TEXT)
    (tmp_path / "other.txt").write_bytes(TEXT)
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "notes").write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("survy.csv", r"survy\.csv is not there; did you mean .*survey\.csv\?"),
        ("Survey.CSV", r"Survey\.CSV is not there; did you mean .*survey\.csv\?"),
        ("nothing.parquet", r"nothing\.parquet is not there; name a file that ends in \.csv, \.xlsx"),
        ("no/survey.csv", r"is not there, and neither is its folder .*no$"),
        ("empty.csv", "is empty"),
        ("", r"is a folder that holds empty\.csv, other\.txt, survey\.csv; name one file"),
        ("~$survey.xlsx", r"only says that a program has survey\.xlsx open; name that file"),
    ],
)
def test_what_is_no_file(folder: Path, name: str, words: str) -> None:
    with pytest.raises(InvalidData, match=words) as refused:
        read_table(folder / name, [])
    assert "\n" not in str(refused.value)


def test_a_folder_that_may_not_be_looked_into(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(InvalidData, match=r"cannot be read \(Permission denied\); allow it"):
        find(folder / "survey.csv")


def test_paths_as_people_write_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    assert find("~/survey.csv") == folder / "survey.csv"
    assert find((folder / "survey.csv").as_uri()) == folder / "survey.csv"


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path, _, asked = self.path.partition("?")
        if path == "/gone.csv":
            self.send_error(404)
            return
        self.send_response(200)
        if asked == "named":
            self.send_header("Content-Disposition", 'attachment; filename="../survey.csv.gz"')
        self.end_headers()
        content = {
            "/empty.csv": b"",
            "/page.csv": b"<!DOCTYPE html><html></html>",
            "/much.csv": TEXT * 100,
            "/cut.parquet": b"PAR1",
        }
        self.wfile.write(gzip.compress(TEXT) if asked == "named" else content.get(path, TEXT))

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("rest", ["/survey.csv", "/survey.csv?version=2", "/export?named", "/export", "/"])
def test_addresses_are_fetched(address: str, rest: str) -> None:
    assert holds_table(address + rest)
    read = read_table(address + rest, [])
    assert read.frame.to_dict("list") == {"a": [1, 3], "b": [2, 4]}
    assert read.source is not None
    assert [*as_written(read.source)[1]()] == [["1", "2"], ["3", "4"]]


def test_names_of_addresses() -> None:
    assert name_of("https://example.org/a/my%20survey.csv.gz?b=/c.d#e") == "my survey.csv.gz"
    assert title_of("https://example.org/survey.csv.gz?b") == "survey"
    assert title_of(Path("a") / "survey.csv") == "survey"


def test_what_cannot_be_fetched(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for rest, words in (
        ("/gone.csv", r"gone\.csv cannot be fetched \(HTTP Error 404: Not Found\); fetch it with a browser"),
        ("/empty.csv", "answers with nothing"),
        ("/page.csv", "page for a browser"),
        ("/cut.parquet", rf"^{address}/cut\.parquet is no Parquet file"),
    ):
        with pytest.raises(InvalidData, match=words):
            read_table(address + rest, [])
    for other in ("http://127.0.0.1:9/t.csv", "http://127.0.0.1:port/t.csv", "https:///t.csv"):
        with pytest.raises(InvalidData, match="cannot be fetched"):
            read_table(other, [])
    monkeypatch.setattr(finding, "LARGEST", 500)
    with pytest.raises(InvalidData, match=r"much\.csv holds more than 0 GiB; fetch it to this machine"):
        read_table(f"{address}/much.csv", [])
