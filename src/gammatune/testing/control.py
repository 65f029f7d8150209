"""Control rollouts: the proof that forks change nothing.

A policy that disturbs the training as hard as it can between epochs and then runs the course as if nothing
had happened. A plain loop and one under this policy must end in the same state, to the last bit on a CPU.
"""

from collections.abc import Generator, Sequence

from gammatune.policy.job import Job, Policy
from gammatune.records import Commit, Fork, Outcome, Request, Rollout, Values, Verdict


def control_rollouts(course: Values, disturbances: Sequence[Values]) -> Policy:
    """Each epoch: one rollout under every disturbance, then the course under `course`."""

    def control(job: Job) -> Generator[Request, Outcome | None, None]:
        for epoch in range(job.epochs):
            yield Fork("home")
            for values in disturbances:
                yield Rollout(values, epoch, fork="home")
            outcome = yield Rollout(course, epoch, fork="home", course=True)
            assert outcome is not None
            yield Commit((outcome,), epoch + 1, None, Verdict("control: the course as it would have been"))

    return control
