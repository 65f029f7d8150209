"""The losses that are trained with where nobody gives one."""

from torch import Tensor, nn

from gammatune.engine.batches import LossFunction


def default_loss(classify: bool) -> LossFunction:
    """Cross entropy, or the mean squared error."""
    return nn.functional.cross_entropy if classify else _mean_squared_error


def _mean_squared_error(output: Tensor, target: Tensor) -> Tensor:
    return nn.functional.mse_loss(output.reshape(target.shape), target)


class WeightedCrossEntropy:
    """Cross entropy, each example's times the weight of its class, over the number of examples.

    Not over the sum of the weights, as torch has it: there an example would weigh by what else is in its batch, and
    one of a rare class nothing more than others in a batch of its own.
    """

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        weights = self.weights.to(output)
        return nn.functional.cross_entropy(output, target, weight=weights, reduction="sum") / target.numel()
