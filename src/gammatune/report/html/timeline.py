"""Which trainings a run began, and what became of each: its rollouts put in rows.

A *lane* is one training from its fork to its end; a *node* is one rollout of it, or the average of several.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gammatune.journal.history import Story
from gammatune.records import Outcome, Values
from gammatune.report.wording import compares
from gammatune.schedules import STILL


@dataclass(slots=True)
class Node:
    """fate: "kept" (part of the course), "joined" (of another net whose predictions are averaged), "tried" (thrown
    away), "diverged", "infeasible". members: averaged by it."""

    outcome: Outcome
    fate: str
    members: list[Outcome] = field(default_factory=list)

    @property
    def epochs(self) -> float:
        """How long it trained, in epochs."""
        last = self.members[-1] if self.members else self.outcome
        return last.batches / last.epoch_batches if last.epoch_batches and last.batches else 1.0


@dataclass(slots=True)
class Lane:
    """what: "scout", "miniature", "walk", "candidate" or "rollout". name: for people. start: epoch of its fork."""

    what: str
    name: str
    start: int
    nodes: list[Node] = field(default_factory=list)

    @property
    def values(self) -> Values:
        return self.nodes[0].outcome.values

    @property
    def is_kept(self) -> bool:
        return any(node.fate == "kept" for node in self.nodes)

    @property
    def is_joined(self) -> bool:
        return any(node.fate == "joined" for node in self.nodes)

    @property
    def last_scored(self) -> Outcome | None:
        return next((n.outcome for n in reversed(self.nodes) if n.outcome.score is not None), None)

    def walked(self) -> list[Node]:
        """The nodes whose epochs were not taken back and trained again."""
        done: list[Node] = []
        for node in self.nodes:
            done = [before for before in done if before.outcome.epoch < node.outcome.epoch]
            if node.outcome.ok and node.outcome.score is not None:
                done.append(node)
        return done


def lanes(story: Story) -> list[Lane]:
    """Every training of a run in order; the survey, which moves nothing, is left out."""
    kept = {o.number for o in story.course}
    done: list[Lane] = []
    pending: list[Outcome] = []  # members of an average to come
    counts: dict[str, int] = {}
    for outcome in story.rollouts:
        role = outcome.role
        if role == "survey" or (outcome.shape == STILL and not pending):
            continue
        if _is_member(outcome, pending):
            pending.append(outcome)
            continue
        node = Node(outcome, _fate(outcome, kept), pending)
        pending = []
        if role in ("scout", "miniature", "candidate"):
            counts[role] = counts.get(role, 0) + 1
            done.append(Lane(role, f"{role} {counts[role]}", outcome.epoch, [node]))
        elif done and _goes_on(done[-1], outcome):
            done[-1].nodes.append(node)
        elif role:
            done.append(Lane("walk", role, outcome.epoch, [node]))
        else:  # of a policy of one's own, or of an older journal
            counts[""] = counts.get("", 0) + 1
            done.append(Lane("rollout", f"training {counts['']}", outcome.epoch, [node]))
    _join(story, done)
    return done


def _join(story: Story, found: Sequence[Lane]) -> None:
    """Say what became of the trainings of nets whose predictions are averaged."""
    ends: dict[int, int] = {}  # of each net, the rollout after which it was first asked
    for outcome in story.rollouts:
        if outcome.nets and outcome.net in story.nets and outcome.origin is not None:
            ends.setdefault(outcome.net, outcome.origin)
    for end in ends.values():
        for lane in found:
            if any(node.outcome.number == end for node in lane.nodes):
                for node in lane.walked():
                    if node.fate == "tried" and node.outcome.number <= end:
                        node.fate = "joined"


def joined(story: Story) -> set[int]:
    """The rollouts that trained those nets, by number; without those of the course."""
    nodes = [node for lane in lanes(story) for node in lane.nodes if node.fate == "joined"]
    return {o.number for node in nodes for o in (node.outcome, *node.members)}


def course_lane(story: Story) -> Lane | None:
    """The training whose end was handed back, what followed its best epoch included; None before any commit."""
    if compares(story) == "epochs" or not story.course:
        return None
    last = story.course[-1].number
    return next((lane for lane in lanes(story) if any(n.outcome.number == last for n in lane.nodes)), None)


def _is_member(outcome: Outcome, pending: Sequence[Outcome]) -> bool:
    """Trained to be averaged: not scored by itself, in another order, or among such."""
    if outcome.score is not None or outcome.shape == STILL:
        return False
    return outcome.ok or outcome.order > 0 or bool(pending)


def _fate(outcome: Outcome, kept: set[int]) -> str:
    if outcome.number in kept:
        return "kept"
    return "tried" if outcome.ok else outcome.status


def _goes_on(lane: Lane, outcome: Outcome) -> bool:
    if outcome.role:
        return lane.name == outcome.role  # an epoch that was taken back is one of the same walk
    return lane.what == "rollout" and outcome.epoch == lane.nodes[-1].outcome.epoch + 1
