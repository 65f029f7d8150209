"""Whether two trainings ended alike, to the bit."""

from typing import Any

import torch


def same(a: Any, b: Any) -> bool:
    """Of tensors, mappings, sequences and whatever else can be compared."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)
