"""What is said of a network for a table beside its figures: what else could be had, and which columns it needs."""

import time as clock
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gammatune.engine.ensemble import Ensemble
from gammatune.engine.modes import evaluating
from gammatune.errors import InvalidData
from gammatune.journal.events import Event
from gammatune.metrics.baselines import Knowing, whether_learnt
from gammatune.metrics.catalogue import recipe
from gammatune.metrics.permutation_importance import Importance, importance
from gammatune.metrics.predictions import Answers
from gammatune.pipeline.data.folds import folds_of
from gammatune.pipeline.data.split import Part, Split
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing
from gammatune.pipeline.dependence import dependences
from gammatune.pipeline.families import aside
from gammatune.pipeline.kept import keep, keep_nets
from gammatune.pipeline.kinds import Crossed, Models, compare, in_unit
from gammatune.pipeline.limits import Limits, limits_within, rows_of
from gammatune.pipeline.load import answered
from gammatune.pipeline.models.rows import Rows
from gammatune.pipeline.refit import Refit
from gammatune.report.models import NET
from gammatune.seeds import stream

SHOWN = 5  # columns named
RANKED = 100  # columns that are permuted; of more than that, those that a gradient says matter most (guess)
LEAST = 1.0  # seconds the columns may take, however short the learning was (guess)
ENOUGH = 1_000  # examples that columns are screened by (guess)
BESIDE, COLUMNS = "a linear model and boosted trees beside the net", "what each column is worth"


@dataclass(frozen=True, slots=True)
class Allowance:
    """spent: the seconds that the learning took. left: of the time allowed; None where any was."""

    spent: float
    left: float | None

    @property
    def models(self) -> float:
        """Seconds for the other models: half of what is left of the time allowed; a guess of it where any is."""
        return max(self.spent, LEAST) if self.left is None else self.left / 2

    def columns(self, used: float) -> float:
        """Seconds for the worth of columns, not more than the learning took. used: on the trees before."""
        most = max(self.spent, LEAST)
        return most if self.left is None else min(most, max(0.0, self.left - used))


def judging_event(what: str, share: float, seconds: float) -> Event:
    """For whoever watches, not for a journal: what is done after the learning, and the seconds all of it takes."""
    return {"event": "judging", "what": what, "share": share, "seconds": seconds}


def judge(
    split: Split,
    *,
    metric: str | None,
    class_weights: str | None,
    seed: int,
    directory: Path,
    allowance: Callable[[], Allowance],
    tell: Callable[[Event], None],
    refit: Callable[[], Refit | None] = lambda: None,
) -> Callable[[Answers, nn.Module], Mapping[str, Any]]:
    """For `fit(extra=...)`: the answers of the model that is handed over, what the report event keeps of all of them
    and of the columns, and the sentences under "said".

    The other models are fitted to the same rows (`pipeline.kinds`), and each column of the report part, of many
    columns those that matter most, is permuted for the one that is chosen. directory: of the run. allowance: asked
    once the learning is over, as refit is, for what trains the network on other rows. tell: takes `judging_event`s.
    """
    preparing = split.preprocessing
    assert isinstance(preparing, TablePreprocessing)
    name = recipe(
        metric or ("accuracy" if preparing.task == "classification" else "rmse"), preparing.task
    ).name

    def look(answers: Answers, net: nn.Module) -> Mapping[str, Any]:
        started, allowed, again = clock.perf_counter(), allowance(), refit()
        tell(judging_event(BESIDE, 0.0, allowed.models))
        within = None if allowed.left is None else allowed.models
        limits = limits_within(within, split, directory, seed, None if again is None else again.seconds)
        handed, crossed, nets = net, None, None
        if again is not None and limits.repeats:
            others, crossed = cross_fitted_nets(again, split, net, limits, seed, tell)
            nets = keep_nets([each.state_dict() for each in others], directory) if others else None
            if nets is None:
                crossed = None
            else:
                handed = together(net, others, classify=preparing.task == "classification")
        models = compare(
            lambda x: answered(handed, torch.from_numpy(x), preparing.task),
            split,
            metric=name,
            class_weights=class_weights,
            seed=seed,
            limits=limits,
            crossed=crossed,
        )
        checksum = keep(models.fitted, directory)
        if checksum is None:
            models = replace(models, chosen=NET)
        told: dict[str, Any] = models.in_event(checksum, nets)
        is_net = models.chosen == NET
        subject = subject_of(handed) if is_net else models.name
        if not is_net or handed is not net:
            told["answers"] = answers = models.reported[models.chosen]
        knows = _whether_learnt(name, split, answers, seed, subject)
        told["learnt"] = None if knows is None else knows.whether
        doubt = [knows.sentence] if knows is not None and knows.sentence else []
        said = [*doubt, *models.in_words(split, seed)]
        seconds = allowed.columns(clock.perf_counter() - started)
        tell(judging_event(COLUMNS, 0.0, seconds))
        with suppress(InvalidData):  # of the measure, which has no value there; what was said above says so
            needed = _importance(models, handed, split, metric, seed, seconds, tell)
            told["importance"] = needed.to_dict()
            left = allowed.columns(clock.perf_counter() - started)
            told["dependence"] = dependences(models, split, needed, seed, left)
            said += _in_words(needed, subject)
        return told | {"said": said}

    return look


def cross_fitted_nets(
    refit: Refit, split: Split, net: nn.Module, limits: Limits, seed: int, tell: Callable[[Event], None]
) -> tuple[list[nn.Module], Crossed | None]:
    """Networks that were each trained without a part of the rows that train and select, and what they say of those;
    none where the rows cannot be parted so. net: that of the run, which answers with them in the end."""
    train, select = rows_of(split.train), rows_of(split.select)
    rows = train.and_(select)
    classify = split.task == "classification"
    folds = folds_of(
        rows.y if classify else None, len(rows.y), groups=split.groups, repeats=limits.repeats, seed=seed
    )
    nets: list[nn.Module] = []
    for place, (taught, held) in enumerate(folds):
        chance = int(stream(seed, "folds", "net", place).integers(2**31))
        nets.append(refit(_part(rows.some(taught)), _part(rows.some(held)), chance))
        tell(judging_event(BESIDE, (place + 1) / len(folds), refit.seconds * len(folds)))
    if not folds:
        return [], None
    answering = [partial(_answered, each, split.task) for each in nets]
    count = len(nets) + (len(net.members) if isinstance(net, Ensemble) else 1)
    return nets, Crossed(folds, limits.repeats, aside(answering, rows.x, folds), count)


def _part(rows: Rows) -> Part:
    w = None if rows.w is None else torch.from_numpy(rows.w)
    return Part(torch.from_numpy(rows.x), torch.from_numpy(rows.y), w)


def _answered(net: nn.Module, task: str, x: NDArray[Any]) -> NDArray[np.float64]:
    return answered(net, torch.from_numpy(x), task)


def together(net: nn.Module, others: Sequence[nn.Module], *, classify: bool) -> Ensemble:
    """The network of a run, or its networks, and those of the cross-fitting."""
    device = next(net.parameters()).device
    own = list(net.members) if isinstance(net, Ensemble) else [net]
    return Ensemble([*own, *(other.to(device) for other in others)], classify=classify).eval()


def _importance(
    models: Models,
    net: nn.Module,
    split: Split,
    metric: str | None,
    seed: int,
    seconds: float,
    tell: Callable[[Event], None],
) -> Importance:
    preparing, rows = split.preprocessing, rows_of(split.report)
    scale = None if preparing.task == "classification" else (preparing.target_mean, preparing.target_std)
    return importance(
        models,
        rows.x,
        rows.y,
        sample_weight=rows.w,
        metric=metric,
        seed=seed,
        groups=screened(net, split),
        first=RANKED,
        seconds=seconds,
        tell=lambda share, whole: tell(judging_event(COLUMNS, share, whole)),
        target_scale=scale,
    )


def _whether_learnt(metric: str, split: Split, answers: Answers, seed: int, subject: str) -> Knowing | None:
    rows = rows_of(split.train)
    train = rows.y if split.task == "classification" else split.preprocessing.original_targets(rows.y)
    chance = stream(seed, "rivals", "nothing")
    return whether_learnt(metric, train, in_unit(answers, split), chance, subject, rows.w)


def subject_of(net: nn.Module) -> str:
    """What sentences call it."""
    return f"the average of {len(net.members)} networks" if isinstance(net, Ensemble) else "the network"


def screened(net: nn.Module, split: Split) -> dict[str, Sequence[int]]:
    """The columns of the table by name, as `importance` takes them; more than RANKED in the order in which a gradient
    says that the network's outputs depend on them.

    How far the outputs would move, to first order, if a column were permuted: |d output / d x| |x' - x|, the mean
    over the examples. One pass forward and back for all columns. Chosen by a throw-away comparison with F tests and
    the weights of the first layer, a lead and no proof (docs/diary.md, "Screening columns").
    """
    preparing = split.preprocessing
    assert isinstance(preparing, TablePreprocessing)
    spans: dict[str, Sequence[int]] = dict(preparing.spans)
    if len(spans) <= RANKED:
        return spans
    moved = _moved(net, split.report.x[:ENOUGH], len(preparing.cardinalities))
    return dict(sorted(spans.items(), key=lambda item: -float(moved[list(item[1])].sum())))


def _moved(net: nn.Module, x: torch.Tensor, codes: int) -> NDArray[np.float64]:
    """(F,): how far the outputs would move, to first order, if a column of x (n, F) were permuted.

    codes: how many of the last columns are codes. They reach the network through embeddings, one a column in their
    order (of several nets one after the other), and the gradient is taken there; where they do not, nothing is known
    of them, and they come first.
    """
    device = next(net.parameters()).device
    order = torch.as_tensor(stream(0, "importance", "screen").permutation(len(x)), device=device)
    met: list[torch.Tensor] = []
    hooks = [
        module.register_forward_hook(lambda module, given, out: met.append(out))
        for module in net.modules()
        if isinstance(module, nn.Embedding)
    ]
    try:
        with evaluating(net), torch.enable_grad():
            rows = x.to(device, copy=True).requires_grad_()
            out = net(rows).flatten(1)
            if out.shape[1] > 1:  # of classes: what raises all alike says nothing
                out = out - out.mean(dim=1, keepdim=True)
            inputs = [rows, *met]
            gradients = torch.autograd.grad(out.abs().sum(), inputs, allow_unused=True)
    finally:
        for hook in hooks:
            hook.remove()
    moved = []
    for given, gradient in zip(inputs, gradients, strict=True):
        change = (given[order] - given).detach()
        moved.append(torch.zeros_like(change) if gradient is None else gradient * change)
    found = moved[0].abs().mean(dim=0).double().cpu().numpy()
    if codes:
        nets = len(net.members) if isinstance(net, Ensemble) else 1
        known = len(met) == nets * codes and all(len(out) == len(x) for out in met)
        embedded = [part.flatten(1).sum(dim=1) for part in moved[1:]]
        together = [sum(embedded[place::codes], torch.zeros(())) for place in range(codes)] if known else []
        found[-codes:] = [float(part.abs().mean()) for part in together] if known else np.inf
    return found


def _in_words(found: Importance, subject: str) -> list[str]:
    count = len(found.features)
    said = []
    if found.unranked:
        all_ = count + found.unranked
        said.append(
            f"Of {all_:,} columns {count} were ranked, those on which the outputs of the network depend most by "
            f"their gradient; the other {found.unranked:,} are unranked."
        )
    needed = [feature for feature in found.features if feature.is_needed]
    if not needed:
        which = f"of these {count} " if found.unranked else ""
        return [
            f"No single column {which}is needed by {subject}: shuffling any of them changes little.",
            *said,
        ]
    listed = ", ".join(f"{feature.name} {feature.mean:.2g}" for feature in needed[:SHOWN])
    return [f"Needed most ({found.metric} lost when the column is shuffled): {listed}.", *said]
