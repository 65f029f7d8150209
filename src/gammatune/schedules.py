"""Schedules as plain functions: each gives a `Shape`, the multiplier of a learning rate along the way.

Progress runs from 0 to 1 over a stretch of training. A multiplier of 1 is the peak. A shape is straight between its
knots; what is curved is taken at so many of them that a cosine is nowhere further off than 2 in 10,000, a square
root, where it is steepest, 4 in 1,000.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from gammatune.errors import InvalidArgument
from gammatune.records import FLAT, Shape

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR

# Share of the steps spent rising to the peak: guess, the usual few per cent.
WARMUP = 0.05
# Share of the steps in which a trunk is brought down to zero: with a fifth the loss is that of a cosine over the
# whole length, and 1 - sqrt is ahead of a straight line (Haegele et al. 2024, arXiv 2405.18392).
DECAY = 0.2
KNOTS = 64  # intervals of a curve of ours
SAMPLES = 256  # of a function of the user's, which may be anything


def constant(warmup: float = 0.0) -> Shape:
    """The peak throughout, after a straight rise from 0."""
    return FLAT if warmup <= 0 else Shape(((0.0, 0.0), (warmup, 1.0), (1.0, 1.0)))


def linear(warmup: float = WARMUP) -> Shape:
    """A straight rise to the peak, then a straight decay to zero.

    Linear decay is the schedule that the theory of the last iterate asks for and that did best of all those
    compared by Defazio et al. (2023, arXiv 2310.07831).
    """
    return Shape(((0.0, 1.0), (1.0, 0.0))) if warmup <= 0 else Shape(((0.0, 0.0), (warmup, 1.0), (1.0, 0.0)))


def cosine(warmup: float = WARMUP) -> Shape:
    """A straight rise to the peak, then half a cosine to zero (Loshchilov and Hutter 2017, arXiv 1608.03983)."""
    falling = [(k / KNOTS, (1 + math.cos(math.pi * k / KNOTS)) / 2) for k in range(KNOTS)]
    return _after_a_rise(warmup, [*falling, (1.0, 0.0)])


def one_minus_sqrt(warmup: float = WARMUP) -> Shape:
    """A straight rise to the peak, then down by the square root of the progress, steeply first."""
    return _after_a_rise(warmup, _sqrt(0.0))


def wsd(warmup: float = WARMUP, decay: float = DECAY) -> Shape:
    """Warm-up, stable, decay: a straight rise, the peak, and in the last `decay` of the steps 1 - sqrt to zero.

    What is trained before the decay, the trunk, does not depend on how long the training is to be, so that a longer
    one goes on from there (Hu et al. 2024, arXiv 2404.06395).
    """
    if not 0 < decay <= 1 - max(warmup, 0.0):
        raise InvalidArgument(f"decay={decay!r}: give a share above 0 that the warm-up of {warmup:g} leaves")
    start = 1 - decay
    rest = (start - max(warmup, 0.0)) / (1 - max(warmup, 0.0))  # of what follows the warm-up
    return _after_a_rise(warmup, [(0.0, 1.0), *_sqrt(rest)] if rest > 0 else _sqrt(0.0))


def _sqrt(start: float) -> list[tuple[float, float]]:
    """1 - sqrt of the progress from `start` on: in equal steps of the multiplier."""
    return [(start + (1 - start) * (k / KNOTS) ** 2, 1 - k / KNOTS) for k in range(KNOTS + 1)]


def _after_a_rise(warmup: float, falling: Sequence[tuple[float, float]]) -> Shape:
    """falling: from the peak, over what the rise leaves."""
    if warmup <= 0:
        return Shape(tuple(falling))
    return Shape(((0.0, 0.0), *((warmup + (1 - warmup) * at, level) for at, level in falling)))


ScheduleName: TypeAlias = Literal["linear", "cosine", "1-sqrt", "wsd", "constant"]
AnySchedule: TypeAlias = ScheduleName | Callable[[float], float]  # a function of the progress; a Shape is one
SCHEDULES: dict[ScheduleName, Callable[[float], Shape]] = {
    "linear": linear,
    "cosine": cosine,
    "1-sqrt": one_minus_sqrt,
    "wsd": wsd,
    "constant": constant,
}


def schedule(given: AnySchedule, warmup: float = WARMUP) -> Shape:
    """The schedule of that name, or a function of the progress, taken at SAMPLES + 1 points.

    Raises InvalidArgument."""
    if isinstance(given, Shape):
        return _checked(given.knots, given)
    if callable(given):
        return _checked([(k / SAMPLES, given(k / SAMPLES)) for k in range(SAMPLES + 1)], given)
    if given not in SCHEDULES:
        raise InvalidArgument(
            f"schedule={given!r}: write {', '.join(map(repr, SCHEDULES))}, or give a function of the progress from 0 "
            "to 1"
        )
    return SCHEDULES[given](warmup)


def _checked(knots: Sequence[tuple[float, Any]], given: Any) -> Shape:
    found = []
    for at, level in knots:
        number = float(level) if hasattr(level, "__float__") and not isinstance(level, bool) else math.nan
        if not 0 <= number <= 1:
            raise InvalidArgument(
                f"schedule={name_of(given)}: it gives {level!r:.40} at {at:g} of the way; give a multiplier from 0 "
                "to 1, of which 1 is the learning rate that is searched"
            )
        found.append((at, number))
    if not any(level for _, level in found):
        raise InvalidArgument(
            f"schedule={name_of(given)}: it is 0 throughout, so that nothing would be trained"
        )
    ends = found[0][0], found[-1][0]
    if ends != (0.0, 1.0) or any(at > later for (at, _), (later, _) in pairwise(found)):
        raise InvalidArgument(
            f"schedule={name_of(given)}: its knots run from {ends[0]:g} to {ends[1]:g}, and must rise from 0 to 1"
        )
    return Shape(_without_idle(found))


def _without_idle(knots: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """The knots, but for those inside of a stretch at one level."""
    inner = zip(knots, knots[1:], knots[2:], strict=False)
    kept = [here for before, here, after in inner if not before[1] == here[1] == after[1]]
    return (knots[0], *kept, knots[-1])


def name_of(given: AnySchedule) -> str:
    """What journals and tables call a schedule."""
    return given if isinstance(given, str) else getattr(given, "__name__", type(given).__name__)


def knots_of(given: AnySchedule | None) -> list[list[float]] | None:
    """What a journal holds of a function beside its name; None of a schedule that the name says all of."""
    return None if given is None or isinstance(given, str) else [list(knot) for knot in schedule(given).knots]


# Longer trainings ----------------------------------------------------------------------------------------


def stable(shape: Shape) -> tuple[float, float]:
    """From where to where it stays at its highest, the last such stretch; of one that only passes it (p, p)."""
    top = max(level for _, level in shape.knots)
    at_top = [at for at, level in shape.knots if level == top]
    flat = [(start, end) for (start, low), (end, high) in pairwise(shape.knots) if low == high == top]
    return flat[-1] if flat else (at_top[-1], at_top[-1])


def longer(shape: Shape, passed: float, *, stands: bool) -> Shape:
    """What is left of a longer training, of which the share `passed` has been trained, from 0 to 1.

    stands: the rate stands at its highest there, on the trunk: it stays there until the longer training's decay.
    Else the training had come to its end, and rises anew: straight from 0, over WARMUP of what is left, to where the
    longer training would be, and along with it from there.
    """
    start, _ = stable(shape)
    top = shape(start)
    trunk = Shape(((0.0, top), *(knot for knot in shape.knots if knot[0] >= start)))
    left = part(trunk, passed, 1.0)
    if stands:
        return left
    return Shape(((0.0, 0.0), *part_from(left, WARMUP)))


def part_from(shape: Shape, start: float) -> tuple[tuple[float, float], ...]:
    """The knots of a shape from some progress on, where they are."""
    return ((start, shape(start)), *(knot for knot in shape.knots if knot[0] > start))


def part(shape: Shape, start: float, end: float) -> Shape:
    """The piece of a shape between two points of its progress, stretched to run from 0 to 1."""
    if not 0 <= start < end <= 1:
        raise InvalidArgument(f"a part runs forward between 0 and 1, got {start:g} .. {end:g}")
    inner = [((p - start) / (end - start), m) for p, m in shape.knots if start < p < end]
    return Shape(((0.0, shape(start)), *inner, (1.0, shape(end))))


def along(shape: Shape, rising: Sequence[float]) -> list[float]:
    """What a shape says at each of these, which rise: to the bit as it does one by one, in less time."""
    found: list[float] = []
    left, level = shape.knots[0]
    for right, next_level in shape.knots[1:]:
        rise, width = next_level - level, right - left
        within = rising[len(found) : bisect_left(rising, right, len(found))]
        found += [level + rise * (progress - left) / width for progress in within]
        left, level = right, next_level
    return found + [level] * (len(rising) - len(found))


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
