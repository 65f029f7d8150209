"""Rollouts that were told of ahead: what each may spend, and those that are trained beside each other."""

from collections.abc import Generator, Mapping, Sequence

from gammatune.engine.trainable import Forkable
from gammatune.metrics.objectives import Objective
from gammatune.records import Outcome, Rollout
from gammatune.tuning.executor import Executor, Task
from gammatune.tuning.run import Own, Run
from gammatune.tuning.states import Place, States, last_number


class Beside:
    """executor: who trains several at a time; None where nobody does. shares: the allowances of those that were told
    of, by number. under_way: what is being trained."""

    def __init__(
        self, executor: Executor | None, training: Forkable, states: States, seed: int, own: Own
    ) -> None:
        self._executor = executor
        self._training = training
        self._states = states
        self._seed = seed
        self._own = own
        self._sent: Place | None = None  # the fork that the executor has
        self.shares: dict[int, float] = {}
        self.under_way: dict[int, Task] = {}

    def share(self, first: int, rollouts: Sequence[Rollout], share: float) -> None:
        """Each gets as much: what one of them leaves over is not known before all have ended."""
        fork = rollouts[0].fork
        assert fork is not None
        assert all(each.fork == fork for each in rollouts)
        self.shares = {first + i: share for i in range(len(rollouts))}

    def begin(
        self, rollouts: Mapping[int, Rollout], share: float, passed: int, objective: Objective, *, keep: bool
    ) -> Generator[Run, None, None]:
        """rollouts: by number. passed: epochs that have been committed. keep: see `records.Ahead`."""
        if self._executor is None:
            return
        fork = next(iter(rollouts.values())).fork
        assert fork is not None
        yield from self._states.restore(fork)
        self._states.keep_the_beginning()
        place = self._states.forks[fork]
        held = self._states.fork_of(place)
        assert held is not None
        tasks = [
            Task(number, each, share, each.epoch < passed, last_number(place), self._seed, self._own)
            for number, each in rollouts.items()
        ]
        self._states.depart()  # the executor may train in place
        anew, self._sent = self._sent is not place, place
        self._executor.begin(self._training, held, tasks, objective, keep=keep, anew=anew)
        self.under_way = {task.number: task for task in tasks}

    def task(self, number: int, request: Rollout) -> Task:
        task = self.under_way.pop(number)
        assert task.request == request, "the policy asks for another rollout than it said it would"
        return task

    def outcome(self, number: int) -> Outcome:
        """Wait for it."""
        assert self._executor is not None
        return self._executor.outcome(number)
