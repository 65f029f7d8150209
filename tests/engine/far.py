"""A device that is not there: tensors that say they are elsewhere, and count how often the host asks for a number.

`Far` holds a tensor of the CPU and does all arithmetic with it. To whoever looks at it from Python it lies on a CUDA
device; to torch's own code on "meta", the one device besides the CPU that every build can differentiate on. What
makes the host wait for an accelerator is noted in `READS`: a number read, a blocking copy to the CPU, a shape that
follows from the numbers. As on an accelerator a tensor of the CPU may take part in arithmetic only if it is a scalar.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

READS: list[str] = []  # the operator of each, in order
FOLLOWS = "nonzero", "masked_select", "unique", "_unique", "unique_dim", "equal", "repeat_interleave"
COPIES = "copy_", "_foreach_copy_", "_to_copy"


class Far(Tensor):
    is_meta = is_cpu = False
    is_cuda = True

    @staticmethod
    def __new__(cls, near: Tensor) -> "Far":
        made = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            near.shape,
            strides=near.stride(),
            storage_offset=near.storage_offset(),
            dtype=near.dtype,
            device="meta",
        )
        made.near = near
        return made  # type: ignore[no-any-return]

    near: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    def __repr__(self, **options: Any) -> str:
        return "Far"  # its numbers are far

    def data_ptr(self) -> int:
        return self.near.data_ptr()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = func._schema.name.removeprefix("aten::")
        to_host = torch.device(kwargs.get("device", "meta")).type == "cpu"
        if "device" in kwargs:
            kwargs["device"] = torch.device("cpu")
        waits = not (kwargs.get("non_blocking") or (name in COPIES and len(args) > 2 and args[2]))
        into_host = (name == "_to_copy" and to_host) or (
            name in ("copy_", "_foreach_copy_") and not isinstance(tree_leaves(args)[0], Far)
        )
        by_mask = name == "index" and any(t is not None and t.dtype == torch.bool for t in args[1])
        if by_mask or name in ("_local_scalar_dense", *FOLLOWS) or (into_host and waits):
            READS.append(name)
        if name not in COPIES:
            strays = [t for t in tree_leaves(args) if type(t) is Tensor and t.ndim]
            assert not strays, f"{name}: tensors on two devices"
        near_args, near_kwargs = tree_map_only(Far, lambda t: t.near, (args, kwargs))
        out = func(*near_args, **near_kwargs)
        if name.endswith("_") and isinstance(out, Tensor):
            return args[0]  # written in place
        return out if to_host else tree_map_only(Tensor, lambda t: t if isinstance(t, Far) else Far(t), out)


def taken_away(module: nn.Module) -> nn.Module:
    """The module with all its parameters and buffers far away."""
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                part._parameters[name] = nn.Parameter(Far(parameter.detach()))
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = Far(buffer)
    return module
