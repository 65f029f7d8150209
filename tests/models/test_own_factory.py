"""A user's own model, named as package.module:factory: what is found, what is passed, what is refused."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from gammatune.errors import InvalidArgument
from gammatune.pipeline.models import make_model

SOURCE = """
import torch
from torch import nn

def both(shape, outputs): return nn.Sequential(nn.Flatten(), nn.Linear(shape[0], outputs))
def neither(): return nn.Linear(4, 3)
def only_outputs(*, outputs, width=5): return nn.Linear(width, outputs)
def anything(**kwargs): return nn.Linear(kwargs["shape"][0], kwargs["outputs"])
def needs_more(shape, depth): return nn.Linear(1, 1)
def a_tensor(): return torch.zeros(3)
def broken(): return {}["width"]
number = 3
class Net(nn.Module):
    def __init__(self, shape, outputs):
        super().__init__()
        self.layer = nn.Linear(shape[0], outputs)
"""


@pytest.fixture(autouse=True)
def in_a_folder_with_own_nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "own_nets.py").write_text(SOURCE)
    (tmp_path / "own_broken_import.py").write_text("import a_package_nobody_has\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    yield
    for name in ("own_nets", "own_broken_import"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("factory", "weight"),
    [("both", (3, 4)), ("neither", (3, 4)), ("only_outputs", (3, 5)), ("anything", (3, 4)), ("Net", (3, 4))],
)
def test_gets_what_it_takes(factory: str, weight: tuple[int, int]) -> None:
    model = make_model(f"own_nets:{factory}", (4,), 3, seed=0)
    assert isinstance(model, nn.Module)
    assert next(tuple(p.shape) for p in model.parameters()) == weight


def test_its_weights_are_fixed_by_the_seed_too() -> None:
    first, again, other = (make_model("own_nets:Net", (4,), 3, seed=s).layer.weight for s in (1, 1, 2))
    assert torch.equal(first, again)  # type: ignore[arg-type]
    assert not torch.equal(first, other)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("transformer", "no model 'transformer'; choose from auto, thesis, mlp, .* package.module:factory"),
        (":both", "no model ':both'"),
        (".own_nets:both", "no model '.own_nets:both'"),
        ("own_nets.py:both", "no module 'own_nets.py' .* without .py"),
        ("own_netz:both", "no module 'own_netz'"),
        ("no_package.nets:both", "no module 'no_package'"),
        ("own_nets:bothh", "module 'own_nets' has no 'bothh'"),
        ("own_nets:", "module 'own_nets' has no ''"),
        ("own_nets:number", "is of type int, not a function or class"),
        ("own_nets:a_tensor", r"must return a torch.nn.Module, got Tensor"),
        ("own_nets:needs_more", "needs the argument 'depth'"),
    ],
)
def test_refuses_in_one_line(name: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as caught:
        make_model(name, (4,), 3, seed=0)
    assert "\n" not in str(caught.value)


def test_an_error_of_ones_own_keeps_its_traceback() -> None:
    with pytest.raises(KeyError, match="width") as caught:
        make_model("own_nets:broken", (4,), 3, seed=0)
    assert caught.traceback[-1].name == "broken"


def test_a_missing_import_of_ones_own_is_not_a_missing_module() -> None:
    with pytest.raises(ModuleNotFoundError, match="a_package_nobody_has"):
        make_model("own_broken_import:net", (4,), 3, seed=0)
