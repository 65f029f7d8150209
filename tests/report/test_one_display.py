"""Who shows a run shows it once; a process without a console is one that nobody watches."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gammatune.pipeline.options import Options
from gammatune.pipeline.train import train
from gammatune.report import progress


def test_the_command_shows_one_display_where_somebody_watches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fit` adds one of its own unless a listener is one already; that of the command is."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=120), "b": rng.normal(size=120)})
    frame["answer"] = np.where(frame["a"] > 0, "yes", "no")
    frame.to_csv(tmp_path / "table.csv", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "_is_watched", lambda: True)
    made: list[object] = []

    class Counted(progress.Progress):
        def __init__(self) -> None:
            made.append(self)
            super().__init__()

    monkeypatch.setattr(progress, "Progress", Counted)
    options = Options(data="table.csv", target="answer", epochs=1, only="net")
    train(options, str(tmp_path / "run"), progress.Progressing())
    assert not made


def test_a_process_without_a_console_is_watched_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert progress.listeners_for(None, []) == []
