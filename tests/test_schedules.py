"""Schedules: where they begin, how they go and where they end; in runs, journals and what is made of them."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import gammatune
from gammatune.course import Stretch
from gammatune.errors import AnotherRun, InvalidArgument
from gammatune.journal.history import replay
from gammatune.records import Shape
from gammatune.schedules import (
    SCHEDULES,
    along,
    constant,
    cosine,
    linear,
    longer,
    one_minus_sqrt,
    part,
    schedule,
    stable,
    wsd,
)

WARMUPS = st.floats(0.0, 0.5)
NAMES = st.sampled_from(sorted(SCHEDULES))
PROGRESS = st.floats(0.0, 1.0)


@given(NAMES, WARMUPS, PROGRESS)
def test_multipliers_lie_between_0_and_1_and_the_highest_is_1(
    name: Any, warmup: float, progress: float
) -> None:
    shape = schedule(name, warmup)
    assert 0 <= shape(progress) <= 1
    assert max(level for _, level in shape.knots) == 1


@given(NAMES, WARMUPS)
def test_it_begins_ends_and_turns_where_it_should(name: Any, warmup: float) -> None:
    """From 0 where there is a warm-up, at the peak after it, at zero at the end; and without a step."""
    shape = schedule(name, warmup)
    along = [progress for progress, _ in shape.knots]
    assert (along[0], along[-1]) == (0.0, 1.0)
    assert all(one < other for one, other in pairwise(along))
    assert shape(0.0) == (0.0 if warmup > 0 else 1.0)
    assert shape(warmup) == 1.0
    assert shape(1.0) == (1.0 if name == "constant" else 0.0)
    falling = [level for progress, level in shape.knots if progress >= warmup]
    assert all(one >= other for one, other in pairwise(falling))


@given(PROGRESS)
def test_curves_are_what_they_are_called(progress: float) -> None:
    assert cosine(0)(progress) == pytest.approx((1 + math.cos(math.pi * progress)) / 2, abs=2e-4)
    assert one_minus_sqrt(0)(progress) == pytest.approx(1 - math.sqrt(progress), abs=4e-3)
    falling = 1 - math.sqrt(max(0.0, (progress - 0.75) / 0.25))
    assert wsd(0, 0.25)(progress) == pytest.approx(falling, abs=4e-3)


@given(NAMES, st.floats(0.01, 0.99), PROGRESS)
def test_a_part_of_it_is_as_it_is_there(name: Any, start: float, progress: float) -> None:
    shape = schedule(name)
    left = part(shape, start, 1.0)
    assert left(progress) == pytest.approx(shape(start + progress * (1 - start)), abs=1e-9)


@given(
    steps=st.lists(st.tuples(st.integers(0, 8), st.floats(0, 1)), max_size=6),
    rising=st.lists(st.floats(0, 1.5), max_size=40).map(sorted),
)
def test_many_points_together_are_each_as_it_is_alone(
    steps: list[tuple[int, float]], rising: list[float]
) -> None:
    """To the bit; two knots may share a progress."""
    within = [(place / 8, level) for place, level in sorted(steps)]
    shape = Shape(((0.0, 0.3), *within, (1.0, 0.1)))
    rising = sorted([*rising, *(place for place, _ in within)])
    assert along(shape, rising) == [shape(progress) for progress in rising]


def test_a_function_is_taken_at_points_and_a_shape_as_it_is() -> None:
    assert schedule(lambda progress: 1 - progress**2)(0.5) == pytest.approx(0.75, abs=1e-4)
    assert schedule(wsd(0.01, 0.1)) == wsd(0.01, 0.1)
    assert schedule(lambda progress: torch.tensor(1.0)).knots == ((0.0, 1.0), (1.0, 1.0))
    steps = schedule(lambda progress: 1.0 if progress < 0.5 else 0.1)
    assert (steps(0.49), steps(0.51)) == (1.0, 0.1)
    assert len(steps.knots) == 4


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ("cosin", "write 'linear', 'cosine', '1-sqrt', 'wsd', 'constant', or give a function"),
        (3, "schedule=3: write 'linear'"),
        (lambda progress: 2 * progress, r"schedule=<lambda>: it gives 1.0078125 at 0.503906 of the way"),
        (lambda progress: math.nan, "it gives nan at 0 of the way"),
        (lambda progress: "high", "it gives 'high' at 0 of the way"),
        (lambda progress: 0.0, "it is 0 throughout"),
        (Shape(((0.0, 1.0), (0.5, 0.0))), "its knots run from 0 to 0.5"),
    ],
)
def test_what_is_no_schedule_is_said_before_anything_is_trained(given_: Any, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        gammatune.Search(schedule=given_).checked()


# -- longer


def test_where_it_stays_at_its_highest() -> None:
    assert stable(wsd(0.1, 0.3)) == (0.1, 0.7)
    assert stable(constant()) == (0.0, 1.0)
    assert stable(linear(0.05)) == (0.05, 0.05)


@given(NAMES, st.floats(0.01, 0.99))
def test_a_longer_training_is_gone_on_with_as_its_schedule_says(name: Any, passed: float) -> None:
    shape = schedule(name)
    left = longer(shape, passed, stands=False)
    assert left(0.0) == 0.0
    assert left(1.0) == shape(1.0)
    for progress in (0.05, 0.3, 0.8):
        whole = passed + progress * (1 - passed)
        assert left(progress) == pytest.approx(1.0 if whole < 0.05 else shape(whole), abs=1e-9)


def test_from_a_trunk_it_does_not_rise_again() -> None:
    left = longer(wsd(), 0.4, stands=True)
    assert [left(p) for p in (0.0, 0.3, 0.6)] == [1.0, 1.0, 1.0]
    assert left(1.0) == 0.0
    assert longer(wsd(), 0.01, stands=True)(0.0) == 1.0  # not even where the longer one would still be rising


# -- in a run


def data() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(160, 4, generator=torch.Generator().manual_seed(0))
    return x, (x[:, 0] > 0).long()


def squared(progress: float) -> float:
    return (1 - progress) ** 2


def fitted(directory: Path | None = None, **options: Any) -> gammatune.FitResult:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    given: dict[str, Any] = {"epochs": 5, "batch_size": 16, "progress": False, "ensemble": False}
    result = gammatune.fit(
        model, data(), run_dir=None if directory is None else str(directory), **given | options
    )
    fitted.model = model  # type: ignore[attr-defined]
    return result


@pytest.mark.parametrize("given_", ["cosine", "1-sqrt", "wsd", squared])
def test_every_batch_goes_along_and_a_journal_repeats_it(given_: Any, tmp_path: Path) -> None:
    """The rates, the schedule as it is exported, the same run read back, and the course repeated, to the bit."""
    result = fitted(tmp_path / "1", schedule=given_)
    shape, epochs = schedule(given_), len(result.schedule)
    peak = float(result.schedule[0]["lr"])
    for epoch in (0.0, 0.5, 1.0, 2.5, 3.7, 4.9):
        assert result.schedule.lr_at(epoch) == pytest.approx(
            peak * shape(epoch / epochs), rel=1e-9, abs=1e-12
        )
    story = replay(tmp_path / "1")
    assert story.schedule == result.schedule
    assert story.begin["schedule"] == (given_ if isinstance(given_, str) else "squared")
    weights = [p.clone() for p in fitted.model.parameters()]  # type: ignore[attr-defined]
    again = fitted(tmp_path / "2", policy=gammatune.replay(tmp_path / "1"))
    assert again.schedule == result.schedule
    assert all(torch.equal(a, b) for a, b in zip(weights, fitted.model.parameters(), strict=True))  # type: ignore[attr-defined]
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=1.0)
    along = result.schedule.to_lambda_lr(optimizer)
    batches = result.schedule.stretches[0].epoch_batches
    assert along.get_last_lr()[0] == pytest.approx(peak * shape(0.5 / (epochs * batches)))


def test_what_is_shown_of_a_curve_is_where_it_turns() -> None:
    def levels(name: Any, start: float, end: float) -> list[float]:
        return [round(level, 3) for level in Stretch({"lr": 1.0}, part(schedule(name), start, end)).levels]

    assert levels("cosine", 0.0, 0.5) == [0.0, 1.0, 0.541]
    assert levels("cosine", 0.5, 1.0) == [0.541, 0.0]
    assert levels("1-sqrt", 0.0, 1.0) == [0.0, 1.0, 0.0]
    assert levels("wsd", 0.0, 1.0) == [0.0, 1.0, 0.0]
    assert levels("wsd", 0.5, 0.7) == [1.0]
    assert levels("linear", 0.0, 1.0) == [0.0, 1.0, 0.0]


def test_another_function_of_the_same_name_is_another_run(tmp_path: Path) -> None:
    fitted(tmp_path, schedule=squared)
    fitted(tmp_path, schedule=squared)  # the same run

    def other(progress: float) -> float:
        return 1 - progress

    other.__name__ = "squared"
    with pytest.raises(AnotherRun, match="knots="):
        fitted(tmp_path, schedule=other)
    with pytest.raises(AnotherRun, match="schedule='squared', and schedule='linear'"):
        fitted(tmp_path, schedule="linear")
