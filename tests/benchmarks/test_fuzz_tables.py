"""The fuzz of whole packages of tables: a cell of it on tables that are at hand, and what cells come to."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
BUNDLED = ("iris", "wine", "breast_cancer", "diabetes", "linnerud")


@pytest.fixture
def fuzz(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("fuzz_tables")
    for name in ("fuzz_tables", "tables_apart"):
        sys.modules.pop(name)


def messy(seed: int) -> pd.DataFrame:
    """A table with a column of each kind, and a target that is one of some, or a number."""
    draw = np.random.default_rng(seed)
    rows = int(draw.integers(50, 90))
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(draw.integers(0, 900, rows), unit="D")
    columns = {
        "id": np.arange(rows),
        "price": [f"${value:,.2f}" for value in draw.uniform(500, 5000, rows)],
        "share": [f"{value:.1f} %" for value in draw.uniform(0, 100, rows)],
        "seen": days.strftime(("%Y-%m-%d", "%d.%m.%Y", "%d %B %Y")[seed % 3]),
        "colour": draw.choice(["red", "green", "Blue ", "blue"], rows),
        "note": [f"a note of some words {draw.integers(10**6)}" for _ in range(rows)],
        "gaps": np.where(draw.random(rows) < 0.3, np.nan, draw.normal(size=rows)),
        "same": "x",
    }
    target = draw.normal(size=rows) if seed % 2 else draw.choice(["yes", "no", "perhaps"], rows)
    return pd.DataFrame({**columns, "target": target})


@pytest.mark.parametrize("name", [*BUNDLED, *map(str, range(15))])
def test_a_table_is_looked_at_and_no_column_is_lost(tmp_path: Path, fuzz: Any, name: str) -> None:
    held = getattr(datasets, f"load_{name}")(as_frame=True).frame if name in BUNDLED else messy(int(name))
    held.to_csv(tmp_path / f"{name}.csv", index=False)
    found = fuzz.cell(tmp_path, name, "look")
    assert (found["how"], found["lost"]) == ("done", []), found
    assert found["columns"] == held.shape[1]


def test_what_is_refused_is_told_by_its_sentence(tmp_path: Path, fuzz: Any) -> None:
    pd.DataFrame({"a": range(60), "b": 1}).to_csv(tmp_path / "flat.csv", index=False)
    found = fuzz.cell(tmp_path, "flat", "look")
    assert found["how"] == "refused"
    rows = [{**found, "name": f"t/{i}", "what": "look"} for i in range(2)]
    rows.append({"name": "odd", "what": "train", "how": "traceback", "said": "KeyError: 1"})
    told = fuzz.summary(rows)
    assert (told["look"], told["train"]) == ({"refused": 2}, {"traceback": 1})
    assert told["tracebacks"] == {"odd": "KeyError: 1"}
    assert [(each["times"], each["one"]) for each in told["refusals"]] == [(2, "t/0")]
