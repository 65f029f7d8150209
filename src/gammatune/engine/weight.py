"""How much memory an object takes, with all that it holds."""

import sys
from collections.abc import Mapping
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch

TENSOR = 512  # bytes beside its numbers (measured: 540 each, of 50,000 tensors of one number; torch 2.13)
SHARED = (type, FunctionType, ModuleType)  # that is there without the object too


def bytes_of(item: Any) -> int:
    """Bytes of an object and of all that it holds, whatever stands in it twice counted once."""
    total = 0
    seen: set[int] = set()
    queue = [item]
    while queue:
        one = queue.pop()
        if id(one) in seen or isinstance(one, SHARED):
            continue
        seen.add(id(one))
        if isinstance(one, torch.Tensor):
            total += TENSOR + _numbers(one, seen)
            continue
        total += sys.getsizeof(one)
        if isinstance(one, np.ndarray):
            queue += [] if one.base is None else [one.base]
            queue += one.ravel().tolist() if one.dtype == object else []
        elif isinstance(one, Mapping):
            queue += [*one.keys(), *one.values()]
        elif isinstance(one, (list, tuple, set, frozenset)):
            queue += one
        queue += [*getattr(one, "__dict__", {}).values(), *slots_in(one).values()]
    return total


def _numbers(tensor: torch.Tensor, seen: set[int]) -> int:
    """Of a dense tensor those of the whole storage, which a view keeps alive."""
    if tensor.layout is torch.strided:
        storage = tensor.untyped_storage()
        if storage._cdata in seen:
            return 0
        seen.add(storage._cdata)
        return storage.nbytes()
    held = tensor._nnz() if tensor.is_sparse or tensor.is_sparse_csr else tensor.numel()
    return held * (tensor.element_size() + 8 * tensor.ndim)  # eight bytes an index


def slots_in(item: Any) -> dict[str, Any]:
    """Attributes that are not in `__dict__`, those that are there."""
    return {name: getattr(item, name) for name in slots_of(type(item)) if hasattr(item, name)}


def slots_of(kind: type) -> tuple[str, ...]:
    """The names of the attributes that are not in `__dict__`."""
    found: list[str] = []
    for owner in kind.__mro__:
        slots = vars(owner).get("__slots__", ())
        names = (slots,) if isinstance(slots, str) else tuple(slots)
        found += [
            f"_{owner.__name__.lstrip('_')}{n}" if n.startswith("__") and not n.endswith("__") else n
            for n in names
        ]
    return tuple(name for name in found if name not in ("__dict__", "__weakref__"))


def mib(size: float) -> str:
    """'1,024.0 MiB'."""
    return f"{size / 2**20:,.1f} MiB"
