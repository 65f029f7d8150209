"""Puts a thing back to how it stood, without making it another."""

import types
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gammatune.engine.doctor.contents import feed_tensor, new_hash
from gammatune.engine.doctor.ownership import is_shut, is_users_own
from gammatune.engine.doctor.things import (
    ATOMS,
    UNMADE,
    class_data,
    globals_used,
    is_entered,
    is_filled,
    tables_of,
)
from gammatune.engine.forks.streams import Stream, set_state, state_of
from gammatune.engine.forks.transfer import overlaps
from gammatune.engine.weight import slots_in, slots_of


def keeper_of(value: Any) -> Callable[[], None] | None:
    """A function that puts a thing back to how it stands now; None where nothing of it can change."""
    if isinstance(value, ATOMS):
        return None
    if isinstance(value, Tensor):
        return _all(_tensor_keeper(value), _attribute_keeper(value))
    if isinstance(value, np.ndarray):
        return _array_keeper(value)
    if isinstance(value, Stream):
        state = state_of(value)
        return lambda: set_state(value, state)
    if isinstance(value, types.FunctionType):
        return _function_keeper(value)
    if isinstance(value, type):
        return _class_keeper(value) if is_users_own(value.__module__) else None
    if isinstance(value, torch.jit.ScriptModule):
        return None
    if isinstance(value, nn.Module):
        return _all(*map(_dict_keeper, tables_of(value)), _attribute_keeper(value))
    if isinstance(value, dict):
        return _all(_dict_keeper(value), _attribute_keeper(value))
    if isinstance(value, (list, deque)):
        return _all(_list_keeper(value), _attribute_keeper(value))
    if isinstance(value, set):
        return _set_keeper(value)
    return _attribute_keeper(value)


def _all(*keepers: Callable[[], None] | None) -> Callable[[], None] | None:
    known = [keeper for keeper in keepers if keeper is not None]

    def put_back() -> None:
        for keeper in known:
            keeper()

    return put_back if known else None


def _tensor_keeper(tensor: Tensor) -> Callable[[], None] | None:
    if isinstance(tensor, UNMADE) or tensor.is_meta:
        return None
    storage, copy, trained = tensor.detach(), tensor.detach().clone(), tensor.requires_grad
    pointer = tensor.data_ptr() if tensor.layout == torch.strided else 0
    has_gradient = tensor.is_leaf or tensor.retains_grad
    gradient = tensor.grad if has_gradient else None
    numbers = _tensor_digest(tensor)

    def put_back() -> None:
        with torch.no_grad():
            if tensor.layout == torch.strided and tensor.data_ptr() != pointer:
                tensor.data = storage
            if _tensor_digest(tensor) != numbers:  # a write, even of the same, would be noticed by autograd
                if tensor.layout != torch.strided or overlaps(tensor) or tensor.shape != copy.shape:
                    tensor.data = copy
                else:
                    tensor.copy_(copy)
        if tensor.is_leaf and tensor.requires_grad != trained:
            tensor.requires_grad_(trained)
        if has_gradient and tensor.grad is not gradient:
            tensor.grad = gradient

    return put_back


def _tensor_digest(tensor: Tensor) -> bytes:
    total = new_hash()
    feed_tensor(total, tensor.detach())
    return bytes(total.digest())


def _array_keeper(array: np.ndarray) -> Callable[[], None] | None:
    if not array.flags.writeable:
        return None
    copy = array.copy()

    def put_back() -> None:
        if array.dtype == object or array.tobytes() != copy.tobytes():
            array[...] = copy

    return put_back


def _dict_keeper(live: dict[Any, Any]) -> Callable[[], None]:
    saved = dict(live)

    def is_same() -> bool:
        return all(a is b and live[a] is saved[b] for a, b in zip(live, saved, strict=True))

    return _refilling(live, saved, is_same, live.update)


def _list_keeper(live: Any) -> Callable[[], None]:
    saved = list(live)
    return _refilling(live, saved, lambda: all(a is b for a, b in zip(live, saved, strict=True)), live.extend)


def _set_keeper(live: set[Any]) -> Callable[[], None]:
    saved = set(live)
    return _refilling(live, saved, lambda: live == saved, live.update)


def _refilling(
    live: Any, saved: Any, is_same: Callable[[], bool], fill: Callable[[Any], None]
) -> Callable[[], None]:
    """is_same: asked of as many things as there were."""

    def put_back() -> None:
        if len(live) != len(saved) or not is_same():
            live.clear()
            fill(saved)

    return put_back


def _attribute_keeper(owner: Any) -> Callable[[], None] | None:
    if not is_entered(owner):
        return None
    slots = slots_in(owner)

    def put_slots_back() -> None:
        for name in slots_of(type(owner)):
            if name not in slots:
                if hasattr(owner, name):
                    object.__delattr__(owner, name)
            elif getattr(owner, name, None) is not slots[name]:
                object.__setattr__(owner, name, slots[name])

    attributes = getattr(owner, "__dict__", None)
    return _all(
        _dict_keeper(attributes) if attributes is not None else None, put_slots_back if slots else None
    )


def _function_keeper(function: types.FunctionType) -> Callable[[], None] | None:
    if is_shut(function.__module__ or ""):
        return None
    cells = [(c, c.cell_contents) for c in function.__closure__ or () if is_filled(c)]
    empty = [c for c in function.__closure__ or () if not is_filled(c)]
    used = [(owner, name, owner.get(name, _MISSING)) for owner, name, _ in globals_used(function)]
    attributes = _dict_keeper(vars(function))

    def put_back() -> None:
        for cell, content in cells:
            if not is_filled(cell) or cell.cell_contents is not content:
                cell.cell_contents = content
        for cell in empty:
            if is_filled(cell):
                del cell.cell_contents
        for owner, name, value in used:
            if value is _MISSING:
                owner.pop(name, None)
            elif owner.get(name, _MISSING) is not value:
                owner[name] = value
        attributes()

    return put_back


_MISSING = object()


def _class_keeper(owner: type) -> Callable[[], None]:
    saved = class_data(owner)

    def put_back() -> None:
        now = class_data(owner)
        for name in now.keys() - saved.keys():
            delattr(owner, name)
        for name, value in saved.items():
            if now.get(name, _MISSING) is not value:
                setattr(owner, name, value)

    return put_back
