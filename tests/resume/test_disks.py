"""Disks that are full, read-only or gone while a run is kept on them: the training goes on, and saves when it can."""

import errno
import os
import resource
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import needs
import pytest
import torch
from torch import nn

from gammatune.errors import JournalError, JournalWarning, RunIsLocked
from gammatune.journal.history import replay
from gammatune.supervised.fit import FitResult, fit
from gammatune.tuning import checkpoints
from gammatune.tuning.tuner import Tuner

torch.manual_seed(0)
X = torch.randn(200, 6, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] + X[:, 1] > 0).long()
# A survey, 3 looks, 12 epochs.
OPTIONS: dict[str, Any] = {"epochs": 12, "budget": 1.5, "batch_size": 10, "seed": 3}


def net() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))


def train(model: nn.Module, directory: Path | None, **more: Any) -> FitResult:
    where = None if directory is None else str(directory)
    return fit(model, (X[:140], Y[:140]), (X[140:], Y[140:]), run_dir=where, **OPTIONS, **more)


@pytest.fixture(scope="module")
def whole() -> tuple[FitResult, dict[str, torch.Tensor]]:
    model = net()
    return train(model, None), model.state_dict()


def same(model: nn.Module, state: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


class Disk:
    """What is written beneath `home` raises while it is broken."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: int | None = None
        fsync, opened = os.fsync, Path.open

        def failing_open(path: Path, *given: Any, **named: Any) -> Any:
            if self.error is not None and home in path.absolute().parents:
                raise OSError(self.error, os.strerror(self.error))
            return opened(path, *given, **named)

        def failing_fsync(fd: int) -> None:
            if self.error is not None and str(home) in os.readlink(f"/proc/self/fd/{fd}"):
                raise OSError(self.error, os.strerror(self.error))
            fsync(fd)

        monkeypatch.setattr(Path, "open", failing_open)
        monkeypatch.setattr(os, "fsync", failing_fsync)


@pytest.fixture
def always() -> Iterator[None]:
    before, checkpoints.SHARE = checkpoints.SHARE, 1.0
    yield
    checkpoints.SHARE = before


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("freed_at", [9, None])
def test_a_broken_disk_costs_nothing_but_safety(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: tuple[FitResult, dict[str, torch.Tensor]],
    error: int,
    freed_at: int | None,
    always: None,
) -> None:
    disk = Disk(tmp_path, monkeypatch)
    count = 0

    def listen(event: Any) -> None:
        nonlocal count
        count += event["event"] == "rollout"
        if event["event"] == "rollout" and count == 4:
            disk.error = error
        if event["event"] == "rollout" and count == freed_at:
            disk.error = None

    model = net()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = train(model, tmp_path / "run", listeners=[listen])
    disk.error = None
    assert result.schedule == whole[0].schedule
    assert same(model, whole[1])
    told = [str(w.message) for w in said if issubclass(w.category, JournalWarning)]
    assert sum("kept in memory" in text for text in told) == 1
    assert sum("cannot write a checkpoint" in text for text in told) <= 1
    story = replay(tmp_path / "run")
    if freed_at is None:
        assert any("are lost" in text for text in told)
        assert len(story.rollouts) < len(result.rollouts)
    else:
        assert len(story.rollouts) == len(result.rollouts)
        assert story.end is not None
        assert set(story.states) == {result.course[-1].number}  # it was saved when it could be
    again = net()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JournalWarning)
        resumed = train(again, tmp_path / "run")
    assert same(again, whole[1])
    assert resumed.schedule == whole[0].schedule


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason=needs.UNIX)
def test_a_limit_of_the_system_on_file_sizes(
    tmp_path: Path, whole: tuple[FitResult, dict[str, torch.Tensor]], always: None
) -> None:
    """No fake: the kernel refuses to let the journal grow, and checkpoints to be written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    model = net()
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, before[1]))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            train(model, tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert same(model, whole[1])
    assert any("kept in memory" in str(w.message) for w in said)
    again = net()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JournalWarning)
        train(again, tmp_path / "run")
    assert same(again, whole[1])


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    given: dict[str, Any] = {
        "model": model,
        "optimizer": optimizer,
        "epochs": 2,
        "run_dir": str(tmp_path / "run"),
    }
    with Tuner(**given) as tuner:
        assert tuner.ask() is not None
        with pytest.raises(RunIsLocked, match="in use by this very process"):
            Tuner(**given | {"model": net()})


def test_another_version_of_torch_is_said(tmp_path: Path, whole: Any) -> None:
    train(net(), tmp_path / "run")
    path = tmp_path / "run" / "journal.jsonl"
    text = path.read_text()
    assert f'"torch":"{torch.__version__}"' in text
    path.write_text(text.replace(f'"torch":"{torch.__version__}"', '"torch":"1.0"'))
    model = net()
    with pytest.warns(JournalWarning, match=r"torch 1\.0 then"):
        train(model, tmp_path / "run")
    assert same(model, whole[1])


def test_a_first_event_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(JournalError, match="file"):
        train(net(), tmp_path / "file" / "run")
