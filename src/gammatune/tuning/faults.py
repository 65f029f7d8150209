"""What candidates raise: whether it is the candidate's, and how it is said."""

from collections.abc import Callable, Generator
from dataclasses import replace

from gammatune.cost import examined
from gammatune.errors import AllDiverged
from gammatune.journal.events import note_event
from gammatune.journal.reducer import RunState
from gammatune.records import Fact, Outcome, Reason
from gammatune.tuning.run import Own, Run
from gammatune.tuning.states import Averaged, Beginning, States, Trained
from gammatune.tuning.teller import Teller


class Faults:
    """own: what is nobody's candidate. train: a rollout, as the driver does. is_driven: the training is, so that no
    loop of the user's sees what is trained again."""

    def __init__(
        self,
        own: Own,
        states: States,
        teller: Teller,
        train: Callable[..., Generator[Run, None, Outcome]],
        *,
        is_driven: bool,
    ) -> None:
        self._own = own
        self._states = states
        self._teller = teller
        self._train = train
        self._is_driven = is_driven
        self._errors: dict[int, Exception] = {}  # what candidates have raised in this process, by rollout

    def examine(self, raised: Trained, run: Run) -> Generator[Run, None, Outcome]:
        """Train again, at the optimizer's own values, what has raised, from the last fork before it: an error that
        comes there too goes through. Else the outcome, with what this has cost in it.

        It ends with the step that raised, or, without an answer, with what that rollout might spend. A loop of the
        user's own sees what it saw then, `is_course` too, since what raised may depend on it.
        """
        outcome = raised.outcome
        if run.error is not None:
            self._errors[outcome.number] = run.error
        steps = [raised]
        origin = raised.origin
        while not isinstance(origin, Beginning) and not self._states.is_held(origin):
            last = origin.members[-1] if isinstance(origin, Averaged) else origin
            if not isinstance(last, Trained):
                break
            steps.append(last)
            origin = last.origin
        yield from self._states.go_to(origin)
        for step in reversed(steps):
            left = run.worth_again if step is raised else step.allowance
            scored = step is raised and run.in_evaluation
            course = step.request.course and not self._is_driven
            request = replace(self._own.of(step.request), scored=scored, course=course)
            ended = yield from self._train(
                *(request, outcome.number, left, step.fresh, step.origin),
                again=self._is_driven or step is not raised,
                suspect=run.error,
            )
            self._states.stands = None
            outcome = examined(outcome, ended)
            if not ended.ok:
                break
        return outcome

    def say(self, outcome: Outcome, found: RunState) -> None:
        """Once in a run; the notes of outcomes say it of each."""
        if any(earlier.raised for earlier in found.rollouts):
            return
        raised = outcome.note.rstrip(".: ")
        told: dict[str, Fact] = {"rollout": outcome.number, "values": outcome.values, "raised": raised}
        self._teller.write(note_event(Reason("raised", told)))

    def cause_of(self, ended: AllDiverged, found: RunState) -> Exception:
        """What to raise where a decision has ended so: what every candidate raised is the user's to see, whole."""
        tried = ended.tried or range(found.decided[-1] if found.decided else 0, len(found.rollouts))
        raised = [self._errors[number] for number in tried if number in self._errors]
        if raised and len(raised) == len(tried):
            raised[-1].add_note(f"Every candidate raised: {ended}")
            return raised[-1]
        if raised:
            ended.__cause__ = raised[-1]
        for outcome in found.rollouts:
            # what another process has raised is known by name alone
            if outcome.raised and outcome.number in tried and outcome.number not in self._errors:
                ended.add_note(f"Rollout {outcome.number} raised {outcome.note}")
        return ended


def advise(run: Run | None, error: BaseException) -> None:
    """On an error of the body that may be the candidate's, where nobody has asked for that to be seen."""
    if run is not None and run.may_be_at_fault(error):
        values = ", ".join(f"{name}={value!r}" for name, value in run.values.items())
        error.add_note(
            f"It was raised in rollout {run.number}, under {values}. Where that blows up, it is no error of "
            "yours: put the body of the loop into `with run.attempt():`, and the candidate counts as one that "
            "diverged"
        )
