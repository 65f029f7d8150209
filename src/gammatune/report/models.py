"""The models of a table beside each other, as a report event keeps them, and which of them a run hands over."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gammatune.report.held import mapping

if TYPE_CHECKING:  # the command line asks for names alone
    from gammatune.journal.history import Story

LINEAR, TREES, NET, AVERAGE = "linear", "trees", "net", "average"
NAMES = {
    LINEAR: "the linear model",
    TREES: "the boosted trees",
    NET: "the network",
    AVERAGE: "the average of the best two",
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
    """metric: that they were compared by. examples: to select by. parts: of a cross-fitting in which each of them was
    kept aside in turn; 0 where they were kept aside together."""

    metric: str
    examples: int
    beside: tuple[Beside, ...]
    parts: int = 0

    @property
    def selected_on(self) -> str:
        """For the head of a column."""
        return f"on {self.examples} {'kept aside in turn' if self.parts else 'to select by'}"


def models_of(report: Mapping[str, Any] | None) -> Models | None:
    """None of a run whose network had nothing beside it."""
    extra = beside_of(report)
    if len(extra.get("models", ())) < 2:
        return None
    headline = mapping(mapping(report).get("measures")).get(extra["metric"])
    found = tuple(
        Beside(
            _name(each["kind"], extra),
            None if each["selected"] is None else float(each["selected"]),
            _as_said(_ends(each["value"]), headline if each["kind"] == extra["model"] else None),
            each["kind"] == extra["model"],
            each["kind"],
        )
        for each in extra["models"]
    )
    return Models(extra["metric"], extra["examples"], found, extra.get("parts", 0))


def kinds_of(report: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Which were trained; the network alone where nobody says."""
    held = beside_of(report).get("models")
    told = [each.get("kind") for each in held if isinstance(each, Mapping)] if isinstance(held, list) else []
    return tuple(kind for kind in told if kind in NAMES) or (NET,)


def kinds_in(story: "Story") -> tuple[str, ...]:
    """Which were trained, or were to be: of a run without a network that has no report yet, the one asked for."""
    asked = str(story.begin["facts"].get("model"))
    if story.report is None and not story.has_net and asked in NAMES:
        return (asked,)
    return kinds_of(story.report)


def handed_over(report: Mapping[str, Any] | None) -> str | None:
    """What the model is called that a run hands over in the place of its network; None where that is the network."""
    extra = beside_of(report)
    kind = extra.get("model", NET)
    return None if kind == NET and _nets(extra) == 1 else _name(kind, extra)


def handed_back_in_words(story: "Story") -> list[tuple[str, str]]:
    """What the run hands over, and which state of its training the network is of; each with what it is called."""
    other = handed_over(story.report)
    if story.handed_back is None:
        return [] if other is None else [("handed over", other)]
    several = f"the average of {len(story.nets)} nets; the best alone: " if story.nets else ""
    state = f"{several}{story.handed_back}"
    return [("handed back", state)] if other is None else [("handed over", other), ("the network", state)]


def beside_of(report: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What a report event keeps of the models that were compared; nothing where none were."""
    extra = {} if report is None else report.get("extra", {})
    found = extra.get("beside", {}) if isinstance(extra, Mapping) else {}
    return found if isinstance(found, Mapping) and found.get("model") in NAMES else {}


def capital(text: str) -> str:
    """As it begins a sentence."""
    return text[:1].upper() + text[1:]


def name_of(kind: str, members: Sequence[str], nets: int = 1) -> str:
    """members: the kinds that the average is of. nets: that answer together as the network."""
    names = NAMES | ({NET: f"the average of {nets} networks"} if nets > 1 else {})
    if kind != AVERAGE or not members:
        return names[kind]
    of = [f"{nets} networks" if each == NET and nets > 1 else names[each] for each in members]
    return f"the average of {' and '.join(of)}"


def _name(kind: str, extra: Mapping[str, Any]) -> str:
    return name_of(kind, extra.get("members", ()), _nets(extra))


def _nets(extra: Mapping[str, Any]) -> int:
    count: int = extra.get("nets", 1)
    return count


def _as_said(
    measure: tuple[float, float, float] | None, headline: Sequence[float] | None
) -> tuple[float, float, float] | None:
    """One number has one interval on a screen: that of the headline, which other draws made, where it is the same."""
    if measure is None or headline is None or not math.isclose(measure[0], float(headline[0]), rel_tol=1e-6):
        return measure
    value, low, high = map(float, headline)
    return value, low, high


def _ends(measure: Mapping[str, Any] | None) -> tuple[float, float, float] | None:
    if measure is None:
        return None
    value, low, high = (float(measure[name]) for name in ("value", "low", "high"))  # "inf" in a journal
    return value, low, high
