"""What `fit` hands back."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gammatune.engine.ensemble import Ensemble, Price
from gammatune.journal.reducer import HandedBack, handed_back
from gammatune.metrics.bootstrap import Measure
from gammatune.metrics.thesis import Classification, Regression
from gammatune.records import Metrics
from gammatune.tuning.notebook import line, number
from gammatune.tuning.result import Result


@dataclass(frozen=True, slots=True, repr=False)
class FitResult(Result):
    """A `Result`, and how good the weights handed back are.

    report: measured after the search; None where outputs and targets cannot be compared one to one (a loss of
    your own, of a mean and a variance for instance). reported_on: "test", data the run neither trained on nor
    selected by; or "selection", the very data the weights were selected by, which flatters them (the best of
    many looks better than it is); None where there is no report. Where an example has several labels the report
    counts each of them, as one of two classes.
    said: the defaults that were chosen, in sentences. seconds: all of it, the report included.
    start: what a pretrained model scored before any training, on the data to select by; None for any other.
    is_start: no epoch was better than that, and the weights handed back are those the model came with.
    ensemble: the nets whose predictions are averaged, as one module in eval mode that takes and gives what the model
    does; None where there is one. report and measures are its then; single: the same report of the best net alone,
    which the model holds; price: what both take of memory, and of time to answer.
    measures: on the same data as the report, by name, with 95 % bootstrap intervals (`gammatune.metrics.catalogue`);
    of a regression in the target's original unit where `fit` was told it. metric: the one asked for.
    """

    report: Classification | Regression | None
    reported_on: str | None
    said: tuple[str, ...]
    seconds: float
    measures: Mapping[str, Measure] = field(default_factory=dict)
    metric: str | None = None
    start: Metrics | None = None
    is_start: bool = False
    ensemble: Ensemble | None = field(default=None, compare=False)
    single: Classification | Regression | None = None
    price: Price | None = field(default=None, compare=False)

    @property
    def handed_back(self) -> HandedBack | None:
        """As in `Result`; of a pretrained model it may be the weights it came with."""
        return handed_back(self.course, self.rollouts, self.schedule, is_start=self.is_start)

    @property
    def metrics(self) -> Metrics:
        """The metrics of the weights handed back, on the data they were selected by."""
        if self.is_start and self.start is not None:
            return self.start
        return self.course[-1].metrics if self.course else {}

    def write_report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the run as one HTML page: see `gammatune.write_report`."""
        from gammatune.report.html.page import write_report

        return write_report(self, path)

    def __repr__(self) -> str:
        """In one line; all of it would be hundreds."""
        told = ""
        if self.report is not None:
            told = f"{_in_one_figure(self.report)} on the {self.reported_on} data{self._beside}"
        return f"<FitResult: {line(self.course, len(self.rollouts), self.cost, told)}>"

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        if self.report is None:
            return self._card([], "", self.said)
        told = [
            (name, f"{number(m.value)} [{number(m.low)}, {number(m.high)}]")
            for name, m in sorted(self.measures.items(), key=lambda item: item[0] != self.metric)
        ] or [
            (name, number(value)) for name, value in asdict(self.report).items() if isinstance(value, float)
        ]
        where = (
            "on data it neither trained on nor selected by"
            if self.reported_on == "test"
            else "on the data it was selected by: expect less on new data"
        )
        where += ", with 95 % intervals" if self.measures else ""
        return self._card(told, where + self._beside, self.said)

    @property
    def _beside(self) -> str:
        """', of 3 nets together (the best alone: accuracy 0.95)'."""
        if self.single is None:
            return ""
        return f", of {len(self.nets)} nets together (the best alone: {_in_one_figure(self.single)})"


def _in_one_figure(report: Classification | Regression) -> str:
    if isinstance(report, Classification):
        return f"accuracy {number(report.accuracy)}"
    return f"R2 {number(report.r2)}"
