"""Do model, loss and data fit together? One batch of each part is tried before any training."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from gammatune.engine.batches import Loader, LossFunction, streams_of, to_device
from gammatune.engine.forks.streams import StreamStates
from gammatune.engine.modes import evaluating
from gammatune.errors import InvalidArgument, InvalidData, ModelMismatch
from gammatune.supervised.evaluation import are_probabilities
from gammatune.supervised.losses import default_loss
from gammatune.supervised.sample_weights import refuse_no_weights

# The kinds torch's layers and losses raise for a wrong shape, type or class; anything else goes through.
MISFIT = (RuntimeError, ValueError, IndexError)


@dataclass(frozen=True, slots=True)
class Task:
    """classify: the targets are whole numbers.

    comparable: outputs and targets can be held against each other, so that accuracy, or r2 and mse, are
    defined. Only a loss of the user's own can do without. classes: how many, where there are any to count.
    single: there is one class an example, not one a pixel or a token. probabilities: the model gives those of
    classes, and no scores.
    """

    classify: bool
    comparable: bool
    classes: int
    single: bool = False
    probabilities: bool = False


def rehearse(
    model: nn.Module,
    parts: Mapping[str, Loader],
    loss_fn: LossFunction | None,
    device: torch.device,
    *,
    weighted: bool = False,
) -> Task:
    """Pass the first batch of each part through model and loss; look at all targets where they are a tensor.

    parts: loaders by the names of `fit`'s arguments. Training data that can be read only once must not lose
    a batch, and are left out. Modes and random streams are left as they were. weighted: examples may have a weight as
    their third part, and those trained on must.
    Raises InvalidData, InvalidArgument or ModelMismatch, naming the part.
    """
    tasks: dict[str, Task] = {}
    for name, loader in parts.items():
        if read_once(loader):
            if name == "train_set":
                continue
            raise InvalidArgument(
                f"{name} can be read only once; give a set, a list or a DataLoader of a set"
            )
        with _undisturbed(model, loss_fn, loader):
            tasks[name] = _task(model, name, loader, loss_fn, device, weighted=weighted)
    whole = [name for name, task in tasks.items() if task.classify]
    real = [name for name in tasks if name not in whole]
    if whole and real:
        raise InvalidData(
            f"the targets of {whole[0]} are whole numbers and those of {real[0]} are not; make both integers for a "
            "classification, both floats for a regression"
        )
    comparable = all(task.comparable for task in tasks.values())
    classes = max(task.classes for task in tasks.values())
    single = all(task.single for task in tasks.values())
    probabilities = all(task.probabilities for task in tasks.values())
    return Task(bool(whole), comparable, classes, single, probabilities)


def read_once(loader: Loader) -> bool:
    """Whether a batch drawn from it is gone: an iterator, or a loader of a set that is one."""
    source = loader.dataset if isinstance(loader, DataLoader) else loader
    if isinstance(source, IterableDataset):
        return hasattr(source, "__next__") or iter(source) is iter(source)
    return hasattr(source, "__next__")


@contextmanager
def _undisturbed(model: nn.Module, loss_fn: Any, loader: Loader) -> Iterator[None]:
    """No gradients, eval mode; modes and random streams are put back."""
    states = StreamStates(streams_of(loader), cuda=True)
    roots = [item for item in (model, loss_fn) if isinstance(item, nn.Module)]
    try:
        with evaluating(*roots):
            yield
    finally:
        states.restore()


def _task(
    model: nn.Module,
    name: str,
    loader: Loader,
    loss_fn: LossFunction | None,
    device: torch.device,
    *,
    weighted: bool,
) -> Task:
    inputs, targets, *weights = to_device(_first_batch(name, loader, weighted=weighted), device)
    _check_forward(model, inputs)
    try:
        output = model(inputs)
    except torch.OutOfMemoryError:
        raise
    except MISFIT as error:
        raise ModelMismatch(
            f"the model cannot take the inputs of {name}, {_words(inputs)}: {_line(error)}"
        ) from error
    classify = not targets.is_floating_point()
    every = _all_targets(loader, targets)
    obstacle = _obstacle(output, targets, classify)
    if obstacle is not None and loss_fn is None:
        raise ModelMismatch(f"{name}: {obstacle}")
    if obstacle is None and classify:
        _check_classes(name, every, output.shape[1])
    if obstacle is None and not classify and not bool(torch.isfinite(every).all()):
        if loss_fn is None:
            bad = int((~torch.isfinite(every)).sum())
            raise InvalidData(f"{name}: {bad} targets are NaN or infinite; drop or fill those examples")
        obstacle = "some targets are not finite"  # a loss that masks them
    _check_loss(name, loss_fn or default_loss(classify), output, targets, weights, weighted=weighted)
    single = classify and targets.ndim == 1
    if not classify or obstacle is not None:
        return Task(classify, obstacle is None, 0, single)
    return Task(True, True, output.shape[1], single, are_probabilities(output))


def _check_forward(model: nn.Module, inputs: Any) -> None:
    """Refuse a model that cannot be called with one thing; what its forward raises is its own."""
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):  # compiled, or written in C
        return
    try:
        signature.bind(inputs)
    except TypeError as error:
        raise ModelMismatch(
            f"fit calls the model with the inputs of a batch, one thing ({_words(inputs)}), and the forward of "
            f"{type(model).__name__} is {_declared(signature)} ({error}). Let it take them as one (forward(self, "
            "inputs): a, b = inputs, which collate= can make a pair), or write the loop yourself with gammatune.Tuner"
        ) from None


def _declared(signature: inspect.Signature) -> str:
    return "forward(" + ", ".join(map(str, signature.parameters.values())) + ")"


def _first_batch(name: str, loader: Loader, *, weighted: bool) -> tuple[Any, ...]:
    """Inputs and targets, and weights where there are some."""
    batch = next(iter(loader), None)
    if batch is None:
        raise InvalidData(f"{name} gave no batch: give at least one example")
    lengths = (2, 3) if weighted else (2,)
    if not isinstance(batch, (list, tuple)) or len(batch) not in lengths or not isinstance(batch[1], Tensor):
        raise InvalidArgument(
            f"{name}: a batch must be a pair (inputs, targets) of tensors, not {_words(batch)}; give collate=, or "
            "use gammatune.Tuner with a loop of your own"
        )
    if batch[1].ndim == 0 or not len(batch[1]):
        raise InvalidData(
            f"{name}: the targets of a batch have shape {tuple(batch[1].shape)}; give one row an example"
        )
    if len(batch) == 3:
        refuse_no_weights(batch[2], batch[1], name)
    elif weighted and name == "train_set":
        raise InvalidArgument(
            "sample_weight=True, and train_set gives pairs; let it give (input, target, weight), or hand the weights "
            "over as an array"
        )
    return tuple(batch)


def _all_targets(loader: Loader, known: Tensor) -> Tensor:
    """All the targets there are, where they can be had without reading the data through."""
    data = getattr(loader, "dataset", None)
    return data.tensors[1] if type(data) is TensorDataset and len(data.tensors) in (2, 3) else known


def _obstacle(output: Any, targets: Tensor, classify: bool) -> str | None:
    """Why outputs and targets cannot be held against each other; None where they can."""
    if not isinstance(output, Tensor):
        return f"the model gives a {type(output).__name__}, not a tensor; wrap it in a module that does"
    got, wanted = tuple(output.shape), tuple(targets.shape)
    if not got or got[0] != len(targets):
        return f"the model gives {got} for {len(targets)} examples; its first dimension must count them"
    if classify and (len(got) < 2 or got[1] < 2):
        return (
            f"the targets are whole numbers, so the model must give one column a class, two at least; it gives "
            f"shape {got}. For regression make the targets floats"
        )
    if classify and got[:1] + got[2:] != wanted:
        return (
            f"the model gives {got} and the targets are {wanted}; the targets must be {got[:1] + got[2:]} then, "
            "one whole number where the model gives a column of scores"
        )
    if not classify and output.numel() != targets.numel():
        return (
            f"the model gives {got} and the targets are {wanted}; for regression both must hold the same numbers. "
            "For classification make the targets whole numbers"
        )
    return None


def _check_classes(name: str, targets: Tensor, columns: int) -> None:
    low, high = int(targets.min()), int(targets.max())
    if low < 0:
        raise InvalidData(
            f"{name}: a target is {low}, and classes are counted from 0. Targets that a loss passes over "
            "(ignore_index) are not taken yet: leave those examples out, or use gammatune.Tuner with a loop of your "
            "own"
        )
    if high >= columns:
        raise ModelMismatch(
            f"{name}: the model has {columns} outputs and a target is {high} (classes are counted from 0); give its "
            f"last layer at least {high + 1} outputs"
        )


def _check_loss(
    name: str,
    loss_fn: LossFunction,
    output: Any,
    targets: Tensor,
    weights: Sequence[Tensor],
    *,
    weighted: bool,
) -> None:
    try:
        loss = loss_fn(output, targets, *weights)
    except torch.OutOfMemoryError:
        raise
    except TypeError as error:
        if not weighted:
            raise
        raise InvalidArgument(
            "with sample_weight= loss_fn takes (output, target, weight=None) and gives the mean of weight times "
            f"loss; this one does not take them ({_line(error)})"
        ) from error
    except MISFIT as error:
        raise ModelMismatch(
            f"the loss cannot take the outputs {_words(output)} and targets {_words(targets)} of {name}: "
            f"{_line(error)}"
        ) from error
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        raise InvalidArgument(
            f"loss_fn gave {_words(loss)}; it must give the mean loss of a batch, a tensor with one number"
        )


def _words(item: Any) -> str:
    """'float32 of shape (32, 5)', or the name of the type."""
    if isinstance(item, Tensor):
        return f"{str(item.dtype).removeprefix('torch.')} of shape {tuple(item.shape)}"
    return type(item).__name__


def _line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
