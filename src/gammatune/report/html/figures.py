"""The learning rate and the quality along a training, as pictures; each is None where there is nothing to draw."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gammatune.course import Schedule, Stretch
from gammatune.journal.history import Story
from gammatune.records import Outcome
from gammatune.report.html.bands import Band
from gammatune.report.html.svg import FEW, KINDS, LEFT, RIGHT, Axis, Picture, Point, clipped, number
from gammatune.report.html.timeline import Node, course_lane, lanes
from gammatune.report.wording import in_order, rates_of

BELOW_PEAK = 300.0  # of the highest rate: where a decay to zero leaves a logarithmic picture
WIDE = 20.0  # the highest over the lowest, from which on a loss is drawn on a logarithmic axis


@dataclass(frozen=True, slots=True)
class Curve:
    """points: (epochs, value). kept: it is part of the course."""

    name: str
    points: list[Point]
    kept: bool


def axis_of_epochs(picture: Picture, epochs: float, y: Axis, heading: str) -> Axis:
    """Both axes of a picture drawn; the lower of them is given back."""
    x = Axis(0.0, epochs or 1.0, LEFT, RIGHT)  # where the budget was spent before the first step
    picture.up(y, LEFT, heading, right=RIGHT)
    picture.across(x, y.start, "epochs trained", top=y.stop)
    return x


def ways(story: Story) -> list[Curve]:
    """The rates of the course, and of what was trained after the epoch that was handed back."""
    course = list(story.schedule.stretches)
    tail = after_course(story)
    names = rates_of(course[0].values) if course else []
    done = []
    for name in names or (["lr"] if course else []):
        done.append(Curve(name, _along(course, name, 0), True))
        if tail:
            members = {n.outcome.number: n.members for n in tail if n.members}
            beyond = Schedule.of([n.outcome for n in tail], story.rollouts, members).stretches
            done.append(Curve(name, _along(beyond, name, len(course)), False))
    return done


def after_course(story: Story) -> list[Node]:
    """What followed the epoch that was handed back."""
    lane = course_lane(story)
    walked = [] if lane is None else lane.walked()
    last = max((i for i, n in enumerate(walked) if n.fate == "kept"), default=len(walked))
    return walked[last + 1 :]


def _along(stretches: Sequence[Stretch], name: str, first: int) -> list[Point]:
    fine = 2 if len(stretches) > FEW else 12
    points: list[Point] = []
    for place, stretch in enumerate(stretches, start=first):
        chosen = float(stretch.values.get(name, 1.0))
        # a step is two of them
        turns = [knot for knot in stretch.shape.knots if 0 < knot[0] < stretch.reached]
        even = {stretch.reached * i / fine for i in range(fine + 1)} - {progress for progress, _ in turns}
        between = [(progress, stretch.shape(progress)) for progress in even]
        for progress, level in sorted([*turns, *between], key=lambda knot: knot[0]):
            share = progress / stretch.reached if stretch.reached else 0.0
            points.append((place + share, chosen * level))
    return points


def rate_picture(story: Story, found: Sequence[Band]) -> str | None:
    """The learning rate along the training, and where the search knew the best one to lie."""
    drawn = [way for way in ways(story) if way.points]
    names = list(dict.fromkeys(way.name for way in drawn))
    if not drawn:
        return None
    highest = max([rate for way in drawn for _, rate in way.points] + [band.high for band in found])
    if not (0 < highest < math.inf):
        return None
    floor = highest / BELOW_PEAK
    shown = [max(rate, floor) for way in drawn for _, rate in way.points]
    shown += [edge for band in found for edge in (band.low, band.high)]
    epochs = max(x for way in drawn for x, _ in way.points)
    picture = Picture(
        "The learning rate along the training", _rate_words(drawn, found), name="rate", height=250
    )
    y = Axis.over(shown, 206.0, 26.0, log=True)
    x = axis_of_epochs(picture, epochs, y, "learning rate")
    for i, name in enumerate(names):
        for band in found:
            if band.name != name:
                continue
            top, bottom = clipped([(0, y(band.high)), (0, y(band.low))], 26.0, 206.0)
            edges = [(x(min(band.start, epochs)), 0.0), (x(min(band.stop, epochs)), 0.0)]
            picture.area(
                [(a, top[1]) for a, _ in edges], [(a, bottom[1]) for a, _ in edges], f"band b{i + 1}"
            )
        for way in drawn:
            if way.name == name:
                points = clipped([(x(at), y(rate)) for at, rate in way.points], 26.0, 206.0)
                picture.line(points, KINDS[i % 8] if way.kept else f"{KINDS[i % 8]} lost")
    return picture.svg()


def _rate_words(drawn: Sequence[Curve], found: Sequence[Band]) -> str:
    said = []
    for way in drawn:
        if way.kept:
            peak = max(rate for _, rate in way.points)
            said.append(
                f"{way.name} begins at {number(way.points[0][1])}, is {number(peak)} at its highest and ends at "
                f"{number(way.points[-1][1])} after {way.points[-1][0]:g} epochs."
            )
    for band in found[:1]:
        said.append(
            f"By the search the best value of {band.name} lies between {number(band.low)} and {number(band.high)} "
            "with a probability of 95 %."
        )
    return " ".join(said)


def progress(story: Story, metric: str | None) -> list[Curve]:
    """A metric (None: the objective) after each epoch of the course, of what followed it, and of the other walks."""

    def value(outcome: Outcome) -> float | None:
        held = outcome.score if metric is None else outcome.metrics.get(metric)
        return held if held is not None and math.isfinite(held) else None

    def line(name: str, outcomes: Sequence[Outcome], kept: bool) -> Curve:
        points = [(o.epoch + 1.0, v) for o in outcomes if (v := value(o)) is not None]
        return Curve(name, points, kept)

    own = course_lane(story)
    done = []
    for lane in lanes(story):
        if lane.what in ("walk", "rollout") and lane is not own and (own is None or lane.name != own.name):
            done.append(line(lane.name, [n.outcome for n in lane.walked()], False))
    tail = [n.outcome for n in after_course(story)]
    if tail and story.course:
        done.append(line("after the epoch handed back", [story.course[-1], *tail], False))
    done.append(line("course", story.course, True))
    return [one for one in done if one.points]


def progress_picture(story: Story, metric: str | None, name: str) -> str | None:
    drawn = progress(story, metric)
    if not drawn:
        return None
    heading = _metric_title(story, metric)
    main = next((line for line in drawn if line.kept), drawn[0])
    words = (
        f"{metric or story.objective} of the {main.name}: {number(main.points[0][1])} after the first epoch "
        f"shown, {number(main.points[-1][1])} after the last; {len(drawn) - 1} other lines."
    )
    picture = Picture(f"{heading} after each epoch", words, name=name, height=220)
    x, y = axes_of_progress(picture, drawn, metric, heading)
    for line in drawn:
        points = [(x(a), y(b)) for a, b in line.points]
        picture.line(points, "c1 strong" if line.kept else "faint")
        if line.kept and len(points) <= FEW:
            for at, (epoch, v) in zip(points, line.points, strict=True):
                picture.mark(at, "dot", "c1", f"epoch {epoch:g}: {number(v)}", 3)
    return picture.svg()


def axes_of_progress(
    picture: Picture, drawn: Sequence[Curve], metric: str | None, heading: str
) -> tuple[Axis, Axis]:
    values = [v for line in drawn for _, v in line.points]
    log = min(values) > 0 and max(values) / min(values) > WIDE and metric not in ("accuracy", "r2", None)
    y = Axis.over(values, 176.0, 26.0, log=log)
    last = max(x for line in drawn for x, _ in line.points)
    return axis_of_epochs(picture, max(last, 1.0), y, heading), y


def _metric_title(story: Story, metric: str | None) -> str:
    names = {"accuracy": "accuracy", "r2": "R²", "loss": "loss"}
    return f"objective ({story.objective})" if metric is None else names.get(metric, metric)


def metrics_of(story: Story) -> list[str]:
    """The metrics measured; one that is the loss by another name is left out."""
    outcomes = story.course or story.rollouts
    names = in_order(name for outcome in outcomes for name in outcome.metrics)
    same = [
        n for n in names if n != "loss" and all(o.metrics.get(n) == o.metrics.get("loss") for o in outcomes)
    ]
    return [name for name in names if name not in same]
