"""Forks stay on a GPU while there is room, by a reading of its memory that is made up here."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from far import Far, taken_away
from torch import nn

import gammatune
from gammatune.engine import loop
from gammatune.engine.device_memory import COPIES, SHARE, Place, place_for_forks
from gammatune.engine.loop import TorchLoop
from gammatune.errors import InvalidArgument

WEIGHTS, BUFFERS = 4 * (6 * 50 + 50), 4 * (50 + 50) + 8  # bytes: of Linear(6, 50), of BatchNorm1d(50)
SCALES = 4 * (50 + 50)
COPY = 3 * (WEIGHTS + SCALES) + BUFFERS  # with what Adam will keep


def far_net() -> nn.Module:
    return taken_away(nn.Sequential(nn.Linear(6, 50), nn.BatchNorm1d(50)))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Says how much is free, of which `cached` is what torch keeps without using it."""

    def says(free: float, cached: int = 0) -> None:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(free) - cached, 2**40))
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 100 + cached)
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 100)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)

    return says


@pytest.mark.parametrize("cached", [0, 1000])
def test_a_few_copies_must_fit_into_a_share_of_the_free_memory(gpu: Any, cached: int) -> None:
    model = far_net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    enough = COPIES * COPY / SHARE
    for free, host in ((enough, False), (enough - 1, True)):
        gpu(free, cached)
        place = place_for_forks("auto", [model], [optimizer])
        assert place.host == host
        assert ("are kept in the CPU's memory" in place.said) == host
        for asked in ("device", "host"):
            told = place_for_forks(asked, [model], [optimizer])
            assert (told.host, told.said) == (asked == "host", "")


def test_frozen_parameters_have_no_optimizer_state(gpu: Any) -> None:
    model = far_net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for parameter in model[0].parameters():
        parameter.requires_grad_(False)
    gpu(COPIES * (COPY - 2 * WEIGHTS) / SHARE)
    assert not place_for_forks("auto", [model], [optimizer]).host


def test_on_a_cpu_nothing_is_asked() -> None:
    model = nn.Linear(3, 2)
    assert not place_for_forks("auto", [model], [torch.optim.SGD(model.parameters(), lr=0.1)]).host
    with pytest.raises(InvalidArgument, match="'auto', 'device' or 'host'"):
        place_for_forks("disk", [model], [])


@pytest.mark.parametrize("free", [1e12, 1e3])
def test_the_fork_is_where_it_is_said_to_be(gpu: Any, free: float) -> None:
    model = far_net()
    gpu(free)
    training = TorchLoop(model, torch.optim.SGD(model.parameters(), lr=0.1), ["lr"])
    training.capture("begin")
    copies = training._forks["begin"]._tensors._copies
    assert {isinstance(copy, Far) for copy in copies} == {free > 1e6}
    assert bool(training.said) == (free < 1e6)
    training.close()


def test_the_journal_says_that_forks_are_on_the_host(gpu: Any, tmp_path: Path) -> None:
    gpu(1e3)
    model = far_net()
    with gammatune.Tuner(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        epochs=1,
        run_dir=str(tmp_path / "run"),
    ) as tuner:
        for run in tuner:
            for _ in run.batches([(torch.zeros(2, 6), torch.zeros(2))]):
                pass
            run.report(score=0.0)
    begin = json.loads((tmp_path / "run" / "journal.jsonl").read_text().splitlines()[0])
    assert "are kept in the CPU's memory" in begin["facts"]["said"][0]


def test_fit_says_it_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = Place(host=True, said="Forks are kept in the CPU's memory.")
    monkeypatch.setattr(loop, "place_for_forks", lambda *_: place)
    data = torch.randn(20, 3), torch.randn(20, 2)
    result = gammatune.fit(nn.Linear(3, 2), data, data, epochs=1, run_dir=str(tmp_path / "run"))
    begin = json.loads((tmp_path / "run" / "journal.jsonl").read_text().splitlines()[0])
    assert place.said in result.said
    assert begin["facts"]["said"].count(place.said) == 1
