"""Tables that are large: what does not fit is sampled and said, nothing is held twice, and reading is announced."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gammatune.pipeline import train
from gammatune.pipeline.data import split as split_module
from gammatune.pipeline.data.sheet import sheet_of
from gammatune.pipeline.data.split import Split
from gammatune.pipeline.data.table import load_table, make_table, split_table


def divided(n: int = 400, **options: Any) -> Split:
    r = np.random.default_rng(0)
    frame = pd.DataFrame(r.normal(size=(n, 5)).round(2), columns=list("abcde"))
    frame["when"], frame["who"] = np.arange(n), r.integers(20, size=n)
    frame["y"] = np.where(frame.a > 0, "yes", "no")
    return split_table(make_table("t", frame, "y", **options), seed=0)


@pytest.mark.parametrize("options", [{}, {"time": "when"}, {"group": "who"}])
def test_what_does_not_fit_is_sampled_and_said(
    options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = divided(**options)
    width = whole.shape[0]
    monkeypatch.setattr(split_module, "CELLS", 100 * width)
    some = divided(**options)
    parts = [len(part.y) for part in (some.train, some.select)]
    assert sum(parts) <= 100 <= sum(parts) + 2
    assert parts[0] / sum(parts) == pytest.approx(len(whole.train.y) / 320, abs=0.05)
    assert len(some.report.y) == len(whole.report.y)  # all of them judge
    said = [line for line in some.said if "drawn at random, train and select" in line]
    assert len(said) == 1
    assert f"{sum(parts)} of them" in said[0]
    rows = {tuple(row) for row in whole.train.x.tolist()}
    assert all(tuple(row) in rows for row in some.train.x.tolist())
    if "group" in options:
        assert some.groups is not None
        assert len(some.groups) == sum(parts)
    monkeypatch.setattr(split_module, "CELLS", 320 * width)
    assert not any("drawn at random, train" in line for line in divided(**options).said)


def test_a_table_is_encoded_without_a_second_copy_of_it() -> None:
    r = np.random.default_rng(0)
    frame = pd.DataFrame(r.normal(size=(4_000, 100))).add_prefix("n").assign(y=["a", "b"] * 2_000)
    preparing: Any = split_table(make_table("t", frame, "y"), seed=0).preprocessing
    tracemalloc.start()
    x = preparing.encode(frame, [])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert x.shape == (4_000, 100)
    assert most < 1.5 * x.numel() * 4


def test_hundreds_of_columns_raise_no_warning_of_pandas(tmp_path: Path) -> None:
    r = np.random.default_rng(0)
    frame = pd.DataFrame(r.normal(size=(60, 150)).round(2)).add_prefix("n")
    frame.assign(kind=r.choice(["p", "q"], 60), y=["a", "b"] * 30).to_csv(tmp_path / "t.csv", index=False)
    table = load_table(tmp_path / "t.csv", "y")
    assert [each.name for each in sheet_of(table).readings] == list(table.header)
    assert split_table(table, seed=0).shape == (151,)


def test_a_large_file_is_announced_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    class Follower:
        def say(self, sentence: str) -> None:
            said.append(sentence)

    follower: Any = Follower()
    file = tmp_path / "t.csv"
    file.write_text("a,b\n" * 1_000)
    train._announce(str(file), follower)
    train._announce("digits", follower)
    assert not said
    monkeypatch.setattr(train, "LARGE", 4_000)
    train._announce(str(file), follower)
    assert said == ["reading t.csv, 4.0 kB"]
