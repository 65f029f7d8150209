"""The check before training: what it refuses, and that it leaves no trace."""

import pytest
import torch
from torch import nn

from gammatune.errors import ModelMismatch
from gammatune.pipeline.models.check import check_output


class Returns(nn.Module):
    def __init__(self, value: object) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: torch.Tensor) -> object:
        return self.value


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Linear(4, 3), r"returns shape \(2, 3\) for 2 examples, the data needs \(2, 10\).* 10 outputs"),
        (nn.Linear(5, 10), r"raises RuntimeError at examples of shape \(4,\): .*shapes cannot be multiplied"),
        (nn.BatchNorm2d(4), r"raises ValueError at examples of shape \(4,\): expected 4D input"),
        (Returns((torch.zeros(2, 10),)), r"returns tuple; return one tensor \(n, 10\)"),
        (Returns(torch.zeros(())), r"returns shape \(\)"),
        (Returns(torch.zeros(10)), r"returns shape \(10,\)"),
        (Returns(torch.zeros(1, 10)), r"returns shape \(1, 10\)"),
        (Returns(torch.zeros(2, 10, 1)), r"returns shape \(2, 10, 1\)"),
    ],
)
def test_refuses_what_does_not_fit_in_one_line(model: nn.Module, message: str) -> None:
    with pytest.raises(ModelMismatch, match=message) as caught:
        check_output(model, (4,), 10)
    assert "\n" not in str(caught.value)


def test_a_single_target_needs_its_axis() -> None:
    """(n,) against targets (n, 1) would broadcast to (n, n) inside the loss."""
    check_output(nn.Linear(4, 1), (4,), 1)
    with pytest.raises(ModelMismatch, match=r"returns shape \(2,\)"):
        check_output(nn.Sequential(nn.Linear(4, 1), nn.Flatten(0)), (4,), 1)


class DrawsEvenInEvalMode(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.frozen = nn.Dropout().eval()
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.frozen(self.norm(x)) + torch.rand(4))
        return logits


def test_leaves_modes_buffers_gradients_and_random_streams_alone() -> None:
    model = DrawsEvenInEvalMode()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    stream = torch.get_rng_state()
    check_output(model, (4,), 2)
    with pytest.raises(ModelMismatch):
        check_output(model, (4,), 3)
    with pytest.raises(ModelMismatch):
        check_output(model, (5,), 2)
    assert (model.training, model.norm.training, model.frozen.training) == (True, True, False)
    assert torch.equal(stream, torch.get_rng_state())
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_asks_in_the_models_own_number_type() -> None:
    check_output(nn.Linear(4, 2).double(), (4,), 2)
    check_output(nn.Flatten(), (2, 3), 6)  # no parameters at all
