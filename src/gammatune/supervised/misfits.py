"""Why the first batch of a part, a model and a loss do not fit together, in a sentence."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gammatune.engine.batches import LossFunction
from gammatune.errors import InvalidArgument, InvalidData, ModelMismatch
from gammatune.supervised.batch_form import Inputs
from gammatune.supervised.reading import Reading

# The kinds torch's layers and losses raise for a wrong shape, type or class; anything else goes through.
MISFIT = (RuntimeError, ValueError, IndexError)
FEW = 4  # parts of a batch that are told one by one; longer lists hold an example each (guess)


def obstacle(output: Any, targets: Tensor, reading: Reading, *, is_set: bool) -> str | None:
    """Why outputs and targets cannot be held against each other; None where they can. is_set: what is learnt was
    said, so that it need not be said how."""
    if not isinstance(output, Tensor):
        return f"the model gives a {type(output).__name__}, not a tensor; wrap it in a module that does"
    got, wanted = tuple(output.shape), tuple(targets.shape)
    if not got or got[0] != len(targets):
        return f"the model gives {got} for {len(targets)} examples; its first dimension must count them"
    if reading.family == "labels":
        if output.numel() == targets.numel():
            return None
        return f"the model gives {got} and the targets are {wanted}; give one output for each label"
    if not reading.classify:
        if output.numel() == targets.numel():
            return None
        told = f"the model gives {got} and the targets are {wanted}; for regression both must hold the same numbers"
        return told if is_set else told + ". For classification make the targets whole numbers"
    if len(got) < 2 or got[1] < 2:
        other = (
            "" if is_set else ". For regression make the targets floats, of two classes write task='binary'"
        )
        return (
            f"the targets are whole numbers, so the model must give one column a class, two at least; it gives "
            f"shape {got}{other}"
        )
    if targets.is_floating_point():  # distributions over the classes
        return (
            None if got == wanted else f"the model gives {got} and the targets are {wanted}; give one shape"
        )
    if got[:1] + got[2:] != wanted:
        return (
            f"the model gives {got} and the targets are {wanted}; the targets must be {got[:1] + got[2:]} then, "
            "one whole number where the model gives a column of scores"
        )
    return None


def refuse_other_classes(name: str, targets: Tensor, columns: int, *, given: bool) -> None:
    """Raise InvalidData or ModelMismatch at a target that is none of 0 .. columns - 1. given: the loss was."""
    low, high = int(targets.min()), int(targets.max())
    if low < 0:
        advice = (
            "Targets that the loss passes over are those of its ignore_index"
            if given
            else "Where they are to be passed over give the loss that does, loss_fn=nn.CrossEntropyLoss(ignore_index="
            f"{low})"
        )
        raise InvalidData(f"{name}: a target is {low}, and classes are counted from 0. {advice}")
    if high >= columns:
        raise ModelMismatch(
            f"{name}: the model has {columns} outputs and a target is {high} (classes are counted from 0); give its "
            f"last layer at least {high + 1} outputs"
        )


def refuse_loss(
    name: str,
    loss_fn: LossFunction,
    output: Any,
    targets: Tensor,
    weights: Sequence[Tensor],
    *,
    weighted: bool,
) -> None:
    """Raise InvalidArgument or ModelMismatch where the loss cannot be called with these, or gives no mean loss."""
    try:
        loss = loss_fn(output, targets, *weights)
    except torch.OutOfMemoryError:
        raise
    except TypeError as error:
        if not weighted:
            raise
        raise InvalidArgument(
            "with sample_weight= loss_fn takes (output, target, weight=None) and gives the mean of weight times "
            f"loss; this one does not take them ({line(error)})"
        ) from error
    except MISFIT as error:
        raise ModelMismatch(
            f"the loss cannot take the outputs {words(output)} and targets {words(targets)} of {name}: "
            f"{line(error)}"
        ) from error
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        raise InvalidArgument(
            f"loss_fn gave {words(loss)}; it must give the mean loss of a batch, a tensor with one number"
        )


def refuse_other_arguments(loss_fn: LossFunction, *, weighted: bool) -> None:
    """Raise InvalidArgument at a loss that needs more than outputs and targets, such as the lengths of both."""
    try:
        signature = inspect.signature(loss_fn.forward if isinstance(loss_fn, nn.Module) else loss_fn)
    except (TypeError, ValueError):  # written in C
        return
    try:
        signature.bind(None, None)
    except TypeError as error:
        takes = ", ".join(signature.parameters)
        needed = ", ".join(
            name for name, each in signature.parameters.items() if each.default is inspect.Parameter.empty
        )
        name = (
            type(loss_fn).__name__ if isinstance(loss_fn, nn.Module) else getattr(loss_fn, "__name__", "loss")
        )
        raise InvalidArgument(
            f"fit calls the loss with (output, target{', weight' if weighted else ''}), and {name} takes ({takes}): "
            f"{error}. Give a function of (output, target) that takes the rest out of the targets, where collate= "
            "can put it; or write the loop yourself with gammatune.Tuner: for batch in run.batches(loader): ... "
            f"loss_fn({needed}).backward(); optimizer.step()"
        ) from None


def words(item: Any) -> str:
    """'float32 of shape (32, 5)', or the name of the type and what is in it."""
    if type(item) is Inputs:
        return ", ".join(map(words, (*item.args, *item.kwargs.values())))
    if isinstance(item, Tensor):
        return f"{str(item.dtype).removeprefix('torch.')} of shape {tuple(item.shape)}"
    kind = type(item).__name__
    if isinstance(item, Mapping):
        return f"{kind} of {', '.join(map(str, item))}"
    is_short = isinstance(item, (list, tuple)) and 0 < len(item) <= FEW
    return f"{kind} of ({', '.join(map(words, item))})" if is_short else kind


def line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
