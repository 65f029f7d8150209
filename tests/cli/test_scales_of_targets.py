"""`gammatune train` on a scale: said, trained in order, judged in steps, predicted with, and said otherwise."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gammatune import load
from gammatune.journal.history import replay
from gammatune.report.methods import methods_of
from gammatune.report.predictions import load_findings

SCALE = ("never", "rarely", "sometimes", "often", "always")
SHORT = ("--epochs", "8", "--budget", "1.5")


def survey(n: int = 300, seed: int = 0) -> pd.DataFrame:
    r = np.random.default_rng(seed)
    mood = r.normal(size=n)
    place = np.clip(np.round(1.3 * mood + 0.6 * r.normal(size=n) + 2), 0, 4).astype(int)
    return pd.DataFrame(
        {"mood": mood.round(2), "age": r.integers(18, 80, n), "how often": np.array(SCALE)[place]}
    )


def median(row: dict[str, str]) -> str:
    below = np.cumsum([float(row[f"p({level})"]) for level in SCALE])
    return SCALE[int(np.argmax(below >= 0.5 - 1e-6))]


def test_a_scale_is_told_and_judged_in_steps(gammatune: Any) -> None:
    survey().to_csv("t.csv", index=False)
    survey(100, seed=1).to_csv("new.csv", index=False)
    said = gammatune("train", "t.csv", "--target", "how often", *SHORT)
    assert said.code == 0
    assert "never < rarely < sometimes < often < always (by their words): ordinal" in " ".join(
        said.out.split()
    )
    assert "what the words mean\nepoch " in said.out
    assert said.out.index("While it trains: an epoch is one pass") < said.out.index("epoch  lr ")
    story = replay("runs/t-1")
    assert story.report is not None
    assert story.begin["facts"]["ordinal"] is True
    assert story.report["measures"]["steps"][0] < 0.8
    assert story.report["measures"]["weighted-kappa"][0] > 0.5
    said = gammatune("predict", "runs/t-1", "new.csv")
    assert said.code == 0
    rows = list(csv.DictReader(Path("new.predictions.csv").read_text().splitlines()))
    assert [name for name in rows[0] if name.startswith("p(")] == [f"p({level})" for level in SCALE]
    assert [row["prediction"] for row in rows] == [median(row) for row in rows]
    assert "steps off on average, accuracy" in said.out
    told = story.report["extra"]["beside"]
    assert told["metric"] == "steps"
    values = {each["kind"]: each["selected"] for each in told["models"]}
    assert values[told["model"]] <= min(values.values()) + 0.1
    # figures, kept answers and the table of them are all of that answer
    kept = dict(np.load("runs/t-1/predictions.npz"))
    off = np.abs(kept["said"] - kept["targets"])
    assert story.report["measures"]["steps"][0] == pytest.approx(off.mean())
    assert story.report["accuracy"] == pytest.approx((off == 0).mean())
    held = list(csv.DictReader(Path("runs/t-1/predictions.csv").read_text().splitlines()))
    assert [row["prediction"] for row in held] == [SCALE[code] for code in kept["said"]]
    found = load_findings(Path("runs/t-1"))
    assert (found.said == kept["said"]).all()
    assert found.right.mean() == pytest.approx((off == 0).mean())
    assert "an answer is the median of the predicted probabilities" in str(methods_of(story))
    assert gammatune("report", "runs/t-1").code == 0
    assert "an answer is the median of its probabilities" in Path("runs/t-1/report.html").read_text()
    labels = load("runs/t-1").predict("new.csv")
    assert labels.tolist() == [row["prediction"] for row in rows]


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
