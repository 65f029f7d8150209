"""The numbers of a fork in a file, where memory has no room for copies."""

import contextlib
import os
import tempfile
import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from gammatune.engine.forks.tensors import Tensors

ALIGNED = 64  # bytes: where the numbers of a tensor begin, so that they can be looked at in place


class FiledTensors(Tensors):
    """As `Tensors`, one after the other in a file in the directory for temporary ones, which goes with this object.

    Going out and coming back takes the memory of one tensor, and of none on a CPU.
    """

    def __init__(self) -> None:
        super().__init__(host=True)
        descriptor, self._path = tempfile.mkstemp(prefix="gammatune-fork-")
        self._file = os.fdopen(descriptor, "r+b")
        self._begins: list[int] = []
        self._close = weakref.finalize(self, _remove, self._file, self._path)

    def _make_room(self) -> None:
        self._begins, end = [], 0
        for tensor in self._storage:
            self._begins.append(end)
            end += -(-tensor.numel() * tensor.element_size() // ALIGNED) * ALIGNED
        self._file.truncate(end)

    def _copy_out(self) -> None:
        try:
            for tensor, begin in self._numbers():
                self._file.seek(begin)
                self._file.write(_in_memory(tensor.cpu().contiguous()))
            self._file.flush()
        except OSError as error:
            error.add_note(
                f"A fork was being written to {self._path}; point TMPDIR to a disk with more room, or pass "
                "forks='host', which keeps forks in memory"
            )
            raise

    def _copy_back(self) -> None:
        for tensor, begin in self._numbers():
            in_place = tensor.is_cpu and tensor.is_contiguous() and not (tensor.is_conj() or tensor.is_neg())
            target = tensor if in_place else torch.empty(tensor.shape, dtype=tensor.dtype)
            self._file.seek(begin)
            self._file.readinto(_in_memory(target))
            if target is not tensor:
                tensor.copy_(target)

    def captured(self, *, stands: bool = False) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        numbers = self._storage if stands else [self._at(k) for k in range(len(self._storage))]
        return zip(self._live, self._storage, numbers, strict=True)

    @property
    def bytes(self) -> int:
        return 0

    def _numbers(self) -> Iterator[tuple[Tensor, int]]:
        """The tensors that hold any, and where theirs begin."""
        pairs = zip(self._storage, self._begins, strict=True)
        return ((tensor, begin) for tensor, begin in pairs if tensor.numel())

    def _at(self, place: int) -> Tensor:
        """A tensor's numbers, looked at in the file."""
        tensor, begin = self._storage[place], self._begins[place]
        if not tensor.numel():
            return torch.empty_like(tensor, device="cpu")
        size = tensor.numel() * tensor.element_size()
        whole = torch.from_file(self._path, shared=False, size=begin + size, dtype=torch.uint8)
        return whole[begin:].view(tensor.dtype).view(tensor.shape)


def _in_memory(tensor: Tensor) -> Any:
    """The bytes of a contiguous tensor on the CPU."""
    plain = tensor.detach().resolve_conj().resolve_neg()
    return plain.reshape(-1).view(torch.uint8).numpy().data


def _remove(file: Any, path: str) -> None:
    file.close()
    with contextlib.suppress(OSError):
        os.unlink(path)
