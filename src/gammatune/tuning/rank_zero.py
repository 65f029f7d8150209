"""A policy for several processes: rank 0 runs it, and every rank serves what it asks for."""

from collections.abc import Generator
from typing import TypeVar

from gammatune.engine.ranks import Ranks
from gammatune.policy.job import Job, Policy
from gammatune.records import Outcome, Request

T = TypeVar("T")


def agreed(policy: Policy, ranks: Ranks) -> Policy:
    """Neither a clock nor a last bit that two machines round otherwise can part the ranks: one alone decides."""
    if ranks.world == 1:
        return policy

    def follow(job: Job) -> Generator[Request, Outcome | None, None]:
        requests: Generator[Request, Outcome | None, None] | None = None
        reply: Outcome | None = None

        def decide() -> Request | None:
            nonlocal requests
            if requests is None:
                requests = policy(job)
            try:
                return requests.send(reply)
            except StopIteration:
                return None

        try:
            while (request := ranks.agree("asks what comes next", decide)) is not None:
                reply = yield request
        finally:
            if requests is not None:
                requests.close()

    follow.__name__ = getattr(policy, "__name__", type(policy).__name__)
    return follow
