"""The comparison of Optuna's samplers runs, writes as it goes, and its problems have the minima they claim."""

import json
import runpy
import sys
import warnings
from pathlib import Path

import numpy as np
import optuna
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks" / "bo"))

import problems as functions

COMMAND = Path(functions.__file__).with_name("run.py")


@pytest.mark.parametrize("problem", functions.problems(quick=True), ids=lambda problem: problem.name)
def test_no_point_lies_below_the_minimum(problem):
    rng = np.random.default_rng(0)
    for seed in range(3):
        instance = problem.make(seed)
        bounds = [(kind.low, kind.high, kind.log) for kind in instance.space.values()]
        u = rng.random((2000, len(bounds)))
        points = [
            dict(zip(instance.space, (
                low * (high / low) ** x if log else low + x * (high - low)
                for x, (low, high, log) in zip(row, bounds, strict=True)
            ), strict=True))
            for row in u
        ]  # fmt: skip
        losses = np.array([instance.loss(point) for point in points])
        assert losses.min() >= instance.least - 1e-5
        if len(bounds) == 1:
            assert losses.min() < instance.least + 0.05


def test_the_command_writes_what_it_shows(tmp_path, monkeypatch, capsys):
    out = tmp_path / "bo.json"
    words = [
        "run.py",
        "--quick",
        "--seeds",
        "2",
        "--only",
        "lr",
        "--methods",
        "gamma,random",
        "--out",
        str(out),
    ]
    monkeypatch.setattr(sys, "argv", words)
    before = optuna.logging.get_verbosity()
    with warnings.catch_warnings():
        runpy.run_path(str(COMMAND), run_name="__main__")
    optuna.logging.set_verbosity(before)
    written = json.loads(out.read_text())
    assert len(written["runs"]) == 4
    assert [line["method"] for line in written["table"]] == ["gamma", "random"]
    mean, low, high = written["table"][0]["regret_12"]
    assert low <= mean <= high
    assert written["versions"]["optuna"] == optuna.__version__
    assert "lr (2 seeds)" in capsys.readouterr().out
