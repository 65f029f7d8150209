"""The table of stacked rollouts can be made."""

import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import stacked

    for name in ("mlp 64-64-10", "transformer 2x32"):
        row = stacked.compare(name, 2, torch.device("cpu"), most=1, n=3)
        assert row["members"] == 2
        assert row["ratio"] > 0
        assert len(row["stacked_quartiles_ms"]) == 3
    sys.modules.pop("stacked")
