"""What a run found: the training that was kept, what was tried, why, and what it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gammatune.cost import Cost
from gammatune.course import Schedule
from gammatune.journal.events import Event
from gammatune.journal.reducer import HandedBack, RunState, handed_back
from gammatune.journal.table import Table, flatten
from gammatune.journal.writer import Echo, Journal
from gammatune.records import Metrics, Outcome, Verdict
from gammatune.tuning.longer import LongerRate, rate_for
from gammatune.tuning.notebook import Measured, card, line


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """What a run found.

    course: one outcome per epoch of the training that was kept, whose last weights the model now holds.
    rollouts: every rollout, in order, the kept ones included. verdicts: one per commit.
    schedule: the values chosen, one mapping per epoch, and all that is needed to follow them without a search.
    members: of the outcomes of the course that scored an average, by number: the rollouts that were averaged.
    decided: of each verdict, how many rollouts there had been.
    nets: those whose averaged predictions are better than one's, by number; empty where one was trained.
    events: what was told to listeners, as a journal has it. run_dir: where that lies.
    """

    course: tuple[Outcome, ...]
    rollouts: tuple[Outcome, ...]
    verdicts: tuple[Verdict, ...]
    cost: Cost
    seed: int
    schedule: Schedule
    members: Mapping[int, Sequence[Outcome]] = field(default_factory=dict, kw_only=True)
    decided: tuple[int, ...] = field(default=(), kw_only=True)
    nets: tuple[int, ...] = field(default=(), kw_only=True)
    events: tuple[Event, ...] = field(default=(), kw_only=True, repr=False, compare=False)
    run_dir: str | None = field(default=None, kw_only=True, compare=False)

    @property
    def kept(self) -> tuple[int, ...]:
        """The runs that made the training which was kept, by `Run.number`, in order; of averaged epochs the members.

        What a loop logged in them is the log of that training, each of its steps once."""
        epochs = (self.members.get(outcome.number, (outcome,)) for outcome in self.course)
        return tuple(one.number for epoch in epochs for one in epoch)

    def rate_for(self, *, longer: float) -> LongerRate:
        """The learning rate that a training so many times as long is believed to want, with its spread: by how much
        best rates drift with the length, in a population of small trainings.

        Raises InvalidArgument where the course has not one learning rate."""
        return rate_for(self.schedule, self.course, longer, self.events)

    def table(self) -> Table:
        """Every rollout as one flat table: a list of dicts with `columns`, `to_pandas()`, `to_csv()` and
        `save(path)`; the columns are explained in `gammatune.journal.table`."""
        return flatten(self.rollouts, self.course, self.members, self.decided)

    def __repr__(self) -> str:
        """In one line; all of it would be hundreds."""
        return f"<Result: {line(self.course, len(self.rollouts), self.cost)}>"

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        return self._card([], "", [])

    def _card(self, measured: Measured, where: str, said: Sequence[str]) -> str:
        return card(
            course=self.course,
            schedule=self.schedule,
            verdicts=self.verdicts,
            cost=self.cost,
            rollouts=len(self.rollouts),
            back=self.handed_back,
            metrics=self.metrics,
            measured=measured,
            where=where,
            said=said,
        )

    @property
    def handed_back(self) -> HandedBack | None:
        """Which epoch the weights are of, and the highest rate on the way to it; None before the first epoch."""
        return handed_back(self.course, self.rollouts, self.schedule)

    @property
    def metrics(self) -> Metrics:
        """The metrics of the weights handed back, on the data they were selected by."""
        return self.course[-1].metrics if self.course else {}


def result_of(
    found: RunState,
    cost: Cost,
    seed: int,
    events: Sequence[Event],
    journal: Journal | Echo | None,
    *,
    multiplier: bool,
) -> Result:
    return Result(
        tuple(found.course),
        tuple(found.rollouts),
        tuple(found.verdicts),
        cost,
        seed,
        Schedule.of(found.course, found.rollouts, found.members, multiplier=multiplier),
        members=found.members,
        decided=tuple(found.decided),
        nets=found.nets,
        events=tuple(events),
        run_dir=None if journal is None else str(journal.directory),
    )
