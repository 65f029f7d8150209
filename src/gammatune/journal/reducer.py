"""What a run has come to, event after event: by the same lines while it goes on and when its journal is read back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gammatune.records import Outcome, Verdict


@dataclass(slots=True)
class RunState:
    """objective: what is scored, which may have become another than was asked for; all scores are its.
    rollouts: all of them, by number. course: one outcome an epoch of the training that is kept. verdicts: one a
    commit. decided: of each verdict, how many rollouts there had been. members: of the averaged outcomes, by number.
    nets: those whose averaged predictions are handed back, by number; empty where it is one.

    Every change is made at once, so that no interrupt leaves half of it, and makes new lists where something is taken
    back: who has copied the state has it as it was.
    """

    objective: str = ""
    rollouts: list[Outcome] = field(default_factory=list)
    course: list[Outcome] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    decided: list[int] = field(default_factory=list)
    members: dict[int, tuple[Outcome, ...]] = field(default_factory=dict)
    nets: tuple[int, ...] = ()

    def add(self, outcome: Outcome) -> None:
        """A rollout has ended."""
        self.rollouts.append(outcome)

    def commit(
        self,
        rollouts: Sequence[int],
        epochs: int,
        verdict: Verdict,
        members: Mapping[int, Sequence[int]],
        nets: Sequence[int] | None,
    ) -> None:
        """By number, the rollouts that became the end of a course of so many epochs, and of averages their members.

        nets: None where they are those of the commit before.
        """
        taken = [self.rollouts[number] for number in rollouts]
        averaged = {number: tuple(self.rollouts[n] for n in joined) for number, joined in members.items()}
        self.course, self.verdicts, self.decided, self.members, self.nets = (
            [*self.course[: epochs - len(taken)], *taken],
            [*self.verdicts, verdict],
            [*self.decided, len(self.rollouts)],
            {**self.members, **averaged},
            self.nets if nets is None else tuple(nets),
        )

    def score_anew(self, objective: str, scores: Mapping[int, float]) -> None:
        """Another objective from here on. scores: by it, of the rollouts before that have one."""
        anew = [replace(o, score=scores[o.number]) if o.number in scores else o for o in self.rollouts]
        self.objective, self.rollouts, self.course, self.members = (
            objective,
            anew,
            [anew[outcome.number] for outcome in self.course],
            {number: tuple(anew[one.number] for one in joined) for number, joined in self.members.items()},
        )
