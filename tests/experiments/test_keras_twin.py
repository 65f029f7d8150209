"""The Keras example network of gammatune against Keras's own. Skipped where Keras is not installed."""

import os
import sys
from pathlib import Path

import needs
import pytest
import torch

os.environ.setdefault("KERAS_BACKEND", "torch")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "experiments" / "thesis"))

import keras_twin


def batches(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(64, 3, side, side), torch.randint(0, 10, (64,))


def test_the_same_losses_step_by_step() -> None:
    needs.package("keras")
    agreement = keras_twin.twin(*batches(32), steps=4)
    assert len(agreement.pairs) == 4
    assert agreement.worst < keras_twin.TOLERANCE
    assert agreement.parameters == (1_250_858, 1_250_858)  # as Keras's documentation of the example counts
    assert "losses agree" in str(agreement)
    assert len({round(ours, 3) for ours, _ in agreement.pairs}) > 1  # something was trained


def test_a_network_that_differs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail: weights handed over without reordering the inputs of the first dense layer."""
    needs.package("keras")

    def careless(ours: torch.nn.Module, theirs: object) -> None:
        usual(ours, theirs)
        dense = next(layer for layer in theirs.layers if type(layer).__name__ == "Dense")  # type: ignore[attr-defined]
        weight, bias = dense.get_weights()
        dense.set_weights([weight[::-1], bias])

    usual = keras_twin.hand_over
    monkeypatch.setattr(keras_twin, "hand_over", careless)
    agreement = keras_twin.twin(*batches(16), steps=3)
    assert not agreement.agrees
    assert "DO NOT agree" in str(agreement)


def test_without_keras_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras_twin.importlib.util, "find_spec", lambda name: None)
    agreement = keras_twin.twin(*batches(16), steps=1)
    assert agreement.pairs == ()
    assert "Keras is not installed here" in str(agreement)
