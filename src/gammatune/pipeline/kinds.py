"""The models of a table beside each other: a linear one, boosted trees and the network, fitted to the same rows,
compared on rows that were kept aside, and the simplest of those that are level with the best handed over.

Of many rows those to select by are kept aside once; of few each row is, in turn (`Crossed`), since a choice by a few
dozen rows is mostly noise. Either way what is handed over has learnt from all rows but those that are reported on.
"""

import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammatune.metrics.bootstrap import Measure, lead, measured
from gammatune.metrics.catalogue import METRICS, value
from gammatune.metrics.predictions import Answers
from gammatune.metrics.selection import Selection, select
from gammatune.pipeline.data.split import Split
from gammatune.pipeline.families import (
    Answering,
    Folds,
    cross_fitted,
    families,
    on_parts,
)
from gammatune.pipeline.limits import Limits, known_of, rows_of
from gammatune.pipeline.models.linear import ROWS as LINEAR_ROWS
from gammatune.pipeline.models.rows import Rows
from gammatune.pipeline.models.trees import ROWS as TREE_ROWS
from gammatune.report.models import AVERAGE, LINEAR, NAMES, NET, TREES, capital, name_of
from gammatune.seeds import stream

MOST_ROWS = {LINEAR: LINEAR_ROWS, TREES: TREE_ROWS}
KINDS = (LINEAR, TREES, NET, AVERAGE)  # the simplest first


@dataclass(frozen=True, slots=True, eq=False)
class Crossed:
    """The rows that train and select, each kept aside in turn. folds: places among them. repeats: of all of it.
    aside: what networks trained without them say of them. nets: how many answer together in the end; both where there
    are any."""

    folds: Folds
    repeats: int
    aside: NDArray[np.float64] | None = None
    nets: int = 1

    @property
    def parts(self) -> int:
        return len(self.folds) // self.repeats


@dataclass(frozen=True, slots=True)
class Kind:
    """One model as a report keeps it.

    selected: its value of the measure on the rows that were kept aside. behind: by how much it is worse than the best
    there. value: on the rows that are reported on. seconds: of fitting; None of the network.
    """

    kind: str
    selected: float | None
    behind: Measure | None
    value: Measure | None
    seconds: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Models:
    """fitted: by kind; the average has no fit of its own. members: the kinds that it is of. reported: what each kind
    says of the rows that are reported on. best: on the rows that were kept aside, of which there are `examples`.
    nets: that answer together as the network."""

    fitted: Mapping[str, Answering]
    reported: Mapping[str, Answers]
    kinds: tuple[Kind, ...]
    chosen: str
    best: str
    members: tuple[str, ...]
    metric: str
    examples: int
    parts: int = 0
    repeats: int = 0
    nets: int = 1
    limits: Limits = field(default_factory=Limits)

    def __call__(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """What the model that was chosen says of rows."""
        return answer(self.fitted, self.chosen, self.members, x)

    @property
    def name(self) -> str:
        return self._name(self.chosen)

    def _name(self, kind: str) -> str:
        return name_of(kind, self.members, self.nets)

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
        said = [self._why(), *self._sampled(len(split.train.y) + len(split.select.y))]
        if missing:
            verb = "are" if missing[0] == NAMES[TREES] else "is"
            said.append(f"{capital(missing[0])} would have taken too long, and {verb} not among them.")
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

    def _why(self) -> str:
        why = "best"
        if self.best != self.chosen:
            why = f"simpler than {self._name(self.best)} and level with it"
        if not self.repeats:
            once = (
                " The time did not allow to keep every row aside in turn." if self.limits.once_by_time else ""
            )
            return f"Handed over: {self.name}, {why} on the {self.examples} examples to select by.{once}"
        times = "" if self.repeats == 1 else f", {self.repeats} times over"
        return (
            f"Handed over: {self.name}, {why} by cross-fitting: each of {self.examples} examples answered by models "
            f"that were fitted without it, {self.parts} parts{times}."
        )

    def _sampled(self, rows: int) -> list[str]:
        """Of very many rows a kind is fitted to some."""
        most = {kind: count for kind, count in MOST_ROWS.items() if kind in self.fitted and count < rows}
        return [
            f"{capital(NAMES[kind])} learnt from {count:,} of the {rows:,} rows, drawn at random."
            for kind, count in most.items()
        ]

    def in_event(self, models: str | None, nets: str | None = None) -> dict[str, Any]:
        """What the report event keeps. models, nets: the SHA-256 of the files that `kept` writes."""
        told = {
            "model": self.chosen,
            "members": list(self.members),
            "models": [asdict(each) for each in self.kinds],
            "metric": self.metric,
            "examples": self.examples,
            "sha256": models,
        }
        if self.limits.rounds_by_time and self.limits.rounds:
            told["rounds_in_time"] = self.limits.rounds
        if self.limits.once_by_time:
            told["once_by_time"] = True
        if self.repeats:
            told |= {"parts": self.parts, "repeats": self.repeats, "nets": self.nets, "folds": nets}
        return {"beside": told}


def answer(
    fitted: Mapping[str, Answering], chosen: str, members: Sequence[str], x: NDArray[Any]
) -> NDArray[np.float64]:
    if chosen != AVERAGE:
        return fitted[chosen](x)
    said: NDArray[np.float64] = np.mean([fitted[kind](x) for kind in members], axis=0)
    return said


def compare(
    net: Answering | None,
    split: Split,
    *,
    metric: str,
    class_weights: str | None,
    seed: int,
    limits: Limits,
    crossed: Crossed | None = None,
) -> Models:
    """Fit the others, and hold all of them against each other; the network where the measure has no value.

    net: what is handed over of it; None where none was trained. crossed: how rows were kept aside, where not once.
    """
    known = known_of(split, class_weights, seed)
    train, select_by, report = (rows_of(part) for part in (split.train, split.select, split.report))
    every = train.and_(select_by)
    fitted: dict[str, Answering] = {}
    said: dict[str, NDArray[np.float64]] = {}
    seconds: dict[str, float] = {}
    for family in families(limits.rounds, limits.strengths):
        started = clock.perf_counter()
        if crossed is None:
            found = on_parts(family, train, select_by, known)
        else:
            found = cross_fitted(family, every, crossed.folds, known)
        fitted[family.kind], said[family.kind] = found.whole, found.aside
        seconds[family.kind] = clock.perf_counter() - started
    if net is not None:
        fitted[NET] = net
        held = None if crossed is None else crossed.aside
        assert (held is None) == (crossed is None)  # where there is a network it has been kept from them too
        said[NET] = net(select_by.x) if held is None else held
    aside = select_by if crossed is None else every
    selected = {kind: answers_of(each, aside, split) for kind, each in said.items()}
    reported = {kind: answers_of(model(report.x), report, split) for kind, model in fitted.items()}
    members = _best_two(metric, {kind: in_unit(each, split) for kind, each in selected.items()})
    if members:
        selected[AVERAGE] = _averaged(selected, members, aside, split)
        reported[AVERAGE] = _averaged(reported, members, report, split)
    chosen = _chosen(fitted, selected, reported, members, metric, split, seed, seconds, crossed)
    return replace(chosen, limits=limits)


def _chosen(
    fitted: Mapping[str, Answering],
    selected: Mapping[str, Answers],
    reported: Mapping[str, Answers],
    members: tuple[str, ...],
    metric: str,
    split: Split,
    seed: int,
    seconds: Mapping[str, float],
    crossed: Crossed | None,
) -> Models:
    there = list(selected)
    answers = [in_unit(each, split) for each in selected.values()]
    found = select(metric, answers, stream(seed, "models", "selection"))
    if found is None:
        instead, unknown = there.index(NET) if NET in there else 0, (None,) * len(there)
        found = Selection(metric, instead, instead, unknown, unknown)
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
    return Models(
        fitted,
        reported,
        kinds,
        there[found.chosen],
        there[found.best],
        members,
        metric,
        len(answers[0]),
        *((0, 0, 1) if crossed is None else (crossed.parts, crossed.repeats, crossed.nets)),
    )


def _best_two(metric: str, answers: Mapping[str, Answers]) -> tuple[str, ...]:
    """Of the kinds, the two that are ahead by the measure; none where there are not two with a value."""
    sign = 1.0 if METRICS[metric].higher_is_better else -1.0
    values = {kind: value(metric, each) for kind, each in answers.items() if each.is_finite}
    known = {kind: held for kind, held in values.items() if held is not None}
    ranked = sorted(known, key=lambda kind: -sign * known[kind])
    return tuple(ranked[:2]) if len(ranked) > 1 else ()


def _averaged(answers: Mapping[str, Answers], members: Sequence[str], rows: Rows, split: Split) -> Answers:
    apart = [answers[kind] for kind in members]
    mean = np.mean(
        [each.said if each.probabilities is None else each.probabilities for each in apart], axis=0
    )
    return answers_of(mean, rows, split)


def _measured(metric: str, answers: Answers, kind: str, seed: int) -> Measure | None:
    if not answers.is_finite:
        return None
    return measured([metric], answers, stream(seed, "models", "report", kind))[0].get(metric)


def answers_of(said: NDArray[Any], rows: Rows, split: Split) -> Answers:
    """To these rows, as a network's: of a regression standardised."""
    n = len(rows.y)
    if split.task == "classification":
        return Answers.of_classes(rows.y, said, rows.w, ordered=split.ordered)
    return Answers(rows.y.reshape(n, -1), said.reshape(n, -1), weights=rows.w)


def in_unit(answers: Answers, split: Split) -> Answers:
    """With the targets of a regression in their original unit."""
    preparing = split.preprocessing
    if split.task == "classification":
        return answers
    return answers.scaled(preparing.target_mean, preparing.target_std)
