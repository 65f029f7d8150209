"""benchmarks/scale_on_paper.py: the real policy counts its looks, and the arithmetic is that of the page."""

import json
import sys
from pathlib import Path

import needs
import pytest

sys.path.insert(0, str(needs.ROOT / "benchmarks"))

import scale_on_paper as scale

CONSTANTS = scale.Constants.measured()


def test_looks_are_those_of_the_policy() -> None:
    """Of the length that the policy says, three at least, and of a longer course a smaller part."""
    short, long = (scale.simulated(steps, 0.0) for steps in (1_000, 100_000))
    assert short["looks"] == long["looks"] == 3
    assert short["batches"] == pytest.approx(1_000 + 3 * short["look_batches"] + 1, abs=1)  # and the survey's
    assert long["looks_plain_runs"] < short["looks_plain_runs"] / 5
    assert short["cost"] <= scale.BUDGET


def test_a_best_rate_far_from_what_is_believed_takes_more_looks() -> None:
    near, far = (scale.simulated(10_000, spreads) for spreads in (0.0, 2.0))
    assert near["looks"] < far["looks"] <= 6


@pytest.mark.parametrize("ranks", scale.RANKS)
def test_what_comes_on_top_is_a_smaller_part_of_longer_steps(ranks: int) -> None:
    row = {"batches": 1_100, "rollouts": 25, "steps": 1_000}
    shares = [scale.on_top(CONSTANTS, row, step, ranks) for step in scale.STEP_SECONDS]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == pytest.approx(shares[1] * 10)


def test_workers_take_the_first_three_looks_together() -> None:
    row = {"looks": 5, "looks_plain_runs": 0.5, "cost": 1.5}
    assert [scale.with_workers(row, n) for n in (1, 2, 3, 9)] == pytest.approx([1.5, 1.4, 1.3, 1.3])


def test_the_file_is_what_the_constants_give() -> None:
    content = json.loads((scale.RESULTS / "scale_on_paper.json").read_text())
    assert content["constants"] == pytest.approx(vars(CONSTANTS))
    assert [row["steps"] for row in content["steps"]] == list(scale.STEPS)
    held = max(row["forks_held_most"] for row in content["steps"])
    assert content["weights"] == [pytest.approx(scale.by_weights(CONSTANTS, w, held)) for w in scale.WEIGHTS]


def test_it_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs.package("matplotlib")
    out, picture = tmp_path / "scale.json", tmp_path / "scale.svg"
    monkeypatch.setattr(sys, "argv", ["scale_on_paper.py", "--quick", "--out", str(out)])
    scale.main()
    monkeypatch.setattr(sys, "argv", ["scale_on_paper.py", "--draw", str(picture), "--out", str(out)])
    scale.main()
    assert "simulated" in picture.read_text()
