"""A sample of benchmarks/interruptions.py: processes that are killed, on real networks."""

import sys
from pathlib import Path

import needs
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import interruptions

Case = interruptions.Case


@needs.fork
@pytest.mark.parametrize(
    "case",
    [
        Case("SGD", "lookahead 1.5", "shuffled"),
        Case("AdamW", "lookahead 7", "tape"),
        Case("RMSprop", "greedy", "shuffled"),
        Case("Adam", "lookahead open", "tape"),
    ],
    ids=str,
)
def test_killed_runs_end_as_if_they_had_not_been(case: "interruptions.Case") -> None:
    tally = interruptions.measure([case], kills=5, seed=7)
    assert sum(tally.kills.values()) >= 5
    assert tally.lost == []
    assert tally.identical == tally.trials
