"""How numbers and candidates are written for people."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gammatune.records import Metrics, Outcome, Values
from gammatune.space import Choice, Space

EDGE = 0.01  # of a range, in the unit cube; guess
TRACK = 20  # characters; so that the final table fits a terminal of 80 columns


def values_in_words(values: Values) -> str:
    """'lr 0.00321, batch_size 32'."""
    return ", ".join(f"{name} {number(value)}" for name, value in values.items())


def number(value: Any) -> str:
    """Three significant digits for a float, anything else as it is."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def metrics_in_words(metrics: Metrics) -> str:
    """'accuracy 0.9561, loss 0.1234'."""
    return ", ".join(f"{name} {metrics[name]:.4f}" for name in in_order(metrics))


def in_order(names: Iterable[str]) -> list[str]:
    """The names of metrics, the ones everybody looks at first."""
    first = ("accuracy", "r2", "loss")
    return sorted(dict.fromkeys(names), key=lambda name: first.index(name) if name in first else len(first))


def place_in_range(space: Space, values: Values) -> list[str]:
    """One line a dimension: where the value stands between the ends of its range."""
    lines = []
    for name in space.names:
        options = getattr(space[name], "options", None)
        if options is not None:
            others = " ".join(f"[{o}]" if o == values[name] else str(o) for o in options)
            lines.append(f"{name}  {others}")
            continue
        dimension: Any = space[name]
        at = round(float(dimension.to_unit(values[name])[0]) * (TRACK - 1))
        track = "─" * at + "●" + "─" * (TRACK - 1 - at)
        lines.append(f"{name} {number(values[name]):<9} {dimension.low:g} {track} {dimension.high:g}")
    return lines


def at_an_edge(space: Space, course: Sequence[Outcome]) -> list[str]:
    """A line for each end of a range that half of the course or more has chosen: the best may lie beyond."""
    lines = []
    for name in space.names:
        dimension: Any = space[name]
        if isinstance(dimension, Choice) or not course:
            continue
        for end, at in (("lower", 0.0), ("upper", 1.0)):
            count = sum(abs(float(dimension.to_unit(o.values[name])[0]) - at) < EDGE for o in course)
            if 2 * count >= len(course):
                bound = dimension.low if at == 0 else dimension.high
                lines.append(
                    f"{name} was at or near the {end} end of its range, {bound:g}, in {count} of {len(course)} "
                    f"epochs; the best may lie beyond: widen it with --search {name}=..."
                )
    return lines


def failures(outcomes: list[Outcome]) -> str:
    """'2 diverged, 1 infeasible', or nothing."""
    counts = {status: sum(o.status == status for o in outcomes) for status in ("diverged", "infeasible")}
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count)


def duration(seconds: float) -> str:
    """'12.3 s', '4:05 min', '2:07:30 h'."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d} h"


def cost_in_words(end: Mapping[str, Any]) -> str:
    """'12.00 x a plain run (120.0 plain epochs)'; examples where no epoch was ever completed."""
    if end.get("plain_runs") is None:
        return f"{end['trained']:,} examples trained, {end['evaluated']:,} evaluated"
    return f"{end['plain_runs']:.2f} x a plain run ({end['plain_epochs']:.1f} plain epochs)"
