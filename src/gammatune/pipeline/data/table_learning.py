"""What the training rows of a table teach: a `TablePreprocessing`."""

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np
from numpy.typing import NDArray

from gammatune.pipeline.data.cells.amounts import numbers_in
from gammatune.pipeline.data.cells.spelling import spellings
from gammatune.pipeline.data.columns import LEVELS, Column
from gammatune.pipeline.data.frame_rows import FrameRows
from gammatune.pipeline.data.table_encoding import CYCLES, Category, Date, Encoded, Number, Part
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing
from gammatune.pipeline.data.values import counts_of, dates_in, days_of, place_in_cycle

if TYPE_CHECKING:
    import pandas as pd


def learn_table(
    known: TablePreprocessing,
    frame: "pd.DataFrame | FrameRows",
    y: NDArray[Any],
    columns: Sequence[Column],
    said: list[str],
    *,
    ordered_by: str | None = None,
) -> TablePreprocessing:
    """`known` with what training rows and their targets teach.

    y: codes (n,) for a classification, targets (n, 1) for a regression, in any order. said: takes which spellings of
    levels are one. ordered_by: the column of dates by which the parts of the data follow each other; its trend is
    left out, since every later row lies beyond those trained on.
    """
    learned: list[Encoded] = []
    for column in columns:
        values = frame[column.name]
        match column.kind:
            case "number":
                numbers = numbers_in(values, column.form, column.missing)
                flagged = bool(np.isnan(numbers).any())
                learned.append(Number(column.name, *_robust(numbers), flagged, column.form, column.missing))
            case "date":
                date = _learn_date(column, values, trend=column.name != ordered_by)
                learned += [] if date is None else [date]
            case "category" | "drop":  # categories come last
                pass
            case _:
                assert_never(column.kind)
    learned += [_learn_category(c.name, frame[c.name], said) for c in columns if c.kind == "category"]
    learned_all = replace(known, columns=tuple(learned))
    if known.task == "classification":
        return learned_all
    return replace(learned_all, target_mean=(float(y.mean()),), target_std=(float(y.std() or 1.0),))


def _robust(values: NDArray[np.float64]) -> tuple[float, float]:
    """Median and interquartile range of what is not missing; half the range where three quarters are equal,
    else 1."""
    present = values[~np.isnan(values)]
    if not len(present):
        return 0.0, 1.0
    last = len(present) - 1
    present.partition(sorted({min(last * k // 4 + more, last) for k in (1, 2, 3) for more in (0, 1)}))
    low, high = (_between(present, share) for share in (0.25, 0.75))
    scale = high - low
    if not scale > 0:
        scale = float(np.ptp(present)) / 2 or 1.0
    middle = present[last // 2 : len(present) // 2 + 1]  # one of an odd number, else two
    return float(middle.mean()), scale


def _between(ordered: NDArray[np.float64], share: float) -> float:
    """The quantile, as numpy has it, of numbers that are in order about it."""
    place = (len(ordered) - 1) * share
    below = int(place)
    low, high, part = ordered[below], ordered[min(below + 1, len(ordered) - 1)], place - below
    return float(high - (high - low) * (1 - part) if part >= 0.5 else low + (high - low) * part)


def _learn_category(name: str, values: "pd.Series[Any]", said: list[str]) -> Category:
    found = counts_of(values)
    one = spellings(found)
    said += one.said(name)
    counts: Counter[str] = found
    if one.one:
        counts = Counter()
        for text, count in found.items():
            counts[one(text)] += count
    if len(counts) > LEVELS:  # of very many most are not to be sorted
        least = heapq.nlargest(LEVELS, counts.values())[-1]
        counts = Counter({level: count for level, count in counts.items() if count >= least})
    # of equal counts by name, so that nothing depends on the order of rows
    levels = sorted(counts, key=lambda level: (-counts[level], level))[:LEVELS]
    return Category(name, tuple(levels))


def _learn_date(column: Column, values: "pd.Series[Any]", *, trend: bool) -> Date | None:
    dates = dates_in(values, column.format)
    days = days_of(dates)
    parts: list[Part] = ["trend"] if trend else []
    for part in CYCLES:
        places = place_in_cycle(dates, part)
        known = places[places >= 0]
        parts += [part] if len(known) and known.min() < known.max() else []
    if not parts:
        return None
    centre, scale = _robust(days)
    return Date(column.name, column.format, tuple(parts), centre, scale, bool(np.isnan(days).any()))
