"""Everything that can be reached from some objects: seen, compared, put back.

A fork holds what the engine knows of a training (engine/forks/snapshot.py). This is the other side: all that the
user's objects lead to, whether a fork knows it or not.

    from                        on to
    object                      attributes, slots; its class, where that is the user's own
    nn.Module                   parameters, buffers, parts, attributes
    tensor                      its gradient, attributes
    list, tuple, deque, dict    items
    function, method, partial   closure variables, defaults, what it is bound to; of the user's own functions also the
                                global variables they name, and so the functions they call
    random streams, arrays      nothing: their numbers are looked at

Not entered: what belongs to Python or to a library and is no plain object (modules, threads, files), what talks to
the outside (`SHUT`), what has no inside that Python could see (generators, iterators, memory maps, extension types).
"""

import dis
import enum
import functools
import hashlib
import inspect
import sys
import sysconfig
import types
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.optim import Optimizer
from torch.utils.data.dataloader import _BaseDataLoaderIter

from gammatune.engine.forks.streams import Stream, StreamStates, set_state, state_of
from gammatune.engine.forks.transfer import overlaps

LONG = 10_000  # items: a longer container holds data, and is compared item by item but not entered (guess)
DATA = "loader"  # the root under which data lie
LARGE = 2**26  # bytes: larger data are neither compared nor copied (guess: a fifteenth of a second each time)

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
# Compilers keep caches of their own, and trackers and displays talk to the outside, where nothing goes back.
SHUT = frozenset(
    f"torch.{part}"
    for part in ("_dynamo", "_inductor", "_functorch", "_C", "fx", "jit", "cuda", "distributed", "autograd")
) | {
    *("torch.utils.tensorboard", "tensorboard", "tensorboardX", "wandb", "mlflow", "comet_ml", "neptune"),
    *("clearml", "aim", "tqdm", "rich", "loguru"),
    "gammatune",  # whoever looks is not a part of what is looked at
}
COMPILERS = ("_dynamo_", "_torchdynamo_")  # attributes by which a compiler marks what it has seen
UNMADE = (UninitializedParameter, UninitializedBuffer)  # lazy ones, which have no numbers yet
ALIKE = (tuple, frozenset, types.MethodType)  # whether two are one object makes no difference
ENTERED = (types.SimpleNamespace, functools.partial)  # of the standard library
CACHED = type(functools.cache(len))  # a function under functools.cache


@dataclass(slots=True, eq=False)
class Node:
    """One thing met on the walk.

    where: the path to it, for people: "step: closure variable `ema`". name: the expression for it: "ema".
    named: an attribute or a variable, not an item of a container. first: where it had been met before, or None.
    shut: why it cannot be looked into, though it may well change; or None.
    """

    value: Any
    where: str
    name: str
    parent: "Node | None"
    named: bool
    first: str | None = None
    shut: str | None = None

    @property
    def lineage(self) -> "list[Node]":
        """From the root to this."""
        line = [self]
        while (parent := line[-1].parent) is not None:
            line.append(parent)
        return line[::-1]


@dataclass(frozen=True, slots=True)
class Leaf:
    """What stood at one place. shown: in a word, where it is a number or a text."""

    node: Node
    digest: bytes
    shown: str | None


class Survey:
    """What is reachable from `roots` (names to objects), as it stands now. Nothing is touched.

    leaves: by path. nodes: every object once. unseen: what could not be looked into, with paths.
    """

    def __init__(self, roots: Mapping[str, Any]) -> None:
        self.leaves: dict[str, Leaf] = {}
        self.nodes: list[Node] = []
        self.unseen: list[str] = []
        for node in walk(roots):
            # a class stands at the path of its instance, a function at that of its method
            place = (
                node.where if node.where not in self.leaves else f"{node.where} {type(node.value).__name__}"
            )
            self.leaves[place] = Leaf(node, _digest(node), _shown(node.value))
            if node.first is None and not isinstance(node.value, ATOMS):
                self.nodes.append(node)
                if node.shut is not None:
                    self.unseen.append(f"{node.where} ({node.shut})")

    def differences(self, other: "Survey") -> list[tuple[Leaf | None, Leaf | None]]:
        """The places where the two differ: here and there, None where there is nothing."""
        places = dict.fromkeys((*self.leaves, *other.leaves))
        pairs = ((self.leaves.get(place), other.leaves.get(place)) for place in places)
        return [(a, b) for a, b in pairs if a is None or b is None or a.digest != b.digest]


def digest_of(value: Any) -> bytes:
    """Equal for two values that hold the same, to the bit."""
    total = _hash()
    for where, leaf in Survey({"": value}).leaves.items():
        total.update(where.encode() + leaf.digest)
    return bytes(total.digest())


class Held:
    """All that is reachable from `roots`, and the global random streams, to be put back.

    Each object is held by what it refers to, each tensor and array by a copy of its numbers, so that nothing but
    numbers is copied, and afterwards every object is the one that it was.
    """

    def __init__(self, roots: Mapping[str, Any]) -> None:
        self._keepers = [
            keeper
            for node in walk(roots)
            if node.first is None and node.shut is None and (keeper := _keeper(node.value)) is not None
        ]
        self._streams = StreamStates([], cuda=True)

    def put_back(self) -> None:
        for keeper in self._keepers:
            keeper()
        self._streams.restore()


def walk(roots: Mapping[str, Any]) -> Iterator[Node]:
    """Every place once: root after root, breadth first, so that a thing is known by the shortest path to it."""
    met: dict[int, Node] = {}  # by identity, and so kept alive
    for root, value in roots.items():
        queue = deque([Node(value, root, root, None, True)])
        while queue:
            node = queue.popleft()
            if isinstance(node.value, ATOMS):
                yield node
                continue
            if not isinstance(node.value, ALIKE):
                node.first = first.where if (first := met.get(id(node.value))) is not None else None
            node.shut = _why_shut(node.value, is_data=root == DATA)
            yield node
            if node.first is None and node.shut is None:
                met.setdefault(id(node.value), node)
                queue += [
                    Node(p.value, node.where + p.label, p.name or node.name + p.label, node, p.named)
                    for p in _parts(node.value, met)
                ]


# What is in a thing -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """label: appended to the path. name: where the expression is another one than the path's."""

    label: str
    value: Any
    name: str = ""
    named: bool = True


def _parts(value: Any, met: Mapping[int, Node]) -> list[_Part]:
    if isinstance(value, Tensor):
        return [] if isinstance(value, UNMADE) else _parts_of_tensor(value)
    if isinstance(value, np.ndarray) or isinstance(value, Stream):  # noqa: SIM101 - Stream is a union
        return []
    if isinstance(value, dict):
        items = value.items() if len(value) <= LONG else ()
        inside = [_Part(f"[{_key(key, n, met)}]", v, named=False) for n, (key, v) in enumerate(items)]
        return inside + _attributes(value)
    if isinstance(value, (list, tuple, deque)):
        items_ = value if len(value) <= LONG else ()
        return [_Part(f"[{n}]", item, named=False) for n, item in enumerate(items_)] + _attributes(value)
    if isinstance(value, types.FunctionType):
        return _parts_of_function(value)
    if isinstance(value, types.MethodType):
        return [_Part(": self", value.__self__, "self"), _Part("", value.__func__)]
    if isinstance(value, types.BuiltinMethodType):  # such as losses.append
        bound = value.__self__
        return (
            [] if bound is None or isinstance(bound, types.ModuleType) else [_Part(": self", bound, "self")]
        )
    if isinstance(value, functools.partial):
        return [
            _Part("", value.func),
            *(_Part(f": argument {n}", item) for n, item in enumerate(value.args)),
            *(_Part(f": argument `{key}`", item, key) for key, item in value.keywords.items()),
            *_attributes(value),
        ]
    if isinstance(value, type):
        return _parts_of_class(value)
    if isinstance(value, torch.jit.ScriptModule):  # keeps its own in C++
        tensors = [*value.named_parameters(), *value.named_buffers()]
        return [_Part(f".{name}", tensor) for name, tensor in tensors]
    if isinstance(value, nn.Module):
        return [
            *(_Part(f".{key}", item) for table in _tables(value) for key, item in table.items()),
            *(part for part in _attributes(value) if part.label not in _TABLES),
        ]
    return _attributes(value)


def _parts_of_tensor(tensor: Tensor) -> list[_Part]:
    has_gradient = tensor.is_leaf or tensor.retains_grad  # of any other torch warns that it has none
    gradient = tensor.grad if has_gradient else None
    return ([] if gradient is None else [_Part(".grad", gradient)]) + _attributes(tensor)


def _parts_of_function(function: types.FunctionType) -> list[_Part]:
    parts = [_Part(f".{key}", item) for key, item in vars(function).items()]
    if _is_shut(function.__module__ or ""):
        return [part for part in parts if part.label in (".__wrapped__", "._torchdynamo_orig_callable")]
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    parts += [
        _Part(f": closure variable `{name}`", cell.cell_contents, name)
        for name, cell in cells
        if _is_filled(cell)
    ]
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    parts += [_Part(f": default {n}", item) for n, item in enumerate(defaults)]
    for owner, name, label in _globals_used(function):
        if name in owner:
            parts.append(_Part(f": global variable `{label}`", owner[name], label))
    return parts


def _parts_of_class(owner: type) -> list[_Part]:
    if not is_users_own(owner.__module__) or issubclass(owner, enum.Enum):
        return []
    bare = [(name, _bare(item)) for name, item in vars(owner).items()]
    functions = [_Part(f".{name}", item) for name, item in bare if isinstance(item, types.FunctionType)]
    return functions + [_Part(f".{name}", item) for name, item in _class_data(owner).items()]


def _attributes(value: Any) -> list[_Part]:
    if not _is_entered(value):
        return []
    slots = {name: getattr(value, name) for name in _slots(type(value)) if hasattr(value, name)}
    found = {**slots, **getattr(value, "__dict__", {})}
    classes = [c for c in type(value).__mro__ if is_users_own(c.__module__)]
    own = [
        _Part(f".{name}", item)
        for name, item in found.items()
        # workers live as long as anybody knows their iterator
        if not name.startswith(COMPILERS) and not isinstance(item, _BaseDataLoaderIter)
    ]
    return own + [_Part("", c) for c in classes]


def _is_entered(value: Any) -> bool:
    if isinstance(value, (types.ModuleType, type, _BaseDataLoaderIter)):
        return False
    module = type(value).__module__
    if _is_shut(module):
        # a scripted or compiled model is a model still, and an optimizer of ours is a part of the training
        is_ours = isinstance(value, Optimizer) and module.startswith("gammatune.")
        return is_ours or isinstance(value, nn.Module)
    return isinstance(value, ENTERED) or not _is_of_python(module)


_TABLES = ("._parameters", "._buffers", "._modules")


def _tables(module: nn.Module) -> tuple[dict[str, Any], ...]:
    return module._parameters, module._buffers, module._modules


def _key(key: Any, number: int, met: Mapping[int, Node]) -> str:
    if isinstance(key, ATOMS):
        return repr(key)
    return met[id(key)].where if id(key) in met else str(number)


def _bare(item: Any) -> Any:
    """The function in a static method, class method or property."""
    if isinstance(item, (staticmethod, classmethod)):
        item = item.__func__
    elif isinstance(item, property):
        item = item.fget
    return inspect.unwrap(item) if isinstance(item, CACHED) else item


def _class_data(owner: type) -> dict[str, Any]:
    """Class variables."""
    shut = (types.FunctionType, staticmethod, classmethod, property, types.MemberDescriptorType)
    return {
        name: item
        for name, item in vars(owner).items()
        if not isinstance(item, (*shut, types.GetSetDescriptorType)) and not name.startswith("__")
    }


def _slots(kind: type) -> tuple[str, ...]:
    """Attributes that are not in `__dict__`."""
    found: list[str] = []
    for owner in kind.__mro__:
        slots = vars(owner).get("__slots__", ())
        names = (slots,) if isinstance(slots, str) else tuple(slots)
        found += [
            f"_{owner.__name__.lstrip('_')}{n}" if n.startswith("__") and not n.endswith("__") else n
            for n in names
        ]
    return tuple(name for name in found if name not in ("__dict__", "__weakref__"))


def _globals_used(function: types.FunctionType) -> list[tuple[dict[str, Any], str, str]]:
    """(where it stands, its name, how the function says it) of the global variables of the user's own function."""
    if not is_users_own(function.__module__ or ""):
        return []
    used: list[tuple[dict[str, Any], str, str]] = []
    for name, attributes in _names_used(function.__code__):
        value = function.__globals__.get(name)
        if isinstance(value, types.ModuleType):
            if is_users_own(value.__name__):
                used += [(vars(value), a, f"{name}.{a}") for a in attributes if a in vars(value)]
        else:
            used.append((function.__globals__, name, name))
    return used


@functools.lru_cache(maxsize=4096)
def _names_used(code: types.CodeType) -> tuple[tuple[str, tuple[str, ...]], ...]:
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


def _is_filled(cell: types.CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:  # of a variable that has not been set yet
        return False
    return True


@functools.lru_cache(maxsize=4096)
def _file_of(module: str) -> str | None:
    return getattr(sys.modules.get(module), "__file__", None)


@functools.lru_cache(maxsize=4096)
def _is_of_python(module: str) -> bool:
    if module.partition(".")[0] in ("__main__", "__mp_main__"):
        return False
    file = _file_of(module)
    paths = sysconfig.get_paths()
    if file is None:
        return module.partition(".")[0] in sys.stdlib_module_names
    return file.startswith((paths["stdlib"], paths["platstdlib"])) and not _is_installed(file)


def _is_installed(file: str) -> bool:
    paths = sysconfig.get_paths()
    return file.startswith((paths["purelib"], paths["platlib"])) or "site-packages" in file


@functools.lru_cache(maxsize=4096)
def is_users_own(module: str) -> bool:
    """Whether a module is the user's own, so that its functions' globals are the training's."""
    if module.partition(".")[0] == "gammatune" or _is_of_python(module):
        return False
    file = _file_of(module)
    return not _is_installed(file) if file is not None else module in ("__main__", "__mp_main__")


@functools.lru_cache(maxsize=4096)
def _is_shut(module: str) -> bool:
    parts = module.split(".")
    return any(".".join(parts[:k]) in SHUT for k in range(1, len(parts) + 1))


def _why_shut(value: Any, *, is_data: bool) -> str | None:
    """Why a thing that may well change cannot be looked into; None where it can, or never changes."""
    if isinstance(value, np.memmap):
        return "a memory map"
    if is_data and isinstance(value, (np.ndarray, Tensor)) and value.nbytes > LARGE:
        return f"{value.nbytes / 2**20:,.0f} MiB"
    if isinstance(value, Iterator) and _is_of_python(type(value).__module__):  # generators and files too
        return f"a {type(value).__name__}"
    return None


# What stands there ------------------------------------------------------------------------------------------------


def _hash() -> Any:
    return hashlib.blake2b(digest_size=16)


def _digest(node: Node) -> bytes:
    total = _hash()
    if node.first is not None:
        total.update(f"as {node.first}".encode())
    elif node.shut is not None:
        total.update(type(node.value).__qualname__.encode())
    else:
        _feed(total, node.value)
    return bytes(total.digest())


def _feed(total: Any, value: Any) -> None:
    """What a thing is apart from its parts."""
    total.update(f"{type(value).__qualname__} ".encode())
    if isinstance(value, ATOMS):
        total.update(repr(value).encode())
    elif isinstance(value, Tensor):
        _feed_tensor(total, value)
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
    _feed(total, state)
    children = state.items() if isinstance(state, dict) else state if isinstance(state, (tuple, list)) else ()
    for child in children:
        _feed_all(total, child)


def _feed_tensor(total: Any, tensor: Tensor) -> None:
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
    total = _hash()
    for item in items:
        total.update(_word(item).encode())
    return bytes(total.digest())


def _word(item: Any) -> str:
    return repr(item) if isinstance(item, ATOMS) else type(item).__qualname__


def _shown(value: Any) -> str | None:
    """A number or a short text, in a word."""
    if isinstance(value, Tensor) and not isinstance(value, UNMADE):
        return (
            f"{value.item():.6g}" if value.numel() == 1 and value.is_cpu and not value.is_complex() else None
        )
    text = repr(value) if isinstance(value, ATOMS) else None
    return text if text is None or len(text) <= 20 else f"{text[:17]}..."


# How it is put back -----------------------------------------------------------------------------------------------


def _keeper(value: Any) -> Callable[[], None] | None:
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
        return _all(*map(_dict_keeper, _tables(value)), _attribute_keeper(value))
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
    total = _hash()
    _feed_tensor(total, tensor.detach())
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

    def put_back() -> None:
        same = len(live) == len(saved) and all(
            a is b and live[a] is saved[b] for a, b in zip(live, saved, strict=True)
        )
        if not same:
            live.clear()
            live.update(saved)

    return put_back


def _list_keeper(live: Any) -> Callable[[], None]:
    saved = list(live)

    def put_back() -> None:
        if len(live) != len(saved) or any(a is not b for a, b in zip(live, saved, strict=True)):
            live.clear()
            live.extend(saved)

    return put_back


def _set_keeper(live: set[Any]) -> Callable[[], None]:
    saved = set(live)

    def put_back() -> None:
        if live != saved:
            live.clear()
            live.update(saved)

    return put_back


def _attribute_keeper(owner: Any) -> Callable[[], None] | None:
    if not _is_entered(owner):
        return None
    slots = {name: getattr(owner, name) for name in _slots(type(owner)) if hasattr(owner, name)}

    def put_slots_back() -> None:
        for name in _slots(type(owner)):
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
    if _is_shut(function.__module__ or ""):
        return None
    cells = [(c, c.cell_contents) for c in function.__closure__ or () if _is_filled(c)]
    empty = [c for c in function.__closure__ or () if not _is_filled(c)]
    used = [(owner, name, owner.get(name, _MISSING)) for owner, name, _ in _globals_used(function)]
    attributes = _dict_keeper(vars(function))

    def put_back() -> None:
        for cell, content in cells:
            if not _is_filled(cell) or cell.cell_contents is not content:
                cell.cell_contents = content
        for cell in empty:
            if _is_filled(cell):
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
    saved = _class_data(owner)

    def put_back() -> None:
        now = _class_data(owner)
        for name in now.keys() - saved.keys():
            delattr(owner, name)
        for name, value in saved.items():
            if now.get(name, _MISSING) is not value:
                setattr(owner, name, value)

    return put_back
