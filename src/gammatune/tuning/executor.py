"""Who trains the rollouts of one decision at the same time.

A policy that says which rollouts come next (`records.Ahead`) lets an executor train them beside each other. What
comes of a rollout depends on its fork and on what was asked, so that an executor changes nothing but the time it
takes: how many work, how fast each is and which of them is lost on the way cannot be seen in a result. How many
rollouts are chosen together does change what is chosen, and is therefore a number of its own (`Job.at_once`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gammatune.cost import examined
from gammatune.engine.trainable import Forkable, Trainable
from gammatune.metrics.objectives import Objective
from gammatune.records import Outcome, Rollout
from gammatune.tuning.run import UNSEARCHED, Own, Run


@dataclass(frozen=True, slots=True)
class Task:
    """One rollout, with all that is needed to train it elsewhere.

    number, origin: as in its outcome. allowance, fresh: of its `cost.Meter`. seed: of the run, for `reorder`.
    own: what it is trained again under, if it raises; where nothing is said, its values are nobody's to search.
    """

    number: int
    request: Rollout
    allowance: float
    fresh: bool
    origin: int
    seed: int
    own: Own = UNSEARCHED


class Executor(Protocol):
    """Trains tasks, several at a time."""

    def begin(
        self,
        training: Forkable,
        fork: str,
        tasks: Sequence[Task],
        objective: Objective,
        *,
        keep: bool,
        anew: bool,
    ) -> None:
        """Begin with these, from a fork of the training, which stands there; earlier ones not asked for are dropped.

        keep: the states they end in may be asked for, until another fork is worked from. anew: the fork of that name
        is not the one that was worked from last.
        """

    def outcome(self, number: int) -> Outcome:
        """Wait for one of them. What the user's code raised is raised here, with the traceback it had there."""

    def stand(self, training: Forkable, number: int) -> bool:
        """Put the training where that rollout ended; False, and nothing has moved, where that is not known."""

    def close(self) -> None:
        """Stop whatever is under way, and let go of everything."""


def train(training: Trainable, task: Task, objective: Objective, fork: str) -> Outcome:
    """Train one rollout from a fork of the training, as the driver does where there is no executor.

    What it raises under the optimizer's own values too, goes through; else it has diverged.
    """
    run = _trained(training, task, task.request, task.allowance, fork)
    outcome = run.outcome(objective)
    if not outcome.raised:
        return outcome
    request = replace(task.own.of(task.request), scored=run.in_evaluation)
    again = _trained(training, task, request, run.worth_again, fork, suspect=run.error)
    return examined(outcome, again.outcome(objective))


def _trained(
    training: Trainable,
    task: Task,
    request: Rollout,
    allowance: float,
    fork: str,
    *,
    suspect: Exception | None = None,
) -> Run:
    training.restore(fork)
    run = Run(
        *(training, request, task.number, allowance),
        fresh=task.fresh,
        origin=task.origin,
        is_repeated=suspect is not None,
        is_searched=task.own.is_searched(request),
        suspect=suspect,
    )
    if request.order:
        training.reorder(task.seed, request.epoch, request.order)
    training.apply(request.values, run.meter)
    run.drive()
    return run
