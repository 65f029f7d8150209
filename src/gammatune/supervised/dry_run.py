"""Do model, loss and data fit together? One batch of each part is tried before any training."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from gammatune.engine.batches import Loader, LossFunction, streams_of, to_device
from gammatune.engine.forks.streams import StreamStates
from gammatune.engine.modes import evaluating
from gammatune.errors import InvalidArgument, InvalidData, ModelMismatch
from gammatune.supervised.batch_form import PAIRS, Form, Inputs, answer, declared, refusal_of_forward
from gammatune.supervised.heard import are_probabilities
from gammatune.supervised.loaders import targets_in
from gammatune.supervised.loss_kinds import kind_of
from gammatune.supervised.losses import Adapted, default_loss, own_loss
from gammatune.supervised.misfits import (
    MISFIT,
    line,
    obstacle,
    refuse_loss,
    refuse_other_arguments,
    refuse_other_classes,
    words,
)
from gammatune.supervised.reading import Reading, TaskName, logits_in, read, refuse_no_labels, tensor_in
from gammatune.supervised.sample_weights import refuse_no_weights


@dataclass(frozen=True, slots=True)
class Task:
    """reading: what is learnt, and how outputs and targets are held against each other.

    comparable: they can be, so that accuracy, or r2 and mse, are defined. Only a loss of the user's own can do
    without. loss: the one that was given, or that the model gives, as it is trained with; None where there is none.
    classes: how many, where there are any to count. single: there is one class an example, not one a pixel or a
    token. probabilities: the model gives those of classes, and no scores. averages: what several of them say can be
    averaged: it is a tensor, of scores as the loss takes them. form: how batches are taken apart. passed_over: there
    are targets that do not count. shared: some targets do not belong to one class alone. arranged: outputs or targets
    are given to the loss in another shape or kind. inputs: that the model is called with.
    """

    reading: Reading
    comparable: bool
    loss: LossFunction | None
    classes: int
    single: bool = False
    probabilities: bool = False
    averages: bool = True
    form: Form = PAIRS
    passed_over: bool = False
    shared: bool = False
    arranged: bool = False
    inputs: int = 1

    @property
    def is_of_codes(self) -> bool:
        """Whether each target is one class."""
        return self.classify and not self.reading.is_multilabel and not self.shared

    @property
    def classify(self) -> bool:
        return self.reading.classify


def rehearse(
    model: nn.Module,
    parts: Mapping[str, Loader],
    loss_fn: LossFunction | None,
    device: torch.device,
    *,
    weighted: bool = False,
    task: TaskName | None = None,
) -> Task:
    """Pass the first batch of each part through model and loss; look at all targets where they are a tensor.

    parts: loaders by the names of `fit`'s arguments. Training data that can be read only once must not lose
    a batch, and are left out. Modes and random streams are left as they were. weighted: examples may have a weight as
    their third part, and those trained on must. task: what is learnt, where that was said.
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
            tried = Trial(model, name, loader, loss_fn, device, weighted, task)
            tasks[name] = tried.task
    return _joined(tasks)


def _joined(tasks: Mapping[str, Task]) -> Task:
    whole = [name for name, each in tasks.items() if each.classify]
    real = [name for name in tasks if name not in whole]
    if whole and real:
        raise InvalidData(
            f"the targets of {whole[0]} are whole numbers and those of {real[0]} are not; make both integers for a "
            "classification, both floats for a regression"
        )
    first, one = next(iter(tasks.items()))
    for name, each in tasks.items():
        if each.form.with_targets != one.form.with_targets:
            raise InvalidData(
                f"the model gives its own loss for one of {first} and {name} alone: give mappings with labels for "
                "both, or loss_fn="
            )
    every = tasks.values()
    return replace(
        one,
        comparable=all(each.comparable for each in every),
        loss=next((each.loss for each in every if isinstance(each.loss, Adapted)), one.loss),
        classes=max(each.classes for each in every),
        single=all(each.single for each in every),
        probabilities=all(each.probabilities for each in every),
        averages=all(each.averages for each in every),
        form=replace(one.form, spread=any(each.form.spread for each in every)),
        passed_over=any(each.passed_over for each in every),
        shared=any(each.shared for each in every),
        arranged=any(each.arranged for each in every),
    )


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


class Trial:
    """The first batch of one part, passed through model and loss."""

    def __init__(
        self,
        model: nn.Module,
        name: str,
        loader: Loader,
        loss_fn: LossFunction | None,
        device: torch.device,
        weighted: bool,
        task: TaskName | None,
    ) -> None:
        self._name, self._loss_fn, self._asked = name, loss_fn, task
        self._kind = None if loss_fn is None else kind_of(loss_fn)
        if (
            loss_fn is not None and self._kind is None
        ):  # one of torch is given what it takes (`losses.Adapted`)
            refuse_other_arguments(loss_fn, weighted=weighted)
        batch = next(iter(loader), None)
        if batch is None:
            raise InvalidData(f"{name} gave no batch: give at least one example")
        batch = to_device(batch, device)
        self._form, parts = _taken_apart(model, name, batch, loss_fn, weighted=weighted)
        inputs, self._targets, *self._weights = parts
        self._output = self._said(model, inputs)
        self._inputs = len(inputs.args) + len(inputs.kwargs) if type(inputs) is Inputs else 1
        if self._form.with_targets:
            self._inputs -= 1
            if _gives_loss(self._output):
                self._loss_fn = own_loss
            else:
                self._form = replace(self._form, with_targets=False)
                self._output = self._said(model, self._form.parts(batch)[0])
        ignored = getattr(self._loss_fn, "ignore_index", None)
        self._reading = read(task, self._kind, model, self._output, self._targets, ignored)
        self._every = _all_targets(loader, self._targets, weighted=weighted)

    @property
    def task(self) -> Task:
        reading, targets = self._reading, self._targets
        hindered = self._hindered()
        if hindered is not None and (self._loss_fn is None or self._asked is not None):
            raise ModelMismatch(f"{self._name}: {hindered}")
        said = tensor_in(self._output)
        passed_over = False
        if hindered is None:
            passed_over = self._check_targets(said)
            if not reading.classify and not bool(torch.isfinite(self._every).all()):
                hindered = self._not_finite()
        loss = self._checked_loss()
        codes = reading.codes(targets) if hindered is None else targets
        told = Task(
            reading,
            hindered is None,
            loss,
            0,
            single=reading.classify and codes.ndim == 1,
            averages=isinstance(self._output, Tensor) and not self._is_one_of_labels,
            form=self._form,
            passed_over=passed_over,
            shared=self._is_shared,
            arranged=self._is_to_be_arranged(),
            inputs=self._inputs,
        )
        if not reading.classify or hindered is not None:
            return told
        given = reading.outputs == "probabilities"
        given = given or (reading.family == "classes" and are_probabilities(said))
        return replace(told, classes=reading.classes or said.shape[1], probabilities=given)

    def _said(self, model: nn.Module, inputs: Any) -> Any:
        refusal = refusal_of_forward(model, inputs, words, weighted=self._form.weighted)
        if refusal is not None:
            raise ModelMismatch(refusal)
        try:
            return answer(model, inputs)
        except torch.OutOfMemoryError:
            raise
        except MISFIT as error:
            raise ModelMismatch(
                f"the model cannot take the inputs of {self._name}, {words(inputs)}: {line(error)}"
            ) from error
        except (TypeError, AttributeError) as error:
            if isinstance(inputs, Tensor) or type(inputs) is Inputs:
                raise  # of the model's own
            raise ModelMismatch(
                f"the model cannot take the inputs of {self._name}, {words(inputs)}, as one thing: {line(error)}. "
                f"They are given one by one where it takes as many, those of a mapping by their names, and "
                f"{declared(model)}; leave out what it does not take, which collate= can do"
            ) from error

    def _hindered(self) -> str | None:
        """Why outputs and targets cannot be held against each other; None where they can."""
        if self._loss_fn is own_loss and tensor_in(self._output).ndim > 2:
            return "the model shifts or leaves out tokens as it takes its loss"
        several = self._kind is not None and self._kind.outputs == "means"
        output = tensor_in(self._output) if several else logits_in(self._output)
        if self._loss_fn is None and output is not self._output:
            return (
                f"the model gives a {type(self._output).__name__} without a loss; give loss_fn=, such as "
                "nn.CrossEntropyLoss(), which is given its logits"
            )
        return obstacle(output, self._targets, self._reading, is_set=self._asked is not None)

    def _check_targets(self, said: Tensor) -> bool:
        """Whether some do not count."""
        reading, every = self._reading, self._every
        if reading.family == "labels":
            refuse_no_labels(self._name, every)
            return False
        if not reading.classify or every.is_floating_point():
            return False
        if self._asked == "binary" and said.shape[1] != 2:
            raise ModelMismatch(
                f"{self._name}: task='binary', and the model has {said.shape[1]} outputs; give it one or two"
            )
        passed = None if reading.ignored is None else every == reading.ignored
        counted = every if passed is None else every[~passed]
        if not counted.numel():
            raise InvalidData(
                f"{self._name}: every target is {reading.ignored}, which the loss passes over (ignore_index)"
            )
        refuse_other_classes(self._name, counted, said.shape[1], given=self._loss_fn is not None)
        return bool(passed is not None and passed.any())

    @property
    def _is_one_of_labels(self) -> bool:
        """Classes learnt by a loss of labels, whose scores are no softmax's."""
        return self._kind is not None and self._kind.family == "labels" and self._reading.family == "classes"

    @property
    def _is_shared(self) -> bool:
        """A distribution over classes, or a label that is not certain."""
        every, reading = self._every, self._reading
        if not reading.classify or not every.is_floating_point():
            return False
        return reading.family == "classes" or not bool((every == every.round()).all())

    def _not_finite(self) -> str:
        if self._loss_fn is None:
            bad = int((~torch.isfinite(self._every)).sum())
            raise InvalidData(f"{self._name}: {bad} targets are NaN or infinite; drop or fill those examples")
        return "some targets are not finite"  # a loss that masks them

    def _checked_loss(self) -> LossFunction | None:
        """The one to train with: as it was given, or given what it takes."""
        given, weighted = self._loss_fn, self._form.weighted
        self._refuse_no_tensor()
        if given is not None and self._kind is not None and (weighted or self._is_to_be_arranged()):
            given = Adapted(given, self._kind)
        of_labels = self._reading.family == "labels"
        tried = given or default_loss(self._reading.classify, of_labels=of_labels)
        refuse_loss(self._name, tried, self._output, self._targets, self._weights, weighted=weighted)
        return given

    def _refuse_no_tensor(self) -> None:
        kind, output = self._kind, logits_in(self._output)
        if kind is None:
            return
        if kind.outputs != "means" and not isinstance(output, Tensor):
            raise ModelMismatch(
                f"{kind.name} takes a tensor, and the model gives a {type(output).__name__}; wrap the model in a "
                "module that gives one, or the loss in a function that takes it out"
            )
        if kind.outputs == "means" and not (isinstance(output, (list, tuple)) and len(output) == 2):
            raise ModelMismatch(
                f"{kind.name} takes a mean and a variance, and the model gives {words(output)}; let it give both, as "
                "a tuple (mean, variance)"
            )

    def _is_to_be_arranged(self) -> bool:
        kind, output, targets = self._kind, self._output, self._targets
        if kind is None or not isinstance(output, Tensor):
            return kind is not None
        if not kind.elementwise or output.numel() != targets.numel():
            return False
        return output.shape != targets.shape or not targets.is_floating_point()


def _gives_loss(output: Any) -> bool:
    found = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    return isinstance(found, Tensor)


def _taken_apart(
    model: nn.Module, name: str, batch: Any, loss_fn: LossFunction | None, *, weighted: bool
) -> tuple[Form, list[Any]]:
    """Inputs and targets, and weights where there are some; and how they are found in a batch."""
    try:
        form = Form.of(model, batch, weighted=weighted, gives_loss=loss_fn is None)
        parts = form.parts(batch)
    except InvalidArgument as error:
        raise InvalidArgument(f"{name}: {error}") from None
    targets = parts[1]
    if not isinstance(targets, Tensor):
        raise InvalidArgument(
            f"{name}: a batch must be a pair (inputs, targets) of tensors, and the targets of this one, "
            f"{words(batch)}, are {words(targets)}; give collate=, or use gammatune.Tuner with a loop of your own"
        )
    if targets.ndim == 0 or not len(targets):
        raise InvalidData(
            f"{name}: the targets of a batch have shape {tuple(targets.shape)}; give one row an example"
        )
    if len(parts) == 3:
        refuse_no_weights(parts[2], targets, name)
    elif weighted and name == "train_set":
        raise InvalidArgument(
            f"sample_weight=True, and the batches of train_set, {words(batch)}, hold no weights; let it give "
            "(inputs, targets, weights), or a mapping with 'sample_weight', or hand the weights over as an array"
        )
    return form, parts


def _all_targets(loader: Loader, known: Tensor, *, weighted: bool) -> Tensor:
    """All the targets there are, where they can be had without reading the data through."""
    data = getattr(loader, "dataset", None)
    return known if (held := targets_in(data, weighted=weighted)) is None else held
