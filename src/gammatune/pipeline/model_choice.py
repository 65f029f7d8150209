"""The model that a run hands over: every kind fitted as far as the table and the time allow, compared, and kept."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gammatune.engine.ensemble import Ensemble, members_of
from gammatune.errors import AllDiverged, DataWarning, JournalError
from gammatune.pipeline.data.folds import folds_of
from gammatune.pipeline.data.split import Part, Split
from gammatune.pipeline.families import aside
from gammatune.pipeline.kept import keep, keep_nets
from gammatune.pipeline.kinds import Crossed, Models, compare
from gammatune.pipeline.limits import LEAST_ROUNDS, LEAST_STRENGTHS, Limits, limits_within, rows_of
from gammatune.pipeline.load import answered
from gammatune.pipeline.models.rows import Rows
from gammatune.pipeline.refit import Refit
from gammatune.report.models import LINEAR, NET, TREES
from gammatune.seeds import stream


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """net: the networks that answer together, or the one; None where none was trained. models, folds: the SHA-256 of
    the files that `kept` wrote."""

    found: Models
    net: nn.Module | None
    models: str | None
    folds: str | None

    @property
    def event(self) -> dict[str, Any]:
        return self.found.in_event(self.models, self.folds)


def choose(
    net: nn.Module | None,
    split: Split,
    *,
    metric: str,
    class_weights: str | None,
    seed: int,
    directory: Path,
    seconds: float | None,
    refit: Refit | None,
    only: str | None,
    tell: Callable[[float, float], None],
) -> Choice:
    """net: of the run, or an `Ensemble` of its nets. directory: of the run. seconds: that it may take; None: any.
    refit: trains the network on other rows; None where that cannot be. only: the one kind that was asked for. tell:
    handed the share of the networks that are trained, and the seconds that all of them take."""
    limits = _asked(only, limits_within(seconds, split, directory, seed, _price(only, refit)))
    crossed, others, folds = None, list[nn.Module](), None
    if limits.repeats:
        crossed, others = _crossed(refit if only is None else None, split, net, limits, seed, tell)
    if others:
        folds = keep_nets([each.state_dict() for each in others], directory)
        crossed = crossed if folds is not None else None  # the disk was full: as without them
    if net is not None and folds is not None:
        net = together(net, others, classify=split.task == "classification")
    found = compare(
        None if net is None else partial(_answered, net, split.task),
        split,
        metric=metric,
        class_weights=class_weights,
        seed=seed,
        limits=limits,
        crossed=crossed,
    )
    models = keep(found.fitted, directory)
    if models is None and net is None:
        raise JournalError(
            f"{directory} does not take the model that was fitted; free the disk, and run the same again"
        )
    if models is None:
        found = replace(found, chosen=NET, best=NET)
    return Choice(found, net, models, folds)


def _price(only: str | None, refit: Refit | None) -> float | None:
    """Seconds of one more network; none of those where there are no networks."""
    if only in (LINEAR, TREES):
        return 0.0
    return None if refit is None or only == NET else refit.seconds


def _asked(only: str | None, limits: Limits) -> Limits:
    if only is None:
        return limits
    # nothing else is there to hand over, so that it is fitted however little size or time allow
    rounds = (limits.rounds or LEAST_ROUNDS) if only == TREES else 0
    strengths = (limits.strengths or LEAST_STRENGTHS) if only == LINEAR else 0
    return replace(limits, rounds=rounds, strengths=strengths)


def _crossed(
    refit: Refit | None,
    split: Split,
    net: nn.Module | None,
    limits: Limits,
    seed: int,
    tell: Callable[[float, float], None],
) -> tuple[Crossed | None, list[nn.Module]]:
    """How the rows that train and select are kept aside in turn, and networks that were each trained without one part
    of them; neither where they cannot be parted so. net: that of the run, which answers with those in the end."""
    rows = rows_of(split.train).and_(rows_of(split.select))
    labels = rows.y if split.task == "classification" else None
    folds = folds_of(labels, len(rows.y), groups=split.groups, repeats=limits.repeats, seed=seed)
    if not folds:
        return None, []
    if refit is None or net is None:
        return Crossed(folds, limits.repeats), []
    nets: list[nn.Module] = []
    for place, (taught, held) in enumerate(folds):
        chance = int(stream(seed, "folds", "net", place).integers(2**31))
        try:
            nets.append(refit(_part(rows.some(taught)), _part(rows.some(held)), chance))
        except AllDiverged as error:  # at the rate that was found for other initial weights
            warnings.warn(
                f"a network of the cross-fitting did not train ({error}); the models are compared on the rows to "
                "select by alone",
                DataWarning,
                stacklevel=2,
            )
            return None, []
        tell((place + 1) / len(folds), refit.seconds * len(folds))
    said = aside([partial(_answered, each, split.task) for each in nets], rows.x, folds)
    return Crossed(folds, limits.repeats, said, len(members_of(net)) + len(nets)), nets


def together(net: nn.Module, others: Sequence[nn.Module], *, classify: bool) -> Ensemble:
    """The network of a run, or its networks, and others."""
    device = next(net.parameters()).device
    return Ensemble([*members_of(net), *(other.to(device) for other in others)], classify=classify).eval()


def _part(rows: Rows) -> Part:
    w = None if rows.w is None else torch.from_numpy(rows.w)
    return Part(torch.from_numpy(rows.x), torch.from_numpy(rows.y), w)


def _answered(net: nn.Module, task: str, x: NDArray[Any]) -> NDArray[np.float64]:
    return answered(net, torch.from_numpy(x), task)
