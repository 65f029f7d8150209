"""What a thing holds apart from the things in it, told by a checksum or in a word."""

import hashlib
import types
from collections import deque
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gammatune.engine.doctor.things import ATOMS, LONG, UNMADE
from gammatune.engine.forks.streams import Stream, state_of


def new_hash() -> Any:
    return hashlib.blake2b(digest_size=16)


def feed(total: Any, value: Any) -> None:
    """What a thing is apart from its parts."""
    total.update(f"{type(value).__qualname__} ".encode())
    if isinstance(value, ATOMS):
        total.update(repr(value).encode())
    elif isinstance(value, Tensor):
        feed_tensor(total, value)
    elif isinstance(value, np.ndarray):
        total.update(f"{value.dtype} {value.shape} ".encode())
        total.update(_shallow(value.ravel()) if value.dtype == object else value.tobytes())
    elif isinstance(value, Stream):
        _feed_all(total, state_of(value))
    elif isinstance(value, (set, frozenset)):
        total.update(repr(sorted(map(_word, value))).encode())
    elif isinstance(value, (list, tuple, deque)) and len(value) > LONG:
        total.update(_shallow(value))
    elif isinstance(value, dict) and len(value) > LONG:
        total.update(_shallow(value.keys()) + _shallow(value.values()))
    elif isinstance(value, (types.FunctionType, type)):
        total.update(value.__qualname__.encode())


def _feed_all(total: Any, state: Any) -> None:
    """A state of nested plain values, whole."""
    feed(total, state)
    children = state.items() if isinstance(state, dict) else state if isinstance(state, (tuple, list)) else ()
    for child in children:
        _feed_all(total, child)


def feed_tensor(total: Any, tensor: Tensor) -> None:
    trained = tensor.requires_grad and tensor.is_leaf
    if isinstance(tensor, UNMADE):
        return
    total.update(f"{tensor.dtype} {tuple(tensor.shape)} {tensor.device} {tensor.layout} {trained} ".encode())
    if tensor.is_meta:
        return
    with torch.no_grad():
        plain = tensor.detach()
        if plain.layout != torch.strided:
            plain = plain.to_dense()
        plain = plain.resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
        if plain.numel():
            total.update(plain.view(torch.uint8).numpy().data)


def _shallow(items: Any) -> bytes:
    """Of many things what each is, not what is in it."""
    total = new_hash()
    for item in items:
        total.update(_word(item).encode())
    return bytes(total.digest())


def _word(item: Any) -> str:
    return repr(item) if isinstance(item, ATOMS) else type(item).__qualname__


def shown(value: Any) -> str | None:
    """A number or a short text, in a word."""
    if isinstance(value, Tensor) and not isinstance(value, UNMADE):
        return (
            f"{value.item():.6g}" if value.numel() == 1 and value.is_cpu and not value.is_complex() else None
        )
    text = repr(value) if isinstance(value, ATOMS) else None
    return text if text is None or len(text) <= 20 else f"{text[:17]}..."
