"""The models of a table beside each other: a linear one, boosted trees and the network, fitted to the same rows,
compared on the same rows, and the simplest of those that are level with the best handed over.

What was fitted lies in the run directory as models.skops, and what the clock had a say in, under `--time`, as
limits.json, which is written before: whoever goes on with a run that was killed fits the same models.
"""

import hashlib
import json
import time as clock
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import JournalError, JournalWarning, require
from gammatune.files import whole_file, whole_file_of_run
from gammatune.metrics.bootstrap import Measure, lead, measured
from gammatune.metrics.predictions import Answers
from gammatune.metrics.selection import Selection, select
from gammatune.pipeline.data.split import Part, Split
from gammatune.pipeline.models.linear import ROWS as LINEAR_ROWS
from gammatune.pipeline.models.linear import STEPS, STRENGTHS, Linear, fit_linear
from gammatune.pipeline.models.trees import ROUNDS, Trees, grow, some_rows
from gammatune.pipeline.models.trees import ROWS as TREE_ROWS
from gammatune.report.models import NAMES, NET, name_of
from gammatune.seeds import stream

MODELS, LIMITS = "models.skops", "limits.json"
LINEAR, TREES, AVERAGE = "linear", "trees", "average"
KINDS = (LINEAR, TREES, NET, AVERAGE)  # the simplest first
TRIAL = 10  # rounds of boosting by which their pace is told
TIMED, WARM = 5_000, 50  # rows by which it is, and by which scikit-learn is loaded before
WORK = 2e10  # numbers looked at in fitting one kind (guess: some minutes of one core)
# What scikit-learn's boosting is made of, beside what skops knows to be harmless.
TRUSTED = (
    "functools.partial",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils.validation.check_array",
)

Answering: TypeAlias = Callable[
    [NDArray[Any]], NDArray[np.float64]
]  # rows -> probabilities, standardised targets


@dataclass(frozen=True, slots=True)
class Limits:
    """rounds: of boosting at most, of each target. strengths: of the linear model's penalty that are tried; 0: the
    model is not fitted, since the time does not allow it."""

    rounds: int = ROUNDS
    strengths: int = len(STRENGTHS)


@dataclass(frozen=True, slots=True)
class Kind:
    """One model as a report keeps it.

    selected: its value of the measure on the rows to select by. behind: by how much it is worse than the best there.
    value: on the rows that are reported on. seconds: of fitting; None of what was there already.
    """

    kind: str
    selected: float | None
    behind: Measure | None
    value: Measure | None
    seconds: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Models:
    """fitted: by kind; the average has no fit of its own. members: the kinds that it is of. reported: what each kind
    says of the rows that are reported on. best: on the examples to select by."""

    fitted: Mapping[str, Answering]
    reported: Mapping[str, Answers]
    kinds: tuple[Kind, ...]
    chosen: str
    best: str
    members: tuple[str, ...]
    metric: str
    examples: int

    def __call__(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """What the model that was chosen says of rows."""
        return answer(self.fitted, self.chosen, self.members, x)

    @property
    def name(self) -> str:
        return name_of(self.chosen, self.members)

    def in_words(self, split: Split, seed: int) -> list[str]:
        """Which was chosen and why; and how it compares with the linear model on rows that decided nothing."""
        missing = [NAMES[kind] for kind in (LINEAR, TREES) if kind not in self.fitted]
        if len(missing) == 2:
            return [
                "The network alone was trained: these rows, or the time, leave nothing to compare it with."
            ]
        if all(each.selected is None for each in self.kinds):
            return [
                f"{self.metric} has no value on the examples to select by, so the network is handed over."
            ]
        why = "best"
        if self.best != self.chosen:
            why = f"simpler than {name_of(self.best, self.members)} and level with it"
        said = [f"Handed over: {self.name}, {why} on the {self.examples} examples to select by."]
        if missing:
            said.append(
                f"{missing[0][0].upper()}{missing[0][1:]} would have taken too long, and is not among them."
            )
        if self.chosen == LINEAR or LINEAR not in self.fitted:
            return said
        mine, its = (in_unit(self.reported[kind], split) for kind in (self.chosen, LINEAR))
        gap = lead(self.metric, mine, its, stream(seed, "models", "linear"))
        if gap is None:
            return said
        way, ends = ("ahead", (gap.low, gap.high)) if gap.value >= 0 else ("behind", (-gap.high, -gap.low))
        by = f"by {abs(gap.value):.3g} [{ends[0]:.3g}, {ends[1]:.3g}]"
        how = f"{'better' if way == 'ahead' else 'worse'} than the linear model {by}"
        if gap.low <= 0 <= gap.high:
            how = f"level with the linear model, within what chance may bring ({way} {by})"
        return [*said, f"On the {len(mine)} examples that are reported on: {how}."]

    def in_event(self, sha256: str | None) -> dict[str, Any]:
        """What the report event keeps; sha256: of MODELS."""
        told = {
            "model": self.chosen,
            "members": list(self.members),
            "models": [asdict(each) for each in self.kinds],
            "metric": self.metric,
            "examples": self.examples,
            "sha256": sha256,
        }
        return {"beside": told}


def answer(
    fitted: Mapping[str, Answering], chosen: str, members: Sequence[str], x: NDArray[Any]
) -> NDArray[np.float64]:
    if chosen != AVERAGE:
        return fitted[chosen](x)
    said: NDArray[np.float64] = np.mean([fitted[kind](x) for kind in members], axis=0)
    return said


def compare(
    net: Answering,
    split: Split,
    *,
    metric: str,
    class_weights: str | None,
    seed: int,
    limits: Limits,
) -> Models:
    """Fit the others, and hold all of them against each other; the network where the measure has no value."""
    fitted: dict[str, Answering] = {}
    seconds: dict[str, float] = {}
    train, held = arrays(split.train), arrays(split.select)
    options: dict[str, Any] = {"class_weights": class_weights, "seed": seed, **_of(split)}
    for kind, fit in _others(limits):
        started = clock.perf_counter()
        fitted[kind] = fit(train, held, **options)
        seconds[kind] = clock.perf_counter() - started
    fitted[NET] = net
    selected, reported = (
        {kind: answers_of(fitted[kind](arrays(part)[0]), part, split) for kind in KINDS if kind in fitted}
        for part in (split.select, split.report)
    )
    members = _best_two(metric, {kind: in_unit(each, split) for kind, each in selected.items()})
    if members:
        selected[AVERAGE] = _averaged(selected, members, split.select, split)
        reported[AVERAGE] = _averaged(reported, members, split.report, split)
    there = list(selected)
    answers = [in_unit(each, split) for each in selected.values()]
    found = select(metric, answers, stream(seed, "models", "selection"))
    if found is None:
        net_at, unknown = there.index(NET), (None,) * len(there)
        found = Selection(metric, net_at, net_at, unknown, unknown)
    kinds = tuple(
        Kind(
            kind,
            its,
            behind,
            _measured(metric, in_unit(reported[kind], split), kind, seed),
            seconds.get(kind),
        )
        for kind, its, behind in zip(there, found.values, found.behind, strict=True)
    )
    chosen, best = there[found.chosen], there[found.best]
    return Models(fitted, reported, kinds, chosen, best, members, metric, len(held[1]))


def _others(limits: Limits) -> list[tuple[str, Callable[..., Any]]]:
    found: list[tuple[str, Callable[..., Any]]] = []
    if limits.strengths:
        found.append(
            (LINEAR, lambda *sets, **options: fit_linear(*sets, strengths=limits.strengths, **options))
        )
    if limits.rounds:
        found.append((TREES, lambda *sets, **options: grow(*sets, most=limits.rounds, **options)))
    return found


def _best_two(metric: str, answers: Mapping[str, Answers]) -> tuple[str, ...]:
    """Of the kinds, the two that are ahead by the measure; none where there are not two with a value."""
    from gammatune.metrics.catalogue import METRICS, value

    sign = 1.0 if METRICS[metric].higher_is_better else -1.0
    values = {kind: value(metric, each) for kind, each in answers.items() if each.is_finite}
    known = {kind: held for kind, held in values.items() if held is not None}
    ranked = sorted(known, key=lambda kind: -sign * known[kind])
    return tuple(ranked[:2]) if len(ranked) > 1 else ()


def _averaged(answers: Mapping[str, Answers], members: Sequence[str], part: Part, split: Split) -> Answers:
    apart = [answers[kind] for kind in members]
    mean = np.mean(
        [each.said if each.probabilities is None else each.probabilities for each in apart], axis=0
    )
    return answers_of(mean, part, split)


def _measured(metric: str, answers: Answers, kind: str, seed: int) -> Measure | None:
    if not answers.is_finite:
        return None
    return measured([metric], answers, stream(seed, "models", "report", kind))[0].get(metric)


def answers_of(said: NDArray[Any], part: Part, split: Split) -> Answers:
    """Of a part, as a network's: of a regression standardised."""
    targets = part.y.numpy()
    if split.task == "classification":
        return Answers(targets, said.argmax(axis=1), split.outputs, said)
    return Answers(targets.reshape(len(targets), -1), said.reshape(len(targets), -1))


def in_unit(answers: Answers, split: Split) -> Answers:
    """With the targets of a regression in their original unit."""
    preparing = split.preprocessing
    if split.task == "classification":
        return answers
    return answers.scaled(preparing.target_mean, preparing.target_std)


def arrays(part: Part) -> tuple[NDArray[Any], NDArray[Any]]:
    return part.x.numpy(), part.y.numpy()


def _of(split: Split) -> dict[str, Any]:
    first = split.shape[0] - len(split.preprocessing.cardinalities)
    classes = split.outputs if split.task == "classification" else 0
    return {"classes": classes, "codes": range(first, split.shape[0])}


# Time -----------------------------------------------------------------------------------------------------


def limits_within(seconds: float | None, split: Split, directory: Path, seed: int) -> Limits:
    """What the size of the table allows, and the time, told from the first rounds on some of the rows; as it was when
    it was first asked for this run."""
    path, most = directory / LIMITS, _by_size(split)
    if seconds is None or not most.rounds:
        return most
    if path.is_file():
        return Limits(**json.loads(path.read_text(encoding="utf-8")))
    limits = Limits(0, 0) if seconds <= 0 else _by_time(seconds / 2, split, seed, most)
    whole_file_of_run(path, lambda file: file.write(json.dumps(asdict(limits)).encode()), "what time allows")
    return limits


def _by_size(split: Split) -> Limits:
    """Whatever the machine: of work that is known before."""
    x, y = arrays(split.train)
    known = _of(split)
    if known["classes"] and len(np.unique(y)) < 2:  # nothing to tell apart
        return Limits(0, 0)
    outputs = known["classes"] if known["classes"] > 2 else 1 if known["classes"] else split.outputs
    cells = x.shape[1] * outputs
    rounds = int(WORK / (min(len(x), TREE_ROWS) * cells))
    strengths = int(WORK / (min(len(x), LINEAR_ROWS) * cells * STEPS)) if known["classes"] else len(STRENGTHS)
    return Limits(min(ROUNDS, max(TRIAL, rounds)), min(len(STRENGTHS), strengths))


def _by_time(seconds: float, split: Split, seed: int, most: Limits) -> Limits:
    """Each kind in so many seconds."""
    options: dict[str, Any] = {"class_weights": None, "seed": seed, **_of(split)}
    train, held = arrays(split.train), arrays(split.select)
    (few_x, few_y), whole = some_rows(train, TIMED, options["classes"], seed), len(train[0])
    for rows in (min(WARM, len(few_x)), len(few_x)):  # the first time for what is loaded
        part = few_x[:rows], few_y[:rows]
        if options["classes"] and len(np.unique(part[1])) < 2:
            continue
        started = clock.perf_counter()
        fit_linear(part, held, strengths=1, **options)
        one = (clock.perf_counter() - started) * min(whole, LINEAR_ROWS) / rows
        started = clock.perf_counter()
        grow(part, held, most=TRIAL, **options)
        # grown twice: to find the rounds, and with those
        pace = (clock.perf_counter() - started) / TRIAL * min(whole, TREE_ROWS) / rows
    return Limits(min(most.rounds, int(seconds / pace)), min(most.strengths, int(seconds / one)))


# Kept -----------------------------------------------------------------------------------------------------


def keep(models: Models, directory: Path) -> str | None:
    """Write what was fitted; the SHA-256 of the file, None where nothing was, or the disk does not take it."""
    held: dict[str, Any] = {}
    for kind, each in models.fitted.items():
        if isinstance(each, Linear):
            held[kind] = {"model": each.model, "classes": each.classes, "penalty": each.penalty}
        elif isinstance(each, Trees):
            held[kind] = {
                "boosters": list(each.boosters),
                "classes": each.classes,
                "rounds": list(each.rounds),
            }
        elif kind != NET:  # whose weights lie in the run already
            raise AssertionError(f"nobody knows how {kind} is kept")
    if not held:
        return None
    content = require("skops.io", "tables").dumps(held)
    try:
        whole_file(directory / MODELS, lambda file: file.write(content))
    except OSError as error:
        warnings.warn(
            f"cannot write the models of {directory} ({error.strerror or error}), so that the network is handed over "
            "whatever is best. Free the disk, and begin again in another directory",
            JournalWarning,
            stacklevel=2,
        )
        return None
    return hashlib.sha256(content).hexdigest()


def kept(directory: Path, sha256: str | None) -> dict[str, Answering]:
    """What `keep` wrote, by kind. Raises JournalError where it is not that, or cannot be read."""
    if sha256 is None:
        return {}
    path = directory / MODELS
    try:
        content = path.read_bytes()
    except OSError as error:
        raise JournalError(
            f"{path} cannot be read ({error.strerror or error}); allow it, or train again"
        ) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise JournalError(f"{path} is not what the run wrote; train again")
    try:
        held = require("skops.io", "tables").loads(content, trusted=list(TRUSTED))
    except (TypeError, ValueError, AttributeError, KeyError, ImportError) as error:
        raise JournalError(
            f"{path} cannot be read by this scikit-learn ({error}); install the one that the run was made with, or "
            "train again"
        ) from error
    found: dict[str, Answering] = {}
    if LINEAR in held:
        found[LINEAR] = Linear(**held[LINEAR])
    if TREES in held:
        trees = held[TREES]
        found[TREES] = Trees(tuple(trees["boosters"]), trees["classes"], tuple(trees["rounds"]))
    return found
