"""The harness of benchmarks/ and experiments/: no cell is lost or computed twice, and its numbers are right."""

import json
import math
import subprocess
import sys
from pathlib import Path

import needs
import numpy as np
import pytest

sys.path.insert(0, str(needs.ROOT / "benchmarks"))

import harness

BENCHMARKS = needs.ROOT / "benchmarks"
KEYS = [{"name": name, "seed": seed} for seed in (0, 1) for name in "abc"]


def drawn(name: str, seed: int) -> harness.Row:
    """From the global stream alone, which the harness sets."""
    return {"drawn": float(np.random.random())}  # noqa: NPY002


def swept(path: Path | None, compute=drawn, **options) -> list[harness.Row]:
    cells = harness.Cells(path, "name", "seed")
    harness.sweep(cells, KEYS, compute, **options)
    return list(cells)


# Cells ----------------------------------------------------------------------------------------------------


def test_half_a_line_is_read_over_and_taken_away(tmp_path):
    path = tmp_path / "cells.jsonl"
    assert harness.read(path) == []
    harness.append(path, {"a": 1})
    harness.append(path, {"a": 2})
    whole = path.read_bytes()
    for torn in (b'{"a"', b"{", b'{"a":3}'):
        path.write_bytes(whole + torn)
        assert harness.read(path) == [{"a": 1}, {"a": 2}]
        harness.append(path, {"a": 4})
        assert harness.read(path) == [{"a": 1}, {"a": 2}, {"a": 4}]
        assert path.read_bytes() == whole + b'{"a":4}\n'
    path.write_bytes(b'{"a')
    harness.append(path, {"a": 1})
    assert harness.read(path) == [{"a": 1}]


def test_two_runs_with_the_same_seeds_give_the_same_cells(tmp_path):
    one, other = swept(tmp_path / "one.jsonl"), swept(tmp_path / "other.jsonl")
    assert one == other == swept(None)
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "other.jsonl").read_bytes()
    assert one[0]["drawn"] == one[1]["drawn"] != one[3]["drawn"]  # of its seed, not of the cells before it
    assert [{"name": row["name"], "seed": row["seed"]} for row in one] == KEYS


SCRIPT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {benchmarks!r})
import harness
import numpy as np

def cell(name, seed):
    if (name, seed) == ("b", 1) and Path(sys.argv[2]).exists():
        with open(sys.argv[1], "a") as file:
            file.write('{{"name":"b","seed":1,"dra')
        os.kill(os.getpid(), signal.SIGKILL)
    return {{"drawn": float(np.random.random())}}

keys = [{{"name": name, "seed": seed}} for seed in (0, 1) for name in "abc"]
harness.sweep(harness.Cells(Path(sys.argv[1]), "name", "seed"), keys, cell)
"""


def test_what_is_killed_in_the_middle_of_a_cell_goes_on_with_it(tmp_path):
    path, trap = tmp_path / "cells.jsonl", tmp_path / "trap"
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(benchmarks=str(BENCHMARKS)))
    trap.touch()
    killed = subprocess.run([sys.executable, script, path, trap], capture_output=True)
    assert killed.returncode == -9
    assert not path.read_bytes().endswith(b"\n")
    assert len(harness.read(path)) == 4
    trap.unlink()
    again = subprocess.run([sys.executable, script, path, trap], capture_output=True, text=True, check=True)
    assert len(again.stdout.splitlines()) == 2, "what was there is not computed again"
    swept(tmp_path / "whole.jsonl")
    assert path.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_a_cell_that_fails_is_recorded_and_the_others_are_computed(tmp_path, capsys):
    def broken(name, seed):
        if name == "b":
            raise ValueError("no such thing")
        return drawn(name, seed)

    path = tmp_path / "cells.jsonl"
    rows = swept(path, broken)
    assert [row for row in rows if "failed" in row] == [
        {"name": "b", "seed": seed, "failed": "ValueError: no such thing"} for seed in (0, 1)
    ]
    assert len(rows) == len(harness.read(path)) == 6
    assert [row["name"] for row in harness.Cells(path, "name", "seed").good(seed=1)] == ["a", "c"]
    assert "no such thing" in capsys.readouterr().err
    assert swept(path) == rows, "a failure is a result, until its line is taken out"


def test_processes_come_to_the_same_cells(tmp_path):
    def order(row):
        return row["seed"], row["name"]

    rows = swept(tmp_path / "cells.jsonl", processes=2)
    assert sorted(rows, key=order) == swept(None)
    assert sorted(harness.read(tmp_path / "cells.jsonl"), key=order) == swept(None)


def test_no_cell_begins_when_the_time_is_up(tmp_path, capsys):
    path = tmp_path / "cells.jsonl"
    assert swept(path, minutes=-1) == []
    assert "6 cells are left" in capsys.readouterr().out
    assert not path.exists()
    assert len(swept(path, minutes=1)) == 6


def test_a_cell_that_takes_too_much_memory_has_failed(tmp_path):
    def large(name, seed):
        return {"sum": float(np.ones(2**31 if name == "b" else 8, dtype=np.uint8).sum())}

    rows = swept(None, large, memory=1.5)
    assert sum("Memory" in row.get("failed", "") for row in rows) == 2
    assert sum("sum" in row for row in rows) == 4


def test_a_cell_may_give_several_rows_and_a_key_leaves_out_what_is_none(tmp_path):
    cells = harness.Cells(tmp_path / "cells.jsonl", "name", "rate")
    keys = [{"name": "a", "rate": None}, {"name": "a", "rate": 0.5}]
    harness.sweep(cells, keys, lambda name, rate: [{"x": 1}, {"name": "b", "x": 2}])
    assert harness.read(tmp_path / "cells.jsonl") == [
        {"name": "a", "x": 1},
        {"name": "b", "x": 2},
        {"name": "a", "rate": 0.5, "x": 1},
        {"name": "b", "rate": 0.5, "x": 2},
    ]
    assert all(key in cells for key in keys)
    assert {"name": "a", "rate": 1} not in cells


def test_rows_of_a_result_file_are_known(tmp_path):
    out = tmp_path / "result.json"
    harness.save(out, {"command": "", "cells": [{"name": "a", "seed": 0, "drawn": 7}]})
    cells = harness.Cells.beside(out, "name", "seed", held="cells")
    harness.sweep(cells, KEYS, drawn)
    assert next(iter(cells))["drawn"] == 7
    assert len(cells) == 6
    assert len(harness.read(tmp_path / "result.jsonl")) == 5


# Numbers --------------------------------------------------------------------------------------------------


def test_a_bootstrap_interval_is_that_of_resampled_means():
    values = np.random.default_rng(1).normal(3, 1, 40)
    mean, low, high = harness.bootstrap(values, 4000)
    drawn = np.random.default_rng(0).choice(values, (4000, 40)).mean(axis=1)
    assert [mean, low, high] == [values.mean(), *np.quantile(drawn, [0.025, 0.975])]
    pairs = np.array([[2.0, 1.0], [9.0, 3.0]])
    ratio, *ends = harness.bootstrap(pairs, of=lambda d: d[..., 0].sum(axis=1) / d[..., 1].sum(axis=1))
    assert ratio == 11 / 4
    assert ends == [2.0, 3.0]


def test_a_mean_of_ratios_is_geometric_and_so_is_its_interval():
    ratio = harness.Ratio.mean([0.5, 2.0])
    assert ratio.value == pytest.approx(1)
    assert ratio.low * ratio.high == pytest.approx(1)
    assert math.log(ratio.high) == pytest.approx(12.706 * math.log(2), rel=1e-4)  # t, one degree of freedom
    assert math.isnan(harness.Ratio.mean([0.5]).low)
    assert str(harness.Ratio(1, 0.5, 2)) == "1.000 [0.500, 2.000]"


def test_numbers_are_rounded_to_digits_that_count():
    assert harness.rounded({4: (0.000123456, 12345.6, "x", 7, None)}) == {
        "4": [0.0001235, 12350.0, "x", 7, None]
    }


# Files ----------------------------------------------------------------------------------------------------


def test_a_result_file_is_json_with_an_entry_a_line(tmp_path):
    content = {"command": "x", "rows": [{"a": 1}, {"a": 2}]}
    for by_line in (False, True):
        harness.save(tmp_path / "out.json", content, by_line=by_line)
        assert json.loads((tmp_path / "out.json").read_text()) == content
    assert '\n  {"a": 1},\n  {"a": 2}\n' in (tmp_path / "out.json").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_a_command_names_no_folder_outside(monkeypatch):
    script = str(BENCHMARKS / "cost.py")
    monkeypatch.setattr(sys, "argv", [script, "--out", "/somewhere/else/cost.json", "--seeds", "3"])
    assert harness.command() == "python benchmarks/cost.py --out cost.json --seeds 3"


def test_what_a_process_raises_is_said():
    assert harness.in_a_process("-c", "print([1])") == [1]
    with pytest.raises(RuntimeError, match="no such thing"):
        harness.in_a_process("-c", "raise SystemExit('no such thing')")
