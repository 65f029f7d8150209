"""timm and torchvision for the tests, in a folder of their own: so no other package finds a torchvision that does not
go with this torch.

The torchvision of the package index is built for CUDA. Beside a torch for the CPU alone it does not load its own
operators, of which timm's nets need none, and stops because two of them are not known: here they are declared.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import needs
import pytest
import torch

FOLDER = Path(sys.prefix) / "timm"
OPERATORS = ("nms", "qnms")
_imported: dict[str, ModuleType] = {}  # to be imported once: torchvision registers what it has with torch
_declared: list[torch.library.Library] = []


def theirs() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] in ("timm", "torchvision")]


@contextmanager
def timm_here() -> Iterator[None]:
    """timm can be imported within, and not afterwards. The test is skipped where it is not installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        sys.modules.update(_imported)
        try:
            _import()
        except ModuleNotFoundError:
            pytest.skip(needs.TIMM)
        yield
        for name in theirs():
            _imported[name] = sys.modules.pop(name)


def _import() -> None:
    try:
        import timm
    except RuntimeError:  # of operators that are not known
        for name in theirs():
            del sys.modules[name]
        _declared.append(torch.library.Library("torchvision", "DEF"))
        for name in OPERATORS:
            _declared[0].define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import timm  # noqa: F401
