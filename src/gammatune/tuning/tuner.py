"""The tuner: where policy, sampler, engine, ledger and journal meet.

The thesis calls it the Hyperparameter Scheduler; its Determinant is the policy's verdict. Two verbs drive it,
`ask` (what should run next, with everything already in place) and `tell` (what came of it); iterating over a
`Tuner` is sugar over the two.
"""

import json
import math
import platform
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from gammatune.cost import Cost
from gammatune.course import Schedule
from gammatune.engine.ranks import PATIENCE
from gammatune.engine.trainable import (
    Advises,
    Forkable,
    HasDigest,
    Joinable,
    ScoresTogether,
    Storable,
    Where,
)
from gammatune.errors import AllDiverged, InvalidArgument, RankFailed, whole
from gammatune.journal.events import Event, begin_event, text_of
from gammatune.journal.history import Story
from gammatune.journal.writer import Echo, Journal
from gammatune.metrics.objectives import Objective, ObjectiveName, make_objective, rank
from gammatune.policy import DEFAULT, registry
from gammatune.policy.job import Job
from gammatune.policy.lookahead import lookahead
from gammatune.policy.registry import AnyPolicy as AnyPolicy
from gammatune.policy.registry import PolicyName as PolicyName
from gammatune.policy.registry import default_budget as default_budget
from gammatune.policy.registry import name_of
from gammatune.records import Outcome
from gammatune.samplers.sampler import Sampler
from gammatune.schedules import ScheduleName
from gammatune.schedules import schedule as schedule_of
from gammatune.seeds import stream
from gammatune.space import Dimension, Space
from gammatune.tuning.arguments import FEW_DECADES as FEW_DECADES
from gammatune.tuning.arguments import AnySampler as AnySampler
from gammatune.tuning.arguments import (
    Extent,
    plugin_versions,
    positive,
    process_ranks,
    sampler_of,
    searched,
    torch_training,
)
from gammatune.tuning.arguments import Keep as Keep
from gammatune.tuning.arguments import SamplerFactory as SamplerFactory
from gammatune.tuning.arguments import around as around
from gammatune.tuning.arguments import as_space as as_space
from gammatune.tuning.arguments import open_journal as open_journal
from gammatune.tuning.arguments import refuse_beside as refuse_beside
from gammatune.tuning.arguments import total_of as total_of
from gammatune.tuning.before import Before
from gammatune.tuning.driver import Driver, Listener
from gammatune.tuning.executor import Crew
from gammatune.tuning.rank_zero import agreed
from gammatune.tuning.result import Result as Result
from gammatune.tuning.resume import COMPARED, opening_taken, refuse_another_run, refuse_unlike
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

    model, optimizer: one or several (lists). state: whatever else changes while training (GradScaler, EMA,
    generators, ...). training: a `Trainable` instead of the three, which the tuner drives itself.
    epochs: the length of the course; left out, it is chosen, within `total_epochs` (what everything together may
    cost, in epochs) or within `time`. time: seconds, a ceiling on everything: what was chosen then depends on the
    clock, and the run is not the same twice. reserve: seconds of it that are kept for what comes after the run.
    budget: the ceiling on compute, in multiples of a plain run: rollouts, evaluations, repeated epochs, all of it;
    1.5 for "lookahead", 12 for the others.
    policy: "lookahead" (a few looks at rates, short trainings from the initial weights, then the course; it begins
    where other trainings did best, and keeps the optimizer's own rate unless another is likely to be better),
    "greedy" (the thesis: each epoch the best of `budget` candidates) or "once" (one candidate for the whole run, the
    best of `budget` runs), one that an installed package offers (`gammatune.plugin("name")`), or a policy of your
    own; `gammatune.replay` makes one of a course that was found before, which needs neither epochs nor budget.
    schedule: "linear" (a short warm-up, then straight down to zero) or "constant", what the chosen learning
    rate is multiplied by along the course of "lookahead"; an optimizer that wants a constant one, such as
    Schedule-Free, gets it without being asked.
    sampler: "gamma", "gaussian", "random", "grid", ... (`gammatune.samplers.SAMPLERS`), of an installed package
    (`gammatune.plugin`), or a function (space, generator) -> sampler; "lookahead" asks it only where more than
    learning rates is searched. sampler_options: handed to one given by name.
    objective: "kappa" (accuracy and loss together) and others (`gammatune.metrics.objectives.OBJECTIVES`).
    space: a `Space`, a mapping of names to dimensions, or lines such as "lr=1e-4:1:log"; without it the
    learning rate is searched around the optimizer's own: twelve decades in all, three under the other policies.
    multiplier: the searched lr scales what the user's own scheduler sets.
    keep: "best" hands back the weights of the best commit, "last" those of the last epoch.
    patience: end the course early, with the short decay that `stop` gives, once so many of its epochs have brought no
    better score; None: never. The score often rises only as the rate falls towards the end of the schedule, so that
    a small patience may end a good course. Rollouts do not count.
    seed: 0 or more; fixes every choice of the tuner (the training's own streams are yours to seed).
    run_dir: where to keep a journal; journal: one that is open already. facts: kept in its first line.
    listeners: called with every event of the journal, and with {"event": "start", "run": Run} before each run.
    What one raises ends the run as an error of the loop body does.
    tape_bytes: memory for the batches of an epoch that are kept because a loader cannot show them again, with the
    states of the random streams that their drawing moves.
    at_once: of the rollouts of one decision, how many are chosen before the first of them has been heard of; with
    more of them each knows less, and a crew can train them at the same time. 1 if not said.
    crew: who does (`gammatune.tuning.executor`), for a training that is driven.
    forks: where the copies of weights and optimizer state are held: "device", beside the model; "host", in the CPU's
    memory, where going back is slower; "auto", on the device while a few of them fit into half of its free memory.
    ranks: where torch.distributed trains one model in several processes, each runs this loop over its share of the
    data, rank 0 decides, and examples are counted over all of them. None: the processes of the default group, where
    one is initialised; a process group; or "off": this process trains a model of its own.
    ensemble: spend a budget that pays for several trainings on several nets whose predictions are averaged
    (`Tuner.ensemble`): each is one more pass of the loop, told by `run.net`; `run.evaluate` hears the average now and
    then (`run.nets`).
    new_model: a function that makes another net like `model`, with other initial weights, drawn from torch's random
    stream; without it the nets differ by the order of their data alone.
    guide: where the length is left open, the epochs that such a training usually has, by which they are shared
    between more nets and longer ones; None: one net.

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
        budget: float | None = None,
        total_epochs: float | None = None,
        time: float | None = None,
        reserve: float = 0.0,
        policy: AnyPolicy = DEFAULT,
        schedule: ScheduleName | None = None,
        sampler: AnySampler = "gamma",
        sampler_options: Mapping[str, Any] | None = None,
        objective: ObjectiveName | Objective = "kappa",
        space: Space | Mapping[str, Dimension] | Sequence[str] | None = None,
        state: Sequence[Any] = (),
        multiplier: bool = False,
        keep: Keep = "best",
        patience: int | None = None,
        seed: int = 0,
        run_dir: str | None = None,
        journal: Journal | Echo | None = None,
        facts: Mapping[str, Any] | None = None,
        listeners: Sequence[Listener] = (),
        tape_bytes: int = 2**30,
        forks: Where = "auto",
        at_once: int = 1,
        crew: Crew | None = None,
        ranks: Any = None,
        ensemble: bool = False,
        new_model: "Callable[[], nn.Module] | None" = None,
        guide: float | None = None,
    ) -> None:
        self._ranks = process_ranks(ranks)
        with ExitStack() as opened:  # a tuner that is refused leaves no lock, no hook and no rank that waits
            opened.push(self._tell_the_others)
            self._take_extent(Extent.of(epochs, budget, total_epochs, time, policy))
            self._take_limits(seed, keep, guide, patience, at_once, policy)
            self._reserve, self._multiplier = reserve, multiplier
            if crew is not None and training is None:
                raise InvalidArgument("crew= trains by itself: give it a training=, not a loop of your own")
            self.policy = registry.make_policy(policy)
            asked = make_objective(objective) if isinstance(objective, str) else objective
            self.space = searched(space, policy, training, model, optimizer, multiplier)
            self._sampler, options = sampler_of(sampler, sampler_options, self.space, self.budget)
            self._begin_to_listen(listeners, crew)
            self._journal = self._opened_journal(journal, run_dir, opened)
            self._begin = self._begin_event(policy, sampler, options, asked, schedule, ensemble, facts)
            # late, since it puts hooks on the optimizer
            self._training: Forkable = training or torch_training(
                *(model, optimizer, self.space, state, multiplier, tape_bytes, forks, self._ranks)
            )
            opened.callback(self._training.close)
            if training is None:
                self._complete_the_loop(ensemble, new_model, asked)
            self._look_at_the_training(schedule, ensemble)
            self._drive(asked, crew, opened)
            self._opened = opened.pop_all()

    # -- made

    def _take_extent(self, given: Extent) -> None:
        self.epochs, self.budget, self._open = given.epochs, given.budget, given.is_open
        self.total_epochs, self.time = given.total_epochs, given.time

    def _take_limits(
        self, seed: Any, keep: Keep, guide: Any, patience: Any, at_once: Any, policy: AnyPolicy
    ) -> None:
        self.seed = whole(seed, "seed", least=0)
        if keep not in ("best", "last"):
            raise InvalidArgument(f"keep={keep!r}: write 'best' or 'last'")
        self._keep = keep
        self._guide = None if guide is None else positive(guide, "guide")
        self._patience = None if patience is None else whole(patience, "patience", least=1)
        if patience is not None:
            registry.refuse_patience(policy, patience)
        self._at_once = whole(at_once, "at_once", least=1)

    def _begin_to_listen(self, listeners: Sequence[Listener], executor: Crew | None) -> None:
        self._events: list[Event] = []
        self._listeners = [self._note, *listeners]
        self._signals = ExitStack()
        self._stopping = self._failed = self._compared = False
        self._entered = self._begun = self._finished = self._closed = False
        self.current: Run | None = None
        if executor is not None:
            refuse_beside(self._ranks, "crew=")
        self._has_crew = executor is not None

    def _opened_journal(
        self, journal: Journal | Echo | None, run_dir: str | None, opened: ExitStack
    ) -> Journal | Echo | None:
        if journal is None and run_dir is not None:
            journal = open_journal(run_dir, self._ranks)
            opened.callback(journal.close)
        return journal

    def _begin_event(
        self,
        policy: AnyPolicy,
        sampler: AnySampler,
        options: Mapping[str, Any],
        objective: Objective,
        schedule: ScheduleName | None,
        ensemble: bool,
        facts: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        versions = {name: metadata.version(name) for name in ("numpy", "torch")}
        event = begin_event(
            gammatune=metadata.version("gammatune"),
            python=platform.python_version(),
            versions=versions | plugin_versions(policy, sampler),
            seed=self.seed,
            epochs=self.epochs,
            budget=self.budget,
            policy=name_of(policy),
            policy_version=registry.record_of(policy).version,
            sampler=name_of(sampler),
            sampler_options=options,
            objective=objective.name,
            lam=objective.lam,
            space=list(self.space.lines),
            keep=self._keep,
            patience=self._patience,
            at_once=self._at_once,
            open=self._open,
            total_epochs=self.total_epochs,
            seconds=self.time,
            schedule=schedule,
            multiplier=self._multiplier,
            ensemble=ensemble,
            guide=self._guide,
            facts=dict(facts or {}),
        )
        text_of(event)  # what the journal cannot hold is said now
        return event

    def _complete_the_loop(
        self, ensemble: bool, new_model: "Callable[[], nn.Module] | None", objective: Objective
    ) -> None:
        """Of a loop of the user's own: several nets, and what was chosen for it."""
        if new_model is not None and not ensemble:
            raise InvalidArgument("new_model= goes with ensemble=True")
        said: list[str] = []
        if ensemble:
            directory = None if self._journal is None else Path(self._journal.directory)
            classes = "accuracy" in objective.needs
            self._training.several(new_model, directory, probabilities=classes)  # type: ignore[attr-defined]
            if new_model is None:
                said.append(
                    "Nets begin with the same weights and differ by the order of their data, without new_model=."
                )
        if isinstance(self._training, Advises):
            said += self._training.said
        if said:
            told = self._begin["facts"]
            self._begin["facts"] = told | {"said": [*told.get("said", ()), *said]}

    def _look_at_the_training(self, schedule: ScheduleName | None, ensemble: bool) -> None:
        training = self._training
        if isinstance(training, Storable):
            self._begin["structure"] = training.structure()
        if self._ranks.world > 1:
            self._begin["ranks"] = self._ranks.world
            refuse_unlike(self._ranks.each("begins the run", self._beginning))
        own = training.base_schedule if isinstance(training, Advises) else "linear"
        self._shape = schedule_of(schedule or own)
        self._before = Before(training, self.space)
        self._begin["known"] = asdict(self._before.known)
        if alternatives := self._before.alternatives:
            self._begin["alternatives"] = [asdict(each) for each in alternatives]
        self._nets = ensemble and self._ranks.world == 1 and isinstance(training, Joinable)

    def _drive(self, objective: Objective, executor: Crew | None, opened: ExitStack) -> None:
        self._driver = Driver(
            self._training,
            objective,
            epochs=self.epochs,
            budget=self.budget,
            seed=self.seed,
            journal=self._journal,
            listeners=self._listeners,
            crew=executor,
            ranks=self._ranks,
            own=self._before.own,
        )
        if executor is not None:
            opened.callback(executor.close)
        self._past = None if self._journal is None else self._journal.past
        if self._past is not None:
            self._go_on(self._past)
        self._runs = self._driver.runs(agreed(self.policy, self._ranks), self._job(), self._say_begin)
        opened.callback(self._runs.close)

    # -- the loop

    def __enter__(self) -> Self:
        if self._entered:
            raise InvalidArgument("a Tuner runs once; make a new one for another run")
        self._entered = True
        self._driver.clock.start()
        # there is something to save, or somebody to send home
        if self._journal is not None or self._has_crew:
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
                    self._advise(error)
                fault = self._leave(error)
                self.current = None
                self._driver.go_home()
                self._driver.keep()
                if self._begun:
                    kind = kind if fault is None else RankFailed
                    how = "stopped" if kind is None else f"failed: {kind.__name__}"
                    how = "interrupted" if kind in (KeyboardInterrupt, Terminated) else how
                    self._say_end(how, fault or error)
                if fault is not None:
                    raise fault from error
        finally:
            self._closed = True
            with self._signals, self._opened:  # each is closed, whatever becomes of the others
                pass

    def _advise(self, error: BaseException) -> None:
        """On an error of the body that may be the candidate's, where nobody has asked for that to be seen."""
        run = self.current
        if run is not None and run.may_be_at_fault(error):
            values = ", ".join(f"{name}={value!r}" for name, value in run.values.items())
            error.add_note(
                f"It was raised in rollout {run.number}, under {values}. Where that blows up, it is no error of "
                "yours: put the body of the loop into `with run.attempt():`, and the candidate counts as one that "
                "diverged"
            )

    def _say_end(self, how: str, error: BaseException | None) -> None:
        if error is None:
            self._driver.teller.write(self._end_event(how))
            return
        try:
            self._driver.teller.write(self._end_event(how))
        except Exception as second:  # a listener's; what ended the run is what must be heard
            error.add_note(f"As the run was closed, {type(second).__name__} was raised too: {second}")
        if self._journal is not None:
            error.add_note(
                f"The run is kept in {self._journal.directory}; the same call, with the same run directory, goes on "
                "with it."
            )

    def _leave(self, error: BaseException | None) -> RankFailed | None:
        """Part from the other ranks before the course is complete; what ended the run, where one of them did."""
        if self._ranks.world == 1:
            return None
        run = self.current
        fault: RankFailed | None = None
        if error is not None:
            fault = self._ranks.fault(error, infeasible=run is not None and run.meter.infeasible)
            if run is not None and (run.meter.infeasible or getattr(fault or error, "infeasible", False)):
                self._driver.write_off(run, str(fault or error))
        else:
            try:
                self._ranks.sum("leaves the loop", patience=PATIENCE)
                return None
            except RankFailed as failed:
                fault = failed
            except TimeoutError:
                fault = RankFailed(
                    "this rank has left the loop, and the others go on: break at the same place in all"
                )
                self._ranks.fault(InvalidArgument("it has left the loop before the others"))
        self._driver.part()
        return fault

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
        except AllDiverged as failed:
            self._driver.go_home()
            cause = self._driver.cause_of(failed)
            if cause is failed:
                raise
        if cause is not None:
            raise cause
        self._failed = False
        if run is None:
            self._finished = True
            self._driver.keep()
            ended = self._past.end if self._past is not None and self._driver.teller.is_past else None
            if ended is not None and ended["how"] == "complete":
                self._driver.teller.tell(ended)
            else:
                self._driver.teller.write(self._end_event("complete"))
            self._ranks.sum("leaves the loop")  # nobody ends while another still listens
        self.current = run
        return run

    def tell(self, run: Run) -> Outcome:
        """Take in what `run.report` said. Raises MissingReport where it said nothing."""
        if run is not self.current:
            raise InvalidArgument("tell takes the run that ask gave last")
        if self._ranks.world > 1:
            self._stopping = any(self._ranks.each("reports", lambda: self._stopping))
            self._look_whether_parted(run)
        outcome = self._driver.tell(run)
        self.current = None
        return outcome

    def stop(self) -> None:
        """End soon: the running decision takes the best it has, and the course ends with it."""
        self._stopping = True

    # -- what it came to

    @property
    def is_home(self) -> bool:
        """The training holds what `result` speaks of: the weights of the last commit, or of the end of the run.

        False in the midst of a rollout, and where a run that is gone on with failed before it was there again."""
        return self._finished or self._driver.is_home

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
        found = self._driver.found
        return Result(
            tuple(found.course),
            tuple(found.rollouts),
            tuple(found.verdicts),
            self.cost,
            self.seed,
            Schedule.of(found.course, found.rollouts, found.members, multiplier=self._multiplier),
            members=found.members,
            decided=tuple(found.decided),
            nets=found.nets,
            events=tuple(self._events),
            run_dir=None if self._journal is None else str(self._journal.directory),
        )

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

    def _look_whether_parted(self, run: Run) -> None:
        """Once, after the first stretch of the course: whether gradients are exchanged."""
        if self._compared or not run.is_course or not isinstance(self._training, HasDigest):
            return
        self._compared = True
        if len(set(self._ranks.each("reports", self._training.weights_digest))) > 1:
            warnings.warn(
                "the ranks began with the same weights and have others now: each trains a model of its own, and that "
                "of rank 0 is scored and kept. Wrap the model in DistributedDataParallel, or pass ranks='off'",
                stacklevel=3,
            )

    def _beginning(self) -> dict[str, Any]:
        """What must be alike on all ranks."""
        weights = self._training.weights_digest() if isinstance(self._training, HasDigest) else None
        asked: dict[str, Any] = json.loads(text_of(self._begin))
        return {**{name: asked.get(name) for name in (*COMPARED, "structure")}, "weights": weights}

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

    def _go_on(self, past: Story) -> None:
        """Take up the run that the directory holds, if it is this one."""
        refuse_another_run(past.begin, self._begin)
        taken = opening_taken(past, self._begin)
        if taken is not None:
            self.policy = partial(lookahead, opening=taken)
        self._nets &= bool(past.begin.get("ensemble", False))  # an older run knows of one net
        versions = {name: self._begin[name] for name in ("gammatune", "python")}
        self._driver.go_on(past, versions | {"torn": past.torn})

    def _job(self) -> Job:
        return Job(
            epochs=self.epochs,
            budget=self.budget,
            sampler=self._sampler_of_decision,
            rank=self._rank,
            space=self.space,
            beats=self._beats,
            overfitted=self._overfitted,
            own=self._before.own_values,
            shape=self._shape,
            stopping=lambda: bool(self._driver.clock.answer(lambda: float(self._stopping), 0.0)),
            keep=self._keep,
            patience=self._patience,
            at_once=self._at_once,
            now=self._driver.now,
            scale=lambda: self.objective.name,
            known=self._before.known,
            alternatives=self._before.alternatives,
            nets=self._nets,
            asks_anew=not isinstance(self._training, ScoresTogether),
            guide=self._guide,
            open=self._open,
            seconds_left=lambda: self._driver.clock.answer(self._seconds_left, math.inf),
        )

    def _seconds_left(self) -> float:
        return math.inf if self.time is None else self.time - self._reserve - self._driver.clock.elapsed

    def _beats(self, one: Outcome, other: Outcome) -> bool:
        one, other = self._driver.now(one), self._driver.now(other)
        if one.score is None or other.score is None:
            return one.score is not None
        needs = self.objective.needs
        if all(name in outcome.metrics for outcome in (one, other) for name in needs):
            return self.objective.beats(one.metrics, other.metrics, other.evaluated)
        return one.score > other.score  # a score of the user's own

    def _overfitted(self, later: Outcome, earlier: Outcome) -> bool:
        needs = self.objective.needs
        known = later.ok and all(name in o.metrics for o in (later, earlier) for name in needs)
        return known and self.objective.overfitted(later.metrics, earlier.metrics)

    def _sampler_of_decision(self, decision: int, space: Space | None) -> Sampler:
        return self._sampler(space or self.space, stream(self.seed, "sampler", decision))

    def _rank(self, outcome: Outcome) -> tuple[float, ...]:
        score = self._driver.now(outcome).score
        return rank(-math.inf if score is None else score, outcome.metrics)

    def _end_event(self, how: str) -> dict[str, Any]:
        self._driver.clock.stop()
        cost = self.cost
        return {
            "event": "end",
            "how": how,
            "trained": cost.trained,
            "evaluated": cost.evaluated,
            "seconds": cost.seconds,
            "plain_runs": cost.plain_runs,
            "plain_epochs": cost.plain_epochs,
            "repeated": cost.repeated,
            "plain_processor": cost.plain_processor,
            "asked": [],
            **self._driver.clock.times(),
        }
