"""What is said of the weights handed back, once the search has ended, and what of it is written."""

import warnings
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from gammatune.engine.forks import archive
from gammatune.errors import JournalWarning
from gammatune.files import whole_file_of_run
from gammatune.journal.events import Event
from gammatune.metrics.bootstrap import LEVEL, Measure, measured
from gammatune.metrics.catalogue import relevant
from gammatune.metrics.predictions import Answers
from gammatune.metrics.thesis import Classification, Regression, classification, regression
from gammatune.seeds import stream
from gammatune.supervised.evaluation import Scale
from gammatune.supervised.nets import Several
from gammatune.supervised.setup import Setup
from gammatune.supervised.training import Supervised

FEW = 20  # examples reported on, below which figures are hardly worth printing [guess]


@dataclass(frozen=True, slots=True)
class FinalReport:
    """answers: what the model, or the nets together, say of the examples reported on. extra: what whoever called
    `fit` says of them. is_of_another: the answers are those of another model, which `extra` hands over."""

    on: str
    figures: Classification | Regression
    answers: Answers
    measures: dict[str, Measure]
    metric: str | None
    extra: dict[str, Any]
    several: Several | None
    is_of_another: bool

    @classmethod
    def of(
        cls, ready: Setup, training: Supervised, nets: tuple[int, ...], known: Event | None, said: list[str]
    ) -> "FinalReport | None":
        """None where outputs and targets cannot be compared.

        nets: whose predictions are averaged. known: what was said of a complete run, which is not found out again."""
        given, task, loader = ready.given, ready.task, ready.sets.reported
        if not task.comparable:
            return None
        answers, several = training.answers(loader), None
        if nets:
            together, single = training.ensemble(nets), _figures(answers)
            answers = training.answers(loader, together)
            several = Several(nets, together, training.price(together, loader), single)
        added: dict[str, Any] = {}
        if known is None and given.training.extra is not None:
            net = given.model if several is None else several.together
            added = dict(given.training.extra(answers, net))
        instead = added.pop("answers", None)
        answers = answers if instead is None else instead
        measures, lacking = _measures(answers, ready.goal.scale, ready.goal.metric, given.seed)
        lacking = _beforehand(answers) + lacking
        said += lacking
        extra = _told(answers, added, lacking)
        if known is not None:
            extra = dict(known.get("extra", extra))
        on = "selection" if given.test_set is None else "test"
        figures, is_of_another = _figures(answers), instead is not None
        if known is not None and known.get("of_another"):  # that model is not here, and what it said is known
            figures, is_of_another = _figures_told(known, type(figures)), True
            measures = {name: Measure(*map(float, told)) for name, told in known["measures"].items()}
        several = None if is_of_another else several
        return cls(on, figures, answers, measures, ready.goal.metric, extra, several, is_of_another)

    @classmethod
    def of_another_alone(
        cls, answers: Answers, scale: Scale | None, metric: str | None, seed: int, added: dict[str, Any]
    ) -> "FinalReport":
        """Where no network was trained. scale, metric: as in `fit`. added: what is said of the answers."""
        measures, lacking = _measures(answers, scale, metric, seed)
        lacking = _beforehand(answers) + lacking
        extra = _told(answers, added, lacking)
        return cls("test", _figures(answers), answers, measures, metric, extra, None, True)

    def event(self, seconds: float) -> Event:
        return {
            "event": "report",
            "on": self.on,
            "seconds": seconds,
            **asdict(self.figures),
            "measures": {name: [m.value, m.low, m.high] for name, m in self.measures.items()},
            "metric": self.metric,
            "extra": self.extra,
            **({} if self.several is None else self.several.in_event),
            **({"of_another": True} if self.is_of_another else {}),
        }


def _figures_told(known: Event, kind: type[Any]) -> Any:
    """As a report event has them, whose lists are tuples here."""

    def held(value: Any) -> Any:
        return tuple(map(held, value)) if isinstance(value, list) else value

    return kind(**{each.name: held(known[each.name]) for each in fields(kind)})


def _figures(answers: Answers) -> Classification | Regression:
    if answers.is_multilabel:  # each label of each example as one of two classes
        k, w = answers.columns, answers.weights
        weights = None if w is None else np.repeat(w, k)
        return classification(answers.targets.ravel(), answers.said.ravel(), 2, weights)
    if answers.classes:
        return classification(answers.targets, answers.said, answers.classes, answers.weights)
    return regression(answers.targets, answers.said, answers.weights)


def _told(answers: Answers, added: dict[str, Any], lacking: list[str]) -> dict[str, Any]:
    """The event's "extra". weighted, median, labels: there only where some examples count for more than others, where
    answers are the median of ordered classes, and where an example has several labels, so many."""
    only: dict[str, Any] = {} if answers.counted is None else {"weighted": True}
    only |= {"median": True} if answers.ordered else {}
    only |= {"labels": answers.columns} if answers.is_multilabel else {}
    said = [*lacking, *added.get("said", ())]
    return {"level": LEVEL, "examples": len(answers), **only, **added, "said": said}


def _beforehand(answers: Answers) -> list[str]:
    """What whoever reads figures of these examples should know before."""
    said, n = [], len(answers)
    if n < FEW:
        those = "example reports" if n == 1 else "examples report"
        said.append(f"Only {n} {those}: these figures say next to nothing.")
    if answers.counted is not None:
        said.append(
            f"Each example that is reported on counts for its weight: these {n:,} tell about as much as "
            f"{answers.effective:,.0f} that weigh the same."
        )
    return said


def _measures(
    answers: Answers, scale: Scale | None, metric: str | None, seed: int
) -> tuple[dict[str, Measure], list[str]]:
    """All that say something of these examples, the one asked for first; and a sentence for each without a value."""
    names = relevant(answers)
    if metric is not None:
        names = [metric, *(name for name in names if name != metric)]
    if not answers.is_finite:
        return {}, ["The measures have no value: the model's outputs are not all finite."]
    if scale is not None:
        answers = answers.scaled(*scale)
    found, lacking = measured(names, answers, stream(seed, "bootstrap"))
    return found, [f"On the data that is reported on {reason}." for reason in lacking]


def save_predictions(answers: Answers, path: Path) -> None:
    """probabilities (n, k) float32 and targets (n,) int64, of several labels an example (n, k); or predictions and
    targets, (n, t) float64. Of an ensemble spread too, (n,) or (n, t), of weighted examples weights, (n,), as
    `Answers` has them, and of ordered classes said, (n,) codes, which need not be the likeliest."""
    if answers.classes and answers.probabilities is None:  # too many to be kept
        return
    said = (
        {"probabilities": answers.probabilities, "targets": answers.targets.astype(np.int64)}
        if answers.classes
        else {"predictions": answers.said, "targets": answers.targets}
    )
    if answers.ordered:
        said["said"] = answers.said.astype(np.int64)
    if answers.spread is not None:
        said["spread"] = answers.spread
    if answers.weights is not None:
        said["weights"] = answers.weights
    whole_file_of_run(path, lambda file: np.savez(file, **said), "the predictions")


def save_weights(model: nn.Module, path: Path) -> None:
    """Where the disk is full the model is still in memory, and whoever asked for it gets it."""
    try:
        archive.put(path, model.state_dict())
    except OSError as error:
        warnings.warn(
            f"cannot write the weights to {path} ({error.strerror or error}); the model in memory has them. Free the "
            "disk, and run the same again: what is on disk is not trained again",
            JournalWarning,
            stacklevel=6,  # past all that `fit` is made of
        )
