"""How far a rollout goes, what multiplies its rate on the way, in which order it sees the data, where it is cut."""

import itertools
import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, RandomSampler, Sampler, TensorDataset

from gammatune.cost import Meter
from gammatune.engine.forks.streams import StreamStates
from gammatune.engine.loop import TorchLoop
from gammatune.errors import ConflictingControl
from gammatune.records import FLAT, Commit, Fork, Length, Rollout, Shape, Verdict
from gammatune.schedules import STILL, linear
from gammatune.tuning.tuner import Tuner

N, SIZE = 50, 16  # three batches of 16 and one of 2
X = torch.arange(4.0 * N).reshape(N, 4) / N
Y = (X[:, 0] > 2).long()
DATA = TensorDataset(X, Y)
EPOCH = Length()
BENT = Shape(((0.0, 0.2), (0.3, 1.0), (0.6, 1.0), (0.6, 0.5), (1.0, 0.0)))


class Counter(IterableDataset[Any]):
    """A source that goes on where it was left; drawing from it moves the global streams."""

    def __init__(self) -> None:
        self.position = 0

    def __iter__(self) -> Iterator[Any]:
        for _ in range(N):
            self.position += 1
            yield X[self.position % N] + torch.rand(()), Y[self.position % N]


class Measured(Counter):
    def __len__(self) -> int:
        return N


class Own:
    """No DataLoader: the same batches again and again, and random numbers drawn from the second on."""

    def __init__(self) -> None:
        self.position = 0

    def __iter__(self) -> Iterator[Any]:
        for i in range(0, N, SIZE):
            self.position += len(X[i : i + SIZE])
            yield X[i : i + SIZE] + (0 * torch.rand(()) if i else 0), Y[i : i + SIZE]


class Halves(Sampler[Any]):
    """A batch sampler of one's own; nobody can say how many examples its batches hold."""

    def __iter__(self) -> Iterator[Any]:
        return iter(torch.randperm(N).split(25))

    def __len__(self) -> int:
        return 2

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class Sampled(nn.Module):
    """Draws noise in training, as dropout does."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.3), nn.Linear(6, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.inner(x)
        return out


LOADERS: dict[str, Callable[[], Any]] = {
    "list": lambda: [(X[i : i + SIZE], Y[i : i + SIZE]) for i in range(0, N, SIZE)],
    "DataLoader": lambda: DataLoader(DATA, batch_size=SIZE, shuffle=True),
    "drop_last": lambda: DataLoader(DATA, batch_size=SIZE, shuffle=True, drop_last=True),
    "own generator": lambda: DataLoader(
        DATA, batch_size=SIZE, shuffle=True, generator=torch.Generator().manual_seed(3)
    ),
    "batches from the sampler": lambda: DataLoader(
        DATA, sampler=BatchSampler(RandomSampler(DATA), SIZE, drop_last=False), batch_size=None
    ),
    "batch_sampler": lambda: DataLoader(DATA, batch_sampler=BatchSampler(RandomSampler(DATA), SIZE, False)),
    "IterableDataset": lambda: DataLoader(Counter(), batch_size=SIZE),
    "IterableDataset with a length": lambda: DataLoader(Measured(), batch_size=SIZE),
    "Iterable": Own,
}
RESTORABLE = [name for name in LOADERS if not name.startswith("Iterable")]
LENGTHS = {
    "half": (Length(0.5), 0.5),
    "one": (Length(), 1.0),
    "two": (Length(2.0), 2.0),
    "two and a half": (Length(2.5), 2.5),
    "a moment": (Length(0.01), None),
    "least": (Length(0.0, least=3), None),
    "least, more than an epoch": (Length(0.25, least=6), None),
    "most": (Length(2.0, most=5), None),
}


class Setting:
    def __init__(self, make: Callable[[Any], torch.optim.Optimizer] | None = None, **options: Any) -> None:
        torch.manual_seed(0)
        self.model = Sampled()
        parameters = self.model.parameters()
        self.optimizer = (
            torch.optim.SGD(parameters, lr=0.1, momentum=0.9) if make is None else make(parameters)
        )
        names = options.pop("names", ["lr"])
        self.training = TorchLoop(self.model, self.optimizer, names, **options)
        self.rates: list[list[float]] = []  # of every group, at every step
        self.optimizer.register_step_pre_hook(
            lambda o, *_: self.rates.append([float(g["lr"]) for g in o.param_groups])
        )

    def run(
        self,
        loader: Any,
        meter: Meter,
        lr: float | None = 0.1,
        epoch: int = 0,
        every: int = 1,
        **options: Any,
    ) -> list[torch.Tensor]:
        """One rollout; its inputs, batch by batch."""
        self.rates.clear()
        self.training.apply({} if lr is None else {"lr": lr}, meter)
        return list(self.body(self.training.batches(loader, epoch, meter, **options), every))

    def body(self, batches: Any, every: int = 1) -> Iterator[torch.Tensor]:
        for index, (x, y) in enumerate(batches):
            yield x.clone()
            nn.functional.cross_entropy(self.model(x), y).backward()
            if index % every == every - 1:
                self.optimizer.step()
                self.optimizer.zero_grad()

    def state(self) -> list[torch.Tensor]:
        return [t.detach().clone() for t in self.model.state_dict().values()]


def equal(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def seeded(seed: int = 4) -> None:
    torch.manual_seed(seed)


# How far ---------------------------------------------------------------------------------------------------


@given(
    epochs=st.floats(0, 5),
    least=st.integers(1, 40),
    most=st.none() | st.integers(1, 40),
    batches=st.integers(1, 30),
)
def test_a_length_lies_between_its_bounds(epochs: float, least: int, most: int | None, batches: int) -> None:
    length = Length(epochs, least, most)
    planned = length.batches(batches)
    assert planned >= 1
    assert most is None or planned <= most
    assert planned >= least or planned == most
    if least <= epochs * batches <= (most or math.inf):
        assert abs(planned - epochs * batches) <= 0.5
    if length.passes is not None:
        assert planned == length.passes * batches


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("which", LENGTHS)
def test_a_rollout_sees_the_batches_a_plain_loop_would_see_first(name: str, which: str) -> None:
    length, epochs = LENGTHS[which]
    setting, twin = Setting(), Setting()
    a_pass = 3 if name == "drop_last" else 4
    planned = {"half": 2, "two and a half": {3: 8, 4: 10}[a_pass], "a moment": 1, "most": 5, "least": 3}.get(
        which, 6 if which.startswith("least") else round((epochs or 0) * a_pass)
    )
    seeded()
    meter = Meter(length=length)
    seen = setting.run(LOADERS[name](), meter)
    sizes = [len(x) for x in seen]
    assert len(seen) == meter.batches == meter.steps == planned
    assert meter.trained == sum(sizes)
    assert not meter.cut
    if name in RESTORABLE or length.passes is None:
        assert meter.epoch_batches == a_pass
        assert meter.epoch_examples == (48 if name == "drop_last" else 50)
    seeded()
    loader, expected = LOADERS[name](), []
    if name in RESTORABLE:  # a tape is drawn ahead of the training; see the next test
        for _ in range(math.ceil(planned / a_pass)):
            expected += list(twin.body(itertools.islice(iter(loader), planned - len(expected))))
        assert equal(seen, expected)
        assert equal(setting.state(), twin.state())
    else:
        assert sizes == ([16, 16, 16, 2] * 3)[:planned]


@pytest.mark.parametrize("name", [n for n in LOADERS if n not in RESTORABLE])
def test_a_tape_gives_rollout_and_course_the_same(name: str) -> None:
    """Short, long, shaped: whatever comes first, every later run sees the same batches."""
    setting = Setting()
    loader = LOADERS[name]()
    setting.training.capture("start")
    seen = {}
    for which in ("half", "two and a half", "one", "two"):
        setting.training.restore("start")
        seen[which] = setting.run(loader, Meter(length=LENGTHS[which][0]))
    setting.training.restore("start")
    shaped = setting.run(loader, Meter(length=Length(2.5), shape=BENT))
    assert getattr(loader, "dataset", loader).position == 2 * N + 2 * SIZE  # nothing was drawn twice
    assert equal(shaped, seen["two and a half"])
    for which in seen:
        assert equal(seen[which], shaped[: len(seen[which])])
    # drawing ahead left the streams alone: dropout was the same in a run that came first
    setting = Setting()
    loader, ends = LOADERS[name](), []
    setting.training.capture("start")
    for _ in range(2):
        setting.training.restore("start")
        setting.run(loader, Meter(length=Length(0.5), shape=BENT))
        ends.append(setting.state())
    assert equal(*ends)


def test_whole_passes_end_as_plain_epochs_do() -> None:
    """The streams too: a sampler may draw once more at the end of a pass."""
    ends = []
    for length in (Length(2.0), None):
        setting = Setting()
        generator = torch.Generator().manual_seed(3)
        loader = DataLoader(DATA, batch_size=10, shuffle=True, generator=generator)  # no batch is cut short
        seeded()
        for _ in range(1 if length else 2):
            if length:
                setting.run(loader, Meter(length=length))
            else:
                list(setting.body(loader))
        ends.append((setting.state(), StreamStates([generator])))
    (weights, streams), (expected, expected_streams) = ends
    assert equal(weights, expected)
    assert all(
        torch.equal(a[1], b[1]) for a, b in zip(streams._streams, expected_streams._streams, strict=True)
    )
    assert torch.equal(streams._torch, expected_streams._torch)


def test_a_part_of_an_epoch_costs_what_it_took_and_says_what_an_epoch_has() -> None:
    outcomes = []

    def policy(job: Any) -> Any:
        yield Fork("start")
        for length in (Length(0.0, least=1), Length(0.5), Length(1.5)):
            outcomes.append((yield Rollout({"lr": 0.1}, 0, "start", length=length, shape=linear(), order=1)))
        outcomes.append((yield Rollout({"lr": 0.1}, 0, "start", course=True)))
        yield Commit((outcomes[-1],), 1, None, Verdict("done"))

    setting = Setting()
    loader = LOADERS["DataLoader"]()
    setting.training.close()
    with Tuner(model=setting.model, optimizer=setting.optimizer, epochs=1, policy=policy) as tuner:
        for run in tuner:
            list(setting.body(run.batches(loader)))
            run.report(**run.evaluate(lambda: {"accuracy": 0.5, "loss": 1.0}, examples=9))
    assert [o.batches for o in outcomes] == [1, 2, 6, 4]
    assert [o.trained for o in outcomes] == [16, 32, 82, 50]
    assert {(o.epoch_batches, o.epoch_examples) for o in outcomes} == {(4, 50)}
    assert tuner.cost.plain_epochs == pytest.approx((180 + 4 * 3) / (50 + 3))


def test_what_an_epoch_has_is_counted_as_batches_are() -> None:
    """Tokens instead of rows, a collate function that cuts, a batch sampler that counts nothing but batches."""
    setting = Setting()
    short = Meter(length=Length(0.0, least=1))
    setting.run(LOADERS["DataLoader"](), short, examples=lambda batch: batch[0].numel())
    assert (short.trained, short.epoch_examples) == (64, 200)
    crops = DataLoader(DATA, batch_size=SIZE, collate_fn=twice)
    short = Meter(length=Length(0.0, least=1))
    setting.run(crops, short)
    assert (short.trained, short.epoch_examples) == (32, 100)
    halves = Halves()
    setting = Setting(state=[halves])
    for length, trained in ((Length(0.0, least=1), 25), (Length(), 50), (Length(1.5), 75)):
        meter = Meter(length=length)
        setting.run(DataLoader(DATA, batch_sampler=halves), meter)
        assert (meter.trained, meter.epoch_batches, meter.epoch_examples) == (trained, 2, 50)


def twice(items: list[Any]) -> list[torch.Tensor]:
    """Two crops of every image, as it were."""
    x, y = zip(*items, strict=True)
    return [torch.stack(x).repeat(2, 1), torch.stack(y).repeat(2)]


# The shape of the rate ------------------------------------------------------------------------------------


def expected_rates(shape: Shape, planned: int, bases: list[float], every: int = 1) -> np.ndarray:
    """(steps, groups): the multiplier at the middle of each batch."""
    middles = [(i + 0.5) / planned for i in range(planned) if i % every == every - 1]
    knots = np.array(shape.knots)
    # two knots at one place are a step: a hair to the left of it for the first of them
    places = knots[:, 0] + 1e-12 * np.arange(len(knots))
    return np.interp(middles, places, knots[:, 1])[:, None] * np.array(bases)


def same_rates(seen: list[list[float]], expected: np.ndarray) -> None:
    np.testing.assert_allclose(seen, expected, rtol=1e-6, atol=1e-8)  # a tensor may be float32


def in_groups(*rates: Any) -> Callable[[Any], torch.optim.Optimizer]:
    """SGD over three groups of the model's parameters."""

    def make(parameters: Any) -> torch.optim.Optimizer:
        given = list(parameters)
        parts = [given[:2], given[2:4], given[4:]]
        return torch.optim.SGD([{"params": p, "lr": lr} for p, lr in zip(parts, rates, strict=True)], lr=1.0)

    return make


@pytest.mark.parametrize("shape", [BENT, linear(), STILL, FLAT])
@pytest.mark.parametrize("length", [Length(), Length(0.5), Length(2.5), Length(0.0, 7, 7)])
@pytest.mark.parametrize("name", ["list", "DataLoader", "IterableDataset"])
def test_every_step_has_the_rate_of_the_shape(shape: Shape, length: Length, name: str) -> None:
    setting = Setting(in_groups(0.1, 0.4, 0.0))  # a group that stands still stays so
    meter = Meter(length=length, shape=shape)
    setting.run(LOADERS[name](), meter, lr=0.5)
    same_rates(setting.rates, expected_rates(shape, length.batches(4), [0.5, 2.0, 0.0]))


def test_the_rate_of_a_step_is_that_of_its_last_batch() -> None:
    setting = Setting()
    setting.run(LOADERS["list"](), Meter(length=Length(2.0), shape=BENT), lr=0.5, every=2)
    same_rates(setting.rates, expected_rates(BENT, 8, [0.5], every=2))


def test_a_rate_that_is_not_searched_is_bent_too() -> None:
    setting = Setting(lambda p: torch.optim.SGD(p, lr=0.3, weight_decay=0.1), names=["weight_decay"])
    for _ in range(2):  # the second run starts from the straight rate again
        setting.training.apply({"weight_decay": 0.2}, Meter())
        assert setting.optimizer.param_groups[0]["lr"] == 0.3
        meter = Meter(shape=BENT)
        setting.training.apply({"weight_decay": 0.2}, meter)
        setting.rates.clear()
        list(setting.body(setting.training.batches(LOADERS["list"](), 0, meter)))
        same_rates(setting.rates, expected_rates(BENT, 4, [0.3]))
        assert setting.optimizer.param_groups[0]["weight_decay"] == 0.2


@pytest.mark.parametrize("names", [["lr"], ["weight_decay"]])
def test_a_fork_of_a_bent_rate_is_straightened(names: list[str]) -> None:
    setting = Setting(names=names)
    setting.run(LOADERS["list"](), Meter(shape=BENT), lr=0.3 if names == ["lr"] else None)
    setting.training.capture("bent")
    setting.training.restore("bent")
    setting.run(LOADERS["list"](), Meter(), lr=0.3 if names == ["lr"] else None)
    assert setting.rates == [[0.3 if names == ["lr"] else 0.1]] * 4


@pytest.mark.parametrize("shared", [True, False])
def test_tensor_rates(shared: bool) -> None:
    """Groups that were given no rate of their own share one tensor."""

    def make(parameters: Any) -> torch.optim.Optimizer:
        given = list(parameters)
        own: dict[str, Any] = {} if shared else {"lr": torch.tensor(0.2)}
        return torch.optim.SGD([{"params": given[:3]}, {"params": given[3:], **own}], lr=torch.tensor(0.1))

    bases = [0.5, 0.5 if shared else 1.0]
    setting = Setting(make)
    tensors = [group["lr"] for group in setting.optimizer.param_groups]
    setting.run(LOADERS["list"](), Meter(shape=BENT), lr=0.5)
    same_rates(setting.rates, expected_rates(BENT, 4, bases))
    assert all(group["lr"] is t for group, t in zip(setting.optimizer.param_groups, tensors, strict=True))
    multiplied = Setting(make, multiplier=True)
    multiplied.run(LOADERS["list"](), Meter(shape=BENT), lr=0.5)
    bases = [0.05, 0.05 if shared else 0.1]
    same_rates(multiplied.rates, expected_rates(BENT, 4, bases))
    assert float(multiplied.optimizer.param_groups[0]["lr"]) == pytest.approx(0.1)


def test_a_users_scheduler_is_multiplied() -> None:
    def make(parameters: Any) -> torch.optim.Optimizer:
        optimizer = in_groups(0.1, 0.4, 0.0)(parameters)
        schedulers.append(torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.1))
        return optimizer

    schedulers: list[Any] = []
    setting = Setting(make, multiplier=True, state=Late(schedulers))
    meter = Meter(length=Length(2.0), shape=BENT)
    setting.training.apply({"lr": 3.0}, meter)
    own = []
    for _ in setting.body(setting.training.batches(LOADERS["list"](), 0, meter)):
        own.append([group["lr"] for group in setting.optimizer.param_groups])  # between steps: the user's own
        if setting.rates:
            schedulers[0].step()
    np.testing.assert_allclose(own[0], [0.1, 0.4, 0.0])
    scheduled = np.array([0.1 ** (step // 2) for step in range(8)])[:, None] * [0.1, 0.4, 0.0]
    same_rates(setting.rates, 3.0 * scheduled * expected_rates(BENT, 8, [1.0]))


class Late(list[Any]):
    """A list that is filled after it was handed in, but before it is read."""

    def __init__(self, source: list[Any]) -> None:
        self.source = source

    def __iter__(self) -> Iterator[Any]:
        return iter(self.source)


@pytest.mark.parametrize("name", ["lr", "weight_decay"])
def test_a_bent_rate_that_the_loop_changes_is_an_error(name: str) -> None:
    setting = Setting(names=[name])
    meter = Meter(shape=BENT)
    setting.training.apply({name: 0.1}, meter)
    with pytest.raises(ConflictingControl, match="where gammatune had set"):
        for x, y in setting.training.batches(LOADERS["list"](), 0, meter):
            nn.functional.cross_entropy(setting.model(x), y).backward()
            setting.optimizer.param_groups[0]["lr"] = 0.1  # the straight one
            setting.optimizer.step()


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "Nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.1, amsgrad=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.5),
    "AdamW, tensor rate": lambda p: torch.optim.AdamW(
        p, lr=torch.tensor(0.1), weight_decay=0.5, foreach=False
    ),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.1, momentum=0.9),
}


@pytest.mark.parametrize("multiplier", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_at_rate_0_the_weights_stay_to_the_bit(name: str, multiplier: bool) -> None:
    setting = Setting(OPTIMIZERS[name], multiplier=multiplier)
    setting.run(LOADERS["DataLoader"](), Meter())  # so that there is momentum
    before = [p.detach().clone() for p in setting.model.parameters()]
    meter = Meter(shape=STILL)
    setting.run(LOADERS["DataLoader"](), meter)
    assert meter.steps == 4
    assert equal([p.detach() for p in setting.model.parameters()], before)
    setting.run(LOADERS["DataLoader"](), Meter())
    assert not equal([p.detach() for p in setting.model.parameters()], before)


# The ceiling ----------------------------------------------------------------------------------------------


@given(
    allowance=st.one_of(st.floats(-10, 200), st.integers(0, 200).map(float)),
    spent=st.integers(0, 60),
    name=st.sampled_from(["list", "DataLoader", "IterableDataset"]),
    length=st.sampled_from([Length(), Length(2.0), Length(0.5), Length(2.5)]),
)
def test_the_allowance_is_a_ceiling(allowance: float, spent: int, name: str, length: Length) -> None:
    setting = Setting()
    meter = Meter(length=length, allowance=allowance, evaluated=spent)
    setting.run(LOADERS[name](), meter)
    sizes = ([16, 16, 16, 2] * 3)[: length.batches(4)]
    paid, taken = spent / 3, 0
    while taken < len(sizes) and paid + sizes[taken] <= allowance:
        paid += sizes[taken]
        taken += 1
    assert (meter.batches, meter.steps, meter.trained) == (taken, taken, sum(sizes[:taken]))
    assert meter.cut == meter.ended == (taken < len(sizes))
    assert ("budget" in meter.note) == meter.cut
    assert meter.units <= max(allowance, spent / 3)


def test_what_was_cut_stays_cut() -> None:
    """The next pass begins with a batch that could be paid, but the rollout has ended."""
    setting = Setting()
    meter = Meter(length=Length(2.0), allowance=10.0)
    setting.run([(X[:2], Y[:2]), (X[:16], Y[:16])], meter)
    assert (meter.batches, meter.trained) == (1, 2)


# The order ------------------------------------------------------------------------------------------------


def rows(batches: list[torch.Tensor]) -> list[tuple[float, ...]]:
    return sorted(tuple(row.tolist()) for row in torch.cat(batches))


@pytest.mark.parametrize("name", LOADERS)
def test_an_order_of_its_own(name: str) -> None:
    """The same examples in another order, the same one every time; order 0 is undisturbed."""
    setting = Setting()
    loader = LOADERS[name]()
    seeded()
    setting.training.capture("start")

    def run(order: int, length: Length = EPOCH) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        setting.training.restore("start")
        if order:
            setting.training.reorder(7, 0, order)
        return setting.run(loader, Meter(length=length, order=order)), setting.state()

    first = run(2)  # the very first look at the loader is out of order
    plain, again = run(0), run(0)
    assert equal(plain[0], again[0])
    assert equal(plain[1], again[1])
    seen = {}
    for order in (1, 2):
        seen[order], state = run(order)
        repeated, repeated_state = run(order)
        assert equal(seen[order], repeated)
        assert equal(state, repeated_state)
        assert not equal(state, plain[1])
        if name != "drop_last":
            assert rows(seen[order]) == rows(plain[0])
        assert not equal(seen[order], plain[0])
    assert not equal(seen[1], seen[2])
    assert equal(first[0], seen[2])
    assert equal(first[1], run(2)[1])
    assert equal(run(2, Length(0.5))[0], seen[2][:2])
    assert equal(run(1, Length(2.0))[0][: len(seen[1])], seen[1])
    assert equal(run(0)[1], plain[1])


def test_an_order_of_its_own_for_every_epoch() -> None:
    for name in LOADERS:
        setting = Setting()
        seeded()
        setting.training.reorder(7, 0, 1)
        seen = setting.run(LOADERS[name](), Meter(length=Length(2.0), order=1))
        half = len(seen) // 2
        order = [sorted(map(tuple, x.tolist())) for x in seen]
        assert order[:half] != order[half:], name


def test_every_stream_begins_anew() -> None:
    generator = np.random.default_rng(1)
    old = np.random.RandomState(1)
    setting = Setting(state=[generator, old])

    def draws(order: int) -> list[float]:
        setting.training.reorder(7, 0, order)
        return [
            random.random(),
            np.random.rand(),  # noqa: NPY002
            float(torch.rand(())),
            generator.random(),
            old.rand(),
        ]

    first, second = draws(1), draws(2)
    assert first == draws(1)
    assert not set(first) & set(second)


def test_an_order_of_its_own_after_a_run_that_was_cut() -> None:
    """The tape holds two batches then; the other order is one of all of them."""
    setting = Setting()
    loader = Own()
    setting.training.capture("start")
    setting.run(loader, Meter(allowance=40.0))
    assert loader.position < N
    setting.training.restore("start")
    assert rows(setting.run(loader, Meter(order=1))) == sorted(map(tuple, X.tolist()))


def test_a_loader_first_met_after_an_order_of_its_own() -> None:
    """Its own generator is where it would have been, or begins the order too."""

    def course(disturbed: bool, met: bool = False) -> list[torch.Tensor]:
        setting = Setting()
        loader = LOADERS["own generator"]()
        if disturbed:
            setting.training.capture("start")
            setting.training.reorder(7, 0, 1)
            setting.run(loader if met else LOADERS["DataLoader"](), Meter(order=1))
            setting.training.restore("start")
        return setting.run(loader, Meter())

    assert equal(course(False), course(True))
    assert equal(course(False), course(True, met=True))


def test_an_iterator_is_kept_for_a_policy_that_goes_back() -> None:
    """It cannot be drawn again; whatever else came before a commit can."""
    setting = Setting()
    once = iter(LOADERS["list"]())
    setting.training.capture("start")
    first = setting.run(once, Meter())
    setting.training.forget_before(1)
    setting.training.restore("start")
    assert equal(setting.run(once, Meter()), first)
    tape = LOADERS["IterableDataset"]()
    setting.run(tape, Meter())
    setting.training.forget_before(1)
    setting.run(tape, Meter())
    assert tape.dataset.position == 2 * N
