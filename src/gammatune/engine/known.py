"""What can be told of a training before it begins, as far as a prior on its learning rate asks."""

import math
from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from gammatune.records import Family, Known

# By the name of the class, first match first; what only looks like one of these is taken for it ("AdamP", "SGDP").
_FAMILIES: tuple[tuple[str, Family | None], ...] = (
    ("prodigy", "prodigy"),
    ("adamwschedulefree", "schedulefree"),
    # these begin like others and go by rates of another size
    ("schedulefree", None),
    ("adamax", None),
    ("dadapt", None),
    ("adagrad", "adagrad"),
    ("rmsprop", "rmsprop"),
    ("muon", "muon"),
    ("lbfgs", "lbfgs"),
    ("adam", "adam"),
    # their papers take Adam's rates
    *(
        (name, "adam")
        for name in ("adabelief", "adan", "ademamix", "adopt", "laprop", "nadam", "soap", "yogi")
    ),
    ("sgd", "sgd"),
)


# A step of Muon as its author has it moves the entries of an A x B matrix by a root mean square of rate / sqrt(B),
# and one that is matched to AdamW's (Liu et al. 2025, arXiv 2502.16982) by this times the rate, whatever the shape.
MATCHED = 0.2


def known_of(modules: Sequence[nn.Module], optimizers: Sequence[Optimizer], *, is_own: bool) -> Known:
    """is_own: the user chose the rate the optimizer came with. Of several optimizers the one that trains most."""
    main = max(optimizers, key=lambda o: sum(p.numel() for g in o.param_groups for p in g["params"]))
    rate = next((r for r in map(_rate, main.param_groups) if r > 0), 0.0)
    weights = [p for module in modules for p in module.parameters() if p.requires_grad and p.numel()]
    inputs = [p.numel() / p.shape[0] for p in weights if p.ndim >= 2]
    fan_in = math.exp(sum(map(math.log, inputs)) / len(inputs)) if inputs else 1.0
    family = _family(main)
    if family == "muon" and not _matches_adamw(main):
        rate /= MATCHED * math.sqrt(fan_in)
    return Known(family, rate, is_own, fan_in)


def _family(optimizer: Optimizer) -> Family | None:
    name = type(optimizer).__name__.lower()
    if name.endswith("lamb"):
        return "adam"
    if not optimizer.param_groups:
        return None
    family = next((family for part, family in _FAMILIES if part in name), None)
    if family == "sgd" and optimizer.param_groups[0].get("momentum", 0):
        return "momentum"
    return family


def _matches_adamw(optimizer: Optimizer) -> bool:
    """Whether Muon's steps are scaled to the size of AdamW's: torch's and pytorch-optimizer's names for it."""
    named = any(group.get("adjust_lr_fn") == "match_rms_adamw" for group in optimizer.param_groups)
    return named or bool(getattr(optimizer, "use_adjusted_lr", False))


def _rate(group: dict[str, Any]) -> float:
    """As it was before a scheduler lowered it for its warm-up."""
    try:
        return float(group.get("initial_lr", group["lr"]))
    except (KeyError, TypeError, ValueError):
        return 0.0
