"""The losses that are trained with where nobody gives one.

Each takes (output, target), or (output, target, weight) where examples have weights, (n,); it gives the mean over the
examples of what each lost, times its weight. Not over the sum of the weights: there an example would weigh by what
else is in its batch, and one of a rare class nothing more than others in a batch of its own.
"""

import torch
from torch import Tensor, nn

from gammatune.engine.batches import LossFunction


def default_loss(classify: bool, in_order: bool = False) -> LossFunction:
    """Cross entropy, of ordered classes the ranked probability score, or the mean squared error."""
    return _ranked if in_order else _cross_entropy if classify else _mean_squared_error


def _cross_entropy(output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    if weight is None:
        return nn.functional.cross_entropy(output, target)
    return _mean(nn.functional.cross_entropy(output, target, reduction="none"), weight)


def _mean_squared_error(output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    output = output.reshape(target.shape)
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
    """Cross entropy, each example's times the weight of its class too. in_order: the ranked probability score."""

    def __init__(self, weights: Tensor, in_order: bool = False) -> None:
        self.weights, self.in_order = weights, in_order

    def __call__(self, output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        weights = self.weights.to(output)
        if self.in_order:
            each = ranked_probability_score(output, target) * weights[target]
            return each.mean() if weight is None else _mean(each, weight)
        if weight is not None:
            return _mean(nn.functional.cross_entropy(output, target, weights, reduction="none"), weight)
        return nn.functional.cross_entropy(output, target, weight=weights, reduction="sum") / target.numel()


def _mean(each: Tensor, weight: Tensor) -> Tensor:
    """each: (n, ...), what one example or a part of it lost."""
    return (each.reshape(len(each), -1).mean(dim=1) * weight).mean()
