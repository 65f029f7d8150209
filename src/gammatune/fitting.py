"""`fit`: a model and data in, the trained model and what was found out."""

import inspect
import os
import random
import time as clock
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.optim import Optimizer
from torch.utils.data import Dataset

from gammatune.driver import Listener
from gammatune.engine import archive
from gammatune.engine.batches import Loader
from gammatune.engine.modes import has_mode
from gammatune.engine.optimizers import DEFAULT_OPTIMIZER, make_optimizer, recipe_of
from gammatune.engine.snapshot import refuse_without_numbers
from gammatune.engine.streams import StreamStates
from gammatune.engine.supervised import LossFunction, Supervised, default_loss
from gammatune.engine.torch_loop import lr_of
from gammatune.errors import InvalidArgument, JournalWarning
from gammatune.examples import (
    Examples,
    as_set,
    batch_size_for,
    count,
    digest,
    forward_loader,
    hold_out,
    leaves_one,
    training_loader,
)
from gammatune.journal import WEIGHTS, Event, Journal
from gammatune.metrics import Classification, Regression, classification, regression
from gammatune.objectives import DEFAULT_CLASSIFICATION, DEFAULT_REGRESSION, Objective
from gammatune.policy.job import Policy
from gammatune.policy.replay import Replay
from gammatune.rehearsal import Task, rehearse
from gammatune.seeds import stream
from gammatune.space import BATCH_SIZE, Dimension, Float, Space
from gammatune.tuner import Result, SamplerFactory, Tuner, around, as_space

# Where nobody has said anything of the learning rate: from what moves nothing to what blows everything up.
WIDE = Float(1e-6, 10.0, log=True)


@dataclass(frozen=True, slots=True)
class FitResult(Result):
    """A `Result`, and how good the weights handed back are.

    report: measured after the search; None where outputs and targets cannot be compared one to one (a loss of
    your own, of a mean and a variance for instance). reported_on: "test", data the run neither trained on nor
    selected by; or "selection", the very data the weights were selected by, which flatters them (the best of
    many looks better than it is); None where there is no report.
    said: the defaults that were chosen, in sentences. seconds: all of it, the report included.
    """

    report: Classification | Regression | None
    reported_on: str | None
    said: tuple[str, ...]
    seconds: float

    def write_report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the run as one HTML page: see `gammatune.write_report`."""
        from gammatune.report.page import write_report

        return write_report(self, path)


def fit(
    model: nn.Module,
    train_set: Examples,
    val_set: Examples | None = None,
    *,
    epochs: int | None = None,
    budget: float | None = None,
    total_epochs: float | None = None,
    time: float | None = None,
    test_set: Examples | None = None,
    policy: str | Policy = "lookahead",
    schedule: str | None = None,
    sampler: str | SamplerFactory = "gamma",
    sampler_options: Mapping[str, Any] | None = None,
    objective: str | Objective | None = None,
    space: Space | Mapping[str, Dimension] | Sequence[str] | str | None = None,
    loss_fn: LossFunction | None = None,
    optimizer: str | Optimizer | Callable[[Iterable[nn.Parameter]], Optimizer] = DEFAULT_OPTIMIZER,
    weight_decay: float | None = None,
    state: Sequence[Any] = (),
    batch_size: int | None = None,
    collate: Callable[[list[Any]], Any] | None = None,
    device: str | torch.device | None = None,
    keep: str = "best",
    seed: int = 0,
    run_dir: str | None = None,
    facts: Mapping[str, Any] | None = None,
    listeners: Sequence[Listener] = (),
    forks: str = "device",
) -> FitResult:
    """Train `model` while finding its learning rate; it holds the best weights afterwards.

    train_set, val_set, test_set: a torch Dataset of (input, target), a loader of batches of them, or a pair
    of arrays or tensors. Without val_set a fifth of train_set is kept aside to select by. Without test_set
    the figures are marked as selected. The first batch of each is tried before any training, the targets of
    arrays are all looked at; floats of arrays become the model's kind of float.
    epochs, budget, total_epochs, time, policy, schedule, sampler, objective, space, keep, seed, run_dir,
    listeners, forks: see `Tuner`. The seed fixes the
    training too; the global random streams are put back afterwards.
    loss_fn: (output, target) -> mean loss; without it cross entropy for whole-number targets, mean squared
    error for others. Where outputs and targets differ in size only the loss is scored, and nothing reported.
    optimizer: a name (`gammatune.engine.optimizers.OPTIMIZERS`), an object, or a function of the parameters.
    weight_decay: for an optimizer given by name. state: whatever else changes while training, as in `Tuner`.
    batch_size, collate: for sets; a loader has its own. A last batch of one example is left out of a set,
    since batch normalisation cannot train on it. device: CUDA where there is one, else the CPU.
    facts: kept in the first line of the journal.
    run_dir: a directory that holds this very run, interrupted or complete, is gone on with: call the same again.

    Out of memory makes a candidate infeasible where a batch size is searched.

    Raises InvalidArgument, InvalidSpace, InvalidData or ModelMismatch before any training, AllDiverged where
    no candidate trains; whatever your own code raises goes through, the weights back at the last commit.
    """
    started = clock.perf_counter()
    said: list[str] = []
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InvalidArgument(f"seed={seed!r}: give a whole number of 0 or more")
    place = _device(device)
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.get_default_dtype())
    train_set = as_set(train_set, "train_set", dtype)
    if val_set is None:
        train_set, val_set = hold_out(train_set, seed, said)
    val_set = as_set(val_set, "val_set", dtype)
    test = None if test_set is None else as_set(test_set, "test_set", dtype)
    if space is None and isinstance(policy, Replay):
        space = policy.space
    asked = None if space is None else as_space(space)
    searches_size = asked is not None and BATCH_SIZE in asked.names
    size = batch_size_for(train_set, batch_size, [] if searches_size else said)
    select = forward_loader(val_set, size, collate)
    judged = select if test is None else forward_loader(test, size, collate)

    for parameter in model.parameters():
        # those without a shape yet are made by the first batch that is tried
        if not isinstance(parameter, UninitializedParameter):
            refuse_without_numbers(parameter)
    model.to(place)
    if isinstance(loss_fn, nn.Module):
        loss_fn.to(place)
    parts = {"train_set": training_loader(train_set, size, collate), "val_set": select}
    task = rehearse(model, parts if test is None else parts | {"test_set": judged}, loss_fn, place)
    if loss_fn is None:
        loss_fn = default_loss(task.classify)
        name = "cross entropy" if task.classify else "the mean squared error"
        said.append(f"The loss is {name}, by the targets.")
    if not task.comparable:
        said.append(
            "The model's outputs cannot be compared with the targets one to one: only the loss is scored, and "
            "there is no report."
        )
    if objective is None:
        counted = task.classify and task.comparable
        objective = DEFAULT_CLASSIFICATION if counted else DEFAULT_REGRESSION

    stepper, default_range = _optimizer(optimizer, model, weight_decay, policy)
    where = Space({"lr": default_range}) if asked is None else asked
    if asked is None:
        said.append(f"The learning rate is searched from {default_range.low:g} to {default_range.high:g}.")
    else:
        said.append(
            f"Nothing is searched: {policy}."
            if isinstance(policy, Replay)
            else f"Searched: {', '.join(where.lines)}."
        )
        if not any(name.partition(".")[0] == "lr" for name in where.names):
            said.append(f"The learning rate stays at {lr_of(stepper):.3g}; search lr too to have it chosen.")
    train: Any
    if not searches_size:
        train = training_loader(train_set, size, collate)
        if leaves_one(train_set, size):
            said.append("The last batch of an epoch would hold one example, and is left out.")
    elif isinstance(train_set, Dataset):
        train = partial(training_loader, train_set, collate=collate)
        said.append("A last batch of an epoch that would hold one example is left out.")
    else:
        raise InvalidArgument("batch_size is searched, so train_set must be a set or arrays, not a loader")
    training = Supervised(
        model,
        stepper,
        where.names,
        train=train,
        select=select,
        loss=loss_fn,
        classify=task.classify,
        comparable=task.comparable,
        device=place,
        state=state,
        forks=forks,
    )
    journal: Journal | None = None
    tuner: Tuner | None = None
    try:
        # Closed here too: where the tuner is refused, or cannot begin, nobody else takes the hooks off.
        with closing(training), _seeded(seed):
            journal = None if run_dir is None else Journal(run_dir, resume=True)
            tuner = Tuner(
                training=training,
                epochs=epochs,
                budget=budget,
                total_epochs=total_epochs,
                time=time,
                policy=policy,
                schedule=schedule,
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
                    "batch_size": size if isinstance(train_set, Dataset) else None,
                    "train": count(train_set),
                    "data_digest": None if journal is None else digest([train_set, val_set]),
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
            if has_mode(stepper):  # the weights that are meant to be used, not those it steps with
                stepper.eval()  # type: ignore[attr-defined]
            report = _report(training, judged, task) if task.comparable else None
        seconds = clock.perf_counter() - started
        reported_on = None if report is None else "selection" if test is None else "test"
        measured: list[Event] = []
        if report is not None:
            event = {"event": "report", "on": reported_on, "seconds": seconds, **asdict(report)}
            if journal is not None and (journal.past is None or journal.past.report is None):
                journal.append(event)
            measured.append(event)
            for listener in listeners:
                listener(event)
    finally:
        if journal is not None:
            journal.close()
            if tuner is not None and tuner.result.course and tuner.is_home:
                # after an error or Ctrl-C too: the model is back at its last commit, and is not lost
                _save(model, journal.directory / WEIGHTS)
    found = tuner.result
    return FitResult(
        found.course,
        found.rollouts,
        found.verdicts,
        found.cost,
        found.seed,
        found.schedule,
        report,
        reported_on,
        tuple(said),
        seconds,
        events=(*found.events, *measured),
        run_dir=found.run_dir,
    )


# Model and optimizer --------------------------------------------------------------------------------------


def _optimizer(
    given: Any, model: nn.Module, weight_decay: float | None, policy: str | Policy
) -> tuple[Optimizer, Float]:
    """The optimizer, and the range its learning rate is searched in by default."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise InvalidArgument("the model has no parameter to train (all are frozen, or there are none)")
    if isinstance(given, str):
        recipe = recipe_of(given)
        made = make_optimizer(given, parameters, weight_decay)
        return made, WIDE if policy == "lookahead" else Float(recipe.low, recipe.high, log=True)
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
    closure = inspect.signature(stepper.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise InvalidArgument(
            f"optimizer={type(stepper).__name__}: its step needs a closure, which `fit` does not give; write the "
            "loop yourself with gammatune.Tuner"
        )
    return stepper, around(lr_of([stepper]), policy)


def _device(given: str | torch.device | None) -> torch.device:
    if given is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=given).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first_line = str(error).splitlines()[0]
        raise InvalidArgument(f"device={given!r} cannot be used ({first_line}); try device='cpu'") from error


# The end --------------------------------------------------------------------------------------------------


def _report(training: Supervised, loader: Loader, task: Task) -> Classification | Regression:
    predicted, targets = training.predict(loader)
    if task.classify:
        return classification(targets.numpy(), predicted.numpy(), task.classes)
    return regression(targets.numpy(), predicted.numpy())


def _save(model: nn.Module, path: Path) -> None:
    """Where the disk is full the model is still in memory, and whoever asked for it gets it."""
    try:
        archive.put(path, model.state_dict())
    except OSError as error:
        warnings.warn(
            f"cannot write the weights to {path} ({error.strerror or error}); the model in memory has them. Free the "
            "disk, and run the same again: what is on disk is not trained again",
            JournalWarning,
            stacklevel=3,
        )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The global streams set by the seed, and put back to where they were."""
    before = StreamStates([], cuda=True)
    numbers = stream(seed, "training").integers(2**31, size=3).tolist()
    try:
        random.seed(numbers[0])
        np.random.seed(numbers[1])  # noqa: NPY002 - the user's data sets may draw from it
        torch.manual_seed(numbers[2])
        yield
    finally:
        before.restore()
