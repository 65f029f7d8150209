"""What is told as out of memory, and getting it back."""

import traceback
from collections.abc import Iterable

import torch
from torch.optim import Optimizer

# Beside torch.OutOfMemoryError of CUDA: how the CPU's allocator, MPS and cuDNN say it, as plain RuntimeErrors.
WORDS = ("out of memory", "can't allocate memory", "CUDNN_STATUS_ALLOC_FAILED")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on an accelerator or on the host."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in WORDS)


def give_up(error: BaseException, optimizers: Iterable[Optimizer]) -> str:
    """Free what the step that failed still holds, and say in a line what it was.

    The frames of the error hold the activations of the forward pass, for as long as the error is looked at.
    """
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    traceback.clear_frames(error.__traceback__)
    for optimizer in optimizers:
        optimizer.zero_grad()
    torch.cuda.empty_cache()
    return said if "out of memory" in said.lower() else f"out of memory: {said}"
