"""Memory and disk over 1,000 rollouts; forks in host memory, through both front doors."""

import sys
from pathlib import Path

import pytest
import torch
from faulty import Training, X, Y, end_of, same
from torch import nn

import gammatune
from gammatune.engine.loop import TorchLoop

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


LONG = [(600, False, False), (200, False, True), (200, True, False)]


@pytest.mark.parametrize(("rollouts", "kept", "traced"), LONG)
def test_a_long_search_stays_as_large_as_it_began(
    rollouts: int, kept: bool, traced: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What grows is one record a rollout (and its line in the journal); no tensor, file or descriptor stays."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import memory

    first, *_, last = memory.search(rollouts, tmp_path if kept else None, traced=traced)
    assert last["tensors"] <= first["tensors"] + 8
    assert last["open"] <= first["open"]
    # when a state is written is a matter of time: how many there are varies, up to what docs/robustness.md says
    assert last["files"] <= 7 + 1
    assert last["kib"] <= 7 * first["kib"] + 1
    assert last["rss"] - first["rss"] < 0.02 * rollouts  # MiB: below 20 KiB a rollout
    assert last["traced"] - first["traced"] < 0.005 * rollouts  # 5 KiB
    sys.modules.pop("memory")


def test_forks_on_the_host_come_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    born = TorchLoop.__init__

    def init(self: TorchLoop, *args: object, forks: str = "device", **options: object) -> None:
        asked.append(forks)
        born(self, *args, forks=forks, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(TorchLoop, "__init__", init)
    ends = []
    for forks in ("device", "host"):
        one = Training(options={"forks": forks})
        one.run()
        ends.append(end_of(one))
        torch.manual_seed(1)
        model = nn.Linear(4, 2)
        gammatune.fit(model, (X, Y), (X, Y), epochs=2, forks=forks)
        ends[-1].append(model.state_dict())
    assert same(*ends)
    assert asked == ["device", "device", "host", "host"]
