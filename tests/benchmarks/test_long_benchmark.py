"""benchmarks/long in small: its data, its recipes, the choice among a grid, and a cell of every training."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks" / "equal_cost"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks" / "long"))

import measure
import recipes
import sets
import standing


def test_windows_of_a_text_share_nothing_and_are_told_by_the_next_symbol() -> None:
    text = "".join(chr(32 + k % 89) for k in range(8 * 60 + 1))
    parts = sets.windows(text, 8, 20, 10, 20)
    assert [len(x) for x, _ in parts.values()] == [20, 10, 10, 20]
    for x, y in parts.values():
        assert torch.equal(x[:, 1:], y[:, :-1])
    whole = torch.cat([x for x, _ in parts.values()])
    assert len(whole.unique(dim=0)) == 60
    with pytest.raises(AssertionError, match="60 stretches"):
        sets.windows(text, 8, 50, 5, 5)


def test_the_parts_of_a_seed_are_its_own() -> None:
    setting = recipes.recipes("smoke")["signals"].setting
    assert all(torch.equal(a, b) for a, b in zip(*(setting(1).parts["test"] for _ in "ab"), strict=True))
    assert not torch.equal(setting(1).parts["test"][0], setting(2).parts["test"][0])


def test_the_stairs_are_those_of_the_example() -> None:
    optimizer = torch.optim.Adadelta([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    for epoch in range(14):
        for step in range(5):
            found = recipes.stairs((epoch * 5 + step + 0.5) / 70)
            assert found == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()


def test_muon_takes_the_matrices_within_and_adamw_all_the_rest() -> None:
    model = recipes.recipes("smoke")["muon"].net()
    both: Any = recipes.muon(model, 0.1)
    held = [p for group in both.param_groups for p in group["params"]]
    assert len(held) == len(list(model.parameters())) == len({id(p) for p in held})
    assert all(p.ndim == 2 for group in both[0].param_groups for p in group["params"])
    assert len(both[0].param_groups[0]["params"]) == 3 * 4  # of a block: attention in and out, two of the MLP


def test_what_learnt_nothing_counts_as_that() -> None:
    setting = recipes.recipes("smoke")["code"].setting(0)
    nothing = math.log(len(sets.SYMBOLS) + 1)
    assert setting.error({"loss": 2.0, "accuracy": 0.1}) == 2.0
    assert setting.error({"loss": 9.0, "accuracy": 0.0}) == setting.error({"loss": math.nan}) == nothing


def test_the_vaes_loss_is_the_same_at_every_call_and_leaves_the_stream_alone() -> None:
    model, x = recipes.architectures.Vae().eval(), torch.rand(3, 784)
    before = torch.get_rng_state()
    assert torch.equal(model(x), model(x))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_best_of_a_grid_is_chosen_by_select_and_pays_for_five() -> None:
    rows = [
        {
            "task": "a",
            "method": standing.of_grid(f),
            "seed": 0,
            "select": s,
            "test": t,
            "cost": 1.0,
            "seconds": 2.0,
        }
        | {"diverged": s == 0.1, "measured": {"loss": t}}
        for f, s, t in zip(
            standing.FACTORS, (0.1, 0.3, 0.4, 0.2, 0.5), (0.0, 0.1, 0.2, 0.3, 0.4), strict=True
        )
    ]
    cells = standing.compared(rows)
    best = cells["a", standing.GRID, 0]
    assert (best["test"], best["cost"], best["seconds"]) == (0.3, 5.0, 10.0)
    found = standing.standing(cells, {"a": {"test": 100}}, standing.GRID)
    assert found is not None
    assert found["score"]["ratio"] == pytest.approx(0.3 / 0.2)
    assert found["score"]["low"] is None, "one training has no interval"
    assert (standing.GRID, "a") not in {(m, t) for t, m, _ in standing.compared(rows[1:])}


def test_a_cell_of_every_training_and_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (needs.data_folder() / "mnist.npz").exists():
        pytest.skip(needs.DATA)
    needs.package("schedulefree")
    out = tmp_path / "long.json"
    methods = ("author", "ours-1.5", "schedule-free")
    few = ("--scale", "smoke", "--out", str(out))
    monkeypatch.setattr(sys, "argv", ["measure.py", *few, "--seeds", "1", "--methods", *methods])
    measure.main()
    monkeypatch.setattr(sys, "argv", ["standing.py", *few])
    standing.main()
    told = json.loads(out.read_text())
    assert told["cells"] == 3 * 8
    assert told["raised"] == []
    assert set(told["methods"]) == set(methods)
    assert {of["trainings"] for of in told["methods"].values()} == {8}
    assert all(np.isfinite(of["score"]["ratio"]) for of in told["methods"].values())
    assert told["methods"]["author"]["cost"] == pytest.approx(1)
    assert "| ours-1.5 " in out.with_suffix(".md").read_text()
