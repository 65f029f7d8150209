"""Forks on disk: what is written is read back to the bit, by a process that built everything anew, or refused."""

import contextlib
import errno
import hashlib
import json
import math
import os
import pickle
import random
import subprocess
import sys
import warnings
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
import test_control_rollouts as control
import test_forks as forks
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gammatune.cost import Meter
from gammatune.engine.forks import archive
from gammatune.engine.forks.tensors import Tensors
from gammatune.engine.loop import TorchLoop
from gammatune.errors import DamagedCheckpoint, InvalidArgument, NotRestorable
from gammatune.schedules import linear
from gammatune.testing.fakes import FakeTraining

X, Y = control.X, control.Y
LR = 0.01

# -- the archive --------------------------------------------------------------------------------------------

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.complex64,
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint64,
]  # fmt: skip


@st.composite
def tensors(draw: Any) -> torch.Tensor:
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    numbers = draw(st.binary(min_size=16 * math.prod(shape), max_size=16 * math.prod(shape)))
    dtype = draw(st.sampled_from(DTYPES))
    size = math.prod(shape) * dtype.itemsize
    if dtype == torch.bool:
        numbers = bytes(b % 2 for b in numbers)
    if not size:
        return torch.zeros(shape, dtype=dtype)
    whole = torch.frombuffer(bytearray(numbers[:size]), dtype=torch.uint8).view(dtype).reshape(shape)
    return whole.transpose(0, -1) if shape and draw(st.booleans()) else whole


@st.composite
def sparse(draw: Any) -> torch.Tensor:
    dense = torch.tensor(draw(st.lists(st.sampled_from([0.0, 1.5, -2.0]), min_size=6, max_size=6)))
    layout = draw(st.sampled_from([torch.sparse_coo, torch.sparse_csr, torch.sparse_csc]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says once in a process that some layouts are a beta
        return dense.reshape(2, 3).to_sparse(layout=layout)


arrays = st.builds(
    lambda numbers, dtype, turned: (
        np.array(numbers, dtype).reshape(-1, 2 if len(numbers) % 2 == 0 else 1).T
        if turned
        else np.array(numbers, dtype)
    ),
    st.lists(st.integers(0, 100), min_size=1, max_size=6),
    st.sampled_from(["<f4", ">f8", "i8", "u1", "?", "c16", "<M8[s]", "<U3", "f2"]),
    st.booleans(),
)
plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(2**62, 2**70),
    st.floats(),
    st.text(st.characters(codec=None), max_size=4),
    st.binary(max_size=4),
    st.complex_numbers(),
    st.sampled_from([torch.float32, torch.device("cpu"), torch.device("cuda", 1), torch.Size([2, 0])]),
)
keys = st.one_of(st.none(), st.integers(), st.text(max_size=3), st.tuples(st.integers(), st.booleans()))
leaves = st.one_of(plain, tensors(), sparse(), arrays, arrays.map(lambda a: a.reshape(-1)[0]))
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.lists(inner, max_size=3).map(lambda items: deque(items, 3)),
        st.dictionaries(keys, inner, max_size=4),
        st.dictionaries(keys, inner, max_size=3).map(OrderedDict),
        st.dictionaries(keys, inner, max_size=3).map(lambda d: defaultdict(list, d)),
        st.sets(keys, max_size=4),
        st.frozensets(keys, max_size=3),
        st.lists(keys, max_size=4).map(Counter),
    ),
    max_leaves=12,
)


def same(a: Any, b: Any) -> bool:
    """Equal to the bit, and of the same types all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        if (a.dtype, a.shape, a.layout) != (b.dtype, b.shape, b.layout):
            return False
        if a.layout != torch.strided:
            return torch.equal(a.to_dense(), b.to_dense())
        raw = [t.contiguous().reshape(-1).view(torch.uint8) for t in (a, b)]
        return torch.equal(*raw)
    if isinstance(a, (np.ndarray, np.generic)):
        return (
            a.dtype == b.dtype
            and a.shape == b.shape
            and a.tobytes() == b.tobytes()
            and _turned(a) == _turned(b)
        )
    if isinstance(a, dict):
        pairs = zip(a.items(), b.items(), strict=False)
        return len(a) == len(b) and all(same(k, m) and same(v, w) for (k, v), (m, w) in pairs)
    if isinstance(a, (set, frozenset)):
        return bool(a == b)
    if isinstance(a, (list, tuple, deque)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float):
        return np.float64(a).tobytes() == np.float64(b).tobytes()
    return bool(a == b) or (isinstance(a, complex) and repr(a) == repr(b))


def _turned(array: Any) -> bool:
    return bool(array.flags.f_contiguous and not array.flags.c_contiguous)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=trees)
def test_what_is_written_is_read(tree: Any, tmp_path: Path) -> None:
    path = tmp_path / "tree"
    checksum = archive.write(path, tree)
    assert checksum == hashlib.sha256(path.read_bytes()).hexdigest()
    found = archive.read(path, checksum)
    assert same(tree, found)
    assert archive.digest(tree) == archive.digest(found)
    assert os.listdir(tmp_path) == ["tree"]


def test_numbers_too_long_for_decimals(tmp_path: Path) -> None:
    tree = [10**5000, -(2**63), 2**63, float("-inf"), -0.0]
    assert same(tree, archive.read(tmp_path / "t", archive.write(tmp_path / "t", tree)))


def test_a_tensor_that_stands_at_two_places_is_stored_once(tmp_path: Path) -> None:
    big = torch.zeros(2000)
    path = tmp_path / "t"
    found = archive.read(path, archive.write(path, {"a": big, "b": [big], "part": big[:2]}))
    assert found["a"] is found["b"][0]
    assert path.stat().st_size < 12_000
    path = tmp_path / "part"
    archive.write(path, big[:2])  # without the rest of its storage
    assert path.stat().st_size < 4000


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"fn": print}, r"here, \['fn'\]: a builtin_function_or_method"),
        ([1, {3: object()}], r"here\[1\], \[3\]: a object"),
        ({"x": torch.zeros(2, device="meta")}, "materialise"),
        ({"x": np.array([object()])}, "array of object"),
        (defaultdict(lambda: 1), "defaultdict"),
        (nn.Linear(1, 1), "a Linear"),
    ],
)
def test_what_a_file_cannot_hold_is_named(value: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(NotRestorable, match=said):
        archive.check(value, "here")
    with pytest.raises(NotRestorable):
        archive.write(tmp_path / "t", value)
    assert os.listdir(tmp_path) == []


def test_a_container_that_contains_itself_is_refused() -> None:
    round_: list[Any] = [1]
    round_.append(round_)
    with pytest.raises(NotRestorable, match="contains itself"):
        archive.check(round_, "here")
    archive.check([[1]] * 2, "here")  # twice the same is not that


def test_any_damage_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "seven.ckpt"
    checksum = archive.write(path, {"w": torch.arange(20.0), "n": [1, 2, "three"]})
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in [0, len(content) - 1, *rng.integers(len(content), size=40).tolist()]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(DamagedCheckpoint, match=r"seven\.ckpt.*checksum"):
            archive.read(path, checksum)
        # where the checksum was made of the damaged file there is nothing to notice, but nothing else is raised
        with contextlib.suppress(DamagedCheckpoint):
            archive.read(path, hashlib.sha256(damaged).hexdigest())
    for length in (0, 1, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        for claimed in (checksum, hashlib.sha256(content[:length]).hexdigest()):
            with pytest.raises(DamagedCheckpoint, match=r"seven\.ckpt"):
                archive.read(path, claimed)
    path.unlink()
    with pytest.raises(DamagedCheckpoint, match=r"seven\.ckpt is missing"):
        archive.read(path, checksum)
    with pytest.raises(OSError, match="directory"):
        archive.read(tmp_path, checksum)


class Malicious:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("form", ["pickle", "torch", "old torch", "json"])
def test_a_file_executes_nothing(form: str, tmp_path: Path) -> None:
    path, mark = tmp_path / "evil.ckpt", tmp_path / "executed"
    evil = {"format": 1, "tree": "null", "tensors": [Malicious(mark)]}
    if form == "pickle":
        path.write_bytes(pickle.dumps(evil))
    elif form == "json":  # names that stand for nothing
        torch.save({"format": 1, "tree": json.dumps(["dtype", "load"]), "tensors": []}, path)
    else:
        torch.save(evil, path, _use_new_zipfile_serialization=form == "torch")
    with pytest.raises(DamagedCheckpoint, match=r"evil\.ckpt cannot be read"):
        archive.read(path, hashlib.sha256(path.read_bytes()).hexdigest())
    assert not mark.exists()


def test_a_file_of_a_later_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "later"
    torch.save({"format": 2, "tree": "null", "tensors": []}, path)
    with pytest.raises(DamagedCheckpoint, match="format 2"):
        archive.read(path, hashlib.sha256(path.read_bytes()).hexdigest())


class Full:
    """A disk with room for so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __call__(self, hashing: Any, data: bytes) -> int:
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return len(data)


@pytest.mark.parametrize("room", [0, 100, 3000, 5000])
def test_a_full_disk_leaves_the_old_file(room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t"
    checksum = archive.write(path, {"w": torch.ones(100)})
    opened = Path.open

    def full(self: Path, *args: Any) -> Any:
        file, disk = opened(self, *args), Full(room)

        class Limited:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *error: object) -> None:
                file.close()

            def write(self, data: bytes) -> int:
                disk(None, data)
                return file.write(data)

        return Limited()

    with monkeypatch.context() as patch, pytest.raises(OSError) as error:
        patch.setattr(Path, "open", full)
        archive.write(path, {"w": torch.zeros(2000)})
    assert error.value.errno == errno.ENOSPC
    assert os.listdir(tmp_path) == ["t"]
    assert torch.equal(archive.read(path, checksum)["w"], torch.ones(100))


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_write_that_ends_late_leaves_the_old_file(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t"
    checksum = archive.write(path, 1)

    def fails(*args: Any) -> None:
        raise KeyboardInterrupt if call == "replace" else OSError(errno.EIO, "lost")

    with monkeypatch.context() as patch, pytest.raises((OSError, KeyboardInterrupt)):
        patch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), fails)
        archive.write(path, 2)
    assert os.listdir(tmp_path) == ["t"]
    assert archive.read(path, checksum) == 1


# -- a training that goes on in other objects ---------------------------------------------------------------


def scrambled(training: Any) -> Any:
    """A training as another process builds it: other initial weights, random streams elsewhere."""
    roots = [training.model, *[item for item in training.state if isinstance(item, nn.Module)]]
    with torch.no_grad():
        for tensor in [t for root in roots for t in (*root.parameters(), *root.buffers())]:
            if tensor.is_floating_point() and tensor._is_view() is False:
                tensor.add_(0.5)
    torch.manual_seed(99)
    random.seed(99)
    np.random.seed(99)  # noqa: NPY002
    return training


def loop_of(training: Any, **options: Any) -> TorchLoop:
    optimizer = getattr(training, "optimizers", training.optimizer)
    return TorchLoop(training.model, optimizer, ["lr"], state=training.state, **options)


def epoch(training: Any, loop: TorchLoop, number: int, lr: float = LR) -> None:
    meter = Meter()
    loop.apply({"lr": lr}, meter)
    batches = loop.batches(training.loader, number, meter)
    training.epoch(batches, number) if isinstance(training, forks.Setting) else training.epoch(batches)
    assert not meter.ended


def evidence(training: Any, loop: TorchLoop) -> list[Any]:
    """All that two equal trainings agree on."""
    loop.capture("end")
    tree = loop._forks["end"].export(loop._streams)
    watched = training.watch() if isinstance(training, forks.Setting) else None
    return [
        [[m["attributes"], m["buffers"], m["extra"], m["unsaved"]] for m in tree["modules"].values()],
        [[p, p["requires_grad"]] for m in tree["modules"].values() for p in m["parameters"]],
        tree["loose"],
        tree["optimizers"],
        tree["extras"],
        watched,
        tree["streams"],
    ]


def assert_same(first: list[Any], second: list[Any]) -> None:
    names = ("modules", "parameters", "loose parameters", "optimizers", "extras", "own", "streams")
    for name, a, b in zip(names, first, second, strict=True):
        assert forks_same(a, b), f"{name} differ"


def forks_same(a: Any, b: Any) -> bool:
    """As `same`, NaN and sparse gradients included, where `export` gives what need not be of one layout."""
    if isinstance(a, torch.Tensor):
        return same(a.to_dense(), b.to_dense())
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(forks_same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple, deque)):
        return len(a) == len(b) and all(forks_same(x, y) for x, y in zip(a, b, strict=True))
    return same(a, b)


def go_on(
    make: Callable[[], Any], path: Path, *, first: int = 2, then: int = 2, **options: Any
) -> tuple[list[Any], list[Any]]:
    """The end of a training, and that of another which read its state after `first` epochs."""
    lr = 1.0 if options.get("multiplier") else LR
    one = make()
    loop = loop_of(one, **options)
    for number in range(first):
        epoch(one, loop, number, lr)
        loop.forget_before(number + 1)
    loop.capture("fork")
    before = [t.clone() for t in one.model.state_dict().values() if isinstance(t, torch.Tensor)]
    checksum, digest = loop.save("fork", path), loop.digest("fork")
    after = [t for t in one.model.state_dict().values() if isinstance(t, torch.Tensor)]
    assert all(torch.equal(a.to_dense(), b.to_dense()) for a, b in zip(before, after, strict=True))
    structure = loop.structure()
    for number in range(first, first + then):
        epoch(one, loop, number, lr)
    reference = evidence(one, loop)
    loop.close()

    two = scrambled(make())
    other = loop_of(two, **options)
    other.capture("initial")
    assert other.digest("initial") != digest
    other.load(path, checksum)
    other.capture("fork")
    assert other.digest("fork") == digest
    assert set(other.structure()) == set(structure)
    for number in range(first, first + then):
        epoch(two, other, number, lr)
    found = evidence(two, other)
    other.close()
    return reference, found


@pytest.mark.parametrize("optimizer", control.OPTIMIZERS)
def test_every_optimizer_goes_on(optimizer: str, tmp_path: Path) -> None:
    assert_same(*go_on(lambda: control.Training(optimizer), tmp_path / "f"))


@pytest.mark.parametrize("model", [*control.MODELS, "counting"])
@pytest.mark.parametrize(("optimizer", "groups"), [("Adam", 2), ("LBFGS", 1), ("SGD", 2)])
def test_every_model_goes_on(model: str, optimizer: str, groups: int, tmp_path: Path) -> None:
    options = {"momentum": 0.9} if optimizer == "SGD" else {}
    assert_same(*go_on(lambda: control.Training(optimizer, model, groups, **options), tmp_path / "f"))


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        ("AdamW", {"fused": True}),
        ("Adam", {"amsgrad": True, "foreach": True}),
        ("SGD", {"lr": torch.tensor(0.01)}),
        ("LBFGS", {"line_search_fn": "strong_wolfe"}),
    ],
)
def test_options_go_on(optimizer: str, options: dict[str, Any], tmp_path: Path) -> None:
    def make() -> control.Training:
        training = control.Training(optimizer)
        given = {"lr": 0.01, **options}
        lr = given["lr"]
        given["lr"] = lr.clone() if isinstance(lr, torch.Tensor) else lr
        training.optimizer = getattr(torch.optim, optimizer)(training.model.parameters(), **given)
        return training

    assert_same(*go_on(make, tmp_path / "f"))


OFF_STRUCTURE = ("group added on the way", "exchanged layer")


@pytest.mark.parametrize("name", [name for name in forks.CASES if name not in OFF_STRUCTURE])
def test_what_ordinary_trainings_seldom_have_goes_on(name: str, tmp_path: Path) -> None:
    assert_same(*go_on(forks.CASES[name], tmp_path / "f"))


@pytest.mark.parametrize("name", OFF_STRUCTURE)
def test_what_the_loop_built_on_the_way_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"2 groups|a Tanh, this model a ReLU"):
        go_on(forks.CASES[name], tmp_path / "f")


def averaged() -> control.Training:
    training = control.Training("SGD", "batchnorm", momentum=0.9)
    average = torch.optim.swa_utils.AveragedModel(
        training.model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9), use_buffers=True
    )
    training.state = [average]
    step = training.step

    def both(x: torch.Tensor, y: torch.Tensor) -> None:
        step(x, y)
        average.update_parameters(training.model)

    training.step = both  # type: ignore[method-assign]
    return training


def scaled() -> control.Training:
    training = control.Training("AdamW")
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24, growth_interval=3)
    training.state = [scaler]

    def step(x: torch.Tensor, y: torch.Tensor) -> None:
        training.optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = training.loss(x, y)
        scaler.scale(loss).backward()
        scaler.step(training.optimizer)
        scaler.update()

    training.step = step  # type: ignore[method-assign]
    return training


def two_optimizers() -> control.Training:
    training = control.Training("Adam", "batchnorm")
    first, second = training.model[0], training.model[3]  # type: ignore[index]
    training.optimizers = [  # type: ignore[attr-defined]
        torch.optim.Adam(first.parameters(), lr=0.01),
        torch.optim.SGD(second.parameters(), lr=0.02, momentum=0.9),
    ]

    def step(x: torch.Tensor, y: torch.Tensor) -> None:
        training.model.zero_grad()
        training.loss(x, y).backward()
        for optimizer in training.optimizers:  # type: ignore[attr-defined]
            optimizer.step()

    training.step = step  # type: ignore[method-assign]
    return training


def half() -> control.Training:
    training = control.Training("SGD", momentum=0.9)
    training.model = training.model.bfloat16()
    training.optimizer = torch.optim.SGD(training.model.parameters(), lr=0.01, momentum=0.9)
    training.loss = lambda x, y: nn.functional.cross_entropy(training.model(x.bfloat16()), y)  # type: ignore[method-assign]
    return training


def generators_handed_in() -> control.Training:
    training = control.Training("SGD")
    training.state = [np.random.default_rng(3), random.Random(4), torch.Generator(), np.random.RandomState(5)]
    numpy, python, torchs, old = training.state

    def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        noise = numpy.normal() + python.random() + torch.rand((), generator=torchs) + old.rand()
        return nn.functional.cross_entropy(training.model(x + 0.01 * noise), y)

    training.loss = loss  # type: ignore[method-assign]
    return training


class Lazy(nn.Module):
    """Makes in its first step what others make when they are built; two of its tensors are one storage."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if "mean" not in self._buffers:
            self.register_buffer("mean", torch.zeros(6), persistent=False)
            self.flat = torch.zeros(2, 6)
            self.first = self.flat[0]
            self.seen: deque[Any] = deque(maxlen=3)
            self.names = {"a": {1, 2}}
        self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(dim=0)
        self.first += self.mean
        self.seen.append(x.detach().mean())
        return self.inner(x - self.mean + self.flat.sum(dim=0) + sum(self.seen))


def lazy() -> control.Training:
    training = control.Training("SGD")
    training.model = Lazy()
    training.optimizer = torch.optim.SGD(training.model.parameters(), lr=0.01)
    return training


class Relinking(nn.Module):
    """What stands in its attributes when it is built lies elsewhere when it has been trained."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 2)
        self.best = self.inner.weight.detach()  # at first the weight itself
        self.flat = torch.zeros(2, 6)
        self.row = self.flat[0]
        self.warm = 3.0
        self.notes = ["built"]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if hasattr(self, "warm"):
            del self.warm, self.notes
            self.best = self.best.clone()
            self.row = self.flat[1]
        with torch.no_grad():
            self.best += 0.1 * (self.inner.weight - self.best)
            self.row += x.mean(dim=0)
        return self.inner(x + self.flat[1]) + 0.1 * nn.functional.linear(x, self.best)


def relinking() -> control.Training:
    training = control.Training("SGD")
    training.model = Relinking()
    training.optimizer = torch.optim.SGD(training.model.parameters(), lr=0.01)
    return training


class Wrapping(torch.optim.SGD):
    """Holds an optimizer of a parameter that neither it nor the model has."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, lr=0.01)
        self.inner = torch.optim.Adam([nn.Parameter(torch.ones(1))], lr=0.01)


def wrapping() -> control.Training:
    training = control.Training("SGD")
    optimizer = training.optimizer = Wrapping(training.model.parameters())

    def step(x: torch.Tensor, y: torch.Tensor) -> None:
        optimizer.zero_grad()
        optimizer.inner.zero_grad()
        scale = optimizer.inner.param_groups[0]["params"][0]
        nn.functional.cross_entropy(training.model(x) * scale, y).backward()
        optimizer.step()
        optimizer.inner.step()

    training.step = step  # type: ignore[method-assign]
    return training


MADE: dict[str, Callable[[], Any]] = {
    "average": averaged,
    "scaler": scaled,
    "two optimizers": two_optimizers,
    "half precision": half,
    "generators": generators_handed_in,
    "lazy": lazy,
    "relinking": relinking,
    "wrapping": wrapping,
}


@pytest.mark.parametrize("name", MADE)
def test_what_takes_part_goes_on(name: str, tmp_path: Path) -> None:
    assert_same(*go_on(MADE[name], tmp_path / "f"))


@pytest.mark.parametrize("scheduler", ["OneCycleLR", "MultiStepLR", "SequentialLR"])
def test_schedulers_go_on_in_multiplier_mode(scheduler: str, tmp_path: Path) -> None:
    def make() -> control.Training:
        training = control.Training("SGD", momentum=0.9)
        lr = torch.optim.lr_scheduler
        given: Any = {
            "OneCycleLR": lambda o: lr.OneCycleLR(o, max_lr=0.1, total_steps=20),
            "MultiStepLR": lambda o: lr.MultiStepLR(o, [2, 5, 9]),
            "SequentialLR": lambda o: lr.SequentialLR(
                o, [lr.ConstantLR(o, 0.5), lr.ExponentialLR(o, 0.9)], milestones=[4]
            ),
        }[scheduler]
        training.state = [given(training.optimizer)]
        step = training.step

        def both(x: torch.Tensor, y: torch.Tensor) -> None:
            step(x, y)
            training.state[0].step()

        training.step = both  # type: ignore[method-assign]
        return training

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The epoch parameter in", category=UserWarning)
        assert_same(*go_on(make, tmp_path / "f", multiplier=True))


@pytest.mark.parametrize(
    ("package", "name"), [("schedulefree", "AdamWScheduleFree"), ("prodigyopt", "Prodigy")]
)
def test_optimizers_of_others_go_on(package: str, name: str, tmp_path: Path) -> None:
    kind = getattr(needs.package(package), name)

    def make() -> control.Training:
        training = control.Training("SGD", "batchnorm")
        training.optimizer = kind(training.model.parameters(), lr=0.01)
        body = training.epoch

        def epoch(batches: Any) -> None:
            if hasattr(training.optimizer, "train"):
                training.optimizer.train()
            body(batches)

        training.epoch = epoch  # type: ignore[method-assign]
        return training

    assert_same(*go_on(make, tmp_path / "f"))


def test_on_the_host_and_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain_, *others = (
        go_on(lambda: control.Training("Adam", "batchnorm"), tmp_path / where, forks=where)
        for where in ("device", "host", "disk")
    )
    for other in others:
        assert_same(plain_[0], other[0])
        assert_same(plain_[0], other[1])
    with pytest.raises(InvalidArgument, match="'tape': write 'auto', 'device', 'host' or 'disk'"):
        loop_of(control.Training("SGD"), forks="tape")
    # another device: meta is the one that is always there, and nothing can be copied out of it
    copied: list[Any] = []
    monkeypatch.setattr(
        "gammatune.engine.forks.tensors._copy", lambda into, out_of: copied.append((into, out_of))
    )
    for where, expected in ((True, "cpu"), (False, "meta")):
        held = Tensors(host=where)
        weight = torch.zeros(3, device="meta")
        for _ in range(2):
            held.begin()
            held.add(weight)
            held.copy()
        held.put_back()
        (into, _), (again, _), (live, numbers) = copied[-3:]
        assert into[0].device.type == expected
        assert into[0] is again[0]
        assert numbers[0] is into[0]
        assert live[0].device.type == "meta"


# -- loaders ------------------------------------------------------------------------------------------------


class Pieces:
    """An iterable of one's own, which goes on where it stopped."""

    def __init__(self) -> None:
        self.start = 0

    def __iter__(self) -> Any:
        for _ in range(3):
            self.start = (self.start + 7) % 40
            noise = 0.1 * torch.randn(6)
            yield X[self.start : self.start + 8] + noise, Y[self.start : self.start + 8]


def shared_generator() -> Callable[[int], Any]:
    generator = torch.Generator().manual_seed(4)
    return lambda size: DataLoader(
        TensorDataset(X, Y), batch_size=size, shuffle=True, generator=generator, drop_last=True
    )


def a_generator() -> Any:
    return ((X[i % 40 : i % 40 + 8] + 0.1 * torch.randn(6), Y[i % 40 : i % 40 + 8]) for i in range(0, 999, 8))


LOADERS = {
    **{name: make for name, make in control.LOADERS.items() if name != "iterator"},
    "pieces": Pieces,
    "persistent with a generator": lambda: DataLoader(
        control.Augmented(),
        batch_size=8,
        shuffle=True,
        num_workers=1,
        persistent_workers=True,
        generator=torch.Generator().manual_seed(3),
    ),
}


def with_loader(name: str) -> Callable[[], Any]:
    def make() -> Any:
        training = control.Training("SGD", "dropout", momentum=0.9)
        training.loader = LOADERS[name]()
        torch.manual_seed(7)
        return training

    return make


@pytest.mark.parametrize("name", LOADERS)
def test_loaders_go_on(name: str, tmp_path: Path) -> None:
    assert_same(*go_on(with_loader(name), tmp_path / "f"))


@pytest.mark.parametrize(
    "name", ["own generator", "iterable", "pieces", "persistent workers", "iterable with a worker"]
)
def test_loaders_go_on_amid_rollouts(name: str, tmp_path: Path) -> None:
    """What rollouts had drawn when the file was written is played again; a second file is as good as the first."""

    def course(training: Any, loop: TorchLoop, fork: str) -> list[Any]:
        loop.restore(fork)
        for number in (1, 2):
            epoch(training, loop, number)
        return evidence(training, loop)

    one = with_loader(name)()
    loop = loop_of(one)
    loop.capture("before")  # before its loader was met
    epoch(one, loop, 0)
    loop.forget_before(1)
    loop.capture("fork")
    epoch(one, loop, 1, lr=0.5)  # a rollout
    checksums = {fork: loop.save(fork, tmp_path / fork) for fork in ("before", "fork")}
    reference = course(one, loop, "fork")

    two = scrambled(with_loader(name)())
    other = loop_of(two)
    other.load(tmp_path / "before", checksums["before"])
    other.capture("before")
    other.load(tmp_path / "fork", checksums["fork"])
    other.capture("fork")
    again = other.save("fork", tmp_path / "again")  # nothing has been met
    epoch(two, other, 1, lr=0.9)  # meets the loader in a rollout
    assert_same(reference, course(two, other, "fork"))
    digest = other.digest("before")
    other.restore("before")
    other.capture("now")
    assert other.digest("now") == digest == loop.digest("before")

    three = scrambled(with_loader(name)())
    last = loop_of(three)
    last.load(tmp_path / "again", again)
    last.capture("fork")
    assert_same(reference, course(three, last, "fork"))


def test_each_fork_knows_its_own_of_loaders_not_met(tmp_path: Path) -> None:
    one = with_loader("own generator")()
    loop = loop_of(one)
    files = {}
    for number in range(2):
        epoch(one, loop, number)
        loop.capture(f"{number}")
        files[f"{number}"] = loop.save(f"{number}", tmp_path / f"{number}")
    loop.restore("0")
    epoch(one, loop, 1)
    two = scrambled(with_loader("own generator")())
    other = loop_of(two)
    for fork, checksum in files.items():
        other.load(tmp_path / fork, checksum)
        other.capture(fork)
    other.restore("0")
    epoch(two, other, 1)
    assert_same(evidence(one, loop), evidence(two, other))


def test_what_was_measured_is_not_drawn_ahead_again(tmp_path: Path) -> None:
    """The first shaped run draws a pass to learn its length; later ones draw while they train."""

    def shaped(training: Any, loop: TorchLoop, number: int) -> None:
        meter = Meter(shape=linear())
        loop.apply({"lr": LR}, meter)
        training.epoch(loop.batches(training.loader, number, meter))

    one = with_loader("pieces")()
    loop = loop_of(one)
    shaped(one, loop, 0)
    loop.capture("fork")
    checksum = loop.save("fork", tmp_path / "f")
    shaped(one, loop, 1)
    two = scrambled(with_loader("pieces")())
    other = loop_of(two)
    other.load(tmp_path / "f", checksum)
    shaped(two, other, 1)
    assert_same(evidence(one, loop), evidence(two, other))


def test_an_iterator_is_drawn_from_its_beginning(tmp_path: Path) -> None:
    """It has one pass, which the course is in the middle of."""

    def make() -> tuple[Any, TorchLoop]:
        training = control.Training("SGD", "dropout")
        training.loader = a_generator()
        return training, loop_of(training)

    def some(training: Any, loop: TorchLoop, count: int) -> None:
        meter = Meter(allowance=8 * count)
        loop.apply({"lr": LR}, meter)
        training.epoch(loop.batches(training.loader, 0, meter))
        assert meter.batches == count

    one, loop = make()
    torch.manual_seed(3)
    loop.capture("fork")
    some(one, loop, 5)
    checksum = loop.save("fork", tmp_path / "f")
    loop.restore("fork")
    some(one, loop, 9)
    two, other = make()
    other = loop_of(scrambled(two))
    other.load(tmp_path / "f", checksum)
    some(two, other, 9)
    assert_same(evidence(one, loop), evidence(two, other))


def test_a_source_that_gives_less_is_refused(tmp_path: Path) -> None:
    one = with_loader("pieces")()
    one.loader = iter([(X[:8], Y[:8])] * 5)
    loop = loop_of(one)
    epoch(one, loop, 0)
    loop.capture("fork")
    checksum = loop.save("fork", tmp_path / "f")
    two = with_loader("pieces")()
    two.loader = iter([(X[:8], Y[:8])] * 3)
    other = loop_of(two)
    other.load(tmp_path / "f", checksum)
    with pytest.raises(NotRestorable, match="gave 3 batches where it had given 5"):
        epoch(two, other, 0)


def test_a_factory_whose_loaders_share_a_generator(tmp_path: Path) -> None:
    """The first size met by the new process is one that the old process had not."""

    def run(training: Any, loop: TorchLoop, factory: Any, size: int, number: int) -> None:
        meter = Meter()
        loop.apply({"lr": LR, "batch_size": size}, meter)
        training.epoch(loop.batches(factory, number, meter))

    def make() -> tuple[Any, TorchLoop, Any]:
        training = control.Training("SGD")
        return (
            training,
            TorchLoop(training.model, training.optimizer, ["lr", "batch_size"]),
            shared_generator(),
        )

    one, loop, factory = make()
    run(one, loop, factory, 16, 0)
    loop.capture("fork")
    checksum = loop.save("fork", tmp_path / "f")
    run(one, loop, factory, 8, 1)
    run(one, loop, factory, 16, 2)
    two, other, factory = make()
    scrambled(two)
    other.load(tmp_path / "f", checksum)
    run(two, other, factory, 8, 1)
    run(two, other, factory, 16, 2)
    assert_same(evidence(one, loop), evidence(two, other))


def test_orders_of_their_own_go_on(tmp_path: Path) -> None:
    """A run that starts its streams anew before its loader is met."""

    def member(training: Any, loop: TorchLoop) -> list[Any]:
        loop.restore("fork")
        meter = Meter(order=2)
        loop.reorder(5, 1, 2)
        loop.apply({"lr": LR}, meter)
        training.epoch(loop.batches(training.loader, 1, meter))
        return evidence(training, loop)

    one = with_loader("own generator")()
    loop = loop_of(one)
    epoch(one, loop, 0)
    loop.capture("fork")
    checksum = loop.save("fork", tmp_path / "f")
    two = scrambled(with_loader("own generator")())
    other = loop_of(two)
    other.load(tmp_path / "f", checksum)
    other.capture("fork")
    assert_same(member(one, loop), member(two, other))


def test_several_loaders_are_told_apart(tmp_path: Path) -> None:
    """The new process meets them in another order; one of another length is said to be new."""

    def loader(count: int, seed: int) -> Any:
        data = TensorDataset(X[:count], Y[:count])
        return DataLoader(data, batch_size=8, shuffle=True, generator=torch.Generator().manual_seed(seed))

    def drawn(loop: TorchLoop, source: Any) -> list[Any]:
        meter = Meter()
        loop.apply({"lr": LR}, meter)
        return [x.clone() for x, _ in loop.batches(source, 0, meter)]

    def make() -> TorchLoop:
        return loop_of(control.Training("SGD"))

    loop, first, second = make(), loader(16, 1), loader(24, 2)
    drawn(loop, first)
    drawn(loop, second)
    loop.capture("fork")
    checksum = loop.save("fork", tmp_path / "f")
    expected = drawn(loop, first), drawn(loop, second)
    other, first, second = make(), loader(16, 1), loader(24, 2)
    other.load(tmp_path / "f", checksum)
    later = drawn(other, second)
    with pytest.warns(UserWarning, match="TensorDataset, 32 in batches of 8.*begins anew"):
        drawn(other, loader(32, 3))
    assert same(expected, (drawn(other, first), later))
    # in the process that wrote it too
    loop.load(tmp_path / "f", checksum)
    met = loop._loaders._met
    assert same(drawn(loop, met[min(met, key=lambda k: met[k].number)].loader), expected[0])


def test_loaders_made_anew_over_one_generator_are_not_collected() -> None:
    generator = torch.Generator()
    training = control.Training("SGD")
    loop = loop_of(training)
    for number in range(40):
        training.loader = DataLoader(TensorDataset(X, Y), batch_size=48, shuffle=True, generator=generator)
        epoch(training, loop, number)
    assert len(loop._loaders._met) == 1


# -- another process ----------------------------------------------------------------------------------------

ELSEWHERE: dict[str, Callable[[], Any]] = {
    "Adam": lambda: control.Training("Adam", "batchnorm", 2),
    "LBFGS": lambda: control.Training("LBFGS", "weight_norm"),
    "average": averaged,
    "home-made": forks.CASES["home-made module"],
    "own generator": with_loader("own generator"),
    "iterable": with_loader("iterable"),
}


def summary(training: Any, loop: TorchLoop) -> dict[str, Any]:
    loop.capture("end")
    streams = archive.digest(evidence(training, loop)[-1])
    return {"digest": loop.digest("end"), "structure": loop.structure(), "streams": streams}


def test_another_process_goes_on(tmp_path: Path) -> None:
    expected, checksums = {}, {}
    for name, make in ELSEWHERE.items():
        training = make()
        loop = loop_of(training)
        epoch(training, loop, 0)
        loop.capture("fork")
        checksums[name] = loop.save("fork", tmp_path / name)
        epoch(training, loop, 1)
        expected[name] = summary(training, loop)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-W", "error", __file__, str(tmp_path), json.dumps(checksums)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout) == expected


# -- refusals -----------------------------------------------------------------------------------------------


def net(**change: Any) -> nn.Module:
    parts = {"fc": nn.Linear(64, 10), "act": nn.ReLU(), "out": nn.Linear(10, 10)} | change
    return nn.Sequential(OrderedDict((name, part) for name, part in parts.items() if part is not None))


class Shared(nn.Module):
    def __init__(self, parameters: bool = False, modules: bool = False) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = self.a if modules else nn.Linear(4, 4)
        if parameters:
            self.b.weight = self.a.weight


def saved_of(model: nn.Module, path: Path, make: Any = torch.optim.SGD, **options: Any) -> str:
    loop = TorchLoop(model, make(model.parameters()), ["lr"], **options)
    loop.capture("fork")
    return loop.save("fork", path)


@pytest.mark.parametrize(
    ("there", "here", "said"),
    [
        (net(), net(fc=nn.Linear(32, 10)), "the checkpoint has fc.weight of 10 x 64, this model has 10 x 32"),
        (net(), net().half(), "the checkpoint has fc.weight in float32, this model in float16"),
        (net(), net(act=nn.Tanh()), "the checkpoint has a part 'act', a ReLU, this model a Tanh"),
        (net(), net(more=nn.Linear(10, 10)), "this model has a part 'more', a Linear, and the checkpoint has not"),
        (net(), net(out=None), "the checkpoint has a part 'out', a Linear, and this model has not"),
        (net(), net(fc=nn.Linear(64, 10, bias=False)), "the checkpoint has a parameter fc.bias, and this"),
        (net(fc=nn.Linear(64, 10, bias=False)), net(), "this model has a parameter fc.bias, and the che"),
        (Shared(parameters=True), Shared(), "b.weight and a.weight are one parameter in the checkpoint and two"),
        (Shared(), Shared(parameters=True), "b.weight and a.weight are two parameters in the checkpoint and one"),
        (Shared(modules=True), Shared(), "b and a are one module in the checkpoint and two in this model"),
        (Shared(), Shared(modules=True), "b and a are one module in this model and two in the checkpoint"),
    ],
)  # fmt: skip
def test_another_model_is_refused(there: nn.Module, here: nn.Module, said: str, tmp_path: Path) -> None:
    checksum = saved_of(there, tmp_path / "f")
    before = [p.detach().clone() for p in here.parameters()]
    stream = torch.get_rng_state()
    loop = TorchLoop(here, torch.optim.SGD(here.parameters()), ["lr"])
    with pytest.raises(InvalidArgument, match=said):
        loop.load(tmp_path / "f", checksum)
    assert all(map(torch.equal, before, here.parameters()))
    assert torch.equal(stream, torch.get_rng_state())


def test_shared_modules_stay_shared(tmp_path: Path) -> None:
    there, here = Shared(modules=True), Shared(modules=True)
    checksum = saved_of(there, tmp_path / "f")
    TorchLoop(here, torch.optim.SGD(here.parameters()), ["lr"]).load(tmp_path / "f", checksum)
    assert here.b is here.a
    assert torch.equal(here.b.weight, there.a.weight)


@pytest.mark.parametrize(
    ("optimizer", "state", "said"),
    [
        (torch.optim.Adam, [], r"the checkpoint has the optimizers \(SGD\), this training \(Adam\)"),
        (lambda p: torch.optim.SGD(list(p)[:2]), [], r"SGD has 1 group \(4 parameters\) in the checkpoint and 1"),
        (lambda p: torch.optim.SGD([{"params": [q]} for q in p]), [], "4 groups"),
        (lambda p: torch.optim.SGD(list(p)[::-1]), [], "parameter 0 of group 0 of SGD is fc.weight in the"),
        (lambda p: torch.optim.SGD([*p, nn.Parameter(torch.zeros(1))]), [], "0 trained parameters outside the model"),
        (torch.optim.SGD, [torch.amp.GradScaler("cpu")], r"state= \(none\), this training \(GradScaler\)"),
        (torch.optim.SGD, [torch.Generator()], r"random generators \(none\), this training \(torch.Gen"),
        (torch.optim.SGD, [nn.Linear(2, 2)], r"this model has a part '\[1\]', a Linear"),
    ],
)  # fmt: skip
def test_another_training_is_refused(optimizer: Any, state: list[Any], said: str, tmp_path: Path) -> None:
    checksum = saved_of(net(), tmp_path / "f")
    model = net()
    loop = TorchLoop(model, optimizer(model.parameters()), ["lr"], state=state)
    with pytest.raises(InvalidArgument, match=said):
        loop.load(tmp_path / "f", checksum)


class Boxed:
    def __init__(self, kept: Any) -> None:
        self.kept = kept

    def state_dict(self) -> dict[str, Any]:
        return {"decay": 0.9, "fn": self.kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.kept = state["fn"]


def test_state_that_a_file_cannot_hold_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        NotRestorable, match=r"^the state of Boxed, \['fn'\]: a function, which a checkpoint cannot"
    ):
        saved_of(net(), tmp_path / "f", state=[Boxed(net)])
    with pytest.raises(
        NotRestorable, match=r"^the attributes of act \(Named\), \['table'\]: an array of object"
    ):
        saved_of(net(act=Named()), tmp_path / "f")
    assert os.listdir(tmp_path) == []


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = np.array([print])


@pytest.mark.parametrize(
    ("model", "said"), [(nn.Linear(2, 2, device="meta"), "materialise"), (nn.LazyLinear(2), "no shape yet")]
)
def test_a_model_that_is_yet_to_be_made_is_refused(model: nn.Module, said: str) -> None:
    loop = TorchLoop(model, torch.optim.SGD(model.parameters()), ["lr"])
    with pytest.raises(NotRestorable, match=said):
        loop.capture("fork")
    with pytest.raises(NotRestorable, match=said):
        loop.structure()


def test_nothing_to_train_is_refused() -> None:
    optimizer = torch.optim.SGD([{"params": []}], lr=0.1)
    with pytest.raises(InvalidArgument, match="nothing to train"):
        TorchLoop(nn.ReLU(), optimizer, ["lr"])
    weight = nn.Parameter(torch.zeros(1))
    TorchLoop(nn.ReLU(), torch.optim.SGD([weight], lr=0.1), ["lr"]).capture("fork")


def test_damage_reaches_the_loop(tmp_path: Path) -> None:
    model = net()
    checksum = saved_of(model, tmp_path / "f")
    content = bytearray((tmp_path / "f").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(DamagedCheckpoint):
        TorchLoop(model, torch.optim.SGD(model.parameters()), ["lr"]).load(tmp_path / "f", checksum)


# -- words and digests --------------------------------------------------------------------------------------


def test_structure_is_of_names_and_shapes_alone() -> None:
    def said(model: nn.Module, **options: Any) -> dict[str, str]:
        return TorchLoop(model, torch.optim.AdamW(model.parameters()), ["lr"], **options).structure()

    first = said(net())
    assert first == said(net())
    assert first["model"].startswith("Sequential: 4 tensors, 760 numbers, ")
    assert first["optimizer"] == "AdamW: 1 group, 4 parameters"
    others = [net(fc=nn.Linear(64, 10, bias=False)), net(act=nn.Tanh()), net().double()]
    assert len({said(model)["model"] for model in (net(), *others)}) == 4
    assert (
        said(net(), state=[torch.amp.GradScaler("cpu"), torch.Generator()])["state"]
        == "GradScaler, Generator"
    )


def test_digest_tells_numbers_and_own_streams_apart() -> None:
    model, generator = net(), torch.Generator()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loop = TorchLoop(model, optimizer, ["lr"], state=[generator])

    def digest() -> str:
        loop.capture("fork")
        return loop.digest("fork")

    seen = [digest()]
    torch.rand(1)  # the global streams do not count
    assert digest() == seen[0]
    torch.rand(1, generator=generator)
    seen.append(digest())
    with torch.no_grad():
        model.fc.weight[0, 0] += 1e-6  # type: ignore[union-attr, index, operator]
    seen.append(digest())
    optimizer.param_groups[0]["weight_decay"] = 0.1
    seen.append(digest())
    model.eval()
    seen.append(digest())
    assert len(set(seen)) == 5


def test_a_fork_is_saved_whatever_the_training_does(tmp_path: Path) -> None:
    training = control.Training("Adam", "batchnorm")
    loop = loop_of(training)
    epoch(training, loop, 0)
    loop.capture("fork")
    expected = evidence(training, loop)
    epoch(training, loop, 1)
    now = evidence(training, loop)
    checksum = loop.save("fork", tmp_path / "f")
    assert_same(now, evidence(training, loop))
    loop.load(tmp_path / "f", checksum)  # in the process that wrote it
    assert_same(expected, evidence(training, loop))
    loop.restore("fork")
    assert_same(expected, evidence(training, loop))


def test_a_file_that_is_no_fork_is_refused(tmp_path: Path) -> None:
    checksum = archive.write(tmp_path / "other", {"weights": torch.zeros(2)})
    with pytest.raises(DamagedCheckpoint, match="other is a file of gammatune and holds no fork"):
        loop_of(control.Training("SGD")).load(tmp_path / "other", checksum)


def test_the_fake_is_storable(tmp_path: Path) -> None:
    training, path = FakeTraining(), tmp_path / "fake"
    training.advance(0, {"lr": 20.0}, Meter())
    training.capture("fork")
    training.progress.append(1.0)
    checksum = training.save("fork", path)
    other = FakeTraining()
    other.load(path, checksum)
    assert other.progress == [20.0]
    assert math.isnan(other.loss)
    other.capture("mine")
    assert other.digest("mine") == training.digest("fork")
    assert other.structure() == training.structure()
    with pytest.raises(DamagedCheckpoint, match="not what was written"):
        other.load(path, "0" * 64)
    with pytest.raises(DamagedCheckpoint, match="nowhere is missing"):
        other.load(tmp_path / "nowhere", checksum)


if __name__ == "__main__":  # the other process
    torch.set_num_threads(1)
    results = {}
    for name, checksum in json.loads(sys.argv[2]).items():
        training = scrambled(ELSEWHERE[name]())
        loop = loop_of(training)
        loop.load(Path(sys.argv[1]) / name, checksum)
        epoch(training, loop, 1)
        results[name] = summary(training, loop)
    print(json.dumps(results))
