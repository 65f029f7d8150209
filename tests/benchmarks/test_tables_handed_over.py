"""The benchmark of what is handed over: a cell of it, and what a few cells come to."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("handed_over")
    sys.modules.pop("handed_over")


def test_a_cell_says_what_each_kind_is_worth(tmp_path: Path, handed_over: Any) -> None:
    r = np.random.default_rng(0)
    frame = pd.DataFrame(r.normal(size=(120, 3)).round(3), columns=["a", "b", "c"])
    frame["y"] = np.where(frame.a + 0.3 * r.normal(size=120) > 0, "yes", "no")
    frame.to_csv(tmp_path / "some-table.csv", index=False)
    found = handed_over.cell(tmp_path, "some/table", "y", epochs=2, budget=1.5, lr=1e-3)
    assert (found["rows"], found["reported"], found["crossed"]["repeats"]) == (96, 24, 2)
    for way in handed_over.WAYS:
        assert set(handed_over.KINDS) <= set(found[way]["errors"])
        assert found[way]["behind"][1] <= found[way]["behind"][0] <= found[way]["behind"][2]
    told = handed_over.summary([found | {"name": "some/table"}] * 3)
    assert told["tables"] == 3
    assert sum(told["crossed"]["handed over"].values()) == 3


def of(chosen: str, errors: dict[str, float], low: float) -> dict[str, Any]:
    return {"chosen": chosen, "errors": errors, "behind": [low + 1, low, low + 2]}


def test_what_is_plainly_worse_is_named_and_ranks_are_means(handed_over: Any) -> None:
    errors = {"linear": 0.4, "trees": 0.2, "net": 0.3}
    rows = [
        {"name": name, "crossed": of(kind, errors, low), "once": of("net", errors, -1.0)}
        for name, kind, low in (("good", "trees", -0.5), ("bad", "linear", 0.5))
    ]
    told = handed_over.summary(rows)
    assert told["crossed"]["plainly worse"] == ["bad"]
    assert told["crossed"]["level with the best or ahead"] == 1
    assert told["crossed"]["mean rank"]["handed over"] == pytest.approx((1.5 + 3.5) / 2)
    assert told["ratio of errors, handed over crossed / once"]["ratio"] == pytest.approx(
        (0.2 / 0.3 * 0.4 / 0.3) ** 0.5
    )
