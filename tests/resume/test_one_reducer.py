"""A live run and its journal read back are one run, whenever one looks, since both go through `RunState`."""

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammatune.cost import Meter
from gammatune.journal.history import replay
from gammatune.journal.reducer import RunState
from gammatune.records import Metrics
from gammatune.testing.fakes import FakeTraining
from gammatune.tuning.tuner import Tuner

POLICIES: list[dict[str, Any]] = [
    {},
    {"budget": 8, "epochs": 4},
    {"budget": 5, "ensemble": True},
    {"epochs": None, "total_epochs": 20, "ensemble": True, "guide": 4.0},
    {"patience": 1, "at_once": 3},
    {"policy": "greedy", "budget": 4},
    {"policy": "once", "budget": 4},
]


class Density(FakeTraining):
    """Its loss falls below 0, where a logarithm ends and another objective begins."""

    lower = 0.0

    def evaluate(self, meter: Meter) -> Metrics:
        metrics = super().evaluate(meter)
        return {**metrics, "loss": metrics["loss"] - self.lower}

    def _metrics(self, loss: float) -> Metrics:
        return {"accuracy": min(1.0, math.exp(-loss)), "loss": loss}


def told(state: RunState) -> dict[str, Any]:
    return {field.name: getattr(state, field.name) for field in fields(RunState)}


@settings(max_examples=15, deadline=None)
@given(
    options=st.sampled_from(POLICIES),
    lower=st.sampled_from([0.0, 0.6]),
    cliff=st.sampled_from([0.02, 10.0]),
    leave_at=st.one_of(st.none(), st.integers(1, 30)),
    seed=st.integers(0, 9),
)
def test_a_live_run_and_one_read_back_are_alike(
    tmp_path_factory: pytest.TempPathFactory,
    options: dict[str, Any],
    lower: float,
    cliff: float,
    leave_at: int | None,
    seed: int,
) -> None:
    where: Path = tmp_path_factory.mktemp("run")
    for last in (leave_at, None):  # begun, and where it was left gone on with
        training = Density(cliff=cliff, directory=where)
        training.lower = lower
        asked = {"epochs": 5, "space": ["lr=1e-5:10:log"], "objective": "log-loss", "seed": seed, **options}
        tuner = Tuner(training=training, run_dir=str(where), **asked)
        with tuner:
            for run in tuner:
                assert told(tuner._driver.found) == told(replay(where))
                if run.number == last:
                    break
                run.advance()
                run.report(**run.evaluate())
        assert told(tuner._driver.found) == told(replay(where))
        assert tuner.result.members == replay(where).members
