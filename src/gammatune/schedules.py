"""Schedules as plain functions: each gives a `Shape`, the multiplier of a learning rate along the way.

Progress runs from 0 to 1 over a stretch of training. A multiplier of 1 is the peak.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from gammatune.errors import InvalidArgument
from gammatune.records import FLAT, Shape

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR

# Share of the steps spent rising to the peak: guess, the usual few per cent.
WARMUP = 0.05


def constant(warmup: float = 0.0) -> Shape:
    """The peak throughout, after a straight rise from 0."""
    return FLAT if warmup <= 0 else Shape(((0.0, 0.0), (warmup, 1.0), (1.0, 1.0)))


def linear(warmup: float = WARMUP) -> Shape:
    """A straight rise to the peak, then a straight decay to zero.

    Linear decay is the schedule that the theory of the last iterate asks for and that did best of all those
    compared by Defazio et al. (2023, arXiv 2310.07831).
    """
    return Shape(((0.0, 1.0), (1.0, 0.0))) if warmup <= 0 else Shape(((0.0, 0.0), (warmup, 1.0), (1.0, 0.0)))


ScheduleName: TypeAlias = Literal["linear", "constant"]
SCHEDULES: dict[ScheduleName, Callable[[float], Shape]] = {"linear": linear, "constant": constant}


def schedule(name: ScheduleName, warmup: float = WARMUP) -> Shape:
    """The schedule of that name. Raises InvalidArgument."""
    if name not in SCHEDULES:
        raise InvalidArgument(f"schedule={name!r}: write {' or '.join(map(repr, SCHEDULES))}")
    return SCHEDULES[name](warmup)


def part(shape: Shape, start: float, end: float) -> Shape:
    """The piece of a shape between two points of its progress, stretched to run from 0 to 1."""
    if not 0 <= start < end <= 1:
        raise InvalidArgument(f"a part runs forward between 0 and 1, got {start:g} .. {end:g}")
    inner = [((p - start) / (end - start), m) for p, m in shape.knots if start < p < end]
    return Shape(((0.0, shape(start)), *inner, (1.0, shape(end))))


def scaled(shape: Shape, factor: float) -> Shape:
    """The same shape times a factor."""
    return Shape(tuple((progress, factor * level) for progress, level in shape.knots))


STILL = scaled(FLAT, 0.0)  # a rate of 0: the weights stay where they are


# In PyTorch ----------------------------------------------------------------------------------------------


def leading_group(optimizer: "Optimizer") -> dict[str, Any]:
    """The first group of an optimizer whose rate is above 0, to which the others keep their ratio.

    Raises InvalidArgument where there is none."""
    group = next((group for group in optimizer.param_groups if _base(group) > 0), None)
    if group is None:
        raise InvalidArgument(
            "every group of the optimizer has a learning rate of 0, as after a course that decayed; give a fresh "
            "optimizer, the rates of whose groups have the ratio they had"
        )
    return group


def follow(
    optimizer: "Optimizer", along: Sequence[tuple[float, float]], end: tuple[float, float], last_epoch: int
) -> "LambdaLR":
    """PyTorch's scheduler for the rates of every batch. along: the rate chosen and its multiplier, a batch each; end:
    the same of whatever comes after them. last_epoch: as in PyTorch."""
    from torch.optim.lr_scheduler import LambdaLR

    bases = [_base(group) for group in optimizer.param_groups]
    reference = _base(leading_group(optimizer))

    def rate(batch: int, ratio: float) -> float:
        chosen, multiplier = along[batch] if batch < len(along) else end
        return chosen * ratio * multiplier

    class Following(LambdaLR):
        """To the bit: a factor times the optimizer's own rate would be rounded once more."""

        def get_lr(self) -> Any:
            return [rate(self.last_epoch, 1.0 if base == reference else base / reference) for base in bases]

    return Following(optimizer, lambda batch: rate(batch, 1.0) / reference, last_epoch)


def _base(group: dict[str, Any]) -> float:
    return float(group.get("initial_lr", group["lr"]))
