"""Ratios of learning rates that are searched: `lr_ratio` beside `lr`.

Optimizers, and groups, keep the ratio that their rates came with. A *part* is an optimizer or, of one optimizer
alone, a group; `lr_ratio.k` is what the rates of part k (from 0, and not that one) are multiplied by beside those of
the others, 1 where they stay as they came. `lr_ratio` is that of the second of two.
"""

from collections.abc import Sequence

from torch import Tensor
from torch.optim import Optimizer

from gammatune.errors import InvalidArgument
from gammatune.records import Values
from gammatune.space import LR_RATIO


class RateRatios:
    """names: of what is searched; those of ratios are this one's. Raises InvalidArgument where one cannot be set."""

    def __init__(self, optimizers: Sequence[Optimizer], names: Sequence[str]) -> None:
        self._several = len(optimizers) > 1
        self._parts = (
            [o.param_groups for o in optimizers]
            if self._several
            else [[g] for g in optimizers[0].param_groups]
        )
        self.part_of = {name: self._part(name) for name in names if split(name)[0] == LR_RATIO}
        self._factors: dict[int, float] = {}  # by the number of the part
        rates = [group["lr"] for part in self._parts for group in part]
        if self.part_of and any(
            isinstance(rate, Tensor) and rate is again for i, rate in enumerate(rates) for again in rates[:i]
        ):
            raise InvalidArgument(
                f"{LR_RATIO}: groups share one tensor as their rate; give each a rate of its own"
            )
        if self.part_of and any(name.startswith("lr.") for name in names):
            raise InvalidArgument(
                f"{LR_RATIO} goes beside 'lr', one rate for all: write that in the place of a rate for each "
                f"({', '.join(name for name in names if name.startswith('lr.'))}), or leave the ratio out"
            )

    def apply(self, values: Values) -> None:
        self._factors = {k: float(values.get(name, 1.0)) for name, k in self.part_of.items()}

    def of(self, index: int, number: int) -> float:
        """What the rate of that group of that optimizer is multiplied by."""
        return self._factors.get(index if self._several else number, 1.0)

    def _part(self, name: str) -> int:
        _, k = split(name)
        count = len(self._parts)
        if (k is None and count != 2) or (k is not None and not 0 < k < count):
            what = "optimizers" if self._several else "parameter groups of one optimizer"
            each = ", ".join(f"{LR_RATIO}.{k}" for k in range(1, count))
            raise InvalidArgument(
                f"{name!r} is the rate of one part beside that of the first; here there are {count} {what}, counted "
                f"from 0: "
                + (f"write {each}" if each else "leave it out, or make two groups with rates of their own")
            )
        k = 1 if k is None else k
        if not any(float(group["lr"]) > 0 for group in self._parts[k]):
            raise InvalidArgument(
                f"{name!r}: the rate of that part is 0, and 0 it stays at any ratio; leave it out"
            )
        return k


def split(name: str) -> tuple[str, int | None]:
    """'lr' -> ('lr', None); 'lr.1' -> ('lr', 1)."""
    key, dot, index = name.partition(".")
    if not dot:
        return key, None
    if not index.isdecimal():
        raise InvalidArgument(
            f"{name!r} is not a hyperparameter; write 'lr' or, for optimizer 1 alone, 'lr.1'"
        )
    return key, int(index)
