"""Where copies of a training have room; what is told as out of memory, and getting it back."""

import math
import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from gammatune.errors import InvalidArgument

COPIES = 5  # what a policy keeps at most: where it starts and ends, the best of two walks, a mean (policy/trial.py)
MOMENTS = 2  # what an optimizer keeps of each number it trains, once it has taken a step: as much as Adam
SHARE = 0.5  # of the free memory, before any training: activations and the data need the rest (guess)

# Beside torch.OutOfMemoryError of CUDA: how the CPU's allocator, MPS and cuDNN say it, as plain RuntimeErrors.
WORDS = ("out of memory", "can't allocate memory", "CUDNN_STATUS_ALLOC_FAILED")


@dataclass(frozen=True, slots=True)
class Place:
    """Where forks are kept. said: why, where nobody had asked for it."""

    where: Literal["device", "host", "disk"]
    said: str = ""


def place_for_forks(where: str, modules: Iterable[nn.Module], optimizers: Iterable[Optimizer]) -> Place:
    """ "device": beside what is copied; "host": in the CPU's memory; "disk": in files. "auto": the first of these
    where `COPIES` of weights, buffers and optimizer state would take no more than `SHARE` of what is free.

    Raises InvalidArgument for any other word.
    """
    if where in ("device", "host", "disk"):
        return Place(where)  # type: ignore[arg-type]
    if where != "auto":
        raise InvalidArgument(f"forks={where!r}: write 'auto', 'device', 'host' or 'disk'")
    needed = _needed(modules, optimizers)
    every = sum(needed.values())
    crowded = next((device for device in needed if COPIES * needed[device] > SHARE * _free_on(device)), None)
    if crowded is None:
        return Place("device")
    free, room = _free_on(torch.device("cpu")), shutil.disk_usage(tempfile.gettempdir()).free
    if COPIES * every <= SHARE * free or COPIES * every > SHARE * room:
        if crowded.type == "cpu":
            return Place("device")  # there is no room anywhere
        return Place("host", _why(needed[crowded], crowded, "in the CPU's memory"))
    return Place("disk", _why(needed[crowded], crowded, "on disk"))


def _needed(modules: Iterable[nn.Module], optimizers: Iterable[Optimizer]) -> Counter[torch.device]:
    """Bytes of one copy, by device."""
    tensors = {id(t): (t, 1) for module in modules for t in (*module.buffers(), *module.parameters())}
    trained = [t for o in optimizers for group in o.param_groups for t in group["params"]]
    tensors |= {id(t): (t, 1 + MOMENTS * t.requires_grad) for t in trained}
    needed: Counter[torch.device] = Counter()
    for tensor, times in tensors.values():
        # of which another says that it has no shape
        if (tensor.is_cuda or tensor.is_cpu) and not is_lazy(tensor):
            needed[tensor.device] += times * tensor.numel() * tensor.element_size()
    return needed


def _free_on(device: torch.device) -> float:
    """Bytes; infinite where nobody can tell."""
    if device.type == "cpu":
        return _free_in_memory()
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def _free_in_memory(root: Path = Path("/")) -> float:
    """Of the machine, or of the container that this is, as far as Linux tells; what files fill can be had."""
    free = math.inf
    with suppress(OSError, ValueError, KeyError):
        free = _read(root / "proc/meminfo")["MemAvailable:"] * 2**10
    with suppress(OSError, ValueError, KeyError):
        group = root / "sys/fs/cgroup"
        limit, used = (float((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        free = min(free, max(0.0, limit - used + _read(group / "memory.stat")["file"]))
    return free


def _read(path: Path) -> dict[str, float]:
    """A file with a name and a number in each line."""
    return {name: float(number) for name, number, *_ in map(str.split, path.read_text().splitlines())}


def _why(size: float, device: torch.device, where: str) -> str:
    place = "in memory" if device.type == "cpu" else f"on {device}"
    return (
        f"Forks are kept {where}: {COPIES} copies of {_gigabytes(size)} would take more than {SHARE:.0%} of the "
        f"{_gigabytes(_free_on(device))} that are free {place}; forks='device' keeps them there."
    )


def _gigabytes(size: float) -> str:
    return f"{size / 2**30:.3g} GiB"


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on an accelerator or on the host."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in WORDS)


def let_go(error: BaseException, optimizers: Iterable[Optimizer]) -> None:
    """Free what the step that failed still holds.

    The frames of the error hold the activations of the forward pass, for as long as the error is looked at.
    """
    traceback.clear_frames(error.__traceback__)
    for optimizer in optimizers:
        optimizer.zero_grad()
    torch.cuda.empty_cache()


def give_up(error: BaseException, optimizers: Iterable[Optimizer]) -> str:
    """Free what the step that had no memory still holds, and say in a line what it was."""
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    let_go(error, optimizers)
    return said if "out of memory" in said.lower() else f"out of memory: {said}"
