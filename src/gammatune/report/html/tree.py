"""What was tried from where, and what became of it: the fork tree of a run as a picture."""

from collections.abc import Sequence

import numpy as np

from gammatune.journal.history import Story
from gammatune.journal.wording import values_in_words
from gammatune.report.html.svg import FEW, LEFT, RIGHT, Axis, Picture, Point, number
from gammatune.report.html.timeline import Lane, Node, lanes
from gammatune.report.wording import compares, rates_of

MOST_LANES = 48


def tree_picture(story: Story) -> str | None:
    """What was tried from where, and what became of it."""
    if compares(story) == "epochs":
        return _fan(story)
    found = lanes(story)
    return _rows(found) if found else None


def _rows(found: Sequence[Lane]) -> str:
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
