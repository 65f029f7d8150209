"""Is one batch, trained twice from the same fork, the same training? A look at every run, before it begins.

    fork    look    train    note    restore    look    train    note    restore    look

What was noted after the two trainings must be the same, to the bit, or as nearly as the device can promise; and the
last two looks must see the same, or something is carried on that no fork puts back: an average of weights, a counter,
a clock, a generator that is made when it is first needed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, TypeAlias

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gammatune.engine.doctor.comparison import Differences, Pairs, listed_names
from gammatune.engine.doctor.findings import Finding, can_be_handed_in, finding_of
from gammatune.engine.doctor.frames import Carried
from gammatune.engine.doctor.object_graph import Node, Survey, digest_of
from gammatune.engine.doctor.ownership import is_users_own
from gammatune.engine.doctor.subject import by_name, numbered
from gammatune.engine.forks.sharding import local
from gammatune.engine.parts import named_parameters
from gammatune.engine.trainable import Reachable, Roots
from gammatune.errors import first_line

# Places, and bytes in them, that are looked at, a second's worth; where there is more nothing is named (guess).
MOST = 50_000, 2**30
# Two trainings of a batch on a device that adds up in any order: how far they may part, of the way that the first
# went. Rounding is a millionth of a gradient; other dropout or other data change it by a tenth and more (guess).
ROUNDING = 0.01
SHOWN = 4  # findings in the sentence; the event has all of them
HOW = "a rollout"

Print: TypeAlias = tuple[Any, ...]  # equal for equal numbers


@dataclass(frozen=True, slots=True)
class Twofold:
    """What came of it. apart: names of what the second training left otherwise than the first; none: they are alike.
    findings: what is carried on. unseen: why that could not be told; "" where it could."""

    apart: tuple[str, ...]
    findings: tuple[Finding, ...]
    unseen: str = ""

    @property
    def same(self) -> bool:
        return not self.apart

    def __str__(self) -> str:
        shown = [f"{number}. {finding}." for number, finding in enumerate(self.findings[:SHOWN], start=1)]
        rest = len(self.findings) - SHOWN
        named = " ".join([*shown, f"And {rest} more." if rest > 0 else ""]).strip()
        if self.same:
            return (
                "before the first look one batch was trained twice from the same fork, and this was carried on from "
                f"one to the other: {named} Nothing else changed by it (check=False does without this)"
            )
        unseen = self.unseen or "No object that can be reached from the loop tells why"
        unknown = (
            f"{unseen}: look for operations that are not deterministic, for what draws from the clock or from the "
            "system's entropy, and for state in files, or ask gammatune.doctor."
        )
        return (
            f"one batch, trained twice from the same fork, came out otherwise the second time "
            f"({listed_names(self.apart)}): what is trained for a look changes what is trained after it, and the run "
            f"is not the same twice. {named or unknown} (check=False does without this)"
        )


class Twice:
    """training: of which the fork stands. frame: of the loop, where that is the user's own."""

    def __init__(self, training: Reachable, frame: FrameType | None) -> None:
        self._training = training
        self._carried = None if frame is None else Carried(frame)
        self._looks: list[Survey] = []
        self._notes: list[Note] = []
        self._batches: list[bytes] = []
        self._own: set[str] = set()
        self._unseen = ""
        self._start = _inexact(training.roots())

    def look(self) -> None:
        """The training stands at the fork."""
        roots = self._training.roots()
        handed = {
            **numbered("model", roots.models),
            **numbered("optimizer", roots.optimizers),
            **{f"state[{number}]": item for number, item in enumerate(roots.state)},
            **roots.others,
        }
        own = {} if self._carried is None else self._carried.now()
        self._own |= own.keys() - handed.keys()
        apart = {id(tensor) for tensor in _held(roots.models, roots.optimizers)} | set(map(id, roots.apart))
        names = handed.keys() - roots.others.keys()
        try:
            look = Survey({**handed, **own}, apart=apart, data=lambda root: root not in names, most=MOST)
        except Exception as error:  # an object that does not want to be looked at is no reason not to train
            why = f"{type(error).__name__}: {first_line(error)}"
            self._unseen = f"What takes part could not be looked over ({why})"
            return
        if not look.is_whole:
            self._unseen = f"More than {MOST[0]:,} objects or {MOST[1] / 2**30:g} GiB take part"
        self._looks.append(look)

    def see(self, batch: Any) -> None:
        """What is trained with next."""
        self._batches.append(digest_of(batch))

    def note(self) -> None:
        """The training has been trained."""
        self._notes.append(Note.of(self._training.roots(), self._batches))
        self._batches = []

    def found(self) -> Twofold:
        first, second = self._notes
        apart = first.apart_from(second, self._start)
        looks = self._looks
        if self._unseen:
            return Twofold(apart, (), self._unseen)
        roots = self._training.roots()
        items = [*roots.models, *roots.optimizers, *roots.state]
        parts = [part for item in items if isinstance(item, nn.Module) for part in item.modules()]
        handed = frozenset(map(id, [*items, *parts]))
        differences = Differences(frozenset(), handed, frozenset(self._own))
        units = differences.units(looks[1], looks[2])
        if apart:
            earlier = differences.units(looks[0], looks[1])
            units += [(unit, changed) for unit, pairs in earlier if (changed := _changed(pairs))]
        telling = [(unit, pairs) for unit, pairs in units if not _is_record(unit, pairs)]
        named = telling or (units if apart else [])
        return Twofold(apart, tuple(finding_of(unit, pairs, HOW, handed) for unit, pairs in named))


def _changed(pairs: Pairs) -> Pairs:
    """Those of places that were there before: between the first looks much is met for the first time."""
    return [(a, b) for a, b in pairs if a is not None and b is not None]


def _is_record(unit: Node, pairs: Pairs) -> bool:
    """Whether it is plainly none of the training's business: a list that has only grown longer, a library's number
    beside what it would take to come back to it."""
    if not _changed(pairs):
        return True
    owner = next((one for one in reversed(unit.from_root[:-1]) if hasattr(one.value, "__dict__")), None)
    is_librarys = owner is not None and not is_users_own(type(owner.value).__module__)
    return is_librarys and not callable(owner.value) and not can_be_handed_in(unit.value)  # type: ignore[union-attr]


def _held(models: Any, optimizers: Any) -> list[Tensor]:
    """The tensors that every fork puts back."""
    held: list[Tensor] = [
        tensor for model in models for tensor in (*named_parameters(model).values(), *model.buffers())
    ]
    for optimizer in optimizers:
        held += [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for entry in optimizer.state.values():
            held += (
                [item for item in entry.values() if isinstance(item, Tensor)]
                if isinstance(entry, dict)
                else []
            )
    return held


# What a training came to ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Note:
    """batches: digests of what it was trained on. prints: of what it ended with, by name. weights: see `_inexact`."""

    batches: tuple[bytes, ...]
    prints: Mapping[str, Print]
    weights: list[Tensor] | None

    @classmethod
    def of(cls, roots: Roots, batches: Sequence[bytes]) -> "Note":
        state = by_name(roots.models, roots.optimizers, roots.state)
        prints = {name: _print(held) for name, held in state.items()}
        return cls(tuple(batches), prints, _inexact(roots))

    def apart_from(self, other: "Note", start: list[Tensor] | None) -> tuple[str, ...]:
        """What differs, the data first; where that may be rounding on the way from `start`, the data alone."""
        data = ("the batch itself",) if self.batches != other.batches else ()
        names = dict.fromkeys((*self.prints, *other.prints))
        apart = tuple(name for name in names if self.prints.get(name) != other.prints.get(name))
        if start is None or self.weights is None or other.weights is None:
            return data + apart
        is_rounding = _between(self.weights, other.weights) <= ROUNDING * _between(start, self.weights)
        return data if is_rounding else data + apart


def _inexact(roots: Roots) -> list[Tensor] | None:
    """Copies of what is trained, where its device, or several ranks, may add up in any order; else None."""
    trained = [
        p.detach() for model in roots.models for p in named_parameters(model).values() if p.requires_grad
    ]
    # sums over ranks are of another order once DistributedDataParallel has seen its first batch
    is_alone = not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1)
    exact = torch.are_deterministic_algorithms_enabled() or all(tensor.is_cpu for tensor in trained)
    if exact and is_alone:
        return None
    return [local(tensor).cpu().clone() for tensor in trained]


def _between(some: list[Tensor], others: list[Tensor]) -> float:
    """How far apart they lie, as vectors."""
    pairs = zip(some, others, strict=True)
    return math.sqrt(sum(float((a.double() - b.double()).square().sum()) for a, b in pairs))


def _print(value: Any) -> Print:
    """A sum over the bits, which other bits hardly ever share, of tensors; of what is small a digest."""
    if isinstance(value, tuple) and _is_hashable(value):  # the state of Python's stream
        return (hash(value),)
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_complex() or value.is_meta:
        return (digest_of(value),)
    plain = local(value.detach()).contiguous()
    size = plain.element_size()
    whole = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}.get(size, torch.uint8)
    return (str(plain.dtype), tuple(plain.shape), int(plain.view(whole).sum(dtype=torch.int64)))


def _is_hashable(value: tuple[Any, ...]) -> bool:
    return all(_is_hashable(item) if isinstance(item, tuple) else isinstance(item, int) for item in value[:2])
