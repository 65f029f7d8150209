"""Control rollouts: the proof that forks change nothing.

A policy that disturbs the training as hard as it can between epochs and then runs the course as if nothing
had happened. A plain loop and one under this policy must end in the same state, to the last bit on a CPU.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace

from gammatune.policy.job import Job, Policy
from gammatune.records import Average, Commit, Fork, Outcome, Pool, Request, Rollout, Values, Verdict


def control_rollouts(course: Values, disturbances: Sequence[Values | Rollout]) -> Policy:
    """Each epoch: one rollout under every disturbance, their mean, then the course under `course`.

    disturbances: values to train an epoch with; or rollouts of any length, shape and order, whose `epoch` and
    `fork` are those of the moment. Where the loader is a tape and drawing from it moves random streams, begin with
    a whole epoch: one that has a length or a shape is drawn ahead of the training (engine/batches.py).
    """

    def control(job: Job) -> Generator[Request, Outcome | None, None]:
        for epoch in range(job.epochs):
            yield Fork("home")
            for count, given in enumerate(disturbances, start=1):
                rollout = Rollout(given, epoch, "home") if isinstance(given, Mapping) else given
                yield replace(rollout, epoch=epoch, fork="home")
                yield Pool("mean", count)
            if disturbances:
                yield Average("mean")
            outcome = yield Rollout(course, epoch, fork="home", course=True)
            assert outcome is not None
            yield Commit((outcome,), epoch + 1, None, Verdict("control: the course as it would have been"))

    return control
