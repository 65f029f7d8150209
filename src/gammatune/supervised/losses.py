"""The losses that are trained with where nobody gives one, and those of torch with what they do not take themselves.

Each takes (output, target), or (output, target, weight) where examples have weights, (n,); it gives the mean over the
examples of what each lost, times its weight. Not over the sum of the weights: there an example would weigh by what
else is in its batch, and one of a rare class nothing more than others in a batch of its own.
"""

import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gammatune.engine.batches import LossFunction
from gammatune.errors import InvalidArgument
from gammatune.supervised.loss_kinds import LossKind
from gammatune.supervised.reading import logits_in


def default_loss(classify: bool, in_order: bool = False, *, of_labels: bool = False) -> LossFunction:
    """Cross entropy, of ordered classes the ranked probability score, of labels the binary cross entropy of logits,
    or the mean squared error."""
    if of_labels:
        return _of_labels
    return _ranked if in_order else _cross_entropy if classify else _mean_squared_error


def own_loss(output: Any, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """The loss that a model gives beside what it says, as the transformers of Hugging Face do."""
    if weight is not None:
        raise InvalidArgument(
            "the loss that the model gives takes no weights of examples; give loss_fn=, or leave them out"
        )
    found: Tensor = output["loss"] if isinstance(output, dict) else output.loss
    return found


class Adapted(nn.Module):
    """A loss of torch that is given what it takes: outputs of the shape of the targets, targets as floats, a mean and
    a variance one by one; and that weighs examples, over the targets that it does not pass over."""

    def __init__(self, loss: LossFunction, kind: LossKind) -> None:
        super().__init__()
        self.loss, self.kind = loss, kind

    def forward(self, output: Any, target: Tensor, weight: Tensor | None = None) -> Tensor:
        if weight is None:
            return self.loss(*self._arranged(output, target))
        each = self._each(*self._arranged(output, target)).reshape(len(target), -1)
        if self.kind.ignored is None or each.shape[1] * len(target) != target.numel():
            return _mean(each, weight)
        kept = (target != self.kind.ignored).sum().clamp_min(1)
        return (each.sum(dim=1) * weight).sum() / kept

    def _arranged(self, output: Any, target: Tensor) -> tuple[Any, ...]:
        output = logits_in(output)
        if self.kind.outputs == "means":
            mean, variance = output
            target = _floats(target, mean)
            return mean.reshape(target.shape), target, _along(variance, target)
        if not self.kind.elementwise:
            return output, target
        return output.reshape(target.shape), _floats(target, output)

    @property
    def _each(self) -> LossFunction:
        """The loss of each target."""
        if not isinstance(self.loss, nn.Module):
            return partial(self.loss, reduction="none")
        each = copy.copy(self.loss)
        each.reduction = "none"  # type: ignore[assignment]
        return each


def _floats(target: Tensor, output: Tensor) -> Tensor:
    return target if target.is_floating_point() else target.to(output.dtype)


def _along(variance: Tensor, target: Tensor) -> Tensor:
    return variance.reshape(target.shape) if variance.numel() == target.numel() else variance


def _cross_entropy(output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    if weight is None:
        return nn.functional.cross_entropy(output, target)
    return _mean(nn.functional.cross_entropy(output, target, reduction="none"), weight)


def _of_labels(output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    each = binary_cross_entropy(output, target)
    return each.mean() if weight is None else _mean(each, weight)


def binary_cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Of logits, for each target of 0 or 1, in the shape of the targets."""
    output = output.reshape(target.shape)
    return nn.functional.binary_cross_entropy_with_logits(output, _floats(target, output), reduction="none")


def _mean_squared_error(output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    output, target = output.reshape(target.shape), _floats(target, output)
    if weight is None:
        return nn.functional.mse_loss(output, target)
    return _mean(nn.functional.mse_loss(output, target, reduction="none"), weight)


def _ranked(output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    each = ranked_probability_score(output, target)
    return each.mean() if weight is None else _mean(each, weight)


def ranked_probability_score(output: Tensor, target: Tensor) -> Tensor:
    """Of scores (n, k, ...) and codes (n, ...) of ordered classes, (n, ...): over the k - 1 steps between classes,
    the square of how much probability is on the wrong side of each, added up (Epstein 1969).

    The probabilities are the softmax's; of all distributions the true one has the least mean of it. An answer two
    steps off is on the wrong side of two. On eleven scales no worse than the cross entropy, in steps or in accuracy,
    and no better beyond chance (docs/diary.md, "Ordered classes").
    """
    steps = torch.arange(output.shape[1] - 1, device=output.device)
    below = output.softmax(dim=1).movedim(1, -1).cumsum(dim=-1)[..., :-1]
    return (below - (target.unsqueeze(-1) <= steps).to(below)).square().sum(dim=-1)


class WeightedCrossEntropy:
    """Cross entropy, each example's times the weight of its class too. in_order: the ranked probability score.
    of_labels: the binary cross entropy, of classes 0 and 1."""

    def __init__(self, weights: Tensor, in_order: bool = False, *, of_labels: bool = False) -> None:
        self.weights, self.in_order, self.of_labels = weights, in_order, of_labels

    def __call__(self, output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        weights = self.weights.to(output)
        if self.in_order or self.of_labels:
            lost = ranked_probability_score if self.in_order else binary_cross_entropy
            each = lost(output, target) * weights[target.long()]
            return each.mean() if weight is None else _mean(each, weight)
        if weight is not None:
            return _mean(nn.functional.cross_entropy(output, target, weights, reduction="none"), weight)
        return nn.functional.cross_entropy(output, target, weight=weights, reduction="sum") / target.numel()


def _mean(each: Tensor, weight: Tensor) -> Tensor:
    """each: (n, ...), what one example or a part of it lost."""
    return (each.reshape(len(each), -1).mean(dim=1) * weight).mean()
