"""A run without a network: `--only trees` and `--only linear`. The journal has a beginning, a report and an end."""

import platform
import time as clock
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from gammatune.cost import Cost
from gammatune.errors import AnotherRun, InvalidData
from gammatune.journal.events import NO_POLICY, Event, begin_event, end_event, resume_event
from gammatune.journal.history import PREDICTIONS
from gammatune.journal.writer import Journal
from gammatune.metrics.catalogue import recipe
from gammatune.pipeline.data.split import Split
from gammatune.supervised.final_report import FinalReport, save_predictions

PACKAGES = ("numpy", "scikit-learn", "torch")


def without_net(
    split: Split,
    directory: str,
    metric: str | None,
    seed: int,
    facts: Mapping[str, Any],
    judge: Callable[[None, None], Mapping[str, Any]],
    listeners: Sequence[Callable[[Event], None]],
) -> None:
    """Fit the one kind of model that was asked for, and report on it, as `fit` does of a network.

    judge: as `table_diagnostics.judge` gives it. facts: for the first line of the journal. listeners: of every event.
    A directory that holds this very run is gone on with. Raises AnotherRun where it holds another one.
    """
    metric = None if metric is None else recipe(metric, split.task).name
    if split.task == "classification" and len(split.train.y.unique()) < 2:
        raise InvalidData(
            "the rows to train on are all of one class, so that there is nothing to tell apart; give more rows, or "
            "leave out the classes that hardly occur"
        )
    with Journal(directory, resume=True) as journal:

        def append(event: Event) -> None:
            journal.append(event)
            for listener in listeners:
                listener(event)

        past = journal.past
        if past is None:
            append(_begin(metric, seed, {**facts, "metric": metric, "train": len(split.train.y)}))
        elif past.begin["facts"].get("command") != facts["command"]:
            raise AnotherRun(
                f"{directory} holds another run; name another --run-dir, or leave it out for a new one"
            )
        elif past.report is not None:
            return
        else:
            append(resume_event({}))
        started, spent = clock.perf_counter(), clock.process_time()
        added = dict(judge(None, None))
        scale = None
        if split.task == "regression":
            scale = (split.preprocessing.target_mean, split.preprocessing.target_std)
        report = FinalReport.of_another_alone(added.pop("answers"), scale, metric, seed, added)
        seconds = clock.perf_counter() - started
        times = {"elapsed": seconds, "spent": clock.process_time() - spent}
        append(end_event("complete", Cost(0, 0, seconds, None, None), times))
        save_predictions(report.answers, Path(directory) / PREDICTIONS)
        append(report.event(seconds))


def _begin(metric: str | None, seed: int, facts: Mapping[str, Any]) -> dict[str, Any]:
    return begin_event(
        gammatune=metadata.version("gammatune"),
        python=platform.python_version(),
        versions={name: metadata.version(name) for name in PACKAGES},
        seed=seed,
        epochs=0,
        budget=0.0,
        policy=NO_POLICY,
        sampler=NO_POLICY,
        objective=metric or NO_POLICY,
        space=[],
        facts=dict(facts),
    )
