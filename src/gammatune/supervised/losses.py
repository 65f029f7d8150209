"""The losses that are trained with where nobody gives one.

Each takes (output, target), or (output, target, weight) where examples have weights, (n,); it gives the mean over the
examples of what each lost, times its weight. Not over the sum of the weights: there an example would weigh by what
else is in its batch, and one of a rare class nothing more than others in a batch of its own.
"""

from torch import Tensor, nn

from gammatune.engine.batches import LossFunction


def default_loss(classify: bool) -> LossFunction:
    """Cross entropy, or the mean squared error."""
    return _cross_entropy if classify else _mean_squared_error


def _cross_entropy(output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    if weight is None:
        return nn.functional.cross_entropy(output, target)
    return _mean(nn.functional.cross_entropy(output, target, reduction="none"), weight)


def _mean_squared_error(output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    output = output.reshape(target.shape)
    if weight is None:
        return nn.functional.mse_loss(output, target)
    return _mean(nn.functional.mse_loss(output, target, reduction="none"), weight)


class WeightedCrossEntropy:
    """Cross entropy, each example's times the weight of its class too."""

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights

    def __call__(self, output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        weights = self.weights.to(output)
        if weight is not None:
            return _mean(nn.functional.cross_entropy(output, target, weights, reduction="none"), weight)
        return nn.functional.cross_entropy(output, target, weight=weights, reduction="sum") / target.numel()


def _mean(each: Tensor, weight: Tensor) -> Tensor:
    """each: (n, ...), what one example or a part of it lost."""
    return (each.reshape(len(each), -1).mean(dim=1) * weight).mean()
