"""Does a model's output fit the data? Asked once, before any training."""

import torch
from torch import nn

from gammatune.engine.modes import evaluating
from gammatune.errors import ModelMismatch, first_line
from gammatune.pipeline.models.seeded import seeded

EXAMPLES = 2  # a batch of one would not tell a forgotten batch axis


def check_output(model: nn.Module, shape: tuple[int, ...], outputs: int) -> None:
    """Pass two examples of zeros through `model`, in eval mode, and look at the shape that comes out.

    shape: of one example; outputs: how many numbers the model must return for it.
    Train and eval modes of all submodules, and random streams, are left as they were; no gradients.
    Raises ModelMismatch: the model raises at such inputs (that error is its cause), or returns something else than
    a tensor (n, outputs).
    """
    parameter = next(model.parameters(), torch.empty(0))
    x = torch.zeros(EXAMPLES, *shape, device=parameter.device, dtype=parameter.dtype)
    try:
        with evaluating(model), seeded(0):
            y = model(x)
    # what torch's layers raise for a wrong shape, and timm's
    except (RuntimeError, ValueError, IndexError, AssertionError) as error:
        raise ModelMismatch(
            f"the model raises {type(error).__name__} at examples of shape {shape}: {first_line(error)}; where that "
            "is for their shape, make its first layer fit, or choose model 'auto'"
        ) from error
    if not isinstance(y, torch.Tensor):
        raise ModelMismatch(f"the model returns {type(y).__name__}; return one tensor (n, {outputs})")
    if y.shape != (EXAMPLES, outputs):
        got = tuple(y.shape)[1:] if y.ndim > 0 and len(y) == EXAMPLES else tuple(y.shape)
        raise ModelMismatch(
            f"the model returns shape {tuple(y.shape)} for {EXAMPLES} examples, the data needs "
            f"({EXAMPLES}, {outputs}): give its last layer {outputs} outputs instead of {got}"
        )
