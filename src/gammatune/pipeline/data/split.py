"""Three parts of one data set: `train` teaches, `select` chooses the learning rate, `report` is seen once.

The report part takes part in no decision, so its figures are not flattered by the search. It is the data's
own test part, or a fifth held out before anything else happens; then the training examples are cut down to
`limit`; then the select part, unless the data has one of its own, is taken from them (the thesis: 500 images, 20 % of
them validation).

Parts are drawn at random in the classes' proportions, or whole groups at a time, or in the order of time: the first
examples train, later ones select, the last ones report.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.columns import Sheet
from gammatune.pipeline.data.dataset import Data, Task
from gammatune.pipeline.data.files.dialect import Source
from gammatune.pipeline.data.layout import Shape
from gammatune.pipeline.data.preprocessing import Preprocessing, learn
from gammatune.pipeline.data.row_hints import rare_classes
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing
from gammatune.seeds import stream

# numbers of 32 bits that train and select; what is fitted holds them some six times (guess)
CELLS = 125_000_000
VALIDATION = 0.2  # thesis, table of training set-ups
TEST = 0.2  # where the data has no test part of its own [guess]

Indices: TypeAlias = NDArray[np.int64]


class Part(NamedTuple):
    """Examples x float32 (n, C, H, W) or (n, F), and y int64 (n,) or float32 (n, t). w: what each counts for, float64
    (n,), above 0, in the unit of the file; None: all the same."""

    x: torch.Tensor
    y: torch.Tensor
    w: torch.Tensor | None = None

    @property
    def pair(self) -> tuple[torch.Tensor, torch.Tensor]:
        """As `fit` takes examples."""
        return self.x, self.y


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The three parts, standardised with the statistics of `train` alone.

    said: sentences on what was done, for the user to read. groups: of the examples that train and, after them, of
    those that select; whoever parts these otherwise keeps them together. in_order: the parts follow each other in
    time, and are not to be mixed. origins: where the examples of `report` come from: the numbers of their rows in
    their file, from 1, or the names of their files; None where that is not known. source: of a table the file that
    has these rows, where there is one. sheet: of a table, what was understood of it.
    """

    name: str
    train: Part
    select: Part
    report: Part
    preprocessing: Preprocessing | TablePreprocessing
    said: tuple[str, ...]
    groups: NDArray[Any] | None = None
    in_order: bool = False
    origins: NDArray[Any] | None = None
    source: Source | None = None
    sheet: Sheet | None = None

    @property
    def task(self) -> Task:
        return self.preprocessing.task

    @property
    def ordered(self) -> bool:
        """The classes are a scale, from low to high."""
        return isinstance(self.preprocessing, TablePreprocessing) and self.preprocessing.ordered

    @property
    def weights(self) -> dict[str, NDArray[np.float64]] | None:
        """What the examples count for, as `fit` takes it."""
        sets = {"train_set": self.train, "val_set": self.select, "test_set": self.report}
        return {name: part.w.numpy() for name, part in sets.items() if part.w is not None} or None

    @property
    def shape(self) -> Shape:
        """The shape of one example as a model receives it."""
        return self.preprocessing.shape

    @property
    def outputs(self) -> int:
        """How many numbers a model must return for one example."""
        return self.preprocessing.outputs


def split_data(
    data: Data,
    *,
    seed: int,
    limit: int | None = None,
    validation: float = VALIDATION,
    like: Preprocessing | None = None,
) -> Split:
    """`data` in three parts; the same seed gives the same parts.

    limit: how many training examples to keep, select part included, in the classes' proportions; None or
    more than there are keeps all. validation: the share of them that becomes `select`, in (0, 1).
    like: standardise as this has it, for a network that was trained so, not with the statistics of `train`.
    Parts keep the classes' proportions where every class has members enough, and `said` says where not.
    Raises InvalidArgument: limit below 2, validation outside (0, 1). InvalidData: too few examples to split.
    """
    said: list[str] = []
    y = data.y_train
    has_select, has_report = data.x_select is not None, data.x_test is not None
    train, select, report = divide(
        len(y),
        name=data.name,
        seed=seed,
        said=said,
        labels=y if data.task == "classification" else None,
        limit=limit,
        validation=None if has_select else validation,
        report=not has_report,
    )
    said += [] if has_report else rare_classes(y, data.classes)
    preprocessing = replace(
        learn(data.task, data.x_train[train], y[train], data.classes),
        fit=data.fit,
        levels=data.levels,
        float_levels=data.float_levels,
    )
    if like is not None:
        preprocessing = preprocessing.following(like)
    parts = {
        "train": (data.x_train[train], y[train]),
        "select": (data.x_select, data.y_select) if has_select else (data.x_train[select], y[select]),
        "report": (data.x_test, data.y_test) if has_report else (data.x_train[report], y[report]),
    }
    said.append(sizes(*(len(x) for x, _ in parts.values())))  # type: ignore[arg-type]
    return Split(
        name=data.name,
        **{part: with_targets(preprocessing, preprocessing.inputs(x), y) for part, (x, y) in parts.items()},  # type: ignore[arg-type]
        preprocessing=preprocessing,
        said=tuple(said),
        origins=None if data.files is None else data.files if has_report else data.files[report],
    )


def sizes(train: int, select: int, report: int) -> str:
    return f"{train} examples train, {select} select the learning rate, {report} report the result."


def divide(
    n: int,
    *,
    name: str,
    seed: int,
    said: list[str],
    labels: NDArray[Any] | None = None,
    groups: NDArray[Any] | None = None,
    times: NDArray[Any] | None = None,
    limit: int | None = None,
    validation: float | None = VALIDATION,
    report: bool = True,
) -> tuple[Indices, Indices, Indices]:
    """The examples 0 .. n - 1 that train, select and report.

    labels (n,): codes whose proportions are kept. groups (n,): those of one group stay together. times (n,): later
    ones select, the last ones report; of equal ones the first in the file comes first. limit: see `split_data`.
    validation: the share of what does not report that selects; None leaves the select part empty. report: whether
    there is to be a report part.
    Raises InvalidArgument: limit, validation. InvalidData: too few examples or groups.
    """
    if limit is not None and limit < 2:
        raise InvalidArgument(
            f"limit must leave 2 examples or more, one to train and one to select, got {limit}"
        )
    if validation is not None and not 0 < validation < 1:
        raise InvalidArgument(f"validation must be a share in (0, 1), such as 0.2, got {validation!r}")
    pool = np.arange(n)
    if times is not None:
        pool = np.argsort(times, kind="stable")
    part_off = _Parting(labels, groups, in_order=times is not None, seed=seed, said=said)
    none = np.arange(0)
    held = none
    if report:
        pool, held = part_off(pool, _share(len(pool), TEST), "report")
        how = (
            ", the latest ones"
            if times is not None
            else ", whole groups of them"
            if groups is not None
            else ""
        )
        said.append(f"{name} has no test part: {len(held)} examples were held out to report on{how}.")
    if limit is not None and limit < len(pool):
        _, kept = part_off(pool, limit, "limit")
        said.append(f"Only {len(kept)} of {len(pool)} training examples are used.")
        pool = kept
    elif limit is not None and limit > len(pool):
        said.append(f"There are only {len(pool)} training examples, fewer than the limit of {limit}.")
    if validation is None:
        return pool, none, held
    train, select = part_off(pool, _share(len(pool), validation), "select")
    return train, select, held


def that_fit(
    train: Indices, select: Indices, width: int, *, seed: int, said: list[str]
) -> tuple[Indices, Indices]:
    """Of a table that would take more memory than CELLS a sample of the rows, of both parts alike and in their order.

    width: numbers a row, once it is encoded."""
    rows = len(train) + len(select)
    share = CELLS / (rows * width)
    if share >= 1:
        return train, select
    rng = stream(seed, "split", "memory")
    parts = [
        part[np.sort(rng.permutation(len(part))[: max(1, int(share * len(part)))])]
        for part in (train, select)
    ]
    said.append(
        f"{rows:,} rows of {width:,} encoded columns would take {rows * width * 4 / 1e9:.1f} GB; "
        f"{sum(map(len, parts)):,} of them, drawn at random, train and select."
    )
    return parts[0], parts[1]


def _share(n: int, share: float) -> int:
    """How many of n examples are `share` of them: at least one, and at least one is left."""
    if n < 2:
        raise InvalidData(
            f"{n} example cannot be split into a part to train on and one to judge by; give more"
        )
    return min(max(round(n * share), 1), n - 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Parting:
    """A pool of examples without some of its members, and those."""

    labels: NDArray[Any] | None
    groups: NDArray[Any] | None
    in_order: bool
    seed: int
    said: list[str]

    def __call__(self, pool: Indices, count: int, part: str) -> tuple[Indices, Indices]:
        if self.in_order:
            return pool[:-count], pool[-count:]
        chance = int(stream(self.seed, "split", part).integers(2**32))
        if self.groups is not None:
            return self._whole_groups(pool, count, chance, least=2 if part == "limit" else 1)
        return self._at_random(pool, count, chance, part)

    def _whole_groups(self, pool: Indices, count: int, chance: int, least: int) -> tuple[Indices, Indices]:
        """least: groups that are taken; of what is taken by the limit a part selects."""
        from sklearn.model_selection import GroupShuffleSplit

        assert self.groups is not None
        groups = self.groups[pool]
        there = len(np.unique(groups))
        if there < 2:
            raise InvalidData(
                f"all examples are of one group, {groups[0]!r:.40}, and cannot be split by it; give more groups"
            )
        if there <= least:
            return pool[:0], pool
        taken = min(max(math.ceil(there * count / len(pool)), least), there - 1)
        splitter = GroupShuffleSplit(1, test_size=taken, random_state=chance)
        rest, part = next(splitter.split(pool, groups=groups))
        return pool[rest], pool[part]

    def _at_random(self, pool: Indices, count: int, chance: int, part: str) -> tuple[Indices, Indices]:
        from sklearn.model_selection import train_test_split

        stratify = None
        if self.labels is not None:
            labels = self.labels[pool]
            if labels.max(initial=0) < 2**15:
                labels = labels.astype(np.int16)  # which are sorted at once
            obstacle = _why_not_stratified(labels, count)
            if obstacle is None:
                stratify = labels
            else:
                self.said.append(f"The {part} part is drawn without regard to the classes: {obstacle}.")
        rest, taken = train_test_split(pool, test_size=count, random_state=chance, stratify=stratify)
        return rest, taken


def _why_not_stratified(labels: NDArray[Any], count: int) -> str | None:
    present, members = np.unique(labels, return_counts=True)
    if members.min() < 2:
        return f"a class has {members.min()} member only"
    smaller = min(count, len(labels) - count)
    if smaller < len(present):
        return f"{smaller} examples cannot show each of {len(present)} classes"
    return None


def with_targets(preprocessing: Any, x: torch.Tensor, y: NDArray[Any], w: NDArray[Any] | None = None) -> Part:
    """y: codes of classes, or numbers, which `preprocessing` scales. w: what each example counts for, (n,)."""
    weights = None if w is None else torch.from_numpy(w.astype(np.float64))
    if preprocessing.task == "classification":
        return Part(x, torch.from_numpy(y.astype(np.int64)), weights)
    return Part(x, preprocessing.targets(y), weights)
