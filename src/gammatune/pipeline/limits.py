"""How far the kinds of models beside a network are taken: by the size of the table, and within the time.

What the clock had a say in lies in the run directory as limits.json, which is written before anything is fitted:
whoever goes on with a run that was killed fits the same models.
"""

import json
import time as clock
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from gammatune.files import whole_file_of_run
from gammatune.pipeline.data.folds import FOLDS
from gammatune.pipeline.data.split import Part, Split
from gammatune.pipeline.families import families, on_parts
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
TRIAL = 10  # rounds of boosting by which their pace is told
TIMED, WARM = 5_000, 50  # rows by which it is, and by which scikit-learn is loaded before
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
    crossed = refit is not None and most.rounds > 0 and can_be_crossed(split)
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


def can_be_crossed(split: Split) -> bool:
    """Of rows that follow each other in time the later ones are kept aside."""
    return len(split.train.y) + len(split.select.y) < FEW_ROWS and not split.in_order


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
    return Limits(min(most, max(TRIAL, rounds)), min(len(STRENGTHS), strengths), repeats)


def _by_time(seconds: float, split: Split, seed: int, most: Limits) -> Limits:
    """Each kind in half of what the networks leave."""
    known = known_of(split, None, seed)
    train, held = rows_of(split.train), rows_of(split.select)
    few, whole = some_rows(train, TIMED, known), len(train.y)
    linear, trees = families(TRIAL, 1)
    for rows in (min(WARM, len(few.y)), len(few.y)):  # the first time for what is loaded
        part = few.some(slice(rows))
        if known.classes and len(np.unique(part.y)) < 2:
            continue
        started = clock.perf_counter()
        linear.fit(part, (STRENGTHS[0],), known)
        one = (clock.perf_counter() - started) * min(whole, LINEAR_ROWS) / rows
        started = clock.perf_counter()
        on_parts(trees, part, held, known)
        pace = (clock.perf_counter() - started) / TRIAL * min(whole, TREE_ROWS) / rows
    if most.repeats:
        each = (1 - OF_NETS) * seconds / 2 / (FOLDS * most.repeats)
        limits = _fewer(most, each / pace, each / one)
        if limits.rounds and limits.strengths:
            return limits
    return _fewer(_by_size(split), seconds / 2 / pace, seconds / 2 / one)


def _fewer(most: Limits, rounds: float, strengths: float) -> Limits:
    """As many as the time allows; a kind that it would leave hardly begun is not fitted."""
    allowed = _enough(rounds, most.rounds, LEAST_ROUNDS)
    return replace(
        most,
        rounds=allowed,
        strengths=_enough(strengths, most.strengths, LEAST_STRENGTHS),
        rounds_by_time=allowed < most.rounds,
    )


def _enough(found: float, most: int, least: int) -> int:
    return 0 if found < min(most, least) else min(most, int(found))
