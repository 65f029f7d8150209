"""Numbers in an optimizer's parameter groups: read, set in the place where they stand, and read back."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from gammatune.errors import ConflictingControl, InvalidArgument
from gammatune.space import BATCH_SIZE

# What a rate of Adam's is multiplied by in the place of 0. Compiled or capturable, torch's Adam divides by the rate,
# so that 0 makes NaN of a weight that has had no gradient yet. Of all float32 only 0 is moved by it, to no effect.
STILL = 1e-30


def rate_of(group: dict[str, Any], optimizer: Optimizer) -> float:
    """The learning rate of a group. Raises InvalidArgument where that is no number."""
    lr = group.get("lr")
    if isinstance(lr, (int, float, Tensor)) and not isinstance(lr, bool):
        return float(lr)
    kind = type(optimizer).__name__
    finds = " (it finds its steps by itself)" if lr is None else ""
    advice = ", relative_step=False" if "relative_step" in group else ""
    raise InvalidArgument(
        f"the {kind} optimizer has no learning rate to set: lr={lr!r}{finds}; make it with one, "
        f"{kind}(parameters, lr=0.01{advice})"
    )


def base_of(group: dict[str, Any]) -> dict[str, Any]:
    """A group's numbers as they are now; a rate that is a tensor is read, since it is written into later."""
    return {
        k: float(v) if k == "lr" and isinstance(v, Tensor) else v for k, v in group.items() if k != "params"
    }


def above_zero(multiplier: float, group: dict[str, Any]) -> float:
    """What to multiply a group's rate by; never 0 for Adam and AdamW."""
    return multiplier or (STILL if "amsgrad" in group else 0.0)


def number_of(group: dict[str, Any], key: str, name: str) -> float:
    """Of that key. Raises InvalidArgument, about `name`, where there is none."""
    if key in group and isinstance(group[key], (int, float, Tensor)) and not isinstance(group[key], bool):
        return float(group[key])
    if key == "momentum" and "betas" in group:
        return float(group["betas"][0])
    known = sorted(k for k, v in group.items() if isinstance(v, (int, float)) and not isinstance(v, bool))
    raise InvalidArgument(
        f"{name!r} cannot be searched: the optimizer has no such number. It has {', '.join(known)}; "
        f"{BATCH_SIZE!r} is searched with a loader factory"
    )


def has(group: dict[str, Any], key: str) -> bool:
    return key in group or (key == "momentum" and "betas" in group)


def get(group: dict[str, Any], key: str) -> Any:
    """What stands in a group; a tensor's number as it is now."""
    value = group[key] if key in group else group["betas"][0]
    return float(value) if isinstance(value, Tensor) and value.is_cpu else value


def set_(group: dict[str, Any], key: str, value: Any) -> None:
    """Set one hyperparameter and read it back."""
    if key == "momentum" and key not in group:
        group["betas"] = (value, *group["betas"][1:])
    else:
        put(group, key, value)
    if not equals(get(group, key), value):
        raise ConflictingControl(
            f"{key} was set to {value!r} and read back as {get(group, key)!r}; the optimizer does not take it"
        )


def equals(stored: Any, value: Any) -> bool:
    if isinstance(stored, Tensor) or isinstance(value, Tensor):
        return True  # on an accelerator a look would wait for it
    # a tensor rate may be float32
    return bool(stored == value) or math.isclose(stored, value, rel_tol=1e-6, abs_tol=1e-30)


def put(group: dict[str, Any], key: str, value: Any) -> None:
    """Write a number where a number or a tensor stands; the tensor stays the same object."""
    if isinstance(group[key], Tensor):
        with torch.no_grad():
            group[key].copy_(value) if isinstance(value, Tensor) else group[key].fill_(value)
    else:
        group[key] = value
