"""What to do next with a run, in three lines that fit its result."""

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from gammatune.journal.history import Story
from gammatune.metrics.catalogue import FIRST, METRICS, words_of
from gammatune.report.held import listed, mapping, whole
from gammatune.report.learnt import whether_of
from gammatune.report.models import beside_of
from gammatune.report.predictions import square
from gammatune.report.wording import in_sentence

WIDE = 0.1  # of a measure between 0 and 1: an interval that leaves much open (guess)
NAMED, WIDTH = 3, 30  # classes that a sentence names, and letters of each (guess)
TOO_GOOD = 0.99  # of the balanced accuracy or of R2, beyond which it may be (guess)
HALF = 4  # times the rows, for an interval of half the width: it shrinks with their square root

Next: TypeAlias = Literal[
    "nothing", "untold", "too good", "rare", "rarer", "time", "one part", "wide", "seed"
]
STEPS: Final[Mapping[Next, str]] = {
    "nothing": (
        "What would help: columns that have to do with {target}; more rows of the same columns hardly will. That "
        "these do not tell it is a result too."
    ),
    "untold": "What would help: more rows. {count} to report on cannot tell this result from a constant answer.",
    "too good": (
        "Nearly all of it is told right, which may be too good to be true. {column} only known once {target} is, "
        "leave it out: --drop {drop}."
    ),
    "rare": (
        "{never}, since {rare}: --class-weights balanced makes such mistakes cost more, "
        "--metric balanced-accuracy chooses by them."
    ),
    "rarer": ("{never}, though such mistakes cost more already: more examples would help."),
    "time": "The time left out what stands beside the network: a longer --time tries that too.",
    "one part": (
        "The time left it at one comparison of the models; a longer --time keeps every row aside in turn, which is "
        "surer."
    ),
    "wide": ("The interval of the {measure} is wide, {ends}: about {factor} times the rows would halve it."),
    "seed": "How much of it is luck: the same with --seed {seed} {drawn}; compare the two.",
}


def what_now(story: Story, run: str | None) -> list[str]:
    """Three lines, the most useful first; none of a run that was not measured, or has no directory, or was started
    from Python."""
    command = mapping(mapping(story.begin["facts"]).get("command"))
    if story.report is None or run is None or not command:
        return []
    step = next_step(story)
    said = STEPS[step].format(**_told(story))
    if step in ("nothing", "untold"):
        return [
            said,
            "What to check before: whether {target} and the other columns were read as they are meant.".format(
                **_told(story)
            ),
            f"To look at it, mistakes and all: gammatune report {shlex.quote(run)}",
        ]
    return [
        f"To predict new rows: gammatune predict {shlex.quote(run)} {_new(command)}",
        f"To take the model elsewhere: gammatune export {shlex.quote(run)} --out model.onnx",
        said,
    ]


def next_step(story: Story) -> Next:
    """The honest one for this result."""
    report = story.report or {}
    whether = whether_of(report)
    if whether == "nothing":
        return "nothing"
    if whether == "untold":
        return "untold"
    facts = mapping(story.begin["facts"])
    command = mapping(facts.get("command"))
    if mapping(facts.get("preprocessing")).get("kind") == "table" and _is_too_good(report):
        return "too good"
    if _never_said(report):
        return "rarer" if command.get("class_weights") == "balanced" else "rare"
    kinds = {mapping(each).get("kind") for each in beside_of(report).get("models", ())}
    is_short = command.get("time") is not None and command.get("only") is None
    if is_short and kinds and not {"linear", "trees"} <= kinds:
        return "time"
    if is_short and beside_of(report).get("once_by_time"):
        return "one part"
    measure = _measure(report)
    if measure is not None and measure[2] - measure[1] > WIDE and _is_of_shares(_name(report)):
        return "wide"
    return "seed"


def _is_too_good(report: Mapping[str, Any]) -> bool:
    measures = mapping(report.get("measures"))
    found = measures.get("balanced-accuracy") or measures.get("r2")
    return found is not None and found[0] >= TOO_GOOD


def _needed_most(report: Mapping[str, Any]) -> str:
    """The column that is worth the most; "" where that was not measured."""
    features = listed(mapping(mapping(report.get("extra")).get("importance")).get("features"))
    return str(mapping(features[0]).get("name", "")) if features else ""


def _never_said(report: Mapping[str, Any]) -> list[int]:
    """The classes that are there and are never answered."""
    confusion = square(report.get("confusion"))
    if confusion is None:
        return []
    return [k for k in range(len(confusion)) if sum(confusion[k]) and not sum(row[k] for row in confusion)]


def _never(report: Mapping[str, Any], classes: Sequence[Any]) -> str:
    never = _never_said(report)
    if len(never) == 1:
        which = f", {str(classes[never[0]])[:WIDTH]}," if never[0] < len(classes) else ""
        return f"One class{which} is never predicted"
    shown = [str(classes[k])[:WIDTH] for k in never[:NAMED] if k < len(classes)]
    more = ", ..." if len(never) > len(shown) else ""
    names = f" ({', '.join(shown)}{more})" if shown else ""
    return f"{len(never)} classes are never predicted{names}"


def _name(report: Mapping[str, Any]) -> str:
    """Of the measure that counts: the one asked for, or the first."""
    measures = report.get("measures", {})
    asked = report.get("metric")
    return str(next((name for name in (asked, *FIRST) if name in measures), ""))


def _measure(report: Mapping[str, Any]) -> tuple[float, float, float] | None:
    found: tuple[float, float, float] | None = report.get("measures", {}).get(_name(report))
    return found if found is not None and all(map(math.isfinite, found)) else None


def _is_of_shares(name: str) -> bool:
    return name in METRICS and math.isfinite(METRICS[name].range[1])


def _told(story: Story) -> dict[str, Any]:
    """What the sentences speak of."""
    report = story.report or {}
    facts = mapping(story.begin["facts"])
    preparing, command = mapping(facts.get("preprocessing")), mapping(facts.get("command"))
    name, measure = _name(report), _measure(report)
    ends = ""
    if measure is not None:
        percent = words_of(name).in_percent
        low, high = measure[1:]
        ends = f"{100 * low:.0f} to {100 * high:.0f} %" if percent else f"{low:.2g} to {high:.2g}"
    column = _needed_most(report)
    return {
        "column": f"If {column}, needed most, is" if column else "If a column is",
        "drop": shlex.quote(column) if column else "NAME",
        "target": preparing.get("target", "the target"),
        "count": whole(mapping(report.get("extra")).get("examples")) or "so few",
        "never": _never(report, listed(preparing.get("classes"))),
        "rare": "it is rare" if len(_never_said(report)) == 1 else "they are rare",
        "measure": in_sentence(name) if name else "",
        "ends": ends,
        "factor": HALF,
        "seed": int(story.begin["seed"]) + 1,
        "drawn": (
            "divides the rows otherwise" if command.get("time_column") is None else "draws anew what is drawn"
        ),
    }


def _new(command: Mapping[str, Any]) -> str:
    """What new examples are called in a command, by what the run was trained on."""
    ending = re.search(r"(\.[A-Za-z]\w{1,7})(\.(gz|bz2|xz|zip))?$", str(command.get("data")))
    return f"NEW{ending[0]}" if ending else "NEW"
