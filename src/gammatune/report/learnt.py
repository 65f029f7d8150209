"""Whether what a run hands over has learnt anything, as far as the examples reported on can tell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast, get_args

from gammatune.metrics.bootstrap import Learnt, Measure, learnt
from gammatune.report.held import mapping, whole
from gammatune.report.predictions import lead_of, square

# Said before anything else.
HEADLINES: Final[Mapping[Learnt, str]] = {
    "nothing": (
        "Nothing was learnt that shows: on the examples reported on, what is handed over is no better than giving "
        "the same answer every time."
    ),
    "untold": (
        "Not shown to have learnt anything: on so few examples reported on, what is handed over cannot be told from "
        "giving the same answer every time."
    ),
}


@dataclass(frozen=True, slots=True)
class BesideConstant:
    """share: of examples that always naming the most frequent class is right for. lead: over that, in shares."""

    share: float
    lead: Measure
    whether: Learnt


def whether_of(report: Mapping[str, Any] | None) -> Learnt | None:
    """As the run judged it by the measure that was asked for; else by its right answers, or its R². None where it was
    not measured, or by too little."""
    if report is None:
        return None
    told = mapping(report.get("extra")).get("learnt")
    if told in get_args(Learnt):
        return cast("Learnt", told)
    if "accuracy" in report:
        beside = by_labels(report)
        return None if beside is None else beside.whether
    return by_numbers(report)


def is_weighted(report: Mapping[str, Any]) -> bool:
    """Whether some of the examples reported on count for more than others."""
    return mapping(report.get("extra")).get("weighted") is True


def gives_median(report: Mapping[str, Any] | None) -> bool:
    """Whether the answers were the medians of ordered classes, not the likeliest."""
    return mapping((report or {}).get("extra")).get("median") is True


def headline(report: Mapping[str, Any] | None) -> str | None:
    """What is to be said first; None where something was learnt, or that is not known."""
    whether = whether_of(report)
    return None if whether is None else HEADLINES.get(whether)


def by_labels(report: Mapping[str, Any]) -> BesideConstant | None:
    """By the confusion matrix; None of fewer than two examples, and where they weigh differently: it counts them."""
    if is_weighted(report):
        return None
    confusion = square(report.get("confusion"))
    count = 0 if confusion is None else sum(map(sum, confusion))
    if confusion is None or count < 2:
        return None
    share, lead = lead_of(confusion)
    return BesideConstant(share, lead, learnt("accuracy", share, lead, count))


def by_numbers(report: Mapping[str, Any]) -> Learnt | None:
    """By R² and its interval, where there is one."""
    triple, n = report.get("measures", {}).get("r2"), whole(mapping(report.get("extra")).get("examples"))
    return None if triple is None or n is None or n < 1 else learnt("r2", 0.0, Measure(*triple), n)
