"""`fit`: a model and data in, the trained model and what was found out."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
    random_split,
)

from gammatune.engine.batches import Loader
from gammatune.engine.optimizers import DEFAULT_OPTIMIZER, make_optimizer, recipe_of
from gammatune.engine.steering import BATCH_SIZE, lr_of
from gammatune.engine.streams import StreamStates
from gammatune.engine.supervised import LossFunction, Supervised
from gammatune.errors import InvalidArgument, InvalidData, ModelMismatch
from gammatune.journal import WEIGHTS, Journal
from gammatune.metrics import Classification, Regression, classification, regression
from gammatune.objectives import DEFAULT_CLASSIFICATION, DEFAULT_REGRESSION, Objective
from gammatune.policy.job import Policy
from gammatune.seeds import stream
from gammatune.space import Dimension, Float, Space
from gammatune.tuner import DEFAULT_BUDGET, Listener, Result, SamplerFactory, Tuner, around, as_space

Examples: TypeAlias = Dataset[Any] | Loader | tuple[Any, Any]  # a set, a loader, or a pair of arrays

VALIDATION = 0.2  # of the training set, where no validation set is given; the thesis's share


@dataclass(frozen=True, slots=True)
class FitResult(Result):
    """A `Result`, and how good the weights handed back are.

    report: measured after the search. reported_on: "test", data the run neither trained on nor selected by;
    or "selection", the very data the weights were selected by, which flatters them (the best of many looks
    better than it is).
    said: the defaults that were chosen, in sentences. seconds: all of it, the report included.
    """

    report: Classification | Regression
    reported_on: str
    said: tuple[str, ...]
    seconds: float


def fit(
    model: nn.Module,
    train_set: Examples,
    val_set: Examples | None = None,
    *,
    epochs: int,
    budget: float = DEFAULT_BUDGET,
    test_set: Examples | None = None,
    policy: str | Policy = "greedy",
    sampler: str | SamplerFactory = "gamma",
    sampler_options: Mapping[str, Any] | None = None,
    objective: str | Objective | None = None,
    space: Space | Mapping[str, Dimension] | Sequence[str] | str | None = None,
    loss_fn: LossFunction | None = None,
    optimizer: str | Optimizer | Callable[[Iterable[nn.Parameter]], Optimizer] = DEFAULT_OPTIMIZER,
    weight_decay: float | None = None,
    batch_size: int | None = None,
    collate: Callable[[list[Any]], Any] | None = None,
    device: str | torch.device | None = None,
    keep: str = "best",
    seed: int = 0,
    run_dir: str | None = None,
    facts: Mapping[str, Any] | None = None,
    listeners: Sequence[Listener] = (),
) -> FitResult:
    """Train `model` for `epochs` epochs while finding its learning rate; it holds the best weights afterwards.

    train_set, val_set, test_set: a torch Dataset of (input, target), a loader of batches of them, or a pair
    of arrays or tensors. Without val_set a fifth of train_set is kept aside to select by. Without test_set
    the figures are marked as selected.
    budget, policy, sampler, objective, space, keep, seed, run_dir, listeners: see `Tuner`. The seed fixes the
    training too; the global random streams are put back afterwards.
    loss_fn: (output, target) -> mean loss; without it cross entropy for whole-number targets, mean squared
    error for others. optimizer: a name (`gammatune.engine.optimizers.OPTIMIZERS`), an object, or a function
    of the parameters. weight_decay: for an optimizer given by name.
    batch_size, collate: for sets; a loader has its own. device: CUDA where there is one, else the CPU.
    facts: kept in the first line of the journal.

    Raises InvalidArgument, InvalidSpace, InvalidData or ModelMismatch before any training, AllDiverged where
    no candidate trains; whatever your own code raises goes through, the weights back at the last commit.
    """
    started = time.perf_counter()
    said: list[str] = []
    place = _device(device)
    train_set = _as_set(train_set, "train_set")
    if val_set is None:
        train_set, val_set = _hold_out(train_set, seed, said)
    val_set = _as_set(val_set, "val_set")
    test = None if test_set is None else _as_set(test_set, "test_set")

    model.to(place)
    size = batch_size if batch_size is not None else _batch_size(train_set, said)
    select = _loader(val_set, max(size, 256), collate, shuffle=False)
    classify = _check(model, select, loss_fn, place)
    if loss_fn is None:
        loss_fn = nn.functional.cross_entropy if classify else _mean_squared_error
        said.append(
            f"The loss is {'cross entropy' if classify else 'the mean squared error'}, by the targets."
        )
    if objective is None:
        objective = DEFAULT_CLASSIFICATION if classify else DEFAULT_REGRESSION

    stepper, default_range = _optimizer(optimizer, model, weight_decay)
    where = as_space({"lr": default_range} if space is None else space)
    if space is None:
        said.append(f"The learning rate is searched from {default_range.low:g} to {default_range.high:g}.")
    if BATCH_SIZE in where.names and not isinstance(train_set, Dataset):
        raise InvalidArgument("batch_size is searched, so train_set must be a set or arrays, not a loader")
    train: Any = (
        (lambda n: _loader(train_set, n, collate, shuffle=True))
        if BATCH_SIZE in where.names
        else _loader(train_set, size, collate, shuffle=True)
    )
    training = Supervised(
        model,
        stepper,
        where.names,
        train=train,
        select=select,
        loss=loss_fn,
        classify=classify,
        device=place,
    )
    journal = Journal(run_dir) if run_dir is not None else None
    tuner: Tuner | None = None
    try:
        with _seeded(seed):
            tuner = Tuner(
                training=training,
                epochs=epochs,
                budget=budget,
                policy=policy,
                sampler=sampler,
                sampler_options=sampler_options,
                objective=objective,
                space=where,
                keep=keep,
                seed=seed,
                journal=journal,
                listeners=listeners,
                facts={
                    "model": type(model).__name__,
                    "parameters": sum(p.numel() for p in model.parameters()),
                    "optimizer": optimizer if isinstance(optimizer, str) else type(stepper).__name__,
                    "batch_size": size,
                    "train": _count(train_set),
                    "device": str(place),
                    "threads": torch.get_num_threads(),
                    "torch": torch.__version__,
                    "numpy": np.__version__,
                    **(facts or {}),
                    "said": [*(facts or {}).get("said", ()), *said],
                },
            )
            with tuner:
                for run in tuner:
                    run.advance()
                    run.report(**run.evaluate())
            judged = select if test is None else _loader(test, max(size, 256), collate, shuffle=False)
            report = _report(training, judged, classify)
        reported_on = "selection" if test is None else "test"
        seconds = time.perf_counter() - started
        event = {"event": "report", "on": reported_on, "seconds": seconds, **asdict(report)}
        for listener in listeners:
            listener(event)
        if journal is not None:
            journal.append(event)
    finally:
        if journal is not None:
            if tuner is not None and tuner.result.course:
                # after an error or Ctrl-C too: the model is back at its last commit, and is not lost
                torch.save(model.state_dict(), journal.directory / WEIGHTS)
            journal.close()
    found = tuner.result
    return FitResult(
        found.course,
        found.rollouts,
        found.verdicts,
        found.cost,
        found.seed,
        report,
        reported_on,
        tuple(said),
        seconds,
    )


# Data -----------------------------------------------------------------------------------------------------


def _as_set(given: Any, name: str) -> Any:
    """A Dataset or a loader; a pair of arrays becomes a TensorDataset."""
    if isinstance(given, tuple) and len(given) == 2 and not isinstance(given[0], tuple):
        x, y = (part if isinstance(part, Tensor) else torch.as_tensor(np.asarray(part)) for part in given)
        if len(x) != len(y):
            raise InvalidData(f"{name}: {len(x)} inputs and {len(y)} targets; give one target for each input")
        given = TensorDataset(x.float() if x.dtype == torch.float64 else x, _targets(y))
    if isinstance(given, Dataset) and _count(given) == 0:
        raise InvalidData(f"{name} is empty: give at least one example")
    if name != "train_set" and not isinstance(given, Dataset) and hasattr(given, "__next__"):
        raise InvalidArgument(
            f"{name} is an iterator, which can be read only once; give a list or a DataLoader"
        )
    if not isinstance(given, Dataset) and not hasattr(given, "__iter__"):
        raise InvalidArgument(
            f"{name}={type(given).__name__}: give a torch Dataset, a DataLoader, or a pair of arrays (x, y)"
        )
    return given


def _targets(y: Tensor) -> Tensor:
    if y.dtype in (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32):
        return y.long()
    return y.float() if y.dtype == torch.float64 else y


def _hold_out(train_set: Any, seed: int, said: list[str]) -> tuple[Any, Any]:
    n = _count(train_set)
    if n is None:
        raise InvalidArgument("val_set= is needed to select by: a loader cannot be split")
    held = round(VALIDATION * n)
    if not 0 < held < n:
        raise InvalidData(f"{n} examples cannot be split into training and selection; give val_set=")
    generator = torch.Generator().manual_seed(int(stream(seed, "validation").integers(2**31)))
    rest, val = random_split(train_set, [n - held, held], generator=generator)
    said.append(f"{held} of the {n} training examples were kept aside to select by.")
    if isinstance(train_set, TensorDataset):  # as tensors, so that batches are still drawn in one piece
        return TensorDataset(*train_set[rest.indices]), TensorDataset(*train_set[val.indices])
    return rest, val


def _loader(data: Any, size: int, collate: Any, *, shuffle: bool) -> Loader:
    """A loader of batches of `size`; what is no set is a loader already."""
    if not isinstance(data, Dataset):
        return data  # type: ignore[no-any-return]
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise InvalidArgument(f"batch_size={size!r}: give a whole number of 1 or more")
    if isinstance(data, TensorDataset) and collate is None:
        # one indexing operation a batch instead of one an example
        order = RandomSampler(data) if shuffle else SequentialSampler(data)
        return DataLoader(data, sampler=BatchSampler(order, size, drop_last=False), batch_size=None)
    if _count(data) is None:
        return DataLoader(data, batch_size=size, collate_fn=collate)
    return DataLoader(data, batch_size=size, shuffle=shuffle, collate_fn=collate)


def _count(data: Any) -> int | None:
    """How many examples a set holds; None for a loader, and for a set that cannot tell."""
    return len(data) if isinstance(data, Dataset) and hasattr(data, "__len__") else None


def _batch_size(train_set: Any, said: list[str]) -> int:
    """32 for small sets, 64, then 128: some dozens of steps an epoch at least (guess)."""
    n = _count(train_set)
    size = 64 if n is None else 32 if n < 5_000 else 64 if n < 20_000 else 128
    if isinstance(train_set, Dataset):
        said.append(f"The batch size is {size}, by the number of training examples.")
    return size


# Model and optimizer --------------------------------------------------------------------------------------


def _check(model: nn.Module, select: Loader, loss_fn: LossFunction | None, device: torch.device) -> bool:
    """Whether the task is a classification; that the model takes the data and its output fits the targets."""
    states = StreamStates([])
    batch = next(iter(select), None)
    states.restore()
    if batch is None:
        raise InvalidData("val_set gave no batch: give at least one example to select by")
    if not isinstance(batch, (list, tuple)) or len(batch) != 2 or not isinstance(batch[1], Tensor):
        raise InvalidArgument(
            "a batch must be a pair (inputs, targets) of tensors; give collate=, or use gammatune.Tuner with a "
            "loop of your own"
        )
    inputs, targets = batch
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            output = model(inputs.to(device) if isinstance(inputs, Tensor) else inputs)
    finally:
        for module, mode in modes:
            module.training = mode
        states.restore()
    classify = not targets.is_floating_point()
    if not isinstance(output, Tensor):
        raise ModelMismatch(
            f"the model gives a {type(output).__name__}, not a tensor; wrap it in a module that does"
        )
    if len(output) != len(targets):
        raise ModelMismatch(
            f"the model gives {tuple(output.shape)} for {len(targets)} examples; its first dimension must count them"
        )
    if classify:
        if output.ndim < 2:
            raise ModelMismatch(
                f"the targets are whole numbers, so the model must give one column a class; it gives shape "
                f"{tuple(output.shape)}. For regression make the targets floats"
            )
        if int(targets.min()) < 0:
            raise InvalidData(f"a target is {int(targets.min())}; classes are counted from 0")
        if int(targets.max()) >= output.shape[1]:
            raise ModelMismatch(
                f"the model has {output.shape[1]} outputs and a target is {int(targets.max())} (classes are counted "
                f"from 0); give its last layer at least {int(targets.max()) + 1} outputs"
            )
    elif loss_fn is None and output.numel() != targets.numel():
        raise ModelMismatch(
            f"the model gives {tuple(output.shape)} and the targets are {tuple(targets.shape)}; for regression both "
            "must hold the same numbers. For classification make the targets whole numbers"
        )
    return classify


def _mean_squared_error(output: Tensor, target: Tensor) -> Tensor:
    return nn.functional.mse_loss(output.reshape(target.shape), target)


def _optimizer(given: Any, model: nn.Module, weight_decay: float | None) -> tuple[Optimizer, Float]:
    """The optimizer, and the range its learning rate is searched in by default."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise InvalidArgument("the model has no parameter to train (all are frozen, or there are none)")
    if isinstance(given, str):
        recipe = recipe_of(given)
        made = make_optimizer(given, parameters, weight_decay)
        return made, Float(recipe.low, recipe.high, log=True)
    if weight_decay is not None:
        raise InvalidArgument(
            "weight_decay= goes with an optimizer given by name; set it on your own optimizer"
        )
    stepper = given if isinstance(given, Optimizer) else given(parameters)
    if not isinstance(stepper, Optimizer):
        raise InvalidArgument(
            f"optimizer= gave a {type(stepper).__name__}; give a name, a torch optimizer, or a function of the "
            "parameters that makes one"
        )
    return stepper, around(lr_of([stepper]))


def _device(given: str | torch.device | None) -> torch.device:
    if given is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=given).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first_line = str(error).splitlines()[0]
        raise InvalidArgument(f"device={given!r} cannot be used ({first_line}); try device='cpu'") from error


# The end --------------------------------------------------------------------------------------------------


def _report(training: Supervised, loader: Loader, classify: bool) -> Classification | Regression:
    outputs, targets = training.predict(loader)
    if classify:
        classes = outputs.shape[1]
        return classification(targets.numpy(), outputs.argmax(dim=1).numpy(), classes)
    flat = outputs.reshape(targets.shape)
    return regression(targets.double().numpy(), flat.double().numpy())


@contextmanager
def _seeded(seed: int) -> Any:
    """The global streams set by the seed, and put back to where they were."""
    import random

    before = StreamStates([], cuda=True)
    numbers = stream(seed, "training").integers(2**31, size=3).tolist()
    try:
        random.seed(numbers[0])
        np.random.seed(numbers[1])  # noqa: NPY002 - the user's data sets may draw from it
        torch.manual_seed(numbers[2])
        yield
    finally:
        before.restore()
