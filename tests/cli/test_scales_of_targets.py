"""`gammatune train` on a scale: said, trained in order, judged in steps, predicted with, and said otherwise."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gammatune.journal.history import replay

SCALE = ("never", "rarely", "sometimes", "often", "always")
SHORT = ("--epochs", "8", "--budget", "1.5")


def survey(n: int = 300, seed: int = 0) -> pd.DataFrame:
    r = np.random.default_rng(seed)
    mood = r.normal(size=n)
    place = np.clip(np.round(1.3 * mood + 0.6 * r.normal(size=n) + 2), 0, 4).astype(int)
    return pd.DataFrame(
        {"mood": mood.round(2), "age": r.integers(18, 80, n), "how often": np.array(SCALE)[place]}
    )


def test_a_scale_is_told_and_judged_in_steps(gammatune: Any) -> None:
    survey().to_csv("t.csv", index=False)
    survey(100, seed=1).to_csv("new.csv", index=False)
    said = gammatune("train", "t.csv", "--target", "how often", *SHORT)
    assert said.code == 0
    assert "never < rarely < sometimes < often < always (by their words): ordinal" in " ".join(
        said.out.split()
    )
    story = replay("runs/t-1")
    assert story.report is not None
    assert story.begin["facts"]["ordinal"] is True
    assert story.report["measures"]["steps"][0] < 0.8
    assert story.report["measures"]["weighted-kappa"][0] > 0.5
    said = gammatune("predict", "runs/t-1", "new.csv")
    assert said.code == 0
    rows = list(csv.DictReader(Path("new.predictions.csv").read_text().splitlines()))
    assert [name for name in rows[0] if name.startswith("p(")] == [f"p({level})" for level in SCALE]
    assert gammatune("report", "runs/t-1").code == 0


def test_it_is_said_otherwise(gammatune: Any) -> None:
    frame = survey()
    frame["size"] = frame.pop("how often").map(dict(zip(SCALE, ("XS", "S", "M", "L", "XL"), strict=True)))
    frame.to_csv("t.csv", index=False)
    order = ("--order", "XS, S, M, L, XL", "--only", "net")
    said = gammatune("train", "t.csv", "--target", "size", *order, "--metric", "steps", *SHORT)
    assert said.code == 0
    assert "XS < S < M < L < XL (as asked): ordinal" in " ".join(said.out.split())
    said = gammatune("train", "t.csv", "--target", "size", "--metric", "steps", "--only", "net", *SHORT)
    assert said.code == 1
    assert "needs classes in order" in said.err
    said = gammatune("train", "digits", "--task", "ordinal")
    assert "--task ordinal goes with a table" in said.err
