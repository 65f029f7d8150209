"""The diary of a run: append-only JSON lines, one event each; whatever is shown later is rebuilt by replay.

    begin    what was asked for: seed, epochs, budget, policy, sampler, objective, space, versions, facts
    rollout  one `Outcome`
    commit   which rollouts became the course, and the verdict
    end      how it ended, and the cost
    report   what was measured afterwards on data the run neither trained on nor selected by
    note     a sentence worth keeping

JSON has no NaN and no infinity; such numbers are written as the strings "nan", "inf", "-inf".
"""

import datetime
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO, TypeAlias

import numpy as np

from gammatune.course import Schedule
from gammatune.errors import InvalidArgument, JournalError
from gammatune.records import Length, Outcome, Shape, Verdict

FORMAT = 1
FILE = "journal.jsonl"
WEIGHTS = "weights.pt"  # lies beside it once the run has ended: the state_dict handed back

# What a begin event must say for the run to be shown.
NEEDED = ("seed", "epochs", "budget", "policy", "sampler", "objective", "space", "facts")

Event: TypeAlias = Mapping[str, Any]


class Journal:
    """Writes the journal of one new run; every event is on disk when `append` returns.

    directory: made with the first event, so that a run that is refused before it begins leaves nothing.
    Raises JournalError where it already holds a journal, or cannot be written.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        if not os.fspath(directory):
            raise JournalError("the run directory is an empty name; write where the run is to be kept")
        self.directory = Path(directory)
        self._file: TextIO | None = None
        if (self.directory / FILE).exists():
            raise self._taken()

    def append(self, event: Event) -> None:
        line = text_of(event)
        if self._file is None:
            self._file = self._open()
        self._file.write(line)
        self._file.flush()
        os.fsync(self._file.fileno())

    def _open(self) -> TextIO:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            return (self.directory / FILE).open("x", encoding="utf-8")
        except FileExistsError:
            raise self._taken() from None
        except OSError as error:
            raise JournalError(
                f"cannot write a journal in {self.directory}: {error.strerror or error}"
            ) from error

    def _taken(self) -> JournalError:
        return JournalError(
            f"{self.directory} already holds a run; give another run directory, or remove this one"
        )

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(slots=True)
class Story:
    """A run as its journal tells it.

    torn: the last line was not whole (the run was cut off while writing) and has been left out.
    """

    begin: dict[str, Any] = field(default_factory=dict)
    rollouts: list[Outcome] = field(default_factory=list)
    course: list[Outcome] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    end: dict[str, Any] | None = None
    report: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    torn: bool = False
    members: dict[int, list[Outcome]] = field(default_factory=dict)  # of the averaged outcomes, by number

    @property
    def schedule(self) -> Schedule:
        """The schedule found, as `Result.schedule` has it."""
        multiplier = bool(self.begin.get("multiplier", False))
        return Schedule.of(self.course, self.rollouts, self.members, multiplier=multiplier)

    def tell(self, event: Event) -> None:
        """Take in the next event."""
        match event["event"]:
            case "begin":
                if missing := [name for name in NEEDED if name not in event]:
                    raise JournalError(
                        f"the first line of the journal lacks {', '.join(missing)}; it is damaged"
                    )
                self.begin = dict(event)
            case "rollout":
                self.rollouts.append(outcome_from(event))
            case "commit":
                taken = [self.rollouts[number] for number in event["rollouts"]]
                self.course = self.course[: event["epochs"] - len(taken)] + taken
                members = event.get("members", {})
                if isinstance(members, list):  # format 1: of the last outcome
                    members = {taken[-1].number: members}
                for number, joined in members.items():
                    self.members[int(number)] = [self.rollouts[member] for member in joined]
                verdict = event["verdict"]
                numbers = {name: float(value) for name, value in verdict["numbers"].items()}
                self.verdicts.append(Verdict(verdict["reason"], numbers))
            case "end":
                self.end = dict(event)
            case "report":
                self.report = dict(event)
            case "note":
                self.notes.append(event["text"])
            case other:
                raise JournalError(
                    f"event {other!r} is not known; the journal may come from a newer gammatune"
                )


def replay(run: str | os.PathLike[str]) -> Story:
    """Read a run directory or a journal file back.

    Raises JournalError: no journal there, or a line that is not an event (a torn last line is forgiven).
    """
    path = Path(run)
    path = path / FILE if path.is_dir() else path
    story = Story()
    for number, line, last in _lines(path):
        try:
            if not line.endswith("\n"):
                raise ValueError("the line does not end")
            event = json.loads(line)
            if number == 1 and event.get("format") != FORMAT:
                raise JournalError(
                    f"{path} has format {event.get('format')!r}; this gammatune reads {FORMAT}"
                )
            story.tell(event)
        except JournalError:
            raise
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            if last:
                story.torn = True
                break
            raise JournalError(
                f"line {number} of {path} is not an event ({error}); the file is damaged"
            ) from error
    if not story.begin:
        raise JournalError(f"{path} holds no event yet: the run ended before it began")
    return story


def _lines(path: Path) -> Iterator[tuple[int, str, bool]]:
    try:
        # bytes that are not UTF-8 become a line that is not JSON, and are reported as such
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    except FileNotFoundError:
        raise JournalError(f"there is no run at {path.parent} (no {FILE} in it)") from None
    except OSError as error:
        raise JournalError(f"cannot read {path}: {error.strerror or error}") from error
    for number, line in enumerate(lines, start=1):
        yield number, line, number == len(lines)


# Events ---------------------------------------------------------------------------------------------------


def begin_event(**facts: Any) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"event": "begin", "format": FORMAT, "time": now, **facts}


def rollout_event(outcome: Outcome) -> dict[str, Any]:
    return {"event": "rollout", **asdict(outcome)}


def commit_event(
    outcomes: Sequence[Outcome], epochs: int, verdict: Verdict, members: Mapping[int, Sequence[Outcome]]
) -> dict[str, Any]:
    """members: of the outcomes that are averages, by number."""
    event = {"event": "commit", "rollouts": [o.number for o in outcomes], "epochs": epochs}
    if members:
        event["members"] = {number: [o.number for o in joined] for number, joined in members.items()}
    return event | {"verdict": asdict(verdict)}


def outcome_from(event: Event) -> Outcome:
    fields = {name: value for name, value in event.items() if name != "event"}
    fields["metrics"] = {name: float(value) for name, value in fields["metrics"].items()}
    fields["score"] = None if fields["score"] is None else float(fields["score"])
    if "shape" in fields:
        fields["shape"] = Shape(tuple((float(p), float(m)) for p, m in fields["shape"]["knots"]))
    if "length" in fields:
        fields["length"] = Length(**fields["length"])
    return Outcome(**fields)


def text_of(event: Event) -> str:
    """An event as its line. Raises InvalidArgument at a value that JSON cannot hold."""
    return json.dumps(_plain(event), allow_nan=False, separators=(",", ":")) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise InvalidArgument(
        f"the journal cannot hold {value!r} ({type(value).__name__}); give facts and options as numbers, text, "
        "lists or mappings"
    )
