"""`gammatune predict` on rows that a run was trained on says so; on rows that it never saw it does not."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gammatune.journal.history import replay
from gammatune.pipeline.data.split import Part, Split
from gammatune.pipeline.data.table import make_table, split_table
from gammatune.pipeline.seen import FILE, hashes, leave_seen, seen

LINEAR = ("--only", "linear", "--seed", "0")


def noise(n: int, seed: int, *, few: bool = False) -> pd.DataFrame:
    """Of which nothing can be learned. few: of few answers, so that new rows equal old ones."""
    r = np.random.default_rng(seed)
    names = [f"x{i}" for i in range(3 if few else 20)]
    x = r.integers(0, 3, (n, len(names))) if few else r.normal(size=(n, len(names))).round(6)
    return pd.DataFrame(x, columns=names).assign(y=np.array(["no", "yes"])[r.integers(0, 2, n)])


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_file_trained_on_is_known_again_whole_and_in_part(gammatune: Any, task: str) -> None:
    frame = noise(200, 0)
    if task == "regression":
        frame["y"] = np.random.default_rng(1).normal(size=200)
    frame.to_csv("t.csv", index=False)
    assert gammatune("train", "t.csv", "--target", "y", *LINEAR).code == 0
    story = replay("runs/t-1")
    assert story.report is not None
    honest = story.report["measures"]["r2" if task == "regression" else "accuracy"][0]
    name = f"R2 {honest:.4f}" if task == "regression" else f"accuracy {100 * honest:.2f} %"
    frame.sample(frac=0.5, random_state=0)[frame.columns[::-1]].to_csv("half.csv", index=False)
    held = pd.read_csv("runs/t-1/predictions.csv")["row"].to_numpy() - 1
    frame.iloc[held].to_csv("held.csv", index=False)
    noise(200, 2).assign(y=frame["y"].to_numpy()).to_csv("new.csv", index=False)
    frame.drop(columns="y").to_csv("unknown.csv", index=False)
    said = gammatune("predict", "runs/t-1", "t.csv").out
    assert "160 of these 200 rows were used in training, so the figures below flatter the model" in said
    assert f"those on rows held out: {name}" in said
    taken = len(set(frame.sample(frac=0.5, random_state=0).index) - set(held.tolist()))
    assert f"{taken} of these 100 rows were used" in gammatune("predict", "runs/t-1", "half.csv").out
    for file in ("held.csv", "new.csv", "unknown.csv"):
        said = gammatune("predict", "runs/t-1", file)
        assert said.code == 0
        assert "used in training" not in said.out
    (Path("runs/t-1") / FILE).unlink()  # of an earlier version
    assert "used in training" not in gammatune("predict", "runs/t-1", "t.csv").out


def test_new_rows_that_equal_old_ones_by_chance_are_new(gammatune: Any) -> None:
    noise(300, 0, few=True).to_csv("t.csv", index=False)
    noise(300, 1, few=True).to_csv("new.csv", index=False)
    assert gammatune("train", "t.csv", "--target", "y", *LINEAR).code == 0
    assert "used in training" not in gammatune("predict", "runs/t-1", "new.csv").out
    assert "240 of these 300 rows were used" in gammatune("predict", "runs/t-1", "t.csv").out


def parted(n: int, seed: int) -> Split:
    return split_table(make_table("t", noise(n, seed), "y"), seed=0)


@settings(max_examples=20, deadline=None)
@given(st.integers(50, 400), st.integers(0, 99), st.floats(0, 1))
def test_what_was_never_seen_is_never_called_so(
    tmp_path_factory: pytest.TempPathFactory, n: int, seed: int, share: float
) -> None:
    split, directory = parted(n, seed), tmp_path_factory.mktemp("run")
    leave_seen(directory, split)
    other = parted(n, seed + 100)
    assert seen(directory, other.train.x, other.train.y) == 0
    assert seen(directory, split.report.x, split.report.y) == 0
    assert seen(directory, split.train.x, split.train.y) == len(split.train.x)
    old = round(share * len(split.train.x))
    x = torch.cat([split.train.x[:old], other.train.x[old:]])
    y = torch.cat([split.train.y[:old], other.train.y[old:]])
    assert seen(directory, x, y) in ({old} if old >= 6 and old >= len(x) / 2 else {0, old})


def test_of_very_many_a_sample_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gammatune.pipeline.seen.MOST", 500)
    split = parted(4000, 0)
    leave_seen(tmp_path, split)
    assert len(np.load(tmp_path / FILE)["hashes"]) == 500
    assert seen(tmp_path, split.train.x, split.train.y) == len(split.train.x)
    both = Part(torch.cat([split.train.x, split.report.x]), torch.cat([split.train.y, split.report.y]))
    assert seen(tmp_path, both.x, both.y) == pytest.approx(len(split.train.x), rel=0.1)
    assert seen(tmp_path, split.report.x, split.report.y) == 0


def test_equal_examples_have_one_hash_however_they_lie() -> None:
    r = np.random.default_rng(0)
    x, y = torch.from_numpy(r.normal(size=(100, 3, 4)).astype(np.float32)), torch.arange(100) % 7
    found = hashes(x, y)
    assert len(np.unique(found)) == 100
    order = torch.from_numpy(r.permutation(100))
    assert (hashes(x[order], y[order]) == found[order]).all()
    assert (hashes(x, (y + 1) % 7) != found).all()
    zero = torch.zeros(1, 3, 4)
    assert hashes(zero, y[:1]) == hashes(-zero, y[:1])
