"""What is chosen where nobody has said anything."""

import pytest

from gammatune.supervised.defaults import epochs_for, model_for, patience_for


@pytest.mark.parametrize(
    ("shape", "examples", "table", "accelerated", "model"),
    [
        ((12,), 100, True, False, "tabular"),
        ((12,), 100, False, False, "mlp"),
        ((3, 32, 32), 10_000, False, False, "cnn"),
        ((3, 32, 32), 4_999, False, True, "cnn"),
        ((3, 32, 32), 5_000, False, True, "resnet"),
    ],
)
def test_the_net(shape: tuple[int, ...], examples: int, table: bool, accelerated: bool, model: str) -> None:
    assert model_for(shape, examples, table=table, accelerated=accelerated) == model


@pytest.mark.parametrize(
    ("shape", "examples", "batch_size", "table", "epochs"),
    [
        ((12,), 100, 32, True, 100),  # 4 steps an epoch
        ((12,), 3_200, 32, True, 25),  # 100 steps, 2,500 in all
        ((12,), 10**6, 128, True, 8),
        ((1, 8, 8), 1_150, 32, False, 20),  # the digits
        ((1, 8, 8), 320, 32, False, 70),  # 10 steps, 700 in all
        ((1, 8, 8), 60, 32, False, 100),
        ((1, 28, 28), 30_000, 128, False, 10),
        ((64,), 30_000, 128, False, 20),
    ],
)
def test_the_length(shape: tuple[int, ...], examples: int, batch_size: int, table: bool, epochs: int) -> None:
    assert epochs_for(shape, examples, batch_size, table=table) == epochs


@pytest.mark.parametrize(
    ("epochs", "patience"), [(100, 50), (30, 15), (20, 10), (11, 10), (10, None), (1, None)]
)
def test_patience(epochs: int, patience: int | None) -> None:
    assert patience_for(epochs) == patience
