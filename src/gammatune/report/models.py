"""The models of a table beside each other, as a report event keeps them, and which of them a run hands over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gammatune.journal.history import Story

NET = "net"
NAMES = {
    "linear": "the linear model",
    "trees": "the boosted trees",
    NET: "the network",
    "average": "the average of the best two",
}


@dataclass(frozen=True, slots=True)
class Beside:
    """One of them. kind: one of NAMES. selected: its value on the examples to select by. value, low, high: on those
    that are reported on, with a 95 % interval; None where the measure has no value there."""

    name: str
    selected: float | None
    reported: tuple[float, float, float] | None
    is_chosen: bool
    kind: str = NET


@dataclass(frozen=True, slots=True)
class Models:
    """metric: that they were compared by. examples: to select by."""

    metric: str
    examples: int
    beside: tuple[Beside, ...]


def models_of(report: Mapping[str, Any] | None) -> Models | None:
    """None of a run whose network had nothing beside it."""
    extra = beside_of(report)
    if len(extra.get("models", ())) < 2:
        return None
    found = tuple(
        Beside(
            _name(each["kind"], extra),
            None if each["selected"] is None else float(each["selected"]),
            _ends(each["value"]),
            each["kind"] == extra["model"],
            each["kind"],
        )
        for each in extra["models"]
    )
    return Models(extra["metric"], extra["examples"], found)


def handed_over(report: Mapping[str, Any] | None) -> str | None:
    """What the model is called that a run hands over in the place of its network; None where that is the network."""
    extra = beside_of(report)
    kind = extra.get("model", NET)
    return None if kind == NET else _name(kind, extra)


def handed_back_in_words(story: Story) -> list[tuple[str, str]]:
    """What the run hands over, and which state of its training the network is of; each with what it is called."""
    if story.handed_back is None:
        return []
    several = f"the average of {len(story.nets)} nets; the best alone: " if story.nets else ""
    state, other = f"{several}{story.handed_back}", handed_over(story.report)
    return [("handed back", state)] if other is None else [("handed over", other), ("the network", state)]


def beside_of(report: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What a report event keeps of the models that were compared; nothing where none were."""
    extra = {} if report is None else report.get("extra", {})
    found = extra.get("beside", {}) if isinstance(extra, Mapping) else {}
    return found if isinstance(found, Mapping) and found.get("model") in NAMES else {}


def name_of(kind: str, members: Sequence[str]) -> str:
    """members: the kinds that the average is of."""
    names = [NAMES[each] for each in members]
    return f"the average of {' and '.join(names)}" if kind == "average" and names else NAMES[kind]


def _name(kind: str, extra: Mapping[str, Any]) -> str:
    return name_of(kind, extra.get("members", ()))


def _ends(measure: Mapping[str, Any] | None) -> tuple[float, float, float] | None:
    if measure is None:
        return None
    value, low, high = (float(measure[name]) for name in ("value", "low", "high"))  # "inf" in a journal
    return value, low, high
