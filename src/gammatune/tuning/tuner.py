"""The tuner: where policy, sampler, engine, ledger and journal meet.

The thesis calls it the Hyperparameter Scheduler; its Determinant is the policy's verdict. Two verbs drive it,
`ask` (what should run next, with everything already in place) and `tell` (what came of it); iterating over a
`Tuner` is sugar over the two.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from gammatune.cost import Cost
from gammatune.engine.trainable import Advises, Forkable, Joinable
from gammatune.errors import AllDiverged, InvalidArgument, RankFailed, whole
from gammatune.journal.events import Event
from gammatune.journal.history import Story
from gammatune.metrics.objectives import Objective
from gammatune.policy import registry
from gammatune.policy.job import Job
from gammatune.policy.lookahead import lookahead
from gammatune.records import Outcome
from gammatune.schedules import schedule as schedule_of
from gammatune.seeds import stream
from gammatune.tuning.arguments import (
    Extent,
    UsersLoop,
    objective_of,
    open_journal,
    process_ranks,
    refuse_executor,
    refuse_two_places,
    sampler_of,
    searched,
    steps_of,
)
from gammatune.tuning.before import Before
from gammatune.tuning.begin import begin
from gammatune.tuning.driver import Driver
from gammatune.tuning.ending import end_of, say_end
from gammatune.tuning.extensions import Extensions, taken_up
from gammatune.tuning.faults import advise
from gammatune.tuning.job import job_for
from gammatune.tuning.options import Options, Running, Search, with_options
from gammatune.tuning.other_ranks import OtherRanks
from gammatune.tuning.rank_zero import agreed
from gammatune.tuning.result import Result, result_of
from gammatune.tuning.resume import opening_taken, refuse_another_run
from gammatune.tuning.run import Run
from gammatune.tuning.signals import Terminated, terminating

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from gammatune.engine.ensemble import Ensemble


class Tuner:
    """Trains while finding the learning rate, in a loop of your own.

        with gammatune.Tuner(model=model, optimizer=optimizer, epochs=20, budget=12) as tuner:
            for run in tuner:
                for x, y in run.batches(loader):
                    optimizer.zero_grad(); loss_fn(model(x), y).backward(); optimizer.step()
                run.report(**run.evaluate(validate))

    model, optimizer: one or several (lists). What else changes while training is handed in as `state`.
    training: a `Trainable` instead of these, which the tuner drives itself.
    epochs: the length of the course; left out, it is chosen, within `total_epochs` (what everything together may
    cost, in epochs) or within `time`.
    steps: the length in steps of the optimizer, where a loader has no end, or its end means nothing. One pass of the
    loop body is `every` of them then (left out: a twentieth), through however many batches a step takes, and
    `run.batches` goes on where the last one ended. Wherever an epoch is spoken of, it is such a pass.
    time: seconds, a ceiling on everything: what was chosen then depends on the clock, and the run is not the same
    twice.
    budget: the ceiling on compute, in multiples of a plain run: rollouts, evaluations, repeated epochs, all of it;
    1.5 for "lookahead", 12 for the others.
    seed: 0 or more; fixes every choice of the tuner (the training's own streams are yours to seed).
    run_dir: where to keep a journal, and to go on with a run that was interrupted.
    search, running: how it searches, and who hears of it and trains it (`Search`, `Running`). options: their fields,
    one by one: `Tuner(..., policy="greedy")` is `Tuner(..., search=Search(policy="greedy"))`.

    Raises InvalidArgument, InvalidSpace, ConflictingControl, NotRestorable before any training. Leaving the
    `with` block early, by break or by an exception, puts the weights back to the last commit.
    """

    def __init__(
        self,
        *,
        model: "nn.Module | Sequence[nn.Module] | None" = None,
        optimizer: "Optimizer | Sequence[Optimizer] | None" = None,
        training: Forkable | None = None,
        epochs: int | None = None,
        steps: int | None = None,
        every: int | None = None,
        budget: float | None = None,
        time: float | None = None,
        seed: int = 0,
        run_dir: str | None = None,
        search: Search | None = None,
        running: Running | None = None,
        **options: Unpack[Options],
    ) -> None:
        given = with_options("Tuner", options, search or Search(), running or Running())
        self._search: Search = given[0]
        self._running: Running = given[1]
        self._ranks = process_ranks(self._running.ranks)
        with ExitStack() as opened:  # a tuner that is refused leaves no lock, no hook and no rank that waits
            opened.push(self._tell_the_others)
            refuse_two_places(self._running, run_dir)
            run_dir, epochs = taken_up(self._running.resume_from, run_dir, epochs, self._ranks)
            refuse_executor(self._running, training, self._ranks)
            self._begin_to_listen()
            self._search = search = self._search.checked()
            self._extent = Extent.of(epochs, budget, time, search, steps_of(steps, every, epochs, training))
            self.seed = whole(seed, "seed", least=0)
            self.policy = registry.make_policy(search.policy)
            objective = objective_of(search)
            own = UsersLoop(model, optimizer, self._running.state, search.multiplier)
            self.space = searched(search, training, own)
            self._sampler, sampler_options = sampler_of(search, self.space, self.budget)
            self._open_the_journal(run_dir, opened)
            self._begin = begin(
                *(search, self._extent, self.seed, self.space, objective),
                sampler_options=sampler_options,
                facts=self._running.facts,
            )
            # late, since it puts hooks on the optimizer
            made = self.space, self._running, self._ranks, self._extent.course
            self._training: Forkable = training or own.training(*made)
            opened.callback(self._training.close)
            said = own.complete(self._training, search, self._journal, objective) if training is None else []
            if said:
                told = self._begin["facts"]
                self._begin["facts"] = told | {"said": [*told.get("said", ()), *said]}
            self._look_at_the_training()
            self._drive(objective, opened)
            self._opened = opened.pop_all()

    # -- made

    def _begin_to_listen(self) -> None:
        self._events: list[Event] = []
        self._signals = ExitStack()
        self._stopping = self._failed = self._entered = self._begun = self._finished = self._closed = False
        self.current: Run | None = None

    def _open_the_journal(self, run_dir: str | None, opened: ExitStack) -> None:
        self._journal = self._running.journal
        if self._journal is None and run_dir is not None:
            self._journal = open_journal(run_dir, self._ranks)
            opened.callback(self._journal.close)

    def _look_at_the_training(self) -> None:
        training = self._training
        own = training.base_schedule if isinstance(training, Advises) else "linear"
        self._shape = schedule_of(self._search.schedule or own)
        self._before = Before(training, self.space)
        self._others = OtherRanks(self._ranks, training)
        self._begin |= self._before.structure
        self._begin |= self._others.compare(self._begin)
        self._begin |= self._before.in_event
        self._nets = bool(self._search.ensemble) and self._ranks.world == 1 and isinstance(training, Joinable)

    def _drive(self, objective: Objective, opened: ExitStack) -> None:
        executor = self._running.executor
        self._driver = Driver(
            *(self._training, objective, self.epochs, self.budget, self.seed),
            journal=self._journal,
            listeners=[self._note, *self._running.listeners],
            executor=executor,
            ranks=self._ranks,
            own=self._before.own,
            comparing=self._before.comparing if self._running.check else None,
        )
        if executor is not None:
            opened.callback(executor.close)
        self._past = None if self._journal is None else self._journal.past
        if self._past is not None:
            self._go_on(self._past)
        self._beyond = Extensions(self._search, self._driver, self._ranks, self._past, self._job)
        self._runs = self._driver.runs(agreed(self.policy, self._ranks), self._job(), self._say_begin)
        opened.callback(lambda: self._runs.close())

    def _job(self, **extent: Any) -> Job:
        """extent: what of it has become another."""
        self._extent = replace(self._extent, **extent)
        return job_for(
            *(self._search, self._extent, self._before, self._driver),
            sampler=lambda k, space: self._sampler(space or self.space, stream(self.seed, "sampler", k)),
            shape=self._shape,
            nets=self._nets,
            is_stopping=lambda: self._stopping,
        )

    def _go_on(self, past: Story) -> None:
        """Take up the run that the directory holds, if it is this one."""
        refuse_another_run(past.begin, self._begin)
        taken = opening_taken(past, self._begin)
        if taken is not None:
            self.policy = partial(lookahead, opening=taken)
        self._nets &= bool(past.begin.get("ensemble", False))  # an older run knows of one net
        versions = {name: self._begin[name] for name in ("gammatune", "python")}
        self._driver.go_on(past, versions | {"torn": past.torn})

    # -- the loop

    def __enter__(self) -> Self:
        if self._entered:
            raise InvalidArgument("a Tuner runs once; make a new one for another run")
        self._entered = True
        self._driver.clock.start()
        # there is something to save, or somebody to send home
        if self._journal is not None or self._running.executor is not None:
            self._signals.enter_context(terminating())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the run. An error of the body goes on unchanged; the weights are at the last commit.

        Raises RankFailed where the error comes of another rank's end."""
        try:
            if not self._finished:
                if error is not None:
                    advise(self.current, error)
                fault = self._others.leave(self._driver, self.current, error)
                self.current = None
                self._driver.states.go_home()
                self._driver.keep()
                if self._begun:
                    kind = kind if fault is None else RankFailed
                    how = "stopped" if kind is None else f"failed: {kind.__name__}"
                    how = "interrupted" if kind in (KeyboardInterrupt, Terminated) else how
                    say_end(self._driver, self._journal, how, fault or error)
                if fault is not None:
                    raise fault from error
        finally:
            self._closed = True
            with self._signals, self._opened:  # each is closed, whatever becomes of the others
                pass

    def __iter__(self) -> Iterator[Run]:
        while (run := self.ask()) is not None:
            yield run
            self.tell(run)

    def ask(self) -> Run | None:
        """The next run, with the training restored and its values applied; None when the course is complete.

        Raises AllDiverged where every candidate of a decision failed; the weights are then at the last commit.
        """
        if not self._entered:
            raise InvalidArgument(
                "use the tuner in a with statement, so that an error in the body cannot leave the weights of a "
                "rollout behind: with Tuner(...) as tuner: for run in tuner: ..."
            )
        if self.current is not None:
            raise InvalidArgument(f"rollout {self.current.number} has not been told yet")
        if self._finished:
            return None
        if self._closed:
            raise InvalidArgument("the tuner's with block has been left; make a new Tuner for another run")
        if self._failed:
            raise InvalidArgument("the run has ended with an error; leave the tuner's with block")
        self._failed = True  # until the next run is there
        cause: Exception | None = None
        try:
            run = next(self._runs, None)
            while run is None and (beyond := self._beyond.next()) is not None:
                self._runs = beyond
                run = next(beyond, None)
        except AllDiverged as failed:
            self._driver.states.go_home()
            cause = self._driver.faults.cause_of(failed, self._driver.found)
            if cause is failed:
                raise
        if cause is not None:
            raise cause
        self._failed = False
        if run is None:
            self._finished = True
            ended = self._past.end if self._past is not None and self._driver.teller.is_past else None
            if ended is not None and ended["how"] == "complete":
                self._driver.keep()
                self._driver.teller.tell(ended)
            else:
                self._driver.states.end(renews=bool(self._driver.found.nets))
                self._driver.teller.write(end_of(self._driver, "complete"))
            self._ranks.sum("leaves the loop")  # nobody ends while another still listens
        self.current = run
        return run

    def tell(self, run: Run) -> Outcome:
        """Take in what `run.report` said. Raises MissingReport where it said nothing."""
        if run is not self.current:
            raise InvalidArgument("tell takes the run that ask gave last")
        self._stopping = self._others.ask_whether_to_stop(self._stopping)
        self._others.look_whether_parted(run)
        outcome = self._driver.tell(run)
        self.current = None
        return outcome

    def extend(self, epochs: int) -> None:
        """Go on beyond the end of the course, for so many more epochs: loop again afterwards, in the same with block.

        From where the schedule says: under "wsd" from the end of its trunk, what fell being trained anew at the new
        end; under "constant" from where it stands; else after a short rise to where a course of that length would be,
        at the rate that one is believed to want (`Result.rate_for`). With keep="best" the state before is handed back
        where it is better in every respect. The ceiling rises by what these epochs cost, and 12 %. A run that is gone
        on with follows what its journal has of it by itself; asked for again, that is known.
        Raises InvalidArgument before the end, and where the course cannot go on; AnotherRun.
        """
        if not self._finished or self._closed:
            raise InvalidArgument(
                "extend goes on with a course that has ended: call it in the with block, after the loop"
            )
        if (beyond := self._beyond.begin(epochs)) is not None:
            self._runs, self._finished = beyond, False

    def stop(self) -> None:
        """End soon: the running decision takes the best it has, and the course ends with it."""
        self._stopping = True

    # -- what it came to

    @property
    def epochs(self) -> int:
        """The length of the course; where it is left open, what everything together may cost, in epochs."""
        return self._extent.epochs

    @property
    def budget(self) -> float:
        """The ceiling on compute, in plain runs of so many epochs."""
        return self._extent.budget

    @property
    def total_epochs(self) -> float | None:
        return self._extent.total_epochs

    @property
    def time(self) -> float | None:
        """Seconds."""
        return self._extent.time

    @property
    def is_home(self) -> bool:
        """The training holds what `result` speaks of: the weights of the last commit, or of the end of the run.

        False in the midst of a rollout, and where a run that is gone on with failed before it was there again."""
        return self._finished or self._driver.states.is_home

    @property
    def objective(self) -> Objective:
        """What is scored; minus the loss, once that has fallen below 0 where another takes its logarithm."""
        return self._driver.objective

    @property
    def cost(self) -> Cost:
        """The compute spent so far."""
        return self._driver.ledger.cost(self._driver.clock.spent)

    @property
    def result(self) -> Result:
        """What has been found so far; after the loop, of the whole run."""
        told = self._events, self._journal
        return result_of(self._driver.found, self.cost, self.seed, *told, multiplier=self._search.multiplier)

    def ensemble(self) -> "Ensemble | None":
        """The nets whose predictions are averaged, as one module in eval mode that takes and gives what the model
        does; None where there is one net."""
        if not self.result.nets:
            return None
        found: Ensemble = self._training.ensemble(self.result.nets)  # type: ignore[attr-defined]
        return found

    # -- inside

    def _note(self, event: Event) -> None:
        if event["event"] != "start":
            self._events.append({name: value for name, value in event.items() if name != "past"})

    def _tell_the_others(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """They wait for this rank, which is about to raise."""
        if error is not None:
            self._ranks.fault(error)

    def _say_begin(self) -> None:
        """Only once the policy has asked for something: it may refuse the job, and then nothing has happened."""
        self._begun = True
        if self._past is None:
            self._driver.teller.write(self._begin)
        else:
            self._driver.teller.tell(self._past.begin | {"past": True})
