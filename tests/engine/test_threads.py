"""Small steps get one thread, large ones what torch is set to; asking changes nothing."""

import pytest
import torch
from torch import nn

from gammatune.pipeline.threads import suitable_threads


@pytest.fixture
def four_threads() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("four_threads")
def test_by_the_work_in_a_batch() -> None:
    model = nn.Sequential(nn.Linear(1000, 1000), nn.Dropout(), nn.BatchNorm1d(1000)).train()
    state = torch.get_rng_state()
    mean = model[2].running_mean.clone()
    assert suitable_threads(model, (1000,), 1) == 1
    assert suitable_threads(model, (1000,), 64) == 4
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(model[2].running_mean, mean)
    assert model.training
    assert model[2].training
