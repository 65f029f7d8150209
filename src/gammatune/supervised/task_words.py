"""How it was told what is learnt, and what follows from it for loss and measures, in sentences."""

from collections.abc import Mapping

from gammatune.supervised.arguments import Arguments
from gammatune.supervised.dry_run import Task
from gammatune.supervised.loaders import targets_in
from gammatune.supervised.loss_kinds import LossKind, kind_of
from gammatune.supervised.losses import Adapted, own_loss
from gammatune.supervised.reading import TaskName
from gammatune.supervised.sets import Sets

_NAMES: Mapping[TaskName, str] = {
    "classification": "a classification",
    "binary": "a binary classification",
    "multilabel": "a multi-label classification",
    "regression": "a regression",
}


def in_words(task: Task, sets: Sets, given: Arguments) -> list[str]:
    """Nothing where everything follows from the targets, and was not asked for."""
    kind, asked, loss = kind_of(given.loss_fn), given.training.task, given.loss_fn
    said: list[str] = []
    if task.inputs > 1:
        said.append(f"The model is called with the {task.inputs} inputs of a batch, one by one.")
    if task.loss is own_loss:
        said.append("The loss is the one that the model gives.")
    if not task.comparable:
        return said
    if asked is not None or loss is not None or task.loss is not None:
        how = "as task= says" if asked is not None else "told by the targets; task= sets it"
        if asked is None and kind is not None:
            how = f"told by the loss ({kind.name}) and the targets; task= sets it"
        said.append(f"This is {_NAMES[task.reading.task]}, {how}.")
    elif _are_labels(task, sets):
        said.append("The targets are 0 and 1 alone, as floats: task='binary' learns them as two classes.")
    return said + _of_targets(task) + ([] if kind is None else _of_loss(task, kind))


def _are_labels(task: Task, sets: Sets) -> bool:
    targets = targets_in(sets.train, weighted=sets.weighted)
    if task.classify or targets is None or targets[0].numel() != 1:
        return False
    return bool(((targets == 0) | (targets == 1)).all())


def _of_targets(task: Task) -> list[str]:
    reading, said = task.reading, []
    if reading.family == "labels":
        bound = "0.5, a probability," if reading.outputs == "probabilities" else "0, a logit,"
        what = "that a label is there" if reading.is_multilabel else "class 1"
        said.append(f"An output above {bound} says {what}.")
    if task.shared:
        what = "those above 0.5 count as 1"
        if reading.family == "classes":
            what = "each counts as its largest class, but for log loss and Brier score"
        said.append(f"Targets are shares, which the loss takes as they are; in the measures {what}.")
    if task.passed_over:
        said.append(f"Targets of {reading.ignored} are passed over, in the measures too.")
    return said


def _of_loss(task: Task, kind: LossKind) -> list[str]:
    said = []
    if kind.weighs:
        said.append(f"{kind.name} weighs classes; the measures count every target alike.")
    if kind.outputs == "log-rates":
        said.append("Outputs are logarithms of counts; R2 and the errors are those of the counts.")
    if kind.outputs == "means":
        said.append("The model gives a mean and a variance; R2 and the errors are those of the mean.")
    if kind.may_be_negative:
        said.append(f"{kind.name} may fall below 0, so that the loss itself is selected by.")
    if isinstance(task.loss, Adapted) and kind.elementwise and task.arranged:
        said.append(
            f"Outputs and targets differ in shape or kind; {kind.name} is given them one to one, as floats."
        )
    return said
