"""Three parts of one data set: `train` teaches, `select` chooses the learning rate, `report` is seen once.

The report part takes part in no decision, so its figures are not flattered by the search. It is the data's
own test part, or a fifth held out before anything else happens; then the training examples are cut down to
`limit`; then the select part is taken from them (the thesis: 500 images, 20 % of them validation).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gammatune.data.dataset import Data, Task
from gammatune.data.layout import Shape
from gammatune.data.preprocessing import Preprocessing, learn
from gammatune.errors import InvalidArgument, InvalidData
from gammatune.seeds import stream

VALIDATION = 0.2  # thesis, table of training set-ups
TEST = 0.2  # where the data has no test part of its own [guess]


class Part(NamedTuple):
    """Examples x float32 (n, C, H, W) or (n, F), and y int64 (n,) or float32 (n, t)."""

    x: torch.Tensor
    y: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The three parts, standardised with the statistics of `train` alone.

    said: sentences on what was done, for the user to read.
    """

    name: str
    train: Part
    select: Part
    report: Part
    preprocessing: Preprocessing
    said: tuple[str, ...]

    @property
    def task(self) -> Task:
        return self.preprocessing.task

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
    if limit is not None and limit < 2:
        raise InvalidArgument(
            f"limit must leave 2 examples or more, one to train and one to select, got {limit}"
        )
    if not 0 < validation < 1:
        raise InvalidArgument(f"validation must be a share in (0, 1), such as 0.2, got {validation!r}")
    said: list[str] = []
    y = data.y_train
    labels = y if data.task == "classification" else None
    pool = np.arange(len(y))  # indices into the training part, (n,)

    if data.x_test is None or data.y_test is None:
        pool, held = _part_off(pool, _share(len(pool), TEST), labels, seed, "report", said)
        x_report, y_report = data.x_train[held], data.y_train[held]
        said.append(f"{data.name} has no test part: {len(held)} examples were held out to report on.")
    else:
        x_report, y_report = data.x_test, data.y_test
    if limit is not None and limit < len(pool):
        said.append(f"Only {limit} of {len(pool)} training examples are used.")
        _, pool = _part_off(pool, limit, labels, seed, "limit", said)
    elif limit is not None and limit > len(pool):
        said.append(f"There are only {len(pool)} training examples, fewer than the limit of {limit}.")
    train, select = _part_off(pool, _share(len(pool), validation), labels, seed, "select", said)
    said.append(
        f"{len(train)} examples train, {len(select)} select the learning rate, "
        f"{len(y_report)} report the result."
    )

    preprocessing = learn(data.task, data.x_train[train], y[train], data.classes)
    if like is not None:
        preprocessing = preprocessing.following(like)
    return Split(
        name=data.name,
        train=_tensors(preprocessing, data.x_train[train], y[train]),
        select=_tensors(preprocessing, data.x_train[select], y[select]),
        report=_tensors(preprocessing, x_report, y_report),
        preprocessing=preprocessing,
        said=tuple(said),
    )


def _share(n: int, share: float) -> int:
    """How many of n examples are `share` of them: at least one, and at least one is left."""
    if n < 2:
        raise InvalidData(
            f"{n} example cannot be split into a part to train on and one to judge by; give more"
        )
    return min(max(round(n * share), 1), n - 1)


def _part_off(
    pool: NDArray[np.int64],
    count: int,
    labels: NDArray[Any] | None,
    seed: int,
    name: str,
    said: list[str],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`pool` without `count` of its members, and those; in the classes' proportions if that can be."""
    from sklearn.model_selection import train_test_split

    stratify = None
    if labels is not None:
        obstacle = _why_not_stratified(labels[pool], count)
        if obstacle is None:
            stratify = labels[pool]
        else:
            said.append(f"The {name} part is drawn without regard to the classes: {obstacle}.")
    rest, part = train_test_split(
        pool,
        test_size=count,
        random_state=int(stream(seed, "split", name).integers(2**32)),
        stratify=stratify,
    )
    return rest, part


def _why_not_stratified(labels: NDArray[Any], count: int) -> str | None:
    present, members = np.unique(labels, return_counts=True)
    if members.min() < 2:
        return f"a class has {members.min()} member only"
    smaller = min(count, len(labels) - count)
    if smaller < len(present):
        return f"{smaller} examples cannot show each of {len(present)} classes"
    return None


def _tensors(preprocessing: Preprocessing, x: NDArray[Any], y: NDArray[Any]) -> Part:
    if preprocessing.task == "classification":
        return Part(preprocessing.inputs(x), torch.from_numpy(y.astype(np.int64)))  # y holds codes already
    return Part(preprocessing.inputs(x), preprocessing.targets(y))
