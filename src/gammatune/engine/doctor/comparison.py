"""What some steps of a training did, to the bit, and in what two such records differ."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from torch import Tensor, nn

from gammatune.engine.doctor.findings import Finding, can_be_handed_in, counted, finding_of
from gammatune.engine.doctor.object_graph import Leaf, Node, Survey, digest_of
from gammatune.engine.doctor.ownership import is_users_own
from gammatune.engine.doctor.subject import Subject
from gammatune.engine.doctor.things import ATOMS
from gammatune.engine.forks.streams import Stream, StreamStates

Pairs: TypeAlias = list[tuple[Leaf | None, Leaf | None]]  # what stood at a place, here and there

SHOWN = 3  # places that are named one by one


@dataclass(frozen=True, slots=True)
class Trace:
    """What some steps did. steps: of each, digests. state: by name, digests of what they ended with. compared: in
    words."""

    steps: tuple["StepDone", ...]
    state: Mapping[str, bytes]
    survey: Survey
    compared: tuple[str, ...]

    @classmethod
    def of(cls, subject: Subject, steps: Sequence["StepDone"]) -> "Trace":
        state, survey = subject.by_name(), Survey(subject.roots)
        digests = {name: digest_of(held) for name, held in state.items()}
        return cls(tuple(steps), digests, survey, _compared(steps, state, survey))

    def first_difference(self, other: "Trace") -> str | None:
        """In words; None where both are the same to the bit."""
        for number, (a, b) in enumerate(zip(self.steps, other.steps, strict=True), start=1):
            for name in ("batch", "weights", "loss"):
                if getattr(a, name) != getattr(b, name):
                    what = {
                        "batch": "the batches",
                        "weights": "the weights",
                        "loss": "what the step returned",
                    }
                    return f"since step {number} {what[name]} differ"
        places = dict.fromkeys((*self.state, *other.state))
        names = [name for name in places if self.state.get(name) != other.state.get(name)]
        return f"at the end these differ: {listed_names(names)}" if names else None

    def same_batches(self, other: "Trace") -> bool:
        return [step.batch for step in self.steps] == [step.batch for step in other.steps]


@dataclass(frozen=True, slots=True)
class StepDone:
    """Digests of the batch, of what the step returned (None where that is no number), of weights and gradients."""

    batch: bytes
    loss: bytes | None
    weights: bytes


@dataclass(slots=True)
class Differences:
    """The places that did not come back, by the thing that holds them.

    restless: places that differ without any rollout. own: names of the roots that are the user's own variables.
    named: things that a finding has named already.
    """

    restless: frozenset[str]
    handed: frozenset[int]  # the ids of what forks put back
    own: frozenset[str] = frozenset()
    named: set[int] = field(default_factory=set)

    def findings(self, here: Survey, there: Survey, how: str, *, without: str | None = None) -> list[Finding]:
        """Of what differs between two surveys, each thing that was not named before. without: a root left out."""
        units = self.units(here, there, without=without)
        return [finding_of(unit, pairs, how, self.handed) for unit, pairs in units]

    def units(self, here: Survey, there: Survey, *, without: str | None = None) -> list[tuple[Node, Pairs]]:
        """Each such thing, with the places of it that differ."""
        units: dict[int, tuple[Node, Pairs]] = {}
        for a, b in here.differences(there):
            leaf = b or a
            assert leaf is not None
            root = leaf.node.from_root[0]
            if leaf.node.where in self.restless or root.where == without or _is_told_by_its_state(root):
                continue
            unit = self._unit(leaf.node)
            key = id(unit.value) if not isinstance(unit.value, ATOMS) else hash(unit.where)
            units.setdefault(key, (unit, []))[1].append((a, b))
        new = {key: given for key, given in units.items() if key not in self.named}
        self.named |= set(new)
        return list(new.values())

    def _unit(self, node: Node) -> Node:
        """What can be handed in, the outermost; else the attribute or variable itself."""
        line = node.from_root
        for one in line if line[0].where in self.own else line[1:]:
            if id(one.value) not in self.handed and can_be_handed_in(one.value):
                return one
        return next(one for one in reversed(line) if one.named)


def _is_told_by_its_state(root: Node) -> bool:
    """Whether its state_dict says all that matters of what was handed in: of a library's own (a GradScaler notes in
    other attributes where it was loaded), and never of what the user wrote."""
    is_module = isinstance(root.value, nn.Module)
    return root.where.startswith("state[") and not is_module and not is_users_own(type(root.value).__module__)


def listed_names(names: Iterable[str]) -> str:
    """The first names, and how many more."""
    every = list(names)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more


def _compared(steps: Sequence[StepDone], state: Mapping[str, Any], survey: Survey) -> tuple[str, ...]:
    """What a trace holds, in words."""

    def count(what: str, start: str) -> str:
        return counted(sum(name.startswith(start) for name in state), what)

    of_optimizers = [
        held for name, held in state.items() if name.partition(" in ")[2].startswith("optimizer")
    ]
    slots = [held for held in of_optimizers if isinstance(held, Tensor)]
    streams = [node for node in survey.nodes if isinstance(node.value, Stream)]
    everywhere = 3 + len(StreamStates([], cuda=True).export()["cuda"])  # Python, NumPy, torch; CUDA's
    losses = sum(step.loss is not None for step in steps)
    told = f"{counted(losses, 'loss value')}" if losses else "no loss value, since the step returns none"
    return (
        f"{count('parameter', 'parameter ')}, {count('buffer', 'buffer ')}, {count('gradient', 'gradient ')}, "
        f"{counted(len(slots), 'tensor')} of optimizer state",
        f"{counted(len(steps), 'batch', 'batches')}, {told}, "
        f"{counted(everywhere + len(streams), 'random stream')}",
        f"{counted(len(survey.nodes), 'object')} that model, optimizer, loader and step lead to",
    )
