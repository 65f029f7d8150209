"""What is minimised, and what is selected by: loss, weights of classes, metric, objective."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gammatune.engine.batches import LossFunction
from gammatune.errors import InvalidArgument, InvalidData
from gammatune.metrics.catalogue import METRICS, MetricName, imbalance, recipe, undefined
from gammatune.metrics.objectives import (
    DEFAULT_CLASSIFICATION,
    DEFAULT_OWN_LOSS,
    DEFAULT_REGRESSION,
    Objective,
    ObjectiveName,
    for_metric,
)
from gammatune.metrics.predictions import Answers
from gammatune.supervised.arguments import Arguments
from gammatune.supervised.dry_run import Task
from gammatune.supervised.evaluation import Scale
from gammatune.supervised.loaders import class_counts, targets_in, weights_in
from gammatune.supervised.loss_kinds import kind_of
from gammatune.supervised.losses import WeightedCrossEntropy, default_loss
from gammatune.supervised.sets import Sets
from gammatune.supervised.task_words import in_words


@dataclass(frozen=True, slots=True)
class Goal:
    """loss: trained with. select_loss: scored, which class weights change only where a metric was asked for.
    scale: of targets that were standardised."""

    loss: LossFunction
    select_loss: LossFunction
    metric: MetricName | None
    scale: Scale | None
    objective: ObjectiveName | Objective

    @classmethod
    def of(cls, given: Arguments, sets: Sets, task: Task, device: torch.device, said: list[str]) -> "Goal":
        """Raises InvalidArgument and InvalidData for what cannot be weighed or measured here."""
        weights = _class_weights(given.training.class_weights, task, sets)
        scale = _target_scale(given.training.target_scale, task)
        loss, ordinal = task.loss, given.training.ordinal
        of_labels = task.reading.family == "labels"
        said += in_words(task, sets, given)
        if ordinal and (not task.comparable or task.classes < 3 or not task.is_of_codes):
            raise InvalidArgument(
                "ordinal=True orders classes, three at least, and the targets are not that; leave it out"
            )
        if loss is None:
            loss = default_loss(task.classify, ordinal, of_labels=of_labels)
            name = "cross entropy" if task.classify else "the mean squared error"
            name = "the binary cross entropy of logits" if of_labels else name
            name = "the ranked probability score of classes in order" if ordinal else name
            said.append(f"The loss is {name}, by the {'targets' if given.training.task is None else 'task'}.")
        names = _class_names(given.running.facts, task.classes) if task.classify else []
        said += _about_targets(given, sets, task, names)
        metric, objective = given.metric, given.search.objective
        if metric is not None:
            if METRICS[metric].of_order and not ordinal:
                raise InvalidArgument(
                    f"metric={metric!r} needs classes in order: ordinal=True, or of a table --task ordinal or --order"
                )
            metric = _metric(metric, task, sets, scale)
            if objective is None:
                objective = for_metric(metric)
                said.append(_selecting(objective, task, names))
        select_loss = loss
        if weights is not None:
            loss = WeightedCrossEntropy(weights.to(device, sets.dtype), ordinal, of_labels=of_labels)
            select_loss = select_loss if metric is None else loss
            said.append(_weighing(weights, names, metric))
        if objective is None:
            objective = DEFAULT_CLASSIFICATION if task.classify else DEFAULT_REGRESSION
            objective = objective if task.comparable and not _may_be_negative(given) else DEFAULT_OWN_LOSS
        return cls(loss, select_loss, metric, scale, objective)


def _may_be_negative(given: Arguments) -> bool:
    kind = kind_of(given.loss_fn)
    return kind is not None and kind.may_be_negative


def _about_targets(given: Arguments, sets: Sets, task: Task, names: Sequence[str]) -> list[str]:
    """Where they cannot be compared with outputs, and where classes are of very different size."""
    if not task.comparable:
        return [
            "The model's outputs cannot be compared with the targets one to one: only the loss is scored, and "
            "there is no report."
        ]
    if (
        not task.is_of_codes
        or given.training.class_weights is not None
        or given.metric not in (None, "accuracy")
    ):
        return []
    counts = class_counts(sets.train, task.classes, weighted=sets.weighted)
    unequal = None if counts is None else imbalance(counts.tolist(), names)
    return [unequal] if unequal else []


def _weighing(weights: torch.Tensor, names: Sequence[str], metric: str | None) -> str:
    where = (
        "; selection and report are unweighted."
        if metric is None
        else ", and where weights are selected; what is reported is unweighted."
    )
    return f"The loss weighs {_weights_in_words(weights, names)}: in training{where}"


def _metric(name: MetricName, task: Task, sets: Sets, scale: Scale | None) -> MetricName:
    """Refuse, before any training, what cannot be measured here."""
    if not task.comparable:
        raise InvalidArgument(
            f"metric={name!r} needs outputs that can be compared with the targets one to one, and this loss goes "
            "without; leave metric= out"
        )
    reading, val = task.reading, sets.val
    found = recipe(name, reading.measured_as)
    targets = targets_in(val, weighted=sets.weighted)  # elsewhere the first evaluation says so
    if targets is not None and reading.ignored is None:
        codes = reading.codes(targets).detach().cpu().numpy()
        weights = weights_in(val, weighted=sets.weighted)
        if not reading.is_multilabel:
            codes = codes.ravel() if task.classify else codes.reshape(len(codes), -1)
        columns = codes.shape[1:] if reading.is_multilabel else (task.classes,)
        room = np.broadcast_to(np.float32(0), (len(codes), *columns)) if task.classify else None
        known = Answers(
            codes,
            codes,
            task.classes,
            room,
            weights=None if weights is None else weights.detach().cpu().numpy(),
        )
        reason = undefined(name, known if scale is None else known.scaled(*scale))
        if reason is not None:
            raise InvalidData(
                f"{reason}. These are the examples to select by; give others, or another metric"
            )
    return found.name


def _selecting(objective: Objective, task: Task, names: Sequence[str]) -> str:
    what = objective.needs[0]
    spec = METRICS.get(what)
    how = f"of class {names[1]}" if task.classes == 2 else "the mean over the classes"
    how = "the mean over the labels" if task.reading.is_multilabel else how
    about = f" ({how})" if spec is not None and spec.of_a_class else ""
    beside = " and the loss together" if len(objective.needs) > 1 else ""
    return f"Weights are selected by the {what}{about}{beside} ({objective.name})."


def _class_weights(given: str | Sequence[float] | None, task: Task, sets: Sets) -> torch.Tensor | None:
    if given is None:
        return None
    if not task.classify or not task.comparable:
        raise InvalidArgument(
            "class_weights= weighs classes, and the targets are not whole numbers; leave it out"
        )
    if not task.is_of_codes:
        raise InvalidArgument(
            "class_weights= weighs classes, of which each example belongs to one; weigh labels in a loss of your "
            "own, nn.BCEWithLogitsLoss(pos_weight=...)"
        )
    if task.loss is not None:
        raise InvalidArgument(
            "class_weights= goes with the default loss; weigh the classes in your own loss_fn"
        )
    k = task.classes
    if isinstance(given, str):
        if given != "balanced":
            raise InvalidArgument(f"class_weights={given!r}: write 'balanced', or give {k} positive numbers")
        counts = class_counts(sets.train, k, weighted=sets.weighted, weighed=True)
        if counts is None:
            raise InvalidArgument(
                "class_weights='balanced' must know how many examples each class has, and the targets of this "
                f"{type(sets.train).__name__} cannot be had at once; give {k} positive numbers"
            )
        present = counts > 0
        weights = np.ones(k)
        weights[present] = counts.sum() / (present.sum() * counts[present])
        return torch.as_tensor(weights)
    try:
        weights = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        weights = np.zeros(0)
    if weights.shape != (k,) or not bool((np.isfinite(weights) & (weights > 0)).all()):
        raise InvalidArgument(
            f"class_weights={given!r:.60}: give {k} positive numbers, one a class, or 'balanced'"
        )
    return torch.as_tensor(weights)


def _weights_in_words(weights: torch.Tensor, names: Sequence[str]) -> str:
    held = [f"class {name} {weight:.3g}" for name, weight in zip(names, weights.tolist(), strict=True)]
    return ", ".join(held if len(held) <= 4 else [*held[:3], f"... ({len(held)} classes)"])


def _class_names(facts: Mapping[str, Any] | None, classes: int) -> list[str]:
    """As whoever prepared the data calls them, else their codes."""
    preparing = (facts or {}).get("preprocessing")
    names = preparing.get("classes", ()) if isinstance(preparing, Mapping) else ()
    return [str(name) for name in (names if len(names) == classes else range(classes))]


def _target_scale(given: Any, task: Task) -> Scale | None:
    if given is None or np.size(given[0]) == 0:
        return None
    if task.classify:
        raise InvalidArgument("target_scale= is the scale of a regression's targets; leave it out")
    mean, std = (np.asarray(part, dtype=np.float64) for part in given)
    if not bool(np.isfinite(mean).all()) or not bool((np.isfinite(std) & (std > 0)).all()):
        raise InvalidArgument(
            f"target_scale={given!r:.80}: give finite means and positive standard deviations"
        )
    return mean, std
