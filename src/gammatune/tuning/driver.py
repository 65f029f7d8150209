"""Where a policy's requests meet a training: each is served, written down, and can be gone back to.

After an interruption the policy runs again from its first decision, is told what the journal has, and nothing is
trained until it asks for something new. Only then is the training put where it must be, from a checkpoint as near
as there is; rollouts that lie between are trained once more (`Run.is_repeated`), and told to nobody.
"""

import time as clock
from collections.abc import Callable, Generator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from gammatune.cost import Ledger, units
from gammatune.engine.ranks import SINGLE, Ranks
from gammatune.engine.trainable import AnswersTogether, Forkable, KeepsBatches, ScoresTogether, Trainable
from gammatune.journal.events import commit_event, repeat_event, rollout_event
from gammatune.journal.history import Story
from gammatune.journal.reducer import RunState
from gammatune.journal.wording import worded
from gammatune.journal.writer import Echo, Journal
from gammatune.metrics.objectives import Objective
from gammatune.policy.job import Job, Policy
from gammatune.records import (
    Ahead,
    Average,
    Commit,
    Forget,
    Fork,
    Outcome,
    Pool,
    Renew,
    Request,
    Rollout,
    Together,
)
from gammatune.schedules import STILL
from gammatune.tuning.beside import Beside
from gammatune.tuning.check import BeforeTheFirst, Comparing
from gammatune.tuning.checkpoints import Checkpoints
from gammatune.tuning.executor import Executor
from gammatune.tuning.faults import Faults
from gammatune.tuning.recorded import Clock as Clock
from gammatune.tuning.recorded import Past, plain, refuse_another, refuse_other_nets, repeated, say_otherwise
from gammatune.tuning.run import ROUNDING, Own, Run
from gammatune.tuning.scores import Scores
from gammatune.tuning.several import Nets, question
from gammatune.tuning.states import Beginning, Place, States, Trained, last_number
from gammatune.tuning.teller import Listener as Listener
from gammatune.tuning.teller import Teller


class Driver:
    """Serves the requests of one policy.

    found: what has come of it, as a journal read back has it. ledger: what it cost; budget: and may, in plain runs.
    scores: how that is scored.
    states: where the training stands, and has stood. faults: what candidates have raised.
    """

    def __init__(
        self,
        training: Forkable,
        objective: Objective,
        epochs: int,
        budget: float,
        seed: int,
        *,
        journal: Journal | Echo | None,
        listeners: Sequence[Listener],
        executor: Executor | None = None,
        own: Own,
        ranks: Ranks = SINGLE,
        comparing: Comparing | None = None,
    ) -> None:
        self.found = RunState(objective.name)
        self.ledger = Ledger(epochs)
        self.clock = Clock()
        self._training = training
        self.scores = Scores(objective)
        self.budget = budget
        self._seed = seed
        self.teller = Teller(journal, listeners)
        self._ranks = ranks
        self.states = States(
            training,
            seed=seed,
            checkpoints=None if journal is None else Checkpoints(journal, training, ranks),
            executor=executor,
            again=self._repeat,
        )
        self._beside = Beside(executor, training, self.states, seed, own)
        self._told: Outcome | None = None
        self._own = own
        self._ran: Run | None = None  # the last run that was told
        self.faults = Faults(
            own, self.states, self.teller, self._train, is_driven=isinstance(training, Trainable)
        )
        self._nets = Nets(training, self.states, self.teller)  # type: ignore[arg-type]
        self._passed = 0  # epochs that have been committed, also by what was taken back
        self._past = Past(None)
        self._comparing = comparing

    def go_on(self, past: Story, facts: Mapping[str, Any]) -> None:
        """Take up a run where its journal ends. facts: for the event that says so.

        Raises JournalError where neither a checkpoint nor the training handed over now leads there.
        """
        self._past = Past(past)
        self.teller.go_on(facts)
        self.clock = Clock(past)
        for repeat in past.repeats:
            self.ledger.repeat(repeat.trained, repeat.evaluated, repeat.seconds)
        for check in past.checks:
            self.ledger.check(units(check.trained, check.evaluated))
        if past.rollouts:  # else it is as good as new
            self.states.take_up()

    @property
    def objective(self) -> Objective:
        """What is scored now."""
        return self.scores.objective

    # -- the loop

    def runs(self, policy: Policy, job: Job, begin: Callable[[], None]) -> Generator[Run, None, None]:
        """What is to be trained, one run after the other; each is to be told before the next.

        begin: called once the policy has asked for something; before that it may refuse the job."""
        requests = policy(job)
        reply: Outcome | None = None
        begun = False
        try:
            while True:
                try:
                    request: Request = requests.send(reply)
                except StopIteration:
                    break
                reply = None
                if not begun:
                    begin()
                    begun = True
                    if self._comparing is not None and not self._past.rollouts_left:
                        told = self.states, self.teller, self.ledger
                        yield from BeforeTheFirst(self._training, self._comparing, *told).runs(job.own)
                match request:
                    case Rollout():
                        reply = yield from self._roll(request)
                    case Ahead():
                        yield from self._ahead(request)
                    case Fork(name, lasting):
                        self.states.fork(name, lasting=lasting)
                    case Forget(name):
                        self.states.forget(name)
                    case Pool(name, count):
                        self.states.pool(name, count)
                    case Average(name):
                        self.states.average(name)
                    case Renew(fork, net):
                        self.states.renew(fork, net)
                    case Together():
                        reply = yield from self._together(request)
                    case Commit():
                        yield from self._commit(request)
            for net in self.found.nets:  # of a run that had ended
                yield from self._nets.keep(net)
            if self.states.stands is not self.states.live:  # nothing was left to be trained
                yield from self.states.go_to(self.states.home)
        finally:
            requests.close()

    def tell(self, run: Run) -> Outcome:
        """Take in what `run.report` said; it is on disk when this returns."""
        run.pool(self._ranks)
        told = self._ranks.agree("reports", lambda: run.outcome(self.objective))
        self._told = told if run.is_examination else self._scored(told)
        self._ran = run
        if not (run.is_repeated or run.is_examination or told.raised):
            self.teller.write(rollout_event(self._told, self.clock.times()))
        return self._told

    def now(self, outcome: Outcome) -> Outcome:
        """It, scored by the objective as it is now."""
        return self.found.rollouts[outcome.number] if self.scores.has_changed else outcome

    def _scored(self, outcome: Outcome, *, is_past: bool = False) -> Outcome:
        """It, scored by the objective as it is now; where its loss has none, the objective becomes another."""
        event = self.scores.hear(outcome, self.found)
        if event is not None and is_past:
            self.teller.tell(event | {"past": True})
        elif event is not None:
            self.teller.write(event)
        return self.scores.in_its_units(outcome)

    def keep(self) -> None:
        """Write where the course ends, before the process does: what has been trained need not be again."""
        if self.found.rollouts or self._told is not None:  # an interrupt may have come between
            self.states.keep_the_beginning()
        self.states.keep()

    # -- requests

    def _roll(self, request: Rollout) -> Generator[Run, None, Outcome]:
        origin = self.states.live if request.fork is None else self.states.forks[request.fork]
        request = plain(request)
        number = len(self.found.rollouts)
        share = self._beside.shares.pop(number, None)
        allowance = self._allowance() if share is None else share
        fresh = request.epoch < self._passed
        outcome = self._past.next_rollout()
        if outcome is not None:
            refuse_another(request, outcome)
            request = replace(request, values=outcome.values, shape=outcome.shape, length=outcome.length)
            outcome = self._told_again(outcome)
            self.states.live = Trained(origin, request, outcome, allowance, fresh)
        elif number in self._beside.under_way:
            outcome = self._await(request, number)
            self.states.live = Trained(origin, request, outcome, allowance, fresh)
        else:
            yield from self.states.fill_pools()
            if request.fork is None:
                yield from self.states.go_to(origin)
            else:
                yield from self.states.restore(request.fork)
            outcome = yield from self._train(request, number, allowance, fresh, origin)
            self.states.stands = place = Trained(origin, request, outcome, allowance, fresh)
            if outcome.raised:
                assert self._ran is not None
                outcome = yield from self.faults.examine(place, self._ran)
                place = Trained(origin, request, outcome, allowance, fresh)
                self.faults.say(outcome, self.found)
                self.teller.write(rollout_event(outcome, self.clock.times()))
            self.states.live = place
            self.states.keep_the_beginning()
        return self._add(outcome)

    def _told_again(self, outcome: Outcome) -> Outcome:
        """One that the journal has."""
        self.clock.pass_event()
        outcome = self._scored(outcome, is_past=True)
        self.teller.tell(rollout_event(outcome) | {"past": True})
        return outcome

    def _add(self, outcome: Outcome) -> Outcome:
        self.found.add(outcome)
        self.ledger.charge(outcome)
        return outcome

    def _ahead(self, request: Ahead) -> Generator[Run, None, None]:
        """Share what may be spent among rollouts that are chosen together, and hand them to who trains them."""
        rollouts, first = [plain(each) for each in request.rollouts], len(self.found.rollouts)
        share = self._allowance(len(rollouts))
        self._beside.share(first, rollouts, share)
        known = self._past.rollouts_left
        if known < len(rollouts):
            new = {first + i: each for i, each in enumerate(rollouts[known:], start=known)}
            yield from self._beside.begin(new, share, self._passed, self.objective, keep=request.keep)

    def _await(self, request: Rollout, number: int) -> Outcome:
        """What came of a rollout that was begun beside others."""
        task = self._beside.task(number, request)
        self.teller.announce()
        run = Run(self._training, request, number, task.allowance, fresh=task.fresh, origin=task.origin)
        self.teller.tell({"event": "start", "run": run})
        outcome = self._scored(self._beside.outcome(number))
        self.clock.spend(outcome.processor)
        if outcome.raised:
            self.faults.say(outcome, self.found)
        self.teller.write(rollout_event(outcome, self.clock.times()))
        return outcome

    def _train(
        self,
        request: Rollout,
        number: int,
        allowance: float,
        fresh: bool,
        origin: Place,
        *,
        again: bool = False,
        suspect: Exception | None = None,
    ) -> Generator[Run, None, Outcome]:
        """Let the loop body train, from where the training stands: at `origin`, but for what is trained to look into
        an error."""
        # nothing moves at a rate of 0, so that what is raised there is raised by the training as it was handed
        # over, or by what several nets say together, each of which has been evaluated by itself
        at_rest = request.shape == STILL and (isinstance(origin, Beginning) or bool(request.nets))
        before = self.found.rollouts[number - 1] if number else None
        run = Run(
            *(self._training, request, number, allowance),
            fresh=fresh,
            is_repeated=again,
            origin=last_number(origin),
            leaves=before.leaves if before else (),
            seen=before.left if before else (),
            is_searched=not at_rest and self._own.is_searched(request),
            suspect=suspect,
        )
        self.states.depart()
        if request.order:
            self._training.reorder(self._seed, request.epoch, request.order)
        self._training.apply(request.values, run.meter)
        self._told = None
        self.teller.announce()
        self.teller.tell({"event": "start", "run": run})  # not for the journal: it has not happened yet
        yield run
        return self._take()

    def _take(self) -> Outcome:
        assert self._told is not None
        return self._told

    def _commit(self, request: Commit) -> Generator[Run, None, None]:
        fork = request.fork
        told = self._past.next_commit()  # in the words that there were for it then
        is_past = told is not None
        verdict = worded(request.verdict) if told is None else told
        if fork is not None:
            if not is_past:
                yield from self.states.restore(fork)
            self.states.live = self.states.forks[fork]
        found = copy(self.found)
        found.commit(
            [outcome.number for outcome in request.outcomes],
            request.epochs,
            verdict,
            {n: [member.number for member in members] for n, members in request.members.items()},
            request.nets,
        )
        passed = max(self._passed, request.epochs)
        # in one statement, which no interrupt divides: whatever comes, the weights are those that are spoken of
        self.states.home, self.found = self.states.live, found
        self._passed = passed
        if not is_past and isinstance(self._training, KeepsBatches):
            self._training.forget_before(request.epochs)
        parts = (request.outcomes, request.epochs, verdict, request.members)
        if is_past:
            self.clock.pass_event()
            self.teller.tell(commit_event(*parts, nets=request.nets) | {"past": True})
            return
        self.states.at_home |= self.states.stands is self.states.home
        self.teller.write(commit_event(*parts, self.clock.times(), request.nets))
        if fork is not None:
            self.states.checkpoint_of_home()

    # -- several nets

    def _together(self, request: Together) -> Generator[Run, None, Outcome]:
        number = len(self.found.rollouts)
        if request.joined is not None:
            self._nets.ended[request.nets[-1]] = self.states.forks[request.joined]
        past = self._past.next_rollout()
        if past is not None:
            refuse_other_nets(request, past)
            return self._add(self._told_again(past))
        self.teller.announce()
        began, spent = clock.perf_counter(), clock.process_time()
        for net in request.nets:
            yield from self._nets.keep(net)
        if not isinstance(self._training, ScoresTogether):
            return self._add((yield from self._ask(request, number)))
        outcome, again = self._nets.say(request, number, self.found.rollouts[-1], self.scores)
        self.ledger.repeat(again.trained, again.evaluated, 0.0)
        lasted = clock.perf_counter() - began, clock.process_time() - spent
        outcome = self._scored(replace(outcome, seconds=lasted[0], processor=lasted[1]))
        self.teller.write(rollout_event(outcome, self.clock.times()))
        return self._add(outcome)

    def _ask(self, request: Together, number: int) -> Generator[Run, None, Outcome]:
        """Of a training that cannot score itself: its loop body does."""
        place = self._nets.ended[request.nets[-1]]
        yield from self.states.go_to(place)
        training: AnswersTogether = self._training  # type: ignore[assignment]  # by `Job.asks_anew`
        training.ask(request.nets)
        try:
            allowance = self._allowance(passes=len(request.nets))
            return (yield from self._train(question(request), number, allowance, True, place))
        finally:
            training.ask(())

    def _allowance(self, count: int = 1, passes: int = 1) -> float:
        """The units each of the next `count` rollouts may train with: what is left, less their own evaluation, of so
        many passes."""
        left = self.ledger.left(self.budget) / count
        evaluated = next(
            (o.evaluated for o in reversed(self.found.rollouts) if o.evaluated and not o.nets), 0
        )
        return left - units(0, passes * evaluated) + ROUNDING * abs(left)

    def _repeat(self, place: Trained) -> Generator[Run, None, None]:
        """Train a rollout once more, from where it began, which is where the training stands."""
        was = place.outcome
        outcome = yield from self._train(
            *(place.request, was.number, place.allowance, place.fresh, place.origin), again=True
        )
        repeat = repeated(was, outcome, same_score=outcome.score == self.now(was).score)
        self.ledger.repeat(repeat.trained, repeat.evaluated, repeat.seconds)
        self.teller.write(repeat_event(repeat))
        say_otherwise(repeat, was, outcome)
        self.states.stands = place
