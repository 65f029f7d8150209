"""The pictures of a run: each function takes what a journal or a file says and gives an SVG, or None."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammatune.cost import PlainEpoch, units
from gammatune.course import Schedule, Stretch
from gammatune.journal.history import Story
from gammatune.records import Outcome
from gammatune.report.html.looks import has_looks
from gammatune.report.html.posterior import Band, Slice, View
from gammatune.report.html.svg import WIDTH, Axis, Picture, Point, clipped, number
from gammatune.report.html.timeline import Lane, Node, course_lane, joined, lanes
from gammatune.report.wording import in_order, is_open, rates_of, values_in_words

LEFT, RIGHT = 46.0, WIDTH - 14  # where pictures begin and end
FEW = 60  # nodes of a line that are still marked one by one
MOST_LANES = 48
MOST_POINTS = 1000  # of a scatter
BELOW_PEAK = 300.0  # of the highest rate: where a decay to zero leaves a logarithmic picture
BINS = 10  # of a reliability diagram
KINDS = ("c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8")  # series: each with a colour and a dash of its own
MARKS = ("dot", "square", "triangle", "diamond", "ring", "plus", "cross", "dot")


# The learning rate ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Way:
    """What a learning rate was along the training. points: (epochs, rate). kept: it is part of the course."""

    name: str
    points: list[Point]
    kept: bool


def ways(story: Story) -> list[Way]:
    """The rates of the course, and of what was trained after the epoch that was handed back."""
    course = list(story.schedule.stretches)
    tail = _tail(story)
    names = rates_of(course[0].values) if course else []
    done = []
    for name in names or (["lr"] if course else []):
        done.append(Way(name, _along(course, name, 0), True))
        if tail:
            beyond = Schedule.of([n.outcome for n in tail], story.rollouts, _members(tail)).stretches
            done.append(Way(name, _along(beyond, name, len(course)), False))
    return done


def _tail(story: Story) -> list[Node]:
    """What followed the epoch that was handed back."""
    lane = course_lane(story)
    walked = [] if lane is None else lane.walked()
    last = max((i for i, n in enumerate(walked) if n.fate == "kept"), default=len(walked))
    return walked[last + 1 :]


def _members(nodes: Sequence[Node]) -> dict[int, list[Outcome]]:
    return {n.outcome.number: n.members for n in nodes if n.members}


def _along(stretches: Sequence[Stretch], name: str, first: int) -> list[Point]:
    fine = 2 if len(stretches) > FEW else 12
    points: list[Point] = []
    for place, stretch in enumerate(stretches, start=first):
        chosen = float(stretch.values.get(name, 1.0))
        turns = [
            knot for knot in stretch.shape.knots if 0 < knot[0] < stretch.reached
        ]  # a step is two of them
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
    x, y = Axis(0.0, epochs, LEFT, RIGHT), Axis.over(shown, 206.0, 26.0, log=True)
    picture.up(y, LEFT, "learning rate", right=RIGHT)
    picture.across(x, 206.0, "epochs trained", top=26.0)
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


def _rate_words(drawn: Sequence[Way], found: Sequence[Band]) -> str:
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


# Quality over epochs --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """points: (epoch from 1, value). kept: of the course."""

    name: str
    points: list[Point]
    kept: bool


def progress(story: Story, metric: str | None) -> list[Line]:
    """A metric (None: the objective) over the epochs of the course, what followed it, and the other walks."""

    def value(outcome: Outcome) -> float | None:
        held = outcome.score if metric is None else outcome.metrics.get(metric)
        return held if held is not None and math.isfinite(held) else None

    def line(name: str, outcomes: Sequence[Outcome], kept: bool) -> Line:
        points = [(o.epoch + 1.0, v) for o in outcomes if (v := value(o)) is not None]
        return Line(name, points, kept)

    own = course_lane(story)
    done = []
    for lane in lanes(story):
        if lane.what in ("walk", "rollout") and lane is not own and (own is None or lane.name != own.name):
            done.append(line(lane.name, [n.outcome for n in lane.walked()], False))
    tail = [n.outcome for n in _tail(story)]
    if tail and story.course:
        done.append(line("after the epoch handed back", [story.course[-1], *tail], False))
    done.append(line("course", story.course, True))
    return [one for one in done if one.points]


def progress_picture(story: Story, metric: str | None, name: str) -> str | None:
    drawn = progress(story, metric)
    if not any(line.kept for line in drawn) and not drawn:
        return None
    values = [v for line in drawn for _, v in line.points]
    log = min(values) > 0 and max(values) / min(values) > 20 and metric not in ("accuracy", "r2", None)
    title = f"{_metric_title(story, metric)} after each epoch"
    main = next((line for line in drawn if line.kept), drawn[0])
    words = (
        f"{metric or story.objective} of the {main.name}: {number(main.points[0][1])} after the first epoch "
        f"shown, {number(main.points[-1][1])} after the last; {len(drawn) - 1} other lines."
    )
    picture = Picture(title, words, name=name, height=220)
    last = max(x for line in drawn for x, _ in line.points)
    x, y = Axis(0.0, max(last, 1.0), LEFT, RIGHT), Axis.over(values, 176.0, 26.0, log=log)
    picture.up(y, LEFT, _metric_title(story, metric), right=RIGHT)
    picture.across(x, 176.0, "epochs trained", top=26.0)
    for line in drawn:
        points = [(x(a), y(b)) for a, b in line.points]
        picture.line(points, "c1 strong" if line.kept else "faint")
        if line.kept and len(points) <= FEW:
            for at, (epoch, v) in zip(points, line.points, strict=True):
                picture.mark(at, "dot", "c1", f"epoch {epoch:g}: {number(v)}", 3)
    return picture.svg()


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


# The fork tree --------------------------------------------------------------------------------------------


def tree_picture(story: Story) -> str | None:
    """What was tried from where, and what became of it."""
    if story.begin["policy"] == "greedy":
        return _fan(story)
    found = lanes(story)
    return _rows(story, found) if found else None


def _rows(story: Story, found: Sequence[Lane]) -> str:
    shown = found if len(found) <= MOST_LANES else [*found[: MOST_LANES - 1], found[-1]]
    pitch, top, trunk = 19.0, 34.0, 146.0
    height = top + pitch * len(shown) + 44
    kept = sum(lane.is_kept for lane in found)
    failed = sum(any(n.fate in ("diverged", "infeasible") for n in lane.nodes) for lane in found)
    nets = sum(lane.is_joined and not lane.is_kept for lane in found)
    others = f"{nets} are of other nets that are averaged with it, " if nets else ""
    words = (
        f"{len(found)} trainings began, all but those that go on from an average at the initial weights; {kept} "
        f"became the course, {others}{failed} diverged or did not fit into memory in some part."
    )
    picture = Picture("Everything that was tried, as a tree of forks", words, height, name="tree")
    lasting = [max((n.outcome.epoch + n.epochs for n in lane.nodes), default=1.0) for lane in shown]
    goes_far = any(lane.what == "walk" for lane in shown)  # else their scores stand beside them
    x = Axis(0.0, max(lasting), trunk, RIGHT - (6 if goes_far else 84))
    bottom = top + pitch * (len(shown) - 1)
    picture.text(trunk, 14, "initial weights", "name", "middle")
    picture.line([(trunk, 20.0), (trunk, bottom)], "trunk")
    picture.mark((trunk, 22.0), "dot", "cf", "", 4)
    for row, lane in enumerate(shown):
        _row(picture, x, top + pitch * row, trunk, lane)
    picture.across(x, bottom + 14, "epochs trained")
    return picture.svg()


def _row(picture: Picture, x: Axis, y: float, trunk: float, lane: Lane) -> None:
    name = lane.name
    if name == "course" and not lane.is_kept:
        name = "net 1" if lane.is_joined else "walk 1"
    rates = [v for n, v in lane.values.items() if n in rates_of(lane.values)]
    picture.text(4, y + 4, name[:12], "tick strong" if lane.is_kept else "tick")
    if rates:
        picture.text(trunk - 6, y + 4, number(float(rates[0])), "tick", "end")
    at = (trunk, y)
    dotted = len(lane.nodes) <= FEW
    for node in lane.nodes:
        start = max(x(node.outcome.epoch), trunk)
        end = max(x(node.outcome.epoch + node.epochs), start + 5)
        kind = {"kept": "kept", "joined": "joined", "tried": "thrown"}.get(node.fate, "failed")
        before = at if start <= at[0] + 8 else (start, y)
        if node.members and dotted:
            spread = min(len(node.members), 4)
            for member in range(spread):
                lift = (member - (spread - 1) / 2) * 3.5
                middle = (before[0] + end) / 2
                picture.line([before, (middle, y + lift), (end, y)], f"{kind} thin")
        else:
            picture.line([before, (end, y)], kind)
        if dotted or node is lane.nodes[-1] or kind == "failed":
            shape = {"kept": "dot", "joined": "dot", "thrown": "ring", "failed": "cross"}[kind]
            picture.mark((end, y), shape, kind, _told(node), 3)
        at = (end, y)
    last = lane.last_scored
    if at[0] < RIGHT - 74 and last is not None and last.score is not None:
        picture.text(at[0] + 9, y + 4, f"score {number(last.score)}", "tick")
    elif at[0] < RIGHT - 74:
        picture.text(at[0] + 9, y + 4, lane.nodes[-1].outcome.status, "tick")


def _told(node: Node) -> str:
    o = node.outcome
    score = "" if o.score is None else f", score {number(o.score)}"
    mean = f", mean of {len(node.members)}" if node.members else ""
    fates = {"kept": "kept", "joined": "of a net that is averaged", "tried": "thrown away"}
    return f"{values_in_words(o.values)}{mean}{score}: {fates.get(node.fate, node.fate)}"


def _fan(story: Story) -> str | None:
    """Of a search each epoch: every candidate from where the epoch before ended, at the height of its rate."""
    found = [lane.nodes[0] for lane in lanes(story) if rates_of(lane.values)]
    if not found:
        return None
    name = rates_of(found[0].outcome.values)[0]
    picture = Picture(
        "Everything that was tried, as a tree of forks",
        f"{len(found)} candidates over {len(story.course)} epochs; each epoch begins where the one chosen before it "
        f"ended, and the height is its {name}.",
        260,
        name="tree",
    )
    rates = [float(n.outcome.values[name]) for n in found if name in n.outcome.values]
    last = max(n.outcome.epoch for n in found) + 1
    x = Axis(0.0, float(last), LEFT + 4, RIGHT - 6)
    y = Axis.over(rates, 214.0, 28.0, log=min(rates) > 0)
    picture.up(y, LEFT, "learning rate", right=RIGHT)
    picture.across(x, 214.0, "epochs trained")
    chosen: dict[int, Node] = {}
    for node in found:
        held = chosen.get(node.outcome.epoch)
        if node.fate == "kept" or (
            node.outcome.score is not None
            and (held is None or (held.fate != "kept" and (held.outcome.score or 0) < node.outcome.score))
        ):
            chosen[node.outcome.epoch] = node

    def end(node: Node) -> Point:
        return x(node.outcome.epoch + 1.0), y(float(node.outcome.values[name]))

    def start(node: Node) -> Point:
        before = chosen.get(node.outcome.epoch - 1)
        return end(before) if before is not None else (x(node.outcome.epoch), y(float(np.median(rates))))

    for fate, kind, shape in (("tried", "thrown", "ring"), ("diverged", "failed", "cross")):
        among = [n for n in found if (n.fate == fate or (fate == "diverged" and n.fate == "infeasible"))]
        picture.lines([(start(n), end(n)) for n in among], f"{kind} thin")
        if len(found) <= 6 * FEW:
            for n in among:
                picture.mark(end(n), shape, kind, _told(n), 2.5)
    kept = [n for n in found if n.fate == "kept"]
    picture.lines([(start(n), end(n)) for n in kept], "kept")
    if len(kept) <= FEW:
        for n in kept:
            picture.mark(end(n), "dot", "kept", _told(n), 3.5)
    return picture.svg()


# What the search believed ---------------------------------------------------------------------------------


def view_pictures(view: View, place: int, scale: str) -> list[str]:
    """One picture a dimension. scale: what a score is called."""
    return [_slice_picture(view, part, f"view{place}-{i}", scale) for i, part in enumerate(view.slices)]


def _slice_picture(view: View, part: Slice, name: str, scale: str) -> str:
    heights, said = part.promise, "promise of a further look"
    if heights is None:
        heights, said = part.whole, "expected of the whole training"
    promised = heights is not None  # below the scores
    bottom = 176.0
    height = (bottom + (104 if promised else 40)) + 4
    scores = [s for _, s in part.seen if s is not None]
    picture = Picture(
        f"{view.title}: {part.name}",
        f"{len(part.seen)} trainings tried. {view.words}",
        height,
        name=name,
    )
    # the band may be far wider than what was seen, and would flatten it
    span = max(scores) - min(scores) if len(scores) > 1 else 0.0
    room = max(span, 1e-9)
    edges = [max(v, min(scores) - 1.5 * room) for v in part.low] + [
        min(v, max(scores) + 1.5 * room) for v in part.high
    ]
    y = Axis.over([*scores, *(edges if span else [*part.low, *part.high])], bottom, 28.0)
    places: dict[Any, float]
    if part.options is None:
        x = Axis.over(part.at, LEFT, RIGHT, log=part.log, margin=0.0)
        places = {v: x(v) for v in part.at}
        picture.across(x, bottom, "" if promised else title_of(part.name), top=28.0)
    else:
        width = (RIGHT - LEFT) / len(part.options)
        places = {option: LEFT + width * (i + 0.5) for i, option in enumerate(part.options)}
        picture.line([(LEFT, bottom), (RIGHT, bottom)], "axis")
        if not promised:
            picture.text((LEFT + RIGHT) / 2, bottom + 31, title_of(part.name), "name", "middle")
        for option, at in places.items():
            picture.text(at, bottom + 15, str(option)[:8], "tick", "middle")

    def across(value: Any) -> float:
        return places.get(value, x(value) if part.options is None else LEFT)

    picture.up(y, LEFT, scale, right=RIGHT)
    mean = clipped([(places[v], y(m)) for v, m in zip(part.at, part.mean, strict=True)], 28.0, bottom)
    upper = clipped([(places[v], y(m)) for v, m in zip(part.at, part.high, strict=True)], 28.0, bottom)
    lower = clipped([(places[v], y(m)) for v, m in zip(part.at, part.low, strict=True)], 28.0, bottom)
    if part.options is None:
        picture.area(upper, lower, "band b1")
        picture.line(mean, "c1")
    else:
        for m, u, w in zip(mean, upper, lower, strict=True):
            picture.line([u, w], "c1 thin")
            picture.mark(m, "square", "c1", "", 3)
    for value, kind, down in (
        (_of(view.chosen, part.name), "chosen", False),
        (_of(view.used, part.name), "used", True),
    ):
        if value is not None and (kind == "chosen" or value != _of(view.chosen, part.name)):
            at = min(max(across(value), LEFT), RIGHT)
            picture.line([(at, 28.0), (at, bottom)], f"{kind}")
            picture.mark(
                (at, 24.0), "triangle" if not down else "diamond", kind, f"{kind}: {number_of(value)}", 4
            )
    for value, score in part.seen:
        at = across(value)
        if score is None:
            picture.mark((at, bottom - 6), "cross", "failed", f"{part.name} {number_of(value)}: diverged", 4)
        else:
            picture.mark((at, y(score)), "dot", "cf", f"{part.name} {number_of(value)}: {number(score)}", 3.5)
    following = _of(view.next, part.name)
    if heights is not None:
        base, high = bottom + 74, bottom + 38
        places_of = [places[v] for v in part.at]
        heights = [base - (base - high) * share for share in heights]
        if part.options is None:
            picture.area(list(zip(places_of, heights, strict=True)), [(a, base) for a in places_of], "gain")
            picture.line(list(zip(places_of, heights, strict=True)), "c2")
        else:
            for a, h in zip(places_of, heights, strict=True):
                picture.bar(a - 8, h, 16, base - h, "gain")
        picture.line([(LEFT, base), (RIGHT, base)], "axis")
        picture.text(4, high - 6, said, "tick")
        picture.text((LEFT + RIGHT) / 2, base + 22, title_of(part.name), "name", "middle")
        if following is not None:
            picture.mark((across(following), base + 6), "plus", "c2", f"next: {number_of(following)}", 5)
    elif following is not None:
        picture.mark((across(following), bottom - 6), "plus", "c2", f"next: {number_of(following)}", 5)
    return picture.svg()


def _of(values: Mapping[str, Any] | None, name: str) -> Any:
    return None if values is None else values.get(name)


def title_of(name: str) -> str:
    """What a dimension is called by people."""
    return {"lr": "learning rate", "batch_size": "batch size"}.get(name, name)


def number_of(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)


# Cost -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the cost. units: see `ledger`."""

    name: str
    units: float


LETTERS = "ABCDEFG"
PARTS = (
    "finding the region (scouts)",
    "finding the rate (miniatures)",
    "the training that was kept",
    "other trainings, thrown away",
    "looking at validation data",
    "trained again after an interruption",
    "the other nets that are averaged",
)


def shares(story: Story) -> tuple[list[Share], float | None]:
    """What the compute went to, and what a plain run costs, both in units; None where nobody can tell."""
    final = {o.number for o in story.course}
    final |= {m.number for o in story.course for m in story.members.get(o.number, ())}
    region, rate, kept, thrown, looking, again, others = PARTS
    with_it = joined(story)
    first = region if not has_looks(story) or any(o.role == "scout" for o in story.rollouts) else rate
    sums = dict.fromkeys(PARTS, 0.0)
    for o in story.rollouts:
        sums[looking] += units(0, o.evaluated)
        part = first if o.role in ("survey", "scout") else rate if o.role == "miniature" else thrown
        part = others if o.number in with_it else part
        sums[kept if o.number in final else part] += units(o.trained, 0)
    for repeat in story.repeats:
        sums[again] += units(repeat.trained, repeat.evaluated)
    epoch = PlainEpoch()
    for o in story.rollouts:
        epoch.hear(o)
    plain = None
    if epoch.units and not is_open(story.begin):
        plain = epoch.units * story.begin["epochs"]
    return [Share(name, value) for name, value in sums.items() if value > 0], plain


def cost_picture(story: Story) -> str | None:
    parts, plain = shares(story)
    total = sum(part.units for part in parts)
    if not total:
        return None
    widest = max(total, plain or 0.0)
    unit = plain or total
    said = "; ".join(f"{part.name} {part.units / unit:.2f}" for part in parts)
    of = "of a plain run" if plain else "of all"
    picture = Picture(
        "What the compute went to", f"In shares {of}: {said}.", 116 + 17 * len(parts), name="cost"
    )
    x = Axis(0.0, widest / unit, 6.0, RIGHT)
    at = 0.0
    picture.text(6, 16, "this run", "name")
    letters = {part.name: LETTERS[i] for i, part in enumerate(parts)}
    for part in parts:
        width, kind = part.units / unit, f"f{PARTS.index(part.name) + 1}"
        left, right = x(at), x(at + width)
        picture.bar(left, 22, right - left, 22, kind, f"{part.name}: {width:.2f}")
        if right - left > 14:
            picture.text((left + right) / 2, 37.5, letters[part.name], "letter", "middle")
        at += width
    bottom = 60.0
    if plain:
        picture.text(6, 62, "one plain training, no search", "name")
        picture.bar(6, 68, x(1.0) - 6, 12, "plain", "a plain run: 1")
        bottom = 88.0
    picture.across(x, bottom, count=4)
    for i, part in enumerate(parts):
        y = bottom + 34 + 17 * i
        picture.bar(6, y - 10.5, 13, 13, f"f{PARTS.index(part.name) + 1}")
        picture.text(12.5, y, letters[part.name], "letter", "middle")
        share = f"{part.units / unit:.2f}" if plain else f"{100 * part.units / unit:.0f} %"
        picture.text(26, y, part.name, "tick")
        picture.text(RIGHT, y, share, "tick", "end")
    return picture.svg()


# What it says of new examples -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bin:
    """Examples whose best class has a probability in [low, high): how many, its mean, and the share of right ones."""

    low: float
    high: float
    count: int
    said: float
    right: float


def reliability(probabilities: NDArray[Any], targets: NDArray[Any]) -> tuple[list[Bin], float]:
    """The bins that hold any example, and the expected calibration error (Guo et al. 2017, arXiv 1706.04599).

    probabilities: (n, k). targets: (n,) codes.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins, error = [], 0.0
    for i in range(BINS):
        among = place == i
        if among.any():
            said, met = float(confidence[among].mean()), float(right[among].mean())
            bins.append(Bin(i / BINS, (i + 1) / BINS, int(among.sum()), said, met))
            error += float(among.mean()) * abs(said - met)
    return bins, error


def reliability_picture(bins: Sequence[Bin], error: float) -> str:
    words = "; ".join(f"{b.count} examples said {b.said:.0%}, {b.right:.0%} right" for b in bins)
    picture = Picture(
        "How far its probabilities can be trusted",
        f"{words}. Calibration error {error:.1%}.",
        330,
        name="calibration",
    )
    x, y = Axis(0.0, 1.0, LEFT, RIGHT), Axis(0.0, 1.0, 216.0, 26.0)
    picture.up(y, LEFT, "share that was right", right=RIGHT, count=5)
    picture.across(x, 216.0, "", top=26.0)
    picture.line([(x(0), y(0)), (x(1), y(1))], "ideal")
    picture.line([(x(b.said), y(b.right)) for b in bins], "c1 thin")
    for b in bins:
        tip = f"{b.count} examples: said {b.said:.0%}, right {b.right:.0%}"
        picture.mark((x(b.said), y(b.right)), "dot", "c1", tip, 3 + 3 * min(1.0, b.count / 100))
    picture.text(x(0.5), 247, "probability it gave to its answer", "name", "middle")
    most = max(b.count for b in bins)
    z = Axis(0.0, float(most), 310.0, 268.0)
    for b in bins:
        left = x(b.low) + 2
        picture.bar(
            left, z(b.count), x(b.high) - x(b.low) - 4, 310 - z(b.count), "gain", f"{b.count} examples"
        )
        picture.text((x(b.low) + x(b.high)) / 2, z(b.count) - 3, str(b.count), "tick small", "middle")
    picture.line([(LEFT, 310), (RIGHT, 310)], "axis")
    picture.text(x(0.5), 324, "how many examples", "name", "middle")
    return picture.svg()


def scatter_picture(true: NDArray[Any], said: NDArray[Any], name: str, place: int) -> str:
    """Predicted against true, one target. true, said: (n,)."""
    keep = np.linspace(0, len(true) - 1, min(len(true), MOST_POINTS)).round().astype(int)
    a, b = true[keep], said[keep]
    good = np.isfinite(a) & np.isfinite(b)
    a, b = a[good], b[good]
    picture = Picture(
        f"Predicted against true: {name}",
        f"{len(a)} examples; on the diagonal a prediction is exact.",
        300,
        name=f"scatter{place}",
    )
    both = [*a.tolist(), *b.tolist()]
    x, y = Axis.over(both, LEFT + 8, RIGHT), Axis.over(both, 256.0, 26.0)
    picture.up(y, LEFT + 8, "predicted", right=RIGHT)
    picture.across(x, 256.0, "true", top=26.0)
    picture.line([(x(x.low), y(x.low)), (x(x.high), y(x.high))], "ideal")
    for p, q in zip(a.tolist(), b.tolist(), strict=True):
        picture.parts.append(f'<circle class="ring c1 point" cx="{x(p):.1f}" cy="{y(q):.1f}" r="2.5"/>')
    return picture.svg()


def heat_picture(confusion: Sequence[Sequence[int]]) -> str:
    """A confusion matrix of too many classes for a table."""
    k = len(confusion)
    side = (RIGHT - 30) / k
    picture = Picture(
        "Confusion matrix",
        f"{k} classes; a square is the darker the larger the share of its row. What lies off the diagonal is wrong.",
        30 + side * k + 30,
        name="heat",
    )
    picture.text((30 + RIGHT) / 2, 16, "said", "name", "middle")
    picture.text(4, 30 + side * k / 2, "true", "name")
    for i, row in enumerate(confusion):
        whole = sum(row) or 1
        for j, count in enumerate(row):
            if count:
                share = count / whole
                kind = "heat right" if i == j else "heat wrong"
                picture.parts.append(
                    f'<rect class="{kind}" x="{30 + side * j:.1f}" y="{24 + side * i:.1f}" width="{side:.1f}" '
                    f'height="{side:.1f}" fill-opacity="{max(0.08, share):.2f}"/>'
                )
    picture.line([(30, 24), (RIGHT, 24), (RIGHT, 24 + side * k), (30, 24 + side * k), (30, 24)], "axis")
    return picture.svg()
