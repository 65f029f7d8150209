"""Policies for candidates that raise or blow up, the same for every framework."""

from typing import Any

from gammatune.records import Commit, Fork, Rollout, Verdict


def two_epochs(*rates: float) -> Any:
    """A policy that tries these rates, at which the training raises, before each of two epochs."""

    def policy(job: Any) -> Any:
        for epoch in range(2):
            yield Fork("home")
            for rate in rates:
                outcome = yield Rollout({"lr": rate}, epoch, "home")
                assert outcome.raised
                yield Fork("other")
            outcome = yield Rollout({"lr": 0.01}, epoch, "home", course=True)
            yield Commit((outcome,), epoch + 1, None, Verdict("test"))

    return policy


def blowing_up(job: Any) -> Any:
    """Three epochs; the second is first trained at a rate that blows up, and repeated."""
    yield Fork("home")
    for epoch, rates in enumerate(([0.01], [1e30, 0.01], [0.01])):
        for rate in rates:
            outcome = yield Rollout({"lr": rate}, epoch, "home", course=True)
        yield Commit((outcome,), epoch + 1, None, Verdict("test"))
        yield Fork("home")
