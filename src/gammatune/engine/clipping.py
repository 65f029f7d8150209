"""Whether a loop cuts its gradients to a norm before its steps, seen from outside of it.

A gradient that is cut to the norm c makes steps as long as rate times c, whatever its own length, so that what is
believed of rates by the optimizer alone (policy/prior.py) is off. In the step of a survey, at a rate of 0, the norm
of every gradient as the last backward pass left it is held against that which the optimizer finds. That all were
shortened by one factor is no cut yet: gradients are divided by hand by the passes or tokens they were added up over,
and by the scale of a loss. A cut ends at a norm that somebody wrote down, and anything else is taken for none.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from gammatune.engine.forks.sharding import PLAIN

ALIKE = 1e-2  # relative: gradients that were shortened together were by one factor
# Factors by which a gradient is cut: one above is soon none, as gradients get shorter (guess); in one below is that
# of a loss scale, 2^16 at first, which a scaler has taken out again.
MOST, LEAST = 0.6, 2**-14
# Relative, of a norm to the number of two digits that somebody wrote: 6e-5 was seen in a tensor of 3e7 numbers, whose
# squares are added up in float32. Of the norms that nobody wrote 1 in 130 lies as near to one.
WRITTEN = 1e-4


class Clipping:
    """Of one step of the optimizers; hooks stay until `close`, on what they hold when it begins."""

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        self._optimizers = optimizers
        self._before: dict[int, Tensor] = {}  # by the id of a parameter, the squared norm of its gradient
        self._hooks = [
            p.register_post_accumulate_grad_hook(self._seen)
            for o in optimizers
            for group in o.param_groups
            for p in group["params"]
            if p.requires_grad and p.is_leaf
        ]

    def close(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def relative(self) -> float:
        """|w| / c, the length of the weights that the step moves over that to which their gradient was cut; 0 where
        it was cut by little or not at all, or where that cannot be told: gradients that are sparse, spread over
        processes, of half precision, in which a cut ends beside its norm, or changed in another way."""
        trained = [p for o in self._optimizers for group in o.param_groups for p in group["params"]]
        moved = [(p, p.grad) for p in trained if p.grad is not None]
        if not moved or any(id(p) not in self._before or not _is_plain(g) for p, g in moved):
            return 0.0
        told = [
            (self._before[id(p)].item(), _squared(g).item(), _squared(p.detach()[g != 0]).item())
            for p, g in moved
        ]
        before, after, weights = (sum(column) for column in zip(*told, strict=True))
        if not (0 < before < math.inf and after > 0 and weights < math.inf):
            return 0.0
        factor = math.sqrt(after / before)
        is_one = all(
            abs(math.sqrt(a) - factor * math.sqrt(b)) <= ALIKE * math.sqrt(after) for b, a, _ in told
        )
        is_scale = math.isclose(math.frexp(factor)[0], 0.5, rel_tol=1e-4)  # a power of two
        is_cut = is_one and not is_scale and LEAST <= factor <= MOST and _is_written(math.sqrt(after))
        return math.sqrt(weights / after) if is_cut else 0.0

    def _seen(self, parameter: Tensor) -> None:
        if parameter.grad is not None and _is_plain(parameter.grad):
            self._before[id(parameter)] = _squared(parameter.grad)


def _is_written(norm: float) -> bool:
    return math.isclose(norm, float(f"{norm:.1e}"), rel_tol=WRITTEN)


def _is_plain(gradient: Tensor) -> bool:
    is_dense = type(gradient) in PLAIN and gradient.layout == torch.strided
    return is_dense and gradient.dtype in (torch.float32, torch.float64)


def _squared(tensor: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(tensor.detach())
    return norm.square()
