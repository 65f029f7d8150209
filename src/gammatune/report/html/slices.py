"""What the search believed at a decision, as pictures: one a dimension."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from gammatune.report.html.posterior import Slice, View
from gammatune.report.html.svg import LEFT, RIGHT, Axis, Picture, clipped, number

TOP, BOTTOM = 28.0, 176.0  # of the scores
HIGH, BASE = BOTTOM + 38, BOTTOM + 74  # of what is promised, below them

Across: TypeAlias = Callable[[Any], float]  # where a value of the dimension stands


def view_pictures(view: View, place: int, scale: str) -> list[str]:
    """One picture a dimension. scale: what a score is called."""
    return [_slice_picture(view, part, f"view{place}-{i}", scale) for i, part in enumerate(view.slices)]


def _slice_picture(view: View, part: Slice, name: str, scale: str) -> str:
    words = f"{len(part.seen)} trainings tried. {view.words}"
    heights, said = part.promise, "promise of a further look"
    if heights is None:
        heights, said = part.whole, "expected of the whole training"
    height = BOTTOM + (40 if heights is None else 104) + 4
    picture = Picture(f"{view.title}: {part.name}", words, height, name=name)
    y = _axis_of_scores(part)
    across = _axis_of_values(picture, part, title_of(part.name) if heights is None else "")
    picture.up(y, LEFT, scale, right=RIGHT)
    _draw_belief(picture, part, across, y)
    _draw_choice(picture, view, part.name, across)
    for value, score in part.seen:
        at, tip = across(value), f"{part.name} {number_of(value)}"
        if score is None:
            picture.mark((at, BOTTOM - 6), "cross", "failed", f"{tip}: diverged", 4)
        else:
            picture.mark((at, y(score)), "dot", "cf", f"{tip}: {number(score)}", 3.5)
    if heights is not None:
        _draw_below(picture, part, across, heights, said)
    following = _of(view.next, part.name)
    if following is not None:
        foot = BOTTOM - 6 if heights is None else BASE + 6
        picture.mark((across(following), foot), "plus", "c2", f"next: {number_of(following)}", 5)
    return picture.svg()


def _axis_of_scores(part: Slice) -> Axis:
    """The band may be far wider than what was seen, and would flatten it."""
    scores = [score for _, score in part.seen if score is not None]
    edges = [*part.low, *part.high]
    if len(scores) > 1 and (span := max(scores) - min(scores)):
        room = 1.5 * max(span, 1e-9)
        edges = [max(v, min(scores) - room) for v in part.low]
        edges += [min(v, max(scores) + room) for v in part.high]
    return Axis.over([*scores, *edges], BOTTOM, TOP)


def _axis_of_values(picture: Picture, part: Slice, title: str) -> Across:
    if part.options is None:
        x = Axis.over(part.at, LEFT, RIGHT, log=part.log, margin=0.0)
        picture.across(x, BOTTOM, title, top=TOP)
        return x
    width = (RIGHT - LEFT) / len(part.options)
    places = {option: LEFT + width * (i + 0.5) for i, option in enumerate(part.options)}
    picture.line([(LEFT, BOTTOM), (RIGHT, BOTTOM)], "axis")
    if title:
        picture.text((LEFT + RIGHT) / 2, BOTTOM + 31, title, "name", "middle")
    for option, at in places.items():
        picture.text(at, BOTTOM + 15, str(option)[:8], "tick", "middle")
    return lambda value: places.get(value, LEFT)


def _draw_belief(picture: Picture, part: Slice, across: Across, y: Axis) -> None:
    mean, upper, lower = (
        clipped([(across(v), y(height)) for v, height in zip(part.at, heights, strict=True)], TOP, BOTTOM)
        for heights in (part.mean, part.high, part.low)
    )
    if part.options is None:
        picture.area(upper, lower, "band b1")
        picture.line(mean, "c1")
        return
    for middle, high, low in zip(mean, upper, lower, strict=True):
        picture.line([high, low], "c1 thin")
        picture.mark(middle, "square", "c1", "", 3)


def _draw_choice(picture: Picture, view: View, name: str, across: Across) -> None:
    chosen, used = _of(view.chosen, name), _of(view.used, name)
    shown = [("chosen", chosen, "triangle"), *([("used", used, "diamond")] if used != chosen else [])]
    for kind, value, shape in shown:
        if value is not None:
            at = min(max(across(value), LEFT), RIGHT)
            picture.line([(at, TOP), (at, BOTTOM)], kind)
            picture.mark((at, 24.0), shape, kind, f"{kind}: {number_of(value)}", 4)


def _draw_below(picture: Picture, part: Slice, across: Across, shares: Sequence[float], said: str) -> None:
    """shares: the height over each point, of the highest."""
    along = [(across(v), BASE - (BASE - HIGH) * share) for v, share in zip(part.at, shares, strict=True)]
    if part.options is None:
        picture.area(along, [(at, BASE) for at, _ in along], "gain")
        picture.line(along, "c2")
    else:
        for at, height in along:
            picture.bar(at - 8, height, 16, BASE - height, "gain")
    picture.line([(LEFT, BASE), (RIGHT, BASE)], "axis")
    picture.text(4, HIGH - 6, said, "tick")
    picture.text((LEFT + RIGHT) / 2, BASE + 22, title_of(part.name), "name", "middle")


def _of(values: Mapping[str, Any] | None, name: str) -> Any:
    return None if values is None else values.get(name)


def title_of(name: str) -> str:
    """What a dimension is called by people."""
    return {"lr": "learning rate", "batch_size": "batch size"}.get(name, name)


def number_of(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)
