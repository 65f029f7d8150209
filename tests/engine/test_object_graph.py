"""What the doctor sees of the objects it is given, and how it puts them back."""

import functools
from collections import Counter, OrderedDict, defaultdict, deque
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gammatune.engine.doctor.object_graph import Held, Survey, digest_of
from gammatune.engine.doctor.things import LONG


def places(first: Survey, second: Survey) -> list[str]:
    return [(a or b).node.where for a, b in first.differences(second)]  # type: ignore[union-attr]


LEVEL = {"value": 1}


def named(_: Any) -> int:
    def inner() -> int:
        return LEVEL["value"]

    return inner()


class Slotted:
    __slots__ = ("__hidden", "number")

    def __init__(self) -> None:
        self.number = 1
        self.__hidden = [1]

    def hide(self, value: int) -> None:
        self.__hidden.append(value)


class WithClassData:
    count = 0

    @classmethod
    @functools.cache
    def method(cls) -> Any:
        return LEVEL


def test_paths_are_read_as_one_would_write_them() -> None:
    weight = nn.Linear(2, 2)
    things = SimpleNamespace(
        items=[1, {"a": 2}], net=nn.Sequential(weight), part=functools.partial(named, k=3)
    )
    seen = Survey({"root": things}).leaves
    assert {
        "root.items[0]",
        "root.items[1]['a']",
        "root.net.0.weight",
        "root.part: argument `k`",
    } <= seen.keys()
    assert "root.part: global variable `LEVEL`['value']" in seen


CHANGES: dict[str, tuple[Any, Any, str]] = {
    "attribute": (SimpleNamespace(a=1), lambda o: setattr(o, "a", 2), ".a"),
    "new attribute": (SimpleNamespace(a=1), lambda o: setattr(o, "b", 2), ".b"),
    "slot": (Slotted(), lambda o: setattr(o, "number", 2), ".number"),
    "hidden slot": (Slotted(), lambda o: o.hide(2), "._Slotted__hidden[1]"),
    "class variable": (WithClassData(), lambda o: setattr(WithClassData, "count", 2), ".count"),
    "global variable": (named, lambda o: LEVEL.update(value=2), ": global variable `LEVEL`['value']"),
    "global in a class": (WithClassData(), lambda o: LEVEL.update(value=2), None),
    "list": ([1, 2], lambda o: o.append(3), "[2]"),
    "list of lists": ([[1]], lambda o: o[0].append(3), "[0][1]"),
    "deque": (deque([1], maxlen=2), lambda o: o.extend([2, 3]), "[0]"),
    "dict": ({"a": 1}, lambda o: o.pop("a"), "['a']"),
    "ordered": (OrderedDict(a=1), lambda o: o.update(a=2), "['a']"),
    "default": (defaultdict(int), lambda o: o["a"], "['a']"),
    "counter": (Counter("aab"), lambda o: o.update("a"), "['a']"),
    "set": ({1, 2}, lambda o: o.add(3), ""),
    "array": (np.zeros(3), lambda o: o.__setitem__(1, 1.0), ""),
    "array of objects": (np.array(["a", None], dtype=object), lambda o: o.__setitem__(1, "b"), ""),
    "tensor": (torch.zeros(3), lambda o: o.add_(1), ""),
    "NaN": (torch.full((2,), torch.nan), lambda o: o[0].zero_(), ""),
    "negative zero": (torch.zeros(1), lambda o: o.neg_(), ""),
    "bfloat16": (torch.zeros(3, dtype=torch.bfloat16), lambda o: o.add_(1), ""),
    "complex": (torch.zeros(3, dtype=torch.complex64), lambda o: o.add_(1j), ""),
    "bool": (torch.zeros(3, dtype=torch.bool), lambda o: o.logical_not_(), ""),
    "no number": (torch.zeros(0), lambda o: o.resize_(1).fill_(2), ""),
    "view": (torch.zeros(4, 4).t()[1:], lambda o: o.add_(1), ""),
    "long list": (list(range(LONG + 1)), lambda o: o.__setitem__(LONG, 0), ""),
    "long dict": (dict.fromkeys(range(LONG + 1)), lambda o: o.update({5: 1}), ""),
    "torch generator": (torch.Generator().manual_seed(1), lambda o: torch.rand(1, generator=o), ""),
    "NumPy generator": (np.random.default_rng(1), lambda o: o.normal(), ""),
    "old NumPy generator": (np.random.RandomState(1), lambda o: o.normal(), ""),
    "module": (nn.Linear(2, 2), lambda o: o.weight.data.add_(1), ".weight"),
    "hook": (nn.Linear(2, 2), lambda o: o.register_forward_hook(print), None),
    "buffer": (nn.BatchNorm1d(2), lambda o: o.running_mean.add_(1), ".running_mean"),
    "new parameter": (nn.Module(), lambda o: o.register_parameter("w", nn.Parameter(torch.ones(1))), ".w"),
    "mode": (nn.Linear(2, 2), lambda o: o.eval(), ".training"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen_named_and_put_back(name: str) -> None:
    thing, change, where = CHANGES[name]
    before, held = Survey({"it": thing}), Held({"it": thing})
    assert places(before, Survey({"it": thing})) == []
    change(thing)
    changed = places(before, Survey({"it": thing}))
    assert changed
    assert where is None or f"it{where}" in changed
    held.put_back()
    assert places(before, Survey({"it": thing})) == []


def test_a_gradient_a_storage_and_a_sparse_tensor_are_put_back() -> None:
    weight, sparse = nn.Parameter(torch.ones(2)), torch.eye(2).to_sparse()
    storage = weight.data_ptr()
    roots = {"weight": weight, "sparse": sparse, "wide": torch.zeros(1).expand(3)}
    before, held = Survey(roots), Held(roots)
    weight.grad, weight.data = torch.ones(2), torch.zeros(2)
    sparse.mul_(3)
    weight.requires_grad_(False)
    assert {"weight", "weight.grad", "sparse"} == set(places(before, Survey(roots)))
    held.put_back()
    assert places(before, Survey(roots)) == []
    assert weight.grad is None
    assert weight.data_ptr() == storage


def test_what_was_not_changed_is_not_written() -> None:
    """Autograd counts writes, and a graph of the user's that waits for its backward pass must not find one."""
    weight, items = torch.ones(2), [1]
    held = Held({"weight": weight, "items": items})
    version = weight._version
    held.put_back()
    assert weight._version == version


def test_a_circle_is_walked_once() -> None:
    first: list[Any] = []
    first.append({"back": first})
    assert list(Survey({"it": first}).leaves) == ["it", "it[0]", "it[0]['back']"]


def test_where_two_are_one_is_seen() -> None:
    one, two = [1], [1]
    assert digest_of([one, one]) != digest_of([one, two])
    assert digest_of([(1,), (1,)]) == digest_of([one_tuple := (1,), one_tuple])


def test_generators_are_told_and_left_alone() -> None:
    numbers = (n for n in range(3))
    survey = Survey({"it": [numbers]})
    assert survey.unseen == ["it[0] (a generator)"]
    assert list(numbers) == [0, 1, 2]
