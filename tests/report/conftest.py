"""Small real runs, each trained once."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import asked, events, flowers, keep_predictions

from gammatune.cli.app import main
from gammatune.pipeline.train import train
from gammatune.report.html.page import write_report
from gammatune.report.live import Progressing
from gammatune.supervised.fit import fit


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """What the command line says to some words: its status, its output, its errors."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gammatune", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture(scope="session")
def flower_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classification with labels, predictions and pictures."""
    home = tmp_path_factory.mktemp("flowers")
    x, y = flowers()
    labels = np.array(["iris", "rose", "tulip"])[y]
    np.savez(home / "flowers.npz", x_train=x[:180], y_train=labels[:180], x_test=x[180:], y_test=labels[180:])
    torch.set_num_threads(1)
    run = home / "run"
    with Progressing() as follower:
        train(asked(data=str(home / "flowers.npz")), str(run), follower)
    keep_predictions(run, 60, 3)
    return run


@pytest.fixture(scope="session")
def number_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A regression; its targets are seconds about 50."""
    home = tmp_path_factory.mktemp("numbers")
    x, _ = flowers()
    y = (50 + 10 * x[:, 0] + np.random.default_rng(2).normal(size=len(x))).astype(np.float32)
    np.savez(home / "seconds.npz", x_train=x[:180], y_train=y[:180], x_test=x[180:], y_test=y[180:])
    run = home / "run"
    with Progressing() as follower:
        train(asked(data=str(home / "seconds.npz")), str(run), follower)
    facts = events(run)[0]["facts"]["preprocessing"]
    seen = (y[180:, None].astype(float) - facts["target_mean"]) / facts["target_std"]
    np.savez(run / "predictions.npz", predictions=seen + 0.1, targets=seen)
    return run


@pytest.fixture(scope="session")
def table_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 400 people, of whom some say no income; its trees or its linear model are handed over."""
    import pandas as pd

    home = tmp_path_factory.mktemp("people")
    r = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "who": [f"r{i:03}" for i in range(400)],
            "age": r.integers(18, 85, 400),
            "region": r.choice(["north", "south", "east"], 400),
            "income": r.normal(2000, 500, 400).round(),
            "asked": [f"2024-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(400)],
        }
    )
    frame["answer"] = np.where(
        frame.age / 20 + (frame.region == "north") + r.normal(size=400) > 3, "yes", "no"
    )
    frame.loc[::9, "income"] = None
    frame.to_csv(home / "people.csv", index=False)
    torch.set_num_threads(1)
    run = home / "run"
    with Progressing() as follower, pytest.MonkeyPatch.context() as patched:
        # a busy machine has the time for every column too
        patched.setattr("gammatune.pipeline.table_diagnostics.LEAST", 600.0)
        train(asked(data=str(home / "people.csv"), target="answer", lr=1e-6, epochs=4), str(run), follower)
    return run


@pytest.fixture(scope="session")
def fitted() -> Any:
    x, y = flowers(90)
    torch.manual_seed(0)
    return fit(
        torch.nn.Linear(4, 3),
        (x[:60], y[:60]),
        (x[60:], y[60:]),
        epochs=3,
        batch_size=8,
        seed=0,
        device="cpu",
    )


@pytest.fixture(scope="session")
def flower_page(flower_run: Path) -> str:
    return write_report(flower_run).read_text(encoding="utf-8")
