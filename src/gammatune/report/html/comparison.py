"""`write_comparison`: several runs on one HTML page. What makes them hard to compare is said, not hidden."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gammatune.errors import InvalidArgument
from gammatune.journal.history import Story, replay
from gammatune.report.html import figures, page, sentences, tables
from gammatune.report.html.costs import LETTERS, PARTS, shares
from gammatune.report.html.measures import in_words, measures
from gammatune.report.html.paired import paired, same_examples
from gammatune.report.html.svg import KINDS, MARKS, RIGHT, Axis, Picture, number
from gammatune.report.models import handed_back_in_words
from gammatune.report.predictions import Findings, load_findings, run_path, square
from gammatune.report.several import nets_of
from gammatune.report.wording import cost_in_short, duration, is_open, seconds_of, state_of

MOST = 8  # runs: as many as there are dashes and marks to tell them apart
NAME = "comparison.html"
UNTOLD = ("data_digest", "said", "preprocessing", "shape", "command")  # facts that other rows say


@dataclass(frozen=True, slots=True)
class One:
    """A run among several. name: what it is called on the page. place: its number there, from 0."""

    name: str
    place: int
    story: Story
    found: Findings

    @property
    def kind(self) -> str:
        return KINDS[self.place % len(KINDS)]

    @property
    def mark(self) -> str:
        return MARKS[self.place % len(MARKS)]

    @property
    def task(self) -> str:
        """'classification', 'regression', or '' where nothing was measured."""
        report = self.story.report
        return "" if report is None else "classification" if "accuracy" in report else "regression"


def write_comparison(runs: Sequence[str | os.PathLike[str]], path: str | os.PathLike[str] = NAME) -> Path:
    """Write a page that shows runs beside each other, and say where it lies.

    runs: 2 to MOST run directories.
    Raises JournalError: no run there. InvalidArgument: fewer or more of them, one given twice, a classification
    beside a regression, or a path that cannot be written. MissingExtra: jinja2 is not installed.
    """
    return page.write(path, page.render("compare.html.j2", comparison(_read(runs))))


def _read(runs: Sequence[str | os.PathLike[str]]) -> list[One]:
    if not 2 <= len(runs) <= MOST:
        raise InvalidArgument(
            f"{len(runs)} run{'s' if len(runs) != 1 else ''} given; compare 2 to {MOST} of them"
        )
    places = [run_path(run).resolve() for run in runs]
    for i, place in enumerate(places):
        if place in places[:i]:
            raise InvalidArgument(f"{runs[i]} is given twice; compare it with another run")
    names = _names(places)
    done = [
        One(name, i, replay(run), load_findings(run_path(run)))
        for i, (name, run) in enumerate(zip(names, runs, strict=True))
    ]
    tasks = {one.task: one.name for one in done if one.task}
    if len(tasks) > 1:
        raise InvalidArgument(
            f"{tasks['classification']} is a classification and {tasks['regression']} a regression, whose measures "
            "have nothing in common; compare runs of one kind"
        )
    return done


def _names(places: Sequence[Path]) -> list[str]:
    """The last part of each path, with more of it where two are alike."""
    for depth in range(1, 20):
        names = ["/".join(place.parts[-depth:]) for place in places]
        if len(set(names)) == len(names):
            return names
    return [str(place) for place in places]


def comparison(runs: Sequence[One]) -> dict[str, Any]:
    """What the template shows."""
    pairs = [paired(a.name, a.found, b.name, b.found) for i, a in enumerate(runs) for b in runs[i + 1 :]]
    return {
        "title": "Comparison of " + ", ".join(one.name for one in runs),
        "runs": [(one.name, one.kind, one.mark, sentences.title(one.story)) for one in runs],
        "verdict": _verdict(runs),
        "warnings": _warnings(runs),
        "table_rows": _table(runs),
        "pair_rows": [pair.row for pair in pairs if pair is not None],
        "parts": list(zip(LETTERS, PARTS, strict=True)),
        "differences": _differences(runs),
        "rate": _rates(runs),
        "progress": [p for i, m in enumerate(_metrics(runs)) if (p := _progress(runs, m, f"progress{i}"))],
        "cost": _costs(runs),
    }


def _value(one: One) -> float | None:
    report = one.story.report
    if report is None:
        return None
    value = float(report["accuracy" if "accuracy" in report else "r2"])
    return value if math.isfinite(value) else None


def _verdict(runs: Sequence[One]) -> list[str]:
    measured = sorted(((v, one) for one in runs if (v := _value(one)) is not None), key=lambda pair: -pair[0])
    if len(measured) < 2:
        return [
            "Fewer than two of these runs were measured to their end, so none can be called the better one."
        ]
    best, second = measured[0], measured[1]
    percent = best[1].task == "classification"
    what = "right for" if percent else "R²"
    words = [
        f"{best[1].name} has the best figure ({what} {in_words(best[0], percent)}), {second[1].name} the next "
        f"({in_words(second[0], percent)})."
    ]
    pair = paired(best[1].name, best[1].found, second[1].name, second[1].found)
    if pair is not None:
        words.append(pair.words)
    elif not same_examples(best[1].found, second[1].found):
        words.append(
            "Whether that is more than chance cannot be told: the runs kept no predictions of the same examples."
        )
    costs = [
        (one.story.end["plain_runs"], one)
        for one in runs
        if one.story.end and one.story.end.get("plain_runs")
    ]
    if len(costs) > 1 and not any(is_open(one.story.begin) for _, one in costs):
        cheap = min(costs, key=lambda pair: pair[1].story.elapsed or math.inf)[1]
        words.append(f"{cheap.name} was the fastest, {duration(seconds_of(cheap.story))}.")
    return words


def _warnings(runs: Sequence[One]) -> list[str]:
    """What makes the figures hard to compare."""
    said = []

    def differs(of: Any) -> str:
        held = {one.name: of(one) for one in runs}
        known = {name: value for name, value in held.items() if value is not None}
        if len({str(value) for value in known.values()}) < 2:
            return ""
        return "; ".join(f"{name}: {value}" for name, value in known.items())

    facts = [one.story.begin["facts"] for one in runs]
    if words := differs(lambda one: one.story.begin["facts"].get("data")):
        said.append(
            f"The runs are on different data ({words}): their figures say nothing about which is better."
        )
    elif len({str(f["data_digest"]) for f in facts if f.get("data_digest") is not None}) > 1:
        said.append(
            "The runs trained or selected on different examples (another split, or other files): part of the "
            "difference comes from that."
        )
    if words := differs(_reported):
        said.append(f"They were reported on different parts or numbers of examples ({words}).")
    if any(one.story.report is not None and one.story.report["on"] != "test" for one in runs):
        said.append("At least one figure was measured on the data it was selected by, which flatters it.")
    if words := differs(lambda one: one.story.objective):
        said.append(f"They aimed at different objectives ({words}); scores cannot be compared, measures can.")
    if words := differs(lambda one: one.story.begin["seed"]):
        said.append(
            f"They have different seeds ({words}); a seed alone moves a result by about as much as its interval."
        )
    if words := differs(lambda one: one.story.begin["facts"].get("device")):
        said.append(f"They ran on different devices ({words}): times cannot be compared.")
    for one in runs:
        if one.story.end is None or one.story.end["how"] != "complete":
            said.append(f"{one.name} did not come to its end ({state_of(one.story)}).")
        said += [f"{one.name}: {problem}" for problem in one.found.problems]
    if any(one.found.weighted for one in runs):
        said.append(
            "The measures weigh the examples; where runs are compared example by example each counts once, "
            "whatever its weight."
        )
    return said


def _reported(one: One) -> str | None:
    report = one.story.report
    if report is None:
        return None
    confusion = square(report.get("confusion"))
    count = f", {sum(map(sum, confusion))} examples" if confusion else ""
    return ("unseen" if report["on"] == "test" else "selected by") + count


def _table(runs: Sequence[One]) -> list[list[str]]:
    """A row for each thing said of every run, its name first."""
    rows: list[list[str]] = []

    def row(name: str, cells: Sequence[str]) -> None:
        if any(cells):
            rows.append([name, *cells])

    stories = [one.story for one in runs]
    measured = [{m.name: m for m in measures(story)} for story in stories]
    for name in dict.fromkeys(name for held in measured for name in held):
        row(name, [_with_interval(held.get(name)) for held in measured])
    told = [dict(handed_back_in_words(story)) for story in stories]
    for name in dict.fromkeys(name for held in told for name in held):
        row(name, [held.get(name, "") for held in told])
    nets = [nets_of(story) for story in stories]
    row("nets averaged", [str(count) if max(nets) > 1 else "" for count in nets])
    row("rollouts", [str(len(story.rollouts)) for story in stories])
    row("cost", ["" if s.end is None else cost_in_short(s.end, s.begin) for s in stories])
    row("time", [duration(seconds_of(story)) for story in stories])
    row("seed", [str(story.begin["seed"]) for story in stories])
    row("ended", [state_of(story) for story in stories])
    made = [dict(tables.made(story)) for story in stories]
    for name in ("gammatune", "Python", "torch", "numpy", "device", "threads"):
        row(name, [held.get(name, "") for held in made])
    return rows


def _with_interval(measure: Any) -> str:
    if measure is None:
        return ""
    return f"{measure.value} ({measure.interval})" if measure.interval else str(measure.value)


def _differences(runs: Sequence[One]) -> list[list[str]]:
    """What was asked for, where it was not the same."""
    told = [_asked(one.story) for one in runs]
    rows = []
    for name in dict.fromkeys(name for held in told for name in held):
        cells = [held.get(name, "") for held in told]
        if len(set(cells)) > 1:
            rows.append([name, *cells])
    return rows


def _asked(story: Story) -> dict[str, str]:
    begin, facts = story.begin, story.begin["facts"]
    command = facts.get("command")
    held: dict[str, Any] = {
        name: begin.get(name)
        for name in (
            "policy", "sampler", "sampler_options", "objective", "lam", "epochs", "budget", "space", "schedule",
            "keep", "total_epochs", "seconds", "multiplier",
        )
    }  # fmt: skip
    held["policy_version"] = begin.get("policy_version", 1)  # older journals have none
    held |= {n: v for n, v in facts.items() if n not in UNTOLD and isinstance(v, (str, int, float, bool))}
    if isinstance(command, Mapping):
        held |= {name: value for name, value in command.items() if name not in held or held[name] is None}
    return {str(n): _cell(v) for n, v in held.items() if n not in ("device", "threads", "torch", "numpy")}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _rates(runs: Sequence[One]) -> str | None:
    drawn = [(one, way) for one in runs for way in figures.ways(one.story)[:1] if way.points]
    rates = [rate for _, way in drawn for _, rate in way.points if rate > 0]
    if not rates:
        return None
    floor = max(rates) / figures.BELOW_PEAK / 10
    epochs = max(x for _, way in drawn for x, _ in way.points)
    words = "; ".join(f"{one.name}: at most {number(max(r for _, r in way.points))}" for one, way in drawn)
    picture = Picture("The learning rates along the trainings", words, 250, name="rate")
    y = Axis.over([max(r, floor) for r in rates], 206.0, 26.0, log=True)
    x = figures.axis_of_epochs(picture, epochs, y, "learning rate")
    for one, way in drawn:
        points = [(x(a), min(max(y(b), 26.0), 206.0)) for a, b in way.points]
        picture.line(points, one.kind)
        _marks(picture, one, points)
    return picture.svg()


def _marks(picture: Picture, one: One, points: Sequence[tuple[float, float]]) -> None:
    """Three marks along a line, by which it is told apart without its colour."""
    for share in (0.2, 0.5, 0.8):
        picture.mark(points[int(share * (len(points) - 1))], one.mark, one.kind, one.name, 4)


def _metrics(runs: Sequence[One]) -> list[str | None]:
    names: list[str | None] = [None]  # the objective
    names[:0] = list(dict.fromkeys(n for one in runs for n in figures.metrics_of(one.story)))[:4]
    same = len({(one.story.objective, one.story.begin.get("lam")) for one in runs}) == 1
    return names if same else names[:-1]


def _progress(runs: Sequence[One], metric: str | None, name: str) -> str | None:
    drawn = [(one, line) for one in runs for line in figures.progress(one.story, metric) if line.kept]
    if not drawn:
        return None
    heading = "objective" if metric is None else metric
    words = "; ".join(f"{one.name} ends at {number(line.points[-1][1])}" for one, line in drawn)
    picture = Picture(f"{heading} after each epoch", words, 220, name=name)
    x, y = figures.axes_of_progress(picture, [line for _, line in drawn], metric, heading)
    for one, line in drawn:
        points = [(x(a), y(b)) for a, b in line.points]
        picture.line(points, one.kind)
        _marks(picture, one, points)
    return picture.svg()


def _costs(runs: Sequence[One]) -> str | None:
    """A bar a run; in plain runs where all know them, else in examples."""
    found = [(one, *shares(one.story)) for one in runs]
    plain = all(p is not None for _, _, p in found) and len({p for _, _, p in found}) == 1
    totals = [sum(s.units for s in parts) / (p if plain and p else 1.0) for _, parts, p in found]
    if not any(totals):
        return None
    words = "; ".join(f"{one.name} {number(t)}" for (one, _, _), t in zip(found, totals, strict=True))
    picture = Picture("What each run cost", words, 56.0 + 36 * len(found), name="cost")
    x = Axis(0.0, max(totals) * 1.02, 6.0, RIGHT)
    for i, ((one, parts, p), total) in enumerate(zip(found, totals, strict=True)):
        top, at = 6.0 + 36 * i, 0.0
        picture.text(6, top + 10, f"{one.name[:34]}: {number(total)}", "tick")
        for part in parts:
            width = part.units / (p if plain and p else 1.0)
            kind = f"f{PARTS.index(part.name) + 1}"
            picture.bar(x(at), top + 14, x(at + width) - x(at), 16, kind, f"{part.name}: {number(width)}")
            if x(at + width) - x(at) > 14:
                letter = LETTERS[PARTS.index(part.name)]
                picture.text(x(at + width / 2), top + 26, letter, "letter", "middle")
            at += width
    picture.across(x, 12.0 + 36 * len(found), "plain runs" if plain else "examples' worth", count=4)
    return picture.svg()
