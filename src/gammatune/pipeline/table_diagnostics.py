"""What is said of a network for a table beside its figures: what else could be had, and which columns it needs."""

import time as clock
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gammatune.engine.ensemble import members_of
from gammatune.engine.modes import evaluating
from gammatune.errors import InvalidData
from gammatune.journal.events import Event
from gammatune.metrics.baselines import Knowing, whether_learnt
from gammatune.metrics.catalogue import recipe
from gammatune.metrics.permutation_importance import MOST, REPEATS, Importance, importance
from gammatune.metrics.predictions import Answers
from gammatune.pipeline.data.split import Split
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing
from gammatune.pipeline.dependence import dependences
from gammatune.pipeline.families import Answering
from gammatune.pipeline.kinds import Models, in_unit
from gammatune.pipeline.limits import rows_of
from gammatune.pipeline.model_choice import choose
from gammatune.pipeline.refit import Refit
from gammatune.report.models import AVERAGE, LINEAR, NET, TREES, name_of
from gammatune.seeds import stream

SHOWN = 5  # columns named
RANKED = 100  # columns that are permuted; of more than that, those that a gradient says matter most (guess)
LEAST = 1.0  # seconds the columns may take, however short the learning was (guess)
ENOUGH = 1_000  # examples that columns are screened by (guess)
FEW = 32  # where a network's gradient cannot tell (guess)
CELLS = 2_000_000  # numbers that are looked at together there, some 16 MB; between them the clock is asked
BESIDE, COLUMNS = "a linear model and boosted trees beside the net", "what each column is worth"
ALONE = {LINEAR: "a linear model", TREES: "boosted trees"}  # where it is all that is fitted


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
    only: str | None = None,
) -> Callable[[Answers | None, nn.Module | None], Mapping[str, Any]]:
    """For `fit(extra=...)`: the answers of the model that is handed over, what the report event keeps of all of them
    and of the columns, and the sentences under "said".

    The other models are fitted to the same rows (`pipeline.kinds`), and each column of the report part, of many
    columns those that matter most, is permuted for the one that is chosen. directory: of the run. allowance: asked
    once the learning is over, as refit is, for what trains the network on other rows. tell: takes `judging_event`s.
    """
    preparing = split.preprocessing
    assert isinstance(preparing, TablePreprocessing)
    name = _measure(metric, split)

    def look(answers: Answers | None, net: nn.Module | None) -> Mapping[str, Any]:
        started, allowed = clock.perf_counter(), allowance()
        fitted = ALONE.get(only or "", BESIDE)
        tell(judging_event(fitted, 0.0, allowed.models))
        choice = choose(
            net,
            split,
            metric=name,
            class_weights=class_weights,
            seed=seed,
            directory=directory,
            seconds=None if allowed.left is None else allowed.models,
            refit=refit(),
            only=only,
            tell=lambda share, whole: tell(judging_event(fitted, share, whole)),
        )
        models, told = choice.found, choice.event
        subject = models.name
        if models.chosen == NET and choice.net is not None:
            subject = name_of(NET, (), len(members_of(choice.net)))
        if models.chosen != NET or choice.net is not net:
            told["answers"] = answers = models.reported[models.chosen]
        assert answers is not None
        knows = _whether_learnt(name, split, answers, seed, subject)
        told["learnt"] = None if knows is None else knows.whether
        doubt = [knows.sentence] if knows is not None and knows.sentence else []
        said = [*doubt, *(models.in_words(split, seed) if only is None else ())]

        def left() -> float:
            return allowed.columns(clock.perf_counter() - started)

        worth, about = _columns(models, choice.net, split, metric, seed, left, tell, subject)
        return told | worth | {"said": [*said, *about]}

    return look


def _columns(
    models: Models,
    net: nn.Module | None,
    split: Split,
    metric: str | None,
    seed: int,
    left: Callable[[], float],
    tell: Callable[[Event], None],
    subject: str,
) -> tuple[dict[str, Any], list[str]]:
    """What a report event keeps of the worth of columns, and sentences. left: the seconds that they may take."""
    if not _can_ask(models, split, left):
        return {}, ["The time left none to look at what each column is worth."]
    tell(judging_event(COLUMNS, 0.0, left()))
    with suppress(InvalidData):  # of the measure, which has no value there; what was said before says so
        needed = _importance(models, net, split, metric, seed, left(), tell)
        told: dict[str, Any] = {}
        if not _hardly_begun(needed):
            told["importance"] = needed.to_dict()
            told["dependence"] = dependences(models, split, needed, seed, left())
        return told, _in_words(needed, subject)
    return {}, []


def _can_ask(models: Models, split: Split, left: Callable[[], float]) -> bool:
    """Whether the time is enough to ask as often as one column takes."""
    before = left()
    if before <= 0:
        return False
    models(split.report.x[:MOST].numpy())
    after = left()
    return after > (REPEATS + 2) * (before - after)


def _measure(metric: str | None, split: Split) -> str:
    """By which models are compared: the one asked for, else what a mistake costs."""
    usual = "rmse" if split.task == "regression" else "steps" if split.ordered else "accuracy"
    return recipe(metric or usual, split.task).name


def _importance(
    models: Models,
    net: nn.Module | None,
    split: Split,
    metric: str | None,
    seed: int,
    seconds: float,
    tell: Callable[[Event], None],
) -> Importance:
    preparing, rows = split.preprocessing, rows_of(split.report)
    scale = None if preparing.task == "classification" else (preparing.target_mean, preparing.target_std)
    started = clock.perf_counter()
    groups = screened(models, net, split, seconds / 2)
    return importance(
        models,
        rows.x,
        rows.y,
        sample_weight=rows.w,
        ordered=split.ordered,
        metric=metric,
        seed=seed,
        groups=groups,
        first=RANKED,
        seconds=max(0.0, seconds - (clock.perf_counter() - started)),
        tell=lambda share, whole: tell(judging_event(COLUMNS, share, whole)),
        target_scale=scale,
    )


def _whether_learnt(metric: str, split: Split, answers: Answers, seed: int, subject: str) -> Knowing | None:
    rows = rows_of(split.train)
    train = rows.y if split.task == "classification" else split.preprocessing.original_targets(rows.y)
    chance = stream(seed, "rivals", "nothing")
    return whether_learnt(metric, train, in_unit(answers, split), chance, subject, rows.w)


def screened(
    models: Models, net: nn.Module | None, split: Split, seconds: float | None = None
) -> dict[str, Sequence[int]]:
    """The columns of the table by name, as `importance` takes them; more than RANKED in the order in which the
    answers of the model that is handed over move where a column is permuted, of an average in the better of two.

    Of a network to first order, |d output / d x| |x' - x|, the mean over examples: one pass forward and back for all
    columns. Chosen by a throw-away comparison with F tests and the weights of the first layer, a lead and no proof
    (docs/diary.md, "Screening columns"). Of others by permuting each for a few examples (FEW), within `seconds`: the
    columns for which they do not last come last.
    """
    preparing = split.preprocessing
    assert isinstance(preparing, TablePreprocessing)
    spans: dict[str, Sequence[int]] = dict(preparing.spans)
    if len(spans) <= RANKED:
        return spans
    orders = []
    for kind in models.members if models.chosen == AVERAGE else (models.chosen,):
        if kind == NET and net is not None:
            moved = _moved(net, split.report.x[:ENOUGH], len(preparing.cardinalities))
            by_column = [float(moved[list(span)].sum()) for span in spans.values()]
        else:
            few = split.report.x[:FEW].numpy()
            by_column = _moved_apart(models.fitted[kind], few, list(spans.values()), seconds)
        orders.append(np.argsort(np.argsort(-np.asarray(by_column), kind="stable")))
    first = np.min(orders, axis=0)
    names = list(spans)
    return {names[place]: spans[names[place]] for place in np.argsort(first, kind="stable")}


def _moved_apart(
    model: Answering, x: NDArray[Any], spans: Sequence[Sequence[int]], seconds: float | None
) -> list[float]:
    """How far the answers to x (n, F) move where each span of columns is permuted by itself; many at a time.
    seconds: after which the others are taken not to move them; None: all are looked at."""
    order = stream(0, "importance", "screen").permutation(len(x))
    before, at_once = model(x), max(1, CELLS // x.size)
    found, started = list[float](), clock.perf_counter()
    while len(found) < len(spans):
        if found and seconds is not None and clock.perf_counter() - started > seconds:
            return [*found, *[0.0] * (len(spans) - len(found))]
        some = spans[len(found) : len(found) + (at_once if found else 1)]  # one tells how long they take
        moved = np.tile(x, (len(some), 1, 1))
        for copy, span in zip(moved, some, strict=True):
            copy[:, list(span)] = x[order][:, list(span)]
        after = model(moved.reshape(-1, x.shape[1])).reshape(len(some), *before.shape)
        found += np.abs(after - before).mean(axis=(1, 2)).tolist()
    return found


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
        nets = len(members_of(net))
        known = len(met) == nets * codes and all(len(out) == len(x) for out in met)
        embedded = [part.flatten(1).sum(dim=1) for part in moved[1:]]
        together = [sum(embedded[place::codes], torch.zeros(())) for place in range(codes)] if known else []
        found[-codes:] = [float(part.abs().mean()) for part in together] if known else np.inf
    return found


def _in_order_of_file(found: Importance) -> bool:
    """Whether the time ended a look at columns that nothing had put in order before (`screened`)."""
    return 0 < found.unranked <= RANKED - len(found.features)


def _hardly_begun(found: Importance) -> bool:
    """Whether the columns that the time was enough for say nothing of which is needed most: fewer than half."""
    return _in_order_of_file(found) and len(found.features) < found.unranked


def _in_words(found: Importance, subject: str) -> list[str]:
    count = len(found.features)
    said = []
    all_ = count + found.unranked
    if _in_order_of_file(found):
        said.append(
            f"The time was enough for {count} of {all_} columns, the first in the file: nothing is known of the "
            f"other{'s' if found.unranked > 1 else ''}."
        )
        if _hardly_begun(found):
            return said
    elif found.unranked:
        said.append(
            f"Of {all_:,} columns {count} were ranked, those on which the answers depend most by a first look; "
            f"the other {found.unranked:,} are unranked."
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
