"""What reading a table costs is measured, here of a small one."""

import json
import sys
from pathlib import Path

import needs
import pytest

sys.path.insert(0, str(needs.ROOT / "benchmarks"))

import reading


def test_a_table_is_written_read_and_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.csv"
    reading.write(path, 60)
    monkeypatch.setattr(
        reading.harness, "in_a_process", lambda _, __, step, *of: reading.one(step, *map(Path, of))
    )
    monkeypatch.setattr(sys, "argv", ["reading.py", "--rows", "80", "--out", str(tmp_path / "out.json")])
    reading.main()
    table = json.loads((tmp_path / "out.json").read_text())["tables"][0]
    assert (table["rows"], table["columns"]) == (80, 30)
    assert table["ratio"] > 0
    assert "times" in capsys.readouterr().out
