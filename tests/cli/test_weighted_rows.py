"""`gammatune train --sample-weight`: rows count for their weight in what is learned, told and predicted."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gammatune.journal.history import replay

SHORT = ("--epochs", "12", "--budget", "2.5", "--only", "net")


def survey(n: int = 400, seed: int = 0) -> pd.DataFrame:
    """Those who weigh much follow a, the many others b."""
    r = np.random.default_rng(seed)
    heavy = r.random(n) < 0.3
    a, b = r.normal(size=(2, n)).round(3)
    answer = np.where(np.where(heavy, a, b) > 0, "yes", "no")
    return pd.DataFrame({"a": a, "b": b, "pweight": np.where(heavy, 20.0, 0.5), "answer": answer})


def test_those_who_weigh_much_are_learned_and_told_of(gammatune: Any) -> None:
    survey().to_csv("t.csv", index=False)
    survey(300, seed=1).to_csv("new.csv", index=False)
    said = gammatune("train", "t.csv", "--target", "answer", "--sample-weight", "pweight", *SHORT)
    assert said.code == 0
    assert "Each row counts for its pweight, 0.5 to 20" in said.out
    assert re.search(r"these 80 tell about as much as \d\d that weigh the same", said.out)
    event = replay("runs/t-1").report
    assert event is not None
    assert event["measures"]["accuracy"][0] > 0.9
    said = gammatune("predict", "runs/t-1", "new.csv")
    assert "told with each row counting for its pweight" in said.out
    weighted = float(re.search(r"accuracy ([\d.]+) %", said.out)[1])  # type: ignore[index]
    survey(300, seed=1).drop(columns="pweight").to_csv("bare.csv", index=False)
    said = gammatune("predict", "runs/t-1", "bare.csv")
    plain = float(re.search(r"accuracy ([\d.]+) %", said.out)[1])  # type: ignore[index]
    assert weighted > 90 > plain
    rows, table = pd.read_csv("new.predictions.csv"), survey(300, seed=1)
    right = rows.prediction == table.answer
    assert weighted == pytest.approx(100 * np.average(right, weights=table.pweight), abs=0.01)

    said = gammatune("resume", "runs/t-1")
    assert said.code == 0


def test_it_goes_with_tables(gammatune: Any) -> None:
    said = gammatune("train", "digits", "--sample-weight", "w")
    assert said.code == 1
    assert "--sample-weight goes with a table" in said.err
    survey().assign(pweight=-1).to_csv("t.csv", index=False)
    said = gammatune("train", "t.csv", "--target", "answer", "--sample-weight", "pweight")
    assert "--sample-weight pweight is below 0 in 400 rows, such as -1" in said.err
