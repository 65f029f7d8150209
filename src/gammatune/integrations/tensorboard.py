"""A run in TensorBoard: `gammatune.fit(..., listeners=[TensorBoard("logs/mine")])`, `tensorboard --logdir logs`.

What lies in the directory, each a run of its own in TensorBoard:

    course      the course, on the axis of its epochs, once it is certain; hyperparameters and the report beside it
    draft-1     the course as it stands while the run goes on, on the same charts; draft-2, ... where what was shown
                was taken back (`gammatune.journal.tracker` says when)
    rollouts    every rollout, on an axis and charts of its own
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gammatune.cost import Cost
from gammatune.errors import require
from gammatune.journal.tracker import Tracker
from gammatune.records import Metrics, Outcome, Value

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

SHOWN = ("policy", "sampler", "objective", "schedule", "epochs", "budget", "total_epochs", "seed", "keep")
FACTS = ("data", "model", "parameters", "optimizer", "batch_size", "weight_decay", "device")


class TensorBoard(Tracker):
    """directory: where the event files go, one directory a run.

    Raises MissingExtra where TensorBoard is not installed.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._make = require("torch.utils.tensorboard.writer", "tensorboard").SummaryWriter
        self.directory = Path(directory)
        self._writers: dict[str, SummaryWriter] = {}
        self._options: Mapping[str, Any] = {}
        self._last: tuple[Metrics, Mapping[str, Value]] = {}, {}

    def begin(self, options: Mapping[str, Any], *, resumed: bool) -> None:
        self._options, self._last = options, ({}, {})

    def rollout(self, outcome: Outcome) -> None:
        told = {**outcome.values, **outcome.metrics, "batches": outcome.batches, "seconds": outcome.seconds}
        if outcome.score is not None:
            told["score"] = outcome.score
        self._write("rollouts", "rollout", outcome.number, told | {"failed": float(not outcome.ok)})

    def draft(self, version: int, number: int, metrics: Metrics, values: Mapping[str, Value]) -> None:
        self._write(f"draft-{version}", "course", number, {**values, **metrics})

    def epoch(self, number: int, metrics: Metrics, values: Mapping[str, Value]) -> None:
        self._write("course", "course", number, {**values, **metrics})
        self._last = metrics, values

    def end(self, how: str, cost: Cost) -> None:
        metrics, values = self._last
        if values:
            options = {name: self._options.get(name) for name in SHOWN}
            options |= {name: self._options["facts"].get(name) for name in FACTS} | dict(values)
            spent = {"seconds": cost.seconds, "plain_runs": cost.plain_runs}
            reached = {f"final/{name}": v for name, v in {**metrics, **spent}.items() if v is not None}
            # "." is its own directory: otherwise it would be another run in TensorBoard's list
            self._writer("course").add_hparams(
                {name: v for name, v in options.items() if isinstance(v, (str, bool, int, float))},
                reached,
                run_name=".",
            )
        self._close()

    def report(self, measures: Mapping[str, Any]) -> None:
        numbers = {name: v for name, v in measures.items() if name != "seconds"}
        self._write("course", f"report on {measures['on']}", 0, numbers)
        self._close()

    def _writer(self, name: str) -> "SummaryWriter":
        if name not in self._writers:
            self._writers[name] = self._make(str(self.directory / name))
        return self._writers[name]

    def _write(self, run: str, group: str, step: int, told: Mapping[str, Any]) -> None:
        writer = self._writer(run)
        for name, value in told.items():
            if isinstance(value, (int, float)):
                writer.add_scalar(f"{group}/{name}", value, step)
        writer.flush()

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
