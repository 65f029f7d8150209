"""Forks stay on a GPU while there is room, by a reading of its memory that is made up here."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from far import Far, taken_away
from torch import nn

import gammatune
from gammatune.engine import device_memory, loop
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
        assert place.where == ("host" if host else "device")
        assert ("are kept in the CPU's memory" in place.said) == host
        for asked in ("device", "host", "disk"):
            assert place_for_forks(asked, [model], [optimizer]) == Place(asked)


def test_frozen_parameters_have_no_optimizer_state(gpu: Any) -> None:
    model = far_net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for parameter in model[0].parameters():
        parameter.requires_grad_(False)
    gpu(COPIES * (COPY - 2 * WEIGHTS) / SHARE)
    assert place_for_forks("auto", [model], [optimizer]).where == "device"


def test_on_a_cpu_nothing_is_asked() -> None:
    model = nn.Linear(3, 2)
    assert place_for_forks("auto", [model], [torch.optim.SGD(model.parameters(), lr=0.1)]) == Place("device")
    with pytest.raises(InvalidArgument, match="'auto', 'device', 'host' or 'disk'"):
        place_for_forks("tape", [model], [])


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
    place = Place("host", "Forks are kept in the CPU's memory.")
    monkeypatch.setattr(loop, "place_for_forks", lambda *_: place)
    data = torch.randn(20, 3), torch.randn(20, 2)
    result = gammatune.fit(nn.Linear(3, 2), data, data, epochs=1, run_dir=str(tmp_path / "run"))
    begin = json.loads((tmp_path / "run" / "journal.jsonl").read_text().splitlines()[0])
    assert place.said in result.said
    assert begin["facts"]["said"].count(place.said) == 1


@pytest.mark.parametrize(
    ("memory", "disk", "where"), [(1e12, 0, "device"), (2e3, 1e12, "disk"), (2e3, 1e3, "device")]
)
def test_where_memory_is_short_forks_are_on_disk_if_that_has_room(
    monkeypatch: pytest.MonkeyPatch, memory: float, disk: float, where: str
) -> None:
    monkeypatch.setattr(device_memory, "_free_in_memory", lambda: memory)
    monkeypatch.setattr(device_memory.shutil, "disk_usage", lambda path: SimpleNamespace(free=disk))
    model = nn.Linear(6, 50)
    place = place_for_forks("auto", [model], [torch.optim.Adam(model.parameters(), lr=0.1)])
    assert place.where == where
    assert ("are kept on disk" in place.said) == (where == "disk")


def test_a_gpu_without_room_beside_a_machine_without_room(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = far_net()
    gpu(1e3)
    monkeypatch.setattr(device_memory, "_free_in_memory", lambda: 1e3)
    assert place_for_forks("auto", [model], [torch.optim.Adam(model.parameters(), lr=0.1)]).where == "disk"


def test_how_much_memory_is_free_is_read_of_the_machine_and_of_its_container(tmp_path: Path) -> None:
    free = device_memory._free_in_memory
    assert free(tmp_path) == float("inf")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:  9000 kB\nMemAvailable:  4000 kB\nHugePages_Total: 0\n")
    assert free(tmp_path) == 4000 * 2**10
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("3000\n")
    assert free(tmp_path) == 4000 * 2**10
    (group / "memory.max").write_text("5000\n")
    (group / "memory.stat").write_text("anon 2000\nfile 700\n")
    assert free(tmp_path) == 5000 - 3000 + 700
