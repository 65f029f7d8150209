"""What a run has come to, event after event: by the same lines while it goes on and when its journal is read back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gammatune.course import Schedule
from gammatune.records import Outcome, Verdict

ALONE = ("", "course", "candidate")  # roles that do not tell one training from another


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


@dataclass(frozen=True, slots=True)
class HandedBack:
    """Which state of a training the weights handed back are; the one place that says it.

    epoch: the epoch at whose end they stood, counted from 1; 0 for the weights that a pretrained model came with.
    trained: the last epoch that the same training reached. walk: the role of that training, where there were several.
    rates: the highest learning rate on the way to it, by name; factors where the schedule multiplies.
    """

    epoch: int
    trained: int
    walk: str = ""
    rates: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        """'epoch 7 of the 10 that were trained, walk 2; lr at most 0.0214'."""
        if not self.epoch:
            return "the weights the model came with"
        said = f"epoch {self.epoch}"
        said += f" of the {self.trained} that were trained" if self.trained > self.epoch else ", the last"
        said += f", {self.walk}" if self.walk else ""
        highest = ", ".join(f"{name} at most {rate:.3g}" for name, rate in self.rates.items())
        return f"{said}; {highest}" if highest else said


def handed_back(
    course: Sequence[Outcome], rollouts: Sequence[Outcome], schedule: Schedule, *, is_start: bool = False
) -> HandedBack | None:
    """What a run handed back; None before its first epoch. is_start: the weights it began with were better."""
    if not course:
        return None
    last = course[-1]
    trained = max(o.epoch for o in rollouts if o.role == last.role and (o.ok or o is last)) + 1
    if is_start:
        return HandedBack(0, trained)
    rates: dict[str, float] = {}
    for stretch in schedule.stretches:
        for name, rate in stretch.rates.items():
            rates[name] = max(rate, rates.get(name, 0.0))
    return HandedBack(last.epoch + 1, trained, "" if last.role in ALONE else last.role, rates)
