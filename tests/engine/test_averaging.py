"""Several trainings from one fork become their mean, and leave no trace where they are only tried."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils.data import DataLoader, TensorDataset

from gammatune.cost import Meter
from gammatune.engine.forks.averaging import averaged_tensors
from gammatune.engine.forks.streams import StreamStates
from gammatune.engine.loop import TorchLoop
from gammatune.records import Length
from gammatune.schedules import linear

X = torch.randn(48, 6, generator=torch.Generator().manual_seed(1))
Y = (X.sum(dim=1) > 0).long()


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter, self.again, self.leave = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)
        self.again.weight = self.enter.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.leave(torch.tanh(self.again(torch.tanh(self.enter(x)))))
        return out


class Odd(nn.Module):
    """Buffers of every kind: expanded, whole numbers, not persistent, replaced in every step."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 2)
        self.register_buffer("wide", torch.ones(1).expand(6))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        self.register_buffer("mean", torch.zeros(6), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.seen += len(x)
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(dim=0)
        out: torch.Tensor = self.inner((x - self.mean) * self.wide)
        return out


MODELS: dict[str, Callable[[], nn.Module]] = {
    "batchnorm": lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 2)),
    "tied": Tied,
    "odd": Odd,
    "double": lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2)).double(),
    "weight_norm": lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(6, 8)), nn.Linear(8, 2)),
}
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.1, amsgrad=True),
    "AdamW, fused": lambda p: torch.optim.AdamW(p, lr=0.1, fused=True),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=0.1),
    "LBFGS": lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=3),
}


class Setting:
    def __init__(self, model: str = "batchnorm", optimizer: str = "Adam") -> None:
        torch.manual_seed(0)
        self.model = MODELS[model]()
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.training = TorchLoop(self.model, self.optimizer, ["lr"])
        self.loader = DataLoader(
            TensorDataset(X, Y), batch_size=16, shuffle=True, generator=torch.Generator().manual_seed(3)
        )
        self.double = model == "double"

    def epoch(self, order: int = 0, **plan: Any) -> None:
        """One rollout from where the training stands."""
        if order:
            self.training.reorder(7, 0, order)
        meter = Meter(order=order, **plan)
        self.training.apply({"lr": 0.05}, meter)
        for x, y in self.training.batches(self.loader, 0, meter):

            def closure(x: torch.Tensor = x, y: torch.Tensor = y) -> torch.Tensor:
                self.optimizer.zero_grad()
                loss = nn.functional.cross_entropy(self.model(x.double() if self.double else x), y)
                loss.backward()
                return loss

            self.optimizer.step(closure)  # type: ignore[arg-type]

    def member(self, fork: str, order: int, **plan: Any) -> None:
        self.training.restore(fork)
        self.epoch(order, **plan)

    def everything(self) -> dict[str, Any]:
        """All numbers of model and optimizer, by name."""
        state = {f"p {n}": p.detach().clone() for n, p in self.model.named_parameters()}
        state |= {f"b {n}": b.clone() for n, b in self.model.named_buffers()}
        for number, parameter in enumerate(self.model.parameters()):
            for key, value in self.optimizer.state.get(parameter, {}).items():
                state[f"s {number} {key}"] = copy.deepcopy(value)
        return state


def counters(name: str) -> bool:
    return name.endswith((" step", "num_batches_tracked", "seen", "func_evals", "n_iter"))


def exact(a: dict[str, Any], b: dict[str, Any]) -> bool:
    def same(x: Any, y: Any) -> bool:
        if isinstance(x, (list, tuple)):
            return len(x) == len(y) and all(map(same, x, y))
        return torch.equal(x, y) if isinstance(x, torch.Tensor) else bool(x == y)

    return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)


@pytest.mark.parametrize("members", [1, 2, 3, 5])
@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW, fused", "NAdam"])
@pytest.mark.parametrize("model", MODELS)
def test_the_mean_of_its_members(model: str, optimizer: str, members: int) -> None:
    setting = Setting(model, optimizer)
    setting.epoch()  # the fork has optimizer state of its own
    setting.training.capture("start")
    states = []
    for count, order in enumerate(reversed(range(members)), start=1):
        setting.member("start", order)
        setting.training.pool("mean", count)
        states.append(setting.everything())
    objects = [*setting.model.parameters(), *setting.model.buffers()]
    setting.training.average("mean")
    mean = setting.everything()
    assert all(
        a is b for a, b in zip(objects, [*setting.model.parameters(), *setting.model.buffers()], strict=True)
    )
    assert mean.keys() == states[-1].keys()
    moved = 0
    for name, value in mean.items():
        if counters(name) or not isinstance(value, torch.Tensor):
            assert all(torch.equal(torch.as_tensor(value), torch.as_tensor(state[name])) for state in states)
            continue
        parts = torch.stack([state[name].double() for state in states])
        scale = float(parts.abs().max()) or 1.0
        precision = 1e-12 if value.dtype == torch.float64 else 1e-6
        torch.testing.assert_close(value.double(), parts.mean(0), rtol=0, atol=precision * scale)
        moved += not torch.equal(value, states[-1][name])
    assert (moved > 0) == (members > 1)


def test_a_second_mean_of_the_name_starts_anew_and_two_names_do_not_mix() -> None:
    setting = Setting()
    setting.training.capture("start")
    setting.member("start", 1)
    setting.training.pool("left", 1)
    setting.training.pool("mean", 1)
    setting.member("start", 2)
    setting.training.pool("mean", 1)  # again the first: what was there is gone
    second = setting.everything()
    setting.member("start", 3)
    setting.training.average("mean")
    weights = {name: value for name, value in second.items() if not counters(name)}
    now = setting.everything()
    assert exact({name: now[name] for name in weights}, weights)
    setting.training.average("left")
    assert not exact(setting.everything(), now)
    with pytest.raises(KeyError):
        setting.training.average("left")  # it is forgotten


def test_forks_do_not_know_of_a_mean() -> None:
    setting = Setting()
    setting.epoch()
    setting.training.capture("start")
    before = setting.everything()
    for count in (1, 2):
        setting.member("start", count)
        setting.training.pool("mean", count)
    setting.training.average("mean")
    setting.training.capture("averaged")
    averaged = setting.everything()
    setting.training.restore("start")
    assert exact(setting.everything(), before)
    setting.training.restore("averaged")
    assert exact(setting.everything(), averaged)


class Branches(nn.Module):
    """One of two branches in each step, as in stochastic depth: the optimizer meets them in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList([nn.Linear(6, 2), nn.Linear(6, 2)])
        self.taken = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.branches[self.taken](x)
        return out


def test_optimizer_states_that_appear_in_another_order_or_not_at_all() -> None:
    MODELS["branches"] = Branches
    setting = Setting("branches")
    del MODELS["branches"]
    assert isinstance(setting.model, Branches)
    setting.training.capture("start")
    states = []
    for count, taken in enumerate([(0, 1), (1,), (1, 0)], start=1):
        setting.training.restore("start")
        for branch in taken:
            setting.model.taken = branch
            setting.epoch(count, length=Length(0.0, least=1))
        setting.training.pool("mean", count)
        states.append(setting.everything())
    setting.training.restore("start")
    for branch in (0, 1):
        setting.model.taken = branch
        setting.epoch(4)
    last = setting.everything()
    setting.training.average("mean")
    for name, value in setting.everything().items():
        if counters(name):
            assert value == last[name]  # the training goes on counting where it stood
        else:
            parts = torch.stack([state[name] for state in states if name in state])
            torch.testing.assert_close(value, parts.mean(0))
    assert "s 0 exp_avg" not in states[1]  # the second never saw the first branch


class Growing(nn.Module):
    """Remembers what it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 2)
        self.register_buffer("history", torch.zeros(0, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.history = torch.cat([self.history, x])
        out: torch.Tensor = self.inner(x)
        return out


def test_tensors_of_different_sizes_do_not_stop_it() -> None:
    MODELS["growing"] = Growing
    setting = Setting("growing", "LBFGS")
    del MODELS["growing"]
    setting.training.capture("start")
    weights = []
    for count, length in enumerate((Length(0.0, least=1), Length(2.0)), start=1):
        setting.member("start", count, length=length)
        setting.training.pool("mean", count)
        weights.append(setting.model.inner.weight.detach().clone())  # type: ignore[union-attr]
    history = setting.model.history.clone()  # type: ignore[union-attr, operator]
    setting.training.average("mean")
    torch.testing.assert_close(setting.model.inner.weight.detach(), (weights[0] + weights[1]) / 2)  # type: ignore[union-attr]
    assert torch.equal(setting.model.history, history)  # type: ignore[arg-type]


def test_each_tensor_once() -> None:
    setting = Setting("tied", "SGD")
    setting.epoch()
    found = averaged_tensors([setting.model, setting.model], [setting.optimizer])
    pointers = [tensor.data_ptr() for tensor in found.values()]
    assert len(pointers) == len(set(pointers)) == 2 * len(list(setting.model.parameters()))


# Orders ---------------------------------------------------------------------------------------------------


def test_an_order_is_reproducible_and_another_than_the_courses() -> None:
    setting = Setting()
    setting.training.capture("start")
    ends: dict[int, list[dict[str, Any]]] = {}
    for order in (1, 0, 2, 1, 0, 2):
        setting.member("start", order)
        ends.setdefault(order, []).append(setting.everything())
    for first, second in ends.values():
        assert exact(first, second)
    assert not exact(ends[0][0], ends[1][0])
    assert not exact(ends[0][0], ends[2][0])
    assert not exact(ends[1][0], ends[2][0])
    assert exact(ends[1][0], fresh(order=1))  # in a process of its own, as it were


def fresh(order: int) -> dict[str, Any]:
    setting = Setting()
    setting.training.capture("start")
    setting.member("start", order)
    return setting.everything()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS)
def test_members_that_are_only_tried_change_nothing(model: str, optimizer: str) -> None:
    """Other orders, lengths and shapes, pooled and averaged; then the course, bit-identical to one without."""

    def course(disturbed: bool) -> tuple[dict[str, Any], StreamStates]:
        setting = Setting(model, optimizer)
        for _ in range(2):
            if disturbed:
                setting.training.capture("home")
                for count, plan in enumerate(
                    (
                        {},
                        {"length": Length(0.4)},
                        {"shape": linear()},
                        {"length": Length(1.7), "shape": linear()},
                    ),
                    start=1,
                ):
                    setting.member("home", count, **plan)
                    setting.training.pool("mean", count)
                setting.training.average("mean")
                setting.training.restore("home")
            setting.epoch()
        return setting.everything(), StreamStates([setting.loader.generator])  # type: ignore[list-item]

    (state, streams), (plain, plain_streams) = course(True), course(False)
    assert exact(state, plain)
    assert torch.equal(streams._streams[0][1], plain_streams._streams[0][1])
    assert torch.equal(streams._torch, plain_streams._torch)
    assert streams._python == plain_streams._python
