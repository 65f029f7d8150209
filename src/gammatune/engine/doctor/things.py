"""What there is in a thing that a program holds, and whose it is."""

import dis
import enum
import functools
import inspect
import types
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.optim import Optimizer
from torch.utils.data.dataloader import _BaseDataLoaderIter

from gammatune.engine.doctor.ownership import is_of_python, is_shut, is_users_own
from gammatune.engine.forks.streams import Stream
from gammatune.engine.weight import slots_in

LONG = 10_000  # items: a longer container holds data, and is compared item by item but not entered (guess)

ATOMS = (
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    type(None),
    torch.dtype,
    torch.device,
    np.generic,
    enum.Enum,
    range,
)
COMPILERS = ("_dynamo_", "_torchdynamo_")  # attributes by which a compiler marks what it has seen
UNMADE = (UninitializedParameter, UninitializedBuffer)  # lazy ones, which have no numbers yet
ALIKE = (tuple, frozenset, types.MethodType)  # whether two are one object makes no difference
ENTERED = (types.SimpleNamespace, functools.partial)  # of the standard library
CACHED = type(functools.cache(len))  # a function under functools.cache


@dataclass(frozen=True, slots=True)
class Part:
    """label: appended to the path. name: where the expression is another one than the path's."""

    label: str
    value: Any
    name: str = ""
    named: bool = True


def parts_of(value: Any, paths: Mapping[int, str]) -> list[Part]:
    if isinstance(value, Tensor):
        return [] if isinstance(value, UNMADE) else _parts_of_tensor(value)
    if isinstance(value, np.ndarray) or isinstance(value, Stream):  # noqa: SIM101 - Stream is a union
        return []
    if isinstance(value, dict):
        items = value.items() if len(value) <= LONG else ()
        inside = [Part(f"[{_key(key, n, paths)}]", v, named=False) for n, (key, v) in enumerate(items)]
        return inside + _attributes(value)
    if isinstance(value, (list, tuple, deque)):
        items_ = value if len(value) <= LONG else ()
        return [Part(f"[{n}]", item, named=False) for n, item in enumerate(items_)] + _attributes(value)
    if isinstance(value, types.FunctionType):
        return _parts_of_function(value)
    if isinstance(value, types.MethodType):
        return [Part(": self", value.__self__, "self"), Part("", value.__func__)]
    if isinstance(value, types.BuiltinMethodType):  # such as losses.append
        bound = value.__self__
        return [] if bound is None or isinstance(bound, types.ModuleType) else [Part(": self", bound, "self")]
    if isinstance(value, functools.partial):
        return [
            Part("", value.func),
            *(Part(f": argument {n}", item) for n, item in enumerate(value.args)),
            *(Part(f": argument `{key}`", item, key) for key, item in value.keywords.items()),
            *_attributes(value),
        ]
    if isinstance(value, type):
        return _parts_of_class(value)
    if isinstance(value, torch.jit.ScriptModule):  # keeps its own in C++
        tensors = [*value.named_parameters(), *value.named_buffers()]
        return [Part(f".{name}", tensor) for name, tensor in tensors]
    if isinstance(value, nn.Module):
        return [
            *(Part(f".{key}", item) for table in tables_of(value) for key, item in table.items()),
            *(part for part in _attributes(value) if part.label not in _TABLES),
        ]
    return _attributes(value)


def _parts_of_tensor(tensor: Tensor) -> list[Part]:
    has_gradient = tensor.is_leaf or tensor.retains_grad  # of any other torch warns that it has none
    gradient = tensor.grad if has_gradient else None
    return ([] if gradient is None else [Part(".grad", gradient)]) + _attributes(tensor)


def _parts_of_function(function: types.FunctionType) -> list[Part]:
    parts = [Part(f".{key}", item) for key, item in vars(function).items()]
    if is_shut(function.__module__ or ""):
        return [part for part in parts if part.label in (".__wrapped__", "._torchdynamo_orig_callable")]
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    parts += [
        Part(f": closure variable `{name}`", cell.cell_contents, name)
        for name, cell in cells
        if is_filled(cell)
    ]
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    parts += [Part(f": default {n}", item) for n, item in enumerate(defaults)]
    for owner, name, label in globals_used(function):
        if name in owner:
            parts.append(Part(f": global variable `{label}`", owner[name], label))
    return parts


def _parts_of_class(owner: type) -> list[Part]:
    if not is_users_own(owner.__module__) or issubclass(owner, enum.Enum):
        return []
    bare = [(name, _bare(item)) for name, item in vars(owner).items()]
    functions = [Part(f".{name}", item) for name, item in bare if isinstance(item, types.FunctionType)]
    return functions + [Part(f".{name}", item) for name, item in class_data(owner).items()]


def _attributes(value: Any) -> list[Part]:
    if not is_entered(value):
        return []
    found = {**slots_in(value), **getattr(value, "__dict__", {})}
    classes = [c for c in type(value).__mro__ if is_users_own(c.__module__)]
    own = [
        Part(f".{name}", item)
        for name, item in found.items()
        # workers live as long as anybody knows their iterator
        if not name.startswith(COMPILERS) and not isinstance(item, _BaseDataLoaderIter)
    ]
    return own + [Part("", c) for c in classes]


def is_entered(value: Any) -> bool:
    if isinstance(value, (types.ModuleType, type, _BaseDataLoaderIter)):
        return False
    module = type(value).__module__
    if is_shut(module):
        # a scripted or compiled model is a model still, and an optimizer of ours is a part of the training
        is_ours = isinstance(value, Optimizer) and module.startswith("gammatune.")
        return is_ours or isinstance(value, nn.Module)
    return isinstance(value, ENTERED) or not is_of_python(module)


_TABLES = ("._parameters", "._buffers", "._modules")


def tables_of(module: nn.Module) -> tuple[dict[str, Any], ...]:
    return module._parameters, module._buffers, module._modules


def _key(key: Any, number: int, paths: Mapping[int, str]) -> str:
    if isinstance(key, ATOMS):
        return repr(key)
    return paths.get(id(key), str(number))


def _bare(item: Any) -> Any:
    """The function in a static method, class method or property."""
    if isinstance(item, (staticmethod, classmethod)):
        item = item.__func__
    elif isinstance(item, property):
        item = item.fget
    return inspect.unwrap(item) if isinstance(item, CACHED) else item


def class_data(owner: type) -> dict[str, Any]:
    """Class variables."""
    shut = (types.FunctionType, staticmethod, classmethod, property, types.MemberDescriptorType)
    return {
        name: item
        for name, item in vars(owner).items()
        if not isinstance(item, (*shut, types.GetSetDescriptorType)) and not name.startswith("__")
    }


def globals_used(function: types.FunctionType) -> list[tuple[dict[str, Any], str, str]]:
    """(where it stands, its name, how the function says it) of the global variables of the user's own function."""
    if not is_users_own(function.__module__ or ""):
        return []
    used: list[tuple[dict[str, Any], str, str]] = []
    for name, attributes in names_used(function.__code__):
        value = function.__globals__.get(name)
        if isinstance(value, types.ModuleType):
            if is_users_own(value.__name__):
                used += [(vars(value), a, f"{name}.{a}") for a in attributes if a in vars(value)]
        else:
            used.append((function.__globals__, name, name))
    return used


@functools.lru_cache(maxsize=4096)
def names_used(code: types.CodeType) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Global names in a function and those defined in it, each with all attributes asked of anything there."""
    codes, names, attributes = [code], dict[str, None](), dict[str, None]()
    for one in codes:  # grows on the way
        codes += [constant for constant in one.co_consts if isinstance(constant, types.CodeType)]
        for instruction in dis.get_instructions(one):
            if instruction.opname in ("LOAD_GLOBAL", "STORE_GLOBAL", "LOAD_NAME"):
                names[instruction.argval] = None
            elif instruction.opname in ("LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR"):
                attributes[instruction.argval] = None
    return tuple((name, tuple(attributes)) for name in names)


def is_filled(cell: types.CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:  # of a variable that has not been set yet
        return False
    return True
