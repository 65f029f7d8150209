"""How far the kinds of models beside a network are taken: by the size of the table, and within the time.

What the clock had a say in lies in the run directory as limits.json, which is written before anything is fitted:
whoever goes on with a run that was killed fits the same models.
"""

import json
import math
import time as clock
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gammatune.files import whole_file_of_run
from gammatune.pipeline.data.folds import FOLDS
from gammatune.pipeline.data.split import Part, Split
from gammatune.pipeline.families import Family, families
from gammatune.pipeline.models.linear import ROWS as LINEAR_ROWS
from gammatune.pipeline.models.linear import STEPS, STRENGTHS
from gammatune.pipeline.models.rows import Known, Rows, some_rows
from gammatune.pipeline.models.trees import ROUNDS
from gammatune.pipeline.models.trees import ROWS as TREE_ROWS

LIMITS = "limits.json"
FEW_ROWS = 2_000  # that train and select: of fewer a single part to select by is mostly noise
REPEATS = 2  # of the cross-fitting (guess)
FEWER_ROUNDS = 300  # of boosting, in each of its parts: twenty times as many are grown (guess)
MOST_SECONDS = 600.0  # that the networks of it may take where any time is allowed (guess)
OF_NETS = 0.6  # of the time for the models, the share of those networks (guess)
# With fewer in each part one part is looked at better; with fewer in that, none (guess).
LEAST_ROUNDS, LEAST_STRENGTHS = 50, 3
FEWEST_ROUNDS = 10  # however large the table
TRIAL = 20  # rounds of boosting by which their pace is told, beside one alone
TIMED = (5_000, 500)  # rows and columns by which it is, at most
WARM = (50, 20)  # by which scikit-learn is loaded before
# of a round in that trial, which no round is taken to be faster than: a clock is rough (guess)
LEAST_PACE = 1 / 3
TRYING = 0.5  # of the time, after which no kind is tried any more
# times the rows that train are those that train and select, to which a model is fitted in the end
EVERY = 1.25
WORK = 2e10  # numbers looked at in fitting one kind (guess: some minutes of one core)


@dataclass(frozen=True, slots=True)
class Limits:
    """rounds: of boosting at most, of each target. strengths: of the linear model's penalty that are tried; 0: the
    model is not fitted, since the time does not allow it. repeats: of the cross-fitting; 0: the part to select by is
    kept aside once.

    rounds_by_time: whether they are fewer than the size alone would allow. once_by_time: whether each row would have
    been kept aside in turn in more time."""

    rounds: int = ROUNDS
    strengths: int = len(STRENGTHS)
    repeats: int = 0
    rounds_by_time: bool = False
    once_by_time: bool = False


def limits_within(
    seconds: float | None, split: Split, directory: Path, seed: int, refit: float | None = None
) -> Limits:
    """As they were when they were first asked for in this run.

    seconds: that the models may take; None: any. refit: seconds of the training of one more network, 0 where none is
    trained; None where there cannot be one.
    """
    path, most = directory / LIMITS, _by_size(split)
    are_few = len(split.train.y) + len(split.select.y) < FEW_ROWS
    # of rows that follow each other in time the later ones are kept aside
    crossed = refit is not None and most.rounds > 0 and are_few and not split.in_order
    if not most.rounds or (seconds is None and not crossed):
        return most
    if path.is_file():
        return Limits(**json.loads(path.read_text(encoding="utf-8")))
    repeats = 0
    if crossed and refit is not None:
        for_nets = MOST_SECONDS if seconds is None else OF_NETS * seconds
        repeats = min(REPEATS, int(for_nets / (FOLDS * refit))) if refit else REPEATS
    limits = _by_size(split, repeats)
    if seconds is not None:
        limits = Limits(0, 0, rounds_by_time=True) if seconds <= 0 else _by_time(seconds, split, seed, limits)
        can_be_repeated = crossed and _by_size(split, 1).repeats > 0
        limits = replace(limits, once_by_time=can_be_repeated and not limits.repeats)
    whole_file_of_run(path, lambda file: file.write(json.dumps(asdict(limits)).encode()), "what time allows")
    return limits


def known_of(split: Split, class_weights: str | None, seed: int) -> Known:
    first = split.shape[0] - len(split.preprocessing.cardinalities)
    classes = split.outputs if split.task == "classification" else 0
    return Known(classes, range(first, split.shape[0]), class_weights, seed)


def rows_of(part: Part) -> Rows:
    return Rows(part.x.numpy(), part.y.numpy(), None if part.w is None else part.w.numpy())


def _by_size(split: Split, repeats: int = 0) -> Limits:
    """Whatever the machine: of work that is known before. In every part of a cross-fitting it is done twice, to find
    the setting and with that; not at all where little of it could be done."""
    share = WORK / (2 * FOLDS * repeats or 1)
    x, y, _ = rows_of(split.train)
    classes = known_of(split, None, 0).classes
    if classes and len(np.unique(y)) < 2:  # nothing to tell apart
        return Limits(0, 0)
    cells = x.shape[1] * (classes if classes > 2 else 1 if classes else split.outputs)
    rounds = int(share / (min(len(x), TREE_ROWS) * cells))
    strengths = int(share / (min(len(x), LINEAR_ROWS) * cells * STEPS)) if classes else len(STRENGTHS)
    if repeats and (rounds < LEAST_ROUNDS or strengths < LEAST_STRENGTHS):
        return _by_size(split)
    most = FEWER_ROUNDS if repeats else ROUNDS
    return Limits(min(most, max(FEWEST_ROUNDS, rounds)), min(len(STRENGTHS), strengths), repeats)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of a fit: `start` whatever its setting, and `each` for a round of boosting or a strength."""

    start: float
    each: float

    def cost(self, steps: float, fits: float, others: float = 0.0) -> float:
        """Seconds of so many fits of so many steps, beside `others` of one; 0 of none."""
        return fits * (self.start + steps * self.each) + others * (self.start + self.each) if steps else 0.0

    def steps(self, seconds: float, fits: float, others: float = 0.0) -> float:
        """How many of them fit into the seconds."""
        if math.isinf(self.each):
            return 0.0
        left = seconds - self.cost(1, 0.0, others) - fits * self.start
        return left / (fits * self.each) if self.each else math.inf


def _by_time(seconds: float, split: Split, seed: int, most: Limits) -> Limits:
    """The linear model in half of what the networks leave, and the trial that tells the pace; trees in the rest, or
    the linear model in all of it where they are not fitted."""
    started = clock.perf_counter()
    known = known_of(split, None, seed)
    linear, trees = _paces(
        rows_of(split.train), known, lambda: clock.perf_counter() - started < TRYING * seconds
    )
    seconds -= clock.perf_counter() - started

    def fewer(most: Limits, seconds: float, fits: float, linear_fits: float, linear_others: float) -> Limits:
        def strengths(seconds: float) -> int:
            found = linear.steps(seconds, linear_fits, linear_others)
            return _enough(found, most.strengths, LEAST_STRENGTHS)

        half = strengths(seconds / 2)
        rest = seconds - linear.cost(half, linear_fits, linear_others)
        rounds = _enough(trees.steps(rest, fits), most.rounds, LEAST_ROUNDS)
        return replace(
            most,
            rounds=rounds,
            strengths=half if rounds else strengths(seconds),
            rounds_by_time=rounds < most.rounds,
        )

    if most.repeats:
        # in each part the loss at every setting, and a fit; of the linear model one more, to all rows
        parts = FOLDS * most.repeats
        limits = fewer(most, (1 - OF_NETS) * seconds, 2 * parts, parts, parts + EVERY)
        if limits.rounds and limits.strengths:
            return limits
    # the loss at every setting, a fit to the same rows, and one to all
    return fewer(_by_size(split), seconds, 2 + EVERY, 1, 1 + EVERY)


NEVER = Pace(math.inf, math.inf)  # of what there was no time to try


def _paces(train: Rows, known: Known, in_time: Callable[[], bool]) -> tuple[Pace, Pace]:
    """Of the linear model and of boosted trees, by some rows and columns: what both take goes by their numbers."""
    linear, trees = families(TRIAL, 1)
    targets = len(known.targets(train.y))
    warm, known_of_warm = _cut(train, known, *WARM)
    if len(np.unique(warm.y)) > 1 or not known.classes:  # the first time for what is loaded
        linear.fit(warm, (STRENGTHS[0],), known_of_warm)
        trees.fit(warm, (1,) * targets, known_of_warm)
    few, known_of_few = _cut(train, known, *TIMED)

    def took(family: Family, setting: Any, most: int) -> float:
        began = clock.perf_counter()
        family.fit(few, setting, known_of_few)
        more = min(len(train.y), most) / len(few.y) * train.x.shape[1] / few.x.shape[1]
        return float((clock.perf_counter() - began) * more)

    if not in_time():
        return NEVER, NEVER
    # each strength takes nearly all of a fit
    of_linear = Pace(0.0, took(linear, (STRENGTHS[0],), LINEAR_ROWS))
    if not in_time():
        return of_linear, NEVER
    one = took(trees, (1,) * targets, TREE_ROWS)
    if not in_time():
        return of_linear, NEVER
    all_ = took(trees, (TRIAL,) * targets, TREE_ROWS)
    each = max((all_ - one) / (TRIAL - 1), LEAST_PACE * all_ / TRIAL)
    return of_linear, Pace(max(0.0, one - each), each)


def _cut(rows: Rows, known: Known, most: int, columns: int) -> tuple[Rows, Known]:
    """So many rows and columns at most, of each sort of these its share."""
    rows, first = some_rows(rows, most, known), rows.x.shape[1] - len(known.codes)
    share = min(1.0, columns / rows.x.shape[1])
    numbers, codes = (
        np.linspace(start, start + count - 1, math.ceil(share * count)).astype(int)
        for start, count in ((0, first), (first, len(known.codes)))
    )
    kept = np.concatenate([numbers, codes])
    return Rows(rows.x[:, kept], rows.y, rows.w), replace(known, codes=range(len(numbers), len(kept)))


def _enough(found: float, most: int, least: int) -> int:
    """As many as the time allows; a kind that it would leave hardly begun is not fitted."""
    return 0 if found < min(most, least) else int(min(most, found))
