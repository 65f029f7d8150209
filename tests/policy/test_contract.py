"""The shipped contract of policies, over ours; and that it notices policies that break it."""

from typing import Any

import pytest

from gammatune.errors import AllDiverged
from gammatune.policy.job import Job, Policy, Steps
from gammatune.policy.registry import POLICIES
from gammatune.records import Commit, Fork, Rollout, Verdict
from gammatune.testing.policies import PolicyContract


@pytest.mark.parametrize("policy", POLICIES)
class TestOurs(PolicyContract):
    @pytest.fixture(autouse=True)
    def _choose(self, policy: str) -> None:
        self.name = policy

    def make(self) -> str:
        return self.name


def plain(job: Job) -> Steps:
    """The middle of the range, and no search: as little as a policy can be."""
    yield Fork("start")
    for epoch in range(job.epochs):
        outcome = yield Rollout(job.own, epoch, None, course=True)
        assert outcome is not None
        if not outcome.ok:
            raise AllDiverged("the only one")
        yield Commit((outcome,), epoch + 1, None, Verdict("as it is"))
        if job.is_ending():
            return


class TestTheSmallest(PolicyContract):
    def make(self) -> Policy:
        return plain


def forgetful(job: Job) -> Steps:
    """Commits an epoch after which it went on."""
    yield Fork("start")
    kept = yield Rollout({"lr": 0.1}, 0, None)
    yield Rollout({"lr": 0.2}, 0, "start")
    assert kept is not None
    yield Commit((kept,), 1, None, Verdict("mine"))


def deaf(job: Job) -> Steps:
    """Hears no stop, and spends more than it has."""
    for epoch in range(job.epochs):
        for _ in range(9):
            outcome = yield Rollout({"lr": 0.1}, epoch, None)
            assert outcome is not None
        yield Commit((outcome,), epoch + 1, None, Verdict("mine"))


count = 0


def moody(job: Job) -> Steps:
    """Decides otherwise every time."""
    global count
    count += 1
    outcome = yield Rollout({"lr": 0.1 + count / 100}, 0, None)
    assert outcome is not None
    yield Commit((outcome,), 1, None, Verdict("mine"))


@pytest.mark.parametrize(
    ("policy", "test", "arguments"),
    [
        (forgetful, "test_the_training_ends_where_the_course_does", {"epochs": 1}),
        (deaf, "test_a_stopped_run_ends_soon", {}),
        (deaf, "test_where_all_blow_up_it_says_so_and_changes_nothing", {}),
        (moody, "test_it_decides_the_same_twice", {}),
    ],
)
def test_what_breaks_the_contract_is_noticed(policy: Policy, test: str, arguments: dict[str, Any]) -> None:
    class Broken(PolicyContract):
        def make(self) -> Policy:
            return policy

    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(Broken(), test)(**arguments)
