"""`write_report`: one run as one HTML file that needs nothing else: no server, no network, no script of others.

What stands in a journal is anybody's text: the templates escape it, the pictures do so for themselves.
"""

import json
import math
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gammatune.errors import InvalidArgument, MissingExtra
from gammatune.journal.events import text_of
from gammatune.journal.history import FILE, Story, replay
from gammatune.metrics.bootstrap import Measure as Interval
from gammatune.metrics.bootstrap import learnt
from gammatune.metrics.catalogue import FIRST, REPORTED, SAME, words_of
from gammatune.records import Verdict
from gammatune.report.html import figures
from gammatune.report.html.looks import has_looks
from gammatune.report.html.posterior import MOST_VIEWS, bands, surfaces
from gammatune.report.html.svg import number
from gammatune.report.html.timeline import course_lane, joined, lanes
from gammatune.report.predictions import (
    Findings,
    Sureness,
    farthest,
    lead_of,
    load_findings,
    mistakes,
    square,
    sureness,
    wilson,
)
from gammatune.report.several import EDGES, Group, disagreement, nets_of, several
from gammatune.report.wording import (
    asked_in_words,
    at_an_edge,
    cost_in_words,
    duration,
    is_open,
    metrics_in_words,
    objective_in_words,
    stretch_in_words,
    values_in_words,
)
from gammatune.space import OPTIMIZER, parse

if TYPE_CHECKING:
    from gammatune.tuning.tuner import Result

NAME = "report.html"  # in the run directory, where no other is given
TABLE_CLASSES = 15  # more of them make a confusion matrix a picture
MOST_CONFUSED = 12  # pairs listed beside that
MOST_TARGETS = 3  # scatters of a regression
FEW_CLASSES, WIDE_LABEL = (
    4,
    12,
)  # of so few classes, labels of so many characters stand in the table on a phone
LONG_LABEL = 3  # characters: longer ones stand in a key below a confusion matrix

GLOSSARY = (
    (
        "learning rate",
        "How far the weights move in each step. Too low learns too slowly, too high never settles.",
    ),
    ("candidate", "One value (or set of values) that was tried."),
    ("epoch", "One pass over all training examples."),
    ("fork", "The state of a training, kept so that one can go back to it."),
    ("rollout", "A short training from a fork with one candidate; scored, then thrown away or kept."),
    ("scout", "A rollout of about a 64th of the training: finds the region of good rates."),
    (
        "miniature, look",
        "A short training from the initial weights, up to its rate over the first two fifths and down to zero: finds "
        "the rate. A seventh of a training of 400 batches, and a smaller share of a longer one.",
    ),
    ("course", "The training that was kept: what the weights handed back went through."),
    (
        "schedule",
        "What the learning rate is multiplied by along the course; by default a short rise, then down to zero.",
    ),
    ("walk", "One training from start to end. The one that ends best is the course."),
    (
        "net, together",
        "One of several networks that were trained alike, each on its own; together: their predictions are averaged.",
    ),
    ("spread", "How far the nets are apart in an answer: 0 where all say the same."),
    ("average", "The mean of the weights of several trainings of the same epoch, which cancels their noise."),
    (
        "objective",
        "One number made of accuracy and loss (or of others); higher is better. Candidates are compared by it.",
    ),
    ("loss", "What the training makes small: how wrong and how unsure the answers are."),
    ("surrogate", "What is believed of the objective at rates not tried, learnt from those that were."),
    (
        "promise (acquisition)",
        "How much better than the best so far a look at a candidate may turn out to be.",
    ),
    ("diverged", "The numbers blew up; such a rollout is stopped at once and ranks below every other."),
    ("verdict", "A decision of the search with its reason."),
    ("plain run", "The same epochs of training once, without any search: the unit of cost."),
    ("95 % interval", "Were the same measured on other such examples, it would lie in here 19 times of 20."),
    ("calibration", "Whether answers given with a probability of 80 % are right 80 % of the time."),
)
OF_SEVERAL = "net, together", "spread"
OLDER = {  # of a run whose version of the policy had other rollouts
    "miniature, look": (
        "miniature",
        "A rollout of about an eighth of the training, the whole of it in small: finds the rate.",
    ),
}


def write_report(run: "str | os.PathLike[str] | Result", path: str | os.PathLike[str] | None = None) -> Path:
    """Write a run as one HTML page, and say where it lies.

    run: a run directory, or what `fit` or `Tuner` gave back. path: the file; `report.html` in the run directory
    where none is given. A run without a directory kept no predictions, and its page has no calibration and no
    mistakes.
    Raises JournalError: no run there. MissingExtra: jinja2 is not installed. InvalidArgument: `path` is missing and
    there is no run directory, or cannot be written.
    """
    story, place = _story(run)
    if path is None:
        if place is None:
            raise InvalidArgument(
                "the run has no directory (run_dir= was not given); write a path for its page"
            )
        path = place / NAME
    return write(path, render("page.html.j2", page(story, place)))


def write(path: str | os.PathLike[str], text: str) -> Path:
    """Raises InvalidArgument where that cannot be done."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidArgument(
            f"cannot write {os.fspath(path) or 'to an empty name'} ({error.strerror or error}); choose another place"
        ) from error
    return Path(path)


def render(template: str, context: Mapping[str, Any]) -> str:
    """A template of ours, style and script put into it. Raises MissingExtra."""
    try:
        import jinja2
    except ImportError as error:
        raise MissingExtra(
            "a page is made with jinja2, which is not installed; install it with: pip install 'gammatune[report]'"
        ) from error
    home = Path(__file__).parent / "templates"
    world = jinja2.Environment(
        loader=jinja2.FileSystemLoader(home),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    own = {name: (home / f"page.{name}").read_text(encoding="utf-8") for name in ("css", "js")}
    return world.get_template(template).render(**own, **context)


def _story(run: "str | os.PathLike[str] | Result") -> tuple[Story, Path | None]:
    if isinstance(run, (str, os.PathLike)):
        path = Path(run)
        return replay(path), path if path.is_dir() else path.parent
    events = getattr(run, "events", None)
    if events is None:
        raise InvalidArgument(f"run={run!r:.60}: give a run directory, or what fit or Tuner gave back")
    if not events:
        raise InvalidArgument(
            "this result holds no events, so there is nothing to show; give its run directory"
        )
    story = Story()
    for event in events:
        story.tell(json.loads(text_of(event)))
    directory = getattr(run, "run_dir", None)
    return story, None if directory is None else Path(directory)


# The whole ------------------------------------------------------------------------------------------------


def page(story: Story, run: Path | None) -> dict[str, Any]:
    """What the template shows."""
    facts = story.begin["facts"]
    found = load_findings(run)
    labels = labels_of(story, found)
    confusion = square((story.report or {}).get("confusion"))
    seen = surfaces(story)
    scale = objective_in_words(story.objective)
    return {
        "title": title(story),
        "status": status(story),
        "verdict": verdict(story, found, run),
        "warnings": warnings_of(story, found, run),
        "tiles": tiles(story),
        "measures": measures(story),
        "measured_on": _measured_on(story),
        "confusion": _confusion(confusion, labels),
        "mistakes": _mistakes(found, labels),
        "nets": nets_of(story),
        "several": _several(story, found),
        "calibration": _calibration(found, _subject(story)),
        "regression": _regression(story, found),
        "rate": figures.rate_picture(story, rate_bands := bands(story)),
        "band": rate_bands[-1] if rate_bands else None,
        "bands": len(rate_bands),
        "searched": story.begin["policy"] == "lookahead",
        "tail": _tail_words(story),
        "progress": _progress(story),
        "epochs": _epochs(story),
        "tree": figures.tree_picture(story),
        "tried": _tried(story),
        "rollouts": _rollouts(story),
        "views": [
            {
                "title": view.title,
                "words": view.words,
                "pictures": figures.view_pictures(view, i, scale),
                "many": len(view.slices) > 1,
            }
            for i, view in enumerate(seen.views)
        ],
        "left_out": seen.left_out,
        "most_views": MOST_VIEWS,
        "why_not": seen.why_not,
        "promised": any(part.promise is not None for view in seen.views for part in view.slices),
        "whole": any(part.whole is not None for view in seen.views for part in view.slices),
        "lowered": not has_looks(story),
        "cost": figures.cost_picture(story),
        "cost_words": None if story.end is None else cost_in_words(story.end, story.begin),
        "verdicts": verdicts(story),
        "said": [str(s) for s in _listed(facts.get("said"))],
        "notes": story.notes,
        "asked": asked_in_words(story.begin),
        "made": made(story),
        "command": command(facts),
        "run": None if run is None else str(run),
        "quoted": None if run is None else shlex.quote(str(run)),
        "glossary": [
            OLDER.get(word, (word, said)) if not has_looks(story) else (word, said)
            for word, said in GLOSSARY
            if story.nets or word not in OF_SEVERAL
        ],
    }


_TRIED = {
    "lookahead": "Short trials start from the same initial weights with other learning rates (the number beside the "
    "name); then the training itself goes its whole way. What is thrown away is what the search costs.",
    "greedy": "In every epoch each candidate trains from where the epoch before ended; the best is kept, the others "
    "are thrown away.",
    "once": "Each line is a whole training at one learning rate (the number beside the name); the one that ended "
    "best is kept.",
}


def _tried(story: Story) -> str:
    policy = story.begin["policy"]
    said = _TRIED.get(policy, "Each line is one training, from where it began to where it ended.")
    return f"{said} Each net has a line of its own." if story.nets else said


def title(story: Story) -> str:
    facts = story.begin["facts"]
    named = " · ".join(str(part) for part in (data_name(story), facts.get("model")) if part)
    return named or "A training"


def data_name(story: Story) -> str:
    """The data as people call it: a file without the way to it."""
    data = str(story.begin["facts"].get("data") or "")
    return Path(data).name or data


def status(story: Story) -> str:
    """'complete', 'interrupted', 'unfinished', ..."""
    return "unfinished" if story.end is None else str(story.end["how"])


def labels_of(story: Story, found: Findings) -> list[str]:
    """What the classes are called, by code."""
    held = _mapping(story.begin["facts"].get("preprocessing")).get("classes")
    labels = [str(label) for label in _listed(held)]
    confusion = square((story.report or {}).get("confusion"))
    count = len(confusion) if confusion else 0
    if found.probabilities is not None:
        count = max(count, found.probabilities.shape[1])
    return labels if len(labels) >= count else [str(i) for i in range(count)]


# In words -------------------------------------------------------------------------------------------------


def verdict(story: Story, found: Findings, run: Path | None) -> list[str]:
    """What came of it, in sentences that need no knowledge of the field."""
    return [part for part in (_what(story), _quality(story), _how(story, run)) if part]


def _what(story: Story) -> str:
    facts = story.begin["facts"]
    size, data, model = facts.get("parameters"), data_name(story), facts.get("model")
    nets = nets_of(story)
    named = "A neural network" if nets == 1 else f"{nets} neural networks"
    named += f" ({model}" if model else " (of your own"
    each = " each" if nets > 1 else ""
    named += f", {size:,} weights{each})" if isinstance(size, int) and not isinstance(size, bool) else ")"
    done = "was trained" if story.course else "was to be trained"
    done = done if nets == 1 else "were trained alike, one after the other,"
    count = facts.get("train")
    examples = f"{count:,} examples" if isinstance(count, int) and not isinstance(count, bool) else ""
    on = " of ".join(part for part in (examples, data) if part)
    whose = "its" if nets == 1 else "their"
    averaged = "" if nets == 1 else " Their answers are averaged, and what follows is of the average."
    return f"{named} {done}{f' on {on}' if on else ''} while {whose} learning rate was looked for.{averaged}"


def _quality(story: Story) -> str:
    report = story.report
    if report is None:
        if not story.course:
            return "Nothing of the training itself is done yet, so there is nothing to say of its quality."
        asked = [o for o in story.rollouts if o.nets and o.nets == story.nets]
        last = metrics_in_words([*story.course, *asked][-1].metrics)
        return (
            f"How good it is on examples it has not seen was not measured. On the data it selects by: {last}."
            if last
            else "How good it is was not measured."
        )
    unseen = report["on"] == "test"
    where = "examples that played no part in the training" if unseen else "examples it was also selected by"
    if "accuracy" in report:
        return _quality_of_labels(report, where, _subject(story)) + ("" if unseen else _FLATTERED)
    return _quality_of_numbers(report, where, _subject(story)) + ("" if unseen else _FLATTERED)


def _subject(story: Story) -> str:
    return "It" if nets_of(story) == 1 else "Their average"


def _quality_of_numbers(report: Mapping[str, Any], where: str, it: str) -> str:
    r2, ends = float(report["r2"]), _interval(report, "r2")
    n = _mapping(report.get("extra")).get("examples")
    if not math.isfinite(r2) or r2 <= 0:
        said = f"On {where} {it.lower()} is no better than always saying the mean (R² {number(r2)})"
    else:
        said = f"On {where} {it.lower()} explains {100 * r2:.0f} % of what makes the targets differ (R² {r2:.3f})"
    if ends is None or not isinstance(n, int) or isinstance(n, bool) or n < 1:
        return f"{said}."
    match learnt("r2", 0.0, Interval(r2, *ends), n):
        case "nothing":
            return f"{said}: on {n:,} examples it has learnt nothing that shows."
        case "untold":
            return f"{said}. Whether that is more than chance cannot be told from {n:,} examples."
    return f"{said}."


_FLATTERED = " Selecting flatters: expect less on new data."


def _quality_of_labels(report: Mapping[str, Any], where: str, it: str) -> str:
    accuracy = float(report["accuracy"])
    confusion = square(report.get("confusion"))
    if confusion is None:
        return f"{it} is right for {100 * accuracy:.1f} % of {where}."
    count = sum(map(sum, confusion))
    right = sum(row[i] for i, row in enumerate(confusion))
    if not count:
        return f"{it} is right for {100 * accuracy:.1f} % of {where}."
    low, high = _interval(report, "accuracy") or wilson(right, count)
    said = (
        f"{it} is right for {right:,} of {count:,} {where}: {100 * accuracy:.1f} % "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f} %)."
    )
    if count < 2:
        return said
    most, lead = lead_of(confusion)
    naming = f"Always naming the most frequent class would be right for {100 * most:.1f} %"
    match learnt("accuracy", most, lead, count):
        case "nothing":
            more = "which is more" if lead.high < 0 else "which is as good"
            return f"{said} {naming}, {more}: by this measure it has learnt nothing."
        case "untold":
            return f"{said} {naming}: whether it has learnt anything cannot be told from {count:,} examples."
    return f"{said} {naming}."


def _how(story: Story, run: Path | None) -> str:
    if story.end is None or story.end["how"] != "complete":
        how = "has not ended, or was cut off" if story.end is None else f"ended early ({story.end['how']})"
        again = (
            f" To go on with it: gammatune resume {shlex.quote(str(run))}"
            if _is_command(story) and run
            else ""
        )
        return f"The run {how} after {duration(_seconds(story))}.{again}"
    plain = story.end.get("plain_runs")
    cost = ""
    if plain is not None and not is_open(story.begin):
        cost = f" The search and the training together cost {plain:.2f} times one plain training without a search."
    return f"It took {duration(_seconds(story))}.{cost}"


def _seconds(story: Story) -> float:
    """Of all processes together; of the rollouts alone in older journals."""
    return story.elapsed or sum(o.seconds for o in story.rollouts)


def _is_command(story: Story) -> bool:
    return isinstance(story.begin["facts"].get("command"), Mapping)


def warnings_of(story: Story, found: Findings, run: Path | None) -> list[str]:
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
    said += _edges(story)
    if story.torn:
        said.append("The last line of the journal was torn and has been left out.")
    said += [str(line) for line in _listed(_mapping((story.report or {}).get("extra")).get("said"))]
    return [*said, *found.problems]


def _edges(story: Story) -> list[str]:
    return at_an_edge(parse(*story.begin["space"]), story) if story.course else []


def tiles(story: Story) -> list[tuple[str, str]]:
    """A few numbers, each with what it is."""
    done = []
    report = story.report or {}
    if "accuracy" in report:
        done.append(
            (
                f"{100 * float(report['accuracy']):.1f} %",
                "right" if report["on"] == "test" else "right (selected)",
            )
        )
    elif "r2" in report:
        done.append((number(float(report["r2"])), "R²" if report["on"] == "test" else "R² (selected)"))
    if story.nets:
        done.append((str(len(story.nets)), "nets, whose answers are averaged"))
    back = story.handed_back
    if back is not None and back.rates:
        done.append((number(max(back.rates.values())), "highest learning rate"))
    if back is not None:
        at = f"{back.epoch} of {back.trained}" if back.epoch else "0"
        done.append((at, _epoch_of(story) if back.epoch else "epochs: handed back as it came"))
    if story.end is not None and story.end.get("plain_runs") is not None and not is_open(story.begin):
        done.append((f"{story.end['plain_runs']:.2f} ×", "the cost of a plain training"))
    done.append((duration(_seconds(story)), "training time"))
    return done


def _epoch_of(story: Story) -> str:
    return "epoch of the best net alone" if story.nets else "epoch handed back"


def verdicts(story: Story) -> list[tuple[str, Verdict]]:
    """The decisions that say more than the table of epochs does, each with its place."""
    done, routine = [], 0
    for i, one in enumerate(story.verdicts):
        if one.kind == "schedule":
            routine += 1
            continue
        done.append((f"decision {i + 1}", one))
    if routine:
        done.append(
            (f"{routine} more", Verdict("went along the schedule, as decided before", kind="schedule"))
        )
    return done


# Measures -------------------------------------------------------------------------------------------------


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
    named = _mapping(report.get("measures"))
    names = [*named, *(n for n in REPORTED if n in report and n not in named and SAME.get(n) not in named)]
    asked = report.get("metric")
    shown = [name for name in FIRST if name in names] or names
    done = []
    for name in sorted(names, key=lambda n: (n != asked, shown.index(n) if n in shown else len(shown))):
        triple = _interval(report, name)
        held = named.get(name)
        value = (
            held[0] if isinstance(held, Sequence) and not isinstance(held, str) and held else report.get(name)
        )
        value = _float(value)
        if value is None:
            continue
        if triple is None and name == "accuracy" and (confusion := square(report.get("confusion"))):
            count = sum(map(sum, confusion))
            triple = wilson(sum(row[i] for i, row in enumerate(confusion)), count) if count else None
        words = words_of(name)
        meaning = words.meaning
        if name == asked:
            meaning += " (asked for)"
        if name == "mse" and name not in named and "preprocessing" in story.begin["facts"]:
            meaning += " of the targets divided by their standard deviation"
        percent = words.in_percent
        interval = "" if triple is None else f"{_as(triple[0], percent)} to {_as(triple[1], percent)}"
        is_first = name in shown or name == asked
        done.append(Measure(words.title, meaning, _as(value, percent), interval, is_first))
    return done


def _as(value: float, percent: bool) -> str:
    return f"{100 * value:.1f} %" if percent else f"{value:.3f}" if abs(value) < 10 else number(value)


def _interval(report: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    held = _mapping(report.get("measures")).get(name)
    if not isinstance(held, Sequence) or isinstance(held, str) or len(held) != 3:
        return None
    low, high = _float(held[1]), _float(held[2])
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return None
    return low, high


def _float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _measured_on(story: Story) -> str:
    if story.report is None:
        return ""
    if story.report["on"] == "test":
        return "Measured on data the run neither trained on nor selected by."
    return "Measured on the very data the weights were selected by: expect less on new data."


# Parts of the page ----------------------------------------------------------------------------------------


def _confusion(confusion: list[list[int]] | None, labels: Sequence[str]) -> dict[str, Any] | None:
    if confusion is None:
        return None
    k = len(confusion)
    pairs = sorted(
        (
            (n, labels[i], labels[j])
            for i, row in enumerate(confusion)
            for j, n in enumerate(row)
            if i != j and n
        ),
        reverse=True,
    )
    long = any(len(label) > (WIDE_LABEL if k <= FEW_CLASSES else LONG_LABEL) for label in labels[:k])
    heads = [str(i + 1) for i in range(k)] if long else list(labels[:k])
    rows = []
    for i, row in enumerate(confusion):
        whole = sum(row) or 1
        cells = [
            {"count": n, "share": 0 if not n else max(8, round(100 * n / whole)), "right": i == j}
            for j, n in enumerate(row)
        ]
        rows.append({"head": heads[i], "label": labels[i], "cells": cells, "sum": sum(row)})
    return {
        "table": rows if k <= TABLE_CLASSES else None,
        "heads": heads,
        "key": list(zip(heads, labels[:k], strict=True)) if long else [],
        "picture": None if k <= TABLE_CLASSES else figures.heat_picture(confusion),
        "pairs": pairs[:MOST_CONFUSED],
        "more": max(0, len(pairs) - MOST_CONFUSED),
    }


def _mistakes(found: Findings, labels: Sequence[str]) -> dict[str, Any] | None:
    if found.probabilities is None:
        return None
    worst, count = mistakes(found)
    return {
        "count": count,
        "of": len(found.probabilities),
        "pictures": any(m.picture for m in worst),
        "worst": [
            {
                "index": m.index,
                "true": labels[m.true],
                "said": labels[m.said],
                "probability": _percent(m.probability),
                "of_true": _percent(m.of_true),
                "picture": m.picture,
            }
            for m in worst
        ],
    }


def _percent(share: float) -> str:
    return "> 99 %" if share > 0.995 else "< 1 %" if share < 0.005 else f"{100 * share:.0f} %"


def _several(story: Story, found: Findings) -> dict[str, Any] | None:
    """The nets beside the best of them, what they cost, and where they disagree."""
    held = several(story.report)
    if held is None:
        return None
    figures_ = [
        (_heading(story, name), *(_as(each, words_of(name).in_percent) for each in pair))
        for name, pair in held.figures.items()
    ]
    scale = _scale(story, found)
    groups = disagreement(found, None if scale is None else scale[1])
    return {
        "count": held.count,
        "price": held.price,
        "figures": figures_,
        "groups": [_group(group, labels=found.probabilities is not None) for group in groups],
        "labels": found.probabilities is not None,
        "unit": "in the target's own unit" if scale is not None else "in the unit the networks were given",
        "words": _disagreement_in_words(groups) if found.probabilities is not None else "",
    }


def _heading(story: Story, name: str) -> str:
    standardised = name == "mse" and "preprocessing" in story.begin["facts"]
    return words_of(name).title + (" of standardised targets" if standardised else "")


def _group(group: Group, *, labels: bool) -> list[str]:
    share = f"{100 * group.share:.0f} %"
    if not labels:
        return [
            f"{number(group.low)} to {number(group.high)}",
            f"{group.count:,}",
            share,
            number(group.right),
        ]
    ends = (
        f"below {100 * group.high:g} %"
        if group.low == 0
        else f"{100 * group.low:g} to {100 * group.high:g} %"
    )
    ends = f"{100 * group.low:g} % or more" if group.low == EDGES[-1] else ends
    return [ends, f"{group.count:,}", share, f"{100 * group.right:.1f} %"]


def _disagreement_in_words(groups: Sequence[Group]) -> str:
    if len(groups) < 2:
        return ""
    first, rest = groups[0], groups[1:]
    count = sum(group.count for group in rest)
    right = sum(group.count * group.right for group in rest) / count
    return (
        f"Of the {first.count:,} answers with the least spread {100 * first.right:.1f} % are right, of the other "
        f"{count:,} {100 * right:.1f} %."
    )


def _calibration(found: Findings, it: str) -> dict[str, Any] | None:
    if found.probabilities is None or found.targets is None:
        return None
    bins, error = figures.reliability(found.probabilities, found.targets)
    return {
        "picture": figures.reliability_picture(bins, error),
        "error": f"{100 * error:.1f} %",
        "words": _sureness_in_words(sureness(found.probabilities, found.targets), len(found.targets), it),
        "bins": [
            (
                f"{100 * b.low:.0f} to {100 * b.high:.0f} %",
                b.count,
                f"{100 * b.said:.1f} %",
                f"{100 * b.right:.1f} %",
            )
            for b in bins
        ],
    }


def _sureness_in_words(found: Sureness | None, n: int, it: str = "It") -> str:
    """What is beyond chance is said: the interval of the difference leaves 0 out."""
    if found is None:
        return f"How sure {it.lower()} is on average cannot be told from one example."
    gap = found.surer
    told = f"{100 * found.said:.1f} % sure on average, {100 * found.right:.1f} % right"
    if gap.low > 0:
        return (
            f"{it} is surer than it should be: {told} (by {100 * gap.value:.1f} points, 95 % interval "
            f"{100 * gap.low:.1f} to {100 * gap.high:.1f})."
        )
    if gap.high < 0:
        return (
            f"{it} is less sure than it could be: {told} (by {-100 * gap.value:.1f} points, 95 % interval "
            f"{-100 * gap.high:.1f} to {-100 * gap.low:.1f})."
        )
    return f"As far as {n:,} examples can tell, {it.lower()} is as sure as it should be: {told}."


def _regression(story: Story, found: Findings) -> dict[str, Any] | None:
    if found.predictions is None or found.targets is None:
        return None
    t = found.targets.shape[1]
    scale = _scale(story, found)
    true, said = found.targets, found.predictions
    if scale is not None:
        true, said = true * scale[1] + scale[0], said * scale[1] + scale[0]
    names = [f"target {i + 1}" for i in range(t)] if t > 1 else ["the target"]
    with np.errstate(over="ignore", invalid="ignore"):
        rmse = np.sqrt(np.mean((true - said) ** 2, axis=0))
    return {
        "pictures": [
            figures.scatter_picture(true[:, i], said[:, i], names[i], i) for i in range(min(t, MOST_TARGETS))
        ],
        "rmse": [(name, number(float(value))) for name, value in zip(names, rmse, strict=True)],
        "unit": "in the target's own unit" if scale is not None else "in the unit the network was given",
        "more": max(0, t - MOST_TARGETS),
        "points": min(len(true), figures.MOST_POINTS),
        "count": len(true),
        "worst": [
            (i, ", ".join(number(float(v)) for v in true[i]), ", ".join(number(float(v)) for v in said[i]))
            for i in farthest(found)
        ],
    }


def _scale(story: Story, found: Findings) -> tuple[Any, Any] | None:
    """Mean and standard deviation of a regression's targets, where they were standardised."""
    if found.predictions is None or found.targets is None:
        return None
    held, t = _mapping(story.begin["facts"].get("preprocessing")), found.targets.shape[1]
    mean, std = _numbers(held.get("target_mean"), t), _numbers(held.get("target_std"), t)
    return None if mean is None or std is None else (mean, std)


def _numbers(held: Any, count: int) -> Any:
    numbers = [_float(v) for v in _listed(held)]
    return np.array(numbers) if len(numbers) == count and None not in numbers else None


def _tail_words(story: Story) -> str:
    lane = course_lane(story)
    walked = [] if lane is None else lane.walked()
    beyond = [n for n in walked if n.outcome.epoch > story.course[-1].epoch] if story.course else []
    if not beyond:
        return ""
    more = f"{len(beyond)} more epoch{'s' if len(beyond) > 1 else ''}"
    return (
        f"It was trained for {more}, which made it worse; the weights of epoch {story.course[-1].epoch + 1} were "
        "handed back. What followed is drawn thin and dotted."
    )


def _progress(story: Story) -> list[str]:
    names: list[str | None] = [*figures.metrics_of(story)[:6], None]
    if not story.course and not any(lane.what in ("walk", "rollout") for lane in lanes(story)):
        return []
    pictures = [figures.progress_picture(story, name, f"progress{i}") for i, name in enumerate(names)]
    return [picture for picture in pictures if picture]


def _epochs(story: Story) -> dict[str, Any]:
    names = figures.metrics_of(story)
    rows = []
    for outcome, stretch in zip(story.course, story.schedule.stretches, strict=True):
        mean = f", mean of {stretch.count}" if stretch.count > 1 else ""
        rows.append(
            [
                str(outcome.epoch + 1),
                stretch_in_words(stretch) + mean,
                *(f"{outcome.metrics[n]:.4g}" if n in outcome.metrics else "" for n in names),
                "" if outcome.score is None else f"{outcome.score:.4g}",
            ]
        )
    return {
        "heads": ["epoch", "chosen", *names, objective_in_words(story.objective)],
        "rows": rows,
    }


def _rollouts(story: Story) -> list[list[str]]:
    kept = {o.number for o in story.course}
    members = {m.number for ms in story.members.values() for m in ms}
    of_nets = joined(story)
    rows = []
    for o in story.rollouts:
        fate = (
            "kept"
            if o.number in kept
            else "averaged"
            if o.number in members
            else "of a net that is averaged"
            if o.number in of_nets
            else "asked"
            if o.nets
            else "thrown away"
            if o.ok
            else o.status
        )
        length = f"{o.batches} batches" if o.batches else ""
        score = "" if o.score is None else f"{o.score:.4g}"
        rows.append([str(o.number), o.role, str(o.epoch + 1), values_in_words(o.values), length, score, fate])
    return rows


def made(story: Story) -> list[tuple[str, str]]:
    """Versions, seed and what is known of the machine."""
    begin, facts = story.begin, story.begin["facts"]
    versions = _mapping(begin.get("versions"))
    held = [
        ("seed", begin["seed"]),
        ("gammatune", begin.get("gammatune")),
        ("Python", begin.get("python")),
        *((name, version) for name, version in versions.items()),
        ("device", facts.get("device")),
        ("threads", facts.get("threads")),
        ("optimizer", facts.get("optimizer")),
        ("of which", story.course[-1].values.get(OPTIMIZER) if story.course else None),
        ("batch size", facts.get("batch_size")),
        ("searched", ", ".join(begin["space"])),
        ("begun", begin.get("time")),
        ("data digest", facts.get("data_digest")),
    ]
    known = [(name, str(value)) for name, value in held if value is not None]
    if story.resumes:
        known.append(("gone on with", f"{len(story.resumes)} times"))
    return known


def command(facts: Mapping[str, Any]) -> str | None:
    """The command line that makes the run again, every option written out; None where it was no command."""
    asked = facts.get("command")
    if not isinstance(asked, Mapping) or not isinstance(asked.get("data"), str):
        return None
    words = ["gammatune", "train", asked["data"]]
    for name, value in asked.items():
        option = f"--{str(name).replace('_', '-')}"
        if name == "data" or value is None:
            continue
        if isinstance(value, bool):
            words.append(option if value else f"--no-{option[2:]}")
        else:
            for one in value if isinstance(value, list) else [value]:
                words += [option, str(one)]
    return shlex.join(words)


def _mapping(held: Any) -> Mapping[str, Any]:
    return held if isinstance(held, Mapping) else {}


def _listed(held: Any) -> list[Any]:
    return list(held) if isinstance(held, (list, tuple)) else []


def run_path(run: str | os.PathLike[str]) -> Path:
    """Where a run lies, as people call it. Raises nothing."""
    path = Path(run)
    return path.parent if path.name == FILE else path
