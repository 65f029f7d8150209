"""A result as a notebook shows it: a small piece of HTML that needs nothing from elsewhere.

Text and lines have the colour of the notebook's own text, so that it is legible in light and dark themes alike; no
scripts, no style sheet, nothing loaded. Every word of it is escaped: names of metrics are the user's, notes are a
program's.
"""

import math
from collections.abc import Iterable, Sequence
from html import escape

from gammatune.cost import Cost
from gammatune.course import Schedule, Stretch
from gammatune.journal.reducer import HandedBack
from gammatune.journal.wording import reasons_shown
from gammatune.records import Metrics, Outcome, Value, Verdict

ACCENT = "#3b82c4"  # contrast 4.0 with white and 4.7 with #111
FAINT = "opacity:.72"
FEW = 4  # measures
REASONS = 6  # after the first (guess: a card is looked at, not read)
MOST = 100  # epochs in the table; the others are in `result.schedule`
WIDTH, HEIGHT = 260, 64  # of a chart, in pixels
POINTS = 400  # of a curve: more than the pixels it is drawn on

Measured = Sequence[tuple[str, str]]  # (name, value in words)


def card(
    *,
    course: Sequence[Outcome],
    schedule: Schedule,
    verdicts: Sequence[Verdict],
    cost: Cost,
    rollouts: int,
    back: HandedBack | None,
    metrics: Metrics,
    measured: Measured = (),
    where: str = "",
    said: Sequence[str] = (),
) -> str:
    """back, metrics: the weights handed back, and what they score on the data to select by. measured: figures of
    them, and where: on which data. said: sentences of the run."""
    if not course or back is None:
        return _box(["<div>No epoch has been trained so far.</div>", _faint(str(cost))])
    found = _row([(name, number(metrics[name])) for name in _in_order(metrics)])
    parts = [f"<div><b>{_count(len(course), 'epoch')}</b>, {_count(rollouts, 'rollout')}</div>"]
    if measured:
        more = f", and {len(measured) - FEW} more in result.measures" if len(measured) > FEW else ""
        parts += [_row(measured[:FEW]), _faint(where + more)]
    parts += [found, _faint("on the data to select by")] if found else []
    parts.append(_faint(f"handed back: {back}"))
    charts = [_chart("learning rate", _rates(schedule))]
    scores = [(float(place + 1), outcome.score) for place, outcome in enumerate(course)]
    charts.append(_chart("score", [(at, score) for at, score in scores if score is not None]))
    parts.append(f'<div style="display:flex;flex-wrap:wrap;gap:1.5em;margin:.5em 0">{"".join(charts)}</div>')
    told = reasons(verdicts)
    parts += [f"<div>{escape(reason)}</div>" for reason in told[: 1 + REASONS]]
    if len(told) > 1 + REASONS:
        parts.append(_faint(f"and {len(told) - 1 - REASONS} more in result.verdicts"))
    parts.append(_faint(str(cost)))
    parts.append(_details("every epoch", _table(course, schedule)))
    if said:
        lines = "".join(f"<div>{escape(sentence)}</div>" for sentence in said)
        parts.append(_details("what was chosen by default", lines))
    return _box(parts)


def reasons(verdicts: Sequence[Verdict]) -> list[str]:
    """The first too, which a table of the course may leave open."""
    return list(dict.fromkeys([*(v.reason for v in verdicts[:1]), *reasons_shown(verdicts)]))


def number(value: Value) -> str:
    """Four significant digits, with as many behind the point as a share between 0 and 1 wants."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4f}" if 0.001 <= abs(value) < 1 else f"{value:.4g}"


def line(course: Sequence[Outcome], rollouts: int, cost: Cost, measured: str = "") -> str:
    """'20 epochs, 29 rollouts, selected by accuracy 0.9963, loss 0.0094; 1.45 x a plain run (...) in 2.1 s'."""
    last = course[-1].metrics if course else {}
    metrics = ", ".join(f"{name} {number(last[name])}" for name in _in_order(last))
    told = [
        _count(len(course), "epoch"),
        _count(rollouts, "rollout"),
        *([f"selected by {metrics}"] if last else []),
    ]
    return "; ".join(part for part in (measured, ", ".join(told), str(cost)) if part)


# Pieces ---------------------------------------------------------------------------------------------------


def _box(parts: Sequence[str]) -> str:
    return f'<div style="max-width:44em;line-height:1.5">{"".join(parts)}</div>'


def _faint(text: str) -> str:
    return f'<div style="{FAINT};font-size:.9em">{escape(text)}</div>'


def _row(told: Measured) -> str:
    cells = "".join(
        f'<span style="white-space:nowrap">{escape(name)} '
        f'<b style="font-variant-numeric:tabular-nums">{escape(value)}</b></span>'
        for name, value in told
    )
    return f'<div style="display:flex;flex-wrap:wrap;column-gap:1.5em">{cells}</div>' if cells else ""


def _in_order(names: Iterable[str]) -> list[str]:
    """What everybody looks at first, the loss behind it."""
    return sorted(names, key=lambda name: name == "loss")


def _details(title: str, content: str) -> str:
    return (
        f'<details><summary style="cursor:pointer">{escape(title)}</summary>'
        f'<div style="overflow-x:auto">{content}</div></details>'
    )


def _table(course: Sequence[Outcome], schedule: Schedule) -> str:
    metrics = _in_order(dict.fromkeys(name for outcome in course for name in outcome.metrics))
    chosen = list(dict.fromkeys(name for values in schedule for name in values))
    rows = [[("epoch", True), *((name, True) for name in (*chosen, *metrics, "score"))]]
    for place, (outcome, stretch) in enumerate(zip(course, schedule.stretches, strict=True)):
        if place == MOST:
            rows.append([(f"... and {len(course) - MOST} more in result.schedule", False)])
            break
        cells = [str(outcome.epoch + 1)]
        for name in chosen:
            value = stretch.values.get(name, "")
            if name.partition(".")[0] == "lr" and value != "":
                cells.append(_way(float(value), stretch))
            else:
                cells.append(number(value))
        cells += [number(outcome.metrics[name]) if name in outcome.metrics else "" for name in metrics]
        cells.append("" if outcome.score is None else number(outcome.score))
        rows.append([(cell, False) for cell in cells])
    style = "text-align:right;white-space:nowrap;padding:.1em .8em .1em 0;background:transparent"
    body = "".join(
        "<tr style='background:transparent'>"
        + "".join(
            f'<{tag} style="{style}">{escape(text)}</{tag}>'
            for text, is_head in row
            for tag in ("th" if is_head else "td",)
        )
        + "</tr>"
        for row in rows
    )
    own = "color:inherit;font-size:inherit;font-variant-numeric:tabular-nums;border:0;margin:0"
    return f'<table style="{own}">{body}</table>'


def _way(chosen: float, stretch: Stretch) -> str:
    """'0 → 0.0581 → 0.0561': what the schedule made of a rate, where it began, turned and ended."""
    return " → ".join(dict.fromkeys(f"{chosen * level:.3g}" for level in stretch.levels))


def _rates(schedule: Schedule) -> list[tuple[float, float]]:
    """(epochs trained, learning rate) along the course; empty where it has no rate of its own, or several."""
    names = {name for values in schedule for name in values if name.partition(".")[0] == "lr"}
    if names != {"lr"} or any("lr" not in values for values in schedule):
        return []
    each = max(1, POINTS // len(schedule.stretches))
    found = []
    for place, stretch in enumerate(schedule.stretches):
        turns = {progress for progress, _ in stretch.shape.knots if progress < stretch.reached}
        along = sorted({step / each * stretch.reached for step in range(each + 1)} | turns)
        for progress in along if len(schedule) <= POINTS else (0.0, stretch.reached):
            found.append((place + progress, float(stretch.values["lr"]) * stretch.shape(progress)))
    return found


def _chart(title: str, points: Sequence[tuple[float, float]]) -> str:
    """A curve with the ends of its range beside it; nothing where there is none."""
    points = [point for point in points if math.isfinite(point[1])]
    if len(points) < 2:
        return ""
    points = [*points[: -1 : max(1, len(points) // POINTS)], points[-1]]
    left, right = points[0][0], points[-1][0]
    values = [value for _, value in points]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    ways = " ".join(
        f"{(at - left) / (right - left) * WIDTH:.1f},{(1 - (value - low) / span) * HEIGHT:.1f}"
        for at, value in points
    )
    told = f"{title}, from {points[0][1]:.3g} to {points[-1][1]:.3g}, between {low:.3g} and {high:.3g}"
    return (
        f'<div style="font-size:.85em"><div>{escape(title)} <span style="{FAINT}">{low:.3g} to {high:.3g}</span>'
        f'</div><svg role="img" aria-label="{escape(told)}" width="{WIDTH}" height="{HEIGHT + 4}" '
        f'viewBox="-2 -2 {WIDTH + 4} {HEIGHT + 4}" style="max-width:100%;display:block">'
        f'<path d="M0,{HEIGHT}H{WIDTH}" stroke="currentColor" stroke-opacity=".35"/>'
        f'<polyline points="{ways}" fill="none" stroke="{ACCENT}" stroke-width="2" stroke-linejoin="round"/>'
        "</svg></div>"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
