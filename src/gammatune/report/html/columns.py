"""What a table's columns are worth to the model that is handed over, and how its answers move with the first of them:
as pictures, in shades of grey."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gammatune.journal.history import Story
from gammatune.report.held import listed, mapping, real
from gammatune.report.html.svg import LEFT, RIGHT, Axis, Picture, Point, number
from gammatune.report.predictions import Findings, labels_of
from gammatune.report.wording import in_sentence

MOST = 10  # columns drawn (guess)
CURVES = 3  # classes drawn of more than two, those that move most; as many as there are shades
NAME = 20  # characters
SHADES = ("g1", "g2", "g3")
NAMES_END = 136.0  # where names end and bars begin


@dataclass(frozen=True, slots=True)
class Curve:
    """Of one class or target: what it is called, and the mean answer at each value."""

    name: str
    outputs: tuple[float, ...]


def columns(story: Story, found: Findings) -> dict[str, Any] | None:
    """What the template shows; None of a run that ranked no columns."""
    extra = mapping((story.report or {}).get("extra"))
    bars = _importance(mapping(extra.get("importance")))
    if bars is None:
        return None
    labels = labels_of(story, found)
    drawn = [
        picture
        for place, held in enumerate(listed(extra.get("dependence")))
        if (picture := _dependence(mapping(held), labels, f"dependence{place}")) is not None
    ]
    return {
        "bars": bars,
        "metric": in_sentence(str(mapping(extra["importance"]).get("metric"))),
        "curves": drawn,
    }


def _importance(held: Mapping[str, Any]) -> str | None:
    """A bar a column, with its interval."""
    found: list[tuple[str, float, float, float]] = []
    for each in map(mapping, listed(held.get("features"))):
        mean, low, high = (real(each.get(name)) for name in ("mean", "low", "high"))
        if mean is not None and low is not None and high is not None and np.isfinite([mean, low, high]).all():
            found.append((str(each.get("name")), mean, low, high))
    found = found[:MOST]
    if not found:
        return None
    words = "; ".join(
        f"{name} {number(mean)} ({number(low)} to {number(high)})" for name, mean, low, high in found
    )
    picture = Picture("What each column is worth", f"{words}.", 56.0 + 20 * len(found), name="importance")
    bottom = 14.0 + 20 * len(found)
    x = Axis.over([0.0, *(end for _, *ends in found for end in ends)], NAMES_END, RIGHT)
    picture.across(x, bottom, f"{in_sentence(str(held.get('metric')))} lost without it", count=4, top=8.0)
    for place, (name, mean, low, high) in enumerate(found):
        y = 18.0 + 20 * place
        picture.text(NAMES_END - 6, y + 4, _short(name), "tick", "end")
        left, right = sorted((x(0.0), x(mean)))
        picture.bar(left, y - 5, right - left, 10, "grey", f"{name}: {number(mean)}")
        picture.line([(x(low), y), (x(high), y)], "whisker")
    picture.line([(x(0.0), 8), (x(0.0), bottom)], "axis")
    return picture.svg()


def _dependence(held: Mapping[str, Any], labels: Sequence[str], name: str) -> str | None:
    """The mean answers along a column: a line for a number or a date, points for a category."""
    values = listed(held.get("values"))
    outputs = [[real(value) for value in listed(row)] for row in listed(held.get("outputs"))]
    widths = {len(row) for row in outputs}
    if len(values) < 2 or len(outputs) != len(values) or len(widths) != 1 or not widths.pop():
        return None
    if any(value is None or not np.isfinite(value) for row in outputs for value in row):
        return None
    curves = _curves(np.array(outputs, dtype=float), labels)
    column, along = str(held.get("name")), held.get("kind") == "number"
    at = [real(value) if along else float(place) for place, value in enumerate(values)]
    if any(place is None or not np.isfinite(place) for place in at):
        return None
    picture = _axes(column, values, curves, name)
    return _drawn(
        picture, column, values, [float(place or 0.0) for place in at], curves, str(held.get("kind"))
    )


def _curves(outputs: Any, labels: Sequence[str]) -> list[Curve]:
    """outputs: (m, k)."""
    k = outputs.shape[1]
    if not labels or len(labels) < k:
        return [Curve("the prediction", tuple(outputs[:, 0]))]
    if k == 2:
        return [Curve(f"probability of {labels[1]}", tuple(outputs[:, 1]))]
    moved = np.argsort(-np.ptp(outputs, axis=0), kind="stable")[:CURVES]
    return [Curve(labels[i], tuple(outputs[:, i])) for i in sorted(moved.tolist())]


def _axes(column: str, values: Sequence[Any], curves: Sequence[Curve], name: str) -> Picture:
    words = "; ".join(
        f"{curve.name}: {number(curve.outputs[0])} at {values[0]}, {number(curve.outputs[-1])} at {values[-1]}"
        for curve in curves
    )
    height = 212.0 + (18.0 * len(curves) if len(curves) > 1 else 0.0)
    return Picture(f"The mean answer along {column}", f"{words}.", height, name=name)


def _drawn(
    picture: Picture,
    column: str,
    values: Sequence[Any],
    at: Sequence[float],
    curves: Sequence[Curve],
    kind: str,
) -> str:
    y = Axis.over([value for curve in curves for value in curve.outputs], 164.0, 26.0, margin=0.12)
    heading = curves[0].name if len(curves) == 1 else "probability"
    picture.up(y, LEFT, _short(heading, 44), right=RIGHT)
    if kind == "number":
        x = Axis.over(at, LEFT, RIGHT)
        picture.across(x, 164.0, _short(column, 44))
    else:
        x = Axis(-0.5, len(values) - 0.5, LEFT, RIGHT)
        picture.line([(LEFT, 164), (RIGHT, 164)], "axis")
        shown = range(len(values)) if kind == "category" else (0, len(values) - 1)
        room = 48 // len(values) if kind == "category" else 10
        for place in shown:
            picture.text(x(place), 179, _short(str(values[place]), max(3, room)), "tick", "middle")
        picture.text((LEFT + RIGHT) / 2, 195, _short(column, 44), "name", "middle")
    for shade, curve in zip(SHADES, curves, strict=False):
        points: list[Point] = [(x(a), y(b)) for a, b in zip(at, curve.outputs, strict=True)]
        if kind != "category":
            picture.line(points, shade)
        for point, value, output in zip(points, values, curve.outputs, strict=True):
            picture.mark(point, "dot", f"grey {shade}", f"{value}: {number(output)}", 3)
    if len(curves) > 1:
        for place, (shade, curve) in enumerate(zip(SHADES, curves, strict=False)):
            line = 212.0 + 18 * place
            picture.line([(LEFT, line - 4), (LEFT + 30, line - 4)], shade)
            picture.text(LEFT + 38, line, _short(curve.name, 40), "tick")
    return picture.svg()


def _short(text: str, most: int = NAME) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
