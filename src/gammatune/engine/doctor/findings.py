"""What an examination found, and what to do about it, in words."""

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from gammatune.engine.doctor.object_graph import Leaf, Node
from gammatune.engine.forks.streams import Stream, kind_of
from gammatune.errors import GammatuneError, NotRestorable


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be. where: the path to it, from the objects that were given."""

    what: str
    where: str
    advice: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.advice}"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What came of an examination.

    checked: what was compared, in words. unseen: paths to what could not be looked into.
    """

    findings: tuple[Finding, ...]
    checked: tuple[str, ...]
    unseen: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        return not self.findings

    def raise_if_ill(self) -> None:
        """Raises NotRestorable with all that was found."""
        if self.findings:
            raise NotRestorable(str(self))

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {"healthy": self.healthy, **asdict(self)}

    def __str__(self) -> str:
        lines = ["healthy: a fork, a rollout and a restore change nothing in this training"]
        if self.findings:
            count = len(self.findings)
            lines = [f"not healthy: {count} thing{'s' * (count > 1)} to put right"]
        for number, finding in enumerate(self.findings, start=1):
            lines += [f"{number}. {finding.where}", f"   {finding.what}", f"   -> {finding.advice}"]
        lines += ["compared:", *(f"  {text}" for text in self.checked)] if self.checked else []
        lines += ["not looked into:", *(f"  {text}" for text in self.unseen)] if self.unseen else []
        return "\n".join(lines)


def refused(error: GammatuneError, where: str) -> Finding:
    what, _, advice = str(error).partition("; ")
    return Finding(what, where, advice or "a search cannot be run on this training as it is")


def can_be_handed_in(value: Any) -> bool:
    if isinstance(value, type) or isinstance(value, Stream):  # noqa: SIM101 - Stream is a union
        return not isinstance(value, type)
    return callable(getattr(value, "state_dict", None)) and callable(getattr(value, "load_state_dict", None))


def finding_of(
    unit: Node, pairs: list[tuple[Leaf | None, Leaf | None]], how: str, handed: frozenset[int]
) -> Finding:
    """unit: what holds the places that differ, `pairs`. how: after what."""
    value, kind = unit.value, type(unit.value).__name__
    did = f"changed and did not come back after {how}"
    in_state = f"hand it in as state=[{unit.name}]"
    if isinstance(value, nn.Module):
        leaves = [b or a for a, b in pairs]
        tensors = [leaf.node for leaf in leaves if leaf is not None and isinstance(leaf.node.value, Tensor)]
        parameters = any(isinstance(node.value, nn.Parameter) for node in tensors)
        what = "parameters" if parameters else "buffers" if tensors else "attributes"
        return Finding(f"{what} of {kind} {did}", unit.where, in_state)
    if isinstance(value, Optimizer):
        return Finding(f"the state of {kind} {did}", unit.where, f"give it as optimizer=[..., {unit.name}]")
    if isinstance(value, Stream):
        return Finding(
            f"a {kind_of(value)} was drawn from and did not come back after {how}", unit.where, in_state
        )
    if can_be_handed_in(value):
        return Finding(f"a {kind} {did}", unit.where, in_state)
    return Finding(f"{_described(value)} {did}{_values(pairs)}", unit.where, _advice(unit, handed))


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return "a tensor"
    if isinstance(value, (bool, int, float, str)):
        return "a text" if isinstance(value, str) else "a number"
    return "what is in here" if value is None else f"a {type(value).__name__}"


def _values(pairs: list[tuple[Leaf | None, Leaf | None]]) -> str:
    """What stands there, where that is one number."""
    if len(pairs) == 1 and all(leaf is not None and leaf.shown is not None for leaf in pairs[0]):
        a, b = pairs[0]
        assert a is not None
        assert b is not None
        return f" (it is {b.shown}, and would be {a.shown})" if a.shown != b.shown else ""
    return ""


def _advice(unit: Node, handed: frozenset[int]) -> str:
    """For what cannot be handed in itself: to whom it belongs, and what that needs."""
    line = unit.from_root
    owner = next(
        (one for one in reversed(line[:-1]) if not callable(one.value) or hasattr(one.value, "forward")), None
    )
    holder = type(owner.value).__name__ if owner is not None else ""
    if owner is not None and id(owner.value) in handed and not isinstance(owner.value, nn.Module):
        return f"the state_dict of {holder} does not have it: add it there and to load_state_dict"
    if line[0].where == "loader":
        return (
            "a rollout reads data too: let these follow from the index and from random generators alone, or give "
            f"{holder or 'it'} state_dict and load_state_dict and hand it in as state=[...]"
        )
    if owner is not None and not isinstance(owner.value, (nn.Module, type)) and len(line) > 2:
        return (
            f"give {holder} state_dict and load_state_dict and hand it in as state=[{owner.name}], or let the model "
            "itself hold it, as a buffer or a plain attribute"
        )
    return (
        "let an object with state_dict and load_state_dict hold it and hand that in as state=[...], or make it an "
        "attribute of the model; what is only a record is written where run.is_course"
    )


def counted(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
