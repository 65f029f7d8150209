"""What a journal says: one event a line, in JSON.

    begin    what was asked for: seed, epochs, budget, policy, sampler, objective, space, versions, facts
    resume   a later process went on, with these facts
    rollout  one `Outcome`
    commit   which rollouts became the course, and the verdict
    net      a net of several was kept beside the journal, as net-<its number>.pt
    state    where the training lies as it stood after a rollout;  gone  it was deleted
    repeat   a rollout that was trained again, because the state after it was lost
    check    what came of one batch that was trained twice before the first rollout
    end      how it ended, and the cost
    extend   the run goes on beyond its end, for so many more epochs, within another budget
    report   what was measured afterwards on data the run neither trained on nor selected by
    note     a sentence worth keeping
    objective  what is scored from here on, in the place of what was asked for, with earlier scores taken anew

A verdict and a note have their reason in words, and beside them its kind and numbers ("because"), as a
`records.Reason` has them; of a policy of one's own, and in older journals, there are the words alone.

A rollout, a commit and an end may say what the clock told the policy since the one before ("asked"), how long the run
has taken ("elapsed", seconds) and how much of the processor ("spent", seconds), all its processes together. "time" is
the clock on the wall when the event was written, for people: it may go backwards, and nothing depends on it.

JSON has no NaN and no infinity; such numbers are written as the strings "nan", "inf", "-inf".
"""

import datetime
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from gammatune.cost import Cost
from gammatune.errors import InvalidArgument
from gammatune.journal.wording import in_words
from gammatune.records import Outcome, Reason, Verdict

FORMAT = 2  # and every format before it is read

Event: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class State:
    """Where the training lies as it stood after a rollout.

    after: the number of that rollout; -1 before the first. file: a name beside the journal. sha256: of the file, in
    hexadecimal. digest: of the state itself, in hexadecimal, where it is known.
    """

    after: int
    file: str
    sha256: str
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Extended:
    """A run went on beyond its end.

    epochs: more than the course had. budget: in plain runs of all of them together. is_after_end: the end had been
    told, with what the clock had said last.
    """

    epochs: int
    budget: float
    is_after_end: bool


@dataclass(frozen=True, slots=True)
class Repeat:
    """A rollout that was trained again, because the state after it was lost.

    rollout: its number. trained, evaluated: examples. seconds: wall time. same: it came out as it had before.
    """

    rollout: int
    trained: float
    evaluated: float
    seconds: float
    same: bool


@dataclass(frozen=True, slots=True)
class Check:
    """One batch that was trained twice from the same fork, before the first rollout.

    trained, evaluated: examples, of both. seconds: wall time. same: both came out alike; None where that could not be
    told, since the training blew up. found: what one had carried on to the other: "where", "what", "advice".
    unseen: why that could not be told, in words; "" where it could.
    """

    trained: int
    evaluated: int
    seconds: float
    same: bool | None
    found: tuple[Mapping[str, str], ...]
    unseen: str = ""


# Made -----------------------------------------------------------------------------------------------------


NO_POLICY = "none"  # of a run without a network, in which nothing was searched


def begin_event(**facts: Any) -> dict[str, Any]:
    return {"event": "begin", "format": FORMAT, "time": _now(), **facts}


def resume_event(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {"event": "resume", "time": _now(), "facts": dict(facts)}


def rollout_event(outcome: Outcome, times: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """times: what `tuning.driver.Clock` has to say."""
    return {"event": "rollout", **asdict(outcome), **times}


def commit_event(
    outcomes: Sequence[Outcome],
    epochs: int,
    verdict: Verdict,
    members: Mapping[int, Sequence[Outcome]],
    times: Mapping[str, Any] = MappingProxyType({}),
    nets: Sequence[int] | None = None,
) -> dict[str, Any]:
    """members: of the outcomes that are averages, by number. times: as of a rollout. nets: see `records.Commit`."""
    event: dict[str, Any] = {"event": "commit", "rollouts": [o.number for o in outcomes], "epochs": epochs}
    if members:
        event["members"] = {number: [o.number for o in joined] for number, joined in members.items()}
    if nets is not None:
        event["nets"] = list(nets)
    return event | {"verdict": asdict(verdict), **times}


def end_event(how: str, cost: Cost, times: Mapping[str, Any]) -> dict[str, Any]:
    said = (
        "trained",
        "evaluated",
        "seconds",
        "plain_runs",
        "plain_epochs",
        "repeated",
        "plain_processor",
        "checked",
    )
    known = {name: getattr(cost, name) for name in said}
    return {"event": "end", "how": how, **known, "asked": [], **times}


def state_event(state: State) -> dict[str, Any]:
    event = {"event": "state", "after": state.after, "file": state.file, "sha256": state.sha256}
    return event if state.digest is None else event | {"digest": state.digest}


def extend_event(epochs: int, budget: float) -> dict[str, Any]:
    """epochs: more than the course has. budget: in plain runs of all of them together."""
    return {"event": "extend", "epochs": epochs, "budget": budget}


def net_event(net: int, sha256: str) -> dict[str, Any]:
    """sha256: of its file, in hexadecimal."""
    return {"event": "net", "net": net, "sha256": sha256}


def gone_event(after: int) -> dict[str, Any]:
    return {"event": "gone", "after": after}


def repeat_event(repeat: Repeat) -> dict[str, Any]:
    return {"event": "repeat", **asdict(repeat)}


def check_event(check: Check) -> dict[str, Any]:
    return {"event": "check", **asdict(check)}


def note_event(note: Reason | str, *, is_start: bool = False) -> dict[str, Any]:
    """is_start: it says that the pretrained weights the run began with are handed back."""
    because = {"because": [asdict(note)]} if isinstance(note, Reason) else {}
    return {"event": "note", "text": in_words(note), "is_start": is_start, **because}


def objective_event(name: str, scores: Mapping[int, float], text: str) -> dict[str, Any]:
    """scores: of the rollouts before, by number. text: why, in a sentence."""
    return {"event": "objective", "name": name, "scores": dict(scores), "text": text}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


# Taken in -------------------------------------------------------------------------------------------------


class EventVisitor:
    """Takes in events: a kind goes to the method of its name, `visit_begin` and so on, as in `ast.NodeVisitor`, one
    that has none to `generic_visit`."""

    __slots__ = ()

    def visit(self, event: Event) -> None:
        getattr(self, f"visit_{event['event']}", self.generic_visit)(event)

    def generic_visit(self, event: Event) -> None: ...


# Written --------------------------------------------------------------------------------------------------


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
