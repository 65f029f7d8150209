"""What a page says of a run, in sentences that need no knowledge of the field."""

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gammatune.journal.history import Story
from gammatune.records import Verdict
from gammatune.report import wording
from gammatune.report.held import listed, mapping, whole
from gammatune.report.html.measures import interval_of
from gammatune.report.html.svg import number
from gammatune.report.learnt import by_labels, by_numbers, is_weighted, whether_of
from gammatune.report.models import NAMES, NET, beside_of, capital, handed_over, kinds_in
from gammatune.report.predictions import Findings, square, wilson
from gammatune.report.several import nets_of
from gammatune.space import parse

_BESIDE = "A linear model and boosted trees were fitted to the same rows beside it."
_FLATTERED = " Selecting flatters: expect less on new data."


def title(story: Story) -> str:
    facts = story.begin["facts"]
    named = " · ".join(str(part) for part in (data_name(story), facts.get("model")) if part)
    return named or "A training"


def data_name(story: Story) -> str:
    """The data as people call it: a file without the way to it."""
    data = str(story.begin["facts"].get("data") or "")
    return Path(data).name or data


def verdict(story: Story, run: Path | None) -> list[str]:
    """What came of it, in sentences that need no knowledge of the field."""
    return [part for part in (_what(story), _quality(story), _how(story, run)) if part]


def _what(story: Story) -> str:
    facts, kinds = story.begin["facts"], kinds_in(story)
    if NET not in kinds:
        names = " and ".join(NAMES[kind] for kind in kinds)
        learnt = beside_of(story.report).get("examples") if beside_of(story.report).get("parts") else None
        count = whole(learnt) or whole(facts.get("train"))
        done = "was trained" if kinds == ("linear",) else "were trained"
        done += f" on {count:,} examples of {data_name(story)}" if count is not None else ""
        return f"{capital(names)} {done}, and no network."
    size, data, model = whole(facts.get("parameters")), data_name(story), facts.get("model")
    nets = nets_of(story)
    named = "A neural network" if nets == 1 else f"{nets} neural networks"
    named += f" ({model}" if model else " (of your own"
    each = " each" if nets > 1 else ""
    named += f", {size:,} weights{each})" if size is not None else ")"
    done = "was trained" if story.course else "was to be trained"
    done = done if nets == 1 else "were trained alike, one after the other,"
    count = whole(facts.get("train"))
    examples = f"{count:,} examples" if count is not None else ""
    on = " of ".join(part for part in (examples, data) if part)
    whose = "its" if nets == 1 else "their"
    averaged = "" if nets == 1 else " Their answers are averaged, and what follows is of the average."
    other = handed_over(story.report)
    if other is not None:
        averaged = f" {_BESIDE} What the run hands over is {other}, and what follows is of that."
    return f"{named} {done}{f' on {on}' if on else ''} while {whose} learning rate was looked for.{averaged}"


def _quality(story: Story) -> str:
    report = story.report
    if report is None:
        if not story.course:
            return "Nothing of the training itself is done yet, so there is nothing to say of its quality."
        asked = [o for o in story.rollouts if o.nets and o.nets == story.nets]
        last = wording.metrics_in_words([*story.course, *asked][-1].metrics)
        return (
            f"How good it is on examples it has not seen was not measured. On the data it selects by: {last}."
            if last
            else "How good it is was not measured."
        )
    unseen = report["on"] == "test"
    where = "examples that played no part in the training" if unseen else "examples it was also selected by"
    quality = _quality_of_labels if "accuracy" in report else _quality_of_numbers
    return quality(report, where, subject(story)) + ("" if unseen else _FLATTERED)


def subject(story: Story) -> str:
    other = handed_over(story.report)
    if other == NAMES["trees"]:
        return "The model of boosted trees"
    if other is not None:
        return capital(other)
    return "It" if nets_of(story) == 1 else "Their average"


def _quality_of_numbers(report: Mapping[str, Any], where: str, it: str) -> str:
    r2, n = float(report["r2"]), whole(report.get("extra", {}).get("examples"))
    if not math.isfinite(r2) or r2 <= 0:
        said = f"On {where} {it.lower()} is no better than always saying the mean (R² {number(r2)})"
    else:
        said = f"On {where} {it.lower()} explains {100 * r2:.0f} % of what makes the targets differ (R² {r2:.3f})"
    match by_numbers(report):
        case "nothing":
            return f"{said}: on {n:,} examples it has learnt nothing that shows."
        case "untold":
            return f"{said}. Whether that is more than chance cannot be told from {n:,} examples."
    return f"{said}."


def _quality_of_labels(report: Mapping[str, Any], where: str, it: str) -> str:
    accuracy = float(report["accuracy"])
    several = "labels" in mapping(report.get("extra"))  # of each example
    what, where = ("labels", f"labels of {where}") if several else ("examples", where)
    if is_weighted(report):
        return _quality_of_weighted_labels(report, where, it)
    confusion = square(report.get("confusion"))
    if confusion is None:
        return f"{it} is right for {100 * accuracy:.1f} % of {where}."
    count = sum(map(sum, confusion))
    right = sum(row[i] for i, row in enumerate(confusion))
    if not count:
        return f"{it} is right for {100 * accuracy:.1f} % of {where}."
    low, high = interval_of(report, "accuracy") or wilson(right, count)
    said = (
        f"{it} is right for {right:,} of {count:,} {where}: {100 * accuracy:.1f} % "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f} %)."
    )
    beside = by_labels(report)
    if beside is None:
        return said
    naming = f"Always naming the most frequent class would be right for {100 * beside.share:.1f} %"
    match beside.whether:
        case "nothing":
            more = "which is more" if beside.lead.high < 0 else "which is as good"
            return f"{said} {naming}, {more}: by this measure it has learnt nothing."
        case "untold":
            return f"{said} {naming}: whether it has learnt anything cannot be told from {count:,} {what}."
    return f"{said} {naming}."


def _quality_of_weighted_labels(report: Mapping[str, Any], where: str, it: str) -> str:
    """Without what the confusion matrix counts: there each example counts once."""
    interval = interval_of(report, "accuracy")
    within = (
        "" if interval is None else " (95 % interval {:.1f} to {:.1f} %)".format(*(100 * p for p in interval))
    )
    said = (
        f"{it} is right for {100 * float(report['accuracy']):.1f} % of {where}, by what they weigh{within}."
    )
    match whether_of(report):
        case "nothing":
            return f"{said} It has learnt nothing that shows."
        case "untold":
            return f"{said} Whether it has learnt anything cannot be told from so few examples."
    return said


def _how(story: Story, run: Path | None) -> str:
    if story.end is None or story.end["how"] != "complete":
        how = wording.UNENDED if story.end is None else f"ended early ({story.end['how']})"
        is_command = isinstance(story.begin["facts"].get("command"), Mapping)
        again = f" To go on with it: gammatune resume {shlex.quote(str(run))}" if is_command and run else ""
        return f"The run {how} after {wording.duration(wording.seconds_of(story))}.{again}"
    plain = story.end.get("plain_runs")
    cost = ""
    if plain is not None and not wording.is_open(story.begin):
        cost = f" The search and the training together cost {plain:.2f} times one plain training without a search."
    return f"It took {wording.duration(wording.seconds_of(story))}.{cost}"


def warnings_of(story: Story, found: Findings) -> list[str]:
    said = []
    scores = [o for o in story.rollouts if o.role != "survey"]
    failed = [o for o in scores if o.status == "diverged"]
    if scores and len(failed) == len(scores):
        said.append("Every rollout diverged: the numbers blew up at each rate that was tried.")
    elif failed:
        said.append(
            f"{len(failed)} of {len(scores)} rollouts diverged (their numbers blew up) and were stopped; that is how "
            "the search learns which rates are too high."
        )
    said += wording.at_an_edge(parse(*story.begin["space"]), story) if story.course else []
    if story.torn:
        said.append(f"{wording.TORN.capitalize()}.")
    said += [str(line) for line in listed((story.report or {}).get("extra", {}).get("said"))]
    return [*said, *found.problems]


def tiles(story: Story) -> list[tuple[str, str]]:
    """A few numbers, each with what it is."""
    done, report, back = [], story.report or {}, story.handed_back
    selected = "" if report.get("on") == "test" else " (selected)"
    if "accuracy" in report:
        done.append((f"{100 * float(report['accuracy']):.1f} %", f"right{selected}"))
    elif "r2" in report:
        done.append((number(float(report["r2"])), f"R²{selected}"))
    if story.nets:
        done.append((str(len(story.nets)), "nets, whose answers are averaged"))
    if back is not None and back.rates:
        done.append((number(max(back.rates.values())), "highest learning rate"))
    if back is not None and not back.epoch:
        done.append(("0", "epochs: handed back as it came"))
    elif back is not None:
        whose = "epoch handed back" if handed_over(report) is None else "epoch of the network"
        whose = "epoch of the best net alone" if story.nets else whose
        done.append((f"{back.epoch} of {back.trained}", whose))
    if story.end is not None and story.end.get("plain_runs") is not None and not wording.is_open(story.begin):
        done.append((f"{story.end['plain_runs']:.2f} ×", "the cost of a plain training"))
    return [*done, (wording.duration(wording.seconds_of(story)), "training time")]


def verdicts(story: Story) -> list[tuple[str, Verdict]]:
    """The decisions that say more than the table of epochs does, each with its place."""
    done = [(f"decision {i + 1}", v) for i, v in enumerate(story.verdicts) if v.kind != "schedule"]
    if routine := len(story.verdicts) - len(done):
        along = Verdict("went along the schedule, as decided before", kind="schedule")
        done.append((f"{routine} more", along))
    return done
