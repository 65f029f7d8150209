"""The policies by name, each with what others ask of it: the one place that knows them so.

Whoever must treat policies differently asks for a property of the record, never for a name. A journal knows them by
name too, which `called` turns into the record.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from gammatune import plugins
from gammatune.errors import InvalidArgument
from gammatune.plugins import Plugin
from gammatune.policy import DEFAULT
from gammatune.policy.greedy import greedy
from gammatune.policy.job import Policy
from gammatune.policy.lookahead import VERSION, lookahead
from gammatune.policy.once import once
from gammatune.policy.replay import Replay
from gammatune.space import Space

PolicyName: TypeAlias = Literal["lookahead", "greedy", "once"]
AnyPolicy: TypeAlias = PolicyName | Plugin | Policy
# What is held against each other: short trainings before the course, candidates of each epoch, whole runs, nothing;
# "other" of a policy that is not gammatune's own, of which nobody here can tell.
Compares: TypeAlias = Literal["looks", "epochs", "runs", "nothing", "other"]

# How wide to search around a learning rate that somebody chose; docs/design.md, "Range". The lookahead policy begins
# where other trainings did best, and a rate may be wrong by a factor of 1000 either way.
DECADES = 12.0
FEWER_DECADES = 3.0  # of those that train the course itself with every candidate
# Plain runs. The thesis's own policies: 2 initial samples and 10 iterations.
THESIS_BUDGET = 12.0


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """What is known of a policy before it is asked for anything.

    make: the policy itself; None where there is no one policy of the name. version: another number whenever it, told
    the same, asks for something else than before.
    budget: plain runs, where nobody says. decades: searched around a rate that somebody chose.
    compares: see `Compares`. needs_epochs: their number must be given; else it may be left open.
    chooses_length: it chooses the number of epochs where that is left open, and the patience with it.
    chooses_optimizer: between several. trains_nets: several, where the budget pays for them.
    goes_by_prior: it begins where other trainings did best, and may be given a range of any width.
    extends: its course can go on beyond its end. ends_early: where patience has run out. beside: its rollouts can be
    trained beside each other.
    """

    make: Policy | None = None
    version: int = 1
    budget: float = THESIS_BUDGET
    decades: float = DECADES
    compares: Compares = "other"
    needs_epochs: bool = False
    chooses_length: bool = False
    chooses_optimizer: bool = False
    trains_nets: bool = False
    goes_by_prior: bool = False
    extends: bool = False
    ends_early: bool = True
    beside: bool = True

    def expected(self, budget: float, space: Space) -> float:
        """The plain runs that a run will cost, as far as can be told beforehand; a little more than it will."""
        if self.compares == "nothing":
            return budget / 2  # which is twice what it needs
        by_one = self.compares in ("epochs", "runs")
        return min(float(int(budget)), float(space.size)) if by_one else budget


POLICIES: dict[str, PolicyRecord] = {
    DEFAULT: PolicyRecord(
        lookahead,
        VERSION,
        budget=1.5,
        compares="looks",
        chooses_length=True,
        chooses_optimizer=True,
        trains_nets=True,
        goes_by_prior=True,
        extends=True,
    ),
    "greedy": PolicyRecord(greedy, decades=FEWER_DECADES, compares="epochs", needs_epochs=True),
    "once": PolicyRecord(
        once,
        decades=FEWER_DECADES,
        compares="runs",
        needs_epochs=True,
        ends_early=False,
        beside=False,
    ),
}
REPLAY = PolicyRecord(compares="nothing", ends_early=False, beside=False)
OTHER = PolicyRecord()


def called(name: str) -> PolicyRecord:
    """Of the policy that journals and tables call so; `OTHER` where it is none of ours."""
    return REPLAY if name == "replay" else POLICIES.get(name, OTHER)


def record_of(policy: str | Policy) -> PolicyRecord:
    """Of a policy, by its name or as the function itself."""
    return called(name_of(policy))


def chosen_by_name(policy: str | Policy) -> PolicyRecord:
    """The same, but `OTHER` of a function, of which nobody said that it is the one that is called so."""
    return record_of(policy) if isinstance(policy, (str, Replay)) else OTHER


def name_of(thing: Any) -> str:
    """What journals and tables call a policy or a sampler."""
    return thing if isinstance(thing, str) else getattr(thing, "__name__", type(thing).__name__)


def default_budget(policy: str | Policy) -> float:
    return policy.budget if isinstance(policy, Replay) else record_of(policy).budget


def make_policy(policy: AnyPolicy) -> Policy:
    """Ours, that of an installed package, or the one that was handed over. Raises InvalidArgument."""
    if callable(policy):
        return policy
    ours = POLICIES.get(policy)
    if ours is None:
        found: Policy = plugins.load("policy", policy, POLICIES)
        return found
    plugins.say_shadowed("policy", policy)
    assert ours.make is not None
    return ours.make


def version_of(policy: str | Policy) -> dict[str, str]:
    """{package: version} of the one that a name stands for; empty where it is our own, or no name."""
    if isinstance(policy, str) and policy not in POLICIES:
        return plugins.version_of("policy", policy)
    return {}


def refuse_open(policy: str | Policy) -> None:
    """Raises InvalidArgument where the number of epochs cannot be left open."""
    if record_of(policy).needs_epochs:
        raise InvalidArgument(f"policy={name_of(policy)!r} needs epochs=, the number of epochs to train")


def refuse_extension(policy: str | Policy) -> None:
    """Raises InvalidArgument where no course goes on beyond its end."""
    if not chosen_by_name(policy).extends:
        raise InvalidArgument(
            f"policy={name_of(policy)!r} ends with its course; one that goes on, by extra_epochs= or Tuner.extend, "
            "is policy='lookahead'"
        )


def refuse_patience(policy: str | Policy, patience: int) -> None:
    """Raises InvalidArgument where no course is ended early."""
    if not chosen_by_name(policy).ends_early:
        raise InvalidArgument(
            f"patience={patience!r} ends a course early, and policy={name_of(policy)!r} trains whole ones; "
            "leave it out"
        )
