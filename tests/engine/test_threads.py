"""Small steps get one thread, large ones what torch is set to; asking changes nothing."""

import os

import pytest
import torch
from torch import nn

from gammatune.pipeline.threads import busy, suitable_threads


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


def test_a_busy_machine_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gammatune.pipeline.threads.cores", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (2.9, 9.0, 9.0), raising=False)
    assert busy() == []
    monkeypatch.setattr(os, "getloadavg", lambda: (3.0, 0.0, 0.0), raising=False)
    assert busy() == [
        "The machine is busy: a load of 3.0 on 2 cores; this will take longer than it would alone."
    ]
    monkeypatch.delattr(os, "getloadavg")
    assert busy() == []
