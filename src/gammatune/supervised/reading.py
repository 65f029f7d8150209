"""What is learnt, told by the loss and the targets together or set; and how outputs are held against targets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.supervised.loss_kinds import Family, LossKind, Outputs

TaskName: TypeAlias = Literal["classification", "binary", "multilabel", "regression"]
_FAMILIES: Mapping[str, tuple[Family, ...]] = {
    "classification": ("classes", "labels"),
    "binary": ("labels", "classes"),
    "multilabel": ("labels",),
    "regression": ("numbers",),
}
# As the transformers of Hugging Face say what their own loss is of.
_PROBLEMS: Mapping[str, TaskName] = {
    "regression": "regression",
    "single_label_classification": "classification",
    "multi_label_classification": "multilabel",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """task: what is learnt. family: "classes" gives a column of scores a class, "labels" a number for each label of
    0 or 1 (one a row: binary; several: multilabel), "numbers" what the targets are. ignored: a target that is passed
    over."""

    task: TaskName
    family: Family
    outputs: Outputs = "scores"
    ignored: int | None = None

    @property
    def classify(self) -> bool:
        return self.family != "numbers"

    @property
    def classes(self) -> int | None:
        """How many there are; None: as many as the model has columns for. Of labels two, there or not."""
        return {"classes": None, "labels": 2, "numbers": 0}[self.family]

    @property
    def is_multilabel(self) -> bool:
        return self.task == "multilabel"

    @property
    def measured_as(self) -> str:
        """The task of measures (`gammatune.metrics.catalogue`)."""
        return "classification" if self.task == "binary" else self.task

    def pair(self, output: Any, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of classes (n, k, ...) and codes (n, ...), of labels (n, 2, ...) and (n, ...); or numbers."""
        said, codes = tensor_in(output), self.codes(targets)
        if self.family == "numbers":
            return said.exp() if self.outputs == "log-rates" else said, codes
        if self.family == "labels":
            said = said.reshape(codes.shape)
            other = 1 - said if self.outputs == "probabilities" else torch.zeros_like(said)
            return torch.stack((other, said), dim=1), codes
        return said, codes

    def codes(self, targets: Tensor) -> Tensor:
        """Of classes (n, ...), of the class that weighs most where a target is a distribution over them; of labels
        (n,), or (n, m); numbers as they are."""
        if self.family == "labels":
            codes = (targets > 0.5).long().reshape(len(targets), -1)
            return codes if self.is_multilabel or codes.shape[1] != 1 else codes[:, 0]
        return targets.argmax(dim=1) if self.classify and targets.is_floating_point() else targets


NUMBERS = Reading("regression", "numbers", "numbers")
CLASSES = Reading("classification", "classes")


def logits_in(output: Any) -> Any:
    """The "logits" of what a model gives, as the transformers of Hugging Face name them; else all of it."""
    if isinstance(output, Tensor):
        return output
    held = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    return held if isinstance(held, Tensor) else output


def tensor_in(output: Any) -> Any:
    """What is held against the targets: the logits, or the first of several, such as a mean beside a variance."""
    output = logits_in(output)
    return output[0] if isinstance(output, (list, tuple)) and output else output


def read(
    task: TaskName | None, kind: LossKind | None, model: Any, output: Any, targets: Tensor, ignored: Any
) -> Reading:
    """What is learnt. task: as it was set. kind: of the loss, where that is known. ignored: of a loss of one's own.

    Raises InvalidArgument where the two are at odds, or the task is none.
    """
    if task is not None and task not in get_args(TaskName):
        raise InvalidArgument(f"task={task!r}: write one of {', '.join(get_args(TaskName))}")
    family = None if kind is None else kind.family
    problem = getattr(getattr(model, "config", None), "problem_type", None) if kind is None else None
    told = task or _PROBLEMS.get(problem or "")
    if task is not None and kind is not None and kind.family not in _FAMILIES[task]:
        raise InvalidArgument(
            f"task={task!r}, and loss_fn={kind.name} is a loss of {_OF[kind.family]}; leave task= out, or "
            "give a loss that goes with it"
        )
    whole = not targets.is_floating_point()
    if family is None:
        family = _family(told, output, targets) if told else "classes" if whole else "numbers"
    outputs: Outputs = kind.outputs if kind is not None else "numbers" if family == "numbers" else "scores"
    if family == "numbers":
        return Reading("regression", family, outputs)
    ignored = kind.ignored if kind is not None else ignored if type(ignored) is int else None
    if family == "classes":
        return Reading("classification", family, outputs, ignored)
    several = targets.ndim == 2 and targets.shape[1] > 1
    if told == "classification" and several:  # one of them is 1 in each row
        return Reading("classification", "classes", outputs)
    if told == "binary" and several:
        raise InvalidArgument(
            f"task='binary' is one target of 0 or 1 an example, and those of a batch are {tuple(targets.shape)}; "
            "write task='multilabel'"
        )
    return Reading("multilabel" if several or told == "multilabel" else "binary", family, outputs)


_OF: Mapping[Family, str] = {
    "classes": "classes, of which an example belongs to one",
    "labels": "labels that are 0 or 1",
    "numbers": "numbers",
}


def _family(task: TaskName, output: Any, targets: Tensor) -> Family:
    """Of a loss of which nothing is known: a column a class, or one number for two of them."""
    said = tensor_in(output)
    wide = (
        isinstance(said, Tensor) and said.ndim > 1 and said.shape[1] > 1 and said.numel() != targets.numel()
    )
    if task == "binary":
        return "classes" if wide else "labels"
    if task == "classification":
        one = isinstance(said, Tensor) and said.numel() == targets.numel() and said.shape[1:] in ((), (1,))
        return "labels" if one else "classes"
    return _FAMILIES[task][0]


def refuse_no_labels(name: str, targets: Tensor) -> None:
    """Raise InvalidData where labels are not between 0 and 1."""
    low, high = float(targets.min()), float(targets.max())
    if low < 0 or high > 1:
        raise InvalidData(
            f"{name}: a target is {low if low < 0 else high:g}, and the loss is of labels that are 0 or 1 "
            "(between them where they are uncertain); give those, or the loss of a regression"
        )
