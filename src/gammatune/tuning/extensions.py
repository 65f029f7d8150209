"""A run that goes on beyond its end: from where, within what, and which run that is."""

import os
import shutil
from collections import deque
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeAlias

from gammatune.engine.ranks import Ranks
from gammatune.errors import AnotherRun, InvalidArgument, whole
from gammatune.journal.events import extend_event
from gammatune.journal.history import FILE, Story, replay
from gammatune.policy import registry
from gammatune.policy.extension import TRUNKS, Extension
from gammatune.policy.job import Job
from gammatune.tuning.driver import Driver
from gammatune.tuning.options import Search
from gammatune.tuning.rank_zero import agreed
from gammatune.tuning.result import Result
from gammatune.tuning.run import Run
from gammatune.tuning.states import Trained

Runs: TypeAlias = Generator[Run, None, None]
AnyRun: TypeAlias = str | os.PathLike[str] | Result  # a directory, or what has one


class Extensions:
    """Those that a journal has, which are followed as soon as the course before has come to its end, and those that
    are asked for: in the same order, where a run is gone on with.

    past: of that. job: what a policy is told, of so many epochs in all and within such a budget.
    """

    def __init__(
        self, search: Search, driver: Driver, ranks: Ranks, past: Story | None, job: Callable[..., Job]
    ) -> None:
        self._search, self._driver, self._ranks, self._past, self._job = search, driver, ranks, past, job
        self._left = deque(past.extensions if past is not None else ())
        self._followed: deque[int] = deque()  # and not asked for in this process yet
        self._is_own_due = search.extra_epochs is not None

    def next(self) -> Runs | None:
        """What follows the end of the course without being asked for again."""
        if self._left:
            held = self._left.popleft()
            self._followed.append(held.epochs)
            if held.is_after_end:
                self._driver.clock.pass_event()
            return self._runs(self._extension(held.epochs), held.budget, self._say_again)
        if not self._is_own_due:
            return None
        self._is_own_due = False
        assert self._search.extra_epochs is not None
        return self.begin(self._search.extra_epochs)

    def begin(self, epochs: int) -> Runs | None:
        """So many more epochs; None where a journal has them, and they have been followed.

        Raises InvalidArgument where the course cannot go on, AnotherRun where another number followed."""
        epochs = whole(epochs, "epochs", least=1)
        if self._followed:
            held = self._followed.popleft()
            if held != epochs:
                raise AnotherRun(
                    f"the run directory holds a run that went on for {held} more epochs, and {epochs} are asked for "
                    "now. Ask for the same, or copy it before it goes on: resume_from= with another run_dir="
                )
            return None
        extension, spent = self._extension(epochs), self._driver.ledger.spent
        assert spent is not None, "an epoch has been trained"
        return self._runs(extension, (spent + extension.worth) / extension.epochs, self._say)

    def _runs(self, extension: Extension, budget: float, say: Callable[[dict[str, Any]], None]) -> Runs:
        driver, event = self._driver, extend_event(extension.more, budget)
        driver.budget = budget
        driver.ledger.extend(extension.epochs)
        job = self._job(epochs=extension.epochs, budget=budget, is_open=False)
        return driver.runs(agreed(extension, self._ranks), job, lambda: say(event))

    def _say(self, event: dict[str, Any]) -> None:
        self._driver.clock.restart()
        self._driver.teller.write(event)
        if self._past is not None:
            self._past.tell(event)  # the end and the report that it has are of the shorter one

    def _say_again(self, event: dict[str, Any]) -> None:
        self._driver.teller.tell(event | {"past": True})

    def _extension(self, epochs: int) -> Extension:
        registry.refuse_extension(self._search.policy)
        found = self._driver.found
        if not found.course:
            raise InvalidArgument("nothing has been trained that could go on: the course is empty")
        if self._search.multiplier:
            raise InvalidArgument(
                "with multiplier=True the schedule is your own, which has come to its end and knows of no more "
                "epochs: give the course all of them from the start, with a scheduler that is as long"
            )
        if found.nets:
            raise InvalidArgument(
                f"the predictions of {len(found.nets)} nets are averaged, and one course goes on: train with "
                "ensemble=False"
            )
        survey = next(o for o in found.rollouts if o.status != "infeasible")
        return Extension(tuple(found.course), epochs, survey, _trunk(self._driver))


def _trunk(driver: Driver) -> tuple[str, int] | None:
    """The fork that holds the latest state at the end of a trunk that the course, as it stands, has passed; and after
    how many epochs."""
    passed = {outcome.number: epochs for epochs, outcome in enumerate(driver.found.course, start=1)}
    held = {name: driver.states.forks.get(name) for name in TRUNKS}
    found = {
        name: passed[place.number]
        for name, place in held.items()
        if isinstance(place, Trained) and place.number in passed
    }
    return max(found.items(), key=lambda each: each[1], default=None)


# Which run ------------------------------------------------------------------------------------------------


def taken_up(
    run: AnyRun | None, run_dir: str | None, epochs: int | None, ranks: Ranks
) -> tuple[str | None, int | None]:
    """The directory of a run that is gone on with, and the epochs it was begun with where none are given.

    run_dir: another, to which it is copied first, so that it stays as it is; one that holds a run already is gone on
    with itself. Raises InvalidArgument, JournalError.
    """
    if run is None:
        return run_dir, epochs

    def take() -> tuple[str, int | None]:
        there = _directory_of(run)
        story = replay(there)
        here = there if run_dir is None else Path(run_dir)
        if not (here / FILE).exists() and here != there:
            _copy(there, here)
        # else the caller says so anew
        is_counted = not story.begin.get("open") and not story.begin.get("steps")
        known = int(story.begin["epochs"]) if is_counted else None
        return str(here), known if epochs is None else epochs

    return ranks.agree("begins the run", take)


def _directory_of(run: AnyRun) -> Path:
    directory = getattr(run, "run_dir", run)
    if directory is None:
        raise InvalidArgument(
            "resume_from= is a run that was kept in no directory, so that nothing of it is left to go on from: give "
            "it a run_dir=, or ask for extra_epochs= when it is begun"
        )
    if not isinstance(directory, (str, os.PathLike)):
        raise InvalidArgument(
            f"resume_from={run!r:.60}: give a run directory, or what fit or Tuner gave back"
        )
    return Path(directory)


def _copy(there: Path, here: Path) -> None:
    """Whole, or not at all."""
    part = here.with_name(f"{here.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        shutil.copytree(there, part, ignore=shutil.ignore_patterns("*.lock", "*.part"))
        part.rename(here)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise InvalidArgument(
            f"cannot copy {there} to {here} ({error.strerror or error}); choose another run_dir="
        ) from error
