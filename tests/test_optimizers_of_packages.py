"""Optimizers of other packages by name, where these are installed."""

import sys
from types import ModuleType

import pytest
import torch
from torch import nn

import gammatune
from gammatune.errors import InvalidArgument
from gammatune.supervised.optimizers import recipe_of

X = torch.randn(120, 3, generator=torch.Generator().manual_seed(0))
Y = (X.sum(1) > 0).long()


@pytest.fixture
def optimi(monkeypatch: pytest.MonkeyPatch) -> type[torch.optim.Optimizer]:
    """A package of that name, which has one optimizer."""

    class StableAdamW(torch.optim.AdamW):
        pass

    module = ModuleType("optimi")
    module.StableAdamW = StableAdamW  # type: ignore[attr-defined]
    module.__spec__ = torch.__spec__  # that it can be found
    monkeypatch.setitem(sys.modules, "optimi", module)
    return StableAdamW


def test_one_is_made_and_its_rate_found(optimi: type[torch.optim.Optimizer]) -> None:
    assert recipe_of("optimi.StableAdamW").make is optimi
    result = gammatune.fit(nn.Linear(3, 2), (X, Y), epochs=3, optimizer="optimi.StableAdamW")
    assert result.schedule[0]["lr"] > 1e-3


def test_what_it_has_not_is_refused_with_what_is_near(optimi: type[torch.optim.Optimizer]) -> None:
    with pytest.raises(InvalidArgument, match=r"optimi has no optimizer 'StableAdam'; it has StableAdamW"):
        recipe_of("optimi.StableAdam")


def test_one_that_is_not_installed_is_named_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InvalidArgument, match="pip install torch-optimi"):
        recipe_of("optimi.StableAdamW")
    for name in ("lion", "numpy.ndarray", "optimi.", "optimi"):
        with pytest.raises(InvalidArgument, match="is not known; choose one of"):
            recipe_of(name)
