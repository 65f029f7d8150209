"""What `gammatune train` does: data by name or file, a net by name, and the run that comes of them."""

import re
import time as clock
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gammatune.errors import InvalidArgument
from gammatune.journal.history import FILE, replay
from gammatune.pipeline.options import Asked
from gammatune.supervised.defaults import kept_for_after

if TYPE_CHECKING:
    from torch import nn

    from gammatune.metrics.objectives import Objective
    from gammatune.metrics.predictions import Answers
    from gammatune.pipeline.prepare import Prepared
    from gammatune.report.live import Follower

RUNS = "runs"
SEEDS = 2**32  # what every generator behind it takes


class Stopped(BaseException):
    """The user, or the system, ended the run. status: for the shell. directory: what was trained is kept there;
    None where nothing was."""

    def __init__(self, directory: str | None, status: int) -> None:
        self.directory = directory
        self.status = status


def train(asked: Asked, run_dir: str | None, follower: "Follower") -> str:
    """Train; the run directory, a new one in RUNS where none was given.

    Raises every error of `fit`, InvalidData of the loading, and Stopped.
    """
    from gammatune.pipeline.artifacts import leave
    from gammatune.pipeline.pictures import write_pictures
    from gammatune.pipeline.prepare import prepare
    from gammatune.supervised.fit import fit
    from gammatune.tuning.signals import Terminated

    _check(asked, run_dir)
    asked = _as_begun(asked, run_dir)
    named: Any = asked  # names come as text, which `fit` checks
    prepared = prepare(asked)
    split = prepared.split
    directory = run_dir if run_dir is not None else next_run(split.name)
    judged = prepared.is_table and asked.compare
    after = 0.0 if asked.time is None else kept_for_after(asked.time, judged=judged)
    began = clock.perf_counter()
    try:
        with follower:
            fit(
                prepared.net,
                split.train,
                split.select,
                test_set=split.report,
                epochs=None if asked.is_open else prepared.epochs,
                budget=None if asked.is_open else asked.budget,
                total_epochs=_total(asked, prepared),
                guide=prepared.epochs if asked.is_open else None,
                time=asked.time,
                reserve=after if asked.time is not None else 0.0,
                policy=named.policy,
                schedule=named.schedule,
                sampler=named.sampler,
                objective=_objective(asked, split.task),
                metric=named.metric,
                class_weights=named.class_weights,
                target_scale=(split.preprocessing.target_mean, split.preprocessing.target_std),
                space=asked.search or None,
                optimizer=named.optimizer,
                lr=asked.lr,
                weight_decay=asked.weight_decay,
                pretrained=True if prepared.weights is not None else None,
                patience=prepared.patience,
                extra=_judge(asked, prepared, directory, began, follower) if judged else None,
                batch_size=asked.batch_size,
                device=asked.device,
                parallel=asked.parallel,
                workers=asked.workers,
                at_once=asked.at_once,
                ensemble=asked.ensemble,
                new_model=prepared.another,
                keep=named.keep,
                seed=asked.seed,
                run_dir=directory,
                facts={
                    "data": asked.data,
                    "model": prepared.model,
                    **({} if prepared.weights is None else {"weights": prepared.weights}),
                    "shape": list(split.shape),
                    "preprocessing": split.preprocessing.to_dict(),
                    "limit": asked.limit,
                    "validation": asked.validation,
                    "weight_decay": asked.weight_decay,
                    "said": list(prepared.said),
                    "command": asdict(
                        replace(asked, usual=prepared.epochs, patience=prepared.patience or 0)
                        if asked.is_open
                        else replace(asked, epochs=prepared.epochs, patience=prepared.patience or 0)
                    ),
                },
                listeners=[follower],
            )
        write_pictures(directory, split)
        leave(directory)
    except (KeyboardInterrupt, Terminated) as stop:
        kept = directory if (Path(directory) / FILE).is_file() else None
        raise Stopped(kept, stop.status if isinstance(stop, Terminated) else 130) from None
    return directory


def _check(asked: Asked, run_dir: str | None) -> None:
    if asked.task not in (None, "classification", "regression"):
        raise InvalidArgument(f"--task {asked.task}: write classification or regression")
    if asked.threads is not None and asked.threads < 1:
        raise InvalidArgument(f"--threads {asked.threads}: give 1 or more")
    if not 0 <= asked.seed < SEEDS:
        raise InvalidArgument(f"--seed {asked.seed}: give a whole number from 0 to {SEEDS - 1}")
    if run_dir is not None and not run_dir.strip():
        raise InvalidArgument(f"--run-dir {run_dir!r}: name a directory, or leave --run-dir out")
    if asked.class_weights not in (None, "balanced"):
        raise InvalidArgument(f"--class-weights {asked.class_weights}: write balanced, or leave it out")
    if asked.total_epochs is not None and (asked.epochs is not None or asked.budget is not None):
        other = "--epochs" if asked.epochs is not None else "--budget"
        raise InvalidArgument(
            f"--total-epochs {asked.total_epochs:g} says what everything together may take, and leaves the length of "
            f"a training open: leave {other} out"
        )
    if asked.patience is not None and asked.patience < 0:
        raise InvalidArgument(f"--patience {asked.patience}: give a number of epochs; 0 trains to the end")


def _judge(
    asked: Asked, prepared: "Prepared", directory: str, began: float, follower: "Follower"
) -> "Callable[[Answers, nn.Module], Mapping[str, Any]]":
    """began: when the training did, by the clock of this process."""
    from gammatune.pipeline.table_diagnostics import Allowance, judge

    def allowance() -> Allowance:
        # of all the processes of a run that was gone on with, and of this one what its journal has not
        spent = max(replay(directory).elapsed, clock.perf_counter() - began)
        return Allowance(spent, None if asked.time is None else max(0.0, asked.time - spent))

    return judge(
        prepared.split,
        metric=asked.metric,
        class_weights=asked.class_weights,
        seed=asked.seed,
        allowance=allowance,
        tell=follower,
    )


def _as_begun(asked: Asked, run_dir: str | None) -> Asked:
    """With the length that was chosen when the run began, by the clock perhaps, where it is gone on with."""
    if run_dir is None or asked.epochs is not None or not (Path(run_dir) / FILE).is_file():
        return asked
    begun = Asked.of_run(run_dir)
    same = replace(begun, epochs=None, usual=None, patience=asked.patience) == asked
    return begun if same else asked


def _total(asked: Asked, prepared: "Prepared") -> float | None:
    """What all of it may take, in epochs, where the length of the training was left open."""
    from gammatune.tuning.tuner import total_of

    if not asked.is_open or asked.total_epochs is not None:
        return asked.total_epochs
    return total_of(asked.budget, prepared.epochs)


def _objective(asked: Asked, task: str) -> "Objective | None":
    """What was asked for; None leaves it to `fit`, which goes by the metric or the task."""
    from gammatune.metrics.catalogue import recipe
    from gammatune.metrics.objectives import (
        DEFAULT_CLASSIFICATION,
        DEFAULT_LAM,
        DEFAULT_REGRESSION,
        for_metric,
        make_objective,
    )

    if asked.objective is None and asked.lam == DEFAULT_LAM:
        return None
    if asked.objective is None and asked.metric is not None:
        return for_metric(recipe(asked.metric, task).name, lam=asked.lam)
    default = DEFAULT_CLASSIFICATION if task == "classification" else DEFAULT_REGRESSION
    return make_objective(asked.objective or default, lam=asked.lam)


def seconds_in(text: str | None) -> float | None:
    """'90', '90s', '5m', '1h30m' in seconds. Raises InvalidArgument at anything else, and at nothing."""
    if text is None:
        return None
    found = re.fullmatch(
        r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?", text.strip().lower()
    )
    parts = [float(part or 0) for part in found.groups()] if found and text.strip() else []
    seconds = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if not seconds > 0:
        raise InvalidArgument(f"--time {text}: write a time such as 90s, 5m or 1h30m")
    return seconds


def plan(asked: Asked) -> tuple[tuple[str, ...], Mapping[str, float]]:
    """What would be done, in sentences, and what it would cost; nothing is trained."""
    from gammatune.pipeline.prepare import estimate, prepare

    _check(asked, None)
    prepared = prepare(asked)
    return prepared.said, {"epochs": prepared.epochs, **estimate(prepared, asked)}


def next_run(name: str) -> str:
    """runs/NAME-1, runs/NAME-2, ...: the first that is not there."""
    number = 1
    while (path := Path(RUNS) / f"{name}-{number}").exists():
        number += 1
    return str(path)
