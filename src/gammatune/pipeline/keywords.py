"""The options of `gammatune train` as keyword arguments of `gammatune.fit` and `gammatune.read_table`.

They are the fields of `pipeline.options.Options`, by the same names; here is which other values of Python are taken
for them, and their types for editors.
"""

import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import Field, fields
from typing import Any, Literal, TypeAlias, TypedDict, get_args

import numpy as np
import torch

from gammatune.errors import InvalidArgument
from gammatune.metrics.catalogue import MetricName
from gammatune.metrics.objectives import ObjectiveName
from gammatune.pipeline.data.columns import Kind
from gammatune.pipeline.data.dataset import Label, TargetTask
from gammatune.pipeline.data.images.framing import Fit
from gammatune.pipeline.options import Options, seconds_in
from gammatune.policy.registry import PolicyName
from gammatune.samplers import SamplerName
from gammatune.schedules import ScheduleName
from gammatune.supervised.optimizers import OptimizerName
from gammatune.tuning.options import Keep, positive, unexpected

OF_COLUMNS = ("target", "group", "time_column", "sample_weight")
PathOrText: TypeAlias = str | os.PathLike[str]


class TableOptions(TypedDict, total=False):
    """What says how a table is read: see `gammatune train --help`, "Tables".

    drop: the names of columns. column: what some of them are, such as {"zip": "category"}.
    """

    positive: Label | None
    order: str | None
    exact_labels: bool
    group: str | None
    time_column: str | None
    sample_weight: str | None
    drop: str | Sequence[str] | None
    column: Mapping[str, Kind] | Sequence[str] | None
    columns: PathOrText | None
    task: TargetTask | None
    missing: str | None
    sheet: str | None
    header: int | None
    encoding: str | None
    delimiter: str | None
    decimal: Literal[",", "."] | None
    skip_last: int | None


class TrainOptions(TableOptions, total=False):
    """All of it: see `gammatune train --help`.

    test: a frame, a path, or what `gammatune.read_table` gave. time: seconds, or text such as "5m".
    """

    test: Any
    only: str | None
    validation: float
    limit: int | None
    image_size: int | None
    fit: Fit | None
    labels: PathOrText | None
    metric: MetricName | None
    class_weights: Literal["balanced"] | None
    objective: ObjectiveName | None
    lam: float
    keep: Keep
    epochs: int | None
    budget: float | None
    total_epochs: float | None
    time: float | str | None
    patience: int | None
    model: PathOrText
    weights: PathOrText | None
    freeze: str | Sequence[str] | None
    optimizer: OptimizerName | Literal["auto"]
    lr: float | None
    batch_size: int | None
    weight_decay: float | None
    policy: PolicyName | str
    schedule: ScheduleName | None
    sampler: SamplerName | str
    ensemble: bool | None
    search: str | Sequence[str] | None
    seed: int
    device: str | torch.device | None
    threads: int | None
    parallel: str | None
    workers: int | None
    at_once: int | None


def options_of(call: str, data: str, given: Mapping[str, Any], known: Sequence[str]) -> Options:
    """data: as a journal calls it. known: the names that may be among those given.

    Raises TypeError at another name, as Python does of what is called, `call`; InvalidArgument at a value of another
    type.
    """
    for name in given:
        if name not in known:
            raise unexpected(call, name, known)
    declared = {each.name: each for each in fields(Options)}
    return Options(data, **{name: _plain(declared[name], value) for name, value in given.items()})


def names_of(kind: type) -> tuple[str, ...]:
    """Those of a `TypedDict`, and the target."""
    return ("target", *kind.__annotations__)


def _plain(option: "Field[Any]", value: Any) -> Any:
    """As the command line would have it, so that a journal can keep it."""
    name, types = option.name, get_args(option.type) or (option.type,)
    if value is None and type(None) in types:
        return None
    if name == "time":
        return seconds_in(value) if isinstance(value, str) else positive(value, name)
    if name == "column" and isinstance(value, Mapping):
        return [f"{column}={kind}" for column, kind in value.items()]
    if any(get_args(kind) for kind in types):  # a list of text
        return [value] if isinstance(value, str) else [_text(name, each) for each in _listed(name, value)]
    if bool in types:
        if not isinstance(value, (bool, np.bool_)):
            raise InvalidArgument(f"{name}={value!r:.60}: give True or False")
        return bool(value)
    if str in types:
        return _text(name, value)
    return _number(name, value, whole=int in types)


def _listed(name: str, value: Any) -> list[Any]:
    if not isinstance(value, Sequence):
        raise InvalidArgument(f"{name}={value!r:.60}: give text, or a list of it")
    return list(value)


def _text(name: str, value: Any) -> str:
    """Of a label, or of a column that is called by a number, too."""
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if not isinstance(value, (str, bool, int, float, np.generic, torch.device)):
        raise InvalidArgument(f"{name} is a {type(value).__name__}: give text{_instead(name)}")
    return str(value)


def _instead(name: str) -> str:
    return ", the name of a column of the same table" if name in OF_COLUMNS else ""


def _number(name: str, value: Any, *, whole: bool) -> int | float:
    what = "a whole number" if whole else "a number"
    try:
        if isinstance(value, (bool, str)):
            raise TypeError
        return operator.index(value) if whole else float(value)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"{name}={value!r:.60}: give {what}") from error
