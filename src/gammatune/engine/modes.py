"""Looking at a training without disturbing it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.optim import Optimizer


@contextmanager
def evaluating(*roots: nn.Module, optimizers: Sequence[Optimizer] = ()) -> Iterator[None]:
    """Eval mode and no gradients inside; afterwards every module is in the mode it had.

    optimizers: those with a mode of their own (`has_mode`) are in theirs for evaluation too.
    """
    modes = [(module, module.training) for root in roots for module in root.modules()]
    training = [
        o for o in optimizers if has_mode(o) and any(g.get("train_mode", True) for g in o.param_groups)
    ]
    try:
        for root in roots:
            root.eval()
        for optimizer in training:
            optimizer.eval()  # type: ignore[attr-defined]
        with torch.no_grad():
            yield
    finally:
        for optimizer in training:
            optimizer.train()  # type: ignore[attr-defined]
        for module, mode in modes:
            module.training = mode


def has_mode(optimizer: Optimizer) -> bool:
    """Whether an optimizer keeps two sets of weights and says which the model holds, as Schedule-Free does."""
    return callable(getattr(optimizer, "train", None)) and callable(getattr(optimizer, "eval", None))


# Set on a module that is to be in eval mode while all its parameters are frozen, whatever mode the model is in. An
# attribute, so that a copy of the model has it, and a fork.
MARK = "gammatune_stays_in_eval"


def stay_in_eval(module: nn.Module) -> None:
    """Put a module whose parameters are frozen into eval mode, with all in it; `into_training` leaves it there."""
    setattr(module, MARK, True)
    module.eval()


def into_training(model: nn.Module) -> None:
    """Train mode, but for the parts that were put into eval mode on purpose (a frozen BatchNorm)."""
    still = [m for m in model.modules() if not m.training] if model.training else []
    frozen = [
        m
        for m in model.modules()
        if getattr(m, MARK, False) and not any(p.requires_grad for p in m.parameters())
    ]
    model.train()
    for module in still:
        module.training = False
    for module in frozen:
        module.eval()
