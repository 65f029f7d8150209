"""What reports read of the models of a table; whatever else a caller of `fit` keeps under "extra" is passed over."""

from typing import Any

import pytest

from gammatune.report.models import beside_of, handed_over, models_of

BESIDE = {
    "model": "average",
    "members": ["linear", "net"],
    "models": [
        {"kind": "linear", "selected": 0.8, "value": {"value": 0.8, "low": 0.7, "high": 0.9}},
        {"kind": "net", "selected": None, "value": None},
        {"kind": "average", "selected": "inf", "value": {"value": "inf", "low": "inf", "high": "inf"}},
    ],
    "metric": "accuracy",
    "examples": 96,
    "sha256": None,
}


def test_the_models_are_read() -> None:
    report = {"extra": {"beside": BESIDE}}
    assert handed_over(report) == "the average of the linear model and the network"
    found = models_of(report)
    assert found is not None
    assert [each.is_chosen for each in found.beside] == [False, False, True]
    assert found.beside[0].reported == (0.8, 0.7, 0.9)
    assert found.beside[2].selected == float("inf")


@pytest.mark.parametrize(
    "extra", [{}, {"model": "resnet"}, {"models": 3}, {"beside": 3}, {"beside": {"model": "resnet"}}, 7]
)
def test_what_is_somebody_elses_is_passed_over(extra: Any) -> None:
    report = {"extra": extra}
    assert (handed_over(report), models_of(report), beside_of(report)) == (None, None, {})
    assert handed_over(None) is None


def test_the_chosen_one_has_the_interval_of_the_headline() -> None:
    kinds = [
        {"kind": kind, "selected": 0.8, "value": {"value": 0.75, "low": 0.6, "high": 0.9}}
        for kind in ("linear", "trees")
    ]
    beside = {"model": "linear", "members": [], "models": kinds, "metric": "accuracy", "examples": 9}
    report = {"measures": {"accuracy": [0.75, 0.61, 0.88]}, "extra": {"beside": beside}}
    found = models_of(report)
    assert found is not None
    assert [each.reported for each in found.beside] == [(0.75, 0.61, 0.88), (0.75, 0.6, 0.9)]
    other = models_of(report | {"measures": {"accuracy": [0.7, 0.61, 0.88]}})  # another number is not touched
    assert other is not None
    assert other.beside[0].reported == (0.75, 0.6, 0.9)
