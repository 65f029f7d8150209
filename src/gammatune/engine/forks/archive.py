"""Trees of plain values on disk: written whole or not at all, read without running any code.

A tree is nested dictionaries, lists, tuples, sets and deques of numbers, text, bytes, tensors and arrays. On disk
it is one file of `torch.save` with two entries: a list of tensors, and a skeleton in JSON in which

    null, true, 3, 0.5, "text"       stand for themselves
    ["tensor", 4]                    is the tensor at place 4
    ["dict", [[key, value], ...]]    and its like are what their tags say

so that `torch.load(weights_only=True)` reads it, which builds tensors and plain containers and nothing else.
"""

import contextlib
import hashlib
import json
import math
import struct
import warnings
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor

from gammatune.errors import DamagedCheckpoint, NotRestorable, first_line
from gammatune.files import whole_file

Node: TypeAlias = Any  # what JSON can say

FORMAT = 1
SMALL = 2**63  # longer whole numbers are written in hexadecimal: Python limits how long a decimal one may be

SEQUENCES: dict[type, str] = {list: "list", tuple: "tuple", set: "set", frozenset: "frozenset"}
MAPPINGS: dict[type, str] = {dict: "dict", OrderedDict: "OrderedDict", Counter: "Counter"}
MAKERS: dict[str, Callable[[Any], Any]] = {tag: kind for kind, tag in (SEQUENCES | MAPPINGS).items()}
FACTORIES: dict[str, Any] = {kind.__name__: kind for kind in (list, dict, set, int, float)}
COMPRESSED = {
    torch.sparse_csr: ("csr", Tensor.crow_indices, Tensor.col_indices),
    torch.sparse_csc: ("csc", Tensor.ccol_indices, Tensor.row_indices),
    torch.sparse_bsr: ("bsr", Tensor.crow_indices, Tensor.col_indices),
    torch.sparse_bsc: ("bsc", Tensor.ccol_indices, Tensor.row_indices),
}
LAYOUTS = {tag: layout for layout, (tag, _, _) in COMPRESSED.items()}


def write(path: Path, tree: Any) -> str:
    """Put a tree into a file and return the SHA-256 of the file, in hexadecimal.

    Raises NotRestorable where the tree holds what a file cannot, OSError as it comes.
    """
    skeleton, tensors = _encoded(tree, "the checkpoint")
    return put(
        path, {"format": FORMAT, "tree": skeleton, "tensors": [_compact(tensor) for tensor in tensors]}
    )


def put(path: Path, content: Any) -> str:
    """`torch.save` to a file, whole or not at all, as `write` says; its SHA-256."""
    sums: list[str] = []

    def save(file: BinaryIO) -> None:
        hashing = _Hashing(file)
        with _unmasked():
            torch.save(content, cast(BinaryIO, hashing))
        sums.append(hashing.finish())

    whole_file(path, save)
    return sums[0]


def read(path: Path, checksum: str) -> Any:
    """The tree in a file, its tensors on the CPU.

    Raises DamagedCheckpoint where the file is missing, has another SHA-256 or cannot be read, OSError as it comes.
    """
    path = Path(path)
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise DamagedCheckpoint(f"the checkpoint {path.name} is missing") from None
    with file:
        if hashlib.file_digest(file, "sha256").hexdigest() != checksum:
            raise DamagedCheckpoint(
                f"the checkpoint {path.name} is not what was written: its checksum differs from the one noted"
            )
        file.seek(0)
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
            if content["format"] != FORMAT:
                raise ValueError(f"it is of format {content['format']!r}, and this version reads {FORMAT}")
            return _Decoder(content["tensors"])(json.loads(content["tree"]))
        except (OSError, MemoryError):
            raise
        except Exception as error:
            raise DamagedCheckpoint(
                f"the checkpoint {path.name} cannot be read: {first_line(error)}"
            ) from error


def digest(tree: Any) -> str:
    """The SHA-256, in hexadecimal, of what a tree holds: equal trees have equal ones, in every process."""
    skeleton, tensors = _encoded(tree, "the state")
    total = hashlib.sha256(skeleton.encode())
    for tensor in tensors:
        total.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(_compact(tensor).contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def check(tree: Any, where: str) -> None:
    """Raise NotRestorable where a file cannot hold it; `where` begins the sentence."""
    _Encoder()(tree, where)


@contextlib.contextmanager
def _unmasked() -> Iterator[None]:
    """An interrupt comes out as such: torch's writer closes its file, and then raises an error about positions."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error.__context__, (KeyboardInterrupt, SystemExit)):
            raise error.__context__ from None
        raise


class _Hashing:
    """A file that is only written to, in order, and hashes what goes into it.

    torch's writer turns an error of the file into one about positions, so the first is kept, what follows it is
    let go of, and `finish` raises it as it was.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha = hashlib.sha256()
        self._error: OSError | None = None

    def write(self, data: bytes) -> int:
        if self._error is None:
            try:
                self._file.write(data)
                self._sha.update(data)
            except OSError as error:
                self._error = error
        return len(data)

    def flush(self) -> None:
        """torch asks for it; `write` flushes once, at the end."""

    def finish(self) -> str:
        if self._error is not None:
            raise self._error
        return self._sha.hexdigest()


# To JSON and tensors, and back --------------------------------------------------------------------------------


def _encoded(tree: Any, where: str) -> tuple[str, list[Tensor]]:
    encoder = _Encoder()
    skeleton = json.dumps(encoder(tree, where), separators=(",", ":"))
    return skeleton, encoder.tensors


class _Encoder:
    """Turns values into nodes; the tensors met on the way are in `tensors`, each once."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self._known: dict[int, Node] = {}  # of tensors and arrays, by identity
        self._around: set[int] = set()  # the containers that the value stands in

    def __call__(self, value: Any, where: str) -> Node:
        kind = type(value)
        if value is None or kind in (bool, str):
            return value
        if kind is int:
            return value if -SMALL < value < SMALL else ["int", hex(value)]
        if kind is float:  # of what is no number, the bits: there are many NaN
            return value if math.isfinite(value) else ["float", struct.pack(">d", value).hex()]
        if kind is complex:
            return ["complex", self(value.real, where), self(value.imag, where)]
        if kind is bytes:
            return ["bytes", value.hex()]
        if kind is torch.dtype or kind is torch.device:
            return [kind.__name__, str(value).removeprefix("torch.")]
        if kind is torch.Size:
            return ["Size", list(value)]
        if isinstance(value, (Tensor, np.ndarray, np.generic)):
            if id(value) not in self._known:
                self._known[id(value)] = (
                    self._tensor(value, where) if isinstance(value, Tensor) else self._array(value, where)
                )
            return self._known[id(value)]
        if id(value) in self._around:
            raise NotRestorable(f"{where}: a {kind.__name__} that contains itself; a file cannot hold that")
        self._around.add(id(value))
        node = self._container(value, where)
        self._around.discard(id(value))
        return node

    def _container(self, value: Any, where: str) -> Node:
        kind = type(value)
        if kind in SEQUENCES:
            items = [self(item, f"{where}[{index}]") for index, item in enumerate(value)]
            # the order of a set is another in every process
            return [SEQUENCES[kind], sorted(items, key=json.dumps) if kind in (set, frozenset) else items]
        if kind is deque:
            return ["deque", [self(item, f"{where}[{i}]") for i, item in enumerate(value)], value.maxlen]
        if kind in MAPPINGS:
            return [MAPPINGS[kind], self._pairs(value, where)]
        if kind is defaultdict and getattr(value.default_factory, "__name__", "") in FACTORIES:
            return ["defaultdict", self._pairs(value, where), value.default_factory.__name__]
        raise NotRestorable(
            f"{where}: a {kind.__name__}, which a checkpoint cannot hold. Keep numbers, text, tensors, arrays and "
            "plain containers of these (a state_dict may leave the rest out, where it is made anew with the object)"
        )

    def _pairs(self, value: dict[Any, Any], where: str) -> Node:
        return [
            [self(key, f"{where}, a key"), self(item, f"{where}, [{key!r}]")] for key, item in value.items()
        ]

    def _tensor(self, tensor: Tensor, where: str) -> Node:
        tensor = tensor.detach()
        if tensor.is_meta:
            raise NotRestorable(
                f"{where}: a tensor on the meta device has no numbers to keep; materialise it"
            )
        if type(tensor) is not Tensor or tensor.is_quantized or tensor.is_nested:
            what = (
                "quantized"
                if tensor.is_quantized
                else "nested"
                if tensor.is_nested
                else type(tensor).__name__
            )
            raise NotRestorable(f"{where}: a tensor of a kind ({what}) that a checkpoint cannot hold")
        if tensor.layout == torch.strided:
            return ["tensor", self._place(tensor)]
        if tensor.layout == torch.sparse_coo:
            parts = [self._place(tensor._indices()), self._place(tensor._values())]
            return ["coo", *parts, list(tensor.shape), tensor.is_coalesced()]
        if tensor.layout not in COMPRESSED:
            raise NotRestorable(
                f"{where}: a tensor of layout {tensor.layout}, which a checkpoint cannot hold"
            )
        tag, outer, inner = COMPRESSED[tensor.layout]
        return [
            tag,
            self._place(outer(tensor)),
            self._place(inner(tensor)),
            self._place(tensor.values()),
            list(tensor.shape),
        ]

    def _array(self, array: "np.ndarray[Any, Any] | np.generic", where: str) -> Node:
        if array.dtype.hasobject or array.dtype.names is not None or not array.dtype.itemsize:
            raise NotRestorable(
                f"{where}: an array of {array.dtype}, which a checkpoint cannot hold; keep plain numbers"
            )
        order: Literal["C", "F"] = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        numbers = bytearray(array.tobytes(order))
        place = self._place(torch.frombuffer(numbers, dtype=torch.uint8)) if array.size else 0
        tag = "array" if isinstance(array, np.ndarray) else "scalar"
        # `str` says the byte order too, which the name of a dtype does not
        return [tag, place, array.dtype.str, list(array.shape), order]

    def _place(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1


class _Decoder:
    """Turns nodes back into values."""

    def __init__(self, tensors: list[Tensor]) -> None:
        self._tensors = tensors

    def __call__(self, node: Node) -> Any:
        if not isinstance(node, list):
            return node
        tag, *rest = node
        if tag in ("list", "tuple", "set", "frozenset"):
            return MAKERS[tag](map(self, rest[0]))
        if tag in ("dict", "OrderedDict", "Counter"):
            return MAKERS[tag](self._pairs(rest[0]))
        match tag:
            case "tensor":
                return self._tensors[rest[0]]
            case "int":
                return int(rest[0], 16)
            case "float":
                return struct.unpack(">d", bytes.fromhex(rest[0]))[0]
            case "complex":
                return complex(self(rest[0]), self(rest[1]))
            case "bytes":
                return bytes.fromhex(rest[0])
            case "dtype":
                if not isinstance(dtype := getattr(torch, rest[0]), torch.dtype):
                    raise ValueError(f"{rest[0]!r} is no dtype")
                return dtype
            case "device":
                return torch.device(rest[0])
            case "Size":
                return torch.Size(rest[0])
            case "deque":
                return deque(map(self, rest[0]), rest[1])
            case "defaultdict":
                return defaultdict(FACTORIES[rest[1]], self._pairs(rest[0]))
            case "array" | "scalar":
                return self._array(tag, *rest)
            case "coo" | "csr" | "csc" | "bsr" | "bsc":
                return self._sparse(tag, *rest)
        raise ValueError(f"the tag {tag!r} is not known")

    def _pairs(self, pairs: Iterable[Any]) -> dict[Any, Any]:
        return {self(key): self(value) for key, value in pairs}

    def _array(self, tag: str, place: int, dtype: str, shape: list[int], order: Literal["C", "F"]) -> Any:
        array = np.empty(shape, np.dtype(dtype), order)
        if array.size:
            numbers = np.frombuffer(self._tensors[place].numpy().tobytes(), array.dtype)
            array[...] = numbers.reshape(shape, order=order)
        return array if tag == "array" else array[()]

    def _sparse(self, tag: str, first: int, second: int, *rest: Any) -> Tensor:
        if tag == "coo":
            size, coalesced = rest
            return torch.sparse_coo_tensor(
                self._tensors[first],
                self._tensors[second],
                size,
                is_coalesced=coalesced,
                check_invariants=True,
            )
        place, size = rest
        with warnings.catch_warnings():  # torch calls these layouts a beta, once in a process
            warnings.simplefilter("ignore")
            return torch.sparse_compressed_tensor(
                self._tensors[first],
                self._tensors[second],
                self._tensors[place],
                size,
                layout=LAYOUTS[tag],
                check_invariants=True,
            )


def _compact(tensor: Tensor) -> Tensor:
    """On the CPU, and without the rest of a storage that it is a part of."""
    tensor = tensor.detach().resolve_conj().resolve_neg().cpu()
    whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if whole else tensor.clone()
