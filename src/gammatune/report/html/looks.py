"""The looks at learning rates of a `lookahead` run, told again from its journal to the opening that made them.

u: decades from the rates that the optimizer came with, as in `policy.looks`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from gammatune.cost import PlainEpoch
from gammatune.journal.history import Story
from gammatune.policy.looks import SAME, Looked
from gammatune.policy.opening import MOST, after_scouts, by_looks, rates_of, unlooked
from gammatune.records import Alternative, Known, Outcome, Values
from gammatune.report.wording import compares
from gammatune.space import BATCH_SIZE, OPTIMIZER, Space

FIRST = 2  # version of the policy that looks at rates so; before that see `older`


@dataclass(frozen=True, slots=True)
class Stage:
    """Looks of one length, in order.

    is_scouting: they are scouts. before: what was believed before the first of them. told: they. optimizer: with
    which, where there were several to choose from.
    """

    is_scouting: bool
    before: Looked
    told: list[Outcome]
    optimizer: str = ""

    @property
    def rates(self) -> list[str]:
        return list(self.before.line.rates)

    def after(self, count: int | None = None) -> Looked:
        """What was believed after so many of them; after all where no count is given."""
        return replace(self.before, outcomes=[*self.before.outcomes, *self.told[:count]])


def has_looks(story: Story) -> bool:
    """Whether the run's policy looks at rates in this way."""
    return bool(compares(story) == "looks" and int(story.begin.get("policy_version", 1)) >= FIRST)


def alternatives_of(story: Story) -> list[Alternative]:
    """The optimizers that the run chose from; none where it was given one."""
    told = story.begin.get("alternatives", ())
    return [Alternative(each["own"], Known(**each["known"])) for each in told]


def stages(story: Story, space: Space, taken: Alternative | None = None) -> list[Stage]:
    """Scouts, where there were any, and then looks, where there were any. taken: those with this optimizer."""
    survey = next((o for o in story.rollouts if o.role == "survey" and o.status != "infeasible"), None)
    rates = rates_of(space)
    if survey is None or not rates or not _has(survey, space, rates):
        return []
    own, known = survey.values, Known(**story.begin.get("known", {}))
    if taken is not None:
        sizes = {name: size for name, size in own.items() if name == BATCH_SIZE}
        own, known = {**taken.own, **sizes}, taken.known
        space = Space({name: space[name] for name in space.names if name != OPTIMIZER})
    told = [
        o
        for o in story.rollouts
        if _has(o, space, rates)
        and (o.score is None or math.isfinite(o.score))
        and o.values.get(OPTIMIZER) == own.get(OPTIMIZER)
    ]
    others = [name for name in space.names if name not in rates]
    small = [o for o in told if o.role == "miniature"]
    # What was searched beside the rates comes after them, in the same role.
    at_rates = list(takewhile(lambda o: all(o.values.get(n) == own.get(n) for n in others), small))[:MOST]
    before = unlooked(space, own, known, survey, _batches_of_the_course(story, survey))
    name = "" if taken is None else taken.name
    found = []
    if scouts := [o for o in told if o.role == "scout"]:
        found.append(Stage(True, before, scouts, name))
        before = after_scouts(found[0].after())
    if at_rates:
        found.append(Stage(False, before, at_rates, name))
    return found


def rates_found(found: Sequence[Stage]) -> Values | None:
    """The values that the looks came to; None where there were none."""
    if not found:
        return None
    scouts = found[0].told if found[0].is_scouting else []
    last = found[-1]
    return by_looks(after_scouts(last.after()) if last.is_scouting else last.after(), scouts).values


def _has(outcome: Outcome, space: Space, names: Sequence[str]) -> bool:
    return all(name in outcome.values and space[name].contains(outcome.values[name]) for name in names)


def _batches_of_the_course(story: Story, survey: Outcome) -> int:
    """As they were when the looks were planned; where the number of epochs was left open, the verdict tells."""
    first = next((o for o in story.rollouts if o.role in ("scout", "miniature")), None)
    numbers = story.verdicts[0].numbers if story.verdicts else {}
    if first is not None and "horizon" in numbers:
        return max(1, round(numbers["horizon"] * first.batches))
    epoch = PlainEpoch()
    epoch.hear(survey)
    return max(1, int(story.begin["epochs"]) * epoch.batches)


def place_of_next(stage: Stage, count: int) -> str:
    """Where the look after the first `count` lies among those."""
    line = stage.before.line
    u, tried = line.of(stage.told[count]), [line.of(o) for o in stage.told[:count]]
    if u > max(tried):
        return "above what was tried so far"
    if u < min(tried):
        return "below what was tried so far"
    if abs(u) < SAME:
        return "the optimizer's own, since it was unclear whether that is beaten"
    return "between what was tried so far"


def why_chosen(stage: Stage, chosen: str, values: Values) -> str:
    """One sentence or two on the rate the training was given. chosen: `values` in words."""
    own = stage.before.line.own
    nothing = "No look scores otherwise than doing nothing does. " if stage.after().says_nothing else ""
    if all(values[name] == own[name] for name in stage.rates):
        return f"{nothing}Kept: {chosen}, the optimizer's own, since no rate is likely enough to be better."
    if nothing:
        return f"{nothing}Taken: {chosen}, which did best in other trainings of this kind."
    return f"Chosen: {chosen}, of the highest expected score for the whole training."
