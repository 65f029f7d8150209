"""What a loss of torch says of what is learnt with it: of classes, of labels that are there or not, or of numbers."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

from torch import nn
from torch.nn import functional

Family: TypeAlias = Literal["classes", "labels", "numbers"]
# What the numbers are that a model gives: `log-rates` are logarithms of counts.
Outputs: TypeAlias = Literal["scores", "probabilities", "numbers", "log-rates", "means"]


@dataclass(frozen=True, slots=True)
class LossKind:
    """name: the loss in sentences. outputs: what it takes them for. elementwise: it holds each output against one
    target, so that both have one shape and are floats. may_be_negative: so that its logarithm is no objective.
    ignored: a target that it passes over. weighs: it weighs classes."""

    name: str
    family: Family
    outputs: Outputs = "scores"
    elementwise: bool = False
    may_be_negative: bool = False
    ignored: int | None = None
    weighs: bool = False


_CLASSES: tuple[Any, ...] = (
    *(nn.CrossEntropyLoss, nn.NLLLoss, nn.MultiMarginLoss, nn.KLDivLoss),
    *(functional.cross_entropy, functional.nll_loss, functional.multi_margin_loss, functional.kl_div),
)
_SCORES: tuple[Any, ...] = (
    *(nn.BCEWithLogitsLoss, nn.MultiLabelSoftMarginLoss, functional.binary_cross_entropy_with_logits),
    functional.multilabel_soft_margin_loss,
)
_PROBABILITIES: tuple[Any, ...] = (nn.BCELoss, functional.binary_cross_entropy)
_NUMBERS: tuple[Any, ...] = (
    *(nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss),
    *(functional.mse_loss, functional.l1_loss, functional.smooth_l1_loss, functional.huber_loss),
)
_COUNTS: tuple[Any, ...] = (nn.PoissonNLLLoss, functional.poisson_nll_loss)
_MEANS: tuple[Any, ...] = (nn.GaussianNLLLoss, functional.gaussian_nll_loss)
# What it is called by whoever reads of it, and what follows from it.
_KINDS: tuple[tuple[tuple[Any, ...], Mapping[str, Any]], ...] = (
    (_CLASSES, {"family": "classes"}),
    (_SCORES, {"family": "labels", "elementwise": True}),
    (_PROBABILITIES, {"family": "labels", "outputs": "probabilities", "elementwise": True}),
    (_NUMBERS, {"family": "numbers", "outputs": "numbers", "elementwise": True}),
    (_COUNTS, {"family": "numbers", "outputs": "log-rates", "elementwise": True, "may_be_negative": True}),
    (_MEANS, {"family": "numbers", "outputs": "means", "may_be_negative": True}),
)


def _is_one_of(known: tuple[Any, ...], loss: Any, function: Any) -> bool:
    return any(isinstance(loss, one) if isinstance(one, type) else function is one for one in known)


def kind_of(loss: Any) -> LossKind | None:
    """Of a loss of torch, as a module, one derived from it, a function, or a `functools.partial` of that; None of any
    other, of which nothing is known."""
    function, options = (loss.func, loss.keywords) if isinstance(loss, partial) else (loss, {})
    facts = next((facts for known, facts in _KINDS if _is_one_of(known, loss, function)), None)
    if facts is None:
        return None

    def option(name: str) -> Any:
        if isinstance(loss, nn.Module):
            return getattr(loss, name, None)
        parameter = inspect.signature(function).parameters.get(name)
        return options.get(name, None if parameter is None else parameter.default)

    told = dict(facts)
    if told.get("outputs") == "log-rates" and not option("log_input"):
        told["outputs"] = "numbers"
    name = type(loss).__name__ if isinstance(loss, nn.Module) else function.__name__
    weighs = option("weight") is not None or option("pos_weight") is not None
    return LossKind(name, ignored=option("ignore_index"), weighs=weighs, **told)
