"""Tensors that FSDP (`fully_shard`) has spread over several processes."""

import sys
from collections.abc import Iterable

from torch import Tensor, nn

from gammatune.errors import NotRestorable

PLAIN = (Tensor, nn.Parameter)


def local(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor, over the same storage; all of it where it is not spread."""
    if type(tensor) in PLAIN:
        return tensor
    held: Tensor = getattr(tensor, "_local_tensor", tensor)
    return held


def is_spread(tensor: Tensor) -> bool:
    return local(tensor) is not tensor


def settle(modules: Iterable[nn.Module]) -> None:
    """Have each process hold its share again: after a forward pass without a backward one whole parameters stand in
    the place of some."""
    fsdp = sys.modules.get("torch.distributed.fsdp")
    kind = getattr(fsdp, "FSDPModule", None)
    if kind is not None:
        for part in (part for module in modules for part in module.modules()):
            if isinstance(part, kind):
                part.reshard()


def refuse_flat(modules: Iterable[nn.Module]) -> None:
    """Raise NotRestorable for the older FSDP, which joins parameters into flat ones."""
    fsdp = sys.modules.get("torch.distributed.fsdp")
    kind = getattr(fsdp, "FullyShardedDataParallel", None)
    if kind is not None and any(isinstance(part, kind) for module in modules for part in module.modules()):
        raise NotRestorable(
            "FullyShardedDataParallel joins parameters into flat ones, which a fork cannot put back; use fully_shard"
        )
