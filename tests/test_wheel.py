"""What `python -m build` makes holds all that gammatune needs, data files included."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import needs
import pytest

needs.package("build")
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, as pip unpacks it."""
    home = tmp_path_factory.mktemp("wheel")
    source = home / "source"  # a build leaves its traces where it is made
    source.mkdir()
    for name in ("src", "pyproject.toml", "README.md", "LICENSE"):
        (source / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(home), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = home.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(home / "unpacked")
    return home / "unpacked"


def test_the_demo_and_its_page_run_from_a_wheel_alone(unpacked: Path, tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, gammatune\n"
        f"assert pathlib.Path(gammatune.__file__).is_relative_to({str(unpacked)!r}), gammatune.__file__\n"
        "from gammatune.cli import main\n"
        "main()\n"
    )
    for words in (["train", "digits", "--epochs", "2", "--quiet"], ["report", "runs/digits-1"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *words], cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(unpacked)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/digits-1/report.html").exists()


def test_it_says_that_it_has_types(unpacked: Path) -> None:
    assert (unpacked / "gammatune/py.typed").exists()
