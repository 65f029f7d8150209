"""Skipped tests: counted, told, and an error where nothing should be absent."""

import os
import subprocess
import sys
from pathlib import Path

import needs
import pytest

NO_GPU = "Skipped: needs CUDA: a machine with an NVIDIA GPU"


def test_the_last_line_counts_by_reason() -> None:
    assert needs.last_lines([], None) == []
    assert needs.last_lines([NO_GPU, needs.BROWSER, needs.BROWSER], None) == [
        f"3 tests skipped; 2 {needs.BROWSER}; 1 needs CUDA: a machine with an NVIDIA GPU"
    ]


def test_what_may_not_be_absent_is_named() -> None:
    assert needs.forbidden([NO_GPU, needs.BROWSER], "CUDA, the extra bench") == [needs.BROWSER]
    assert needs.forbidden([NO_GPU], "") == [NO_GPU.removeprefix("Skipped: ")]
    assert needs.last_lines([NO_GPU], "CUDA") == needs.last_lines([NO_GPU], None)


@pytest.mark.parametrize(("allowed", "status"), [("CUDA", 1), (None, 0)])
def test_a_run_fails_where_a_test_is_skipped_for_want_of_it(
    tmp_path: Path, allowed: str | None, status: int
) -> None:
    (tmp_path / "conftest.py").write_text(
        f"import sys; sys.path.insert(0, {str(needs.ROOT / 'tests')!r})\n"
        + (needs.ROOT / "tests" / "conftest.py").read_text()
    )
    (tmp_path / "test_one.py").write_text(
        "import needs, pytest\ndef test_one(): pytest.skip(needs.BROWSER)\ndef test_two(): pass\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "MAY_SKIP"}
    environment |= {} if allowed is None else {"MAY_SKIP": allowed}
    call = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_one.py"]
    done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == status, done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith("FAILED: " if status else "1 tests skipped")
    assert last.endswith(needs.BROWSER)


def test_every_skip_says_what_it_needs() -> None:
    """By `needs`, whose reasons have one form."""
    bare = [
        f"{path.name}: {line.strip()}"
        for path in (needs.ROOT / "tests").rglob("*.py")
        if path.name not in ("needs.py", Path(__file__).name)
        for line in path.read_text().splitlines()
        if ("importorskip(" in line or "pytest.skip(" in line or "skipif(" in line) and "needs" not in line
    ]
    assert bare == []
