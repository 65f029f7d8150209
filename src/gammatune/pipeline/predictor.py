"""`Predictor`: what comes of a table, a folder of images or arrays, asked of rows as they come."""

import os
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn

from gammatune.course import Schedule
from gammatune.errors import DataWarning, InvalidArgument
from gammatune.journal.history import Story, replay
from gammatune.journal.lock import LOCK, OWNER
from gammatune.metrics.bootstrap import Measure
from gammatune.pipeline.answer_columns import labels_of
from gammatune.pipeline.data.dataset import Label, Task
from gammatune.pipeline.data.frames import Frame
from gammatune.pipeline.families import Answering
from gammatune.pipeline.load import Plan, fitted, network, parts, plan_of
from gammatune.pipeline.predict import answers, new_examples
from gammatune.report.models import NAMES, NET

NOT_SAVED = ("state-*.pt", "*.part", LOCK, OWNER)  # what only a run that goes on needs

Rows: TypeAlias = str | os.PathLike[str] | Frame | ArrayLike


@dataclass(frozen=True, slots=True, eq=False)
class HandedOver:
    """The model that a run hands over.

    kind: "linear", "trees", "net", or "average". name: the same in words. parts: what it is made of, by kind: a torch
    module, or scikit-learn's models within what asks them (`gammatune.pipeline.models`); of an average two of them.
    """

    kind: str
    name: str
    parts: Mapping[str, Any]


class Predictor:
    """A finished run: the model that it hands over, asked of rows as they come, and what is known of it.

    `gammatune.fit` of a frame or a path gives it, and `gammatune.load` of the run's directory gives it again.
    run_dir: where all of it lies. task: "classification" or "regression". classes: the labels, in the order of the
    columns of `predict_proba`; empty for a regression.
    module: the network, or several whose predictions are averaged, in eval mode; it takes inputs as it was trained on
    them, (n, F) or (n, C, H, W), standardised. On a table the model that is handed over may be another: `model`.
    Called, and asked for what it has not (`state_dict()`, `parameters()`, `members`), it is the module.
    """

    def __init__(self, plan: Plan, *, single: bool = False) -> None:
        self._plan = plan
        self._single = single
        if plan.has_net or single:
            _ = self.module  # so that a run without its weights is refused here

    @cached_property
    def module(self) -> nn.Module:
        """Raises JournalError of a run that trained none."""
        return network(self._plan, single=self._single)

    # -- rows

    def predict(self, rows: Rows) -> NDArray[Any]:
        """Labels (n,) as they were in the data, the likeliest, of a scale the median of the probabilities; or numbers
        in the unit of the target, (n,), of several (n, t).

        rows: what the run was trained on: a frame or the path of a table, whose columns are found by their names, in
        any order and with others beside them; an .npz, an image or a folder of them; an array of examples (n, ...).
        What is unusual in them is a `DataWarning`: a level that was never seen, a number that is none.
        Raises InvalidData where they do not fit, JournalError where what was fitted is gone, MissingExtra.
        """
        said = self._answers(rows)
        preparing = self._plan.preprocessing
        if self.task == "classification":
            return np.asarray(labels_of(said, preparing))
        numbers = preparing.original_targets(said)
        return numbers[:, 0] if numbers.shape[1] == 1 else numbers

    def predict_proba(self, rows: Rows) -> NDArray[np.float64]:
        """Probabilities (n, k), a column for each of `classes`. rows: see `predict`, which raises the same.

        Raises InvalidArgument of a regression too.
        """
        if self.task != "classification":
            raise InvalidArgument("of a regression there are no probabilities; predict() gives numbers")
        return self._answers(rows).astype(np.float64)

    # -- what is known of it

    @property
    def run_dir(self) -> str:
        return self._plan.run

    @property
    def task(self) -> Task:
        return self._plan.preprocessing.task

    @property
    def classes(self) -> tuple[Label, ...]:
        return self._plan.preprocessing.classes

    @cached_property
    def model(self) -> HandedOver:
        """What is asked. Raises JournalError where what was fitted is gone, MissingExtra."""
        if self._is_net:
            return HandedOver(NET, self._name, {NET: self.module})
        net = self.module if self._plan.has_net else None
        return HandedOver(self._plan.kind, self._name, parts(self._plan, net))

    @cached_property
    def story(self) -> Story:
        """All that the journal tells: course, rollouts, verdicts (`gammatune.journal.replay`)."""
        return replay(self._plan.run)

    @property
    def schedule(self) -> Schedule:
        """The learning rates of the network, which `gammatune.replay` follows again."""
        return self.story.schedule

    @cached_property
    def measures(self) -> Mapping[str, Measure]:
        """On examples that took no part in training or choosing, by name, with 95 % intervals: of the model that is
        handed over; of a regression in the target's unit."""
        found = self._report.get("measures", {})
        return {name: Measure(*map(float, held)) for name, held in found.items()}

    @property
    def metric(self) -> str | None:
        """The one that was asked for."""
        return self._report.get("metric")

    @property
    def said(self) -> tuple[str, ...]:
        """How the data were read, what was chosen and what came of it, in sentences. They call options as the command
        does: --time-column is time_column= in Python."""
        extra = self._report.get("extra", {})
        return (*self.story.begin["facts"].get("said", ()), *extra.get("said", ()))

    def write_report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the run as one HTML page: see `gammatune.write_report`."""
        from gammatune.report.html.page import write_report

        return write_report(self.run_dir, path)

    def save(self, directory: str | os.PathLike[str]) -> Path:
        """Copy the run, but for what only an interrupted one needs, to a directory of its own: `gammatune.load` of
        that gives this object on any machine. Raises InvalidArgument where it is there and not empty, or cannot be
        written."""
        to = Path(directory)
        if to.exists() and (not to.is_dir() or any(to.iterdir())):
            raise InvalidArgument(f"{to} is there, and not empty; name a new directory")
        part = to.with_name(f"{to.name}.part")
        try:
            shutil.rmtree(part, ignore_errors=True)  # of a copy that was cut off
            shutil.copytree(self.run_dir, part, ignore=shutil.ignore_patterns(*NOT_SAVED))
            if to.is_dir():
                to.rmdir()
            part.replace(to)
        except OSError as error:
            raise InvalidArgument(
                f"cannot write {to} ({error.strerror or error}); choose another place"
            ) from error
        return to

    def __call__(self, x: Any) -> Any:
        return self.module(x)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "module" or not self._plan.has_net:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        try:
            return getattr(self.module, name)
        except AttributeError:
            raise AttributeError(f"a Predictor has no attribute {name!r}, nor has its module") from None

    def __repr__(self) -> str:
        """In one line."""
        first = next(iter(self.measures.items()), None)
        told = ""
        if first is not None:
            name, held = first
            count = self._report.get("extra", {}).get("examples", "?")
            told = f", {name} {held.value:.4g} [{held.low:.4g}, {held.high:.4g}] on {count} examples"
        return f"<Predictor: {self._name}{told}, in {self.run_dir}>"

    def __getstate__(self) -> dict[str, Any]:
        """Pickled with all that it needs, so that the run directory may be gone."""
        _ = self.model, self.story
        return {name: value for name, value in self.__dict__.items() if name != "_answering"}

    # -- inside

    @property
    def _is_net(self) -> bool:
        return self._single or self._plan.kind == NET

    @property
    def _name(self) -> str:
        return NAMES[NET] if self._single else self._plan.name

    @property
    def _report(self) -> Mapping[str, Any]:
        return self.story.report or {}

    @cached_property
    def _answering(self) -> nn.Module | Answering:
        return self.module if self._is_net else fitted(self._plan, self.model.parts)

    def _answers(self, rows: Rows) -> NDArray[Any]:
        new = new_examples(rows, self._plan.preprocessing, targets=False)
        for sentence in new.said:
            warnings.warn(sentence, DataWarning, stacklevel=3)
        said, _ = answers(self._answering, new.x, self.task)
        return said


def load(run: str | os.PathLike[str], *, single: bool = False) -> Predictor:
    """What a run directory holds that `gammatune train`, or `gammatune.fit` of a frame or path, has made.

    The object predicts rows as they come, and is callable as its network is; on the CPU. Where the run averages
    several nets, its `module` is a `gammatune.engine.ensemble.Ensemble` of them, whose `members` they are and whose
    `spread` says how far they are apart. single: ask the network alone, of several the best, whatever is handed over.
    Raises JournalError: no finished run there, or weights that cannot be read. InvalidArgument: a run that was not
    begun so, whose weights.pt goes into your own model.
    """
    return Predictor(plan_of(os.fspath(run)), single=single)
