"""Measures by name, as a data scientist asks for them: `metric="auc"`. All that is said of a measure is said here.

Those of a classification are of class 1 where there are two classes, else the mean over them; where an example has
several labels the mean over these; those of a regression the mean over a target's numbers. Values are scikit-learn's.
What is not defined on some examples (`undefined` says why) has the value None, never NaN. A class nobody belongs to
and nobody is said to belong to is left out of a mean.
Intervals: see `bootstrap`.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from gammatune.errors import InvalidArgument
from gammatune.metrics import formulas, label_formulas
from gammatune.metrics.formulas import OfAnswers, OfCells
from gammatune.metrics.predictions import Answers, Counts, Floats, cells_of

MANY = 100  # columns; beyond it what needs a pass for each of them is measured only where it is asked for
IMBALANCED = 5.0  # the largest class over the smallest, from which it is said (guess)

MetricName: TypeAlias = Literal[
    "accuracy", "balanced-accuracy", "f1", "precision", "recall", "mcc", "steps", "weighted-kappa", "auc",
    "average-precision", "log-loss", "brier", "r2", "mae", "rmse", "mse", "medae", "mape",
    "subset-accuracy", "f1-micro",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Words:
    """What a figure is called by people, and what it means. in_percent: it is a share, and written so."""

    title: str
    meaning: str
    in_percent: bool = False


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A measure.

    higher_is_better: else lower. range: what it can be. formula: of the cells of a confusion matrix where it needs
    labels, else of the answers (see `formulas`). gap: why it has no value on some answers. sorts: it takes a pass for
    each class, or number a target. of_a_class: it is that of one of two classes, and of more of them the mean.
    of_order: it says something where the classes are ordered only. of_labels: its formula where an example has
    several labels; one that needs "sets" is of such alone.
    """

    name: MetricName
    needs: Literal["labels", "probabilities", "numbers", "sets"]
    higher_is_better: bool
    range: tuple[float, float]
    formula: OfCells | OfAnswers
    words: Words
    gap: Callable[[Answers], str | None] = lambda answers: None
    sorts: bool = False
    of_a_class: bool = False
    of_order: bool = False
    of_labels: OfAnswers | None = None

    @property
    def task(self) -> str:
        return {"numbers": "regression", "sets": "multilabel"}.get(self.needs, "classification")

    def measures(self, task: str) -> bool:
        """Whether it is one of this task."""
        both = self.needs == "probabilities" or self.of_labels is not None
        return task == self.task or (task == "multilabel" and both)

    def is_of_cells(self, answers: Answers) -> bool:
        """Whether the confusion matrix is all that the formula needs."""
        return self.needs == "labels" and not answers.is_multilabel

    def value(self, answers: Answers) -> float:
        """On examples where it is defined, each counting for its weight."""
        answers = answers.weighing()
        if self.is_of_cells(answers):
            cells, counts, _ = cells_of(answers)
            return float(self.resampled(cells, counts[None])[0])
        w = answers.counted
        with np.errstate(over="ignore"):
            return float(self.resampled(answers, None if w is None else w[None])[0])

    def resampled(self, of: Any, w: Counts | None) -> Floats:
        """Of many resamples, (b,), NaN where one leaves it undefined. of: what the formula is of. w: with the weights
        of the answers in it."""
        formula: Any = self.formula
        if self.of_labels is not None and isinstance(of, Answers) and of.is_multilabel:
            formula = self.of_labels
        # sums of weights round, so that a share may come out above 1
        return np.clip(np.asarray(formula(of, w), dtype=np.float64), *self.range)


# All of them ----------------------------------------------------------------------------------------------


def _lacks_a_class(answers: Answers) -> str | None:
    if answers.is_multilabel:
        varies = (answers.targets != answers.targets[:1]).any()
        return None if varies else "each label is the same for all examples"
    present = np.unique(answers.targets)
    return None if len(present) > 1 else f"all {len(answers)} examples belong to class {present[0]}"


def _lacks_the_class(answers: Answers) -> str | None:
    """A class alone has a precision; of two it is class 1's."""
    if answers.is_multilabel:
        return None if answers.targets.any() else "no example has any label"
    return None if answers.classes == 2 and answers.targets.any() else _lacks_a_class(answers)


def _divides_by_zero(answers: Answers) -> str | None:
    return "it divides by the target, and some targets are 0" if bool((answers.targets == 0).any()) else None


def _share(title: str, meaning: str) -> Words:
    return Words(title, meaning, in_percent=True)


_SHARE, _ERROR = (0.0, 1.0), (0.0, float("inf"))
METRICS: Mapping[str, MetricSpec] = {
    spec.name: spec
    for spec in (
        MetricSpec(
            *("accuracy", "labels", True, _SHARE, formulas.accuracy),
            _share("Accuracy", "share of all examples that were right"),
            of_labels=label_formulas.accuracy,
        ),
        MetricSpec(
            *("balanced-accuracy", "labels", True, _SHARE, formulas.balanced_accuracy),
            _share("Balanced accuracy", "share of each class that was found, averaged over the classes"),
        ),
        MetricSpec(
            *("f1", "labels", True, _SHARE, formulas.precision_recall(0.5, 0.5)),
            _share("F1", "harmonic mean of precision and recall"),
            of_a_class=True,
            of_labels=label_formulas.precision_recall(0.5, 0.5),
        ),
        MetricSpec(
            *("precision", "labels", True, _SHARE, formulas.precision_recall(0, 1)),
            _share("Precision", "share of what was put into a class that belongs there"),
            of_a_class=True,
            of_labels=label_formulas.precision_recall(0, 1),
        ),
        MetricSpec(
            *("recall", "labels", True, _SHARE, formulas.precision_recall(1, 0)),
            _share("Recall", "share of a class that was found"),
            of_a_class=True,
            of_labels=label_formulas.precision_recall(1, 0),
        ),
        MetricSpec(
            *("mcc", "labels", True, (-1.0, 1.0), formulas.mcc),
            Words("MCC", "Matthews correlation: 1 perfect, 0 no better than guessing"),
        ),
        MetricSpec(
            *("steps", "labels", False, _ERROR, formulas.steps),
            Words("Error in steps", "by how many classes an answer is off, on average; of classes in order"),
            of_order=True,
        ),
        MetricSpec(
            *("weighted-kappa", "labels", True, (-1.0, 1.0), formulas.weighted_kappa),
            Words("Weighted kappa", "agreement, a miss counting by its steps squared: 1 perfect, 0 chance"),
            of_order=True,
        ),
        MetricSpec(
            *("auc", "probabilities", True, _SHARE, formulas.auc),
            Words("AUC", "probability that a case of the class is ranked above one that is not"),
            gap=_lacks_a_class,
            sorts=True,
            of_a_class=True,
        ),
        MetricSpec(
            *("average-precision", "probabilities", True, _SHARE, formulas.average_precision),
            Words("Average precision", "precision, averaged over all thresholds"),
            gap=_lacks_the_class,
            sorts=True,
            of_a_class=True,
        ),
        MetricSpec(
            *("log-loss", "probabilities", False, _ERROR, formulas.log_loss),
            Words("Log loss", "how wrong and how unsure the probabilities are; lower is better"),
        ),
        MetricSpec(
            *("brier", "probabilities", False, (0.0, 2.0), formulas.brier),
            Words("Brier score", "mean squared error of the probabilities; lower is better"),
        ),
        MetricSpec(
            *("r2", "numbers", True, (-float("inf"), 1.0), formulas.r2),
            Words("R²", "share of the targets' variation that is explained: 1 all of it, 0 none"),
        ),
        MetricSpec(
            *("mae", "numbers", False, _ERROR, formulas.mae),
            Words("MAE", "mean absolute error, in the target's unit"),
        ),
        MetricSpec(
            *("rmse", "numbers", False, _ERROR, formulas.rmse),
            Words("RMSE", "root of the mean squared error: a typical error, in the target's unit"),
        ),
        MetricSpec(*("mse", "numbers", False, _ERROR, formulas.mse), Words("MSE", "mean squared error")),
        MetricSpec(
            *("medae", "numbers", False, _ERROR, formulas.medae),
            Words("Median error", "half of the predictions are closer than that, in the target's unit"),
            sorts=True,
        ),
        MetricSpec(
            *("mape", "numbers", False, _ERROR, formulas.mape),
            _share("MAPE", "mean error as a share of the true value"),
            gap=_divides_by_zero,
        ),
        MetricSpec(
            *("subset-accuracy", "sets", True, _SHARE, label_formulas.subset_accuracy),
            _share("Subset accuracy", "share of examples of which every label was right"),
        ),
        MetricSpec(
            *("f1-micro", "sets", True, _SHARE, label_formulas.f1_micro),
            _share("F1, micro", "F1 of all labels of all examples together"),
        ),
    )
}
# Shown before all others.
FIRST = ("steps", "accuracy", "auc", "f1", "balanced-accuracy", "mcc", "subset-accuracy", "rmse", "r2", "mae")
# What a report holds whether it was asked for or not (`thesis`), by name, in the order in which it is shown.
REPORTED: Mapping[str, Words] = {
    "accuracy": METRICS["accuracy"].words,
    "sensitivity": _share("Sensitivity", METRICS["balanced-accuracy"].words.meaning),
    "specificity": _share("Specificity", "share of what is not in a class that was not put there, averaged"),
    "mcc": METRICS["mcc"].words,
    "mcc_macro": Words("MCC, macro", "the same for each class against the rest, averaged"),
    "r2": METRICS["r2"].words,
    "mse": METRICS["mse"].words,
}
SAME = {"sensitivity": "balanced-accuracy"}  # by another name

ALIASES = {
    "roc-auc": "auc", "auroc": "auc", "ap": "average-precision", "pr-auc": "average-precision", "acc": "accuracy",
    "balanced": "balanced-accuracy", "bacc": "balanced-accuracy", "f1-macro": "f1", "f1-score": "f1",
    "qwk": "weighted-kappa", "quadratic-weighted-kappa": "weighted-kappa", "quadratic-kappa": "weighted-kappa",
    "logloss": "log-loss", "cross-entropy": "log-loss", "brier-score": "brier", "sensitivity": "recall",
    "mean-absolute-error": "mae", "mean-squared-error": "mse", "root-mean-squared-error": "rmse",
    "median-absolute-error": "medae", "mean-absolute-percentage-error": "mape", "r-squared": "r2", "r²": "r2",
    "exact-match": "subset-accuracy", "micro-f1": "f1-micro", "macro-f1": "f1",
}  # fmt: skip


def words_of(name: str) -> Words:
    """Of a measure, or of a figure of a report; any other name stands for itself."""
    spec = METRICS.get(name)
    return spec.words if spec else REPORTED.get(name, Words(name, ""))


_TASKS = {
    "classification": "a classification",
    "multilabel": "a multi-label classification",
    "regression": "a regression",
}


# Asked for ------------------------------------------------------------------------------------------------


def recipe(name: str, task: str | None = None) -> MetricSpec:
    """The measure called `name` ("roc_auc" and the like are understood).

    task: "classification", "multilabel" or "regression", which it must then be for. Raises InvalidArgument.
    """
    asked = str(name).lower().replace("_", "-").replace(" ", "-")
    asked = ALIASES.get(asked, asked)
    choice = [known for known, spec in METRICS.items() if task is None or spec.measures(task)]
    if asked not in METRICS:
        close = difflib.get_close_matches(asked, choice, 1)
        meant = f" (did you mean {close[0]!r}?)" if close else ""
        raise InvalidArgument(f"metric={name!r} is not known{meant}; choose one of {', '.join(choice)}")
    found = METRICS[asked]
    if task is not None and not found.measures(task):
        raise InvalidArgument(
            f"metric={name!r} measures {_TASKS[found.task]}, and this is {_TASKS[task]}; choose one of "
            f"{', '.join(choice)}"
        )
    return found


def undefined(name: str, answers: Answers) -> str | None:
    """Why the measure has no value on these examples, in a sentence; None where it has one."""
    spec = METRICS[name]
    answers = answers.weighing()
    task = task_of(answers)
    if not spec.measures(task):
        return f"{name} has no value: it does not measure {_TASKS[task]}"
    if not len(answers):
        why: str | None = "there is no example" + ("" if answers.weights is None else " that weighs anything")
    elif spec.needs == "probabilities" and answers.probabilities is None:
        why = "the probabilities were too many to be kept"
    elif not answers.is_finite:
        why = "the outputs are not all finite"
    else:
        why = spec.gap(answers)
    return None if why is None else f"{name} has no value: {why}"


def value(name: str, answers: Answers) -> float | None:
    """The measure on these examples; None where it is `undefined`."""
    return None if undefined(name, answers) else METRICS[name].value(answers)


def task_of(answers: Answers) -> str:
    """ "multilabel", "classification" or "regression"."""
    return "multilabel" if answers.is_multilabel else "classification" if answers.classes else "regression"


def relevant(answers: Answers) -> list[str]:
    """The measures that a report on these examples holds."""
    task = task_of(answers)
    is_wide = answers.columns > MANY
    return [
        name
        for name, spec in METRICS.items()
        if spec.measures(task) and not (is_wide and spec.sorts) and (answers.ordered or not spec.of_order)
    ]


def imbalance(counts: Sequence[int], names: Sequence[Any] | None = None) -> str | None:
    """A sentence where the largest class has more than five times the examples of the smallest; else None.

    counts: of the training examples, class 0 first; a class without any is left out. names: of the classes.
    """
    said = [str(name) for name in (range(len(counts)) if names is None else names)]
    held = sorted(((int(count), said[code]) for code, count in enumerate(counts) if count), reverse=True)
    if len(held) < 2 or held[0][0] <= IMBALANCED * held[-1][0]:
        return None
    shown = [held[0], held[-1]] if len(held) > 4 else held
    listed = ", ".join(f"{count} of class {name}" for count, name in shown)
    return (
        f"The classes are unequal: {listed}{' (the smallest)' if len(held) > 4 else ''}. Accuracy says little of the "
        "small ones; ask for another measure (--metric balanced-accuracy, f1 or average-precision; metric= in "
        "Python) or weigh the classes (--class-weights balanced; class_weights=)."
    )
