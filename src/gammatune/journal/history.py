"""A journal read back: the events in order, each looked at before it is believed.

What each event says stands at the head of `events.py`. Two kinds of looking: `Story.tell` holds
every event to its types, so that whoever shows a story need not; `read` holds the lines of a file to their order.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gammatune.course import Schedule
from gammatune.errors import JournalError
from gammatune.journal import fields
from gammatune.journal.events import FORMAT, NO_POLICY, Check, Event, EventVisitor, Extended, Repeat, State
from gammatune.journal.older import is_of_the_start, kind_of
from gammatune.journal.reducer import HandedBack, RunState, handed_back
from gammatune.records import Outcome, Verdict

FILE = "journal.jsonl"
WEIGHTS = "weights.pt"  # lies beside it once the run has ended: the state_dict handed back
PREDICTIONS = "predictions.npz"  # and what those weights say of the data that was reported on
SHEET = "contact-sheet.png"  # some images of each class as the network sees them

DEEPEST = 100  # brackets within brackets; deeper ones exhaust the stack of whoever looks at them


@dataclass(slots=True)
class Story(RunState, EventVisitor):
    """A run as its journal tells it.

    begin: what was asked for. end: how it ended; None while it goes on, also after a later process went on with it.
    beginning: what could be gone on from of the state before the first rollout, which may be gone.
    torn: the last line was not whole (the run was cut off while writing) and has been left out.
    resumes: what each later process said when it went on. states: what can be gone on from, by `State.after`.
    answers: what the clock told the policy before each rollout and each commit, in the order of the events, and
    before the end where there is one. elapsed: seconds since the run began, of all processes together. spent: of
    the processor; 0 in journals that are older than that.
    extensions: each time it went on beyond its end.
    kept: the SHA-256 of the file of each net that was kept, by number; of a complete run those of `nets` alone are
    still there.
    is_start: no epoch was better than the pretrained weights the run began with, and those were handed back.
    """

    begin: dict[str, Any] = field(default_factory=dict)
    end: dict[str, Any] | None = None
    report: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    torn: bool = False
    resumes: list[dict[str, Any]] = field(default_factory=list)
    states: dict[int, State] = field(default_factory=dict)
    beginning: State | None = None
    repeats: list[Repeat] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    answers: list[list[float]] = field(default_factory=list)
    elapsed: float = 0.0
    spent: float = 0.0
    is_start: bool = False
    _planned: int = 0
    kept: dict[int, str] = field(default_factory=dict)
    extensions: list[Extended] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """Of the course as it was planned last; where their number was left open, what all may cost, in epochs."""
        return self._planned or int(self.begin["epochs"])

    @property
    def budget(self) -> float:
        """What all may cost, in plain runs of so many epochs."""
        return self.extensions[-1].budget if self.extensions else float(self.begin["budget"])

    @property
    def has_net(self) -> bool:
        """Whether a network was trained, or was to be."""
        return bool(self.begin["policy"] != NO_POLICY)

    @property
    def schedule(self) -> Schedule:
        """The schedule found, as `Result.schedule` has it."""
        multiplier = bool(self.begin.get("multiplier", False))
        return Schedule.of(self.course, self.rollouts, self.members, multiplier=multiplier)

    @property
    def handed_back(self) -> HandedBack | None:
        """Which state the weights are of, as `Result.handed_back` has it."""
        return handed_back(self.course, self.rollouts, self.schedule, is_start=self.is_start)

    def tell(self, event: Event) -> None:
        """Take in the next event.

        Raises JournalError where it is none of ours, ValueError, KeyError, TypeError, ... where it says what such an
        event cannot say.
        """
        self.visit(event)

    def generic_visit(self, event: Event) -> None:
        raise JournalError(
            f"event {event['event']!r:.40} is not known; the journal may come from a newer gammatune"
        )

    def visit_begin(self, event: Event) -> None:
        if missing := [name for name in fields.BEGIN if name not in event]:
            raise JournalError(f"the first line of the journal lacks {', '.join(missing)}; it is damaged")
        fields.check(
            event, fields.BEGIN | {name: look for name, look in fields.OPTIONS.items() if name in event}
        )
        self.begin = dict(event)
        self.objective = event["objective"]

    def visit_resume(self, event: Event) -> None:
        fields.check(event, fields.RESUME)
        if self.end is not None:
            self.end = None
            self.answers.pop()  # whoever goes on asks again
        self.resumes.append(dict(event))

    def visit_extend(self, event: Event) -> None:
        held = fields.fields(event, fields.EXTEND)
        if not self.course:
            raise ValueError("nothing had been trained that could go on")
        self.extensions.append(Extended(**held, is_after_end=self.end is not None))
        self._planned = len(self.course) + held["epochs"]
        self.end = self.report = None

    def visit_rollout(self, event: Event) -> None:
        outcome = outcome_from(event)
        self._take_in_the_clock(event)
        self.add(outcome)

    def visit_repeat(self, event: Event) -> None:
        self.repeats.append(Repeat(**fields.fields(event, fields.REPEAT)))

    def visit_check(self, event: Event) -> None:
        self.checks.append(Check(**fields.fields(event, fields.CHECK)))

    def visit_state(self, event: Event) -> None:
        state = State(**fields.fields(event, fields.STATE))
        self.states[state.after] = state
        if state.after < 0:
            self.beginning = state

    def visit_gone(self, event: Event) -> None:
        self.states.pop(fields.after(event["after"]), None)

    def visit_net(self, event: Event) -> None:
        held = fields.fields(event, fields.NET)
        self.kept[held["net"]] = held["sha256"]

    def visit_end(self, event: Event) -> None:
        fields.check(event, fields.END | {name: look for name, look in fields.LATER.items() if name in event})
        if (event["plain_runs"] is None) != (event["plain_epochs"] is None):
            raise ValueError("plain_runs and plain_epochs are known together")
        self._take_in_the_clock(event)
        self.end = dict(event)

    def visit_report(self, event: Event) -> None:
        fields.check(event, fields.LABELS if "accuracy" in event else fields.NUMBERS)
        fields.check(event, {name: look for name, look in fields.MEASURED.items() if name in event})
        self.report = dict(event)

    def visit_objective(self, event: Event) -> None:
        held = fields.fields(event, fields.OBJECTIVE)
        self.score_anew(held["name"], held["scores"])
        self.notes.append(held["text"])

    def visit_note(self, event: Event) -> None:
        fields.because(event.get("because", ()))
        self.notes.append(fields.text(event["text"]))
        is_start = fields.flag(event["is_start"]) if "is_start" in event else is_of_the_start(event["text"])
        self.is_start |= is_start
        self.nets = () if is_start else self.nets

    def visit_commit(self, event: Event) -> None:
        taken = [self._number(number) for number in event["rollouts"]]
        kept = fields.whole(event["epochs"]) - len(taken)
        if not 0 <= kept <= len(self.course):
            raise ValueError(f"{len(taken)} epochs after {len(self.course)} make no {event['epochs']}")
        members = event.get("members", {})
        if isinstance(members, list):  # format 1: of the last outcome
            members = {taken[-1]: members}
        averaged = {int(number): [self._number(n) for n in joined] for number, joined in members.items()}
        for number, joined in averaged.items():
            self._number(number)
            if not joined or max(joined) >= number:
                raise ValueError(f"rollout {number} is no average of what came before it")
        nets = tuple(fields.whole(net) for net in event.get("nets", self.nets))
        verdict = event["verdict"]
        numbers = {fields.text(name): fields.measured(value) for name, value in verdict["numbers"].items()}
        reason = fields.text(verdict["reason"])
        what = fields.kind(verdict["kind"]) if "kind" in verdict else kind_of(reason)
        decision = Verdict(reason, numbers, what, fields.because(verdict.get("because", ())))
        self._take_in_the_clock(event)
        self.commit(taken, event["epochs"], decision, averaged, nets)

    def _number(self, number: Any) -> int:
        place: int = fields.whole(number)
        if place >= len(self.rollouts):
            raise ValueError(f"there is no rollout {place}")
        return place

    def _take_in_the_clock(self, event: Event) -> None:
        answers = [fields.measured(answer) for answer in event.get("asked", ())]
        self.elapsed = float(fields.real(event.get("elapsed", self.elapsed)))
        self.spent = float(fields.real(event.get("spent", self.spent)))
        self.answers.append(answers)


def replay(run: str | os.PathLike[str]) -> Story:
    """Read a run directory or a journal file back.

    Raises JournalError: no journal there, or a line that is not an event (a torn last line is forgiven).
    """
    path = Path(run)
    if path.is_file() and path.suffix != Path(FILE).suffix:
        raise JournalError(f"{path} is no run; name the folder of one, such as runs/{path.stem}-1")
    path = path / FILE if path.is_dir() else path
    story, _ = read(path)
    if not story.begin:
        raise JournalError(f"{path} holds no event yet: the run ended before it began")
    return story


def read(path: Path) -> tuple[Story, int]:
    """A journal file: its story, and how many bytes of it are whole lines.

    A last line that was cut off while it was written is left out, and `Story.torn` says so; whatever else is
    damaged is not guessed at. A file that was cut off in its first line gives an empty story and 0 bytes.
    Raises JournalError.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        place = path.parent if path.name == FILE else path
        meant = Path("runs") / place.name
        hint = f"; did you mean {meant}?" if (meant / FILE).is_file() and meant != place else ""
        raise JournalError(f"there is no run at {place} (no {FILE} in it){hint}") from None
    except OSError as error:
        raise JournalError(f"cannot read {path}: {error.strerror or error}") from error
    *lines, rest = content.split(b"\n")
    story, held = Story(torn=bool(rest)), 0
    for number, line in enumerate(lines, start=1):
        try:
            event = json.loads(line.decode(), parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            # a part of it was on disk before the part in front of it
            if 1 < number == len(lines) and not rest:
                story.torn = True
                break
            raise _damaged(path, number, error) from error
        try:
            _check_depth(event)
            if number == 1:
                _check_format(event, path)
            _check_order(event, story)
            story.tell(event)
        except JournalError:
            raise
        except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
            raise _damaged(path, number, error) from error
        held += len(line) + 1
    return story, held


def _damaged(path: Path, number: int, error: Exception) -> JournalError:
    why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
    return JournalError(
        f"line {number} of {path} is not an event ({why}); the file is damaged; what stands before that line can "
        "be read when it is cut off there"
    )


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _check_depth(event: Any) -> None:
    level = [event]
    for _ in range(DEEPEST):
        level = [part for outer in level for part in _parts(outer)]
        if not level:
            return
    raise ValueError(f"it is nested more than {DEEPEST} deep")


def _parts(outer: Any) -> Iterable[Any]:
    return outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ()


def _check_format(first: Any, path: Path) -> None:
    if first["event"] != "begin":
        raise ValueError("a journal begins with what was asked for")
    held = first.get("format")
    if not isinstance(held, int) or isinstance(held, bool) or held < 1:
        raise ValueError(f"format {held!r:.40} is none")
    if held > FORMAT:
        raise JournalError(
            f"{path} has format {held}, and this gammatune reads formats 1 to {FORMAT}; read it with a newer one"
        )


def _check_order(event: Any, story: Story) -> None:
    """Lines that are missing, doubled or in another order tell another story, and are not believed."""
    what = event["event"]
    if what == "begin" and story.begin:
        raise ValueError("a run begins once")
    if what in ("rollout", "commit", "end") and story.end is not None:
        raise ValueError(f"a {what} after the end of the run")
    if what == "rollout" and event["number"] != len(story.rollouts):
        raise ValueError(f"rollout {event['number']!r:.40} in the place of rollout {len(story.rollouts)}")


def outcome_from(event: Event) -> Outcome:
    """A rollout event as its outcome."""
    return Outcome(**fields.fields(event, fields.OUTCOME))
