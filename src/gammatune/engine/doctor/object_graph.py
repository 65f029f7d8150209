"""Everything that can be reached from some objects: seen, compared, put back.

A fork holds what the engine knows of a training (engine/forks/snapshot.py). This is the other side: all that the
user's objects lead to, whether a fork knows it or not.

    from                        on to
    object                      attributes, slots; its class, where that is the user's own
    nn.Module                   parameters, buffers, parts, attributes
    tensor                      its gradient, attributes
    list, tuple, deque, dict    items
    function, method, partial   closure variables, defaults, what it is bound to; of the user's own functions also the
                                global variables they name, and so the functions they call
    random streams, arrays      nothing: their numbers are looked at

Not entered: what belongs to Python or to a library and is no plain object (modules, threads, files), what talks to
the outside (`SHUT`), what has no inside that Python could see (generators, iterators, memory maps, extension types).
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from gammatune.engine.doctor.contents import feed, new_hash, shown
from gammatune.engine.doctor.keepers import keeper_of
from gammatune.engine.doctor.ownership import is_of_python
from gammatune.engine.doctor.things import ALIKE, ATOMS, parts_of
from gammatune.engine.forks.streams import StreamStates

APART = "put back by forks"
DATA = "loader"  # the root under which data lie
LARGE = 2**26  # bytes: larger data are neither compared nor copied (guess: a fifteenth of a second each time)


@dataclass(slots=True, eq=False)
class Node:
    """One thing met on the walk.

    where: the path to it, for people: "step: closure variable `ema`". name: the expression for it: "ema".
    named: an attribute or a variable, not an item of a container. first: where it had been met before, or None.
    shut: why it cannot be looked into, though it may well change; or None.
    """

    value: Any
    where: str
    name: str
    parent: "Node | None"
    named: bool
    first: str | None = None
    shut: str | None = None

    @property
    def from_root(self) -> "list[Node]":
        """All nodes on the path to this, the root first."""
        line = [self]
        while (parent := line[-1].parent) is not None:
            line.append(parent)
        return line[::-1]


@dataclass(frozen=True, slots=True)
class Leaf:
    """What stood at one place. shown: in a word, where it is a number or a text."""

    node: Node
    digest: bytes
    shown: str | None


class Survey:
    """What is reachable from `roots` (names to objects), as it stands now. Nothing is touched.

    apart: ids of objects that are not looked into. data: of roots, whether data may lie under it. most: places, and
    bytes of tensors and arrays, that are looked at.
    leaves: by path. nodes: every object once. unseen: what could not be looked into, with paths. is_whole: there was
    no more.
    """

    def __init__(
        self,
        roots: Mapping[str, Any],
        *,
        apart: Collection[int] = (),
        data: Callable[[str], bool] = lambda root: root == DATA,
        most: tuple[int, int] | None = None,
    ) -> None:
        self.leaves: dict[str, Leaf] = {}
        self.nodes: list[Node] = []
        self.unseen: list[str] = []
        self.is_whole = True
        size = 0
        for number, node in enumerate(nodes_of(roots, apart, data)):
            if most is not None:
                is_seen = (
                    isinstance(node.value, (np.ndarray, Tensor)) and node.first is None and node.shut is None
                )
                size += node.value.nbytes if is_seen else 0
                if number == most[0] or size > most[1]:
                    self.is_whole = False
                    return
            # a class stands at the path of its instance, a function at that of its method
            place = (
                node.where if node.where not in self.leaves else f"{node.where} {type(node.value).__name__}"
            )
            self.leaves[place] = Leaf(node, _digest(node), shown(node.value))
            if node.first is None and not isinstance(node.value, ATOMS):
                self.nodes.append(node)
                if node.shut is not None:
                    self.unseen.append(f"{node.where} ({node.shut})")

    def differences(self, other: "Survey") -> list[tuple[Leaf | None, Leaf | None]]:
        """The places where the two differ: here and there, None where there is nothing."""
        places = dict.fromkeys((*self.leaves, *other.leaves))
        pairs = ((self.leaves.get(place), other.leaves.get(place)) for place in places)
        return [(a, b) for a, b in pairs if a is None or b is None or a.digest != b.digest]


def digest_of(value: Any) -> bytes:
    """Equal for two values that hold the same, to the bit."""
    total = new_hash()
    for where, leaf in Survey({"": value}).leaves.items():
        total.update(where.encode() + leaf.digest)
    return bytes(total.digest())


class Held:
    """All that is reachable from `roots`, and the global random streams, to be put back.

    Each object is held by what it refers to, each tensor and array by a copy of its numbers, so that nothing but
    numbers is copied, and afterwards every object is the one that it was.
    """

    def __init__(self, roots: Mapping[str, Any]) -> None:
        self._keepers = [
            keeper
            for node in nodes_of(roots)
            if node.first is None and node.shut is None and (keeper := keeper_of(node.value)) is not None
        ]
        self._streams = StreamStates([], cuda=True)

    def put_back(self) -> None:
        for keeper in self._keepers:
            keeper()
        self._streams.restore()


def nodes_of(
    roots: Mapping[str, Any],
    apart: Collection[int] = (),
    data: Callable[[str], bool] = lambda root: root == DATA,
) -> Iterator[Node]:
    """Every place once: root after root, breadth first, so that a thing is known by the shortest path to it.

    apart, data: see `Survey`."""
    met: dict[int, Node] = {}  # by identity, and so kept alive
    paths: dict[int, str] = {}
    for root, value in roots.items():
        queue = deque([Node(value, root, root, None, True)])
        while queue:
            node = queue.popleft()
            if isinstance(node.value, ATOMS):
                yield node
                continue
            if not isinstance(node.value, ALIKE):
                node.first = first.where if (first := met.get(id(node.value))) is not None else None
            node.shut = APART if id(node.value) in apart else _why_shut(node.value, is_data=data(root))
            yield node
            if node.first is None and node.shut is None:
                met.setdefault(id(node.value), node)
                paths.setdefault(id(node.value), node.where)
                queue += [
                    Node(p.value, node.where + p.label, p.name or node.name + p.label, node, p.named)
                    for p in parts_of(node.value, paths)
                ]


def _why_shut(value: Any, *, is_data: bool) -> str | None:
    """Why a thing that may well change cannot be looked into; None where it can, or never changes."""
    if isinstance(value, np.memmap):
        return "a memory map"
    if is_data and isinstance(value, (np.ndarray, Tensor)) and value.nbytes > LARGE:
        return f"{value.nbytes / 2**20:,.0f} MiB"
    if isinstance(value, Iterator) and is_of_python(type(value).__module__):  # generators and files too
        return f"a {type(value).__name__}"
    return None


def _digest(node: Node) -> bytes:
    total = new_hash()
    if node.first is not None:
        total.update(f"as {node.first}".encode())
    elif node.shut is not None:
        total.update(type(node.value).__qualname__.encode())
    else:
        feed(total, node.value)
    return bytes(total.digest())
