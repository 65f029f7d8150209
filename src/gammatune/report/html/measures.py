"""The table of measures on a page, with 95 % intervals where they are known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gammatune.journal.history import Story
from gammatune.metrics.catalogue import FIRST, REPORTED, SAME, words_of
from gammatune.report.held import real
from gammatune.report.html.svg import number
from gammatune.report.learnt import is_weighted
from gammatune.report.models import models_of
from gammatune.report.predictions import square, wilson


@dataclass(frozen=True, slots=True)
class Measure:
    name: str
    meaning: str
    value: str
    interval: str
    is_first: bool = True  # not folded away


def measures(story: Story) -> list[Measure]:
    """What was measured, with 95 % intervals where they are known."""
    report = story.report
    if report is None:
        return []
    named = report.get("measures", {})
    names = [*named, *(n for n in REPORTED if n in report and n not in named and SAME.get(n) not in named)]
    asked = report.get("metric")
    shown = [name for name in FIRST if name in names] or names
    done = []
    for name in sorted(names, key=lambda n: (n != asked, shown.index(n) if n in shown else len(shown))):
        triple = interval_of(report, name)
        value = named[name][0] if name in named else real(report[name])
        if value is None:
            continue
        counted = None if is_weighted(report) else square(report.get("confusion"))
        if triple is None and name == "accuracy" and (confusion := counted):
            count = sum(map(sum, confusion))
            triple = wilson(sum(row[i] for i, row in enumerate(confusion)), count) if count else None
        words = words_of(name)
        meaning = words.meaning
        if name == asked:
            meaning += " (asked for)"
        if name == "mse" and name not in named and "preprocessing" in story.begin["facts"]:
            meaning += " of the targets divided by their standard deviation"
        percent = words.in_percent
        interval = (
            "" if triple is None else f"{in_words(triple[0], percent)} to {in_words(triple[1], percent)}"
        )
        is_first = name in shown or name == asked
        done.append(Measure(words.title, meaning, in_words(value, percent), interval, is_first))
    return done


def in_words(value: float, percent: bool) -> str:
    return f"{100 * value:.1f} %" if percent else f"{value:.3f}" if abs(value) < 10 else number(value)


def interval_of(report: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    """Whoever read the journal has held its measures to be finite numbers."""
    held = report.get("measures", {}).get(name)
    return None if held is None else (held[1], held[2])


def models_beside(story: Story) -> dict[str, Any] | None:
    """The models of a table beside each other; None where the network had nothing beside it."""
    found = models_of(story.report)
    if found is None:
        return None
    words = words_of(found.metric)
    rows = []
    for each in found.beside:
        value, *ends = (
            ("", "", "")
            if each.reported is None
            else [in_words(one, words.in_percent) for one in each.reported]
        )
        rows.append(
            (
                f"{each.name}{', handed over' if each.is_chosen else ''}",
                "" if each.selected is None else in_words(each.selected, words.in_percent),
                value,
                f"{ends[0]} to {ends[1]}" if value else "",
            )
        )
    return {"metric": words.title, "selected_on": found.selected_on, "parts": found.parts, "rows": rows}
