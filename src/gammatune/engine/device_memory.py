"""Where copies of a training have room; what is told as out of memory, and getting it back."""

import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer

from gammatune.errors import InvalidArgument

COPIES = 5  # what a policy keeps at most: where it starts and ends, the best of two walks, a mean (policy/trial.py)
MOMENTS = 2  # what an optimizer keeps of each number it trains, once it has taken a step: as much as Adam
SHARE = 0.5  # of the free memory, before any training: activations and the data need the rest (guess)

# Beside torch.OutOfMemoryError of CUDA: how the CPU's allocator, MPS and cuDNN say it, as plain RuntimeErrors.
WORDS = ("out of memory", "can't allocate memory", "CUDNN_STATUS_ALLOC_FAILED")


@dataclass(frozen=True, slots=True)
class Place:
    """Where forks are kept. host: in the CPU's memory. said: why, where nobody had asked for it."""

    host: bool
    said: str = ""


def place_for_forks(where: str, modules: Iterable[nn.Module], optimizers: Iterable[Optimizer]) -> Place:
    """ "device": beside what is copied; "host": in the CPU's memory; "auto": in the CPU's memory where `COPIES` of
    weights, buffers and optimizer state would take more than `SHARE` of the free memory of a CUDA device.

    Raises InvalidArgument for any other word.
    """
    if where not in ("auto", "device", "host"):
        raise InvalidArgument(f"forks={where!r}: write 'auto', 'device' or 'host'")
    if where != "auto":
        return Place(host=where == "host")
    tensors = {id(t): (t, 1) for module in modules for t in module.buffers()}
    tensors |= {id(t): (t, 1) for module in modules for t in module.parameters()}
    trained = [t for o in optimizers for group in o.param_groups for t in group["params"]]
    tensors |= {id(t): (t, 1 + MOMENTS * t.requires_grad) for t in trained}
    needed: Counter[torch.device] = Counter()
    for tensor, times in tensors.values():
        if tensor.is_cuda:
            needed[tensor.device] += times * tensor.numel() * tensor.element_size()
    for device, size in needed.items():
        free, _ = torch.cuda.mem_get_info(device)
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        if COPIES * size > SHARE * free:
            return Place(
                host=True,
                said=f"Forks are kept in the CPU's memory: {COPIES} copies of {_gigabytes(size)} would take more "
                f"than {SHARE:.0%} of the {_gigabytes(free)} that are free on {device}; forks='device' keeps them "
                "there.",
            )
    return Place(host=False)


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
