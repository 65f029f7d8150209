"""The searches of a run, told again from its journal: rollouts held against each other, and what was chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

from gammatune.journal.history import Story
from gammatune.policy.opening import rates_of, window_about
from gammatune.records import Alternative, Observation, Outcome, Values
from gammatune.report.html.looks import Stage, alternatives_of, has_looks, rates_found, stages
from gammatune.report.html.older import WINDOW, region
from gammatune.report.wording import compares
from gammatune.space import OPTIMIZER, Space, parse


@dataclass(frozen=True, slots=True)
class Search:
    """told: the rollouts compared, those without memory left out. space: where they were proposed; whole: where what
    was chosen may lie.

    what: "scouts", "looks", "miniatures", "epoch" or "runs". chosen: by the search; used: by the course, after it was
    lowered for the longer training. sampler: it proposed by the run's sampler, after the first `given` of those told.
    epoch: from 0. stage: where rates were looked at along their line, what was believed of them. is_beaten: with an
    optimizer that was not taken.
    """

    what: str
    space: Space
    whole: Space
    told: list[Outcome]
    chosen: Values | None = None
    used: Values | None = None
    sampler: bool = True
    epoch: int = 0
    given: int = 0
    stage: Stage | None = None
    is_beaten: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return self.space.names

    def observations(self, count: int | None = None) -> list[Observation]:
        return [Observation({n: o.values[n] for n in self.names}, o.score) for o in self.told[:count]]


def searches(story: Story) -> list[Search]:
    """In order; none where the policy is not one of ours, or never came to compare two rollouts."""
    if not story.rollouts:
        return []
    space = parse(*story.begin["space"])
    compared = compares(story)
    if has_looks(story):
        return _of_looks(story, space)
    if compared == "looks":
        return _of_older_lookahead(story, space)
    rollouts = [o for o in story.rollouts if _knows(o, space)]
    if compared == "epochs":
        return [_of_epoch(story, space, rollouts, epoch) for epoch in sorted({o.epoch for o in rollouts})]
    if compared == "runs":
        runs: dict[str, Outcome] = {o.role: o for o in rollouts}  # the last epoch of each
        chosen = story.course[-1].values if story.course else None
        return [Search("runs", space, space, list(runs.values()), chosen, chosen)]
    return []


def _knows(outcome: Outcome, space: Space) -> bool:
    return outcome.status != "infeasible" and all(
        name in outcome.values and space[name].contains(outcome.values[name]) for name in space.names
    )


def _of_looks(story: Story, space: Space) -> list[Search]:
    """At rates along their line; then, where more than rates is searched, at all of it about the rate found."""
    rates = rates_of(space)
    first = next((o for o in story.rollouts if o.role == "course"), None)
    found: list[Search] = []
    chosen_with: Alternative | None = None
    for each in alternatives_of(story):
        if first is not None and first.values[OPTIMIZER] == each.name:
            chosen_with = each
        else:
            beaten = stages(story, space, each)
            found += [_of_stage(stage, rates_found(beaten), None, is_beaten=True) for stage in beaten]
    at_rates = stages(story, space, chosen_with)
    if chosen_with is not None:
        space = Space({name: space[name] for name in space.names if name != OPTIMIZER})
    elif found:
        return found  # it ended before one was chosen
    used = None if first is None else {n: first.values[n] for n in space.names if n in first.values}
    looked = sum(len(stage.told) for stage in at_rates if not stage.is_scouting)
    miniatures = [
        o
        for o in story.rollouts
        if o.role == "miniature"
        and _knows(o, space)
        and (chosen_with is None or o.values[OPTIMIZER] == chosen_with.name)
    ]
    centre = rates_found(at_rates)
    for stage in at_rates:
        chosen: Values | None = used
        if stage is not at_rates[-1]:  # what the looks begin with
            chosen = at_rates[-1].before.line.at(at_rates[-1].before.line.place.mean)
        elif len(miniatures) > looked:
            chosen = centre
        found.append(_of_stage(stage, chosen, used if chosen is used else None))
    if len(miniatures) > looked:
        searched = space if centre is None else window_about(space, rates, centre)
        # at the optimizer's own values, where nothing was known before
        given = looked or (0 if at_rates else 1)
        found.append(Search("miniatures", searched, space, miniatures, used, used, given=given))
    return found


def _of_stage(stage: Stage, chosen: Values | None, used: Values | None, *, is_beaten: bool = False) -> Search:
    line = Space({name: stage.before.line.space[name] for name in stage.rates})
    held = None if chosen is None else {name: chosen[name] for name in stage.rates}
    what = "scouts" if stage.is_scouting else "looks"
    return Search(what, line, line, stage.told, held, used, sampler=False, stage=stage, is_beaten=is_beaten)


def _of_older_lookahead(story: Story, space: Space) -> list[Search]:
    rates = rates_of(space)
    scouts = [o for o in story.rollouts if o.role == "scout" and all(n in o.values for n in rates)]
    miniatures = [o for o in story.rollouts if o.role == "miniature" and _knows(o, space)]
    numbers = story.verdicts[0].numbers if story.verdicts else {}
    first = next((o for o in story.rollouts if o.role == "course"), None)
    used = None if first is None else {n: first.values[n] for n in space.names if n in first.values}
    found: list[Search] = []
    own = next((o.values for o in story.rollouts if o.role == "survey"), None)
    centre: Values | None = None
    if scouts and rates:
        centre = region(space, own if own is not None else scouts[0].values, scouts)
        narrow = Space({name: space[name] for name in rates})
        chosen = {name: centre[name] for name in rates}
        found.append(
            Search("scouts", narrow, narrow, scouts, chosen, None if miniatures else used, sampler=False)
        )
    if miniatures:
        best = None if used is None else {n: numbers.get(f"{n} of rollouts", v) for n, v in used.items()}
        searched = space if centre is None else window_about(space, rates, centre, *WINDOW)
        found.append(Search("miniatures", searched, space, miniatures, best, used, given=2 if rates else 1))
    return found


def _of_epoch(story: Story, space: Space, rollouts: Sequence[Outcome], epoch: int) -> Search:
    tried = [o for o in rollouts if o.epoch == epoch]
    kept = {o.number for o in story.course}
    chosen = next((o.values for o in tried if o.number in kept), None)
    if chosen is None:  # taken back at the end, or never committed
        scored = [o for o in tried if o.score is not None]
        chosen = max(scored, key=lambda o: o.score or 0.0).values if scored else None
    return Search("epoch", space, space, tried, chosen, chosen, epoch=epoch)
